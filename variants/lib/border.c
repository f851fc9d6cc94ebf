/* border.c — see border.h. */
#include "variants/lib/border.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "harness/file.h"

struct piece {
    const void *p;
    size_t n;
};

static enum ss_err sha256(uint8_t out[32], const struct piece *pieces, size_t n)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned got = 0;
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < n && ok; i++)
        ok = EVP_DigestUpdate(md, pieces[i].p, pieces[i].n) == 1;
    ok = ok && EVP_DigestFinal_ex(md, out, &got) == 1 && got == 32;
    EVP_MD_CTX_free(md);
    if (!ok)
        SS_FAIL(SS_ENV, "OpenSSL has no SHA-256; is its default provider loaded?");
    return SS_OK;
}

enum ss_err ss_border_nonce(uint8_t nonce[SS_ATTEST_NONCE], const struct ss_hello *hello, const uint8_t enclave_key[SS_X25519])
{
    static const char label[] = "shardscale border nonce";
    return sha256(nonce, (const struct piece[]){{label, sizeof label - 1}, {hello, sizeof *hello}, {enclave_key, SS_X25519}},
                  3);
}

enum ss_err ss_border_derive(struct ss_border_keys *k, const uint8_t secret[SS_X25519], const uint8_t their_key[SS_X25519],
                             const uint8_t nonce[SS_ATTEST_NONCE], const struct ss_evidence *e)
{
    static const char to_enclave[] = "shardscale client to enclave", to_client[] = "shardscale enclave to client";
    uint8_t shared[SS_X25519], salt[32];
    const struct piece transcript[] = {{nonce, SS_ATTEST_NONCE}, {e->report, e->report_bytes}, {e->chain, e->chain_bytes}};
    enum ss_err err = SS_OK;
    if (crypto_scalarmult(shared, secret, their_key) != 0)
        SS_FAIL_OUT(SS_ENV, "the other end of the border sent a key of small order");
    SS_TRY_OUT(sha256(salt, transcript, 3));
    SS_TRY_OUT(ss_hkdf_sha256(k->to_enclave, SS_AEAD_KEY, shared, sizeof shared, salt, sizeof salt, to_enclave,
                              sizeof to_enclave - 1));
    SS_TRY_OUT(
        ss_hkdf_sha256(k->to_client, SS_AEAD_KEY, shared, sizeof shared, salt, sizeof salt, to_client, sizeof to_client - 1));
out:
    sodium_memzero(shared, sizeof shared);
    return err;
}

/* 32 private bytes of this role's stream. */
static enum ss_err draw(struct ss_ctx *c, uint8_t out[32])
{
    uint64_t words[4];
    SS_TRY(ss_prg_fill(&c->prg, c->host, c->host_dev, words, 4));
    memcpy(out, words, sizeof words);
    sodium_memzero(words, sizeof words);
    return SS_OK;
}

static enum ss_err read_root(struct ss_border *b, const char *path)
{
    char *text = NULL;
    SS_TRY(ss_file_read(&text, &b->root_bytes, path, sizeof b->root));
    memcpy(b->root, text, b->root_bytes);
    free(text);
    return SS_OK;
}

/* A root that the client has from elsewhere is pinned whatever the other end hands over. Only an enclave that hands over none
   speaks for hardware; whether it does is then for its evidence to show. */
static enum ss_err pin_root(struct ss_ctx *c, struct ss_border *b, const char *handed, size_t handed_bytes)
{
    const char *path = getenv("SHARDSCALE_ATTEST_ROOT");
    c->cc_mode = handed_bytes ? SS_CC_EMULATED : SS_CC_HARDWARE;
    c->attestation = handed_bytes ? SS_CC_SOFTWARE : SS_CC_VERIFIED;
    if (path)
        return read_root(b, path);
    if (!handed_bytes)
        SS_FAIL(SS_USAGE,
                "the enclave is hardware: set SHARDSCALE_ATTEST_ROOT to the PEM file of the device root to pin, where "
                "the client (party 0) runs");
    memcpy(b->root, handed, handed_bytes);
    b->root_bytes = handed_bytes;
    return SS_OK;
}

