/* test_bench.c — a cell run in this process: what is measured, what fails and what is skipped. Times are never asserted. */
#include "harness/cell.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "harness/env.h"

static const struct ss_effort effort = {
    .warmup = 1, .reps_min = 6, .reps_max = 8, .target = 0.5, .max_seconds = 60, .weight_budget_bytes = SIZE_MAX};

static struct ss_cell cell_of(const char *variant)
{
    struct ss_cell c = {.model = "tiny-lm", .backend = "cpu", .phase = "prefill", .tokens = 8, .seed = 1};
    int64_t option[SS_MAX_OPTIONS];
    snprintf(c.variant, sizeof c.variant, "%s", variant);
    const struct ss_variant *v = ss_variant_find(variant);
    if (v) {
        cr_assert_eq(ss_options_parse(v, "", option), SS_OK);
        ss_options_print(v, option, c.options, sizeof c.options);
    }
    ss_cell_identify(&c);
    return c;
}

Test(bench, a_reference_keeps_its_logits_and_others_are_compared_with_them)
{
    struct ss_cell c = cell_of("plain");
    struct ss_result reference, again;
    c.reference = true;
    ss_cell_identify(&c);
    cr_assert_eq(ss_bench_cell(&reference, &c, &effort, NULL), SS_OK, "%s", reference.reason);
    cr_expect_eq(reference.status, SS_MEASURED);
    cr_expect_not(reference.has_error);
    cr_assert_not_null(reference.logits);
    c.reference = false;
    ss_cell_identify(&c);
    cr_assert_eq(ss_bench_cell(&again, &c, &effort, &reference), SS_OK, "%s", again.reason);
    cr_expect_null(again.logits);
    cr_expect(again.has_error);
    cr_expect_eq(again.error.max_abs, 0, "the same run gives the same logits");
    cr_expect_eq(again.error.top1, 1);
    ss_result_free(&reference);
    ss_result_free(&again);
}

Test(bench, every_variant_counts_what_its_cost_says)
{
    for (size_t i = 0; ss_variants[i]; i++) {
        struct ss_cell c = cell_of(ss_variants[i]->name);
        struct ss_result r;
        cr_assert_eq(ss_bench_cell(&r, &c, &effort, NULL), SS_OK, "%s: %s", c.variant, r.reason); /* the CPU has them all */
        cr_expect_geq(r.reps, 6);
        cr_expect_leq(r.reps, 8);
        cr_expect(r.has_first);
        cr_expect_eq(ss_counters_differ(&r.counters, &r.expected), -1);
        cr_expect_gt(r.peak[SS_TAG_weights], 0);
        cr_expect_eq(r.wire.layers, r.shape.n_layers + 1);
        int64_t bytes = 0;
        for (size_t k = 0; k < r.wire.layers * SS_N_OPS * SS_N_DIRS; k++)
            bytes += r.wire.bytes[k];
        cr_expect_eq(bytes, ss_counters_bytes_total(&r.counters), "%s: bytes by operation are not those by phase", c.variant);
        cr_expect_eq(r.pass[0].energy_mj, -1);
        ss_result_free(&r);
    }
}

/* Decode: one token on top of the cached ones, its own reference, counters of that one pass. */
Test(bench, decode_is_a_pass_of_one_token)
{
    struct ss_cell c = cell_of("plain"), p = cell_of("v3");
    struct ss_result reference, r, prefill;
    cr_assert_eq(ss_bench_cell(&prefill, &p, &effort, NULL), SS_OK, "%s", prefill.reason);
    snprintf(c.phase, sizeof c.phase, "decode");
    snprintf(p.phase, sizeof p.phase, "decode");
    snprintf(c.options, sizeof c.options, "compute=fp32");
    c.reference = true;
    ss_cell_identify(&c);
    ss_cell_identify(&p);
    cr_expect_str_neq(prefill.cell.id, p.id);
    cr_assert_eq(ss_bench_cell(&reference, &c, &effort, NULL), SS_OK, "%s", reference.reason);
    cr_expect_null(reference.arguments, "those of the functions are counted from an empty cache only");
    cr_assert_eq(ss_bench_cell(&r, &p, &effort, &reference), SS_OK, "%s", r.reason);
    cr_expect(r.has_error && r.error.rel_l2 > 0 && r.error.rel_l2 < 1e-3, "%g", r.error.rel_l2);
    cr_expect_eq(ss_counters_differ(&r.counters, &r.expected), -1);
    cr_expect_eq(prefill.counters.func_silu, 8 * r.counters.func_silu);
    cr_expect_eq(8 * r.counters.func_exp, 2 * prefill.counters.func_exp, "9 scores a head beside 8 x 9 / 2");
    cr_expect_str_eq(ss_pairs_get(&r.config, "past"), "8");
    ss_result_free(&reference);
    ss_result_free(&r);
    ss_result_free(&prefill);
}

