/* oblivious.c — v3-ot's plan: options to tables, shape to correlations, both to counters. */
#include "variants/lib/oblivious.h"

#include <math.h>

#include "variants/lib/sharing.h"

enum { OPT_frac, OPT_source, OPT_entries, OPT_columns, OPT_range, OPT_preset };
enum { FINE_BITS = 8, SEED_BITS = 12, SEED_RANGE_BITS = 3, SEED_EXP_BITS = 4, LEAST_RANGE_BITS = 3 };

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
    const double d = (double)p->shape->d_model;
    if (p->seed) { /* one table over [0, 10] at least, in mean squares */
        p->rsqrt = (struct ss_lookup_shape){.n_bits = SEED_BITS, .columns = 1};
        p->rsqrt_first = (int)ceil(log2(10 * d)) + 2 * (int)p->f - SEED_BITS;
        p->rsqrt_windows = 1;
        return;
    }
    /* window 0: where its index is too small to be accurate, eps dominates */
    const int first = (int)floor(log2(p->shape->eps * d / 32)) + 2 * (int)p->f;
    p->rsqrt = ss_wide_value;
    p->rsqrt_first = first < (int)ss_wide_value.fine_bits ? (int)ss_wide_value.fine_bits : first;
    p->rsqrt_windows = ss_wide_windows(p->rsqrt_first, 63);
}

void ss_oblivious_plan(struct ss_oblivious_plan *p, const struct ss_shape *shape, const int64_t *option)
{
    *p = (struct ss_oblivious_plan){.shape = shape, .f = (unsigned)option[OPT_frac], .seed = option[OPT_preset] == 1};
    p->source = sources[option[OPT_source]];
    const unsigned n_bits = p->seed ? SEED_BITS : SS_TABLE_MIN_BITS + (unsigned)option[OPT_entries];
    const unsigned columns = p->seed ? 1 : (unsigned)option[OPT_columns] + 1;
    const int range = p->seed ? SEED_RANGE_BITS : LEAST_RANGE_BITS + (int)option[OPT_range];
    const int exp_range = p->seed ? SEED_EXP_BITS : range, n = (int)n_bits;
    p->score_bits = 2 * p->f + (unsigned)floor(log2(sqrt((double)shape->d_head)));
    p->exp_width = ldexp(1, exp_range);
    p->silu_width = ldexp(2, range);
    p->relu_width = ldexp(4, range);
    p->exp_step = n - exp_range;
    p->silu_step = n - range - 1;
    p->relu_step = n - range - 2;
    p->exp = (struct ss_lookup_shape){n_bits, fine_for((int)p->score_bits, p->exp_step, columns), columns, false};
    p->relu = (struct ss_lookup_shape){n_bits, fine_for((int)p->score_bits, p->relu_step, 2), 2, false};
    p->silu = (struct ss_lookup_shape){n_bits, fine_for((int)p->f, p->silu_step, columns), columns, true};
    p->recip_first = SS_EXP_BITS - 7; /* sums of 1/4 and more have index 32 */
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
    return ss_wide_windows((int)p->recip_first, SS_EXP_BITS + 2 + (int)ceil(log2((double)positions)));
}

struct ss_ragged ss_causal(const struct ss_shape *s, size_t tokens, size_t past)
{
    return (struct ss_ragged){.rows = s->n_heads * tokens, .tokens = tokens, .past = past};
}

size_t ss_tournament_pairs(const struct ss_ragged *r, unsigned level)
{
    SS_REQUIRE(r->tokens > 0);
    size_t pairs = 0;
    for (size_t i = 0; i < r->tokens; i++)
        pairs += ((ss_ragged_length(r, i) + ((size_t)1 << level) - 1) >> level) / 2;
    return pairs * (r->rows / r->tokens);
}

static void norm_needs(struct ss_needs *l, const struct ss_oblivious_plan *p, enum ss_corr_slot slot, size_t rows)
{
    const size_t d = p->shape->d_model;
    ss_need_product(l, SS_NEED_NORM, slot, (struct ss_ragged){.rows = rows, .cols = d});
    ss_need_wide(l, slot + 1, &p->rsqrt, p->rsqrt_windows, rows);
    ss_need_trunc(l, slot + 4, rows, d, SS_RSQRT_BITS + SS_GAIN_BITS, NULL);
}

