/* test_claims.c — the evaluator, numbers as the document prints them, and verdicts over cells made by hand. */
#include "harness/claims.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/model.h"
#include "tests/judged.h"
#include "tests/scratch.h"

/* ---- expressions */

/* x is 3; t is 10 within [8, 12]; few is 5 without an interval; none has no value here. */
static enum ss_err names(void *user, const struct ss_name_tags *name, struct ss_range *out)
{
    (void)user;
    if (strcmp(name->name, "none") == 0)
        return SS_SKIP;
    if (strcmp(name->name, "x") == 0)
        *out = ss_range_exact(name->n_tags ? 7 : 3);
    else if (strcmp(name->name, "t") == 0)
        *out = (struct ss_range){.v = 10, .lo = 8, .hi = 12, .known = true};
    else if (strcmp(name->name, "few") == 0)
        *out = (struct ss_range){.v = 5, .lo = 5, .hi = 5};
    else
        SS_FAIL(SS_USAGE, "unknown name '%s'", name->name);
    return SS_OK;
}

static struct ss_range eval(const char *text)
{
    struct ss_range r;
    cr_assert_eq(ss_expr_eval(&r, text, names, NULL), SS_OK, "%s", text);
    return r;
}

Test(expr, precedence_and_functions)
{
    cr_assert_float_eq(eval("1 + 2 * 3 - 4 / 2").v, 5, 1e-12);
    cr_assert_float_eq(eval("(1 + 2) * -3").v, -9, 1e-12);
    cr_assert_float_eq(eval("10 - 4 - 3").v, 3, 1e-12);
    cr_assert_float_eq(eval("16 / 4 / 2").v, 2, 1e-12);
    cr_assert_float_eq(eval("2.5e3*x").v, 7500, 1e-9);
    cr_assert_float_eq(eval("min(4, x, 9) + max(1, 2) + abs(-5)").v, 10, 1e-12);
    cr_assert_float_eq(eval("x@v3-ot@7B - x").v, 4, 1e-12);
    cr_assert(eval("x + 1 <= 4").truth && eval("x + 1 <= 4").v == 1);
    cr_assert_eq(eval("x == 4").v, 0);
}

Test(expr, intervals_follow_the_arithmetic)
{
    struct ss_range r = eval("2 * t - 1");
    cr_assert(r.known && r.v == 19 && r.lo == 15 && r.hi == 23);
    r = eval("100 / t");
    cr_assert(fabs(r.lo - 100.0 / 12) < 1e-9 && fabs(r.hi - 12.5) < 1e-9);
    r = eval("-t");
    cr_assert(r.v == -10 && r.lo == -12 && r.hi == -8);
    r = eval("t < 13");
    cr_assert(r.v == 1 && r.lo == 1 && r.hi == 1);
    r = eval("t < 11");
    cr_assert(r.v == 1 && r.lo == 0 && r.hi == 1, "undecided");
    cr_assert_not(eval("few + 1").known);
    cr_assert_not(eval("1 / (x - 3)").known);
}

