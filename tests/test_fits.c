/* test_fits.c — tables and figures of fitted exponents, over cells made by hand that follow known laws. */
#include "harness/fits.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTHS = 5, VARIANTS = 3, ROWS = WIDTHS * VARIANTS };

static struct ss_result cell[ROWS];
static const struct ss_result *row[ROWS];
static struct ss_pass pass[ROWS];

/* plain: no bytes. v2: bytes 3 d^1, time 2 d^2 with a zigzag of 5%. v3: bytes d^1.5. Cells of the variants are mixed. */
static struct ss_view view(size_t widths)
{
    static const char *const variants[VARIANTS] = {"plain", "v2", "v3"};
    struct ss_view v = {.n = widths * VARIANTS, .row = row};
    snprintf(v.e.name, sizeof v.e.name, "test");
    for (size_t i = 0; i < v.n; i++) {
        size_t d = (size_t)512 << i / VARIANTS;
        double wave = i / VARIANTS % 2 ? 1.05 : 0.95;
        row[i] = &cell[i];
        cell[i] = (struct ss_result){.cell = {.backend = "cpu", .phase = "prefill", .tokens = 8},
                                     .status = SS_MEASURED,
                                     .reps = 1,
                                     .pass = &pass[i],
                                     .shape = {.d_model = d, .n_layers = 4}};
        snprintf(cell[i].cell.variant, sizeof cell[i].cell.variant, "%s", variants[i % VARIANTS]);
        cell[i].counters.bytes_online_p0_p1 = i % VARIANTS == 1 ? (int64_t)(3 * d) : 0;
        if (i % VARIANTS == 2)
            cell[i].counters.bytes_online_p0_p1 = (int64_t)pow((double)d, 1.5);
        pass[i].online_ns = (uint64_t)(2 * wave * (double)(d * d));
    }
    return v;
}

static struct ss_table_spec spec(const char *columns, const char *exponent, double predict)
{
    struct ss_table_spec s = {.id = "T", .fit = "d_model", .predict = predict};
    snprintf(s.columns, sizeof s.columns, "%s", columns);
    snprintf(s.exponent, sizeof s.exponent, "%s", exponent);
    return s;
}

static const char *text(const struct ss_table *t, size_t r, const char *column)
{
    for (size_t c = 0; c < t->columns; c++)
        if (strcmp(t->head[c].name, column) == 0)
            return t->cell[r * t->columns + c].exact ? t->cell[r * t->columns + c].exact : "";
    cr_assert(0, "no column %s", column);
    return "";
}

Test(fits, exponents_stand_beside_the_claimed_ones)
{
    struct ss_view v = view(WIDTHS);
    struct ss_table_spec s = spec("bytes_between, online_ms", "1, -", 16384);
    struct ss_table t;
    cr_assert_eq(ss_report_table(&t, &v, &s), SS_OK, "%s", ss_last_error());
    cr_assert_eq(t.rows, 2 + 3, "plain sends nothing and has no row of bytes");
    cr_expect_str_eq(text(&t, 0, "variant"), "v2");
    cr_expect_str_eq(text(&t, 0, "exponent"), "1");
    cr_expect_str_eq(text(&t, 0, "verdict"), "CONFIRMED");
    cr_expect_str_eq(text(&t, 0, "points"), "5");
    cr_expect_str_eq(text(&t, 0, "from"), "512");
    cr_expect_str_eq(text(&t, 0, "to"), "8192");
    cr_expect_float_eq(strtod(text(&t, 0, "predicted"), NULL), 3 * 16384, 1);
    cr_expect_str_eq(text(&t, 1, "variant"), "v3");
    cr_expect_float_eq(strtod(text(&t, 1, "exponent"), NULL), 1.5, 1e-3);
    cr_expect_str_eq(text(&t, 1, "verdict"), "REFUTED");
    cr_expect_str_eq(text(&t, 3, "quantity"), "online, median (ms)");
    cr_expect_str_eq(text(&t, 3, "verdict"), "", "nothing is claimed");
    double exponent = strtod(text(&t, 3, "exponent"), NULL), low = strtod(text(&t, 3, "exponent_low"), NULL);
    double predicted = strtod(text(&t, 3, "predicted"), NULL), high = strtod(text(&t, 3, "predicted_high"), NULL);
    cr_expect_float_eq(exponent, 2, 0.05);
    cr_expect(low < 2 && low > 1.8, "%g", low);
    cr_expect_float_eq(predicted, 2e-6 * 16384 * 16384, 0.1 * predicted);
    cr_expect(high > 1.1 * predicted && high < 1.6 * predicted, "%g of %g", high, predicted);
    ss_table_free(&t);
}

