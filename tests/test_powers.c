/* test_powers.c — powers of shared values and element-wise products from both sources, and the polynomials fitted to functions.
 */
#include <criterion/criterion.h>
#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "variants/lib/beaver.h"
#include "variants/lib/powers.h"

enum { MAX_N = 2500, BITS = 28 };
static const enum ss_corr_slot BASE = SS_CORR_attn_norm;

struct run {
    bool by_ot;
    unsigned k;
    size_t n;
    uint64_t z[2][SS_MAX_POWER * MAX_N];
    uint64_t batch[2][2 * SS_MAX_POWER * MAX_N];
    struct ss_ot ot[2];
};

static enum ss_err deal(struct ss_ctx *c, const struct run *run)
{
    struct ss_seeds seeds = {0};
    struct ss_buf scratch = {0};
    SS_TRY(ss_seeds_deal(c, &seeds));
    if (!run->by_ot)
        SS_TRY(ss_powers_deal(c, &seeds, &scratch, run->k, run->n));
    for (unsigned level = 0; level < ss_power_levels(run->k); level++) {
        const size_t rows = ss_powers_at(run->k, level);
        SS_TRY(ss_buf_grow(c, &scratch, 6 * rows * run->n * sizeof(uint64_t), SS_TAG_triples));
        SS_TRY(ss_trunc_deal(c, &seeds, &scratch, rows, run->n, BITS, NULL));
    }
    ss_seeds_close(c, &seeds);
    ss_buf_free(c, &scratch);
    return SS_OK;
}

static enum ss_err run_role(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const int p = c->role;
    struct ss_seeds seeds = {0};
    struct ss_corr corr[SS_CORR_SLOTS] = {0};
    struct ss_buf work = {0};
    c->phase = SS_OFFLINE;
    if (p == SS_DEALER) {
        SS_TRY(deal(c, run));
    } else {
        const struct ss_triples triples = {.ot = run->by_ot ? &run->ot[p] : NULL};
        if (run->by_ot && !run->ot[p].ready)
            SS_TRY(ss_ot_setup(c, &run->ot[p]));
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_powers_receive(c, &seeds, &triples, &corr[BASE], BASE, run->k, run->n));
        memcpy(run->batch[p], corr[BASE].buf.p, ss_powers_words(run->k, run->n) * sizeof(uint64_t));
        for (unsigned level = 0; level < ss_power_levels(run->k); level++)
            SS_TRY(
                ss_trunc_receive(c, &seeds, &corr[BASE + 1 + level], BASE + 1 + level, ss_powers_at(run->k, level) * run->n));
        c->phase = SS_ONLINE;
        SS_TRY(ss_powers(c, corr, BASE, &work, run->z[p], run->k, run->n, BITS));
        for (int i = 0; i < SS_CORR_SLOTS; i++)
            ss_corr_close(c, &corr[i]);
    }
    ss_seeds_close(c, &seeds);
    ss_buf_free(c, &work);
    c->pass++;
    return SS_OK;
}

static void close_run(struct roles *r, struct run *run)
{
    for (int p = 0; p < 2; p++)
        ss_ot_close(&r->ctx[p], &run->ot[p]);
    free(run);
    roles_close(r);
}

/* The opened powers of each k, and the products of two different ones. */
static const unsigned factors[SS_MAX_POWER + 1] = {0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 5};
static const unsigned levels[SS_MAX_POWER + 1] = {0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4};
static const unsigned squares[SS_MAX_POWER + 1] = {0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3};

static int64_t grown(const struct ss_counters *now, const struct ss_counters *before, int counter)
{
    return ss_counters_values(now)[counter] - ss_counters_values(before)[counter];
}

