/* poly.c — polynomials that interpolate a function (powers.h): in Chebyshev's basis, then in powers. In long double, because
   powers on an interval far from 0 cancel: at degree 10 some 7 of its 19 digits go. Their errors as encoded. */
#include <math.h>
#include <string.h>

#include "variants/lib/powers.h"

enum { MAX_TERMS = SS_MAX_POWER + 1 };

/* Coefficients of T_0 .. T_degree: discrete orthogonality at the zeros of T_(degree + 1). */
static void fit_chebyshev(long double *c, unsigned degree, double lo, double hi, ss_real f, const void *arg)
{
    const unsigned n = degree + 1;
    const long double pi = acosl(-1);
    for (unsigned j = 0; j < n; j++)
        c[j] = 0;
    for (unsigned i = 0; i < n; i++) {
        const long double angle = pi * (i + 0.5L) / n, x = (lo + hi) / 2.0L + (hi - lo) / 2.0L * cosl(angle);
        const long double y = f((double)x, arg);
        for (unsigned j = 0; j < n; j++)
            c[j] += y * cosl(j * angle) * (j ? 2 : 1) / n;
    }
}

void ss_poly_fit(double *coef, unsigned degree, double lo, double hi, double scale, ss_real f, const void *arg)
{
    SS_REQUIRE(degree < MAX_TERMS && lo < hi && scale > 0);
    long double c[MAX_TERMS], sum[MAX_TERMS] = {0}, before[MAX_TERMS] = {0};
    const long double slope = 2 / ((hi - (long double)lo) * scale), shift = -((long double)hi + lo) / ((long double)hi - lo);
    fit_chebyshev(c, degree, lo, hi, f, arg);
    /* Clenshaw's recurrence over polynomials in y: b_j = c_j + 2 t b_(j+1) - b_(j+2), t = slope y + shift. */
    for (unsigned j = degree; j > 0; j--) {
        long double next[MAX_TERMS];
        for (unsigned i = 0; i <= degree; i++)
            next[i] = (i ? 2 * slope * sum[i - 1] : c[j]) + 2 * shift * sum[i] - before[i];
        memcpy(before, sum, sizeof before);
        memcpy(sum, next, (degree + 1) * sizeof *sum);
    }
    for (unsigned i = 0; i <= degree; i++)
        coef[i] = (double)((i ? slope * sum[i - 1] : c[0]) + shift * sum[i] - before[i]);
}

void ss_poly_encode(uint64_t *h_out, const double *coef, unsigned n, unsigned bits)
{
    for (unsigned i = 0; i < n; i++) {
        const double fixed = rint(ldexp(coef[i], (int)bits));
        SS_REQUIRE(fabs(fixed) < 0x1p62);
        h_out[i] = (uint64_t)(int64_t)fixed;
    }
}

/* Power i is off by less than 2i - 1 units: a unit of z itself, one a truncation, and those of its factors. */
static double truncation_error(const struct ss_poly *p)
{
    double units = 0;
    for (unsigned i = 1; i <= p->degree; i++)
        units += fabs((double)(int64_t)p->coef[i]) * (2 * i - 1);
    return ldexp(units, -(int)p->bits);
}

double ss_poly_error(const struct ss_poly *p, double lo, double hi, bool relative, ss_real f, const void *arg)
{
    enum { POINTS = 4096 };
    const double noise = truncation_error(p);
    double worst = 0;
    SS_REQUIRE(fmax(fabs(lo), fabs(hi)) * p->scale <= 1);
    for (int k = 0; k <= POINTS; k++) {
        const double x = lo + (hi - lo) * k / POINTS, want = f(x, arg);
        long double y = 0;
        for (unsigned i = p->degree; i > 0; i--)
            y = (y + (long double)(int64_t)p->coef[i]) * (long double)(x * p->scale);
        y = ldexpl(y, (int)p->power_bits - (int)p->bits) + ldexpl((long double)(int64_t)p->coef[0], -(int)p->bits);
        worst = fmax(worst, (fabs((double)y - want) + noise) / (relative ? fabs(want) : 1));
    }
    return worst;
}
