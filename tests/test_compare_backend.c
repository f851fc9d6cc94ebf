/* test_compare_backend.c — operations of comparisons: every backend and instruction set gives what plain loops, written from
   backend.h, give, and writes nothing behind the outputs. (What the values mean: test_compare.c.) */
#include <string.h>

#include "tests/arrays.h"

static const size_t shapes[][2] = {{1, 1}, {9, 7}, {1, 64}, {65, 1}, {20, 50}, {17, 241}}; /* n = 1, 63, 64, 65, 1000, 4097 */
static const unsigned widths[] = {4, 33, 64}, counts[] = {1, 3, 25};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* ---- slices ---- */

/* want (bits, G) = bits of a + b, xor with */
static void slice(uint64_t *want, const uint64_t *a, const uint64_t *b, const uint64_t *with, size_t n, unsigned bits)
{
    for (size_t row = 0; row < bits; row++)
        for (size_t i = 0; i < 64 * groups_of(n); i++) {
            const uint64_t bit = i < n ? (a[i] + (b ? b[i] : 0)) >> row & 1 : 0;
            set_bit(want, n, row, i, bit ^ (with ? bit_of(with, n, row, i) : 0));
        }
}

static void check_slice(struct bench *t, size_t n, unsigned bits)
{
    const struct array a = random_words(t, n), b = random_words(t, n), with = random_words(t, bits * groups_of(n));
    const struct array out = random_words(t, bits * groups_of(n));
    for (int two = 0; two < 2; two++)
        for (int masked = 0; masked < 2; masked++) {
            slice(out.h, a.h, two ? b.h : NULL, masked ? with.h : NULL, n, bits);
            RUN(t, bits_slice, out.d, a.d, two ? b.d : NULL, masked ? with.d : NULL, n, bits);
            same(t, out, "bits_slice", n);
        }
    slice(with.h, a.h, b.h, with.h, n, bits);
    RUN(t, bits_slice, with.d, a.d, b.d, with.d, n, bits);
    same(t, with, "bits_slice in place", n);
    drop_all(t);
}

static void check_slices(struct bench *t)
{
    for (size_t s = 0; s < N_SHAPES; s++)
        for (size_t w = 0; w < 3; w++)
            check_slice(t, shapes[s][0] * shapes[s][1], widths[w]);
    check_slice(t, MANY, 64);
}

Test(compare_backend, bits_are_sliced)
{
    on_each(check_slices);
}

/* ---- back to additive shares ---- */

static void check_bits(struct bench *t, size_t n, unsigned thresholds)
{
    const size_t all = thresholds * n;
    const struct array e0 = random_words(t, thresholds * groups_of(n)), e1 = random_words(t, thresholds * groups_of(n)),
                       a = random_words(t, n);
    const struct array a1 = random_words(t, n), c0 = random_words(t, n), c1 = random_words(t, n), rho = random_words(t, all);
    const struct array rho_a = random_words(t, all), s = random_words(t, all), sx = random_words(t, all);
    for (int which = 0; which < 6; which++) {
        const int party = which / 3;
        const bool want_s = which % 3 != 1, want_sx = which % 3 != 2;
        for (size_t at = 0; at < all; at++) {
            const size_t k = at / n, i = at % n;
            const uint64_t e = bit_of(e0.h, n, k, i) ^ bit_of(e1.h, n, k, i);
            const uint64_t bit = (party == 0 ? e : 0) + (1 - 2 * e) * rho.h[at];
            if (want_s)
                s.h[at] = bit;
            if (want_sx)
                sx.h[at] = (c0.h[i] + c1.h[i]) * bit + e * a.h[i] + (1 - 2 * e) * rho_a.h[at];
        }
        RUN(t, bits_close, want_s ? s.d : NULL, want_sx ? sx.d : NULL, e0.d, e1.d, rho.d, want_sx ? rho_a.d : NULL,
            want_sx ? a.d : NULL, want_sx ? c0.d : NULL, want_sx ? c1.d : NULL, n, thresholds, party);
        same(t, s, "bits_close's s", n);
        same(t, sx, "bits_close's sx", n);
    }
    for (int products = 1; products >= 0; products--) {
        for (size_t at = 0; at < all; at++) {
            const size_t k = at / n, i = at % n;
            const uint64_t bit = bit_of(e0.h, n, k, i) ^ bit_of(e1.h, n, k, i);
            s.h[at] = bit - rho.h[at];
            if (products)
                sx.h[at] = (bit ? a.h[i] + a1.h[i] : 0) - rho_a.h[at];
        }
        RUN(t, bits_deal, s.d, products ? sx.d : NULL, rho.d, products ? rho_a.d : NULL, e0.d, e1.d, products ? a.d : NULL,
            products ? a1.d : NULL, n, thresholds);
        same(t, s, "bits_deal's rho1", n);
        same(t, sx, "bits_deal's rho_a1", n);
    }
    drop_all(t);
}

static void check_all_bits(struct bench *t)
{
    for (size_t s = 0; s < N_SHAPES; s++)
        for (size_t k = 0; k < 3; k++)
            check_bits(t, shapes[s][0] * shapes[s][1], counts[k]);
    check_bits(t, MANY, 3);
}

Test(compare_backend, bits_become_additive_shares)
{
    on_each(check_all_bits);
}

static void check_combine(struct bench *t, size_t n, unsigned terms)
{
    const struct array in = random_words(t, terms * n), out = random_words(t, n);
    uint64_t h_coef[SS_MAX_THRESHOLDS];
    const uint64_t constant = random64(&t->seed);
    for (unsigned k = 0; k < terms; k++)
        h_coef[k] = random64(&t->seed);
    for (size_t i = 0; i < n; i++) {
        out.h[i] = constant;
        for (unsigned k = 0; k < terms; k++)
            out.h[i] += h_coef[k] * in.h[k * n + i];
    }
    RUN(t, ring_combine, out.d, in.d, h_coef, terms, constant, n);
    same(t, out, "ring_combine", n);
    memcpy(in.h, out.h, n * sizeof *in.h);
    RUN(t, ring_combine, in.d, in.d, h_coef, terms, constant, n);
    same(t, in, "ring_combine in place", n);
    drop_all(t);
}

static void check_combines(struct bench *t)
{
    static const unsigned terms[] = {1, 3, 9, SS_MAX_THRESHOLDS};
    for (size_t s = 0; s < N_SHAPES; s++)
        for (size_t k = 0; k < 4; k++)
            check_combine(t, shapes[s][0] * shapes[s][1], terms[k]);
    check_combine(t, MANY, 3);
}

Test(compare_backend, rows_are_combined)
{
    on_each(check_combines);
}
