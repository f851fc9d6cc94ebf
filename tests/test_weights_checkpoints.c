/* Checkpoints written here: every float type, extreme rows in ring form, bad ones refused by name. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"
#include "tests/scratch.h"
#include "tests/weights_seen.h"

static const struct ss_shape small_shape = {
    .d_model = 8, .d_ff = 12, .n_layers = 1, .n_heads = 2, .n_kv = 1, .d_head = 4, .vocab = 10};
static const struct {
    const char *name;
    size_t rows, cols; /* cols 0: vector */
} tensors[] = {
    {"lm_head.weight", 10, 8},
    {"model.embed_tokens.weight", 10, 8},
    {"model.layers.0.input_layernorm.weight", 8, 0},
    {"model.layers.0.mlp.down_proj.weight", 8, 12},
    {"model.layers.0.mlp.gate_proj.weight", 12, 8},
    {"model.layers.0.mlp.up_proj.weight", 12, 8},
    {"model.layers.0.post_attention_layernorm.weight", 8, 0},
    {"model.layers.0.self_attn.k_proj.bias", 4, 0},
    {"model.layers.0.self_attn.k_proj.weight", 4, 8},
    {"model.layers.0.self_attn.o_proj.weight", 8, 8},
    {"model.layers.0.self_attn.q_proj.bias", 8, 0},
    {"model.layers.0.self_attn.q_proj.weight", 8, 8},
    {"model.layers.0.self_attn.v_proj.bias", 4, 0},
    {"model.layers.0.self_attn.v_proj.weight", 4, 8},
    {"model.norm.weight", 8, 0},
    {"something.else", 3, 0},
};
enum { N_TENSORS = sizeof tensors / sizeof *tensors };

struct change { /* to the good checkpoint; tensor NULL: none */
    const char *tensor;
    const char *rename; /* not NULL: under this name */
    size_t index;       /* element that becomes ... */
    float value;        /* ... this one */
    bool flat, whole;   /* written as a vector; every element becomes value */
};

/* Values k/64 with |k| < 128, exact in every type. */
static float value_at(size_t tensor, size_t i)
{
    return (float)((int)(ss_philox_word(9, tensor, i) % 255) - 127) / 64;
}

static struct ss_model write_checkpoint(const char *dtype, const struct change *c)
{
    static char header[8192], data[65536];
    size_t width = strcmp(dtype, "F32") == 0 ? 4 : 2, at = 0, n = 0;
    struct ss_model m = {.name = "written", .source = SS_FROM_CHECKPOINT, .shape = small_shape};
    n += (size_t)snprintf(header, sizeof header, "{");
    for (size_t t = 0; t < N_TENSORS; t++) {
        const bool changed = c->tensor != NULL && strcmp(c->tensor, tensors[t].name) == 0;
        const size_t count = tensors[t].rows * (tensors[t].cols > 0 ? tensors[t].cols : 1);
        char shape[64];
        snprintf(shape, sizeof shape, tensors[t].cols > 0 ? "%zu,%zu" : "%zu", tensors[t].rows, tensors[t].cols);
        if (changed && c->flat)
            snprintf(shape, sizeof shape, "%zu", count);
        n += (size_t)snprintf(header + n, sizeof header - n,
                              "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", t > 0 ? "," : "",
                              changed && c->rename != NULL ? c->rename : tensors[t].name, dtype, shape, at, at + count * width);
        for (size_t i = 0; i < count; i++, at += width) {
            float f = changed && (c->whole || (i == c->index && c->rename == NULL && !c->flat)) ? c->value : value_at(t, i);
            _Float16 h = (_Float16)f;
            if (width == 4)
                memcpy(data + at, &f, 4);
            else if (dtype[0] == 'B')
                memcpy(data + at, (char *)&f + 2, 2); /* high half, little-endian */
            else
                memcpy(data + at, &h, 2);
        }
    }
    n += (size_t)snprintf(header + n, sizeof header - n, "}");
    char dir[SCRATCH_PATH], file[SCRATCH_PATH + 32];
    scratch_dir(dir);
    snprintf(file, sizeof file, "%s/model.safetensors", dir);
    FILE *f = fopen(file, "wb");
    cr_assert(f != NULL);
    uint64_t length = n;
    fwrite(&length, 8, 1, f);
    fwrite(header, 1, n, f);
    fwrite(data, 1, at, f);
    fclose(f);
    snprintf(m.path, sizeof m.path, "%s", dir);
    return m;
}

