/* softspoken.c — extension and its use; the trees are in ottree.c, the bit matrices in otbits.c. */
#include "variants/lib/softspoken.h"

#include <omp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "variants/lib/ottree.h"

enum { CHUNK = SS_OTBITS_MAX, BLOCK_OTS = 128 };

/* Room for at least `bytes` on the host, contents lost. */
static enum ss_err grow(struct ss_ctx *c, struct ss_buf *b, size_t bytes)
{
    if (b->bytes >= bytes)
        return SS_OK;
    ss_buf_free(c, b);
    return ss_buf_alloc_host(c, b, bytes, SS_TAG_workspace);
}

enum ss_err ss_ot_room(struct ss_ctx *c, struct ss_ot *ot, enum ss_ot_room which, size_t bytes, void **p)
{
    SS_TRY(grow(c, &ot->room[which], bytes));
    *p = ot->room[which].p;
    return SS_OK;
}

enum ss_err ss_ot_setup(struct ss_ctx *c, struct ss_ot *ot)
{
    struct ss_baseot *base = malloc(sizeof *base);
    enum ss_err err = SS_OK;
    ot->ready = false;
    sodium_memzero(&ot->send, sizeof ot->send);
    sodium_memzero(&ot->recv, sizeof ot->recv);
    ot->threads = omp_get_max_threads();
    if (!base)
        SS_FAIL_OUT(SS_ENV, "out of memory for oblivious transfer");
    SS_TRY_OUT(grow(c, &ot->work, (size_t)ot->threads * sizeof(struct ss_otbits)));
    memset(ot->work.p, 0, ot->work.bytes); /* vectors beyond the last OT are worked on too */
    SS_TRY_OUT(ss_baseot_run(c, &ot->wire, base));
    ss_othash_open(&ot->hash, c, base->public_key);
    SS_TRY_OUT(ss_ottree_build(c, ot, base));
    ot->ready = true;
out:
    if (base)
        sodium_memzero(base, sizeof *base);
    free(base);
    return err;
}

void ss_ot_close(struct ss_ctx *c, struct ss_ot *ot)
{
    ss_buf_free(c, &ot->work);
    for (int i = 0; i < SS_OT_N_ROOMS; i++)
        ss_buf_free(c, &ot->room[i]);
    ss_ot_batch_free(c, &ot->sent);
    ss_ot_batch_free(c, &ot->received);
    ss_hostwire_close(c, &ot->wire);
    sodium_memzero(ot, sizeof *ot);
}

void ss_ot_setup_cost(struct ss_counters *e)
{
    e->bytes_offline_p0_p1 += SS_OT_SETUP_BYTES;
    e->bytes_offline_p1_p0 += SS_OT_SETUP_BYTES;
    e->rounds_offline += SS_OT_SETUP_ROUNDS;
}

static struct ss_otbits *bits_of(const struct ss_ot *ot)
{
    return (struct ss_otbits *)ot->work.p + omp_get_thread_num();
}

static enum ss_err expand(struct ss_ctx *c, struct ss_otbits *w, const struct ss_ot_side *side, size_t group, uint64_t block,
                          size_t n)
{
    const size_t words = 2 * ((n + BLOCK_OTS - 1) / BLOCK_OTS);
    for (size_t x = 0; x < SS_OT_LEAVES; x++)
        SS_TRY(c->host->prg_fill(c->host_dev, (uint64_t *)w->leaf[x], words, &side->leaf[group][x], 0, block));
    return SS_OK;
}

/* Receiver, n <= CHUNK OTs: corrections d (32, ceil(n / 8)) bytes, strings t. */
static enum ss_err extend_receiver(struct ss_ctx *c, const struct ss_ot *ot, struct ss_block *string, uint8_t *d,
                                   const uint8_t *choice, uint64_t block, size_t n)
{
    struct ss_otbits *w = bits_of(ot);
    const size_t bytes = (n + 7) / 8;
    ss_otbits_pack(w, choice, n);
    for (size_t g = 0; g < SS_OT_GROUPS; g++) {
        SS_TRY(expand(c, w, &ot->recv, g, block, n));
        ss_otbits_fold(w, g, n);
        for (size_t i = 0; i < SS_OTBITS_VECS; i++)
            w->sum[i] ^= w->bits[i];
        memcpy(d + g * bytes, w->sum, bytes);
    }
    ss_otbits_strings(string, w, n);
    return SS_OK;
}

