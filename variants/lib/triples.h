/* triples.h — element-wise products of masks without a dealer: each party draws its masks itself, their products come from OT
   (Gilboa, CRYPTO 1999, section 4): 64 OTs each way a product. Each party sees what gilboa.h says. */
#ifndef SS_TRIPLES_H
#define SS_TRIPLES_H

#include "variants/lib/gilboa.h"

/* Where element-wise products of masks come from; ot NULL: the dealer. The OTs are set up (ss_ot_setup). */
struct ss_triples {
    struct ss_ot *ot;
};
/* Both parties at once. out (pairs, n): row k holds shares of a[k] b[k], a[k] and b[k] (n) shares, backend memory; a[k] may be
   b[k]. Works in chunks: host memory is bounded. */
SS_CHECKED enum ss_err ss_triples_by_ot(struct ss_ctx *party, struct ss_ot *ot, uint64_t *out, const uint64_t *const *a,
                                        const uint64_t *const *b, size_t pairs, size_t n);
/* Offline counters of `products` products in one call, the dealer's 8 bytes each to P1 or by OT. */
void ss_triples_cost(bool by_ot, size_t products, struct ss_counters *e);
#endif
