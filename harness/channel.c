/* channel.c — what all transports have in common: bytes and rounds are counted here and nowhere else. */
#include "harness/transport.h"

#include <stdlib.h>
#include <string.h>

void ss_channel_free(struct ss_channel *ch)
{
    if (ch)
        ch->via->free(ch);
}

void ss_channel_abort(struct ss_channel *ch)
{
    ch->via->abort(ch);
}

void ss_channel_release(struct ss_ctx *c)
{
    if (c->channel)
        c->channel->via->release(c);
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

static enum ss_dir direction(int from, int to)
{
    if (from == SS_DEALER)
        return to == SS_P0 ? SS_D_P0 : SS_D_P1;
    SS_REQUIRE(to != SS_DEALER); /* nothing that a party knows ever goes to the dealer */
    return from == SS_P0 ? SS_P0_P1 : SS_P1_P0;
}

static enum ss_err put(struct ss_ctx *c, int role, const char *what, const void *data, size_t bytes)
{
    SS_REQUIRE(strlen(what) == 4 && bytes > 0);
    enum ss_dir dir = direction(c->role, role);
    int64_t *counted = ss_counters_bytes(&c->counters, c->phase, dir);
    SS_REQUIRE(counted); /* a dealer message outside the offline phase */
    if (c->channel->tap)
        SS_TRY(show(c, role, what, data, bytes));
    SS_TRY(c->channel->via->put(c, role, what, data, bytes));
    *counted += (int64_t)bytes;
    c->wire.bytes[(c->layer * SS_N_OPS + c->op) * SS_N_DIRS + dir] += (int64_t)bytes;
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
    SS_TRY(c->channel->via->take(c, role, what, data, bytes));
    if (role != SS_DEALER)
        count_round(c);
    return SS_OK;
}

enum ss_err ss_exchange(struct ss_ctx *c, const char *what, const void *send, void *recv, size_t bytes)
{
    SS_TRY(put(c, 1 - c->role, what, send, bytes));
    SS_TRY(c->channel->via->take(c, 1 - c->role, what, recv, bytes));
    count_round(c);
    return SS_OK;
}

enum ss_err ss_meet(struct ss_ctx *c, int n)
{
    return c->channel->via->meet(c, n);
}

enum ss_err ss_meet_here(struct ss_ctx *c, int n)
{
    return c->channel->via->one_process ? ss_meet(c, n) : SS_OK;
}
