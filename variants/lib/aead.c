/* aead.c — see aead.h. */
#include "variants/lib/aead.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>

enum { NONCE = 12, STEP = 1 << 30 /* EVP lengths are int */ };
static const char next_key_label[] = "shardscale aead next key";

struct ss_aead {
    EVP_CIPHER_CTX *ctx;
    uint8_t key[SS_AEAD_KEY];
    uint64_t sequence; /* of the next frame */
    uint64_t frames_a_key, frames, bytes;
    uint32_t number; /* of the key */
    bool seals, refused;
};

enum ss_err ss_hkdf_sha256(uint8_t *out, size_t n, const uint8_t *secret, size_t secret_bytes, const uint8_t *salt,
                           size_t salt_bytes, const void *info, size_t info_bytes)
{
    static const uint8_t zeros[32] = {0}; /* RFC 5869, 2.2: no salt is a hash's length of zeros */
    char digest[] = "SHA256";
    if (salt_bytes == 0) {
        salt = zeros;
        salt_bytes = sizeof zeros;
    }
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, secret_bytes),
                                 OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_bytes),
                                 OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_bytes),
                                 OSSL_PARAM_construct_end()};
    bool ok = ctx && EVP_KDF_derive(ctx, out, n, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    if (!ok)
        SS_FAIL(SS_ENV, "OpenSSL could not derive %zu bytes by HKDF-SHA256; is its default provider loaded?", n);
    return SS_OK;
}

static enum ss_err use_key(struct ss_aead *a)
{
    a->frames = a->bytes = 0;
    if (EVP_CipherInit_ex(a->ctx, EVP_aes_256_gcm(), NULL, a->key, NULL, a->seals) != 1)
        SS_FAIL(SS_ENV, "OpenSSL has no AES-256-GCM; is its default provider loaded?");
    return SS_OK;
}

/* key = HKDF(key, "next key"): who learns a later key cannot go back to an earlier one. */
static enum ss_err next_key(struct ss_aead *a)
{
    uint8_t next[SS_AEAD_KEY];
    SS_REQUIRE(a->number < UINT32_MAX);
    SS_TRY(ss_hkdf_sha256(next, sizeof next, a->key, sizeof a->key, NULL, 0, next_key_label, sizeof next_key_label - 1));
    memcpy(a->key, next, sizeof next);
    sodium_memzero(next, sizeof next);
    a->number++;
    return use_key(a);
}

enum ss_err ss_aead_new(struct ss_aead **out, enum ss_aead_end end, const uint8_t secret[SS_AEAD_KEY], uint64_t frames_a_key)
{
    *out = NULL;
    SS_REQUIRE(frames_a_key > 0);
    struct ss_aead *a = calloc(1, sizeof *a);
    if (!a)
        SS_FAIL(SS_ENV, "out of memory for a sealed stream");
    a->seals = end == SS_AEAD_SEALS;
    a->frames_a_key = frames_a_key;
    memcpy(a->key, secret, sizeof a->key);
    a->ctx = EVP_CIPHER_CTX_new();
    enum ss_err err = a->ctx ? use_key(a) : SS_ENV;
    if (err == SS_OK)
        *out = a;
    else
        ss_aead_free(a);
    return err;
}

void ss_aead_free(struct ss_aead *a)
{
    if (!a)
        return;
    EVP_CIPHER_CTX_free(a->ctx);
    sodium_memzero(a, sizeof *a);
    free(a);
}

uint32_t ss_aead_key_number(const struct ss_aead *a)
{
    return a->number;
}

