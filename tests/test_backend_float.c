/* test_backend_float.c — a pass in the clear on every backend: each operation against double precision. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "tests/products.h"

Test(cleartext, gemm_is_fp32_for_all_types)
{
    bed_on_each(check_gemms);
}

static void check_rmsnorm(struct bed *t)
{
    enum { ROWS = 3, D = 301 };
    float x[ROWS * D], gain[D], out[ROWS * D];
    uint16_t rounded[ROWS * D];
    uint64_t s = 9;
    for (size_t i = 0; i < ROWS * D; i++)
        x[i] = (float)uniform(&s) * (i < D ? 1e4f : 1e-3f);
    for (size_t i = 0; i < D; i++)
        gain[i] = (float)uniform(&s);
    const float *d_x = bed_put(t, x, sizeof x), *d_gain = bed_put(t, gain, sizeof gain);
    void *d_out = bed_room(t, sizeof out);
    cr_assert_eq(t->b->rmsnorm(t->dev, d_out, SS_F32, d_x, d_gain, ROWS, D, 1e-6), SS_OK);
    bed_get(t, out, d_out, sizeof out);
    for (size_t i = 0; i < ROWS; i++) {
        double squares = 0;
        for (size_t j = 0; j < D; j++)
            squares += (double)x[i * D + j] * x[i * D + j];
        for (size_t j = 0; j < D; j++) {
            const double want = x[i * D + j] / sqrt(squares / D + 1e-6) * gain[j];
            cr_assert_leq(fabs(want - out[i * D + j]), 2e-6 * fabs(want), "%s (%zu, %zu)", t->b->name, i, j);
        }
    }
    cr_assert_eq(t->b->rmsnorm(t->dev, d_out, SS_BF16, d_x, d_gain, ROWS, D, 1e-6), SS_OK);
    bed_get(t, rounded, d_out, sizeof rounded);
    for (size_t i = 0; i < ROWS * D; i++)
        cr_assert_eq(rounded[i], to_bf16(out[i]), "%s at %zu", t->b->name, i);
}

Test(cleartext, rmsnorm_matches_double)
{
    bed_on_each(check_rmsnorm);
}

static void check_bf16(struct bed *t)
{
    /* as gains of rows of ones: value and its bf16, nearest, ties to even */
    static const struct {
        uint32_t value;
        uint16_t want;
    } edges[] = {{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80},
                 {0xbf808000, 0xbf80}, {0xbf818000, 0xbf82}, {0x3fffffff, 0x4000}, {0x7f7f7fff, 0x7f7f},
                 {0x7f7fffff, 0x7f80}, {0x80000000, 0x8000}, {0x00800000, 0x0080}, {0x3f7f8000, 0x3f80}};
    enum { D = sizeof edges / sizeof *edges };
    float one[D], gain[D];
    uint16_t out[D];
    for (size_t i = 0; i < D; i++) {
        one[i] = 1;
        memcpy(gain + i, &edges[i].value, 4);
    }
    const float *d_one = bed_put(t, one, sizeof one), *d_gain = bed_put(t, gain, sizeof gain);
    void *d_out = bed_room(t, sizeof out);
    cr_assert_eq(t->b->rmsnorm(t->dev, d_out, SS_BF16, d_one, d_gain, 1, D, 0), SS_OK);
    bed_get(t, out, d_out, sizeof out);
    for (size_t i = 0; i < D; i++)
        cr_assert_eq(out[i], edges[i].want, "%s: %08x gave %04x, not %04x", t->b->name, edges[i].value, out[i], edges[i].want);
}

Test(cleartext, bf16_rounds_to_nearest_even)
{
    bed_on_each(check_bf16);
}

static void check_rope(struct bed *t)
{
    enum { ROWS = 4, HEADS = 3, D = 16, STRIDE = HEADS * D + 5, HALF = D / 2 };
    const double theta = 1e6;
    for (size_t pos0 = 0; pos0 < 40000; pos0 += 13007) {
        float x[ROWS * STRIDE], y[ROWS * STRIDE];
        uint64_t s = 10;
        for (size_t i = 0; i < ROWS * STRIDE; i++)
            x[i] = (float)uniform(&s);
        float *d = bed_put(t, x, sizeof x);
        cr_assert_eq(t->b->rope(t->dev, d, ROWS, STRIDE, HEADS, D, pos0, theta), SS_OK);
        bed_get(t, y, d, sizeof y);
        for (size_t i = 0; i < ROWS * STRIDE; i++)
            if (i % STRIDE >= HEADS * D || pos0 + i / STRIDE == 0)
                cr_assert_eq(x[i], y[i], "%s: position 0, or behind the heads, at %zu", t->b->name, i);
        for (size_t i = 0; i < ROWS; i++)
            for (size_t j = 0; j < HEADS * D; j++) {
                if (j % D >= HALF)
                    continue;
                const double a = x[i * STRIDE + j], b = x[i * STRIDE + j + HALF];
                const double ya = y[i * STRIDE + j], yb = y[i * STRIDE + j + HALF];
                const double angle = (double)(pos0 + i) * pow(theta, -2.0 * (double)(j % D) / D);
                cr_assert_leq(fabs(a * a + b * b - ya * ya - yb * yb), 1e-6);
                cr_assert_leq(fabs(a * cos(angle) - b * sin(angle) - ya), 5e-7, "%s (%zu, %zu)", t->b->name, i, j);
                cr_assert_leq(fabs(b * cos(angle) + a * sin(angle) - yb), 5e-7, "%s (%zu, %zu)", t->b->name, i, j);
            }
    }
}

