/* channel_local.c — transport among threads: one queue of message buffers per ordered pair of roles. Message bytes stay in
   backend memory (device to device on CUDA); the host threads only pass the turn. */
#include "harness/transport.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A round is short against putting a thread to sleep and waking it: a waiter looks this often, some tens of microseconds,
   before it sleeps. */
enum { SLOTS = 4, LOOKS = 1000 };

struct slot {
    struct ss_buf buf;
    size_t bytes;
    char what[5];
    void *written, *read; /* fences of the sender's and of the receiver's stream */
};
struct queue {
    struct slot slot[SLOTS];
    atomic_size_t sent, taken; /* messages so far */
};
struct local {
    struct ss_channel base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool aborted;
    int waiting;                                /* roles in ss_meet ... */
    unsigned meeting;                           /* ... of this number */
    struct queue queue[SS_N_ROLES][SS_N_ROLES]; /* [from][to] */
};

static struct local *of(struct ss_channel *ch)
{
    return (struct local *)ch;
}

static void local_free(struct ss_channel *channel)
{
    struct local *ch = of(channel);
    pthread_mutex_destroy(&ch->lock);
    pthread_cond_destroy(&ch->changed);
    free(ch);
}

static void local_abort(struct ss_channel *channel)
{
    struct local *ch = of(channel);
    pthread_mutex_lock(&ch->lock);
    ch->aborted = true;
    pthread_cond_broadcast(&ch->changed);
    pthread_mutex_unlock(&ch->lock);
}

static void local_release(struct ss_ctx *c)
{
    struct local *ch = of(c->channel);
    for (int other = 0; other < SS_N_ROLES; other++)
        for (int i = 0; i < SLOTS; i++) {
            struct slot *out = &ch->queue[c->role][other].slot[i];
            struct slot *in = &ch->queue[other][c->role].slot[i];
            ss_buf_free(c, &out->buf);
            if (out->written)
                c->backend->fence_free(c->dev, out->written);
            if (in->read)
                c->backend->fence_free(c->dev, in->read);
            out->written = in->read = NULL;
        }
}

static bool turn_has_come(const struct queue *q, bool sender)
{
    const size_t sent = atomic_load_explicit(&q->sent, memory_order_acquire);
    const size_t taken = atomic_load_explicit(&q->taken, memory_order_acquire);
    return sender ? sent - taken != SLOTS : sent != taken;
}

/* Waits until the queue has a free slot (sender) or a message (receiver); SS_ENV without a word if the session was aborted:
   the role that failed has said why. */
static enum ss_err wait_turn(struct local *ch, const struct queue *q, bool sender)
{
    for (int i = 0; i < LOOKS && !ch->aborted; i++) {
        if (turn_has_come(q, sender))
            return SS_OK;
        __builtin_ia32_pause();
    }
    pthread_mutex_lock(&ch->lock);
    while (!ch->aborted && !turn_has_come(q, sender))
        pthread_cond_wait(&ch->changed, &ch->lock);
    bool aborted = ch->aborted;
    pthread_mutex_unlock(&ch->lock);
    return aborted ? SS_ENV : SS_OK;
}

static void pass_turn(struct local *ch, atomic_size_t *count)
{
    pthread_mutex_lock(&ch->lock);
    atomic_fetch_add_explicit(count, 1, memory_order_release);
    pthread_cond_broadcast(&ch->changed);
    pthread_mutex_unlock(&ch->lock);
}

static enum ss_err local_put(struct ss_ctx *c, int role, const char *what, const void *data, size_t bytes)
{
    struct local *ch = of(c->channel);
    struct queue *q = &ch->queue[c->role][role];
    SS_TRY(wait_turn(ch, q, true));
    struct slot *s = &q->slot[q->sent % SLOTS];
    if (s->buf.bytes < bytes) {
        if (s->read) /* the receiver may still be copying out of the old buffer */
            SS_TRY(c->backend->fence_wait(c->dev, s->read));
        SS_TRY(c->backend->sync(c->dev));
        ss_buf_free(c, &s->buf);
        SS_TRY(ss_buf_alloc(c, &s->buf, bytes, SS_TAG_buffers));
    }
    if (!s->written)
        SS_TRY(c->backend->fence_new(c->dev, &s->written));
    if (s->read)
        SS_TRY(c->backend->fence_wait(c->dev, s->read));
    SS_TRY(c->backend->copy(c->dev, s->buf.p, data, bytes));
    SS_TRY(c->backend->fence_record(c->dev, s->written));
    s->bytes = bytes;
    memcpy(s->what, what, 5);
    pass_turn(ch, &q->sent);
    return SS_OK;
}

static enum ss_err local_take(struct ss_ctx *c, int role, const char *what, void *data, size_t bytes)
{
    struct local *ch = of(c->channel);
    struct queue *q = &ch->queue[role][c->role];
    SS_TRY(wait_turn(ch, q, false));
    struct slot *s = &q->slot[q->taken % SLOTS];
    if (strcmp(s->what, what) != 0 || s->bytes != bytes)
        SS_FAIL(SS_ENV, "role %d got frame '%s' of %zu bytes from role %d where '%s' of %zu bytes was due", c->role, s->what,
                s->bytes, role, what, bytes);
    if (!s->read)
        SS_TRY(c->backend->fence_new(c->dev, &s->read));
    SS_TRY(c->backend->fence_wait(c->dev, s->written));
    SS_TRY(c->backend->copy(c->dev, data, s->buf.p, bytes));
    SS_TRY(c->backend->fence_record(c->dev, s->read));
    pass_turn(ch, &q->taken);
    return SS_OK;
}

static enum ss_err local_meet(struct ss_ctx *c, int n)
{
    struct local *ch = of(c->channel);
    pthread_mutex_lock(&ch->lock);
    unsigned meeting = ch->meeting;
    if (++ch->waiting == n) {
        ch->waiting = 0;
        ch->meeting++;
        pthread_cond_broadcast(&ch->changed);
    }
    while (!ch->aborted && meeting == ch->meeting)
        pthread_cond_wait(&ch->changed, &ch->lock);
    bool aborted = ch->aborted;
    pthread_mutex_unlock(&ch->lock);
    return aborted ? SS_ENV : SS_OK;
}

static const struct ss_transport threads = {
    .put = local_put,
    .take = local_take,
    .meet = local_meet,
    .one_process = true,
    .abort = local_abort,
    .release = local_release,
    .free = local_free,
};

enum ss_err ss_channel_new(struct ss_channel **out)
{
    struct local *ch = calloc(1, sizeof *ch);
    *out = (struct ss_channel *)ch;
    if (!ch)
        SS_FAIL(SS_ENV, "out of memory for a channel");
    ch->base.via = &threads;
    pthread_mutex_init(&ch->lock, NULL);
    pthread_cond_init(&ch->changed, NULL);
    return SS_OK;
}
