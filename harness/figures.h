/* figures.h — between figures_series.c, which says what a figure draws, figures.c, which writes it as data, and figures_plot.c,
   which has gnuplot draw it. */
#ifndef SS_FIGURES_H
#define SS_FIGURES_H

#include "harness/columns.h"
#include "harness/report.h"

enum { SS_MAX_SERIES = 12, SS_MAX_Y = 12, SS_MAX_BY = 3, SS_MAX_MARKS = 6 };

extern const char *const ss_figure_kinds[]; /* figures.c says what each is; NULL ends the list */

/* What the document's formula, or a lower bound, says beside a measured value. */
struct ss_figure_mark {
    struct ss_column c;
    char variant[16]; /* whose; "": of every row */
};

struct ss_figure {
    const struct ss_view *v;
    const struct ss_figure_spec *spec;
    size_t n; /* rows of v that `where` lets through */
    const struct ss_result **row;
    struct ss_column x, y[SS_MAX_Y], series[SS_MAX_BY];
    size_t n_y, n_by, n_series, n_marks;
    bool by_series, has_points;      /* has_points: an x axis of numbers */
    char name[SS_MAX_SERIES][112];   /* series that can be drawn: values of the columns, or headers of y */
    char legend[SS_MAX_SERIES][112]; /* the same, and those drawn at the same points */
    int style[SS_MAX_SERIES];        /* line style of plots/style.gp */
    size_t y_of[SS_MAX_SERIES];      /* index in y, unless by_series */
    struct ss_figure_mark mark[SS_MAX_MARKS];
    struct ss_text absent; /* names of series without a value */
};

struct ss_point {
    double x;
    struct ss_value y;
    const struct ss_result *row;
};

/* Close it in any case. */
SS_CHECKED enum ss_err ss_figure_open(struct ss_figure *f, const struct ss_view *v, const struct ss_figure_spec *spec);
void ss_figure_close(struct ss_figure *f);
/* Value of series s in row r; false: the row is not of that series or has no value, or none that a line on a logarithmic axis
   could show. */
bool ss_figure_value(const struct ss_figure *f, const struct ss_result *r, size_t s, struct ss_value *value);
/* What mark k says of row r, in the unit of y; false: nothing. */
bool ss_figure_marked(const struct ss_figure *f, size_t k, const struct ss_result *r, double *value);
/* Points of series s in the order of x; p holds a point per row. */
size_t ss_figure_points(struct ss_point *p, const struct ss_figure *f, size_t s);
void ss_figure_sort(struct ss_point *p, size_t n);
/* false: too few points for a law. */
struct ss_fit;
bool ss_figure_law(struct ss_fit *fit, const struct ss_point *p, size_t n);
/* The value of a column as a figure writes it: an emulated enclave is called so. */
void ss_figure_text(char *out, size_t size, const struct ss_column *c, const struct ss_result *r);
/* Colour, marker and dash are fixed per variant, so that a variant looks the same in each figure. 0: no variant. */
int ss_figure_style(const char *series);
/* What all rows have in common: "doc-1.5b, 56 tokens, NVIDIA H200". */
void ss_figure_condition(struct ss_text *out, const struct ss_figure *f);

/* The data file; *drawn: values in it. */
SS_CHECKED enum ss_err ss_figure_write(struct ss_text *out, size_t *drawn, const struct ss_figure *f);
#endif
