/* channel_tcp.c — the role's side of a channel over streams: it fills posts, says what is due, and waits. */
#include "harness/channel_tcp.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "harness/clock.h"
#include "harness/tcp_link.h"

static struct ss_tcp *of(struct ss_channel *ch)
{
    return (struct ss_tcp *)ch;
}

static struct ss_link *link_to(struct ss_ctx *c, int role)
{
    struct ss_tcp *t = of(c->channel);
    SS_REQUIRE(c->role == t->role && role >= 0 && role < SS_N_ROLES && t->link[role].stream.fd >= 0);
    return &t->link[role];
}

/* A post with room for the frame, which the caller fills behind the header and then sends off. */
static enum ss_err new_post(struct ss_ctx *c, struct ss_link *l, const char *what, size_t bytes, struct ss_post **out)
{
    struct ss_tcp *t = of(c->channel);
    pthread_mutex_lock(&t->lock);
    while (!t->aborted && l->filled - l->emptied == SS_POSTS)
        pthread_cond_wait(&t->changed, &t->lock);
    bool aborted = t->aborted;
    pthread_mutex_unlock(&t->lock);
    if (aborted)
        return SS_ENV;
    struct ss_post *p = &l->post[l->filled % SS_POSTS];
    p->bytes = SS_FRAME_HEADER + bytes;
    if (p->buf.bytes < p->bytes) {
        ss_buf_free(c, &p->buf);
        SS_TRY(ss_buf_alloc_host(c, &p->buf, p->bytes, SS_TAG_buffers));
    }
    ss_frame_write(p->buf.p, what, bytes);
    *out = p;
    return SS_OK;
}

static void send_off(struct ss_tcp *t, struct ss_link *l)
{
    pthread_mutex_lock(&t->lock);
    if (!t->aborted)
        l->filled++;
    if (ss_tcp_pump(t, l))
        ss_tcp_wake(t);
    pthread_mutex_unlock(&t->lock);
}

static enum ss_err tcp_put(struct ss_ctx *c, int role, const char *what, const void *data, size_t bytes)
{
    struct ss_post *p;
    struct ss_link *l = link_to(c, role);
    SS_REQUIRE(what[0] != '~');
    SS_TRY(new_post(c, l, what, bytes, &p));
    SS_TRY(c->backend->download(c->dev, (uint8_t *)p->buf.p + SS_FRAME_HEADER, data, bytes));
    send_off(of(c->channel), l);
    return SS_OK;
}

enum ss_err ss_tell(struct ss_ctx *c, int role, const char *what, const void *h_data, size_t bytes)
{
    struct ss_post *p;
    struct ss_link *l = link_to(c, role);
    SS_REQUIRE(what[0] == '~');
    SS_TRY(new_post(c, l, what, bytes, &p));
    if (bytes)
        memcpy((uint8_t *)p->buf.p + SS_FRAME_HEADER, h_data, bytes);
    send_off(of(c->channel), l);
    return SS_OK;
}

/* Waits for a frame of `least` to `most` bytes at h_to; *bytes: how many came. */
static enum ss_err receive(struct ss_tcp *t, struct ss_link *l, const char *what, void *h_to, size_t least, size_t most,
                           size_t *bytes)
{
    pthread_mutex_lock(&t->lock);
    l->due = (struct ss_due){.wanted = true, .h_to = h_to, .least = least, .most = most};
    memcpy(l->due.what, what, 5);
    if (ss_tcp_pump(t, l) || !l->due.here)
        ss_tcp_wake(t);
    while (!t->aborted && !l->due.here)
        pthread_cond_wait(&t->changed, &t->lock);
    bool aborted = t->aborted && !l->due.here;
    *bytes = l->due.bytes;
    l->due.wanted = l->due.here = false;
    pthread_mutex_unlock(&t->lock);
    return aborted ? SS_ENV : SS_OK;
}

static enum ss_err tcp_take(struct ss_ctx *c, int role, const char *what, void *data, size_t bytes)
{
    struct ss_tcp *t = of(c->channel);
    struct ss_link *l = link_to(c, role);
    size_t got;
    if (c->backend == c->host)
        return receive(t, l, what, data, bytes, bytes, &got);
    if (t->staging.bytes < bytes) {
        ss_buf_free(c, &t->staging);
        SS_TRY(ss_buf_alloc_host(c, &t->staging, bytes, SS_TAG_buffers));
    }
    SS_TRY(receive(t, l, what, t->staging.p, bytes, bytes, &got));
    return c->backend->upload(c->dev, data, t->staging.p, bytes);
}

enum ss_err ss_hear(struct ss_ctx *c, int role, const char *what, void *h_data, size_t most, size_t *bytes)
{
    SS_REQUIRE(what[0] == '~');
    return receive(of(c->channel), link_to(c, role), what, h_data, 0, most, bytes);
}

