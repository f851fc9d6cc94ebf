/* unitvec.h — XOR shares of unit vectors at positions that nobody knows, by OT (protocols.md 6, source `ot`).

   The parties' random bits are XOR shares of the bits of r; e_1 of one bit is local, and e_(a+b) = e_a (x) e_b, the upper bits
   to the left. An outer product of shared vectors needs the two cross terms: for each bit of the left factor one string OT in
   each direction, whose string is the other party's right factor. Products of one height are made in the same two rounds. N =
   4096: 104 OTs and 534 bytes of strings each way; N = 256: 32 and 38 (the protocol text's 547 and 42 add one bit an OT for the
   choice, which here is part of the extension's 4 bytes). */
#ifndef SS_UNITVEC_H
#define SS_UNITVEC_H

#include "variants/lib/softspoken.h"

enum { SS_UNITVEC_MAX_BITS = 14 };

/* vectors (n, max(1, 2^n_bits / 64)) words, bit i of the vector at word i / 64, i % 64. r: one byte 0 or 1 for each bit, that
   of weight 2^j of item k at r[k * stride + j]. Host memory; about 64 bytes an OT are held. */
SS_CHECKED enum ss_err ss_unitvec(struct ss_ctx *c, struct ss_ot *ot, uint64_t *vectors, const uint8_t *r, size_t stride,
                                  size_t n, unsigned n_bits);
void ss_unitvec_cost(struct ss_counters *e, size_t n, unsigned n_bits);

/* This party's XOR share of s, where 1 - 2 s = sigma = S_0 - S_1 and S_p is the number of ones in party p's share of a unit
   vector: exactly one of S_0 and S_1 is odd, and s = half of (S_0 or S_0 - 1) + half of (S_1 or S_1 + 1) mod 2. */
uint8_t ss_unitvec_sign(const uint64_t *vector, size_t words, int party);
#endif
