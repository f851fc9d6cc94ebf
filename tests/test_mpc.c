/* test_mpc.c — v3-mpc's functions between dealer and parties over their whole ranges, against the errors that it states. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "variants/lib/mpc.h"
#include "variants/variant.h"

enum { MAX_N = 600 };
enum function { RSQRT, RELU, EXP, RECIP };

struct run {
    enum function fn;
    size_t n, positions;
    uint64_t x[2][MAX_N], out[2][MAX_N];
    struct ss_function_fit fit[SS_N_FUNCTIONS]; /* P0's */
};

static enum ss_err evaluate(struct ss_ctx *c, struct run *run)
{
    uint64_t *x = run->x[c->role], *out = run->out[c->role];
    switch (run->fn) {
    case RSQRT:
        return ss_mpc_rsqrt(c, SS_CORR_attn_norm + 1, out, x, run->n);
    case RECIP:
        return ss_mpc_recip(c, out, x, run->n, run->positions);
    case RELU:
        memcpy(out, x, run->n * sizeof *x);
        return ss_mpc_relu(c, SS_CORR_relu, out, run->n);
    default:
        memcpy(out, x, run->n * sizeof *x);
        return ss_mpc_exp(c, out, run->n);
    }
}

static void needs_of(struct ss_needs *l, const struct ss_hidden_plan *p, const struct run *run)
{
    l->n = 0;
    if (run->fn == RSQRT)
        p->fn->need_rsqrt(l, p, SS_CORR_attn_norm + 1, run->n);
    else if (run->fn == RELU)
        p->fn->need_relu(l, p, SS_CORR_relu, run->n);
    else if (run->fn == EXP)
        p->fn->need_exp(l, p, run->n);
    else
        p->fn->need_recip(l, p, run->n, run->positions);
}

static enum ss_err run_role(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    struct ss_needs needs;
    SS_TRY(ss_mpc_open(c));
    struct ss_mpc *v = c->state;
    v->least_power = 28; /* of a layer's gate, which these functions have none of */
    v->least_silu = 20;
    c->phase = SS_OFFLINE;
    needs_of(&needs, &v->plan.h, run);
    SS_TRY(ss_supply_layer(c, &v->h.supply, &needs));
    c->phase = SS_ONLINE;
    c->tokens = run->positions;
    if (c->role != SS_DEALER) {
        const int64_t before = c->counters.rounds_online;
        const struct ss_function_rounds rounds = v->plan.h.fn->rounds(&v->plan.h, run->positions);
        const size_t want[] = {rounds.rsqrt, rounds.relu, rounds.exp, rounds.recip};
        SS_TRY(evaluate(c, run));
        SS_REQUIRE(c->counters.rounds_online - before == (int64_t)want[run->fn]);
    }
    if (c->role == SS_P0)
        SS_TRY(ss_mpc_functions(c, run->fit));
    ss_mpc_close(c);
    c->pass++;
    return SS_OK;
}

static void set_up(struct roles *r, const char *options, size_t d_model, double eps)
{
    roles_open(r, NULL, NULL);
    r->shape.d_model = d_model;
    r->shape.eps = eps;
    r->shape.d_head = 64;
    r->shape.rope_theta = 1e6;
    for (int role = 0; role < SS_N_ROLES; role++) {
        r->ctx[role].variant = ss_variant_find("v3-mpc");
        r->ctx[role].max_tokens = 2;
        cr_assert_eq(ss_options_parse(r->ctx[role].variant, options, r->ctx[role].option), SS_OK);
    }
}

static void share(struct roles *r, struct run *run, size_t j, int64_t x)
{
    uint64_t mask;
    fill_random(r, &mask, 1);
    run->x[0][j] = mask;
    run->x[1][j] = (uint64_t)x - mask;
}

static double opened(const struct run *run, size_t j)
{
    return (double)(int64_t)(run->out[0][j] + run->out[1][j]);
}

