/* gilboa.h — additive correlations in Z_2^64 by OT, and products from them (Gilboa, CRYPTO 1999, section 4). Both parties call
   each function at once with their own shares; all arrays are host memory; the caller bounds n (about 80 bytes an OT are held).
   Each party sees extension corrections and words under one-time pads.

   Width: a word that matters mod 2^k only travels in ceil(k / 8) bytes. */
#ifndef SS_GILBOA_H
#define SS_GILBOA_H

#include "variants/lib/softspoken.h"

enum { SS_COT_MAX_WORDS = 8 };

/* How the words of OT i of a call travel: `words` of them, width[i % period] bytes each (1..8); upper bytes of the results are
   garbage where width < 8. */
struct ss_cot_format {
    size_t words, period;
    const uint8_t *width;
};
/* One direction of a correlated OT: the receiver chooses b, the sender has delta; receiver's out + sender's out = b delta mod
   2^64. choice (n_recv), one byte 0 or 1 each, out_recv (n_recv, words); delta, out_send (n_send, words), may be the same
   array. n_send == n_recv or one 0, as in ss_ot_extend. 2 rounds. */
SS_CHECKED enum ss_err ss_cot(struct ss_ctx *c, struct ss_ot *ot, const struct ss_cot_format *f, const uint8_t *choice,
                              uint64_t *out_recv, size_t n_recv, const uint64_t *delta, uint64_t *out_send, size_t n_send);

/* out (n, words): shares of (s0 xor s1) (x0 + x1), s one byte 0 or 1 an item, x (n, words), may be out. n OTs each way, 2
 * rounds. */
SS_CHECKED enum ss_err ss_gilboa_bit(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint8_t *s, const uint64_t *x,
                                     size_t n, size_t words);
/* out (n): shares of (x0 + x1)(y0 + y1) mod 2^64; bits of x choose: 64 n OTs each way, 2 rounds. */
SS_CHECKED enum ss_err ss_gilboa_product(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint64_t *x,
                                         const uint64_t *y, size_t n);
/* out (n): shares mod 2^n_bits (reduced) of the numbers whose bits the parties hold by XOR, s (n, n_bits) one byte each, least
   significant first. n_bits - 1 OTs an item, P0 receives, 2 rounds (none for one bit). The top bit's cross term is 0 mod
   2^n_bits. */
SS_CHECKED enum ss_err ss_gilboa_number(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint8_t *s, size_t n,
                                        size_t n_bits);

/* Closed forms for n items, added to e: OTs, bytes of both directions (offline), rounds. */
void ss_cot_cost(struct ss_counters *e, const struct ss_cot_format *f, size_t n_p0_receives, size_t n_p1_receives);
void ss_gilboa_bit_cost(struct ss_counters *e, size_t n, size_t words);
void ss_gilboa_product_cost(struct ss_counters *e, size_t n);
void ss_gilboa_number_cost(struct ss_counters *e, size_t n, size_t n_bits);
#endif
