/* oblivious_tables.c — v3-ot's state: the tables. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "variants/lib/oblivious.h"

static const double SEED_RSQRT_LEAST = 0.01; /* mean square */

static double silu(double x, const void *arg)
{
    (void)arg;
    return x / (1 + exp(-x));
}

/* The tournament's maximum may be a little low; far above it nothing comes. */
static double exp_below_one(double x, const void *arg)
{
    (void)arg;
    return exp(x < 1 ? x : 1);
}

static double relu(double x, const void *arg)
{
    (void)arg;
    return x > 0 ? x : 0;
}

static double reciprocal(double x, const void *arg)
{
    (void)arg;
    return 1 / x;
}

/* Of a sum of squares. */
static double rsqrt(double x, const void *arg)
{
    const struct ss_oblivious_plan *p = arg;
    const double mean = x / (double)p->h.shape->d_model;
    if (p->seed)
        return 1 / sqrt(fmax(mean, SEED_RSQRT_LEAST));
    return 1 / sqrt(fmax(mean, -p->h.shape->eps / 2) + p->h.shape->eps); /* a table's first segment begins below 0 */
}

static enum ss_err open_tables(struct ss_ctx *c, struct ss_oblivious *v)
{
    const struct ss_oblivious_plan *p = &v->plan;
    v->exp = (struct ss_table){.shape = p->exp, .step_bits = p->exp_step, .value_bits = v->plan.h.exp_bits};
    v->exp.lo = -p->exp_width * 15 / 16; /* head-room above 0 */
    SS_TRY(ss_table_open(c, &v->exp, exp_below_one, NULL));
    v->relu = (struct ss_table){.shape = p->relu, .step_bits = p->relu_step, .value_bits = p->h.score_bits};
    v->relu.lo = -p->relu_width / 2;
    SS_TRY(ss_table_open(c, &v->relu, relu, NULL));
    v->rsqrt.windows = p->rsqrt_windows;
    SS_TRY(ss_wide_open(c, &v->rsqrt, &p->rsqrt, p->rsqrt_first, 2 * p->h.f, SS_RSQRT_BITS, 0, rsqrt, p));
    v->recip.windows = ss_recip_windows(p, c->max_tokens);
    return ss_wide_open(c, &v->recip, &ss_wide_value, (int)p->recip_first, v->plan.h.exp_bits, p->h.recip_bits, 8, reciprocal,
                        NULL);
}

static enum ss_err check_options(const struct ss_ctx *c, const struct ss_oblivious_plan *p)
{
    if (!c->backend->lookup_sum || !c->backend->dpf_eval || !c->backend->gemm_u64_scores)
        SS_FAIL(SS_SKIP, "v3-ot's lookups are not on %s yet; use --backend cpu", c->backend->name);
    if (p->silu_step > (int)p->h.f)
        SS_FAIL(SS_USAGE, "SiLU's table has steps of 2^-%d, finer than f = %u bits; use fewer entries or a wider range",
                p->silu_step, p->h.f);
    return SS_OK;
}

enum ss_err ss_oblivious_open(struct ss_ctx *c)
{
    struct ss_oblivious *v = calloc(1, sizeof *v);
    if (!v)
        SS_FAIL(SS_ENV, "out of memory for the state of %s", c->variant->name);
    c->state = v;
    ss_oblivious_plan(&v->plan, c->shape, c->option);
    SS_TRY(check_options(c, &v->plan));
    SS_TRY(ss_hidden_open(c, &v->h, &v->plan.h));
    return c->role == SS_DEALER ? SS_OK : open_tables(c, v);
}

void ss_oblivious_close(struct ss_ctx *c)
{
    struct ss_oblivious *v = c->state;
    if (!v)
        return;
    for (size_t i = 0; i < SS_SILU_TABLES; i++)
        ss_table_close(c, &v->silu[i]);
    ss_table_close(c, &v->exp);
    ss_table_close(c, &v->relu);
    ss_wide_close(c, &v->rsqrt);
    ss_wide_close(c, &v->recip);
    ss_hidden_close(c, &v->h);
    free(v);
    c->state = NULL;
}

enum ss_err ss_oblivious_layer(struct ss_ctx *c, const struct ss_layer *w)
{
    struct ss_oblivious *v = c->state;
    struct ss_table *t = &v->silu[v->h.bits.silu - SS_SILU_LEAST_BITS];
    (void)w;
    if (c->role == SS_DEALER || t->buf.p)
        return SS_OK;
    *t = (struct ss_table){.shape = ss_silu_shape(&v->plan, v->h.bits.silu),
                           .step_bits = v->plan.silu_step,
                           .value_bits = v->h.bits.silu,
                           .lo = -v->plan.silu_width / 2};
    return ss_table_open(c, t, silu, NULL);
}

/* Ranges less the outermost steps, which a noisy index may leave. */
enum ss_err ss_oblivious_functions(struct ss_ctx *c, struct ss_function_fit fit[SS_N_FUNCTIONS])
{
    const struct ss_oblivious *v = c->state;
    const struct ss_oblivious_plan *p = &v->plan;
    struct ss_function_fit *s = &fit[SS_FN_silu], *e = &fit[SS_FN_exp], *r = &fit[SS_FN_relu], *q = &fit[SS_FN_rsqrt];
    memset(fit, 0, SS_N_FUNCTIONS * sizeof *fit);
    s->hi = p->silu_width / 2 - ldexp(1, -p->silu_step);
    s->lo = -s->hi;
    for (size_t i = 0; i < SS_SILU_TABLES; i++)
        if (v->silu[i].buf.p)
            SS_TRY(ss_table_error(c, &s->error, &v->silu[i], silu, NULL, s->lo, s->hi, false));
    e->lo = v->exp.lo + ldexp(1, -p->exp_step);
    e->hi = p->exp_width / 16 - ldexp(1, -p->exp_step);
    SS_TRY(ss_table_error(c, &e->error, &v->exp, exp_below_one, NULL, e->lo, 0, false));
    r->hi = p->relu_width / 2 - ldexp(1, -p->relu_step);
    r->lo = -r->hi;
    SS_TRY(ss_table_error(c, &r->error, &v->relu, relu, NULL, r->lo, r->hi, false));
    fit[SS_FN_recip].lo = 0.25; /* index 32 */
    SS_TRY(ss_wide_error(c, &fit[SS_FN_recip].error, &fit[SS_FN_recip].hi, &v->recip, ss_recip_windows(p, c->tokens + c->past),
                         reciprocal, NULL, 0.25));
    q->lo = p->seed ? SEED_RSQRT_LEAST * (double)p->h.shape->d_model : 0;
    return ss_wide_error(c, &q->error, &q->hi, &v->rsqrt, p->rsqrt_windows, rsqrt, p, q->lo);
}