static enum ss_err extend_sender(struct ss_ctx *c, const struct ss_ot *ot, struct ss_block *string, const uint8_t *d,
                                 uint64_t block, size_t n)
{
    struct ss_otbits *w = bits_of(ot);
    const size_t bytes = (n + 7) / 8;
    for (size_t g = 0; g < SS_OT_GROUPS; g++) {
        SS_TRY(expand(c, w, &ot->send, g, block, n));
        memset(w->leaf[0], 0, sizeof w->leaf[0]); /* the leaf that this party does not have; its factor is 0 */
        ss_otbits_fold(w, g, n);
        memcpy(w->bits, d + g * bytes, bytes);
        for (size_t t = 0; t < SS_OT_K; t++) {
            const size_t bit = g * SS_OT_K + t;
            const uint64_t mask = -(ot->send.delta.w[bit / 64] >> bit % 64 & 1);
            for (size_t i = 0; i < SS_OTBITS_VECS; i++)
                w->plane[bit][i] ^= mask & w->bits[i];
        }
    }
    ss_otbits_strings(string, w, n);
    return SS_OK;
}

/* Numbers and blocks are taken before anything is made of them: none is ever used twice. */
static enum ss_err batch_open(struct ss_ctx *c, struct ss_ot_batch *b, struct ss_ot_side *side, size_t n, int state,
                              uint64_t *block)
{
    SS_REQUIRE(b->state == SS_OT_NONE || b->state == SS_OT_USED); /* an unused batch would be lost */
    SS_REQUIRE(side->next_id + n >= side->next_id);
    SS_TRY(grow(c, &b->buf, n * sizeof *b->string));
    b->string = b->buf.p;
    b->n = n;
    b->hashed = 0;
    b->first_id = side->next_id;
    b->state = state;
    *block = side->next_block;
    side->next_id += n;
    side->next_block += (n + BLOCK_OTS - 1) / BLOCK_OTS;
    return SS_OK;
}

void ss_ot_batch_free(struct ss_ctx *c, struct ss_ot_batch *b)
{
    ss_buf_free(c, &b->buf);
    *b = (struct ss_ot_batch){.state = SS_OT_NONE};
}

enum ss_err ss_ot_extend(struct ss_ctx *c, struct ss_ot *ot, struct ss_ot_batch *send, size_t n_send, struct ss_ot_batch *recv,
                         const uint8_t *choice, size_t n_recv)
{
    SS_REQUIRE(ot->ready && (n_send || n_recv));
    const size_t out_bytes = (size_t)ss_ot_extend_bytes(n_recv), in_bytes = (size_t)ss_ot_extend_bytes(n_send);
    uint64_t block_send = 0, block_recv = 0;
    enum ss_err err = SS_OK;
    void *room;
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_EXTEND, out_bytes + in_bytes, &room));
    uint8_t *d = room, *theirs = d + out_bytes;
    if (n_recv)
        SS_TRY(batch_open(c, recv, &ot->recv, n_recv, SS_OT_RECEIVER, &block_recv));
    if (n_send)
        SS_TRY(batch_open(c, send, &ot->send, n_send, SS_OT_SENDER, &block_send));
#pragma omp parallel for num_threads(ot->threads) if (n_recv > CHUNK)
    for (size_t i = 0; i < n_recv; i += CHUNK) { /* chunks start at multiples of 128, so only the last has spare bits */
        enum ss_err e = extend_receiver(c, ot, recv->string + i, d + ss_ot_extend_bytes(i), choice + i,
                                        block_recv + i / BLOCK_OTS, n_recv - i < CHUNK ? n_recv - i : CHUNK);
        if (e != SS_OK) {
#pragma omp atomic write
            err = e;
        }
    }
    if (err != SS_OK)
        return err;
    SS_TRY(ss_hostwire_swap(c, &ot->wire, "otex", d, out_bytes, theirs, in_bytes));
#pragma omp parallel for num_threads(ot->threads) if (n_send > CHUNK)
    for (size_t i = 0; i < n_send; i += CHUNK) {
        enum ss_err e = extend_sender(c, ot, send->string + i, theirs + ss_ot_extend_bytes(i), block_send + i / BLOCK_OTS,
                                      n_send - i < CHUNK ? n_send - i : CHUNK);
        if (e != SS_OK) {
#pragma omp atomic write
            err = e;
        }
    }
    c->counters.ots += (int64_t)(n_send + n_recv);
    return err;
}

