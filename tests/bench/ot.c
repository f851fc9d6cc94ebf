/* ot.c — throughput of oblivious transfer on this machine: two parties in one process, in-process channel. Nothing is asserted.
   Arguments: threads of each party, standard 1, 2, 4 ... while both parties have a core for each. CPU time is that of both. */
#include <omp.h>
#include <pthread.h>
#include <sodium.h>
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
    enum ss_err (*run)(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b, uint64_t *room);
    size_t n, words; /* words of room */
    const char *unit;
    struct ss_lookup_shape shape;
};
struct party {
    struct ss_ctx c;
    struct ss_ot ot;
    const struct bench *bench;
    uint64_t *room;
    int threads;
    pthread_t thread;
    enum ss_err err;
};

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum ss_err setup(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b, uint64_t *room)
{
    (void)b;
    (void)room;
    return ss_ot_setup(c, ot);
}

/* n random OTs in each direction; room: three messages and the choices */
static enum ss_err random_ots(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b, uint64_t *room)
{
    struct ss_block *m = (struct ss_block *)room;
    SS_TRY(ss_ot_extend(c, ot, &ot->sent, b->n, &ot->received, (uint8_t *)(m + 3 * b->n), b->n));
    SS_TRY(ss_ot_pads_send(ot, &ot->sent, m, m + b->n, 1));
    return ss_ot_pads_recv(ot, &ot->received, m + 2 * b->n, 1);
}

static enum ss_err batch(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b, uint64_t *room)
{
    struct ss_lookup_batch view = ss_lookup_view(&b->shape, b->n, room);
    return ss_source_ot.prepare(c, ot, NULL, &b->shape, b->n, &view);
}

static enum ss_err textbook(struct ss_ctx *c, struct ss_ot *ot, const struct bench *b, uint64_t *room)
{
    const size_t size = (size_t)1 << b->shape.n_bits; /* room: table, masks, result, indices */
    uint64_t *mask = room + size, *w = mask + b->n;
    return ss_textbook_select(c, ot, w, (uint32_t *)(w + b->n), mask, room, b->n, &b->shape);
}

static void *work(void *arg)
{
    struct party *p = arg;
    omp_set_num_threads(p->threads);
    p->err = p->bench->run(&p->c, &p->ot, p->bench, p->room);
    if (p->err != SS_OK)
        ss_channel_abort(p->c.channel);
    return NULL;
}

static int run(struct party party[2])
{
    for (int i = 0; i < 2; i++)
        pthread_create(&party[i].thread, NULL, work, &party[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(party[i].thread, NULL);
    return party[0].err != SS_OK || party[1].err != SS_OK;
}

/* The second of two runs: the first makes the buffers. */
static int measure(struct party party[2], const struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        party[i].bench = b;
        party[i].room = malloc((b->words + 1) * sizeof(uint64_t));
        SS_REQUIRE(party[i].room);
        randombytes_buf(party[i].room, b->words * sizeof(uint64_t));
    }
    int bad = run(party);
    const struct ss_counters before[2] = {party[0].c.counters, party[1].c.counters};
    const double start = now(CLOCK_MONOTONIC), cpu_start = now(CLOCK_PROCESS_CPUTIME_ID);
    bad |= run(party);
    const double s = now(CLOCK_MONOTONIC) - start, cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu_start, n = (double)b->n;
    const struct ss_counters *p0 = &party[0].c.counters, *p1 = &party[1].c.counters;
    const double ots = (double)(p0->ots - before[0].ots);
    printf("%2d %-38s %9.1f ms %9.0f %s/s %8.0f CPU ns %6.1f OTs %6.2f M OTs/s  P0 sends %7.1f B, P1 %7.1f B each\n",
           party[0].threads, b->name, 1e3 * s, n / s, b->unit, 1e9 * cpu / n, ots / n, 1e-6 * ots / s,
           (double)(p0->bytes_offline_p0_p1 - before[0].bytes_offline_p0_p1) / n,
           (double)(p1->bytes_offline_p1_p0 - before[1].bytes_offline_p1_p0) / n);
    fflush(stdout);
    for (int i = 0; i < 2; i++)
        free(party[i].room);
    return bad;
}

static int open_party(struct party *p, int role, struct ss_channel *channel, int threads)
{
    struct ss_ctx *c = &p->c;
    const struct ss_dev_options o = {.threads = threads};
    memset(p, 0, sizeof *p);
    p->threads = threads;
    c->role = role;
    c->backend = c->host = ss_backend_find("cpu");
    c->channel = channel;
    c->phase = SS_OFFLINE;
    c->op = SS_OP_offline;
    if (ss_wire_alloc(&c->wire, 1) != 0 || c->backend->open(&c->dev, &o) != SS_OK || ss_prg_init(&c->prg, 0) != SS_OK)
        return 1;
    c->host_dev = c->dev;
    return 0;
}

static void close_party(struct party *p)
{
    ss_ot_close(&p->c, &p->ot);
    ss_channel_release(&p->c);
    ss_wire_free(&p->c.wire);
    p->c.backend->close(p->c.dev);
}

static int measure_all(int threads)
{
    static struct party party[2];
    struct ss_channel *channel;
    if (ss_channel_new(&channel) != SS_OK || open_party(&party[0], 0, channel, threads) ||
        open_party(&party[1], 1, channel, threads))
        return 1;
    const struct ss_lookup_shape small = {.n_bits = 8, .columns = 1}, plain = {.n_bits = 12, .columns = 1},
                                 both = {.n_bits = 12, .fine_bits = 13, .columns = 2},
                                 fused = {.n_bits = 12, .fine_bits = 13, .columns = 2, .fused = true};
    enum { LOOKUPS = 1 << 15, OTS = 1 << 20, FEW = 4096 };
    const struct bench benches[] = {
        {"setup: 128 base OTs each way, trees", setup, 1, 0, "setups", small},
        {"random OTs, each way at once", random_ots, OTS, 7 * OTS, "pairs", small},
        {"source ot, N 256, one column", batch, LOOKUPS, ss_lookup_words(&small, LOOKUPS), "lookups", small},
        {"source ot, N 4096, one column", batch, LOOKUPS, ss_lookup_words(&plain, LOOKUPS), "lookups", plain},
        {"source ot, N 4096, two columns", batch, LOOKUPS, ss_lookup_words(&both, LOOKUPS), "lookups", both},
        {"source ot, N 4096, two columns, fused", batch, LOOKUPS, ss_lookup_words(&fused, LOOKUPS), "lookups", fused},
        {"textbook, N 256", textbook, FEW, 256 + 3 * FEW, "lookups", small},
        {"textbook, N 4096", textbook, FEW / 4, 4096 + 3 * FEW, "lookups", plain},
    };
    int bad = 0;
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
        bad |= measure(party, &benches[i]);
    for (int i = 0; i < 2; i++)
        close_party(&party[i]);
    ss_channel_free(channel);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    puts("threads of each party");
    for (int i = 1; i < argc; i++) {
        const int threads = atoi(argv[i]);
        if (threads < 1)
            return SS_USAGE;
        bad |= measure_all(threads);
    }
    for (int threads = 1; argc == 1 && (threads == 1 || 2 * threads <= omp_get_num_procs()); threads *= 2)
        bad |= measure_all(threads);
    return bad;
}
