/* textbook.c — see textbook.h. */
#include "variants/lib/textbook.h"

#include <omp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "variants/lib/gilboa.h"

/* Words of a message: bounds the memory of a chunk. Space of the hash: apart from ottree.h's. */
enum { MESSAGE_WORDS = 1 << 20, PRODUCT_CHUNK = 16384, SPACE = 2, ID_SHIFT = 16, MAX_BITS = 14 };

static size_t chunk_of(const struct ss_lookup_shape *s)
{
    return (size_t)MESSAGE_WORDS >> s->n_bits;
}

static struct ss_block add(struct ss_block a, struct ss_block b)
{
    return (struct ss_block){{a.w[0] ^ b.w[0], a.w[1] ^ b.w[1]}};
}

/* out[j] = table[(j + by) mod N] for secret `by`: log N conditional rotations, no secret address. tmp (N). */
static void rotate(uint64_t *out, uint64_t *tmp, const uint64_t *table, unsigned n_bits, uint32_t by)
{
    const size_t n = (size_t)1 << n_bits;
    uint64_t *to = n_bits % 2 ? out : tmp, *next = n_bits % 2 ? tmp : out; /* the last rotation ends in out */
    const uint64_t *from = table;
    for (unsigned i = 0; i < n_bits; i++) {
        const size_t step = (size_t)1 << i;
        const uint64_t mask = -(uint64_t)(by >> i & 1);
        for (size_t j = 0; j < n - step; j++)
            to[j] = from[j] ^ (mask & (from[j] ^ from[j + step]));
        for (size_t j = n - step; j < n; j++)
            to[j] = from[j] ^ (mask & (from[j] ^ from[j + step - n]));
        from = to;
        to = next;
        next = (uint64_t *)from;
    }
}

/* P1, one lookup: message (N) and its own share rho. m0, m1 (n_bits): the OT's messages; work: 2 N blocks and N words. */
static enum ss_err offer(const struct ss_ot *ot, uint64_t *message, uint64_t rho, const uint64_t *table, uint32_t t1,
                         const struct ss_block *m0, const struct ss_block *m1, uint64_t number, unsigned n_bits,
                         struct ss_block *work)
{
    const size_t n = (size_t)1 << n_bits;
    struct ss_block *key = work, *pad = work + n;
    uint64_t *tmp = (uint64_t *)(work + 2 * n);
    key[0] = (struct ss_block){{0, 0}};
    for (unsigned i = 0; i < n_bits; i++)
        key[0] = add(key[0], m0[i]);
    for (unsigned i = 0; i < n_bits; i++) { /* keys of the numbers below 2^i are there */
        const struct ss_block both = add(m0[i], m1[i]);
        for (size_t j = 0; j < (size_t)1 << i; j++)
            key[j + ((size_t)1 << i)] = add(key[j], both);
    }
    SS_TRY(ss_othash_run(&ot->hash, pad, 1, key, NULL, n, number << ID_SHIFT, SPACE));
    rotate(message, tmp, table, n_bits, t1);
    for (size_t j = 0; j < n; j++)
        message[j] = message[j] - rho + pad[j].w[0];
    return SS_OK;
}

/* P0: its share of one lookup from all N words, touched alike. */
static enum ss_err accept(const struct ss_ot *ot, uint64_t *out, const uint64_t *message, uint32_t t0, const struct ss_block *m,
                          uint64_t number, unsigned n_bits)
{
    struct ss_block key = {{0, 0}}, pad;
    uint64_t word = 0;
    for (unsigned i = 0; i < n_bits; i++)
        key = add(key, m[i]);
    SS_TRY(ss_othash_run(&ot->hash, &pad, 1, &key, NULL, 1, number << ID_SHIFT | t0, SPACE));
    for (uint64_t j = 0; j < (uint64_t)1 << n_bits; j++)
        word |= message[j] & -(((j ^ t0) - 1) >> 63);
    *out = word - pad.w[0];
    return SS_OK;
}

struct room {
    uint8_t *choice;
    struct ss_block *m, *work; /* (2, m, n_bits) keys; (threads, 3 N) scratch of one lookup */
    uint64_t *message;         /* (m, N) */
};

