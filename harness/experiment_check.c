/* experiment_check.c — see experiment_check.h. */
#include "harness/experiment_check.h"

#include <stdio.h>
#include <string.h>

#include "harness/columns.h"
#include "harness/config.h"
#include "harness/figures.h"
#include "harness/model_check.h"

enum { MAX_NAMES = 64 };

/* An id becomes the name of files in tables/ or plots/. */
static enum ss_err check_id(const char *path, const char *kind, const char *id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (*id == '\0' || *id == '.' || *id == '-' || id[strspn(id, letters)] != '\0')
        SS_FAIL(SS_USAGE, "%s: [%s.%s] the id becomes a file name; use letters, digits, '.', '_' and '-'", path, kind, id);
    return SS_OK;
}

/* Comma-separated column names; empty: none. */
static enum ss_err check_columns(const char *path, const char *kind, const char *id, const char *key, const char *list)
{
    char copy[sizeof((struct ss_table_spec *)0)->columns], *name[MAX_NAMES];
    struct ss_column column;
    snprintf(copy, sizeof copy, "%s", list);
    const size_t n = ss_split(copy, ',', name, MAX_NAMES);
    for (size_t i = 0; i < n; i++) {
        const int silent = ss_set_error_silent(1);
        const enum ss_err err = ss_column_find(&column, name[i]);
        ss_set_error_silent(silent);
        if (err != SS_OK)
            SS_FAIL(err, "%s: [%s.%s] %s: %s", path, kind, id, key, ss_last_error());
    }
    return SS_OK;
}

static enum ss_err check_table(const struct ss_table_spec *t, const char *path)
{
    SS_TRY(check_id(path, "table", t->id));
    SS_TRY(check_columns(path, "table", t->id, "columns", t->columns));
    return check_columns(path, "table", t->id, "fit", t->fit);
}

static enum ss_err check_figure(const struct ss_figure_spec *f, const char *path)
{
    SS_TRY(check_id(path, "figure", f->id));
    SS_TRY(check_columns(path, "figure", f->id, "x", f->x));
    SS_TRY(check_columns(path, "figure", f->id, "y", f->y));
    SS_TRY(check_columns(path, "figure", f->id, "series", f->series));
    SS_TRY(check_columns(path, "figure", f->id, "floor", f->floor));
    size_t n = 0;
    for (; ss_figure_kinds[n]; n++)
        if (strcmp(f->kind, ss_figure_kinds[n]) == 0)
            return SS_OK;
    const char *near = ss_nearest(f->kind, ss_figure_kinds, n);
    SS_FAIL(SS_USAGE, "%s: [figure.%s] kind '%s' is not known%s%s%s", path, f->id, f->kind, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : " (bars, lines, points, fit, stack, share)");
}

enum ss_err ss_experiment_check(const struct ss_experiment *e, const char *path)
{
    for (size_t i = 0; i < e->n_cells; i++)
        if (e->cells[i].tokens < 1 || e->cells[i].tokens > SS_MAX_SEQ)
            SS_FAIL(SS_USAGE, "%s: [axes] tokens: %zu; a cell has 1 to %d", path, e->cells[i].tokens, SS_MAX_SEQ);
    for (size_t i = 0; i < e->n_tables; i++)
        SS_TRY(check_table(&e->table[i], path));
    for (size_t i = 0; i < e->n_figures; i++)
        SS_TRY(check_figure(&e->figure[i], path));
    return SS_OK;
}
