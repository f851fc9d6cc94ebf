/* test_backend.c — the contract of kernels/backend.h, held by every backend of the registry and every instruction set of the
   CPU. Expected values: schoolbook integers, double precision, algebraic laws, hand-made edge cases. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"
#include "kernels/backend.h"
#include "kernels/exact.h"

enum { MAX_HELD = 64 };

/* One backend (on the CPU: one instruction set) under test, and what it holds. */
struct bed {
    const struct ss_backend *b;
    struct ss_dev *dev;
    const char *isa;
    void *held[MAX_HELD];
    size_t held_bytes[MAX_HELD], n;
};

static void *room(struct bed *t, size_t bytes)
{
    cr_assert_lt(t->n, (size_t)MAX_HELD);
    cr_assert_eq(t->b->alloc(t->dev, &t->held[t->n], bytes), SS_OK);
    t->held_bytes[t->n] = bytes;
    return t->held[t->n++];
}

static void *put(struct bed *t, const void *h, size_t bytes)
{
    void *p = room(t, bytes);
    cr_assert_eq(t->b->upload(t->dev, p, h, bytes), SS_OK);
    return p;
}

static void get(struct bed *t, void *h, const void *p, size_t bytes)
{
    cr_assert_eq(t->b->download(t->dev, h, p, bytes), SS_OK);
}

static void drop_all(struct bed *t)
{
    while (t->n) {
        t->n--;
        t->b->free(t->dev, t->held[t->n], t->held_bytes[t->n], false);
    }
}

static void run_one(const struct ss_backend *b, const char *isa, void (*check)(struct bed *t))
{
    const struct ss_dev_options o = {.threads = 2};
    struct bed t = {.b = b, .isa = isa};
    cr_assert_eq(b->open(&t.dev, &o), SS_OK, "%s %s", b->name, isa);
    check(&t);
    drop_all(&t);
    b->close(t.dev);
}

