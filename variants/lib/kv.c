/* kv.c — see kv.h. */
#include "variants/lib/kv.h"

static size_t layer_bytes(const struct ss_ctx *c, const struct ss_kv *kv)
{
    return c->max_tokens * c->shape->n_kv * c->shape->d_head * ss_type_bytes(kv->type);
}

enum ss_err ss_kv_open(struct ss_ctx *c, struct ss_kv *kv, enum ss_type type, bool on_host)
{
    kv->type = type;
    size_t bytes = c->shape->n_layers * layer_bytes(c, kv);
    if (on_host) {
        SS_TRY(ss_buf_alloc_host(c, &kv->keys, bytes, SS_TAG_kv));
        return ss_buf_alloc_host(c, &kv->values, bytes, SS_TAG_kv);
    }
    SS_TRY(ss_buf_alloc(c, &kv->keys, bytes, SS_TAG_kv));
    return ss_buf_alloc(c, &kv->values, bytes, SS_TAG_kv);
}

void ss_kv_close(struct ss_ctx *c, struct ss_kv *kv)
{
    ss_buf_free(c, &kv->keys);
    ss_buf_free(c, &kv->values);
}

void *ss_kv_keys(const struct ss_ctx *c, const struct ss_kv *kv)
{
    return (char *)kv->keys.p + c->layer * layer_bytes(c, kv);
}

void *ss_kv_values(const struct ss_ctx *c, const struct ss_kv *kv)
{
    return (char *)kv->values.p + c->layer * layer_bytes(c, kv);
}

struct ss_attention ss_attention_of(const struct ss_ctx *c)
{
    return (struct ss_attention){
        .tokens = c->tokens, .past = c->past, .n_heads = c->shape->n_heads, .n_kv = c->shape->n_kv, .d_head = c->shape->d_head};
}
