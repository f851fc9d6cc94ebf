/* weights_slot.h — memory for one layer, or for what follows the layers, and how it is filled. A slot is one allocation:
   matrices, then vectors, then (ring types) the fractional bits of the matrices' rows, which the host keeps too. */
#ifndef SS_WEIGHTS_SLOT_H
#define SS_WEIGHTS_SLOT_H

#include "harness/weights_source.h"

enum { SS_SLOT_MATRICES = 4 };

struct ss_plan; /* which tensors a slot holds */
extern const struct ss_plan ss_layer_plan, ss_head_plan;

struct ss_slot {
    const struct ss_plan *plan;
    struct ss_buf buf, h_bits;
    char *data[SS_SLOT_MATRICES];
    uint8_t *row_bits[SS_SLOT_MATRICES], *h_row_bits[SS_SLOT_MATRICES]; /* ring types only */
    float *vectors;
    struct ss_matrix m[SS_SLOT_MATRICES];
    struct ss_layer layer; /* ss_layer_plan only: the same as a layer */
};

SS_CHECKED enum ss_err ss_slot_alloc(struct ss_slot *t, struct ss_ctx *c, const struct ss_plan *plan, const struct ss_shape *s,
                                     enum ss_type type);
void ss_slot_free(struct ss_slot *t, struct ss_ctx *c);
/* What role c does of it: the role-th of c->parties equal parts of the rows of each matrix, whatever tensors they come from;
   P0 also the vectors. With a copy of its own (own_weights) a role does all of it. h_stage: host memory of this role, at least
   ss_slot_stage_bytes. */
SS_CHECKED enum ss_err ss_slot_fill(struct ss_slot *t, struct ss_ctx *c, const struct ss_source *source, const void *state,
                                    const struct ss_shape *s, const struct ss_buf *h_stage, size_t layer);
size_t ss_slot_stage_bytes(const struct ss_shape *s);
#endif
