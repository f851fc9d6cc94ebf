/* dot_avx2.c — one token's digits times two weight rows, 16 values of k a step: 5 vpmaddwd + 5 vpaddd per row and step. */
#include "kernels/cpu/cpu.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
enum { ROWS = 2, LANES = 16 };

/* Four 64-bit partial sums from the 32-bit lanes of the five digits. vpmuldq by a power of two widens and shifts at once. */
TARGET static inline __m256i combine(const __m256i d[CPU_DIGITS])
{
    const __m256i p0 = _mm256_set1_epi64x(1), p1 = _mm256_set1_epi64x(1 << 11), p2 = _mm256_set1_epi64x(1 << 22);
    const __m256i odd = _mm256_set1_epi64x((long long)0xffffffff00000000);
    __m256i even_sum = _mm256_add_epi64(_mm256_mul_epi32(d[0], p0), _mm256_mul_epi32(d[1], p1));
    __m256i odd_sum =
        _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(d[0], 32), p0), _mm256_mul_epi32(_mm256_srli_epi64(d[1], 32), p1));
    even_sum = _mm256_add_epi64(even_sum, _mm256_mul_epi32(d[2], p2));
    odd_sum = _mm256_add_epi64(odd_sum, _mm256_mul_epi32(_mm256_srli_epi64(d[2], 32), p2));
    __m256i high = _mm256_add_epi32(d[3], _mm256_slli_epi32(d[4], 16));
    high = _mm256_add_epi64(_mm256_slli_epi64(high, 32), _mm256_and_si256(high, odd));
    return _mm256_add_epi64(_mm256_add_epi64(even_sum, odd_sum), high);
}

TARGET static void run(uint64_t *acc, const int16_t *x, const int16_t *const *w, size_t steps)
{
    __m256i s0[CPU_DIGITS], s1[CPU_DIGITS];
    for (int d = 0; d < CPU_DIGITS; d++)
        s0[d] = s1[d] = _mm256_setzero_si256();
    const int16_t *w0 = w[0], *w1 = w[1];
    for (size_t i = 0; i < steps; i++, x += CPU_DIGITS * LANES) {
        __m256i v0 = _mm256_loadu_si256((const __m256i *)(w0 + i * LANES));
        __m256i v1 = _mm256_loadu_si256((const __m256i *)(w1 + i * LANES));
        for (int d = 0; d < CPU_DIGITS; d++) {
            __m256i digit = _mm256_load_si256((const __m256i *)(x + d * LANES));
            __asm__("" : "+x"(digit)); /* one load for both rows: GCC would fold it into each multiplication */
            s0[d] = _mm256_add_epi32(s0[d], _mm256_madd_epi16(digit, v0));
            s1[d] = _mm256_add_epi32(s1[d], _mm256_madd_epi16(digit, v1));
        }
    }
    __m256i a = combine(s0), b = combine(s1);
    __m256i ab = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)); /* (a, b, a, b) */
    __m128i sum = _mm_add_epi64(_mm256_castsi256_si128(ab), _mm256_extracti128_si256(ab, 1));
    _mm_storeu_si128((__m128i *)acc, _mm_add_epi64(_mm_loadu_si128((const __m128i *)acc), sum));
}

const struct cpu_dot cpu_dot_avx2 = {.lanes = LANES, .rows = ROWS, .run = run};
