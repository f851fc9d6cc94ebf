/* lookup.c — the online half of oblivious lookups: index, selected sums, result. Every shape, any number of calls at once. */
#include "variants/lib/lookup.h"

#include <math.h>

#include "harness/channel.h"

size_t ss_lookup_masks(const struct ss_lookup_shape *s)
{
    return s->columns + (s->fused ? 1 : 0);
}

size_t ss_lookup_coefs(const struct ss_lookup_shape *s)
{
    return (s->columns + 1) * (s->fused ? 2 : 1);
}

static size_t words_of_bits(const struct ss_lookup_shape *s)
{
    return (size_t)1 << s->n_bits >> 6;
}

size_t ss_lookup_words(const struct ss_lookup_shape *s, size_t n)
{
    return n * (words_of_bits(s) + 1 + ss_lookup_masks(s) + ss_lookup_coefs(s));
}

struct ss_lookup_batch ss_lookup_view(const struct ss_lookup_shape *s, size_t n, uint64_t *words)
{
    uint64_t *b = words + n * words_of_bits(s), *mask = b + n;
    return (struct ss_lookup_batch){.bits = words, .b = b, .mask = mask, .coef = mask + n * ss_lookup_masks(s)};
}

enum ss_err ss_lookup_prepare(struct ss_ctx *party, const struct ss_lookup_source *source, void *state, struct ss_seeds *seeds,
                              struct ss_corr *corr, enum ss_corr_slot slot, const struct ss_lookup_shape *s, size_t n_tables,
                              size_t n)
{
    uint64_t *data;
    const size_t words = ss_lookup_words(s, n);
    SS_TRY(ss_corr_put(party, corr, slot, n_tables * words, &data));
    for (size_t k = 0; k < n_tables; k++) {
        struct ss_lookup_batch batch = ss_lookup_view(s, n, data + k * words);
        SS_TRY(source->prepare(party, state, seeds, s, n, &batch));
    }
    return SS_OK;
}

bool ss_lookup_selects(const struct ss_lookup_source *source, const struct ss_lookup_shape *s)
{
    return source->select && s->columns == 1;
}

/* One table of one call, and where it lies in the two messages. */
struct item {
    const struct ss_lookup_call *call;
    const struct ss_table *table;
    struct ss_lookup_batch batch;
    uint32_t *e[2];    /* mine, theirs: (n) */
    uint64_t *open[2]; /* mine, theirs: (masks, n) */
    uint64_t *out;
    size_t n;
};

static size_t count_of(const struct ss_lookup_call *call)
{
    return call->rows * call->cols;
}

static enum ss_err open_index(struct ss_ctx *c, const struct item *it)
{
    const struct ss_lookup_call *call = it->call;
    const struct ss_table *t = it->table;
    const int m = (int)call->x_bits - t->step_bits - (int)t->shape.fine_bits;
    SS_REQUIRE(m >= 0 && (unsigned)m + t->shape.n_bits + t->shape.fine_bits <= 64);
    const uint64_t lo = (uint64_t)(int64_t)rint(ldexp(-t->lo, (int)call->x_bits));
    return c->backend->lookup_index(c->dev, it->e[0], call->x, call->x_stride, it->batch.b, call->rows, call->cols, (unsigned)m,
                                    call->x_col_bits, lo, &t->shape, c->role);
}

static enum ss_err open_sums(struct ss_ctx *c, const struct item *it)
{
    const struct ss_lookup_call *call = it->call;
    const struct ss_lookup_shape *s = &it->table->shape;
    uint64_t *w = it->open[0], *v = w + it->n, *q = w + s->columns * it->n;
    if (ss_lookup_selects(call->source, s))
        SS_TRY(call->source->select(c, call->source_state, w, it->e[0], it->batch.mask, it->table->data.entries, it->n, s));
    else
        SS_TRY(c->backend->lookup_sum(c->dev, w, v, it->batch.bits, it->e[0], it->e[1], it->batch.mask, &it->table->data, it->n,
                                      s, c->role));
    if (!s->fused)
        return SS_OK;
    return c->backend->ring_sub_rows(c->dev, q, call->u, call->u_stride, it->batch.mask + s->columns * it->n, call->rows,
                                     call->cols);
}

