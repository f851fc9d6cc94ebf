/* figures_series.c — what a figure draws: its rows, the series they make, names and line styles, the document's formulas. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config.h"
#include "harness/figures.h"
#include "harness/filter.h"
#include "harness/stats.h"

static enum ss_err find_column(struct ss_column *c, const struct ss_figure *f, const char *name)
{
    if (ss_column_find(c, name) != SS_OK)
        SS_FAIL(SS_USAGE, "experiment %s: figure %s names an unknown column '%s'", f->v->e.name, f->spec->id, name);
    return SS_OK;
}

int ss_figure_style(const char *series)
{
    static const char *const variants[] = {"plain", "v2", "v3", "v3-cc", "v3-mpc", "v3-ot"};
    const size_t word = strcspn(series, " ");
    for (int i = 0; i < 6; i++)
        if (strlen(variants[i]) == word && strncmp(series, variants[i], word) == 0)
            return i + 1;
    return 0;
}

/* Several series of one variant share its colour; marker and dash tell them apart. */
static int style_of(const struct ss_figure *f, const char *series)
{
    const int variant = ss_figure_style(series);
    int before = 0;
    for (size_t s = 0; s < f->n_series; s++)
        before += f->style[s] % 20 == variant;
    return variant ? variant + 20 * (before % 3) : 11 + (int)(f->n_series % 8);
}

static bool is_emulated(const struct ss_result *r)
{
    struct ss_value mode;
    struct ss_column c;
    SS_REQUIRE(ss_column_find(&c, "cc_mode") == SS_OK);
    ss_column_value(&mode, &c, r);
    return mode.present && strcmp(mode.text, "emulated") == 0;
}

void ss_figure_text(char *out, size_t size, const struct ss_column *c, const struct ss_result *r)
{
    struct ss_value value;
    ss_column_value(&value, c, r);
    ss_value_exact(out, size, c, &value);
    const size_t used = strlen(out);
    if (strcmp(c->name, "variant") == 0 && is_emulated(r))
        snprintf(out + used, size - used, " (emulated)");
}

static void add_series(struct ss_figure *f, const char *name)
{
    for (size_t i = 0; i < f->n_series; i++)
        if (strcmp(f->name[i], name) == 0)
            return;
    if (f->n_series == SS_MAX_SERIES)
        return;
    snprintf(f->name[f->n_series], sizeof f->name[0], "%s", name);
    f->style[f->n_series] = style_of(f, name);
    f->n_series++;
}

/* The series of a row: the values of all columns that make series, those it has; options with their names. */
static void series_of(char *out, size_t size, const struct ss_figure *f, const struct ss_result *r)
{
    static const char option[] = "option_";
    char text[700];
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < f->n_by; i++) {
        const char *name = f->series[i].name;
        const bool is_option = strncmp(name, option, sizeof option - 1) == 0;
        ss_figure_text(text, sizeof text, &f->series[i], r);
        if (!*text)
            continue;
        const int n = snprintf(out + used, size - used, "%s%s%s%s", used ? " " : "", is_option ? name + sizeof option - 1 : "",
                               is_option ? "=" : "", text);
        used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
    }
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
    return value->present && !(f->has_points && strchr(f->spec->log, 'y') && value->real <= 0);
}

bool ss_figure_marked(const struct ss_figure *f, size_t k, const struct ss_result *r, double *value)
{
    const struct ss_figure_mark *m = &f->mark[k];
    struct ss_value v;
    if (*m->variant && strcmp(m->variant, r->cell.variant) != 0)
        return false;
    ss_column_value(&v, &m->c, r);
    *value = strcmp(m->c.unit, "%") == 0 && strcmp(f->y[0].unit, "%") != 0 ? v.real / 100 : v.real;
    return v.present && !(strchr(f->spec->log, 'y') && *value <= 0);
}

static int by_x(const void *a, const void *b)
{
    double x = ((const struct ss_point *)a)->x, y = ((const struct ss_point *)b)->x;
    return (x > y) - (x < y);
}

void ss_figure_sort(struct ss_point *p, size_t n)
{
    if (n > 0)
        qsort(p, n, sizeof *p, by_x);
}

size_t ss_figure_points(struct ss_point *p, const struct ss_figure *f, size_t s)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct ss_value x;
        ss_column_value(&x, &f->x, f->row[i]);
        if (!x.present || (strchr(f->spec->log, 'x') && x.real <= 0) || !ss_figure_value(f, f->row[i], s, &p[n].y))
            continue;
        p[n].row = f->row[i];
        p[n++].x = x.real;
    }
    ss_figure_sort(p, n);
    return n;
}

bool ss_figure_law(struct ss_fit *fit, const struct ss_point *p, size_t n)
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

