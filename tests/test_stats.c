/* test_stats.c — medians, intervals, ratios and fits against published tables and hand-computed cases. */
#include "harness/stats.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define NEAR(a, b, eps) cr_expect(fabs((a) - (b)) <= (eps), "%.12g is not %.12g", (double)(a), (double)(b))

Test(stats, median_of_odd_and_even_counts)
{
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    struct ss_estimate e;
    ss_median_estimate(&e, odd, 3);
    cr_expect_eq(e.value, 2);
    ss_median_estimate(&e, even, 4);
    cr_expect_eq(e.value, 2.5);
    ss_median_estimate(&e, one, 1);
    cr_expect_eq(e.value, 7);
    cr_expect_not(e.has_interval);
}

Test(stats, ranks_are_those_of_the_published_tables)
{
    /* Exact coverages of the sign-test interval, e.g. Hahn & Meeker, Statistical Intervals, table A.16. */
    static const struct {
        size_t n, low, high;
        double coverage;
    } row[] = {{6, 1, 6, 0.96875},     {7, 1, 7, 0.984375},    {8, 1, 8, 0.9921875},  {9, 2, 8, 0.9609375},
               {10, 2, 9, 0.978516},   {20, 6, 15, 0.958611},  {25, 8, 18, 0.956715}, {30, 10, 21, 0.957226},
               {50, 18, 33, 0.967161}, {100, 40, 61, 0.964800}};
    size_t low, high;
    double coverage;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        cr_assert(ss_median_ranks(row[i].n, &low, &high, &coverage));
        cr_expect_eq(low, row[i].low, "n = %zu: %zu", row[i].n, low);
        cr_expect_eq(high, row[i].high);
        NEAR(coverage, row[i].coverage, 1e-6);
    }
    for (size_t n = 0; n < 6; n++)
        cr_expect_not(ss_median_ranks(n, &low, &high, &coverage));
}

Test(stats, coverage_never_falls_below_95_percent)
{
    size_t low, high;
    double coverage;
    for (size_t n = 6; n < 5000; n++) {
        cr_assert(ss_median_ranks(n, &low, &high, &coverage));
        cr_assert_geq(coverage, 0.95);
        cr_assert_lt(coverage, 0.9922);
        cr_assert_eq(low + high, n + 1);
    }
    NEAR((double)low, 4999 / 2.0 - 0.98 * sqrt(4999), 2); /* the normal limit */
}

Test(stats, six_samples_give_their_range)
{
    double x[] = {12, 10, 11, 15, 13, 14};
    struct ss_estimate e;
    ss_median_estimate(&e, x, 6);
    cr_expect(e.has_interval);
    cr_expect_eq(e.value, 12.5);
    cr_expect_eq(e.low, 10);
    cr_expect_eq(e.high, 15);
    NEAR(ss_relative_half_width(&e), 0.2, 1e-15);
    ss_median_estimate(&e, x, 5);
    cr_expect(isinf(ss_relative_half_width(&e)));
}

Test(stats, stopping)
{
    double same[64], wide[64];
    for (int i = 0; i < 64; i++) {
        same[i] = 5;
        wide[i] = i + 1;
    }
    struct ss_stop rule = {.target = 0.01, .n_min = 20, .n_max = 50, .max_seconds = 100};
    cr_expect_not(ss_stop(&rule, same, 19, 1));
    cr_expect(ss_stop(&rule, same, 20, 1));
    cr_expect_not(ss_stop(&rule, same, 21, 1), "looked between batches");
    cr_expect(ss_stop(&rule, same, 30, 1));
    cr_expect_not(ss_stop(&rule, wide, 30, 1));
    cr_expect(ss_stop(&rule, wide, 50, 1), "n_max");
    cr_expect(ss_stop(&rule, wide, 1, 100), "max_seconds");
    rule.n_min = 3; /* too few for an interval: no stop at 3, first possible one at 13 */
    cr_expect_not(ss_stop(&rule, same, 3, 1));
    cr_expect_not(ss_stop(&rule, same, 6, 1));
    cr_expect(ss_stop(&rule, same, 13, 1));
    rule.target = 0;
    cr_expect(ss_stop(&rule, same, 13, 1), "a width of 0 meets a target of 0");
}

Test(stats, ratio_of_medians)
{
    double a[20], b[20], again[20];
    for (int i = 0; i < 20; i++) {
        a[i] = 200 + (i * 7 % 20);
        b[i] = again[i] = 100 + (i * 3 % 20) / 2.0;
    }
    struct ss_estimate e, f;
    cr_assert_eq(ss_median_ratio(&e, a, 20, b, 20, 1), SS_OK);
    cr_expect(e.has_interval);
    NEAR(e.value, 209.5 / 104.75, 1e-12);
    cr_expect(e.low < 2 && 2 < e.high && e.low > 1.9 && e.high < 2.1, "[%g, %g]", e.low, e.high);
    cr_assert_eq(ss_median_ratio(&f, a, 20, b, 20, 1), SS_OK);
    cr_expect_arr_eq(&e, &f, sizeof e, "the same seed gives the same interval");
    cr_assert_eq(ss_median_ratio(&f, again, 20, b, 20, 1), SS_OK);
    cr_expect(f.low < 1 && 1 < f.high, "a ratio of equals contains 1");
    cr_assert_eq(ss_median_ratio(&f, a, 5, b, 20, 1), SS_OK);
    cr_expect_not(f.has_interval);
    for (int i = 0; i < 20; i++)
        a[i] = b[i] = 3;
    cr_assert_eq(ss_median_ratio(&f, a, 20, b, 20, 1), SS_OK);
    cr_expect(f.low == 1 && f.high == 1);
}

