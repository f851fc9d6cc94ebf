/* oblivious.c — v3-ot's functions: options to tables, what each evaluation needs, and its lookups. */
#include "variants/lib/oblivious.h"

#include <math.h>

enum { OPT_frac, OPT_source, OPT_entries, OPT_columns, OPT_range, OPT_preset };
enum {
    EXP_BITS = 24,
    RECIP_BITS = 30,
    FINE_BITS = 8,
    SEED_BITS = 12,
    SEED_RANGE_BITS = 3,
    SEED_EXP_BITS = 4,
    LEAST_RANGE_BITS = 3
};

const struct ss_option ss_oblivious_options[] = {
    {.key = "frac", .help = "fractional bits f of the shares", .choices = NULL, .min = 12, .max = 18, .standard = "16"},
    {.key = "source", .help = "where lookups come from", .choices = "dealer,ot,textbook", .standard = "dealer"},
    {.key = "entries",
     .help = "entries of the SiLU, exp and ReLU tables",
     .choices = "256,512,1024,2048,4096,8192,16384",
     .standard = "4096"},
    {.key = "columns", .help = "1: nearest entry; 2: piecewise linear", .choices = "1,2", .standard = "2"},
    {.key = "range",
     .help = "SiLU covers -range..range, exp as much in all, ReLU twice that",
     .choices = "8,16,32,64,128,256,512,1024",
     .standard = "256"},
    {.key = "preset",
     .help = "seed: the seed document's tables, 4096 entries, nearest, SiLU +-8, exp [-10, 0], rsqrt [0.01, 10]",
     .choices = "custom,seed",
     .standard = "custom"},
    {.key = NULL}};

static const struct ss_lookup_source *const sources[] = {&ss_source_dealer, &ss_source_ot, &ss_source_textbook};

static unsigned fine_for(int x_bits, int step_bits, unsigned columns)
{
    const int room = x_bits - step_bits;
    return columns == 1 || room <= 0 ? 0 : room < FINE_BITS ? (unsigned)room : FINE_BITS;
}

static void plan_rsqrt(struct ss_oblivious_plan *p)
{
    const double d = (double)p->h.shape->d_model;
    if (p->seed) { /* one table over [0, 10] at least, in mean squares */
        p->rsqrt = (struct ss_lookup_shape){.n_bits = SEED_BITS, .columns = 1};
        p->rsqrt_first = (int)ceil(log2(10 * d)) + 2 * (int)p->h.f - SEED_BITS;
        p->rsqrt_windows = 1;
        return;
    }
    /* window 0: where its index is too small to be accurate, eps dominates */
    const int first = (int)floor(log2(p->h.shape->eps * d / 32)) + 2 * (int)p->h.f;
    p->rsqrt = ss_wide_value;
    p->rsqrt_first = first < (int)ss_wide_value.fine_bits ? (int)ss_wide_value.fine_bits : first;
    p->rsqrt_windows = ss_wide_windows(p->rsqrt_first, 63);
}

void ss_oblivious_plan(struct ss_oblivious_plan *p, const struct ss_shape *shape, const int64_t *option)
{
    const unsigned f = (unsigned)option[OPT_frac];
    *p = (struct ss_oblivious_plan){.h = {.fn = &ss_functions_by_table,
                                          .source = sources[option[OPT_source]],
                                          .shape = shape,
                                          .f = f,
                                          .score_bits = ss_score_bits(shape, f),
                                          .exp_bits = EXP_BITS,
                                          .recip_bits = RECIP_BITS},
                                    .seed = option[OPT_preset] == 1};
    const unsigned n_bits = p->seed ? SEED_BITS : SS_TABLE_MIN_BITS + (unsigned)option[OPT_entries];
    const unsigned columns = p->seed ? 1 : (unsigned)option[OPT_columns] + 1;
    const int range = p->seed ? SEED_RANGE_BITS : LEAST_RANGE_BITS + (int)option[OPT_range];
    const int exp_range = p->seed ? SEED_EXP_BITS : range, n = (int)n_bits;
    p->exp_width = ldexp(1, exp_range);
    p->silu_width = ldexp(2, range);
    p->relu_width = ldexp(4, range);
    p->exp_step = n - exp_range;
    p->silu_step = n - range - 1;
    p->relu_step = n - range - 2;
    p->exp = (struct ss_lookup_shape){n_bits, fine_for((int)p->h.score_bits, p->exp_step, columns), columns, false};
    p->relu = (struct ss_lookup_shape){n_bits, fine_for((int)p->h.score_bits, p->relu_step, 2), 2, false};
    p->silu = (struct ss_lookup_shape){n_bits, fine_for((int)p->h.f, p->silu_step, columns), columns, true};
    p->recip_first = EXP_BITS - 7; /* sums of 1/4 and more have index 32 */
    plan_rsqrt(p);
}

