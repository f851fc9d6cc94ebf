/* othash.c — see othash.h. */
#include "variants/lib/othash.h"

#include <sodium.h>

enum { CHUNK = 128 }; /* blocks encrypted by one call; the buffers stay in the first-level cache */

void ss_othash_open(struct ss_othash *h, const struct ss_ctx *c, const uint8_t key[16])
{
    SS_REQUIRE(c->host->aes_mmo);
    ss_aes_expand(&h->key, key);
    h->host = c->host;
    h->dev = c->host_dev;
}

typedef uint64_t block __attribute__((vector_size(16), may_alias, aligned(8)));

enum ss_err ss_othash_run(const struct ss_othash *h, struct ss_block *out, size_t blocks, const struct ss_block *in,
                          const struct ss_block *offset, size_t n, uint64_t id0, uint32_t space)
{
    block x[CHUNK], y[CHUNK];
    const block add = {offset ? offset->w[0] : 0, offset ? offset->w[1] : 0}, next = {1, 0};
    enum ss_err err = SS_OK;
    for (size_t first = 0; first < n; first += CHUNK) {
        const size_t count = n - first < CHUNK ? n - first : CHUNK;
        const block *from = (const block *)(in + first);
        block *to = (block *)(out + first * blocks), tweak = {id0 + first, (uint64_t)space << 32};
        for (size_t i = 0; i < count; i++)
            x[i] = from[i] ^ add;
        SS_TRY_OUT(h->host->aes_mmo(h->dev, y, x, count, &h->key));
        for (size_t i = 0; i < count; i++, tweak += next) /* x becomes P(x) ^ t */
            x[i] ^= y[i] ^ tweak;
        for (size_t j = 0; j < blocks; j++) {
            const block step = {0, j ^ (j + 1)};
            SS_TRY_OUT(h->host->aes_mmo(h->dev, y, x, count, &h->key));
            tweak = (block){id0 + first, (uint64_t)space << 32 | j};
            for (size_t i = 0; i < count; i++, tweak += next) {
                to[i * blocks + j] = y[i] ^ tweak;
                x[i] ^= step;
            }
        }
    }
out:
    sodium_memzero(x, sizeof x);
    sodium_memzero(y, sizeof y);
    return err;
}
