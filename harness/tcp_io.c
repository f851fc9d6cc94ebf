/* tcp_io.c — the thread that moves bytes between the links of a process and their sockets. It never blocks but in poll. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/clock.h"
#include "harness/peers.h"
#include "harness/tcp_link.h"

enum { STEP = 1 << 20 /* bytes moved before the lock is given back */, FAREWELL_MS = 1000, MOST_STEPS = 4 };

void ss_tcp_wake(struct ss_tcp *t)
{
    const uint64_t one = 1;
    ssize_t n = write(t->wake, &one, sizeof one);
    (void)n; /* full: it is awake anyway */
}

/* Frames not begun are dropped; the reason follows the one in hand. */
void ss_tcp_give_up(struct ss_tcp *t, const char *why)
{
    if (t->aborted || t->parted)
        return;
    if (!*why)
        why = "it ended before the run was complete";
    t->aborted = true;
    t->aborted_ms = ss_now_ms();
    for (int role = 0; role < SS_N_ROLES; role++) {
        struct ss_link *l = &t->link[role];
        const size_t n = strnlen(why, SS_REASON_BYTES);
        l->mute |= l->stream.ssl && l->retry; /* TLS would take other bytes for the rest of those */
        if (l->own_at == 0) {
            ss_frame_write(l->own, "~end", n);
            memcpy(l->own + SS_FRAME_HEADER, why, n);
            l->own_bytes = SS_FRAME_HEADER + n;
        }
        l->filled = l->emptied + (l->at > 0);
    }
    pthread_cond_broadcast(&t->changed);
    ss_tcp_wake(t);
}

/* One line for the first thing that goes wrong; what follows from it needs none. */
#define LOST(t, l, ...)                                                                                                        \
    do {                                                                                                                       \
        (l)->lost = true;                                                                                                      \
        if (!(t)->aborted) {                                                                                                   \
            enum ss_err said_ = ss_fail(SS_ENV, __FILE__, __LINE__, __VA_ARGS__);                                              \
            (void)said_;                                                                                                       \
        }                                                                                                                      \
        ss_tcp_give_up(t, ss_last_error());                                                                                    \
    } while (0)

static void lost_connection(struct ss_tcp *t, struct ss_link *l)
{
    const bool inside = l->header_at > 0 && !l->paused;
    LOST(t, l, "the connection to %s (%s) was lost%s; there is no result", ss_role_name(l->role), l->stream.peer,
         inside ? " in the middle of a message" : "");
}

/* The peer has ended, or soon will: what it sent before its reason is of no use to anybody. */
static void drain(struct ss_link *l)
{
    l->drains |= l->paused;
    l->paused = false;
}

/* ---- out */

/* One write of at most STEP bytes; false if the socket takes no more for now. */
static bool write_some(struct ss_tcp *t, struct ss_link *l, const uint8_t *from, size_t bytes, size_t *at)
{
    size_t gone = 0, n = bytes - *at < STEP ? bytes - *at : STEP;
    enum ss_io io = ss_stream_write(&l->stream, from + *at, n, &gone);
    l->retry = io == SS_IO_AGAIN;
    l->mute = io == SS_IO_END || io == SS_IO_BROKEN;
    if (l->mute && l->bye_heard)
        lost_connection(t, l);
    else if (l->mute)
        drain(l);
    if (io != SS_IO_DONE)
        return false;
    *at += gone;
    l->spoke_ms = ss_now_ms();
    return true;
}

static bool has_output(const struct ss_link *l)
{
    return !l->lost && !l->mute && (l->filled != l->emptied || l->own_bytes > 0);
}