Test(cleartext, rope_rotates_and_preserves_norms)
{
    bed_on_each(check_rope);
}

/* Attention of row `row` of all, head h, in double; all (positions, width) as qkv. */
static void naive_attention(double *out, const float *all, size_t row, size_t h, const struct ss_attention *p)
{
    const size_t d = p->d_head, width = (p->n_heads + 2 * p->n_kv) * d, g = h / (p->n_heads / p->n_kv);
    const float *q = all + row * width + h * d, *k = all + (p->n_heads + g) * d, *v = k + p->n_kv * d;
    double weight[64], top = -INFINITY, sum = 0;
    for (size_t j = 0; j <= row; j++) {
        weight[j] = 0;
        for (size_t i = 0; i < d; i++)
            weight[j] += (double)q[i] * k[j * width + i] / sqrt((double)d);
        top = fmax(top, weight[j]);
    }
    for (size_t j = 0; j <= row; j++)
        sum += weight[j] = exp(weight[j] - top);
    for (size_t i = 0; i < d; i++) {
        out[i] = 0;
        for (size_t j = 0; j <= row; j++)
            out[i] += weight[j] / sum * v[j * width + i];
    }
}

static void check_attention(struct bed *t)
{
    enum { TOTAL = 23, HEADS = 6, KV = 2, D = 16, WIDTH = (HEADS + 2 * KV) * D };
    static const size_t cuts[] = {0, 17, 22, TOTAL}; /* a prefill, a longer piece, one token */
    float *all = host(TOTAL * WIDTH * 4), *out = host(TOTAL * HEADS * D * 4);
    uint64_t s = 11;
    for (size_t i = 0; i < TOTAL * WIDTH; i++)
        all[i] = (float)uniform(&s) * (i % WIDTH < D ? 60 : 3); /* head 0 is peaked: exp must not overflow */
    float *d_all = bed_put(t, all, TOTAL * WIDTH * 4), *d_out = bed_room(t, TOTAL * HEADS * D * 4);
    float *k = bed_room(t, TOTAL * KV * D * 4), *v = bed_room(t, TOTAL * KV * D * 4);
    for (size_t c = 0; c < 3; c++) {
        const struct ss_attention p = {cuts[c + 1] - cuts[c], cuts[c], HEADS, KV, D};
        cr_assert_eq(t->b->attention(t->dev, d_out + p.past * HEADS * D, SS_F32, d_all + p.past * WIDTH, k, v, &p), SS_OK);
    }
    bed_get(t, out, d_out, TOTAL * HEADS * D * 4);
    const struct ss_attention whole = {TOTAL, 0, HEADS, KV, D};
    for (size_t row = 0; row < TOTAL; row++)
        for (size_t h = 0; h < HEADS; h++) {
            double want[D];
            naive_attention(want, all, row, h, &whole);
            for (size_t i = 0; i < D; i++)
                cr_assert_leq(fabs(want[i] - out[(row * HEADS + h) * D + i]), 1e-4, "%s (%zu, %zu, %zu)", t->b->name, row, h,
                              i);
        }
    free(all);
    free(out);
}

Test(cleartext, attention_matches_double_with_and_without_a_cache)
{
    bed_on_each(check_attention);
}

static void check_silu(struct bed *t)
{
    enum { ROWS = 3, D = 600 };
    float x[ROWS * 2 * D], out[ROWS * D];
    uint64_t s = 12;
    for (size_t i = 0; i < ROWS * 2 * D; i++)
        x[i] = (float)uniform(&s) * (i % 7 ? 8 : 200); /* exp(200) overflows fp32: silu(-200) must be 0, not NaN */
    const float *d_x = bed_put(t, x, sizeof x);
    void *d_out = bed_room(t, sizeof out);
    cr_assert_eq(t->b->silu_mul(t->dev, d_out, SS_F32, d_x, ROWS, D), SS_OK);
    bed_get(t, out, d_out, sizeof out);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < D; j++) {
            const double gate = x[i * 2 * D + j], want = gate / (1 + exp(-gate)) * x[i * 2 * D + D + j];
            cr_assert_leq(fabs(want - out[i * D + j]), 2e-6 * fabs(want) + 1e-30, "%s: silu(%g)", t->b->name, gate);
        }
}

Test(cleartext, silu_mul_matches_double)
{
    bed_on_each(check_silu);
}
