/* test_beaver.c — products of shares, attention's matrix triples over a growing cache, and functions over many octaves. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "variants/lib/needs.h"
#include "variants/lib/wide.h"

enum { ROWS = 6, COLS = 11, MAX = 512 };

struct run {
    struct ss_ragged r;
    uint64_t x[2][MAX], y[2][MAX], product[2][MAX], squares[2][MAX], scaled[2][MAX];
};

static enum ss_err products(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr[2] = {0};
    struct ss_buf scratch = {0}, opened = {0};
    const bool norm = !run->r.tokens;
    c->phase = SS_OFFLINE;
    if (c->role == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_beaver_deal(c, &seeds, &scratch, SS_BEAVER_SCALE, &run->r));
        SS_TRY(ss_beaver_deal(c, &seeds, &scratch, SS_BEAVER_NORM, &run->r));
    } else {
        const int p = c->role;
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_beaver_receive(c, &seeds, &corr[0], SS_CORR_prob, SS_BEAVER_SCALE, &run->r));
        SS_TRY(ss_beaver_receive(c, &seeds, &corr[1], SS_CORR_attn_norm, SS_BEAVER_NORM, &run->r));
        c->phase = SS_ONLINE;
        SS_TRY(ss_beaver_scale(c, &corr[0], SS_CORR_prob, &scratch, run->product[p], run->x[p], run->y[p], &run->r));
        if (norm) {
            const uint64_t *batch = ss_corr_take(c, &corr[1], SS_CORR_attn_norm, ss_beaver_words(SS_BEAVER_NORM, &run->r));
            SS_TRY(ss_beaver_squares(c, batch, &opened, run->squares[p], run->x[p], &run->r));
            SS_TRY(ss_beaver_scale_opened(c, batch, &opened, &scratch, run->scaled[p], run->y[p], &run->r));
        }
    }
    ss_seeds_close(c, &seeds);
    for (int i = 0; i < 2; i++)
        ss_corr_close(c, &corr[i]);
    ss_buf_free(c, &scratch);
    ss_buf_free(c, &opened);
    c->pass++;
    return SS_OK;
}

Test(beaver, products_and_squares_are_exact)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    const struct ss_ragged shapes[] = {
        {.rows = ROWS, .cols = COLS}, {.rows = 20, .cols = 1}, {.rows = 8, .tokens = 4, .past = 3}};
    roles_open(&r, NULL, NULL);
    for (size_t k = 0; k < 3; k++) {
        run->r = shapes[k];
        fill_random(&r, run->x[0], 4 * MAX);
        roles_run(&r, products, run);
        for (size_t i = 0; i < run->r.rows; i++) {
            uint64_t squares = 0, y = run->y[0][i] + run->y[1][i];
            for (size_t j = ss_ragged_start(&run->r, i); j < ss_ragged_start(&run->r, i + 1); j++) {
                const uint64_t x = run->x[0][j] + run->x[1][j];
                squares += x * x;
                cr_assert_eq(run->product[0][j] + run->product[1][j], x * y);
                if (!run->r.tokens)
                    cr_assert_eq(run->scaled[0][j] + run->scaled[1][j], x * y);
            }
            if (!run->r.tokens)
                cr_assert_eq(run->squares[0][i] + run->squares[1][i], squares);
        }
    }
    free(run);
    roles_close(&r);
}

struct attention {
    struct ss_attend state[SS_N_ROLES];
    uint64_t qkv[2][MAX], scores[2][MAX], weights[2][MAX], out[2][MAX];
};

static enum ss_err attend_once(struct ss_ctx *c, void *arg)
{
    struct attention *t = arg;
    struct ss_attend *a = &t->state[c->role];
    struct ss_seeds seeds = {0};
    struct ss_corr corr[2] = {0};
    struct ss_buf scratch = {0};
    const int p = c->role;
    c->phase = SS_OFFLINE;
    c->layer = 1;
    if (!a->kv.keys.p)
        SS_TRY(ss_attend_open(c, a));
    if (p == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_attend_deal(c, a, &seeds, &scratch));
    } else {
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_attend_receive(c, &seeds, &corr[0], &corr[1]));
        c->phase = SS_ONLINE;
        SS_TRY(ss_attend_scores(c, a, &corr[0], &scratch, t->scores[p], t->qkv[p]));
        SS_TRY(ss_attend_values(c, a, &corr[1], &scratch, t->out[p], t->weights[p]));
    }
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr[0]);
    ss_corr_close(c, &corr[1]);
    ss_buf_free(c, &scratch);
    c->pass++;
    return SS_OK;
}

/* Three rows, then two more on top of them: keys and values of the first pass are opened once. */
Test(beaver, attention_products_are_exact_over_a_growing_cache)
{
    enum { HEADS = 2, D = 4, ROW = (HEADS + 2) * D };
    struct roles r;
    struct attention *t = calloc(1, sizeof *t);
    uint64_t k[8][D], v[8][D];
    roles_open(&r, NULL, NULL);
    for (size_t past = 0, tokens = 3; past < 5; past += tokens, tokens = 2) {
        for (int role = 0; role < SS_N_ROLES; role++) {
            r.ctx[role].tokens = tokens;
            r.ctx[role].past = past;
            r.ctx[role].max_tokens = 8;
        }
        fill_random(&r, t->qkv[0], 2 * MAX);
        fill_random(&r, t->weights[0], 2 * MAX);
        roles_run(&r, attend_once, t);
        for (size_t i = 0; i < tokens; i++)
            for (size_t l = 0; l < D; l++) {
                k[past + i][l] = t->qkv[0][i * ROW + HEADS * D + l] + t->qkv[1][i * ROW + HEADS * D + l];
                v[past + i][l] = t->qkv[0][i * ROW + (HEADS + 1) * D + l] + t->qkv[1][i * ROW + (HEADS + 1) * D + l];
            }
        const struct ss_ragged rows = {.rows = HEADS * tokens, .tokens = tokens, .past = past};
        for (size_t h = 0; h < HEADS; h++)
            for (size_t i = 0; i < tokens; i++) {
                const size_t at = ss_ragged_start(&rows, h * tokens + i);
                uint64_t out[D] = {0};
                for (size_t j = 0; j <= past + i; j++) {
                    uint64_t score = 0;
                    for (size_t l = 0; l < D; l++) {
                        const size_t q = i * ROW + h * D + l;
                        score += (t->qkv[0][q] + t->qkv[1][q]) * k[j][l];
                        out[l] += (t->weights[0][at + j] + t->weights[1][at + j]) * v[j][l];
                    }
                    cr_assert_eq(t->scores[0][at + j] + t->scores[1][at + j], score);
                }
                for (size_t l = 0; l < D; l++)
                    cr_assert_eq(t->out[0][(i * HEADS + h) * D + l] + t->out[1][(i * HEADS + h) * D + l], out[l]);
            }
    }
    for (int role = 0; role < SS_N_ROLES; role++)
        ss_attend_close(&r.ctx[role], &t->state[role]);
    free(t);
    roles_close(&r);
}

