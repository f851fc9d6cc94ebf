/* weights_checkpoint.c — weights of a Qwen2 checkpoint. Everything is checked when it is opened: presence, shape, type, every
   value. Reading then cannot fail on the data. */
#include "harness/weights_source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/safetensors.h"

enum {
    CHUNK = 1024,         /* values converted at a time, on the stack */
    PARALLEL_MIN = 65536, /* loops over fewer values run on one thread: starting the team costs more */
    ZERO_ROW_BITS = 15
};

struct checkpoint {
    struct ss_shape shape;
    struct ss_safetensors *st;
    const struct ss_tensor *(*tensor)[SS_N_W]; /* (n_layers + 1) */
};

/* ---- opening */
static void name_of(char *name, size_t size, size_t layer, enum ss_tensor_id id, bool tied)
{
    static const char *const in_layer[SS_N_W_LAYER] = {
        [SS_W_Q] = "self_attn.q_proj.weight",    [SS_W_K] = "self_attn.k_proj.weight",
        [SS_W_V] = "self_attn.v_proj.weight",    [SS_W_O] = "self_attn.o_proj.weight",
        [SS_W_GATE] = "mlp.gate_proj.weight",    [SS_W_UP] = "mlp.up_proj.weight",
        [SS_W_DOWN] = "mlp.down_proj.weight",    [SS_W_ATTN_NORM] = "input_layernorm.weight",
        [SS_W_Q_BIAS] = "self_attn.q_proj.bias", [SS_W_FFN_NORM] = "post_attention_layernorm.weight",
        [SS_W_K_BIAS] = "self_attn.k_proj.bias", [SS_W_V_BIAS] = "self_attn.v_proj.bias"};
    if (id < SS_N_W_LAYER)
        snprintf(name, size, "model.layers.%zu.%s", layer, in_layer[id]);
    else if (id == SS_W_FINAL_NORM)
        snprintf(name, size, "model.norm.weight");
    else
        snprintf(name, size, "%s", id == SS_W_HEAD && !tied ? "lm_head.weight" : "model.embed_tokens.weight");
}

/* Largest |value| among n from `first` on, as the bits of a float: 0x7f800000 or more if one is infinite or not a number. */
static uint32_t peak_bits(const struct ss_tensor *t, size_t first, size_t n)
{
    uint32_t peak = 0;
    for (size_t i = 0; i < n; i += CHUNK) {
        float x[CHUNK];
        uint32_t bits[CHUNK];
        size_t count = n - i < CHUNK ? n - i : CHUNK;
        ss_tensor_to_f32(x, t, first + i, count);
        memcpy(bits, x, count * sizeof *bits);
        for (size_t k = 0; k < count; k++)
            peak = (bits[k] & 0x7fffffff) > peak ? bits[k] & 0x7fffffff : peak;
    }
    return peak;
}

static float value_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Every value finite and at most `limit` in magnitude. */
static enum ss_err scan(const struct checkpoint *s, const struct ss_tensor *t, double limit)
{
    size_t rows = t->rank == 2 ? t->shape[0] : 1, cols = t->shape[t->rank - 1], bad = SIZE_MAX;
#pragma omp parallel for schedule(static) reduction(min : bad) if (rows * cols >= PARALLEL_MIN)
    for (size_t row = 0; row < rows; row++) {
        uint32_t peak = peak_bits(t, row * cols, cols);
        if ((peak >= 0x7f800000 || value_of(peak) > limit) && row < bad)
            bad = row;
    }
    if (bad == SIZE_MAX)
        return SS_OK;
    if (peak_bits(t, bad * cols, cols) >= 0x7f800000)
        SS_FAIL(SS_USAGE, "%s: tensor %s, row %zu: a value is infinite or not a number; fetch the checkpoint again",
                ss_safetensors_path(s->st), t->name, bad);
    SS_FAIL(SS_USAGE, "%s: tensor %s, row %zu: a weight exceeds %g, which 16-bit weights cannot hold; use variant plain",
            ss_safetensors_path(s->st), t->name, bad, limit);
}

