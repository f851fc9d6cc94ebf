/* oblivious_open.c — v3-ot's state: tables, rotations, and the offline phase of a layer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "variants/lib/oblivious.h"

enum { HEADROOM_BITS = 13 }; /* |silu(g) u| */

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
    const double mean = x / (double)p->shape->d_model;
    if (p->seed)
        return 1 / sqrt(fmax(mean, SEED_RSQRT_LEAST));
    return 1 / sqrt(fmax(mean, -p->shape->eps / 2) + p->shape->eps); /* a table's first segment begins below 0 */
}

static enum ss_err open_tables(struct ss_ctx *c, struct ss_oblivious *v)
{
    const struct ss_oblivious_plan *p = &v->plan;
    v->exp = (struct ss_table){.shape = p->exp, .step_bits = p->exp_step, .value_bits = SS_EXP_BITS};
    v->exp.lo = -p->exp_width * 15 / 16; /* head-room above 0 */
    SS_TRY(ss_table_open(c, &v->exp, exp_below_one, NULL));
    v->relu = (struct ss_table){.shape = p->relu, .step_bits = p->relu_step, .value_bits = p->score_bits};
    v->relu.lo = -p->relu_width / 2;
    SS_TRY(ss_table_open(c, &v->relu, relu, NULL));
    v->rsqrt.windows = p->rsqrt_windows;
    SS_TRY(ss_wide_open(c, &v->rsqrt, &p->rsqrt, p->rsqrt_first, 2 * p->f, SS_RSQRT_BITS, 0, rsqrt, p));
    v->recip.windows = ss_recip_windows(p, c->max_tokens);
    return ss_wide_open(c, &v->recip, &ss_wide_value, (int)p->recip_first, SS_EXP_BITS, SS_RECIP_BITS, 8, reciprocal, NULL);
}

/* scale times cosines and sines of every position, at SS_ROPE_BITS. */
static enum ss_err open_rotation(struct ss_ctx *c, struct ss_buf *b, double scale)
{
    const size_t half = c->shape->d_head / 2, bytes = c->max_tokens * 2 * half * sizeof(int32_t);
    int32_t *cs = malloc(bytes);
    if (!cs)
        SS_FAIL(SS_ENV, "out of memory for %zu rotations", c->max_tokens);
    for (size_t pos = 0; pos < c->max_tokens; pos++)
        for (size_t i = 0; i < half; i++) {
            const double angle = (double)pos * pow(c->shape->rope_theta, -(double)i / (double)half);
            cs[2 * pos * half + i] = (int32_t)lrint(ldexp(scale * cos(angle), SS_ROPE_BITS));
            cs[(2 * pos + 1) * half + i] = (int32_t)lrint(ldexp(scale * sin(angle), SS_ROPE_BITS));
        }
    enum ss_err err = SS_OK;
    SS_TRY_OUT(ss_buf_alloc(c, b, bytes, SS_TAG_tables));
    SS_TRY_OUT(c->backend->upload(c->dev, b->p, cs, bytes));
out:
    free(cs);
    return err;
}

static enum ss_err check_options(const struct ss_ctx *c, const struct ss_oblivious_plan *p)
{
    if (!c->backend->lookup_sum || !c->backend->dpf_eval || !c->backend->gemm_u64_scores)
        SS_FAIL(SS_SKIP, "v3-ot's lookups are not on %s yet; use --backend cpu", c->backend->name);
    if (p->silu_step > (int)p->f)
        SS_FAIL(SS_USAGE, "SiLU's table has steps of 2^-%d, finer than f = %u bits; use fewer entries or a wider range",
                p->silu_step, p->f);
    return SS_OK;
}

enum ss_err ss_oblivious_open(struct ss_ctx *c)
{
    struct ss_oblivious *v = calloc(1, sizeof *v);
    if (!v)
        SS_FAIL(SS_ENV, "out of memory for the state of %s", c->variant->name);
    c->state = v;
    const struct ss_shape *s = c->shape;
    ss_oblivious_plan(&v->plan, s, c->option);
    c->frac_bits = v->plan.f;
    SS_TRY(check_options(c, &v->plan));
    SS_TRY(ss_supply_open(c, &v->supply, v->plan.source));
    SS_TRY(ss_buf_alloc(c, &v->column_bits, 2 * ss_shape_qkv_rows(s), SS_TAG_tables));
    if (c->role == SS_DEALER)
        return SS_OK;
    const double root = sqrt((double)s->d_head); /* 2^(score_bits - 2f) of it is in the scores' scale */
    SS_TRY(open_tables(c, v));
    SS_TRY(open_rotation(c, &v->q_rotation, ldexp(1, (int)(v->plan.score_bits - 2 * v->plan.f)) / root));
    SS_TRY(open_rotation(c, &v->k_rotation, 1));
    SS_TRY(ss_buf_alloc(c, &v->gain, s->d_model * sizeof(uint64_t), SS_TAG_tables));
    return ss_buf_alloc(c, &v->product, c->max_tokens * s->d_model * sizeof(uint64_t), SS_TAG_shares);
}

