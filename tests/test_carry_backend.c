/* test_carry_backend.c — leaves and levels of the carry: every backend and instruction set gives what plain loops, written from
   backend.h, give, and writes nothing behind the outputs; the loops' shares open to what a carry is. */
#include <string.h>

#include "tests/arrays.h"

static const size_t shapes[][2] = {{1, 1}, {9, 7}, {1, 64}, {65, 1}, {20, 50}, {17, 241}}; /* n = 1, 63, 64, 65, 1000, 4097 */
static const unsigned widths[] = {4, 33, 64}, counts[] = {1, 3, 25};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, MAX_FACTORS = 7, MAX_PRODUCTS = 22 };

/* The product of the words of `one` that v names. */
static uint64_t all_of(const uint64_t *one, unsigned v)
{
    uint64_t all = UINT64_MAX;
    for (unsigned i = 0; v >> i; i++)
        all &= v >> i & 1 ? one[i] : UINT64_MAX;
    return all;
}

static bool several(unsigned v)
{
    return v & (v - 1);
}

/* ---- levels: where the rows of nodes begin ---- */
struct node {
    unsigned n; /* positions */
    bool has_p;
    size_t row, product, rows, products;
};

static struct node node_of(size_t count, size_t k)
{
    struct node x = {0};
    for (size_t i = 0; i <= k; i++) {
        x.row += x.rows;
        x.product += x.products;
        x.n = count - 4 * i < 4 ? (unsigned)(count - 4 * i) : 4;
        x.has_p = i > 0;
        x.rows = x.n > 1 ? 2 * (x.n - 1) + x.has_p : 0;
        x.products = 0;
        for (unsigned v = 1; v < 1u << (x.n - 1); v++)
            x.products += several(v) + x.has_p; /* of p's; with p_0 */
        for (unsigned j = 0; j + 1 < x.n; j++)
            x.products += (1u << (x.n - 1 - j)) - 1; /* with g_j */
    }
    return x;
}

static size_t nodes_of(size_t count)
{
    return count / 4 + (count % 4 != 0);
}
static size_t opened_of(size_t count)
{
    const struct node last = node_of(count, nodes_of(count) - 1);
    return count > 1 ? last.row + last.rows : 1;
}
static size_t products_of(size_t count)
{
    const struct node last = node_of(count, nodes_of(count) - 1);
    return last.product + last.products;
}
static size_t kept_of(size_t count)
{
    return nodes_of(count) + 1;
}

static void move(uint64_t *to, size_t row, const uint64_t *from, size_t k, size_t words)
{
    memcpy(to + row * words, from + k * words, words * sizeof *to);
}
static void hide(uint64_t *message, const uint64_t *masks, size_t row, const uint64_t *from, size_t k, size_t words)
{
    for (size_t w = 0; w < words; w++)
        message[row * words + w] = from[k * words + w] ^ masks[row * words + w];
}

static void put_level(uint64_t *kept, uint64_t *message, const uint64_t *masks, const uint64_t *g, const uint64_t *p,
                      size_t count, size_t words)
{
    if (count == 1) {
        hide(message, masks, 0, g, 0, words);
        return;
    }
    for (size_t k = 0; k < nodes_of(count); k++) {
        const struct node x = node_of(count, k);
        size_t row = x.row;
        for (unsigned i = 1; i < x.n; i++)
            hide(message, masks, row++, p, 4 * k + i, words);
        for (unsigned i = 0; i + 1 < x.n; i++)
            hide(message, masks, row++, g, 4 * k + i, words);
        if (x.rows && x.has_p)
            hide(message, masks, row, p, 4 * k, words);
        move(kept, k, g, 4 * k + x.n - 1, words);
        if (x.n == 1)
            move(kept, k + 1, p, 4 * k, words);
    }
}

/* ---- leaves ---- */
struct leaf_arrays {
    struct array c, g, p, kept, message, masks, c0, c1, m, products; /* c: rows of bits of C; c, g and p on the host only */
};

