/* norms.cu — RMSNorm, rotary embedding, SwiGLU: fp32 elementwise work on (tokens, d), a few microseconds each at 56 tokens;
   bytes moved / 4.29 TB/s is the floor and launch latency the price. */
#include "kernels/cuda/cuda.cuh"

#include <stdlib.h>

#include "kernels/exact.h"

extern "C" const struct ss_backend ss_backend_cuda;

enum { THREADS = 256, NORM_THREADS = SS_NORM_LANES / 4, NORM_WARPS = NORM_THREADS / 32 };
static_assert(SS_NORM_TREE == 32, "a tree of the sum of squares is a warp");

static __device__ __forceinline__ void put(void *out, int bf16, size_t i, float v)
{
    if (bf16)
        ((__nv_bfloat16 *)out)[i] = __float2bfloat16_rn(v);
    else
        ((float *)out)[i] = v;
}

static __device__ __forceinline__ void put4(void *out, int bf16, size_t i, float4 v) /* element i, a multiple of 4 */
{
    if (!bf16) {
        ((float4 *)out)[i / 4] = v;
        return;
    }
    __nv_bfloat162 a = __floats2bfloat162_rn(v.x, v.y), b = __floats2bfloat162_rn(v.z, v.w);
    ((uint2 *)out)[i / 4] = make_uint2(*reinterpret_cast<uint32_t *>(&a), *reinterpret_cast<uint32_t *>(&b));
}

/* x + x of the lane 16 away, .. 8, 4, 2, 1: the same tree in every lane */
static __device__ __forceinline__ double fold_warp(double sum)
{
    for (int step = 16; step; step /= 2)
        sum = __dadd_rn(sum, __shfl_xor_sync(~0u, sum, step));
    return sum;
}

static __device__ __forceinline__ double add_square(double sum, float x)
{
    return __dadd_rn(sum, __dmul_rn((double)x, (double)x));
}

static __device__ __forceinline__ float scaled(float x, float scale, float gain)
{
    return ss_mul(ss_mul(x, scale), gain);
}

/* One block per row; d floats are read twice, the second time from cache. wide: four elements per access. Thread t sums the
   squares of lanes 4 t .. 4 t + 3. */
__global__ void __launch_bounds__(NORM_THREADS)
    k_rmsnorm(void *out, int bf16, const float *x, const float *gain, size_t d, double eps, int wide)
{
    __shared__ double partial[NORM_WARPS];
    __shared__ float shared_scale;
    const float *row = x + blockIdx.x * d;
    double a = 0, b = 0, c = 0, e = 0;
    if (wide) {
#pragma unroll 4
        for (size_t i = threadIdx.x; i < d / 4; i += NORM_THREADS) {
            const float4 v = ((const float4 *)row)[i];
            a = add_square(a, v.x), b = add_square(b, v.y), c = add_square(c, v.z), e = add_square(e, v.w);
        }
    } else {
        for (size_t i = 4 * threadIdx.x; i < d; i += SS_NORM_LANES) {
            a = add_square(a, row[i]);
            b = add_square(b, i + 1 < d ? row[i + 1] : 0.0f);
            c = add_square(c, i + 2 < d ? row[i + 2] : 0.0f);
            e = add_square(e, i + 3 < d ? row[i + 3] : 0.0f);
        }
    }
    const double sum = fold_warp(__dadd_rn(__dadd_rn(a, b), __dadd_rn(c, e)));
    if (threadIdx.x % 32 == 0)
        partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        const double total = fold_warp(threadIdx.x < NORM_WARPS ? partial[threadIdx.x] : 0.0);
        if (threadIdx.x == 0)
            shared_scale = ss_norm_scale(total, d, eps);
    }
    __syncthreads();
    const float scale = shared_scale;
    if (wide) {
#pragma unroll 4
        for (size_t i = threadIdx.x; i < d / 4; i += NORM_THREADS) {
            const float4 v = ((const float4 *)row)[i], g = ((const float4 *)gain)[i];
            put4(out, bf16, blockIdx.x * d + 4 * i,
                 make_float4(scaled(v.x, scale, g.x), scaled(v.y, scale, g.y), scaled(v.z, scale, g.z),
                             scaled(v.w, scale, g.w)));
        }
    } else {
        for (size_t i = threadIdx.x; i < d; i += NORM_THREADS)
            put(out, bf16, blockIdx.x * d + i, scaled(row[i], scale, gain[i]));
    }
}

