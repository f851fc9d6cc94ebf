/* fits.c — see fits.h. */
#include "harness/fits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config.h"

enum { MAX_Y = 24, MAX_SERIES = 32, MAX_POINTS = sizeof((struct ss_series *)0)->x / sizeof(double) };
enum { QUANTITY, VARIANT, BACKEND, AT, POINTS, FROM, TO, CLAIMED, EXPONENT, LOW, HIGH, VERDICT, PREDICTED, P_LOW, P_HIGH };

static bool same_series(const struct ss_result *a, const struct ss_result *b, const struct ss_column *x)
{
    bool by_tokens = strcmp(x->name, "tokens") == 0;
    return strcmp(a->cell.variant, b->cell.variant) == 0 && strcmp(a->cell.options, b->cell.options) == 0 &&
           strcmp(a->cell.backend, b->cell.backend) == 0 && strcmp(a->cell.phase, b->cell.phase) == 0 &&
           a->cell.split == b->cell.split &&
           (by_tokens ? strcmp(a->cell.model, b->cell.model) == 0 : a->cell.tokens == b->cell.tokens);
}

size_t ss_series_of(struct ss_series *s, size_t cap, const struct ss_view *v, const struct ss_column *x,
                    const struct ss_column *y)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        size_t at = 0;
        while (at < n && !same_series(s[at].first, v->row[i], x))
            at++;
        if (at == cap)
            continue;
        if (at == n)
            s[n++] = (struct ss_series){.first = v->row[i]};
        struct ss_value vx, vy;
        ss_column_value(&vx, x, v->row[i]);
        ss_column_value(&vy, y, v->row[i]);
        if (!vx.present || !vy.present || vx.real <= 0 || vy.real <= 0 || s[at].n == MAX_POINTS)
            continue;
        s[at].x[s[at].n] = vx.real;
        s[at].y[s[at].n++] = vy.real;
    }
    return n;
}

enum ss_verdict ss_exponent_verdict(double claimed, const struct ss_estimate *exponent)
{
    bool inside = claimed >= exponent->low - SS_EXPONENT_TOLERANCE && claimed <= exponent->high + SS_EXPONENT_TOLERANCE;
    if (!inside)
        return SS_REFUTED;
    return (exponent->high - exponent->low) / 2 > SS_EXPONENT_WIDEST ? SS_WITHIN_NOISE : SS_CONFIRMED;
}

static void heads(struct ss_table *t, const struct ss_column *x, const struct ss_table_spec *spec)
{
    char predicted[160];
    snprintf(predicted, sizeof predicted, "at %s = %g", x->header, spec->predict);
    ss_table_column(t, "quantity", "quantity", false);
    ss_table_column(t, "variant", "variant", false);
    ss_table_column(t, "backend", "backend", false);
    ss_table_column(t, "at", strcmp(x->name, "tokens") == 0 ? "model" : "tokens", false);
    ss_table_column(t, "points", "points", true);
    ss_table_column(t, "from", "from", true);
    ss_table_column(t, "to", "to", true);
    ss_table_column(t, "claimed", "claimed exponent", true);
    ss_table_column(t, "exponent", "measured exponent", true);
    ss_table_column(t, "exponent_low", "95% from", true);
    ss_table_column(t, "exponent_high", "to", true);
    ss_table_column(t, "verdict", "verdict", false);
    if (spec->predict > 0) {
        ss_table_column(t, "predicted", predicted, true);
        ss_table_column(t, "predicted_low", "95% from", true);
        ss_table_column(t, "predicted_high", "to", true);
    }
}

static void set_exponent(struct ss_table *t, size_t column, double value)
{
    char exact[40], human[40];
    snprintf(exact, sizeof exact, "%.9g", value);
    snprintf(human, sizeof human, "%.3f", value);
    ss_table_set(t, column, exact, human);
}

static void set_value(struct ss_table *t, size_t column, const struct ss_column *c, double real)
{
    struct ss_value v = {.present = true, .real = real, .count = (int64_t)real};
    char exact[64], human[64];
    snprintf(exact, sizeof exact, "%.9g", real);
    ss_value_human(human, sizeof human, c, &v);
    ss_table_set(t, column, exact, human);
}

