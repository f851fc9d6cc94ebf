/* test_compare.c — comparisons between dealer and parties: every value, threshold and mask on small rings, edges at 64 bits,
   counts. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/comparison.h"

/* Every x under every mask against every t of a ring of 2^bits; x has any bits above. */
static void every_case(unsigned bits)
{
    const uint64_t ring = (uint64_t)1 << bits;
    struct roles r;
    struct script script;
    struct comparison run = {.shape = {bits, 32, true}, .rows = ring, .cols = ring, .stride = ring};
    const size_t n = ring * ring;
    comparison_alloc(&run);
    roles_open(&r, NULL, NULL);
    script_open(&script, &r, ss_compare_words(&run.shape, n) + 1);
    for (uint64_t from = 0; from < ring; from += 32) {
        for (int p = 0; p < 2; p++)
            fill_random(&r, script.words[p], script.n);
        fill_random(&r, run.x[0], n);
        fill_random(&r, run.x[1], n);
        for (size_t i = 0; i < n; i++) {
            script.words[1][i] += i % ring - (opened(script.words, i)) % ring; /* a mod 2^bits = i % ring */
            run.x[1][i] += (i / ring - opened(run.x, i)) % ring;               /* x mod 2^bits = i / ring */
            cr_assert_eq(opened(script.words, i) % ring, i % ring);
            cr_assert_eq(opened(run.x, i) % ring, i / ring);
        }
        for (uint64_t k = 0; k < 32; k++)
            run.t[k] = from + k - ring / 2;
        roles_run(&r, comparison_run, &run);
        for (uint64_t k = 0; k < 32; k++)
            for (size_t i = 0; i < n; i++) {
                const uint64_t x = opened(run.x, i), want = (x - run.t[k]) >> (bits - 1) & 1;
                if (opened(run.s, k * n + i) != want || opened(run.sx, k * n + i) != want * x)
                    cr_assert_fail("%u bits: x %zu < t %lld under mask %zu", bits, i / ring, (long long)run.t[k], i % ring);
            }
    }
    comparison_free(&run);
    script_close(&script);
    roles_close(&r);
}

Test(compare, every_value_threshold_and_mask_of_small_rings)
{
    every_case(6);
    every_case(8);
}

/* ---- 64 bits. Differences x - t at every edge; columns shift the thresholds. */
static const int64_t difference[] = {0,          -1,          1,         INT64_MIN,    INT64_MAX, INT64_MIN + 1, INT64_MAX - 1,
                                     -(1 << 30), (1ll << 40), 1ll << 62, -(1ll << 62), 1ll << 32, -(1ll << 32),  255};
enum { DIFFERENCES = sizeof difference / sizeof *difference, COLUMNS = 5 };
static const uint8_t shifts[COLUMNS] = {0, 1, 7, 20, 28};

static void at_64_bits(struct roles *r, size_t rows, size_t cols, unsigned thresholds, bool product, bool only_product)
{
    struct comparison run = {.shape = {64, thresholds, product},
                             .rows = rows,
                             .cols = cols,
                             .stride = cols + 3,
                             .shift = cols == COLUMNS ? shifts : NULL};
    const size_t n = rows * cols, groups = (n + 63) / 64, words = thresholds * groups;
    comparison_alloc(&run);
    fill_random(r, run.x[0], rows * run.stride);
    fill_random(r, run.x[1], rows * run.stride);
    for (unsigned k = 0; k < thresholds; k++) /* falling, rising, both signs */
        run.t[k] = (uint64_t)((k % 2 ? -1 : 1) * (int64_t)(k * 0x12345u + (k % 3)));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const uint64_t t = run.t[(i + j) % thresholds] << (run.shift ? run.shift[j] : 0);
            const size_t at = i * run.stride + j;
            if ((i * cols + j) % 3)
                run.x[1][at] = t + (uint64_t)difference[(i * cols + j) % DIFFERENCES] - run.x[0][at];
        }
    uint64_t *bits[2] = {run.s[0], run.s[1]};
    if (only_product)
        run.s[0] = run.s[1] = NULL;
    struct ss_counters before[SS_N_ROLES], e = {0};
    for (int role = 0; role < SS_N_ROLES; role++)
        before[role] = r->ctx[role].counters;
    roles_run(r, comparison_run, &run);
    run.s[0] = bits[0];
    run.s[1] = bits[1];
    for (unsigned k = 0; k < thresholds; k++)
        for (size_t i = 0; i < n; i++) {
            const uint64_t x = opened(run.x, i / cols * run.stride + i % cols);
            const uint64_t t = run.t[k] << (run.shift ? run.shift[i % cols] : 0), want = (int64_t)(x - t) < 0;
            const int64_t sx = (int64_t)x, st = (int64_t)t;
            if (llabs(sx / 2) < 1ll << 61) /* no wrap: the order of the signed numbers */
                cr_assert_eq(want, sx < st);
            if (!only_product)
                cr_assert_eq(opened(run.s, k * n + i), want, "x %lld t %lld", (long long)sx, (long long)st);
            if (product)
                cr_assert_eq(opened(run.sx, k * n + i), want * x);
        }
    ss_compare_cost(&run.shape, n, &e);
    const struct ss_counters *c = &r->ctx[0].counters, *d = &r->ctx[SS_DEALER].counters;
    /* 63 bits in 15 blocks of four and one of three: 15 x 11 + 4 products of a's bits, for all thresholds. 16 blocks in two
     * levels: 15 + 3 x 22 and 15 products under 6 + 3 x 7 and 6 masks. */
    cr_assert_eq(e.triples_bin, (int64_t)(64 * (169 * groups + 96 * words)));
    cr_assert_eq(e.opened_words, (int64_t)(n + 34 * words));
    cr_assert_eq(e.bytes_offline_d_p1, (int64_t)(8 * ((64 + 169) * groups + 96 * words + (product ? 2 : 1) * thresholds * n)));
    cr_assert_eq(ss_compare_rounds(&run.shape), 4);
    for (int p = 0; p < 2; p++) {
        c = &r->ctx[p].counters;
        cr_assert_eq(c->triples_bin - before[p].triples_bin, e.triples_bin);
        cr_assert_eq(c->opened_words - before[p].opened_words, e.opened_words);
        cr_assert_eq(c->rounds_online - before[p].rounds_online, 4);
    }
    cr_assert_eq(e.bytes_online_p0_p1, 8 * e.opened_words);
    cr_assert_eq(r->ctx[0].counters.bytes_online_p0_p1 - before[0].bytes_online_p0_p1, e.bytes_online_p0_p1);
    cr_assert_eq(r->ctx[1].counters.bytes_online_p1_p0 - before[1].bytes_online_p1_p0, e.bytes_online_p1_p0);
    cr_assert_eq(d->bytes_offline_d_p1 - before[SS_DEALER].bytes_offline_d_p1, e.bytes_offline_d_p1 + SS_SEED_BYTES);
    cr_assert_eq(d->bytes_offline_d_p0 - before[SS_DEALER].bytes_offline_d_p0, SS_SEED_BYTES);
    comparison_free(&run);
}

