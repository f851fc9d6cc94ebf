/* compare.c — comparisons: bits of values sliced over words, the carry tree over them, and the way back to additive shares. */
#include <string.h>

#include "kernels/carry.h"
#include "kernels/cpu/cpu.h"

enum { LANES = 64 }; /* values a word of sliced bits */
_Static_assert((int)CPU_TILE_GROUPS == (int)SS_SLICED_WORDS, "a row of a tile is worked on at once");

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

/* n words from p on, zeros behind them. */
__attribute__((always_inline)) static inline void load(ss_sliced *x, const uint64_t *p, size_t n)
{
    if (n < SS_SLICED_WORDS)
        *x = (ss_sliced){0};
    memcpy(x, p, (n < SS_SLICED_WORDS ? n : SS_SLICED_WORDS) * sizeof *p);
}

__attribute__((always_inline)) static inline void store(uint64_t *p, const ss_sliced *x, size_t n)
{
    memcpy(p, x, (n < SS_SLICED_WORDS ? n : SS_SLICED_WORDS) * sizeof *p);
}

/* A level of the carry to be filled. */
struct level {
    uint64_t *kept, *message;
    const uint64_t *masks;
    size_t count, words;
};

__attribute__((always_inline)) static inline void put_one(const struct level *l, enum ss_carry_where where, size_t row,
                                                          size_t w, size_t n, const ss_sliced *x)
{
    const size_t at = row * l->words + w;
    ss_sliced masked;
    if (where == SS_CARRY_KEPT) {
        store(l->kept + at, x, n);
    } else if (where == SS_CARRY_MESSAGE) {
        load(&masked, l->masks + at, n);
        masked ^= *x;
        store(l->message + at, &masked, n);
    }
}

/* Words w .. w + n - 1 of position k, to where the level needs them. */
__attribute__((always_inline)) static inline void put(const struct level *l, size_t k, size_t w, size_t n, const ss_sliced *g,
                                                      const ss_sliced *p)
{
    const struct ss_carry_place to = ss_carry_place(l->count, k);
    put_one(l, to.g, to.g_at, w, n, g);
    put_one(l, to.p, to.p_at, w, n, p);
}

/* All bits on party 0, none on party 1. */
static void set_one(ss_sliced *one, int party)
{
    memset(one, party == 0 ? 0xff : 0, sizeof *one);
}

struct leaves {
    struct level to;
    const uint64_t *m, *products;
    size_t groups;
    unsigned bits;
    ss_sliced one;
};

/* A block of `bits` bits from bit `first` on; at: where its words begin in the level's rows. */
__attribute__((always_inline)) static inline void leaf(const struct leaves *a, const struct tile *t, size_t k, size_t at,
                                                       unsigned bits, size_t n)
{
    const size_t first = k * SS_BLOCK_BITS;
    const uint64_t *m = a->m + first * a->groups + t->group0;
    const uint64_t *product = a->products + k * SS_BLOCK_PRODUCTS * a->groups + t->group0;
    ss_sliced mask[SS_BLOCK_SUBSETS], c[SS_BLOCK_BITS], g, p;
    mask[0] = a->one;
    for (unsigned v = 1; v < 1u << bits; v++) {
        const bool single = !(v & (v - 1));
        load(&mask[v], single ? m : product, n);
        *(single ? &m : &product) += a->groups;
    }
    for (unsigned j = 0; j < bits; j++)
        memcpy(&c[j], t->rows[first + j], sizeof *c);
    ss_block_join(&g, &p, mask, c, bits);
    if (first + bits + 1 == a->bits) { /* the top bit */
        ss_sliced top, share;
        memcpy(&top, t->rows[a->bits - 1], sizeof top);
        load(&share, m, n);
        g ^= (top & a->one) ^ share;
    }
    put(&a->to, k, at, n, &g, &p);
}

__attribute__((target_clones("avx2", "default"))) static void tile_leaves(const struct leaves *a, const struct tile *t,
                                                                          size_t at)
{
    const size_t whole = (a->bits - 1) / SS_BLOCK_BITS;
    const unsigned rest = (a->bits - 1) % SS_BLOCK_BITS;
    for (size_t k = 0; k < whole; k++)
        if (t->groups == SS_SLICED_WORDS) /* copies of known length */
            leaf(a, t, k, at, SS_BLOCK_BITS, SS_SLICED_WORDS);
        else
            leaf(a, t, k, at, SS_BLOCK_BITS, t->groups);
    if (rest)
        leaf(a, t, whole, at, rest, t->groups);
}

