/* test_store.c — cell files: what is written is read back; what is damaged is refused. */
#include "harness/store.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <hdf5.h> /* to make an older file of a cell */
#include <hdf5_hl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/disk.h"
#include "harness/seal.h"
#include "tests/scratch.h"
#include "tests/stored.h"

static char dir[SCRATCH_PATH];

static void make_dir(void)
{
    scratch_dir(dir);
    ss_set_error_silent(1);
}

TestSuite(store, .init = make_dir);

Test(store, what_is_written_is_read_back)
{
    struct ss_result r;
    fill_result(&r, UINT64_MAX, 7, 4);
    write_and_compare(dir, &r);
    r.has_first = r.has_error = false;
    r.first = (struct ss_pass){0};
    r.error = (struct ss_distance){0};
    r.status = SS_FAILED;
    free(r.logits);
    r.logits = NULL;
    free(r.arguments);
    r.arguments = NULL;
    r.has_functions = r.has_outside = false;
    memset(r.fit, 0, sizeof r.fit);
    memset(r.arguments_seen, 0, sizeof r.arguments_seen);
    memset(r.outside, 0, sizeof r.outside);
    write_and_compare(dir, &r); /* replaces the first */
    ss_result_free(&r);
}

Test(store, a_skipped_cell_without_data_is_read_back)
{
    struct ss_result r = {.cell = {.model = "m", .variant = "plain", .backend = "cuda", .phase = "prefill", .reference = true},
                          .status = SS_SKIPPED,
                          .reason = "memory (needs 151 GB, has 139 GB)"};
    ss_cell_identify(&r.cell);
    write_and_compare(dir, &r);
}

Test(store, files_from_before_cells_were_repeated_are_one_process)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    const int64_t backwards[7] = {0, 0, 1, 0, 1, 1, 1};
    fill_result(&r, 1, 7, 2);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_store_path(path, sizeof path, dir, &r.cell);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "/cell/process", H5P_DEFAULT);
    cr_assert(H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, backwards) >= 0);
    cr_assert(H5Dclose(set) >= 0 && H5Fclose(file) >= 0);
    cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "process does not count up"), "%s", ss_last_error());
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    cr_assert(H5Ldelete(file, "/cell/process", H5P_DEFAULT) >= 0 && H5Fclose(file) >= 0);
    cr_assert_eq(ss_store_read(&back, path), SS_OK, "%s", ss_last_error());
    cr_expect_eq(ss_result_processes(&back), 1);
    for (size_t i = 0; i < 7; i++)
        r.pass[i].process = 0;
    expect_equal_results(&r, &back);
    ss_result_free(&r);
    ss_result_free(&back);
}

/* As xarray reads it: units, long names, and a coordinate for every dimension. */
static void expect_described(hid_t file, const char *name, const char *coordinate)
{
    char path[64];
    snprintf(path, sizeof path, "/cell/%s", name);
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
    cr_assert(set >= 0, "%s", path);
    cr_expect(H5Aexists(set, "units") > 0 && H5Aexists(set, "long_name") > 0, "%s", path);
    snprintf(path, sizeof path, "/cell/%s", coordinate);
    hid_t scale = H5Dopen2(file, path, H5P_DEFAULT);
    cr_assert(scale >= 0 && H5DSis_scale(scale) > 0, "%s", path);
    cr_expect(H5DSis_attached(set, scale, strcmp(coordinate, "position") == 0 ? 1 : 0) > 0, "%s over %s", name, coordinate);
    H5Dclose(scale);
    H5Dclose(set);
}

