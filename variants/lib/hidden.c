/* hidden.c — what a layer of v3-ot and v3-mpc needs and costs. */
#include "variants/lib/hidden.h"

#include <math.h>

#include "variants/lib/sharing.h"

unsigned ss_score_bits(const struct ss_shape *s, unsigned f)
{
    return 2 * f + (unsigned)floor(log2(sqrt((double)s->d_head)));
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

/* Slots of a norm: the opening and the product; the function's; the truncation. */
static void norm_needs(struct ss_needs *l, const struct ss_hidden_plan *p, enum ss_corr_slot slot, size_t rows)
{
    const size_t d = p->shape->d_model;
    ss_need_product(l, SS_NEED_NORM, slot, (struct ss_ragged){.rows = rows, .cols = d});
    p->fn->need_rsqrt(l, p, slot + 1, rows);
    ss_need_trunc(l, slot + SS_CORR_NORM_SLOTS - 1, rows, d, SS_RSQRT_BITS + SS_GAIN_BITS, NULL);
}

static void attention_needs(struct ss_needs *l, const struct ss_hidden_plan *p, size_t tokens, size_t past)
{
    const struct ss_ragged r = ss_causal(p->shape, tokens, past);
    const size_t seen = ss_ragged_start(&r, r.rows);
    size_t pairs;
    ss_need_attend(l);
    for (unsigned level = 0; (pairs = ss_tournament_pairs(&r, level)) > 0; level++)
        p->fn->need_relu(l, p, SS_CORR_relu + level, pairs);
    p->fn->need_exp(l, p, seen);
    p->fn->need_recip(l, p, r.rows, tokens + past);
    ss_need_product(l, SS_NEED_SCALE, SS_CORR_prob, r);
    ss_need_trunc(l, SS_CORR_prob_trunc, 1, seen, p->exp_bits + p->recip_bits - p->f, NULL);
}

void ss_hidden_needs(struct ss_needs *l, const struct ss_hidden_plan *p, const struct ss_hidden_bits *bits, size_t layer,
                     size_t tokens, size_t past, size_t last)
{
    const struct ss_shape *s = p->shape;
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
    p->fn->need_swiglu(l, p, bits, tokens);
    ss_need_trunc(l, SS_CORR_swiglu, tokens, s->d_ff, bits->silu, bits->up);
    ss_need_trunc(l, SS_CORR_down, tokens, s->d_model, 0, bits->down);
}

/* A norm opens x, evaluates, scales, truncates. */
static size_t norm_rounds(const struct ss_function_rounds *r)
{
    return 1 + r->rsqrt + 1 + 1;
}

/* Online rounds of a layer: q k v truncated, then opened; the tournament, exp, reciprocal, product, truncation, weights; the
   two residual truncations; SwiGLU and its truncation. */
static size_t layer_rounds(const struct ss_hidden_plan *p, size_t tokens, size_t past)
{
    const struct ss_ragged causal = ss_causal(p->shape, tokens, past);
    const struct ss_function_rounds r = p->fn->rounds(p, tokens + past);
    size_t rounds = 2 * norm_rounds(&r) + 2 + r.exp + r.recip + 3 + 2 + r.swiglu + 1;
    for (unsigned level = 0; ss_tournament_pairs(&causal, level) > 0; level++)
        rounds += r.relu;
    return rounds;
}

void ss_hidden_cost(const struct ss_hidden_plan *p, const struct ss_job *job, struct ss_counters *e)
{
    const struct ss_hidden_bits none = {.silu = SS_SILU_MOST_BITS};
    const struct ss_shape *s = job->shape;
    const struct ss_function_rounds r = p->fn->rounds(p, job->tokens + job->past);
    struct ss_needs l;
    ss_cost_functions(job, e);
    ss_cost_share_and_reveal(job, e);
    e->func_relu += (int64_t)(s->n_layers * s->n_heads * (job->tokens * job->past + job->tokens * (job->tokens - 1) / 2));
    for (size_t layer = 0; layer <= s->n_layers; layer++) {
        ss_hidden_needs(&l, p, &none, layer, job->tokens, job->past, job->all_logits ? job->tokens : 1);
        ss_needs_cost(&l, p->source, p->ot_triples, job, layer, e);
    }
    e->rounds_online += (int64_t)(s->n_layers * layer_rounds(p, job->tokens, job->past) + norm_rounds(&r));
}
