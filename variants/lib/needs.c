/* needs.c — see needs.h. */
#include "variants/lib/needs.h"

#include <sodium.h>
#include <stdlib.h>

#include "variants/lib/wide.h"

static struct ss_need *add(struct ss_needs *l, enum ss_need_kind kind, enum ss_corr_slot slot)
{
    SS_REQUIRE(l->n < SS_MAX_NEEDS);
    struct ss_need *need = &l->need[l->n++];
    *need = (struct ss_need){.kind = kind, .slot = slot};
    return need;
}

void ss_need_trunc(struct ss_needs *l, enum ss_corr_slot slot, size_t rows, size_t cols, unsigned m, const uint8_t *col_m)
{
    struct ss_need *need = add(l, SS_NEED_TRUNC, slot);
    need->rows = (struct ss_ragged){.rows = rows, .cols = cols};
    need->m = m;
    need->col_m = col_m;
}

void ss_need_lookup(struct ss_needs *l, enum ss_corr_slot slot, const struct ss_lookup_shape *s, size_t n_tables, size_t n)
{
    struct ss_need *need = add(l, SS_NEED_LOOKUP, slot);
    need->lookup = *s;
    need->n_tables = n_tables;
    need->n = n;
}

void ss_need_product(struct ss_needs *l, enum ss_need_kind kind, enum ss_corr_slot slot, struct ss_ragged rows)
{
    add(l, kind, slot)->rows = rows;
}

void ss_need_attend(struct ss_needs *l)
{
    add(l, SS_NEED_ATTEND, SS_CORR_scores);
}

void ss_need_compare(struct ss_needs *l, enum ss_corr_slot slot, const struct ss_compare_shape *s, size_t n)
{
    struct ss_need *need = add(l, SS_NEED_COMPARE, slot);
    need->compare = *s;
    need->n = n;
}

void ss_need_powers(struct ss_needs *l, enum ss_corr_slot slot, unsigned k, size_t n, unsigned bits)
{
    struct ss_need *need = add(l, SS_NEED_POWERS, slot);
    need->powers = k;
    need->n = n;
    for (unsigned level = 0; level < ss_power_levels(k); level++)
        ss_need_trunc(l, slot + 1 + level, ss_powers_at(k, level), n, bits, NULL);
}

void ss_need_wide(struct ss_needs *l, enum ss_corr_slot value, const struct ss_lookup_shape *s, size_t windows, size_t rows)
{
    ss_need_lookup(l, value, s, windows, rows);
    if (windows == 1)
        return;
    ss_need_lookup(l, value + 1, &ss_wide_below, windows - 1, rows);
    ss_need_product(l, SS_NEED_SCALE, value + 2, (struct ss_ragged){.rows = ss_wide_products(windows) * rows, .cols = 1});
}

enum ss_err ss_supply_open(struct ss_ctx *c, struct ss_supply *s, const struct ss_lookup_source *source, bool ot_triples)
{
    s->source = source;
    s->triples.ot = ot_triples ? &s->ot : NULL;
    if (source) {
        s->source_state = calloc(1, source->state_bytes);
        if (!s->source_state)
            SS_FAIL(SS_ENV, "out of memory for the state of source %s", source->name);
        SS_TRY(source->open(c, s->source_state));
    }
    return ss_attend_open(c, &s->attend);
}

void ss_supply_close(struct ss_ctx *c, struct ss_supply *s)
{
    if (s->source_state) {
        s->source->close(c, s->source_state);
        sodium_memzero(s->source_state, s->source->state_bytes);
        free(s->source_state);
    }
    ss_ot_close(c, &s->ot);
    ss_attend_close(c, &s->attend);
    ss_seeds_close(c, &s->seeds);
    for (int i = 0; i < SS_CORR_SLOTS; i++)
        ss_corr_close(c, &s->corr[i]);
    ss_buf_free(c, &s->scratch);
}

static enum ss_err deal(struct ss_ctx *c, struct ss_supply *s, const struct ss_need *need)
{
    const struct ss_ragged *r = &need->rows;
    switch (need->kind) {
    case SS_NEED_TRUNC:
        SS_TRY(ss_buf_grow(c, &s->scratch, 6 * r->rows * r->cols * sizeof(uint64_t), SS_TAG_triples));
        return ss_trunc_deal(c, &s->seeds, &s->scratch, r->rows, r->cols, need->m, need->col_m);
    case SS_NEED_LOOKUP:
        SS_REQUIRE(s->source);
        for (size_t k = 0; k < need->n_tables && s->source->deal; k++)
            SS_TRY(s->source->deal(c, s->source_state, &s->seeds, &need->lookup, need->n));
        return SS_OK;
    case SS_NEED_COMPARE:
        return ss_compare_deal(c, &s->seeds, &s->scratch, &need->compare, need->n);
    case SS_NEED_POWERS:
        return s->triples.ot ? SS_OK : ss_powers_deal(c, &s->seeds, &s->scratch, need->powers, need->n);
    case SS_NEED_ATTEND:
        return ss_attend_deal(c, &s->attend, &s->seeds, &s->scratch);
    case SS_NEED_SCALE:
        return s->triples.ot && r->cols == 1 ? SS_OK : ss_beaver_deal(c, &s->seeds, &s->scratch, SS_BEAVER_SCALE, r);
    default:
        return ss_beaver_deal(c, &s->seeds, &s->scratch, SS_BEAVER_NORM, r);
    }
}

