/* prg.c — keys and positions of the AES-128-CTR streams; the keystream itself is the backend's prg_fill. */
#include "variants/lib/prg.h"

#include <sodium.h>
#include <string.h>

enum { KEY_BYTES = 16, KEY_WORDS = 4, SCHEDULE_WORDS = 44 };

/* Four elements of GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, one a byte, multiplied without branch or table (keys are secret). */
static uint32_t gf_mul4(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (int i = 0; i < 8; i++) {
        product ^= a & (b >> i & 0x01010101) * 255;
        a = (a & 0x7f7f7f7f) << 1 ^ (a >> 7 & 0x01010101) * 0x1b;
    }
    return product;
}

/* Each byte rotated left by n. */
static uint32_t rotate4(uint32_t x, int n)
{
    const uint32_t low = 0x01010101u * (0xffu >> n);
    return (x & low) << n | (x & ~low) >> (8 - n);
}

/* SubWord of FIPS-197 5.2: the inverse, x^254 (0 to 0), then the affine map of 5.1.1. */
static uint32_t sub_word(uint32_t x)
{
    uint32_t inverse = x;
    for (int i = 0; i < 6; i++) /* x^(2^(i+2) - 1), ends at x^127 */
        inverse = gf_mul4(gf_mul4(inverse, inverse), x);
    inverse = gf_mul4(inverse, inverse);
    uint32_t out = inverse ^ 0x63636363;
    for (int n = 1; n <= 4; n++)
        out ^= rotate4(inverse, n);
    return out;
}

/* Words hold their four bytes little-endian, so RotWord is a rotation right by 8. */
void ss_aes_expand(struct ss_aes_key *k, const uint8_t key[16])
{
    uint32_t w[SCHEDULE_WORDS], rcon = 1;
    for (int i = 0; i < KEY_WORDS; i++)
        w[i] = (uint32_t)key[4 * i] | (uint32_t)key[4 * i + 1] << 8 | (uint32_t)key[4 * i + 2] << 16 |
               (uint32_t)key[4 * i + 3] << 24;
    for (int i = KEY_WORDS; i < SCHEDULE_WORDS; i++) {
        uint32_t t = w[i - 1];
        if (i % KEY_WORDS == 0) {
            t = sub_word(t >> 8 | t << 24) ^ rcon;
            rcon = gf_mul4(rcon, 2);
        }
        w[i] = w[i - KEY_WORDS] ^ t;
    }
    for (int i = 0; i < SCHEDULE_WORDS; i++)
        for (int b = 0; b < 4; b++)
            k->round_keys[4 * i + b] = (uint8_t)(w[i] >> 8 * b);
    sodium_memzero(w, sizeof w);
}

void ss_prg_from_key(struct ss_prg *g, const uint8_t key[16], uint64_t nonce)
{
    ss_aes_expand(&g->key, key);
    g->nonce = nonce;
    g->next_block = 0;
}

enum ss_err ss_prg_init(struct ss_prg *g, uint64_t nonce)
{
    uint8_t key[KEY_BYTES];
    if (sodium_init() < 0)
        SS_FAIL(SS_ENV, "libsodium found no source of randomness; is /dev/urandom readable?");
    randombytes_buf(key, sizeof key);
    ss_prg_from_key(g, key, nonce);
    sodium_memzero(key, sizeof key);
    return SS_OK;
}

enum ss_err ss_prg_fill(struct ss_prg *g, const struct ss_backend *backend, struct ss_dev *dev, uint64_t *out, size_t n)
{
    const uint64_t first = g->next_block, blocks = n / 2 + n % 2;
    SS_REQUIRE(first + blocks >= first); /* a block is never used twice */
    g->next_block = first + blocks;      /* before the call: a failed fill must not be repeated at the same place */
    return backend->prg_fill(dev, out, n, &g->key, g->nonce, first);
}

void ss_prg_wipe(struct ss_prg *g)
{
    sodium_memzero(g, sizeof *g);
}
