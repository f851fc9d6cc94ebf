/* cleartext.h — the steps of the forward pass in cleartext on one device: all of plain, and what v3-cc does inside its enclave.
 */
#ifndef SS_CLEARTEXT_H
#define SS_CLEARTEXT_H

#include "variants/lib/kv.h"
#include "variants/variant.h"

/* Option 0 of both variants; sets c->act. */
#define SS_OPTION_COMPUTE                                                                                                      \
    {                                                                                                                          \
        .key = "compute", .help = "type of what enters a matrix product; accumulation is fp32", .choices = "fp32,bf16",        \
        .standard = "fp32"                                                                                                     \
    }

struct ss_cleartext {
    struct ss_kv kv; /* f32, on the device */
};
/* The first member of c->state is a struct ss_cleartext. */
SS_CHECKED enum ss_err ss_cleartext_open(struct ss_ctx *c);
void ss_cleartext_close(struct ss_ctx *c);
SS_CHECKED enum ss_err ss_cleartext_rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain);
SS_CHECKED enum ss_err ss_cleartext_linear(struct ss_ctx *c, struct ss_val *out, const struct ss_val *in,
                                           const struct ss_linear *w);
SS_CHECKED enum ss_err ss_cleartext_linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in,
                                                    const struct ss_linear *w);
SS_CHECKED enum ss_err ss_cleartext_rope(struct ss_ctx *c, struct ss_val *qkv);
SS_CHECKED enum ss_err ss_cleartext_attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv);
SS_CHECKED enum ss_err ss_cleartext_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up);
#endif