/* Takes the correlations of every call and cuts the messages into items. e: where indices that are opened go, e_kept: others.
 */
static size_t lay_out(struct ss_ctx *c, struct item *items, const struct ss_lookup_call *calls, size_t n_calls, uint32_t *e[2],
                      uint32_t *e_kept[2], uint64_t *open[2])
{
    size_t k = 0;
    for (size_t i = 0; i < n_calls; i++) {
        const struct ss_lookup_call *call = &calls[i];
        const struct ss_lookup_shape *s = &call->tables[0].shape;
        const size_t n = count_of(call), words = ss_lookup_words(s, n);
        uint32_t **index = ss_lookup_selects(call->source, s) ? e_kept : e;
        SS_REQUIRE(s->fused == (call->u != NULL));
        uint64_t *data = (uint64_t *)ss_corr_take(c, call->corr, call->slot, call->n_tables * words);
        for (size_t t = 0; t < call->n_tables; t++, k++) {
            items[k] = (struct item){.call = call, .table = &call->tables[t], .n = n, .out = call->out + t * n};
            items[k].batch = ss_lookup_view(s, n, data + t * words);
            for (int side = 0; side < 2; side++) {
                items[k].e[side] = index[side];
                items[k].open[side] = open[side];
                index[side] += n;
                open[side] += n * ss_lookup_masks(s);
            }
        }
    }
    return k;
}

enum { MAX_ITEMS = 64 };

enum ss_err ss_lookup(struct ss_ctx *party, struct ss_buf *messages, const struct ss_lookup_call *calls, size_t n_calls)
{
    size_t lookups = 0, opened = 0, words = 0, tables = 0;
    for (size_t i = 0; i < n_calls; i++) {
        const size_t n = calls[i].n_tables * count_of(&calls[i]);
        tables += calls[i].n_tables;
        lookups += n;
        opened += ss_lookup_selects(calls[i].source, &calls[i].tables[0].shape) ? 0 : n;
        words += n * ss_lookup_masks(&calls[i].tables[0].shape);
    }
    SS_REQUIRE(tables <= MAX_ITEMS);
    const size_t e_words = (lookups + 1) / 2;
    SS_TRY(ss_buf_grow(party, messages, 2 * (e_words + words) * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *base = (uint64_t *)messages->p;
    uint64_t *open[2] = {base + 2 * e_words, base + 2 * e_words + words};
    uint32_t *e[2] = {(uint32_t *)base, (uint32_t *)(base + e_words)}, *e_kept[2] = {e[0] + opened, e[1] + opened};
    const uint32_t *sent = e[0];
    uint32_t *received = e[1];
    uint64_t *words_sent = open[0], *words_received = open[1];
    struct item items[MAX_ITEMS];
    const size_t n_items = lay_out(party, items, calls, n_calls, e, e_kept, open);

    for (size_t i = 0; i < n_items; i++)
        SS_TRY(open_index(party, &items[i]));
    if (opened > 0)
        SS_TRY(ss_exchange(party, "indx", sent, received, opened * SS_INDEX_BYTES));
    for (size_t i = 0; i < n_items; i++)
        SS_TRY(open_sums(party, &items[i]));
    SS_TRY(ss_exchange(party, "look", words_sent, words_received, words * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)words;
    for (size_t i = 0; i < n_items; i++)
        SS_TRY(party->backend->lookup_close(party->dev, items[i].out, items[i].open[0], items[i].open[1], items[i].batch.coef,
                                            items[i].n, &items[i].table->shape));
    return SS_OK;
}

void ss_lookup_cost(const struct ss_lookup_source *source, const struct ss_lookup_shape *s, size_t n, struct ss_counters *e)
{
    const bool selects = ss_lookup_selects(source, s);
    const int64_t words = (int64_t)(n * ss_lookup_masks(s)), bytes = (selects ? 0 : (int64_t)n * SS_INDEX_BYTES) + 8 * words;
    if (selects)
        source->select_cost(s, n, e);
    e->opened_words += words;
    e->bytes_online_p0_p1 += bytes;
    e->bytes_online_p1_p0 += bytes;
}
