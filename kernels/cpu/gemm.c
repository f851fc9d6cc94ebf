/* gemm.c — float product: OpenBLAS on tiles of weight rows, bf16 weights widened tile by tile into a cache-sized scratch; few
   tokens by gemm_few.c. */
#include "kernels/cpu/cpu.h"

#include <cblas.h>
#include <immintrin.h>
#include <limits.h>
#include <omp.h>
#include <string.h>

enum { TILE_ROWS = 64, TILE_COLS = 1024 }; /* 256 KiB of f32: half of a small L2 */

uint16_t cpu_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); /* NaN: keep sign and payload, make it quiet */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

void cpu_store(void *out, enum ss_type act, size_t first, const float *x, size_t n)
{
    if (act == SS_F32) {
        memcpy((float *)out + first, x, n * sizeof *x);
        return;
    }
    uint16_t *o = (uint16_t *)out + first;
    for (size_t i = 0; i < n; i++)
        o[i] = cpu_bf16(x[i]);
}

static void widen_portable(float *out, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = cpu_widen(x[i]);
}

__attribute__((target("avx2"))) static void widen_avx2(float *out, const uint16_t *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(x + i)));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_slli_epi32(wide, 16));
    }
    widen_portable(out + i, x + i, n - i);
}

struct product {
    const struct cpu_few *few; /* NULL: by BLAS */
    void (*widen)(float *out, const uint16_t *x, size_t n);
    float *out;
    const float *a;
    const struct ss_matrix *w;
    size_t m;
};

/* out (m, rows) += a[:, col0 .. col0 + cols) times rows x cols values at w with ldw values a row */
static void multiply(const struct product *p, size_t row0, size_t rows, size_t col0, size_t cols, const float *w, size_t ldw)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->m, (int)rows, (int)cols, 1, p->a + col0, (int)p->w->cols, w,
                (int)ldw, 1, p->out + row0, (int)p->w->rows);
}

/* out (m, rows) += a times rows of bf16 weights from row0 on. Where a block has fewer tokens or rows, its last one is computed
   again and dropped. */
static void multiply_few(const struct product *p, size_t row0, size_t rows)
{
    const size_t n = p->w->rows, k = p->w->cols, m = p->m, step = p->few->tokens;
    for (size_t r = 0; r < rows; r += CPU_FEW_ROWS)
        for (size_t t = 0; t < m; t += step) {
            float sum[CPU_FEW_TOKENS][CPU_FEW_ROWS];
            const float *a[CPU_FEW_TOKENS];
            const uint16_t *w[CPU_FEW_ROWS];
            const size_t tokens = m - t < step ? m - t : step, here = rows - r < CPU_FEW_ROWS ? rows - r : CPU_FEW_ROWS;
            for (size_t i = 0; i < step; i++)
                a[i] = p->a + (t + (i < tokens ? i : tokens - 1)) * k;
            for (size_t j = 0; j < CPU_FEW_ROWS; j++)
                w[j] = (const uint16_t *)p->w->data + (row0 + r + (j < here ? j : here - 1)) * k;
            p->few->run(sum, a, w, k);
            for (size_t i = 0; i < tokens; i++)
                for (size_t j = 0; j < here; j++)
                    p->out[(t + i) * n + row0 + r + j] += sum[i][j];
        }
}

static void tile(const struct product *p, float *scratch, size_t row0, const float *bias, bool accumulate)
{
    const size_t n = p->w->rows, k = p->w->cols, rows = n - row0 < TILE_ROWS ? n - row0 : TILE_ROWS;
    for (size_t i = 0; i < p->m; i++) {
        float *o = p->out + i * n + row0;
        for (size_t j = 0; j < rows; j++)
            o[j] = (accumulate ? o[j] : 0) + (bias ? bias[row0 + j] : 0);
    }
    if (p->w->type == SS_F32) {
        multiply(p, row0, rows, 0, k, (const float *)p->w->data + row0 * k, k);
        return;
    }
    if (p->few) {
        multiply_few(p, row0, rows);
        return;
    }
    const uint16_t *w = p->w->data;
    for (size_t col0 = 0; col0 < k; col0 += TILE_COLS) {
        const size_t cols = k - col0 < TILE_COLS ? k - col0 : TILE_COLS;
        for (size_t j = 0; j < rows; j++)
            p->widen(scratch + j * cols, w + (row0 + j) * k + col0, cols);
        multiply(p, row0, rows, col0, cols, scratch, cols);
    }
}

enum ss_err cpu_gemm(struct ss_dev *dev, float *out, const void *a, enum ss_type act, size_t m, const struct ss_matrix *w,
                     const float *bias, bool accumulate)
{
    SS_REQUIRE(act == SS_F32 || act == SS_BF16);
    SS_REQUIRE(w->type == SS_F32 || w->type == SS_BF16);
    SS_REQUIRE(m <= INT_MAX && w->rows <= INT_MAX && w->cols <= INT_MAX);
    const size_t k = w->cols, tile_values = TILE_ROWS * TILE_COLS, wide = act == SS_BF16 ? m * k : 0;
    struct product p = {.few = m <= CPU_FEW ? dev->few : NULL,
                        .widen = dev->isa >= CPU_AVX2 ? widen_avx2 : widen_portable,
                        .out = out,
                        .a = a,
                        .w = w,
                        .m = m};
    void *work;
    SS_TRY(cpu_work(dev, &work, ((size_t)dev->threads * tile_values + wide) * sizeof(float)));
    float *scratch = work;
    if (act == SS_BF16) {
        float *wide_a = scratch + (size_t)dev->threads * tile_values;
        p.widen(wide_a, a, m * k);
        p.a = wide_a;
    }
#pragma omp parallel for num_threads(dev->threads) schedule(dynamic)
    for (size_t row0 = 0; row0 < w->rows; row0 += TILE_ROWS)
        tile(&p, scratch + (size_t)omp_get_thread_num() * tile_values, row0, bias, accumulate);
    return SS_OK;
}