/* Everything that ss_powers_cost says, and the truncations', against what was counted since `before`. */
static void check_cost(const struct roles *r, const struct ss_counters *before, const struct run *run)
{
    const int64_t n = (int64_t)run->n, k = run->k;
    struct ss_ot none;
    const struct ss_triples triples = {.ot = run->by_ot ? &none : NULL};
    struct ss_counters e = {0};
    ss_powers_cost(triples.ot != NULL, run->k, run->n, &e);
    cr_assert_eq(e.triples_square, squares[k] * n);
    cr_assert_eq(e.triples_elem, (k - 1 - squares[k]) * n);
    cr_assert_eq(e.opened_words, factors[k] * n);
    cr_assert_eq(e.ots, run->by_ot ? 128 * (k - 1) * n : 0);
    cr_assert_eq(e.bytes_offline_d_p1, run->by_ot ? 0 : 8 * (k - 1) * n);
    e.trunc_pairs += (k - 1) * n;
    e.opened_words += (k - 1) * n;
    e.bytes_online_p0_p1 += 8 * (k - 1) * n;
    e.bytes_online_p1_p0 += 8 * (k - 1) * n;
    e.bytes_offline_d_p1 += 16 * (k - 1) * n + SS_SEED_BYTES;
    e.bytes_offline_d_p0 += SS_SEED_BYTES;
    e.rounds_online = 2 * levels[k];
    for (int i = 0; i < SS_N_COUNTERS; i++) {
        int64_t got = grown(&r->ctx[0].counters, &before[0], i);
        if (i == SS_COUNTER_bytes_offline_p1_p0 || i == SS_COUNTER_bytes_online_p1_p0)
            got = grown(&r->ctx[1].counters, &before[1], i);
        if (i == SS_COUNTER_bytes_offline_d_p0 || i == SS_COUNTER_bytes_offline_d_p1)
            got = grown(&r->ctx[2].counters, &before[2], i);
        cr_assert_eq(got, ss_counters_values(&e)[i], "k = %lld: %s is %lld, cost %lld", (long long)k, ss_counter_names[i].name,
                     (long long)got, (long long)ss_counters_values(&e)[i]);
    }
}

/* Rounding: a unit a truncation, and what the factors bring, each at most 1: i - 1 units at z^i. */
static void check_powers(const struct run *run)
{
    double worst = 0;
    for (size_t j = 0; j < run->n; j++) {
        const double z = ldexp((double)(int64_t)(run->z[0][j] + run->z[1][j]), -BITS);
        for (unsigned i = 2; i <= run->k; i++) {
            const size_t at = (i - 1) * run->n + j;
            const double got = (double)(int64_t)(run->z[0][at] + run->z[1][at]), error = fabs(got - ldexp(pow(z, i), BITS));
            cr_assert_lt(error, i - 1 + 1e-3, "%g^%u is %g units off", z, i, error);
            worst = error > worst ? error : worst;
        }
    }
    cr_log_info("z .. z^%u: at most %.2f units", run->k, worst);
}

static void every_degree(bool by_ot, const size_t *n)
{
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    roles_open(&r, NULL, NULL);
    run->by_ot = by_ot;
    for (run->k = 2; run->k <= SS_MAX_POWER; run->k++) {
        struct ss_counters before[SS_N_ROLES];
        run->n = n[run->k];
        fill_random(&r, run->z[0], run->n);
        for (size_t j = 0; j < run->n; j++) {
            const int64_t one = 1 << BITS, z = j < 3 ? (int64_t)(j - 1) * one : (int64_t)(run->z[0][j] % (2 * one + 1)) - one;
            run->z[1][j] = (uint64_t)z - run->z[0][j];
        }
        if (by_ot && run->k == 2) { /* the base OTs are not part of a batch */
            roles_run(&r, run_role, run);
            fill_random(&r, run->z[0], run->n);
            for (size_t j = 0; j < run->n; j++)
                run->z[1][j] = 12345 - run->z[0][j];
        }
        for (int role = 0; role < SS_N_ROLES; role++)
            before[role] = r.ctx[role].counters;
        roles_run(&r, run_role, run);
        check_powers(run);
        check_cost(&r, before, run);
    }
    close_run(&r, run);
}

Test(powers, of_numbers_up_to_1_are_exact_to_the_truncations)
{
    static const size_t n[SS_MAX_POWER + 1] = {0, 0, 1, 3, 64, 65, 500, 1000, 2000, 2500, 2500};
    every_degree(false, n);
}

