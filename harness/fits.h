/* fits.h — how a measured quantity grows: y = c x^exponent over the cells of a view that differ in x only. */
#ifndef SS_FITS_H
#define SS_FITS_H

#include "harness/columns.h"
#include "harness/report.h"
#include "harness/stats.h"

/* The points of one line: cells equal in variant, options, backend, and in model (x is the tokens) or tokens (else). */
struct ss_series {
    const struct ss_result *first; /* of the group */
    size_t n;                      /* points: positive values of both columns */
    double x[64], y[64];
};
/* Series of a view, in the order of its rows; returns how many. */
size_t ss_series_of(struct ss_series *s, size_t cap, const struct ss_view *v, const struct ss_column *x,
                    const struct ss_column *y);
/* A claimed exponent beside a fitted one. A power law over little more than a decade is bent by whatever constant the quantity
   has, so 0.05 beside the interval still agree. An interval wider than +-0.25 does not tell neighbouring laws apart. */
#define SS_EXPONENT_TOLERANCE 0.05
#define SS_EXPONENT_WIDEST 0.25
enum ss_verdict ss_exponent_verdict(double claimed, const struct ss_estimate *exponent);
/* A table with `fit`: quantity | claimed exponent | measured [95% CI] | verdict, and the value at `predict` with its 95%
   prediction interval. Quantities that are nowhere positive have no row. */
SS_CHECKED enum ss_err ss_fits_table(struct ss_table *t, const struct ss_view *v, const struct ss_table_spec *spec);
#endif