static size_t block_products_of(unsigned bits)
{
    size_t products = 0;
    for (unsigned first = 0; first < bits; first += 4)
        for (unsigned v = 1; v < 1u << (bits - first < 4 ? bits - first : 4); v++)
            products += several(v);
    return products;
}

/* A party's share of the product of block b's bits of the mask in v, and of 1. */
static uint64_t mask_share(const struct leaf_arrays *x, size_t groups, size_t b, unsigned v, size_t group, int party)
{
    size_t before = 11 * b;
    if (v == 0)
        return party == 0 ? UINT64_MAX : 0;
    for (unsigned i = 0; i < 4; i++)
        if (v == 1u << i)
            return x->m.h[(4 * b + i) * groups + group];
    for (unsigned u = 1; u < v; u++)
        before += several(u);
    return x->products.h[before * groups + group];
}

/* Share of p_(bits - 1) .. p_first with p_i = C_i xor m_i, times m_(first - 1) if `with`. */
static uint64_t leaf_term(const struct leaf_arrays *x, size_t groups, size_t b, const uint64_t *c, unsigned first,
                          unsigned bits, bool with, size_t group, int party)
{
    uint64_t sum = 0;
    for (unsigned v = 0; v < 1u << (bits - first); v++) {
        const unsigned set = v << first | (with ? 1u << (first - 1) : 0);
        sum ^= all_of(c + first, ~v & ((1u << (bits - first)) - 1)) & mask_share(x, groups, b, set, group, party);
    }
    return sum;
}

static void leaves(const struct leaf_arrays *x, const uint64_t *h_t, unsigned thresholds, const uint8_t *shift, size_t n,
                   size_t cols, unsigned bits, int party)
{
    const size_t groups = groups_of(n), words = thresholds * groups;
    for (unsigned k = 0; k < thresholds; k++)
        for (size_t i = 0; i < 64 * groups; i++) {
            const uint64_t c = i < n ? x->c0.h[i] + x->c1.h[i] - (h_t[k] << (shift ? shift[i % cols] : 0)) : 0;
            for (size_t row = 0; row < bits; row++)
                set_bit(x->c.h, n, row * thresholds + k, i, c >> row & 1);
        }
    for (unsigned first = 0; first + 1 < bits; first += 4)
        for (size_t w = 0; w < words; w++) {
            const unsigned here = bits - 1 - first < 4 ? bits - 1 - first : 4;
            const size_t b = first / 4, group = w % groups;
            uint64_t c[4], *g = &x->g.h[b * words + w];
            for (unsigned j = 0; j < here; j++)
                c[j] = x->c.h[(first + j) * words + w];
            *g = 0;
            for (unsigned j = 0; j < here; j++)
                *g ^= c[j] & leaf_term(x, groups, b, c, j + 1, here, true, group, party);
            if (first + here + 1 == bits)
                *g ^= x->m.h[(bits - 1) * groups + group] ^ (party == 0 ? x->c.h[(bits - 1) * words + w] : 0);
            x->p.h[b * words + w] = leaf_term(x, groups, b, c, 0, here, false, group, party);
        }
    put_level(x->kept.h, x->message.h, x->masks.h, x->g.h, x->p.h, (bits + 2) / 4, words);
}