/* Sums of squares 0, every power of two and its neighbours up to the limit 2^62, less eps. */
static void rsqrt_everywhere(const char *options, unsigned f, size_t d, double eps)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    int64_t *x = calloc(MAX_N, sizeof *x);
    set_up(&r, options, d, eps);
    const int64_t most = ((int64_t)1 << 62) - llrint(ldexp(eps * (double)d, 2 * (int)f)) - 1;
    run->fn = RSQRT;
    run->positions = 1;
    for (unsigned k = 0; k <= 62; k++)
        for (int64_t near = -1; near <= 1; near++) {
            const int64_t value = ((int64_t)1 << k) + near;
            x[run->n++] = value < most ? value : most;
            x[run->n++] = (value < most ? value : most) / 3 * 2;
        }
    for (size_t j = 0; j < run->n; j++)
        share(&r, run, j, x[j]);
    roles_run(&r, run_role, run);
    const double bound = run->fit[SS_FN_rsqrt].error;
    double worst = 0;
    for (size_t j = 0; j < run->n; j++) {
        const double want = 1 / sqrt(ldexp((double)x[j], -2 * (int)f) / (double)d + eps);
        const double error = fabs(ldexp(opened(run, j), -SS_RSQRT_BITS) / want - 1);
        cr_assert_leq(error, bound, "%s, d = %zu, eps = %g, x = %lld: %g", options, d, eps, (long long)x[j], error);
        worst = fmax(worst, error);
    }
    cr_expect_gt(worst, bound / 200, "%s, d = %zu: %g is stated, %g is seen", options, d, bound, worst);
    cr_expect_float_eq(run->fit[SS_FN_rsqrt].hi, ldexp(1, 62 - 2 * (int)f), 1e-3 * ldexp(1, 62 - 2 * (int)f));
    free(x);
    free(run);
    roles_close(&r);
}

Test(mpc, rsqrt_over_every_octave_errs_by_no_more_than_it_states)
{
    rsqrt_everywhere("", 16, 1536, 1e-6);
    rsqrt_everywhere("", 16, 8, 1e-5);
    rsqrt_everywhere("frac=12", 12, 8192, 1e-6);
    rsqrt_everywhere("frac=12", 12, 256, 1e-6);
    rsqrt_everywhere("frac=18", 18, 8192, 0.1);
    rsqrt_everywhere("frac=18", 18, 64, ldexp(1, -28));
    rsqrt_everywhere("source=ot", 16, 512, 1e-6);
}

Test(mpc, rsqrt_is_within_2e_4_at_16_bits)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    set_up(&r, "", 1536, 1e-6);
    run->n = 1;
    run->positions = 1;
    roles_run(&r, run_role, run);
    cr_assert_lt(run->fit[SS_FN_rsqrt].error, 2e-4);
    cr_assert_lt(run->fit[SS_FN_exp].error, 1.1e-3);
    free(run);
    roles_close(&r);
}

Test(mpc, an_eps_that_its_scales_cannot_hold_is_refused)
{
    static const struct {
        const char *options;
        size_t d_model;
        double eps;
        bool fits;
    } cases[] = {{"", 64, 1e-9, false},       {"", 64, 1e-12, false},     {"", 64, 4e-9, true},
                 {"frac=12", 8, 1e-8, false}, {"frac=12", 8, 1e-6, true}, {"frac=18", 8, 1e-8, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct roles r;
        set_up(&r, cases[i].options, cases[i].d_model, cases[i].eps);
        ss_set_error_silent(1);
        const enum ss_err err = ss_mpc_open(&r.ctx[0]);
        cr_expect_eq(err, cases[i].fits ? SS_OK : SS_USAGE, "case %zu", i);
        if (!cases[i].fits)
            cr_expect(strstr(ss_last_error(), "eps"), "%s", ss_last_error());
        ss_mpc_close(&r.ctx[0]);
        roles_close(&r);
    }
}

Test(mpc, more_positions_than_a_tournament_has_levels_are_refused)
{
    struct roles r;
    set_up(&r, "", 64, 1e-6);
    r.ctx[SS_DEALER].max_tokens = 1 << 16;
    cr_expect_eq(ss_mpc_open(&r.ctx[SS_DEALER]), SS_OK, "%s", ss_last_error());
    ss_mpc_close(&r.ctx[SS_DEALER]);
    ss_set_error_silent(1);
    r.ctx[SS_P0].max_tokens = (1 << 16) + 1;
    cr_expect_eq(ss_mpc_open(&r.ctx[SS_P0]), SS_USAGE);
    cr_expect(strstr(ss_last_error(), "65537 positions"), "%s", ss_last_error());
    ss_mpc_close(&r.ctx[SS_P0]);
    roles_close(&r);
}

/* Sums of exp: 1/2, every power of two, and the full sum of equal scores. */
static void recip_everywhere(const char *options, size_t positions)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    double x[MAX_N];
    set_up(&r, options, 64, 1e-6);
    run->fn = RECIP;
    run->positions = positions;
    x[run->n++] = 0.5;
    for (int i = 0; i < 200; i++)
        x[run->n++] = ldexp(rint(ldexp(pow((double)positions, i / 199.0), SS_MPC_EXP_BITS)), -SS_MPC_EXP_BITS);
    for (double p = 1; p <= (double)positions; p *= 2)
        x[run->n++] = p;
    for (size_t j = 0; j < run->n; j++)
        share(&r, run, j, llrint(ldexp(x[j], SS_MPC_EXP_BITS)));
    roles_run(&r, run_role, run);
    const struct ss_function_fit *fit = &run->fit[SS_FN_recip];
    cr_assert(fit->lo <= 0.5 && fit->hi > (double)positions);
    cr_assert_lt(fit->error, positions > 1000 ? 1e-4 : 3e-5);
    for (size_t j = 0; j < run->n; j++)
        cr_assert_leq(fabs(ldexp(opened(run, j), -30) * x[j] - 1), fit->error, "%s, %zu positions, x = %g: %g", options,
                      positions, x[j], ldexp(opened(run, j), -30));
    free(run);
    roles_close(&r);
}

