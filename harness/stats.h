/* stats.h — what may be said about repeated times: medians with exact intervals, ratios, power laws. No function makes up an
   interval: too few samples is has_interval = false, and the report prints "n too small". */
#ifndef SS_STATS_H
#define SS_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

enum {
    SS_STATS_MIN = 6,   /* fewest samples whose range covers the median with 95% confidence */
    SS_STATS_BATCH = 10 /* repetitions between two looks at the interval */
};

struct ss_estimate {
    double value;
    double low, high; /* 95%; meaningful only with has_interval */
    bool has_interval;
};

/* Mean of the two middle values for even n. x is sorted, n >= 1. */
double ss_median(const double *sorted, size_t n);
/* Ranks (1-based) low and high = n + 1 - low of the narrowest symmetric order-statistic interval of the median with coverage
   1 - 2 P(Bin(n, 1/2) < low) >= 95%, exact (David & Nagaraja, Order Statistics, 3rd ed., 7.1). false: n < SS_STATS_MIN. */
bool ss_median_ranks(size_t n, size_t *low, size_t *high, double *coverage);
/* Median and its 95% interval. Sorts x in place; n >= 1. */
void ss_median_estimate(struct ss_estimate *e, double *x, size_t n);
/* (high - low) / 2 / value; infinite without an interval or with value <= 0. */
double ss_relative_half_width(const struct ss_estimate *e);

/* When to stop repeating. The interval is looked at only after n_min samples and then after each batch: stopping at the first
   favourable of many looks would make the stated coverage too high. */
struct ss_stop {
    double target; /* relative half-width that is good enough */
    size_t n_min, n_max;
    double max_seconds;
};
/* true: stop after these n >= 1 samples, measured in `seconds`. Sorts x in place when it looks. */
bool ss_stop(const struct ss_stop *rule, double *x, size_t n, double seconds);

/* median(a) / median(b) with a percentile-bootstrap interval (Efron & Tibshirani, An Introduction to the Bootstrap, ch. 13;
   9,999 resamples of both, so that the 2.5% and 97.5% points are the 250th and 9,750th). The same seed gives the same interval.
   No interval below SS_STATS_MIN samples on either side. Sorts a and b in place. */
SS_CHECKED enum ss_err ss_median_ratio(struct ss_estimate *e, double *a, size_t n_a, double *b, size_t n_b, uint64_t seed);

/* Mean of x (n >= 1) with a percentile-bootstrap interval of the same kind; none below SS_STATS_MIN samples. Pairs are compared
   by giving their differences. */
SS_CHECKED enum ss_err ss_mean_estimate(struct ss_estimate *e, const double *x, size_t n, uint64_t seed);

/* y = c x^exponent by least squares on ln y over ln x. */
struct ss_fit {
    size_t n;
    struct ss_estimate exponent; /* +- t(n-2) s / sqrt(sxx) */
    double log_c;                /* ln c */
    double s;                    /* residual standard deviation of ln y, n - 2 degrees of freedom */
    double mean_x, sxx;          /* of ln x */
    double min_x, max_x;         /* range of x that was measured */
};
/* false, and *f zero: fewer than 5 different x, or a value that is not positive and finite. */
bool ss_fit_power(struct ss_fit *f, const double *x, const double *y, size_t n);
/* Value at x with the 95% prediction interval of one new measurement,
   exp(ln y +- t(n-2) s sqrt(1 + 1/n + (ln x - mean)^2 / sxx)) (Montgomery, Peck & Vining, Linear Regression Analysis, 2.5). */
void ss_fit_predict(struct ss_estimate *e, const struct ss_fit *f, double x);
/* t with P(|T| <= t) = 95% for Student's T of df >= 1 degrees of freedom: 12.706, 4.303, 3.182, ... */
double ss_student_t95(size_t df);
#endif