/* The loops above agree with the carries of C + m, block by block. */
static void check_carries(const struct leaf_arrays x[2], unsigned thresholds, size_t n, unsigned bits)
{
    for (unsigned k = 0; k < thresholds; k++)
        for (size_t i = 0; i < n; i += 1 + n / 200)
            for (unsigned first = 0; first + 1 < bits; first += 4) {
                const unsigned here = bits - 1 - first < 4 ? bits - 1 - first : 4;
                uint64_t c = 0, m = 0;
                for (unsigned j = 0; j < here; j++) {
                    c |= bit_of(x[0].c.h, n, (first + j) * thresholds + k, i) << j;
                    m |= (bit_of(x[0].m.h, n, first + j, i) ^ bit_of(x[1].m.h, n, first + j, i)) << j;
                }
                uint64_t want = (c + m) >> here;
                if (first + here + 1 == bits)
                    want ^= bit_of(x[0].c.h, n, (bits - 1) * thresholds + k, i) ^ bit_of(x[0].m.h, n, bits - 1, i) ^
                            bit_of(x[1].m.h, n, bits - 1, i);
                const size_t row = first / 4 * thresholds + k;
                cr_assert_eq(bit_of(x[0].g.h, n, row, i) ^ bit_of(x[1].g.h, n, row, i), want);
                cr_assert_eq(bit_of(x[0].p.h, n, row, i) ^ bit_of(x[1].p.h, n, row, i), c + m == (1u << here) - 1);
            }
}

static void deal_blocks(const struct leaf_arrays x[2], size_t groups, unsigned bits)
{
    size_t row = 0;
    for (unsigned first = 0; first < bits; first += 4)
        for (unsigned v = 1; v < 1u << (bits - first < 4 ? bits - first : 4); v++)
            for (size_t q = 0; several(v) && q < groups; q++) {
                uint64_t m[4];
                for (unsigned j = 0; j < 4 && first + j < bits; j++)
                    m[j] = x[0].m.h[(first + j) * groups + q] ^ x[1].m.h[(first + j) * groups + q];
                x[1].products.h[row * groups + q] = all_of(m, v) ^ x[0].products.h[row * groups + q];
                row += q + 1 == groups;
            }
}

static void check_leaf_shape(struct bench *t, size_t rows, size_t cols, unsigned thresholds, unsigned bits)
{
    const size_t n = rows * cols, groups = groups_of(n), words = thresholds * groups, count = (bits + 2) / 4;
    const struct array shift = random_words(t, cols / 8 + 1);
    struct leaf_arrays x[2];
    uint64_t h_t[SS_MAX_THRESHOLDS];
    uint8_t *h_shift = (uint8_t *)shift.h;
    for (size_t j = 0; j < 8 * shift.words; j++)
        h_shift[j] %= 40;
    RUN(t, upload, shift.d, h_shift, 8 * shift.words);
    for (int p = 0; p < 2; p++) {
        x[p] = (struct leaf_arrays){random_words(t, bits * words),
                                    random_words(t, count * words),
                                    random_words(t, count * words),
                                    random_words(t, kept_of(count) * words),
                                    random_words(t, opened_of(count) * words),
                                    random_words(t, opened_of(count) * words),
                                    p ? x[0].c0 : random_words(t, n),
                                    p ? x[0].c1 : random_words(t, n),
                                    random_words(t, bits * groups),
                                    random_words(t, block_products_of(bits - 1) * groups)};
    }
    deal_blocks(x, groups, bits - 1);
    RUN(t, block_deal, x[1].products.d, x[0].products.d, x[0].m.d, x[1].m.d, bits - 1, groups);
    same(t, x[1].products, "block_deal", n);
    for (int shifted = 0; shifted < 2; shifted++) {
        uint64_t again[SS_MAX_THRESHOLDS];
        for (unsigned k = 0; k < thresholds; k++)
            h_t[k] = random64(&t->seed);
        for (int p = 0; p < 2; p++) {
            leaves(&x[p], h_t, thresholds, shifted ? h_shift : NULL, n, cols, bits, p);
            memcpy(again, h_t, sizeof again);
            RUN(t, carry_leaves, x[p].kept.d, x[p].message.d, x[p].c0.d, x[p].c1.d, x[p].m.d, x[p].products.d, x[p].masks.d,
                again, thresholds, shifted ? (const uint8_t *)shift.d : NULL, rows, cols, bits, p);
            memset(again, 0xff, sizeof again);            /* the caller's again */
            same(t, x[p].kept, "carry_leaves's kept", n); /* what is not made, as it was */
            same(t, x[p].message, "carry_leaves's message", n);
        }
        check_carries(x, thresholds, n, bits);
    }
    drop_all(t);
}

