/* compare.c — see compare.h. Batch of n values, B bits, T thresholds; G = ceil(n / 64) words a sliced bit, W = T G:

     a (n) | masks of the levels' inputs | bits of rho (W)                        both parties from their seeds
     bits of a (B, G) | their products by blocks | the levels' products | rho (T, n) | rho a (T, n) if wanted
                                                                                  P0 from its seed, P1 received

   Bits are shared by XOR, a, rho and rho a additively. Masks and products lie as kernels/backend.h has a carry's: level
   behind level, and rho's bits as the root's mask. In a message the bits of padding are masked like all others. */
#include "variants/lib/compare.h"

#include "harness/channel.h"
#include "kernels/carry.h"

/* Where the parts of a batch begin, in words. */
struct layout {
    size_t words;                  /* W */
    size_t leaves;                 /* positions of the tree's first level */
    size_t masks, bits_rho, dealt; /* dealt: what follows is not from P1's seed */
    size_t bits_a, blocks, products, rho, rho_a, all;
};

static struct layout layout_of(const struct ss_compare_shape *s, size_t n)
{
    SS_REQUIRE(s->bits >= 2 && s->bits <= 64 && s->thresholds >= 1 && s->thresholds <= SS_MAX_THRESHOLDS && n > 0);
    const size_t groups = (n + 63) / 64;
    struct layout l = {.words = s->thresholds * groups, .leaves = ss_carry_leaves(s->bits), .masks = n};
    size_t masks = 0, products = 0;
    for (size_t count = l.leaves; count > 1; count = ss_carry_nodes(count)) {
        masks += ss_carry_opened(count) * l.words;
        products += ss_carry_products(count) * l.words;
    }
    l.bits_rho = l.masks + masks;
    l.dealt = l.bits_a = l.bits_rho + l.words;
    l.blocks = l.bits_a + s->bits * groups;
    l.products = l.blocks + ss_block_products(s->bits - 1) * groups;
    l.rho = l.products + products;
    l.rho_a = l.rho + s->thresholds * n;
    l.all = l.rho_a + (s->product ? s->thresholds * n : 0);
    return l;
}

size_t ss_compare_words(const struct ss_compare_shape *s, size_t n)
{
    return layout_of(s, n).all;
}

size_t ss_compare_rounds(const struct ss_compare_shape *s)
{
    size_t rounds = 2;
    for (size_t count = ss_carry_leaves(s->bits); count > 1; count = ss_carry_nodes(count))
        rounds++;
    return rounds;
}

enum ss_err ss_compare_deal(struct ss_ctx *dealer, struct ss_seeds *seeds, struct ss_buf *scratch,
                            const struct ss_compare_shape *s, size_t n)
{
    const struct ss_backend *b = dealer->backend;
    const struct layout l = layout_of(s, n);
    SS_TRY(ss_buf_grow(dealer, scratch, 2 * l.all * sizeof(uint64_t), SS_TAG_triples));
    uint64_t *p0 = (uint64_t *)scratch->p, *p1 = p0 + l.all;
    SS_TRY(ss_prg_fill(&seeds->to[SS_P0], b, dealer->dev, p0, l.all));
    SS_TRY(ss_prg_fill(&seeds->to[SS_P1], b, dealer->dev, p1, l.dealt));
    SS_TRY(b->bits_slice(dealer->dev, p1 + l.bits_a, p0, p1, p0 + l.bits_a, n, s->bits));
    SS_TRY(b->block_deal(dealer->dev, p1 + l.blocks, p0 + l.blocks, p0 + l.bits_a, p1 + l.bits_a, s->bits - 1, (n + 63) / 64));
    size_t masks = l.masks, products = l.products;
    for (size_t count = l.leaves; count > 1; count = ss_carry_nodes(count)) {
        SS_TRY(b->carry_deal(dealer->dev, p1 + products, p0 + products, p0 + masks, p1 + masks, count, l.words));
        masks += ss_carry_opened(count) * l.words;
        products += ss_carry_products(count) * l.words;
    }
    SS_TRY(b->bits_deal(dealer->dev, p1 + l.rho, s->product ? p1 + l.rho_a : NULL, p0 + l.rho, s->product ? p0 + l.rho_a : NULL,
                        p0 + l.bits_rho, p1 + l.bits_rho, p0, p1, n, s->thresholds));
    return ss_send(dealer, SS_P1, "cmpr", p1 + l.dealt, (l.all - l.dealt) * sizeof(uint64_t));
}