Test(store, windows_of_a_text_are_read_back)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    fill_result(&r, 1, 7, 2);
    snprintf(r.cell.phase, sizeof r.cell.phase, "eval");
    r.cell.tokens = 5;
    r.cell.reference = true;
    ss_cell_identify(&r.cell);
    r.window = calloc(7, sizeof *r.window);
    r.predicted = calloc(7 * 5, sizeof *r.predicted);
    for (int i = 0; i < 7; i++)
        r.window[i] = (struct ss_window){.nats = 1 + 1.0 / (i + 3), .right = 100 + i};
    for (int i = 0; i < 7 * 5; i++)
        r.predicted[i] = 255 - i;
    write_and_compare(dir, &r); /* a reference */
    free(r.predicted);
    r.predicted = NULL;
    r.cell.reference = false;
    ss_cell_identify(&r.cell);
    write_and_compare(dir, &r); /* without a reference */
    r.has_plain = true;
    for (int i = 0; i < 7; i++) {
        r.window[i].plain_nats = 2 - 1.0 / (i + 3);
        r.window[i].agree = 200 + i;
    }
    write_and_compare(dir, &r);
    ss_store_path(path, sizeof path, dir, &r.cell);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    static const char *const names[] = {"window", "xent", "xent_plain", "top1_next", "top1_plain"};
    for (size_t i = 0; i < 5; i++)
        expect_described(file, names[i], "rep");
    int64_t window[7];
    hid_t set = H5Dopen2(file, "/cell/window", H5P_DEFAULT);
    cr_assert(H5Dread(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, window) >= 0);
    cr_expect_arr_eq(window, ((int64_t[]){0, 1, 2, 0, 1, 2, 0}), sizeof window, "three to a process");
    H5Dclose(set);
    cr_assert(H5Ldelete(file, "/cell/xent", H5P_DEFAULT) >= 0 && H5Fclose(file) >= 0);
    cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "dataset xent is missing"), "%s", ss_last_error());
    ss_result_free(&r);
}

Test(store, missing_directories_are_made)
{
    struct ss_result r;
    fill_result(&r, 1, 1, 1);
    strcat(dir, "/a/b");
    write_and_compare(dir, &r);
    dir[strlen(dir) - 4] = '\0';
    ss_result_free(&r);
}

Test(store, all_results_are_sorted_and_damage_is_named)
{
    const char *const variant[] = {"v3-ot", "v3", "plain", "v3-mpc", "v3-cc", "v2"};
    const char *const order[] = {"plain", "v2", "v3", "v3-cc", "v3-mpc", "v3-ot"};
    struct ss_result r, *all;
    size_t n;
    cr_assert_eq(ss_store_read_all(&all, &n, dir), SS_OK); /* no such directory yet */
    cr_assert_eq(n, 0);
    free(all);
    fill_result(&r, 1, 1, 1);
    for (size_t i = 0; i < 12; i++) {
        snprintf(r.cell.variant, sizeof r.cell.variant, "%s", variant[i % 6]);
        r.params = i < 6 ? 2000 : 1000;
        snprintf(r.cell.model, sizeof r.cell.model, "%s", i < 6 ? "big" : "small");
        ss_cell_identify(&r.cell);
        cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    }
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/cells/0123456789abcdef.h5", dir);
    cr_assert_eq(ss_disk_replace(path, "not hdf5", 8), SS_OK);
    snprintf(path, sizeof path, "%s/cells/0123456789abcdef.h5.part", dir); /* left by a kill: not a result */
    close(open(path, O_CREAT | O_WRONLY, 0666));
    cr_assert_eq(ss_store_read_all(&all, &n, dir), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "0123456789abcdef.h5"));
    cr_expect_not_null(strstr(ss_last_error(), "delete it and run again"));
    cr_assert_eq(n, 12);
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(all[i].params, i < 6 ? 1000 : 2000);
        cr_expect_str_eq(all[i].cell.variant, order[i % 6]);
        ss_result_free(&all[i]);
    }
    free(all);
    ss_result_free(&r);
}

