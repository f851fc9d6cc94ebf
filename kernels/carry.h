/* carry.h — the carry tree of comparisons (backend.h: carry_leaves, carry_join, carry_deal, block_deal): its shape, and what is
   done to a word of it, for both backends.

   A product of shared bits under dealt products of their masks (multi-input AND of ABY2.0, Patra, Schneider, Suresh, Yalame,
   USENIX Security 2021; every input is opened once): with e = x xor mask open, x = e xor mask, and a product of such
   factors is a public combination of the products of every subset of their masks. A subset is a number whose bits name its
   members. One factor after the other is multiplied in ("fold"): words that held y mask(v), for the subsets v of the factors
   still to come, become those of x y mask(v). */
#ifndef SS_KERNELS_CARRY_H
#define SS_KERNELS_CARRY_H

#include <stdbool.h>

#include "kernels/exact.h"

enum {
    SS_CARRY_RADIX = 4,     /* positions that a node joins */
    SS_CARRY_OPENED = 7,    /* rows that a whole node opens: p_1 .. p_3, g_0 .. g_2, p_0; node 0 has no use for p_0 */
    SS_CARRY_PRODUCTS = 22, /* and its rows of dealt products: 4 of the p_i's masks; 7, 3, 1 with g_0, g_1, g_2; 7 with p_0 */
    SS_CARRY_PRODUCTS_0 = SS_CARRY_PRODUCTS - 7,
    SS_CARRY_SUBSETS = 1 << (SS_CARRY_RADIX - 1), /* of p_1 .. p_3 */
    SS_BLOCK_BITS = 4,                            /* of the mask, in a leaf */
    SS_BLOCK_SUBSETS = 1 << SS_BLOCK_BITS,
    SS_BLOCK_PRODUCTS = SS_BLOCK_SUBSETS - 1 - SS_BLOCK_BITS, /* rows of a whole block */
    SS_SLICED_WORDS = 8
};

/* Sliced bits that are worked on at once: a word on a device, a cache line on the host, where wide registers take them. */
#ifdef __CUDACC__
typedef uint64_t ss_sliced;
#else
typedef uint64_t ss_sliced __attribute__((vector_size(8 * SS_SLICED_WORDS)));
#endif
#ifdef __CUDA_ARCH__
#define SS_UNROLL _Pragma("unroll")
#elif defined __CUDACC__
#define SS_UNROLL
#else
#define SS_UNROLL _Pragma("GCC unroll 16")
#endif

/* ---- shape */
SS_HD size_t ss_carry_nodes(size_t count)
{
    return (count + SS_CARRY_RADIX - 1) / SS_CARRY_RADIX;
}

/* Node k of a level of `count` positions; only the last may have fewer than four. One position moves along unopened. */
struct ss_carry_node {
    unsigned positions, has_p;    /* has_p: 1 if its p_0 is opened and its p made */
    unsigned rows, product_rows;  /* opened (and of masks); of dealt products */
    size_t opened_at, product_at; /* its first rows in the level's */
};
SS_HD struct ss_carry_node ss_carry_node(size_t count, size_t k)
{
    struct ss_carry_node n;
    const size_t left = count - SS_CARRY_RADIX * k;
    n.positions = left < SS_CARRY_RADIX ? (unsigned)left : (unsigned)SS_CARRY_RADIX;
    n.has_p = k > 0;
    const unsigned subsets = 1u << (n.positions - 1);
    n.rows = n.positions > 1 ? 2 * (n.positions - 1) + n.has_p : 0;
    n.product_rows = 3 * subsets - 1 - 2 * n.positions + n.has_p * (subsets - 1);
    n.opened_at = k > 0 ? k * SS_CARRY_OPENED - 1 : 0;
    n.product_at = k > 0 ? (k - 1) * SS_CARRY_PRODUCTS + SS_CARRY_PRODUCTS_0 : 0;
    return n;
}

