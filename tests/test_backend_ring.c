/* test_backend_ring.c — words mod 2^64 on every backend: schoolbook integers, laws of truncation, hand-made edge cases. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "tests/products.h"

Test(ring, gemm_equals_schoolbook)
{
    bed_on_each(check_random_products);
}

static void check_extreme_products(struct bed *t)
{
    /* The last two make every digit of the CPU's and of CUDA's decomposition as negative, or as positive, as it gets. */
    static const uint64_t edges[] = {0,
                                     1,
                                     UINT64_MAX,
                                     1ull << 63,
                                     INT64_MAX,
                                     0x80000000,
                                     0x7fffffff,
                                     0xffffffff00000000,
                                     0x8080808080808080,
                                     0x7f7f7f7f7f7f7f7f,
                                     0u - (1024ull + (1024ull << 11) + (512ull << 22) + (32768ull << 32)),
                                     1023ull + (1023ull << 11) + (511ull << 22) + (32767ull << 32)};
    static const int16_t weights[] = {32512, -32512, 127, 128, -128, -129, 1, -1};
    enum { M = sizeof edges / sizeof *edges, N = sizeof weights / sizeof *weights, K = 4099 };
    uint64_t *x = host(M * K * 8), s = 2;
    int16_t *w = host(N * K * 2);
    for (size_t i = 0; i < M * K; i++)
        x[i] = edges[i / K];
    for (size_t i = 0; i < N * K; i++)
        w[i] = weights[i / K];
    check_product(t, x, w, M, N, K, t->b->ring_matrix);
    for (size_t i = 0; i < M * K; i++)
        x[i] = edges[random64(&s) % M];
    for (size_t i = 0; i < N * K; i++)
        w[i] = weights[random64(&s) % 2];
    check_product(t, x, w, M, N, K, t->b->ring_matrix);
    free(x);
    free(w);
}

Test(ring, gemm_survives_extreme_values)
{
    bed_on_each(check_extreme_products);
}

static void check_elementwise(struct bed *t)
{
    enum { N = 40001 };
    uint64_t *a = host(N * 8), *b = host(N * 8), *out = host(N * 8), s = 3;
    for (size_t i = 0; i < N; i++) {
        a[i] = random64(&s);
        b[i] = random64(&s);
    }
    uint64_t *d_a = bed_put(t, a, N * 8), *d_b = bed_put(t, b, N * 8), *d_out = bed_room(t, N * 8);
    cr_assert_eq(t->b->ring_add(t->dev, d_out, d_a, d_b, N), SS_OK);
    bed_get(t, out, d_out, N * 8);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], a[i] + b[i]);
    cr_assert_eq(t->b->ring_mul(t->dev, d_out, d_a, d_b, N), SS_OK);
    bed_get(t, out, d_out, N * 8);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], a[i] * b[i]);
    cr_assert_eq(t->b->ring_sub(t->dev, d_a, d_a, d_b, N), SS_OK); /* in place */
    bed_get(t, out, d_a, N * 8);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], a[i] - b[i]);
    free(a);
    free(b);
    free(out);
}

Test(ring, add_sub_mul_are_mod_2_64)
{
    bed_on_each(check_elementwise);
}

