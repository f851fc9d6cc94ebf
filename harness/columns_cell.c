/* columns_cell.c — options of a cell, its functions as evaluated, and what one evaluation costs, as columns; behind
   these the ones of columns_choice.c. */
#include "harness/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- option_KEY: every key that a variant of this build has, once */

static const struct ss_option *option_at(size_t index, size_t *n)
{
    const struct ss_option *seen[SS_MAX_OPTION_COLUMNS];
    *n = 0;
    for (size_t v = 0; ss_variants[v]; v++)
        for (const struct ss_option *o = ss_variants[v]->options; o->key; o++) {
            bool is_new = true;
            for (size_t i = 0; i < *n; i++)
                is_new = is_new && strcmp(seen[i]->key, o->key) != 0;
            if (!is_new)
                continue;
            SS_REQUIRE(*n < SS_MAX_OPTION_COLUMNS);
            seen[(*n)++] = o;
        }
    return index < *n ? seen[index] : NULL;
}

size_t ss_option_columns(void)
{
    size_t n;
    option_at(0, &n);
    return n;
}

void ss_option_describe(struct ss_column *c, size_t index)
{
    size_t n;
    const struct ss_option *o = option_at(index, &n);
    SS_REQUIRE(o);
    char *end;
    strtol(o->choices ? o->choices : o->standard, &end, 10);
    c->index = index;
    c->kind = *end && *end != ',' ? SS_COL_TEXT : SS_COL_COUNT;
    c->origin = SS_IDENTITY;
    snprintf(c->name, sizeof c->name, "option_%s", o->key);
    snprintf(c->header, sizeof c->header, "%s", o->key);
}

void ss_option_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    const char *key = c->name + strlen("option_");
    const size_t length = strlen(key);
    for (const char *at = r->cell.options; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, key, length) != 0 || at[length] != '=')
            continue;
        const char *text = at + length + 1;
        snprintf(v->text, sizeof v->text, "%.*s", (int)strcspn(text, ","), text);
        v->present = true;
        v->count = strtoll(v->text, NULL, 10);
        v->real = (double)v->count;
        return;
    }
}

/* ---- error_FUNCTION, then outside_FUNCTION, then their sum */

enum { OUT_OF_RANGE = 2 * SS_N_FUNCTIONS };

void ss_function_describe(struct ss_column *c, size_t index)
{
    static const char *const arguments[] = {
#define X(name, arguments, error) arguments,
        SS_FUNCTIONS(X)
#undef X
    };
    static const char *const errors[] = {
#define X(name, arguments, error) error,
        SS_FUNCTIONS(X)
#undef X
    };
    const size_t f = index % SS_N_FUNCTIONS;
    const bool is_error = index < SS_N_FUNCTIONS;
    c->index = index;
    c->origin = SS_COUNTED;
    c->kind = is_error ? SS_COL_REAL : SS_COL_COUNT;
    if (index == OUT_OF_RANGE) {
        snprintf(c->name, sizeof c->name, "out_of_range");
        snprintf(c->header, sizeof c->header, "arguments out of range, in plain fp32");
        return;
    }
    snprintf(c->name, sizeof c->name, "%s_%s", is_error ? "error" : "outside", ss_function_names[f]);
    if (is_error)
        snprintf(c->header, sizeof c->header, "largest error of %s (%s)", ss_function_names[f], errors[f]);
    else
        snprintf(c->header, sizeof c->header, "out of range: %s, of %s", ss_function_names[f], arguments[f]);
}

void ss_function_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    const size_t f = c->index % SS_N_FUNCTIONS;
    const bool is_error = c->index < SS_N_FUNCTIONS;
    v->present = is_error ? r->has_functions : r->has_outside;
    if (!v->present)
        return;
    v->count = c->index == OUT_OF_RANGE ? 0 : r->outside[f];
    for (int i = 0; i < SS_N_FUNCTIONS && c->index == OUT_OF_RANGE; i++)
        v->count += r->outside[i];
    v->real = is_error ? r->fit[f].error : (double)v->count;
}

/* ---- everything of a phase, truncations and products too, over the function evaluations of a pass */

static const struct {
    const char *name, *header, *unit;
    const char *of[2], *by; /* columns: a sum over another */
    double scale;
} ratios[] = {
    {"offline_b_per_func", "offline bytes per function evaluation", "B", {"bytes_offline", "bytes_dealer"}, "func_total", 1},
    {"offline_b_dealer", "offline bytes per function evaluation, from the dealer", "B", {"bytes_dealer"}, "func_total", 1},
    {"offline_b_between",
     "offline bytes per function evaluation, between the parties",
     "B",
     {"bytes_offline"},
     "func_total",
     1},
    {"online_b_per_func", "online bytes per function evaluation", "B", {"bytes_online"}, "func_total", 1},
    {"offline_ns_per_func", "offline time per function evaluation", "ns", {"offline_ms"}, "func_total", 1e6},
    {"online_ns_per_func", "online time per function evaluation", "ns", {"online_ms"}, "func_total", 1e6},
    {"triple_b", "offline bytes per element-wise triple", "B", {"bytes_offline", "bytes_dealer"}, "triples_ew", 1},
    {"triple_b_dealer", "offline bytes per element-wise triple, from the dealer", "B", {"bytes_dealer"}, "triples_ew", 1},
    {"triple_b_between", "offline bytes per element-wise triple, between the parties", "B", {"bytes_offline"}, "triples_ew", 1},
    {"triple_ns", "offline time per element-wise triple", "ns", {"offline_ms"}, "triples_ew", 1e6},
};

enum { N_RATIOS = sizeof ratios / sizeof ratios[0] };

void ss_ratio_describe(struct ss_column *c, size_t index)
{
    c->index = index;
    if (index >= N_RATIOS) {
        ss_choice_describe(c, index - N_RATIOS);
        return;
    }
    c->unit = ratios[index].unit;
    c->kind = SS_COL_REAL;
    c->origin = strcmp(c->unit, "B") == 0 ? SS_COUNTED : SS_TIMED;
    snprintf(c->name, sizeof c->name, "%s", ratios[index].name);
    snprintf(c->header, sizeof c->header, "%s", ratios[index].header);
}

static bool column_value(struct ss_value *v, const char *name, const struct ss_result *r)
{
    struct ss_column column;
    SS_REQUIRE(ss_column_find(&column, name) == SS_OK);
    ss_column_value(v, &column, r);
    return v->present;
}

void ss_ratio_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    struct ss_value one, by;
    if (c->index >= N_RATIOS) {
        ss_choice_value(v, r, c->index - N_RATIOS);
        return;
    }
    if (!column_value(&by, ratios[c->index].by, r) || by.real <= 0)
        return;
    const double scale = ratios[c->index].scale / by.real;
    for (size_t i = 0; i < 2 && ratios[c->index].of[i]; i++) {
        if (!column_value(&one, ratios[c->index].of[i], r))
            return;
        v->real += one.real * scale;
        v->has_interval = one.has_interval; /* of times, which are never summed */
        v->lo = one.lo * scale;
        v->hi = one.hi * scale;
    }
    v->present = true;
}
