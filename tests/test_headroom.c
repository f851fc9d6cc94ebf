/* test_headroom.c — scale + log2|y| < 62 for everything that is truncated, on the golden checkpoints, by joining both parties'
   shares (headroom.h). Beyond 2^62 a truncation is wrong by 2^(63-m), not by a bit. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/safetensors.h"
#include "harness/session.h"
#include "tests/headroom.h"
#include "tests/roles.h"
#include "variants/lib/beaver.h"

enum { MAX_TOKENS = 64 };

/* The beginning of the first golden sequence of a checkpoint under a variant. */
static void run_golden(const char *model, const struct ss_variant *v, struct headroom *h)
{
    struct ss_model m;
    struct ss_safetensors *golden;
    struct ss_session *s;
    char path[1200];
    int32_t ids[MAX_TOKENS];
    snprintf(path, sizeof path, "%s/tests/data/%s", ss_home(), model);
    cr_assert_eq(ss_model_from_dir(&m, path), SS_OK);
    snprintf(path, sizeof path, "%s/golden.safetensors", m.path);
    cr_assert_eq(ss_safetensors_open_file(&golden, path), SS_OK);
    const struct ss_tensor *t = ss_safetensors_find(golden, "input_ids");
    cr_assert_not_null(t);
    const size_t n = t->shape[1] < MAX_TOKENS ? t->shape[1] : MAX_TOKENS;
    for (size_t i = 0; i < n; i++) {
        int64_t id;
        memcpy(&id, (const char *)t->data + i * sizeof id, sizeof id);
        ids[i] = (int32_t)id;
    }
    ss_safetensors_close(golden);
    struct ss_session_config g = {.model = &m,
                                  .variant = v,
                                  .backend = "cpu",
                                  .placement = "one",
                                  .max_tokens = n,
                                  .all_logits = true,
                                  .threads = 2,
                                  .weight_budget_bytes = SIZE_MAX};
    cr_assert_eq(ss_options_parse(v, "", g.option), SS_OK);
    headroom_begin(h);
    cr_assert_eq(ss_session_open(&s, &g), SS_OK, "%s", ss_last_error());
    cr_assert_eq(ss_session_pass(s, ids, n, NULL, NULL), SS_OK, "%s", ss_last_error());
    ss_session_close(s);
    headroom_end();
}

Test(headroom, of_every_truncation_on_the_golden_models)
{
    static const char *const models[] = {"qwen2-tiny-a", "tiny-lm"};
    size_t ran = 0;
    for (size_t v = 0; ss_variants[v]; v++)
        for (size_t i = 0; ss_variants[v]->dealer && i < 2; i++, ran++) {
            struct headroom h;
            run_golden(models[i], ss_variants[v], &h);
            cr_assert_gt(h.values, 0);
            cr_assert_eq(h.sums > 0, ss_variants[v]->exposes == SS_EXPOSES_SHAPES, "%s: hidden norms sum squares",
                         ss_variants[v]->name);
            cr_log_info("%s, %s: %zu values, largest 2^%.1f; %zu sums of squares, largest 2^%.1f", ss_variants[v]->name,
                        models[i], h.values, h.bits, h.sums, h.sum_bits);
            cr_expect(h.bad_values == 0 && h.bad_sums == 0, "%s, %s: %zu of %zu values reach 2^62 (2^%.1f), %zu sums wrap",
                      ss_variants[v]->name, models[i], h.bad_values, h.values, h.bits, h.bad_sums);
        }
    cr_assert_gt(ran, 0);
}

static enum ss_err truncate_one(struct ss_ctx *c, void *arg)
{
    const uint64_t value = *(const uint64_t *)arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf scratch = {0};
    uint64_t x = c->role == SS_P0 ? 12345 : value - 12345, out, mine[2];
    c->phase = SS_OFFLINE;
    if (c->role == SS_DEALER) {
        SS_TRY(ss_buf_alloc(c, &scratch, 6 * sizeof x, SS_TAG_triples));
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_trunc_deal(c, &seeds, &scratch, 1, 1, 8, NULL));
    } else {
        const struct ss_val v = {.buf = {.p = &x}, .rows = 1, .cols = 1, .bits = 24};
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_trunc_receive(c, &seeds, &corr, SS_CORR_down, 1));
        c->phase = SS_ONLINE;
        SS_TRY(ss_trunc(c, &corr, SS_CORR_down, &out, &v, false, mine, mine + 1));
    }
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    ss_buf_free(c, &scratch);
    return SS_OK;
}

/* The sum of four equal squares, one row. */
static enum ss_err square_four(struct ss_ctx *c, void *arg)
{
    const uint64_t value = *(const uint64_t *)arg;
    const struct ss_ragged row = {.rows = 1, .cols = 4};
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf scratch = {0}, opened = {0};
    uint64_t x[4], sum;
    for (size_t i = 0; i < 4; i++)
        x[i] = c->role == SS_P0 ? 12345 : value - 12345;
    c->phase = SS_OFFLINE;
    if (c->role == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_beaver_deal(c, &seeds, &scratch, SS_BEAVER_NORM, &row));
    } else {
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_beaver_receive(c, &seeds, &corr, SS_CORR_attn_norm, SS_BEAVER_NORM, &row));
        c->phase = SS_ONLINE;
        const uint64_t *batch = ss_corr_take(c, &corr, SS_CORR_attn_norm, ss_beaver_words(SS_BEAVER_NORM, &row));
        SS_TRY(ss_beaver_squares(c, batch, &opened, &sum, x, &row));
    }
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    ss_buf_free(c, &scratch);
    ss_buf_free(c, &opened);
    return SS_OK;
}

Test(headroom, a_value_without_it_is_noticed)
{
    static const struct {
        role_fn fn;
        uint64_t value;
        bool bad;
    } cases[] = {{truncate_one, ((uint64_t)1 << 62) - 1025, false},
                 {truncate_one, (uint64_t)1 << 62, true},
                 {truncate_one, -((uint64_t)1 << 62), true},
                 {square_four, (uint64_t)1 << 30, false},
                 {square_four, -((uint64_t)1 << 31), true}}; /* 4 2^62 wraps */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool squares = cases[i].fn == square_four;
        struct roles r;
        struct headroom h;
        headroom_begin(&h);
        roles_open(&r, NULL, NULL);
        roles_run(&r, cases[i].fn, (void *)&cases[i].value);
        roles_close(&r);
        headroom_end();
        cr_expect(h.values == !squares && h.sums == squares);
        cr_expect_eq(h.bad_values, !squares && cases[i].bad, "2^%.2f", h.bits);
        cr_expect_eq(h.bad_sums, squares && cases[i].bad, "2^%.2f", h.sum_bits);
    }
}
