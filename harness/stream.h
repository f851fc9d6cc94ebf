/* stream.h — bytes to and from another process: a TCP socket, alone or under TLS 1.3 with pinned keys. Sockets do not block;
   opening one waits until a deadline. */
#ifndef SS_STREAM_H
#define SS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

enum { SS_KEY_DIGEST = 32 }; /* SHA-256 of a public key (DER, SubjectPublicKeyInfo) */

struct ss_stream {
    int fd;                     /* -1: closed */
    struct ssl_st *ssl;         /* NULL: plain TCP */
    char peer[80];              /* "127.0.0.1:7001" */
    uint8_t key[SS_KEY_DIGEST]; /* under TLS: the peer's */
    short waits;                /* POLLIN or POLLOUT that TLS needs before it can go on, 0: none */
    uint64_t key_bytes;         /* under TLS: so many bytes go out under one key (tests: few) */
    uint64_t key_used;          /* so many have */
};

/* "host:port" or "[v6]:port". Off loopback without TLS: SS_USAGE. The listener's descriptor is the caller's to close. */
SS_CHECKED enum ss_err ss_stream_listen(int *listener, const char *at, bool tls);
SS_CHECKED enum ss_err ss_stream_accept(struct ss_stream *s, int listener, const char *at, int64_t deadline_ms);
/* Tries again until somebody listens there. */
SS_CHECKED enum ss_err ss_stream_dial(struct ss_stream *s, const char *to, bool tls, int64_t deadline_ms);
void ss_stream_close(struct ss_stream *s);

/* One non-blocking step. */
enum ss_io { SS_IO_DONE, SS_IO_AGAIN, SS_IO_END, SS_IO_BROKEN };
enum ss_io ss_stream_read(struct ss_stream *s, void *to, size_t bytes, size_t *got);
enum ss_io ss_stream_write(struct ss_stream *s, const void *from, size_t bytes, size_t *gone);
/* All of it, before the deadline. */
SS_CHECKED enum ss_err ss_stream_read_all(struct ss_stream *s, void *to, size_t bytes, int64_t deadline_ms);
SS_CHECKED enum ss_err ss_stream_write_all(struct ss_stream *s, const void *from, size_t bytes, int64_t deadline_ms);

/* ---- TLS 1.3 (tls.c). The key is the identity: a certificate is made from it on the spot and never looked at; each side
   accepts the other only if the SHA-256 of its public key is one that it was given. A direction takes its next key after
   SS_TLS_BYTES_A_KEY: RFC 8446, 5.5, allows AES-GCM 2^24.5 records of 2^14 bytes, a few passes of a large model, and OpenSSL
   does not count them. */
#define SS_TLS_BYTES_A_KEY ((uint64_t)1 << 34)
struct ss_tls;
/* key_file: a private key in PEM. pins: n digests, one of which a peer's key must have. */
SS_CHECKED enum ss_err ss_tls_open(struct ss_tls **tls, const char *key_file, const uint8_t (*pins)[SS_KEY_DIGEST], size_t n);
void ss_tls_close(struct ss_tls *tls);
const uint8_t *ss_tls_own_key(const struct ss_tls *tls); /* SS_KEY_DIGEST bytes */
SS_CHECKED enum ss_err ss_tls_secure(struct ss_tls *tls, struct ss_stream *s, bool server, int64_t deadline_ms);
/* Steps of ss_stream_read and ss_stream_write under TLS. */
enum ss_io ss_tls_read(struct ss_stream *s, void *to, size_t bytes, size_t *got);
enum ss_io ss_tls_write(struct ss_stream *s, const void *from, size_t bytes, size_t *gone);
void ss_tls_end(struct ss_stream *s);
#endif
