/* kv.h — key/value cache of one role: plaintext (f32) or shares (u64), per layer (max_tokens, n_kv, d_head). */
#ifndef SS_KV_H
#define SS_KV_H

#include "harness/ctx.h"

struct ss_kv {
    struct ss_buf keys, values; /* (n_layers, max_tokens, n_kv, d_head) */
    enum ss_type type;
};
SS_CHECKED enum ss_err ss_kv_open(struct ss_ctx *c, struct ss_kv *kv, enum ss_type type, bool on_host);
void ss_kv_close(struct ss_ctx *c, struct ss_kv *kv);
/* The part of the layer in which c is. */
void *ss_kv_keys(const struct ss_ctx *c, const struct ss_kv *kv);
void *ss_kv_values(const struct ss_ctx *c, const struct ss_kv *kv);
struct ss_attention ss_attention_of(const struct ss_ctx *c);
#endif