/* m lookups on host memory: v (m) = shares of T[t]. */
static enum ss_err select_chunk(struct ss_ctx *c, struct ss_ot *ot, struct room *r, uint64_t *v, const uint32_t *t,
                                const uint64_t *table, size_t m, unsigned n_bits)
{
    enum ss_err err = SS_OK;
    struct ss_ot_batch *send = &ot->sent, *recv = &ot->received;
    const size_t n = (size_t)1 << n_bits, ots = m * n_bits, bytes = m * n * sizeof(uint64_t);
    const uint32_t low = (uint32_t)(n - 1);
    if (c->role == SS_P0) {
        for (size_t i = 0; i < ots; i++)
            r->choice[i] = t[i / n_bits] >> i % n_bits & 1;
        SS_TRY(ss_ot_extend(c, ot, NULL, 0, recv, r->choice, ots));
        const uint64_t first = recv->first_id;
        SS_TRY(ss_ot_pads_recv(ot, recv, r->m, 1));
        SS_TRY(ss_hostwire_swap(c, &ot->wire, "otbl", NULL, 0, r->message, bytes));
#pragma omp parallel for num_threads(ot->threads)
        for (size_t k = 0; k < m; k++) {
            enum ss_err e = accept(ot, v + k, r->message + k * n, t[k] & low, r->m + k * n_bits, first + k * n_bits, n_bits);
            if (e != SS_OK) {
#pragma omp atomic write
                err = e;
            }
        }
    } else {
        SS_TRY(ss_ot_extend(c, ot, send, ots, NULL, NULL, 0));
        const uint64_t first = send->first_id;
        SS_TRY(ss_ot_pads_send(ot, send, r->m, r->m + ots, 1));
        SS_TRY(ss_prg_fill(&c->prg, c->host, c->host_dev, v, m));
#pragma omp parallel for num_threads(ot->threads)
        for (size_t k = 0; k < m; k++) {
            enum ss_err e = offer(ot, r->message + k * n, v[k], table, t[k] & low, r->m + k * n_bits, r->m + ots + k * n_bits,
                                  first + k * n_bits, n_bits, r->work + (size_t)omp_get_thread_num() * 3 * n);
            if (e != SS_OK) {
#pragma omp atomic write
                err = e;
            }
        }
        if (err == SS_OK)
            SS_TRY(ss_hostwire_swap(c, &ot->wire, "otbl", r->message, bytes, NULL, 0));
    }
    return err;
}

enum ss_err ss_textbook_select(struct ss_ctx *c, void *state, uint64_t *w, const uint32_t *t, const uint64_t *mask,
                               const uint64_t *entries, size_t n, const struct ss_lookup_shape *s)
{
    SS_REQUIRE(s->columns == 1 && s->fine_bits == 0 && s->n_bits <= MAX_BITS && n > 0);
    const size_t size = (size_t)1 << s->n_bits, chunk = chunk_of(s) < n ? chunk_of(s) : n, keys = chunk * s->n_bits;
    struct ss_ot *ot = state;
    struct room r;
    void *choice, *m, *work, *message, *words;
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_CHOICE, keys, &choice));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_TERMS, 2 * keys * sizeof *r.m, &m));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_VECTORS, (size_t)ot->threads * 3 * size * sizeof *r.work, &work));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_MESSAGE, chunk * size * sizeof *r.message, &message));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_LOOKUPS, (size + 2 * n) * sizeof(uint64_t), &words));
    uint64_t *table = words, *v = table + size;
    uint32_t *h_t = (uint32_t *)(v + n);
    r = (struct room){.choice = choice, .m = m, .work = work, .message = message};
    SS_TRY(c->backend->download(c->dev, h_t, t, n * sizeof *h_t));
    SS_TRY(c->backend->download(c->dev, table, entries, size * sizeof *table));
    for (size_t first = 0; first < n; first += chunk)
        SS_TRY(select_chunk(c, ot, &r, v + first, h_t + first, table, n - first < chunk ? n - first : chunk, s->n_bits));
    SS_TRY(c->backend->upload(c->dev, w, v, n * sizeof *v));
    return c->backend->ring_sub(c->dev, w, w, mask, n);
}

void ss_textbook_select_cost(const struct ss_lookup_shape *s, size_t n, struct ss_counters *e)
{
    for (size_t first = 0; first < n; first += chunk_of(s)) {
        const size_t m = n - first < chunk_of(s) ? n - first : chunk_of(s);
        e->ots += (int64_t)(m * s->n_bits);
        e->bytes_online_p0_p1 += ss_ot_extend_bytes(m * s->n_bits);
        e->bytes_online_p1_p0 += (int64_t)((m << s->n_bits) * sizeof(uint64_t));
        e->rounds_online += 2;
    }
}