static bool can_draw(const struct ss_figure *f, size_t s, struct ss_point *p)
{
    struct ss_value value;
    struct ss_fit fit;
    if (strcmp(f->spec->kind, "fit") == 0)
        return ss_figure_law(&fit, p, ss_figure_points(p, f, s));
    if (f->has_points)
        return ss_figure_points(p, f, s) > 0;
    for (size_t i = 0; i < f->n; i++)
        if (ss_figure_value(f, f->row[i], s, &value))
            return true;
    return false;
}

static bool same_points(const struct ss_point *a, size_t n_a, const struct ss_point *b, size_t n_b)
{
    for (size_t i = 0; i < n_a && n_a == n_b; i++)
        if (a[i].x != b[i].x || a[i].y.real != b[i].y.real)
            return false;
    return n_a == n_b;
}

/* Counts of several variants are often the same at every point: one line, whose legend names them all, instead of lines that
   hide each other. True: series s goes with an earlier one. */
static bool joins_earlier(struct ss_figure *f, size_t s, size_t kept, struct ss_point *p)
{
    const size_t n = ss_figure_points(p, f, s);
    for (size_t k = 0; k < kept && f->has_points && f->y[0].kind == SS_COL_COUNT; k++) {
        struct ss_point *other = p + f->n + 1;
        if (!same_points(p, n, other, ss_figure_points(other, f, k)))
            continue;
        const size_t used = strlen(f->legend[k]);
        snprintf(f->legend[k] + used, sizeof f->legend[k] - used, ", %s", f->name[s]);
        return true;
    }
    return false;
}

