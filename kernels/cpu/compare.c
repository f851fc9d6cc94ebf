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

/* A level of the carry. */
struct level {
    uint64_t *kept, *message;
    const uint64_t *masks;
    size_t count, words;
};

/* Where word w of position k's g and p lies, not masked yet; *p stays where the level has no use for p. */
static void places(const struct level *l, size_t k, size_t w, uint64_t **g, uint64_t **p)
{
    const size_t half = l->count / 2 * l->words, at = k / 2 * l->words + w;
    if (l->count == 1) {
        *g = l->message + w;
    } else if (k % 2) {
        *g = l->kept + at;
        *p = l->message + at;
    } else if (k + 1 == l->count) {
        *g = l->kept + at;
        *p = l->kept + at + l->words;
    } else {
        *g = l->message + half + at;
        *p = k ? l->message + 2 * half + at - l->words : *p;
    }
}

/* A pass of its own: masks read beside a tile's rows, a line here and there, took longer. */
static void mask_message(const struct ss_dev *dev, const struct level *l)
{
    const size_t n = (l->count > 1 ? 3 * (l->count / 2) - 1 : 1) * l->words;
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++)
        l->message[i] ^= l->masks[i];
}

/* A tile's words of one row of leaves. */
__attribute__((always_inline)) static inline void leaves(uint64_t *restrict g, uint64_t *restrict p, const uint64_t *restrict c,
                                                         const uint64_t *restrict m, uint64_t first, size_t groups)
{
    for (size_t q = 0; q < groups; q++) {
        g[q] = c[q] & m[q];
        p[q] = (c[q] & first) ^ m[q];
    }
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
            uint64_t spare[CPU_TILE_GROUPS], *g = NULL;
            for (size_t j = 0; j + 1 < bits; j++, share += groups) {
                uint64_t *p = spare;
                places(&l, j, at, &g, &p);
                if (t.groups == CPU_TILE_GROUPS) /* a loop of known length */
                    leaves(g, p, t.rows[j], share, first, CPU_TILE_GROUPS);
                else
                    leaves(g, p, t.rows[j], share, first, t.groups);
            }
            for (size_t q = 0; q < t.groups; q++) /* the top bit, to the last row's g */
                g[q] ^= (t.rows[bits - 1][q] & first) ^ share[q];
        }
    }
    mask_message(dev, &l);
    return SS_OK;
}

enum ss_err cpu_carry_join(struct ss_dev *dev, uint64_t *kept_out, uint64_t *message_out, const uint64_t *kept,
                           const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                           size_t count, size_t words, int party)
{
    const size_t pairs = count / 2, glo = pairs * words, plo = 2 * glo;
    const uint64_t first = party == 0 ? UINT64_MAX : 0;
    const struct level l = {kept_out, message_out, masks + (3 * pairs - 1) * words, count - pairs, words};
    SS_REQUIRE(pairs > 0);
#pragma omp parallel for num_threads(dev->threads) if (pairs * words >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < pairs; k++) {
        uint64_t *g, *p = NULL;
        places(&l, k, 0, &g, &p);
        for (size_t w = 0; w < words; w++) {
            const size_t at = k * words + w;
            const uint64_t d = mine[at] ^ theirs[at], e = mine[glo + at] ^ theirs[glo + at];
            g[w] = kept[at] ^ (first & d & e) ^ (d & masks[glo + at]) ^ (e & masks[at]) ^ products[at];
            if (!p)
                continue; /* the lowest position's p is never used */
            const size_t in = plo + at - words;
            const uint64_t f = mine[in] ^ theirs[in];
            p[w] = (first & d & f) ^ (d & masks[in]) ^ (f & masks[at]) ^ products[glo + at - words];
        }
    }
    if (count % 2) {
        uint64_t *g, *p;
        places(&l, pairs, 0, &g, &p);
        memcpy(g, kept + pairs * words, words * sizeof *g);
        memcpy(p, kept + (pairs + 1) * words, words * sizeof *p);
    }
    mask_message(dev, &l);
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