Test(powers, by_ot_are_exact_and_counted)
{
    static const size_t n[SS_MAX_POWER + 1] = {0, 0, 3, 1, 2, 1, 3, 1, 300, 10, 40};
    every_degree(true, n);
}

/* The batch itself: products of the masks as they lie there; P0's masks by OT are fresh, not of a seed. */
Test(powers, products_of_masks_are_exact_from_both_sources)
{
    static const unsigned of[8][2] = {{0, 0}, {1, 0}, {1, 1}, {3, 0},
                                      {3, 1}, {3, 2}, {3, 3}, {4, 0}}; /* z, z^2, z^3, z^4, z^8 */
    struct roles r;
    struct run *run = calloc(1, sizeof *run);
    roles_open(&r, NULL, NULL);
    run->k = 9;
    run->n = 300; /* 8 x 300 products: more than a chunk of OTs */
    for (int by_ot = 0; by_ot < 2; by_ot++) {
        run->by_ot = by_ot;
        roles_run(&r, run_role, run);
        for (size_t i = 0; i < 8; i++)
            for (size_t j = 0; j < run->n; j++) {
                const size_t a = of[i][0] * run->n + j, b = of[i][1] * run->n + j, c = (5 + i) * run->n + j;
                const uint64_t want = (run->batch[0][a] + run->batch[1][a]) * (run->batch[0][b] + run->batch[1][b]);
                cr_assert_eq(run->batch[0][c] + run->batch[1][c], want, "product %zu of %zu, source %d", i, j, by_ot);
            }
    }
    close_run(&r, run);
}

struct seen {
    size_t count[2][2][256], words; /* (party, low or high byte) */
};
static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    struct seen *s = arg;
    if (from == SS_DEALER || to == SS_DEALER || strcmp(what, "powr") != 0)
        return;
    for (size_t i = 0; i < bytes; i += 8) {
        s->count[from][0][((const uint8_t *)h_data)[i]]++;
        s->count[from][1][((const uint8_t *)h_data)[i + 7]]++;
    }
    if (from == SS_P0)
        s->words += bytes / 8;
}

/* Constant z with a constant sharing: the opened factors look uniform all the same (255 degrees of freedom, p < 1e-6). */
static void openings_are_uniform(bool by_ot, size_t n, int64_t z)
{
    struct roles r;
    struct seen *seen = calloc(1, sizeof *seen);
    struct run *run = calloc(1, sizeof *run);
    roles_open(&r, look, seen);
    run->by_ot = by_ot;
    run->k = 9;
    run->n = n;
    for (int pass = 0; pass < 4; pass++) {
        for (size_t j = 0; j < n; j++) {
            run->z[0][j] = (uint64_t)z;
            run->z[1][j] = 0;
        }
        roles_run(&r, run_role, run);
    }
    cr_assert_eq(seen->words, 4 * 5 * n);
    for (int p = 0; p < 2; p++)
        for (int byte = 0; byte < 2; byte++) {
            double chi = 0, expected = (double)seen->words / 256;
            for (int v = 0; v < 256; v++)
                chi += pow((double)seen->count[p][byte][v] - expected, 2) / expected;
            cr_assert_lt((chi - 255) / sqrt(510), 5.5, "party %d, z = %lld, source %d", p, (long long)z, by_ot);
        }
    free(seen);
    close_run(&r, run);
}

Test(powers, opened_factors_are_uniform)
{
    for (int by_ot = 0; by_ot < 2; by_ot++) {
        openings_are_uniform(by_ot, by_ot ? 200 : MAX_N, 0);
        openings_are_uniform(by_ot, by_ot ? 200 : MAX_N, 1 << BITS);
    }
}

/* ---- element-wise products by OT */
struct product {
    size_t n;
    struct ss_ot ot[2];
    uint64_t x[2][MAX_N], y[2][MAX_N], out[2][MAX_N];
};

