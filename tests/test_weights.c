/* The one copy of the weights: the same bytes whether resident or streamed and whoever fills them, exact ring form, bad
   checkpoints refused. Weights lie in CPU memory here, so the tests read them directly. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/philox.h"
#include "harness/safetensors.h"
#include "harness/weights_source.h"
#include "tests/roles.h"
#include "variants/variant.h"

static const struct ss_variant with_dealer = {.name = "test", .parties = 2, .dealer = true};
static struct roles roles;
static struct ss_ctx *solo; /* P0 alone */

static void begin(void)
{
    ss_set_error_silent(1);
    roles_open(&roles, NULL, NULL);
    for (int role = 0; role < SS_N_ROLES; role++)
        roles.ctx[role].variant = &with_dealer;
    solo = &roles.ctx[SS_P0];
}

static void end(void)
{
    roles_close(&roles);
}

static void alone(void)
{
    begin();
    solo->parties = 1;
    solo->variant = NULL;
}

TestSuite(weights, .init = alone, .fini = end);
TestSuite(weights_shared, .init = begin, .fini = end);

static struct ss_model seed_model(void)
{
    return (struct ss_model){
        .name = "seed",
        .source = SS_FROM_SEED,
        .shape = {.d_model = 24, .d_ff = 36, .n_layers = 3, .n_heads = 3, .n_kv = 1, .d_head = 6, .vocab = 31}};
}

static struct ss_model tiny_model(const char *name)
{
    struct ss_model m;
    char path[1200];
    snprintf(path, sizeof path, "%s/tests/data/%s", ss_home(), name);
    cr_assert_eq(ss_model_from_dir(&m, path), SS_OK);
    return m;
}

/* ---- everything a role sees of the weights, as bytes */
struct bytes {
    char *p;
    size_t n;
};

static void add(struct bytes *b, const void *data, size_t n)
{
    b->p = realloc(b->p, b->n + n + 1);
    memcpy(b->p + b->n, data, n);
    b->n += n;
}

static void add_matrix(struct bytes *b, const struct ss_matrix *m)
{
    add(b, &m->type, sizeof m->type);
    add(b, m->data, m->rows * m->cols * ss_type_bytes(m->type));
    if (m->row_bits != NULL) {
        add(b, m->row_bits, m->rows);
        add(b, m->h_row_bits, m->rows);
    }
}

/* Two passes over the weights of w. */
static enum ss_err see(struct bytes *b, struct ss_weights *w, struct ss_ctx *c, const struct ss_shape *s)
{
    for (int pass = 0; pass < 2; pass++) {
        const struct ss_layer *l;
        const struct ss_matrix *head;
        const float *norm;
        for (size_t layer = 0; layer < s->n_layers; layer++) {
            SS_TRY(ss_weights_layer(w, c, layer, &l));
            add(b, l->attn_norm, s->d_model * sizeof(float));
            add(b, l->ffn_norm, s->d_model * sizeof(float));
            add(b, l->qkv.bias, l->qkv.w.rows * sizeof(float));
            cr_assert(l->out.bias == NULL && l->gate_up.bias == NULL && l->down.bias == NULL);
            add_matrix(b, &l->qkv.w);
            add_matrix(b, &l->out.w);
            add_matrix(b, &l->gate_up.w);
            add_matrix(b, &l->down.w);
        }
        SS_TRY(ss_weights_head(w, c, &norm, &head));
        add(b, norm, s->d_model * sizeof(float));
        add_matrix(b, head);
    }
    return SS_OK;
}

static struct bytes seen_alone(const struct ss_model *m, enum ss_weight_form form, size_t budget)
{
    struct ss_weights *w;
    struct bytes b = {0};
    cr_assert_eq(ss_weights_open(&w, solo, m, form, 5, budget), SS_OK, "%s", ss_last_error());
    cr_expect_eq(ss_weights_resident(w), budget > 0);
    cr_assert_eq(see(&b, w, solo, &m->shape), SS_OK);
    ss_weights_close(w, solo);
    cr_expect_eq(solo->memory.now[SS_TAG_weights], 0);
    cr_expect_eq(solo->memory.now[SS_TAG_workspace], 0);
    return b;
}

static void expect_equal(struct bytes a, struct bytes b, const char *what)
{
    cr_expect(a.n == b.n && memcmp(a.p, b.p, a.n) == 0, "%s", what);
    free(b.p);
}

