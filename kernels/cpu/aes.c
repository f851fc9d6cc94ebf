/* aes.c — AES-128-CTR keystream by OpenSSL (portable) and by AES-NI; the choice of a path; prg_fill. */
#include "kernels/cpu/cpu.h"

#include <immintrin.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#define TARGET __attribute__((target("aes,sse4.1")))
enum { BLOCK = 16, ROUNDS = 10, WIDTH = 8, CHUNK_BLOCKS = 1024, MAX_EVP_BYTES = 1 << 30 };

static bool always(void)
{
    return true;
}

static void store_be64(uint8_t out[8], uint64_t x)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(x >> (56 - 8 * i));
}

/* Round key 0 of an AES-128 schedule is the key itself. The keystream is the encryption of zeros. */
static enum ss_err fill_openssl(uint8_t *out, size_t blocks, const struct ss_aes_key *key, uint64_t nonce, uint64_t first_block)
{
    uint8_t counter[BLOCK];
    store_be64(counter, nonce);
    store_be64(counter + 8, first_block);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool ok = c && EVP_EncryptInit_ex(c, EVP_aes_128_ctr(), NULL, key->round_keys, counter) == 1;
    memset(out, 0, blocks * BLOCK);
    for (size_t done = 0, bytes = blocks * BLOCK; ok && done < bytes;) {
        const size_t left = bytes - done;
        const int now = left < MAX_EVP_BYTES ? (int)left : MAX_EVP_BYTES;
        int wrote;
        ok = EVP_EncryptUpdate(c, out + done, &wrote, out + done, now) == 1 && wrote == now;
        done += (size_t)now;
    }
    EVP_CIPHER_CTX_free(c);
    if (!ok)
        SS_FAIL(SS_ENV, "OpenSSL could not run AES-128-CTR over %zu blocks; check its installation", blocks);
    return SS_OK;
}

static enum ss_err mmo_openssl(void *out, const void *in, size_t blocks, const struct ss_aes_key *key)
{
    int wrote = 0;
    SS_REQUIRE(blocks <= MAX_EVP_BYTES / BLOCK);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool ok = c && EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, key->round_keys, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(c, 0) == 1 && EVP_EncryptUpdate(c, out, &wrote, in, (int)(blocks * BLOCK)) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!ok || (size_t)wrote != blocks * BLOCK)
        SS_FAIL(SS_ENV, "OpenSSL could not run AES-128 over %zu blocks; check its installation", blocks);
    for (size_t i = 0; i < blocks * BLOCK; i++)
        ((uint8_t *)out)[i] ^= ((const uint8_t *)in)[i];
    return SS_OK;
}

const struct cpu_aes cpu_aes_openssl = {
    .name = "openssl", .isa = CPU_PORTABLE, .usable = always, .fill = fill_openssl, .mmo = mmo_openssl};

static bool has_aes_ni(void)
{
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
}

TARGET static enum ss_err fill_ni(uint8_t *out, size_t blocks, const struct ss_aes_key *key, uint64_t nonce,
                                  uint64_t first_block)
{
    const __m128i big_endian = _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    __m128i rk[ROUNDS + 1];
    for (int i = 0; i <= ROUNDS; i++)
        rk[i] = _mm_loadu_si128((const __m128i *)(key->round_keys + BLOCK * i));
    for (size_t b = 0; b < blocks; b += WIDTH) {
        __m128i s[WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            const uint64_t block = first_block + b + (size_t)i;
            const __m128i counter = _mm_set_epi64x((long long)block, (long long)nonce);
            s[i] = _mm_xor_si128(_mm_shuffle_epi8(counter, big_endian), rk[0]);
        }
        for (int r = 1; r < ROUNDS; r++)
            for (int i = 0; i < WIDTH; i++)
                s[i] = _mm_aesenc_si128(s[i], rk[r]);
        const size_t count = blocks - b < WIDTH ? blocks - b : WIDTH;
        for (int i = 0; i < WIDTH; i++)
            s[i] = _mm_aesenclast_si128(s[i], rk[ROUNDS]);
        memcpy(out + b * BLOCK, s, count * BLOCK);
    }
    return SS_OK;
}

