/* triples.c — see triples.h. */
#include "variants/lib/triples.h"

#include <sodium.h>
#include <stdlib.h>

enum { CHUNK = 2048 }; /* products at a time: about 20 MB of OTs */

/* Elements [first, first + m) of `rows` rows of n values behind each other, into host memory. */
static enum ss_err gather(struct ss_ctx *c, uint64_t *h_out, const uint64_t *const *rows, size_t n, size_t first, size_t m)
{
    for (size_t at = first; at < first + m;) {
        const size_t j = at % n, left = first + m - at, run = n - j < left ? n - j : left;
        SS_TRY(c->backend->download(c->dev, h_out + (at - first), rows[at / n] + j, run * sizeof *h_out));
        at += run;
    }
    return SS_OK;
}

enum ss_err ss_triples_by_ot(struct ss_ctx *party, struct ss_ot *ot, uint64_t *out, const uint64_t *const *a,
                             const uint64_t *const *b, size_t pairs, size_t n)
{
    enum ss_err err = SS_OK;
    const size_t all = pairs * n, room = all < CHUNK ? all : CHUNK;
    SS_REQUIRE(ot->ready && all > 0);
    uint64_t *x = malloc(3 * room * sizeof *x), *y = x + room, *product = y + room;
    if (!x)
        SS_FAIL(SS_ENV, "out of memory for %zu products by OT", room);
    for (size_t first = 0; first < all; first += CHUNK) {
        const size_t m = all - first < CHUNK ? all - first : CHUNK;
        SS_TRY_OUT(gather(party, x, a, n, first, m));
        SS_TRY_OUT(gather(party, y, b, n, first, m));
        SS_TRY_OUT(ss_gilboa_product(party, ot, product, x, y, m));
        SS_TRY_OUT(party->backend->upload(party->dev, out + first, product, m * sizeof *product));
    }
out:
    sodium_memzero(x, 3 * room * sizeof *x);
    free(x);
    return err;
}

void ss_triples_cost(bool by_ot, size_t products, struct ss_counters *e)
{
    if (!by_ot) {
        e->bytes_offline_d_p1 += 8 * (int64_t)products;
        return;
    }
    for (size_t first = 0; first < products; first += CHUNK)
        ss_gilboa_product_cost(e, products - first < CHUNK ? products - first : CHUNK);
}
