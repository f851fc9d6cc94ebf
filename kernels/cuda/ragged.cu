/* ragged.cu — spreads, sums and tournament levels over rows of different lengths, a warp per row. */
#include "kernels/cuda/ragged.cuh"

enum { THREADS = 128, WARPS = THREADS / 32 };

static __device__ __forceinline__ size_t warp_row(void)
{
    return (size_t)blockIdx.x * WARPS + threadIdx.x / 32;
}

__global__ void k_spread(uint64_t *out, const uint64_t *in, const struct ss_ragged r)
{
    const size_t row = warp_row();
    if (row >= r.rows)
        return;
    const uint64_t value = in[row];
    const size_t length = row_length(r, row);
    out += row_start(r, row);
    for (size_t j = threadIdx.x % 32; j < length; j += 32)
        out[j] = value;
}

enum ss_err ss_cuda_ring_spread(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r)
{
    if (r->rows == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_spread<<<(unsigned)div_up(r->rows, WARPS), THREADS, 0, dev->stream>>>(out, in, *r);
    CU_LAUNCHED("k_spread");
    return SS_OK;
}

__global__ void k_row_sums(uint64_t *out, const uint64_t *in, const struct ss_ragged r)
{
    const size_t row = warp_row();
    if (row >= r.rows)
        return;
    const size_t length = row_length(r, row);
    in += row_start(r, row);
    uint64_t sum = 0;
    for (size_t j = threadIdx.x % 32; j < length; j += 32)
        sum += in[j];
    for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0)
        out[row] = sum;
}

enum ss_err ss_cuda_ring_row_sums(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const struct ss_ragged *r)
{
    if (r->rows == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_row_sums<<<(unsigned)div_up(r->rows, WARPS), THREADS, 0, dev->stream>>>(out, in, *r);
    CU_LAUNCHED("k_row_sums");
    return SS_OK;
}

__global__ void k_tournament_split(uint64_t *diff, const uint64_t *x, const struct ss_ragged r, unsigned level)
{
    const size_t row = warp_row();
    if (row >= r.rows)
        return;
    const size_t pairs = left_of(row_length(r, row), level) / 2;
    x += level_start(r, row, level, false);
    diff += level_start(r, row, level, true);
    for (size_t k = threadIdx.x % 32; k < pairs; k += 32)
        diff[k] = x[2 * k] - x[2 * k + 1];
}

enum ss_err ss_cuda_tournament_split(struct ss_dev *dev, uint64_t *diff, const uint64_t *x, const struct ss_ragged *r,
                                     unsigned level)
{
    if (r->rows == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_tournament_split<<<(unsigned)div_up(r->rows, WARPS), THREADS, 0, dev->stream>>>(diff, x, *r, level);
    CU_LAUNCHED("k_tournament_split");
    return SS_OK;
}

__global__ void k_tournament_join(uint64_t *out, const uint64_t *x, const uint64_t *won, const struct ss_ragged r,
                                  unsigned level)
{
    const size_t row = warp_row();
    if (row >= r.rows)
        return;
    const size_t n = left_of(row_length(r, row), level);
    x += level_start(r, row, level, false);
    won += level_start(r, row, level, true);
    out += level_start(r, row, level + 1, false);
    for (size_t k = threadIdx.x % 32; k < (n + 1) / 2; k += 32)
        out[k] = k < n / 2 ? x[2 * k + 1] + won[k] : x[n - 1];
}

enum ss_err ss_cuda_tournament_join(struct ss_dev *dev, uint64_t *out, const uint64_t *x, const uint64_t *won,
                                    const struct ss_ragged *r, unsigned level)
{
    if (r->rows == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_tournament_join<<<(unsigned)div_up(r->rows, WARPS), THREADS, 0, dev->stream>>>(out, x, won, *r, level);
    CU_LAUNCHED("k_tournament_join");
    return SS_OK;
}
