/* compare.c — comparisons: bits of values sliced over words, the carry tree over them, and the way back to additive shares. */
#include "kernels/cpu/cpu.h"

#include <string.h>

enum { LANES = 64 }; /* values a word of sliced bits */

static size_t groups_of(size_t n)
{
    return (n + LANES - 1) / LANES;
}

/* In place: bit i of word j becomes bit j of word i (Warren, Hacker's Delight, 7-3). */
static void transpose(uint64_t a[LANES])
{
    uint64_t mask = UINT32_MAX;
    for (unsigned j = LANES / 2; j; j >>= 1, mask ^= mask << j)
        for (unsigned k = 0; k < LANES; k = ((k | j) + 1) & ~j) {
            const uint64_t t = (a[k] >> j ^ a[k | j]) & mask;
            a[k] ^= t << j;
            a[k | j] ^= t;
        }
}

enum ss_err cpu_bits_slice(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, const uint64_t *with,
                           size_t n, unsigned bits)
{
    const size_t groups = groups_of(n);
    SS_REQUIRE(bits <= LANES);
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t g = 0; g < groups; g++) {
        uint64_t block[LANES] = {0};
        for (size_t i = g * LANES; i < n && i < (g + 1) * LANES; i++)
            block[i % LANES] = a[i] + (b ? b[i] : 0);
        transpose(block);
        for (size_t j = 0; j < bits; j++)
            out[j * groups + g] = block[j] ^ (with ? with[j * groups + g] : 0);
    }
    return SS_OK;
}

enum ss_err cpu_carry_leaves(struct ss_dev *dev, uint64_t *g, uint64_t *p, uint64_t *top, const uint64_t *c0,
                             const uint64_t *c1, const uint64_t *m, const uint64_t *h_t, unsigned thresholds,
                             const uint8_t *shift, size_t rows, size_t cols, unsigned bits, int party)
{
    const size_t n = rows * cols, groups = groups_of(n), words = thresholds * groups;
    const uint64_t first = party == 0 ? UINT64_MAX : 0;
    SS_REQUIRE(bits >= 1 && bits <= LANES);
#pragma omp parallel for num_threads(dev->threads) if (n * thresholds >= CPU_PARALLEL_MIN)
    for (size_t w = 0; w < words; w++) {
        const size_t group = w % groups;
        const uint64_t t = h_t[w / groups];
        uint64_t block[LANES] = {0};
        for (size_t i = group * LANES; i < n && i < (group + 1) * LANES; i++)
            block[i % LANES] = c0[i] + c1[i] - (t << (shift ? shift[i % cols] : 0));
        transpose(block);
        for (size_t j = 0; j + 1 < bits; j++) {
            const uint64_t share = m[j * groups + group];
            g[j * words + w] = block[j] & share;
            p[j * words + w] = (block[j] & first) ^ share;
        }
        top[w] = (block[bits - 1] & first) ^ m[(bits - 1) * groups + group];
    }
    return SS_OK;
}

enum ss_err cpu_carry_open(struct ss_dev *dev, uint64_t *message, const uint64_t *g, const uint64_t *p, const uint64_t *masks,
                           size_t count, size_t words)
{
    const size_t pairs = count / 2, glo = pairs * words, plo = 2 * glo;
    SS_REQUIRE(pairs > 0);
#pragma omp parallel for num_threads(dev->threads) if (pairs * words >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < pairs; k++)
        for (size_t w = 0; w < words; w++) {
            const size_t at = k * words + w, lo = 2 * k * words + w, hi = lo + words;
            message[at] = p[hi] ^ masks[at];
            message[glo + at] = g[lo] ^ masks[glo + at];
            if (k)
                message[plo + at - words] = p[lo] ^ masks[plo + at - words];
        }
    return SS_OK;
}

enum ss_err cpu_carry_close(struct ss_dev *dev, uint64_t *g_out, uint64_t *p_out, const uint64_t *g, const uint64_t *p,
                            const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                            size_t count, size_t words, int party)
{
    const size_t pairs = count / 2, glo = pairs * words, plo = 2 * glo;
    const uint64_t first = party == 0 ? UINT64_MAX : 0;
    SS_REQUIRE(pairs > 0);
#pragma omp parallel for num_threads(dev->threads) if (pairs * words >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < pairs; k++)
        for (size_t w = 0; w < words; w++) {
            const size_t at = k * words + w, hi = (2 * k + 1) * words + w;
            const uint64_t d = mine[at] ^ theirs[at], e = mine[glo + at] ^ theirs[glo + at];
            g_out[at] = g[hi] ^ (first & d & e) ^ (d & masks[glo + at]) ^ (e & masks[at]) ^ products[at];
            if (!k)
                continue;
            const size_t in = plo + at - words;
            const uint64_t f = mine[in] ^ theirs[in];
            p_out[at] = (first & d & f) ^ (d & masks[in]) ^ (f & masks[at]) ^ products[glo + at - words];
        }
    if (count % 2) {
        memcpy(g_out + pairs * words, g + (count - 1) * words, words * sizeof *g);
        memcpy(p_out + pairs * words, p + (count - 1) * words, words * sizeof *p);
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

enum ss_err cpu_bits_close(struct ss_dev *dev, uint64_t *s, uint64_t *sx, const uint64_t *e0, const uint64_t *e1,
                           const uint64_t *rho, const uint64_t *rho_a, const uint64_t *a, const uint64_t *c0,
                           const uint64_t *c1, size_t n, unsigned thresholds, int party)
{
    const size_t groups = groups_of(n);
    const uint64_t first = party == 0;
#pragma omp parallel for num_threads(dev->threads) collapse(2) if (n * thresholds >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < thresholds; k++)
        for (size_t i = 0; i < n; i++) {
            const size_t at = k * n + i, word = k * groups + i / LANES;
            const uint64_t e = (e0[word] ^ e1[word]) >> i % LANES & 1, sign = 1 - 2 * e, bit = first * e + sign * rho[at];
            if (s)
                s[at] = bit;
            if (sx)
                sx[at] = (c0[i] + c1[i]) * bit + e * a[i] + sign * rho_a[at];
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