/* The file's bytes; malloc'ed. */
static char *slurp(const char *path, size_t *size)
{
    struct stat s;
    cr_assert_eq(stat(path, &s), 0);
    *size = (size_t)s.st_size;
    char *bytes = malloc(*size);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    cr_assert_eq(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

Test(store, every_truncation_is_refused)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    size_t size, refused = 0;
    fill_result(&r, 1, 3, 2);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_store_path(path, sizeof path, dir, &r.cell);
    char *bytes = slurp(path, &size);
    for (size_t length = 0; length < size; length += length < 200 ? 13 : size / 97) {
        cr_assert_eq(ss_disk_replace(path, bytes, length), SS_OK);
        cr_expect_eq(ss_store_read(&back, path), SS_RESULTS, "%zu of %zu bytes were accepted", length, size);
        cr_expect_not_null(strstr(ss_last_error(), path));
        refused++;
    }
    cr_assert_eq(ss_disk_replace(path, bytes, size - 1), SS_OK);
    cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
    cr_expect_gt(refused, 90);
    free(bytes);
    ss_result_free(&r);
}

/* Replaces the only place where `from` stands in the file by the equally long `to`, and seals it again. */
static void patch(const char *path, const char *from, const char *to)
{
    size_t size;
    char *bytes = slurp(path, &size), *at = memmem(bytes, size, from, strlen(from));
    cr_assert_not_null(at, "no '%s' in the file", from);
    memcpy(at, to, strlen(to));
    ss_seal((uint8_t *)bytes + size - SS_SEAL_BYTES, bytes, size - SS_SEAL_BYTES);
    cr_assert_eq(ss_disk_replace(path, bytes, size), SS_OK);
    free(bytes);
}

/* A changed bit anywhere is noticed before HDF5 sees it; files from before there were seals are read as they are. */
Test(store, one_changed_bit_is_refused)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    size_t size;
    fill_result(&r, 1, 3, 2);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_store_path(path, sizeof path, dir, &r.cell);
    char *bytes = slurp(path, &size);
    for (size_t at = 0; at < size - SS_SEAL_BYTES; at += size / 53) {
        bytes[at] ^= 16;
        cr_assert_eq(ss_disk_replace(path, bytes, size), SS_OK);
        cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
        cr_expect_not_null(strstr(ss_last_error(), "checksum"), "byte %zu: %s", at, ss_last_error());
        bytes[at] ^= 16;
    }
    cr_assert_eq(ss_disk_replace(path, bytes, size - SS_SEAL_BYTES), SS_OK);
    cr_assert_eq(ss_store_read(&back, path), SS_OK, "%s", ss_last_error());
    ss_result_free(&back);
    free(bytes);
    ss_result_free(&r);
}

Test(store, values_that_do_not_belong_are_refused)
{
    static const char *const change[][2] = {{"shardscale cell", "somebody's cell"}, /* format */
                                            {"v3-ot", "v3-xx"},                     /* variant, against the id */
                                            {"measured", "mesaured"},               /* status */
                                            {"gate_up", "gate-up"}};                /* coordinate of operations */
    struct ss_result r, back;
    char path[PATH_MAX];
    fill_result(&r, 1, 3, 2);
    ss_store_path(path, sizeof path, dir, &r.cell);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        cr_assert_eq(ss_store_write(dir, &r), SS_OK);
        patch(path, change[i][0], change[i][1]);
        cr_expect_eq(ss_store_read(&back, path), SS_RESULTS, "%s", change[i][1]);
        cr_expect_not_null(strstr(ss_last_error(), "another version"), "%s", ss_last_error());
    }
    ss_result_free(&r);
}

Test(store, a_missing_file_and_a_foreign_file_are_named)
{
    struct ss_result r;
    char path[128];
    float x[4] = {0};
    cr_expect_eq(ss_store_read(&r, "/nonexistent/x.h5"), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "/nonexistent/x.h5"));
    snprintf(path, sizeof path, "%s/foreign.h5", dir);
    cr_assert_eq(ss_store_logits(path, x, 1, 1, 4, &(struct ss_pairs){0}), SS_OK);
    cr_expect_eq(ss_store_read(&r, path), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "not a result of shardscale"));
    cr_expect_eq(ss_store_read(&r, dir), SS_RESULTS); /* a directory */
}
