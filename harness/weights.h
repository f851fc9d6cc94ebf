/* weights.h — the one public copy of a model's weights, in the form a variant asks for, resident where it fits the budget and
   otherwise made (or read) layer by layer as the pass goes. Shared by the parties of a session: each call is a meeting point.
 */
#ifndef SS_WEIGHTS_H
#define SS_WEIGHTS_H

#include "harness/ctx.h"

enum ss_weight_form { SS_WEIGHTS_FLOAT, SS_WEIGHTS_RING };

struct ss_linear {
    struct ss_matrix w;
    const float *bias; /* (w.rows) in backend memory, NULL: none */
};
struct ss_layer {
    const float *attn_norm, *ffn_norm; /* (d_model) */
    struct ss_linear qkv;              /* rows q, k, v */
    struct ss_linear out;              /* (d_model, n_heads d_head) */
    struct ss_linear gate_up;          /* rows gate, up */
    struct ss_linear down;             /* (d_model, d_ff) */
};
struct ss_weights; /* safetensors mapping, slots, residency */

/* form FLOAT: bf16 (synthetic or bf16 checkpoints) or f32 matrices; form RING: backend->ring_matrix. Allocates from c (role P0
   of the session owns the copy). budget_bytes: how much may stay resident; 0: stream everything. A non-finite weight, missing
   tensor or wrong shape is SS_USAGE and names the tensor; memory short is SS_SKIP with needed and available bytes. */
SS_CHECKED enum ss_err ss_weights_open(struct ss_weights **w, struct ss_ctx *c, const struct ss_model *m,
                                       enum ss_weight_form form, uint64_t seed, size_t budget_bytes);
void ss_weights_close(struct ss_weights *w, struct ss_ctx *c);
/* Called by all `parties` of the session, in order of layer; each fills its part of a layer that is not resident, on its own
   device. The pointer holds until the same party's next call. */
SS_CHECKED enum ss_err ss_weights_layer(struct ss_weights *w, struct ss_ctx *c, size_t layer, const struct ss_layer **out);
SS_CHECKED enum ss_err ss_weights_head(struct ss_weights *w, struct ss_ctx *c, const float **final_norm,
                                       const struct ss_matrix **head);
/* Rows of the embedding table on the host: out (n, d_model). */
SS_CHECKED enum ss_err ss_weights_embed(const struct ss_weights *w, float *h_out, const int32_t *ids, size_t n);
/* true: no layer is made again after the first pass. */
bool ss_weights_resident(const struct ss_weights *w);
/* Bytes of all matrices in this form; bytes that a session must hold at least (streaming) and at most (resident). */
void ss_weights_footprint(const struct ss_shape *s, enum ss_type type, size_t *streaming_bytes, size_t *resident_bytes);
#endif