/* Both parties' and the dealer's halves for x (rows, cols); the opened result lands in y, on top of y if accumulate. */
static void truncate(struct bed *t, uint64_t *y, const uint64_t *x, size_t rows, size_t cols, unsigned m, const uint8_t *col_m,
                     uint64_t *s, bool accumulate)
{
    const size_t n = rows * cols, bytes = n * 8;
    const struct ss_backend *b = t->b;
    uint64_t *h[7], *d[7]; /* x0 x1 r0 r1 rt0 rm0 y0: random, then x1 = x - x0 */
    for (size_t i = 0; i < 7; i++) {
        h[i] = host(bytes);
        for (size_t j = 0; j < n; j++)
            h[i][j] = i == 1 ? x[j] - h[0][j] : random64(s);
        d[i] = bed_put(t, h[i], bytes);
    }
    const uint8_t *d_col = col_m ? bed_put(t, col_m, cols) : NULL;
    uint64_t *rt1 = bed_room(t, bytes), *rm1 = bed_room(t, bytes), *c0 = bed_room(t, bytes), *c1 = bed_room(t, bytes),
             *y1 = h[1], *d_y1;
    for (size_t j = 0; j < n; j++)
        y1[j] = y[j] - h[6][j];
    d_y1 = bed_put(t, y1, bytes);
    cr_assert_eq(b->trunc_deal(t->dev, rt1, rm1, d[2], d[3], d[4], d[5], rows, cols, m, d_col), SS_OK);
    cr_assert_eq(b->trunc_open(t->dev, c0, d[0], d[2], n, 0), SS_OK);
    cr_assert_eq(b->trunc_open(t->dev, c1, d[1], d[3], n, 1), SS_OK);
    cr_assert_eq(b->trunc_close(t->dev, d[6], c0, c1, d[4], d[5], rows, cols, m, d_col, 0, accumulate), SS_OK);
    cr_assert_eq(b->trunc_close(t->dev, d_y1, c0, c1, rt1, rm1, rows, cols, m, d_col, 1, accumulate), SS_OK);
    cr_assert_eq(b->ring_add(t->dev, d_y1, d_y1, d[6], n), SS_OK);
    bed_get(t, y, d_y1, bytes);
    for (size_t i = 0; i < 7; i++)
        free(h[i]);
    bed_drop(t);
}

static void check_truncation(struct bed *t)
{
    enum { ROWS = 301, COLS = 61, N = ROWS * COLS };
    static const int64_t edges[] = {0, 1, -1, 2, -2, (1ll << 62) - 1, -(1ll << 62) + 1, 1ll << 61, -(1ll << 61), 65535, -65536};
    uint8_t col_m[COLS];
    uint64_t *x = host(N * 8), *y = host(N * 8), s = 4;
    for (size_t j = 0; j < COLS; j++)
        col_m[j] = (uint8_t)j;
    for (size_t i = 0; i < N; i++) {
        const int64_t v = i / COLS < sizeof edges / sizeof *edges ? edges[i / COLS] : (int64_t)random64(&s) >> 1;
        x[i] = (uint64_t)v;
    }
    truncate(t, y, x, ROWS, COLS, 1, col_m, &s, false);
    for (size_t i = 0; i < N; i++) {
        const int64_t floor_x = (int64_t)x[i] >> (1 + i % COLS), got = (int64_t)y[i];
        /* what divides is exact */
        const bool divides = (x[i] & (((uint64_t)2 << i % COLS) - 1)) == 0;
        cr_assert(got == floor_x || (got == floor_x + 1 && !divides), "%s: %lld >> %zu gave %lld", t->b->name, (long long)x[i],
                  1 + i % COLS, (long long)got);
    }
    free(x);
    free(y);
}

Test(ring, truncation_error_is_at_most_one_ulp)
{
    bed_on_each(check_truncation);
}

static void check_bias(struct bed *t)
{
    enum { N = 30000, M = 12 };
    uint64_t *x = host(N * 8), *y = host(N * 8), s = 5;
    double sum = 0, variance = 0;
    for (size_t i = 0; i < N; i++)
        x[i] = (uint64_t)((int64_t)random64(&s) >> 20);
    truncate(t, y, x, 1, N, M, NULL, &s, false);
    for (size_t i = 0; i < N; i++) {
        const double fraction = (double)(x[i] & ((1u << M) - 1)) / (1 << M);
        sum += (double)((int64_t)y[i] - ((int64_t)x[i] >> M)) - fraction;
        variance += fraction * (1 - fraction);
    }
    cr_assert_lt(fabs(sum), 5 * sqrt(variance), "%s: error %g, sigma %g", t->b->name, sum, sqrt(variance));
    free(x);
    free(y);
}

Test(ring, truncation_is_unbiased)
{
    bed_on_each(check_bias);
}

