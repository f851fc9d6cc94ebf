/* trunc.c — dealer's and parties' sides of slack truncation. Batch layout: P0 r0 | rt0 | rm0 (all from its seed),
   P1 r1 (from its seed) | rt1 | rm1 (received). */
#include "variants/lib/trunc.h"

#include <sodium.h>

#include "harness/channel.h"

enum ss_err ss_seeds_deal(struct ss_ctx *dealer, struct ss_seeds *s)
{
    const struct ss_backend *b = dealer->backend;
    if (!s->bytes.p)
        SS_TRY(ss_buf_alloc(dealer, &s->bytes, SS_SEED_BYTES, SS_TAG_keys));
    for (int party = 0; party < 2; party++) {
        uint64_t seed[SS_SEED_BYTES / 8];
        SS_TRY(ss_prg_fill(&dealer->prg, b, dealer->dev, (uint64_t *)s->bytes.p, SS_SEED_BYTES / 8));
        SS_TRY(ss_send(dealer, party, "seed", s->bytes.p, SS_SEED_BYTES));
        SS_TRY(b->download(dealer->dev, seed, s->bytes.p, SS_SEED_BYTES));
        ss_prg_from_key(&s->to[party], (const uint8_t *)seed, 0);
        sodium_memzero(seed, sizeof seed);
    }
    return SS_OK;
}

enum ss_err ss_seeds_receive(struct ss_ctx *party, struct ss_seeds *s)
{
    if (!s->bytes.p)
        SS_TRY(ss_buf_alloc(party, &s->bytes, SS_SEED_BYTES, SS_TAG_keys));
    uint8_t seed[SS_SEED_BYTES];
    SS_TRY(ss_recv(party, SS_DEALER, "seed", s->bytes.p, SS_SEED_BYTES));
    SS_TRY(party->backend->download(party->dev, seed, s->bytes.p, SS_SEED_BYTES));
    ss_prg_from_key(&s->mine, seed, 0);
    sodium_memzero(seed, sizeof seed);
    return SS_OK;
}

void ss_seeds_close(struct ss_ctx *c, struct ss_seeds *s)
{
    ss_prg_wipe(&s->to[0]);
    ss_prg_wipe(&s->to[1]);
    ss_prg_wipe(&s->mine);
    ss_buf_free(c, &s->bytes);
}

enum ss_err ss_trunc_deal(struct ss_ctx *dealer, struct ss_seeds *s, struct ss_buf *scratch, size_t rows, size_t cols,
                          unsigned m, const uint8_t *col_m)
{
    const struct ss_backend *b = dealer->backend;
    size_t n = rows * cols;
    SS_REQUIRE(scratch->bytes >= 6 * n * sizeof(uint64_t));
    uint64_t *p0 = (uint64_t *)scratch->p, *r1 = p0 + 3 * n, *rest1 = p0 + 4 * n;
    SS_TRY(ss_prg_fill(&s->to[SS_P0], b, dealer->dev, p0, 3 * n));
    SS_TRY(ss_prg_fill(&s->to[SS_P1], b, dealer->dev, r1, n));
    SS_TRY(b->trunc_deal(dealer->dev, rest1, rest1 + n, p0, r1, p0 + n, p0 + 2 * n, rows, cols, m, col_m));
    return ss_send(dealer, SS_P1, "trnc", rest1, n * SS_TRUNC_DEALT_BYTES);
}

enum ss_err ss_trunc_receive(struct ss_ctx *party, struct ss_seeds *s, struct ss_corr *corr, enum ss_corr_slot slot, size_t n)
{
    uint64_t *batch;
    SS_TRY(ss_corr_put(party, corr, slot, 3 * n, &batch));
    SS_TRY(ss_prg_fill(&s->mine, party->backend, party->dev, batch, party->role == SS_P0 ? 3 * n : n));
    if (party->role == SS_P1)
        SS_TRY(ss_recv(party, SS_DEALER, "trnc", batch + n, n * SS_TRUNC_DEALT_BYTES));
    return SS_OK;
}

enum ss_err ss_trunc(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, uint64_t *out, const struct ss_val *x,
                     bool accumulate, uint64_t *mine, uint64_t *theirs)
{
    const struct ss_backend *b = party->backend;
    size_t n = x->rows * x->cols;
    const uint64_t *r = ss_corr_take(party, corr, slot, 3 * n);
    SS_TRY(b->trunc_open(party->dev, mine, ss_u64(x), r, n, party->role));
    SS_TRY(ss_exchange(party, "open", mine, theirs, n * SS_TRUNC_OPENED_BYTES));
    party->counters.opened_words += (int64_t)n;
    party->counters.trunc_pairs += (int64_t)n;
    unsigned keep = x->bits - party->frac_bits; /* x has bits + col_bits[j]; frac_bits remain */
    return b->trunc_close(party->dev, out, mine, theirs, r + n, r + 2 * n, x->rows, x->cols, keep, x->col_bits, party->role,
                          accumulate);
}

enum ss_err ss_trunc_bits(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, struct ss_buf *messages,
                          uint64_t *x, size_t rows, size_t cols, unsigned m, const uint8_t *col_m)
{
    const size_t n = rows * cols;
    SS_TRY(ss_buf_grow(party, messages, 2 * n * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *mine = (uint64_t *)messages->p;
    const struct ss_val v = {.buf = {.p = x}, .rows = rows, .cols = cols, .bits = party->frac_bits + m, .col_bits = col_m};
    return ss_trunc(party, &corr[slot], slot, x, &v, false, mine, mine + n);
}
