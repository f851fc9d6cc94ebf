/* textbook.h — a table lookup as textbooks describe it: one 1-of-N oblivious transfer of the masked, rotated table, made of log
   N OTs (Naor, Pinkas, STOC 1999, section 4). It exists to measure what "a lookup costs one OT" means in bytes: N x 8 a lookup,
   online.

   Index shares t = t0 + t1 mod N. P0 chooses with the bits of t0; the pairs of keys (k_i, k_i') of the log N OTs give key j the
   value K_j = sum_i (bit i of j ? k_i' : k_i), of which P0 knows K_(t0) only. P1 sends, for every j, T[(j + t1) mod N] - rho
   under the pad H(K_j, number | j) (othash.h; other K_j differ from K_(t0) by sums of keys unknown to P0). P0 adds up to T[t]
   with P1's rho. No sign, no unit vector: V is what other sources call sigma T[t], with sigma = 1. P0 sees uniform words, P1
   the corrections of the extension.

   The source makes batches with b = 0, so that the shares of e = t - b which a party computes are its shares of t; they are NOT
   exchanged. ss_textbook_select takes the place of that exchange and of the backend's lookup_sum. One column only: the
   shares' low parts cannot be opened without a mask that the OT knows. Tables of two columns, which textbooks do not have, get
   batches of source ot, and are looked up as there. */
#ifndef SS_TEXTBOOK_H
#define SS_TEXTBOOK_H

#include "variants/lib/lookup.h"
#include "variants/lib/softspoken.h"

/* Online: w (n) = V - mask[0], V (n) additive shares of T[t]; t (n) this party's shares of the index, only the low n_bits
   count. entries (N): the public table. All in backend memory. state: that of ss_source_textbook. 2 rounds a chunk. */
SS_CHECKED enum ss_err ss_textbook_select(struct ss_ctx *c, void *state, uint64_t *w, const uint32_t *t, const uint64_t *mask,
                                          const uint64_t *entries, size_t n, const struct ss_lookup_shape *s);
/* Online bytes and rounds, and OTs, of one call; opened words are the caller's. */
void ss_textbook_select_cost(const struct ss_lookup_shape *s, size_t n, struct ss_counters *e);
#endif