/* The CPU backend with the other ring layout. */
static const struct ss_backend *with_planes(void)
{
    static struct ss_backend planes;
    planes = *ss_backend_find("cpu");
    planes.ring_matrix = SS_I8X2;
    return &planes;
}

Test(weights, streaming_equals_resident)
{
    for (int k = 0; k < 3; k++)
        for (int form = SS_WEIGHTS_FLOAT; form <= SS_WEIGHTS_RING; form++) {
            struct ss_model m = k == 0 ? seed_model() : tiny_model(k == 1 ? "qwen2-tiny-a" : "tiny-lm");
            struct bytes resident = seen_alone(&m, (enum ss_weight_form)form, SIZE_MAX);
            expect_equal(resident, seen_alone(&m, (enum ss_weight_form)form, 0), m.name);
            free(resident.p);
        }
}

/* ---- several roles */
struct shared {
    struct ss_weights *w;
    const struct ss_shape *s;
    struct bytes seen[SS_N_ROLES];
};

static enum ss_err look(struct ss_ctx *c, void *arg)
{
    struct shared *x = arg;
    return see(&x->seen[c->role], x->w, c, x->s);
}

Test(weights_shared, parties_fill_what_one_party_would)
{
    for (int k = 0; k < 8; k++) {
        struct ss_model m = k & 1 ? tiny_model("qwen2-tiny-a") : seed_model();
        enum ss_weight_form form = k & 2 ? SS_WEIGHTS_RING : SS_WEIGHTS_FLOAT;
        struct shared x = {.s = &m.shape};
        cr_assert_eq(ss_weights_open(&x.w, solo, &m, form, 5, k & 4 ? SIZE_MAX : 0), SS_OK);
        roles_run(&roles, look, &x);
        ss_weights_close(x.w, solo);
        solo->parties = 1;
        solo->variant = NULL;
        struct bytes expected = seen_alone(&m, form, SIZE_MAX);
        solo->parties = 2;
        solo->variant = &with_dealer;
        for (int role = 0; role < SS_N_ROLES; role++)
            expect_equal(expected, x.seen[role], "a role sees other weights");
        free(expected.p);
    }
}

static enum ss_err look_or_fail(struct ss_ctx *c, void *arg)
{
    if (c->role == SS_DEALER)
        return ss_fail(SS_ENV, __FILE__, __LINE__, "made to fail");
    return look(c, arg);
}

Test(weights_shared, a_role_that_fails_does_not_leave_the_others_waiting)
{
    struct ss_model m = seed_model();
    struct shared x = {.s = &m.shape};
    cr_assert_eq(ss_weights_open(&x.w, solo, &m, SS_WEIGHTS_RING, 5, 0), SS_OK);
    cr_expect_eq(roles_run_expecting(&roles, look_or_fail, &x), SS_ENV);
    ss_weights_close(x.w, solo);
}

/* ---- values */
static double int_weight(const struct ss_matrix *m, size_t row, size_t col)
{
    size_t i = row * m->cols + col;
    double v;
    if (m->type == SS_I16) {
        v = ((const int16_t *)m->data)[i];
    } else {
        const int8_t *lo = m->data, *hi = lo + m->rows * m->cols;
        v = lo[i] + 256.0 * hi[i];
    }
    return ldexp(v, -m->h_row_bits[row]);
}