static void check_accumulate(struct bed *t)
{
    enum { N = 100 };
    uint64_t x[N], y[N], s = 6;
    for (size_t i = 0; i < N; i++) {
        x[i] = 7u << 16; /* divides: no rounding */
        y[i] = random64(&s);
    }
    uint64_t before[N];
    memcpy(before, y, sizeof y);
    truncate(t, y, x, 10, 10, 16, NULL, &s, true);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(y[i], before[i] + 7);
}

Test(ring, truncation_adds_onto_its_output_when_asked)
{
    bed_on_each(check_accumulate);
}

static void check_encode(struct bed *t)
{
    static const float x[] = {0, 1, -1, 0.5f, 1.5f, -0.5f, -1.5f, 2.5f, 1e-30f, 12345.678f, -0x1p40f, 0x1.fffffep20f};
    static const int64_t at0[] = {0, 1, -1, 0, 2, 0, -2, 2, 0, 12346, -(1ll << 40), 0x200000};
    enum { N = sizeof x / sizeof *x };
    uint64_t h[N];
    float back[N];
    const float *d_x = bed_put(t, x, sizeof x);
    uint64_t *d = bed_room(t, sizeof h);
    float *d_back = bed_room(t, sizeof back);
    cr_assert_eq(t->b->ring_encode(t->dev, d, d_x, N, 0), SS_OK);
    bed_get(t, h, d, sizeof h);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq((int64_t)h[i], at0[i], "%s: %g gave %lld", t->b->name, (double)x[i], (long long)h[i]);
    cr_assert_eq(t->b->ring_encode(t->dev, d, d_x, N, 16), SS_OK);
    cr_assert_eq(t->b->ring_decode(t->dev, d_back, d, NULL, 1, N, 16, NULL), SS_OK);
    bed_get(t, back, d_back, sizeof back);
    for (size_t i = 0; i < N; i++)
        cr_assert_leq(fabs((double)back[i] - (double)x[i]), fmax(0x1p-17, fabs((double)x[i]) * 0x1p-24), "%s: %g", t->b->name,
                      (double)x[i]);
}

Test(ring, encode_rounds_half_even_and_decodes_back)
{
    bed_on_each(check_encode);
}

static void check_columns(struct bed *t)
{
    enum { ROWS = 5, COLS = 7, N = ROWS * COLS };
    uint64_t a[N], b[N], s = 7;
    float bias[COLS], out[N];
    uint8_t col_bits[COLS];
    for (size_t j = 0; j < COLS; j++) {
        col_bits[j] = (uint8_t)(3 * j);
        bias[j] = (float)uniform(&s);
    }
    for (size_t i = 0; i < N; i++) {
        b[i] = random64(&s);
        a[i] = (uint64_t)(int64_t)(i - 17) - b[i]; /* value i - 17 units of its column's scale */
    }
    const uint8_t *d_bits = bed_put(t, col_bits, sizeof col_bits);
    uint64_t *d_a = bed_put(t, a, sizeof a), *d_b = bed_put(t, b, sizeof b);
    const float *d_bias = bed_put(t, bias, sizeof bias);
    float *d_out = bed_room(t, sizeof out);
    cr_assert_eq(t->b->ring_decode(t->dev, d_out, d_a, d_b, ROWS, COLS, 4, d_bits), SS_OK);
    bed_get(t, out, d_out, sizeof out);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], (float)ldexp((double)i - 17, -4 - 3 * (int)(i % COLS)), "%s at %zu", t->b->name, i);
    cr_assert_eq(t->b->ring_add_bias(t->dev, d_a, d_bias, ROWS, COLS, 10, d_bits), SS_OK);
    bed_get(t, b, d_a, sizeof b);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(b[i] - a[i], (uint64_t)(int64_t)rint(ldexp(bias[i % COLS], 10 + 3 * (int)(i % COLS))));
}

Test(ring, per_column_scales_reach_decode_and_bias)
{
    bed_on_each(check_columns);
}
