/* weights_source.h — what weights.c asks of a source of weights: the seed (weights_seed.c) or a checkpoint
   (weights_checkpoint.c). */
#ifndef SS_WEIGHTS_SOURCE_H
#define SS_WEIGHTS_SOURCE_H

#include "harness/weights.h"

/* Tensors by their number, which is also the low byte of a synthetic tensor's stream: (layer << 8) | number. What follows the
   layers counts as layer n_layers. */
enum ss_tensor_id {
    SS_W_Q,
    SS_W_K,
    SS_W_V,
    SS_W_O,
    SS_W_GATE,
    SS_W_UP,
    SS_W_DOWN,
    SS_W_ATTN_NORM,
    SS_W_FFN_NORM,
    SS_W_Q_BIAS,
    SS_W_K_BIAS,
    SS_W_V_BIAS,
    SS_N_W_LAYER,
    SS_W_EMBED = SS_N_W_LAYER,
    SS_W_HEAD,
    SS_W_FINAL_NORM,
    SS_N_W
};
/* Weights are integers in [-SS_W_MAX_INT, SS_W_MAX_INT] in ring form: both signed 8-bit digits exist (backend.h). */
enum { SS_W_MAX_INT = 32512, SS_W_MAX_BITS = 40 };

/* Rows and columns; vectors have cols 1. */
void ss_tensor_dims(const struct ss_shape *s, enum ss_tensor_id id, size_t *rows, size_t *cols);

/* Rows [row0, row0 + rows) of a tensor, to become rows [dst_row0, ...) of a matrix of dst_rows rows. */
struct ss_rows {
    size_t layer;
    enum ss_tensor_id id;
    size_t row0, rows, cols;
    void *dst; /* start of the matrix, backend memory */
    enum ss_type type;
    size_t dst_row0, dst_rows;
    uint8_t *h_row_bits; /* ring types: fractional bits of the rows made go to [0, rows) */
    void *h_stage;       /* host memory of this party */
    size_t stage_bytes;  /* at least one row of f32 */
};

struct ss_source {
    /* *float_type: SS_BF16 or SS_F32, the type of the matrices in form FLOAT. */
    enum ss_err (*open)(void **state, const struct ss_model *m, enum ss_weight_form form, uint64_t seed,
                        enum ss_type *float_type);
    void (*close)(void *state);
    enum ss_err (*rows)(const void *state, struct ss_ctx *c, const struct ss_rows *r);
    void (*vector)(const void *state, float *h_out, size_t layer, enum ss_tensor_id id);
    void (*embed)(const void *state, float *h_out, int32_t token); /* (d_model) */
};
extern const struct ss_source ss_weights_from_seed, ss_weights_from_checkpoint;
#endif
