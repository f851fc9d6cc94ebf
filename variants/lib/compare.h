/* compare.h — comparisons of a shared value with public thresholds, several from one opening (protocols.md 7).

   The parties open c = x - a under a dealt mask a whose bits they hold by XOR. x < t is the top bit of (c - t) + a: a public
   number plus shared bits (Catrina, de Hoogh, SCN 2010, section 3; bits sliced, 64 comparisons a word). Its carry: blocks of
   four bits by dealt products of a's bits, which c makes public combinations; then a tree of radix 4 by products of up to four
   factors (kernels/carry.h). The bit, shared by XOR, is opened under a random bit rho that is also dealt additively; that gives
   additive shares of s_k = [x < t_k] and, because c is open, of s_k x at no further round.

   Right for every x and t_k with x - t_k in [-2^(bits-1), 2^(bits-1)), x taken mod 2^bits (64 but in tests).
   Each party sees c, the tree's masked inputs and s xor rho: uniform words, and nothing else.

   Offline: masks from both parties' seeds; the dealer sends P1, a value, 8 bytes of mask bits (bits / 8) and 21 of their
   products, and for each threshold 12 bytes of the tree's products, 8 of rho, and 8 of rho a where products are wanted. */
#ifndef SS_COMPARE_H
#define SS_COMPARE_H

#include "variants/lib/trunc.h"

struct ss_compare_shape {
    unsigned bits;       /* 2..64 */
    unsigned thresholds; /* 1..SS_MAX_THRESHOLDS */
    bool product;        /* s_k x wanted */
};
size_t ss_compare_words(const struct ss_compare_shape *s, size_t n); /* of a batch of n values */
/* Rounds of one ss_compare: the opening, the levels of the carry, the bits; 4 at 64 bits. */
size_t ss_compare_rounds(const struct ss_compare_shape *s);

SS_CHECKED enum ss_err ss_compare_deal(struct ss_ctx *dealer, struct ss_seeds *seeds, struct ss_buf *scratch,
                                       const struct ss_compare_shape *s, size_t n);
SS_CHECKED enum ss_err ss_compare_receive(struct ss_ctx *party, struct ss_seeds *seeds, struct ss_corr *corr,
                                          enum ss_corr_slot slot, const struct ss_compare_shape *s, size_t n);

/* x: rows of x_stride words, n = rows x cols values. t_k = h_t[k] << (shift ? shift[column] : 0), rising or not. s, sx
   (thresholds, rows, cols): either may be NULL; sx needs shape.product. work: messages and temporaries. */
struct ss_compare_call {
    struct ss_compare_shape shape;
    struct ss_corr *corr;
    enum ss_corr_slot slot;
    uint64_t *s, *sx;
    const uint64_t *x;
    size_t rows, cols, x_stride;
    uint64_t h_t[SS_MAX_THRESHOLDS];
    const uint8_t *shift;
};
SS_CHECKED enum ss_err ss_compare(struct ss_ctx *party, struct ss_buf *work, const struct ss_compare_call *call);
/* Everything but rounds. triples_bin: dealt products of two bits or more, 64 a word, those of padding included. opened_words:
   every word exchanged. */
void ss_compare_cost(const struct ss_compare_shape *s, size_t n, struct ss_counters *e);
#endif
