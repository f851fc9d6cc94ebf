/* corr.c — see corr.h. */
#include "variants/lib/corr.h"

uint64_t ss_corr_id(const struct ss_ctx *c, enum ss_corr_slot slot)
{
    SS_REQUIRE(c->pass > 0 && c->layer < 1u << 16);
    return c->pass << 24 | (uint64_t)c->layer << 8 | (uint64_t)slot;
}

enum ss_err ss_corr_put(struct ss_ctx *c, struct ss_corr *corr, enum ss_corr_slot slot, size_t words, uint64_t **data)
{
    uint64_t id = ss_corr_id(c, slot);
    SS_REQUIRE(corr->state != SS_CORR_READY);
    SS_REQUIRE(id > corr->id);
    if (corr->buf.bytes < words * sizeof(uint64_t)) {
        ss_buf_free(c, &corr->buf);
        SS_TRY(ss_buf_alloc(c, &corr->buf, words * sizeof(uint64_t), SS_TAG_triples));
    }
    corr->words = words;
    corr->id = id;
    corr->state = SS_CORR_READY;
    *data = (uint64_t *)corr->buf.p;
    return SS_OK;
}

const uint64_t *ss_corr_take(const struct ss_ctx *c, struct ss_corr *corr, enum ss_corr_slot slot, size_t words)
{
    SS_REQUIRE(corr->state == SS_CORR_READY);
    SS_REQUIRE(corr->id == ss_corr_id(c, slot) && corr->words == words);
    corr->state = SS_CORR_CONSUMED;
    return (const uint64_t *)corr->buf.p;
}

void ss_corr_close(struct ss_ctx *c, struct ss_corr *corr)
{
    ss_buf_free(c, &corr->buf);
}
