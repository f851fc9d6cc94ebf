/* attend_avx512.c — products of attention in Z_2^64 by vpmullq, eight lanes. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

#define TARGET __attribute__((target("avx512f,avx512dq")))
enum { LANES = 8 };

TARGET static inline __m512i multiply_add(__m512i sum, __m512i a, __m512i b)
{
    return _mm512_add_epi64(sum, _mm512_mullo_epi64(a, b));
}

TARGET static void dots(uint64_t out[2][2], const uint64_t *const a[2], const uint64_t *const b[2], size_t n)
{
    __m512i s00 = _mm512_setzero_si512(), s01 = s00, s10 = s00, s11 = s00;
    for (size_t l = 0; l < n; l += LANES) {
        const __mmask8 here = (__mmask8)(n - l < LANES ? 0xff >> (LANES - (n - l)) : 0xff);
        const __m512i a0 = _mm512_maskz_loadu_epi64(here, a[0] + l), a1 = _mm512_maskz_loadu_epi64(here, a[1] + l);
        const __m512i b0 = _mm512_maskz_loadu_epi64(here, b[0] + l), b1 = _mm512_maskz_loadu_epi64(here, b[1] + l);
        s00 = multiply_add(s00, a0, b0);
        s01 = multiply_add(s01, a0, b1);
        s10 = multiply_add(s10, a1, b0);
        s11 = multiply_add(s11, a1, b1);
    }
    out[0][0] = lanes_sum_512(s00), out[0][1] = lanes_sum_512(s01);
    out[1][0] = lanes_sum_512(s10), out[1][1] = lanes_sum_512(s11);
}

TARGET static void columns(uint64_t out[2][CPU_ATTEND_COLUMNS], const uint64_t *const w[2], const uint64_t *v, size_t stride,
                           size_t n)
{
    __m512i s0 = _mm512_setzero_si512(), s1 = s0;
    for (size_t j = 0; j < n; j++, v += stride) {
        const __m512i x = _mm512_loadu_si512(v);
        s0 = multiply_add(s0, x, _mm512_set1_epi64((long long)w[0][j]));
        s1 = multiply_add(s1, x, _mm512_set1_epi64((long long)w[1][j]));
    }
    _mm512_storeu_si512(out[0], s0);
    _mm512_storeu_si512(out[1], s1);
}
_Static_assert((int)CPU_ATTEND_COLUMNS == LANES, "a vector of columns");

const struct cpu_attend_u64 cpu_attend_avx512 = {.dots = dots, .columns = columns};