/* A backend that cannot run here is left out, unless REQUIRE names it; one at least must have run. */
static void on_each(void (*check)(struct bed *t))
{
    static const char *const isas[] = {"portable", "avx2", "avx512"};
    const char *required = getenv("REQUIRE");
    size_t ran = 0;
    for (size_t i = 0; ss_backends[i]; i++) {
        const struct ss_backend *b = ss_backends[i];
        const char *why = b->unusable();
        cr_assert(!why || !required || !strstr(required, b->name), "%s is required: %s", b->name, why);
        if (why)
            continue;
        if (strcmp(b->name, "cpu") != 0)
            run_one(b, "", check);
        for (size_t j = 0; j < 3 && !strcmp(b->name, "cpu"); j++) {
            const bool has = j == 0 || (j == 1 && __builtin_cpu_supports("avx2")) ||
                             (j == 2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"));
            if (!has)
                continue;
            setenv("SHARDSCALE_CPU", isas[j], 1);
            run_one(b, isas[j], check);
        }
        ran++;
    }
    cr_assert_gt(ran, 0);
}

static uint64_t random64(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static double uniform(uint64_t *state) /* [-1, 1) */
{
    return (double)(int64_t)random64(state) * 0x1p-63;
}

static void *host(size_t bytes)
{
    void *p = calloc(bytes ? bytes : 1, 1);
    cr_assert(p);
    return p;
}

/* ---- ring ---- */

/* w (rows, cols) int16 on the backend in the layout it wants */
static struct ss_matrix ring_matrix(struct bed *t, const int16_t *w, size_t rows, size_t cols, enum ss_type type)
{
    const size_t n = rows * cols;
    struct ss_matrix out = {.type = type, .rows = rows, .cols = cols};
    if (type == SS_I16) {
        out.data = put(t, w, n * 2);
        return out;
    }
    int8_t *planes = host(2 * n);
    for (size_t i = 0; i < n; i++) {
        planes[i] = (int8_t)(uint8_t)w[i];
        planes[n + i] = (int8_t)((w[i] - planes[i]) / 256);
    }
    out.data = put(t, planes, 2 * n);
    free(planes);
    return out;
}

static void check_product(struct bed *t, const uint64_t *x, const int16_t *w, size_t m, size_t n, size_t k, enum ss_type type)
{
    const struct ss_matrix matrix = ring_matrix(t, w, n, k, type);
    uint64_t *out = host(m * n * 8), *d_x = put(t, x, m * k * 8), *d_out = room(t, m * n * 8);
    cr_assert_eq(t->b->gemm_ring(t->dev, d_out, d_x, m, &matrix), SS_OK);
    get(t, out, d_out, m * n * 8);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            uint64_t want = 0;
            for (size_t l = 0; l < k; l++)
                want += x[i * k + l] * (uint64_t)(int64_t)w[j * k + l];
            cr_assert_eq(out[i * n + j], want, "%s %s: (%zu, %zu, %zu) at (%zu, %zu)", t->b->name, t->isa, m, n, k, i, j);
        }
    free(out);
    drop_all(t);
}

static void check_random_products(struct bed *t)
{
    uint64_t s = 1;
    for (int trial = 0; trial < 40; trial++) {
        const size_t m = trial ? 1 + random64(&s) % (trial % 10 ? 9 : 130) : 1, n = 1 + random64(&s) % 70;
        const size_t k = trial < 4 ? (size_t)trial + 1 : 1 + random64(&s) % 2300;
        uint64_t *x = host(m * k * 8);
        int16_t *w = host(n * k * 2);
        for (size_t i = 0; i < m * k; i++)
            x[i] = random64(&s);
        for (size_t i = 0; i < n * k; i++)
            w[i] = (int16_t)((int)(random64(&s) % 65025) - 32512);
        check_product(t, x, w, m, n, k, t->b->ring_matrix);
        if (trial < 8 && !strcmp(t->b->name, "cpu"))
            check_product(t, x, w, m, n, k, SS_I8X2);
        free(x);
        free(w);
    }
}

Test(ring, gemm_equals_schoolbook)
{
    on_each(check_random_products);
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
    on_each(check_extreme_products);
}

static void check_elementwise(struct bed *t)
{
    enum { N = 40001 };
    uint64_t *a = host(N * 8), *b = host(N * 8), *out = host(N * 8), s = 3;
    for (size_t i = 0; i < N; i++) {
        a[i] = random64(&s);
        b[i] = random64(&s);
    }
    uint64_t *d_a = put(t, a, N * 8), *d_b = put(t, b, N * 8), *d_out = room(t, N * 8);
    cr_assert_eq(t->b->ring_add(t->dev, d_out, d_a, d_b, N), SS_OK);
    get(t, out, d_out, N * 8);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], a[i] + b[i]);
    cr_assert_eq(t->b->ring_mul(t->dev, d_out, d_a, d_b, N), SS_OK);
    get(t, out, d_out, N * 8);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], a[i] * b[i]);
    cr_assert_eq(t->b->ring_sub(t->dev, d_a, d_a, d_b, N), SS_OK); /* in place */
    get(t, out, d_a, N * 8);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], a[i] - b[i]);
    free(a);
    free(b);
    free(out);
}

Test(ring, add_sub_mul_are_mod_2_64)
{
    on_each(check_elementwise);
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
        d[i] = put(t, h[i], bytes);
    }
    const uint8_t *d_col = col_m ? put(t, col_m, cols) : NULL;
    uint64_t *rt1 = room(t, bytes), *rm1 = room(t, bytes), *c0 = room(t, bytes), *c1 = room(t, bytes), *y1 = h[1], *d_y1;
    for (size_t j = 0; j < n; j++)
        y1[j] = y[j] - h[6][j];
    d_y1 = put(t, y1, bytes);
    cr_assert_eq(b->trunc_deal(t->dev, rt1, rm1, d[2], d[3], d[4], d[5], rows, cols, m, d_col), SS_OK);
    cr_assert_eq(b->trunc_open(t->dev, c0, d[0], d[2], n, 0), SS_OK);
    cr_assert_eq(b->trunc_open(t->dev, c1, d[1], d[3], n, 1), SS_OK);
    cr_assert_eq(b->trunc_close(t->dev, d[6], c0, c1, d[4], d[5], rows, cols, m, d_col, 0, accumulate), SS_OK);
    cr_assert_eq(b->trunc_close(t->dev, d_y1, c0, c1, rt1, rm1, rows, cols, m, d_col, 1, accumulate), SS_OK);
    cr_assert_eq(b->ring_add(t->dev, d_y1, d_y1, d[6], n), SS_OK);
    get(t, y, d_y1, bytes);
    for (size_t i = 0; i < 7; i++)
        free(h[i]);
    drop_all(t);
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
        cr_assert(got == floor_x || got == floor_x + 1, "%s: %lld >> %zu gave %lld", t->b->name, (long long)x[i], 1 + i % COLS,
                  (long long)got);
    }
    free(x);
    free(y);
}