Test(mpc, recip_of_1_to_32768_positions_errs_by_no_more_than_it_states)
{
    static const size_t positions[] = {1, 2, 3, 7, 8, 56, 4096, 32768};
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++)
        recip_everywhere(i % 2 ? "" : "frac=12", positions[i]);
    recip_everywhere("source=ot", 5);
}

static void exp_everywhere(const char *options, unsigned f)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    double x[MAX_N];
    set_up(&r, options, 64, 1e-6);
    const int bits = (int)ss_score_bits(&r.shape, f);
    run->fn = EXP;
    run->positions = 1;
    for (int i = 0; i <= 300; i++)
        x[run->n++] = -i / 20.0; /* 0 to -15 */
    for (int k = 4; k < 61 - bits; k++)
        x[run->n++] = -ldexp(1, k);
    x[run->n++] = -14 - ldexp(1, -bits);
    x[run->n++] = -ldexp(1, -bits);
    for (size_t j = 0; j < run->n; j++)
        share(&r, run, j, llrint(ldexp(x[j], bits)));
    roles_run(&r, run_role, run);
    const double bound = run->fit[SS_FN_exp].error;
    for (size_t j = 0; j < run->n; j++) {
        const double y = ldexp(opened(run, j), -SS_MPC_EXP_BITS);
        cr_assert_leq(fabs(y - exp(x[j])), bound, "%s, x = %g: %g", options, x[j], y);
        cr_assert(x[j] > -14 || x[j] == -14 || y == 0, "x = %g: %g, not 0", x[j], y);
        cr_assert(y >= 0 && y <= 1 && (x[j] < 0 || y == 1), "x = %g: %g", x[j], y);
    }
    free(run);
    roles_close(&r);
}

Test(mpc, exp_errs_by_no_more_than_it_states_and_is_1_at_0)
{
    exp_everywhere("frac=12", 12);
    exp_everywhere("", 16);
    exp_everywhere("frac=18", 18);
    exp_everywhere("source=ot", 16);
}

Test(mpc, relu_is_exact)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    int64_t x[MAX_N];
    set_up(&r, "", 64, 1e-6);
    run->fn = RELU;
    run->positions = 1;
    for (int k = 0; k < 62; k++)
        for (int sign = -1; sign <= 1; sign++)
            x[run->n++] = sign * ((int64_t)1 << k);
    for (size_t j = 0; j < run->n; j++)
        share(&r, run, j, x[j]);
    roles_run(&r, run_role, run);
    for (size_t j = 0; j < run->n; j++)
        cr_assert_eq((int64_t)opened(run, j), x[j] > 0 ? x[j] : 0);
    free(run);
    roles_close(&r);
}

/* ---- SwiGLU: gates of several row bits, `up` 1, so that what comes out is SiLU. */
enum { COLS = 64, ROWS = 20, UP_BITS = 10, SILU = 20 };

struct gates {
    uint8_t bits[2 * COLS]; /* of gate, then up */
    uint64_t gate_up[2][ROWS * 2 * COLS], out[2][ROWS * COLS];
    struct ss_function_fit fit[SS_N_FUNCTIONS];
};

