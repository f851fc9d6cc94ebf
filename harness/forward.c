/* forward.c — the only place that knows the order of a transformer layer (Qwen2: pre-norm, biased QKV, RoPE, grouped-query
   attention, SwiGLU). It calls variant operations and never names a variant. */
#include "harness/forward.h"

#include "harness/channel.h"
#include "harness/functions.h"

/* false: a client whose server goes through the layers alone. */
static bool computes(const struct ss_ctx *c)
{
    return c->role != SS_P0 || !c->variant->p1_computes;
}

enum ss_err ss_activations_open(struct ss_ctx *c, struct ss_activations *a)
{
    if (!computes(c))
        return SS_OK;
    const struct ss_shape *s = c->shape;
    size_t row = c->max_tokens * ss_type_bytes(c->variant->value);
    size_t logit_row = c->all_logits ? row : ss_type_bytes(c->variant->value);
    SS_TRY(ss_buf_alloc(c, &a->x.buf, row * s->d_model, SS_TAG_shares));
    if (c->copy_only)
        return SS_OK;
    SS_TRY(ss_buf_alloc(c, &a->normed.buf, row * s->d_model, SS_TAG_shares));
    SS_TRY(ss_buf_alloc(c, &a->qkv.buf, row * ss_shape_qkv_rows(s), SS_TAG_shares));
    SS_TRY(ss_buf_alloc(c, &a->attended.buf, row * s->n_heads * s->d_head, SS_TAG_shares));
    SS_TRY(ss_buf_alloc(c, &a->gate_up.buf, row * 2 * s->d_ff, SS_TAG_shares));
    SS_TRY(ss_buf_alloc(c, &a->ff.buf, row * s->d_ff, SS_TAG_shares));
    return ss_buf_alloc(c, &a->logits.buf, logit_row * s->vocab, SS_TAG_shares);
}

void ss_activations_close(struct ss_ctx *c, struct ss_activations *a)
{
    struct ss_val *all[] = {&a->x, &a->normed, &a->qkv, &a->attended, &a->gate_up, &a->ff, &a->logits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ss_buf_free(c, &all[i]->buf);
}

/* All roles of the session wait for each other with idle devices. */
static enum ss_err meet(struct ss_ctx *c)
{
    if (!c->variant->dealer)
        return SS_OK;
    SS_TRY(c->backend->sync(c->dev));
    return ss_meet(c, c->parties + 1);
}

/* Between two meetings: dealing never runs beside the online phase, and no party waits online for what another still prepares.
 */
static enum ss_err offline(struct ss_ctx *c, const struct ss_layer *w, size_t layer)
{
    if (!c->variant->prepare)
        return SS_OK;
    SS_TRY(ss_enter(c, SS_OP_offline, layer));
    SS_TRY(meet(c));
    SS_TRY(c->role == SS_DEALER ? c->variant->deal(c, w, layer) : c->variant->prepare(c, w, layer));
    return meet(c);
}

/* The norms, with their arguments counted where this pass is the reference. */
static enum ss_err rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain)
{
    if (c->arguments)
        SS_TRY(ss_arguments_norm(c, x));
    return c->variant->rmsnorm(c, out, x, gain);
}

static enum ss_err layer_forward(struct ss_ctx *c, struct ss_activations *a, const struct ss_layer *w, size_t layer)
{
    const struct ss_variant *v = c->variant;
    SS_TRY(ss_enter(c, SS_OP_attn_norm, layer));
    SS_TRY(rmsnorm(c, &a->normed, &a->x, w->attn_norm));
    SS_TRY(ss_enter(c, SS_OP_qkv, layer));
    SS_TRY(v->linear(c, &a->qkv, &a->normed, &w->qkv));
    SS_TRY(ss_enter(c, SS_OP_rope, layer));
    SS_TRY(v->rope(c, &a->qkv));
    SS_TRY(ss_enter(c, SS_OP_attention, layer));
    if (c->arguments)
        SS_TRY(ss_arguments_attention(c, &a->qkv));
    SS_TRY(v->attention(c, &a->attended, &a->qkv));
    SS_TRY(ss_enter(c, SS_OP_attn_out, layer));
    SS_TRY(v->linear_residual(c, &a->x, &a->attended, &w->out));

