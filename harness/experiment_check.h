/* experiment_check.h — what an experiment asks for, held against what there is, before anything is measured for it. */
#ifndef SS_EXPERIMENT_CHECK_H
#define SS_EXPERIMENT_CHECK_H

#include "harness/experiment.h"

/* Ids of tables and figures can be file names, their columns are columns of columns.h, a figure's kind has a script in plots/,
   a cell has 1 to SS_MAX_SEQ tokens. SS_USAGE with the place; path: the experiment's file. */
SS_CHECKED enum ss_err ss_experiment_check(const struct ss_experiment *e, const char *path);
#endif