enum ss_err cpu_carry_leaves(struct ss_dev *dev, uint64_t *kept, uint64_t *message, const uint64_t *c0, const uint64_t *c1,
                             const uint64_t *m, const uint64_t *products, const uint64_t *masks, const uint64_t *h_t,
                             unsigned thresholds, const uint8_t *shift, size_t rows, size_t cols, unsigned bits, int party)
{
    const size_t n = rows * cols, groups = groups_of(n), count = ss_carry_leaves(bits);
    struct leaves a = {{kept, message, masks, count, thresholds * groups}, m, products, groups, bits, {0}};
    SS_REQUIRE(bits >= 2 && bits <= LANES);
    set_one(&a.one, party);
#pragma omp parallel for num_threads(dev->threads) if (n * thresholds >= CPU_PARALLEL_MIN)
    for (size_t index = 0; index < tiles_of(n); index++) {
        struct tile t;
        uint64_t c[CPU_TILE_GROUPS * LANES];
        uint8_t up[CPU_TILE_GROUPS * LANES];
        place(&t, index, n);
        opened_values(&t, c, up, c0, c1, shift, cols);
        for (size_t k = 0; k < thresholds; k++) {
            subtract(t.values, c, up, h_t[k], t.n);
            slice(dev, &t);
            tile_leaves(&a, &t, k * groups + t.group0);
        }
    }
    return SS_OK;
}

/* ---- the tree */
struct join {
    struct level to;
    const uint64_t *kept, *mine, *theirs, *masks, *products;
    size_t count;
    ss_sliced one;
};

/* n words of `rows` rows, from word w on. */
__attribute__((always_inline)) static inline void load_rows(ss_sliced *x, const uint64_t *from, size_t first, unsigned rows,
                                                            size_t words, size_t w, size_t n)
{
    for (unsigned i = 0; i < rows; i++)
        load(&x[i], from + (first + i) * words + w, n);
}

/* Words w .. w + n - 1 of a node of `positions` positions. */
__attribute__((always_inline)) static inline void join_words(const struct join *a, const struct ss_carry_node *node, size_t k,
                                                             size_t w, size_t n, unsigned positions)
{
    const size_t words = a->to.words;
    ss_sliced e[SS_CARRY_OPENED], mask[SS_CARRY_OPENED], product[SS_CARRY_PRODUCTS], g, p = {0};
    load(&g, a->kept + k * words + w, n);
    load_rows(e, a->mine, node->opened_at, node->rows, words, w, n);
    load_rows(mask, a->theirs, node->opened_at, node->rows, words, w, n);
    for (unsigned i = 0; i < node->rows; i++)
        e[i] ^= mask[i];
    load_rows(mask, a->masks, node->opened_at, node->rows, words, w, n);
    load_rows(product, a->products, node->product_at, node->product_rows, words, w, n);
    ss_carry_node_join(&g, &p, e, mask, product, &a->one, positions, node->has_p);
    put(&a->to, k, w, n, &g, &p);
}

__attribute__((target_clones("avx2", "default"))) static void join_tile(const struct join *a, size_t k, size_t w)
{
    const size_t n = a->to.words - w;
    const struct ss_carry_node node = ss_carry_node(a->count, k);
    ss_sliced g, p;
    switch (node.positions) {
    case 4:
        if (n >= SS_SLICED_WORDS) /* copies of known length */
            join_words(a, &node, k, w, SS_SLICED_WORDS, 4);
        else
            join_words(a, &node, k, w, n, 4);
        return;
    case 3:
        join_words(a, &node, k, w, n, 3);
        return;
    case 2:
        join_words(a, &node, k, w, n, 2);
        return;
    default: /* moves along */
        load(&g, a->kept + k * a->to.words + w, n);
        load(&p, a->kept + (k + 1) * a->to.words + w, n);
        put(&a->to, k, w, n, &g, &p);
    }
}

enum ss_err cpu_carry_join(struct ss_dev *dev, uint64_t *kept_out, uint64_t *message_out, const uint64_t *kept,
                           const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                           size_t count, size_t words, int party)
{
    const size_t nodes = ss_carry_nodes(count);
    const struct level to = {kept_out, message_out, masks + ss_carry_opened(count) * words, nodes, words};
    struct join a = {to, kept, mine, theirs, masks, products, count, {0}};
    SS_REQUIRE(count > 1);
    set_one(&a.one, party);
#pragma omp parallel for num_threads(dev->threads) collapse(2) if (count * words >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < nodes; k++)
        for (size_t w = 0; w < words; w += SS_SLICED_WORDS)
            join_tile(&a, k, w);
    return SS_OK;
}

