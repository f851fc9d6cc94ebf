/* products.c — what products of shares need: Beaver's combination, sums and spreads over rows, public rotations, and the levels
   of a tournament. Ring arithmetic only. */
#include "kernels/cpu/cpu.h"

enum ss_err cpu_ring_sub_rows(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t a_stride, const uint64_t *b,
                              size_t rows, size_t cols)
{
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            out[i * cols + j] = a[i * a_stride + j] - (b ? b[i * cols + j] : 0);
    return SS_OK;
}

enum ss_err cpu_ring_beaver(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *y,
                            const uint64_t *a, const uint64_t *e0, const uint64_t *e1, const uint64_t *c, size_t rows,
                            size_t cols)
{
#pragma omp parallel for num_threads(dev->threads) collapse(2) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const size_t at = i * cols + j;
            out[at] = (d0[j] + d1[j]) * y[at] + a[j] * (e0[at] + (e1 ? e1[at] : 0)) + c[at];
        }
    return SS_OK;
}

enum ss_err cpu_ring_square_sum(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *a,
                                const uint64_t *c, size_t rows, size_t cols, int party)
{
    const uint64_t first = party == 0;
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++) {
        uint64_t sum = c[i];
        for (size_t j = i * cols; j < (i + 1) * cols; j++) {
            const uint64_t d = d0[j] + d1[j];
            sum += d * (first * d + 2 * a[j]);
        }
        out[i] = sum;
    }
    return SS_OK;
}

enum ss_err cpu_ring_spread(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r)
{
#pragma omp parallel for num_threads(dev->threads) if (ss_ragged_start(r, r->rows) >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < r->rows; i++) {
        uint64_t *to = out + ss_ragged_start(r, i);
        for (size_t j = 0; j < ss_ragged_length(r, i); j++)
            to[j] = in[i];
    }
    return SS_OK;
}

enum ss_err cpu_ring_row_sums(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r)
{
#pragma omp parallel for num_threads(dev->threads) if (ss_ragged_start(r, r->rows) >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < r->rows; i++) {
        const uint64_t *from = in + ss_ragged_start(r, i);
        uint64_t sum = 0;
        for (size_t j = 0; j < ss_ragged_length(r, i); j++)
            sum += from[j];
        out[i] = sum;
    }
    return SS_OK;
}

enum ss_err cpu_ring_scale_cols(struct ss_dev *dev, uint64_t *x, const uint64_t *g, size_t rows, size_t cols)
{
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            x[i * cols + j] *= g[j];
    return SS_OK;
}

enum ss_err cpu_ring_rope(struct ss_dev *dev, uint64_t *x, size_t rows, size_t stride, size_t heads, size_t d_head,
                          const int32_t *cs, const uint8_t *up)
{
    const size_t half = d_head / 2;
    SS_REQUIRE(d_head % 2 == 0 && heads * d_head <= stride);
#pragma omp parallel for num_threads(dev->threads) if (rows * heads * d_head >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < heads; h++)
            for (size_t j = 0; j < half; j++) {
                uint64_t *lo = x + i * stride + h * d_head + j, *hi = lo + half;
                const uint64_t a = *lo << up[h * d_head + j], b = *hi << up[h * d_head + j + half];
                const uint64_t c = (uint64_t)(int64_t)cs[2 * i * half + j], s = (uint64_t)(int64_t)cs[(2 * i + 1) * half + j];
                *lo = a * c - b * s;
                *hi = b * c + a * s;
            }
    return SS_OK;
}

/* Values left of row i before the level's pairs are played. */
static size_t left(const struct ss_ragged *r, size_t i, unsigned level)
{
    return (ss_ragged_length(r, i) + ((size_t)1 << level) - 1) >> level;
}

enum ss_err cpu_tournament_split(struct ss_dev *dev, uint64_t *diff, const uint64_t *x, const struct ss_ragged *r,
                                 unsigned level)
{
    (void)dev;
    for (size_t i = 0; i < r->rows; i++) {
        const size_t n = left(r, i, level);
        for (size_t k = 0; k < n / 2; k++)
            *diff++ = x[2 * k] - x[2 * k + 1];
        x += n;
    }
    return SS_OK;
}

enum ss_err cpu_tournament_join(struct ss_dev *dev, uint64_t *out, const uint64_t *x, const uint64_t *won,
                                const struct ss_ragged *r, unsigned level)
{
    (void)dev;
    for (size_t i = 0; i < r->rows; i++) {
        const size_t n = left(r, i, level);
        for (size_t k = 0; k < n / 2; k++)
            *out++ = x[2 * k + 1] + *won++;
        if (n % 2)
            *out++ = x[n - 1];
        x += n;
    }
    return SS_OK;
}
