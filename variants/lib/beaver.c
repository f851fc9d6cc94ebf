/* beaver.c — batches of n values in `rows` rows. Store: a (n) | b (rows) | c = a b (n), and for a norm | sum of a^2 (rows). */
#include "variants/lib/beaver.h"

#include "harness/channel.h"

static size_t values(const struct ss_ragged *r)
{
    return ss_ragged_start(r, r->rows);
}

/* Words that the dealer has to send P1: c, and a norm's squares. */
static size_t dealt_words(enum ss_beaver_kind kind, const struct ss_ragged *r)
{
    return values(r) + (kind == SS_BEAVER_NORM ? r->rows : 0);
}

size_t ss_beaver_words(enum ss_beaver_kind kind, const struct ss_ragged *r)
{
    return values(r) + r->rows + dealt_words(kind, r);
}

enum ss_err ss_beaver_deal(struct ss_ctx *dealer, struct ss_seeds *s, struct ss_buf *scratch, enum ss_beaver_kind kind,
                           const struct ss_ragged *r)
{
    const struct ss_backend *b = dealer->backend;
    struct ss_dev *dev = dealer->dev;
    const size_t n = values(r), masks = n + r->rows, dealt = dealt_words(kind, r);
    SS_TRY(ss_buf_grow(dealer, scratch, (2 * masks + 2 * dealt + n) * sizeof(uint64_t), SS_TAG_triples));
    uint64_t *p0 = (uint64_t *)scratch->p, *c0 = p0 + masks, *p1 = c0 + dealt, *c1 = p1 + masks, *wide = c1 + dealt;
    SS_TRY(ss_prg_fill(&s->to[SS_P0], b, dev, p0, masks + dealt));
    SS_TRY(ss_prg_fill(&s->to[SS_P1], b, dev, p1, masks));
    SS_TRY(b->ring_add(dev, p1, p0, p1, masks)); /* a | b */
    SS_TRY(b->ring_spread(dev, wide, p1 + n, r));
    SS_TRY(b->ring_mul(dev, c1, p1, wide, n));
    if (kind == SS_BEAVER_NORM) {
        SS_TRY(b->ring_mul(dev, wide, p1, p1, n));
        SS_TRY(b->ring_row_sums(dev, c1 + n, wide, r));
    }
    SS_TRY(b->ring_sub(dev, c1, c1, c0, dealt));
    return ss_send(dealer, SS_P1, "beav", c1, dealt * sizeof(uint64_t));
}

enum ss_err ss_beaver_receive(struct ss_ctx *party, struct ss_seeds *s, struct ss_corr *corr, enum ss_corr_slot slot,
                              enum ss_beaver_kind kind, const struct ss_ragged *r)
{
    uint64_t *batch;
    const size_t masks = values(r) + r->rows, dealt = dealt_words(kind, r);
    SS_TRY(ss_corr_put(party, corr, slot, masks + dealt, &batch));
    SS_TRY(ss_prg_fill(&s->mine, party->backend, party->dev, batch, party->role == SS_P0 ? masks + dealt : masks));
    return party->role == SS_P0 ? SS_OK : ss_recv(party, SS_DEALER, "beav", batch + masks, dealt * sizeof(uint64_t));
}

enum ss_err ss_beaver_by_ot(struct ss_ctx *party, struct ss_ot *ot, struct ss_corr *corr, enum ss_corr_slot slot,
                            const struct ss_ragged *r)
{
    uint64_t *a;
    const size_t n = r->rows;
    SS_REQUIRE(!r->tokens && r->cols == 1);
    SS_TRY(ss_corr_put(party, corr, slot, ss_beaver_words(SS_BEAVER_SCALE, r), &a));
    SS_TRY(ss_prg_fill(&party->prg, party->backend, party->dev, a, 2 * n));
    const uint64_t *b = a + n;
    return ss_triples_by_ot(party, ot, a + 2 * n, (const uint64_t *[1]){a}, &b, 1, n);
}

