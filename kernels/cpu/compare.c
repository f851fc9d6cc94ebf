/* compare.c — comparisons: bits of values sliced over words, the carry tree over them, and the way back to additive shares. */
#include "kernels/cpu/cpu.h"

#include <string.h>

enum { LANES = 64 }; /* values a word of sliced bits */

static size_t groups_of(size_t n)
{
    return (n + LANES - 1) / LANES;
}

/* A tile of CPU_TILE_GROUPS groups: where it lies, its values (0 behind the last), their rows of bits. */
struct tile {
    size_t group0, groups; /* groups that exist */
    size_t first, n;       /* values that exist */
    uint64_t values[CPU_TILE_GROUPS * LANES], rows[LANES][CPU_TILE_GROUPS];
};

static size_t tiles_of(size_t n)
{
    return (groups_of(n) + CPU_TILE_GROUPS - 1) / CPU_TILE_GROUPS;
}

static void place(struct tile *t, size_t index, size_t n)
{
    const size_t left = n - index * CPU_TILE_GROUPS * LANES;
    t->group0 = index * CPU_TILE_GROUPS;
    t->first = t->group0 * LANES;
    t->n = left < CPU_TILE_GROUPS * LANES ? left : CPU_TILE_GROUPS * LANES;
    t->groups = groups_of(t->n);
}

static void slice(const struct ss_dev *dev, struct tile *t)
{
    const size_t fours = (t->groups + 3) / 4 * 4;
    memset(t->values + t->n, 0, (fours * LANES - t->n) * sizeof *t->values);
    if (dev->isa >= CPU_AVX2)
        cpu_slice_avx2(*t->rows, t->values, fours);
    else
        cpu_slice(*t->rows, t->values, fours);
}

enum ss_err cpu_bits_slice(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, const uint64_t *with,
                           size_t n, unsigned bits)
{
    const size_t groups = groups_of(n);
    SS_REQUIRE(bits <= LANES);
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t index = 0; index < tiles_of(n); index++) {
        struct tile t;
        place(&t, index, n);
        for (size_t i = 0; i < t.n; i++)
            t.values[i] = a[t.first + i] + (b ? b[t.first + i] : 0);
        slice(dev, &t);
        for (size_t j = 0; j < bits; j++)
            for (size_t q = 0; q < t.groups; q++) {
                const size_t at = j * groups + t.group0 + q;
                out[at] = t.rows[j][q] ^ (with ? with[at] : 0);
            }
    }
    return SS_OK;
}

/* c0 + c1 of a tile's values and their columns' shifts. */
static void opened_values(const struct tile *t, uint64_t *restrict c, uint8_t *restrict up, const uint64_t *c0,
                          const uint64_t *c1, const uint8_t *shift, size_t cols)
{
    for (size_t i = 0; i < t->n; i++)
        c[i] = c0[t->first + i] + c1[t->first + i];
    memset(up, 0, t->n);
    for (size_t i = 0, j = t->first % cols; shift && i < t->n; i++) {
        up[i] = shift[j];
        j = j + 1 == cols ? 0 : j + 1;
    }
}

__attribute__((target_clones("avx2", "default"))) static void subtract(uint64_t *restrict values, const uint64_t *restrict c,
                                                                       const uint8_t *restrict up, uint64_t threshold, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = c[i] - (threshold << up[i]);
}

/* A level of the carry, and words of one position of it. */
struct level {
    uint64_t *kept, *message;
    const uint64_t *masks;
    size_t count, words;
};

static inline void hide(uint64_t *restrict out, const uint64_t *restrict v, const uint64_t *restrict mask, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = v[i] ^ mask[i];
}

/* Words w .. w + n - 1 of position k to where the level needs them. */
__attribute__((always_inline)) static inline void put(const struct level *l, size_t k, size_t w, const uint64_t *g,
                                                      const uint64_t *p, size_t n)
{
    const size_t glo = l->count / 2 * l->words, at = k / 2 * l->words + w;
    if (l->count == 1) {
        hide(l->message + w, g, l->masks + w, n);
    } else if (k % 2) {
        memcpy(l->kept + at, g, n * sizeof *g);
        hide(l->message + at, p, l->masks + at, n);
    } else if (k + 1 == l->count) {
        memcpy(l->kept + at, g, n * sizeof *g);
        memcpy(l->kept + at + l->words, p, n * sizeof *p);
    } else {
        hide(l->message + glo + at, g, l->masks + glo + at, n);
        if (k)
            hide(l->message + 2 * glo + at - l->words, p, l->masks + 2 * glo + at - l->words, n);
    }
}

