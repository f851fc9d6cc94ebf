/* test_lookup.c — lookups between dealer and parties: every index, both wraps, every shape; privacy on toy rings, exactly. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "variants/lib/lookup.h"

static double curve(double x, const void *arg)
{
    (void)arg;
    return x / (1 + exp(-x));
}

struct run {
    struct ss_lookup_shape shape;
    int step_bits;
    unsigned x_bits;
    double lo;
    size_t n;
    uint64_t *x[2], *u[2], *out[2];
    struct ss_counters expected;
};

static enum ss_err run_role(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const struct ss_lookup_source *source = &ss_source_dealer;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf messages = {0};
    struct ss_table table = {.shape = run->shape, .step_bits = run->step_bits, .value_bits = 20, .lo = run->lo};
    void *state = calloc(1, source->state_bytes);
    c->phase = SS_OFFLINE;
    if (c->role == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(source->begin(c, state, &seeds));
        SS_TRY(source->deal(c, state, &seeds, &run->shape, run->n));
    } else {
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(source->begin(c, state, &seeds));
        SS_TRY(ss_lookup_prepare(c, source, state, &seeds, &corr, SS_CORR_silu, &run->shape, 1, run->n));
        SS_TRY(ss_table_open(c, &table, curve, NULL));
        c->phase = SS_ONLINE;
        const struct ss_lookup_call call = {.tables = &table,
                                            .n_tables = 1,
                                            .source = source,
                                            .corr = &corr,
                                            .slot = SS_CORR_silu,
                                            .out = run->out[c->role],
                                            .x = run->x[c->role],
                                            .u = run->shape.fused ? run->u[c->role] : NULL,
                                            .rows = 1,
                                            .cols = run->n,
                                            .x_stride = run->n,
                                            .u_stride = run->n,
                                            .x_bits = run->x_bits};
        SS_TRY(ss_lookup(c, &messages, &call, 1));
    }
    source->close(c, state);
    free(state);
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    ss_table_close(c, &table);
    ss_buf_free(c, &messages);
    c->pass++;
    return SS_OK;
}

static void run_alloc(struct run *run)
{
    for (int p = 0; p < 2; p++) {
        run->x[p] = calloc(run->n, sizeof(uint64_t));
        run->u[p] = calloc(run->n, sizeof(uint64_t));
        run->out[p] = calloc(run->n, sizeof(uint64_t));
    }
}

static void run_free(struct run *run)
{
    for (int p = 0; p < 2; p++) {
        free(run->x[p]);
        free(run->u[p]);
        free(run->out[p]);
    }
}

static void share(struct roles *r, uint64_t *s[2], size_t i, double value, unsigned bits)
{
    cr_assert_eq(ss_prg_fill(&r->ctx[0].prg, r->ctx[0].backend, r->ctx[0].dev, &s[0][i], 1), SS_OK);
    s[1][i] = (uint64_t)(int64_t)rint(ldexp(value, (int)bits)) - s[0][i];
}

/* Every index several times, at random places within its step, shares wrapping both ways; the table's own error allowed. */
static void every_index(unsigned n_bits, unsigned columns, bool fused)
{
    struct roles r;
    const double width = 32, h = width / (double)(1u << n_bits);
    struct run run = {.shape = {n_bits, columns == 2 ? 6 : 0, columns, fused},
                      .step_bits = (int)n_bits - 5,
                      .x_bits = 24,
                      .lo = -16,
                      .n = (size_t)3 << n_bits};
    run_alloc(&run);
    roles_open(&r, NULL, NULL);
    double *x = malloc(run.n * sizeof *x), *u = malloc(run.n * sizeof *u);
    for (size_t i = 0; i < run.n; i++) {
        x[i] = -16 + h * ((double)(i / 3) + (double)(i % 3) * 0.37);
        if (columns == 2 && i < 6) /* the first step is lost */
            x[i] = -16 + 2 * h;
        if (i >= run.n - 3)
            x[i] = 16 - 1.5 * h; /* the carry must not leave the table */
        u[i] = fused ? (double)((int)(i % 17) - 8) * 0.5 : 1;
        share(&r, run.x, i, x[i], run.x_bits);
        share(&r, run.u, i, u[i], 16);
    }
    roles_run(&r, run_role, &run);
    const double allowed = columns == 1 ? 1.11 * h : 0.03 * h * h * 4 + h / 64 * 1.2 + 3e-5;
    for (size_t i = 0; i < run.n; i++) {
        const double got = ldexp((double)(int64_t)(run.out[0][i] + run.out[1][i]), fused ? -36 : -20);
        cr_assert_lt(fabs(got - curve(x[i], NULL) * u[i]), allowed * fmax(fabs(u[i]), 0.01) + 1e-5,
                     "2^%u, %u columns: f(%g) %g = %g", n_bits, columns, x[i], u[i], got);
    }
    struct ss_counters e = {0}, got = r.ctx[0].counters;
    ss_lookup_cost(&ss_source_dealer, &run.shape, run.n, &e);
    ss_source_dealer.cost_begin(0, &e);
    ss_source_dealer.cost(&run.shape, run.n, &e);
    cr_assert_eq(e.bytes_online_p0_p1, got.bytes_online_p0_p1);
    cr_assert_eq(e.bytes_online_p1_p0, r.ctx[1].counters.bytes_online_p1_p0);
    cr_assert_eq(e.opened_words, got.opened_words);
    cr_assert_eq(got.rounds_online, 2);
    cr_assert_eq(e.bytes_offline_d_p0 + SS_SEED_BYTES, r.ctx[2].counters.bytes_offline_d_p0);
    cr_assert_eq(e.bytes_offline_d_p1 + SS_SEED_BYTES, r.ctx[2].counters.bytes_offline_d_p1);
    free(x);
    free(u);
    run_free(&run);
    roles_close(&r);
}

