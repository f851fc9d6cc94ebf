/* test_backend_exact.c — floats with the same bits on every backend: kernels/exact.h and the orders that backend.h spells out.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "kernels/exact.h"
#include "tests/bed.h"

Test(exact, exp_is_within_one_ulp)
{
    double worst = 0;
    for (uint32_t u = 0; u < 0x42b10000; u += 9973)
        for (uint32_t sign = 0; sign < 2; sign++) {
            const float x = ss_bits_float(u | sign << 31);
            const double want = exp((double)x);
            int e;
            (void)frexp(want, &e);
            if (x >= -87.3f && x <= 88.37f)
                worst = fmax(worst, fabs(ss_exp(x) - want) / ldexp(1, e - 24));
        }
    cr_assert_lt(worst, 1, "%g ulp", worst);
    cr_assert_eq(ss_exp(0), 1);
    cr_assert_eq(ss_exp(-0.0f), 1);
    cr_assert_eq(ss_exp(-87.4f), 0);
    cr_assert_eq(ss_exp(-INFINITY), 0);
    cr_assert(isfinite(ss_exp(INFINITY)));
    cr_assert(isnan(ss_exp(NAN)));
}

/* Row `row`, head h of qkv (positions, width) in backend.h's words, one number at a time; past = 0. */
static void spelled_attention(float *out, const float *all, size_t row, size_t h, const struct ss_attention *p)
{
    const size_t d = p->d_head, width = (p->n_heads + 2 * p->n_kv) * d, size = ss_attend_block(p->tokens, 0);
    const float *q = all + row * width + h * d, *k = all + (p->n_heads + h / (p->n_heads / p->n_kv)) * d;
    float acc[16][256] = {{0}}, top[16], sum[16], most = -1e30f, total = 0;
    for (size_t b = 0; b * size <= row; b++) {
        float lanes[32] = {0};
        top[b] = -1e30f;
        for (size_t j0 = b * size; j0 < (b + 1) * size && j0 <= row; j0 += 32) {
            float weight[32], next = top[b];
            for (size_t j = 0; j < 32; j++) {
                weight[j] = 0;
                for (size_t i = 0; i < d && j0 + j <= row; i += 4) {
                    float product[4] = {0};
                    for (size_t l = 0; l < 4 && i + l < d; l++)
                        product[l] = q[i + l] * ss_attend_scale(d) * k[(j0 + j) * width + i + l];
                    weight[j] += (product[0] + product[1]) + (product[2] + product[3]);
                }
                next = j0 + j <= row && weight[j] > next ? weight[j] : next;
            }
            const float keep = ss_exp(top[b] - next);
            top[b] = next;
            for (size_t j = 0; j < 32; j++) {
                weight[j] = j0 + j <= row ? ss_exp(weight[j] - next) : 0;
                lanes[j] = lanes[j] * keep + weight[j];
            }
            for (size_t i = 0; i < d; i++)
                acc[b][i] *= keep;
            for (size_t j = 0; j < 32; j += 4)
                for (size_t i = 0; i < d; i++) {
                    float product[4] = {0};
                    for (size_t l = 0; l < 4 && j0 + j + l <= row; l++)
                        product[l] = weight[j + l] * k[(j0 + j + l) * width + p->n_kv * d + i];
                    acc[b][i] += (product[0] + product[1]) + (product[2] + product[3]);
                }
        }
        for (size_t step = 16; step; step /= 2)
            for (size_t j = 0; j < step; j++)
                lanes[j] += lanes[j + step];
        sum[b] = lanes[0];
        most = fmaxf(most, top[b]);
    }
    for (size_t b = 0; b * size <= row; b++)
        total = b ? total + ss_exp(top[b] - most) * sum[b] : ss_exp(top[b] - most) * sum[b];
    for (size_t i = 0; i < d; i++) {
        float y = ss_exp(top[0] - most) * acc[0][i];
        for (size_t b = 1; b * size <= row; b++)
            y += ss_exp(top[b] - most) * acc[b][i];
        out[i] = y / total + 0.0f;
    }
}