static void attention_needs(struct ss_needs *l, const struct ss_oblivious_plan *p, size_t tokens, size_t past)
{
    const struct ss_ragged r = ss_causal(p->shape, tokens, past);
    const size_t seen = ss_ragged_start(&r, r.rows);
    size_t pairs;
    ss_need_attend(l);
    for (unsigned level = 0; (pairs = ss_tournament_pairs(&r, level)) > 0; level++)
        ss_need_lookup(l, SS_CORR_relu + level, &p->relu, 1, pairs);
    ss_need_lookup(l, SS_CORR_exp, &p->exp, 1, seen);
    ss_need_wide(l, SS_CORR_recip, &ss_wide_value, ss_recip_windows(p, tokens + past), r.rows);
    ss_need_product(l, SS_NEED_SCALE, SS_CORR_prob, r);
    ss_need_trunc(l, SS_CORR_prob_trunc, 1, seen, SS_EXP_BITS + SS_RECIP_BITS - p->f, NULL);
}

void ss_oblivious_needs(struct ss_needs *l, const struct ss_oblivious_plan *p, const struct ss_oblivious_bits *bits,
                        size_t layer, size_t tokens, size_t past, size_t last)
{
    const struct ss_shape *s = p->shape;
    const struct ss_lookup_shape silu = ss_silu_shape(p, bits->silu);
    l->n = 0;
    if (layer == s->n_layers) {
        norm_needs(l, p, SS_CORR_attn_norm, last);
        return;
    }
    norm_needs(l, p, SS_CORR_attn_norm, tokens);
    ss_need_trunc(l, SS_CORR_qkv, tokens, ss_shape_qkv_rows(s), 0, bits->qkv);
    attention_needs(l, p, tokens, past);
    ss_need_trunc(l, SS_CORR_attn_out, tokens, s->d_model, p->f, bits->out);
    norm_needs(l, p, SS_CORR_ffn_norm, tokens);
    ss_need_lookup(l, SS_CORR_silu, &silu, 1, tokens * s->d_ff);
    ss_need_trunc(l, SS_CORR_swiglu, tokens, s->d_ff, bits->silu, bits->up);
    ss_need_trunc(l, SS_CORR_down, tokens, s->d_model, 0, bits->down);
}

/* 1 where the source keeps the indices of a lookup to itself: that round is not there (and the source's own are in its cost).
 */
static size_t index_kept(const struct ss_oblivious_plan *p, const struct ss_lookup_shape *s)
{
    return ss_lookup_selects(p->source, s);
}

static size_t rsqrt_rounds(const struct ss_oblivious_plan *p)
{
    return ss_wide_rounds(p->rsqrt_windows) - index_kept(p, &p->rsqrt);
}

/* Online rounds of a layer: a norm opens x, looks up, scales, truncates; attention: qkv, masked qkv, two a level, exp,
   reciprocal, product, truncation, weights; then the two residual truncations and SwiGLU's three. */
static int64_t layer_rounds(const struct ss_oblivious_plan *p, size_t tokens, size_t past)
{
    const struct ss_ragged r = ss_causal(p->shape, tokens, past);
    const size_t norm = 3 + rsqrt_rounds(p), kept = index_kept(p, &p->exp) + index_kept(p, &p->silu);
    size_t rounds = 2 * norm + 2 + 2 + ss_wide_rounds(ss_recip_windows(p, tokens + past)) + 3 + 2 + 3 - kept;
    for (unsigned level = 0; ss_tournament_pairs(&r, level) > 0; level++)
        rounds += 2;
    return (int64_t)rounds;
}

void ss_oblivious_cost(const struct ss_job *job, struct ss_counters *e)
{
    struct ss_oblivious_plan p;
    struct ss_needs l;
    const struct ss_oblivious_bits none = {.silu = SS_SILU_MOST_BITS};
    const struct ss_shape *s = job->shape;
    ss_oblivious_plan(&p, s, job->option);
    ss_cost_functions(job, e);
    ss_cost_share_and_reveal(job, e);
    e->func_relu += (int64_t)(s->n_layers * s->n_heads * (job->tokens * job->past + job->tokens * (job->tokens - 1) / 2));
    for (size_t layer = 0; layer <= s->n_layers; layer++) {
        ss_oblivious_needs(&l, &p, &none, layer, job->tokens, job->past, job->all_logits ? job->tokens : 1);
        ss_needs_cost(&l, p.source, job, layer, e);
    }
    e->rounds_online += (int64_t)s->n_layers * layer_rounds(&p, job->tokens, job->past) + 3 + (int64_t)rsqrt_rounds(&p);
}
