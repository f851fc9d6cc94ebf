/* figures.c — figures: the data files that plots/KIND.gp read, gnuplot runs in figures_plot.c.

   bars   groups by the values of x; of a group a bar per value of `series` (up to three columns): label, then value low high of
          each series, and its lower bound or the document's number where the figure has one
   lines  one block per series: x value low high
   points as lines, the line a thin one, and the model's name behind
   fit    lines with the power law of each series (stats.h): after its block one of x value low high along the law, with the
          95% prediction band; the series must be variants
   stack  one bar per cell, grouped by x, its parts the columns of y: place, variant, sum in words, then one value each; a
          second block has the groups: place, label
   share  stack with each bar 100 high

   After the series of lines and fit a block for each of the document's formulas: x value, and the variant's name at the last.
   Values that were not measured are "?", gnuplot's missing datum. */
#include "harness/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/stats.h"

const char *const ss_figure_kinds[] = {"bars", "lines", "points", "fit", "stack", "share", NULL};

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
        ss_text_add(out, "%s %s", s ? ";" : "", f->legend[s]);
    if (f->n_marks)
        ss_text_add(out, "\n# %s: %s", *f->spec->floor ? "lower bounds" : "the document's formula",
                    *f->spec->floor ? f->spec->floor : f->spec->claim);
    if (*f->spec->where)
        ss_text_add(out, "\n# where %s", f->spec->where);
    if (f->absent.n)
        ss_text_add(out, "\n# nothing to draw: %s", f->absent.p);
    ss_text_add(out, "\n");
}

/* Of row r and series s; "?" without one. */
static void add_mark(struct ss_text *out, const struct ss_figure *f, const struct ss_result *r)
{
    double value = 0;
    bool present = false;
    for (size_t k = 0; k < f->n_marks && !present && r; k++)
        present = ss_figure_marked(f, k, r, &value);
    add_number(out, value, present);
}

static size_t bars_data(struct ss_text *out, const struct ss_figure *f)
{
    size_t drawn = 0;
    char label[700], other[700];
    for (size_t i = 0; i < f->n; i++) {
        bool first = true;
        ss_figure_text(label, sizeof label, &f->x, f->row[i]);
        for (size_t k = 0; k < i; k++) {
            ss_figure_text(other, sizeof other, &f->x, f->row[k]);
            first = first && strcmp(label, other) != 0;
        }
        if (!first)
            continue;
        ss_text_add(out, "\"%s\"", label);
        for (size_t s = 0; s < f->n_series; s++) {
            struct ss_value value = {0};
            const struct ss_result *row = NULL;
            for (size_t k = i; k < f->n && !value.present; k++) {
                ss_figure_text(other, sizeof other, &f->x, f->row[k]);
                row = f->row[k];
                if (strcmp(label, other) == 0 && ss_figure_value(f, row, s, &value))
                    drawn++;
                else
                    value = (struct ss_value){0};
            }
            add_point(out, &value);
            if (f->n_marks)
                add_mark(out, f, value.present ? row : NULL);
        }
        ss_text_add(out, "\n");
    }
    return drawn;
}

/* 33 points of the law in equal steps of ln x. */
static void add_law(struct ss_text *out, const struct ss_point *p, size_t n)
{
    enum { STEPS = 32 };
    struct ss_fit fit;
    SS_REQUIRE(ss_figure_law(&fit, p, n)); /* keep_what_shows kept no other */
    ss_text_add(out, "\n\n# law\n");
    for (int i = 0; i <= STEPS; i++) {
        struct ss_estimate e;
        double at = fit.min_x * pow(fit.max_x / fit.min_x, (double)i / STEPS);
        ss_fit_predict(&e, &fit, at);
        ss_text_add(out, "%.9g %.9g %.9g %.9g\n", at, e.value, e.low, e.high);
    }
}

/* Names of models without what all of them begin with, up to a '-': of doc-7b and doc-72b a point shows 7b and 72b. */
static size_t family_of(const struct ss_figure *f)
{
    const char *first = f->row[0]->cell.model, *dash = strchr(first, '-');
    const size_t n = dash ? (size_t)(dash - first) + 1 : 0;
    for (size_t i = 1; i < f->n; i++)
        if (strncmp(first, f->row[i]->cell.model, n) != 0)
            return 0;
    return n;
}