static void check_spelled_attention(struct bed *t)
{
    static const struct ss_attention shapes[] = {{70, 0, 4, 2, 22}, {255, 0, 2, 1, 64}, {256, 0, 2, 1, 40}};
    uint64_t s = 31;
    for (size_t c = 0; c < sizeof shapes / sizeof *shapes; c++) {
        const struct ss_attention *p = &shapes[c];
        const size_t d = p->d_head, n = p->tokens * (p->n_heads + 2 * p->n_kv) * d, kv = p->tokens * p->n_kv * d * 4;
        const size_t bytes = p->tokens * p->n_heads * d * 4;
        float *all = host(n * 4), *out = host(bytes), want[256];
        for (size_t i = 0; i < n; i++)
            all[i] = (float)uniform(&s) * 3;
        float *d_all = bed_put(t, all, n * 4), *d_out = bed_room(t, bytes), *k = bed_room(t, kv), *v = bed_room(t, kv);
        cr_assert_eq(t->b->attention(t->dev, d_out, SS_F32, d_all, k, v, p), SS_OK);
        bed_get(t, out, d_out, bytes);
        for (size_t row = 0; row < p->tokens; row += row < 40 ? 1 : 19)
            for (size_t h = 0; h < p->n_heads; h++) {
                spelled_attention(want, all, row, h, p);
                cr_assert_arr_eq(out + (row * p->n_heads + h) * d, want, d * 4, "%s: shape %zu row %zu head %zu", t->b->name, c,
                                 row, h);
            }
        free(all);
        free(out);
        bed_drop(t);
    }
}

Test(exact, attention_is_the_sum_that_backend_h_spells_out)
{
    bed_on_each(check_spelled_attention);
}

/* What an operation's test needs on one device: the backend under test, or the CPU on one thread beside it. */
struct float_case {
    int op; /* 0 rmsnorm, 1 rope, 2 attention, 3 silu_mul */
    enum ss_type act;
    size_t rows, d; /* tokens and d_model, or d_ff */
    struct ss_attention p;
    const float *x, *gain, *k, *v;
    size_t n, n_out; /* values of x, of the result */
};

static void run_case(struct bed *t, const struct float_case *c, void *out)
{
    const size_t width = c->act == SS_F32 ? 4 : 2, kv = (c->p.past + c->p.tokens) * c->p.n_kv * c->p.d_head * 4;
    float *x = bed_put(t, c->x, c->n * 4);
    void *y = bed_room(t, c->n_out * width);
    enum ss_err err = SS_OK;
    if (c->op == 0)
        err = t->b->rmsnorm(t->dev, y, c->act, x, bed_put(t, c->gain, c->d * 4), c->rows, c->d, 1e-6);
    else if (c->op == 1)
        err = t->b->rope(t->dev, x, c->rows, c->d, c->p.n_heads, c->p.d_head, c->p.past, 1e6);
    else if (c->op == 2)
        err = t->b->attention(t->dev, y, c->act, x, bed_put(t, c->k, kv), bed_put(t, c->v, kv), &c->p);
    else
        err = t->b->silu_mul(t->dev, y, c->act, x, c->rows, c->d);
    cr_assert_eq(err, SS_OK);
    bed_get(t, out, c->op == 1 ? (void *)x : y, c->n_out * width);
    bed_drop(t);
}

/* The same case on the device and on the reference: equal bytes. */
static void compare(struct bed *t, struct bed *reference, const struct float_case *c)
{
    static const char *const names[] = {"rmsnorm", "rope", "attention", "silu_mul"};
    const size_t width = c->act == SS_F32 ? 4 : 2;
    uint8_t *got = host(c->n_out * width), *want = host(c->n_out * width);
    run_case(t, c, got);
    run_case(reference, c, want);
    size_t at = 0;
    while (at < c->n_out && !memcmp(got + at * width, want + at * width, width))
        at++;
    cr_assert_eq(at, c->n_out, "%s %s: %s (%zu, %zu) %s, attention %zu after %zu, %zu/%zu heads of %zu: other bits at %zu",
                 t->b->name, t->isa, names[c->op], c->rows, c->d, width == 4 ? "f32" : "bf16", c->p.tokens, c->p.past,
                 c->p.n_heads, c->p.n_kv, c->p.d_head, at);
    free(got);
    free(want);
}

