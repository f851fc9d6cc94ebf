/* weights_seed.c — synthetic weights: integers of philox.h times a power of two per tensor, made where they are used.

   Scales are the powers of two nearest to 1/sqrt(fan_in), for the output and down projections further divided by
   sqrt(2 n_layers), so that a scale is off by a factor 2^(+-1/2) at most. Then every norm feeds vectors of RMS 1 to products
   whose outputs have RMS in [0.7, 1.5]; each of the 2 n_layers residual additions has RMS at most about
   1.5 * 1.5 / sqrt(2 n_layers); and the residual stream, which starts near 1 (embeddings), grows to at most
   sqrt(1.3 + 5) = 2.5 whatever the depth. */
#include "harness/weights_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"

#define STD_OF_INTS 73.9 /* philox.h */
enum { EMBED_BITS = 6 /* standard deviation 1.15 */, NORM_BITS = 11 /* 1 +- 0.04 */, BIAS_BITS = 9 /* 0.14 */, CHUNK = 1024 };

struct seed_state {
    struct ss_shape shape;
    uint64_t seed;
};

static enum ss_err seed_open(void **state, const struct ss_model *m, enum ss_weight_form form, uint64_t seed,
                             enum ss_type *float_type)
{
    (void)form;
    struct seed_state *s = malloc(sizeof *s);
    if (s == NULL)
        SS_FAIL(SS_ENV, "no memory for %zu bytes; free some", sizeof *s);
    *s = (struct seed_state){m->shape, seed};
    *state = s;
    *float_type = SS_BF16; /* the integers have 8 bits, so bf16 holds the weights exactly */
    return SS_OK;
}

/* A tied head reads the embedding's integers, at the head's own scale: its logits then have RMS near 1, as they should. */
static uint64_t stream_of(const struct ss_shape *s, size_t layer, enum ss_tensor_id id)
{
    return (uint64_t)layer << 8 | (id == SS_W_HEAD && s->tied ? SS_W_EMBED : id);
}

static unsigned scale_bits(const struct ss_shape *s, enum ss_tensor_id id)
{
    size_t fan_out, fan_in;
    ss_tensor_dims(s, id, &fan_out, &fan_in);
    double inverse_std = sqrt((double)fan_in);
    if (id == SS_W_EMBED)
        return EMBED_BITS;
    if (id == SS_W_O || id == SS_W_DOWN)
        inverse_std *= sqrt(2.0 * (double)s->n_layers);
    return (unsigned)lround(log2(STD_OF_INTS * inverse_std));
}

static enum ss_err seed_rows(const void *state, struct ss_ctx *c, const struct ss_rows *r)
{
    const struct seed_state *s = state;
    unsigned bits = scale_bits(&s->shape, r->id);
    if (r->h_row_bits != NULL)
        memset(r->h_row_bits, (int)bits, r->rows);
    return c->backend->synth(c->dev, r->dst, r->type, r->dst_rows, r->dst_row0, s->seed, stream_of(&s->shape, r->layer, r->id),
                             r->row0, r->rows, r->cols, bits);
}

/* out[i] = base + 2^-bits * word first + i of the stream */
static void values(float *out, const struct seed_state *s, uint64_t stream, uint64_t first, size_t n, float base, int bits)
{
    const float scale = ldexpf(1, -bits);
    for (size_t i = 0; i < n; i += CHUNK) {
        int16_t v[CHUNK];
        size_t count = n - i < CHUNK ? n - i : CHUNK;
        ss_synth_fill(v, s->seed, stream, first + i, count);
        for (size_t k = 0; k < count; k++)
            out[i + k] = base + scale * (float)v[k];
    }
}

static void seed_vector(const void *state, float *h_out, size_t layer, enum ss_tensor_id id)
{
    const struct seed_state *s = state;
    size_t rows, cols;
    bool norm = id == SS_W_ATTN_NORM || id == SS_W_FFN_NORM || id == SS_W_FINAL_NORM;
    ss_tensor_dims(&s->shape, id, &rows, &cols);
    values(h_out, s, stream_of(&s->shape, layer, id), 0, rows, norm ? 1 : 0, norm ? NORM_BITS : BIAS_BITS);
}

static void seed_embed(const void *state, float *h_out, int32_t token)
{
    const struct seed_state *s = state;
    size_t d = s->shape.d_model;
    values(h_out, s, stream_of(&s->shape, s->shape.n_layers, SS_W_EMBED), (uint64_t)token * d, d, 0, EMBED_BITS);
}

const struct ss_source ss_weights_from_seed = {
    .open = seed_open,
    .close = free,
    .rows = seed_rows,
    .vector = seed_vector,
    .embed = seed_embed,
};
