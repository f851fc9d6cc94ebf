/* othash.h — tweakable circular correlation robust hash from fixed-key AES-128: H(x, t) = P(P(x) ^ t) ^ P(x), "TMMO" of Guo,
   Katz, Wang and Yu, IEEE S&P 2020, section 7.4. The key is public and drawn afresh for every set of base OTs, so that tables
   computed in advance do not help against it. */
#ifndef SS_OTHASH_H
#define SS_OTHASH_H

#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

/* 16-byte strings as two little-endian words; bit i of an OT string at w[i / 64] >> i % 64. */
struct ss_block {
    uint64_t w[2];
};
struct ss_othash {
    void *cipher; /* EVP_CIPHER_CTX, AES-128-ECB with OpenSSL's instructions */
};
SS_CHECKED enum ss_err ss_othash_open(struct ss_othash *h, const uint8_t key[16]);
void ss_othash_close(struct ss_othash *h);
/* out[i * blocks + j] = H(in[i] ^ offset, tweak (id0 + i, space << 32 | j)), i < n, j < blocks; offset may be NULL. */
SS_CHECKED enum ss_err ss_othash_run(const struct ss_othash *h, struct ss_block *out, size_t blocks, const struct ss_block *in,
                                     const struct ss_block *offset, size_t n, uint64_t id0, uint32_t space);
#endif