Test(ring, truncation_error_is_at_most_one_ulp)
{
    on_each(check_truncation);
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
    on_each(check_bias);
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
    on_each(check_accumulate);
}

static void check_encode(struct bed *t)
{
    static const float x[] = {0, 1, -1, 0.5f, 1.5f, -0.5f, -1.5f, 2.5f, 1e-30f, 12345.678f, -0x1p40f, 0x1.fffffep20f};
    static const int64_t at0[] = {0, 1, -1, 0, 2, 0, -2, 2, 0, 12346, -(1ll << 40), 0x200000};
    enum { N = sizeof x / sizeof *x };
    uint64_t h[N];
    float back[N];
    const float *d_x = put(t, x, sizeof x);
    uint64_t *d = room(t, sizeof h);
    float *d_back = room(t, sizeof back);
    cr_assert_eq(t->b->ring_encode(t->dev, d, d_x, N, 0), SS_OK);
    get(t, h, d, sizeof h);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq((int64_t)h[i], at0[i], "%s: %g gave %lld", t->b->name, (double)x[i], (long long)h[i]);
    cr_assert_eq(t->b->ring_encode(t->dev, d, d_x, N, 16), SS_OK);
    cr_assert_eq(t->b->ring_decode(t->dev, d_back, d, NULL, 1, N, 16, NULL), SS_OK);
    get(t, back, d_back, sizeof back);
    for (size_t i = 0; i < N; i++)
        cr_assert_leq(fabs((double)back[i] - (double)x[i]), fmax(0x1p-17, fabs((double)x[i]) * 0x1p-24), "%s: %g", t->b->name,
                      (double)x[i]);
}

Test(ring, encode_rounds_half_even_and_decodes_back)
{
    on_each(check_encode);
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
    const uint8_t *d_bits = put(t, col_bits, sizeof col_bits);
    uint64_t *d_a = put(t, a, sizeof a), *d_b = put(t, b, sizeof b);
    const float *d_bias = put(t, bias, sizeof bias);
    float *d_out = room(t, sizeof out);
    cr_assert_eq(t->b->ring_decode(t->dev, d_out, d_a, d_b, ROWS, COLS, 4, d_bits), SS_OK);
    get(t, out, d_out, sizeof out);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(out[i], (float)ldexp((double)i - 17, -4 - 3 * (int)(i % COLS)), "%s at %zu", t->b->name, i);
    cr_assert_eq(t->b->ring_add_bias(t->dev, d_a, d_bias, ROWS, COLS, 10, d_bits), SS_OK);
    get(t, b, d_a, sizeof b);
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(b[i] - a[i], (uint64_t)(int64_t)rint(ldexp(bias[i % COLS], 10 + 3 * (int)(i % COLS))));
}

Test(ring, per_column_scales_reach_decode_and_bias)
{
    on_each(check_columns);
}

/* ---- cleartext ---- */

/* Independent of the backends' rounding: the nearer neighbour, in double; the even one on a tie. */
static uint16_t to_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    const uint32_t low = u & 0xffff, base = u >> 16;
    return (uint16_t)(base + (low > 0x8000 || (low == 0x8000 && base % 2)));
}

