/* attend.c — the matrix triples of attention (beaver.h). Batches: scores: masks of q, k, v (tokens, qkv rows) | their q k^T
   (n_heads, causal rows); values: mask of the weights (n_heads, causal rows) | its product with v's masks (tokens, attended).
 */
#include "harness/channel.h"
#include "variants/lib/beaver.h"

struct sizes {
    size_t qkv, row, kv, seen, attended; /* words: all qkv, a qkv row, a k or v row, scores, output */
    struct ss_attention p;
};

static struct sizes sizes_of(const struct ss_shape *s, size_t tokens, size_t past)
{
    const struct ss_ragged r = {.rows = s->n_heads * tokens, .tokens = tokens, .past = past};
    return (struct sizes){.qkv = tokens * ss_shape_qkv_rows(s),
                          .row = ss_shape_qkv_rows(s),
                          .kv = s->n_kv * s->d_head,
                          .seen = ss_ragged_start(&r, r.rows),
                          .attended = tokens * s->n_heads * s->d_head,
                          .p = {.tokens = tokens, .past = past, .n_heads = s->n_heads, .n_kv = s->n_kv, .d_head = s->d_head}};
}

enum ss_err ss_attend_open(struct ss_ctx *c, struct ss_attend *a)
{
    SS_TRY(ss_kv_open(c, &a->kv, SS_U64, false));
    if (c->role == SS_DEALER)
        return SS_OK;
    SS_TRY(ss_kv_open(c, &a->opened, SS_U64, false));
    return ss_buf_alloc(c, &a->qkv, c->max_tokens * ss_shape_qkv_rows(c->shape) * sizeof(uint64_t), SS_TAG_shares);
}

void ss_attend_close(struct ss_ctx *c, struct ss_attend *a)
{
    ss_kv_close(c, &a->kv);
    ss_kv_close(c, &a->opened);
    ss_buf_free(c, &a->qkv);
}

/* Appends the k and v columns of qkv (tokens, qkv rows) to the cache of this layer. */
static enum ss_err append(struct ss_ctx *c, const struct ss_kv *kv, const uint64_t *qkv, const struct sizes *z)
{
    const size_t at = z->p.past * z->kv, q = z->row - 2 * z->kv;
    SS_TRY(c->backend->ring_sub_rows(c->dev, (uint64_t *)ss_kv_keys(c, kv) + at, qkv + q, z->row, NULL, z->p.tokens, z->kv));
    return c->backend->ring_sub_rows(c->dev, (uint64_t *)ss_kv_values(c, kv) + at, qkv + q + z->kv, z->row, NULL, z->p.tokens,
                                     z->kv);
}

enum ss_err ss_attend_deal(struct ss_ctx *dealer, struct ss_attend *a, struct ss_seeds *s, struct ss_buf *scratch)
{
    const struct ss_backend *b = dealer->backend;
    struct ss_dev *dev = dealer->dev;
    const struct sizes z = sizes_of(dealer->shape, dealer->tokens, dealer->past);
    const size_t widest = z.qkv > z.attended ? z.qkv : z.attended, n = widest + z.seen;
    SS_TRY(ss_buf_grow(dealer, scratch, 2 * n * sizeof(uint64_t), SS_TAG_triples));
    uint64_t *p0 = (uint64_t *)scratch->p, *p1 = p0 + n;
    SS_TRY(ss_prg_fill(&s->to[SS_P0], b, dev, p0, z.qkv + z.seen));
    SS_TRY(ss_prg_fill(&s->to[SS_P1], b, dev, p1, z.qkv));
    SS_TRY(b->ring_add(dev, p1, p0, p1, z.qkv));
    SS_TRY(append(dealer, &a->kv, p1, &z));
    uint64_t *product = p1 + z.qkv;
    SS_TRY(b->gemm_u64_scores(dev, product, p1, z.row, ss_kv_keys(dealer, &a->kv), z.kv, &z.p, false));
    SS_TRY(b->ring_sub(dev, product, product, p0 + z.qkv, z.seen));
    SS_TRY(ss_send(dealer, SS_P1, "attn", product, z.seen * sizeof(uint64_t)));

    SS_TRY(ss_prg_fill(&s->to[SS_P0], b, dev, p0, z.seen + z.attended));
    SS_TRY(ss_prg_fill(&s->to[SS_P1], b, dev, p1, z.seen));
    SS_TRY(b->ring_add(dev, p1, p0, p1, z.seen));
    product = p1 + z.seen;
    SS_TRY(b->gemm_u64_values(dev, product, p1, ss_kv_values(dealer, &a->kv), z.kv, &z.p, false));
    SS_TRY(b->ring_sub(dev, product, product, p0 + z.seen, z.attended));
    return ss_send(dealer, SS_P1, "attn", product, z.attended * sizeof(uint64_t));
}