/* gnuplot complains of a series without a point; the caption says which are missing. */
static void keep_what_shows(struct ss_figure *f)
{
    size_t kept = 0;
    struct ss_point *p = malloc(2 * (f->n + 1) * sizeof *p);
    SS_REQUIRE(p);
    for (size_t s = 0; s < f->n_series; s++) {
        if (!can_draw(f, s, p)) {
            ss_text_add(&f->absent, "%s%s", f->absent.n ? ", " : "", f->name[s]);
            continue;
        }
        if (joins_earlier(f, s, kept, p))
            continue;
        memmove(f->name[kept], f->name[s], sizeof f->name[0]);
        memcpy(f->legend[kept], f->name[kept], sizeof f->name[0]);
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

static enum ss_err find_rows(struct ss_figure *f)
{
    struct ss_filter *filter = NULL;
    f->row = malloc((f->v->n + 1) * sizeof *f->row);
    SS_REQUIRE(f->row);
    SS_TRY(ss_filter_parse(&filter, *f->spec->where ? f->spec->where : NULL));
    for (size_t i = 0; i < f->v->n; i++)
        if (ss_filter_match(filter, &f->v->row[i]->cell))
            f->row[f->n++] = f->v->row[i];
    ss_filter_free(filter);
    return SS_OK;
}

/* A machine without ceilings has no lower bounds: neither has its legend. */
static void drop_empty_marks(struct ss_figure *f)
{
    size_t kept = 0;
    for (size_t k = 0; k < f->n_marks; k++) {
        bool any = false;
        double value;
        for (size_t i = 0; i < f->n && !any; i++)
            any = ss_figure_marked(f, k, f->row[i], &value);
        if (any)
            f->mark[kept++] = f->mark[k];
    }
    f->n_marks = kept;
}

static enum ss_err find_marks(struct ss_figure *f)
{
    const struct ss_figure_spec *spec = f->spec;
    char list[sizeof spec->claim], *entry[SS_MAX_MARKS];
    const bool bars = strcmp(spec->kind, "bars") == 0;
    if ((*spec->floor && (*spec->claim || !bars)) || (*spec->claim && !bars && !f->has_points))
        SS_FAIL(SS_USAGE, "experiment %s: figure %s: lines, fit and bars take `claim`, bars without it `floor`", f->v->e.name,
                spec->id);
    snprintf(list, sizeof list, "%s", *spec->floor ? spec->floor : spec->claim);
    f->n_marks = ss_split(list, ',', entry, SS_MAX_MARKS);
    for (size_t k = 0; k < f->n_marks; k++) {
        const char *colon = strchr(entry[k], ':');
        if (colon)
            snprintf(f->mark[k].variant, sizeof f->mark[k].variant, "%.*s", (int)(colon - entry[k]), entry[k]);
        SS_TRY(find_column(&f->mark[k].c, f, colon ? colon + 1 : entry[k]));
        if (f->mark[k].c.origin != SS_FORMULA)
            SS_FAIL(SS_USAGE, "experiment %s: figure %s: column '%s' is no formula", f->v->e.name, spec->id, f->mark[k].c.name);
    }
    return SS_OK;
}

static enum ss_err find_columns(struct ss_figure *f)
{
    const struct ss_figure_spec *spec = f->spec;
    char list[sizeof spec->y], *name[SS_MAX_Y], by_list[sizeof spec->series], *by[SS_MAX_BY];
    snprintf(list, sizeof list, "%s", spec->y);
    f->n_y = ss_split(list, ',', name, SS_MAX_Y);
    SS_TRY(find_column(&f->x, f, spec->x));
    for (size_t i = 0; i < f->n_y; i++) {
        SS_TRY(find_column(&f->y[i], f, name[i]));
        if (f->y[i].kind == SS_COL_TEXT)
            SS_FAIL(SS_USAGE, "experiment %s: figure %s: column '%s' is text", f->v->e.name, spec->id, f->y[i].name);
    }
    f->by_series = *spec->series && strcmp(spec->kind, "stack") != 0 && strcmp(spec->kind, "share") != 0;
    snprintf(by_list, sizeof by_list, "%s", f->by_series ? spec->series : "");
    f->n_by = ss_split(by_list, ',', by, SS_MAX_BY);
    for (size_t i = 0; i < f->n_by; i++)
        SS_TRY(find_column(&f->series[i], f, by[i]));
    if (f->by_series && f->n_y > 1)
        SS_FAIL(SS_USAGE, "experiment %s: figure %s: several y columns or a series column, not both", f->v->e.name, spec->id);
    return find_marks(f);
}

enum ss_err ss_figure_open(struct ss_figure *f, const struct ss_view *v, const struct ss_figure_spec *spec)
{
    char text[700];
    *f = (struct ss_figure){.v = v, .spec = spec};
    f->has_points = strcmp(spec->kind, "lines") == 0 || strcmp(spec->kind, "fit") == 0 || strcmp(spec->kind, "points") == 0;
    SS_TRY(find_rows(f));
    SS_TRY(find_columns(f));
    for (size_t i = 0; i < f->n && f->by_series; i++) {
        series_of(text, sizeof text, f, f->row[i]);
        add_series(f, text);
    }
    size_t shared = shared_prefix(f);
    for (size_t i = 0; i < f->n_y && !f->by_series; i++) {
        f->y_of[f->n_series] = i;
        add_series(f, shared ? f->y[i].name + shared : f->y[i].header);
    }
    keep_what_shows(f);
    drop_empty_marks(f);
    return SS_OK;
}

void ss_figure_close(struct ss_figure *f)
{
    free(f->row);
    ss_text_free(&f->absent);
    *f = (struct ss_figure){0};
}

/* The column's text if it is the same in all measured rows, else "". */
static void common(char *out, size_t size, const struct ss_figure *f, const char *column)
{
    struct ss_column c;
    char text[700];
    bool first = true;
    SS_REQUIRE(ss_column_find(&c, column) == SS_OK);
    out[0] = '\0';
    for (size_t i = 0; i < f->n; i++) {
        struct ss_value value;
        if (f->row[i]->status != SS_MEASURED)
            continue;
        ss_column_value(&value, &c, f->row[i]);
        ss_value_exact(text, sizeof text, &c, &value);
        if (!first && strcmp(text, out) != 0) {
            out[0] = '\0';
            return;
        }
        snprintf(out, size, "%s", text);
        first = false;
    }
}

static void add_condition(struct ss_text *out, const char *before, const char *text, const char *after)
{
    if (*text && strcmp(text, "unknown") != 0)
        ss_text_add(out, "%s%s%s%s", out->n ? ", " : "", before, text, after);
}

void ss_figure_condition(struct ss_text *out, const struct ss_figure *f)
{
    char text[700], phase[700];
    common(phase, sizeof phase, f, "phase");
    if (strcmp(f->spec->x, "model") != 0 && !strstr(f->spec->series, "model") && strcmp(phase, "copy") != 0) {
        common(text, sizeof text, f, "model");
        add_condition(out, "", text, "");
    }
    if (strcmp(f->spec->x, "tokens") != 0 && strcmp(phase, "copy") != 0) {
        common(text, sizeof text, f, "tokens");
        const bool decode = strcmp(phase, "decode") == 0;
        add_condition(out, decode ? "one token after " : "", text, decode ? "" : " tokens");
    }
    common(text, sizeof text, f, "backend");
    const bool gpu = strcmp(text, "cuda") == 0;
    common(text, sizeof text, f, gpu ? "gpu" : "cpu_cores");
    add_condition(out, "", text, gpu ? "" : " CPU cores");
    for (size_t i = 0; i < f->n && !f->by_series; i++) /* whose legend does not say it */
        if (is_emulated(f->row[i])) {
            add_condition(out, f->row[i]->cell.variant, " emulated", "");
            break;
        }
}