static void pump_out(struct ss_tcp *t, struct ss_link *l)
{
    if (l->lost || l->mute)
        return;
    if (!has_output(l) && !l->bye_sent && !t->aborted && ss_now_ms() - l->spoke_ms >= SS_BEAT_MS) {
        ss_frame_write(l->own, "~ali", 0);
        l->own_bytes = SS_FRAME_HEADER;
    }
    if (l->own_bytes > 0 && (l->own_at > 0 || l->at == 0)) {
        if (write_some(t, l, l->own, l->own_bytes, &l->own_at) && l->own_at == l->own_bytes)
            l->own_bytes = l->own_at = 0;
    } else if (l->filled != l->emptied) {
        struct ss_post *p = &l->post[l->emptied % SS_POSTS];
        if (write_some(t, l, p->buf.p, p->bytes, &l->at) && l->at == p->bytes) {
            l->at = 0;
            l->emptied++;
            pthread_cond_broadcast(&t->changed);
        }
    }
}

/* ---- in */

/* The frames that are for the io thread itself; true if this was one that is complete without a body. */
static bool own_frame(struct ss_tcp *t, struct ss_link *l)
{
    if (strcmp(l->frame.what, "~ali") == 0 && l->frame.bytes == 0)
        return true;
    if (strcmp(l->frame.what, "~bye") == 0 && l->frame.bytes == 0) {
        l->bye_heard = true;
        pthread_cond_broadcast(&t->changed);
        return true;
    }
    return false;
}

static bool gives_up(const struct ss_link *l)
{
    return strcmp(l->frame.what, "~end") == 0 && l->frame.bytes <= SS_REASON_BYTES;
}

/* The header is here: *body is where the rest goes (NULL is fine for an empty one). False: nowhere yet, or the link is lost. */
static bool destination(struct ss_tcp *t, struct ss_link *l, uint8_t **body)
{
    *body = l->reason;
    if (gives_up(l) || l->drains)
        return true;
    struct ss_due *d = &l->due;
    l->paused = !d->wanted || d->here;
    if (l->paused)
        return false;
    if (strcmp(l->frame.what, d->what) != 0 || l->frame.bytes < d->least || l->frame.bytes > d->most) {
        LOST(t, l, "role %d got frame '%s' of %llu bytes from role %d where '%s' of %zu bytes%s was due", t->role,
             l->frame.what, (unsigned long long)l->frame.bytes, l->role, d->what, d->most,
             d->least < d->most ? " at most" : "");
        return false;
    }
    *body = d->h_to;
    return true;
}

static void frame_complete(struct ss_tcp *t, struct ss_link *l)
{
    l->header_at = l->body_at = 0;
    if (gives_up(l)) {
        char text[SS_REASON_BYTES + 1];
        for (size_t i = 0; i < l->frame.bytes; i++)
            text[i] = (char)(l->reason[i] >= ' ' && l->reason[i] <= '~' ? l->reason[i] : '?');
        text[l->frame.bytes] = '\0';
        LOST(t, l, "%s gave up: %s", ss_role_name(l->role), text);
        return;
    }
    if (l->drains)
        return;
    l->due.bytes = l->frame.bytes;
    l->due.here = true;
    pthread_cond_broadcast(&t->changed);
}

/* One read; false if there is nothing to read for now or nobody wants it. */
static bool pump_in(struct ss_tcp *t, struct ss_link *l)
{
    uint8_t *to = l->header + l->header_at;
    size_t got = 0, n = SS_FRAME_HEADER - l->header_at;
    if (l->bye_heard && l->due.wanted && !l->due.here)
        LOST(t, l, "%s (%s) ended its run where '%s' was due", ss_role_name(l->role), l->stream.peer, l->due.what);
    if (l->lost || l->bye_heard)
        return false;
    if (n == 0) {
        if (!destination(t, l, &to))
            return false;
        n = l->frame.bytes - l->body_at;
        if (l->drains && !gives_up(l))
            n = n < SS_REASON_BYTES ? n : SS_REASON_BYTES;
        else
            to += n ? l->body_at : 0;
    }
    enum ss_io io = n == 0 ? SS_IO_DONE : ss_stream_read(&l->stream, to, n < STEP ? n : STEP, &got);
    if (io == SS_IO_END || io == SS_IO_BROKEN)
        lost_connection(t, l);
    if (io != SS_IO_DONE)
        return false;
    l->heard_ms = ss_now_ms();
    if (l->header_at == SS_FRAME_HEADER) {
        l->body_at += got;
        if (l->body_at == l->frame.bytes)
            frame_complete(t, l);
        return true;
    }
    l->header_at += got;
    if (l->header_at < SS_FRAME_HEADER)
        return true;
    const char *wrong = ss_frame_read(&l->frame, l->header);
    if (wrong)
        LOST(t, l, "%s (%s) sent %s", ss_role_name(l->role), l->stream.peer, wrong);
    else if (own_frame(t, l))
        l->header_at = 0;
    return true;
}

