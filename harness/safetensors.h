/* safetensors.h — read-only view of a checkpoint directory: model.safetensors or the shards of
   model.safetensors.index.json, memory-mapped. Every header is checked before use: sizes, overlaps, dtype, offsets. */
#ifndef SS_SAFETENSORS_H
#define SS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

enum ss_dtype { SS_DT_BF16, SS_DT_F16, SS_DT_F32, SS_DT_I64, SS_DT_OTHER };
struct ss_tensor {
    char name[192];
    enum ss_dtype dtype;
    size_t rank, shape[4];
    const void *data; /* in the mapping */
    size_t bytes;
};
struct ss_safetensors;

SS_CHECKED enum ss_err ss_safetensors_open_file(struct ss_safetensors **st, const char *path);
SS_CHECKED enum ss_err ss_safetensors_open_dir(struct ss_safetensors **st, const char *dir);
void ss_safetensors_close(struct ss_safetensors *st);
/* NULL if absent (the caller knows whether that is an error). */
const struct ss_tensor *ss_safetensors_find(const struct ss_safetensors *st, const char *name);
/* SHA-256 over name, type, shape and data of all tensors in order of name: equal checkpoints however they are split. */
SS_CHECKED enum ss_err ss_safetensors_digest(uint8_t digest[32], const struct ss_safetensors *st);
const char *ss_safetensors_path(const struct ss_safetensors *st);
/* n values from element `first` as f32; BF16, F16 and F32 only (SS_REQUIRE). */
void ss_tensor_to_f32(float *out, const struct ss_tensor *t, size_t first, size_t n);
#endif