static enum ss_err multiply(struct ss_ctx *c, void *arg)
{
    struct product *t = arg;
    const int p = c->role;
    struct ss_corr corr = {0};
    struct ss_buf work = {0};
    const struct ss_ragged r = {.rows = t->n, .cols = 1};
    c->phase = SS_OFFLINE;
    if (p != SS_DEALER) {
        if (!t->ot[p].ready) {
            SS_TRY(ss_ot_setup(c, &t->ot[p]));
            memset(&c->counters, 0, sizeof c->counters);
        }
        SS_TRY(ss_beaver_by_ot(c, &t->ot[p], &corr, SS_CORR_prob, &r));
        c->phase = SS_ONLINE;
        SS_TRY(ss_beaver_scale(c, &corr, SS_CORR_prob, &work, t->out[p], t->x[p], t->y[p], &r));
    }
    ss_corr_close(c, &corr);
    ss_buf_free(c, &work);
    c->pass++;
    return SS_OK;
}

Test(beaver, element_wise_products_by_ot_are_exact_and_counted)
{
    struct roles r;
    struct product *t = calloc(1, sizeof *t);
    struct ss_counters e = {0};
    const size_t n[] = {1, 64, MAX_N};
    roles_open(&r, NULL, NULL);
    for (size_t k = 0; k < 3; k++) {
        t->n = n[k];
        fill_random(&r, t->x[0], 4 * MAX_N); /* x and y of both */
        roles_run(&r, multiply, t);
        for (size_t i = 0; i < t->n; i++)
            cr_assert_eq(t->out[0][i] + t->out[1][i], (t->x[0][i] + t->x[1][i]) * (t->y[0][i] + t->y[1][i]));
        const struct ss_ragged rows = {.rows = t->n, .cols = 1};
        ss_beaver_product_cost(true, &rows, &e);
    }
    struct ss_counters got = r.ctx[0].counters;
    got.bytes_offline_p1_p0 = r.ctx[1].counters.bytes_offline_p1_p0;
    got.bytes_online_p1_p0 = r.ctx[1].counters.bytes_online_p1_p0;
    e.rounds_online = 3;
    cr_assert_eq(ss_counters_differ(&got, &e), -1);
    cr_assert_eq(e.ots, 128 * (1 + 64 + MAX_N));
    struct ss_counters dealt = {0}, same = {0};
    const struct ss_ragged rows = {.rows = 7, .cols = 1};
    ss_beaver_product_cost(false, &rows, &dealt);
    ss_beaver_cost(SS_BEAVER_SCALE, &rows, &same);
    cr_assert_eq(ss_counters_differ(&dealt, &same), -1);
    for (int p = 0; p < 2; p++)
        ss_ot_close(&r.ctx[p], &t->ot[p]);
    free(t);
    roles_close(&r);
}

/* ---- polynomials */
static double exponential(double x, const void *arg)
{
    (void)arg;
    return exp(x);
}
static double inverse(double x, const void *arg)
{
    (void)arg;
    return 1 / x;
}
static double inverse_root(double x, const void *arg)
{
    (void)arg;
    return 1 / sqrt(x);
}
static double sigmoid(double x, const void *arg)
{
    return 1 / (1 + exp(-x * *(const double *)arg));
}

static double worst_error(const double *coef, unsigned degree, double lo, double hi, double scale, ss_real f, const void *arg)
{
    double worst = 0;
    for (int i = 0; i <= 4000; i++) {
        const double x = lo + (hi - lo) * i / 4000;
        long double y = 0;
        for (unsigned j = degree + 1; j-- > 0;)
            y = y * (long double)(x * scale) + (long double)coef[j];
        worst = fmax(worst, fabs((double)(y - (long double)f(x, arg))));
    }
    return worst;
}

/* |f^(m)| / m!, m = degree + 1; it falls or rises along the interval for these three. */
static double derivative(ss_real f, double x, unsigned m)
{
    double d = f == exponential ? exp(x) : f == inverse ? 1 / x : 1 / sqrt(x);
    for (unsigned j = 0; j < m; j++)
        d *= f == exponential ? 1.0 / (j + 1) : f == inverse ? 1 / x : (j + 0.5) / (j + 1) / x;
    return d;
}

