/* columns_seed.c — what the seed document's formulas give for a cell's shape and tokens, as columns. */
#include "harness/columns.h"

#include <stdio.h>

int64_t ss_seed_ots(const struct ss_shape *s, size_t tokens)
{
    return (int64_t)(s->n_layers * (2 + s->d_model + tokens * s->n_heads));
}

/* X(name, header, unit, value of the shape s, the tokens n and the result r) */
#define SEEDS(X)                                                                                                               \
    X(weight_bytes, "formula: weights, 2 B a parameter", "B", 2 * r->params)                                                   \
    X(seed_ots, "seed formula: OTs", "OTs", ss_seed_ots(s, n))                                                                 \
    X(seed_ots_per_layer, "seed formula: OTs per layer", "OTs", ss_seed_ots(s, n) / (int64_t)s->n_layers)                      \
    X(seed_ot_bytes, "seed formula: OT bytes (64 B)", "B", ss_seed_ots(s, n) * SS_SEED_OT_BYTES)                               \
    X(seed_triples, "seed formula: triples", "triples", 5 * ss_seed_ots(s, n))                                                 \
    X(seed_triple_bytes, "seed formula: triple bytes (12 B)", "B", 5 * SS_SEED_TRIPLE_BYTES * ss_seed_ots(s, n))               \
    X(seed_share_bytes, "seed formula: share bytes (4 B word)", "B", 4 * s->d_model * n)                                       \
    X(seed_net_per_token, "seed formula: bytes per token (4 B word)", "B", 2 * s->d_model * 4)                                 \
    X(seed_kv_bytes, "seed formula: KV cache, 2,048 tokens (4 B word)", "B",                                                   \
      2 * SS_SEED_KV_TOKENS * s->n_kv * s->d_head * 4 * s->n_layers)                                                           \
    X(seed_table_bytes, "seed formula: tables", "B", SS_SEED_TABLE_BYTES)                                                      \
    X(seed_cc_buffer_bytes, "seed formula: encryption buffers (1.1 x 4 B word)", "B", 44 * s->d_model * n / 10)                \
    X(seed_error, "seed formula: error, 3 steps a layer of 1 %", "%", 3 * s->n_layers)

#define GET(name, header, unit, value)                                                                                         \
    static int64_t get_##name(const struct ss_shape *s, size_t n, const struct ss_result *r)                                   \
    {                                                                                                                          \
        (void)s;                                                                                                               \
        (void)n;                                                                                                               \
        (void)r;                                                                                                               \
        return (int64_t)(value);                                                                                               \
    }
SEEDS(GET)
#undef GET

static const struct {
    const char *name, *header, *unit;
    int64_t (*get)(const struct ss_shape *s, size_t n, const struct ss_result *r);
} seeds[] = {
#define ROW(name, header, unit, value) {#name, header, unit, get_##name},
    SEEDS(ROW)
#undef ROW
};

size_t ss_seed_columns(void)
{
    return sizeof seeds / sizeof seeds[0];
}

void ss_seed_describe(struct ss_column *c, size_t index)
{
    c->index = index;
    c->unit = seeds[index].unit;
    c->kind = SS_COL_COUNT;
    c->origin = SS_FORMULA;
    snprintf(c->name, sizeof c->name, "%s", seeds[index].name);
    snprintf(c->header, sizeof c->header, "%s", seeds[index].header);
}

void ss_seed_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    if (r->shape.n_layers)
        ss_value_count(v, seeds[c->index].get(&r->shape, r->cell.tokens, r));
}