enum ss_err ss_cuda_rmsnorm(struct ss_dev *dev, void *out, enum ss_type act, const float *x, const float *gain, size_t rows,
                            size_t d, double eps)
{
    if (rows == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const int wide = d % 4 == 0 && aligned_to(out, 16) && aligned_to(x, 16) && aligned_to(gain, 16);
    k_rmsnorm<<<(unsigned)rows, NORM_THREADS, 0, dev->stream>>>(out, act == SS_BF16, x, gain, d, eps, wide);
    CU_LAUNCHED("k_rmsnorm");
    return SS_OK;
}

/* Made on the host, so that every backend rotates by the same floats. The table outlives the call: a pass rotates at the same
   positions in every layer. */
static enum ss_err rope_table(struct ss_dev *dev, const float2 **angles, size_t positions, size_t pairs, double theta)
{
    void *p = dev->scratch[SCRATCH_ANGLES];
    if (dev->rope_theta != theta || dev->rope_pairs != pairs || dev->rope_positions < positions) {
        const size_t n = div_up(positions + positions / 2, 512) * 512, bytes = n * pairs * sizeof(float2);
        dev->rope_positions = 0;
        SS_TRY(ss_cuda_scratch(dev, SCRATCH_ANGLES, bytes, &p));
        float *h_turns = (float *)malloc(bytes);
        if (!h_turns)
            SS_FAIL(SS_ENV, "no host memory for %zu bytes of rotary angles", bytes);
        ss_rope_turns(h_turns, 0, n, pairs, theta);
        const enum ss_err err = ss_backend_cuda.upload(dev, p, h_turns, bytes);
        free(h_turns);
        SS_TRY(err);
        dev->rope_theta = theta;
        dev->rope_pairs = pairs;
        dev->rope_positions = n;
    }
    *angles = (const float2 *)p;
    return SS_OK;
}

/* angles: first row is the position of row 0 of x. One thread per (row, head, pair). */
__global__ void k_rope(float *x, const float2 *angles, size_t rows, size_t stride, unsigned heads, unsigned pairs)
{
    size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    const unsigned per_row = heads * pairs;
    size_t r = at / per_row;
    if (r >= rows)
        return;
    unsigned rest = (unsigned)(at - r * per_row), head = rest / pairs, i = rest - head * pairs;
    float2 turn = angles[r * pairs + i];
    float *a = x + r * stride + (size_t)head * 2 * pairs + i, *b = a + pairs;
    const float u = *a, v = *b;
    *a = ss_sub(ss_mul(u, turn.x), ss_mul(v, turn.y));
    *b = ss_add(ss_mul(v, turn.x), ss_mul(u, turn.y));
}

enum ss_err ss_cuda_rope(struct ss_dev *dev, float *x, size_t rows, size_t stride, size_t heads, size_t d_head, size_t pos0,
                         double theta)
{
    const size_t pairs = d_head / 2;
    if (rows * heads * pairs == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const float2 *angles = NULL;
    SS_TRY(rope_table(dev, &angles, pos0 + rows, pairs, theta));
    k_rope<<<(unsigned)div_up(rows * heads * pairs, THREADS), THREADS, 0, dev->stream>>>(x, angles + pos0 * pairs, rows, stride,
                                                                                         (unsigned)heads, (unsigned)pairs);
    CU_LAUNCHED("k_rope");
    return SS_OK;
}

static __device__ __forceinline__ float silu_mul(float gate, float up)
{
    return ss_mul(ss_silu(gate), up);
}

/* grid (columns / width, rows); rows beyond the grid limit by stride. width: 4 or 1 columns per thread. */
__global__ void k_silu_mul(void *out, int bf16, const float *gate_up, size_t rows, size_t d_ff, int width)
{
    const size_t j = ((size_t)blockIdx.x * THREADS + threadIdx.x) * width;
    if (j >= d_ff)
        return;
    for (size_t r = blockIdx.y; r < rows; r += gridDim.y) {
        const float *gate = gate_up + r * 2 * d_ff + j, *up = gate + d_ff;
        if (width == 1) {
            put(out, bf16, r * d_ff + j, silu_mul(*gate, *up));
            continue;
        }
        const float4 g = *(const float4 *)gate, u = *(const float4 *)up;
        put4(out, bf16, r * d_ff + j,
             make_float4(silu_mul(g.x, u.x), silu_mul(g.y, u.y), silu_mul(g.z, u.z), silu_mul(g.w, u.w)));
    }
}

enum ss_err ss_cuda_silu_mul(struct ss_dev *dev, void *out, enum ss_type act, const float *gate_up, size_t rows, size_t d_ff)
{
    if (rows * d_ff == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const int width = d_ff % 4 == 0 && aligned_to(out, 16) && aligned_to(gate_up, 16) ? 4 : 1;
    dim3 grid((unsigned)div_up(d_ff, THREADS * width), (unsigned)smaller(rows, 65535));
    k_silu_mul<<<grid, THREADS, 0, dev->stream>>>(out, act == SS_BF16, gate_up, rows, d_ff, width);
    CU_LAUNCHED("k_silu_mul");
    return SS_OK;
}
