/* test_store_removed.c — a dataset that was taken out of a cell's file is an error that names the file, never a gap. */
#include <criterion/criterion.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/store.h"

/* With all that a file may hold. */
static void write_cell(const char *dir, char *path, size_t size)
{
    struct ss_result r = {.cell = {.model = "m", .variant = "v3-ot", .backend = "cpu", .phase = "prefill", .tokens = 8},
                          .status = SS_MEASURED,
                          .reps = 6,
                          .shape = {.vocab = 16},
                          .has_error = true,
                          .has_functions = true,
                          .has_outside = true};
    ss_cell_identify(&r.cell);
    r.pass = calloc(r.reps, sizeof *r.pass);
    r.logits = calloc(r.shape.vocab, sizeof *r.logits);
    r.arguments = calloc(1, sizeof *r.arguments);
    cr_assert(r.pass && r.logits && r.arguments && ss_wire_alloc(&r.wire, 2) == 0);
    cr_assert_eq(ss_pairs_add(&r.config, "processes", "1"), SS_OK);
    cr_assert_eq(ss_pairs_add(&r.config, "turns", "yes"), SS_OK);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK, "%s", ss_last_error());
    ss_store_path(path, size, dir, &r.cell);
    ss_result_free(&r);
}

struct names {
    size_t n;
    char v[200][64];
};

static herr_t note_dataset(hid_t at, const char *name, const H5O_info_t *info, void *data)
{
    struct names *names = data;
    (void)at;
    if (info->type == H5O_TYPE_DATASET && names->n < 200)
        snprintf(names->v[names->n++], sizeof names->v[0], "%s", name);
    return 0;
}

static void remove_from(const char *path, const char *name)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    cr_assert(file >= 0 && H5Ldelete(file, name, H5P_DEFAULT) >= 0, "%s", name);
    H5Fclose(file);
}

Test(store_removed, each_dataset_is_missed_and_the_file_named)
{
    char dir[] = "/tmp/ss-removed-XXXXXX", path[256], command[64];
    struct names names = {0};
    struct ss_result r;
    cr_assert_not_null(mkdtemp(dir));
    ss_set_error_silent(1);
    write_cell(dir, path, sizeof path);
    cr_assert_eq(ss_store_read(&r, path), SS_OK, "%s", ss_last_error());
    cr_assert(r.has_functions && r.has_outside && r.arguments && r.logits);
    ss_result_free(&r);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    cr_assert(file >= 0 && H5Ovisit1(file, H5_INDEX_NAME, H5_ITER_INC, note_dataset, &names) >= 0);
    H5Fclose(file);
    cr_assert_gt(names.n, 60);
    for (size_t i = 0; i < names.n; i++) {
        write_cell(dir, path, sizeof path);
        remove_from(path, names.v[i]);
        cr_expect_eq(ss_store_read(&r, path), SS_RESULTS, "%s is not missed", names.v[i]);
        cr_expect_not_null(strstr(ss_last_error(), path), "%s", ss_last_error());
        ss_result_free(&r);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    cr_assert_eq(system(command), 0);
}
