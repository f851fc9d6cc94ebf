/* figures.h — between figures.c, which makes the data of a figure, and figures_plot.c, which has gnuplot draw it. */
#ifndef SS_FIGURES_H
#define SS_FIGURES_H

#include "harness/columns.h"
#include "harness/report.h"

enum { SS_MAX_SERIES = 12, SS_MAX_Y = 12, SS_MAX_BY = 3 };

struct ss_figure {
    const struct ss_view *v;
    const struct ss_figure_spec *spec;
    struct ss_column x, y[SS_MAX_Y], series[SS_MAX_BY];
    size_t n_y, n_by, n_series;
    bool by_series;
    char name[SS_MAX_SERIES][112]; /* series that can be drawn: values of the column, or headers of y */
    int style[SS_MAX_SERIES];      /* line style of plots/style.gp */
    size_t y_of[SS_MAX_SERIES];    /* index in y, unless by_series */
    struct ss_text absent;         /* names of series without a value */
};

SS_CHECKED enum ss_err ss_figure_open(struct ss_figure *f, const struct ss_view *v, const struct ss_figure_spec *spec);
/* Value of series s in row r; false: the row is not of that series or has no value, or none that a line on a logarithmic axis
   could show. */
bool ss_figure_value(const struct ss_figure *f, const struct ss_result *r, size_t s, struct ss_value *value);
/* The data file; *drawn: values in it. */
SS_CHECKED enum ss_err ss_figure_write(struct ss_text *out, size_t *drawn, const struct ss_figure *f);
#endif
