/* model_check.h — what a believable shape is. With these bounds no product of dimensions that the program forms exceeds 64
   bits: parameters stay below 2^50, as do the bytes of any array. */
#ifndef SS_MODEL_CHECK_H
#define SS_MODEL_CHECK_H

#include "harness/model.h"

enum {
    SS_MAX_WIDTH = 131072, /* d_model, d_ff, n_heads * d_head: the int8 products of gemm_ring are exact up to this depth */
    SS_MAX_LAYERS = 1024,
    SS_MAX_HEADS = 1024,
    SS_MAX_D_HEAD = 1024,
    SS_MAX_VOCAB = 1 << 21,
    SS_MAX_SEQ = 1 << 24
};
#define SS_MIN_THETA 1.0
#define SS_MAX_THETA 1e12
#define SS_MIN_EPS 1e-12
#define SS_MAX_EPS 1e-1

/* The rules between dimensions that are each in range; `where` begins the error. */
SS_CHECKED enum ss_err ss_shape_check(const struct ss_shape *s, const char *where);
#endif
