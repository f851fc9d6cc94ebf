/* products.cu — what products of shares need; the functions of kernels/cpu/products.c but for attention and the tournament
   (attend_u64.cu, ragged.cu). Bytes moved decide. No branch and no address depends on a ring value. */
#include "kernels/cuda/cuda.cuh"

enum { THREADS = 256 };

static __device__ __forceinline__ size_t flat_index(void)
{
    return (size_t)blockIdx.x * THREADS + threadIdx.x;
}

static __device__ __forceinline__ size_t quotient(size_t i, size_t by)
{
    return (i | by) >> 32 ? i / by : (uint32_t)i / (uint32_t)by;
}

__global__ void k_sub_rows(uint64_t *out, const uint64_t *a, size_t a_stride, const uint64_t *b, size_t n, size_t cols)
{
    const size_t at = flat_index();
    if (at >= n)
        return;
    const size_t i = quotient(at, cols);
    out[at] = a[i * a_stride + (at - i * cols)] - (b ? b[at] : 0);
}

enum ss_err ss_cuda_ring_sub_rows(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t a_stride, const uint64_t *b,
                                  size_t rows, size_t cols)
{
    const size_t n = rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_sub_rows<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(out, a, a_stride, b, n, cols);
    CU_LAUNCHED("k_sub_rows");
    return SS_OK;
}

struct beaver_arrays {
    uint64_t *out;
    const uint64_t *d0, *d1, *y, *a, *e0, *e1, *c;
};

__global__ void k_beaver(struct beaver_arrays p, size_t n, size_t cols)
{
    const size_t i = flat_index();
    if (i >= n)
        return;
    const size_t j = i - quotient(i, cols) * cols;
    p.out[i] = (p.d0[j] + p.d1[j]) * p.y[i] + p.a[j] * (p.e0[i] + (p.e1 ? p.e1[i] : 0)) + p.c[i];
}

enum ss_err ss_cuda_ring_beaver(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *y,
                                const uint64_t *a, const uint64_t *e0, const uint64_t *e1, const uint64_t *c, size_t rows,
                                size_t cols)
{
    const size_t n = rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct beaver_arrays p = {out, d0, d1, y, a, e0, e1, c};
    k_beaver<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(p, n, cols);
    CU_LAUNCHED("k_beaver");
    return SS_OK;
}

/* A block per row. */
__global__ void __launch_bounds__(THREADS) k_square_sum(uint64_t *out, const uint64_t *d0, const uint64_t *d1,
                                                        const uint64_t *a, const uint64_t *c, size_t cols, uint64_t first)
{
    __shared__ uint64_t of_warp[THREADS / 32];
    const size_t row = blockIdx.x;
    uint64_t sum = 0;
    for (size_t j = row * cols + threadIdx.x; j < (row + 1) * cols; j += THREADS) {
        const uint64_t d = d0[j] + d1[j];
        sum += d * (first * d + 2 * a[j]);
    }
    for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0)
        of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x != 0)
        return;
    sum = c[row];
    for (int i = 0; i < THREADS / 32; i++)
        sum += of_warp[i];
    out[row] = sum;
}

enum ss_err ss_cuda_ring_square_sum(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1,
                                    const uint64_t *a, const uint64_t *c, size_t rows, size_t cols, int party)
{
    if (rows == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_square_sum<<<(unsigned)rows, THREADS, 0, dev->stream>>>(out, d0, d1, a, c, cols, party == 0);
    CU_LAUNCHED("k_square_sum");
    return SS_OK;
}

__global__ void k_scale_cols(uint64_t *x, const uint64_t *g, size_t n, size_t cols)
{
    const size_t at = flat_index();
    if (at >= n)
        return;
    x[at] *= g[at - quotient(at, cols) * cols];
}

enum ss_err ss_cuda_ring_scale_cols(struct ss_dev *dev, uint64_t *x, const uint64_t *g, size_t rows, size_t cols)
{
    const size_t n = rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_scale_cols<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(x, g, n, cols);
    CU_LAUNCHED("k_scale_cols");
    return SS_OK;
}

/* A thread per pair (j, j + half) of a head. */
__global__ void k_ring_rope(uint64_t *x, size_t n, size_t stride, size_t heads, size_t half, const int32_t *cs,
                            const uint8_t *up)
{
    const size_t at = flat_index();
    if (at >= n)
        return;
    const size_t row_head = quotient(at, half), j = at - row_head * half, i = quotient(row_head, heads);
    const size_t column = (row_head - i * heads) * 2 * half + j;
    uint64_t *lo = x + i * stride + column, *hi = lo + half;
    const uint64_t a = *lo << up[column], b = *hi << up[column + half];
    const uint64_t c = (uint64_t)(int64_t)cs[2 * i * half + j], s = (uint64_t)(int64_t)cs[(2 * i + 1) * half + j];
    *lo = a * c - b * s;
    *hi = b * c + a * s;
}

enum ss_err ss_cuda_ring_rope(struct ss_dev *dev, uint64_t *x, size_t rows, size_t stride, size_t heads, size_t d_head,
                              const int32_t *cs, const uint8_t *up)
{
    const size_t half = d_head / 2, n = rows * heads * half;
    SS_REQUIRE(d_head % 2 == 0 && heads * d_head <= stride);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_ring_rope<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(x, n, stride, heads, half, cs, up);
    CU_LAUNCHED("k_ring_rope");
    return SS_OK;
}
