/* stats.c — see stats.h for the sources of the formulas. */
#include "harness/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 9999, FIT_MIN = 5 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ss_median(const double *sorted, size_t n)
{
    SS_REQUIRE(n >= 1);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* P(Bin(n, 1/2) = k), through logarithms because 2^-n underflows for n > 1074. */
static double binomial_half(size_t n, size_t k)
{
    int sign;
    double log_choose = lgamma_r((double)n + 1, &sign) - lgamma_r((double)k + 1, &sign) - lgamma_r((double)(n - k) + 1, &sign);
    return exp(log_choose - (double)n * M_LN2);
}

bool ss_median_ranks(size_t n, size_t *low, size_t *high, double *coverage)
{
    if (n < SS_STATS_MIN)
        return false;
    double tail = binomial_half(n, 0); /* P(Bin < rank) for rank = 1 */
    size_t rank = 1;
    for (;;) {
        double wider = tail + binomial_half(n, rank);
        if (2 * wider > 0.05)
            break;
        tail = wider;
        rank++;
    }
    *low = rank;
    *high = n + 1 - rank;
    *coverage = 1 - 2 * tail;
    return true;
}

void ss_median_estimate(struct ss_estimate *e, double *x, size_t n)
{
    qsort(x, n, sizeof *x, compare);
    *e = (struct ss_estimate){.value = ss_median(x, n)};
    size_t low, high;
    double coverage;
    e->has_interval = ss_median_ranks(n, &low, &high, &coverage);
    if (e->has_interval) {
        e->low = x[low - 1];
        e->high = x[high - 1];
    }
}

double ss_relative_half_width(const struct ss_estimate *e)
{
    return e->has_interval && e->value > 0 ? (e->high - e->low) / 2 / e->value : INFINITY;
}

bool ss_stop(const struct ss_stop *rule, double *x, size_t n, double seconds)
{
    if (n >= rule->n_max || seconds >= rule->max_seconds)
        return true;
    if (n < rule->n_min || (n - rule->n_min) % SS_STATS_BATCH != 0)
        return false;
    struct ss_estimate e;
    ss_median_estimate(&e, x, n);
    return ss_relative_half_width(&e) <= rule->target;
}

/* SplitMix64 (Steele, Lea & Flood, OOPSLA'14): statistics only. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Median of n draws with replacement from sorted (n). How often each value was drawn is counted in drawn (n), so that nothing
   needs sorting again. */
static double resampled_median(const double *sorted, size_t n, uint32_t *drawn, uint64_t *state)
{
    memset(drawn, 0, n * sizeof *drawn);
    for (size_t i = 0; i < n; i++)
        drawn[(unsigned __int128)next_random(state) * n >> 64]++;
    size_t i = 0, seen = drawn[0];
    while (seen < (n + 1) / 2) /* the lower middle draw */
        seen += drawn[++i];
    double lower = sorted[i];
    while (seen < n / 2 + 1) /* the upper one, the same for odd n */
        seen += drawn[++i];
    return (lower + sorted[i]) / 2;
}

/* The interval from what RESAMPLES resamples gave, which it sorts. */
static void set_percentiles(struct ss_estimate *e, double *resampled)
{
    qsort(resampled, RESAMPLES, sizeof *resampled, compare);
    e->low = resampled[(RESAMPLES + 1) / 40 - 1];
    e->high = resampled[(RESAMPLES + 1) / 40 * 39 - 1];
    e->has_interval = true;
}

enum ss_err ss_median_ratio(struct ss_estimate *e, double *a, size_t n_a, double *b, size_t n_b, uint64_t seed)
{
    qsort(a, n_a, sizeof *a, compare);
    qsort(b, n_b, sizeof *b, compare);
    *e = (struct ss_estimate){.value = ss_median(a, n_a) / ss_median(b, n_b)};
    if (n_a < SS_STATS_MIN || n_b < SS_STATS_MIN || !isfinite(e->value))
        return SS_OK;
    enum ss_err err = SS_OK;
    double *ratio = malloc(RESAMPLES * sizeof *ratio);
    uint32_t *drawn = calloc(n_a > n_b ? n_a : n_b, sizeof *drawn);
    if (!ratio || !drawn)
        SS_FAIL_OUT(SS_ENV, "no memory for a bootstrap of %zu and %zu samples; close other programs", n_a, n_b);
    for (size_t i = 0; i < RESAMPLES; i++) {
        double above = resampled_median(a, n_a, drawn, &seed);
        ratio[i] = above / resampled_median(b, n_b, drawn, &seed);
    }
    set_percentiles(e, ratio);
out:
    free(ratio);
    free(drawn);
    return err;
}

enum ss_err ss_mean_estimate(struct ss_estimate *e, const double *x, size_t n, uint64_t seed)
{
    SS_REQUIRE(n >= 1);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *e = (struct ss_estimate){.value = sum / (double)n};
    if (n < SS_STATS_MIN || !isfinite(e->value))
        return SS_OK;
    double *mean = malloc(RESAMPLES * sizeof *mean);
    if (!mean)
        SS_FAIL(SS_ENV, "no memory for a bootstrap of %zu samples; close other programs", n);
    for (size_t i = 0; i < RESAMPLES; i++) {
        sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += x[(unsigned __int128)next_random(&seed) * n >> 64];
        mean[i] = sum / (double)n;
    }
    set_percentiles(e, mean);
    free(mean);
    return SS_OK;
}

/* P(|T| <= t) for integer df as a finite sum (Abramowitz & Stegun 26.7.3 for odd df, 26.7.4 for even). */
static double student_within(double t, size_t df)
{
    double angle = atan(t / sqrt((double)df)), cosine = cos(angle);
    double odd = (double)(df % 2);
    double term = odd != 0 ? cosine : 1, sum = df > 1 ? term : 0;
    for (size_t k = 2 + df % 2; k + 2 <= df; k += 2) { /* term of power k from the one of power k - 2 */
        term *= cosine * cosine * (double)(k - 1) / (double)k;
        sum += term;
    }
    return odd != 0 ? M_2_PI * (angle + sin(angle) * sum) : sin(angle) * sum;
}

double ss_student_t95(size_t df)
{
    SS_REQUIRE(df >= 1);
    double low = 1.9, high = 13; /* limits 1.95996 for df -> infinity and 12.706 for df = 1 */
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (student_within(middle, df) < 0.95)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

/* At least FIT_MIN different values among x, and every x and y positive and finite. */
static bool can_fit(const double *x, const double *y, size_t n)
{
    size_t different = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(x[i] > 0 && y[i] > 0 && isfinite(x[i]) && isfinite(y[i])))
            return false;
        size_t j = 0;
        while (j < i && x[j] != x[i])
            j++;
        different += j == i;
    }
    return different >= FIT_MIN;
}

