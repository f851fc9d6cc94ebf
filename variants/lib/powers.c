/* powers.c — powers by products; polynomials are in poly.c. Batch: masks of the opened powers, rising, (factors, n) | products
   of masks for z^2 .. z^k (k - 1, n). Masks from both parties' seeds; products P0 from its seed, P1 received. By OT: masks are
   each party's own, products made by both. */
#include "variants/lib/powers.h"

#include "harness/channel.h"

enum { MAX_PRODUCTS = SS_MAX_POWER - 1 };

unsigned ss_power_levels(unsigned k)
{
    SS_REQUIRE(k >= 1 && k <= SS_MAX_POWER);
    unsigned levels = 0;
    while (1u << levels < k)
        levels++;
    return levels;
}

/* z^j enters a product: as z^h of a level that makes z^(h + 1) and up, or as its other factor. */
static bool is_factor(unsigned k, unsigned j)
{
    bool used = false;
    for (unsigned h = 1; h < k; h *= 2)
        used |= j == h || (j < h && h + j <= k);
    return used;
}

/* Factors among z^1 .. z^(j - 1): the place of z^j among the opened powers. */
static unsigned place(unsigned k, unsigned j)
{
    unsigned below = 0;
    for (unsigned i = 1; i < j; i++)
        below += is_factor(k, i);
    return below;
}

unsigned ss_power_factors(unsigned k)
{
    return place(k, k + 1);
}

unsigned ss_powers_at(unsigned k, unsigned level)
{
    const unsigned from = 1u << level;
    SS_REQUIRE(from < k);
    return (2 * from < k ? 2 * from : k) - from;
}

size_t ss_powers_words(unsigned k, size_t n)
{
    return (ss_power_factors(k) + k - 1) * n;
}

/* The masks of both factors of z^i, i from 2. */
static void factors_of(unsigned k, unsigned i, const uint64_t *masks, size_t n, const uint64_t **hi, const uint64_t **lo)
{
    unsigned h = 1;
    while (2 * h < i)
        h *= 2;
    *hi = masks + place(k, h) * n;
    *lo = masks + place(k, i - h) * n;
}

enum ss_err ss_powers_deal(struct ss_ctx *dealer, struct ss_seeds *seeds, struct ss_buf *scratch, unsigned k, size_t n)
{
    const struct ss_backend *b = dealer->backend;
    const size_t masks = ss_power_factors(k) * n, products = (k - 1) * n;
    SS_REQUIRE(k >= 2 && k <= SS_MAX_POWER);
    SS_TRY(ss_buf_grow(dealer, scratch, 2 * (masks + products) * sizeof(uint64_t), SS_TAG_triples));
    uint64_t *p0 = (uint64_t *)scratch->p, *c0 = p0 + masks, *mask = c0 + products, *c1 = mask + masks;
    SS_TRY(ss_prg_fill(&seeds->to[SS_P0], b, dealer->dev, p0, masks + products));
    SS_TRY(ss_prg_fill(&seeds->to[SS_P1], b, dealer->dev, mask, masks));
    SS_TRY(b->ring_add(dealer->dev, mask, p0, mask, masks));
    for (unsigned i = 2; i <= k; i++) {
        const uint64_t *hi, *lo;
        factors_of(k, i, mask, n, &hi, &lo);
        SS_TRY(b->ring_mul(dealer->dev, c1 + (i - 2) * n, hi, lo, n));
    }
    SS_TRY(b->ring_sub(dealer->dev, c1, c1, c0, products));
    return ss_send(dealer, SS_P1, "powr", c1, products * sizeof(uint64_t));
}

enum ss_err ss_powers_receive(struct ss_ctx *party, struct ss_seeds *seeds, const struct ss_triples *triples,
                              struct ss_corr *corr, enum ss_corr_slot slot, unsigned k, size_t n)
{
    const struct ss_backend *b = party->backend;
    const size_t masks = ss_power_factors(k) * n, products = (k - 1) * n;
    uint64_t *batch;
    SS_REQUIRE(k >= 2 && k <= SS_MAX_POWER);
    SS_TRY(ss_corr_put(party, corr, slot, masks + products, &batch));
    if (triples->ot) {
        const uint64_t *hi[MAX_PRODUCTS], *lo[MAX_PRODUCTS];
        SS_TRY(ss_prg_fill(&party->prg, b, party->dev, batch, masks));
        for (unsigned i = 2; i <= k; i++)
            factors_of(k, i, batch, n, &hi[i - 2], &lo[i - 2]);
        return ss_triples_by_ot(party, triples->ot, batch + masks, hi, lo, k - 1, n);
    }
    SS_TRY(ss_prg_fill(&seeds->mine, b, party->dev, batch, party->role == SS_P0 ? masks + products : masks));
    return party->role == SS_P0 ? SS_OK : ss_recv(party, SS_DEALER, "powr", batch + masks, products * sizeof(uint64_t));
}

