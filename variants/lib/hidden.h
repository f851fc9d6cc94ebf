/* hidden.h — the steps of a layer that v3-ot and v3-mpc share (protocols.md 8): matrix triples, slack truncation, public
   rotation, and five nonlinear functions that each variant evaluates its own way (struct ss_functions). No value of the
   computation is opened: each party sees uniformly masked words only.

   Scales, fractional bits: f of the residual stream and of q, k, v; scores 2f + half of log2 d_head; exp and the reciprocal of
   its sum are the variant's; rsqrt RSQRT_BITS; gains GAIN_BITS; SiLU chosen per layer so that silu(g) u keeps 13 bits of
   head-room. Head-room (scale + log2|y| < 62): norm |y| < 2^9 at f = 16, attention output |y| < 2^12 at 18 weight bits, sums
   of squares < 2^(63 - 2f). */
#ifndef SS_HIDDEN_H
#define SS_HIDDEN_H

#include "variants/lib/needs.h"

enum { SS_RSQRT_BITS = 25, SS_GAIN_BITS = 12, SS_ROPE_BITS = 14, SS_SILU_LEAST_BITS = 10, SS_SILU_MOST_BITS = 20 };

struct ss_hidden;
struct ss_functions;

/* What follows from options and shape, the same for every role and for cost(). First member of a variant's own plan. */
struct ss_hidden_plan {
    const struct ss_functions *fn;
    const struct ss_lookup_source *source; /* of lookups; NULL: none are made */
    bool ot_triples;                       /* elementwise triples by OT, not from the dealer */
    const struct ss_shape *shape;
    unsigned f, score_bits, exp_bits, recip_bits;
};
/* The bits of a layer's weights that correlations depend on; zeros will do for cost(). */
struct ss_hidden_bits {
    const uint8_t *qkv, *out, *up, *down; /* backend memory: bits lost by each column beyond the fixed part */
    const uint8_t *gate;                  /* the same, of the variant's own for need_swiglu (set by layer) */
    unsigned silu;                        /* value bits of this layer's SiLU */
    unsigned power;                       /* bits of the powers that need_swiglu truncates, likewise */
};
/* Rounds of one evaluation. */
struct ss_function_rounds {
    size_t rsqrt, relu, exp, recip, swiglu;
};

/* How a variant evaluates the functions. Slots from `slot` on are its own: SS_CORR_NORM_SLOTS - 2 for rsqrt, one for ReLU,
   SS_CORR_FUNCTION_SLOTS for the others. n values each; all arrays are shares. */
struct ss_functions {
    void (*need_rsqrt)(struct ss_needs *l, const struct ss_hidden_plan *p, enum ss_corr_slot slot, size_t n);
    void (*need_relu)(struct ss_needs *l, const struct ss_hidden_plan *p, enum ss_corr_slot slot, size_t n);
    void (*need_exp)(struct ss_needs *l, const struct ss_hidden_plan *p, size_t n);
    void (*need_recip)(struct ss_needs *l, const struct ss_hidden_plan *p, size_t n, size_t positions);
    void (*need_swiglu)(struct ss_needs *l, const struct ss_hidden_plan *p, const struct ss_hidden_bits *bits, size_t rows);
    struct ss_function_rounds (*rounds)(const struct ss_hidden_plan *p, size_t positions);

    enum ss_err (*layer)(struct ss_ctx *c, const struct ss_layer *w); /* every role: h.bits of a new layer are set */
    /* x: sum of squares at 2f. out: 1 / sqrt(x / d_model + eps) at RSQRT_BITS. */
    enum ss_err (*rsqrt)(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *out, const uint64_t *x, size_t n);
    /* In place, at score_bits. */
    enum ss_err (*relu)(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *x, size_t n);
    /* In place, x <= 0 (a little above for an approximate maximum) at score_bits, result at exp_bits. */
    enum ss_err (*exp)(struct ss_ctx *c, uint64_t *x, size_t n);
    /* x: sum over up to `positions` values of exp, at exp_bits; out: 1 / x at recip_bits. */
    enum ss_err (*recip)(struct ss_ctx *c, uint64_t *out, const uint64_t *x, size_t n, size_t positions);
    /* out: untruncated silu(gate) up at bits.silu + the scale of up. */
    enum ss_err (*swiglu)(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up);
};

/* First member of a variant's state. */
struct ss_hidden {
    const struct ss_hidden_plan *plan;
    struct ss_hidden_bits bits;
    struct ss_supply supply;
    struct ss_buf q_rotation,
        k_rotation;              /* i32 (max_tokens, 2, d_head / 2): cosines, sines; q's carry the rest of 1/sqrt(d_head) */
    struct ss_buf column_bits;   /* u8 (2, qkv rows): shift up before rotating, bits lost after */
    struct ss_buf gain, product; /* u64 (d_model); (tokens, d_model) */
    struct ss_buf opened, messages, room, rows, work; /* sized by the first pass; work is for functions */
};

unsigned ss_score_bits(const struct ss_shape *s, unsigned f);
struct ss_ragged ss_causal(const struct ss_shape *s, size_t tokens, size_t past);
/* Pairs of one level of the tournament over causal rows; 0 when it is over. */
size_t ss_tournament_pairs(const struct ss_ragged *r, unsigned level);
/* What layer `layer` needs (n_layers: the final norm, of `last` rows). */
void ss_hidden_needs(struct ss_needs *l, const struct ss_hidden_plan *p, const struct ss_hidden_bits *bits, size_t layer,
                     size_t tokens, size_t past, size_t last);
void ss_hidden_cost(const struct ss_hidden_plan *p, const struct ss_job *job, struct ss_counters *e);

SS_CHECKED enum ss_err ss_hidden_open(struct ss_ctx *c, struct ss_hidden *v, const struct ss_hidden_plan *p);
void ss_hidden_close(struct ss_ctx *c, struct ss_hidden *v);
SS_CHECKED enum ss_err ss_hidden_offline(struct ss_ctx *c, const struct ss_layer *w, size_t layer);
SS_CHECKED enum ss_err ss_hidden_rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain);
SS_CHECKED enum ss_err ss_hidden_linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in,
                                                 const struct ss_linear *w);
SS_CHECKED enum ss_err ss_hidden_rope(struct ss_ctx *c, struct ss_val *qkv);
SS_CHECKED enum ss_err ss_hidden_attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv);
SS_CHECKED enum ss_err ss_hidden_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up);
/* Truncates v in place by the batch of `slot`; it has f bits afterwards. */
SS_CHECKED enum ss_err ss_hidden_trunc(struct ss_ctx *c, enum ss_corr_slot slot, struct ss_val *v);
#endif
