/* gemm_few.c — bf16 weights times few tokens: a weight is read once, widened in a register and used for every token. BLAS first
   copies each tile of weights into an order of its own, which for few tokens costs more than the product. */
#include "kernels/cpu/cpu.h"

#include <immintrin.h>

enum { TOKENS_AVX512 = 8, TOKENS_AVX2 = 4 };

static void add_rest(float (*sum)[CPU_FEW_ROWS], size_t tokens, const float *const *a, const uint16_t *const *w, size_t from,
                     size_t k)
{
    for (size_t l = from; l < k; l++)
        for (size_t t = 0; t < tokens; t++)
            for (size_t r = 0; r < CPU_FEW_ROWS; r++)
                sum[t][r] += a[t][l] * cpu_widen(w[r][l]);
}

#define AVX512 __attribute__((target("avx512f,avx512bw")))

AVX512 static inline __m512 weights_512(const uint16_t *w)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)w)), 16));
}

AVX512 static void run_512(float (*sum)[CPU_FEW_ROWS], const float *const *a, const uint16_t *const *w, size_t k)
{
    enum { LANES = 16 };
    __m512 s[TOKENS_AVX512][CPU_FEW_ROWS];
    size_t l = 0;
#pragma GCC unroll 8
    for (int t = 0; t < TOKENS_AVX512; t++)
        s[t][0] = s[t][1] = _mm512_setzero_ps();
    for (; l + LANES <= k; l += LANES) {
        const __m512 w0 = weights_512(w[0] + l), w1 = weights_512(w[1] + l);
#pragma GCC unroll 8
        for (int t = 0; t < TOKENS_AVX512; t++) {
            const __m512 x = _mm512_loadu_ps(a[t] + l);
            s[t][0] = _mm512_fmadd_ps(x, w0, s[t][0]);
            s[t][1] = _mm512_fmadd_ps(x, w1, s[t][1]);
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < TOKENS_AVX512; t++) {
        sum[t][0] = _mm512_reduce_add_ps(s[t][0]);
        sum[t][1] = _mm512_reduce_add_ps(s[t][1]);
    }
    add_rest(sum, TOKENS_AVX512, a, w, l, k);
}

#define AVX2 __attribute__((target("avx2,fma")))

AVX2 static inline __m256 weights_256(const uint16_t *w)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)w)), 16));
}

AVX2 static inline float sum_256(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

AVX2 static void run_256(float (*sum)[CPU_FEW_ROWS], const float *const *a, const uint16_t *const *w, size_t k)
{
    enum { LANES = 8 };
    __m256 s[TOKENS_AVX2][CPU_FEW_ROWS];
    size_t l = 0;
#pragma GCC unroll 4
    for (int t = 0; t < TOKENS_AVX2; t++)
        s[t][0] = s[t][1] = _mm256_setzero_ps();
    for (; l + LANES <= k; l += LANES) {
        const __m256 w0 = weights_256(w[0] + l), w1 = weights_256(w[1] + l);
#pragma GCC unroll 4
        for (int t = 0; t < TOKENS_AVX2; t++) {
            const __m256 x = _mm256_loadu_ps(a[t] + l);
            s[t][0] = _mm256_fmadd_ps(x, w0, s[t][0]);
            s[t][1] = _mm256_fmadd_ps(x, w1, s[t][1]);
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < TOKENS_AVX2; t++) {
        sum[t][0] = sum_256(s[t][0]);
        sum[t][1] = sum_256(s[t][1]);
    }
    add_rest(sum, TOKENS_AVX2, a, w, l, k);
}

_Static_assert((int)TOKENS_AVX512 <= (int)CPU_FEW_TOKENS && (int)CPU_FEW_ROWS == 2, "sums of a call");

const struct cpu_few cpu_few_avx2 = {.tokens = TOKENS_AVX2, .run = run_256};
const struct cpu_few cpu_few_avx512 = {.tokens = TOKENS_AVX512, .run = run_512};
