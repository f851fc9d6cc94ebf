/* cleartext.c — see cleartext.h. */
#include "variants/lib/cleartext.h"

#include "variants/lib/sharing.h"

enum ss_err ss_cleartext_open(struct ss_ctx *c)
{
    struct ss_cleartext *v = c->state;
    c->act = c->option[0] ? SS_BF16 : SS_F32;
    return ss_kv_open(c, &v->kv, SS_F32, false);
}

void ss_cleartext_close(struct ss_ctx *c)
{
    struct ss_cleartext *v = c->state;
    ss_kv_close(c, &v->kv);
}

enum ss_err ss_cleartext_rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain)
{
    out->rows = x->rows;
    out->cols = x->cols;
    c->counters.func_rsqrt += (int64_t)x->rows;
    return c->backend->rmsnorm(c->dev, out->buf.p, c->act, ss_f32(x), gain, x->rows, x->cols, c->shape->eps);
}

enum ss_err ss_cleartext_linear(struct ss_ctx *c, struct ss_val *out, const struct ss_val *in, const struct ss_linear *w)
{
    out->rows = in->rows;
    out->cols = w->w.rows;
    return c->backend->gemm(c->dev, ss_f32(out), in->buf.p, c->act, in->rows, &w->w, w->bias, false);
}

enum ss_err ss_cleartext_linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in, const struct ss_linear *w)
{
    return c->backend->gemm(c->dev, ss_f32(x), in->buf.p, c->act, in->rows, &w->w, w->bias, true);
}

enum ss_err ss_cleartext_rope(struct ss_ctx *c, struct ss_val *qkv)
{
    const struct ss_shape *s = c->shape;
    return c->backend->rope(c->dev, ss_f32(qkv), qkv->rows, qkv->cols, s->n_heads + s->n_kv, s->d_head, c->past, s->rope_theta);
}

enum ss_err ss_cleartext_attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv)
{
    const struct ss_cleartext *v = c->state;
    struct ss_attention a = ss_attention_of(c);
    out->rows = qkv->rows;
    out->cols = c->shape->n_heads * c->shape->d_head;
    ss_count_softmax(c);
    return c->backend->attention(c->dev, out->buf.p, c->act, ss_f32(qkv), ss_kv_keys(c, &v->kv), ss_kv_values(c, &v->kv), &a);
}

enum ss_err ss_cleartext_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up)
{
    out->rows = gate_up->rows;
    out->cols = c->shape->d_ff;
    c->counters.func_silu += (int64_t)(out->rows * out->cols);
    return c->backend->silu_mul(c->dev, out->buf.p, c->act, ss_f32(gate_up), out->rows, out->cols);
}