static void check_leaves(struct bench *t)
{
    for (size_t s = 0; s < N_SHAPES; s++)
        for (size_t w = 0; w < 3; w++)
            for (size_t k = 0; k < 3; k++)
                check_leaf_shape(t, shapes[s][0], shapes[s][1], counts[k], widths[w]);
    for (unsigned bits = 2; bits <= 9; bits++)
        check_leaf_shape(t, 12, 100, bits == 2 ? SS_MAX_THRESHOLDS : 3, bits);
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

/* Products of a node's masks in their order. */
static void products_of_node(uint64_t *out, const uint64_t *mask, unsigned n, bool has_p)
{
    for (unsigned v = 1; v < 1u << (n - 1); v++)
        if (several(v))
            *out++ = all_of(mask, v);
    for (unsigned j = 0; j + 1 < n; j++)
        for (unsigned v = 1; v < 1u << (n - 1 - j); v++)
            *out++ = all_of(mask + j, v) & mask[n - 1 + j];
    for (unsigned v = 1; has_p && v < 1u << (n - 1); v++)
        *out++ = all_of(mask, v) & mask[2 * (n - 1)];
}

static void deal(struct level *x, size_t count, size_t words)
{
    for (size_t k = 0; k < nodes_of(count); k++)
        for (size_t w = 0; w < words; w++) {
            const struct node node = node_of(count, k);
            uint64_t mask[MAX_FACTORS], product[MAX_PRODUCTS];
            for (size_t i = 0; i < node.rows; i++)
                mask[i] = x[0].masks.h[(node.row + i) * words + w] ^ x[1].masks.h[(node.row + i) * words + w];
            if (node.n > 1)
                products_of_node(product, mask, node.n, node.has_p);
            for (size_t i = 0; i < node.products; i++) {
                const size_t at = (node.product + i) * words + w;
                x[1].products.h[at] = product[i] ^ x[0].products.h[at];
            }
        }
}

/* Share of the product of the masks that v names among p_(j + 1) .. p_(n - 1), and of y's at `own` if `with`. */
static uint64_t share_of(const uint64_t *mask, const uint64_t *product, unsigned n, unsigned j, unsigned v, unsigned own,
                         bool with, int party)
{
    size_t before = 0;
    if (!v)
        return with ? mask[own] : party == 0 ? UINT64_MAX : 0;
    if (!with && !several(v)) {
        while (v >>= 1)
            j++;
        return mask[j];
    }
    if (!with) {
        for (unsigned u = 1; u < v << j; u++)
            before += several(u);
        return product[before];
    }
    for (unsigned u = 1; u < 1u << (n - 1); u++)
        before += several(u);
    for (unsigned i = n - 1; i < own; i++)
        before += (1u << (2 * (n - 1) - i)) - 1;
    return product[before + v - 1];
}

/* Share of p_(n - 1) .. p_(j + 1) y, every factor open as e: y the one at `own`. */
static uint64_t node_term(const uint64_t *e, const uint64_t *mask, const uint64_t *product, unsigned n, unsigned j,
                          unsigned own, int party)
{
    uint64_t sum = 0;
    for (unsigned v = 0; v < 1u << (n - 1 - j); v++) {
        const uint64_t others = all_of(e + j, ~v & ((1u << (n - 1 - j)) - 1));
        sum ^= others & (share_of(mask, product, n, j, v, own, true, party) ^
                         (e[own] & share_of(mask, product, n, j, v, own, false, party)));
    }
    return sum;
}

static void join_level(const struct level *x, const uint64_t *theirs, size_t count, size_t words, int party)
{
    for (size_t k = 0; k < nodes_of(count); k++)
        for (size_t w = 0; w < words; w++) {
            const struct node node = node_of(count, k);
            const unsigned n = node.n;
            uint64_t e[MAX_FACTORS], mask[MAX_FACTORS], product[MAX_PRODUCTS];
            for (size_t i = 0; i < node.rows; i++) {
                e[i] = x->message.h[(node.row + i) * words + w] ^ theirs[(node.row + i) * words + w];
                mask[i] = x->masks.h[(node.row + i) * words + w];
            }
            for (size_t i = 0; i < node.products; i++)
                product[i] = x->products.h[(node.product + i) * words + w];
            uint64_t *g = &x->g_out.h[k * words + w], *p = &x->p_out.h[k * words + w];
            *g = x->g.h[(4 * k + n - 1) * words + w];
            if (n == 1)
                *p = x->p.h[4 * k * words + w];
            for (unsigned j = 0; j + 1 < n; j++)
                *g ^= node_term(e, mask, product, n, j, n - 1 + j, party);
            if (n > 1 && node.has_p)
                *p = node_term(e, mask, product, n, 0, 2 * (n - 1), party);
        }
    put_level(x->kept_out.h, x->message_out.h, x->masks.h + opened_of(count) * words, x->g_out.h, x->p_out.h, nodes_of(count),
              words);
}

/* The loops above agree with g' = g_3 xor p_3 (g_2 xor p_2 (g_1 xor p_1 g_0)) and p' = p_3 p_2 p_1 p_0. */
static void check_meaning(const struct level *x, size_t count, size_t words)
{
    for (size_t k = 0; k < nodes_of(count); k++)
        for (size_t w = 0; w < words; w++) {
            uint64_t g = 0, p = UINT64_MAX;
            for (size_t i = 4 * k; i < count && i < 4 * k + 4; i++) {
                const uint64_t p_i = x[0].p.h[i * words + w] ^ x[1].p.h[i * words + w];
                g = x[0].g.h[i * words + w] ^ x[1].g.h[i * words + w] ^ (p_i & g);
                p &= p_i;
            }
            cr_assert_eq(x[0].g_out.h[k * words + w] ^ x[1].g_out.h[k * words + w], g);
            cr_assert(k == 0 || (x[0].p_out.h[k * words + w] ^ x[1].p_out.h[k * words + w]) == p);
        }
}

static void check_level(struct bench *t, size_t count, size_t words)
{
    const size_t next = nodes_of(count);
    struct level x[2];
    for (int p = 0; p < 2; p++) {
        x[p] = (struct level){random_words(t, count * words),
                              random_words(t, count * words),
                              random_words(t, kept_of(count) * words),
                              random_words(t, opened_of(count) * words),
                              random_words(t, (opened_of(count) + opened_of(next)) * words),
                              random_words(t, products_of(count) * words),
                              random_words(t, next * words),
                              random_words(t, next * words),
                              random_words(t, kept_of(next) * words),
                              random_words(t, opened_of(next) * words)};
        put_level(x[p].kept.h, x[p].message.h, x[p].masks.h, x[p].g.h, x[p].p.h, count, words);
        RUN(t, upload, x[p].kept.d, x[p].kept.h, 8 * x[p].kept.words);
        RUN(t, upload, x[p].message.d, x[p].message.h, 8 * x[p].message.words);
    }
    deal(x, count, words);
    RUN(t, carry_deal, x[1].products.d, x[0].products.d, x[0].masks.d, x[1].masks.d, count, words);
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
    static const size_t words[] = {1, 3, 75, 16 * 25, 65 * 3};
    for (size_t count = 2; count <= 17; count++) /* every shape of a last node, before and behind whole ones */
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            check_level(t, count, words[w]);
    check_level(t, 3, 40001);
    check_level(t, 16, 3 * 1563);
}

Test(compare_backend, levels_of_the_carry_equal_plain_loops)
{
    on_each(check_levels);
}
