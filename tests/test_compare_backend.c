/* test_compare_backend.c — operations of comparisons: every backend and instruction set gives what plain loops, written from
   backend.h, give, and writes nothing behind the outputs. (What the values mean: test_compare.c.) */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"

enum { MAX_HELD = 32, MANY = 300001 /* from here on a GPU's blocks hold all thresholds, a CPU's threads share the work */ };

/* The same words on the device and on the host, where loops work out what should be there. The last word is nobody's. */
struct array {
    uint64_t *d, *h;
    size_t words;
};

struct bench {
    const struct ss_backend *b;
    struct ss_dev *dev;
    const char *isa;
    struct array held[MAX_HELD];
    size_t n;
    uint64_t seed;
};

#define RUN(t, op, ...) cr_assert_eq((t)->b->op((t)->dev, __VA_ARGS__), SS_OK, "%s on %s %s", #op, (t)->b->name, (t)->isa)

static uint64_t random64(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t groups_of(size_t n)
{
    return n / 64 + (n % 64 != 0);
}

static struct array put(struct bench *t, uint64_t *h, size_t words)
{
    cr_assert_lt(t->n, (size_t)MAX_HELD);
    void *d;
    cr_assert_eq(t->b->alloc(t->dev, &d, (words + 1) * 8), SS_OK);
    cr_assert_eq(t->b->upload(t->dev, d, h, (words + 1) * 8), SS_OK);
    t->held[t->n] = (struct array){.d = d, .h = h, .words = words};
    return t->held[t->n++];
}

static struct array random_words(struct bench *t, size_t words)
{
    uint64_t *h = malloc((words + 1) * 8);
    cr_assert(h);
    for (size_t i = 0; i <= words; i++)
        h[i] = random64(&t->seed);
    return put(t, h, words);
}

static void same(struct bench *t, struct array a, const char *what, size_t case_n)
{
    uint64_t *got = malloc((a.words + 1) * 8);
    cr_assert(got);
    cr_assert_eq(t->b->download(t->dev, got, a.d, (a.words + 1) * 8), SS_OK);
    size_t at = 0;
    while (at <= a.words && a.h[at] == got[at])
        at++;
    cr_assert_eq(at, a.words + 1, "%s (n = %zu) on %s %s differs first in word %zu of %zu", what, case_n, t->b->name, t->isa,
                 at, a.words);
    free(got);
}

static void drop_all(struct bench *t)
{
    while (t->n) {
        const struct array a = t->held[--t->n];
        t->b->free(t->dev, a.d, (a.words + 1) * 8, false);
        free(a.h);
    }
}

static void run_one(const struct ss_backend *b, const char *isa, void (*check)(struct bench *t))
{
    const struct ss_dev_options o = {.threads = 2};
    struct bench t = {.b = b, .isa = isa, .seed = 1};
    setenv("SHARDSCALE_CPU", *isa ? isa : "portable", 1);
    cr_assert_eq(b->open(&t.dev, &o), SS_OK, "%s %s", b->name, isa);
    check(&t);
    drop_all(&t);
    b->close(t.dev);
}

static void on_each(void (*check)(struct bench *t))
{
    const char *required = getenv("REQUIRE");
    for (size_t i = 0; ss_backends[i]; i++) {
        const struct ss_backend *b = ss_backends[i];
        const char *why = b->unusable();
        cr_assert(!why || !required || !strstr(required, b->name), "%s is required: %s", b->name, why);
        if (why)
            continue;
        if (strcmp(b->name, "cpu") != 0) {
            run_one(b, "", check);
            continue;
        }
        run_one(b, "portable", check);
        if (__builtin_cpu_supports("avx2"))
            run_one(b, "avx2", check);
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
            run_one(b, "avx512", check);
    }
}

static const size_t shapes[][2] = {{1, 1}, {9, 7}, {1, 64}, {65, 1}, {20, 50}, {17, 241}}; /* n = 1, 63, 64, 65, 1000, 4097 */
static const unsigned widths[] = {4, 33, 64}, counts[] = {1, 3, 25};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static uint64_t bit_of(const uint64_t *bits, size_t n, size_t row, size_t i)
{
    return bits[row * groups_of(n) + i / 64] >> i % 64 & 1;
}

static void set_bit(uint64_t *bits, size_t n, size_t row, size_t i, uint64_t bit)
{
    uint64_t *word = &bits[row * groups_of(n) + i / 64];
    *word = (*word & ~((uint64_t)1 << i % 64)) | bit << i % 64;
}

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

/* ---- levels of the carry: positions with g and p, and what is made of them. Where pair k's p_hi, g_lo, p_lo lie in masks and
   messages, and its second product in products. */

static size_t at_hi(size_t k)
{
    return k;
}
static size_t at_g_lo(size_t pairs, size_t k)
{
    return pairs + k;
}
static size_t at_p_lo(size_t pairs, size_t k)
{
    return 2 * pairs + k - 1;
}
static size_t at_product(size_t pairs, size_t k)
{
    return pairs + k - 1;
}
static size_t opened_of(size_t count)
{
    return count > 1 ? 3 * (count / 2) - 1 : 1;
}
static size_t kept_of(size_t count)
{
    return count / 2 + 2;
}

/* `words` words of a position. */
static void move(uint64_t *to, size_t k_to, const uint64_t *from, size_t k_from, size_t words)
{
    memcpy(to + k_to * words, from + k_from * words, words * sizeof *to);
}
static void hide(uint64_t *message, const uint64_t *masks, size_t at, const uint64_t *from, size_t k, size_t words)
{
    for (size_t w = 0; w < words; w++)
        message[at * words + w] = from[k * words + w] ^ masks[at * words + w];
}

static void put_level(uint64_t *kept, uint64_t *message, const uint64_t *masks, const uint64_t *g, const uint64_t *p,
                      size_t count, size_t words)
{
    const size_t pairs = count / 2;
    if (count == 1) {
        hide(message, masks, 0, g, 0, words);
        return;
    }
    for (size_t k = 0; k < pairs; k++) {
        move(kept, k, g, 2 * k + 1, words);
        hide(message, masks, at_hi(k), p, 2 * k + 1, words);
        hide(message, masks, at_g_lo(pairs, k), g, 2 * k, words);
        if (k)
            hide(message, masks, at_p_lo(pairs, k), p, 2 * k, words);
    }
    if (count % 2) {
        move(kept, pairs, g, count - 1, words);
        move(kept, pairs + 1, p, count - 1, words);
    }
}

struct leaf_arrays {
    struct array g, p, kept, message, masks, c0, c1, m; /* g and p on the host only */
};

static void leaves(const struct leaf_arrays *x, const uint64_t *h_t, unsigned thresholds, const uint8_t *shift, size_t n,
                   size_t cols, unsigned bits, int party)
{
    for (unsigned k = 0; k < thresholds; k++)
        for (size_t i = 0; i < 64 * groups_of(n); i++) {
            const uint64_t c = i < n ? x->c0.h[i] + x->c1.h[i] - (h_t[k] << (shift ? shift[i % cols] : 0)) : 0;
            for (size_t row = 0; row < bits; row++) {
                const uint64_t bit = c >> row & 1, m = bit_of(x->m.h, n, row, i), p = party == 0 ? bit ^ m : m;
                if (row == bits - 1) {
                    const size_t last = (row - 1) * thresholds + k;
                    set_bit(x->g.h, n, last, i, bit_of(x->g.h, n, last, i) ^ p);
                } else {
                    set_bit(x->g.h, n, row * thresholds + k, i, bit & m);
                    set_bit(x->p.h, n, row * thresholds + k, i, p);
                }
            }
        }
    put_level(x->kept.h, x->message.h, x->masks.h, x->g.h, x->p.h, bits - 1, thresholds * groups_of(n));
}

static void check_leaf_shape(struct bench *t, size_t rows, size_t cols, unsigned thresholds, unsigned bits)
{
    const size_t n = rows * cols, words = thresholds * groups_of(n);
    const struct leaf_arrays x = {random_words(t, (bits - 1) * words),
                                  random_words(t, (bits - 1) * words),
                                  random_words(t, kept_of(bits - 1) * words),
                                  random_words(t, opened_of(bits - 1) * words),
                                  random_words(t, opened_of(bits - 1) * words),
                                  random_words(t, n),
                                  random_words(t, n),
                                  random_words(t, bits * groups_of(n))};
    const struct array shift = random_words(t, cols / 8 + 1);
    uint64_t h_t[SS_MAX_THRESHOLDS];
    uint8_t *h_shift = (uint8_t *)shift.h;
    for (size_t j = 0; j < 8 * shift.words; j++)
        h_shift[j] %= 40;
    RUN(t, upload, shift.d, h_shift, 8 * shift.words);
    for (int party = 0; party < 2; party++)
        for (int shifted = 0; shifted < 2; shifted++) {
            for (unsigned k = 0; k < thresholds; k++)
                h_t[k] = random64(&t->seed);
            leaves(&x, h_t, thresholds, shifted ? h_shift : NULL, n, cols, bits, party);
            RUN(t, carry_leaves, x.kept.d, x.message.d, x.c0.d, x.c1.d, x.m.d, x.masks.d, h_t, thresholds,
                shifted ? (const uint8_t *)shift.d : NULL, rows, cols, bits, party);
            memset(h_t, 0xff, sizeof h_t);             /* the caller's again */
            same(t, x.kept, "carry_leaves's kept", n); /* what is not made, as it was */
            same(t, x.message, "carry_leaves's message", n);
        }
    drop_all(t);
}

static void check_leaves(struct bench *t)
{
    for (size_t s = 0; s < N_SHAPES; s++)
        for (size_t w = 0; w < 3; w++)
            for (size_t k = 0; k < 3; k++)
                check_leaf_shape(t, shapes[s][0], shapes[s][1], counts[k], widths[w]);
    check_leaf_shape(t, 12, 100, SS_MAX_THRESHOLDS, 2);
    check_leaf_shape(t, 12, 100, 3, 3);
    check_leaf_shape(t, 1, MANY, 3, 64);
}

Test(compare_backend, leaves_of_the_carry_equal_plain_loops, .timeout = 600)
{
    on_each(check_leaves);
}

/* ---- the tree ---- */

struct level { /* of one party; g, p and those of the next level on the host only */
    struct array g, p, kept, message, masks, products, g_out, p_out, kept_out, message_out;
};

static void deal(struct level *x, size_t pairs, size_t words)
{
    for (size_t k = 0; k < pairs; k++)
        for (size_t w = 0; w < words; w++) {
            uint64_t mask[3];
            const size_t at[3] = {at_hi(k), at_g_lo(pairs, k), k ? at_p_lo(pairs, k) : 0};
            for (int i = 0; i < 3; i++)
                mask[i] = x[0].masks.h[at[i] * words + w] ^ x[1].masks.h[at[i] * words + w];
            x[1].products.h[k * words + w] = (mask[0] & mask[1]) ^ x[0].products.h[k * words + w];
            const size_t second = at_product(pairs, k) * words + w;
            if (k)
                x[1].products.h[second] = (mask[0] & mask[2]) ^ x[0].products.h[second];
        }
}

static void join_level(const struct level *x, const uint64_t *theirs, size_t count, size_t words, int party)
{
    const size_t pairs = count / 2;
    const uint64_t *mine = x->message.h, *masks = x->masks.h;
    for (size_t k = 0; k < pairs; k++)
        for (size_t w = 0; w < words; w++) {
            const size_t hi = at_hi(k) * words + w, g_lo = at_g_lo(pairs, k) * words + w, p_lo = at_p_lo(pairs, k) * words + w;
            const uint64_t d = mine[hi] ^ theirs[hi], e = mine[g_lo] ^ theirs[g_lo];
            uint64_t product = (d & masks[g_lo]) ^ (e & masks[hi]) ^ x->products.h[k * words + w];
            x->g_out.h[k * words + w] = x->g.h[(2 * k + 1) * words + w] ^ product ^ (party == 0 ? d & e : 0);
            if (!k)
                continue;
            const uint64_t f = mine[p_lo] ^ theirs[p_lo];
            product = (d & masks[p_lo]) ^ (f & masks[hi]) ^ x->products.h[at_product(pairs, k) * words + w];
            x->p_out.h[k * words + w] = product ^ (party == 0 ? d & f : 0);
        }
    for (size_t w = 0; w < words && count % 2; w++) {
        x->g_out.h[pairs * words + w] = x->g.h[(count - 1) * words + w];
        x->p_out.h[pairs * words + w] = x->p.h[(count - 1) * words + w];
    }
    put_level(x->kept_out.h, x->message_out.h, x->masks.h + opened_of(count) * words, x->g_out.h, x->p_out.h, count - pairs,
              words);
}

/* The loops above agree with g' = g_hi xor p_hi g_lo and p' = p_hi p_lo. */
static void check_meaning(const struct level *x, size_t count, size_t words)
{
    for (size_t k = 0; k < count / 2; k++)
        for (size_t w = 0; w < words; w++) {
            const size_t lo = 2 * k * words + w, hi = lo + words, at = k * words + w;
            const uint64_t p_hi = x[0].p.h[hi] ^ x[1].p.h[hi], g_lo = x[0].g.h[lo] ^ x[1].g.h[lo];
            const uint64_t p_lo = x[0].p.h[lo] ^ x[1].p.h[lo], g_hi = x[0].g.h[hi] ^ x[1].g.h[hi];
            cr_assert_eq(x[0].g_out.h[at] ^ x[1].g_out.h[at], g_hi ^ (p_hi & g_lo));
            cr_assert(k == 0 || (x[0].p_out.h[at] ^ x[1].p_out.h[at]) == (p_hi & p_lo));
        }
}

static void check_level(struct bench *t, size_t count, size_t words)
{
    const size_t pairs = count / 2, next = (count + 1) / 2;
    struct level x[2];
    for (int p = 0; p < 2; p++) {
        x[p] = (struct level){random_words(t, count * words),
                              random_words(t, count * words),
                              random_words(t, kept_of(count) * words),
                              random_words(t, opened_of(count) * words),
                              random_words(t, (opened_of(count) + opened_of(next)) * words),
                              random_words(t, (2 * pairs - 1) * words),
                              random_words(t, next * words),
                              random_words(t, next * words),
                              random_words(t, kept_of(next) * words),
                              random_words(t, opened_of(next) * words)};
        put_level(x[p].kept.h, x[p].message.h, x[p].masks.h, x[p].g.h, x[p].p.h, count, words);
        RUN(t, upload, x[p].kept.d, x[p].kept.h, 8 * x[p].kept.words);
        RUN(t, upload, x[p].message.d, x[p].message.h, 8 * x[p].message.words);
    }
    deal(x, pairs, words);
    RUN(t, carry_deal, x[1].products.d, x[0].products.d, x[0].masks.d, x[1].masks.d, pairs, words);
    same(t, x[1].products, "carry_deal", count);
    for (int p = 0; p < 2; p++) {
        join_level(&x[p], x[!p].message.h, count, words, p);
        RUN(t, carry_join, x[p].kept_out.d, x[p].message_out.d, x[p].kept.d, x[p].message.d, x[!p].message.d, x[p].masks.d,
            x[p].products.d, count, words, p);
        same(t, x[p].kept_out, "carry_join's kept", count); /* what is not made, as it was */
        same(t, x[p].message_out, "carry_join's message", count);
    }
    check_meaning(x, count, words);
    drop_all(t);
}

static void check_levels(struct bench *t)
{
    static const size_t levels[] = {2, 3, 4, 5, 16, 32, 63};
    static const size_t words[] = {1, 3, 75, 16 * 25, 65 * 3};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++)
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            check_level(t, levels[l], words[w]);
    check_level(t, 3, 40001);
    check_level(t, 63, 3 * 1563);
}

Test(compare_backend, levels_of_the_carry_equal_plain_loops)
{
    on_each(check_levels);
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