/* Rows of a level's message and masks, of its products; a level of one position is the root, whose g alone is opened. */
SS_HD size_t ss_carry_opened(size_t count)
{
    const struct ss_carry_node last = ss_carry_node(count, ss_carry_nodes(count) - 1);
    return count == 1 ? 1 : last.opened_at + last.rows;
}
SS_HD size_t ss_carry_products(size_t count)
{
    const struct ss_carry_node last = ss_carry_node(count, ss_carry_nodes(count) - 1);
    return last.product_at + last.product_rows;
}
SS_HD size_t ss_carry_kept(size_t count)
{
    return ss_carry_nodes(count) + 1;
}
/* Positions of the first level, blocks of the bits below the top one. */
SS_HD size_t ss_carry_leaves(unsigned bits)
{
    return (bits - 1 + SS_BLOCK_BITS - 1) / SS_BLOCK_BITS;
}
/* Rows of products of the mask bits of `bits` positions, block behind block. */
SS_HD size_t ss_block_products(size_t bits)
{
    const size_t rest = bits % SS_BLOCK_BITS;
    return bits / SS_BLOCK_BITS * SS_BLOCK_PRODUCTS + ((size_t)1 << rest) - 1 - rest;
}

/* Rows where position k's g and p go: of the message, or of kept; p is not always wanted. */
enum ss_carry_where { SS_CARRY_NOWHERE, SS_CARRY_MESSAGE, SS_CARRY_KEPT };
struct ss_carry_place {
    enum ss_carry_where g, p;
    size_t g_at, p_at;
};
SS_HD struct ss_carry_place ss_carry_place(size_t count, size_t k)
{
    struct ss_carry_place to = {SS_CARRY_MESSAGE, SS_CARRY_NOWHERE, 0, 0};
    const size_t of = k / SS_CARRY_RADIX, i = k % SS_CARRY_RADIX;
    const struct ss_carry_node n = ss_carry_node(count, of);
    if (count == 1)
        return to;
    to.g = i + 1 == n.positions ? SS_CARRY_KEPT : SS_CARRY_MESSAGE;
    to.g_at = i + 1 == n.positions ? of : n.opened_at + n.positions - 1 + i;
    to.p = i > 0 ? SS_CARRY_MESSAGE : n.positions == 1 ? SS_CARRY_KEPT : n.has_p ? SS_CARRY_MESSAGE : SS_CARRY_NOWHERE;
    to.p_at = i > 0 ? n.opened_at + i - 1 : n.positions == 1 ? ss_carry_nodes(count) : n.opened_at + 2 * (n.positions - 1);
    return to;
}

/* ---- what is done to a word. Loops have known lengths, so that a device keeps what they run over in registers. */

/* A block of the leaves: g and p of C + m over `bits` bits, C public, m shared. mask[v]: a share of the product of m's bits in
   v, mask[0] of 1; overwritten. */
SS_HD void ss_block_join(ss_sliced *g, ss_sliced *p, ss_sliced *mask, const ss_sliced *c, unsigned bits)
{
    *g = mask[0] ^ mask[0];
    SS_UNROLL
    for (unsigned i = 0; i < SS_BLOCK_BITS; i++) { /* from the top: mask[v] times p_(j + 1) .., then p_j, too */
        const unsigned j = SS_BLOCK_BITS - 1 - i;
        if (j >= bits)
            continue;
        *g ^= c[j] & mask[1u << j];
        SS_UNROLL
        for (unsigned v = 0; v < SS_BLOCK_SUBSETS / 2; v++)
            if (v < 1u << j)
                mask[v] = mask[v | 1u << j] ^ (c[j] & mask[v]);
    }
    *p = mask[0];
}

/* all[v] = product of the factors in v, of n <= 4; all[0] is not touched. */
SS_HD void ss_subset_products(ss_sliced *all, const ss_sliced *one, unsigned n)
{
    SS_UNROLL
    for (unsigned j = 0; j < SS_BLOCK_BITS; j++) {
        if (j >= n)
            continue;
        all[1u << j] = one[j];
        SS_UNROLL
        for (unsigned v = 1; v < SS_BLOCK_SUBSETS / 2; v++)
            if (v < 1u << j)
                all[1u << j | v] = one[j] & all[v];
    }
}

