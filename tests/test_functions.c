/* test_functions.c — histograms of arguments, what a reference pass counts, and the errors and ranges of v3-ot's tables. */
#include "harness/functions.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/measured.h"
#include "tests/roles.h"
#include "variants/lib/lookup.h"

static int64_t bins[SS_ARGUMENT_BINS];

Test(arguments, every_value_lies_in_its_bin)
{
    static const double values[] = {0,    1e-9, -1e-9, 0.01, -0.01, 1,     -1,       1.06,    -1.07,     15.99,
                                    -16., 240,  -239,  1e6,  -1e6,  4.2e9, INFINITY, -4.4e12, 0.00390625};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        int64_t bin[SS_ARGUMENT_BINS] = {0};
        ss_arguments_add(bin, values[k]);
        int at = 0;
        while (!bin[at])
            at++;
        const double edge = fabs(ss_arguments_edge(at)), next = at == SS_ARGUMENT_SIDE ? ldexp(1, -8) : edge * 17 / 16;
        cr_expect_geq(fabs(values[k]), edge, "%g", values[k]);
        cr_expect(fabs(values[k]) < next || edge > 4e9, "%g in [%g, %g)", values[k], edge, next);
        cr_expect(values[k] == 0 || at == SS_ARGUMENT_SIDE || signbit(values[k]) == (at < SS_ARGUMENT_SIDE));
    }
    for (int i = 1; i < SS_ARGUMENT_BINS; i++)
        cr_assert_lt(ss_arguments_edge(i - 1), ss_arguments_edge(i));
}

Test(arguments, limits_at_powers_of_two_are_exact)
{
    for (int i = -400; i < 400; i++)
        ss_arguments_add(bins, i + 0.5);
    cr_expect_eq(ss_arguments_outside(bins, -256, 256), 2 * (400 - 256));
    cr_expect_eq(ss_arguments_outside(bins, -240, 16), 160 + 384);
    cr_expect_eq(ss_arguments_outside(bins, 0, INFINITY), 400);
    cr_expect_eq(ss_arguments_outside(bins, 8, INFINITY), 408);
    cr_expect_eq(ss_arguments_outside(bins, -INFINITY, -8), 408);
    cr_expect_eq(ss_arguments_outside(bins, -INFINITY, INFINITY), 0);
    cr_expect_eq(ss_arguments_outside(bins, -254, 254.0), 2 * (400 - 256), "a limit goes to the nearest edge");
}

/* Every argument of a pass is counted once: as many as function evaluations. */
Test(arguments, the_reference_counts_each_and_v3_ot_says_what_it_does_not_cover)
{
    struct ss_result reference, standard, seed, plain;
    run_cell(&reference, "tiny-lm", 16, "plain", "compute=fp32", NULL);
    cr_assert_not_null(reference.arguments);
    cr_assert_not(reference.has_functions);
    run_cell(&standard, "tiny-lm", 16, "v3-ot", "", &reference);
    cr_assert(standard.has_functions && standard.has_outside);
    const struct ss_counters *c = &standard.counters;
    cr_expect_eq(standard.arguments_seen[SS_FN_silu], c->func_silu);
    cr_expect_eq(standard.arguments_seen[SS_FN_exp], c->func_exp);
    cr_expect_eq(standard.arguments_seen[SS_FN_recip], c->func_recip);
    cr_expect_eq(standard.arguments_seen[SS_FN_rsqrt], c->func_rsqrt);
    cr_expect_eq(standard.arguments_seen[SS_FN_relu], c->func_relu);
    for (int f = 0; f < SS_N_FUNCTIONS; f++) {
        cr_expect_eq(standard.outside[f], 0, "%s", ss_function_names[f]);
        cr_expect(standard.fit[f].error > 0 && standard.fit[f].error < 0.07, "%s %g", ss_function_names[f],
                  standard.fit[f].error);
    }
    run_cell(&seed, "tiny-lm", 16, "v3-ot", "preset=seed", &reference);
    cr_expect_gt(seed.outside[SS_FN_exp], 0, "scores more than 15 below the maximum");
    cr_expect_gt(seed.outside[SS_FN_rsqrt], 0);
    cr_expect_gt(seed.fit[SS_FN_rsqrt].error, 0.05, "nearest entry");
    cr_expect_gt(seed.error.rel_l2, 10 * standard.error.rel_l2);
    run_cell(&plain, "tiny-lm", 16, "plain", "compute=bf16", &reference);
    cr_expect_not(plain.has_functions || plain.has_outside);
    struct ss_result *all[] = {&reference, &standard, &seed, &plain};
    for (size_t i = 0; i < 4; i++)
        ss_result_free(all[i]);
}

static double square(double x, const void *arg)
{
    (void)arg;
    return x * x;
}

static double shifted_square(double x, const void *arg)
{
    return x * x + (x > 1 ? *(const double *)arg : 0);
}

/* x^2 over [-2, 2) in 256 entries: nearest errs by a step's slope, two columns by the bend over two steps and by a fine unit.
 */
Test(table_error, is_that_of_the_entries)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    struct ss_ctx *c = &r.ctx[SS_P0];
    const double h = 1.0 / 64, wrong = 0.5;
    struct ss_table one = {.shape = {.n_bits = 8, .columns = 1}, .step_bits = 6, .value_bits = 40, .lo = -2};
    struct ss_table two = {.shape = {.n_bits = 8, .fine_bits = 8, .columns = 2}, .step_bits = 6, .value_bits = 40, .lo = -2};
    double e = 0;
    cr_assert_eq(ss_table_open(c, &one, square, NULL), SS_OK);
    cr_assert_eq(ss_table_open(c, &two, square, NULL), SS_OK);
    cr_assert_eq(ss_table_error(c, &e, &one, square, NULL, -2 + h, 2 - h, false), SS_OK);
    cr_expect_float_eq(e, 4 * h, 4 * h * h, "%g", e);
    e = 0;
    cr_assert_eq(ss_table_error(c, &e, &two, square, NULL, -2 + h, 2 - h, false), SS_OK);
    cr_expect_float_eq(e, h * h / 2 + 4 * h / 256, 0.1 * h * h, "%g", e);
    cr_assert_eq(ss_table_error(c, &e, &two, shifted_square, &wrong, -2 + h, 2 - h, false), SS_OK);
    cr_expect_gt(e, wrong);
    ss_table_close(c, &one);
    ss_table_close(c, &two);
    roles_close(&r);
}