/* The root of P1's attestor, if it has one to hand over, to P0 in a message of fixed size. */
static enum ss_err provision(struct ss_ctx *c, struct ss_border *b)
{
    char *text = b->message.p;
    if (c->role == SS_P1) {
        memset(text, 0, SS_CHAIN_MAX);
        memcpy(text, b->attestor.root, b->attestor.root_bytes);
        return ss_hostwire_swap(c, &b->wire, "root", text, SS_CHAIN_MAX, NULL, 0);
    }
    SS_TRY(ss_hostwire_swap(c, &b->wire, "root", NULL, 0, text, SS_CHAIN_MAX));
    return pin_root(c, b, text, strnlen(text, SS_CHAIN_MAX));
}

enum ss_err ss_border_open(struct ss_ctx *c, struct ss_border *b, size_t values)
{
    const size_t bytes = values * sizeof(float);
    SS_TRY(ss_buf_alloc_host(c, &b->evidence, sizeof(struct ss_evidence), SS_TAG_keys));
    SS_TRY(ss_buf_alloc_host(c, &b->message, SS_EVIDENCE_BYTES, SS_TAG_keys));
    SS_TRY(ss_buf_alloc_host(c, &b->frame, bytes + SS_AEAD_OVERHEAD, SS_TAG_buffers));
    if (c->role == SS_P1 && c->backend != c->host)
        SS_TRY(ss_buf_alloc_host(c, &b->plain, bytes, SS_TAG_buffers));
    if (c->role == SS_P1) {
        const bool hardware = strcmp(c->backend->name, "cuda") == 0 && ss_attest_gpu_has_cc();
        SS_TRY(hardware ? ss_attestor_gpu(&b->attestor) : ss_attestor_software(&b->attestor));
        c->cc_mode = b->attestor.cc_mode;
        c->attestation = b->attestor.attestation;
    }
    return provision(c, b);
}

static void disconnect(struct ss_border *b)
{
    ss_aead_free(b->out);
    ss_aead_free(b->in);
    b->out = b->in = NULL;
}

void ss_border_close(struct ss_ctx *c, struct ss_border *b)
{
    disconnect(b);
    ss_attestor_close(&b->attestor);
    ss_hostwire_close(c, &b->wire);
    ss_buf_free(c, &b->evidence);
    ss_buf_free(c, &b->message);
    ss_buf_free(c, &b->frame);
    ss_buf_free(c, &b->plain);
}

static enum ss_err connect_streams(struct ss_ctx *c, struct ss_border *b, const uint8_t secret[SS_X25519],
                                   const uint8_t their_key[SS_X25519], const uint8_t nonce[SS_ATTEST_NONCE])
{
    struct ss_border_keys k;
    const bool client = c->role == SS_P0;
    disconnect(b);
    enum ss_err err = ss_border_derive(&k, secret, their_key, nonce, b->evidence.p);
    if (err == SS_OK)
        err = ss_aead_new(&b->out, SS_AEAD_SEALS, client ? k.to_enclave : k.to_client, SS_AEAD_FRAMES_A_KEY);
    if (err == SS_OK)
        err = ss_aead_new(&b->in, SS_AEAD_OPENS, client ? k.to_client : k.to_enclave, SS_AEAD_FRAMES_A_KEY);
    sodium_memzero(&k, sizeof k);
    return err;
}

static void put_le32(uint8_t *p, size_t x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(x >> 8 * i);
}

