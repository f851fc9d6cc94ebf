/* figures.c — figures: the data files that plots/KIND.gp read, gnuplot runs in figures_plot.c.

   bars   groups by the values of x; of a group a bar per value of `series` (up to three columns): label, then value low high
          of each series
   lines  one block per series: x value low high
   points as lines, without the line, and the model's name behind
   fit    lines with the power law of each series (stats.h): after its block one of x value low high along the law, with the
          95% prediction band; the series must be variants
   stack  one bar per cell, labelled by x (and variant), its parts the columns of y: label, then one value each

   Values that were not measured are "?", gnuplot's missing datum. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config.h"
#include "harness/figures.h"
#include "harness/stats.h"

static enum ss_err find_column(struct ss_column *c, const struct ss_figure *f, const char *name)
{
    if (ss_column_find(c, name) != SS_OK)
        SS_FAIL(SS_USAGE, "experiment %s: figure %s names an unknown column '%s'", f->v->e.name, f->spec->id, name);
    return SS_OK;
}

/* Colour, marker and dash are fixed per variant, so that a variant looks the same in each figure. */
static int style_of(const char *series, size_t position)
{
    static const char *const variants[] = {"plain", "v2", "v3", "v3-cc", "v3-mpc", "v3-ot"};
    for (int i = 0; i < 6; i++)
        if (strcmp(series, variants[i]) == 0)
            return i + 1;
    return 11 + (int)(position % 8);
}

static void text_of(char *out, size_t size, const struct ss_column *c, const struct ss_result *r)
{
    struct ss_value value;
    ss_column_value(&value, c, r);
    ss_value_exact(out, size, c, &value);
}

static void add_series(struct ss_figure *f, const char *name)
{
    for (size_t i = 0; i < f->n_series; i++)
        if (strcmp(f->name[i], name) == 0)
            return;
    if (f->n_series == SS_MAX_SERIES)
        return;
    snprintf(f->name[f->n_series], sizeof f->name[0], "%s", name);
    f->style[f->n_series] = style_of(name, f->n_series);
    f->n_series++;
}

/* The series of a row: the values of all columns that make series, those it has. */
static void series_of(char *out, size_t size, const struct ss_figure *f, const struct ss_result *r)
{
    char text[700];
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < f->n_by; i++) {
        text_of(text, sizeof text, &f->series[i], r);
        const int n = snprintf(out + used, size - used, "%s%s", used && *text ? " " : "", text);
        used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
    }
}

static bool has_points(const struct ss_figure *f)
{
    return strcmp(f->spec->kind, "lines") == 0 || strcmp(f->spec->kind, "fit") == 0 || strcmp(f->spec->kind, "points") == 0;
}

bool ss_figure_value(const struct ss_figure *f, const struct ss_result *r, size_t s, struct ss_value *value)
{
    char text[700];
    if (f->by_series) {
        series_of(text, sizeof text, f, r);
        if (strcmp(text, f->name[s]) != 0)
            return false;
    }
    ss_column_value(value, &f->y[f->by_series ? 0 : f->y_of[s]], r);
    return value->present && !(has_points(f) && strchr(f->spec->log, 'y') && value->real <= 0);
}

struct point {
    double x;
    struct ss_value y;
    const char *model;
};

static int by_x(const void *a, const void *b)
{
    double x = ((const struct point *)a)->x, y = ((const struct point *)b)->x;
    return (x > y) - (x < y);
}

/* Points of series s in the order of x; p holds a point per row. */
static size_t points_of(struct point *p, const struct ss_figure *f, size_t s)
{
    size_t n = 0;
    for (size_t i = 0; i < f->v->n; i++) {
        struct ss_value x;
        ss_column_value(&x, &f->x, f->v->row[i]);
        if (!x.present || (strchr(f->spec->log, 'x') && x.real <= 0) || !ss_figure_value(f, f->v->row[i], s, &p[n].y))
            continue;
        p[n].model = f->v->row[i]->cell.model;
        p[n++].x = x.real;
    }
    if (n > 0)
        qsort(p, n, sizeof *p, by_x);
    return n;
}

/* false: too few points for a law. */
static bool law_of(struct ss_fit *fit, const struct point *p, size_t n)
{
    double *x = malloc(2 * (n + 1) * sizeof *x);
    SS_REQUIRE(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = p[i].x;
        x[n + i] = p[i].y.real;
    }
    bool fitted = ss_fit_power(fit, x, x + n, n);
    free(x);
    return fitted;
}

static bool can_draw(const struct ss_figure *f, size_t s, struct point *p)
{
    struct ss_value value;
    struct ss_fit fit;
    if (strcmp(f->spec->kind, "fit") == 0)
        return law_of(&fit, p, points_of(p, f, s));
    if (has_points(f))
        return points_of(p, f, s) > 0;
    for (size_t i = 0; i < f->v->n; i++)
        if (ss_figure_value(f, f->v->row[i], s, &value))
            return true;
    return false;
}

