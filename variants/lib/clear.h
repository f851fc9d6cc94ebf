/* clear.h — v2 and v3: linear layers on shares, nonlinear steps in the clear at P1. The two differ in one thing only: where P1
   computes. v2 copies the opened values to the host, computes there and copies back; v3 stays on the device. */
#ifndef SS_CLEAR_H
#define SS_CLEAR_H

#include "variants/variant.h"

extern const struct ss_option ss_clear_options[]; /* frac */

SS_CHECKED enum ss_err ss_clear_open_host(struct ss_ctx *c);
SS_CHECKED enum ss_err ss_clear_open_device(struct ss_ctx *c);
void ss_clear_close(struct ss_ctx *c);
SS_CHECKED enum ss_err ss_clear_prepare(struct ss_ctx *c, const struct ss_layer *w, size_t layer);
SS_CHECKED enum ss_err ss_clear_deal(struct ss_ctx *c, const struct ss_layer *w, size_t layer);
SS_CHECKED enum ss_err ss_clear_rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain);
SS_CHECKED enum ss_err ss_clear_linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in,
                                                const struct ss_linear *w);
SS_CHECKED enum ss_err ss_clear_rope(struct ss_ctx *c, struct ss_val *qkv);
SS_CHECKED enum ss_err ss_clear_attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv);
SS_CHECKED enum ss_err ss_clear_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up);
void ss_clear_cost(const struct ss_job *job, struct ss_counters *e);
#endif
