/* ring.c — element-wise arithmetic in Z_2^64, fixed point, and the parties' halves of the slack truncation. */
#include "kernels/cpu/cpu.h"

#include <math.h>

enum ss_err cpu_ring_add(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] + b[i];
    return SS_OK;
}

enum ss_err cpu_ring_sub(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] - b[i];
    return SS_OK;
}

enum ss_err cpu_ring_mul(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] * b[i];
    return SS_OK;
}

static int per_column(const uint8_t *columns, size_t j)
{
    return columns ? columns[j] : 0;
}

/* x * 2^bits, rounded half even, as two's complement */
static uint64_t encode(double x, int bits)
{
    return (uint64_t)(int64_t)rint(ldexp(x, bits));
}

enum ss_err cpu_ring_add_bias(struct ss_dev *dev, uint64_t *x, const float *bias, size_t rows, size_t cols, unsigned bits,
                              const uint8_t *col_bits)
{
    void *work;
    SS_TRY(cpu_work(dev, &work, cols * sizeof(uint64_t)));
    uint64_t *fixed = work;
    for (size_t j = 0; j < cols; j++)
        fixed[j] = encode(bias[j], (int)bits + per_column(col_bits, j));
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            x[i * cols + j] += fixed[j];
    return SS_OK;
}

enum ss_err cpu_ring_encode(struct ss_dev *dev, uint64_t *out, const float *x, size_t n, unsigned bits)
{
    const double scale = ldexp(1, (int)bits);
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++)
        out[i] = (uint64_t)llrint(x[i] * scale); /* half even; rint() is a jump on the value without SSE4.1 */
    return SS_OK;
}

enum ss_err cpu_ring_decode(struct ss_dev *dev, float *out, const uint64_t *a, const uint64_t *b, size_t rows, size_t cols,
                            unsigned bits, const uint8_t *col_bits)
{
    void *work;
    SS_TRY(cpu_work(dev, &work, cols * sizeof(double)));
    double *scale = work;
    for (size_t j = 0; j < cols; j++)
        scale[j] = ldexp(1, -((int)bits + per_column(col_bits, j)));
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const size_t at = i * cols + j;
            out[at] = (float)((double)(int64_t)(a[at] + (b ? b[at] : 0)) * scale[j]);
        }
    return SS_OK;
}

enum ss_err cpu_trunc_open(struct ss_dev *dev, uint64_t *c, const uint64_t *x, const uint64_t *r, size_t n, int party)
{
    const uint64_t offset = party == 0 ? 1ull << 62 : 0;
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++)
        c[i] = x[i] + r[i] + offset;
    return SS_OK;
}

enum ss_err cpu_trunc_close(struct ss_dev *dev, uint64_t *out, const uint64_t *c0, const uint64_t *c1, const uint64_t *rt,
                            const uint64_t *rm, size_t rows, size_t cols, unsigned m, const uint8_t *col_m, int party,
                            bool accumulate)
{
    const uint64_t first = party == 0; /* public terms are party 0's */
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const size_t at = i * cols + j;
            const int mj = (int)m + per_column(col_m, j);
            const uint64_t c = c0[at] + c1[at], cm = c >> 63, low = c & INT64_MAX;
            const uint64_t y =
                first * (low >> mj) - rt[at] + ((first * cm + rm[at] - 2 * cm * rm[at]) << (63 - mj)) - (first << (62 - mj));
            out[at] = y + (accumulate ? out[at] : 0);
        }
    return SS_OK;
}

enum ss_err cpu_trunc_deal(struct ss_dev *dev, uint64_t *rt1, uint64_t *rm1, const uint64_t *r0, const uint64_t *r1,
                           const uint64_t *rt0, const uint64_t *rm0, size_t rows, size_t cols, unsigned m, const uint8_t *col_m)
{
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const size_t at = i * cols + j;
            const uint64_t r = r0[at] + r1[at];
            rt1[at] = ((r & INT64_MAX) >> ((int)m + per_column(col_m, j))) - rt0[at];
            rm1[at] = (r >> 63) - rm0[at];
        }
    return SS_OK;
}