/* Interpolation at Chebyshev's nodes: error = f^(m)(xi) / m! prod (x - node), the product at most 2 ((hi - lo) / 4)^m. */
static void fit_is_as_in_theory(ss_real f, double lo, double hi, double scale)
{
    for (unsigned degree = 1; degree <= SS_MAX_POWER; degree++) {
        const unsigned m = degree + 1;
        double coef[SS_MAX_POWER + 1], size = 0, room = 2 * pow((hi - lo) / 4, m);
        ss_poly_fit(coef, degree, lo, hi, scale, f, NULL);
        for (unsigned j = 0; j <= degree; j++)
            size += fabs(coef[j]) * pow(fmax(fabs(lo), fabs(hi)) * scale, j);
        const double at_lo = derivative(f, lo, m), at_hi = derivative(f, hi, m), rounding = 4e-16 * size;
        const double error = worst_error(coef, degree, lo, hi, scale, f, NULL);
        cr_assert_leq(error, room * fmax(at_lo, at_hi) + rounding, "degree %u on [%g, %g]: %g", degree, lo, hi, error);
        cr_assert_geq(error, room * fmin(at_lo, at_hi) - rounding, "degree %u on [%g, %g]: %g", degree, lo, hi, error);
    }
}

Test(poly, fits_err_as_in_theory)
{
    fit_is_as_in_theory(exponential, -1, 1, 1);
    fit_is_as_in_theory(exponential, -2, 0, 0.5);
    fit_is_as_in_theory(exponential, 0, 0.7, 3);
    fit_is_as_in_theory(inverse, 1, 2, 1);
    fit_is_as_in_theory(inverse, 0.5, 1, 1);
    fit_is_as_in_theory(inverse_root, 1, 2, 0.5);
    fit_is_as_in_theory(inverse_root, 0.25, 1, 1);
}

/* Largest |sigmoid| on the ellipse of radius rho around [0, 8]. */
static double on_ellipse(double rho)
{
    double most = 0;
    for (int i = 0; i < 2000; i++) {
        const double complex u = rho * cexp(2 * M_PI * I * i / 2000), x = 4 + 4 * (u + 1 / u) / 2;
        most = fmax(most, cabs(1 / (1 + cexp(-x))));
    }
    return most;
}

/* On [0, 8] the nearest poles are +-i pi: error <= 4 M(rho) rho^-degree / (rho - 1) for every ellipse without them (Trefethen,
   theorem 8.2). Degree 4: 9.9e-3 (protocols.md 7). */
Test(poly, sigmoid_fits_err_as_in_theory)
{
    const double complex pole = (M_PI * I - 4) / 4, root = csqrt(pole * pole - 1);
    const double largest = fmax(cabs(pole + root), cabs(pole - root)), one = 1;
    double coef[SS_MAX_POWER + 1], error[SS_MAX_POWER + 1];
    for (unsigned degree = 3; degree <= SS_MAX_POWER; degree++) {
        double bound = INFINITY;
        for (int i = 1; i < 50; i++) {
            const double rho = 1 + (largest - 1) * i / 50;
            bound = fmin(bound, 4 * on_ellipse(rho) * pow(rho, -(double)degree) / (rho - 1));
        }
        ss_poly_fit(coef, degree, 0, 8, 0.125, sigmoid, &one);
        error[degree] = worst_error(coef, degree, 0, 8, 0.125, sigmoid, &one);
        cr_assert_lt(error[degree], bound, "degree %u: %g", degree, error[degree]);
    }
    cr_assert_float_eq(error[4], 9.9e-3, 1e-4);
    cr_assert_lt(error[8], 3.5e-4);
    cr_assert_lt(error[10], error[4] * pow(largest, -6) * 4);
}

Test(poly, encoding_rounds_to_the_nearest)
{
    const double coef[] = {0.5, -0.5, 0.15625, -1.0 / 3, 1e5};
    uint64_t fixed[5];
    ss_poly_encode(fixed, coef, 5, 4);
    const int64_t want[] = {8, -8, 2, -5, 1600000};
    for (int i = 0; i < 5; i++)
        cr_assert_eq((int64_t)fixed[i], want[i]);
}
