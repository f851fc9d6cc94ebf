/* products.c — see products.h. */
#include "tests/products.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* w (rows, cols) int16 on the backend in the layout it wants */
static struct ss_matrix ring_matrix(struct bed *t, const int16_t *w, size_t rows, size_t cols, enum ss_type type)
{
    const size_t n = rows * cols;
    struct ss_matrix out = {.type = type, .rows = rows, .cols = cols};
    if (type == SS_I16) {
        out.data = bed_put(t, w, n * 2);
        return out;
    }
    int8_t *planes = host(2 * n);
    for (size_t i = 0; i < n; i++) {
        planes[i] = (int8_t)(uint8_t)w[i];
        planes[n + i] = (int8_t)((w[i] - planes[i]) / 256);
    }
    out.data = bed_put(t, planes, 2 * n);
    free(planes);
    return out;
}

void check_product(struct bed *t, const uint64_t *x, const int16_t *w, size_t m, size_t n, size_t k, enum ss_type type)
{
    const struct ss_matrix matrix = ring_matrix(t, w, n, k, type);
    uint64_t *out = host(m * n * 8), *d_x = bed_put(t, x, m * k * 8), *d_out = bed_room(t, m * n * 8);
    cr_assert_eq(t->b->gemm_ring(t->dev, d_out, d_x, m, &matrix), SS_OK);
    bed_get(t, out, d_out, m * n * 8);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            uint64_t want = 0;
            for (size_t l = 0; l < k; l++)
                want += x[i * k + l] * (uint64_t)(int64_t)w[j * k + l];
            cr_assert_eq(out[i * n + j], want, "%s %s: (%zu, %zu, %zu) at (%zu, %zu)", t->b->name, t->isa, m, n, k, i, j);
        }
    free(out);
    bed_drop(t);
}

void check_random_products(struct bed *t)
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
    matrix.data = type == SS_BF16 ? bed_put(t, w16, n * k * 2) : bed_put(t, w, n * k * 4);
    const void *d_a = act == SS_BF16 ? bed_put(t, a16, m * k * 2) : bed_put(t, a, m * k * 4);
    const float *d_bias = bed_put(t, bias, n * 4);
    float *d_out = bed_put(t, out, m * n * 4);
    for (int form = 0; form < 4; form++) { /* bit 0: bias, bit 1: accumulate */
        cr_assert_eq(t->b->upload(t->dev, d_out, out, m * n * 4), SS_OK);
        cr_assert_eq(t->b->gemm(t->dev, d_out, d_a, act, m, &matrix, form & 1 ? d_bias : NULL, form & 2), SS_OK);
        bed_get(t, seen, d_out, m * n * 4);
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
    bed_drop(t);
}

void check_gemms(struct bed *t)
{
    static const size_t shapes[][3] = {{1, 1, 1},      {3, 65, 7},   {8, 64, 64},  {5, 130, 1030},
                                       {9, 131, 1041}, {16, 66, 48}, {17, 3, 100}, {33, 17, 2049}};
    uint64_t s = 8;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int types = 0; types < 4; types++)
            check_gemm(t, shapes[i][0], shapes[i][1], shapes[i][2], types & 1 ? SS_BF16 : SS_F32, types & 2 ? SS_BF16 : SS_F32,
                       &s);
}
