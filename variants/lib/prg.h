/* prg.h — AES-128-CTR as pseudo-random generator for shares, masks and keys. One construction on every backend; the key comes
   from the operating system (or, in tests, is given). A stream never repeats a block: the position only moves forward. */
#ifndef SS_PRG_H
#define SS_PRG_H

#include <stdint.h>

#include "harness/err.h"
#include "kernels/backend.h"

struct ss_prg {
    struct ss_aes_key key;
    uint64_t nonce;      /* domain: separates streams under one key */
    uint64_t next_block; /* first block not yet used */
};

/* Fresh key from the OS (libsodium randombytes). */
SS_CHECKED enum ss_err ss_prg_init(struct ss_prg *g, uint64_t nonce);
/* Given 16-byte key: seeds dealt to a party, and tests. */
void ss_prg_from_key(struct ss_prg *g, const uint8_t key[16], uint64_t nonce);
/* FIPS-197 key expansion. */
void ss_aes_expand(struct ss_aes_key *k, const uint8_t key[16]);
/* n words on the backend, uniform in Z_2^64; moves the position past them. */
SS_CHECKED enum ss_err ss_prg_fill(struct ss_prg *g, const struct ss_backend *backend, struct ss_dev *dev, uint64_t *out,
                                   size_t n);
void ss_prg_wipe(struct ss_prg *g);
#endif