void ss_oblivious_close(struct ss_ctx *c)
{
    struct ss_oblivious *v = c->state;
    if (!v)
        return;
    struct ss_buf *all[] = {&v->q_rotation, &v->k_rotation, &v->column_bits, &v->gain, &v->product,
                            &v->opened,     &v->messages,   &v->room,        &v->rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ss_buf_free(c, all[i]);
    for (size_t i = 0; i < SS_SILU_TABLES; i++)
        ss_table_close(c, &v->silu[i]);
    ss_table_close(c, &v->exp);
    ss_table_close(c, &v->relu);
    ss_wide_close(c, &v->rsqrt);
    ss_wide_close(c, &v->recip);
    if (v->plan.source)
        ss_supply_close(c, &v->supply);
    free(v);
    c->state = NULL;
}

/* The two columns that RoPE mixes are first brought to one scale. */
static enum ss_err upload_column_bits(struct ss_ctx *c, struct ss_oblivious *v, const uint8_t *row_bits)
{
    const struct ss_shape *s = c->shape;
    const size_t n = ss_shape_qkv_rows(s), half = s->d_head / 2, rotated = (s->n_heads + s->n_kv) * s->d_head;
    uint8_t *bits = malloc(2 * n);
    if (!bits)
        SS_FAIL(SS_ENV, "out of memory for the scales of %zu columns", n);
    for (size_t j = 0; j < n; j++) {
        const uint8_t mine = row_bits[j], other = j < rotated ? row_bits[j % s->d_head < half ? j + half : j - half] : mine;
        const uint8_t both = mine > other ? mine : other;
        bits[j] = (uint8_t)(both - mine);
        bits[n + j] = (uint8_t)(both + (j < rotated ? SS_ROPE_BITS : 0));
    }
    enum ss_err err = c->backend->upload(c->dev, v->column_bits.p, bits, 2 * n);
    free(bits);
    v->bits.qkv = (const uint8_t *)v->column_bits.p + n;
    return err;
}

static enum ss_err layer_bits(struct ss_ctx *c, struct ss_oblivious *v, const struct ss_layer *w)
{
    const size_t d_ff = c->shape->d_ff;
    const uint8_t *up = w->gate_up.w.h_row_bits + d_ff;
    unsigned widest = 0;
    for (size_t j = 0; j < d_ff; j++)
        widest = up[j] > widest ? up[j] : widest;
    const int value = 62 - HEADROOM_BITS - (int)v->plan.f - (int)widest;
    v->bits.silu = value < SS_SILU_LEAST_BITS  ? SS_SILU_LEAST_BITS
                   : value > SS_SILU_MOST_BITS ? SS_SILU_MOST_BITS
                                               : (unsigned)value;
    v->bits.out = w->out.w.row_bits;
    v->bits.up = w->gate_up.w.row_bits + d_ff;
    v->bits.down = w->down.w.row_bits;
    SS_TRY(upload_column_bits(c, v, w->qkv.w.h_row_bits));
    struct ss_table *t = &v->silu[v->bits.silu - SS_SILU_LEAST_BITS];
    if (c->role == SS_DEALER || t->buf.p)
        return SS_OK;
    *t = (struct ss_table){.shape = ss_silu_shape(&v->plan, v->bits.silu),
                           .step_bits = v->plan.silu_step,
                           .value_bits = v->bits.silu,
                           .lo = -v->plan.silu_width / 2};
    return ss_table_open(c, t, silu, NULL);
}

enum ss_err ss_oblivious_offline(struct ss_ctx *c, const struct ss_layer *w, size_t layer)
{
    struct ss_oblivious *v = c->state;
    struct ss_needs needs;
    if (layer < c->shape->n_layers)
        SS_TRY(layer_bits(c, v, w));
    ss_oblivious_needs(&needs, &v->plan, &v->bits, layer, c->tokens, c->past, c->all_logits ? c->tokens : 1);
    return ss_supply_layer(c, &v->supply, &needs);
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
    q->lo = p->seed ? SEED_RSQRT_LEAST * (double)p->shape->d_model : 0;
    return ss_wide_error(c, &q->error, &q->hi, &v->rsqrt, p->rsqrt_windows, rsqrt, p, q->lo);
}