Test(stats, mean_with_a_bootstrap_interval)
{
    double x[100];
    struct ss_estimate e, f;
    for (int i = 0; i < 100; i++)
        x[i] = i % 2 ? 4 : 2; /* standard error of the mean 0.1 */
    cr_assert_eq(ss_mean_estimate(&e, x, 100, 1), SS_OK);
    cr_expect(e.has_interval && e.value == 3);
    NEAR(e.low, 3 - 0.196, 0.03);
    NEAR(e.high, 3 + 0.196, 0.03);
    cr_assert_eq(ss_mean_estimate(&f, x, 100, 1), SS_OK);
    cr_expect_arr_eq(&e, &f, sizeof e, "the same seed gives the same interval");
    cr_assert_eq(ss_mean_estimate(&f, x, 5, 1), SS_OK);
    cr_expect(!f.has_interval && f.value == 2.8);
    for (int i = 0; i < 100; i++)
        x[i] = 0;
    cr_assert_eq(ss_mean_estimate(&f, x, 6, 1), SS_OK);
    cr_expect(f.has_interval && f.low == 0 && f.high == 0);
}

Test(stats, bootstrap_interval_agrees_with_the_exact_one)
{
    /* With one side constant, P(median of the resample <= x_(k)) is P(Bin(n, k/n) >= (n+1)/2): for n = 21 the 2.5% and 97.5%
       points of the bootstrap are the 6th or 7th and the 15th or 16th value. */
    double a[21], one[21];
    for (int i = 0; i < 21; i++) {
        a[i] = 100 + i;
        one[i] = 1;
    }
    struct ss_estimate e;
    cr_assert_eq(ss_median_ratio(&e, a, 21, one, 21, 42), SS_OK);
    NEAR(e.low, 105.5, 0.5);
    NEAR(e.high, 114.5, 0.5);
}

Test(stats, student_quantiles_are_those_of_the_tables)
{
    static const struct {
        size_t df;
        double t;
    } row[] = {{1, 12.7062},  {2, 4.30265},  {3, 3.18245},  {4, 2.77645},   {5, 2.57058},   {9, 2.26216},
               {10, 2.22814}, {29, 2.04523}, {30, 2.04227}, {100, 1.98397}, {1000, 1.96234}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        NEAR(ss_student_t95(row[i].df), row[i].t, 6e-5);
}

/* Anscombe's first data set (The American Statistician 27, 1973), put on the logarithmic scale: published slope 0.500 with
   standard error 0.1179, intercept 3.00, residual standard deviation 1.237. */
Test(stats, fit_reproduces_anscombe)
{
    static const double u[] = {10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5};
    static const double v[] = {8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68};
    double x[11], y[11];
    for (int i = 0; i < 11; i++) {
        x[i] = exp(u[i]);
        y[i] = exp(v[i]);
    }
    struct ss_fit f;
    cr_assert(ss_fit_power(&f, x, y, 11));
    NEAR(f.exponent.value, 0.5000909, 1e-7);
    NEAR(f.log_c, 3.0000909, 1e-6);
    NEAR(f.s, 1.236603, 1e-6);
    NEAR(f.exponent.low, 0.2333701, 1e-6); /* R: confint(lm(y1 ~ x1, anscombe)) */
    NEAR(f.exponent.high, 0.7668117, 1e-6);
    NEAR(f.max_x, exp(14), 1e-3);
    struct ss_estimate e;
    ss_fit_predict(&e, &f, exp(9)); /* at the mean: half width t s sqrt(1 + 1/11) = 2.262157 * 1.236603 * 1.044466 */
    NEAR(log(e.value), 7.500909, 1e-6);
    NEAR(log(e.high) - log(e.value), 2.921771, 1e-4);
    ss_fit_predict(&e, &f, exp(20)); /* sxx = 110: sqrt(1 + 1/11 + 121/110) = 1.480172 */
    NEAR(log(e.value) - log(e.low), 2.262157 * 1.236603 * 1.480172, 1e-4);
}

Test(stats, an_exact_power_law_has_its_exponent_and_no_width)
{
    double x[] = {512, 1024, 2048, 4096, 8192}, y[5];
    for (int i = 0; i < 5; i++)
        y[i] = 3e-9 * x[i] * x[i];
    struct ss_fit f;
    cr_assert(ss_fit_power(&f, x, y, 5));
    NEAR(f.exponent.value, 2, 1e-12);
    NEAR(f.exponent.high - f.exponent.low, 0, 1e-12);
    NEAR(exp(f.log_c), 3e-9, 1e-18);
}

Test(stats, fits_that_mean_nothing_are_refused)
{
    double x[] = {1, 2, 3, 4, 4, 4}, y[] = {1, 2, 3, 4, 5, 6}, z[] = {1, 2, 3, 0, 5, 6}, w[] = {1, 2, 3, 4, 5, 6};
    struct ss_fit f;
    cr_expect_not(ss_fit_power(&f, w, y, 4), "four points");
    cr_expect_not(ss_fit_power(&f, x, y, 6), "four different x");
    cr_expect_not(ss_fit_power(&f, w, z, 6), "a zero");
    z[3] = NAN;
    cr_expect_not(ss_fit_power(&f, w, z, 6), "not a number");
    cr_expect_eq(f.n, 0);
    cr_expect(ss_fit_power(&f, w, y, 5));
}
