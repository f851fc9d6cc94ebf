/* dot_avx512.c — one token's digits times four weight rows, 32 values of k a step: 5 vpdpwssd (VNNI) per row and step. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))
enum { ROWS = 4, LANES = 32 };

/* Eight 64-bit partial sums from the 32-bit lanes of the five digits. vpmuldq by a power of two widens and shifts at once. */
TARGET static inline __m512i combine(__m512i d0, __m512i d1, __m512i d2, __m512i d3, __m512i d4)
{
    const __m512i p0 = _mm512_set1_epi64(1), p1 = _mm512_set1_epi64(1 << 11), p2 = _mm512_set1_epi64(1 << 22);
    const __m512i odd = _mm512_set1_epi64((long long)0xffffffff00000000);
    __m512i even_sum = _mm512_add_epi64(_mm512_mul_epi32(d0, p0), _mm512_mul_epi32(d1, p1));
    __m512i odd_sum =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(d0, 32), p0), _mm512_mul_epi32(_mm512_srli_epi64(d1, 32), p1));
    even_sum = _mm512_add_epi64(even_sum, _mm512_mul_epi32(d2, p2));
    odd_sum = _mm512_add_epi64(odd_sum, _mm512_mul_epi32(_mm512_srli_epi64(d2, 32), p2));
    __m512i high = _mm512_add_epi32(d3, _mm512_slli_epi32(d4, 16));
    high = _mm512_add_epi64(_mm512_slli_epi64(high, 32), _mm512_and_si512(high, odd));
    return _mm512_add_epi64(_mm512_add_epi64(even_sum, odd_sum), high);
}

/* s += pairs of int16 products. Not the intrinsic, and no array of sums: GCC 12 then copies or spills each sum every step. */
#define MULTIPLY_ADD(s, a, b) __asm__("vpdpwssd %2, %1, %0" : "+v"(s) : "v"(a), "v"(b))
#define DIGIT(d)                                                                                                               \
    do {                                                                                                                       \
        const __m512i digit = _mm512_load_si512(x + (d)*LANES);                                                                \
        MULTIPLY_ADD(s0##d, digit, v0);                                                                                        \
        MULTIPLY_ADD(s1##d, digit, v1);                                                                                        \
        MULTIPLY_ADD(s2##d, digit, v2);                                                                                        \
        MULTIPLY_ADD(s3##d, digit, v3);                                                                                        \
    } while (0)
#define REDUCE(r) lanes_sum_512(combine(s##r##0, s##r##1, s##r##2, s##r##3, s##r##4))

/* Registers: 20 sums s(row)(digit), 4 rows of weights, 1 digit. */
TARGET static void run(uint64_t *acc, const int16_t *x, const int16_t *const *w, size_t steps)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i s00 = zero, s01 = zero, s02 = zero, s03 = zero, s04 = zero, s10 = zero, s11 = zero, s12 = zero, s13 = zero,
            s14 = zero;
    __m512i s20 = zero, s21 = zero, s22 = zero, s23 = zero, s24 = zero, s30 = zero, s31 = zero, s32 = zero, s33 = zero,
            s34 = zero;
    const int16_t *w0 = w[0], *w1 = w[1], *w2 = w[2], *w3 = w[3];
    for (size_t i = 0; i < steps; i++, x += CPU_DIGITS * LANES) {
        const __m512i v0 = _mm512_loadu_si512(w0 + i * LANES), v1 = _mm512_loadu_si512(w1 + i * LANES);
        const __m512i v2 = _mm512_loadu_si512(w2 + i * LANES), v3 = _mm512_loadu_si512(w3 + i * LANES);
        DIGIT(0);
        DIGIT(1);
        DIGIT(2);
        DIGIT(3);
        DIGIT(4);
    }
    acc[0] += REDUCE(0);
    acc[1] += REDUCE(1);
    acc[2] += REDUCE(2);
    acc[3] += REDUCE(3);
}

const struct cpu_dot cpu_dot_avx512 = {.lanes = LANES, .rows = ROWS, .run = run};