enum ss_err ss_compare_receive(struct ss_ctx *party, struct ss_seeds *seeds, struct ss_corr *corr, enum ss_corr_slot slot,
                               const struct ss_compare_shape *s, size_t n)
{
    uint64_t *batch;
    const struct layout l = layout_of(s, n);
    const bool all = party->role == SS_P0;
    SS_TRY(ss_corr_put(party, corr, slot, l.all, &batch));
    SS_TRY(ss_prg_fill(&seeds->mine, party->backend, party->dev, batch, all ? l.all : l.dealt));
    return all ? SS_OK : ss_recv(party, SS_DEALER, "cmpr", batch + l.dealt, (l.all - l.dealt) * sizeof(uint64_t));
}

/* Temporaries of one call; levels of the carry go from one `kept` and `message` to the other and back. */
struct room {
    uint64_t *c[2]; /* (n): opened x - a, mine and theirs */
    uint64_t *kept[2], *message[2], *theirs;
};

static enum ss_err room_open(struct ss_ctx *party, struct ss_buf *work, size_t n, const struct layout *l, struct room *r)
{
    const size_t kept = ss_carry_kept(l->leaves) * l->words, message = ss_carry_opened(l->leaves) * l->words;
    SS_TRY(ss_buf_grow(party, work, (2 * n + 2 * kept + 3 * message) * sizeof(uint64_t), SS_TAG_buffers));
    uint64_t *p = (uint64_t *)work->p;
    for (int i = 0; i < 2; i++) {
        r->c[i] = p, p += n;
        r->kept[i] = p, p += kept;
        r->message[i] = p, p += message;
    }
    r->theirs = p;
    return SS_OK;
}

/* The top bits xor rho, from the leaves on; (W) at *bits, theirs in the room. */
static enum ss_err open_bits(struct ss_ctx *party, const struct room *r, const uint64_t *batch, const struct layout *l,
                             const uint64_t **bits)
{
    size_t masks = l->masks, products = l->products;
    int at = 0;
    for (size_t count = l->leaves; count > 1; count = ss_carry_nodes(count), at = 1 - at) {
        const size_t opened = ss_carry_opened(count) * l->words, dealt = ss_carry_products(count) * l->words;
        SS_TRY(ss_exchange(party, "cary", r->message[at], r->theirs, opened * sizeof(uint64_t)));
        party->counters.opened_words += (int64_t)opened;
        party->counters.triples_bin += 64 * (int64_t)dealt;
        SS_TRY(party->backend->carry_join(party->dev, r->kept[1 - at], r->message[1 - at], r->kept[at], r->message[at],
                                          r->theirs, batch + masks, batch + products, count, l->words, party->role));
        masks += opened;
        products += dealt;
    }
    *bits = r->message[at];
    party->counters.opened_words += (int64_t)l->words;
    return ss_exchange(party, "bits", *bits, r->theirs, l->words * sizeof(uint64_t));
}

enum ss_err ss_compare(struct ss_ctx *party, struct ss_buf *work, const struct ss_compare_call *call)
{
    const struct ss_backend *b = party->backend;
    const struct ss_compare_shape *s = &call->shape;
    const size_t n = call->rows * call->cols;
    const struct layout l = layout_of(s, n);
    struct room r;
    const uint64_t *bits;
    SS_REQUIRE(!call->sx || s->product);
    const uint64_t *batch = ss_corr_take(party, call->corr, call->slot, l.all);
    SS_TRY(room_open(party, work, n, &l, &r));

    SS_TRY(b->ring_sub_rows(party->dev, r.c[0], call->x, call->x_stride, batch, call->rows, call->cols));
    SS_TRY(ss_exchange(party, "open", r.c[0], r.c[1], n * sizeof(uint64_t)));
    party->counters.opened_words += (int64_t)n;
    party->counters.triples_bin += 64 * (int64_t)(l.products - l.blocks);
    SS_TRY(b->carry_leaves(party->dev, r.kept[0], r.message[0], r.c[0], r.c[1], batch + l.bits_a, batch + l.blocks,
                           batch + l.masks, call->h_t, s->thresholds, call->shift, call->rows, call->cols, s->bits,
                           party->role));
    SS_TRY(open_bits(party, &r, batch, &l, &bits));
    return b->bits_close(party->dev, call->s, call->sx, bits, r.theirs, batch + l.rho, s->product ? batch + l.rho_a : NULL,
                         batch, r.c[0], r.c[1], n, s->thresholds, party->role);
}

void ss_compare_cost(const struct ss_compare_shape *s, size_t n, struct ss_counters *e)
{
    const struct layout l = layout_of(s, n);
    const int64_t opened = (int64_t)(l.dealt); /* every mask is used once: of a, of the levels, rho */
    e->triples_bin += 64 * (int64_t)(l.rho - l.blocks);
    e->opened_words += opened;
    e->bytes_online_p0_p1 += 8 * opened;
    e->bytes_online_p1_p0 += 8 * opened;
    e->bytes_offline_d_p1 += 8 * (int64_t)(l.all - l.dealt);
}