enum { WIDE_ROWS = 400, WIDE_FIRST = 17 };
struct octaves {
    uint64_t x[2][WIDE_ROWS], out[2][WIDE_ROWS];
};

static double reciprocal_root(double x, const void *arg)
{
    (void)arg;
    return 1 / sqrt(x + 1e-3);
}

static enum ss_err wide_once(struct ss_ctx *c, void *arg)
{
    struct octaves *t = arg;
    struct ss_supply supply = {0};
    struct ss_wide wide = {.windows = ss_wide_windows(WIDE_FIRST, 63)};
    struct ss_needs needs = {0};
    struct ss_buf messages = {0}, room = {0};
    c->max_tokens = 1;
    c->phase = SS_OFFLINE;
    ss_need_wide(&needs, SS_CORR_recip, &ss_wide_value, wide.windows, WIDE_ROWS);
    SS_TRY(ss_supply_open(c, &supply, &ss_source_dealer, false));
    SS_TRY(ss_supply_layer(c, &supply, &needs));
    if (c->role != SS_DEALER) {
        SS_TRY(ss_wide_open(c, &wide, &ss_wide_value, WIDE_FIRST, 32, 30, 0, reciprocal_root, NULL));
        double worst = 0, hi;
        SS_TRY(ss_wide_error(c, &worst, &hi, &wide, wide.windows, reciprocal_root, NULL, 0));
        cr_assert(worst > 1e-4 && worst < 1e-3, "tables err by %g", worst);
        cr_assert_eq(hi, ldexp(4095, 51 - 32));
        c->phase = SS_ONLINE;
        SS_TRY(ss_wide_eval(c, &wide, wide.windows, &supply, SS_CORR_recip, &messages, &room, t->out[c->role], t->x[c->role],
                            WIDE_ROWS, 32));
        cr_assert_eq((size_t)c->counters.rounds_online, ss_wide_rounds(wide.windows));
    }
    ss_wide_close(c, &wide);
    ss_supply_close(c, &supply);
    ss_buf_free(c, &messages);
    ss_buf_free(c, &room);
    c->pass++;
    return SS_OK;
}

/* From nothing to 2^31 as real numbers: 63 bits at scale 2^32. At most 6.4e-4, where the result is small and slopes are coarse.
 */
Test(wide, reciprocal_root_is_accurate_over_the_whole_range)
{
    struct roles r;
    struct octaves *t = calloc(1, sizeof *t);
    uint64_t x[WIDE_ROWS];
    roles_open(&r, NULL, NULL);
    fill_random(&r, t->x[0], WIDE_ROWS);
    for (size_t i = 0; i < WIDE_ROWS; i++) {
        x[i] = i == 0 ? 0 : (uint64_t)pow(2, 62.95 * (double)i / WIDE_ROWS);
        t->x[1][i] = x[i] - t->x[0][i];
    }
    roles_run(&r, wide_once, t);
    double worst = 0;
    for (size_t i = 0; i < WIDE_ROWS; i++) {
        const double want = reciprocal_root(ldexp((double)x[i], -32), NULL);
        const double got = ldexp((double)(int64_t)(t->out[0][i] + t->out[1][i]), -30), error = fabs(got / want - 1);
        worst = error > worst ? error : worst;
        cr_assert_lt(error, 1e-3, "f(%g) = %g, not %g", ldexp((double)x[i], -32), got, want);
    }
    cr_log_info("worst relative error %g", worst);
    free(t);
    roles_close(&r);
}
