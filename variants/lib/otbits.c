/* otbits.c — see otbits.h. Compiled for AVX2 and for any x86-64; the loader takes what the CPU has. */
#include "variants/lib/otbits.h"

#include <string.h>

#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
enum { LANES = SS_OTBITS_LANES, WORD = 64, VEC_BITS = LANES * WORD, RADIX = 8 };

static size_t vecs_of(size_t n)
{
    return (n + VEC_BITS - 1) / VEC_BITS;
}

void ss_otbits_pack(struct ss_otbits *w, const uint8_t *bytes, size_t n)
{
    uint8_t *out = (uint8_t *)w->bits;
    memset(w->bits, 0, sizeof w->bits);
    for (size_t i = 0; i + 8 <= n; i += 8) { /* byte k holds bit 0: the product moves it to bit 56 + k, and no two meet */
        uint64_t eight;
        memcpy(&eight, bytes + i, sizeof eight); /* little-endian: x86-64 */
        out[i / 8] = (uint8_t)((eight & 0x0101010101010101) * 0x0102040810204080 >> 56);
    }
    for (size_t i = n / 8 * 8; i < n; i++)
        out[i / 8] |= (uint8_t)((bytes[i] & 1) << i % 8);
}

/* Pairs are added level by level, so that 15 + 15 additions do (Roy 2022, section 3.1, "efficient computation"). */
FOR_EACH_CPU void ss_otbits_fold(struct ss_otbits *w, size_t group, size_t n)
{
    for (size_t i = 0; i < vecs_of(n); i++) {
        ss_otvec x[SS_OTBITS_LEAVES];
        for (size_t k = 0; k < SS_OTBITS_LEAVES; k++)
            x[k] = w->leaf[k][i];
        for (size_t t = 0, step = 1; t < SS_OTBITS_K; t++, step *= 2) {
            ss_otvec plane = {0};
            for (size_t k = 0; k < SS_OTBITS_LEAVES; k += 2 * step) {
                plane ^= x[k + step];
                x[k] ^= x[k + step];
            }
            w->plane[group * SS_OTBITS_K + t][i] = plane;
        }
        w->sum[i] = x[0];
    }
}

/* Three of the six levels of a transposition of 64 x 64 bits in each lane (Hacker's Delight, section 7-3): rows first,
   first + stride, ..., whose distances in the matrix are 4, 2, 1 times `stride`. */
static inline void three_levels(ss_otvec *a, size_t first, size_t stride)
{
    ss_otvec v[RADIX];
    for (size_t i = 0; i < RADIX; i++)
        v[i] = a[first + i * stride];
    for (size_t half = RADIX / 2; half; half /= 2) {
        const size_t by = half * stride;
        const uint64_t low = UINT64_MAX / ((1ull << by) + 1); /* by ones, by zeros, from bit 0 */
        for (size_t i = 0; i < RADIX; i++)
            if (!(i & half)) {
                const ss_otvec t = (v[i] >> by ^ v[i + half]) & low;
                v[i + half] ^= t;
                v[i] ^= t << by;
            }
    }
    for (size_t i = 0; i < RADIX; i++)
        a[first + i * stride] = v[i];
}

/* Bit j of word i to bit i of word j. */
static inline void transpose(ss_otvec a[WORD])
{
    for (size_t i = 0; i < RADIX; i++)
        three_levels(a, i, RADIX);
    for (size_t i = 0; i < RADIX; i++)
        three_levels(a, i * RADIX, 1);
}

FOR_EACH_CPU void ss_otbits_strings(struct ss_block *out, const struct ss_otbits *w, size_t n)
{
    for (size_t j = 0; j < vecs_of(n); j++) {
        ss_otvec a[2][WORD];
        for (size_t half = 0; half < 2; half++) {
            for (size_t i = 0; i < WORD; i++)
                a[half][i] = w->plane[half * WORD + i][j];
            transpose(a[half]);
        }
        for (size_t lane = 0; lane < LANES; lane++) {
            const size_t first = j * VEC_BITS + lane * WORD, count = first >= n ? 0 : n - first < WORD ? n - first : WORD;
            for (size_t i = 0; i < count; i++)
                out[first + i] = (struct ss_block){{a[0][i][lane], a[1][i][lane]}};
        }
    }
}
