/* hidden_open.c — state that v3-ot and v3-mpc share: rotations, scales, and the offline phase of a layer. */
#include <math.h>
#include <stdlib.h>

#include "variants/lib/hidden.h"

enum { HEADROOM_BITS = 13 }; /* |silu(g) u| */

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
    SS_TRY_OUT(ss_buf_alloc(c, b, bytes, SS_TAG_workspace));
    SS_TRY_OUT(c->backend->upload(c->dev, b->p, cs, bytes));
out:
    free(cs);
    return err;
}

enum ss_err ss_hidden_open(struct ss_ctx *c, struct ss_hidden *v, const struct ss_hidden_plan *p)
{
    const struct ss_shape *s = c->shape;
    const size_t most = (size_t)1 << SS_CORR_MAX_LEVELS;
    if (c->max_tokens > most)
        SS_FAIL(SS_USAGE, "%zu positions: the maximum of a row in %s covers %zu; use fewer tokens", c->max_tokens,
                c->variant->name, most);
    v->plan = p;
    c->frac_bits = p->f;
    SS_TRY(ss_supply_open(c, &v->supply, p->source, p->ot_triples));
    SS_TRY(ss_buf_alloc(c, &v->column_bits, 2 * ss_shape_qkv_rows(s), SS_TAG_workspace));
    if (c->role == SS_DEALER)
        return SS_OK;
    const double root = sqrt((double)s->d_head); /* 2^(score_bits - 2f) of it is in the scores' scale */
    SS_TRY(open_rotation(c, &v->q_rotation, ldexp(1, (int)(p->score_bits - 2 * p->f)) / root));
    SS_TRY(open_rotation(c, &v->k_rotation, 1));
    SS_TRY(ss_buf_alloc(c, &v->gain, s->d_model * sizeof(uint64_t), SS_TAG_workspace));
    return ss_buf_alloc(c, &v->product, c->max_tokens * s->d_model * sizeof(uint64_t), SS_TAG_shares);
}

void ss_hidden_close(struct ss_ctx *c, struct ss_hidden *v)
{
    struct ss_buf *all[] = {&v->q_rotation, &v->k_rotation, &v->column_bits, &v->gain, &v->product,
                            &v->opened,     &v->messages,   &v->room,        &v->rows, &v->work};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ss_buf_free(c, all[i]);
    if (v->plan)
        ss_supply_close(c, &v->supply);
}

/* The two columns that RoPE mixes are first brought to one scale. */
static enum ss_err upload_column_bits(struct ss_ctx *c, struct ss_hidden *v, const uint8_t *row_bits)
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

static enum ss_err layer_bits(struct ss_ctx *c, struct ss_hidden *v, const struct ss_layer *w)
{
    const size_t d_ff = c->shape->d_ff;
    const uint8_t *up = w->gate_up.w.h_row_bits + d_ff;
    unsigned widest = 0;
    for (size_t j = 0; j < d_ff; j++)
        widest = up[j] > widest ? up[j] : widest;
    const int value = 62 - HEADROOM_BITS - (int)v->plan->f - (int)widest;
    v->bits.silu = value < SS_SILU_LEAST_BITS  ? SS_SILU_LEAST_BITS
                   : value > SS_SILU_MOST_BITS ? SS_SILU_MOST_BITS
                                               : (unsigned)value;
    v->bits.out = w->out.w.row_bits;
    v->bits.up = w->gate_up.w.row_bits + d_ff;
    v->bits.down = w->down.w.row_bits;
    SS_TRY(upload_column_bits(c, v, w->qkv.w.h_row_bits));
    return v->plan->fn->layer(c, w);
}

enum ss_err ss_hidden_offline(struct ss_ctx *c, const struct ss_layer *w, size_t layer)
{
    struct ss_hidden *v = c->state;
    struct ss_needs needs;
    if (layer < c->shape->n_layers)
        SS_TRY(layer_bits(c, v, w));
    ss_hidden_needs(&needs, v->plan, &v->bits, layer, c->tokens, c->past, c->all_logits ? c->tokens : 1);
    return ss_supply_layer(c, &v->supply, &needs);
}
