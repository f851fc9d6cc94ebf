/* trunc.h — truncation of shares with one bit of slack (Escudero, Ghosh, Keller, Rachuri, Scholl, CRYPTO 2020, figure 10),
   never the local one, which breaks a share with probability 2^(log|x| - 63).

   Realised functionality: for |x| < 2^62, out = floor(x / 2^m) + u with u in {0, 1}, P(u = 1) = (x mod 2^m) / 2^m over the
   dealer's r; u is a function of r and x and is known to neither party (see docs/variants.md on this rounding bit).
   Offline: the dealer seeds P0 (r0, rt0, rm0) and P1 (r1), and sends P1 rt1 and rm1: 16 bytes a value.
   Online: one exchange of 8 bytes a value each way. Each party sees the uniform c = x + 2^62 + r and nothing else. */
#ifndef SS_TRUNC_H
#define SS_TRUNC_H

#include "variants/lib/corr.h"

enum { SS_SEED_BYTES = 16, SS_TRUNC_DEALT_BYTES = 16, SS_TRUNC_OPENED_BYTES = 8 };

/* The seed of a layer, one for each party, drawn by the dealer and sent before its batches. */
struct ss_seeds {
    struct ss_prg to[2]; /* dealer: both parties' expansions */
    struct ss_prg mine;  /* party */
    struct ss_buf bytes; /* message room */
};
SS_CHECKED enum ss_err ss_seeds_deal(struct ss_ctx *dealer, struct ss_seeds *s);
SS_CHECKED enum ss_err ss_seeds_receive(struct ss_ctx *party, struct ss_seeds *s);
void ss_seeds_close(struct ss_ctx *c, struct ss_seeds *s);

/* Offline, for a (rows, cols) value whose column j loses m + col_m[j] bits. scratch: 6 x rows x cols words. */
SS_CHECKED enum ss_err ss_trunc_deal(struct ss_ctx *dealer, struct ss_seeds *s, struct ss_buf *scratch, size_t rows,
                                     size_t cols, unsigned m, const uint8_t *col_m);
SS_CHECKED enum ss_err ss_trunc_receive(struct ss_ctx *party, struct ss_seeds *s, struct ss_corr *corr, enum ss_corr_slot slot,
                                        size_t n);
/* Online: out (+)= x truncated to frac_bits. mine, theirs: room for the two messages, rows x cols words each. */
SS_CHECKED enum ss_err ss_trunc(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, uint64_t *out,
                                const struct ss_val *x, bool accumulate, uint64_t *mine, uint64_t *theirs);
/* In place: x (rows, cols) loses m + col_m[j] bits by the batch of `slot`; corr: the array of all slots. */
SS_CHECKED enum ss_err ss_trunc_bits(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot,
                                     struct ss_buf *messages, uint64_t *x, size_t rows, size_t cols, unsigned m,
                                     const uint8_t *col_m);
#endif