TARGET static enum ss_err mmo_ni(void *out, const void *in, size_t blocks, const struct ss_aes_key *key)
{
    __m128i rk[ROUNDS + 1];
    for (int i = 0; i <= ROUNDS; i++)
        rk[i] = _mm_loadu_si128((const __m128i *)(key->round_keys + BLOCK * i));
    for (size_t b = 0; b < blocks; b += WIDTH) {
        const size_t count = blocks - b < WIDTH ? blocks - b : WIDTH;
        __m128i x[WIDTH] = {0}, s[WIDTH];
        memcpy(x, (const uint8_t *)in + b * BLOCK, count * BLOCK);
        for (int i = 0; i < WIDTH; i++)
            s[i] = _mm_xor_si128(x[i], rk[0]);
        for (int r = 1; r < ROUNDS; r++)
            for (int i = 0; i < WIDTH; i++)
                s[i] = _mm_aesenc_si128(s[i], rk[r]);
        for (int i = 0; i < WIDTH; i++)
            s[i] = _mm_xor_si128(x[i], _mm_aesenclast_si128(s[i], rk[ROUNDS]));
        memcpy((uint8_t *)out + b * BLOCK, s, count * BLOCK);
    }
    return SS_OK;
}

const struct cpu_aes cpu_aes_ni = {.name = "aes-ni", .isa = CPU_AVX2, .usable = has_aes_ni, .fill = fill_ni, .mmo = mmo_ni};

const struct cpu_aes *const cpu_aes_paths[] = {&cpu_aes_openssl, &cpu_aes_ni, &cpu_aes_vaes256, &cpu_aes_vaes512, NULL};

const struct cpu_aes *cpu_aes_choose(enum cpu_isa isa)
{
    const struct cpu_aes *best = &cpu_aes_openssl;
    for (size_t i = 0; cpu_aes_paths[i]; i++)
        if (cpu_aes_paths[i]->isa <= isa && cpu_aes_paths[i]->usable())
            best = cpu_aes_paths[i];
    return best;
}

static enum ss_err fill_parallel(const struct ss_dev *dev, uint64_t *out, size_t blocks, const struct ss_aes_key *key,
                                 uint64_t nonce, uint64_t first_block)
{
    enum ss_err err = SS_OK;
#pragma omp parallel for num_threads(dev->threads)
    for (size_t b = 0; b < blocks; b += CHUNK_BLOCKS) {
        const size_t count = blocks - b < CHUNK_BLOCKS ? blocks - b : CHUNK_BLOCKS;
        enum ss_err e = dev->aes->fill((uint8_t *)(out + 2 * b), count, key, nonce, first_block + b);
        if (e != SS_OK) {
#pragma omp atomic write
            err = e;
        }
    }
    return err;
}

enum ss_err cpu_prg_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                         uint64_t first_block)
{
    const size_t blocks = n / 2;
    SS_REQUIRE(first_block + (n - blocks) >= first_block);
    if (n >= CPU_PARALLEL_MIN)
        SS_TRY(fill_parallel(dev, out, blocks, key, nonce, first_block));
    else
        SS_TRY(dev->aes->fill((uint8_t *)out, blocks, key, nonce, first_block));
    if (n % 2) {
        uint8_t last[BLOCK];
        SS_TRY(dev->aes->fill(last, 1, key, nonce, first_block + blocks));
        memcpy(out + n - 1, last, sizeof *out);
        sodium_memzero(last, sizeof last);
    }
    return SS_OK;
}

enum ss_err cpu_aes_mmo(struct ss_dev *dev, void *out, const void *in, size_t blocks, const struct ss_aes_key *key)
{
    return dev->aes->mmo(out, in, blocks, key);
}