static enum ss_err receive(struct ss_ctx *party, struct ss_seeds *s, struct ss_corr *corr, enum ss_corr_slot slot, size_t masks,
                           size_t product)
{
    uint64_t *batch;
    SS_TRY(ss_corr_put(party, corr, slot, masks + product, &batch));
    SS_TRY(ss_prg_fill(&s->mine, party->backend, party->dev, batch, party->role == SS_P0 ? masks + product : masks));
    return party->role == SS_P0 ? SS_OK : ss_recv(party, SS_DEALER, "attn", batch + masks, product * sizeof(uint64_t));
}

enum ss_err ss_attend_receive(struct ss_ctx *party, struct ss_seeds *s, struct ss_corr *scores, struct ss_corr *values)
{
    const struct sizes z = sizes_of(party->shape, party->tokens, party->past);
    SS_TRY(receive(party, s, scores, SS_CORR_scores, z.qkv, z.seen));
    return receive(party, s, values, SS_CORR_values, z.seen, z.attended);
}

/* Opens x - mask; `sum` (n) may be the message buffer's first half. */
static enum ss_err open_masked(struct ss_ctx *party, struct ss_buf *work, uint64_t *sum, const uint64_t *x,
                               const uint64_t *mask, size_t n)
{
    uint64_t *mine = (uint64_t *)work->p, *theirs = mine + n;
    SS_TRY(party->backend->ring_sub(party->dev, mine, x, mask, n));
    SS_TRY(ss_exchange(party, "attn", mine, theirs, n * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)n;
    return party->backend->ring_add(party->dev, sum, mine, theirs, n);
}

/* (Q - A) k_p^T + a_p (K - B)^T + c_p: the first factor is public, k_p is this party's share of all of K. */
enum ss_err ss_attend_scores(struct ss_ctx *party, struct ss_attend *a, struct ss_corr *corr, struct ss_buf *work,
                             uint64_t *scores, const uint64_t *qkv)
{
    const struct ss_backend *b = party->backend;
    const struct sizes z = sizes_of(party->shape, party->tokens, party->past);
    const uint64_t *batch = ss_corr_take(party, corr, SS_CORR_scores, z.qkv + z.seen);
    uint64_t *open = (uint64_t *)a->qkv.p;
    SS_TRY(ss_buf_grow(party, work, 2 * z.qkv * sizeof(uint64_t), SS_TAG_buffers));
    SS_TRY(open_masked(party, work, open, qkv, batch, z.qkv));
    SS_TRY(append(party, &a->kv, qkv, &z));
    SS_TRY(append(party, &a->opened, open, &z));
    SS_TRY(b->copy(party->dev, scores, batch + z.qkv, z.seen * sizeof(uint64_t)));
    SS_TRY(b->gemm_u64_scores(party->dev, scores, open, z.row, ss_kv_keys(party, &a->kv), z.kv, &z.p, true));
    party->counters.triples_matrix += (int64_t)z.seen;
    return b->gemm_u64_scores(party->dev, scores, batch, z.row, ss_kv_keys(party, &a->opened), z.kv, &z.p, true);
}

enum ss_err ss_attend_values(struct ss_ctx *party, struct ss_attend *a, struct ss_corr *corr, struct ss_buf *work,
                             uint64_t *out, const uint64_t *weights)
{
    const struct ss_backend *b = party->backend;
    const struct sizes z = sizes_of(party->shape, party->tokens, party->past);
    const uint64_t *batch = ss_corr_take(party, corr, SS_CORR_values, z.seen + z.attended);
    SS_TRY(ss_buf_grow(party, work, 2 * z.seen * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *open = (uint64_t *)work->p;
    SS_TRY(open_masked(party, work, open, weights, batch, z.seen));
    SS_TRY(b->copy(party->dev, out, batch + z.seen, z.attended * sizeof(uint64_t)));
    SS_TRY(b->gemm_u64_values(party->dev, out, open, ss_kv_values(party, &a->kv), z.kv, &z.p, true));
    party->counters.triples_matrix += (int64_t)z.attended;
    return b->gemm_u64_values(party->dev, out, batch, ss_kv_values(party, &a->opened), z.kv, &z.p, true);
}

void ss_attend_cost(const struct ss_shape *s, size_t tokens, size_t past, struct ss_counters *e)
{
    const struct sizes z = sizes_of(s, tokens, past);
    const int64_t opened = (int64_t)(z.qkv + z.seen), elements = (int64_t)(z.seen + z.attended);
    e->triples_matrix += elements;
    e->opened_words += opened;
    e->bytes_online_p0_p1 += 8 * opened;
    e->bytes_online_p1_p0 += 8 * opened;
    e->bytes_offline_d_p1 += 8 * elements;
}