Test(bench, everything_resolved_is_noted)
{
    struct ss_cell c = cell_of("plain");
    struct ss_result r;
    cr_assert_eq(ss_bench_cell(&r, &c, &effort, NULL), SS_OK);
    static const char *const config[] = {"model",   "d_model", "vocab",  "variant", "claim",     "reveals", "trust",
                                         "backend", "tokens",  "warmup", "threads", "residency", "seed"};
    static const char *const env[] = {"start_utc", "end_utc", "git_commit", "git_dirty", "compiler", "cpu",
                                      "load",      "kernel",  "argv",       "lib_hdf5",  "gpu",      "cuda_runtime"};
    for (size_t i = 0; i < sizeof config / sizeof *config; i++)
        cr_expect_not_null(ss_pairs_get(&r.config, config[i]), "%s", config[i]);
    for (size_t i = 0; i < sizeof env / sizeof *env; i++)
        cr_expect(ss_pairs_get(&r.env, env[i]) && *ss_pairs_get(&r.env, env[i]), "%s", env[i]);
    cr_expect_str_eq(ss_pairs_get(&r.config, "residency"), "resident");
    ss_result_free(&r);
}

Test(bench, a_cell_that_cannot_run_is_a_result_with_a_reason)
{
    ss_set_error_silent(1);
    struct ss_cell bad[3] = {cell_of("plain"), cell_of("nonsense"), cell_of("plain")};
    strcpy(bad[0].phase, "sideways");
    strcpy(bad[2].model, "no-such-model");
    for (size_t i = 0; i < 3; i++) {
        struct ss_result r;
        cr_expect_eq(ss_bench_cell(&r, &bad[i], &effort, NULL), SS_USAGE);
        cr_expect_eq(r.status, SS_FAILED);
        cr_expect_neq(r.reason[0], '\0');
        cr_expect_eq(r.reps, 0);
        cr_expect_not_null(ss_pairs_get(&r.env, "end_utc"));
        ss_result_free(&r);
    }
}

/* A device for each party where there are two: the counts of one device. Elsewhere the reason, and no measurement. */
Test(bench, a_split_cell_is_never_measured_on_one_device)
{
    struct ss_effort once = effort;
    once.reps_min = once.reps_max = 1;
    ss_set_error_silent(1);
    for (size_t i = 0; ss_backends[i]; i++) {
        const struct ss_backend *b = ss_backends[i];
        struct ss_cell c = cell_of("v3");
        struct ss_result one = {0}, r;
        if (b->unusable())
            continue;
        snprintf(c.backend, sizeof c.backend, "%s", b->name);
        c.split = true;
        ss_cell_identify(&c);
        const enum ss_err err = ss_bench_cell(&r, &c, &once, NULL);
        cr_expect_str_eq(ss_pairs_get(&r.config, "placement"), "split");
        if (b->devices() >= 2) {
            cr_assert_eq(err, SS_OK, "%s", r.reason);
            cr_expect_eq(r.pass[0].energy_mj, -1, "the meter is one device's");
            c.split = false;
            ss_cell_identify(&c);
            cr_assert_eq(ss_bench_cell(&one, &c, &once, NULL), SS_OK, "%s", one.reason);
            cr_expect_str_eq(ss_pairs_get(&one.config, "placement"), "one");
            cr_expect_eq(ss_counters_differ(&r.counters, &one.counters), -1);
        } else {
            cr_expect_eq(err, SS_SKIP);
            cr_expect_eq(r.status, SS_SKIPPED);
            cr_expect_eq(r.reps, 0);
            cr_expect_not_null(strstr(r.reason, strcmp(b->name, "cpu") == 0 ? "needs 2 GPUs, backend cpu has none"
                                                                            : "needs 2 GPUs (there is 1)"),
                               "%s", r.reason);
        }
        ss_result_free(&one);
        ss_result_free(&r);
    }
    struct ss_cell alone = cell_of("plain");
    struct ss_result r;
    alone.split = true;
    ss_cell_identify(&alone);
    cr_expect_eq(ss_bench_cell(&r, &alone, &once, NULL), SS_USAGE);
    cr_expect_not_null(strstr(r.reason, "variant plain has one party"), "%s", r.reason);
    ss_result_free(&r);
}

Test(bench, one_repetition_is_run_even_if_time_is_up)
{
    struct ss_cell c = cell_of("plain");
    struct ss_effort none = {.max_seconds = 0, .weight_budget_bytes = SIZE_MAX};
    struct ss_result r;
    cr_assert_eq(ss_bench_cell(&r, &c, &none, NULL), SS_OK);
    cr_expect_eq(r.reps, 1);
    cr_expect_not(r.has_first);
    ss_result_free(&r);
}