/* ---- the loop */

/* No sign of life. While a frame waits for the role, or after the last one, nothing is read; then only what goes out tells. */
static void check_silence(struct ss_tcp *t, struct ss_link *l, int64_t now)
{
    const bool reads = !l->paused && !l->bye_heard;
    const int64_t sign = !reads && l->spoke_ms > l->heard_ms ? l->spoke_ms : l->heard_ms;
    if (l->lost || (!reads && !has_output(l)))
        l->heard_ms = now;
    else if (now - sign > t->timeout_ms)
        LOST(t, l, "%s (%s) gave no sign of life for %lld s; there is no result (--timeout makes it longer)",
             ss_role_name(l->role), l->stream.peer, (long long)t->timeout_ms / 1000);
}

/* Everything was said that is to be said: a good end, or the reason of a bad one (or its time is over). */
static bool is_over(const struct ss_tcp *t)
{
    if (t->aborted && ss_now_ms() - t->aborted_ms > FAREWELL_MS)
        return true;
    for (int role = 0; role < SS_N_ROLES; role++)
        if (t->link[role].stream.fd >= 0 && has_output(&t->link[role]))
            return false;
    return t->aborted || t->parted;
}

/* Moves what can be moved in one go; true if there is more to do at once. */
static bool pump(struct ss_tcp *t, struct ss_link *l)
{
    const size_t emptied = l->emptied, at = l->at;
    l->stream.waits = 0; /* of an earlier step: what it waited for may not be wanted now */
    pump_out(t, l);
    const short waits = l->stream.waits;
    int steps = 0;
    while (steps < MOST_STEPS && pump_in(t, l))
        steps++;
    l->stream.waits |= waits;
    return steps == MOST_STEPS || l->emptied != emptied || l->at != at;
}

bool ss_tcp_pump(struct ss_tcp *t, struct ss_link *l)
{
    for (int i = 0; i < MOST_STEPS && !t->aborted && !t->parted; i++)
        if (!pump(t, l))
            return has_output(l);
    return true;
}

void *ss_tcp_io(void *arg)
{
    struct ss_tcp *t = arg;
    pthread_mutex_lock(&t->lock);
    while (!is_over(t)) {
        struct pollfd p[SS_N_ROLES + 1] = {{.fd = t->wake, .events = POLLIN}};
        bool more = false;
        for (int role = 0; role < SS_N_ROLES; role++) {
            struct ss_link *l = &t->link[role];
            p[1 + role].fd = -1;
            if (l->stream.fd < 0)
                continue;
            more |= pump(t, l);
            check_silence(t, l, ss_now_ms());
            if (l->lost || (l->bye_heard && !has_output(l)))
                continue;
            p[1 + role].fd = l->stream.fd;
            p[1 + role].events = (short)(l->stream.waits | (l->paused ? POLLRDHUP : POLLIN) | (has_output(l) ? POLLOUT : 0));
        }
        pthread_mutex_unlock(&t->lock);
        int n = poll(p, SS_N_ROLES + 1, more ? 0 : SS_BEAT_MS / 2);
        pthread_mutex_lock(&t->lock);
        uint64_t woken;
        if (p[0].revents && read(t->wake, &woken, sizeof woken) < 0 && errno != EAGAIN)
            n = -1;
        for (int role = 0; n > 0 && role < SS_N_ROLES; role++)
            if (t->link[role].paused && (p[1 + role].revents & (POLLRDHUP | POLLHUP | POLLERR)))
                drain(&t->link[role]);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}
