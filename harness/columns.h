/* columns.h — every number and name a table, a figure or a claim can show of a stored cell. Experiments and claims_rules.csv
   name columns by these names and no others. What follows from a formula alone is called seed_* or marked SS_FORMULA, so that
   it never shares a name with what was counted or timed. */
#ifndef SS_COLUMNS_H
#define SS_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/cell.h"
#include "harness/stats.h"

enum ss_column_kind { SS_COL_TEXT, SS_COL_COUNT, SS_COL_REAL };
enum ss_column_origin { SS_IDENTITY, SS_COUNTED, SS_TIMED, SS_FORMULA };

struct ss_column {
    char name[40];
    char header[112];
    const char *unit; /* "", "B", "ms", ... */
    enum ss_column_kind kind;
    enum ss_column_origin origin;
    size_t index; /* within its family */
    int family;   /* in the list of columns_find.c */
};

struct ss_value {
    bool present; /* false: the cell has no such value (not measured, not compared) */
    int64_t count;
    double real;   /* also set for counts */
    double lo, hi; /* 95% interval, if has_interval */
    bool has_interval;
    char text[640];
};

/* SS_USAGE with the nearest match if there is no such column. */
SS_CHECKED enum ss_err ss_column_find(struct ss_column *c, const char *name);
void ss_column_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
/* Exact, for machines: integers in full, reals with 9 digits, "" if absent. */
void ss_value_exact(char *out, size_t size, const struct ss_column *c, const struct ss_value *v);
/* For people: thousands separated, SI bytes, "-" if absent. */
void ss_value_human(char *out, size_t size, const struct ss_column *c, const struct ss_value *v);
/* All column names, in the order of the registry; returns how many. names may be NULL. */
size_t ss_column_names(const char **names, size_t cap);

/* ---- for the families: what a value is made of */
void ss_value_count(struct ss_value *v, int64_t value);
void ss_value_real(struct ss_value *v, double value);     /* absent if not finite */
void ss_value_text(struct ss_value *v, const char *text); /* NULL or empty: absent */
void ss_value_estimate(struct ss_value *v, const struct ss_estimate *e);
/* Median and interval of a time over the repetitions or fresh processes (samples.h), in ms. offset: of a uint64_t in struct
   ss_pass. */
void ss_value_time(struct ss_value *v, const struct ss_result *r, size_t offset);

/* ---- the families of columns_find.c (columns.c): identity, shape, sums of what was counted, times; (columns_eval.c): windows
   of a text; (columns_seed.c) */
size_t ss_plain_columns(void); /* how many */
void ss_plain_describe(struct ss_column *c, size_t index);
void ss_plain_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
size_t ss_eval_columns(void); /* how many */
void ss_eval_describe(struct ss_column *c, size_t index);
void ss_eval_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
size_t ss_seed_columns(void); /* how many */
void ss_seed_describe(struct ss_column *c, size_t index);
void ss_seed_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
/* (columns_cell.c): option_KEY; error_FUNCTION, outside_FUNCTION and out_of_range (harness/functions.h);
   bytes and times a function evaluation; (columns_machine.c): what the cell ran on */
enum {
    SS_MAX_OPTION_COLUMNS = 32,
    SS_N_FUNCTION_COLUMNS = 2 * SS_N_FUNCTIONS + 1,
    SS_N_CHOICE_COLUMNS = 8,
    SS_N_RATIO_COLUMNS = 10 + SS_N_CHOICE_COLUMNS,
    SS_N_MACHINE_COLUMNS = 12
};
size_t ss_option_columns(void); /* how many */
void ss_option_describe(struct ss_column *c, size_t index);
void ss_option_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
void ss_function_describe(struct ss_column *c, size_t index);
void ss_function_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
void ss_ratio_describe(struct ss_column *c, size_t index);
void ss_ratio_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
void ss_machine_describe(struct ss_column *c, size_t index);
void ss_machine_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
/* ---- for columns_cell.c (columns_choice.c): modelled times, what is revealed, Pareto sets */
void ss_choice_describe(struct ss_column *c, size_t index);
void ss_choice_value(struct ss_value *v, const struct ss_result *r, size_t index);

/* The seed document's formulas, in the units of its tables. */
enum { SS_SEED_TRIPLE_BYTES = 12, SS_SEED_OT_BYTES = 64, SS_SEED_TABLE_BYTES = 3 * 4096 * 4, SS_SEED_KV_TOKENS = 2048 };
int64_t ss_seed_ots(const struct ss_shape *s, size_t tokens); /* of all layers; triples are five times as many */
#endif
