/* slice.c — values to rows of bits: 64 x 64 bits of each of several groups are transposed at once, four groups a vector, so
   that every step works on whole words (Warren, Hacker's Delight, 7-3; three of its six steps at a time stay in registers). */
#include "kernels/cpu/cpu.h"

enum { BITS = 64, WIDE = 4, APART = 8 };
typedef uint64_t wide __attribute__((vector_size(8 * WIDE), aligned(8), may_alias));

/* Exchanges the bits of a that lack `keep` for the bits `by` lower of b. */
__attribute__((always_inline)) static inline void exchange(wide *a, wide *b, int by, uint64_t keep)
{
    const wide t = ((*a >> by) ^ *b) & keep;
    *a ^= t << by;
    *b ^= t;
}

/* Three steps on rows x[0], x[apart], .. x[7 apart], in registers; the first exchanges 4 * by bits. */
__attribute__((always_inline)) static inline void three_steps(wide *x, size_t apart, int by, uint64_t keep4, uint64_t keep2,
                                                              uint64_t keep1)
{
    wide r[8];
    for (size_t i = 0; i < 8; i++)
        r[i] = x[i * apart];
    for (size_t i = 0; i < 4; i++)
        exchange(&r[i], &r[i + 4], 4 * by, keep4);
    for (size_t i = 0; i < 4; i++)
        exchange(&r[i + i / 2 * 2], &r[i + i / 2 * 2 + 2], 2 * by, keep2);
    for (size_t i = 0; i < 8; i += 2)
        exchange(&r[i], &r[i + 1], by, keep1);
    for (size_t i = 0; i < 8; i++)
        x[i * apart] = r[i];
}

__attribute__((always_inline)) static inline void slice_four(uint64_t *rows, const uint64_t *values)
{
    wide x[BITS];
    for (size_t i = 0; i < BITS; i += WIDE) { /* x[i]: value i of each of the four groups */
        const wide *from = (const wide *)(values + i);
        const wide a = from[0], b = from[BITS / WIDE], c = from[2 * BITS / WIDE], d = from[3 * BITS / WIDE];
        const wide ab0 = __builtin_shufflevector(a, b, 0, 4, 2, 6), ab1 = __builtin_shufflevector(a, b, 1, 5, 3, 7);
        const wide cd0 = __builtin_shufflevector(c, d, 0, 4, 2, 6), cd1 = __builtin_shufflevector(c, d, 1, 5, 3, 7);
        x[i] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
        x[i + 1] = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
        x[i + 2] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
        x[i + 3] = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
    }
    for (size_t i = 0; i < APART; i++)
        three_steps(x + i, APART, 8, 0x00000000ffffffff, 0x0000ffff0000ffff, 0x00ff00ff00ff00ff);
    for (size_t i = 0; i < BITS; i += 8)
        three_steps(x + i, 1, 1, 0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555);
    for (size_t i = 0; i < BITS; i++)
        *(wide *)(rows + i * CPU_TILE_GROUPS) = x[i];
}

__attribute__((always_inline)) static inline void slice(uint64_t *rows, const uint64_t *values, size_t groups)
{
    for (size_t q = 0; q < groups; q += WIDE)
        slice_four(rows + q, values + q * BITS);
}

void cpu_slice(uint64_t *rows, const uint64_t *values, size_t groups)
{
    slice(rows, values, groups);
}

__attribute__((target("avx2"))) void cpu_slice_avx2(uint64_t *rows, const uint64_t *values, size_t groups)
{
    slice(rows, values, groups);
}
