/* test_gilboa.c — products and conversions by OT: exact on edge values and at random, bytes as the closed form says. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "tests/uniform.h"
#include "variants/lib/gilboa.h"

enum { N = 300, WORDS = 5 };

struct run {
    struct ss_ot ot[2];
    uint64_t x[2][N * WORDS], y[2][N], bit_out[2][N * WORDS], product[2][N], number[2][N];
    uint8_t s[2][N], bits[2][N * 64];
    size_t n_bits;
};

static enum ss_err all(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const int me = c->role;
    if (me == SS_DEALER)
        return SS_OK;
    struct ss_ot *ot = &run->ot[me];
    if (!ot->ready)
        SS_TRY(ss_ot_setup(c, ot));
    SS_TRY(ss_gilboa_bit(c, ot, run->bit_out[me], run->s[me], run->x[me], N, WORDS));
    SS_TRY(ss_gilboa_product(c, ot, run->product[me], run->x[me], run->y[me], N));
    return ss_gilboa_number(c, ot, run->number[me], run->bits[me], N, run->n_bits);
}

/* Edge values shared at random, then random ones. */
static uint64_t value(size_t i)
{
    static const uint64_t edge[] = {0, 1, UINT64_MAX, UINT64_MAX - 1, 1ull << 63, (1ull << 63) - 1, 1ull << 32, 0xffffffff};
    uint64_t r;
    randombytes_buf(&r, sizeof r);
    return i < sizeof edge / sizeof *edge ? edge[i] : r;
}

static void fill(struct run *run)
{
    randombytes_buf(run->x, sizeof run->x);
    randombytes_buf(run->y, sizeof run->y);
    for (size_t i = 0; i < N; i++) {
        if (i < 64) { /* every pair of edge values; half of them with a trivial sharing */
            run->x[0][i] = i % 2 ? run->x[0][i] : 0;
            run->x[1][i] = value(i % 8) - run->x[0][i];
            run->y[0][i] = i % 4 / 2 ? run->y[0][i] : 0;
            run->y[1][i] = value(i / 8) - run->y[0][i];
        }
        for (int p = 0; p < 2; p++)
            run->s[p][i] = i < 4 ? (uint8_t)(i >> p & 1) : (uint8_t)randombytes_uniform(2);
    }
    for (size_t i = 0; i < N * 64; i++)
        for (int p = 0; p < 2; p++)
            run->bits[p][i] = (uint8_t)randombytes_uniform(2);
    memset(run->bits[0], 1, 64);
    memset(run->bits[1], 0, 64);
    memset(run->bits[0] + 64, 1, 64);
    memset(run->bits[1] + 64, 1, 64);
}

static void check(const struct run *run)
{
    for (size_t i = 0; i < N; i++) {
        for (size_t w = 0; w < WORDS; w++) {
            const size_t j = i * WORDS + w;
            const uint64_t s = run->s[0][i] ^ run->s[1][i];
            cr_assert_eq(run->bit_out[0][j] + run->bit_out[1][j], s * (run->x[0][j] + run->x[1][j]));
        }
        cr_assert_eq(run->product[0][i] + run->product[1][i], (run->x[0][i] + run->x[1][i]) * (run->y[0][i] + run->y[1][i]),
                     "product %zu", i);
        uint64_t want = 0, mask = UINT64_MAX >> (64 - run->n_bits);
        for (size_t b = 0; b < run->n_bits; b++)
            want |= (uint64_t)(run->bits[0][i * run->n_bits + b] ^ run->bits[1][i * run->n_bits + b]) << b;
        cr_assert_eq((run->number[0][i] + run->number[1][i]) & mask, want);
    }
}

Test(gilboa, products_and_numbers_are_exact)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    struct run *run = calloc(1, sizeof *run);
    const size_t bits[] = {1, 2, 8, 9, 12, 19, 32, 63, 64};
    struct ss_counters e = {.bytes_offline_p0_p1 = SS_OT_SETUP_BYTES,
                            .bytes_offline_p1_p0 = SS_OT_SETUP_BYTES,
                            .rounds_offline = SS_OT_SETUP_ROUNDS};
    for (size_t k = 0; k < sizeof bits / sizeof *bits; k++) {
        run->n_bits = bits[k];
        fill(run);
        roles_run(&r, all, run);
        check(run);
        ss_gilboa_bit_cost(&e, N, WORDS);
        ss_gilboa_product_cost(&e, N);
        ss_gilboa_number_cost(&e, N, bits[k]);
    }
    cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1, e.bytes_offline_p0_p1);
    cr_assert_eq(r.ctx[1].counters.bytes_offline_p1_p0, e.bytes_offline_p1_p0);
    for (int p = 0; p < 2; p++) {
        cr_assert_eq(r.ctx[p].counters.ots, e.ots);
        cr_assert_eq(r.ctx[p].counters.rounds_offline, e.rounds_offline);
        ss_ot_close(&r.ctx[p], &run->ot[p]);
    }
    free(run);
    roles_close(&r);
}

struct seen {
    int from;
    struct histogram bytes;
};
static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    (void)to;
    struct seen *s = arg;
    if (from != s->from || strcmp(what, "otco") != 0)
        return;
    histogram_add(&s->bytes, h_data, 1, bytes, 0);
}

/* Constant secrets, all of one party's correlations equal: what the other sees is uniform. */
Test(gilboa, corrections_are_uniform_for_constant_secrets)
{
    struct roles r;
    static struct seen seen;
    roles_open(&r, look, &seen);
    struct run *run = calloc(1, sizeof *run);
    run->n_bits = 64;
    for (seen.from = 0; seen.from < 2; seen.from++)
        for (int k = 0; k < 2; k++) {
            seen.bytes = (struct histogram){0};
            for (int p = 0; p < 2; p++) {
                memset(run->x[p], k ? 0xff : 0, sizeof run->x[p]);
                memset(run->y[p], k ? 0xff : 0, sizeof run->y[p]);
                memset(run->s[p], k, sizeof run->s[p]);
                memset(run->bits[p], k, sizeof run->bits[p]);
            }
            roles_run(&r, all, run);
            cr_assert_gt(seen.bytes.n, 80000);
            cr_assert_lt(uniform_z(&seen.bytes), UNIFORM_MOST, "party %d, secrets %d", seen.from, k);
        }
    for (int p = 0; p < 2; p++)
        ss_ot_close(&r.ctx[p], &run->ot[p]);
    free(run);
    roles_close(&r);
}
