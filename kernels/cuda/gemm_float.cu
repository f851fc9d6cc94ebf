/* gemm_float.cu — cleartext matrix products. bf16 by cuBLASLt with fp32 accumulation: at 56 tokens bound by reading the
   weights, 2 B per parameter at 4.29 TB/s. fp32 activations on bf16 weights are split into three bf16 terms (8 + 8 + 8 bits of
   mantissa, exact) stacked along the rows, so the weights are still read once and nothing is rounded but the accumulation. */
#include "kernels/cuda/cuda.cuh"

enum { THREADS = 256, TERMS = 3 };

/* terms (3, n): x = terms[0] + terms[1] + terms[2] */
__global__ void k_split3(__nv_bfloat16 *terms, const float *x, size_t n)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= n)
        return;
    float rest = x[i];
#pragma unroll
    for (int t = 0; t < TERMS; t++) {
        __nv_bfloat16 term = __float2bfloat16_rn(rest);
        terms[t * n + i] = term;
        rest -= __bfloat162float(term);
    }
}

/* out (rows, n) = sums[0] + sums[1] + sums[2] [+ bias] [+ out], total = rows * n; small terms first */
__global__ void k_sum3(float *out, const float *sums, const float *bias, size_t total, size_t n, int accumulate)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= total)
        return;
    float v = sums[i] + (sums[total + i] + sums[2 * total + i]);
    if (bias)
        v += bias[i % n];
    out[i] = accumulate ? out[i] + v : v;
}

__global__ void k_widen(float *out, const __nv_bfloat16 *x, size_t n)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < n)
        out[i] = __bfloat162float(x[i]);
}

static __device__ __forceinline__ float element(const void *p, int bf16, size_t i)
{
    return bf16 ? __bfloat162float(((const __nv_bfloat16 *)p)[i]) : ((const float *)p)[i];
}

/* Shapes that tensor cores do not take (odd inner dimension, unaligned rows): one warp per output. */
__global__ void k_gemm_any(float *out, const void *a, int a_bf16, const void *w, int w_bf16, const float *bias, size_t m,
                           size_t n, size_t k, int accumulate)
{
    size_t at = ((size_t)blockIdx.x * THREADS + threadIdx.x) / 32;
    const size_t lane = threadIdx.x % 32, row = at / n, col = at - row * n;
    if (row >= m)
        return;
    float sum = 0;
    for (size_t i = lane; i < k; i += 32)
        sum += element(a, a_bf16, row * k + i) * element(w, w_bf16, col * k + i);
    for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
    if (lane != 0)
        return;
    if (bias)
        sum += bias[col];
    out[at] = accumulate ? out[at] + sum : sum;
}

static unsigned blocks(size_t n)
{
    return (unsigned)div_up(n, THREADS);
}

/* act F32, w BF16 */
static enum ss_err gemm_split(struct ss_dev *dev, float *out, const float *a, size_t m, const struct ss_matrix *w,
                              const float *bias, bool accumulate)
{
    const size_t total = m * w->rows;
    void *terms = NULL, *sums = NULL;
    SS_TRY(ss_cuda_scratch(dev, SCRATCH_TERMS, TERMS * m * w->cols * sizeof(__nv_bfloat16), &terms));
    SS_TRY(ss_cuda_scratch(dev, SCRATCH_SUMS, TERMS * total * sizeof(float), &sums));
    k_split3<<<blocks(m * w->cols), THREADS, 0, dev->stream>>>((__nv_bfloat16 *)terms, a, m * w->cols);
    CU_LAUNCHED("k_split3");
    const struct lt_shape shape = {LT_BF16, LT_PLAIN, TERMS * m, w->rows, w->cols};
    SS_TRY(ss_lt_matmul(dev, sums, terms, w->data, NULL, &shape));
    k_sum3<<<blocks(total), THREADS, 0, dev->stream>>>(out, (const float *)sums, bias, total, w->rows, accumulate);
    CU_LAUNCHED("k_sum3");
    return SS_OK;
}

enum ss_err ss_cuda_gemm(struct ss_dev *dev, float *out, const void *a, enum ss_type act, size_t m, const struct ss_matrix *w,
                         const float *bias, bool accumulate)
{
    SS_REQUIRE((act == SS_F32 || act == SS_BF16) && (w->type == SS_F32 || w->type == SS_BF16));
    const size_t n = w->rows, k = w->cols;
    if (m * n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    if (k % 8 || n % 4 || !aligned_to(a, 16) || !aligned_to(w->data, 16) || !aligned_to(out, 16) || !aligned_to(bias, 16)) {
        k_gemm_any<<<blocks(32 * m * n), THREADS, 0, dev->stream>>>(out, a, act == SS_BF16, w->data, w->type == SS_BF16, bias,
                                                                    m, n, k, accumulate);
        CU_LAUNCHED("k_gemm_any");
        return SS_OK;
    }
    if (act == SS_F32 && w->type == SS_BF16)
        return gemm_split(dev, out, (const float *)a, m, w, bias, accumulate);
    if (act == SS_BF16 && w->type == SS_F32) {
        void *wide = NULL;
        SS_TRY(ss_cuda_scratch(dev, SCRATCH_TERMS, m * k * sizeof(float), &wide));
        k_widen<<<blocks(m * k), THREADS, 0, dev->stream>>>((float *)wide, (const __nv_bfloat16 *)a, m * k);
        CU_LAUNCHED("k_widen");
        a = wide;
    }
    const unsigned flags = (bias ? LT_BIAS : 0) | (accumulate ? LT_ADD : 0);
    const struct lt_shape shape = {w->type == SS_BF16 ? LT_BF16 : LT_F32, flags, m, n, k};
    return ss_lt_matmul(dev, out, a, w->data, bias, &shape);
}
