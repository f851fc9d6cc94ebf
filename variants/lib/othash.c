/* othash.c — see othash.h. */
#include "variants/lib/othash.h"

#include <openssl/evp.h>
#include <sodium.h>

enum { CHUNK = 256 }; /* blocks encrypted by one call; the buffers stay in the first-level cache */

enum ss_err ss_othash_open(struct ss_othash *h, const uint8_t key[16])
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    h->cipher = c;
    if (!c || EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, key, NULL) != 1 || EVP_CIPHER_CTX_set_padding(c, 0) != 1)
        SS_FAIL(SS_ENV, "OpenSSL could not set up AES-128-ECB; check its installation");
    return SS_OK;
}

void ss_othash_close(struct ss_othash *h)
{
    EVP_CIPHER_CTX_free(h->cipher);
    h->cipher = NULL;
}

static enum ss_err encrypt(const struct ss_othash *h, struct ss_block *out, const struct ss_block *in, size_t n)
{
    int wrote;
    const int bytes = (int)(n * sizeof *in);
    if (EVP_EncryptUpdate(h->cipher, (uint8_t *)out, &wrote, (const uint8_t *)in, bytes) != 1 || wrote != bytes)
        SS_FAIL(SS_ENV, "OpenSSL could not encrypt %d bytes with AES-128-ECB", bytes);
    return SS_OK;
}

enum ss_err ss_othash_run(const struct ss_othash *h, struct ss_block *out, size_t blocks, const struct ss_block *in,
                          const struct ss_block *offset, size_t n, uint64_t id0, uint32_t space)
{
    struct ss_block inner[CHUNK], tweaked[CHUNK], outer[CHUNK];
    const struct ss_block zero = {{0, 0}}, *add = offset ? offset : &zero;
    for (size_t first = 0; first < n; first += CHUNK) {
        const size_t count = n - first < CHUNK ? n - first : CHUNK;
        for (size_t i = 0; i < count; i++) {
            tweaked[i].w[0] = in[first + i].w[0] ^ add->w[0];
            tweaked[i].w[1] = in[first + i].w[1] ^ add->w[1];
        }
        SS_TRY(encrypt(h, inner, tweaked, count));
        for (size_t j = 0; j < blocks; j++) {
            for (size_t i = 0; i < count; i++) {
                tweaked[i].w[0] = inner[i].w[0] ^ (id0 + first + i);
                tweaked[i].w[1] = inner[i].w[1] ^ ((uint64_t)space << 32 | j);
            }
            SS_TRY(encrypt(h, outer, tweaked, count));
            for (size_t i = 0; i < count; i++) {
                out[(first + i) * blocks + j].w[0] = outer[i].w[0] ^ inner[i].w[0];
                out[(first + i) * blocks + j].w[1] = outer[i].w[1] ^ inner[i].w[1];
            }
        }
    }
    sodium_memzero(inner, sizeof inner);
    sodium_memzero(tweaked, sizeof tweaked);
    sodium_memzero(outer, sizeof outer);
    return SS_OK;
}