static float from_bf16(uint16_t x)
{
    const uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static void check_gemm(struct bed *t, size_t m, size_t n, size_t k, enum ss_type act, enum ss_type type, uint64_t *s)
{
    float *a = host(m * k * 4), *w = host(n * k * 4), *bias = host(n * 4), *out = host(m * n * 4), *seen = host(m * n * 4);
    uint16_t *a16 = host(m * k * 2), *w16 = host(n * k * 2);
    for (size_t i = 0; i < m * k; i++)
        a[i] = act == SS_BF16 ? from_bf16(a16[i] = to_bf16((float)uniform(s))) : (float)uniform(s);
    for (size_t i = 0; i < n * k; i++)
        w[i] = type == SS_BF16 ? from_bf16(w16[i] = to_bf16((float)uniform(s))) : (float)uniform(s);
    for (size_t i = 0; i < n; i++)
        bias[i] = (float)uniform(s);
    for (size_t i = 0; i < m * n; i++)
        out[i] = (float)uniform(s);
    struct ss_matrix matrix = {.type = type, .rows = n, .cols = k};
    matrix.data = type == SS_BF16 ? put(t, w16, n * k * 2) : put(t, w, n * k * 4);
    const void *d_a = act == SS_BF16 ? put(t, a16, m * k * 2) : put(t, a, m * k * 4);
    const float *d_bias = put(t, bias, n * 4);
    float *d_out = put(t, out, m * n * 4);
    for (int form = 0; form < 4; form++) { /* bit 0: bias, bit 1: accumulate */
        cr_assert_eq(t->b->upload(t->dev, d_out, out, m * n * 4), SS_OK);
        cr_assert_eq(t->b->gemm(t->dev, d_out, d_a, act, m, &matrix, form & 1 ? d_bias : NULL, form & 2), SS_OK);
        get(t, seen, d_out, m * n * 4);
        for (size_t i = 0; i < m * n; i++) {
            double want = (form & 1 ? bias[i % n] : 0) + (form & 2 ? (double)out[i] : 0), size = fabs(want);
            for (size_t l = 0; l < k; l++) {
                const double p = (double)a[i / n * k + l] * w[i % n * k + l];
                want += p;
                size += fabs(p);
            }
            cr_assert_leq(fabs(want - seen[i]), 1e-6 * size + 1e-7, "%s %s: (%zu, %zu, %zu) types %d %d form %d: %g, not %g",
                          t->b->name, t->isa, m, n, k, (int)act, (int)type, form, (double)seen[i], want);
        }
    }
    void *all[] = {a, w, bias, out, seen, a16, w16};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    drop_all(t);
}

static void check_gemms(struct bed *t)
{
    static const size_t shapes[][3] = {{1, 1, 1}, {3, 65, 7}, {8, 64, 64}, {5, 130, 1030}, {33, 17, 2049}};
    uint64_t s = 8;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int types = 0; types < 4; types++)
            check_gemm(t, shapes[i][0], shapes[i][1], shapes[i][2], types & 1 ? SS_BF16 : SS_F32, types & 2 ? SS_BF16 : SS_F32,
                       &s);
}

Test(cleartext, gemm_is_fp32_for_all_types)
{
    on_each(check_gemms);
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
    const float *d_x = put(t, x, sizeof x), *d_gain = put(t, gain, sizeof gain);
    void *d_out = room(t, sizeof out);
    cr_assert_eq(t->b->rmsnorm(t->dev, d_out, SS_F32, d_x, d_gain, ROWS, D, 1e-6), SS_OK);
    get(t, out, d_out, sizeof out);
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
    get(t, rounded, d_out, sizeof rounded);
    for (size_t i = 0; i < ROWS * D; i++)
        cr_assert_eq(rounded[i], to_bf16(out[i]), "%s at %zu", t->b->name, i);
}

Test(cleartext, rmsnorm_matches_double)
{
    on_each(check_rmsnorm);
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
    const float *d_one = put(t, one, sizeof one), *d_gain = put(t, gain, sizeof gain);
    void *d_out = room(t, sizeof out);
    cr_assert_eq(t->b->rmsnorm(t->dev, d_out, SS_BF16, d_one, d_gain, 1, D, 0), SS_OK);
    get(t, out, d_out, sizeof out);
    for (size_t i = 0; i < D; i++)
        cr_assert_eq(out[i], edges[i].want, "%s: %08x gave %04x, not %04x", t->b->name, edges[i].value, out[i], edges[i].want);
}

Test(cleartext, bf16_rounds_to_nearest_even)
{
    on_each(check_bf16);
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
        float *d = put(t, x, sizeof x);
        cr_assert_eq(t->b->rope(t->dev, d, ROWS, STRIDE, HEADS, D, pos0, theta), SS_OK);
        get(t, y, d, sizeof y);
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
    on_each(check_rope);
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
    float *d_all = put(t, all, TOTAL * WIDTH * 4), *d_out = room(t, TOTAL * HEADS * D * 4);
    float *k = room(t, TOTAL * KV * D * 4), *v = room(t, TOTAL * KV * D * 4);
    for (size_t c = 0; c < 3; c++) {
        const struct ss_attention p = {cuts[c + 1] - cuts[c], cuts[c], HEADS, KV, D};
        cr_assert_eq(t->b->attention(t->dev, d_out + p.past * HEADS * D, SS_F32, d_all + p.past * WIDTH, k, v, &p), SS_OK);
    }
    get(t, out, d_out, TOTAL * HEADS * D * 4);
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
    on_each(check_attention);
}