/* gnuplot complains of a series without a point; the caption says which are missing. */
static void drop_empty_series(struct ss_figure *f)
{
    size_t kept = 0;
    struct point *p = malloc((f->v->n + 1) * sizeof *p);
    SS_REQUIRE(p);
    for (size_t s = 0; s < f->n_series; s++) {
        if (!can_draw(f, s, p)) {
            ss_text_add(&f->absent, "%s%s", f->absent.n ? ", " : "", f->name[s]);
            continue;
        }
        memmove(f->name[kept], f->name[s], sizeof f->name[0]);
        f->style[kept] = f->style[s];
        f->y_of[kept++] = f->y_of[s];
    }
    free(p);
    f->n_series = kept;
}

/* Length of what the names of all y columns begin with, up to a '_': of peak_kv and peak_shares the legend shows kv, shares. */
static size_t shared_prefix(const struct ss_figure *f)
{
    size_t shared = 0;
    for (size_t n = 1; f->n_y > 1 && f->y[0].name[n - 1]; n++) {
        for (size_t i = 1; i < f->n_y; i++)
            if (strncmp(f->y[0].name, f->y[i].name, n) != 0)
                return shared;
        if (f->y[0].name[n - 1] == '_')
            shared = n;
    }
    return shared;
}

enum ss_err ss_figure_open(struct ss_figure *f, const struct ss_view *v, const struct ss_figure_spec *spec)
{
    *f = (struct ss_figure){.v = v, .spec = spec};
    char list[sizeof spec->y], *name[SS_MAX_Y], text[700];
    snprintf(list, sizeof list, "%s", spec->y);
    f->n_y = ss_split(list, ',', name, SS_MAX_Y);
    SS_TRY(find_column(&f->x, f, spec->x));
    for (size_t i = 0; i < f->n_y; i++) {
        SS_TRY(find_column(&f->y[i], f, name[i]));
        if (f->y[i].kind == SS_COL_TEXT)
            SS_FAIL(SS_USAGE, "experiment %s: figure %s: column '%s' is text", v->e.name, spec->id, f->y[i].name);
    }
    bool stack = strcmp(spec->kind, "stack") == 0;
    f->by_series = *spec->series && !stack;
    char by_list[sizeof spec->series], *by[SS_MAX_BY];
    snprintf(by_list, sizeof by_list, "%s", f->by_series ? spec->series : "");
    f->n_by = ss_split(by_list, ',', by, SS_MAX_BY);
    for (size_t i = 0; i < f->n_by; i++)
        SS_TRY(find_column(&f->series[i], f, by[i]));
    if (f->by_series && f->n_y > 1)
        SS_FAIL(SS_USAGE, "experiment %s: figure %s: several y columns or a series column, not both", v->e.name, spec->id);
    for (size_t i = 0; i < v->n && f->by_series; i++) {
        series_of(text, sizeof text, f, v->row[i]);
        add_series(f, text);
    }
    size_t shared = shared_prefix(f);
    for (size_t i = 0; i < f->n_y && !f->by_series; i++) {
        f->y_of[f->n_series] = i;
        add_series(f, shared ? f->y[i].name + shared : f->y[i].header);
    }
    drop_empty_series(f);
    return SS_OK;
}

static void add_number(struct ss_text *out, double value, bool present)
{
    if (present && isfinite(value))
        ss_text_add(out, " %.9g", value);
    else
        ss_text_add(out, " ?");
}

static void add_point(struct ss_text *out, const struct ss_value *v)
{
    add_number(out, v->real, v->present);
    add_number(out, v->lo, v->present && v->has_interval);
    add_number(out, v->hi, v->present && v->has_interval);
}

static void header(struct ss_text *out, const struct ss_figure *f)
{
    ss_text_add(out, "# %s: %s\n# kind %s; x %s; y %s%s%s\n# series:", f->v->e.name, f->spec->title, f->spec->kind, f->spec->x,
                f->spec->y, *f->spec->series ? "; by " : "", f->spec->series);
    for (size_t s = 0; s < f->n_series; s++)
        ss_text_add(out, "%s %s", s ? "," : "", f->name[s]);
    if (f->absent.n)
        ss_text_add(out, "\n# nothing to draw: %s", f->absent.p);
    ss_text_add(out, "\n");
}

static size_t bars_data(struct ss_text *out, const struct ss_figure *f)
{
    size_t drawn = 0;
    char label[700], other[700];
    for (size_t i = 0; i < f->v->n; i++) {
        bool first = true;
        text_of(label, sizeof label, &f->x, f->v->row[i]);
        for (size_t k = 0; k < i; k++) {
            text_of(other, sizeof other, &f->x, f->v->row[k]);
            first = first && strcmp(label, other) != 0;
        }
        if (!first)
            continue;
        ss_text_add(out, "\"%s\"", label);
        for (size_t s = 0; s < f->n_series; s++) {
            struct ss_value value = {0};
            for (size_t k = i; k < f->v->n && !value.present; k++) {
                text_of(other, sizeof other, &f->x, f->v->row[k]);
                if (strcmp(label, other) == 0 && ss_figure_value(f, f->v->row[k], s, &value))
                    drawn++;
                else
                    value = (struct ss_value){0};
            }
            add_point(out, &value);
        }
        ss_text_add(out, "\n");
    }
    return drawn;
}

