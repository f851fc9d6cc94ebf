/* plain.c — the ideal functionality: one machine, cleartext, fp32 or bf16 inputs of matrix products. */
#include <stdlib.h>

#include "variants/lib/kv.h"
#include "variants/lib/sharing.h"
#include "variants/variant.h"

static const struct ss_option options[] = {{.key = "compute",
                                            .help = "type of what enters a matrix product; accumulation is fp32",
                                            .choices = "fp32,bf16",
                                            .standard = "fp32"},
                                           {.key = NULL}};

static enum ss_err open_plain(struct ss_ctx *c)
{
    struct ss_kv *kv = calloc(1, sizeof *kv);
    if (!kv)
        SS_FAIL(SS_ENV, "out of memory for the state of plain");
    c->state = kv;
    c->act = c->option[0] ? SS_BF16 : SS_F32;
    return ss_kv_open(c, kv, SS_F32, false);
}

static void close_plain(struct ss_ctx *c)
{
    if (!c->state)
        return;
    ss_kv_close(c, c->state);
    free(c->state);
    c->state = NULL;
}

static enum ss_err share(struct ss_ctx *c, struct ss_val *x, const float *h_x)
{
    return c->backend->upload(c->dev, x->buf.p, h_x, x->rows * x->cols * sizeof(float));
}

static enum ss_err rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain)
{
    out->rows = x->rows;
    out->cols = x->cols;
    c->counters.func_rsqrt += (int64_t)x->rows;
    return c->backend->rmsnorm(c->dev, out->buf.p, c->act, ss_f32(x), gain, x->rows, x->cols, c->shape->eps);
}

static enum ss_err linear(struct ss_ctx *c, struct ss_val *out, const struct ss_val *in, const struct ss_linear *w)
{
    out->rows = in->rows;
    out->cols = w->w.rows;
    return c->backend->gemm(c->dev, ss_f32(out), in->buf.p, c->act, in->rows, &w->w, w->bias, false);
}

static enum ss_err linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in, const struct ss_linear *w)
{
    return c->backend->gemm(c->dev, ss_f32(x), in->buf.p, c->act, in->rows, &w->w, w->bias, true);
}

static enum ss_err rope(struct ss_ctx *c, struct ss_val *qkv)
{
    const struct ss_shape *s = c->shape;
    return c->backend->rope(c->dev, ss_f32(qkv), qkv->rows, qkv->cols, s->n_heads + s->n_kv, s->d_head, c->past, s->rope_theta);
}

static enum ss_err attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv)
{
    struct ss_attention a = ss_attention_of(c);
    out->rows = qkv->rows;
    out->cols = c->shape->n_heads * c->shape->d_head;
    ss_count_softmax(c);
    return c->backend->attention(c->dev, out->buf.p, c->act, ss_f32(qkv), ss_kv_keys(c, c->state), ss_kv_values(c, c->state),
                                 &a);
}

static enum ss_err swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up)
{
    out->rows = gate_up->rows;
    out->cols = c->shape->d_ff;
    c->counters.func_silu += (int64_t)(out->rows * out->cols);
    return c->backend->silu_mul(c->dev, out->buf.p, c->act, ss_f32(gate_up), out->rows, out->cols);
}

static enum ss_err reveal(struct ss_ctx *c, const struct ss_val *logits, float *h_logits)
{
    return c->backend->download(c->dev, h_logits, logits->buf.p, logits->rows * logits->cols * sizeof(float));
}

extern const struct ss_variant ss_variant_plain;
const struct ss_variant ss_variant_plain = {
    .name = "plain",
    .claim = "none: cleartext on one machine, the yardstick for speed and error",
    .reveals = "everything, to the machine that runs it",
    .trust = "that machine",
    .exposes = SS_EXPOSES_ALL,
    .options = options,
    .parties = 1,
    .dealer = false,
    .weights = SS_WEIGHTS_FLOAT,
    .value = SS_F32,
    .open = open_plain,
    .close = close_plain,
    .share = share,
    .rmsnorm = rmsnorm,
    .linear = linear,
    .linear_residual = linear_residual,
    .rope = rope,
    .attention = attention,
    .swiglu = swiglu,
    .reveal = reveal,
    .cost = ss_cost_functions,
};
