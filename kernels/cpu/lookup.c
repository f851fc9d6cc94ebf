/* lookup.c — the online steps of oblivious lookups, and the dealer's coefficients. Sums of selected entries: the schoolbook
   form here, the fast one in lookup_avx2.c. */
#include "kernels/cpu/cpu.h"

#include <string.h>

static uint64_t low(uint64_t x, unsigned bits)
{
    return bits >= 64 ? x : x & (((uint64_t)1 << bits) - 1);
}

enum ss_err cpu_lookup_deal(struct ss_dev *dev, uint64_t *coef1, const uint64_t *coef0, const uint64_t *sign,
                            const uint64_t *b0, const uint64_t *b1, const uint64_t *mask0, const uint64_t *mask1, size_t n,
                            const struct ss_lookup_shape *s)
{
    const bool two = s->columns == 2;
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN / 8)
    for (size_t i = 0; i < n; i++) {
        const uint64_t bl = low(b0[i] + b1[i], s->fine_bits), sigma = sign[i];
        const size_t q = (two ? 2 : 1) * n + i;
        const uint64_t m1 = mask0[i] + mask1[i], m2 = two ? mask0[n + i] + mask1[n + i] : 0;
        const uint64_t m3 = s->fused ? mask0[q] + mask1[q] : 0, value = sigma * (m1 + bl * m2);
        uint64_t c[6];
        size_t k = 0;
        c[k++] = sigma;
        if (s->fused)
            c[k++] = sigma * m3;
        c[k++] = value;
        if (two)
            c[k++] = sigma * bl;
        if (two && s->fused)
            c[k++] = sigma * bl * m3;
        if (s->fused)
            c[k++] = value * m3;
        for (size_t j = 0; j < k; j++)
            coef1[j * n + i] = c[j] - coef0[j * n + i];
    }
    return SS_OK;
}

enum ss_err cpu_lookup_index(struct ss_dev *dev, uint32_t *e, const uint64_t *x, size_t x_stride, const uint64_t *b,
                             size_t rows, size_t cols, unsigned m, const uint8_t *col_m, uint64_t lo,
                             const struct ss_lookup_shape *s, int party)
{
    const unsigned width = s->n_bits + s->fine_bits;
    SS_REQUIRE(width <= 32);
    const uint64_t first = party == 0;
#pragma omp parallel for num_threads(dev->threads) if (rows * cols >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const unsigned up = col_m ? col_m[j] : 0, mj = m + up;
            const uint64_t shifted = x[i * x_stride + j] + first * (lo << up);
            const uint64_t t = (low(shifted, mj + width) >> mj) + (first & (uint64_t)(mj > 0));
            e[i * cols + j] = (uint32_t)low(t - b[i * cols + j], width);
        }
    return SS_OK;
}

void cpu_rotate_bits(uint64_t *out, const uint64_t *bits, size_t words, uint64_t by)
{
    uint64_t twice[2 * CPU_MAX_TABLE_WORDS + 1];
    memcpy(twice, bits, words * sizeof *twice);
    memcpy(twice + words, bits, words * sizeof *twice);
    twice[2 * words] = bits[0];
    const uint64_t start = (64 * words - by) & (64 * words - 1);
    const uint64_t *from = twice + (start >> 6);
    const int s = (int)(start & 63);
    for (size_t k = 0; k < words; k++)
        out[k] = from[k] >> s | from[k + 1] << 1 << (63 - s);
}

void cpu_select_sums(uint64_t sums[2], const uint64_t *bits, const struct ss_lookup_table *t, const struct ss_lookup_shape *s)
{
    const size_t n = (size_t)1 << s->n_bits;
    for (unsigned c = 0; c < s->columns; c++) {
        uint64_t sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += t->entries[c * n + j] & -(bits[j >> 6] >> (j & 63) & 1);
        sums[c] = sum;
    }
}

enum ss_err cpu_lookup_sum(struct ss_dev *dev, uint64_t *w, uint64_t *v, const uint64_t *bits, const uint32_t *e0,
                           const uint32_t *e1, const uint64_t *mask, const struct ss_lookup_table *t, size_t n,
                           const struct ss_lookup_shape *s, int party)
{
    const size_t words = (size_t)1 << s->n_bits >> 6;
    const bool fast = dev->isa >= CPU_AVX2;
    SS_REQUIRE(words <= CPU_MAX_TABLE_WORDS);
#pragma omp parallel for num_threads(dev->threads) if (n >= 64)
    for (size_t i = 0; i < n; i++) {
        const uint64_t e = low((uint64_t)e0[i] + e1[i], s->n_bits + s->fine_bits), el = low(e, s->fine_bits);
        uint64_t rotated[CPU_MAX_TABLE_WORDS], sums[2] = {0};
        cpu_rotate_bits(rotated, bits + i * words, words, e >> s->fine_bits);
        if (fast)
            cpu_select_sums_avx2(sums, rotated, t, s);
        else
            cpu_select_sums(sums, rotated, t, s);
        if (party != 0) {
            sums[0] = -sums[0];
            sums[1] = -sums[1];
        }
        w[i] = sums[0] + el * sums[1] - mask[i];
        if (s->columns == 2)
            v[i] = sums[1] - mask[n + i];
    }
    return SS_OK;
}

enum ss_err cpu_lookup_close(struct ss_dev *dev, uint64_t *out, const uint64_t *o0, const uint64_t *o1, const uint64_t *coef,
                             size_t n, const struct ss_lookup_shape *s)
{
    const bool two = s->columns == 2;
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN / 8)
    for (size_t i = 0; i < n; i++) {
        const size_t qi = (two ? 2 : 1) * n + i;
        const uint64_t w = o0[i] + o1[i], v = two ? o0[n + i] + o1[n + i] : 0, q = s->fused ? o0[qi] + o1[qi] : 0;
        const uint64_t *c = coef + i;
        if (!s->fused)
            out[i] = w * c[0] + c[n] + (two ? v * c[2 * n] : 0);
        else if (two)
            out[i] = q * (w * c[0] + c[2 * n] + v * c[3 * n]) + w * c[n] + v * c[4 * n] + c[5 * n];
        else
            out[i] = q * (w * c[0] + c[2 * n]) + w * c[n] + c[3 * n];
    }
    return SS_OK;
}