/* 33 points of the law in equal steps of ln x. */
static void add_law(struct ss_text *out, const struct point *p, size_t n)
{
    enum { STEPS = 32 };
    struct ss_fit fit;
    SS_REQUIRE(law_of(&fit, p, n)); /* drop_empty_series kept no other */
    ss_text_add(out, "\n\n# law\n");
    for (int i = 0; i <= STEPS; i++) {
        struct ss_estimate e;
        double at = fit.min_x * pow(fit.max_x / fit.min_x, (double)i / STEPS);
        ss_fit_predict(&e, &fit, at);
        ss_text_add(out, "%.9g %.9g %.9g %.9g\n", at, e.value, e.low, e.high);
    }
}

static size_t lines_data(struct ss_text *out, const struct ss_figure *f)
{
    struct point *p = malloc((f->v->n + 1) * sizeof *p);
    SS_REQUIRE(p);
    size_t drawn = 0;
    for (size_t s = 0; s < f->n_series; s++) {
        size_t n = points_of(p, f, s);
        ss_text_add(out, "%s# %s\n", s ? "\n\n" : "", f->name[s]);
        for (size_t i = 0; i < n; i++) {
            ss_text_add(out, "%.9g", p[i].x);
            add_point(out, &p[i].y);
            if (strcmp(f->spec->kind, "points") == 0)
                ss_text_add(out, " \"%s\"", p[i].model);
            ss_text_add(out, "\n");
        }
        drawn += n;
        if (strcmp(f->spec->kind, "fit") == 0)
            add_law(out, p, n);
    }
    free(p);
    return drawn;
}

static size_t stack_data(struct ss_text *out, const struct ss_figure *f)
{
    size_t drawn = 0;
    bool several = false;
    for (size_t i = 1; i < f->v->n; i++)
        several = several || strcmp(f->v->row[i]->cell.variant, f->v->row[0]->cell.variant) != 0;
    for (size_t i = 0; i < f->v->n; i++) {
        char label[700];
        text_of(label, sizeof label, &f->x, f->v->row[i]);
        ss_text_add(out, "\"%s%s%s\"", label, several ? " " : "", several ? f->v->row[i]->cell.variant : "");
        for (size_t s = 0; s < f->n_series; s++) {
            struct ss_value value = {0};
            bool there = ss_figure_value(f, f->v->row[i], s, &value);
            add_number(out, value.real, there);
            drawn += there;
        }
        ss_text_add(out, "\n");
    }
    return drawn;
}

enum ss_err ss_figure_write(struct ss_text *out, size_t *drawn, const struct ss_figure *f)
{
    header(out, f);
    if (strcmp(f->spec->kind, "bars") == 0)
        *drawn = bars_data(out, f);
    else if (has_points(f))
        *drawn = lines_data(out, f);
    else if (strcmp(f->spec->kind, "stack") == 0)
        *drawn = stack_data(out, f);
    else
        SS_FAIL(SS_USAGE, "experiment %s: figure %s: kind '%s' is not bars, lines, points, fit or stack", f->v->e.name,
                f->spec->id, f->spec->kind);
    return SS_OK;
}

enum ss_err ss_figure_data(struct ss_text *out, struct ss_text *absent, bool *drawable, const struct ss_view *v,
                           const struct ss_figure_spec *spec)
{
    struct ss_figure f;
    size_t drawn = 0;
    enum ss_err err = ss_figure_open(&f, v, spec);
    if (err == SS_OK)
        err = ss_figure_write(out, &drawn, &f);
    *drawable = drawn > 0;
    ss_text_append(absent, ss_text_str(&f.absent), f.absent.n);
    ss_text_free(&f.absent);
    return err;
}

/* A figure of which nothing was measured is left out; the report says so in its place. */
enum ss_err ss_report_figures(struct ss_outputs *o, const struct ss_report *r, const char *only)
{
    for (size_t i = 0; i < r->n_views; i++)
        for (size_t k = 0; k < r->view[i].e.n_figures && r->view[i].n > 0; k++) {
            const struct ss_view *v = &r->view[i];
            const struct ss_figure_spec *spec = &v->e.figure[k];
            struct ss_text data = {0}, absent = {0};
            bool drawable = false;
            if (!ss_report_wants(v, spec->id, only))
                continue;
            enum ss_err err = ss_figure_data(&data, &absent, &drawable, v, spec);
            ss_text_free(&absent);
            if (err == SS_OK && drawable)
                ss_text_append(ss_outputs_add(o, "plots/%s-%s.dat", v->e.name, spec->id), data.p, data.n);
            ss_text_free(&data);
            SS_TRY(err);
        }
    return SS_OK;
}