struct ss_lookup_shape ss_silu_shape(const struct ss_oblivious_plan *p, unsigned value_bits)
{
    struct ss_lookup_shape s = p->silu;
    const unsigned fine = value_bits < SS_SILU_LEAST_BITS + 3 ? 3 : value_bits - SS_SILU_LEAST_BITS; /* slopes keep 10 bits */
    s.fine_bits = fine < s.fine_bits ? fine : s.fine_bits;
    return s;
}

size_t ss_recip_windows(const struct ss_oblivious_plan *p, size_t positions)
{
    return ss_wide_windows((int)p->recip_first, EXP_BITS + 2 + (int)ceil(log2((double)positions)));
}

static const struct ss_oblivious_plan *plan_of(const struct ss_hidden_plan *p)
{
    return (const struct ss_oblivious_plan *)p; /* its first member */
}

static void need_rsqrt(struct ss_needs *l, const struct ss_hidden_plan *p, enum ss_corr_slot slot, size_t n)
{
    const struct ss_oblivious_plan *o = plan_of(p);
    ss_need_wide(l, slot, &o->rsqrt, o->rsqrt_windows, n);
}

static void need_relu(struct ss_needs *l, const struct ss_hidden_plan *p, enum ss_corr_slot slot, size_t n)
{
    ss_need_lookup(l, slot, &plan_of(p)->relu, 1, n);
}

static void need_exp(struct ss_needs *l, const struct ss_hidden_plan *p, size_t n)
{
    ss_need_lookup(l, SS_CORR_exp, &plan_of(p)->exp, 1, n);
}

static void need_recip(struct ss_needs *l, const struct ss_hidden_plan *p, size_t n, size_t positions)
{
    ss_need_wide(l, SS_CORR_recip, &ss_wide_value, ss_recip_windows(plan_of(p), positions), n);
}

static void need_swiglu(struct ss_needs *l, const struct ss_hidden_plan *p, const struct ss_hidden_bits *bits, size_t rows)
{
    const struct ss_lookup_shape silu = ss_silu_shape(plan_of(p), bits->silu);
    ss_need_lookup(l, SS_CORR_silu, &silu, 1, rows * p->shape->d_ff);
}

/* Two of a lookup, one where the source keeps the indices to itself (its own rounds are in its cost). */
static size_t rounds_of(const struct ss_hidden_plan *p, const struct ss_lookup_shape *s)
{
    return 2 - ss_lookup_selects(p->source, s);
}

static size_t wide_rounds(const struct ss_hidden_plan *p, const struct ss_lookup_shape *s, size_t windows)
{
    return ss_wide_rounds(windows) - ss_lookup_selects(p->source, s);
}

static struct ss_function_rounds rounds(const struct ss_hidden_plan *p, size_t positions)
{
    const struct ss_oblivious_plan *o = plan_of(p);
    return (struct ss_function_rounds){.rsqrt = wide_rounds(p, &o->rsqrt, o->rsqrt_windows),
                                       .relu = rounds_of(p, &o->relu),
                                       .exp = rounds_of(p, &o->exp),
                                       .recip = wide_rounds(p, &ss_wide_value, ss_recip_windows(o, positions)),
                                       .swiglu = rounds_of(p, &o->silu)};
}