static size_t get_le32(const uint8_t *p)
{
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

/* key (32) | report length (4) | chain length (4) | report, filled up | chain, filled up */
static void pack(uint8_t *m, const uint8_t key[SS_X25519], const struct ss_evidence *e)
{
    memset(m, 0, SS_EVIDENCE_BYTES);
    memcpy(m, key, SS_X25519);
    put_le32(m + SS_X25519, e->report_bytes);
    put_le32(m + SS_X25519 + 4, e->chain_bytes);
    memcpy(m + SS_X25519 + 8, e->report, e->report_bytes);
    memcpy(m + SS_X25519 + 8 + SS_REPORT_MAX, e->chain, e->chain_bytes);
}

static enum ss_err unpack(struct ss_evidence *e, const uint8_t *m)
{
    e->report_bytes = get_le32(m + SS_X25519);
    e->chain_bytes = get_le32(m + SS_X25519 + 4);
    if (e->report_bytes > SS_REPORT_MAX || e->chain_bytes > SS_CHAIN_MAX)
        SS_FAIL(SS_ENV, "the enclave's evidence states lengths of %zu and %zu bytes, longer than its message", e->report_bytes,
                e->chain_bytes);
    memcpy(e->report, m + SS_X25519 + 8, e->report_bytes);
    memcpy(e->chain, m + SS_X25519 + 8 + SS_REPORT_MAX, e->chain_bytes);
    return SS_OK;
}

static enum ss_err connect_client(struct ss_ctx *c, struct ss_border *b, uint8_t secret[SS_X25519])
{
    struct ss_hello hello;
    struct ss_verdict verdict;
    uint8_t nonce[SS_ATTEST_NONCE], *m = b->message.p;
    char text[256];
    SS_TRY(draw(c, hello.challenge));
    SS_REQUIRE(crypto_scalarmult_base(hello.key, secret) == 0);
    SS_TRY(ss_hostwire_swap(c, &b->wire, "helo", &hello, sizeof hello, NULL, 0));
    SS_TRY(ss_hostwire_swap(c, &b->wire, "evid", NULL, 0, m, SS_EVIDENCE_BYTES));
    SS_TRY(unpack(b->evidence.p, m));
    SS_TRY(ss_border_nonce(nonce, &hello, m));
    ss_attest_verify(&verdict, b->evidence.p, b->root, b->root_bytes, nonce);
    ss_verdict_print(text, sizeof text, &verdict);
    if (!verdict.all)
        SS_FAIL(SS_ENV, "the enclave is not attested, nothing was sent to it: %s", text);
    return connect_streams(c, b, secret, m, nonce);
}

static enum ss_err connect_enclave(struct ss_ctx *c, struct ss_border *b, uint8_t secret[SS_X25519])
{
    struct ss_hello hello;
    uint8_t nonce[SS_ATTEST_NONCE], key[SS_X25519], *m = b->message.p;
    SS_REQUIRE(crypto_scalarmult_base(key, secret) == 0);
    SS_TRY(ss_hostwire_swap(c, &b->wire, "helo", NULL, 0, &hello, sizeof hello));
    SS_TRY(ss_border_nonce(nonce, &hello, key));
    SS_TRY(b->attestor.attest(&b->attestor, b->evidence.p, nonce));
    pack(m, key, b->evidence.p);
    SS_TRY(ss_hostwire_swap(c, &b->wire, "evid", m, SS_EVIDENCE_BYTES, NULL, 0));
    return connect_streams(c, b, secret, hello.key, nonce);
}

enum ss_err ss_border_connect(struct ss_ctx *c, struct ss_border *b)
{
    uint8_t secret[SS_X25519];
    SS_TRY(draw(c, secret));
    enum ss_err err = c->role == SS_P0 ? connect_client(c, b, secret) : connect_enclave(c, b, secret);
    sodium_memzero(secret, sizeof secret);
    return err;
}

/* Where frames are sealed from and opened to: backend memory itself where that is the host's. */
static bool through_host(const struct ss_ctx *c)
{
    return c->role == SS_P1 && c->backend != c->host;
}

enum ss_err ss_border_send(struct ss_ctx *c, struct ss_border *b, const char *type, const float *p, size_t n)
{
    const size_t bytes = n * sizeof *p;
    SS_REQUIRE(b->out && b->frame.bytes >= bytes + SS_AEAD_OVERHEAD);
    if (through_host(c)) {
        SS_TRY(c->backend->download(c->dev, b->plain.p, p, bytes));
        p = b->plain.p;
    }
    SS_TRY(ss_aead_seal(b->out, b->frame.p, type, p, bytes));
    return ss_hostwire_swap(c, &b->wire, type, b->frame.p, bytes + SS_AEAD_OVERHEAD, NULL, 0);
}

enum ss_err ss_border_recv(struct ss_ctx *c, struct ss_border *b, const char *type, float *p, size_t n)
{
    const size_t bytes = n * sizeof *p;
    float *h_p = through_host(c) ? b->plain.p : p;
    SS_REQUIRE(b->in && b->frame.bytes >= bytes + SS_AEAD_OVERHEAD);
    SS_TRY(ss_hostwire_swap(c, &b->wire, type, NULL, 0, b->frame.p, bytes + SS_AEAD_OVERHEAD));
    SS_TRY(ss_aead_unseal(b->in, h_p, bytes, type, b->frame.p, bytes + SS_AEAD_OVERHEAD));
    return h_p == p ? SS_OK : c->backend->upload(c->dev, p, h_p, bytes);
}