enum ss_err ss_beaver_squares(struct ss_ctx *party, const uint64_t *batch, struct ss_buf *opened, uint64_t *out,
                              const uint64_t *x, const struct ss_ragged *r)
{
    const struct ss_backend *b = party->backend;
    const size_t n = values(r);
    SS_REQUIRE(!r->tokens);
    SS_TRY(ss_buf_grow(party, opened, 2 * n * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *mine = (uint64_t *)opened->p, *theirs = mine + n;
    SS_TRY(b->ring_sub(party->dev, mine, x, batch, n));
    SS_TRY(ss_exchange(party, "beav", mine, theirs, n * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)n;
    party->counters.triples_square += (int64_t)n;
    return b->ring_square_sum(party->dev, out, mine, theirs, batch, batch + 2 * n + r->rows, r->rows, r->cols, party->role);
}

/* x - a and y - b are open: d (n), e (rows), mine and theirs. */
static enum ss_err combine(struct ss_ctx *party, const uint64_t *batch, const uint64_t *const d[2], const uint64_t *const e[2],
                           uint64_t *wide, uint64_t *out, const uint64_t *y, const struct ss_ragged *r)
{
    const struct ss_backend *b = party->backend;
    const size_t n = values(r);
    uint64_t *sum = wide + 2 * n;
    SS_TRY(b->ring_add(party->dev, sum, e[0], e[1], r->rows));
    SS_TRY(b->ring_spread(party->dev, wide, y, r));
    SS_TRY(b->ring_spread(party->dev, wide + n, sum, r));
    party->counters.triples_elem += (int64_t)n;
    return b->ring_beaver(party->dev, out, d[0], d[1], wide, batch, wide + n, NULL, batch + n + r->rows, 1, n);
}

enum ss_err ss_beaver_scale_opened(struct ss_ctx *party, const uint64_t *batch, const struct ss_buf *opened,
                                   struct ss_buf *work, uint64_t *out, const uint64_t *y, const struct ss_ragged *r)
{
    const size_t n = values(r);
    SS_TRY(ss_buf_grow(party, work, (2 * n + 3 * r->rows) * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *wide = (uint64_t *)work->p, *mine = wide + 2 * n + r->rows, *theirs = mine + r->rows;
    SS_TRY(party->backend->ring_sub(party->dev, mine, y, batch + n, r->rows));
    SS_TRY(ss_exchange(party, "beav", mine, theirs, r->rows * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)r->rows;
    const uint64_t *d = (const uint64_t *)opened->p;
    return combine(party, batch, (const uint64_t *[2]){d, d + n}, (const uint64_t *[2]){mine, theirs}, wide, out, y, r);
}

enum ss_err ss_beaver_scale(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, struct ss_buf *work,
                            uint64_t *out, const uint64_t *x, const uint64_t *y, const struct ss_ragged *r)
{
    const struct ss_backend *b = party->backend;
    const size_t n = values(r), all = n + r->rows;
    const uint64_t *batch = ss_corr_take(party, corr, slot, ss_beaver_words(SS_BEAVER_SCALE, r));
    SS_TRY(ss_buf_grow(party, work, (2 * n + r->rows + 2 * all) * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *wide = (uint64_t *)work->p, *mine = wide + 2 * n + r->rows, *theirs = mine + all;
    SS_TRY(b->ring_sub(party->dev, mine, x, batch, n));
    SS_TRY(b->ring_sub(party->dev, mine + n, y, batch + n, r->rows));
    SS_TRY(ss_exchange(party, "beav", mine, theirs, all * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)all;
    return combine(party, batch, (const uint64_t *[2]){mine, theirs}, (const uint64_t *[2]){mine + n, theirs + n}, wide, out, y,
                   r);
}

enum ss_err ss_beaver_part(struct ss_ctx *party, const uint64_t *batch, struct ss_buf *work, uint64_t *out, const uint64_t *x,
                           const uint64_t *y, size_t all, size_t first, size_t n)
{
    const struct ss_backend *b = party->backend;
    const uint64_t *a = batch + first, *mask = a + all, *c = mask + all;
    SS_REQUIRE(first + n <= all);
    SS_TRY(ss_buf_grow(party, work, 4 * n * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *mine = (uint64_t *)work->p, *theirs = mine + 2 * n;
    SS_TRY(b->ring_sub(party->dev, mine, x, a, n));
    SS_TRY(b->ring_sub(party->dev, mine + n, y, mask, n));
    SS_TRY(ss_exchange(party, "beav", mine, theirs, 2 * n * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)(2 * n);
    party->counters.triples_elem += (int64_t)n;
    return b->ring_beaver(party->dev, out, mine, theirs, y, a, mine + n, theirs + n, c, 1, n);
}

enum ss_err ss_beaver_elements(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, struct ss_buf *work,
                               uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n)
{
    const struct ss_ragged r = {.rows = n, .cols = 1};
    const uint64_t *batch = ss_corr_take(party, &corr[slot], slot, ss_beaver_words(SS_BEAVER_SCALE, &r));
    return ss_beaver_part(party, batch, work, out, x, y, n, 0, n);
}

/* Products and openings; no offline bytes. */
static void online_cost(enum ss_beaver_kind kind, const struct ss_ragged *r, struct ss_counters *e)
{
    const int64_t n = (int64_t)values(r), opened = n + (int64_t)r->rows;
    e->triples_elem += n;
    e->triples_square += kind == SS_BEAVER_NORM ? n : 0;
    e->opened_words += opened;
    e->bytes_online_p0_p1 += 8 * opened;
    e->bytes_online_p1_p0 += 8 * opened;
}

void ss_beaver_cost(enum ss_beaver_kind kind, const struct ss_ragged *r, struct ss_counters *e)
{
    online_cost(kind, r, e);
    e->bytes_offline_d_p1 += 8 * (int64_t)dealt_words(kind, r);
}

void ss_beaver_product_cost(bool by_ot, const struct ss_ragged *r, struct ss_counters *e)
{
    SS_REQUIRE(!r->tokens && r->cols == 1);
    online_cost(SS_BEAVER_SCALE, r, e);
    ss_triples_cost(by_ot, r->rows, e);
}