void ss_oblivious_cost(const struct ss_job *job, struct ss_counters *e)
{
    struct ss_oblivious_plan p;
    ss_oblivious_plan(&p, job->shape, job->option);
    ss_hidden_cost(&p.h, job, e);
}

/* n values in place. */
static enum ss_err lookup(struct ss_ctx *c, enum ss_corr_slot slot, const struct ss_table *t, uint64_t *x, size_t n)
{
    struct ss_oblivious *v = c->state;
    const struct ss_lookup_call call = {.tables = t,
                                        .n_tables = 1,
                                        .source = v->h.supply.source,
                                        .source_state = v->h.supply.source_state,
                                        .corr = &v->h.supply.corr[slot],
                                        .slot = slot,
                                        .out = x,
                                        .x = x,
                                        .rows = 1,
                                        .cols = n,
                                        .x_stride = n,
                                        .x_bits = v->plan.h.score_bits};
    return ss_lookup(c, &v->h.messages, &call, 1);
}

static enum ss_err relu(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *x, size_t n)
{
    struct ss_oblivious *v = c->state;
    return lookup(c, slot, &v->relu, x, n);
}

static enum ss_err exp_below_one(struct ss_ctx *c, uint64_t *x, size_t n)
{
    struct ss_oblivious *v = c->state;
    return lookup(c, SS_CORR_exp, &v->exp, x, n);
}

static enum ss_err rsqrt(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *out, const uint64_t *x, size_t n)
{
    struct ss_oblivious *v = c->state;
    return ss_wide_eval(c, &v->rsqrt, v->plan.rsqrt_windows, &v->h.supply, slot, &v->h.messages, &v->h.work, out, x, n,
                        2 * v->plan.h.f);
}

static enum ss_err recip(struct ss_ctx *c, uint64_t *out, const uint64_t *x, size_t n, size_t positions)
{
    struct ss_oblivious *v = c->state;
    return ss_wide_eval(c, &v->recip, ss_recip_windows(&v->plan, positions), &v->h.supply, SS_CORR_recip, &v->h.messages,
                        &v->h.work, out, x, n, EXP_BITS);
}

/* One fused lookup from the untruncated projection. */
static enum ss_err swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up)
{
    struct ss_oblivious *v = c->state;
    const size_t d_ff = c->shape->d_ff;
    const uint64_t *gate = ss_u64(gate_up);
    const struct ss_lookup_call call = {.tables = &v->silu[v->h.bits.silu - SS_SILU_LEAST_BITS],
                                        .n_tables = 1,
                                        .source = v->h.supply.source,
                                        .source_state = v->h.supply.source_state,
                                        .corr = &v->h.supply.corr[SS_CORR_silu],
                                        .slot = SS_CORR_silu,
                                        .out = ss_u64(out),
                                        .x = gate,
                                        .u = gate + d_ff,
                                        .rows = gate_up->rows,
                                        .cols = d_ff,
                                        .x_stride = 2 * d_ff,
                                        .u_stride = 2 * d_ff,
                                        .x_bits = gate_up->bits,
                                        .x_col_bits = gate_up->col_bits};
    return ss_lookup(c, &v->h.messages, &call, 1);
}

const struct ss_functions ss_functions_by_table = {
    .need_rsqrt = need_rsqrt,
    .need_relu = need_relu,
    .need_exp = need_exp,
    .need_recip = need_recip,
    .need_swiglu = need_swiglu,
    .rounds = rounds,
    .layer = ss_oblivious_layer,
    .rsqrt = rsqrt,
    .relu = relu,
    .exp = exp_below_one,
    .recip = recip,
    .swiglu = swiglu,
};