Test(compare, edges_at_64_bits_in_every_shape)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    const size_t n[] = {1, 63, 64, 65, 1000};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        at_64_bits(&r, n[i], 1, 1, false, false);
        at_64_bits(&r, 1, n[i], 3, true, false);
    }
    at_64_bits(&r, 200, COLUMNS, 9, true, false);
    at_64_bits(&r, 13, COLUMNS, SS_MAX_THRESHOLDS, true, true);
    at_64_bits(&r, 3, COLUMNS, 2, false, false);
    roles_close(&r);
}

/* The smallest rings have no tree or one level; blocks and nodes of every size. */
Test(compare, every_width_of_the_ring)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    for (unsigned bits = 2; bits <= 64; bits++) {
        struct comparison run = {.shape = {bits, 2, false}, .rows = 1, .cols = 130, .stride = 130, .t = {0, (uint64_t)-1}};
        const struct ss_compare_shape *s = &run.shape;
        struct ss_counters before = r.ctx[1].counters, e = {0};
        comparison_alloc(&run);
        fill_random(&r, run.x[0], 130);
        fill_random(&r, run.x[1], 130);
        roles_run(&r, comparison_run, &run);
        for (size_t i = 0; i < 260; i++)
            cr_assert_eq(opened(run.s, i), (opened(run.x, i % 130) - run.t[i / 130]) >> (bits - 1) & 1, "%u bits", bits);
        ss_compare_cost(s, 130, &e);
        cr_assert_eq(r.ctx[1].counters.opened_words - before.opened_words, e.opened_words);
        cr_assert_eq(r.ctx[1].counters.triples_bin - before.triples_bin, e.triples_bin);
        cr_assert_eq((size_t)(r.ctx[1].counters.rounds_online - before.rounds_online), ss_compare_rounds(s));
        comparison_free(&run);
    }
    roles_close(&r);
}

/* ---- use */
static enum ss_err compare_twice(struct ss_ctx *c, void *arg)
{
    (void)arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf work = {0};
    const struct ss_compare_shape s = {64, 1, false};
    uint64_t x[4] = {0}, out[4];
    struct ss_compare_call call = {
        .shape = s, .corr = &corr, .slot = SS_CORR_relu, .s = out, .x = x, .rows = 1, .cols = 4, .x_stride = 4};
    if (c->role == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        return ss_compare_deal(c, &seeds, &work, &s, 4);
    }
    SS_TRY(ss_seeds_receive(c, &seeds));
    SS_TRY(ss_compare_receive(c, &seeds, &corr, SS_CORR_relu, &s, 4));
    c->phase = SS_ONLINE;
    SS_TRY(ss_compare(c, &work, &call));
    return ss_compare(c, &work, &call);
}

Test(compare, a_batch_used_twice_aborts, .signal = SIGABRT)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    roles_run(&r, compare_twice, NULL);
}
