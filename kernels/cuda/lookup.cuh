/* lookup.cuh — what the two kernels that sum selected table entries share. */
#ifndef SS_CUDA_LOOKUP_CUH
#define SS_CUDA_LOOKUP_CUH

#include "kernels/cuda/cuda.cuh"

struct lookup_sums { /* arguments of lookup_sum but for the table */
    uint64_t *w, *v;
    const uint64_t *bits;
    const uint32_t *e0, *e1;
    const uint64_t *mask;
    size_t n;
    uint32_t n_bits, fine_bits, columns, negate;
};

static __device__ __forceinline__ uint32_t opened_index(const struct lookup_sums &t, size_t i)
{
    return (t.e0[i] + t.e1[i]) & (~0u >> (32 - t.n_bits - t.fine_bits)); /* n_bits + fine_bits in 1..32 */
}

/* The two columns' sums of lookup i, with opened index e, to what is opened next. */
static __device__ __forceinline__ void finish_lookup(const struct lookup_sums &t, size_t i, uint32_t e, uint64_t sum0,
                                                     uint64_t sum1)
{
    const uint64_t fine = e & ((1u << t.fine_bits) - 1);
    if (t.negate) {
        sum0 = -sum0;
        sum1 = -sum1;
    }
    t.w[i] = sum0 + fine * sum1 - t.mask[i];
    if (t.columns == 2)
        t.v[i] = sum1 - t.mask[t.n + i];
}

/* Whether lookup_mma.cu can do it: the planes and one of ones in two tiles of eight, rows of bits aligned to 16 bytes, and
   the shared memory of an H100 (an A100 has less). */
bool ss_cuda_lookup_fits(struct ss_dev *dev, const struct ss_lookup_table *t, const struct lookup_sums *sums);
SS_CHECKED enum ss_err ss_cuda_lookup_sum_mma(struct ss_dev *dev, const struct ss_lookup_table *t,
                                              const struct lookup_sums *sums);
#endif
