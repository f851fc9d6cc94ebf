/* attest_verify.c — is the evidence what it says it is? X.509, ECDSA and ASN.1 are libcrypto's. */
#include "variants/lib/attest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

enum { CERTS_MAX = 8, P384 = 48, SECURITY_LEVEL = 4 /* OpenSSL's: 192 bits, so P-384 and SHA-384 at least */ };
static const char dice_oid[] = "2.23.133.5.4.1";

struct chain {
    int n;
    X509 *cert[CERTS_MAX]; /* [0] signs the report */
};

static void free_chain(struct chain *c)
{
    for (int i = 0; i < c->n; i++)
        X509_free(c->cert[i]);
    c->n = 0;
}

SS_PRINTF(3, 4) static void say(struct ss_verdict *v, enum ss_check check, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(v->check[check].detail, sizeof v->check[check].detail, fmt, args);
    va_end(args);
}

/* The text is these certificates and nothing else: written again they give the same text, line ends apart. So no altered bit of
   it can stay unseen. */
static bool is_canonical(const struct chain *c, const char *pem, size_t n)
{
    BIO *out = BIO_new(BIO_s_mem());
    bool same = out != NULL;
    for (int i = 0; i < c->n && same; i++)
        same = PEM_write_bio_X509(out, c->cert[i]) == 1;
    char *text = NULL;
    const long text_bytes = same ? BIO_get_mem_data(out, &text) : 0;
    size_t at = 0;
    for (size_t i = 0; i < n && same; i++) {
        if (pem[i] == '\r' && i + 1 < n && pem[i + 1] == '\n')
            continue;
        same = at < (size_t)text_bytes && pem[i] == text[at];
        at++;
    }
    /* the last line end may be missing */
    same = same && (at == (size_t)text_bytes || (at + 1 == (size_t)text_bytes && text[at] == '\n'));
    BIO_free(out);
    return same;
}

/* Why the text is not 1 to CERTS_MAX certificates, NULL if it is. Encrypted ones are refused: with a passphrase given, here "",
   libcrypto does not ask the user for one. */
static const char *read_chain(struct chain *c, const char *pem, size_t n)
{
    c->n = 0;
    BIO *in = n > 0 && n <= 1 << 20 ? BIO_new_mem_buf(pem, (int)n) : NULL;
    X509 *cert;
    while (in && c->n < CERTS_MAX && (cert = PEM_read_bio_X509(in, NULL, NULL, (void *)"")))
        c->cert[c->n++] = cert;
    BIO_free(in);
    ERR_clear_error(); /* the end of the text is one */
    if (c->n == 0)
        return "holds no certificate in PEM";
    return is_canonical(c, pem, n) ? NULL : "holds something else than certificates in PEM, or a damaged one";
}

static void check_root(struct ss_verdict *v, const struct chain *c, const struct chain *root, const char *why)
{
    char name[128] = "";
    if (why)
        say(v, SS_CHECK_root, "the root's text %s", why);
    else if (root->n != 1)
        say(v, SS_CHECK_root, "the root's text holds %d certificates, one is pinned", root->n);
    else if (c->n == 0 || X509_cmp(c->cert[c->n - 1], root->cert[0]) != 0)
        say(v, SS_CHECK_root, "the chain does not end with the pinned root");
    else {
        v->check[SS_CHECK_root].held = true;
        X509_NAME_oneline(X509_get_subject_name(root->cert[0]), name, sizeof name);
        say(v, SS_CHECK_root, "%s", name);
    }
}

/* The chain that was verified must be the chain that was given: no certificate of it is left out. */
static bool is_whole(X509_STORE_CTX *ctx, const struct chain *c)
{
    const STACK_OF(X509) *built = X509_STORE_CTX_get0_chain(ctx);
    if (sk_X509_num(built) != c->n)
        return false;
    for (int i = 0; i < c->n; i++)
        if (X509_cmp(sk_X509_value(built, i), c->cert[i]) != 0)
            return false;
    return true;
}