Test(weights, every_float_type_is_read_and_mixed_only_where_needed)
{
    static const char *const types[] = {"BF16", "F16", "F32"};
    struct bytes ring[3];
    for (size_t k = 0; k < 3; k++) {
        const struct change none = {0};
        struct ss_model m = write_checkpoint(types[k], &none);
        struct ss_weights *w;
        const struct ss_layer *l;
        cr_assert_eq(ss_weights_open(&w, solo, &m, SS_WEIGHTS_FLOAT, 0, 0), SS_OK, "%s", ss_last_error());
        cr_assert_eq(ss_weights_layer(w, solo, 0, &l), SS_OK);
        cr_assert_eq(l->down.w.type, k == 0 ? SS_BF16 : SS_F32);
        for (size_t i = 0; i < 96; i++) {
            double v = k == 0 ? bf16_weight(&l->down.w, i / 12, i % 12) : (double)((const float *)l->down.w.data)[i];
            cr_assert_eq(v, value_at(3, i));
        }
        for (size_t i = 0; i < 8; i++)
            cr_assert_eq(l->qkv.bias[i], value_at(10, i));
        ss_weights_close(w, solo);
        ring[k] = seen_alone(&m, SS_WEIGHTS_RING, 0);
    }
    expect_equal(ring[0], ring[1], "the ring form depends on the values only");
    expect_equal(ring[0], ring[2], "the ring form depends on the values only");
    free(ring[0].p);
}

Test(weights, extreme_rows_in_ring_form)
{
    static const struct {
        float value;
        unsigned bits;
    } cases[] = {{0, 15}, {32512, 0}, {-32512, 0}, {16256, 1}, {0x1p-40f, 40}, {0x1p-149f, 40}, {1, 14}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct change c = {.tensor = "model.layers.0.self_attn.o_proj.weight", .value = cases[k].value, .whole = true};
        struct ss_model m = write_checkpoint("F32", &c);
        struct ss_weights *w;
        const struct ss_layer *l;
        cr_assert_eq(ss_weights_open(&w, solo, &m, SS_WEIGHTS_RING, 0, 0), SS_OK, "%s", ss_last_error());
        cr_assert_eq(ss_weights_layer(w, solo, 0, &l), SS_OK);
        cr_expect_eq(l->out.w.h_row_bits[3], cases[k].bits, "%g: %d bits", (double)cases[k].value, l->out.w.h_row_bits[3]);
        cr_expect(fabs(int_weight(&l->out.w, 3, 5) - cases[k].value) <= ldexp(0.5, -(int)cases[k].bits));
        ss_weights_close(w, solo);
    }
}

Test(weights, bad_checkpoints_are_named)
{
    static const struct {
        struct change c;
        enum ss_weight_form form;
        const char *says[2];
    } bad[] = {
        {{.tensor = "model.layers.0.mlp.up_proj.weight", .index = 37, .value = NAN},
         SS_WEIGHTS_FLOAT,
         {"up_proj.weight, row 4"}},
        {{.tensor = "model.layers.0.mlp.up_proj.weight", .index = 95, .value = INFINITY},
         SS_WEIGHTS_RING,
         {"up_proj.weight, row 11"}},
        {{.tensor = "model.norm.weight", .index = 3, .value = -INFINITY}, SS_WEIGHTS_FLOAT, {"model.norm.weight, row 0"}},
        {{.tensor = "model.embed_tokens.weight", .index = 79, .value = NAN},
         SS_WEIGHTS_RING,
         {"model.embed_tokens.weight, row 9"}},
        {{.tensor = "model.layers.0.mlp.down_proj.weight", .index = 12, .value = 32640},
         SS_WEIGHTS_RING,
         {"down_proj.weight, row 1", "exceeds 32512"}},
        {{.tensor = "model.norm.weight", .rename = "model.nope.weight"}, SS_WEIGHTS_FLOAT, {"model.norm.weight is missing"}},
        {{.tensor = "lm_head.weight", .rename = "head"}, SS_WEIGHTS_FLOAT, {"lm_head.weight is missing"}},
        {{.tensor = "model.layers.0.self_attn.k_proj.bias", .rename = "b"}, SS_WEIGHTS_FLOAT, {"k_proj.bias is missing"}},
        {{.tensor = "model.layers.0.self_attn.k_proj.weight", .flat = true},
         SS_WEIGHTS_FLOAT,
         {"has shape (32), expected (4,8)"}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ss_model m = write_checkpoint("F32", &bad[i].c);
        struct ss_weights *w;
        cr_expect_eq(ss_weights_open(&w, solo, &m, bad[i].form, 0, 0), SS_USAGE, "case %zu", i);
        cr_expect_null(w);
        for (size_t k = 0; k < 2 && bad[i].says[k] != NULL; k++)
            cr_expect(strstr(ss_last_error(), bad[i].says[k]) != NULL, "'%s' lacks '%s'", ss_last_error(), bad[i].says[k]);
    }
}

Test(weights, large_values_are_refused_only_where_they_cannot_be_held)
{
    static const struct change big = {.tensor = "model.layers.0.mlp.down_proj.weight", .index = 12, .value = 1e6f};
    static const struct change big_embedding = {.tensor = "model.embed_tokens.weight", .index = 12, .value = 1e6f};
    const struct change *const cases[] = {&big, &big_embedding};
    for (int k = 0; k < 2; k++) { /* untied: the embedding is not quantised */
        struct ss_model m = write_checkpoint("F32", cases[k]);
        struct ss_weights *w;
        cr_assert_eq(ss_weights_open(&w, solo, &m, k == 0 ? SS_WEIGHTS_FLOAT : SS_WEIGHTS_RING, 0, 0), SS_OK);
        ss_weights_close(w, solo);
    }
}
