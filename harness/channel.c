/* channel.c — in-process transport: one queue of message buffers per ordered pair of roles. Message bytes stay in backend
   memory (device to device on CUDA); the host threads only pass the turn. */
#include "harness/channel.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4 };

struct slot {
    struct ss_buf buf;
    size_t bytes;
    char what[5];
    void *written, *read; /* fences of the sender's and of the receiver's stream */
};
struct queue {
    struct slot slot[SLOTS];
    size_t sent, taken; /* messages so far */
};
struct ss_channel {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool aborted;
    int waiting;                                /* roles in ss_meet ... */
    unsigned meeting;                           /* ... of this number */
    struct queue queue[SS_N_ROLES][SS_N_ROLES]; /* [from][to] */
    ss_tap tap;
    void *tap_arg;
};

enum ss_err ss_channel_new(struct ss_channel **ch)
{
    *ch = calloc(1, sizeof **ch);
    if (!*ch)
        SS_FAIL(SS_ENV, "out of memory for a channel");
    pthread_mutex_init(&(*ch)->lock, NULL);
    pthread_cond_init(&(*ch)->changed, NULL);
    return SS_OK;
}

void ss_channel_free(struct ss_channel *ch)
{
    if (!ch)
        return;
    pthread_mutex_destroy(&ch->lock);
    pthread_cond_destroy(&ch->changed);
    free(ch);
}

void ss_channel_tap(struct ss_channel *ch, ss_tap tap, void *arg)
{
    ch->tap = tap;
    ch->tap_arg = arg;
}

static enum ss_err show(struct ss_ctx *c, int to, const char *what, const void *data, size_t bytes)
{
    void *h_data = malloc(bytes);
    if (!h_data)
        SS_FAIL(SS_ENV, "out of memory for a %zu-byte message to be shown", bytes);
    enum ss_err err = c->backend->download(c->dev, h_data, data, bytes);
    if (err == SS_OK)
        c->channel->tap(c->channel->tap_arg, c->role, to, what, h_data, bytes);
    free(h_data);
    return err;
}

void ss_channel_abort(struct ss_channel *ch)
{
    pthread_mutex_lock(&ch->lock);
    ch->aborted = true;
    pthread_cond_broadcast(&ch->changed);
    pthread_mutex_unlock(&ch->lock);
}

void ss_channel_release(struct ss_ctx *c)
{
    if (!c->channel)
        return;
    for (int other = 0; other < SS_N_ROLES; other++)
        for (int i = 0; i < SLOTS; i++) {
            struct slot *out = &c->channel->queue[c->role][other].slot[i];
            struct slot *in = &c->channel->queue[other][c->role].slot[i];
            ss_buf_free(c, &out->buf);
            if (out->written)
                c->backend->fence_free(c->dev, out->written);
            if (in->read)
                c->backend->fence_free(c->dev, in->read);
            out->written = in->read = NULL;
        }
}

static enum ss_dir direction(int from, int to)
{
    if (from == SS_DEALER)
        return to == SS_P0 ? SS_D_P0 : SS_D_P1;
    SS_REQUIRE(to != SS_DEALER); /* nothing that a party knows ever goes to the dealer */
    return from == SS_P0 ? SS_P0_P1 : SS_P1_P0;
}

/* Waits until the queue has a free slot (sender) or a message (receiver); SS_ENV without a word if the session was aborted:
   the role that failed has said why. */
static enum ss_err wait_turn(struct ss_channel *ch, const struct queue *q, bool sender)
{
    pthread_mutex_lock(&ch->lock);
    while (!ch->aborted && (sender ? q->sent - q->taken == SLOTS : q->sent == q->taken))
        pthread_cond_wait(&ch->changed, &ch->lock);
    bool aborted = ch->aborted;
    pthread_mutex_unlock(&ch->lock);
    return aborted ? SS_ENV : SS_OK;
}

static void pass_turn(struct ss_channel *ch, size_t *count)
{
    pthread_mutex_lock(&ch->lock);
    ++*count;
    pthread_cond_broadcast(&ch->changed);
    pthread_mutex_unlock(&ch->lock);
}

static enum ss_err put(struct ss_ctx *c, int role, const char *what, const void *data, size_t bytes)
{
    SS_REQUIRE(strlen(what) == 4 && bytes > 0);
    enum ss_dir dir = direction(c->role, role);
    struct queue *q = &c->channel->queue[c->role][role];
    SS_TRY(wait_turn(c->channel, q, true));
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
    if (c->channel->tap)
        SS_TRY(show(c, role, what, data, bytes));
    s->bytes = bytes;
    memcpy(s->what, what, 5);

    int64_t *counted = ss_counters_bytes(&c->counters, c->phase, dir);
    SS_REQUIRE(counted); /* a dealer message outside the offline phase */
    *counted += (int64_t)bytes;
    c->wire.bytes[(c->layer * SS_N_OPS + c->op) * SS_N_DIRS + dir] += (int64_t)bytes;
    pass_turn(c->channel, &q->sent);
    return SS_OK;
}

static enum ss_err take(struct ss_ctx *c, int role, const char *what, void *data, size_t bytes)
{
    struct queue *q = &c->channel->queue[role][c->role];
    SS_TRY(wait_turn(c->channel, q, false));
    struct slot *s = &q->slot[q->taken % SLOTS];
    if (strcmp(s->what, what) != 0 || s->bytes != bytes)
        SS_FAIL(SS_ENV, "role %d got frame '%s' of %zu bytes from role %d where '%s' of %zu bytes was due", c->role, s->what,
                s->bytes, role, what, bytes);
    if (!s->read)
        SS_TRY(c->backend->fence_new(c->dev, &s->read));
    SS_TRY(c->backend->fence_wait(c->dev, s->written));
    SS_TRY(c->backend->copy(c->dev, data, s->buf.p, bytes));
    SS_TRY(c->backend->fence_record(c->dev, s->read));
    pass_turn(c->channel, &q->taken);
    return SS_OK;
}

static void count_round(struct ss_ctx *c)
{
    ++*ss_counters_rounds(&c->counters, c->phase);
    ++c->wire.rounds[c->layer * SS_N_OPS + c->op];
}

enum ss_err ss_send(struct ss_ctx *c, int role, const char *what, const void *data, size_t bytes)
{
    SS_TRY(put(c, role, what, data, bytes));
    if (c->role != SS_DEALER)
        count_round(c);
    return SS_OK;
}

enum ss_err ss_recv(struct ss_ctx *c, int role, const char *what, void *data, size_t bytes)
{
    SS_TRY(take(c, role, what, data, bytes));
    if (role != SS_DEALER)
        count_round(c);
    return SS_OK;
}

enum ss_err ss_exchange(struct ss_ctx *c, const char *what, const void *send, void *recv, size_t bytes)
{
    SS_TRY(put(c, 1 - c->role, what, send, bytes));
    SS_TRY(take(c, 1 - c->role, what, recv, bytes));
    count_round(c);
    return SS_OK;
}

enum ss_err ss_meet(struct ss_channel *ch, int n)
{
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
