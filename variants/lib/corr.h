/* corr.h — correlated randomness on its way from the dealer to its one use. A batch has an id that grows through the whole run;
   taking a batch twice, out of order or under another id aborts the program: a mask used twice is a leak, not an error. */
#ifndef SS_CORR_H
#define SS_CORR_H

#include "harness/ctx.h"

/* Where a batch belongs: pass and layer are in its id, so that no two batches of a session share one. */
enum { SS_CORR_MAX_LEVELS = 16, SS_CORR_NORM_SLOTS = 16, SS_CORR_FUNCTION_SLOTS = 20 }; /* of a tournament; of an RMSNorm */
enum ss_corr_slot {
    SS_CORR_attn_out,
    SS_CORR_down,
    SS_CORR_attn_norm, /* v3-ot and v3-mpc from here on: the steps of a norm in order */
    SS_CORR_ffn_norm = SS_CORR_attn_norm + SS_CORR_NORM_SLOTS,
    SS_CORR_qkv = SS_CORR_ffn_norm + SS_CORR_NORM_SLOTS,
    SS_CORR_scores,
    SS_CORR_relu, /* a level each */
    SS_CORR_exp = SS_CORR_relu + SS_CORR_MAX_LEVELS,
    SS_CORR_recip = SS_CORR_exp + SS_CORR_FUNCTION_SLOTS,
    SS_CORR_prob = SS_CORR_recip + SS_CORR_FUNCTION_SLOTS,
    SS_CORR_prob_trunc,
    SS_CORR_values,
    SS_CORR_silu,
    SS_CORR_swiglu = SS_CORR_silu + SS_CORR_FUNCTION_SLOTS,
    SS_CORR_SLOTS
};

struct ss_corr {
    struct ss_buf buf; /* reused by the next layer, after its contents were consumed */
    size_t words;
    uint64_t id;
    enum { SS_CORR_EMPTY, SS_CORR_READY, SS_CORR_CONSUMED } state;
};
uint64_t ss_corr_id(const struct ss_ctx *c, enum ss_corr_slot slot);
/* Room for `words` words, filled by the caller, under the id of (pass, layer, slot). Aborts if the slot holds an unused batch
   or has seen this id or a later one. */
SS_CHECKED enum ss_err ss_corr_put(struct ss_ctx *c, struct ss_corr *corr, enum ss_corr_slot slot, size_t words,
                                   uint64_t **data);
/* The batch, once. Aborts unless exactly this id with this many words is waiting. */
const uint64_t *ss_corr_take(const struct ss_ctx *c, struct ss_corr *corr, enum ss_corr_slot slot, size_t words);
void ss_corr_close(struct ss_ctx *c, struct ss_corr *corr);
#endif