static void check_same_bits(struct bed *t)
{
    enum { VALUES = 1 << 21 };
    static const size_t norms[] = {256, 257, 301, 896, 1536, 2047, 2049, 3584, 5003, 8192};
    static const size_t heads[][2] = {{1, 1}, {4, 2}, {12, 2}, {6, 1}, {3, 3}}, sizes[] = {16, 22, 64, 80, 128};
    static const size_t lengths[][2] = {{1, 0},   {5, 0},   {33, 0},  {56, 0},  {129, 0},  {255, 0},  {256, 0},
                                        {300, 0}, {1, 127}, {1, 128}, {7, 300}, {56, 500}, {1, 2999}, {259, 45}};
    const struct ss_dev_options one = {.threads = 1};
    struct bed reference = {.b = ss_backend_find("cpu"), .isa = ""};
    cr_assert_eq(reference.b->open(&reference.dev, &one), SS_OK);
    uint64_t s = 77;
    float *x = host(VALUES * 4), *k = host(VALUES * 4), *v = host(VALUES * 4);
    for (size_t i = 0; i < VALUES; i++) {
        x[i] = (float)(uniform(&s) * exp2(8 * uniform(&s)));
        k[i] = (float)uniform(&s) * 3;
        v[i] = (float)uniform(&s) * 3;
    }
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const enum ss_type act = bf16 ? SS_BF16 : SS_F32;
        for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
            const size_t d = norms[i];
            compare(t, &reference, &(struct float_case){0, act, 3, d, {0}, x, k, NULL, NULL, 3 * d, 3 * d});
            compare(t, &reference, &(struct float_case){3, act, 3, d, {0}, x, NULL, NULL, NULL, 6 * d, 3 * d});
        }
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            const size_t *h = heads[(i + (size_t)bf16) % 5], d = sizes[(3 * i + (size_t)bf16) % 5];
            const struct ss_attention p = {lengths[i][0], lengths[i][1], h[0], h[1], d};
            const size_t n = p.tokens * (h[0] + 2 * h[1]) * d, out = p.tokens * h[0] * d;
            cr_assert_leq(n, (size_t)VALUES);
            const float *qkv = i % 2 ? x : v; /* peaked and flat */
            compare(t, &reference, &(struct float_case){2, act, p.tokens, n / p.tokens, p, qkv, NULL, k, v, n, out});
        }
    }
    static const size_t positions[] = {0, 1, 511, 4000};
    for (size_t i = 0; i < 4; i++) {
        const struct ss_attention p = {.past = positions[i], .n_heads = 3, .d_head = sizes[i]};
        const size_t width = 3 * sizes[i] + 5;
        compare(t, &reference, &(struct float_case){1, SS_F32, 60, width, p, x, NULL, NULL, NULL, 60 * width, 60 * width});
    }
    static const float edges[] = {0, -0.0f, 1e-40f, -1e-40f, 87.3f, -87.3f, 88.37f, -88.4f, 1e4f, -1e4f, 3e38f, -3e38f};
    float extreme[24];
    for (size_t i = 0; i < 24; i++)
        extreme[i] = i < 12 ? edges[i] : 1;
    compare(t, &reference, &(struct float_case){3, SS_F32, 1, 12, {0}, extreme, NULL, NULL, NULL, 24, 12});
    reference.b->close(reference.dev);
    free(x);
    free(k);
    free(v);
}

Test(exact, float_operations_equal_the_cpus_bit_for_bit, .timeout = 300)
{
    bed_on_each(check_same_bits);
}