/* Opens the factors among z^first .. z^last, in one message, to their places in mine and theirs. */
static enum ss_err open_factors(struct ss_ctx *party, const uint64_t *masks, const uint64_t *z, uint64_t *mine,
                                uint64_t *theirs, unsigned k, unsigned first, unsigned last, size_t n)
{
    const size_t from = place(k, first) * n, words = place(k, last + 1) * n - from;
    for (unsigned j = first, end; j <= last; j = end + 1) { /* factors from j to before end, in one call */
        for (end = j; end <= last && is_factor(k, end);)
            end++;
        const size_t at = place(k, j) * n;
        SS_TRY(party->backend->ring_sub(party->dev, mine + at, z + (j - 1) * n, masks + at, (end - j) * n));
    }
    SS_TRY(ss_exchange(party, "powr", mine + from, theirs + from, words * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)words;
    return SS_OK;
}

/* z^(h + 1) .. z^last at twice the bits from opened factors: z^h times z .. z^(last - h), which lie first. */
static enum ss_err multiply(struct ss_ctx *party, const uint64_t *batch, uint64_t *z, const uint64_t *mine,
                            const uint64_t *theirs, unsigned k, unsigned h, unsigned last, size_t n)
{
    const uint64_t *products = batch + ss_power_factors(k) * n;
    const size_t hi = place(k, h) * n;
    const bool square = last == 2 * h;
    party->counters.triples_square += square ? (int64_t)n : 0;
    party->counters.triples_elem += (int64_t)((last - h - square) * n);
    return party->backend->ring_beaver(party->dev, z + h * n, mine + hi, theirs + hi, z, batch + hi, mine, theirs,
                                       products + (h - 1) * n, last - h, n);
}

enum ss_err ss_powers(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, struct ss_buf *work, uint64_t *z,
                      unsigned k, size_t n, unsigned bits)
{
    const size_t opened = ss_power_factors(k) * n;
    unsigned next = 1; /* first power that was not looked at for opening */
    size_t most = 0;
    SS_REQUIRE(k >= 2 && k <= SS_MAX_POWER && bits >= 1 && 2 * bits <= 60);
    const uint64_t *batch = ss_corr_take(party, &corr[slot], slot, ss_powers_words(k, n));
    for (unsigned level = 0; level < ss_power_levels(k); level++)
        most = ss_powers_at(k, level) > most ? ss_powers_at(k, level) : most;
    SS_TRY(ss_buf_grow(party, work, 2 * (opened + most * n) * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *mine = (uint64_t *)work->p, *theirs = mine + opened, *cut[2] = {theirs + opened, theirs + opened + most * n};

    for (unsigned level = 0; level < ss_power_levels(k); level++) {
        const unsigned h = 1u << level, made = ss_powers_at(k, level);
        const struct ss_val wide = {
            .buf = {.p = z + h * n}, .rows = made, .cols = n, .bits = party->frac_bits + bits}; /* ss_trunc leaves frac_bits */
        SS_TRY(open_factors(party, batch, z, mine, theirs, k, next, h, n));
        next = h + 1;
        SS_TRY(multiply(party, batch, z, mine, theirs, k, h, h + made, n));
        SS_TRY(ss_trunc(party, &corr[slot + 1 + level], slot + 1 + level, z + h * n, &wide, false, cut[0], cut[1]));
    }
    return SS_OK;
}

void ss_powers_cost(bool by_ot, unsigned k, size_t n, struct ss_counters *e)
{
    const int64_t opened = (int64_t)(ss_power_factors(k) * n),
                  squares = (int64_t)(k & (k - 1) ? ss_power_levels(k) - 1 : ss_power_levels(k));
    ss_triples_cost(by_ot, (k - 1) * n, e);
    e->triples_square += squares * (int64_t)n;
    e->triples_elem += ((int64_t)k - 1 - squares) * (int64_t)n;
    e->opened_words += opened;
    e->bytes_online_p0_p1 += 8 * opened;
    e->bytes_online_p1_p0 += 8 * opened;
}
