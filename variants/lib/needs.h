/* needs.h — the correlations that a layer consumes, as a list in the order in which they are dealt. The dealer, the parties and
   cost() walk the same list, so what is counted is what is dealt. */
#ifndef SS_NEEDS_H
#define SS_NEEDS_H

#include "variants/lib/beaver.h"
#include "variants/lib/compare.h"
#include "variants/lib/lookup.h"
#include "variants/lib/powers.h"
#include "variants/variant.h"

enum ss_need_kind {
    SS_NEED_TRUNC,
    SS_NEED_LOOKUP,
    SS_NEED_SCALE,
    SS_NEED_NORM,
    SS_NEED_ATTEND,
    SS_NEED_COMPARE,
    SS_NEED_POWERS, /* without their truncations */
};
enum { SS_MAX_NEEDS = 128 };

struct ss_need {
    enum ss_need_kind kind;
    enum ss_corr_slot slot;
    struct ss_ragged rows;         /* trunc (cols values a row), scale, norm */
    unsigned m;                    /* trunc: bits lost ... */
    const uint8_t *col_m;          /* ... plus these */
    struct ss_lookup_shape lookup; /* n_tables batches of n */
    size_t n_tables, n;
    struct ss_compare_shape compare; /* of n values */
    unsigned powers;                 /* of n values */
};
struct ss_needs {
    size_t n;
    struct ss_need need[SS_MAX_NEEDS];
};
void ss_need_trunc(struct ss_needs *l, enum ss_corr_slot slot, size_t rows, size_t cols, unsigned m, const uint8_t *col_m);
void ss_need_lookup(struct ss_needs *l, enum ss_corr_slot slot, const struct ss_lookup_shape *s, size_t n_tables, size_t n);
void ss_need_product(struct ss_needs *l, enum ss_need_kind kind, enum ss_corr_slot slot, struct ss_ragged rows);
void ss_need_attend(struct ss_needs *l); /* slots scores and values */
void ss_need_compare(struct ss_needs *l, enum ss_corr_slot slot, const struct ss_compare_shape *s, size_t n);
/* Powers 2 .. k of n values at `bits`: slots slot .. slot + ss_power_levels(k). */
void ss_need_powers(struct ss_needs *l, enum ss_corr_slot slot, unsigned k, size_t n, unsigned bits);
/* A wide function (wide.h) of `rows` values: slots value, value + 1, value + 2. */
void ss_need_wide(struct ss_needs *l, enum ss_corr_slot value, const struct ss_lookup_shape *s, size_t windows, size_t rows);

/* Where a role keeps what the list names. */
struct ss_supply {
    const struct ss_lookup_source *source; /* NULL: no lookups */
    void *source_state;
    struct ss_ot ot; /* of triples */
    struct ss_triples triples;
    struct ss_seeds seeds;
    struct ss_attend attend;
    struct ss_corr corr[SS_CORR_SLOTS];
    struct ss_buf scratch; /* dealer */
};
SS_CHECKED enum ss_err ss_supply_open(struct ss_ctx *c, struct ss_supply *s, const struct ss_lookup_source *source,
                                      bool ot_triples);
void ss_supply_close(struct ss_ctx *c, struct ss_supply *s);
/* Offline phase of a layer at any role: seeds, the source's keys, then every need. */
SS_CHECKED enum ss_err ss_supply_layer(struct ss_ctx *c, struct ss_supply *s, const struct ss_needs *l);
/* Counters of a layer but for online rounds. */
void ss_needs_cost(const struct ss_needs *l, const struct ss_lookup_source *source, bool ot_triples, const struct ss_job *job,
                   size_t layer, struct ss_counters *e);
#endif