Test(lookup, every_index_of_every_shape)
{
    for (unsigned n_bits = SS_TABLE_MIN_BITS; n_bits <= SS_TABLE_MAX_BITS; n_bits += n_bits == 8 ? 1 : 5)
        for (unsigned columns = 1; columns <= 2; columns++)
            for (int fused = 0; fused < 2; fused++)
                every_index(n_bits, columns, fused);
}

/* ---- protocols.md 6 over Z_2^L, L <= 64, restated: one lookup, two columns, fused. */
enum { MAX_N = 8 };
struct toy {
    unsigned l, n_bits, fine;
    uint64_t table[2][MAX_N];
};
struct toy_random {
    uint64_t b, m1, m2, m3, bits0; /* dealer's; bits0: P0's share of the unit vector, bit i of the word */
};
struct toy_view {
    uint64_t e, w, v, q;
};

static uint64_t ring(const struct toy *t, uint64_t x)
{
    return t->l == 64 ? x : x & (((uint64_t)1 << t->l) - 1);
}

/* What both parties see opened, for fine index y and factor u; *z: the result. */
static struct toy_view toy_run(const struct toy *t, const struct toy_random *d, uint64_t y, uint64_t u, uint64_t *z)
{
    const uint64_t n = (uint64_t)1 << t->n_bits, width = n << t->fine, fine = (uint64_t)1 << t->fine;
    const uint64_t r = d->b >> t->fine, bl = d->b % fine, e = (y - d->b) % width, eh = e >> t->fine, el = e % fine;
    const uint64_t sigma = (d->bits0 >> r & 1) ? 1 : -(uint64_t)1;
    uint64_t sum[2][2] = {{0}};
    for (uint64_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            const uint64_t b0 = d->bits0 >> i & 1, b1 = b0 ^ (i == r);
            sum[0][c] += b0 * t->table[c][(i + eh) % n];
            sum[1][c] -= b1 * t->table[c][(i + eh) % n];
        }
    const uint64_t va = sum[0][0] + sum[1][0], vb = sum[0][1] + sum[1][1];
    const uint64_t c0 = sigma, c1 = sigma * d->m3, c2 = sigma * (d->m1 + bl * d->m2), c3 = sigma * bl, c4 = c3 * d->m3;
    const struct toy_view o = {e, ring(t, va + el * vb - d->m1), ring(t, vb - d->m2), ring(t, u - d->m3)};
    *z = ring(t, o.w * o.q * c0 + o.w * c1 + o.q * c2 + o.v * o.q * c3 + o.v * c4 + c2 * d->m3);
    return o;
}

