/* figures_plot.c — the runs of gnuplot: settings for plots/KIND.gp, three pictures a figure. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config.h"
#include "harness/figures.h"

/* 'text' for gnuplot: a quote inside is doubled. */
static void assign(struct ss_text *out, const char *name, const char *text)
{
    ss_text_add(out, "%s='", name);
    for (const char *p = text; *p; p++)
        ss_text_append(out, *p == '\'' ? "''" : p, *p == '\'' ? 2 : 1);
    ss_text_add(out, "'; ");
}

struct span {
    double least, most;
};

/* Bytes and large counts with SI prefixes; %s and %c are gnuplot's mantissa and prefix. Only a linear axis that ends at a few
   units of its prefix has marks between whole numbers. */
static const char *axis_format(const struct ss_column *c, bool log, const struct span *s)
{
    const double most = s->most > 0 ? s->most : 1;
    const bool whole = log || most / pow(1000, floor(log10(most) / 3)) >= 5;
    if (strcmp(c->unit, "B") == 0)
        return whole ? "%.0s %cB" : "%.1s %cB";
    if (c->kind == SS_COL_COUNT)
        return whole ? "%.0s%c" : "%.1s%c";
    return "%g";
}

static void widen(struct span *s, double value)
{
    if (value <= 0)
        return;
    s->least = s->least > 0 ? fmin(s->least, value) : value;
    s->most = fmax(s->most, value);
}

/* Positive values drawn, of both axes: where a logarithmic axis begins and how it is marked. */
static void spans(const struct ss_figure *f, struct span *x, struct span *y)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t s = 0; s < f->n_series; s++) {
            struct ss_value value = {0};
            double mark;
            if (!ss_figure_value(f, f->row[i], s, &value))
                continue;
            widen(y, value.real);
            for (size_t k = 0; k < f->n_marks; k++)
                if (ss_figure_marked(f, k, f->row[i], &mark))
                    widen(y, mark);
            ss_column_value(&value, &f->x, f->row[i]);
            widen(x, value.real);
        }
}

static void settings(struct ss_text *out, const struct ss_figure *f, const char *dir, const char *stem)
{
    struct ss_text path = {0}, names = {0}, styles = {0}, condition = {0};
    for (size_t s = 0; s < f->n_series; s++) {
        ss_text_add(&names, "%s\"%s\"", s ? " " : "", f->legend[s]);
        ss_text_add(&styles, "%s%d", s ? " " : "", f->style[s]);
    }
    if (f->n_marks) /* the last entry of the legend */
        ss_text_add(&names, " \"%s\"", *f->spec->floor ? "lower bound" : "document");
    for (size_t k = 0; k < f->n_marks; k++)
        ss_text_add(&styles, " %d", ss_figure_style(f->mark[k].variant));
    ss_figure_condition(&condition, f);
    ss_text_add(&path, "%s/plots/", ss_home());
    assign(out, "home", ss_text_str(&path));
    path.n = 0;
    ss_text_add(&path, "%s/plots/%s.dat", dir, stem);
    assign(out, "datafile", ss_text_str(&path));
    path.n = 0;
    ss_text_add(&path, "%s/plots/%s", dir, stem);
    assign(out, "stem", ss_text_str(&path));
    assign(out, "figtitle", f->spec->title);
    assign(out, "xtext", f->spec->xlabel);
    assign(out, "ytext", f->spec->ylabel);
    assign(out, "logaxes", f->spec->log);
    assign(out, "names", ss_text_str(&names));
    assign(out, "styles", ss_text_str(&styles));
    assign(out, "condition", ss_text_str(&condition));
    struct span x = {0}, y = {0};
    spans(f, &x, &y);
    assign(out, "xformat", axis_format(&f->x, strchr(f->spec->log, 'x') != NULL, &x));
    assign(out, "yformat", axis_format(&f->y[0], strchr(f->spec->log, 'y') != NULL, &y));
    ss_text_add(out, "shares=%d; marks=%zu; ", strcmp(f->spec->kind, "share") == 0, f->n_marks);
    ss_text_add(out, "n=%zu; xleast=%.9g; xmost=%.9g; least=%.9g; most=%.9g", f->n_series, x.least, x.most, y.least, y.most);
    ss_text_free(&path);
    ss_text_free(&names);
    ss_text_free(&styles);
    ss_text_free(&condition);
}