/* ---- the dealer's side of both */
struct deal {
    uint64_t *products1;
    const uint64_t *products0, *masks0, *masks1;
    size_t words;
};

/* The masks of `rows` rows. */
__attribute__((always_inline)) static inline void both_masks(ss_sliced *mask, const struct deal *d, size_t first, unsigned rows,
                                                             size_t w, size_t n)
{
    for (unsigned i = 0; i < rows; i++) {
        const size_t at = (first + i) * d->words + w;
        ss_sliced other;
        load(&mask[i], d->masks0 + at, n);
        load(&other, d->masks1 + at, n);
        mask[i] ^= other;
    }
}

__attribute__((always_inline)) static inline void put_product(const struct deal *d, size_t row, size_t w, size_t n,
                                                              const ss_sliced *product)
{
    ss_sliced share;
    load(&share, d->products0 + row * d->words + w, n);
    share ^= *product;
    store(d->products1 + row * d->words + w, &share, n);
}

/* Words w .. w + n - 1 of a node of `positions` positions. */
__attribute__((always_inline)) static inline void deal_node(const struct deal *d, const struct ss_carry_node *node, size_t w,
                                                            size_t n, unsigned positions)
{
    ss_sliced mask[SS_CARRY_OPENED], product[SS_CARRY_PRODUCTS];
    both_masks(mask, d, node->opened_at, node->rows, w, n);
    ss_carry_node_products(product, mask, positions, node->has_p);
    for (unsigned i = 0; i < node->product_rows; i++)
        put_product(d, node->product_at + i, w, n, &product[i]);
}

__attribute__((target_clones("avx2", "default"))) static void deal_tile(const struct deal *d, size_t count, size_t k, size_t w)
{
    const struct ss_carry_node node = ss_carry_node(count, k);
    const size_t n = d->words - w;
    if (node.positions == SS_CARRY_RADIX && n >= SS_SLICED_WORDS) /* copies and loops of known length */
        deal_node(d, &node, w, SS_SLICED_WORDS, SS_CARRY_RADIX);
    else
        deal_node(d, &node, w, n, node.positions);
}

enum ss_err cpu_carry_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *masks0,
                           const uint64_t *masks1, size_t count, size_t words)
{
    const struct deal d = {products1, products0, masks0, masks1, words};
    SS_REQUIRE(count > 1);
#pragma omp parallel for num_threads(dev->threads) collapse(2) if (count * words >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < ss_carry_nodes(count); k++)
        for (size_t w = 0; w < words; w += SS_SLICED_WORDS)
            deal_tile(&d, count, k, w);
    return SS_OK;
}

__attribute__((always_inline)) static inline void deal_block(const struct deal *d, size_t k, size_t w, size_t n, unsigned bits)
{
    ss_sliced one[SS_BLOCK_BITS], all[SS_BLOCK_SUBSETS];
    size_t row = k * SS_BLOCK_PRODUCTS;
    both_masks(one, d, k * SS_BLOCK_BITS, bits, w, n);
    ss_subset_products(all, one, bits);
    for (unsigned v = 1; v < 1u << bits; v++)
        if (v & (v - 1))
            put_product(d, row++, w, n, &all[v]);
}

__attribute__((target_clones("avx2", "default"))) static void block_tile(const struct deal *d, size_t bits, size_t k, size_t w)
{
    const size_t n = d->words - w, left = bits - k * SS_BLOCK_BITS;
    if (left >= SS_BLOCK_BITS && n >= SS_SLICED_WORDS) /* copies and loops of known length */
        deal_block(d, k, w, SS_SLICED_WORDS, SS_BLOCK_BITS);
    else
        deal_block(d, k, w, n, left < SS_BLOCK_BITS ? (unsigned)left : (unsigned)SS_BLOCK_BITS);
}

enum ss_err cpu_block_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *m0,
                           const uint64_t *m1, size_t bits, size_t words)
{
    const struct deal d = {products1, products0, m0, m1, words};
    SS_REQUIRE(bits > 0 && bits < LANES);
#pragma omp parallel for num_threads(dev->threads) collapse(2) if (bits * words >= CPU_PARALLEL_MIN)
    for (size_t k = 0; k < (bits + SS_BLOCK_BITS - 1) / SS_BLOCK_BITS; k++)
        for (size_t w = 0; w < words; w += SS_SLICED_WORDS)
            block_tile(&d, bits, k, w);
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
