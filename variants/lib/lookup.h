/* lookup.h — oblivious table lookups (protocols.md 6): one or two columns, alone or fused with a product.

   The parties hold XOR shares of the unit vector at a random rh and open e = t - b, t being the shared fine index and
   b = rh 2^s' + bl. Each sums its selected table entries; the sums V = sigma T[t] are opened under masks, and linear
   combinations of dealt coefficients remove the sign, interpolate and multiply. Each party sees e, w, v, q (all uniform)
   and nothing else.

   A batch is made offline by a source, consumed once. Its geometry (struct ss_lookup_shape, kernels/backend.h) is all a source
   knows: tables are public and belong to the online phase.

     W = n_bits + fine_bits; b uniform in [0, 2^W): rh = b >> fine_bits, bl = b mod 2^fine_bits (one column: fine_bits = 0)
     sigma = +1 if party 0's bit at rh is 1, else -1
     masks  m1 (of w), m2 (of v; two columns), m3 (of q; fused), in this order, those that the shape has
     coefficients, additive shares in Z_2^64, in this order, those that the shape has:
       c0 = sigma
       c1 = sigma m3                      fused
       c2 = sigma (m1 + bl m2)
       c3 = sigma bl                      two columns
       c4 = sigma bl m3                   two columns, fused
       c5 = sigma m3 (m1 + bl m2)         fused */
#ifndef SS_LOOKUP_H
#define SS_LOOKUP_H

#include "variants/lib/trunc.h"

enum { SS_TABLE_MIN_BITS = 8, SS_TABLE_MAX_BITS = 14, SS_INDEX_BYTES = 4 };

/* ---- tables */
typedef double (*ss_function)(double x, const void *arg);

/* f on [lo, lo + 2^(n_bits - step_bits)); x outside wraps silently to garbage. Two columns: in segment i intercept and slope
   are a minimax fit over [i, i + 2) steps, because the carry of the low parts is ignored; the first step is lost. */
struct ss_table {
    struct ss_lookup_shape shape;
    int step_bits;       /* step h = 2^-step_bits */
    unsigned value_bits; /* fractional bits of the result, and of the intercepts; slopes: value_bits per fine unit */
    double lo;
    struct ss_buf buf;           /* what `data` points to */
    struct ss_lookup_table data; /* for the backend */
};
/* columns 1: nearest entry. value_bits < 62. Slopes and intercepts are rounded so that the sum stays minimax. */
SS_CHECKED enum ss_err ss_table_open(struct ss_ctx *c, struct ss_table *t, ss_function f, const void *arg);
/* Measurement: the largest difference between f and what a lookup gives for arguments from lo to hi, by the entries as the
   backend has them: at SAMPLES positions of every segment, and a fine unit (one column: a step) to both sides, which is how far
   the noise of an index goes. relative: to f. Raises *worst. */
SS_CHECKED enum ss_err ss_table_error(struct ss_ctx *c, double *worst, const struct ss_table *t, ss_function f, const void *arg,
                                      double lo, double hi, bool relative);
void ss_table_close(struct ss_ctx *c, struct ss_table *t);

/* ---- correlations */
/* n lookups of one shape as they lie in a party's store, structure of arrays, words of 64 bits. */
struct ss_lookup_batch {
    uint64_t *bits; /* (n, 2^n_bits / 64): XOR share of the unit vector at rh, bit i of word i / 64 at i % 64 */
    uint64_t *b;    /* (n) additive share of b mod 2^W; only the low W bits count */
    uint64_t *mask; /* (masks, n) additive shares */
    uint64_t *coef; /* (coefs, n) additive shares */
};
size_t ss_lookup_masks(const struct ss_lookup_shape *s); /* 1 + two columns + fused; also the words opened by a lookup */
size_t ss_lookup_coefs(const struct ss_lookup_shape *s); /* 2, 3 (two columns), 4 (fused), 6 (both) */
size_t ss_lookup_words(const struct ss_lookup_shape *s, size_t n);
struct ss_lookup_batch ss_lookup_view(const struct ss_lookup_shape *s, size_t n, uint64_t *words);

/* Where batches come from. One of these is chosen by option; all make the same batch. Calls come layer by layer: begin, then
   one deal (dealer) or prepare (parties) per batch, in the same order at every role. Phase and operation are offline. */
