/* experiment.h — experiments/NAME.ini: a question, the cells that answer it, the tables and figures that show the answer.

   [experiment] title, section (the seed document's), question
                like = NAME (optional): what this file does not set of [axes], [options], [effort] and [profile.*] is that of
                experiments/NAME.ini. NAME may not be like a third one. Its tables and figures are not taken.
   [axes]       model, variant, tokens (ranges), phase, placement comma-separated lists; the product is the set of cells
                phase: prefill, a pass of `tokens` tokens; decode, a pass of one token on top of `tokens` cached ones; eval,
                windows of `tokens` of the text that the model's file names: reps_max of them, or from reps_min on as many
                as max_seconds allow; copy, share and reveal of rows alone
                A variant may carry words: KEY=value, KEY=a|b|c (a cell for each, and the product of several such
                words), @MODEL (that model only): "v3-ot entries=256|1024 columns=1|2 @tiny-lm"
                placement: one (all roles on one device) where it is not given, or split (a GPU for each party); a variant
                of one party has its cells for one only
   [options]    VARIANT.KEY = value                               a variant's options, else the variant's standard
   [effort]     warmup, reps_min, reps_max, target, max_seconds, resident_gb (weights that may stay in memory; what is more is
                made again layer by layer, in time that is booked apart); repeats: fresh processes a cell is measured in, 1
                where it is not given
   [profile.smoke|cpu|gpu] any key of [axes] and [effort]         overrides for that profile
   [table.ID]   title, columns (names of columns.h), note         one row per cell
                fit, exponent, predict                            instead a row per column and variant: its exponent over the
                                                                  column `fit`, beside the claimed one of the list `exponent`
                                                                  (- for none), and the value at `predict`
                kind                                              decision: instead a row per model and column: the variants
                                                                  with the least of it (choice.h)
   [figure.ID]  title, kind (figures.c), x, y, series, xlabel, ylabel, log (x, y, xy or empty), note
                claim                                             the document's formula beside what was measured: a column, or
                                                                  VARIANT:COLUMN for each variant that has one
                floor                                             a column of lower bounds, marked on the bars
                where                                             cells to draw, as -E takes them (filter.h); else all
   With `like`, the first of these that sets a key: [profile.NAME] of this file, [axes] or [effort] of this file, [profile.NAME]
   of the other, [axes] or [effort] of the other. So [axes] tokens = 8 here holds in every profile, also where the other
   file's [profile.gpu] has tokens = 56.
   Unknown sections and keys are errors; nothing has a default hidden in C. */
#ifndef SS_EXPERIMENT_H
#define SS_EXPERIMENT_H

#include "harness/cell.h"
#include "harness/config.h"

enum { SS_MAX_VIEWS = 8 };
struct ss_table_spec {
    char id[32], title[160], columns[512], note[400];
    char fit[40], exponent[160]; /* fit "": an ordinary table */
    double predict;              /* 0: no prediction */
    char kind[16];               /* "" or decision */
};
struct ss_figure_spec {
    char id[32], title[160], kind[32], x[48], y[200], series[48], xlabel[96], ylabel[96], log[4], note[400];
    char claim[160], floor[48], where[96];
};
struct ss_experiment {
    char name[48], title[160], section[48], question[400];
    size_t n_cells;
    struct ss_cell *cells; /* reference cells first, then model by model; ids filled in */
    struct ss_effort effort;
    size_t n_tables, n_figures;
    struct ss_table_spec table[SS_MAX_VIEWS];
    struct ss_figure_spec figure[SS_MAX_VIEWS];
};
/* profile: "smoke", "cpu" or "gpu"; backend: "cpu" or "cuda". name: stem in experiments/, or a path to an .ini file. */
SS_CHECKED enum ss_err ss_experiment_read(struct ss_experiment *e, const char *name, const char *profile, const char *backend,
                                          uint64_t seed);
void ss_experiment_free(struct ss_experiment *e);
/* Stems of experiments/ *.ini, sorted; freed entry by entry. */
SS_CHECKED enum ss_err ss_experiment_list(char ***names, size_t *n);
#endif
