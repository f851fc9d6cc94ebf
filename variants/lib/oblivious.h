/* oblivious.h — v3-ot: the functions of hidden.h by table lookups (protocols.md 6). */
#ifndef SS_OBLIVIOUS_H
#define SS_OBLIVIOUS_H

#include "variants/lib/hidden.h"
#include "variants/lib/wide.h"

enum { SS_SILU_TABLES = SS_SILU_MOST_BITS - SS_SILU_LEAST_BITS + 1 };

struct ss_oblivious_plan {
    struct ss_hidden_plan h;
    bool seed;                                       /* the seed document's tables */
    struct ss_lookup_shape exp, relu, silu, rsqrt;   /* silu: fine_bits are the layer's */
    int exp_step, relu_step, silu_step, rsqrt_first; /* step bits; first bit of the rsqrt windows */
    double exp_width, silu_width, relu_width;
    size_t rsqrt_windows;
    unsigned recip_first;
};

struct ss_oblivious {
    struct ss_hidden h;
    struct ss_oblivious_plan plan;
    struct ss_table silu[SS_SILU_TABLES]; /* by value bits, opened when a layer first needs it */
    struct ss_table exp, relu;
    struct ss_wide rsqrt, recip;
};

extern const struct ss_option ss_oblivious_options[];
extern const struct ss_functions ss_functions_by_table;
void ss_oblivious_plan(struct ss_oblivious_plan *p, const struct ss_shape *shape, const int64_t *option);
struct ss_lookup_shape ss_silu_shape(const struct ss_oblivious_plan *p, unsigned value_bits);
size_t ss_recip_windows(const struct ss_oblivious_plan *p, size_t positions);

SS_CHECKED enum ss_err ss_oblivious_open(struct ss_ctx *c);
void ss_oblivious_close(struct ss_ctx *c);
SS_CHECKED enum ss_err ss_oblivious_functions(struct ss_ctx *c, struct ss_function_fit fit[SS_N_FUNCTIONS]);
void ss_oblivious_cost(const struct ss_job *job, struct ss_counters *e);
/* Of struct ss_functions, in oblivious_tables.c: opens SiLU's table of the layer's value bits. */
SS_CHECKED enum ss_err ss_oblivious_layer(struct ss_ctx *c, const struct ss_layer *w);
#endif
