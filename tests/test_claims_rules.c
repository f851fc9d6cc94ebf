/* test_claims_rules.c — rules that once judged by the wrong cell or the wrong memory, over cells made by hand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/model.h"
#include "tests/judged.h"

enum { REPS = 6 };

/* Counters by cost(), every repetition ms long. */
static struct ss_result cell(const char *model, const char *variant, const char *options, double ms)
{
    struct ss_result r = {.status = SS_MEASURED, .cell = {.tokens = 56, .phase = "prefill", .backend = "cuda"}, .reps = REPS};
    struct ss_model m;
    int64_t option[SS_MAX_OPTIONS] = {0};
    const struct ss_variant *v = ss_variant_find(variant);
    cr_assert_not_null(v);
    cr_assert_eq(ss_model_find(&m, model), SS_OK);
    cr_assert_eq(ss_options_parse(v, options, option), SS_OK);
    snprintf(r.cell.model, sizeof r.cell.model, "%s", model);
    snprintf(r.cell.variant, sizeof r.cell.variant, "%s", variant);
    ss_options_print(v, option, r.cell.options, sizeof r.cell.options);
    r.shape = m.shape;
    const struct ss_job job = {.shape = &r.shape, .tokens = r.cell.tokens, .option = option};
    v->cost(&job, &r.counters);
    r.pass = calloc(REPS, sizeof *r.pass);
    cr_assert_not_null(r.pass);
    for (size_t i = 0; i < REPS; i++)
        r.pass[i].online_ns = (uint64_t)(ms * 1e6);
    return r;
}

static void free_cells(struct ss_result *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ss_result_free(&r[i]);
}

/* v3-ot is the faster one at 1.5B, the slower one at 72B. */
Test(claims_rules, a_claim_about_72b_and_more_is_judged_by_the_72b, .init = open_claims, .fini = close_claims)
{
    struct ss_result r[] = {cell("doc-1.5b", "v3-ot", "", 10), cell("doc-1.5b", "v3-mpc", "", 20),
                            cell("doc-72b", "v3-ot", "", 300), cell("doc-72b", "v3-mpc", "", 200)};
    struct ss_judged j = judge("s7.1-72B+", r, 4);
    cr_expect_eq(j.verdict, SS_REFUTED, "%s", j.reason);
    cr_expect_str_eq(j.origin, "doc-72b v3-ot, doc-72b v3-mpc; 56 tokens, cuda");
    free_cells(r, 4);
}

Test(claims_rules, one_of_n_ot_is_judged_where_ots_are_run, .init = open_claims, .fini = close_claims)
{
    struct ss_result r[] = {cell("doc-1.5b", "v3-ot", "", 10), cell("doc-1.5b", "v3-ot", "source=ot", 10)};
    cr_expect_eq(r[0].counters.ots, 0);
    cr_expect_eq(judge("s2.5-1ofN", r, 2).verdict, SS_CONFIRMED);
    cr_expect_eq(judge("s2.5-1ofN", r, 1).verdict, SS_NOT_MEASURED, "the dealer runs none: that says nothing");
    free_cells(r, 2);
}

/* A fixed part does not keep growth from being linear; what grows with the square of the width is not. */
Test(claims_rules, memory_may_have_a_fixed_part_and_be_linear, .init = open_claims, .fini = close_claims)
{
    static const char *const models[] = {"doc-1.5b", "width-2048", "width-4096", "width-8192"};
    struct ss_result r[4];
    for (size_t i = 0; i < 4; i++) {
        r[i] = cell(models[i], "v3-cc", "", 10);
        r[i].peak[SS_TAG_workspace] = 1 << 30;
        r[i].peak[SS_TAG_buffers] = 100 * (int64_t)r[i].shape.d_model;
    }
    struct ss_judged j = judge("s9.1-mem-V3-CC", r, 4);
    cr_expect_eq(j.verdict, SS_CONFIRMED, "%s", j.reason);
    for (size_t i = 0; i < 4; i++)
        r[i].peak[SS_TAG_buffers] *= (int64_t)r[i].shape.d_model;
    cr_expect_eq(judge("s9.1-mem-V3-CC", r, 4).verdict, SS_REFUTED);
    free_cells(r, 4);
}

Test(claims_rules, every_cell_that_was_used_is_named, .init = open_claims, .fini = close_claims)
{
    static const char *const variants[] = {"v2", "v3", "v3-cc", "v3-mpc", "v3-ot"};
    struct ss_result r[10];
    for (size_t i = 0; i < 10; i++) {
        r[i] = cell(i < 5 ? "doc-1.5b" : "doc-72b", variants[i % 5], "", 10);
        r[i].peak[SS_TAG_kv] = i < 5 ? 1 : (int64_t)(i % 5) + 2;
    }
    struct ss_judged j = judge("s7.2-scale", r, 10);
    cr_expect_eq(j.verdict, SS_REFUTED);
    for (size_t i = 0; i < 10; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", r[i].cell.model, r[i].cell.variant);
        cr_expect(strstr(j.origin, name), "%s is missing in: %s", name, j.origin);
    }
    free_cells(r, 10);
}
