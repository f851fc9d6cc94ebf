/* report.h — from stored cells to tables, figures, REPORT.md and REPORT.html. Equal data give equal bytes: nothing of now, of
   this machine or of the folder's name is written, everything is sorted. */
#ifndef SS_REPORT_H
#define SS_REPORT_H

#include "harness/claims.h"
#include "harness/cli.h"
#include "harness/experiment.h"
#include "harness/table.h"

/* What the report is made of. One experiment as this campaign ran it: a row per cell of its axes, in the store's order. */
struct ss_view {
    struct ss_experiment e;
    char profile[8];
    size_t n;                     /* 0: not run in this campaign */
    const struct ss_result **row; /* stored cells, or placeholders of `missing` */
    size_t n_missing;
    struct ss_result *missing; /* placeholders: skipped, with the command that measures them */
};
struct ss_report {
    const char *results_dir; /* where tables and figures go: the folder of the cells, of a merged file X.h5 the folder X */
    char folder[1024];
    size_t n_cells;
    struct ss_result *cells;
    size_t n_views;
    struct ss_view *view; /* sorted by name */
    struct ss_claims claims;
    struct ss_judged *judged;
    size_t verdicts[SS_N_VERDICTS];
};
/* --results, else of results/gpu, cpu and smoke the first that has cells. */
const char *ss_report_dir(const struct ss_cli *cli);
/* SS_RESULTS: no cells (names the command that measures some) or unreadable ones. */
SS_CHECKED enum ss_err ss_report_open(struct ss_report *r, const char *results); /* a folder or a merged file */
void ss_report_close(struct ss_report *r);

/* Files to be, by path below the results directory. */
struct ss_outputs {
    size_t n;
    struct ss_output {
        char path[160];
        struct ss_text text;
    } * v;
};
struct ss_text *ss_outputs_add(struct ss_outputs *o, const char *fmt, ...)
    SS_PRINTF(2, 3); /* text to fill in, valid until the next add */
void ss_outputs_free(struct ss_outputs *o);

/* only: NULL, an experiment's name, or the id of a table or figure. */
bool ss_report_wants(const struct ss_view *v, const char *id, const char *only);
/* One table of an experiment, with a status column where a cell has no measurement. */
SS_CHECKED enum ss_err ss_report_table(struct ss_table *t, const struct ss_view *v, const struct ss_table_spec *spec);
/* tables/EXP-ID.{md,csv,tex} */
SS_CHECKED enum ss_err ss_report_tables(struct ss_outputs *o, const struct ss_report *r, const char *only);
/* What each variant of a view protects and reveals, as a Markdown list; stands beside its numbers. */
void ss_report_security(struct ss_text *out, const struct ss_view *v);
/* The answer on the front page, from what was measured (report_front.c). */
SS_CHECKED enum ss_err ss_report_front(struct ss_text *out, const struct ss_report *r);
/* REPORT.md (report_md.c) */
SS_CHECKED enum ss_err ss_report_md(struct ss_text *out, const struct ss_report *r);

/* plots/EXP-ID.dat, as plots/KIND.gp reads it (figures.c). SS_USAGE: unknown kind or column. absent: series without a value, or
   only zeros on a logarithmic axis. *drawable: it holds a value. */
SS_CHECKED enum ss_err ss_figure_data(struct ss_text *out, struct ss_text *absent, bool *drawable, const struct ss_view *v,
                                      const struct ss_figure_spec *f);
SS_CHECKED enum ss_err ss_report_figures(struct ss_outputs *o, const struct ss_report *r, const char *only);
/* gnuplot: EXP-ID.{svg,pdf,png} beside the .dat in DIR/plots. SS_ENV without gnuplot or if it complains. */
SS_CHECKED enum ss_err ss_report_plot(const struct ss_report *r, const char *only);

/* One self-contained page from REPORT.md, pictures as data: URIs (html.c). SS_ENV without cmark-gfm. */
SS_CHECKED enum ss_err ss_report_html(struct ss_text *out, const char *markdown, const char *results_dir);

/* Runs a program of PATH with `in` as its standard input (NULL: empty) and collects standard output and error together
   (program.c). SS_ENV: not installed (names the package), or it fails (its last line). env: "NAME=value" or NULL. */
SS_CHECKED enum ss_err ss_program_run(struct ss_text *out, const char *const *argv, const char *package,
                                      const struct ss_text *in, const char *env);
#endif
