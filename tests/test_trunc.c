/* test_trunc.c — slack truncation between dealer and parties, and the correlation store that feeds it. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "tests/uniform.h"
#include "variants/lib/trunc.h"

enum { ROWS = 50, COLS = 8, N = ROWS * COLS, BITS = 20 };
static const uint8_t shift[COLS] = {1, 4, 7, 13, 20, 28, 35, 40};

struct run {
    int64_t x[N];
    uint64_t share[2][N], out[2][N];
    uint64_t opened[2][N]; /* what each party sent */
};

static enum ss_err truncate_all(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    if (c->role == SS_DEALER) {
        struct ss_buf scratch = {0};
        SS_TRY(ss_buf_alloc(c, &scratch, 6 * N * sizeof(uint64_t), SS_TAG_triples));
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_trunc_deal(c, &seeds, &scratch, ROWS, COLS, BITS - 16, shift));
        ss_buf_free(c, &scratch);
    } else {
        uint64_t *mine = calloc(2 * N, sizeof *mine);
        struct ss_val x = {.buf = {.p = run->share[c->role]}, .rows = ROWS, .cols = COLS, .bits = BITS, .col_bits = shift};
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_trunc_receive(c, &seeds, &corr, SS_CORR_down, N));
        c->phase = SS_ONLINE;
        SS_TRY(ss_trunc(c, &corr, SS_CORR_down, run->out[c->role], &x, false, mine, mine + N));
        memcpy(run->opened[c->role], mine, sizeof run->opened[0]);
        free(mine);
        c->phase = SS_OFFLINE;
    }
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    c->pass++;
    return SS_OK;
}

static void share_out(struct run *run, struct roles *r)
{
    fill_random(r, run->share[0], N);
    for (int i = 0; i < N; i++)
        run->share[1][i] = (uint64_t)run->x[i] - run->share[0][i];
}

static int64_t floor_shift(int64_t x, unsigned m)
{
    return x >> m; /* arithmetic: gcc's, floor */
}

Test(trunc, result_is_floor_or_floor_plus_one)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    roles_open(&r, NULL, NULL);
    const int64_t limit = ((int64_t)1 << 62) - 1;
    const int64_t edge[] = {0, 1, -1, limit, -limit, limit / 2, -limit / 2, 1 << 20, -(1 << 20), 12345};
    uint64_t *random = malloc(N * sizeof *random);
    double excess = 0;
    int values = 0;
    for (int round = 0; round < 40; round++) {
        fill_random(&r, random, N);
        for (int i = 0; i < N; i++)
            run->x[i] = i < 10 ? edge[i] : (int64_t)random[i] >> (2 + i % 40); /* |x| < 2^62 at every magnitude */
        share_out(run, &r);
        roles_run(&r, truncate_all, run);
        for (int i = 0; i < N; i++) {
            unsigned m = BITS - 16 + shift[i % COLS];
            int64_t got = (int64_t)(run->out[0][i] + run->out[1][i]), low = floor_shift(run->x[i], m);
            const bool divides = (run->x[i] & (((int64_t)1 << m) - 1)) == 0;
            cr_assert(got == low || (got == low + 1 && !divides), "x %lld m %u gave %lld, floor %lld", (long long)run->x[i], m,
                      (long long)got, (long long)low);
            if (i >= 10) {
                excess += (double)(got - low) - ldexp((double)(run->x[i] & (((int64_t)1 << m) - 1)), -(int)m);
                values++;
            }
        }
    }
    cr_assert_lt(fabs(excess), 5 * 0.5 * sqrt(values), "rounding is biased: %g over %d values", excess, values);
    cr_assert_eq(r.ctx[0].counters.trunc_pairs, 40 * N);
    cr_assert_eq(r.ctx[0].counters.bytes_online_p0_p1, 40 * N * SS_TRUNC_OPENED_BYTES);
    cr_assert_eq(r.ctx[SS_DEALER].counters.bytes_offline_d_p1, 40 * (N * SS_TRUNC_DEALT_BYTES + SS_SEED_BYTES));
    free(random);
    free(run);
    roles_close(&r);
}

enum { ROUNDS = 64, WORDS = ROUNDS * N };

static void opened_sums(struct roles *r, int64_t value, uint64_t *c)
{
    struct run *run = calloc(1, sizeof *run);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++)
            run->x[i] = value;
        share_out(run, r);
        roles_run(r, truncate_all, run);
        for (int i = 0; i < N; i++)
            c[round * N + i] = run->opened[0][i] + run->opened[1][i];
    }
    free(run);
}

/* The opened word is all that a party learns: it must look uniform whatever x is. */
Test(trunc, opened_words_are_uniform_for_every_input)
{
    struct roles r;
    uint64_t *c = malloc(WORDS * sizeof *c);
    roles_open(&r, NULL, NULL);
    const int64_t inputs[] = {0, -1, (int64_t)1 << 61, 0x123456789abcdef};
    for (int k = 0; k < 4; k++) {
        opened_sums(&r, inputs[k], c);
        for (int byte = 0; byte < 8; byte++)
            cr_assert_lt(byte_z(c, WORDS, byte), UNIFORM_MOST, "input %lld byte %d", (long long)inputs[k], byte);
    }
    /* The same statistic catches a constant mask and an unmasked opening. */
    for (size_t i = 0; i < WORDS; i++)
        c[i] = (uint64_t)(i % 7) + ((uint64_t)1 << 62) + 0x5555;
    cr_assert_gt(byte_z(c, WORDS, 0), 100);
    free(c);
    roles_close(&r);
}

static enum ss_err take_twice(struct ss_ctx *c, void *arg)
{
    (void)arg;
    struct ss_corr corr = {0};
    uint64_t *data;
    SS_TRY(ss_corr_put(c, &corr, SS_CORR_down, 4, &data));
    (void)ss_corr_take(c, &corr, SS_CORR_down, 4);
    (void)ss_corr_take(c, &corr, SS_CORR_down, 4);
    return SS_OK;
}

static enum ss_err put_same_id(struct ss_ctx *c, void *arg)
{
    (void)arg;
    struct ss_corr corr = {0};
    uint64_t *data;
    SS_TRY(ss_corr_put(c, &corr, SS_CORR_down, 4, &data));
    (void)ss_corr_take(c, &corr, SS_CORR_down, 4);
    return ss_corr_put(c, &corr, SS_CORR_down, 4, &data);
}

static enum ss_err take_other_slot(struct ss_ctx *c, void *arg)
{
    (void)arg;
    struct ss_corr corr = {0};
    uint64_t *data;
    SS_TRY(ss_corr_put(c, &corr, SS_CORR_down, 4, &data));
    (void)ss_corr_take(c, &corr, SS_CORR_attn_out, 4);
    return SS_OK;
}

static void alone(role_fn fn)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    (void)fn(&r.ctx[0], NULL);
}

Test(corr, a_batch_taken_twice_aborts, .signal = SIGABRT)
{
    alone(take_twice);
}

Test(corr, an_id_dealt_twice_aborts, .signal = SIGABRT)
{
    alone(put_same_id);
}

Test(corr, a_batch_for_another_operation_aborts, .signal = SIGABRT)
{
    alone(take_other_slot);
}