static void check_chain(struct ss_verdict *v, const struct chain *c, const struct chain *root, const char *why)
{
    if (why || c->n < 2 || root->n != 1) {
        say(v, SS_CHECK_chain, "%s%s", why ? "the chain's text " : "", why ? why : "no chain to a root");
        return;
    }
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    bool ready = store && ctx && between && X509_STORE_add_cert(store, root->cert[0]) == 1;
    for (int i = 1; i < c->n && ready; i++)
        ready = sk_X509_push(between, c->cert[i]) > 0;
    if (ready && X509_STORE_CTX_init(ctx, store, c->cert[0], between) == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
        X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
        if (X509_verify_cert(ctx) != 1)
            say(v, SS_CHECK_chain, "certificate %d: %s", X509_STORE_CTX_get_error_depth(ctx) + 1,
                X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
        else if (!is_whole(ctx, c))
            say(v, SS_CHECK_chain, "holds a certificate that is not part of it");
        else {
            v->check[SS_CHECK_chain].held = true;
            say(v, SS_CHECK_chain, "%d certificates, each signed by the next", c->n);
        }
    } else {
        say(v, SS_CHECK_chain, "OpenSSL could not begin the verification");
    }
    sk_X509_free(between);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
}

static bool is_p384(EVP_PKEY *key)
{
    char group[32] = "";
    return key && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 && strcmp(group, "secp384r1") == 0;
}

/* r | s -> DER, which libcrypto verifies. */
static bool verify_signature(EVP_PKEY *key, struct ss_bytes body, const uint8_t *raw)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, P384, NULL), *s = BN_bin2bn(raw + P384, P384, NULL);
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return false;
    }
    unsigned char *der = NULL;
    const int der_bytes = i2d_ECDSA_SIG(sig, &der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool held = der_bytes > 0 && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, der, (size_t)der_bytes, body.p, body.n) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    ERR_clear_error();
    return held;
}

static void check_signature(struct ss_verdict *v, const struct chain *c, const struct ss_report *r)
{
    EVP_PKEY *key = c->n > 0 ? X509_get0_pubkey(c->cert[0]) : NULL;
    if (!is_p384(key))
        say(v, SS_CHECK_signature, "no certificate with a P-384 key to verify it with");
    else if (!r->signature.p)
        say(v, SS_CHECK_signature, "no report that could be read");
    else if (!verify_signature(key, r->body, r->signature.p))
        say(v, SS_CHECK_signature, "not by the first certificate's key over this report");
    else {
        v->check[SS_CHECK_signature].held = true;
        say(v, SS_CHECK_signature, "ECDSA P-384 over SHA-384 of request and response, %zu measurements", r->blocks);
    }
}

static void check_nonce(struct ss_verdict *v, const struct ss_report *r, const uint8_t *nonce)
{
    bool held = r->nonce.p && memcmp(r->nonce.p, nonce, SS_ATTEST_NONCE) == 0;
    v->check[SS_CHECK_nonce].held = held;
    say(v, SS_CHECK_nonce, held ? "the report answers it" : "the report answers another nonce");
}

/* The extension's contents: SEQUENCE { INTEGER, public key, SEQUENCE { OID sha384, OCTET STRING fwid } }. */
struct dice {
    struct ss_bytes key, fwid;
};

/* Enters (or, of a primitive, spans) the element of this tag at *p, which must lie before end; its contents. */
static struct ss_bytes element(const uint8_t **p, const uint8_t *end, int tag)
{
    long length = 0;
    int found = 0, class = 0;
    const uint8_t *at = *p;
    const int form = at < end ? ASN1_get_object(&at, &length, &found, &class, end - at) : 0x80;
    if (form & 0x80 || form & 1 || found != tag || class != V_ASN1_UNIVERSAL || length > end - at)
        return (struct ss_bytes){NULL, 0};
    *p = at + length;
    return (struct ss_bytes){at, (size_t)length};
}

