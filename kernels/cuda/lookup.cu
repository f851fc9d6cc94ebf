/* lookup.cu — the online steps of oblivious lookups and the dealer's coefficients; the functions of kernels/cpu/lookup.c. All
   but the sum of selected entries moves bytes and nothing else matters. Sums of few lookups are made here, of many in
   lookup_mma.cu. */
#include "kernels/cuda/lookup.cuh"

enum { THREADS = 256, WARPS = THREADS / 32, MANY = 512 /* lookups from which the other kernel's two launches pay */ };

static __device__ __forceinline__ uint64_t low(uint64_t x, unsigned bits)
{
    return bits >= 64 ? x : x & (((uint64_t)1 << bits) - 1);
}

static __device__ __forceinline__ size_t flat_index(void)
{
    return (size_t)blockIdx.x * THREADS + threadIdx.x;
}

struct coef_arrays {
    uint64_t *coef1;
    const uint64_t *coef0, *sign, *b0, *b1, *mask0, *mask1;
};

__global__ void k_lookup_deal(struct coef_arrays p, size_t n, struct ss_lookup_shape s)
{
    const size_t i = flat_index();
    if (i >= n)
        return;
    const bool two = s.columns == 2;
    const uint64_t bl = low(p.b0[i] + p.b1[i], s.fine_bits), sigma = p.sign[i];
    const size_t q = (two ? 2 : 1) * n + i;
    const uint64_t m1 = p.mask0[i] + p.mask1[i], m2 = two ? p.mask0[n + i] + p.mask1[n + i] : 0;
    const uint64_t m3 = s.fused ? p.mask0[q] + p.mask1[q] : 0, value = sigma * (m1 + bl * m2);
    size_t at = i;
    const auto put = [&](uint64_t c) {
        p.coef1[at] = c - p.coef0[at];
        at += n;
    };
    put(sigma);
    if (s.fused)
        put(sigma * m3);
    put(value);
    if (two)
        put(sigma * bl);
    if (two && s.fused)
        put(sigma * bl * m3);
    if (s.fused)
        put(value * m3);
}

enum ss_err ss_cuda_lookup_deal(struct ss_dev *dev, uint64_t *coef1, const uint64_t *coef0, const uint64_t *sign,
                                const uint64_t *b0, const uint64_t *b1, const uint64_t *mask0, const uint64_t *mask1, size_t n,
                                const struct ss_lookup_shape *s)
{
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct coef_arrays p = {coef1, coef0, sign, b0, b1, mask0, mask1};
    k_lookup_deal<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(p, n, *s);
    CU_LAUNCHED("k_lookup_deal");
    return SS_OK;
}

__global__ void k_lookup_index(uint32_t *e, const uint64_t *x, size_t x_stride, const uint64_t *b, size_t n, size_t cols,
                               unsigned m, const uint8_t *col_m, uint64_t lo, unsigned width, uint64_t first)
{
    const size_t at = flat_index();
    if (at >= n)
        return;
    const size_t i = (at | cols) >> 32 ? at / cols : (uint32_t)at / (uint32_t)cols, j = at - i * cols;
    const unsigned up = col_m ? col_m[j] : 0, mj = m + up;
    const uint64_t shifted = x[i * x_stride + j] + first * (lo << up);
    const uint64_t t = (low(shifted, mj + width) >> mj) + (first & (uint64_t)(mj > 0));
    e[at] = (uint32_t)low(t - b[at], width);
}

enum ss_err ss_cuda_lookup_index(struct ss_dev *dev, uint32_t *e, const uint64_t *x, size_t x_stride, const uint64_t *b,
                                 size_t rows, size_t cols, unsigned m, const uint8_t *col_m, uint64_t lo,
                                 const struct ss_lookup_shape *s, int party)
{
    const size_t n = rows * cols;
    SS_REQUIRE(s->n_bits + s->fine_bits <= 32);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_lookup_index<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(e, x, x_stride, b, n, cols, m, col_m, lo,
                                                                              s->n_bits + s->fine_bits, party == 0);
    CU_LAUNCHED("k_lookup_index");
    return SS_OK;
}

