/* octaves.h — 1/x and 1/sqrt(x) of shared values over many octaves without a table: comparisons find the octave, a product
   brings x into [2^-radix, 1) exactly, a polynomial evaluates there, and a second product scales back.

   Budget: y < 2^(radix (last + 1)) <= 2^62 before its truncation; powers at 2 x 28 = 56 bits, |y| <= 1; f(y) at 48 bits, below
   2^14; f(y) W below 2^62 is the caller's: value_bits + log2 of the largest f(y) W. Below octave `first` the polynomial is
   outside its interval: the caller's x never lies there. At 2^(radix (last + 1)) and above x V wraps: the result is noise.

   Octave e: x in [2^(radix e), 2^(radix (e + 1))) as integers, e = first .. last; s_e = [x < 2^(radix e)] for e > first.
   V = 2^(radix (last - e)) and the factor W_e of the result are public combinations of the s_e. y = x V < 2^(radix (last + 1)).
   Each party sees what comparisons, products, powers and truncations show: uniform words. */
#ifndef SS_OCTAVES_H
#define SS_OCTAVES_H

#include "variants/lib/needs.h"

enum { SS_OCTAVE_BITS = 28, SS_OCTAVE_POLY_BITS = 48, SS_OCTAVE_SLOTS = 9 };

struct ss_octaves {
    unsigned radix, first, last;
    unsigned degree;                       /* of the polynomial in y */
    unsigned value_bits;                   /* of f(y) before it is scaled */
    uint64_t coef[SS_MAX_POWER + 1];       /* at SS_OCTAVE_POLY_BITS - SS_OCTAVE_BITS; [0] at POLY_BITS */
    uint64_t scale[SS_MAX_THRESHOLDS + 1]; /* W of octave first + i */
};
/* f: the function of y in [2^-radix, 1); factor(e): W of octave e as an integer below 2^62. */
typedef double (*ss_octave_factor)(unsigned e, const void *arg);
void ss_octaves_plan(struct ss_octaves *o, unsigned radix, unsigned first, unsigned last, unsigned degree, unsigned value_bits,
                     ss_real f, ss_octave_factor factor, const void *arg);
/* Largest relative error of f(y) W over all octaves, f, factor and arg as planned, f >= 1. */
double ss_octaves_error(const struct ss_octaves *o, ss_real f, ss_octave_factor factor, const void *arg);
size_t ss_octaves_rounds(const struct ss_octaves *o);
void ss_need_octaves(struct ss_needs *l, enum ss_corr_slot slot, const struct ss_octaves *o, size_t n);
/* out (n) = f(y) W, x > 0. work: (thresholds + degree + 2, n) words; messages grows. out may be x. */
SS_CHECKED enum ss_err ss_octaves_eval(struct ss_ctx *party, const struct ss_octaves *o, struct ss_supply *supply,
                                       enum ss_corr_slot slot, struct ss_buf *messages, struct ss_buf *work, uint64_t *out,
                                       const uint64_t *x, size_t n);
#endif
