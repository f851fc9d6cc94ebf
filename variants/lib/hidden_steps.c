/* hidden_steps.c — v3-ot and v3-mpc online: norm, rotation, softmax attention, SwiGLU, residual projections. */
#include "variants/lib/hidden.h"
#include "variants/lib/sharing.h"

enum ss_err ss_hidden_trunc(struct ss_ctx *c, enum ss_corr_slot slot, struct ss_val *v)
{
    struct ss_hidden *o = c->state;
    const size_t n = v->rows * v->cols;
    SS_TRY(ss_buf_grow(c, &o->messages, 2 * n * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *mine = (uint64_t *)o->messages.p;
    SS_TRY(ss_trunc(c, &o->supply.corr[slot], slot, ss_u64(v), v, false, mine, mine + n));
    v->bits = c->frac_bits;
    v->col_bits = NULL;
    return SS_OK;
}

enum ss_err ss_hidden_rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain)
{
    struct ss_hidden *v = c->state;
    const struct ss_backend *b = c->backend;
    const enum ss_corr_slot slot = c->op == SS_OP_ffn_norm ? SS_CORR_ffn_norm : SS_CORR_attn_norm;
    const struct ss_ragged r = {.rows = x->rows, .cols = x->cols};
    c->counters.func_rsqrt += (int64_t)x->rows;
    const uint64_t *batch = ss_corr_take(c, &v->supply.corr[slot], slot, ss_beaver_words(SS_BEAVER_NORM, &r));
    SS_TRY(ss_buf_grow(c, &v->rows, 2 * r.rows * sizeof(uint64_t), SS_TAG_shares));
    uint64_t *squares = (uint64_t *)v->rows.p, *scale = squares + r.rows;
    SS_TRY(ss_beaver_squares(c, batch, &v->opened, squares, ss_u64(x), &r));
    SS_TRY(v->plan->fn->rsqrt(c, slot + 1, scale, squares, r.rows));
    SS_TRY(ss_beaver_scale_opened(c, batch, &v->opened, &v->messages, ss_u64(out), scale, &r));
    SS_TRY(b->ring_encode(c->dev, (uint64_t *)v->gain.p, gain, r.cols, SS_GAIN_BITS));
    SS_TRY(b->ring_scale_cols(c->dev, ss_u64(out), (const uint64_t *)v->gain.p, r.rows, r.cols));
    out->rows = r.rows;
    out->cols = r.cols;
    out->bits = c->frac_bits + SS_RSQRT_BITS + SS_GAIN_BITS;
    out->col_bits = NULL;
    return ss_hidden_trunc(c, slot + SS_CORR_NORM_SLOTS - 1, out);
}

enum ss_err ss_hidden_linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in, const struct ss_linear *w)
{
    struct ss_hidden *v = c->state;
    const enum ss_corr_slot slot = c->op == SS_OP_down ? SS_CORR_down : SS_CORR_attn_out;
    struct ss_val product = {.buf = v->product};
    SS_TRY(ss_sharing_linear(c, &product, in, w));
    const size_t n = product.rows * product.cols;
    SS_TRY(ss_buf_grow(c, &v->messages, 2 * n * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *mine = (uint64_t *)v->messages.p;
    return ss_trunc(c, &v->supply.corr[slot], slot, ss_u64(x), &product, true, mine, mine + n);
}

/* Public rotation of the untruncated projection, then one truncation of q, k and v. */
enum ss_err ss_hidden_rope(struct ss_ctx *c, struct ss_val *qkv)
{
    struct ss_hidden *v = c->state;
    const struct ss_backend *b = c->backend;
    const struct ss_shape *s = c->shape;
    const size_t q = s->n_heads * s->d_head, at = c->past * s->d_head;
    const uint8_t *up = (const uint8_t *)v->column_bits.p;
    SS_TRY(b->ring_rope(c->dev, ss_u64(qkv), qkv->rows, qkv->cols, s->n_heads, s->d_head, (const int32_t *)v->q_rotation.p + at,
                        up));
    SS_TRY(b->ring_rope(c->dev, ss_u64(qkv) + q, qkv->rows, qkv->cols, s->n_kv, s->d_head,
                        (const int32_t *)v->k_rotation.p + at, up + q));
    qkv->col_bits = v->bits.qkv;
    return ss_hidden_trunc(c, SS_CORR_qkv, qkv);
}

/* max(a, b) = b + relu(a - b), level by level. scores (causal rows) -> most (rows); buffer: 3 x values words. */
static enum ss_err tournament(struct ss_ctx *c, uint64_t *most, const uint64_t *scores, uint64_t *buffer,
                              const struct ss_ragged *r)
{
    struct ss_hidden *v = c->state;
    const struct ss_backend *b = c->backend;
    const size_t seen = ss_ragged_start(r, r->rows);
    uint64_t *turn[2] = {buffer, buffer + seen}, *diff = buffer + 2 * seen;
    const uint64_t *from = scores;
    size_t pairs;
    for (unsigned level = 0; (pairs = ss_tournament_pairs(r, level)) > 0; level++) {
        const enum ss_corr_slot slot = SS_CORR_relu + level;
        SS_REQUIRE(level < SS_CORR_MAX_LEVELS);
        SS_TRY(b->tournament_split(c->dev, diff, from, r, level));
        SS_TRY(v->plan->fn->relu(c, slot, diff, pairs));
        c->counters.func_relu += (int64_t)pairs;
        SS_TRY(b->tournament_join(c->dev, turn[level % 2], from, diff, r, level));
        from = turn[level % 2];
    }
    return b->copy(c->dev, most, from, r->rows * sizeof(uint64_t));
}

/* scores -> probabilities at f bits, in place. buffer: 3 x values words; rows: 3 x rows words. */
static enum ss_err softmax(struct ss_ctx *c, uint64_t *scores, uint64_t *buffer, uint64_t *rows, const struct ss_ragged *r)
{
    struct ss_hidden *v = c->state;
    const struct ss_backend *b = c->backend;
    const size_t seen = ss_ragged_start(r, r->rows);
    uint64_t *most = rows, *sum = rows + r->rows, *inverse = sum + r->rows;
    SS_TRY(tournament(c, most, scores, buffer, r));
    SS_TRY(b->ring_spread(c->dev, buffer, most, r));
    SS_TRY(b->ring_sub(c->dev, scores, scores, buffer, seen));
    SS_TRY(v->plan->fn->exp(c, scores, seen));
    SS_TRY(b->ring_row_sums(c->dev, sum, scores, r));
    SS_TRY(v->plan->fn->recip(c, inverse, sum, r->rows, c->tokens + c->past));
    SS_TRY(ss_beaver_scale(c, &v->supply.corr[SS_CORR_prob], SS_CORR_prob, &v->messages, scores, scores, inverse, r));
    struct ss_val p = {.buf = {.p = scores}, .rows = 1, .cols = seen, .bits = v->plan->exp_bits + v->plan->recip_bits};
    return ss_hidden_trunc(c, SS_CORR_prob_trunc, &p);
}

/* out stays at 2f: the output projection's truncation takes both. */
enum ss_err ss_hidden_attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv)
{
    struct ss_hidden *v = c->state;
    const struct ss_ragged r = ss_causal(c->shape, c->tokens, c->past);
    const size_t seen = ss_ragged_start(&r, r.rows);
    ss_count_softmax(c);
    SS_TRY(ss_buf_grow(c, &v->room, 4 * seen * sizeof(uint64_t), SS_TAG_shares));
    SS_TRY(ss_buf_grow(c, &v->rows, 3 * r.rows * sizeof(uint64_t), SS_TAG_shares));
    uint64_t *scores = (uint64_t *)v->room.p;
    SS_TRY(ss_attend_scores(c, &v->supply.attend, &v->supply.corr[SS_CORR_scores], &v->messages, scores, ss_u64(qkv)));
    SS_TRY(softmax(c, scores, scores + seen, (uint64_t *)v->rows.p, &r));
    SS_TRY(ss_attend_values(c, &v->supply.attend, &v->supply.corr[SS_CORR_values], &v->messages, ss_u64(out), scores));
    out->rows = qkv->rows;
    out->cols = c->shape->n_heads * c->shape->d_head;
    out->bits = 2 * c->frac_bits;
    out->col_bits = NULL;
    return SS_OK;
}

/* silu(gate) up from the untruncated projection; one truncation follows. */
enum ss_err ss_hidden_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up)
{
    struct ss_hidden *v = c->state;
    const size_t d_ff = c->shape->d_ff;
    c->counters.func_silu += (int64_t)(gate_up->rows * d_ff);
    SS_TRY(v->plan->fn->swiglu(c, out, gate_up));
    out->rows = gate_up->rows;
    out->cols = d_ff;
    out->bits = gate_up->bits + v->bits.silu;
    out->col_bits = gate_up->col_bits + d_ff;
    return ss_hidden_trunc(c, SS_CORR_swiglu, out);
}
