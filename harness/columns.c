/* columns.c — the columns that are one number or word of a cell each: identity, shape, counted, timed, compared.
   columns_find.c puts them beside the other families. */
#include "harness/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/samples.h"
#include "harness/text.h"

typedef void (*getter)(struct ss_value *v, const struct ss_result *r);

static const struct ss_variant *variant_of(const struct ss_result *r)
{
    return ss_variant_find(r->cell.variant);
}

/* ---- identity ---- */
#define FIELD(name)                                                                                                            \
    static void get_##name(struct ss_value *v, const struct ss_result *r)                                                      \
    {                                                                                                                          \
        ss_value_text(v, r->cell.name);                                                                                        \
    }
FIELD(model)
FIELD(variant)
FIELD(backend)
FIELD(phase)
FIELD(options)
FIELD(id)
#undef FIELD
static void get_tokens(struct ss_value *v, const struct ss_result *r)
{
    ss_value_count(v, (int64_t)r->cell.tokens);
}
static void get_claim(struct ss_value *v, const struct ss_result *r)
{
    const struct ss_variant *variant = variant_of(r);
    ss_value_text(v, variant ? variant->claim : "");
}
static void get_reveals(struct ss_value *v, const struct ss_result *r)
{
    const struct ss_variant *variant = variant_of(r);
    ss_value_text(v, variant ? variant->reveals : "");
}
static void get_trust(struct ss_value *v, const struct ss_result *r)
{
    const struct ss_variant *variant = variant_of(r);
    ss_value_text(v, variant ? variant->trust : "");
}
static void get_status(struct ss_value *v, const struct ss_result *r)
{
    v->present = true;
    if (r->status == SS_MEASURED)
        snprintf(v->text, sizeof v->text, "%s", ss_status_names[r->status]);
    else
        snprintf(v->text, sizeof v->text, "%s: %s", ss_status_names[r->status], r->reason);
}

/* ---- shape ---- */
#define SHAPE(field)                                                                                                           \
    static void get_##field(struct ss_value *v, const struct ss_result *r)                                                     \
    {                                                                                                                          \
        if (r->shape.n_layers)                                                                                                 \
            ss_value_count(v, (int64_t)r->shape.field);                                                                        \
    }
SHAPE(d_model)
SHAPE(d_ff)
SHAPE(n_layers)
SHAPE(n_heads)
SHAPE(n_kv)
SHAPE(d_head)
SHAPE(vocab)
#undef SHAPE
static void get_params(struct ss_value *v, const struct ss_result *r)
{
    if (r->params)
        ss_value_count(v, (int64_t)r->params);
}

/* ---- the enclave, as the cell's process found it; a cell without these entries is older than the first variant that has one
 */