static void check_silu(struct bed *t)
{
    enum { ROWS = 3, D = 600 };
    float x[ROWS * 2 * D], out[ROWS * D];
    uint64_t s = 12;
    for (size_t i = 0; i < ROWS * 2 * D; i++)
        x[i] = (float)uniform(&s) * (i % 7 ? 8 : 200); /* exp(200) overflows fp32: silu(-200) must be 0, not NaN */
    const float *d_x = put(t, x, sizeof x);
    void *d_out = room(t, sizeof out);
    cr_assert_eq(t->b->silu_mul(t->dev, d_out, SS_F32, d_x, ROWS, D), SS_OK);
    get(t, out, d_out, sizeof out);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < D; j++) {
            const double gate = x[i * 2 * D + j], want = gate / (1 + exp(-gate)) * x[i * 2 * D + D + j];
            cr_assert_leq(fabs(want - out[i * D + j]), 2e-6 * fabs(want) + 1e-30, "%s: silu(%g)", t->b->name, gate);
        }
}

Test(cleartext, silu_mul_matches_double)
{
    on_each(check_silu);
}

/* ---- the same bits everywhere: kernels/exact.h and the orders of backend.h ---- */

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
        float *d_all = put(t, all, n * 4), *d_out = room(t, bytes), *k = room(t, kv), *v = room(t, kv);
        cr_assert_eq(t->b->attention(t->dev, d_out, SS_F32, d_all, k, v, p), SS_OK);
        get(t, out, d_out, bytes);
        for (size_t row = 0; row < p->tokens; row += row < 40 ? 1 : 19)
            for (size_t h = 0; h < p->n_heads; h++) {
                spelled_attention(want, all, row, h, p);
                cr_assert_arr_eq(out + (row * p->n_heads + h) * d, want, d * 4, "%s: shape %zu row %zu head %zu", t->b->name, c,
                                 row, h);
            }
        free(all);
        free(out);
        drop_all(t);
    }
}

Test(exact, attention_is_the_sum_that_backend_h_spells_out)
{
    on_each(check_spelled_attention);
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
    float *x = put(t, c->x, c->n * 4);
    void *y = room(t, c->n_out * width);
    enum ss_err err = SS_OK;
    if (c->op == 0)
        err = t->b->rmsnorm(t->dev, y, c->act, x, put(t, c->gain, c->d * 4), c->rows, c->d, 1e-6);
    else if (c->op == 1)
        err = t->b->rope(t->dev, x, c->rows, c->d, c->p.n_heads, c->p.d_head, c->p.past, 1e6);
    else if (c->op == 2)
        err = t->b->attention(t->dev, y, c->act, x, put(t, c->k, kv), put(t, c->v, kv), &c->p);
    else
        err = t->b->silu_mul(t->dev, y, c->act, x, c->rows, c->d);
    cr_assert_eq(err, SS_OK);
    get(t, out, c->op == 1 ? (void *)x : y, c->n_out * width);
    drop_all(t);
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
    on_each(check_same_bits);
}

/* ---- weights, device ---- */

static int16_t synth_value(const struct ss_matrix *w, const uint8_t *bytes, size_t i, unsigned scale_bits)
{
    const size_t n = w->rows * w->cols;
    float f;
    int16_t v;
    switch (w->type) {
    case SS_I8X2:
        return (int16_t)((int8_t)bytes[n + i] * 256 + (int8_t)bytes[i]);
    case SS_I16:
        memcpy(&v, bytes + 2 * i, 2);
        return v;
    case SS_BF16:
        memcpy(&v, bytes + 2 * i, 2);
        f = from_bf16((uint16_t)v);
        break;
    default:
        memcpy(&f, bytes + 4 * i, 4);
    }
    f = ldexpf(f, (int)scale_bits);
    cr_assert_eq(f, rintf(f));
    return (int16_t)f;
}

