/* stream.c — sockets. */
#include "harness/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/clock.h"

enum { BACKLOG = 4, RETRY_MS = 100 };

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

/* The first address that `at` names. */
static enum ss_err resolve(struct sockaddr_storage *out, socklen_t *bytes, const char *at, bool listens, bool tls)
{
    char host[256];
    const char *colon = strrchr(at, ':');
    size_t n = colon ? (size_t)(colon - at) : 0;
    if (!colon || n == 0 || n >= sizeof host || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        SS_FAIL(SS_USAGE, "'%s' is no address; write HOST:PORT, e.g. 127.0.0.1:7001", at);
    if (strlen(colon + 1) > 5 || strtoul(colon + 1, NULL, 10) > UINT16_MAX) /* getaddrinfo takes the lower 16 bits */
        SS_FAIL(SS_USAGE, "'%s': a port is at most %d", at, UINT16_MAX);
    bool brackets = at[0] == '[' && at[n - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(brackets ? n - 2 : n), at + brackets);
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (listens ? AI_PASSIVE : 0)};
    int why = getaddrinfo(host, colon + 1, &hints, &found);
    if (why != 0)
        SS_FAIL(SS_USAGE, "address '%s': %s", at, gai_strerror(why));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    *bytes = found->ai_addrlen;
    freeaddrinfo(found);
    if (!tls && !is_loopback((struct sockaddr *)out))
        SS_FAIL(SS_USAGE,
                "'%s' is not on this machine's loopback: give --tls-key and --tls-peer (how: shardscale help forward)", at);
    return SS_OK;
}

static void take_socket(struct ss_stream *s, int fd)
{
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof peer;
    char host[60], port[10];
    const int on = 1;
    *s = (struct ss_stream){.fd = fd};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    snprintf(s->peer, sizeof s->peer, "unknown address");
    if (getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0 &&
        getnameinfo((struct sockaddr *)&peer, bytes, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) ==
            0)
        snprintf(s->peer, sizeof s->peer, "%s:%s", host, port);
}

/* Waits for one of `events`; false when the deadline has passed. */
static bool ready(int fd, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = deadline_ms - ss_now_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n > 0)
            return true;
        if (n == 0 && left <= 0)
            return false;
    }
}

enum ss_err ss_stream_listen(int *listener, const char *at, bool tls)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = 0;
    const int on = 1;
    SS_TRY(resolve(&address, &bytes, at, true, tls));
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        SS_FAIL(SS_ENV, "cannot make a socket for '%s': %s", at, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, bytes) != 0 || listen(fd, BACKLOG) != 0) {
        int why = errno;
        close(fd);
        SS_FAIL(SS_ENV, "cannot listen at '%s': %s", at, strerror(why));
    }
    *listener = fd;
    return SS_OK;
}

enum ss_err ss_stream_accept(struct ss_stream *s, int listener, const char *at, int64_t deadline_ms)
{
    while (ready(listener, POLLIN, deadline_ms)) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_socket(s, fd);
            return SS_OK;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            SS_FAIL(SS_ENV, "cannot accept a connection at '%s': %s", at, strerror(errno));
    }
    SS_FAIL(SS_ENV, "nobody connected to '%s' in time; start the other processes, or raise --timeout", at);
}

/* 0 or errno. */
static int try_once(int *out, const struct sockaddr_storage *address, socklen_t bytes, int64_t deadline_ms)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), why = 0;
    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)address, bytes) != 0) {
        socklen_t size = sizeof why;
        why = errno;
        if (why == EINPROGRESS && (!ready(fd, POLLOUT, deadline_ms) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0))
            why = ETIMEDOUT;
    }
    if (why != 0)
        close(fd);
    else
        *out = fd;
    return why;
}

enum ss_err ss_stream_dial(struct ss_stream *s, const char *to, bool tls, int64_t deadline_ms)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = 0;
    SS_TRY(resolve(&address, &bytes, to, false, tls));
    for (;;) {
        int fd = -1, why = try_once(&fd, &address, bytes, deadline_ms);
        if (why == 0) {
            take_socket(s, fd);
            return SS_OK;
        }
        if (ss_now_ms() + RETRY_MS > deadline_ms)
            SS_FAIL(SS_ENV, "cannot connect to '%s': %s; start the process that listens there, or raise --timeout", to,
                    strerror(why));
        poll(NULL, 0, RETRY_MS);
    }
}

void ss_stream_close(struct ss_stream *s)
{
    if (s->fd < 0)
        return;
    if (s->ssl)
        ss_tls_end(s);
    close(s->fd);
    *s = (struct ss_stream){.fd = -1};
}

static enum ss_io outcome(ssize_t n, size_t *moved)
{
    if (n > 0) {
        *moved = (size_t)n;
        return SS_IO_DONE;
    }
    return n == 0 ? SS_IO_END : errno == EAGAIN || errno == EINTR ? SS_IO_AGAIN : SS_IO_BROKEN;
}

enum ss_io ss_stream_read(struct ss_stream *s, void *to, size_t bytes, size_t *got)
{
    return s->ssl ? ss_tls_read(s, to, bytes, got) : outcome(recv(s->fd, to, bytes, 0), got);
}

enum ss_io ss_stream_write(struct ss_stream *s, const void *from, size_t bytes, size_t *gone)
{
    return s->ssl ? ss_tls_write(s, from, bytes, gone) : outcome(send(s->fd, from, bytes, MSG_NOSIGNAL), gone);
}

static enum ss_err wait_more(struct ss_stream *s, enum ss_io io, short events, int64_t deadline_ms)
{
    if (io == SS_IO_END || io == SS_IO_BROKEN)
        SS_FAIL(SS_ENV, "%s closed the connection; its own message says why", s->peer);
    if (io == SS_IO_AGAIN && !ready(s->fd, s->waits ? s->waits : events, deadline_ms))
        SS_FAIL(SS_ENV, "%s did not answer in time; raise --timeout if its machine is only slow", s->peer);
    return SS_OK;
}

enum ss_err ss_stream_read_all(struct ss_stream *s, void *to, size_t bytes, int64_t deadline_ms)
{
    for (size_t at = 0, got = 0; at < bytes; at += got, got = 0)
        SS_TRY(wait_more(s, ss_stream_read(s, (char *)to + at, bytes - at, &got), POLLIN, deadline_ms));
    return SS_OK;
}

enum ss_err ss_stream_write_all(struct ss_stream *s, const void *from, size_t bytes, int64_t deadline_ms)
{
    for (size_t at = 0, gone = 0; at < bytes; at += gone, gone = 0)
        SS_TRY(wait_more(s, ss_stream_write(s, (const char *)from + at, bytes - at, &gone), POLLOUT, deadline_ms));
    return SS_OK;
}