static enum ss_err receive(struct ss_ctx *c, struct ss_supply *s, const struct ss_need *need)
{
    struct ss_corr *corr = &s->corr[need->slot];
    switch (need->kind) {
    case SS_NEED_TRUNC:
        return ss_trunc_receive(c, &s->seeds, corr, need->slot, need->rows.rows * need->rows.cols);
    case SS_NEED_LOOKUP:
        return ss_lookup_prepare(c, s->source, s->source_state, &s->seeds, corr, need->slot, &need->lookup, need->n_tables,
                                 need->n);
    case SS_NEED_COMPARE:
        return ss_compare_receive(c, &s->seeds, corr, need->slot, &need->compare, need->n);
    case SS_NEED_POWERS:
        return ss_powers_receive(c, &s->seeds, &s->triples, corr, need->slot, need->powers, need->n);
    case SS_NEED_ATTEND:
        return ss_attend_receive(c, &s->seeds, &s->corr[SS_CORR_scores], &s->corr[SS_CORR_values]);
    case SS_NEED_SCALE:
        if (s->triples.ot && need->rows.cols == 1)
            return ss_beaver_by_ot(c, s->triples.ot, corr, need->slot, &need->rows);
        return ss_beaver_receive(c, &s->seeds, corr, need->slot, SS_BEAVER_SCALE, &need->rows);
    default:
        return ss_beaver_receive(c, &s->seeds, corr, need->slot, SS_BEAVER_NORM, &need->rows);
    }
}

enum ss_err ss_supply_layer(struct ss_ctx *c, struct ss_supply *s, const struct ss_needs *l)
{
    const bool dealer = c->role == SS_DEALER;
    SS_TRY(dealer ? ss_seeds_deal(c, &s->seeds) : ss_seeds_receive(c, &s->seeds));
    if (s->source)
        SS_TRY(s->source->begin(c, s->source_state, &s->seeds));
    if (s->triples.ot && !dealer && c->layer == 0)
        SS_TRY(ss_ot_setup(c, &s->ot));
    for (size_t i = 0; i < l->n; i++)
        SS_TRY(dealer ? deal(c, s, &l->need[i]) : receive(c, s, &l->need[i]));
    return SS_OK;
}

static void cost_of(const struct ss_need *need, const struct ss_lookup_source *source, bool ot_triples,
                    const struct ss_job *job, struct ss_counters *e)
{
    const int64_t n = (int64_t)(need->rows.rows * need->rows.cols);
    switch (need->kind) {
    case SS_NEED_TRUNC:
        e->trunc_pairs += n;
        e->opened_words += n;
        e->bytes_online_p0_p1 += n * SS_TRUNC_OPENED_BYTES;
        e->bytes_online_p1_p0 += n * SS_TRUNC_OPENED_BYTES;
        e->bytes_offline_d_p1 += n * SS_TRUNC_DEALT_BYTES;
        return;
    case SS_NEED_LOOKUP:
        SS_REQUIRE(source);
        for (size_t k = 0; k < need->n_tables; k++) {
            ss_lookup_cost(source, &need->lookup, need->n, e);
            source->cost(&need->lookup, need->n, e);
        }
        return;
    case SS_NEED_COMPARE:
        ss_compare_cost(&need->compare, need->n, e);
        return;
    case SS_NEED_POWERS:
        ss_powers_cost(ot_triples, need->powers, need->n, e);
        return;
    case SS_NEED_ATTEND:
        ss_attend_cost(job->shape, job->tokens, job->past, e);
        return;
    case SS_NEED_SCALE:
        if (need->rows.cols == 1)
            ss_beaver_product_cost(ot_triples, &need->rows, e);
        else
            ss_beaver_cost(SS_BEAVER_SCALE, &need->rows, e);
        return;
    default:
        ss_beaver_cost(SS_BEAVER_NORM, &need->rows, e);
    }
}

void ss_needs_cost(const struct ss_needs *l, const struct ss_lookup_source *source, bool ot_triples, const struct ss_job *job,
                   size_t layer, struct ss_counters *e)
{
    e->bytes_offline_d_p0 += SS_SEED_BYTES;
    e->bytes_offline_d_p1 += SS_SEED_BYTES;
    if (source)
        source->cost_begin(layer, e);
    if (ot_triples && layer == 0)
        ss_ot_setup_cost(e);
    for (size_t i = 0; i < l->n; i++)
        cost_of(&l->need[i], source, ot_triples, job, e);
}
