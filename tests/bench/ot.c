/* ot.c — throughput of oblivious transfer on this machine: two roles, one thread each, in-process channel. Nothing is asserted.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/channel.h"
#include "variants/lib/gilboa.h"
#include "variants/lib/lookup.h"
#include "variants/lib/textbook.h"

struct bench {
    const char *name;
    enum ss_err (*run)(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b);
    size_t n;
    const char *unit;
    struct ss_lookup_shape shape;
};
struct party {
    struct ss_ctx c;
    struct ss_ot ot;
    const struct bench *bench;
    pthread_t thread;
    enum ss_err err;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum ss_err setup(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b)
{
    (void)b;
    return ss_ot_setup(c, ot);
}

/* n random OTs in each direction */
static enum ss_err random_ots(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b)
{
    struct ss_ot_batch send = {0}, recv = {0};
    uint8_t *choice = calloc(b->n, 1);
    struct ss_block *m = malloc(3 * b->n * sizeof *m);
    SS_REQUIRE(choice && m);
    memset(m, 0, 3 * b->n * sizeof *m);
    SS_TRY(ss_ot_extend(c, ot, &send, b->n, &recv, choice, b->n));
    SS_TRY(ss_ot_pads_send(ot, &send, m, m + b->n, 1));
    SS_TRY(ss_ot_pads_recv(ot, &recv, m + 2 * b->n, 1));
    ss_ot_batch_free(c, &send);
    ss_ot_batch_free(c, &recv);
    free(choice);
    free(m);
    return SS_OK;
}

static enum ss_err batch(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b)
{
    uint64_t *words = calloc(ss_lookup_words(&b->shape, b->n), sizeof *words);
    SS_REQUIRE(words);
    struct ss_lookup_batch view = ss_lookup_view(&b->shape, b->n, words);
    enum ss_err err = ss_source_ot.prepare(c, ot, NULL, &b->shape, b->n, &view);
    free(words);
    return err;
}

static enum ss_err textbook(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b)
{
    const size_t size = (size_t)1 << b->shape.n_bits;
    uint64_t *words = calloc(size + 2 * b->n, sizeof *words);
    uint32_t *t = calloc(b->n, sizeof *t);
    SS_REQUIRE(words && t);
    enum ss_err err = ss_textbook_select(c, ot, words, t, words + b->n, words + 2 * b->n, b->n, &b->shape);
    free(words);
    free(t);
    return err;
}

static void *work(void *arg)
{
    struct party *p = arg;
    p->err = p->bench->run(&p->c, &p->ot, p->bench);
    if (p->err != SS_OK)
        ss_channel_abort(p->c.channel);
    return NULL;
}

static int measure(struct party party[2], const struct bench *b)
{
    const struct ss_counters before = party[0].c.counters;
    const double start = now();
    for (int i = 0; i < 2; i++) {
        party[i].bench = b;
        pthread_create(&party[i].thread, NULL, work, &party[i]);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(party[i].thread, NULL);
    const double s = now() - start;
    const struct ss_counters *c = &party[0].c.counters;
    if (party[0].err != SS_OK || party[1].err != SS_OK)
        return 1;
    printf("%-44s %9.3f ms  %10.0f %s/s  %7.0f ns  %5.2f OTs  P0 sends %8.1f B, P1 %8.1f B each\n", b->name, 1e3 * s,
           (double)b->n / s, b->unit, 1e9 * s / (double)b->n, (double)(c->ots - before.ots) / (double)b->n,
           (double)(c->bytes_offline_p0_p1 - before.bytes_offline_p0_p1) / (double)b->n,
           (double)party[1].c.counters.bytes_offline_p1_p0 / (double)b->n);
    party[1].c.counters.bytes_offline_p1_p0 = 0;
    return 0;
}

int main(void)
{
    static struct party party[2];
    struct ss_channel *channel;
    struct ss_dev_options o = {.threads = 1};
    if (ss_channel_new(&channel) != SS_OK)
        return 5;
    for (int i = 0; i < 2; i++) {
        struct ss_ctx *c = &party[i].c;
        c->role = i;
        c->backend = c->host = ss_backend_find("cpu");
        c->channel = channel;
        c->phase = SS_OFFLINE;
        c->op = SS_OP_offline;
        if (ss_wire_alloc(&c->wire, 1) != 0 || c->backend->open(&c->dev, &o) != SS_OK || ss_prg_init(&c->prg, 0) != SS_OK)
            return 5;
        c->host_dev = c->dev;
    }
    const struct ss_lookup_shape small = {.n_bits = 8, .columns = 1},
                                 fused = {.n_bits = 12, .fine_bits = 13, .columns = 2, .fused = true};
    const struct ss_lookup_shape plain = {.n_bits = 12, .columns = 1}, both = {.n_bits = 12, .fine_bits = 13, .columns = 2};
    const struct bench benches[] = {
        {"setup: 128 base OTs each way, trees", setup, 1, "setups", small},
        {"random OTs, each way at once", random_ots, 1 << 16, "OT pairs", small},
        {"random OTs, each way at once", random_ots, 1 << 20, "OT pairs", small},
        {"source ot, N 256, one column", batch, 4096, "lookups", small},
        {"source ot, N 4096, one column", batch, 4096, "lookups", plain},
        {"source ot, N 4096, two columns", batch, 4096, "lookups", both},
        {"source ot, N 4096, two columns, fused", batch, 4096, "lookups", fused},
        {"textbook, N 256", textbook, 4096, "lookups", small},
        {"textbook, N 4096", textbook, 1024, "lookups", plain},
    };
    int bad = 0;
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
        bad |= measure(party, &benches[i]);
    return bad;
}
