/* attest_software.c — evidence of the same form without the hardware: three P-384 keys and certificates made at random when it
   is opened (root, device, signer). The machine that runs it holds the keys, so it proves nothing; it lets the same code run.
 */
#include "variants/lib/attest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "harness/cli.h"

enum { SIGNER, DEVICE, ROOT, N_CERTS };
enum { BLOCKS = 2, P384 = 48, YEAR_SECONDS = 365 * 24 * 3600 };

struct software {
    EVP_PKEY *key[N_CERTS];
    X509 *cert[N_CERTS];
    uint8_t measured[BLOCKS][SS_ATTEST_HASH];
    char chain[SS_CHAIN_MAX];
    size_t chain_bytes;
};

static bool sha384(uint8_t out[SS_ATTEST_HASH], const void *data, size_t n)
{
    unsigned got = 0;
    return EVP_Digest(data, n, out, &got, EVP_sha384(), NULL) == 1 && got == SS_ATTEST_HASH;
}

/* SHA-384 of this program's file. */
static bool measure_program(uint8_t out[SS_ATTEST_HASH])
{
    uint8_t piece[1 << 16];
    unsigned got = 0;
    FILE *f = fopen("/proc/self/exe", "rb");
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = f && md && EVP_DigestInit_ex(md, EVP_sha384(), NULL) == 1;
    for (size_t n; ok && (n = fread(piece, 1, sizeof piece, f)) > 0;)
        ok = EVP_DigestUpdate(md, piece, n) == 1;
    ok = ok && !ferror(f) && EVP_DigestFinal_ex(md, out, &got) == 1 && got == SS_ATTEST_HASH;
    EVP_MD_CTX_free(md);
    if (f)
        fclose(f);
    return ok;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* DER of SEQUENCE { INTEGER 1, device key, SEQUENCE { sha384, fwid } }, all lengths below 256. */
static bool add_dice(X509 *cert, X509 *device, const uint8_t fwid[SS_ATTEST_HASH])
{
    static const uint8_t version[] = {0x02, 0x01, 0x01};
    static const uint8_t pair[] = {0x30, 0x3d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x04, 0x30};
    uint8_t der[256], *key = NULL;
    const int key_bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(device), &key);
    const size_t inside = sizeof version + (size_t)key_bytes + sizeof pair + SS_ATTEST_HASH;
    bool ok = key_bytes > 0 && inside >= 128 && inside <= sizeof der - 3;
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *oid = OBJ_txt2obj("2.23.133.5.4.1", 1);
    X509_EXTENSION *e = NULL;
    if (ok) {
        uint8_t *p = der;
        *p++ = 0x30;
        *p++ = 0x81;
        *p++ = (uint8_t)inside;
        p = (uint8_t *)memcpy(p, version, sizeof version) + sizeof version;
        p = (uint8_t *)memcpy(p, key, (size_t)key_bytes) + key_bytes;
        p = (uint8_t *)memcpy(p, pair, sizeof pair) + sizeof pair;
        memcpy(p, fwid, SS_ATTEST_HASH);
        ok = data && oid && ASN1_OCTET_STRING_set(data, der, (int)inside + 3) == 1 &&
             (e = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, data)) && X509_add_ext(cert, e, -1) == 1;
    }
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(data);
    ASN1_OBJECT_free(oid);
    OPENSSL_free(key);
    return ok;
}

static bool set_name(X509_NAME *name, const char *common)
{
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"ShardScale, no hardware", -1, -1, 0) ==
               1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common, -1, -1, 0) == 1;
}

static bool make_cert(struct software *s, int i)
{
    static const char *const names[N_CERTS] = {"software attestor, signer", "software attestor, device",
                                               "software attestor, root"};
    const int by = i == ROOT ? ROOT : i + 1;
    uint8_t number[16];
    X509 *x = s->cert[i] = X509_new();
    s->key[i] = EVP_EC_gen("P-384");
    BIGNUM *serial = RAND_bytes(number, sizeof number) == 1 ? BN_bin2bn(number, sizeof number - 1, NULL) : NULL;
    bool ok = x && s->key[i] && serial && X509_set_version(x, 2) == 1 &&
              BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) != NULL && X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
              X509_gmtime_adj(X509_getm_notAfter(x), YEAR_SECONDS) && X509_set_pubkey(x, s->key[i]) == 1 &&
              set_name(X509_get_subject_name(x), names[i]) &&
              X509_set_issuer_name(x, X509_get_subject_name(s->cert[by])) == 1 &&
              add_extension(x, x, NID_subject_key_identifier, "hash") &&
              add_extension(x, s->cert[by], NID_authority_key_identifier, "keyid:always") &&
              (i == SIGNER || add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE")) &&
              add_extension(x, x, NID_key_usage, i == SIGNER ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign") &&
              (i != SIGNER || add_dice(x, s->cert[DEVICE], s->measured[0])) && X509_sign(x, s->key[by], EVP_sha384()) > 0;
    BN_free(serial);
    return ok;
}

/* PEM of certificates [first, N_CERTS) into out; its length, 0 if it does not fit. */
static size_t write_pem(const struct software *s, int first, char out[SS_CHAIN_MAX])
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL;
    for (int i = first; i < N_CERTS && ok; i++)
        ok = PEM_write_bio_X509(bio, s->cert[i]) == 1;
    char *text = NULL;
    const long n = ok ? BIO_get_mem_data(bio, &text) : 0;
    ok = n > 0 && n <= SS_CHAIN_MAX;
    if (ok)
        memcpy(out, text, (size_t)n);
    BIO_free(bio);
    return ok ? (size_t)n : 0;
}

