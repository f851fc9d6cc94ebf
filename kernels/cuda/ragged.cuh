/* ragged.cuh — where rows of different lengths start, on the device. */
#ifndef SS_CUDA_RAGGED_CUH
#define SS_CUDA_RAGGED_CUH

#include "kernels/cuda/cuda.cuh"

static __device__ __forceinline__ size_t row_length(const struct ss_ragged &r, size_t row)
{
    return r.tokens ? r.past + row % r.tokens + 1 : r.cols;
}

/* Values left of `length` at a level of the tournament, and pairs among them. */
static __device__ __forceinline__ size_t left_of(size_t length, unsigned level)
{
    return (length + ((size_t)1 << level) - 1) >> level;
}

/* Sum of left_of(x, level), or with pairs of left_of(x, level) / 2, over x = 1 .. m. ceil(x / 2^level) takes each value 2^level
   times: full groups 1 .. q, then the rest of group q + 1. */
static __device__ __forceinline__ size_t left_up_to(size_t m, unsigned level, bool pairs)
{
    const size_t q = m >> level, rest = m - (q << level);
    if (pairs)
        return (q * q / 4 << level) + rest * ((q + 1) / 2);
    return (q * (q + 1) / 2 << level) + rest * (q + 1);
}

/* First value (pair) of a row where each row has left_of its length many values. */
static __device__ __forceinline__ size_t level_start(const struct ss_ragged &r, size_t row, unsigned level, bool pairs)
{
    if (!r.tokens)
        return row * (left_of(r.cols, level) >> (pairs ? 1 : 0));
    const size_t block = row / r.tokens, i = row - block * r.tokens, before = left_up_to(r.past, level, pairs);
    return block * (left_up_to(r.past + r.tokens, level, pairs) - before) + left_up_to(r.past + i, level, pairs) - before;
}

static __device__ __forceinline__ size_t row_start(const struct ss_ragged &r, size_t row)
{
    return level_start(r, row, 0, false);
}
#endif
