/* test_decode.c — passes on top of cached positions: the logits of a prefill, whatever the variant, backend and cut. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"
#include "harness/session.h"
#include "tests/pairs.h"

static void config_of(struct ss_session_config *g, struct ss_model *m, const char *variant, const char *options,
                      const char *backend, size_t positions)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/tests/data/qwen2-tiny-a", ss_home());
    cr_assert_eq(ss_model_from_dir(m, path), SS_OK);
    *g = (struct ss_session_config){.model = m,
                                    .variant = ss_variant_find(variant),
                                    .backend = backend,
                                    .placement = "one",
                                    .max_tokens = positions,
                                    .seed = 7,
                                    .threads = 2,
                                    .weight_budget_bytes = SIZE_MAX};
    cr_assert(g->variant);
    cr_assert_eq(ss_options_parse(g->variant, options, g->option), SS_OK, "%s", ss_last_error());
}

/* Logits of the last of n positions: `past` of them in one pass (0: none), the rest in another, twice, on top of these. */
static float *last_row(const struct ss_session_config *g, const int32_t *ids, size_t past, size_t n)
{
    struct ss_session *s;
    float *logits = malloc(g->model->shape.vocab * sizeof *logits);
    cr_assert(logits);
    cr_assert_eq(ss_session_open(&s, g), SS_OK, "%s", ss_last_error());
    if (past > 0)
        cr_assert_eq(ss_session_pass(s, ids, past, NULL, NULL), SS_OK, "%s", ss_last_error());
    for (int i = 0; i < 2; i++) /* SS_OK: counters equal cost() with this past */
        cr_assert_eq(ss_session_pass_after(s, past, ids + past, n - past, logits, NULL), SS_OK, "%s", ss_last_error());
    ss_session_close(s);
    return logits;
}

static double distance(float *x, const float *ref, size_t vocab)
{
    struct ss_distance d;
    ss_distance(&d, x, ref, 1, vocab);
    free(x);
    return d.rel_l2;
}

/* How far logits after a cached prefix may be from plain fp32 without one. */
static double tolerance(const char *variant)
{
    return strcmp(variant, "plain") == 0 ? 1e-5 : strcmp(variant, "v2") == 0 || strcmp(variant, "v3") == 0 ? 1e-3 : 1e-2;
}

ParameterizedTestParameters(decode, equals_a_prefill_of_all_positions)
{
    return every_pair();
}

ParameterizedTest(struct pair *p, decode, equals_a_prefill_of_all_positions, .timeout = 120)
{
    enum { N = 10 };
    static const size_t past[] = {N - 1, 1, 6};
    struct ss_model m;
    struct ss_session_config g, plain;
    int32_t ids[N];
    config_of(&plain, &m, "plain", "compute=fp32", "cpu", N);
    config_of(&g, &m, p->variant, strcmp(p->variant, "plain") == 0 ? "compute=fp32" : "", p->backend, N);
    ss_synth_ids(ids, N, m.shape.vocab, 3);
    float *want = last_row(&plain, ids, 0, N);
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        const double d = distance(last_row(&g, ids, past[i], N), want, m.shape.vocab);
        cr_expect_lt(d, tolerance(p->variant), "%s on %s: %zu tokens after %zu: %g from plain", p->variant, p->backend,
                     N - past[i], past[i], d);
    }
    free(want);
}

/* Without a dealer, as near to plain as a prefill with the same options (one column of tables is coarse: 2 to 5 %). */
Test(decode, without_a_dealer)
{
    enum { N = 5 };
    static const char *const options[] = {"source=ot", "source=textbook,columns=1"};
    struct ss_model m;
    struct ss_session_config g, plain;
    int32_t ids[N];
    config_of(&plain, &m, "plain", "compute=fp32", "cpu", N);
    ss_synth_ids(ids, N, m.shape.vocab, 3);
    float *want = last_row(&plain, ids, 0, N);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        config_of(&g, &m, "v3-ot", options[i], "cpu", N);
        const double prefill = distance(last_row(&g, ids, 0, N), want, m.shape.vocab);
        const double decoded = distance(last_row(&g, ids, N - 1, N), want, m.shape.vocab);
        cr_expect_lt(decoded, 2 * prefill, "%s: %g from plain, a prefill %g", options[i], decoded, prefill);
        cr_log_info("%s: %g from plain, a prefill %g", options[i], decoded, prefill);
    }
    free(want);
}

Test(decode, more_cached_positions_than_there_are_is_refused)
{
    struct ss_model m;
    struct ss_session *s;
    struct ss_session_config g;
    int32_t ids[6];
    config_of(&g, &m, "v3", "", "cpu", 6);
    ss_synth_ids(ids, 6, m.shape.vocab, 5);
    cr_assert_eq(ss_session_open(&s, &g), SS_OK);
    cr_assert_eq(ss_session_pass(s, ids, 3, NULL, NULL), SS_OK);
    ss_set_error_silent(1);
    cr_expect_eq(ss_session_pass_after(s, 4, ids, 1, NULL, NULL), SS_USAGE);
    cr_expect(strstr(ss_last_error(), "after 4 cached positions, of which there are 3"), "%s", ss_last_error());
    ss_set_error_silent(0);
    cr_expect_eq(ss_session_pass_after(s, 3, ids, 1, NULL, NULL), SS_OK);
    cr_expect_eq(ss_session_pass_after(s, 4, ids, 2, NULL, NULL), SS_OK, "the pass before has left four");
    ss_session_close(s);
}
