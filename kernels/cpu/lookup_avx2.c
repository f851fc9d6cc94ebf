/* lookup_avx2.c — sums of selected table entries. Entries are summed as unsigned bytes (the table's planes), 32 at a time by
   multiply-add with 0 / -1 masks made from the bits; 128 steps of at most 510 fit a 16-bit lane. */
#include "kernels/cpu/cpu.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
enum { LANES = 32, MAX_STEPS = 128, MAX_PLANES = 6 };

/* Sum of the 16 unsigned 16-bit lanes. */
TARGET static inline uint64_t lanes_sum(__m256i x)
{
    const __m256i pairs = _mm256_add_epi32(_mm256_and_si256(x, _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(x, 16));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(four);
}

/* sums[p] += bytes of plane p whose bit is set, over `steps` <= MAX_STEPS groups of 32 entries; planes are n bytes apart. */
TARGET __attribute__((always_inline)) static inline void add_planes(uint64_t *sums, const uint32_t *bits, const uint8_t *planes,
                                                                    size_t n, size_t steps, int count)
{
    const __m256i spread =
        _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i acc[MAX_PLANES];
    for (int p = 0; p < count; p++)
        acc[p] = _mm256_setzero_si256();
    for (size_t g = 0; g < steps; g++) {
        const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits[g]), spread);
        const __m256i mask = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
        for (int p = 0; p < count; p++) {
            const __m256i entries = _mm256_loadu_si256((const __m256i *)(planes + (size_t)p * n + g * LANES));
            acc[p] = _mm256_sub_epi16(acc[p], _mm256_maddubs_epi16(entries, mask));
        }
    }
    for (int p = 0; p < count; p++)
        sums[p] += lanes_sum(acc[p]);
}

TARGET static void add_block(uint64_t *sums, const uint32_t *bits, const uint8_t *planes, size_t n, size_t steps,
                             unsigned count)
{
    switch (count) {
    case 1:
        add_planes(sums, bits, planes, n, steps, 1);
        break;
    case 2:
        add_planes(sums, bits, planes, n, steps, 2);
        break;
    case 3:
        add_planes(sums, bits, planes, n, steps, 3);
        break;
    case 4:
        add_planes(sums, bits, planes, n, steps, 4);
        break;
    case 5:
        add_planes(sums, bits, planes, n, steps, 5);
        break;
    default:
        add_planes(sums, bits, planes, n, steps, MAX_PLANES);
    }
}

TARGET void cpu_select_sums_avx2(uint64_t sums[2], const uint64_t *bits, const struct ss_lookup_table *t,
                                 const struct ss_lookup_shape *s)
{
    const size_t n = (size_t)1 << s->n_bits, steps = n / LANES;
    const unsigned all = t->n_planes[0] + t->n_planes[1];
    const uint32_t *groups = (const uint32_t *)bits;
    uint64_t plane[16] = {0}, ones = 0;
    for (size_t first = 0; first < steps; first += MAX_STEPS) {
        const size_t now = steps - first < MAX_STEPS ? steps - first : MAX_STEPS;
        for (unsigned p = 0; p < all; p += MAX_PLANES)
            add_block(plane + p, groups + first, t->planes + (size_t)p * n + first * LANES, n, now,
                      all - p < MAX_PLANES ? all - p : MAX_PLANES);
    }
    for (size_t k = 0; k < n / 64; k++)
        ones += (uint64_t)__builtin_popcountll(bits[k]);
    for (unsigned c = 0, p = 0; c < s->columns; c++) {
        SS_REQUIRE(t->n_planes[c] >= 1 && t->n_planes[c] <= 8 && p <= 8);
        uint64_t sum = -(ones << (8 * t->n_planes[c] - 1)); /* the planes hold entry + 2^(8 n_planes - 1) */
        for (unsigned k = 0; k < t->n_planes[c]; k++, p++)
            sum += plane[p] << (8 * k);
        sums[c] = sum;
    }
}
