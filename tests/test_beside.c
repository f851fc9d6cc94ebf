/* test_beside.c — two builds measured in turns (run --beside): pairs of repetitions, what is refused, and what a failing second
   program leaves. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/samples.h"
#include "harness/store.h"
#include "tests/program.h"
#include "tests/scratch.h"

static char dir[SCRATCH_PATH], out[65536];

static void make_dir(void)
{
    scratch_dir(dir);
}

#define RUN "run tests/data/sweep.ini --profile smoke -q -E 'model==tiny-lm && variant==v2' --results %s/a "

static int run(const char *format)
{
    char args[1024];
    snprintf(args, sizeof args, format, dir, dir);
    return program(args, out, sizeof out);
}

/* The cell in that folder, which has one and its reference. */
static void read_cell(struct ss_result *r, const char *side, enum ss_status status)
{
    char folder[96];
    struct ss_result *all;
    size_t n;
    snprintf(folder, sizeof folder, "%s/%s", dir, side);
    cr_assert_eq(ss_store_read_all(&all, &n, folder), SS_OK);
    cr_assert_eq(n, 2, "%s", folder);
    const size_t reference = all[0].cell.reference ? 0 : 1;
    ss_result_free(&all[reference]);
    *r = all[1 - reference];
    free(all);
    cr_assert_eq(r->status, status, "cell in %s: %s", folder, r->reason);
}

Test(beside, both_have_the_same_turns_in_as_many_processes, .init = make_dir)
{
    struct ss_result a, b;
    cr_assert_eq(run(RUN "--repeats 2 --beside %s/b"), 0, "%s", out);
    cr_assert_eq(run(RUN "--repeats 3 --beside %s/b"), 0, "%s", out);
    read_cell(&a, "a", SS_MEASURED);
    read_cell(&b, "b", SS_MEASURED);
    cr_expect_eq(ss_result_processes(&a), 3);
    cr_expect_eq(ss_result_processes(&b), 3);
    cr_assert_geq(a.reps, 6);
    for (size_t i = 0; i < 6; i++) { /* reps_min 2: the first two of each process are there on both sides */
        const int64_t process = (int64_t)i / 2;
        size_t in_a = 0, in_b = 0;
        while (a.pass[in_a].process < process)
            in_a++;
        while (b.pass[in_b].process < process)
            in_b++;
        cr_expect_gt(a.pass[in_a + i % 2].turn, 0);
        cr_expect_eq(a.pass[in_a + i % 2].turn, b.pass[in_b + i % 2].turn, "repetition %zu", i);
    }
    cr_expect_lt(a.pass[1].turn, a.pass[a.reps - 1].turn);
    ss_result_free(&a);
    ss_result_free(&b);
}

Test(beside, processes_that_cannot_be_paired_are_refused, .init = make_dir)
{
    cr_assert_eq(run(RUN "--repeats 2"), 0, "%s", out);
    cr_expect_eq(run(RUN "--repeats 3 --beside %s/b"), 1);
    cr_expect_not_null(strstr(out, "2 processes are to stay"), "%s", out);
    cr_expect_not_null(strstr(out, "begin with two new folders"), "%s", out);
    cr_expect_eq(run(RUN "--rerun all --beside %s/a"), 1);
    cr_expect_not_null(strstr(out, "is the results folder itself"), "%s", out);
    cr_expect_eq(run(RUN "--rerun all --beside %s/b --program /nowhere"), 1);
    cr_expect_not_null(strstr(out, "--program /nowhere is no program"), "%s", out);
    cr_expect_eq(run(RUN "--program /bin/true"), 1);
    cr_expect_not_null(strstr(out, "needs --beside"), "%s", out);
}

/* The first is not kept waiting by a second that ends at once; it keeps what it had and says why there is no pair. */
Test(beside, one_without_the_other_is_not_saved, .init = make_dir)
{
    struct ss_result a, b;
    cr_expect_eq(run(RUN "--beside %s/b --program /bin/true"), 2, "%s", out);
    cr_expect_not_null(strstr(out, "beside, in "), "%s", out);
    cr_expect_not_null(strstr(out, "child process ended with status 0 and no result"), "%s", out);
    read_cell(&a, "a", SS_FAILED);
    cr_expect_not_null(strstr(a.reason, "child process ended with status 0 and no result"), "%s", a.reason);
    ss_result_free(&a);
    cr_assert_eq(run(RUN "--beside %s/b --rerun failed"), 0, "%s", out);

    cr_expect_eq(run(RUN "--repeats 2 --beside %s/b --program /bin/true"), 2, "%s", out);
    read_cell(&a, "a", SS_MEASURED);
    cr_expect_eq(ss_result_processes(&a), 1);
    ss_result_free(&a);
    cr_assert_eq(run(RUN "--repeats 2 --beside %s/b"), 0, "%s", out);
    read_cell(&a, "a", SS_MEASURED);
    read_cell(&b, "b", SS_MEASURED);
    cr_expect_eq(ss_result_processes(&a), 2);
    cr_expect_eq(ss_result_processes(&b), 2);
    ss_result_free(&a);
    ss_result_free(&b);
}

/* The second hears that the first has ended, but has a reason of its own. */
Test(beside, what_cannot_be_measured_is_skipped_on_both_sides, .init = make_dir)
{
    cr_assert_eq(run("run two-gpu --profile smoke -q -E 'model==tiny-lm && placement==split' --results %s/a --beside %s/b"), 0,
                 "%s", out);
    for (int side = 0; side < 2; side++) {
        struct ss_result r;
        read_cell(&r, side == 0 ? "a" : "b", SS_SKIPPED);
        cr_expect_not_null(strstr(r.reason, "needs 2 GPUs"), "%s", r.reason);
        ss_result_free(&r);
    }
}

/* Six processes; repetition i of both at a machine that is slower each time: b takes factor times as long as a. */
static void make(struct ss_result *r, size_t reps, size_t skipped, double factor, bool turns)
{
    *r = (struct ss_result){.status = SS_MEASURED, .reps = 6 * reps};
    r->pass = calloc(r->reps, sizeof *r->pass);
    cr_assert_not_null(r->pass);
    for (size_t k = 0; k < r->reps; k++) {
        const size_t i = k % reps + skipped;
        r->pass[k] = (struct ss_pass){.online_ns = (uint64_t)(factor * 1e6 * (double)(1 + i * i)),
                                      .process = (int64_t)(k / reps),
                                      .turn = turns ? (int64_t)(1000 * (k / reps) + i + 1) : 0};
    }
}

Test(beside, the_ratio_is_that_of_repetitions_in_turns)
{
    for (int turns = 0; turns < 2; turns++) {
        struct ss_result a, b;
        struct ss_ratio ratio;
        make(&a, 20, 0, 1, turns);
        make(&b, 9, 4, 1.05, turns); /* began later, ended sooner: its median is of other moments */
        cr_assert_eq(ss_samples_ratio(&ratio, &a, &b, offsetof(struct ss_pass, online_ns)), SS_OK);
        cr_expect(ratio.by_process);
        if (turns)
            cr_expect_float_eq(ratio.ratio.value, 1.05, 1e-9);
        else
            cr_expect_lt(ratio.ratio.value, 0.9);
        ss_result_free(&a);
        ss_result_free(&b);
    }
}