/* Everybody tells everybody; nobody goes on before all have. */
static enum ss_err tcp_meet(struct ss_ctx *c, int n)
{
    struct ss_tcp *t = of(c->channel);
    int others = 0;
    size_t none;
    for (int role = 0; role < SS_N_ROLES; role++)
        if (t->link[role].stream.fd >= 0) {
            SS_TRY(ss_tell(c, role, "~met", NULL, 0));
            others++;
        }
    SS_REQUIRE(others == n - 1);
    for (int role = 0; role < SS_N_ROLES; role++)
        if (t->link[role].stream.fd >= 0)
            SS_TRY(ss_hear(c, role, "~met", NULL, 0, &none));
    return SS_OK;
}

static bool all_parted(const struct ss_tcp *t)
{
    for (int role = 0; role < SS_N_ROLES; role++) {
        const struct ss_link *l = &t->link[role];
        if (l->stream.fd >= 0 && (!l->bye_heard || l->filled != l->emptied))
            return false;
    }
    return true;
}

enum ss_err ss_part(struct ss_ctx *c)
{
    struct ss_tcp *t = of(c->channel);
    for (int role = 0; role < SS_N_ROLES; role++)
        if (t->link[role].stream.fd >= 0) {
            pthread_mutex_lock(&t->lock);
            t->link[role].bye_sent = true;
            pthread_mutex_unlock(&t->lock);
            SS_TRY(ss_tell(c, role, "~bye", NULL, 0));
        }
    pthread_mutex_lock(&t->lock);
    while (!t->aborted && !all_parted(t))
        pthread_cond_wait(&t->changed, &t->lock);
    t->parted = !t->aborted;
    bool parted = t->parted;
    pthread_mutex_unlock(&t->lock);
    ss_tcp_wake(t);
    return parted ? SS_OK : SS_ENV;
}

static void give_up(struct ss_tcp *t, const char *why)
{
    pthread_mutex_lock(&t->lock);
    ss_tcp_give_up(t, why);
    pthread_mutex_unlock(&t->lock);
}

/* A role's job has failed: the last error is its own. */
static void tcp_abort(struct ss_channel *ch)
{
    give_up(of(ch), ss_last_error());
}

/* After this no other thread touches the links. If the run is not over, the last error may be about this role's private input:
   the peers do not get it. */
static void stop(struct ss_tcp *t)
{
    give_up(t, "");
    if (t->running)
        pthread_join(t->io, NULL);
    t->running = false;
}

static void tcp_release(struct ss_ctx *c)
{
    struct ss_tcp *t = of(c->channel);
    stop(t);
    for (int role = 0; role < SS_N_ROLES; role++)
        for (int i = 0; i < SS_POSTS; i++)
            ss_buf_free(c, &t->link[role].post[i].buf);
    ss_buf_free(c, &t->staging);
}

static void tcp_free(struct ss_channel *ch)
{
    struct ss_tcp *t = of(ch);
    stop(t);
    for (int role = 0; role < SS_N_ROLES; role++)
        ss_stream_close(&t->link[role].stream);
    if (t->wake >= 0)
        close(t->wake);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    sodium_memzero(t, sizeof *t); /* a frame that nobody took may have passed through */
    free(t);
}

static const struct ss_transport streams = {
    .put = tcp_put,
    .take = tcp_take,
    .meet = tcp_meet,
    .one_process = false,
    .abort = tcp_abort,
    .release = tcp_release,
    .free = tcp_free,
};

enum ss_err ss_channel_tcp(struct ss_channel **out, int role, struct ss_stream stream[SS_N_ROLES], unsigned timeout_s)
{
    enum ss_err err = SS_OK;
    struct ss_tcp *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t) {
        for (int peer = 0; peer < SS_N_ROLES; peer++)
            ss_stream_close(&stream[peer]);
        SS_FAIL(SS_ENV, "out of memory for a channel");
    }
    t->base.via = &streams;
    t->role = role;
    t->timeout_ms = 1000 * (int64_t)timeout_s;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    for (int peer = 0; peer < SS_N_ROLES; peer++) {
        struct ss_link *l = &t->link[peer];
        l->stream = stream[peer];
        l->role = peer;
        l->heard_ms = l->spoke_ms = ss_now_ms();
        stream[peer].fd = -1;
    }
    t->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (t->wake < 0)
        SS_FAIL_OUT(SS_ENV, "cannot make an eventfd: %s", strerror(errno));
    if (pthread_create(&t->io, NULL, ss_tcp_io, t) != 0)
        SS_FAIL_OUT(SS_ENV, "cannot start the thread that moves messages");
    t->running = true;
    *out = &t->base;
    t = NULL;
out:
    if (t)
        tcp_free(&t->base);
    return err;
}