/* One column: masks are the parties' own random words; coefficients are those of lookup.h for sigma = 1: 1, m3, m1, m3 m1.
   Two columns: a batch of source ot, whose state this is. */
static enum ss_err prepare(struct ss_ctx *c, void *state, struct ss_seeds *seeds, const struct ss_lookup_shape *s, size_t n,
                           struct ss_lookup_batch *out)
{
    if (s->columns != 1)
        return ss_source_ot.prepare(c, state, seeds, s, n, out);
    const struct ss_backend *b = c->backend;
    const size_t bytes = n * sizeof(uint64_t);
    enum ss_err err = SS_OK;
    uint64_t *zero = calloc(n * 4 + ((n << s->n_bits) / 64), sizeof *zero), *m1 = zero, *m3 = m1 + n, *product = m3 + n;
    uint64_t *one = product + n, *none = one + n; /* none (n, 2^n_bits / 64): no unit vector is used */
    if (!zero)
        SS_FAIL(SS_ENV, "out of memory for %zu textbook lookups", n);
    SS_TRY_OUT(ss_prg_fill(&c->prg, c->host, c->host_dev, m1, 2 * n));
    for (size_t i = 0; i < n; i++)
        one[i] = c->role == SS_P0;
    for (size_t i = 0; s->fused && i < n; i += PRODUCT_CHUNK)
        SS_TRY_OUT(ss_gilboa_product(c, state, product + i, m3 + i, m1 + i, n - i < PRODUCT_CHUNK ? n - i : PRODUCT_CHUNK));
    SS_TRY_OUT(b->upload(c->dev, out->bits, none, (n << s->n_bits) / 8));
    SS_TRY_OUT(b->upload(c->dev, out->b, none, bytes));
    SS_TRY_OUT(b->upload(c->dev, out->mask, m1, bytes));
    SS_TRY_OUT(b->upload(c->dev, out->coef, one, bytes));
    SS_TRY_OUT(b->upload(c->dev, out->coef + (s->fused ? 2 : 1) * n, m1, bytes));
    if (s->fused) {
        SS_TRY_OUT(b->upload(c->dev, out->mask + n, m3, bytes));
        SS_TRY_OUT(b->upload(c->dev, out->coef + n, m3, bytes));
        SS_TRY_OUT(b->upload(c->dev, out->coef + 3 * n, product, bytes));
    }
out:
    sodium_memzero(zero, 4 * bytes);
    free(zero);
    return err;
}

static void cost(const struct ss_lookup_shape *s, size_t n, struct ss_counters *e)
{
    if (s->columns != 1)
        ss_source_ot.cost(s, n, e);
    for (size_t i = 0; s->columns == 1 && s->fused && i < n; i += PRODUCT_CHUNK)
        ss_gilboa_product_cost(e, n - i < PRODUCT_CHUNK ? n - i : PRODUCT_CHUNK);
}

static enum ss_err no_open(struct ss_ctx *c, void *state)
{
    (void)c;
    (void)state;
    return SS_OK;
}

static void textbook_close(struct ss_ctx *c, void *state)
{
    if (state)
        ss_ot_close(c, state);
}

static enum ss_err begin(struct ss_ctx *c, void *state, struct ss_seeds *seeds)
{
    (void)seeds;
    return c->role != SS_DEALER && c->layer == 0 ? ss_ot_setup(c, state) : SS_OK;
}

static void cost_begin(size_t layer, struct ss_counters *e)
{
    if (layer == 0)
        ss_ot_setup_cost(e);
}

const struct ss_lookup_source ss_source_textbook = {
    .name = "textbook",
    .trust = "P0 and P1 do not collude; computational (ristretto255, AES); no dealer for lookups",
    .state_bytes = sizeof(struct ss_ot),
    .open = no_open,
    .close = textbook_close,
    .begin = begin,
    .deal = NULL,
    .prepare = prepare,
    .cost_begin = cost_begin,
    .cost = cost,
    .select = ss_textbook_select,
    .select_cost = ss_textbook_select_cost,
};