Test(expr, errors_say_where)
{
    static const char *const bad[] = {"",   "1 +",   "(1",     "1 2",       "2 ** 3", "y",        "min 3",
                                      "x@", "1 = 1", "min(1,", "x@a@b@c@d", ".",      "1 < 2 < 3"};
    struct ss_range r;
    ss_set_error_silent(1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(ss_expr_eval(&r, bad[i], names, NULL), SS_USAGE, "%s", bad[i]);
    cr_assert_eq(ss_expr_eval(&r, "1 + ?", names, NULL), SS_USAGE);
    cr_assert_not_null(strstr(ss_last_error(), "at character 5"));
    char deep[400];
    memset(deep, '(', sizeof deep);
    deep[sizeof deep - 1] = '\0';
    cr_assert_eq(ss_expr_eval(&r, deep, names, NULL), SS_USAGE);
    ss_clear_error();
    cr_assert_eq(ss_expr_eval(&r, "1 + none", names, NULL), SS_SKIP);
    cr_assert_str_eq(ss_last_error(), "");
}

/* ---- printed numbers */

static enum ss_match matches(const char *text, double value)
{
    struct ss_claimed n;
    ss_claimed_parse(&n, text);
    cr_assert(n.numeric, "%s", text);
    return ss_claimed_match(&n, value);
}

Test(claims, printed_numbers)
{
    cr_assert_eq(matches("1,536", 1536), SS_SAME);
    cr_assert_eq(matches("1,536", 1537), SS_DIFFERS);
    cr_assert_eq(matches("2.33", 2.3349), SS_SAME);
    cr_assert_eq(matches("2.33", 2.336), SS_CUT_OFF);
    cr_assert_eq(matches("802", 802.816), SS_CUT_OFF);
    cr_assert_eq(matches("7", 7.6), SS_DIFFERS);
    cr_assert_eq(matches("~14", 15.23), SS_SAME);
    cr_assert_eq(matches("~28", 25.1), SS_DIFFERS);
    cr_assert_eq(matches("~0.5-2", 1.9), SS_SAME);
    cr_assert_eq(matches("~0.5-2", 4), SS_DIFFERS);
    cr_assert_eq(matches("6+", 8.6), SS_SAME);
    cr_assert_eq(matches("6+", 5), SS_DIFFERS);
    cr_assert_eq(matches("+3.45", 3.449), SS_SAME);
    cr_assert_eq(matches("+0", 0), SS_SAME);
    struct ss_claimed n;
    static const char *const words[] = {"V3-OT", "", "-", "H100 80GB", "linear in hidden_dim", "48 KB vs 10+ MB", "1.5B"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ss_claimed_parse(&n, words[i]);
        cr_assert_not(n.numeric, "%s", words[i]);
    }
}

/* ---- verdicts */

static void expect(const char *id, enum ss_verdict verdict, const char *says)
{
    struct ss_judged j = judge(id, NULL, 0);
    cr_assert_eq(j.verdict, verdict, "%s: %s, %s", id, ss_verdict_names[j.verdict], j.reason);
    cr_assert_not_null(strstr(j.reason, says), "%s: '%s' lacks '%s'", id, j.reason, says);
}

Test(claims, all_349_have_a_verdict_and_a_reason, .init = open_claims, .fini = close_claims)
{
    struct ss_judged *j;
    size_t count[SS_N_VERDICTS], sum = 0;
    cr_assert_eq(ss_claims_judge_all(&j, count, &claims, NULL, 0), SS_OK);
    cr_assert_eq(claims.claims.rows, 349);
    for (size_t i = 0; i < claims.claims.rows; i++) {
        cr_assert_str_neq(j[i].reason, "", "%s", ss_csv_get(&claims.claims, i, SS_CF_ID));
        cr_assert_null(strchr(j[i].reason, '\n'));
    }
    for (int v = 0; v < SS_N_VERDICTS; v++)
        sum += count[v];
    cr_assert_eq(sum, 349);
    cr_assert_gt(count[SS_CONFIRMED], 0);
    free(j);
}

Test(claims, known_verdicts_of_formulas, .init = open_claims, .fini = close_claims)
{
    expect("s1.1-layers-14B", SS_REFUTED, "48 layers");
    expect("s1.1-inter-72B", SS_REFUTED, "29,568");
    expect("s1.1-vocab-7B", SS_REFUTED, "152,064");
    expect("s1.1-vocab-1.5B", SS_CONFIRMED, "151,936");
    expect("s1.1-bf16-14B", SS_FORMULA_ERROR, "2 * 14e9");
    expect("s2.1-client-1.5B", SS_CONFIRMED, "10^3 B");
    expect("s2.1-client-7B", SS_CONFIRMED, "cut off");
    expect("s2.4-triples-layer-1.5B", SS_FORMULA_ERROR, "11,050");
    expect("s2.4-total-7B", SS_FORMULA_ERROR, "507,192");
    expect("s2.4-trimem-14B", SS_FORMULA_ERROR, "5 * 5882 * 28 * 12");
    expect("s2.5-ot-per-layer-1.5B", SS_CONFIRMED, "arithmetic only");
    expect("s2.5-ot-per-layer-7B", SS_FORMULA_ERROR, "seq_len 26");
    expect("s2.5-ot-total-14B", SS_FORMULA_ERROR, "28 layers instead of 40");
    expect("s2.5-tab-total", SS_CONFIRMED, "2^10 B");
    expect("s3.1-mpc-72B", SS_FORMULA_ERROR, "56.53 MB");
    expect("s3.3-mpc-30B", SS_PROJECTION_ONLY, "no model of this size");
    expect("s5.2-84", SS_CONFIRMED, "the model is not");
    expect("s6.1-kv-1.5B", SS_FORMULA_ERROR, "0.1174 GB");
    expect("s6.2-gpu-V2", SS_NOT_TESTABLE, "H200");
    expect("s4.2-1.5B-V2", SS_NOT_MEASURED, "on cuda at 56 tokens");
    expect("s7.2-it", SS_REFUTED, "computationally secure");
    expect("s9.2-640", SS_FORMULA_ERROR, "30 * 1024 / 48");
}

/* A measured cell of a document model; every count is that of a real pass. */
static struct ss_result cell(const char *model, const char *variant, const char *backend, size_t tokens)
{
    struct ss_result r = {.status = SS_MEASURED, .cell = {.tokens = tokens, .phase = "prefill"}};
    struct ss_model m;
    int64_t option[SS_MAX_OPTIONS] = {0};
    const struct ss_variant *v = ss_variant_find(variant);
    cr_assert_not_null(v);
    cr_assert_eq(ss_model_find(&m, model), SS_OK);
    cr_assert_eq(ss_options_parse(v, "", option), SS_OK);
    snprintf(r.cell.model, sizeof r.cell.model, "%s", model);
    snprintf(r.cell.variant, sizeof r.cell.variant, "%s", variant);
    snprintf(r.cell.backend, sizeof r.cell.backend, "%s", backend);
    ss_options_print(v, option, r.cell.options, sizeof r.cell.options);
    r.shape = m.shape;
    const struct ss_job job = {.shape = &r.shape, .tokens = tokens, .option = option};
    v->cost(&job, &r.counters);
    r.has_error = true;
    r.error.rel_l2 = 2e-4;
    return r;
}

Test(claims, counts_at_8_tokens_are_brought_to_56_by_their_law, .init = open_claims, .fini = close_claims)
{
    struct ss_result c = cell("doc-1.5b", "v2", "cpu", 8);
    struct ss_judged j = judge("s2.5-ot-per-layer-1.5B", &c, 1);
    cr_assert_eq(j.verdict, SS_REFUTED);
    cr_assert_str_eq(j.measured, "521,696 OT");
    cr_assert_str_eq(j.origin, "doc-1.5b v2; 8 tokens, cpu");
    cr_assert_str_eq(judge("s2.5-ot-total-1.5B", &c, 1).measured, "14,607,489 OT");
    cr_assert_str_eq(judge("s2.5-softmax-lookups", &c, 1).measured, "19,824 OT");
    cr_assert_eq(judge("s5.2-ops", &c, 1).verdict, SS_REFUTED);
    cr_assert_eq(judge("s2.1-net-1.5B", &c, 1).verdict, SS_REFUTED);
    cr_assert_eq(judge("s2.1-plainrec", &c, 1).verdict, SS_CONFIRMED);
    cr_assert_eq(judge("s5.1-V2V3-1.5B", &c, 1).verdict, SS_CONFIRMED);
    c.error.rel_l2 = 0.02;
    cr_assert_eq(judge("s5.1-V2V3-1.5B", &c, 1).verdict, SS_REFUTED);
}

Test(claims, a_lower_bound_refutes_but_never_confirms, .init = open_claims, .fini = close_claims)
{
    struct ss_result c = cell("doc-1.5b", "v2", "cpu", 8);
    c.peak[SS_TAG_shares] = 2 * 500000;
    cr_assert_eq(judge("s2.1-client-1.5B", &c, 1).verdict, SS_REFUTED);
    c.peak[SS_TAG_shares] = 2 * 344064;
    struct ss_judged j = judge("s2.1-client-1.5B", &c, 1);
    cr_assert_eq(j.verdict, SS_CONFIRMED);
    cr_assert_not_null(strstr(j.reason, "arithmetic only"));
    cr_assert_str_eq(j.measured, "");
}

Test(claims, failed_cells_other_backends_and_other_tokens_do_not_count, .init = open_claims, .fini = close_claims)
{
    struct ss_pass pass[7] = {0};
    for (size_t i = 0; i < 7; i++)
        pass[i].online_ns = 1400000000 + i * 2000000;
    struct ss_result c = cell("doc-1.5b", "v2", "cuda", 56);
    c.pass = pass;
    c.reps = 7;
    struct ss_judged j = judge("s4.2-1.5B-V2", &c, 1);
    cr_assert_eq(j.verdict, SS_WITHIN_NOISE, "%s", j.reason); /* 1,406 [1,400, 1,412] against 1407 */
    cr_assert_str_eq(j.measured, "1,406 ms [1,400, 1,412]");
    c.reps = 5;
    j = judge("s4.2-1.5B-V2", &c, 1);
    cr_assert_eq(j.verdict, SS_NOT_MEASURED);
    cr_assert_not_null(strstr(j.measured, "n too small"));
    c.reps = 7;
    for (size_t i = 0; i < 7; i++)
        pass[i].online_ns = 300000000 + i;
    cr_assert_eq(judge("s4.2-1.5B-V2", &c, 1).verdict, SS_REFUTED);
    c.cell.tokens = 8;
    cr_assert_eq(judge("s4.2-1.5B-V2", &c, 1).verdict, SS_NOT_MEASURED);
    c.cell.tokens = 56;
    c.status = SS_FAILED;
    cr_assert_eq(judge("s4.2-1.5B-V2", &c, 1).verdict, SS_NOT_MEASURED);
    c.status = SS_MEASURED;
    c.cell.split = true;
    cr_assert_eq(judge("s4.2-1.5B-V2", &c, 1).verdict, SS_NOT_MEASURED, "the document has one device");
    c.cell.split = false;
    snprintf(c.cell.backend, sizeof c.cell.backend, "cpu");
    cr_assert_eq(judge("s4.2-1.5B-V2", &c, 1).verdict, SS_NOT_MEASURED);
}

Test(claims, ratios_take_two_cells_of_one_run, .init = open_claims, .fini = close_claims)
{
    struct ss_result c[] = {cell("doc-1.5b", "v2", "cpu", 8), cell("doc-7b", "v2", "cpu", 8), cell("doc-14b", "v2", "cpu", 8),
                            cell("doc-1.5b", "v3", "cpu", 8)};
    struct ss_judged j = judge("s2.1-net-ratio", c, 4);
    cr_assert_eq(j.verdict, SS_REFUTED);
    cr_assert_str_eq(j.origin, "doc-7b v2, doc-1.5b v2; 8 tokens, cpu");
    cr_assert_eq(judge("s0-ot-linear-hidden", c, 4).verdict, SS_REFUTED); /* 14B evaluates less per layer than 7B */
    cr_assert_eq(judge("s2.2-same-linear", c, 4).verdict, SS_CONFIRMED);
    cr_assert_eq(judge("s2.1-net-ratio", c, 1).verdict, SS_CONFIRMED); /* no 7B: arithmetic only */
}

Test(claims, exponents_come_from_five_widths, .init = open_claims, .fini = close_claims)
{
    struct ss_result c[6] = {cell("doc-1.5b", "v2", "cpu", 8)};
    for (size_t i = 0; i < 5; i++) {
        char model[16];
        snprintf(model, sizeof model, "width-%d", 512 << i);
        c[i + 1] = cell(model, "v2", "cpu", 8);
    }
    struct ss_judged j = judge("s4.1-v2", c, 6);
    cr_assert_eq(j.verdict, SS_CONFIRMED, "%s", j.reason);
    cr_assert_not_null(strstr(j.measured, "holds"), "%s", j.measured);
    cr_assert_not_null(strstr(j.origin, "width-512 v2, width-1024 v2"), "%s", j.origin);
    cr_assert_eq(judge("s4.1-v2", c, 5).verdict, SS_NOT_MEASURED, "four widths are too few");
    for (size_t i = 1; i < 6; i++)
        c[i].counters.bytes_online_p0_p1 *= 1 << (i / 2); /* grows by about a half power more */
    cr_assert_eq(judge("s4.1-v2", c, 6).verdict, SS_REFUTED);
    c[3].cell.tokens = 16;
    cr_assert_eq(judge("s4.1-v2", c, 6).verdict, SS_NOT_MEASURED, "another question");
}

/* ---- defects of the data files */

static enum ss_err read_with(const char *rules)
{
    static const char data[] = "id,section,quantity,model,variant,claimed,unit,kind,formula\nc1,1.1,q,1.5B,-,5,-,config,\n"
                               "c2,1.1,q,1.5B,-,6,-,config,\n";
    char a[SCRATCH_PATH], b[SCRATCH_PATH];
    struct ss_claims c;
    scratch_file(a, "claims.csv");
    scratch_file(b, "rules.csv");
    FILE *f = fopen(a, "w"), *g = fopen(b, "w");
    cr_assert(f && g);
    fputs(data, f);
    fprintf(g, "claim,formula,explains,measured,cells,law,verdict,note\n%s", rules);
    fclose(f);
    fclose(g);
    ss_set_error_silent(1);
    enum ss_err err = ss_claims_read(&c, a, b);
    struct ss_judged *j = NULL;
    size_t count[SS_N_VERDICTS];
    if (err == SS_OK) {
        err = ss_claims_judge_all(&j, count, &c, NULL, 0);
        ss_claims_free(&c);
    }
    free(j);
    return err;
}

Test(claims, defects_of_the_rules_are_errors)
{
    cr_assert_eq(read_with("c*,5,,,,,,\n"), SS_OK);
    cr_assert_eq(read_with("c1,5,,,,,,\n"), SS_USAGE, "a claim without a rule");
    cr_assert_eq(read_with("c*,5,,,,,,\nd*,5,,,,,,\n"), SS_USAGE, "a rule without a claim");
    cr_assert_eq(read_with("c*,5,,,,,MAYBE,\n"), SS_USAGE, "an unknown verdict");
    cr_assert_eq(read_with("c*,5 +,,,,,,\n"), SS_USAGE, "a broken formula");
    cr_assert_eq(read_with("c*,hidden_dims,,,,,,\n"), SS_USAGE, "an unknown name");
    cr_assert_eq(read_with("c*,d_ff@8B,,,,,,\n"), SS_USAGE, "an unknown model");
    cr_assert_eq(read_with("$a,a,,,,,,\nc*,a,,,,,,\n"), SS_USAGE, "a definition by itself");
    cr_assert_eq(read_with("c1,5,7,,,,,\nc*,5,,,,,,\n"), SS_USAGE, "an explanation that does not explain");
}
