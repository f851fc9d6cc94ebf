/* model.h — shapes of decoder-only transformers (Qwen2 family) and where their weights come from. */
#ifndef SS_MODEL_H
#define SS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

/* Dimensions; the glossary of the whole program. d_head * n_heads need not equal d_model. */
struct ss_shape {
    size_t d_model, d_ff, n_layers, n_heads, n_kv, d_head, vocab;
    size_t max_seq;    /* longest position the checkpoint was trained for, a bound for inputs */
    double rope_theta; /* RoPE base */
    double eps;        /* RMSNorm epsilon */
    bool tied;         /* LM head is the embedding table */
};

enum ss_weight_source { SS_FROM_SEED, SS_FROM_CHECKPOINT };

struct ss_model {
    char name[64];  /* "doc-1.5b", or the directory's last component */
    char title[96]; /* for tables */
    struct ss_shape shape;
    enum ss_weight_source source;
    char path[1024]; /* checkpoint directory, "" for seed */
    char text[1024]; /* held-out text for phase eval, "" for none */
};

/* Rows of the fused projection [q; k; v]: (n_heads + 2 n_kv) * d_head. */
size_t ss_shape_qkv_rows(const struct ss_shape *s);
/* Parameters of one layer: projections, q/k/v biases, two norms. */
size_t ss_shape_layer_params(const struct ss_shape *s);
/* All parameters; a tied head is counted once. qwen2.5-1.5b: 1,543,714,304. */
size_t ss_shape_params(const struct ss_shape *s);

/* name is the stem of experiments/models/NAME.ini, or a directory with config.json (+ safetensors).
   A model ini has [model] with exactly: title, and either `checkpoint = DIR` (with `text = FILE` or not) or the keys
   d_model d_ff n_layers n_heads n_kv d_head vocab max_seq rope_theta eps tied. Unknown key, bad value, missing file: SS_USAGE,
   naming file and line. */
SS_CHECKED enum ss_err ss_model_find(struct ss_model *m, const char *name);
/* A Hugging Face config.json of a Qwen2 model (rope_theta or rope_parameters.rope_theta). Weights are taken from dir. */
SS_CHECKED enum ss_err ss_model_from_dir(struct ss_model *m, const char *dir);
/* Names of experiments/models/ *.ini, sorted; *names is malloc'ed, as is each entry. */
SS_CHECKED enum ss_err ss_model_list(char ***names, size_t *n);
/* Directory that holds experiments/, plots/ (SHARDSCALE_HOME, or found from the executable's path, or "."). */
const char *ss_home(void);
#endif