static uint8_t *put(uint8_t *p, const void *data, size_t n)
{
    return (uint8_t *)memcpy(p, data, n) + n;
}

/* Request and response without the signature; the length. */
static size_t write_report(const struct software *s, uint8_t report[SS_REPORT_MAX], const uint8_t nonce[SS_ATTEST_NONCE])
{
    static const uint8_t ask[] = {0x11, 0xe0, 0x01, 0xff};
    const uint8_t slot = 0, record_bytes = BLOCKS * (7 + SS_ATTEST_HASH), opaque_bytes = 4 + SS_ATTEST_HASH;
    const uint8_t answer[] = {0x11, 0x60, 0, 0, BLOCKS, record_bytes, 0, 0};
    uint8_t own[SS_ATTEST_NONCE], *p = report;
    if (RAND_bytes(own, sizeof own) != 1)
        return 0;
    p = put(p, ask, sizeof ask);
    p = put(p, nonce, SS_ATTEST_NONCE);
    p = put(p, &slot, 1);
    p = put(p, answer, sizeof answer);
    for (int i = 0; i < BLOCKS; i++) {
        const uint8_t head[] = {(uint8_t)(i + 1), 0x01, SS_ATTEST_HASH + 3, 0, 0x01, SS_ATTEST_HASH, 0};
        p = put(p, head, sizeof head);
        p = put(p, s->measured[i], SS_ATTEST_HASH);
    }
    p = put(p, own, sizeof own);
    p = put(p, (const uint8_t[]){opaque_bytes, 0, 20, 0, SS_ATTEST_HASH, 0}, 6);
    p = put(p, s->measured[0], SS_ATTEST_HASH);
    return (size_t)(p - report);
}

/* r | s of 48 bytes each. */
static bool sign(uint8_t out[2 * P384], EVP_PKEY *key, const uint8_t *body, size_t n)
{
    uint8_t der[128];
    const uint8_t *at = der;
    size_t der_bytes = sizeof der;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key) == 1 &&
              EVP_DigestSign(ctx, der, &der_bytes, body, n) == 1;
    ECDSA_SIG *sig = ok ? d2i_ECDSA_SIG(NULL, &at, (long)der_bytes) : NULL;
    ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, P384) == P384 &&
         BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + P384, P384) == P384;
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    return ok;
}

static enum ss_err attest(struct ss_attestor *a, struct ss_evidence *e, const uint8_t nonce[SS_ATTEST_NONCE])
{
    const struct software *s = a->state;
    const size_t body = write_report(s, e->report, nonce);
    if (body == 0 || !sign(e->report + body, s->key[SIGNER], e->report, body))
        SS_FAIL(SS_ENV, "OpenSSL could not sign an attestation report; is its default provider loaded?");
    e->report_bytes = body + 2 * P384;
    memcpy(e->chain, s->chain, s->chain_bytes);
    e->chain_bytes = s->chain_bytes;
    return SS_OK;
}

static void close_software(struct ss_attestor *a)
{
    struct software *s = a->state;
    for (int i = 0; i < N_CERTS; i++) {
        X509_free(s->cert[i]);
        EVP_PKEY_free(s->key[i]);
    }
    free(s);
}

enum ss_err ss_attestor_software(struct ss_attestor *a)
{
    struct software *s = calloc(1, sizeof *s);
    if (!s)
        SS_FAIL(SS_ENV, "out of memory for a software attestor");
    *a = (struct ss_attestor){
        .cc_mode = SS_CC_EMULATED, .attestation = SS_CC_SOFTWARE, .attest = attest, .close = close_software, .state = s};
    bool ok = measure_program(s->measured[0]) && sha384(s->measured[1], ss_version_commit, strlen(ss_version_commit));
    for (int i = ROOT; i >= SIGNER && ok; i--)
        ok = make_cert(s, i);
    s->chain_bytes = ok ? write_pem(s, SIGNER, s->chain) : 0;
    a->root_bytes = ok ? write_pem(s, ROOT, a->root) : 0;
    if (s->chain_bytes && a->root_bytes)
        return SS_OK;
    ss_attestor_close(a);
    SS_FAIL(SS_ENV,
            "OpenSSL could not make the software attestor's certificates; is /proc mounted and its default provider loaded?");
}