static enum ss_err resolve(struct checkpoint *s, size_t layer, enum ss_tensor_id id)
{
    char name[192];
    size_t rows, cols;
    ss_tensor_dims(&s->shape, id, &rows, &cols);
    name_of(name, sizeof name, layer, id, s->shape.tied);
    bool matrix = id <= SS_W_DOWN || id == SS_W_EMBED || id == SS_W_HEAD;
    const struct ss_tensor *t = ss_safetensors_find(s->st, name);
    if (t == NULL)
        SS_FAIL(SS_USAGE, "%s: tensor %s is missing; fetch the whole checkpoint, or correct its config.json",
                ss_safetensors_path(s->st), name);
    if (t->rank != (matrix ? 2u : 1u) || t->shape[0] != rows || (matrix && t->shape[1] != cols)) {
        char found[100] = "", expected[50];
        for (size_t i = 0; i < t->rank; i++)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%zu", i > 0 ? "," : "", t->shape[i]);
        snprintf(expected, sizeof expected, matrix ? "%zu,%zu" : "%zu", rows, cols);
        SS_FAIL(SS_USAGE, "%s: tensor %s has shape (%s), expected (%s); config.json belongs to another checkpoint",
                ss_safetensors_path(s->st), name, found, expected);
    }
    if (t->dtype != SS_DT_BF16 && t->dtype != SS_DT_F16 && t->dtype != SS_DT_F32)
        SS_FAIL(SS_USAGE, "%s: tensor %s is not BF16, F16 or F32; use a checkpoint that is not quantised",
                ss_safetensors_path(s->st), name);
    s->tensor[layer][id] = t;
    return SS_OK;
}

static void checkpoint_close(void *state)
{
    struct checkpoint *s = state;
    ss_safetensors_close(s->st);
    free(s->tensor);
    free(s);
}

/* A checkpoint of a deeper model would run without its last layers and be wrong without a word. */
static enum ss_err no_more_layers(const struct checkpoint *s)
{
    char name[192];
    name_of(name, sizeof name, s->shape.n_layers, SS_W_Q, false);
    if (ss_safetensors_find(s->st, name) != NULL)
        SS_FAIL(SS_USAGE, "%s: tensor %s is there, but config.json says %zu layers; config.json belongs to another checkpoint",
                ss_safetensors_path(s->st), name, s->shape.n_layers);
    return SS_OK;
}

static enum ss_err check(struct checkpoint *s, enum ss_weight_form form, enum ss_type *float_type)
{
    const size_t n = s->shape.n_layers;
    *float_type = SS_BF16;
    SS_TRY(no_more_layers(s));
    for (size_t layer = 0; layer <= n; layer++)
        for (int id = layer < n ? 0 : SS_N_W_LAYER; id < (layer < n ? (int)SS_N_W_LAYER : (int)SS_N_W); id++)
            SS_TRY(resolve(s, layer, (enum ss_tensor_id)id));
    for (size_t layer = 0; layer <= n; layer++)
        for (int id = 0; id < SS_N_W; id++) {
            const struct ss_tensor *t = s->tensor[layer][id];
            bool product = id <= SS_W_DOWN || id == SS_W_HEAD; /* what the ring form quantises */
            if (t == NULL)
                continue;
            SS_TRY(scan(s, t, product && form == SS_WEIGHTS_RING ? SS_W_MAX_INT : INFINITY));
            if (product && t->dtype != SS_DT_BF16)
                *float_type = SS_F32;
        }
    return SS_OK;
}

static enum ss_err checkpoint_open(void **state, const struct ss_model *m, enum ss_weight_form form, uint64_t seed,
                                   enum ss_type *float_type)
{
    (void)seed;
    enum ss_err err = SS_OK;
    struct checkpoint *s = calloc(1, sizeof *s);
    if (s == NULL)
        SS_FAIL(SS_ENV, "no memory for %zu bytes; free some", sizeof *s);
    s->shape = m->shape;
    s->tensor = calloc(m->shape.n_layers + 1, sizeof *s->tensor);
    if (s->tensor == NULL)
        SS_FAIL_OUT(SS_ENV, "no memory for a table of tensors; free some");
    SS_TRY_OUT(ss_safetensors_open_dir(&s->st, m->path));
    SS_TRY_OUT(check(s, form, float_type));
    *state = s;
    s = NULL;
out:
    if (s != NULL)
        checkpoint_close(s);
    return err;
}