    SS_TRY(ss_enter(c, SS_OP_ffn_norm, layer));
    SS_TRY(rmsnorm(c, &a->normed, &a->x, w->ffn_norm));
    SS_TRY(ss_enter(c, SS_OP_gate_up, layer));
    SS_TRY(v->linear(c, &a->gate_up, &a->normed, &w->gate_up));
    SS_TRY(ss_enter(c, SS_OP_swiglu, layer));
    if (c->arguments)
        SS_TRY(ss_arguments_swiglu(c, &a->gate_up));
    SS_TRY(v->swiglu(c, &a->ff, &a->gate_up));
    SS_TRY(ss_enter(c, SS_OP_down, layer));
    return v->linear_residual(c, &a->x, &a->ff, &w->down);
}

/* The rows whose logits are wanted: all, or a view of the last. */
static struct ss_val wanted_rows(const struct ss_ctx *c, const struct ss_val *x)
{
    struct ss_val view = *x;
    if (!c->all_logits) {
        view.buf.p = (char *)x->buf.p + (x->rows - 1) * x->cols * ss_type_bytes(c->variant->value);
        view.rows = 1;
    }
    return view;
}

enum ss_err ss_forward(struct ss_ctx *c, struct ss_weights *weights, struct ss_activations *a, const int32_t *ids, float *h_x,
                       float *h_logits)
{
    const struct ss_variant *v = c->variant;
    const size_t n_layers = c->shape->n_layers;
    SS_TRY(ss_enter(c, SS_OP_input, n_layers));
    if (c->role == SS_P0)
        SS_TRY(ss_weights_embed(weights, h_x, ids, c->tokens));
    a->x.rows = c->tokens;
    a->x.cols = c->shape->d_model;
    SS_TRY(v->share(c, &a->x, c->role == SS_P0 ? h_x : NULL));

    for (size_t layer = 0; layer < n_layers; layer++) {
        const struct ss_layer *w;
        SS_TRY(ss_enter(c, SS_OP_weights, layer));
        SS_TRY(ss_weights_layer(weights, c, layer, &w));
        SS_TRY(offline(c, w, layer));
        if (computes(c))
            SS_TRY(layer_forward(c, a, w, layer));
    }

    const struct ss_matrix *head;
    const float *final_norm;
    SS_TRY(ss_enter(c, SS_OP_weights, n_layers));
    SS_TRY(ss_weights_head(weights, c, &final_norm, &head));
    SS_TRY(offline(c, NULL, n_layers));
    a->logits.rows = c->all_logits ? c->tokens : 1;
    a->logits.cols = c->shape->vocab;
    if (computes(c)) {
        SS_TRY(ss_enter(c, SS_OP_final_norm, n_layers));
        struct ss_val last = wanted_rows(c, &a->x);
        SS_TRY(rmsnorm(c, &a->normed, &last, final_norm));
        SS_TRY(ss_enter(c, SS_OP_lm_head, n_layers));
        SS_TRY(v->linear(c, &a->logits, &a->normed, &(struct ss_linear){.w = *head}));
    }
    SS_TRY(ss_enter(c, SS_OP_output, n_layers));
    SS_TRY(v->reveal(c, &a->logits, c->role == SS_P0 ? h_logits : NULL));
    return ss_leave(c);
}

enum ss_err ss_forward_copy(struct ss_ctx *c, struct ss_activations *a, const float *h_x, float *h_out)
{
    const bool client = c->role == SS_P0;
    SS_TRY(ss_enter(c, SS_OP_input, c->shape->n_layers));
    a->x.rows = c->tokens;
    a->x.cols = c->shape->d_model;
    SS_TRY(c->variant->share(c, &a->x, client ? h_x : NULL));
    SS_TRY(ss_enter(c, SS_OP_output, c->shape->n_layers));
    SS_TRY(c->variant->reveal(c, &a->x, client ? h_out : NULL));
    return ss_leave(c);
}

enum ss_err ss_forward_dealer(struct ss_ctx *c, struct ss_weights *weights)
{
    const size_t n_layers = c->shape->n_layers;
    for (size_t layer = 0; layer < n_layers; layer++) {
        const struct ss_layer *w;
        SS_TRY(ss_enter(c, SS_OP_weights, layer));
        SS_TRY(ss_weights_layer(weights, c, layer, &w));
        SS_TRY(offline(c, w, layer));
    }
    const struct ss_matrix *head;
    const float *final_norm;
    SS_TRY(ss_enter(c, SS_OP_weights, n_layers));
    SS_TRY(ss_weights_head(weights, c, &final_norm, &head));
    SS_TRY(offline(c, NULL, n_layers));
    return ss_leave(c);
}