/* One value per x: rows that differ in what the formula does not know have the same. */
static void add_formula(struct ss_text *out, const struct ss_figure *f, size_t k, struct ss_point *p)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct ss_value x;
        ss_column_value(&x, &f->x, f->row[i]);
        p[n].x = x.real;
        if (x.present && ss_figure_marked(f, k, f->row[i], &p[n].y.real))
            n++;
    }
    ss_figure_sort(p, n);
    ss_text_add(out, "\n\n# %s\n", f->mark[k].c.name);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || p[i].x != p[i + 1].x)
            ss_text_add(out, "%.9g %.9g \"%s\"\n", p[i].x, p[i].y.real, i + 1 == n ? f->mark[k].variant : "");
}

static size_t lines_data(struct ss_text *out, const struct ss_figure *f)
{
    struct ss_point *p = malloc((f->n + 1) * sizeof *p);
    SS_REQUIRE(p);
    const bool models = strcmp(f->spec->kind, "points") == 0;
    size_t drawn = 0;
    for (size_t s = 0; s < f->n_series; s++) {
        size_t n = ss_figure_points(p, f, s);
        ss_text_add(out, "%s# %s\n", s ? "\n\n" : "", f->legend[s]);
        for (size_t i = 0; i < n; i++) {
            ss_text_add(out, "%.9g", p[i].x);
            add_point(out, &p[i].y);
            if (models)
                ss_text_add(out, " \"%s\"", p[i].row->cell.model + family_of(f));
            ss_text_add(out, "\n");
        }
        drawn += n;
        if (strcmp(f->spec->kind, "fit") == 0)
            add_law(out, p, n);
    }
    for (size_t k = 0; k < f->n_marks && drawn > 0; k++)
        add_formula(out, f, k, p);
    free(p);
    return drawn;
}

/* Parts of one bar. Share: of their sum, in percent. */
static size_t add_parts(struct ss_text *out, const struct ss_figure *f, const struct ss_result *r, bool share)
{
    struct ss_value part[SS_MAX_SERIES], sum = {0};
    char words[64];
    size_t drawn = 0;
    for (size_t s = 0; s < f->n_series; s++) {
        part[s] = (struct ss_value){0};
        part[s].present = ss_figure_value(f, r, s, &part[s]);
        drawn += part[s].present;
        sum.real += part[s].present ? part[s].real : 0;
    }
    sum.present = drawn > 0;
    sum.count = (int64_t)sum.real;
    ss_value_human(words, sizeof words, &f->y[0], &sum);
    ss_text_add(out, " \"%s\"", words);
    for (size_t s = 0; s < f->n_series; s++)
        add_number(out, share && sum.real > 0 ? 100 * part[s].real / sum.real : part[s].real, part[s].present);
    ss_text_add(out, "\n");
    return drawn;
}

static size_t stack_data(struct ss_text *out, const struct ss_figure *f)
{
    const bool share = strcmp(f->spec->kind, "share") == 0;
    struct ss_text groups = {0};
    char label[700] = "", before[700] = "";
    size_t drawn = 0;
    double place = 0, from = 0;
    for (size_t i = 0; i < f->n; i++, place += 1) {
        ss_figure_text(label, sizeof label, &f->x, f->row[i]);
        if (i > 0 && strcmp(label, before) != 0) {
            ss_text_add(&groups, "%g \"%s\"\n", (from + place - 1) / 2, before);
            place += 0.8; /* space between groups */
            from = place;
        }
        snprintf(before, sizeof before, "%s", label);
        ss_text_add(out, "%g \"%s\"", place, f->row[i]->cell.variant);
        drawn += add_parts(out, f, f->row[i], share);
    }
    ss_text_add(out, "\n\n# groups\n%s%g \"%s\"\n", ss_text_str(&groups), (from + place - 1) / 2, label);
    ss_text_free(&groups);
    return drawn;
}

enum ss_err ss_figure_write(struct ss_text *out, size_t *drawn, const struct ss_figure *f)
{
    header(out, f);
    if (strcmp(f->spec->kind, "bars") == 0)
        *drawn = bars_data(out, f);
    else if (f->has_points)
        *drawn = lines_data(out, f);
    else
        *drawn = stack_data(out, f);
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
    ss_figure_close(&f);
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