/* ---- reading */
/* One row as integers: the largest e in [0, SS_W_MAX_BITS] with max |w| 2^e <= SS_W_MAX_INT, out = rint(w 2^e). Returns e. */
static uint8_t quantise(int16_t *out, const struct ss_tensor *t, size_t row, size_t cols)
{
    float peak = value_of(peak_bits(t, row * cols, cols));
    int e = SS_W_MAX_BITS;
    if (peak == 0)
        e = ZERO_ROW_BITS;
    while (e > 0 && ldexp(peak, e) > SS_W_MAX_INT)
        e--;
    const float scale = ldexpf(1, e);
    for (size_t i = 0; i < cols; i += CHUNK) {
        float x[CHUNK];
        size_t count = cols - i < CHUNK ? cols - i : CHUNK;
        ss_tensor_to_f32(x, t, row * cols + i, count);
        for (size_t k = 0; k < count; k++)
            out[i + k] = (int16_t)rintf(x[k] * scale);
    }
    return (uint8_t)e;
}

/* Digits of n weights: w = hi * 256 + lo with lo in [-128, 127]. */
static void split_digits(int8_t *lo, int8_t *hi, const int16_t *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lo[i] = (int8_t)(uint8_t)w[i];
        hi[i] = (int8_t)((w[i] - lo[i]) / 256);
    }
}

/* Rows [at, at + n) of r in the wanted type at h_stage, then to their place. */
static enum ss_err block(const struct ss_tensor *t, struct ss_ctx *c, const struct ss_rows *r, size_t at, size_t n)
{
    const size_t cols = r->cols, first = (r->dst_row0 + at) * cols, plane = r->dst_rows * cols, row0 = r->row0 + at;
    if (r->type == SS_F32) {
#pragma omp parallel for schedule(static) if (n * cols >= PARALLEL_MIN)
        for (size_t i = 0; i < n; i++)
            ss_tensor_to_f32((float *)r->h_stage + i * cols, t, (row0 + i) * cols, cols);
        return c->backend->upload(c->dev, (float *)r->dst + first, r->h_stage, n * cols * sizeof(float));
    }
    int16_t *w = r->h_stage;
    int8_t *lo = (int8_t *)(w + n * cols), *hi = lo + n * cols;
#pragma omp parallel for schedule(static) if (n * cols >= PARALLEL_MIN)
    for (size_t i = 0; i < n; i++) {
        r->h_row_bits[at + i] = quantise(w + i * cols, t, row0 + i, cols);
        if (r->type == SS_I8X2)
            split_digits(lo + i * cols, hi + i * cols, w + i * cols, cols);
    }
    if (r->type == SS_I16)
        return c->backend->upload(c->dev, (int16_t *)r->dst + first, w, n * cols * sizeof *w);
    SS_TRY(c->backend->upload(c->dev, (int8_t *)r->dst + first, lo, n * cols));
    return c->backend->upload(c->dev, (int8_t *)r->dst + plane + first, hi, n * cols);
}

static enum ss_err checkpoint_rows(const void *state, struct ss_ctx *c, const struct ss_rows *r)
{
    const struct checkpoint *s = state;
    const struct ss_tensor *t = s->tensor[r->layer][r->id];
    SS_REQUIRE(r->type == SS_BF16 || r->type == SS_F32 || r->type == SS_I16 || r->type == SS_I8X2);
    if (r->type == SS_BF16) /* verbatim */
        return c->backend->upload(c->dev, (uint16_t *)r->dst + r->dst_row0 * r->cols,
                                  (const char *)t->data + 2 * r->row0 * r->cols, 2 * r->rows * r->cols);
    /* A row takes 4 bytes a column while staged: f32, or 16-bit integers and their two digits. */
    const size_t step = r->stage_bytes / (4 * r->cols);
    SS_REQUIRE(step > 0);
    for (size_t at = 0; at < r->rows; at += step)
        SS_TRY(block(t, c, r, at, r->rows - at < step ? r->rows - at : step));
    return SS_OK;
}

static void checkpoint_vector(const void *state, float *h_out, size_t layer, enum ss_tensor_id id)
{
    const struct checkpoint *s = state;
    const struct ss_tensor *t = s->tensor[layer][id];
    ss_tensor_to_f32(h_out, t, 0, t->shape[0]);
}

static void checkpoint_embed(const void *state, float *h_out, int32_t token)
{
    const struct checkpoint *s = state;
    size_t d = s->shape.d_model;
    ss_tensor_to_f32(h_out, s->tensor[s->shape.n_layers][SS_W_EMBED], (size_t)token * d, d);
}

const struct ss_source ss_weights_from_checkpoint = {
    .open = checkpoint_open,
    .close = checkpoint_close,
    .rows = checkpoint_rows,
    .vector = checkpoint_vector,
    .embed = checkpoint_embed,
};