static void put_le(uint8_t *p, uint64_t x, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

/* Takes the next sequence number, which is gone whatever happens then, and with it key, header and nonce of this frame. */
static enum ss_err begin(struct ss_aead *a, uint8_t header[SS_AEAD_HEADER], const char *type, size_t n)
{
    uint8_t nonce[NONCE] = {0};
    SS_REQUIRE(strlen(type) == 4 && n < SS_AEAD_BYTES_A_KEY && a->sequence < UINT64_MAX);
    const uint64_t sequence = a->sequence++;
    if (a->frames == a->frames_a_key || a->bytes + n > SS_AEAD_BYTES_A_KEY)
        SS_TRY(next_key(a));
    a->frames++;
    a->bytes += n;
    memcpy(header, type, 4);
    put_le(header + 4, a->number, 4);
    put_le(header + 8, n, 8);
    put_le(header + 16, sequence, 8);
    for (int i = 0; i < 8; i++)
        nonce[NONCE - 1 - i] = (uint8_t)(sequence >> 8 * i);
    int done;
    if (EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, nonce, -1) != 1 ||
        EVP_CipherUpdate(a->ctx, NULL, &done, header, SS_AEAD_HEADER) != 1)
        SS_FAIL(SS_ENV, "OpenSSL refused frame %llu of a sealed stream", (unsigned long long)sequence);
    return SS_OK;
}

static bool run(struct ss_aead *a, uint8_t *out, const uint8_t *in, size_t n)
{
    int done = 0;
    for (size_t at = 0; at < n; at += (size_t)done) {
        const size_t step = n - at < STEP ? n - at : STEP;
        if (EVP_CipherUpdate(a->ctx, out + at, &done, in + at, (int)step) != 1 || done != (int)step)
            return false;
    }
    return true;
}

enum ss_err ss_aead_seal(struct ss_aead *a, uint8_t *frame, const char *type, const void *plain, size_t n)
{
    uint8_t *cipher = frame + SS_AEAD_HEADER, *tag = cipher + n;
    int done;
    SS_REQUIRE(a->seals);
    SS_TRY(begin(a, frame, type, n));
    if (!run(a, cipher, plain, n) || EVP_CipherFinal_ex(a->ctx, tag, &done) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, SS_AEAD_TAG, tag) != 1)
        SS_FAIL(SS_ENV, "OpenSSL could not seal a frame of %zu bytes", n);
    return SS_OK;
}

enum ss_err ss_aead_unseal(struct ss_aead *a, void *plain, size_t n, const char *type, const uint8_t *frame, size_t frame_bytes)
{
    enum ss_err err = SS_OK;
    uint8_t due[SS_AEAD_HEADER], tag[SS_AEAD_TAG];
    const uint8_t *cipher = frame + SS_AEAD_HEADER;
    int done;
    SS_REQUIRE(!a->seals);
    if (a->refused)
        SS_FAIL_OUT(SS_ENV, "a sealed stream that was altered once is not read on; start a new session");
    const unsigned long long sequence = a->sequence;
    SS_TRY_OUT(begin(a, due, type, n));
    if (frame_bytes != n + SS_AEAD_OVERHEAD)
        SS_FAIL_OUT(SS_ENV, "sealed frame %llu has %zu bytes where %zu were due: cut short or not of this stream", sequence,
                    frame_bytes, n + SS_AEAD_OVERHEAD);
    if (memcmp(frame, due, sizeof due) != 0)
        SS_FAIL_OUT(SS_ENV, "sealed frame %llu ('%s') was due and another came: replayed, reordered or altered", sequence,
                    type);
    memcpy(tag, cipher + n, sizeof tag);
    if (!run(a, plain, cipher, n) || EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, SS_AEAD_TAG, tag) != 1)
        SS_FAIL_OUT(SS_ENV, "OpenSSL could not open a frame of %zu bytes", n);
    if (EVP_CipherFinal_ex(a->ctx, tag, &done) != 1)
        SS_FAIL_OUT(SS_ENV, "sealed frame %llu ('%s') does not have the tag of its contents: it was altered", sequence, type);
out:
    if (err != SS_OK) {
        a->refused = true;
        sodium_memzero(plain, n);
    }
    return err;
}
