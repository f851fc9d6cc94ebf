/* test_placement.c — cells on a device for each party: planned, stored, and skipped where there is one device. */
#include <criterion/criterion.h>
#include <hdf5.h> /* to make an older file of a cell */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store.h"
#include "harness/sweep.h"

static char dir[64];

static void make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/ss_placement_XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_expect_eq(system(command), 0);
}

TestSuite(placement, .init = make_dir, .fini = remove_dir);

/* Each device of a split cell holds a party's share of what one device holds otherwise, and all of the weights. */
Test(placement, a_split_cell_needs_less_of_a_device_and_has_the_same_reference)
{
    struct ss_plan p = {0};
    static struct ss_experiment e;
    cr_assert_eq(ss_experiment_read(&e, "two-gpu", "gpu", "cuda", 1), SS_OK, "%s", ss_last_error());
    cr_assert_eq(ss_plan_add(&p, &e), SS_OK);
    ss_experiment_free(&e);
    size_t split = 0, references = 0;
    for (size_t i = 0; i < p.n; i++) {
        const struct ss_planned *c = &p.v[i], *before = i > 0 ? &p.v[i - 1] : NULL;
        struct ss_cell ref, other;
        char label[160];
        references += c->cell.reference;
        if (!c->cell.split)
            continue;
        split++;
        cr_assert(before && !before->cell.split && strcmp(before->cell.variant, c->cell.variant) == 0);
        cr_expect_eq(c->wire_bytes, before->wire_bytes);
        cr_expect_lt(c->memory_bytes, before->memory_bytes);
        cr_assert_eq(ss_reference_of(&ref, &c->cell), SS_OK);
        cr_assert_eq(ss_reference_of(&other, &before->cell), SS_OK);
        cr_expect_str_eq(ref.id, other.id);
        cr_expect_not(ref.split);
        ss_cell_label(label, sizeof label, &c->cell);
        cr_expect_not_null(strstr(label, " (cuda, split)"), "%s", label);
    }
    cr_expect_gt(split, 0);
    cr_expect_eq(p.n, references + 2 * split);
    ss_plan_free(&p);
}

Test(placement, files_from_before_there_was_a_choice_are_of_one_device)
{
    ss_set_error_silent(1);
    for (int split = 0; split < 2; split++) {
        struct ss_result back,
            r = {.cell = {.model = "m", .variant = "v3", .backend = "cuda", .phase = "prefill", .split = split},
                 .status = SS_SKIPPED,
                 .reason = "memory (needs 151 GB, has 139 GB)"};
        char path[PATH_MAX];
        ss_cell_identify(&r.cell);
        cr_assert_eq(ss_store_write(dir, &r), SS_OK, "%s", ss_last_error());
        ss_store_path(path, sizeof path, dir, &r.cell);
        cr_assert_eq(ss_store_read(&back, path), SS_OK, "%s", ss_last_error());
        cr_expect_eq(back.cell.split, split);
        ss_result_free(&back);
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        cr_assert(H5Adelete_by_name(file, "/cell", "split", H5P_DEFAULT) >= 0 && H5Fclose(file) >= 0);
        cr_expect_eq(ss_store_read(&back, path), split ? SS_RESULTS : SS_OK, "a cell that was split cannot pass for another");
        cr_expect_not(back.cell.split);
        ss_result_free(&back);
    }
}

/* On the CPU there is no second device: the row says so, nothing fails, and the next run does not try again. */
Test(placement, a_split_cell_without_two_devices_is_skipped_with_the_reason)
{
    char command[512], out[4096];
    const char *binary = getenv("SHARDSCALE");
    if (!binary)
        cr_skip("SHARDSCALE is not set: make tests sets it");
    snprintf(command, sizeof command, "'%s' run two-gpu --profile smoke -E 'model==tiny-lm' --results %s 2>&1", binary, dir);
    for (int again = 0; again < 2; again++) {
        FILE *pipe = popen(command, "r");
        cr_assert_not_null(pipe);
        out[fread(out, 1, sizeof out - 1, pipe)] = '\0';
        cr_assert_eq(pclose(pipe), 0, "%s", out);
        cr_assert_not_null(strstr(out, "3 cells: 2 measured, 1 skipped, 0 failed, 0 missing"), "%s", out);
        cr_assert_not_null(strstr(out, "tiny-lm v3 8 tokens (split): skipped: placement split needs 2 GPUs"), "%s", out);
        cr_assert_not_null(strstr(out, again ? "0 new, 3 already there" : "3 new, 0 already there"), "%s", out);
    }
}
