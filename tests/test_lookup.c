/* test_lookup.c — lookups between dealer and parties: every index, both wraps, every shape (privacy: test_privacy.c). */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/heard.h"
#include "tests/roles.h"
#include "tests/uniform.h"
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
    fill_random(r, &s[0][i], 1);
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

/* ---- at size: what is opened looks uniform whatever the input */
enum { TAP_N = 4096, TAP_WORDS = 3 * TAP_N };
Test(lookup, opened_words_are_uniform_for_every_input)
{
    struct roles r;
    struct heard h;
    struct run run = {.shape = {12, 8, 2, true}, .step_bits = 7, .x_bits = 24, .lo = -16, .n = TAP_N};
    run_alloc(&run);
    heard_alloc(&h, TAP_N, 3);
    roles_open(&r, hear, &h);
    const double inputs[][2] = {{0, 0}, {-15.5, 1}, {3.25, 1000}};
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < TAP_N; i++) {
            share(&r, run.x, i, inputs[k][0], run.x_bits);
            share(&r, run.u, i, inputs[k][1], 16);
        }
        roles_run(&r, run_role, &run);
        uint64_t e[TAP_N], *open = h.open[0];
        for (size_t i = 0; i < TAP_N; i++)
            e[i] = (h.e[0][i] + h.e[1][i]) & 0xfffff;
        for (size_t i = 0; i < TAP_WORDS; i++)
            open[i] += h.open[1][i];
        for (int byte = 0; byte < 2; byte++)
            cr_assert_lt(byte_z(e, TAP_N, byte), UNIFORM_MOST, "index, input %zu byte %d", k, byte);
        for (int word = 0; word < 3; word++)
            for (int byte = 0; byte < 8; byte++)
                cr_assert_lt(byte_z(open + word * TAP_N, TAP_N, byte), UNIFORM_MOST, "word %d, input %zu byte %d", word, k,
                             byte);
    }
    heard_free(&h);
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
