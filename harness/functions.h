/* functions.h — the nonlinear functions of a pass, judged apart from any protocol: which arguments they get in the plain fp32
   reference pass, how many of these lie outside what a variant covers, and how far what it evaluates is from the function.
   Measurement only: no party of a protocol has any of it. */
#ifndef SS_FUNCTIONS_H
#define SS_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/err.h"

/* X(name, arguments, how its error is measured) */
#define SS_FUNCTIONS(X)                                                                                                        \
    X(silu, "gates", "absolute")                                                                                               \
    X(exp, "scores less their row's maximum", "absolute")                                                                      \
    X(relu, "differences of a tournament for the maximum", "absolute, in scores")                                              \
    X(recip, "sums of exponentials of a row", "relative")                                                                      \
    X(rsqrt, "sums of squares of a row", "relative")
enum ss_function_id {
#define X(name, arguments, error) SS_FN_##name,
    SS_FUNCTIONS(X)
#undef X
        SS_N_FUNCTIONS
};
extern const char *const ss_function_names[SS_N_FUNCTIONS];

/* Of one function as a variant evaluates it. */
struct ss_function_fit {
    double lo, hi; /* arguments it covers, lo < x < hi (lo = x too where lo >= 0); infinite: no limit on that side */
    double error;  /* the largest there, whatever the protocol's randomness; SS_FUNCTIONS says of which kind */
};

/* Histograms of arguments x: the bin in the middle is |x| < 2^-8, then 16 a power of two up to 2^32, on both sides. What is
   beyond is in the last. */
enum { SS_ARGUMENT_SIDE = 16 * 40, SS_ARGUMENT_BINS = 2 * SS_ARGUMENT_SIDE + 1 };
struct ss_arguments {
    int64_t count[SS_N_FUNCTIONS][SS_ARGUMENT_BINS];
};
void ss_arguments_add(int64_t *bins, double x);
/* Where bin i begins towards zero: |x| at least that, with the sign of its side; 0 in the middle. */
double ss_arguments_edge(int i);
/* How many lie outside, by the limits of a fit. A limit that is no edge counts as the nearest (it is moved by 3 % at most). */
int64_t ss_arguments_outside(const int64_t *bins, double lo, double hi);

struct ss_ctx;
struct ss_val;
/* Counted by forward.c where c->arguments is set (the reference only: cleartext fp32, from an empty cache), before the step. */
SS_CHECKED enum ss_err ss_arguments_norm(struct ss_ctx *c, const struct ss_val *x);
SS_CHECKED enum ss_err ss_arguments_attention(struct ss_ctx *c, const struct ss_val *qkv);
SS_CHECKED enum ss_err ss_arguments_swiglu(struct ss_ctx *c, const struct ss_val *gate_up);
#endif
