/* othash.h — tweakable circular correlation robust hash from fixed-key AES-128: H(x, t) = P(P(x) ^ t) ^ P(x), "TMMO" of Guo,
   Katz, Wang and Yu, IEEE S&P 2020, section 7.4. The key is public and drawn afresh for every set of base OTs, so that tables
   computed in advance do not help against it. With M(z) = P(z) ^ z, the backend's aes_mmo: P(x) = M(x) ^ x and
   H(x, t) = M(P(x) ^ t) ^ t. */
#ifndef SS_OTHASH_H
#define SS_OTHASH_H

#include "harness/ctx.h"

/* 16-byte strings as two little-endian words; bit i of an OT string at w[i / 64] >> i % 64. */
struct ss_block {
    uint64_t w[2];
};
struct ss_othash {
    struct ss_aes_key key;
    const struct ss_backend *host;
    struct ss_dev *dev; /* of host */
};
void ss_othash_open(struct ss_othash *h, const struct ss_ctx *c, const uint8_t key[16]);
/* out[i * blocks + j] = H(in[i] ^ offset, tweak (id0 + i, space << 32 | j)), i < n, j < blocks; offset may be NULL. Runs in the
   calling thread; several may use one h. */
SS_CHECKED enum ss_err ss_othash_run(const struct ss_othash *h, struct ss_block *out, size_t blocks, const struct ss_block *in,
                                     const struct ss_block *offset, size_t n, uint64_t id0, uint32_t space);
#endif