static bool parse_dice(struct dice *d, const uint8_t *p, size_t n)
{
    static const uint8_t sha384[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02};
    const uint8_t *end = p + n;
    struct ss_bytes all = element(&p, end, V_ASN1_SEQUENCE);
    if (!all.p || p != end)
        return false;
    p = all.p;
    if (!element(&p, end, V_ASN1_INTEGER).p)
        return false;
    const uint8_t *key = p;
    if (!element(&p, end, V_ASN1_SEQUENCE).p)
        return false;
    d->key = (struct ss_bytes){key, (size_t)(p - key)};
    struct ss_bytes pair = element(&p, end, V_ASN1_SEQUENCE);
    if (!pair.p || p != end)
        return false;
    p = pair.p;
    struct ss_bytes oid = element(&p, end, V_ASN1_OBJECT);
    d->fwid = element(&p, end, V_ASN1_OCTET_STRING);
    return oid.n == sizeof sha384 && memcmp(oid.p, sha384, sizeof sha384) == 0 && d->fwid.n == SS_ATTEST_HASH && p == end;
}

static const ASN1_OCTET_STRING *dice_extension(X509 *cert)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(dice_oid, 1);
    const int at = oid ? X509_get_ext_by_OBJ(cert, oid, -1) : -1;
    const bool once = at >= 0 && X509_get_ext_by_OBJ(cert, oid, at) < 0;
    ASN1_OBJECT_free(oid);
    return once ? X509_EXTENSION_get_data(X509_get_ext(cert, at)) : NULL;
}

static void check_fwid(struct ss_verdict *v, const struct chain *c, const struct ss_report *r)
{
    struct dice d;
    const ASN1_OCTET_STRING *found = c->n >= 2 ? dice_extension(c->cert[0]) : NULL;
    if (!found || !parse_dice(&d, ASN1_STRING_get0_data(found), (size_t)ASN1_STRING_length(found))) {
        say(v, SS_CHECK_fwid, "the first certificate states no SHA-384 FWID");
        return;
    }
    unsigned char *issuer = NULL;
    const int issuer_bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->cert[1]), &issuer);
    const bool same_key = issuer_bytes > 0 && d.key.n == (size_t)issuer_bytes && memcmp(d.key.p, issuer, d.key.n) == 0;
    OPENSSL_free(issuer);
    if (!same_key)
        say(v, SS_CHECK_fwid, "the first certificate names another device key than its issuer's");
    else if (r->fwid.n != SS_ATTEST_HASH || memcmp(r->fwid.p, d.fwid.p, SS_ATTEST_HASH) != 0)
        say(v, SS_CHECK_fwid, "the report's differs from the certificate's");
    else {
        v->check[SS_CHECK_fwid].held = true;
        say(v, SS_CHECK_fwid, "FWID %02x%02x%02x%02x..., the certificate's; the device key is its issuer's", d.fwid.p[0],
            d.fwid.p[1], d.fwid.p[2], d.fwid.p[3]);
    }
}

void ss_attest_verify(struct ss_verdict *v, const struct ss_evidence *e, const char *root_pem, size_t root_bytes,
                      const uint8_t nonce[SS_ATTEST_NONCE])
{
    struct ss_report r;
    struct chain c = {0}, root = {0};
    *v = (struct ss_verdict){0};
    const char *why = ss_report_parse(&r, e);
    v->check[SS_CHECK_format].held = why == NULL;
    say(v, SS_CHECK_format, "%s", why ? why : "SPDM 1.1 GET_MEASUREMENTS and its response");
    const char *why_chain = read_chain(&c, e->chain, e->chain_bytes <= SS_CHAIN_MAX ? e->chain_bytes : 0);
    const char *why_root = read_chain(&root, root_pem, root_bytes);
    check_root(v, &c, &root, why_root);
    check_chain(v, &c, &root, why_chain);
    check_signature(v, &c, &r);
    check_nonce(v, &r, nonce);
    check_fwid(v, &c, &r);
    free_chain(&c);
    free_chain(&root);
    v->all = true;
    for (int i = 0; i < SS_N_CHECKS; i++)
        v->all = v->all && v->check[i].held;
}