static void add_row(struct ss_table *t, const struct ss_series *s, const struct ss_column *x, const struct ss_column *y,
                    const char *claimed, double predict)
{
    char text[160];
    struct ss_fit f;
    SS_REQUIRE(y->unit); /* found by ss_column_find */
    bool unit = *y->unit && !strstr(y->header, y->unit) && strcmp(y->unit, "B") != 0;
    ss_table_row(t);
    snprintf(text, sizeof text, unit ? "%s (%s)" : "%s", y->header, y->unit);
    ss_table_set(t, QUANTITY, text, NULL);
    ss_table_set(t, VARIANT, s->first->cell.variant, NULL);
    ss_table_set(t, BACKEND, s->first->cell.backend, NULL);
    snprintf(text, sizeof text, "%zu", s->first->cell.tokens);
    ss_table_set(t, AT, strcmp(x->name, "tokens") == 0 ? s->first->cell.model : text, NULL);
    snprintf(text, sizeof text, "%zu", s->n);
    ss_table_set(t, POINTS, text, NULL);
    bool has_claim = *claimed && strcmp(claimed, "-") != 0;
    ss_table_set(t, CLAIMED, has_claim ? claimed : "", has_claim ? claimed : "-");
    if (!ss_fit_power(&f, s->x, s->y, s->n)) {
        ss_table_set(t, VERDICT, "n too small: an exponent needs 5 different points", NULL);
        return;
    }
    set_value(t, FROM, x, f.min_x);
    set_value(t, TO, x, f.max_x);
    set_exponent(t, EXPONENT, f.exponent.value);
    set_exponent(t, LOW, f.exponent.low);
    set_exponent(t, HIGH, f.exponent.high);
    if (has_claim)
        ss_table_set(t, VERDICT, ss_verdict_names[ss_exponent_verdict(strtod(claimed, NULL), &f.exponent)], NULL);
    if (predict > 0) {
        struct ss_estimate e;
        ss_fit_predict(&e, &f, predict);
        set_value(t, PREDICTED, y, e.value);
        set_value(t, P_LOW, y, e.low);
        set_value(t, P_HIGH, y, e.high);
    }
}

static enum ss_err find_columns(struct ss_column *x, struct ss_column *y, size_t *n, const struct ss_view *v,
                                const struct ss_table_spec *spec)
{
    char list[sizeof spec->columns], *name[MAX_Y];
    snprintf(list, sizeof list, "%s", spec->columns);
    *n = ss_split(list, ',', name, MAX_Y);
    for (size_t i = 0; i <= *n; i++) {
        struct ss_column *c = i == 0 ? x : &y[i - 1];
        const char *wanted = i == 0 ? spec->fit : name[i - 1];
        if (ss_column_find(c, wanted) != SS_OK || c->kind == SS_COL_TEXT)
            SS_FAIL(SS_USAGE, "experiment %s: table %s: no column of numbers is called '%s'", v->e.name, spec->id, wanted);
    }
    return SS_OK;
}

enum ss_err ss_fits_table(struct ss_table *t, const struct ss_view *v, const struct ss_table_spec *spec)
{
    struct ss_column x, y[MAX_Y] = {0};
    char claims[sizeof spec->exponent], *claimed[MAX_Y];
    size_t n;
    *t = (struct ss_table){0};
    SS_TRY(find_columns(&x, y, &n, v, spec));
    snprintf(claims, sizeof claims, "%s", spec->exponent);
    if (ss_split(claims, ',', claimed, MAX_Y) != n)
        SS_FAIL(SS_USAGE, "experiment %s: table %s: `exponent` names one exponent, or -, for each of %zu columns", v->e.name,
                spec->id, n);
    heads(t, &x, spec);
    struct ss_series *s = calloc(MAX_SERIES, sizeof *s);
    SS_REQUIRE(s);
    for (size_t i = 0; i < n; i++) {
        size_t series = ss_series_of(s, MAX_SERIES, v, &x, &y[i]);
        for (size_t k = 0; k < series; k++)
            if (s[k].n > 0)
                add_row(t, &s[k], &x, &y[i], claimed[i], spec->predict);
    }
    free(s);
    return SS_OK;
}