Test(fits, four_widths_are_too_few)
{
    struct ss_view v = view(WIDTHS - 1);
    struct ss_table_spec s = spec("online_ms", "2", 0);
    struct ss_table t;
    cr_assert_eq(ss_report_table(&t, &v, &s), SS_OK);
    cr_assert_eq(t.rows, 3);
    cr_expect_str_eq(text(&t, 0, "exponent"), "");
    cr_expect(strstr(text(&t, 0, "verdict"), "n too small"));
    ss_table_free(&t);
}

Test(fits, other_lengths_and_options_are_other_lines)
{
    struct ss_view v = view(WIDTHS);
    struct ss_column x, y;
    static struct ss_series s[8];
    cr_assert_eq(ss_column_find(&x, "d_model"), SS_OK);
    cr_assert_eq(ss_column_find(&y, "online_ms"), SS_OK);
    cr_expect_eq(ss_series_of(s, 8, &v, &x, &y), 3);
    cell[14].cell.tokens = 16;
    strcpy(cell[13].cell.options, "frac=13");
    cr_expect_eq(ss_series_of(s, 8, &v, &x, &y), 5);
    cr_expect(s[0].n == 5 && s[1].n == 4 && s[3].n == 1);
    cell[12].cell.split = true;
    cr_expect_eq(ss_series_of(s, 8, &v, &x, &y), 6, "two devices are another line");
    cell[12].cell.split = false;
    cell[0].status = SS_FAILED;
    ss_series_of(s, 8, &v, &x, &y);
    cr_expect_eq(s[0].n, 4, "what was not measured is no point");
    cr_assert_eq(ss_column_find(&x, "tokens"), SS_OK);
    cr_expect_eq(ss_series_of(s, 8, &v, &x, &y), 4, "one model: lengths make a line");
}

Test(fits, verdicts_on_exponents)
{
    const struct ss_estimate sharp = {1, 0.99, 1.01, true}, wide = {1, 0.6, 1.4, true};
    cr_expect_eq(ss_exponent_verdict(1, &sharp), SS_CONFIRMED);
    cr_expect_eq(ss_exponent_verdict(1.05, &sharp), SS_CONFIRMED);
    cr_expect_eq(ss_exponent_verdict(1.07, &sharp), SS_REFUTED);
    cr_expect_eq(ss_exponent_verdict(0.93, &sharp), SS_REFUTED);
    cr_expect_eq(ss_exponent_verdict(1, &wide), SS_WITHIN_NOISE);
    cr_expect_eq(ss_exponent_verdict(2, &wide), SS_REFUTED);
}

Test(fits, mistakes_of_a_table_are_named)
{
    struct ss_view v = view(WIDTHS);
    struct ss_table t;
    ss_set_error_silent(1);
    struct ss_table_spec s = spec("bytes_between, online_ms", "1", 0);
    cr_expect_eq(ss_report_table(&t, &v, &s), SS_USAGE);
    cr_expect_not_null(strstr(ss_last_error(), "each of 2 columns"));
    s = spec("variant", "1", 0);
    cr_expect_eq(ss_report_table(&t, &v, &s), SS_USAGE, "text has no exponent");
    s = spec("online_ms", "1", 0);
    strcpy(s.fit, "d_modell");
    cr_expect_eq(ss_report_table(&t, &v, &s), SS_USAGE);
}

Test(fits, a_figure_has_the_law_and_its_band_behind_the_points)
{
    struct ss_view v = view(WIDTHS);
    const struct ss_figure_spec f = {
        .id = "F", .kind = "fit", .x = "d_model", .y = "online_ms", .series = "variant", .log = "xy"};
    struct ss_text out = {0}, absent = {0};
    bool drawable = false;
    cr_assert_eq(ss_figure_data(&out, &absent, &drawable, &v, &f), SS_OK, "%s", ss_last_error());
    cr_assert(drawable);
    size_t laws = 0, lines = 0;
    double x, y, low, high, last = 0;
    for (const char *p = ss_text_str(&out); *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n')) {
        laws += strncmp(p, "# law", 5) == 0;
        if (laws != 1 || sscanf(p, "%lf %lf %lf %lf", &x, &y, &low, &high) != 4)
            continue;
        last = x;
        lines++;
        cr_expect(low < y && y < high && y > 1.8e-6 * x * x && y < 2.2e-6 * x * x, "%g: %g", x, y);
    }
    cr_expect_eq(laws, 3, "one of each variant");
    cr_expect_eq(lines, 33);
    cr_expect_float_eq(last, 8192, 1);
    ss_text_free(&absent);
    v = view(WIDTHS - 1);
    cr_assert_eq(ss_figure_data(&out, &absent, &drawable, &v, &f), SS_OK);
    cr_expect_not(drawable, "four widths have no law");
    cr_expect_str_eq(ss_text_str(&absent), "plain, v2, v3");
    ss_text_free(&out);
    ss_text_free(&absent);
}
