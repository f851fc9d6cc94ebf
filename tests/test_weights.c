/* The one copy of the weights: the same bytes whether resident or streamed and whoever fills them, values, exact ring form,
   memory. (Checkpoints, good and bad: test_weights_checkpoints.c.) */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"
#include "harness/safetensors.h"
#include "tests/weights_seen.h"

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
