/* source_dealer.c — lookups dealt by a third party: a DPF key each, or for 256 entries plain one-hot shares.

   P0 expands root, b, masks and its coefficients from its seed, P1 root, b and masks from its own. On the wire, per lookup:
   N > 256: (n_bits - 6) 16-byte correction words to each; N = 256: 32 bytes of bits to P1; and 8 bytes a coefficient to P1.
   The tree's AES key is drawn for every layer of every pass. */
#include <sodium.h>

#include "harness/channel.h"
#include "variants/lib/lookup.h"

enum { CHUNK = 131072, KEY_BYTES = 16, MAX_MASKS = 3, MAX_COEFS = 6 };

struct dealer_source {
    struct ss_aes_key key;
    struct ss_buf message; /* key bytes on their way */
    struct ss_buf chunk;   /* dealer: both parties' expansions; party: root and correction words */
};

static bool plain(const struct ss_lookup_shape *s)
{
    return s->n_bits == SS_TABLE_MIN_BITS;
}

static size_t bit_words(const struct ss_lookup_shape *s)
{
    return (size_t)1 << s->n_bits >> 6;
}

/* Words of correction a lookup. */
static size_t cw_words(const struct ss_lookup_shape *s)
{
    return 2 * (s->n_bits - 6);
}

static enum ss_err begin(struct ss_ctx *c, void *state, struct ss_seeds *seeds)
{
    (void)seeds;
    struct dealer_source *d = state;
    uint8_t key[KEY_BYTES];
    SS_TRY(ss_buf_grow(c, &d->message, KEY_BYTES, SS_TAG_keys));
    if (c->role == SS_DEALER) {
        SS_TRY(ss_prg_fill(&c->prg, c->backend, c->dev, (uint64_t *)d->message.p, KEY_BYTES / 8));
        for (int party = 0; party < 2; party++)
            SS_TRY(ss_send(c, party, "tree", d->message.p, KEY_BYTES));
    } else {
        SS_TRY(ss_recv(c, SS_DEALER, "tree", d->message.p, KEY_BYTES));
    }
    SS_TRY(c->backend->download(c->dev, key, d->message.p, KEY_BYTES));
    ss_aes_expand(&d->key, key);
    sodium_memzero(key, sizeof key);
    return SS_OK;
}

/* rows x n words. The same stream whatever the distance of the rows: each starts a block of its own, and rows of whole blocks
   that lie side by side are one fill. */
static enum ss_err fill_rows(struct ss_ctx *c, struct ss_prg *g, uint64_t *to, size_t stride, size_t rows, size_t n)
{
    if (stride == n && n % 2 == 0)
        return ss_prg_fill(g, c->backend, c->dev, to, rows * n);
    for (size_t k = 0; k < rows; k++)
        SS_TRY(ss_prg_fill(g, c->backend, c->dev, to + k * stride, n));
    return SS_OK;
}

static enum ss_err deal_chunk(struct ss_ctx *c, struct dealer_source *d, struct ss_seeds *seeds,
                              const struct ss_lookup_shape *s, size_t n)
{
    const struct ss_backend *b = c->backend;
    const size_t masks = ss_lookup_masks(s), coefs = ss_lookup_coefs(s), root = plain(s) ? bit_words(s) : 2;
    const size_t keys = plain(s) ? bit_words(s) : cw_words(s), each = root + 1 + masks;
    SS_TRY(ss_buf_grow(c, &d->chunk, n * (2 * each + 1 + keys + 2 * coefs) * sizeof(uint64_t), SS_TAG_triples));
    uint64_t *at[2] = {(uint64_t *)d->chunk.p, (uint64_t *)d->chunk.p + n * each}; /* root | b | masks */
    uint64_t *sign = at[1] + n * each, *key = sign + n, *coef0 = key + n * keys, *coef1 = coef0 + n * coefs;
    for (int p = 0; p < 2; p++) {
        if (p == SS_P0 || !plain(s))
            SS_TRY(ss_prg_fill(&seeds->to[p], b, c->dev, at[p], n * root));
        SS_TRY(fill_rows(c, &seeds->to[p], at[p] + n * root, n, 1 + masks, n));
    }
    SS_TRY(fill_rows(c, &seeds->to[SS_P0], coef0, n, coefs, n));
    const uint64_t *b0 = at[0] + n * root, *b1 = at[1] + n * root;
    if (plain(s)) {
        SS_TRY(b->onehot_deal(c->dev, key, sign, at[0], b0, b1, n, s));
    } else {
        SS_TRY(b->dpf_gen(c->dev, key, sign, at[0], at[1], b0, b1, n, s, &d->key));
        SS_TRY(ss_send(c, SS_P0, "dpfk", key, n * keys * sizeof(uint64_t)));
    }
    SS_TRY(b->lookup_deal(c->dev, coef1, coef0, sign, b0, b1, b0 + n, b1 + n, n, s));
    SS_TRY(ss_send(c, SS_P1, plain(s) ? "ones" : "dpfk", key, n * keys * sizeof(uint64_t)));
    return ss_send(c, SS_P1, "coef", coef1, n * coefs * sizeof(uint64_t));
}