/* A tile's words of one row of leaves, c its bits and those of the row above, whose bits enter g too where m_top is not NULL.
 */
__attribute__((always_inline)) static inline void leaves(const struct level *l, size_t j, size_t w,
                                                         uint64_t (*c)[CPU_TILE_GROUPS], const uint64_t *restrict m,
                                                         const uint64_t *restrict m_top, uint64_t first, size_t groups)
{
    uint64_t g[CPU_TILE_GROUPS], p[CPU_TILE_GROUPS];
    for (size_t q = 0; q < groups; q++) {
        g[q] = c[0][q] & m[q];
        p[q] = (c[0][q] & first) ^ m[q];
    }
    for (size_t q = 0; m_top && q < groups; q++)
        g[q] ^= (c[1][q] & first) ^ m_top[q];
    put(l, j, w, g, p, groups);
}

enum ss_err cpu_carry_leaves(struct ss_dev *dev, uint64_t *kept, uint64_t *message, const uint64_t *c0, const uint64_t *c1,
                             const uint64_t *m, const uint64_t *masks, const uint64_t *h_t, unsigned thresholds,
                             const uint8_t *shift, size_t rows, size_t cols, unsigned bits, int party)
{
    const size_t n = rows * cols, groups = groups_of(n);
    const uint64_t first = party == 0 ? UINT64_MAX : 0;
    const struct level l = {kept, message, masks, bits - 1, thresholds * groups};
    SS_REQUIRE(bits >= 2 && bits <= LANES);
#pragma omp parallel for num_threads(dev->threads) if (n * thresholds >= CPU_PARALLEL_MIN)
    for (size_t index = 0; index < tiles_of(n); index++) {
        struct tile t;
        uint64_t c[CPU_TILE_GROUPS * LANES];
        uint8_t up[CPU_TILE_GROUPS * LANES];
        place(&t, index, n);
        opened_values(&t, c, up, c0, c1, shift, cols);
        for (size_t k = 0; k < thresholds; k++) {
            const size_t at = k * groups + t.group0;
            const uint64_t *share = m + t.group0;
            subtract(t.values, c, up, h_t[k], t.n);
            slice(dev, &t);
            for (size_t j = 0; j + 1 < bits; j++, share += groups) {
                const uint64_t *m_top = j + 2 == bits ? share + groups : NULL;
                if (t.groups == CPU_TILE_GROUPS) /* a loop of known length */
                    leaves(&l, j, at, t.rows + j, share, m_top, first, CPU_TILE_GROUPS);
                else
                    leaves(&l, j, at, t.rows + j, share, m_top, first, t.groups);
            }
        }
    }
    return SS_OK;
}

enum { JOINED = 64 }; /* words joined at a time */

/* `n` words of g_hi or nothing, xor the share of a product with factors opened as d and e. */
static inline void product(uint64_t *restrict out, const uint64_t *g_hi, const uint64_t *const d[2], const uint64_t *const e[2],
                           const uint64_t *mask_d, const uint64_t *mask_e, const uint64_t *dealt, uint64_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t di = d[0][i] ^ d[1][i], ei = e[0][i] ^ e[1][i];
        out[i] = (g_hi ? g_hi[i] : 0) ^ (first & di & ei) ^ (di & mask_e[i]) ^ (ei & mask_d[i]) ^ dealt[i];
    }
}

enum ss_err cpu_carry_join(struct ss_dev *dev, uint64_t *kept_out, uint64_t *message_out, const uint64_t *kept,
                           const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                           size_t count, size_t words, int party)
{
    const size_t pairs = count / 2, glo = pairs * words, plo = 2 * glo;
    const uint64_t first = party == 0 ? UINT64_MAX : 0;
    const struct level l = {kept_out, message_out, masks + (3 * pairs - 1) * words, count - pairs, words};
    SS_REQUIRE(pairs > 0);
#pragma omp parallel for num_threads(dev->threads) collapse(2) if (pairs * words >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < count - pairs; k++)
        for (size_t w = 0; w < words; w += JOINED) {
            const size_t at = k * words + w, n = words - w < JOINED ? words - w : JOINED;
            uint64_t g[JOINED], p[JOINED];
            if (k == pairs) { /* odd count */
                put(&l, k, w, kept + at, kept + at + words, n);
                continue;
            }
            const uint64_t *const d[] = {mine + at, theirs + at}, *const e[] = {mine + glo + at, theirs + glo + at};
            product(g, kept + at, d, e, masks + at, masks + glo + at, products + at, first, n);
            if (k) {
                const size_t in = plo + at - words;
                const uint64_t *const f[] = {mine + in, theirs + in};
                product(p, NULL, d, f, masks + at, masks + in, products + glo + at - words, first, n);
            }
            put(&l, k, w, g, p, n);
        }
    return SS_OK;
}