/* Cairo writes the time of day into a PDF; the same data must give the same bytes. */
static enum ss_err fix_pdf_date(const char *path)
{
    struct ss_text pdf = {0};
    enum ss_err err = ss_text_read(&pdf, path);
    static const char key[] = "/CreationDate (D:";
    char *date = err == SS_OK ? memmem(pdf.p, pdf.n, key, sizeof key - 1) : NULL;
    const char *end = pdf.p + pdf.n, *epoch = "19700101000000";
    for (char *p = date ? date + sizeof key - 1 : NULL; p && p < end && isdigit((unsigned char)*p) && *epoch; p++)
        *p = *epoch++;
    if (err == SS_OK)
        err = ss_text_write(&pdf, path);
    ss_text_free(&pdf);
    return err;
}

/* One run of gnuplot. */
struct drawing {
    char stem[128], script[1200], pdf[1200];
    struct ss_text settings;
};
struct drawings {
    size_t n;
    struct drawing *v;
};

static enum ss_err draw(const struct drawing *d)
{
    struct ss_text output = {0};
    const char *const argv[] = {"gnuplot", "-d", "-e", ss_text_str(&d->settings), d->script, NULL}; /* -d: no ~/.gnuplot */
    enum ss_err err = ss_program_run(&output, argv, "gnuplot-nox", NULL, "SOURCE_DATE_EPOCH=0");
    /* gnuplot goes on after a warning, but a picture that lacks something must not pass for whole. */
    if (err == SS_OK && strstr(ss_text_str(&output), "warning"))
        err = ss_fail(SS_ENV, __FILE__, __LINE__, "gnuplot, figure %s: %s", d->stem, ss_text_str(&output));
    if (err == SS_OK)
        err = fix_pdf_date(d->pdf);
    ss_text_free(&output);
    return err;
}

/* As many at a time as there are processors; after the first failure, which is told once, no more are begun. */
static enum ss_err draw_all(const struct drawings *all)
{
    enum ss_err first = SS_OK;
    const int silent = ss_set_error_silent(1);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < all->n; i++) {
        enum ss_err so_far, err;
#pragma omp atomic read
        so_far = first;
        if (so_far != SS_OK)
            continue;
        err = draw(&all->v[i]);
        if (err != SS_OK) {
#pragma omp atomic write
            first = err;
        }
    }
    ss_set_error_silent(silent);
    return first == SS_OK ? SS_OK : ss_fail(first, __FILE__, __LINE__, "%s", ss_last_error());
}

/* A figure of which nothing was measured is not drawn. */
static enum ss_err add_drawing(struct drawings *all, const struct ss_report *r, const struct ss_view *v,
                               const struct ss_figure_spec *spec)
{
    struct ss_figure f;
    struct ss_text data = {0};
    size_t drawn = 0;
    enum ss_err err = ss_figure_open(&f, v, spec);
    if (err == SS_OK)
        err = ss_figure_write(&data, &drawn, &f);
    if (err == SS_OK && drawn > 0) {
        struct drawing *grown = realloc(all->v, (all->n + 1) * sizeof *grown), *d;
        SS_REQUIRE(grown);
        all->v = grown;
        d = &all->v[all->n++];
        *d = (struct drawing){0};
        snprintf(d->stem, sizeof d->stem, "%s-%s", v->e.name, spec->id);
        const char *kind = strcmp(spec->kind, "share") == 0 ? "stack" : spec->kind;
        snprintf(d->script, sizeof d->script, "%s/plots/%s.gp", ss_home(), kind);
        snprintf(d->pdf, sizeof d->pdf, "%s/plots/%s.pdf", r->results_dir, d->stem);
        settings(&d->settings, &f, r->results_dir, d->stem);
    }
    ss_text_free(&data);
    ss_figure_close(&f);
    return err;
}

enum ss_err ss_report_plot(const struct ss_report *r, const char *only)
{
    struct drawings all = {0};
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < r->n_views && err == SS_OK; i++)
        for (size_t k = 0; k < r->view[i].e.n_figures && r->view[i].n > 0 && err == SS_OK; k++)
            if (ss_report_wants(&r->view[i], r->view[i].e.figure[k].id, only))
                err = add_drawing(&all, r, &r->view[i], &r->view[i].e.figure[k]);
    if (err == SS_OK)
        err = draw_all(&all);
    for (size_t i = 0; i < all.n; i++)
        ss_text_free(&all.v[i].settings);
    free(all.v);
    return err;
}
