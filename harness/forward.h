/* forward.h — the forward pass of a decoder-only transformer, written once for every variant, backend and role. */
#ifndef SS_FORWARD_H
#define SS_FORWARD_H

#include "variants/variant.h"

/* Activations of a pass of c->max_tokens rows. */
struct ss_activations {
    struct ss_val x, normed, qkv, attended, gate_up, ff, logits;
};
SS_CHECKED enum ss_err ss_activations_open(struct ss_ctx *c, struct ss_activations *a);
void ss_activations_close(struct ss_ctx *c, struct ss_activations *a);

/* What of the tokens' rows crosses to the computing side and back, alone: h_x (tokens, d_model) -> h_out, both P0's. */
SS_CHECKED enum ss_err ss_forward_copy(struct ss_ctx *c, struct ss_activations *a, const float *h_x, float *h_out);

/* One pass of a party over c->tokens ids on top of c->past cached positions. ids and h_logits (all_logits ? tokens : 1, vocab):
   read and written by P0 only. */
SS_CHECKED enum ss_err ss_forward(struct ss_ctx *c, struct ss_weights *weights, struct ss_activations *a, const int32_t *ids,
                                  float *h_x, float *h_logits);
/* The dealer's side of the same pass: correlated randomness layer by layer, in the same order. */
SS_CHECKED enum ss_err ss_forward_dealer(struct ss_ctx *c, struct ss_weights *weights);
#endif