struct ss_lookup_source {
    const char *name;                                   /* "dealer", "ot", "textbook" */
    const char *trust;                                  /* on what it rests, for tables */
    size_t state_bytes;                                 /* of the zeroed state that open() and the others get */
    enum ss_err (*open)(struct ss_ctx *c, void *state); /* every role */
    void (*close)(struct ss_ctx *c, void *state);       /* accepts a state left by a failed open, or a zeroed one */
    /* Once per layer (n_layers: what follows the layers), after the layer's seeds: keys, extensions. */
    enum ss_err (*begin)(struct ss_ctx *c, void *state, struct ss_seeds *seeds);
    /* Dealer's side of one batch. NULL: this source has none. */
    enum ss_err (*deal)(struct ss_ctx *dealer, void *state, struct ss_seeds *seeds, const struct ss_lookup_shape *s, size_t n);
    /* Fills a batch of n lookups (all arrays of `out` are there). Works in chunks: memory beside `out` is bounded. */
    enum ss_err (*prepare)(struct ss_ctx *party, void *state, struct ss_seeds *seeds, const struct ss_lookup_shape *s, size_t n,
                           struct ss_lookup_batch *out);
    /* Offline counters (bytes, rounds, OTs) of one begin() and of one batch of n lookups. Every pass of a session must cost the
       same, so what is set up once belongs to open() or to layer 0 of every pass (begin looks at c->layer). */
    void (*cost_begin)(size_t layer, struct ss_counters *e);
    void (*cost)(const struct ss_lookup_shape *s, size_t n, struct ss_counters *e);
    /* NULL, or what replaces the opening of the index and lookup_sum where there is one column: w = V - mask[0] from this
       party's share t of the index, which is not sent (its batches have b = 0). Online bytes, rounds and OTs by select_cost. */
    enum ss_err (*select)(struct ss_ctx *party, void *state, uint64_t *w, const uint32_t *t, const uint64_t *mask,
                          const uint64_t *entries, size_t n, const struct ss_lookup_shape *s);
    void (*select_cost)(const struct ss_lookup_shape *s, size_t n, struct ss_counters *e);
};
bool ss_lookup_selects(const struct ss_lookup_source *source, const struct ss_lookup_shape *s); /* by select */
extern const struct ss_lookup_source ss_source_dealer, ss_source_ot, ss_source_textbook;

/* Offline, party: n_tables batches of n lookups into the store. */
SS_CHECKED enum ss_err ss_lookup_prepare(struct ss_ctx *party, const struct ss_lookup_source *source, void *state,
                                         struct ss_seeds *seeds, struct ss_corr *corr, enum ss_corr_slot slot,
                                         const struct ss_lookup_shape *s, size_t n_tables, size_t n);

/* Online: out = f(x) (not fused), at value_bits; or f(x) u (fused), at value_bits + u's bits (and columns' bits). x at
   x_bits + x_col_bits[j], x_bits at least step_bits + fine_bits. out may be x or u when that one's stride is cols. */
struct ss_lookup_call {
    const struct ss_table *tables; /* n_tables of one shape: out is (n_tables, rows, cols), each table looked up at all of x */
    size_t n_tables;
    const struct ss_lookup_source *source; /* whose batches these are, and its state */
    void *source_state;
    struct ss_corr *corr;
    enum ss_corr_slot slot;
    uint64_t *out;         /* (rows, cols) */
    const uint64_t *x, *u; /* rows of x_stride, u_stride words; u NULL: not fused */
    size_t rows, cols, x_stride, u_stride;
    unsigned x_bits;
    const uint8_t *x_col_bits; /* NULL: none */
};
/* All calls together in two rounds. messages grows as needed and is reused. */
SS_CHECKED enum ss_err ss_lookup(struct ss_ctx *party, struct ss_buf *messages, const struct ss_lookup_call *calls,
                                 size_t n_calls);
/* Counters of ss_lookup on n values, but for its rounds: one for the indices, if any is opened, and one for the sums. */
void ss_lookup_cost(const struct ss_lookup_source *source, const struct ss_lookup_shape *s, size_t n, struct ss_counters *e);
#endif