static size_t view_index(const struct toy *t, const struct toy_view *o)
{
    return ((o->e << t->l | o->w) << t->l | o->v) << t->l | o->q;
}

enum mutant { SOUND, CONSTANT_R, SIGMA_PLUS, UNMASKED };

/* How often each view occurs over all dealer randomness, given P0's own bits. P0 also holds uniform shares of b, the masks and
   the coefficients, independent of everything here, because its own come from its seed and the others are differences. */
static void count_views(const struct toy *t, uint64_t bits0, uint64_t y, uint64_t u, enum mutant m, uint32_t *seen)
{
    const uint64_t q = (uint64_t)1 << t->l, width = (uint64_t)1 << (t->n_bits + t->fine);
    for (uint64_t b = 0; b < width; b++) {
        if (m == CONSTANT_R && b >> t->fine != 1)
            continue;
        if (m == SIGMA_PLUS && !(bits0 >> (b >> t->fine) & 1)) /* P0's bit at r is always 1 */
            continue;
        for (uint64_t i = 0; i < q * q * q; i++) {
            const struct toy_random d = {b, m == UNMASKED ? 0 : i % q, i / q % q, i / q / q, bits0};
            uint64_t z;
            const struct toy_view o = toy_run(t, &d, y, u, &z);
            const uint64_t n = (uint64_t)1 << t->n_bits, fine = (uint64_t)1 << t->fine;
            const uint64_t low = (o.e % fine) + b % fine, at = ((o.e >> t->fine) + (b >> t->fine)) % n;
            cr_assert_eq(z, ring(t, (t->table[0][at] + t->table[1][at] * low) * u));
            seen[view_index(t, &o)]++;
        }
    }
}

/* 1 if some two inputs give different multisets of views to a holder of some bits. */
static int leaks(const struct toy *t, enum mutant m)
{
    const size_t views = (size_t)1 << (t->n_bits + t->fine + 3 * t->l);
    uint32_t *first = malloc(views * sizeof *first), *seen = malloc(views * sizeof *seen);
    int differ = 0;
    const uint64_t inputs[][2] = {{0, 0}, {1, 3}, {5, 7}, {(1u << (t->n_bits + t->fine)) - 1, 1}};
    for (uint64_t bits0 = 0; bits0 < (uint64_t)1 << (1 << t->n_bits) && !differ; bits0 += t->n_bits > 2 ? 37 : 1)
        for (size_t k = 0; k < sizeof inputs / sizeof *inputs && !differ; k++) {
            memset(seen, 0, views * sizeof *seen);
            count_views(t, bits0, inputs[k][0], inputs[k][1], m, seen);
            if (k == 0)
                memcpy(first, seen, views * sizeof *first);
            differ = memcmp(first, seen, views * sizeof *seen) != 0;
        }
    free(first);
    free(seen);
    return differ;
}

static const struct toy toy4 = {.l = 4, .n_bits = 2, .fine = 1, .table = {{3, 9, 14, 1}, {1, 15, 2, 7}}};
static const struct toy toy8 = {.l = 3, .n_bits = 3, .fine = 1, .table = {{3, 1, 6, 1, 0, 7, 5, 2}, {1, 7, 2, 7, 4, 0, 3, 6}}};

