/* attend_avx2.c — products of attention in Z_2^64, 2 x 2 vectors of sums at a time. A product mod 2^64 of a = a1 2^32 + a0 and
   b is a0 b0 + 2^32 (a1 b0 + a0 b1): vpmuludq for the first term, vpmulld of (a0, a1) and (b1, b0) for the low halves of the
   other two, whose sums are shifted once at the end. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lanes.h"

#define TARGET __attribute__((target("avx2")))
enum { LANES = 4 };

struct sums {
    __m256i low, cross;
};

TARGET static inline __m256i load(const uint64_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

TARGET static inline __m256i swap_halves(__m256i x)
{
    return _mm256_shuffle_epi32(x, 0xb1);
}

TARGET static inline void multiply_add(struct sums *s, __m256i a, __m256i b, __m256i b_swapped)
{
    s->low = _mm256_add_epi64(s->low, _mm256_mul_epu32(a, b));
    s->cross = _mm256_add_epi32(s->cross, _mm256_mullo_epi32(a, b_swapped));
}

TARGET static inline __m256i total(struct sums s)
{
    const __m256i both = _mm256_add_epi32(s.cross, swap_halves(s.cross));
    return _mm256_add_epi64(s.low, _mm256_slli_epi64(both, 32));
}

TARGET static void dots(uint64_t out[2][2], const uint64_t *const a[2], const uint64_t *const b[2], size_t n)
{
    const __m256i zero = _mm256_setzero_si256();
    struct sums s00 = {zero, zero}, s01 = s00, s10 = s00, s11 = s00;
    size_t l = 0;
    for (; l + LANES <= n; l += LANES) {
        const __m256i a0 = load(a[0] + l), a1 = load(a[1] + l), b0 = load(b[0] + l), b1 = load(b[1] + l);
        const __m256i b0_swapped = swap_halves(b0), b1_swapped = swap_halves(b1);
        multiply_add(&s00, a0, b0, b0_swapped);
        multiply_add(&s01, a0, b1, b1_swapped);
        multiply_add(&s10, a1, b0, b0_swapped);
        multiply_add(&s11, a1, b1, b1_swapped);
    }
    out[0][0] = lanes_sum_256(total(s00)), out[0][1] = lanes_sum_256(total(s01));
    out[1][0] = lanes_sum_256(total(s10)), out[1][1] = lanes_sum_256(total(s11));
    for (; l < n; l++)
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++)
                out[i][j] += a[i][l] * b[j][l];
}

TARGET static void columns(uint64_t out[2][CPU_ATTEND_COLUMNS], const uint64_t *const w[2], const uint64_t *v, size_t stride,
                           size_t n)
{
    const __m256i zero = _mm256_setzero_si256();
    struct sums s00 = {zero, zero}, s01 = s00, s10 = s00, s11 = s00;
    for (size_t j = 0; j < n; j++, v += stride) {
        const __m256i w0 = _mm256_set1_epi64x((long long)w[0][j]), w1 = _mm256_set1_epi64x((long long)w[1][j]);
        const __m256i w0_swapped = swap_halves(w0), w1_swapped = swap_halves(w1), v0 = load(v), v1 = load(v + LANES);
        multiply_add(&s00, v0, w0, w0_swapped);
        multiply_add(&s01, v1, w0, w0_swapped);
        multiply_add(&s10, v0, w1, w1_swapped);
        multiply_add(&s11, v1, w1, w1_swapped);
    }
    _mm256_storeu_si256((__m256i *)out[0], total(s00));
    _mm256_storeu_si256((__m256i *)(out[0] + LANES), total(s01));
    _mm256_storeu_si256((__m256i *)out[1], total(s10));
    _mm256_storeu_si256((__m256i *)(out[1] + LANES), total(s11));
}
_Static_assert(CPU_ATTEND_COLUMNS == 2 * LANES, "two vectors of columns");

const struct cpu_attend_u64 cpu_attend_avx2 = {.dots = dots, .columns = columns};
