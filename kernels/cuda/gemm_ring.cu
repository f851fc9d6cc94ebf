/* gemm_ring.cu — out (m, n) = a (m, k) * w (n, k)^T mod 2^64 on int8 tensor cores. A share is eight signed 8-bit digits,
   a = sum d_i 2^(8 i) mod 2^64, a weight two, w = lo + 256 hi. Of the sixteen digit products fifteen matter, hi d_7 is a
   multiple of 2^64. Products of equal weight share one int32: s_i = lo d_i + hi d_(i-1), exact while 2 k 2^14 < 2^31.
   Then out = sum s_i 2^(8 i). On Hopper gemm_wgmma.cu does all of it in one kernel; here is the form for other GPUs, two
   cuBLASLt products and a recombination, and the scalar form for shapes that tensor cores do not take.
   Floor: 15 m n k multiply-adds; the weights' 2 n k bytes where m is below about 15. */
#include "kernels/cuda/cuda.cuh"

enum { THREADS = 256 };

/* digits (8, m, k): plane i holds digit i of every element. The bytes of (x + c) ^ c with c = 0x80 in every byte are the
   signed digits of x: adding c makes the carries that balance them, and b - 128 = b ^ 0x80 in 8 bits. */
__global__ void k_split_digits(uint8_t *digits, const uint64_t *a, size_t n)
{
    const uint64_t center = 0x8080808080808080u;
    size_t i = 4 * ((size_t)blockIdx.x * THREADS + threadIdx.x);
    if (i >= n)
        return;
    uint64_t x[4];
#pragma unroll
    for (int e = 0; e < 4; e++)
        x[e] = (a[i + e] + center) ^ center;
#pragma unroll
    for (int d = 0; d < DIGITS; d++) {
        uint32_t packed = 0;
#pragma unroll
        for (int e = 0; e < 4; e++)
            packed |= (uint32_t)(x[e] >> (8 * d) & 255) << (8 * e);
        *(uint32_t *)(digits + d * n + i) = packed;
    }
}

/* sums (8, m, chunk) int32 -> columns col0 .. col0 + chunk - 1 of out (m, n) */
__global__ void k_join_sums(uint64_t *out, const int32_t *sums, size_t m, size_t n, size_t col0, size_t chunk)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= m * chunk)
        return;
    uint64_t v = 0;
#pragma unroll
    for (int d = 0; d < DIGITS; d++)
        v += (uint64_t)(int64_t)sums[d * m * chunk + i] << (8 * d);
    size_t row = i / chunk;
    out[row * n + col0 + (i - row * chunk)] = v;
}

/* Any shape: one warp per output, 64-bit multiplies. */
__global__ void k_gemm_ring_any(uint64_t *out, const uint64_t *a, const int8_t *low, const int8_t *high, size_t m, size_t n,
                                size_t k)
{
    size_t at = ((size_t)blockIdx.x * THREADS + threadIdx.x) / 32;
    const size_t lane = threadIdx.x % 32, row = at / n, col = at - row * n;
    if (row >= m)
        return;
    uint64_t sum = 0;
    for (size_t i = lane; i < k; i += 32)
        sum += a[row * k + i] * (uint64_t)(int64_t)(high[col * k + i] * 256 + low[col * k + i]);
    for (int step = 16; step; step /= 2)
        sum += __shfl_xor_sync(~0u, sum, step);
    if (lane == 0)
        out[at] = sum;
}

/* Weight rows per step such that the int32 sums (32 B per output) stay in half an L2 cache of 50 MB until they are joined. */
static size_t chunk_rows(size_t m, size_t n)
{
    const size_t sums_bytes = 16 << 20;
    size_t most = sums_bytes / (m * DIGITS * sizeof(int32_t)) / 256 * 256;
    most = most < 1024 ? 1024 : most;
    return smaller(n, div_up(div_up(n, div_up(n, most)), 16) * 16);
}

static enum ss_err gemm_lt(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w)
{
    const size_t n = w->rows, k = w->cols, step = chunk_rows(m, n);
    const int8_t *low = (const int8_t *)w->data, *high = low + n * k;
    void *digits = NULL, *sums = NULL;
    SS_TRY(ss_cuda_scratch(dev, SCRATCH_DIGITS, DIGITS * m * k, &digits));
    SS_TRY(ss_cuda_scratch(dev, SCRATCH_PRODUCTS, DIGITS * m * step * sizeof(int32_t), &sums));
    k_split_digits<<<(unsigned)div_up(m * k, 4 * THREADS), THREADS, 0, dev->stream>>>((uint8_t *)digits, a, m * k);
    CU_LAUNCHED("k_split_digits");
    for (size_t col0 = 0; col0 < n; col0 += step) {
        const size_t chunk = smaller(step, n - col0);
        const struct lt_shape all = {LT_I8, LT_PLAIN, DIGITS * m, chunk, k},
                              upper = {LT_I8, LT_ADD, (DIGITS - 1) * m, chunk, k};
        SS_TRY(ss_lt_matmul(dev, sums, digits, low + col0 * k, NULL, &all));
        SS_TRY(ss_lt_matmul(dev, (int32_t *)sums + m * chunk, digits, high + col0 * k, NULL, &upper));
        k_join_sums<<<(unsigned)div_up(m * chunk, THREADS), THREADS, 0, dev->stream>>>(out, (const int32_t *)sums, m, n, col0,
                                                                                       chunk);
        CU_LAUNCHED("k_join_sums");
    }
    return SS_OK;
}

enum ss_err ss_cuda_gemm_ring(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w)
{
    SS_REQUIRE(w->type == SS_I8X2);
    const size_t n = w->rows, k = w->cols;
    if (m * n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const bool dense = k % 16 == 0 && k <= MAX_EXACT_K && aligned_to(w->data, 16);
    if (dense && dev->wgmma)
        return ss_wgmma_gemm(dev, out, a, m, w);
    if (dense && n % 16 == 0)
        return gemm_lt(dev, out, a, m, w);
    const int8_t *low = (const int8_t *)w->data;
    k_gemm_ring_any<<<(unsigned)div_up(32 * m * n, THREADS), THREADS, 0, dev->stream>>>(out, a, low, low + n * k, m, n, k);
    CU_LAUNCHED("k_gemm_ring_any");
    return SS_OK;
}