#define NOTED(name)                                                                                                            \
    static void get_##name(struct ss_value *v, const struct ss_result *r)                                                      \
    {                                                                                                                          \
        const char *text = ss_pairs_get(&r->config, #name);                                                                    \
        ss_value_text(v, text ? text : "none");                                                                                \
    }
NOTED(cc_mode)
NOTED(attestation)
#undef NOTED

/* ---- counted ---- */
static int64_t functions(const struct ss_counters *c)
{
    return c->func_silu + c->func_exp + c->func_recip + c->func_rsqrt + c->func_relu;
}
static int64_t bytes_of(const struct ss_counters *c, enum ss_phase phase, enum ss_dir from, enum ss_dir to)
{
    struct ss_counters copy = *c;
    int64_t sum = 0;
    for (int d = from; d <= (int)to; d++) {
        const int64_t *bytes = ss_counters_bytes(&copy, phase, (enum ss_dir)d);
        sum += bytes ? *bytes : 0;
    }
    return sum;
}
static int64_t peak_sum(const struct ss_result *r)
{
    int64_t sum = 0;
    for (int t = 0; t < SS_N_TAGS; t++)
        sum += r->peak[t];
    return sum;
}

#define COUNTED(name, value)                                                                                                   \
    static void get_##name(struct ss_value *v, const struct ss_result *r)                                                      \
    {                                                                                                                          \
        const struct ss_counters *c = &r->counters;                                                                            \
        (void)c;                                                                                                               \
        ss_value_count(v, (value));                                                                                            \
    }
COUNTED(func_total, functions(c))
COUNTED(rounds_total, c->rounds_input + c->rounds_offline + c->rounds_online + c->rounds_output)
COUNTED(bytes_between, ss_counters_bytes_between(c))
COUNTED(bytes_total, ss_counters_bytes_total(c))
COUNTED(bytes_input, bytes_of(c, SS_INPUT, SS_P0_P1, SS_P1_P0))
COUNTED(bytes_offline, bytes_of(c, SS_OFFLINE, SS_P0_P1, SS_P1_P0))
COUNTED(bytes_online, bytes_of(c, SS_ONLINE, SS_P0_P1, SS_P1_P0))
COUNTED(bytes_output, bytes_of(c, SS_OUTPUT, SS_P0_P1, SS_P1_P0))
COUNTED(bytes_dealer, bytes_of(c, SS_OFFLINE, SS_D_P0, SS_D_P1))
COUNTED(triples_ew, c->triples_elem + c->triples_square)
COUNTED(peak_total, peak_sum(r))
COUNTED(peak_overhead, peak_sum(r) - r->peak[SS_TAG_weights])
COUNTED(reps, (int64_t)r->reps)
COUNTED(copy_bytes, (int64_t)(ss_cell_copies(&r->cell) ? 4 * r->shape.d_model * r->cell.tokens : 0))
#undef COUNTED

static void get_func_per_layer(struct ss_value *v, const struct ss_result *r)
{
    const int64_t final_norm = (int64_t)ss_cell_rows(&r->cell); /* one evaluation a row of logits, in no layer */
    if (r->shape.n_layers)
        ss_value_real(v, (double)(functions(&r->counters) - final_norm) / (double)r->shape.n_layers);
}
static void get_bytes_per_token(struct ss_value *v, const struct ss_result *r)
{
    ss_value_real(v, (double)ss_counters_bytes_between(&r->counters) / (double)ss_cell_job(&r->cell, &r->shape, NULL).tokens);
}

/* ---- timed ---- */
#define TIMED(name)                                                                                                            \
    static void get_##name##_ms(struct ss_value *v, const struct ss_result *r)                                                 \
    {                                                                                                                          \
        ss_value_time(v, r, offsetof(struct ss_pass, name##_ns));                                                              \
    }
SS_PASS_TIMES(TIMED)
#undef TIMED
static void get_processes(struct ss_value *v, const struct ss_result *r)
{
    ss_value_count(v, (int64_t)ss_result_processes(r));
}
/* Its rank among the others of its table, which one cell does not know: filled in by report.c. */
static void get_rank(struct ss_value *v, const struct ss_result *r)
{
    (void)v;
    (void)r;
}

/* One copy of a pass of phase copy: its bytes over the median time. */
#define SPEED(name, op)                                                                                                        \
    static void get_##name(struct ss_value *v, const struct ss_result *r)                                                      \
    {                                                                                                                          \
        struct ss_value t = {0};                                                                                               \
        ss_value_time(&t, r, offsetof(struct ss_pass, op_ns) + (op) * sizeof(uint64_t));                                       \
        if (ss_cell_copies(&r->cell) && t.real > 0)                                                                            \
            ss_value_real(v, 4e-6 * (double)(r->shape.d_model * r->cell.tokens) / t.real);                                     \
    }
SPEED(copy_in_gb_s, SS_OP_input)
SPEED(copy_out_gb_s, SS_OP_output)
#undef SPEED

static void get_first_ms(struct ss_value *v, const struct ss_result *r)
{
    if (r->has_first)
        ss_value_real(v, (double)r->first.wall_ns / 1e6);
}
static void get_online_ci(struct ss_value *v, const struct ss_result *r)
{
    struct ss_value t = {0};
    get_online_ms(&t, r);
    if (!t.present)
        return;
    char lo[32], hi[32], text[72] = "n too small";
    ss_print_real(lo, sizeof lo, t.lo);
    ss_print_real(hi, sizeof hi, t.hi);
    if (t.has_interval)
        snprintf(text, sizeof text, "%s-%s", lo, hi);
    ss_value_text(v, text);
}
static void get_tokens_per_s(struct ss_value *v, const struct ss_result *r)
{
    struct ss_value t = {0};
    get_online_ms(&t, r);
    if (!t.present || t.real <= 0)
        return;
    double n = 1000 * (double)ss_cell_job(&r->cell, &r->shape, NULL).tokens;
    ss_value_real(v, n / t.real);
    v->has_interval = t.has_interval && t.lo > 0;
    v->lo = n / t.hi;
    v->hi = n / t.lo;
}

/* ---- compared with plain fp32 ---- */
#define ERROR(name)                                                                                                            \
    static void get_##name(struct ss_value *v, const struct ss_result *r)                                                      \
    {                                                                                                                          \
        if (r->has_error)                                                                                                      \
            ss_value_real(v, r->error.name);                                                                                   \
    }
ERROR(rel_l2)
ERROR(max_abs)
ERROR(kl)
ERROR(top1)
#undef ERROR

static const struct {
    const char *name, *header, *unit;
    enum ss_column_kind kind;
    enum ss_column_origin origin;
    getter get;
} registry[] = {
#define C(name, header, unit, kind, origin)                                                                                    \
    {                                                                                                                          \
#name, header, unit, SS_COL_##kind, SS_##origin, get_##name                                                            \
    }
    C(model, "model", "", TEXT, IDENTITY),
    C(variant, "variant", "", TEXT, IDENTITY),
    C(tokens, "tokens", "", COUNT, IDENTITY),
    C(backend, "backend", "", TEXT, IDENTITY),
    C(phase, "phase", "", TEXT, IDENTITY),
    C(options, "options", "", TEXT, IDENTITY),
    C(id, "cell", "", TEXT, IDENTITY),
    C(params, "parameters", "", COUNT, IDENTITY),
    C(d_model, "d_model", "", COUNT, IDENTITY),
    C(d_ff, "d_ff", "", COUNT, IDENTITY),
    C(n_layers, "layers", "", COUNT, IDENTITY),
    C(n_heads, "heads", "", COUNT, IDENTITY),
    C(n_kv, "KV heads", "", COUNT, IDENTITY),
    C(d_head, "head dimension", "", COUNT, IDENTITY),
    C(vocab, "vocabulary", "", COUNT, IDENTITY),
    C(claim, "protects", "", TEXT, IDENTITY),
    C(reveals, "reveals", "", TEXT, IDENTITY),
    C(trust, "trusts", "", TEXT, IDENTITY),
    C(cc_mode, "enclave", "", TEXT, COUNTED),
    C(attestation, "attestation", "", TEXT, COUNTED),
    C(status, "status", "", TEXT, IDENTITY),
    C(func_total, "function evaluations", "evaluations", COUNT, COUNTED),
    C(func_per_layer, "function evaluations per layer", "evaluations", REAL, COUNTED),
    C(rounds_total, "rounds, all phases", "rounds", COUNT, COUNTED),
    C(bytes_between, "bytes between the parties", "B", COUNT, COUNTED),
    C(bytes_total, "bytes with the dealer's", "B", COUNT, COUNTED),
    C(bytes_per_token, "bytes between the parties per token", "B", REAL, COUNTED),
    C(bytes_input, "bytes, input sharing", "B", COUNT, COUNTED),
    C(bytes_offline, "bytes, offline, between the parties", "B", COUNT, COUNTED),
    C(bytes_online, "bytes, online", "B", COUNT, COUNTED),
    C(bytes_output, "bytes, output opening", "B", COUNT, COUNTED),
    C(copy_bytes, "bytes of one copy", "B", COUNT, COUNTED),
    C(bytes_dealer, "bytes from the dealer", "B", COUNT, COUNTED),
    C(triples_ew, "element-wise triples and squares", "triples", COUNT, COUNTED),
    C(peak_total, "peak memory, all tags", "B", COUNT, COUNTED),
    C(peak_overhead, "peak memory without weights", "B", COUNT, COUNTED),
    C(reps, "repetitions", "", COUNT, TIMED),
    C(processes, "fresh processes", "", COUNT, TIMED),
    C(rank, "rank by online time", "", TEXT, TIMED),
    C(online_ms, "online, median", "ms", REAL, TIMED),
    C(online_ci, "online, 95% interval (ms)", "", TEXT, TIMED),
    C(wall_ms, "wall, median", "ms", REAL, TIMED),
    C(first_ms, "first pass, wall", "ms", REAL, TIMED),
    C(offline_ms, "offline, median", "ms", REAL, TIMED),
    C(weights_ms, "weight generation or loading, median", "ms", REAL, TIMED),
    C(device_ms, "device span, median", "ms", REAL, TIMED),
    C(tokens_per_s, "tokens of the pass per second", "1/s", REAL, TIMED),
    C(copy_in_gb_s, "copy in", "GB/s", REAL, TIMED),
    C(copy_out_gb_s, "copy out", "GB/s", REAL, TIMED),
    C(rel_l2, "relative L2 error of the logits", "", REAL, COUNTED),
    C(max_abs, "largest error of a logit", "", REAL, COUNTED),
    C(kl, "KL from plain", "nats", REAL, COUNTED),
    C(top1, "top-1 agreement", "", REAL, COUNTED),
#undef C
};
enum { N_REGISTRY = sizeof registry / sizeof registry[0] };

size_t ss_plain_columns(void)
{
    return N_REGISTRY;
}

void ss_plain_describe(struct ss_column *c, size_t index)
{
    c->index = index;
    c->unit = registry[index].unit;
    c->kind = registry[index].kind;
    c->origin = registry[index].origin;
    snprintf(c->name, sizeof c->name, "%s", registry[index].name);
    snprintf(c->header, sizeof c->header, "%s", registry[index].header);
}

void ss_plain_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    registry[c->index].get(v, r);
}
