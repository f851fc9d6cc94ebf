/* tls.c — TLS 1.3 by OpenSSL. Authentication is by pinned public keys alone; names and dates of certificates mean nothing. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/clock.h"
#include "harness/stream.h"

struct ss_tls {
    SSL_CTX *ctx;
    EVP_PKEY *key;
    uint8_t own[SS_KEY_DIGEST];
    size_t n_pins;
    uint8_t pins[2][SS_KEY_DIGEST];
};

static bool digest_of(uint8_t out[SS_KEY_DIGEST], const EVP_PKEY *key)
{
    uint8_t *der = NULL;
    unsigned n = 0;
    int bytes = i2d_PUBKEY(key, &der);
    bool ok = bytes > 0 && EVP_Digest(der, (size_t)bytes, out, &n, EVP_sha256(), NULL) == 1 && n == SS_KEY_DIGEST;
    OPENSSL_free(der);
    return ok;
}

/* OpenSSL calls this in place of its own check of the peer's certificate; the handshake then proves that the peer has the key.
 */
static int verify(X509_STORE_CTX *store, void *arg)
{
    const struct ss_tls *tls = arg;
    uint8_t key[SS_KEY_DIGEST];
    const X509 *cert = X509_STORE_CTX_get0_cert(store);
    const EVP_PKEY *public_key = cert ? X509_get0_pubkey(cert) : NULL;
    if (public_key && digest_of(key, public_key))
        for (size_t i = 0; i < tls->n_pins; i++)
            if (memcmp(key, tls->pins[i], sizeof key) == 0)
                return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

static enum ss_err read_key(struct ss_tls *tls, const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    if (!file)
        SS_FAIL(SS_USAGE, "--tls-key: cannot read '%s' (make one: openssl genpkey -algorithm ed25519 -out '%s')", path, path);
    tls->key = PEM_read_bio_PrivateKey(file, NULL, NULL, (void *)"");
    BIO_free(file);
    if (!tls->key || !digest_of(tls->own, tls->key))
        SS_FAIL(SS_USAGE, "--tls-key: '%s' holds no private key in PEM without a passphrase", path);
    return SS_OK;
}

/* A certificate signed by its own key, because TLS wants one. */
static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    const bool any_digest = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
    if (name && X509_set_version(cert, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -24L * 3600) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), 365L * 24 * 3600) &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"shardscale", -1, -1, 0) &&
        X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
        X509_sign(cert, key, any_digest ? NULL : EVP_sha256()) > 0)
        return cert;
    X509_free(cert);
    return NULL;
}

enum ss_err ss_tls_open(struct ss_tls **out, const char *key_file, const uint8_t (*pins)[SS_KEY_DIGEST], size_t n)
{
    enum ss_err err = SS_OK;
    X509 *cert = NULL;
    struct ss_tls *tls = calloc(1, sizeof *tls);
    *out = NULL;
    if (!tls)
        SS_FAIL(SS_ENV, "out of memory for TLS");
    SS_REQUIRE(n > 0 && n <= sizeof tls->pins / sizeof tls->pins[0]);
    tls->n_pins = n;
    memcpy(tls->pins, pins, n * sizeof *pins);
    SS_TRY_OUT(read_key(tls, key_file));
    tls->ctx = SSL_CTX_new(TLS_method());
    cert = self_signed(tls->key);
    if (!tls->ctx || !cert || !SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) ||
        SSL_CTX_use_certificate(tls->ctx, cert) != 1 || SSL_CTX_use_PrivateKey(tls->ctx, tls->key) != 1 ||
        SSL_CTX_set_num_tickets(tls->ctx, 0) != 1)
        SS_FAIL_OUT(SS_ENV, "OpenSSL cannot use the key in '%s': %s", key_file, ERR_reason_error_string(ERR_peek_last_error()));
    SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(tls->ctx, verify, tls);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets whose other end may be gone */
    *out = tls;
    tls = NULL;
out:
    X509_free(cert);
    ss_tls_close(tls);
    return err;
}

void ss_tls_close(struct ss_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->ctx);
    EVP_PKEY_free(tls->key);
    free(tls);
}

const uint8_t *ss_tls_own_key(const struct ss_tls *tls)
{
    return tls->own;
}

static enum ss_io outcome(struct ss_stream *s, int result)
{
    s->waits = 0;
    if (result > 0)
        return SS_IO_DONE;
    switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        s->waits = POLLIN;
        return SS_IO_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        s->waits = POLLOUT;
        return SS_IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return SS_IO_END;
    default:
        return SS_IO_BROKEN;
    }
}

enum ss_err ss_tls_secure(struct ss_tls *tls, struct ss_stream *s, bool server, int64_t deadline_ms)
{
    s->ssl = SSL_new(tls->ctx);
    s->key_bytes = SS_TLS_BYTES_A_KEY;
    s->key_used = 0;
    if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
        SS_FAIL(SS_ENV, "OpenSSL cannot begin a connection with %s", s->peer);
    for (;;) {
        ERR_clear_error();
        enum ss_io io = outcome(s, server ? SSL_accept(s->ssl) : SSL_connect(s->ssl));
        if (io == SS_IO_DONE)
            break;
        if (io != SS_IO_AGAIN) {
            if (SSL_get_verify_result(s->ssl) != X509_V_OK)
                SS_FAIL(SS_ENV, "%s has a key that no --tls-peer names; the connection is refused", s->peer);
            const char *why = ERR_reason_error_string(ERR_peek_last_error());
            SS_FAIL(SS_ENV, "no TLS 1.3 with %s: %s; do both sides give --tls-key, and each the other's --tls-peer?", s->peer,
                    why ? why : "the connection was closed");
        }
        struct pollfd p = {.fd = s->fd, .events = s->waits};
        int64_t left = deadline_ms - ss_now_ms();
        if (left <= 0)
            SS_FAIL(SS_ENV, "%s did not finish the TLS handshake in time; raise --timeout if its machine is only slow",
                    s->peer);
        poll(&p, 1, (int)left);
    }
    X509 *cert = SSL_get1_peer_certificate(s->ssl);
    bool ok = cert && digest_of(s->key, X509_get0_pubkey(cert));
    X509_free(cert);
    if (!ok)
        SS_FAIL(SS_ENV, "%s showed no key", s->peer);
    return SS_OK;
}

enum ss_io ss_tls_read(struct ss_stream *s, void *to, size_t bytes, size_t *got)
{
    ERR_clear_error();
    return outcome(s, SSL_read_ex(s->ssl, to, bytes, got));
}

enum ss_io ss_tls_write(struct ss_stream *s, const void *from, size_t bytes, size_t *gone)
{
    ERR_clear_error();
    enum ss_io io = outcome(s, SSL_write_ex(s->ssl, from, bytes, gone));
    if (io != SS_IO_DONE)
        return io;
    s->key_used += *gone;
    if (s->key_used < s->key_bytes)
        return SS_IO_DONE;
    s->key_used = 0;
    return SSL_key_update(s->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 ? SS_IO_DONE
                                                                     : SS_IO_BROKEN; /* goes before the next bytes */
}

void ss_tls_end(struct ss_stream *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
}
