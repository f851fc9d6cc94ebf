/* lanes.h — sums of a vector's 64-bit lanes mod 2^64. Not _mm512_reduce_add_epi64: GCC 12 adds its last two lanes as signed
   integers, whose overflow is undefined and what shares do half of the time. */
#ifndef SS_KERNELS_CPU_LANES_H
#define SS_KERNELS_CPU_LANES_H

#include <immintrin.h>
#include <stdint.h>

__attribute__((target("avx2"))) static inline uint64_t lanes_sum_256(__m256i x)
{
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return (uint64_t)_mm_cvtsi128_si64(two) + (uint64_t)_mm_extract_epi64(two, 1);
}

__attribute__((target("avx512f"))) static inline uint64_t lanes_sum_512(__m512i x)
{
    return lanes_sum_256(_mm256_add_epi64(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1)));
}

#endif