Test(toy, views_are_the_same_multiset_for_every_input)
{
    cr_assert(!leaks(&toy4, SOUND));
    cr_assert(!leaks(&toy8, SOUND));
}

Test(toy, mutants_are_caught)
{
    cr_assert(leaks(&toy4, CONSTANT_R), "a constant r");
    cr_assert(leaks(&toy4, SIGMA_PLUS), "sigma always +1");
    cr_assert(leaks(&toy4, UNMASKED), "w opened without a mask");
}

/* The restated formulas are the code's: same opened words and result at L = 64, from the backend's operations. */
Test(toy, formulas_agree_with_the_backend_at_64_bits)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    const struct ss_backend *b = r.ctx[0].backend;
    struct ss_dev *dev = r.ctx[0].dev;
    const struct ss_lookup_shape s = {8, 3, 2, true};
    uint64_t entries[512], in[16], bits[2][4], coef[2][6], sign, open[2][3], out[2];
    for (int round = 0; round < 50; round++) {
        cr_assert_eq(ss_prg_fill(&r.ctx[0].prg, b, dev, entries, 512), SS_OK);
        cr_assert_eq(ss_prg_fill(&r.ctx[0].prg, b, dev, in, 16), SS_OK);
        cr_assert_eq(ss_prg_fill(&r.ctx[0].prg, b, dev, bits[0], 4), SS_OK);
        cr_assert_eq(ss_prg_fill(&r.ctx[0].prg, b, dev, coef[0], 6), SS_OK);
        const uint64_t *b0 = in, *b1 = in + 1, *m0 = in + 2, *m1 = in + 5, *x = in + 8, *u = in + 10;
        cr_assert_eq(b->onehot_deal(dev, bits[1], &sign, bits[0], b0, b1, 1, &s), SS_OK);
        cr_assert_eq(b->lookup_deal(dev, coef[1], coef[0], &sign, b0, b1, m0, m1, 1, &s), SS_OK);
        uint32_t e[2];
        const uint64_t rh = (b0[0] + b1[0]) >> 3 & 255, bl = (b0[0] + b1[0]) & 7;
        for (int p = 0; p < 2; p++) {
            cr_assert_eq(b->lookup_index(dev, &e[p], x + p, 1, in + p, 1, 1, 0, NULL, 0, &s, p), SS_OK);
            open[p][2] = u[p] - (p ? m1 : m0)[2];
        }
        struct ss_lookup_table t = {.entries = entries, .n_planes = {8, 8}};
        uint8_t planes[16 * 256];
        for (int i = 0; i < 512; i++)
            for (int k = 0; k < 8; k++)
                planes[(i / 256 * 8 + k) * 256 + i % 256] = (uint8_t)((entries[i] + ((uint64_t)1 << 63)) >> (8 * k));
        t.planes = planes;
        for (int p = 0; p < 2; p++)
            cr_assert_eq(b->lookup_sum(dev, &open[p][0], &open[p][1], bits[p], &e[0], &e[1], p ? m1 : m0, &t, 1, &s, p), SS_OK);
        for (int p = 0; p < 2; p++)
            cr_assert_eq(b->lookup_close(dev, &out[p], open[0], open[1], coef[p], 1, &s), SS_OK);
        const uint64_t opened = (e[0] + e[1]) & 2047;
        cr_assert_eq(opened, (x[0] + x[1] - b0[0] - b1[0]) & 2047);
        const uint64_t at = ((opened >> 3) + rh) & 255, f = entries[at] + entries[256 + at] * ((opened & 7) + bl);
        cr_assert_eq(out[0] + out[1], f * (u[0] + u[1]));
        const uint64_t va = sign * entries[at], vb = sign * entries[256 + at];
        cr_assert_eq(open[0][0] + open[1][0], va + (opened & 7) * vb - m0[0] - m1[0]);
        cr_assert_eq(open[0][1] + open[1][1], vb - m0[1] - m1[1]);
    }
    roles_close(&r);
}