/* The next n OTs of a batch; returns the first of them. */
static size_t take(struct ss_ot_batch *b, size_t n, int state)
{
    SS_REQUIRE((int)b->state == state && n > 0 && n <= b->n - b->hashed);
    const size_t first = b->hashed;
    b->hashed += n;
    if (b->hashed == b->n)
        b->state = SS_OT_USED;
    return first;
}

/* OTs [first, first + n) of a batch: m0, and m1 unless NULL. */
static enum ss_err pads(const struct ss_ot *ot, const struct ss_ot_batch *b, struct ss_block *m0, struct ss_block *m1,
                        size_t blocks, size_t first, size_t n)
{
    const uint64_t id = b->first_id + first;
    SS_TRY(ss_othash_run(&ot->hash, m0, blocks, b->string + first, NULL, n, id, SS_OT_SPACE_PADS));
    if (!m1)
        return SS_OK;
    return ss_othash_run(&ot->hash, m1, blocks, b->string + first, &ot->send.delta, n, id, SS_OT_SPACE_PADS);
}

static enum ss_err hash_tiles(const struct ss_ot *ot, const struct ss_ot_batch *b, size_t start, size_t n, size_t blocks,
                              bool both, ss_ot_tile_fn fn, void *arg)
{
    enum ss_err err = SS_OK;
    SS_REQUIRE(blocks > 0 && blocks <= SS_OT_MAX_BLOCKS);
#pragma omp parallel num_threads(ot->threads) if (n > SS_OT_TILE)
    {
        struct ss_block m[2][SS_OT_TILE * SS_OT_MAX_BLOCKS];
#pragma omp for
        for (size_t i = 0; i < n; i += SS_OT_TILE) {
            const size_t count = n - i < SS_OT_TILE ? n - i : SS_OT_TILE;
            enum ss_err e = pads(ot, b, m[0], both ? m[1] : NULL, blocks, start + i, count);
            if (e == SS_OK)
                fn(arg, i, count, m[0], both ? m[1] : NULL);
            else {
#pragma omp atomic write
                err = e;
            }
        }
        sodium_memzero(m, sizeof m);
    }
    return err;
}

enum ss_err ss_ot_hash_send(const struct ss_ot *ot, struct ss_ot_batch *b, size_t n, size_t blocks, ss_ot_tile_fn fn, void *arg)
{
    return hash_tiles(ot, b, take(b, n, SS_OT_SENDER), n, blocks, true, fn, arg);
}

enum ss_err ss_ot_hash_recv(const struct ss_ot *ot, struct ss_ot_batch *b, size_t n, size_t blocks, ss_ot_tile_fn fn, void *arg)
{
    return hash_tiles(ot, b, take(b, n, SS_OT_RECEIVER), n, blocks, false, fn, arg);
}

static enum ss_err all_pads(const struct ss_ot *ot, const struct ss_ot_batch *b, struct ss_block *m0, struct ss_block *m1,
                            size_t blocks)
{
    enum ss_err err = SS_OK;
#pragma omp parallel for num_threads(ot->threads) if (b->n > SS_OT_TILE)
    for (size_t i = 0; i < b->n; i += SS_OT_TILE) {
        enum ss_err e =
            pads(ot, b, m0 + i * blocks, m1 ? m1 + i * blocks : NULL, blocks, i, b->n - i < SS_OT_TILE ? b->n - i : SS_OT_TILE);
        if (e != SS_OK) {
#pragma omp atomic write
            err = e;
        }
    }
    return err;
}

enum ss_err ss_ot_pads_send(const struct ss_ot *ot, struct ss_ot_batch *b, struct ss_block *m0, struct ss_block *m1,
                            size_t blocks)
{
    SS_REQUIRE(take(b, b->n, SS_OT_SENDER) == 0);
    return all_pads(ot, b, m0, m1, blocks);
}

enum ss_err ss_ot_pads_recv(const struct ss_ot *ot, struct ss_ot_batch *b, struct ss_block *m, size_t blocks)
{
    SS_REQUIRE(take(b, b->n, SS_OT_RECEIVER) == 0);
    return all_pads(ot, b, m, NULL, blocks);
}