static enum ss_err swiglu_role(struct ss_ctx *c, void *arg)
{
    struct gates *g = arg;
    struct ss_needs needs = {0};
    const struct ss_layer layer = {.gate_up = {.w = {.h_row_bits = g->bits}}};
    SS_TRY(ss_mpc_open(c));
    struct ss_mpc *v = c->state;
    v->h.bits.silu = SILU;
    c->phase = SS_OFFLINE;
    SS_TRY(ss_mpc_layer(c, &layer));
    v->plan.h.fn->need_swiglu(&needs, &v->plan.h, &v->h.bits, ROWS);
    SS_TRY(ss_supply_layer(c, &v->h.supply, &needs));
    c->phase = SS_ONLINE;
    c->tokens = ROWS;
    if (c->role != SS_DEALER) {
        const struct ss_val gate_up = {
            .buf = {.p = g->gate_up[c->role]}, .rows = ROWS, .cols = 2 * COLS, .bits = v->plan.h.f, .col_bits = g->bits};
        struct ss_val out = {.buf = {.p = g->out[c->role]}};
        SS_TRY(ss_mpc_swiglu(c, &out, &gate_up));
    }
    if (c->role == SS_P0)
        SS_TRY(ss_mpc_functions(c, g->fit));
    ss_mpc_close(c);
    return SS_OK;
}

/* Gates over [-far, far]. Returns the largest error there; what is stated must hold for gates that are covered. */
static double silu_everywhere(const char *options, unsigned f, double far)
{
    struct roles r;
    struct gates *g = calloc(1, sizeof *g);
    double worst = 0;
    set_up(&r, options, 64, 1e-6);
    r.shape.d_ff = COLS;
    fill_random(&r, g->gate_up[0], ROWS * 2 * COLS);
    for (size_t j = 0; j < COLS; j++) {
        g->bits[j] = (uint8_t)(14 + j % 13);
        g->bits[COLS + j] = UP_BITS;
    }
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < 2 * COLS; j++) {
            const double x = j < COLS ? far * (2.0 * (double)(j * ROWS + i) / (COLS * ROWS - 1) - 1) : 1;
            g->gate_up[1][i * 2 * COLS + j] =
                (uint64_t)llrint(ldexp(x, (int)(f + g->bits[j]))) - g->gate_up[0][i * 2 * COLS + j];
        }
    roles_run(&r, swiglu_role, g);
    const struct ss_function_fit *fit = &g->fit[SS_FN_silu];
    for (size_t k = 0; k < ROWS * COLS; k++) {
        const size_t i = k % ROWS, j = k / ROWS;
        const double x = far * (2.0 * (double)k / (COLS * ROWS - 1) - 1), want = x / (1 + exp(-x));
        const double got =
            ldexp((double)(int64_t)(g->out[0][i * COLS + j] + g->out[1][i * COLS + j]), -(int)(SILU + f + UP_BITS));
        worst = fmax(worst, fabs(got - want));
        if (x > fit->lo && x < fit->hi)
            cr_assert_leq(fabs(got - want), fit->error, "%s, x = %g: %g, not %g", options, x, got, want);
    }
    if (far < 20 && far <= fit->hi) /* many points in the pieces */
        cr_assert_gt(worst, fit->error / 3, "%s: %g is stated, %g is seen", options, fit->error, worst);
    free(g);
    roles_close(&r);
    return worst;
}

Test(mpc, silu_errs_by_no_more_than_it_states)
{
    for (unsigned degree = 3; degree <= 9; degree++) {
        char options[64];
        snprintf(options, sizeof options, "degree=%u", degree);
        silu_everywhere(options, 16, 8.5);
        silu_everywhere(options, 16, 8000);
    }
    silu_everywhere("frac=12", 12, 9);
    silu_everywhere("frac=18,degree=9", 18, 9);
    silu_everywhere("source=ot", 16, 9);
}

Test(mpc, silu_without_pieces_fails_beyond_8_and_wraps_far_out)
{
    cr_expect_lt(silu_everywhere("degree=5,pieces=none", 16, 7.99), 0.42);
    cr_expect_gt(silu_everywhere("degree=5,pieces=none", 16, 16), 4, "the polynomial leaves the function");
    cr_expect_gt(silu_everywhere("degree=5,pieces=none", 16, 400), 400, "powers wrap");
    cr_expect_lt(silu_everywhere("degree=5", 16, 400), 0.01);
}