/* ---- at size: what is opened looks uniform whatever the input */
enum { TAP_N = 4096, TAP_WORDS = 3 * TAP_N };
struct heard {
    uint32_t e[2][TAP_N];
    uint64_t open[2][TAP_WORDS];
};

static void hear(void *arg, int from, int to, const char *what, const void *data, size_t bytes)
{
    struct heard *h = arg;
    (void)to;
    if (from < 2 && !strcmp(what, "indx"))
        memcpy(h->e[from], data, bytes);
    if (from < 2 && !strcmp(what, "look"))
        memcpy(h->open[from], data, bytes);
}

static double z_of_byte(const uint64_t *words, size_t n, int byte)
{
    double expected = (double)n / 256, chi = 0;
    size_t seen[256] = {0};
    for (size_t i = 0; i < n; i++)
        seen[words[i] >> (8 * byte) & 255]++;
    for (int v = 0; v < 256; v++)
        chi += ((double)seen[v] - expected) * ((double)seen[v] - expected) / expected;
    return (chi - 255) / sqrt(2 * 255.0);
}

Test(lookup, opened_words_are_uniform_for_every_input)
{
    struct roles r;
    struct heard *h = calloc(1, sizeof *h);
    struct run run = {.shape = {12, 8, 2, true}, .step_bits = 7, .x_bits = 24, .lo = -16, .n = TAP_N};
    run_alloc(&run);
    roles_open(&r, hear, h);
    const double inputs[][2] = {{0, 0}, {-15.5, 1}, {3.25, 1000}};
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < TAP_N; i++) {
            share(&r, run.x, i, inputs[k][0], run.x_bits);
            share(&r, run.u, i, inputs[k][1], 16);
        }
        roles_run(&r, run_role, &run);
        uint64_t e[TAP_N], *open = h->open[0];
        for (size_t i = 0; i < TAP_N; i++)
            e[i] = (h->e[0][i] + h->e[1][i]) & 0xfffff;
        for (size_t i = 0; i < TAP_WORDS; i++)
            open[i] += h->open[1][i];
        for (int byte = 0; byte < 2; byte++)
            cr_assert_lt(z_of_byte(e, TAP_N, byte), 5.5, "index, input %zu byte %d", k, byte);
        for (int word = 0; word < 3; word++)
            for (int byte = 0; byte < 8; byte++)
                cr_assert_lt(z_of_byte(open + word * TAP_N, TAP_N, byte), 5.5, "word %d, input %zu byte %d", word, k, byte);
    }
    free(h);
    run_free(&run);
    roles_close(&r);
}

static enum ss_err lookup_twice(struct ss_ctx *c, void *arg)
{
    (void)arg;
    struct ss_corr corr = {0};
    struct ss_buf messages = {0};
    const struct ss_table table = {.shape = {8, 0, 1, false}, .value_bits = 20};
    uint64_t *batch, x = 0;
    SS_TRY(ss_corr_put(c, &corr, SS_CORR_exp, ss_lookup_words(&table.shape, 1), &batch));
    (void)ss_corr_take(c, &corr, SS_CORR_exp, ss_lookup_words(&table.shape, 1));
    const struct ss_lookup_call call = {.tables = &table,
                                        .n_tables = 1,
                                        .source = &ss_source_dealer,
                                        .corr = &corr,
                                        .slot = SS_CORR_exp,
                                        .out = &x,
                                        .x = &x,
                                        .rows = 1,
                                        .cols = 1,
                                        .x_stride = 1,
                                        .x_bits = 16};
    return ss_lookup(c, &messages, &call, 1);
}

Test(lookup, a_batch_used_twice_aborts, .signal = SIGABRT)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    (void)lookup_twice(&r.ctx[0], NULL);
}