enum ss_err cpu_carry_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *masks0,
                           const uint64_t *masks1, size_t pairs, size_t words)
{
    const size_t half = pairs * words, all = (2 * pairs - 1) * words;
    SS_REQUIRE(pairs > 0);
#pragma omp parallel for num_threads(dev->threads) if (all >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < all; i++) { /* factors: p_hi of the pair, and word half + i: first g_lo, then p_lo */
        const size_t hi = i < half ? i : i - half + words;
        products1[i] = ((masks0[hi] ^ masks1[hi]) & (masks0[half + i] ^ masks1[half + i])) ^ products0[i];
    }
    return SS_OK;
}

/* The values of a word: e its opened bits. */
__attribute__((target_clones("avx2", "default"))) static void close_bits(uint64_t *restrict s, const uint64_t *restrict rho,
                                                                         uint64_t e, uint64_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t bit = e >> i & 1;
        s[i] = first * bit + (1 - 2 * bit) * rho[i];
    }
}

__attribute__((target_clones("avx2", "default"))) static void
close_products(uint64_t *restrict sx, const uint64_t *restrict rho, const uint64_t *restrict rho_a, const uint64_t *restrict a,
               const uint64_t *restrict c, uint64_t e, uint64_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t bit = e >> i & 1, sign = 1 - 2 * bit;
        sx[i] = c[i] * (first * bit + sign * rho[i]) + bit * a[i] + sign * rho_a[i];
    }
}

enum ss_err cpu_bits_close(struct ss_dev *dev, uint64_t *s, uint64_t *sx, const uint64_t *e0, const uint64_t *e1,
                           const uint64_t *rho, const uint64_t *rho_a, const uint64_t *a, const uint64_t *c0,
                           const uint64_t *c1, size_t n, unsigned thresholds, int party)
{
    const size_t groups = groups_of(n);
    const uint64_t first = party == 0;
#pragma omp parallel for num_threads(dev->threads) if (n * thresholds >= CPU_PARALLEL_MIN)
    for (size_t group = 0; group < groups; group++) {
        const size_t i0 = group * LANES, here = n - i0 < LANES ? n - i0 : LANES;
        uint64_t c[LANES];
        for (size_t i = 0; sx && i < here; i++)
            c[i] = c0[i0 + i] + c1[i0 + i];
        for (size_t k = 0; k < thresholds; k++) {
            const size_t at = k * n + i0;
            const uint64_t e = e0[k * groups + group] ^ e1[k * groups + group];
            if (s)
                close_bits(s + at, rho + at, e, first, here);
            if (sx)
                close_products(sx + at, rho + at, rho_a + at, a + i0, c, e, first, here);
        }
    }
    return SS_OK;
}

enum ss_err cpu_bits_deal(struct ss_dev *dev, uint64_t *rho1, uint64_t *rho_a1, const uint64_t *rho0, const uint64_t *rho_a0,
                          const uint64_t *bits0, const uint64_t *bits1, const uint64_t *a0, const uint64_t *a1, size_t n,
                          unsigned thresholds)
{
    const size_t groups = groups_of(n);
#pragma omp parallel for num_threads(dev->threads) collapse(2) if (n * thresholds >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < thresholds; k++)
        for (size_t i = 0; i < n; i++) {
            const size_t at = k * n + i, word = k * groups + i / LANES;
            const uint64_t rho = (bits0[word] ^ bits1[word]) >> i % LANES & 1;
            rho1[at] = rho - rho0[at];
            if (rho_a1)
                rho_a1[at] = rho * (a0[i] + a1[i]) - rho_a0[at];
        }
    return SS_OK;
}

enum ss_err cpu_ring_combine(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const uint64_t *h_coef, unsigned terms,
                             uint64_t constant, size_t n)
{
    SS_REQUIRE(terms <= SS_MAX_THRESHOLDS);
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++) {
        uint64_t sum = constant;
        for (size_t k = 0; k < terms; k++)
            sum += h_coef[k] * in[k * n + i];
        out[i] = sum;
    }
    return SS_OK;
}