static void check_synth(struct bed *t)
{
    enum { TOTAL = 40, COLS = 1003, AT = 3, ROW0 = 5, ROWS = 36, SCALE = 11 };
    static const enum ss_type types[] = {SS_F32, SS_BF16, SS_I16, SS_I8X2};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        const struct ss_matrix w = {.type = types[k], .rows = TOTAL, .cols = COLS};
        const size_t bytes = TOTAL * COLS * ss_type_bytes(w.type);
        uint8_t *out = host(bytes), *d = put(t, out, bytes);
        cr_assert_eq(t->b->synth(t->dev, d, w.type, TOTAL, AT, 42, 7, ROW0, ROWS, COLS, SCALE), SS_OK);
        get(t, out, d, bytes);
        for (size_t i = 0; i < TOTAL * COLS; i++) {
            const size_t row = i / COLS, word = (row - AT + ROW0) * COLS + i % COLS;
            const int want = row < AT || row >= AT + ROWS ? 0 : ss_synth_int(ss_philox_word(42, 7, word));
            cr_assert_eq(synth_value(&w, out, i, SCALE), want, "%s %s: type %d at %zu", t->b->name, t->isa, (int)w.type, i);
        }
        free(out);
        drop_all(t);
    }
}

Test(backend, synthetic_weights_are_the_same_integers_in_every_type)
{
    on_each(check_synth);
}

static void check_device(struct bed *t)
{
    size_t free_bytes, total_bytes;
    void *fence = NULL;
    t->b->memory(t->dev, &free_bytes, &total_bytes);
    cr_assert(free_bytes > 0 && free_bytes <= total_bytes, "%zu of %zu", free_bytes, total_bytes);
    cr_assert_eq((uintptr_t)room(t, 1) % 64, 0);
    cr_assert_eq(t->b->fence_new(t->dev, &fence), SS_OK);
    cr_assert(fence);
    cr_assert_eq(t->b->fence_record(t->dev, fence), SS_OK);
    cr_assert_eq(t->b->fence_wait(t->dev, fence), SS_OK);
    t->b->fence_free(t->dev, fence);
    for (size_t slot = 0; slot < 1000; slot += 333)
        cr_assert_eq(t->b->mark(t->dev, slot), SS_OK);
    cr_assert_eq(t->b->sync(t->dev), SS_OK);
    cr_assert_eq(t->b->span_ns(t->dev, 333, 333), 0);
    cr_assert_lt(t->b->span_ns(t->dev, 0, 999), UINT64_MAX / 2, "marks run backwards");
}

Test(backend, device_has_memory_fences_and_marks)
{
    on_each(check_device);
}

static void *party(void *backend)
{
    run_one(backend, "beside another", check_random_products);
    run_one(backend, "beside another", check_gemms);
    return NULL;
}

Test(backend, two_devices_work_at_once)
{
    for (size_t i = 0; ss_backends[i]; i++) {
        pthread_t two[2];
        if (ss_backends[i]->unusable())
            continue;
        for (size_t j = 0; j < 2; j++)
            cr_assert_eq(pthread_create(&two[j], NULL, party, (void *)(uintptr_t)ss_backends[i]), 0);
        for (size_t j = 0; j < 2; j++)
            pthread_join(two[j], NULL);
    }
}

Test(backend, cpu_refuses_what_it_cannot_open)
{
    const struct ss_backend *b = ss_backend_find("cpu");
    const struct ss_dev_options none = {.threads = 0}, two = {.threads = 2};
    struct ss_dev *dev;
    ss_set_error_silent(1);
    cr_assert_eq(b->open(&dev, &none), SS_USAGE);
    setenv("SHARDSCALE_CPU", "mmx", 1);
    cr_assert_eq(b->open(&dev, &two), SS_USAGE);
    cr_assert(strstr(ss_last_error(), "mmx"));
    if (!__builtin_cpu_supports("avx512vnni")) {
        setenv("SHARDSCALE_CPU", "avx512", 1);
        cr_assert_eq(b->open(&dev, &two), SS_ENV);
    }
    cr_assert_null(dev);
}

Test(backend, registry_finds_by_name_only)
{
    cr_assert_not_null(ss_backend_find("cpu"));
    cr_assert_null(ss_backend_find("gpu"));
    cr_assert_null(ss_backend_find(""));
}
