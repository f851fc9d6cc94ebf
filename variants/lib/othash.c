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

static enum ss_err mmo(const struct ss_othash *h, struct ss_block *out, const struct ss_block *in, size_t n)
{
    return h->host->aes_mmo(h->dev, out, in, n, &h->key);
}

enum ss_err ss_othash_run(const struct ss_othash *h, struct ss_block *out, size_t blocks, const struct ss_block *in,
                          const struct ss_block *offset, size_t n, uint64_t id0, uint32_t space)
{
    struct ss_block inner[CHUNK], tweaked[CHUNK], outer[CHUNK];
    const struct ss_block zero = {{0, 0}}, add = offset ? *offset : zero;
    enum ss_err err = SS_OK;
    for (size_t first = 0; first < n; first += CHUNK) {
        const size_t count = n - first < CHUNK ? n - first : CHUNK;
        for (size_t i = 0; i < count; i++) {
            tweaked[i].w[0] = in[first + i].w[0] ^ add.w[0];
            tweaked[i].w[1] = in[first + i].w[1] ^ add.w[1];
        }
        SS_TRY_OUT(mmo(h, inner, tweaked, count));
        for (size_t i = 0; i < count; i++) {
            inner[i].w[0] ^= tweaked[i].w[0] ^ (id0 + first + i);
            inner[i].w[1] ^= tweaked[i].w[1];
        }
        for (size_t j = 0; j < blocks; j++) {
            const uint64_t high = (uint64_t)space << 32 | j;
            for (size_t i = 0; i < count; i++) {
                tweaked[i].w[0] = inner[i].w[0];
                tweaked[i].w[1] = inner[i].w[1] ^ high;
            }
            SS_TRY_OUT(mmo(h, outer, tweaked, count));
            for (size_t i = 0; i < count; i++) {
                out[(first + i) * blocks + j].w[0] = outer[i].w[0] ^ (id0 + first + i);
                out[(first + i) * blocks + j].w[1] = outer[i].w[1] ^ high;
            }
        }
    }
out:
    sodium_memzero(inner, sizeof inner);
    sodium_memzero(tweaked, sizeof tweaked);
    sodium_memzero(outer, sizeof outer);
    return err;
}