static enum ss_err deal(struct ss_ctx *dealer, void *state, struct ss_seeds *seeds, const struct ss_lookup_shape *s, size_t n)
{
    for (size_t at = 0; at < n; at += CHUNK)
        SS_TRY(deal_chunk(dealer, state, seeds, s, n - at < CHUNK ? n - at : CHUNK));
    return SS_OK;
}

/* Lookups [first, first + n) of a batch of `all`. */
static enum ss_err prepare_chunk(struct ss_ctx *c, struct dealer_source *d, struct ss_seeds *seeds,
                                 const struct ss_lookup_shape *s, size_t all, const struct ss_lookup_batch *out, size_t first,
                                 size_t n)
{
    const struct ss_backend *b = c->backend;
    const size_t words = bit_words(s), coefs = ss_lookup_coefs(s);
    struct ss_prg *mine = &seeds->mine;
    uint64_t *bits = out->bits + first * words;
    SS_TRY(ss_buf_grow(c, &d->chunk, n * (2 + cw_words(s) + coefs) * sizeof(uint64_t), SS_TAG_triples));
    uint64_t *root = (uint64_t *)d->chunk.p, *cw = root + 2 * n, *coef = cw + n * cw_words(s);
    if (plain(s)) {
        if (c->role == SS_P0)
            SS_TRY(ss_prg_fill(mine, b, c->dev, bits, n * words));
    } else {
        SS_TRY(ss_prg_fill(mine, b, c->dev, root, 2 * n));
    }
    SS_TRY(fill_rows(c, mine, out->b + first, all, 1, n));
    SS_TRY(fill_rows(c, mine, out->mask + first, all, ss_lookup_masks(s), n));
    if (c->role == SS_P0)
        SS_TRY(fill_rows(c, mine, out->coef + first, all, coefs, n));
    if (plain(s)) {
        if (c->role == SS_P1)
            SS_TRY(ss_recv(c, SS_DEALER, "ones", bits, n * words * sizeof(uint64_t)));
    } else {
        SS_TRY(ss_recv(c, SS_DEALER, "dpfk", cw, n * cw_words(s) * sizeof(uint64_t)));
        SS_TRY(b->dpf_eval(c->dev, bits, root, cw, n, s->n_bits, &d->key, c->role));
    }
    if (c->role == SS_P0)
        return SS_OK;
    SS_TRY(ss_recv(c, SS_DEALER, "coef", coef, n * coefs * sizeof(uint64_t)));
    if (all == n)
        return b->copy(c->dev, out->coef, coef, coefs * n * sizeof(uint64_t));
    for (size_t k = 0; k < coefs; k++)
        SS_TRY(b->copy(c->dev, out->coef + k * all + first, coef + k * n, n * sizeof(uint64_t)));
    return SS_OK;
}

static enum ss_err prepare(struct ss_ctx *party, void *state, struct ss_seeds *seeds, const struct ss_lookup_shape *s, size_t n,
                           struct ss_lookup_batch *out)
{
    for (size_t at = 0; at < n; at += CHUNK)
        SS_TRY(prepare_chunk(party, state, seeds, s, n, out, at, n - at < CHUNK ? n - at : CHUNK));
    return SS_OK;
}

static enum ss_err open_source(struct ss_ctx *c, void *state)
{
    (void)c;
    (void)state;
    return SS_OK;
}

static void close_source(struct ss_ctx *c, void *state)
{
    struct dealer_source *d = state;
    sodium_memzero(&d->key, sizeof d->key);
    ss_buf_free(c, &d->message);
    ss_buf_free(c, &d->chunk);
}

static void cost_begin(size_t layer, struct ss_counters *e)
{
    (void)layer;
    e->bytes_offline_d_p0 += KEY_BYTES;
    e->bytes_offline_d_p1 += KEY_BYTES;
}

static void cost(const struct ss_lookup_shape *s, size_t n, struct ss_counters *e)
{
    const int64_t lookups = (int64_t)n, keys = 8 * (int64_t)(plain(s) ? bit_words(s) : cw_words(s));
    e->bytes_offline_d_p0 += plain(s) ? 0 : lookups * keys;
    e->bytes_offline_d_p1 += lookups * (keys + 8 * (int64_t)ss_lookup_coefs(s));
}

const struct ss_lookup_source ss_source_dealer = {
    .name = "dealer",
    .trust = "a dealer that colludes with neither party",
    .state_bytes = sizeof(struct dealer_source),
    .open = open_source,
    .close = close_source,
    .begin = begin,
    .deal = deal,
    .prepare = prepare,
    .cost_begin = cost_begin,
    .cost = cost,
};
