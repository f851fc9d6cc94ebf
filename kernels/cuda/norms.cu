/* norms.cu — RMSNorm, rotary embedding, SwiGLU: fp32 elementwise work on (tokens, d), a few microseconds each at 56 tokens;
   bytes moved / 4.29 TB/s is the floor and launch latency the price. */
#include "kernels/cuda/cuda.cuh"

enum { THREADS = 256, NORM_THREADS = 512 };

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

/* One block per row; d floats are read twice, the second time from cache. wide: four elements per access. */
__global__ void __launch_bounds__(NORM_THREADS)
    k_rmsnorm(void *out, int bf16, const float *x, const float *gain, size_t d, double eps, int wide)
{
    __shared__ float partial[NORM_THREADS / 32];
    __shared__ float shared_scale;
    const float *row = x + blockIdx.x * d;
    float sum = 0;
    if (wide) {
#pragma unroll 4
        for (size_t i = threadIdx.x; i < d / 4; i += NORM_THREADS) {
            const float4 v = ((const float4 *)row)[i];
            sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
        }
    } else {
        for (size_t i = threadIdx.x; i < d; i += NORM_THREADS)
            sum += row[i] * row[i];
    }
    for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0)
        partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        double total = threadIdx.x < NORM_THREADS / 32 ? (double)partial[threadIdx.x] : 0;
        for (int step = 16; step; step /= 2)
            total += __shfl_xor_sync(~0u, total, step);
        if (threadIdx.x == 0)
            shared_scale = (float)(1.0 / sqrt(total / (double)d + eps));
    }
    __syncthreads();
    const float scale = shared_scale;
    if (wide) {
#pragma unroll 4
        for (size_t i = threadIdx.x; i < d / 4; i += NORM_THREADS) {
            const float4 v = ((const float4 *)row)[i], g = ((const float4 *)gain)[i];
            put4(out, bf16, blockIdx.x * d + 4 * i,
                 make_float4(v.x * scale * g.x, v.y * scale * g.y, v.z * scale * g.z, v.w * scale * g.w));
        }
    } else {
        for (size_t i = threadIdx.x; i < d; i += NORM_THREADS)
            put(out, bf16, blockIdx.x * d + i, row[i] * scale * gain[i]);
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

/* angles (positions, pairs) of (cos, sin), computed in double: pair i of position p turns by p * theta^(-2 i / d_head) */
__global__ void k_rope_angles(float2 *angles, size_t positions, size_t pairs, double theta)
{
    size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= positions * pairs)
        return;
    size_t position = at / pairs, i = at - position * pairs;
    double s, c;
    sincos((double)position * pow(theta, -2.0 * (double)i / (double)(2 * pairs)), &s, &c);
    angles[at] = make_float2((float)c, (float)s);
}

/* The table outlives the call: a pass rotates at the same positions in every layer, and double pow costs more than the rest. */
static enum ss_err rope_table(struct ss_dev *dev, const float2 **angles, size_t positions, size_t pairs, double theta)
{
    void *p = dev->scratch[SCRATCH_ANGLES];
    if (dev->rope_theta != theta || dev->rope_pairs != pairs || dev->rope_positions < positions) {
        size_t n = div_up(positions, 2048) * 2048;
        dev->rope_positions = 0;
        SS_TRY(ss_cuda_scratch(dev, SCRATCH_ANGLES, n * pairs * sizeof(float2), &p));
        k_rope_angles<<<(unsigned)div_up(n * pairs, THREADS), THREADS, 0, dev->stream>>>((float2 *)p, n, pairs, theta);
        CU_LAUNCHED("k_rope_angles");
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
    *a = u * turn.x - v * turn.y;
    *b = v * turn.x + u * turn.y;
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
    return gate / (1.0f + expf(-gate)) * up;
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
