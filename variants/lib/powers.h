/* powers.h — powers of shared values by Beaver products, truncated after each, and polynomials from them.

   z^i = z^h z^(i-h), h the largest power of two below i: ceil(log2 k) levels for k powers. Every factor is opened once, under
   one mask, however many products it enters (its mask's products are dealt): z^1, z^2, z^3, z^4, z^8 for k = 9.
   Each party sees factors minus uniform masks, and what truncation shows (trunc.h).

   The dealer sends P1 8 bytes a product of masks, or the parties make them by OT (triples.h). Squares are counted as
   triples_square, other products as triples_elem. */
#ifndef SS_POWERS_H
#define SS_POWERS_H

#include "variants/lib/triples.h"
#include "variants/lib/trunc.h"

enum { SS_MAX_POWER = 10, SS_MAX_POWER_LEVELS = 4 };
unsigned ss_power_levels(unsigned k);  /* 0 for k = 1; rounds are twice as many */
unsigned ss_power_factors(unsigned k); /* powers that are opened */

/* Slots: `slot` the products of all levels, slot + 1 .. slot + levels the truncations. */
size_t ss_powers_words(unsigned k, size_t n);
SS_CHECKED enum ss_err ss_powers_deal(struct ss_ctx *dealer, struct ss_seeds *seeds, struct ss_buf *scratch, unsigned k,
                                      size_t n);
SS_CHECKED enum ss_err ss_powers_receive(struct ss_ctx *party, struct ss_seeds *seeds, const struct ss_triples *triples,
                                         struct ss_corr *corr, enum ss_corr_slot slot, unsigned k, size_t n);
/* z (k, n): z[0] given at `bits` fractional bits, |z| <= 1; z[1] .. z[k - 1] filled with z^2 .. z^k at `bits`. The truncations'
   batches, (powers of the level, n) values losing `bits` bits each, wait in corr[slot + 1] ... corr: the array of all slots. */
SS_CHECKED enum ss_err ss_powers(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, struct ss_buf *work,
                                 uint64_t *z, unsigned k, size_t n, unsigned bits);
/* Powers made at a level, from 0: 1, 2, 4, ... */
unsigned ss_powers_at(unsigned k, unsigned level);
/* Products and openings, without the truncations and online rounds. */
void ss_powers_cost(bool by_ot, unsigned k, size_t n, struct ss_counters *e);

/* Coefficients of 1, y, ..., y^degree of the polynomial that interpolates f on [lo, hi] at Chebyshev's nodes, for y = x scale:
   near minimax (error within a small factor, Trefethen, Approximation Theory and Practice, ch. 16). */
typedef double (*ss_real)(double x, const void *arg);
void ss_poly_fit(double *coef, unsigned degree, double lo, double hi, double scale, ss_real f, const void *arg);
/* h_out[i] = round(coef[i] 2^bits). */
void ss_poly_encode(uint64_t *h_out, const double *coef, unsigned n, unsigned bits);
/* An encoded polynomial in z = x scale, |z| <= 1, as the parties evaluate it: coef[0] at `bits`, the others at bits -
 * power_bits. */
struct ss_poly {
    const uint64_t *coef;
    unsigned degree, bits, power_bits;
    double scale;
};
/* Largest error over x in [lo, hi] against f, relative or absolute: on a grid, and the most that truncations can add to it. */
double ss_poly_error(const struct ss_poly *p, double lo, double hi, bool relative, ss_real f, const void *arg);
#endif
