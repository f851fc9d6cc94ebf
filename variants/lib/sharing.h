/* sharing.h — additive sharing of fixed-point values over Z_2^64, the steps that every variant on shares does alike. */
#ifndef SS_SHARING_H
#define SS_SHARING_H

#include "variants/variant.h"

/* P0's cleartext -> shares: P0 draws the mask, keeps x - mask, sends the mask. 8 bytes a value, one round. */
SS_CHECKED enum ss_err ss_sharing_share(struct ss_ctx *c, struct ss_val *x, const float *h_x);
/* out = in * w^T, local; the result is not truncated: its scale is in.bits + w.row_bits[j]. P0 adds the bias. */
SS_CHECKED enum ss_err ss_sharing_linear(struct ss_ctx *c, struct ss_val *out, const struct ss_val *in,
                                         const struct ss_linear *w);
/* Only P0 learns the logits: P1 sends its share. 8 bytes a value, one round. */
SS_CHECKED enum ss_err ss_sharing_reveal(struct ss_ctx *c, const struct ss_val *logits, float *h_logits);

/* Closed forms of what the above and the function evaluations of the model cost. */
void ss_cost_functions(const struct ss_job *job, struct ss_counters *e);
void ss_cost_share_and_reveal(const struct ss_job *job, struct ss_counters *e);
#endif