__global__ void k_lookup_close(uint64_t *out, const uint64_t *o0, const uint64_t *o1, const uint64_t *coef, size_t n,
                               struct ss_lookup_shape s)
{
    const size_t i = flat_index();
    if (i >= n)
        return;
    const bool two = s.columns == 2;
    const size_t qi = (two ? 2 : 1) * n + i;
    const uint64_t w = o0[i] + o1[i], v = two ? o0[n + i] + o1[n + i] : 0, q = s.fused ? o0[qi] + o1[qi] : 0;
    const uint64_t *c = coef + i;
    uint64_t y;
    if (!s.fused)
        y = w * c[0] + c[n] + (two ? v * c[2 * n] : 0);
    else if (two)
        y = q * (w * c[0] + c[2 * n] + v * c[3 * n]) + w * c[n] + v * c[4 * n] + c[5 * n];
    else
        y = q * (w * c[0] + c[2 * n]) + w * c[n] + c[3 * n];
    out[i] = y;
}

enum ss_err ss_cuda_lookup_close(struct ss_dev *dev, uint64_t *out, const uint64_t *o0, const uint64_t *o1,
                                 const uint64_t *coef, size_t n, const struct ss_lookup_shape *s)
{
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_lookup_close<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(out, o0, o1, coef, n, *s);
    CU_LAUNCHED("k_lookup_close");
    return SS_OK;
}

/* A warp per lookup, a bit per lane and step, whole entries. The rotation is public: it moves addresses, the bits do not. */
__global__ void __launch_bounds__(THREADS) k_lookup_sum(struct lookup_sums t, const uint64_t *entries)
{
    const size_t i = (size_t)blockIdx.x * WARPS + threadIdx.x / 32;
    if (i >= t.n)
        return;
    const uint32_t lane = threadIdx.x % 32, n = 1u << t.n_bits, e = opened_index(t, i), c = e >> t.fine_bits;
    const uint32_t *words = (const uint32_t *)t.bits + i * (n / 32);
    uint64_t sums[2] = {0, 0};
#pragma unroll 4
    for (uint32_t k = 0; k < n / 32; k++) {
        const uint64_t mask = -(uint64_t)(words[k] >> lane & 1);
        const uint32_t at = (32 * k + lane + c) & (n - 1);
        sums[0] += entries[at] & mask;
        if (t.columns == 2)
            sums[1] += entries[n + at] & mask;
    }
    for (int step = 16; step; step /= 2) {
        sums[0] += __shfl_xor_sync(~0u, sums[0], step);
        sums[1] += __shfl_xor_sync(~0u, sums[1], step);
    }
    if (lane == 0)
        finish_lookup(t, i, e, sums[0], sums[1]);
}

enum ss_err ss_cuda_lookup_sum(struct ss_dev *dev, uint64_t *w, uint64_t *v, const uint64_t *bits, const uint32_t *e0,
                               const uint32_t *e1, const uint64_t *mask, const struct ss_lookup_table *t, size_t n,
                               const struct ss_lookup_shape *s, int party)
{
    SS_REQUIRE(s->n_bits >= 5 && s->n_bits <= 20 && s->n_bits + s->fine_bits <= 32);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct lookup_sums sums = {w, v, bits, e0, e1, mask, n, s->n_bits, s->fine_bits, s->columns, party != 0};
    if (n >= MANY && ss_cuda_lookup_fits(dev, t, &sums))
        return ss_cuda_lookup_sum_mma(dev, t, &sums);
    k_lookup_sum<<<(unsigned)div_up(n, WARPS), THREADS, 0, dev->stream>>>(sums, t->entries);
    CU_LAUNCHED("k_lookup_sum");
    return SS_OK;
}