static double bf16_weight(const struct ss_matrix *m, size_t row, size_t col)
{
    uint32_t bits = (uint32_t)((const uint16_t *)m->data)[row * m->cols + col] << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

Test(weights, synthetic_values_are_those_of_philox)
{
    struct ss_model m = seed_model();
    struct ss_weights *f, *r;
    const struct ss_layer *lf, *lr;
    const size_t q = 18, kv = 6, d = m.shape.d_model;
    cr_assert_eq(ss_weights_open(&f, solo, &m, SS_WEIGHTS_FLOAT, 77, 0), SS_OK);
    cr_assert_eq(ss_weights_open(&r, solo, &m, SS_WEIGHTS_RING, 77, SIZE_MAX), SS_OK);
    cr_assert_eq(ss_weights_layer(f, solo, 2, &lf), SS_OK);
    cr_assert_eq(ss_weights_layer(r, solo, 2, &lr), SS_OK);
    double squares = 0;
    for (size_t row = 0; row < q + 2 * kv; row++) {
        int id = row < q ? SS_W_Q : row < q + kv ? SS_W_K : SS_W_V;
        size_t within = row < q ? row : (row - q) % kv;
        cr_expect_float_eq(lf->qkv.bias[row], ldexp(ss_synth_int(ss_philox_word(77, 2 << 8 | (id + SS_W_Q_BIAS), within)), -9),
                           0);
        for (size_t col = 0; col < d; col++) {
            int word = ss_synth_int(ss_philox_word(77, (uint64_t)(2 << 8 | id), within * d + col));
            double v = bf16_weight(&lf->qkv.w, row, col);
            cr_assert_eq(v, ldexp(word, -lr->qkv.w.h_row_bits[row]));
            cr_assert_eq(v, int_weight(&lr->qkv.w, row, col));
            squares += v * v;
        }
    }
    double std = sqrt(squares / (double)((q + 2 * kv) * d)) * sqrt((double)d);
    cr_expect(std > 0.65 && std < 1.5, "standard deviation times sqrt(fan_in): %g", std);
    float h[2][24];
    cr_assert_eq(ss_weights_embed(f, &h[0][0], (int32_t[]){30, 0}, 2), SS_OK);
    for (size_t i = 0; i < d; i++) {
        cr_expect_eq(h[0][i], ldexp(ss_synth_int(ss_philox_word(77, 3 << 8 | SS_W_EMBED, 30 * d + i)), -6));
        cr_expect_eq(h[1][i], ldexp(ss_synth_int(ss_philox_word(77, 3 << 8 | SS_W_EMBED, i)), -6));
        cr_expect(fabsf(lf->attn_norm[i] - 1) < 0.13f);
    }
    ss_weights_close(f, solo);
    ss_weights_close(r, solo);
}

Test(weights, a_tied_synthetic_head_is_the_embedding_up_to_a_power_of_two)
{
    struct ss_model m = seed_model();
    m.shape.tied = true;
    struct ss_weights *w;
    const struct ss_matrix *head;
    const float *norm;
    float h[24];
    cr_assert_eq(ss_weights_open(&w, solo, &m, SS_WEIGHTS_RING, 1, 0), SS_OK);
    cr_assert_eq(ss_weights_head(w, solo, &norm, &head), SS_OK);
    for (int32_t token = 0; token < 31; token++) {
        cr_assert_eq(ss_weights_embed(w, h, &token, 1), SS_OK);
        for (size_t i = 0; i < 24; i++)
            cr_assert_eq(int_weight(head, (size_t)token, i), ldexp(h[i], 6 - head->h_row_bits[token]));
    }
    cr_expect_eq(ss_weights_embed(w, h, (int32_t[]){31}, 1), SS_USAGE);
    cr_expect_eq(ss_weights_embed(w, h, (int32_t[]){-1}, 1), SS_USAGE);
    ss_weights_close(w, solo);
}

/* Every weight of the checkpoint within half a unit of its row's scale, and the scale the largest possible. */
static void expect_quantised(const struct ss_matrix *m, size_t row0, const struct ss_safetensors *st, const char *name)
{
    const struct ss_tensor *t = ss_safetensors_find(st, name);
    cr_assert(t != NULL);
    float *x = malloc(t->shape[1] * sizeof *x);
    for (size_t row = 0; row < t->shape[0]; row++) {
        double peak = 0;
        const int bits = m->h_row_bits[row0 + row];
        ss_tensor_to_f32(x, t, row * t->shape[1], t->shape[1]);
        for (size_t col = 0; col < t->shape[1]; col++) {
            double error = fabs(int_weight(m, row0 + row, col) - x[col]);
            cr_assert(error <= ldexp(0.5, -bits), "%s row %zu col %zu: off by %g", name, row, col, error);
            peak = fmax(peak, fabs((double)x[col]));
        }
        cr_assert(ldexp(peak, bits) <= 32512 && (bits == 40 || ldexp(peak, bits + 1) > 32512), "%s row %zu: 2^%d", name, row,
                  bits);
    }
    free(x);
}

Test(weights, ring_form_is_within_half_a_unit)
{
    struct ss_model m = tiny_model("qwen2-tiny-a");
    struct ss_safetensors *st;
    cr_assert_eq(ss_safetensors_open_dir(&st, m.path), SS_OK);
    for (int k = 0; k < 2; k++) {
        struct ss_weights *w;
        const struct ss_layer *l;
        const struct ss_matrix *head;
        const float *norm;
        if (k == 1)
            solo->backend = with_planes();
        cr_assert_eq(ss_weights_open(&w, solo, &m, SS_WEIGHTS_RING, 0, 0), SS_OK);
        cr_assert_eq(ss_weights_layer(w, solo, 1, &l), SS_OK);
        expect_quantised(&l->qkv.w, 0, st, "model.layers.1.self_attn.q_proj.weight");
        expect_quantised(&l->qkv.w, 128, st, "model.layers.1.self_attn.k_proj.weight");
        expect_quantised(&l->qkv.w, 192, st, "model.layers.1.self_attn.v_proj.weight");
        expect_quantised(&l->out.w, 0, st, "model.layers.1.self_attn.o_proj.weight");
        expect_quantised(&l->gate_up.w, 0, st, "model.layers.1.mlp.gate_proj.weight");
        expect_quantised(&l->gate_up.w, 320, st, "model.layers.1.mlp.up_proj.weight");
        expect_quantised(&l->down.w, 0, st, "model.layers.1.mlp.down_proj.weight");
        cr_assert_eq(ss_weights_head(w, solo, &norm, &head), SS_OK);
        expect_quantised(head, 0, st, "model.embed_tokens.weight");
        ss_weights_close(w, solo);
    }
    ss_safetensors_close(st);
}

Test(weights, bf16_checkpoints_stay_verbatim)
{
    struct ss_model m = tiny_model("qwen2-tiny-a");
    struct ss_safetensors *st;
    struct ss_weights *w;
    const struct ss_layer *l;
    cr_assert_eq(ss_safetensors_open_dir(&st, m.path), SS_OK);
    cr_assert_eq(ss_weights_open(&w, solo, &m, SS_WEIGHTS_FLOAT, 0, 0), SS_OK);
    cr_assert_eq(ss_weights_layer(w, solo, 2, &l), SS_OK);
    const struct ss_tensor *up = ss_safetensors_find(st, "model.layers.2.mlp.up_proj.weight");
    cr_expect_eq(l->gate_up.w.type, SS_BF16);
    cr_expect(memcmp((const char *)l->gate_up.w.data + up->bytes, up->data, up->bytes) == 0);
    float bias[64], row[128], h[128];
    ss_tensor_to_f32(bias, ss_safetensors_find(st, "model.layers.2.self_attn.v_proj.bias"), 0, 64);
    cr_expect(memcmp(l->qkv.bias + 192, bias, sizeof bias) == 0);
    ss_tensor_to_f32(row, ss_safetensors_find(st, "model.embed_tokens.weight"), 511 * 128, 128);
    cr_assert_eq(ss_weights_embed(w, h, (int32_t[]){511}, 1), SS_OK);
    cr_expect(memcmp(h, row, sizeof row) == 0);
    ss_weights_close(w, solo);
    ss_safetensors_close(st);
}

Test(weights, footprint_is_what_is_allocated)
{
    struct ss_model m = seed_model();
    for (int k = 0; k < 3; k++) {
        struct ss_weights *w;
        size_t streaming, resident;
        if (k == 2)
            solo->backend = with_planes();
        enum ss_weight_form form = k == 0 ? SS_WEIGHTS_FLOAT : SS_WEIGHTS_RING;
        ss_weights_footprint(&m.shape, k == 0 ? SS_BF16 : solo->backend->ring_matrix, &streaming, &resident);
        cr_expect(resident > 2 * ss_shape_params(&m.shape) - 2 * m.shape.vocab * m.shape.d_model);
        for (int keep = 0; keep < 2; keep++) { /* one byte less than what residency takes: streaming */
            cr_assert_eq(ss_weights_open(&w, solo, &m, form, 0, keep ? resident : resident - 1), SS_OK);
            cr_expect_eq(ss_weights_resident(w), keep == 1);
            cr_expect_eq(solo->memory.now[SS_TAG_weights], (int64_t)(keep ? resident : streaming));
            ss_weights_close(w, solo);
        }
    }
}

static void little_memory(struct ss_dev *dev, size_t *free_bytes, size_t *total_bytes)
{
    (void)dev;
    *free_bytes = *total_bytes = 4096;
}

Test(weights, memory_short_is_a_skip_with_both_numbers)
{
    static struct ss_backend small;
    struct ss_model m;
    struct ss_weights *w;
    small = *solo->backend;
    small.memory = little_memory;
    solo->backend = &small;
    cr_assert_eq(ss_model_find(&m, "doc-72b"), SS_OK);
    cr_expect_eq(ss_weights_open(&w, solo, &m, SS_WEIGHTS_RING, 0, SIZE_MAX), SS_SKIP);
    cr_expect_str_eq(ss_last_error(), "memory (needs 4.0 GB, has 0.0 GB)");
    cr_expect_null(w);
}

/* ---- checkpoints written here */
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

static struct ss_model write_checkpoint(char dir[64], const char *dtype, const struct change *c)
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
    strcpy(dir, "/tmp/ss_weights_XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(m.path, sizeof m.path, "%s/model.safetensors", dir);
    FILE *f = fopen(m.path, "wb");
    cr_assert(f != NULL);
    uint64_t length = n;
    fwrite(&length, 8, 1, f);
    fwrite(header, 1, n, f);
    fwrite(data, 1, at, f);
    fclose(f);
    strcpy(m.path, dir);
    return m;
}

static void remove_checkpoint(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    unlink(path);
    rmdir(dir);
}

Test(weights, every_float_type_is_read_and_mixed_only_where_needed)
{
    static const char *const types[] = {"BF16", "F16", "F32"};
    struct bytes ring[3];
    for (size_t k = 0; k < 3; k++) {
        char dir[64];
        const struct change none = {0};
        struct ss_model m = write_checkpoint(dir, types[k], &none);
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
        remove_checkpoint(dir);
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
        char dir[64];
        const struct change c = {.tensor = "model.layers.0.self_attn.o_proj.weight", .value = cases[k].value, .whole = true};
        struct ss_model m = write_checkpoint(dir, "F32", &c);
        struct ss_weights *w;
        const struct ss_layer *l;
        cr_assert_eq(ss_weights_open(&w, solo, &m, SS_WEIGHTS_RING, 0, 0), SS_OK, "%s", ss_last_error());
        cr_assert_eq(ss_weights_layer(w, solo, 0, &l), SS_OK);
        cr_expect_eq(l->out.w.h_row_bits[3], cases[k].bits, "%g: %d bits", (double)cases[k].value, l->out.w.h_row_bits[3]);
        cr_expect(fabs(int_weight(&l->out.w, 3, 5) - cases[k].value) <= ldexp(0.5, -(int)cases[k].bits));
        ss_weights_close(w, solo);
        remove_checkpoint(dir);
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
        char dir[64];
        struct ss_model m = write_checkpoint(dir, "F32", &bad[i].c);
        struct ss_weights *w;
        cr_expect_eq(ss_weights_open(&w, solo, &m, bad[i].form, 0, 0), SS_USAGE, "case %zu", i);
        cr_expect_null(w);
        for (size_t k = 0; k < 2 && bad[i].says[k] != NULL; k++)
            cr_expect(strstr(ss_last_error(), bad[i].says[k]) != NULL, "'%s' lacks '%s'", ss_last_error(), bad[i].says[k]);
        remove_checkpoint(dir);
    }
}

Test(weights, large_values_are_refused_only_where_they_cannot_be_held)
{
    static const struct change big = {.tensor = "model.layers.0.mlp.down_proj.weight", .index = 12, .value = 1e6f};
    static const struct change big_embedding = {.tensor = "model.embed_tokens.weight", .index = 12, .value = 1e6f};
    const struct change *const cases[] = {&big, &big_embedding};
    for (int k = 0; k < 2; k++) { /* untied: the embedding is not quantised */
        char dir[64];
        struct ss_model m = write_checkpoint(dir, "F32", cases[k]);
        struct ss_weights *w;
        cr_assert_eq(ss_weights_open(&w, solo, &m, k == 0 ? SS_WEIGHTS_FLOAT : SS_WEIGHTS_RING, 0, 0), SS_OK);
        ss_weights_close(w, solo);
        remove_checkpoint(dir);
    }
}
