/* oblivious.h — v3-ot: the steps of a layer by table lookups, matrix triples and slack truncation (protocols.md 6 and 8). No
   value of the computation is opened: each party sees uniformly masked words only.

   Scales, fractional bits: f of the residual stream and of q, k, v; scores 2f + half of log2 d_head; exp EXP_BITS; reciprocal
   of the sum RECIP_BITS; rsqrt RSQRT_BITS; gains GAIN_BITS; SiLU chosen per layer so that silu(g) u keeps 13 bits of head-room.
   Head-room (scale + log2|y| < 62): norm |y| < 2^9 at f = 16, attention output |y| < 2^12 at 18 weight bits, sums of squares
   < 2^(63 - 2f). */
#ifndef SS_OBLIVIOUS_H
#define SS_OBLIVIOUS_H

#include "variants/lib/needs.h"
#include "variants/lib/wide.h"

enum { SS_EXP_BITS = 24, SS_RECIP_BITS = 30, SS_RSQRT_BITS = 25, SS_GAIN_BITS = 12, SS_ROPE_BITS = 14 };
enum { SS_SILU_LEAST_BITS = 10, SS_SILU_MOST_BITS = 20, SS_SILU_TABLES = SS_SILU_MOST_BITS - SS_SILU_LEAST_BITS + 1 };

/* Everything that follows from options and shape: the same for every role and for cost(). */
struct ss_oblivious_plan {
    const struct ss_shape *shape;
    const struct ss_lookup_source *source;
    unsigned f;
    bool seed;                                       /* the seed document's tables */
    struct ss_lookup_shape exp, relu, silu, rsqrt;   /* silu: fine_bits are the layer's */
    int exp_step, relu_step, silu_step, rsqrt_first; /* step bits; first bit of the rsqrt windows */
    double exp_width, silu_width, relu_width;
    size_t rsqrt_windows;
    unsigned score_bits, recip_first;
};
/* The bits of a layer's weights that correlations depend on; zeros will do for cost(). */
struct ss_oblivious_bits {
    const uint8_t *qkv, *out, *up, *down; /* backend memory: bits lost by each column beyond the fixed part */
    unsigned silu;                        /* value bits of this layer's SiLU */
};

struct ss_oblivious {
    struct ss_oblivious_plan plan;
    struct ss_oblivious_bits bits;
    struct ss_supply supply;
    struct ss_table silu[SS_SILU_TABLES]; /* by value bits, opened when a layer first needs it */
    struct ss_table exp, relu;
    struct ss_wide rsqrt, recip;
    struct ss_buf q_rotation,
        k_rotation;              /* i32 (max_tokens, 2, d_head / 2): cosines, sines; q's carry the rest of 1/sqrt(d_head) */
    struct ss_buf column_bits;   /* u8 (2, qkv rows): shift up before rotating, bits lost after */
    struct ss_buf gain, product; /* u64 (d_model); (tokens, d_model) */
    struct ss_buf opened, messages, room, rows; /* sized by the first pass */
};

extern const struct ss_option ss_oblivious_options[];
void ss_oblivious_plan(struct ss_oblivious_plan *p, const struct ss_shape *shape, const int64_t *option);
/* What layer `layer` needs (n_layers: the final norm, of `last` rows). */
void ss_oblivious_needs(struct ss_needs *l, const struct ss_oblivious_plan *p, const struct ss_oblivious_bits *bits,
                        size_t layer, size_t tokens, size_t past, size_t last);
struct ss_lookup_shape ss_silu_shape(const struct ss_oblivious_plan *p, unsigned value_bits);
size_t ss_recip_windows(const struct ss_oblivious_plan *p, size_t positions);
struct ss_ragged ss_causal(const struct ss_shape *s, size_t tokens, size_t past);
/* Pairs of one level of the tournament over causal rows; 0 when it is over. */
size_t ss_tournament_pairs(const struct ss_ragged *r, unsigned level);

SS_CHECKED enum ss_err ss_oblivious_open(struct ss_ctx *c);
void ss_oblivious_close(struct ss_ctx *c);
SS_CHECKED enum ss_err ss_oblivious_offline(struct ss_ctx *c, const struct ss_layer *w, size_t layer);
SS_CHECKED enum ss_err ss_oblivious_rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain);
SS_CHECKED enum ss_err ss_oblivious_linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in,
                                                    const struct ss_linear *w);
SS_CHECKED enum ss_err ss_oblivious_rope(struct ss_ctx *c, struct ss_val *qkv);
SS_CHECKED enum ss_err ss_oblivious_attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv);
SS_CHECKED enum ss_err ss_oblivious_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up);
SS_CHECKED enum ss_err ss_oblivious_functions(struct ss_ctx *c, struct ss_function_fit fit[SS_N_FUNCTIONS]);
void ss_oblivious_cost(const struct ss_job *job, struct ss_counters *e);
/* Truncates v in place to f bits by the batch of `slot`. */
SS_CHECKED enum ss_err ss_oblivious_trunc(struct ss_ctx *c, enum ss_corr_slot slot, struct ss_val *v);
#endif