bool ss_fit_power(struct ss_fit *f, const double *x, const double *y, size_t n)
{
    *f = (struct ss_fit){0};
    if (!can_fit(x, y, n))
        return false;
    f->n = n;
    f->min_x = f->max_x = x[0];
    double mean_y = 0, sxy = 0, residual = 0;
    for (size_t i = 0; i < n; i++) {
        f->mean_x += log(x[i]) / (double)n;
        mean_y += log(y[i]) / (double)n;
        f->min_x = fmin(f->min_x, x[i]);
        f->max_x = fmax(f->max_x, x[i]);
    }
    for (size_t i = 0; i < n; i++) {
        double dx = log(x[i]) - f->mean_x;
        f->sxx += dx * dx;
        sxy += dx * (log(y[i]) - mean_y);
    }
    double slope = sxy / f->sxx;
    f->log_c = mean_y - slope * f->mean_x;
    for (size_t i = 0; i < n; i++) {
        double e = log(y[i]) - f->log_c - slope * log(x[i]);
        residual += e * e;
    }
    f->s = sqrt(residual / (double)(n - 2));
    double half = ss_student_t95(n - 2) * f->s / sqrt(f->sxx);
    f->exponent = (struct ss_estimate){.value = slope, .low = slope - half, .high = slope + half, .has_interval = true};
    return true;
}

void ss_fit_predict(struct ss_estimate *e, const struct ss_fit *f, double x)
{
    SS_REQUIRE(f->n >= FIT_MIN && x > 0);
    double dx = log(x) - f->mean_x, centre = f->log_c + f->exponent.value * log(x);
    double half = ss_student_t95(f->n - 2) * f->s * sqrt(1 + 1 / (double)f->n + dx * dx / f->sxx);
    *e =
        (struct ss_estimate){.value = exp(centre), .low = exp(centre - half), .high = exp(centre + half), .has_interval = true};
}
