/* mpc.h — v3-mpc: the functions of hidden.h by triples, polynomials and comparisons (protocols.md 7).

     max     b + relu(a - b), relu(x) = x - [x < 0] x
     exp     (1 + x / 256)^256 by eight squarings, 0 below -14
     1/x, 1/sqrt(x)   octaves.h: polynomials of degree 7 and 8 on one octave (two for the root)
     SiLU    relu(x) - z q(z), z = |x| where |x| < 8, else 0; q = 1 - sigma on [0, 8) by a polynomial of `degree`
             pieces=none: one polynomial of `degree` fitted on [-8, 8], with no comparison: wrong outside, kept to show it

   Head-room beyond that of hidden.h, scale + log2|y| < 62 for every product and truncation (b: score bits, hidden.h):

     what                              fractional bits       so
     sum of squares + eps d_model      2f                    < 2^(62 - 2f): root mean square 256 at f = 16, d_model = 16,384
     1 / sqrt                          48                    < 2^14: eps at least 2^-28, checked when a session opens
     differences of scores             b (x - t < 2^63)      < 2^(62 - b): 2^26 at f = 16, d_head = 128
     1 + x / 256, its squares          b + 8; 56             <= 1, because the maximum is exact
     sums of exp x V, 1 / sum          28 + log2 V; 30       positions < 2^33, 1 / sum <= 2; its polynomial has
                                                             30 - ceil(log2(positions + 1)) bits: 14 at 32,768 positions
     gate, relu(gate)                  at most 48            |gate| < 2^14; row bits of the gate <= 48 - f, checked by layer
     z^i, z = |x| / 8                  2 x 28                <= 1
     the same, pieces=none             2 x 20                |z^i| < 2^22: degree 5 wraps from |x| = 170 on
     silu(gate) up                     as hidden.h           |y| < 2^13, less where rows of `up` have small weights

   No party can see a value that is too large: it wraps. functions of the variant (harness/functions.h) states the ranges, and a
   run's table says how many arguments of the plain pass lie outside. */
#ifndef SS_MPC_H
#define SS_MPC_H

#include "variants/lib/hidden.h"
#include "variants/lib/octaves.h"

struct ss_mpc_plan {
    struct ss_hidden_plan h;
    unsigned degree;
    bool pieces;
    struct ss_octaves rsqrt;
};

struct ss_mpc {
    struct ss_hidden h;
    struct ss_mpc_plan plan;
    struct ss_octaves recip;
    size_t recip_positions;               /* for which recip was planned; 0: not yet */
    uint64_t silu_coef[SS_MAX_POWER + 1]; /* constant term, then those of (x / 8)^i, at this layer's bits */
    struct ss_buf gate_bits, up_scale;    /* u8, u64 (d_ff): bits that x loses; 2^(bits that relu gains) */
    unsigned least_power, least_silu;     /* coarsest bits of a layer so far; 0: no layer yet */
};

extern const struct ss_option ss_mpc_options[];
extern const struct ss_functions ss_functions_by_triples;
void ss_mpc_plan(struct ss_mpc_plan *p, const struct ss_shape *shape, const int64_t *option);
void ss_mpc_recip_plan(struct ss_octaves *o, const struct ss_hidden_plan *p, size_t positions);
SS_CHECKED enum ss_err ss_mpc_open(struct ss_ctx *c);
void ss_mpc_close(struct ss_ctx *c);
void ss_mpc_cost(const struct ss_job *job, struct ss_counters *e);
SS_CHECKED enum ss_err ss_mpc_layer(struct ss_ctx *c, const struct ss_layer *w);
/* Measurement only (harness/functions.h), in mpc_functions.c. */
SS_CHECKED enum ss_err ss_mpc_functions(struct ss_ctx *c, struct ss_function_fit fit[SS_N_FUNCTIONS]);
/* The functions, and the factors that octaves.h scales them back by: of the plan, of the last octave. */
double ss_mpc_silu(double x, const void *arg);
double ss_mpc_silu_part(double x, const void *arg); /* - x (1 - sigma(x)) */
double ss_mpc_inverse(double y, const void *arg);
double ss_mpc_inverse_root(double y, const void *arg);
double ss_mpc_rsqrt_factor(unsigned e, const void *arg);
double ss_mpc_recip_factor(unsigned e, const void *arg);
/* SiLU's coefficients of (x / 8)^i, i from 0, at the scales that the powers' bits leave. */
void ss_mpc_silu_encode(uint64_t *coef, const struct ss_mpc_plan *p, unsigned power_bits);
/* Of struct ss_functions, in mpc_steps.c. */
SS_CHECKED enum ss_err ss_mpc_rsqrt(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *out, const uint64_t *x, size_t n);
SS_CHECKED enum ss_err ss_mpc_relu(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *x, size_t n);
SS_CHECKED enum ss_err ss_mpc_exp(struct ss_ctx *c, uint64_t *x, size_t n);
SS_CHECKED enum ss_err ss_mpc_recip(struct ss_ctx *c, uint64_t *out, const uint64_t *x, size_t n, size_t positions);
SS_CHECKED enum ss_err ss_mpc_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up);

/* Slots and scales that needs and steps share. */
enum { SS_MPC_EXP_SQUARINGS = 8, SS_MPC_EXP_BITS = 28, SS_MPC_EXP_STEP = 8 /* x / 2^8 */ };
enum { SS_MPC_COMPARE, SS_MPC_TRUNC, SS_MPC_POWERS }; /* of exp (then two a squaring) and SiLU */
enum { SS_MPC_SILU_TRUNC = SS_MPC_POWERS + 1 + SS_MAX_POWER_LEVELS, SS_MPC_SILU_PRODUCT };
enum { SS_MPC_SILU_RANGE_BITS = 3, SS_MPC_SILU_BITS = 48 }; /* |x| < 8; scale of SiLU before its truncation */
enum { SS_MPC_RSQRT_SCALE = 48, SS_MPC_RSQRT_LEAST = 28 };  /* of f(y) W; eps at least 2^-28 */
enum { SS_MPC_EXP_LEAST = -14 };                            /* exp is 0 below */
extern const struct ss_compare_shape ss_mpc_sign, ss_mpc_pieces;
unsigned ss_mpc_silu_powers(const struct ss_mpc_plan *p);
#endif