/* A node of n positions: g = g_3 xor p_3 (g_2 xor p_2 (g_1 xor p_1 g_0)), p = p_3 p_2 p_1 p_0.
   x[v] for the subsets v of p_first .. p_(n - 1) becomes p_first x[v] for those of p_(first + 1) .. */
SS_HD void ss_carry_fold(ss_sliced *x, const ss_sliced *opened_p, unsigned first, unsigned n)
{
    SS_UNROLL
    for (unsigned v = 0; v < SS_CARRY_SUBSETS / 2; v++)
        if (v < 1u << (n - 1 - first))
            x[v] = x[2 * v + 1] ^ (*opened_p & x[2 * v]);
}

/* x[v] (^)= shares of y mask(v) for the subsets v of p_(first + 1) .. p_(n - 1): y opened as *e under *mask, product[v - 1] of
   its mask and v's. */
SS_HD void ss_carry_add(ss_sliced *x, bool onto, const ss_sliced *of_p, const ss_sliced *e, const ss_sliced *mask,
                        const ss_sliced *product, unsigned first, unsigned n)
{
    SS_UNROLL
    for (unsigned v = 0; v < SS_CARRY_SUBSETS; v++) {
        if (v >= 1u << (n - 1 - first))
            continue;
        const ss_sliced y = (v ? product[v - 1] : *mask) ^ (*e & of_p[v << first]);
        x[v] = onto ? x[v] ^ y : y;
    }
}

/* A party's shares, n > 1. e (rows): opened; mask (rows), product (product_rows): shares; *g: g_(n - 1) on entry; *one: all
   bits on party 0, none on party 1. *p is made if has_p. */
SS_HD void ss_carry_node_join(ss_sliced *g, ss_sliced *p, const ss_sliced *e, const ss_sliced *mask, const ss_sliced *product,
                              const ss_sliced *one, unsigned n, unsigned has_p)
{
    ss_sliced of_p[SS_CARRY_SUBSETS], x[SS_CARRY_SUBSETS];
    unsigned next = 0;
    of_p[0] = *one;
    SS_UNROLL
    for (unsigned v = 1; v < SS_CARRY_SUBSETS; v++)
        if (v < 1u << (n - 1))
            of_p[v] = v & (v - 1) ? product[next++] : mask[v == 4 ? 2 : v - 1];
    SS_UNROLL
    for (unsigned j = 0; j < SS_CARRY_RADIX - 1; j++) {
        if (j + 1 >= n)
            continue;
        ss_carry_add(x, j > 0, of_p, e + n - 1 + j, mask + n - 1 + j, product + next, j, n);
        next += (1u << (n - 1 - j)) - 1;
        ss_carry_fold(x, e + j, j + 1, n);
    }
    *g ^= x[0];
    if (!has_p)
        return;
    ss_carry_add(x, false, of_p, e + 2 * (n - 1), mask + 2 * (n - 1), product + next, 0, n);
    SS_UNROLL
    for (unsigned j = 0; j < SS_CARRY_RADIX - 1; j++)
        if (j + 1 < n)
            ss_carry_fold(x, e + j, j + 1, n);
    *p = x[0];
}

/* The products of a node's masks (rows), as ss_carry_node_join reads them. */
SS_HD void ss_carry_node_products(ss_sliced *product, const ss_sliced *mask, unsigned n, unsigned has_p)
{
    ss_sliced of_p[SS_BLOCK_SUBSETS];
    unsigned next = 0;
    ss_subset_products(of_p, mask, n - 1);
    SS_UNROLL
    for (unsigned v = 1; v < SS_CARRY_SUBSETS; v++)
        if ((v & (v - 1)) && v < 1u << (n - 1))
            product[next++] = of_p[v];
    SS_UNROLL
    for (unsigned j = 0; j < SS_CARRY_RADIX; j++) { /* g_0 .. g_(n - 2), then p_0 */
        const unsigned first = j + 1 < n ? j : 0;
        SS_UNROLL
        for (unsigned v = 1; v < SS_CARRY_SUBSETS; v++)
            if (j < n - 1 + has_p && v < 1u << (n - 1 - first))
                product[next++] = of_p[v << first] & mask[n - 1 + j];
    }
}
#endif
