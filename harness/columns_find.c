/* columns_find.c — all families of columns, one behind the other: by name, as values, as text. Counters, tags and operations
   come from their X-macro lists, the others from the columns_*.c. */
#include "harness/columns.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/config.h"
#include "harness/floors.h"
#include "harness/samples.h"
#include "harness/text.h"

/* ---- what a value is made of */

void ss_value_count(struct ss_value *v, int64_t value)
{
    v->present = true;
    v->count = value;
    v->real = (double)value;
}

void ss_value_real(struct ss_value *v, double value)
{
    v->present = isfinite(value);
    v->real = value;
}

void ss_value_text(struct ss_value *v, const char *text)
{
    v->present = text && *text;
    snprintf(v->text, sizeof v->text, "%s", text ? text : "");
}

void ss_value_time(struct ss_value *v, const struct ss_result *r, size_t offset)
{
    if (r->reps == 0)
        return;
    struct ss_samples s;
    struct ss_estimate e;
    ss_samples_of(&s, r, offset);
    ss_median_estimate(&e, s.x, s.n);
    ss_samples_free(&s);
    ss_value_estimate(v, &e);
}

void ss_value_estimate(struct ss_value *v, const struct ss_estimate *e)
{
    v->present = true;
    v->real = e->value;
    v->has_interval = e->has_interval;
    v->lo = e->low;
    v->hi = e->high;
}

/* ---- counters, peaks of tags, times of operations */

static void describe_counter(struct ss_column *c, size_t index)
{
    c->index = index;
    c->unit = ss_counter_names[index].unit;
    snprintf(c->name, sizeof c->name, "%s", ss_counter_names[index].name);
    snprintf(c->header, sizeof c->header, "%s", ss_counter_names[index].long_name);
}

static void counter_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    ss_value_count(v, ss_counters_values(&r->counters)[c->index]);
}

static void describe_peak(struct ss_column *c, size_t index)
{
    c->index = index;
    c->unit = "B";
    snprintf(c->name, sizeof c->name, "peak_%s", ss_tag_names[index].name);
    snprintf(c->header, sizeof c->header, "peak: %s", ss_tag_names[index].long_name);
}

static void peak_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    ss_value_count(v, r->peak[c->index]);
}

static void describe_time(struct ss_column *c, size_t index)
{
    c->index = index;
    c->unit = "ms";
    c->kind = SS_COL_REAL;
    c->origin = SS_TIMED;
    snprintf(c->name, sizeof c->name, "op_ms_%s", ss_op_names[index].name);
    snprintf(c->header, sizeof c->header, "time: %s", ss_op_names[index].long_name);
}

static void time_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    ss_value_time(v, r, offsetof(struct ss_pass, op_ns) + c->index * sizeof(uint64_t));
}

/* ---- the families, in the order of `export` */

static const struct {
    size_t n;
    size_t (*count)(void); /* instead of n */
    void (*describe)(struct ss_column *c, size_t index);
    void (*value)(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
} families[] = {
    {.count = ss_plain_columns, .describe = ss_plain_describe, .value = ss_plain_value},
    {.count = ss_eval_columns, .describe = ss_eval_describe, .value = ss_eval_value},
    {.count = ss_seed_columns, .describe = ss_seed_describe, .value = ss_seed_value},
    {.n = SS_N_COUNTERS, .describe = describe_counter, .value = counter_value},
    {.n = SS_N_TAGS, .describe = describe_peak, .value = peak_value},
    {.n = SS_N_OPS, .describe = describe_time, .value = time_value},
    {.n = SS_N_FLOOR_COLUMNS, .describe = ss_floor_describe, .value = ss_floor_value},
    {.n = SS_N_FUNCTION_COLUMNS, .describe = ss_function_describe, .value = ss_function_value},
    {.n = SS_N_RATIO_COLUMNS, .describe = ss_ratio_describe, .value = ss_ratio_value},
    {.n = SS_N_MACHINE_COLUMNS, .describe = ss_machine_describe, .value = ss_machine_value},
    {.count = ss_option_columns, .describe = ss_option_describe, .value = ss_option_value},
};
enum { N_FAMILIES = sizeof families / sizeof families[0], MOST_NAMES = 512 };

static size_t size_of(size_t family)
{
    return families[family].count ? families[family].count() : families[family].n;
}

/* false: index is behind the last column. */
static bool describe(struct ss_column *c, size_t index)
{
    for (size_t f = 0; f < N_FAMILIES; f++) {
        const size_t n = size_of(f);
        if (index < n) {
            *c = (struct ss_column){.unit = "", .kind = SS_COL_COUNT, .origin = SS_COUNTED, .family = (int)f};
            families[f].describe(c, index);
            return true;
        }
        index -= n;
    }
    return false;
}

size_t ss_column_names(const char **names, size_t cap)
{
    static char text[MOST_NAMES][40];
    struct ss_column c;
    size_t n = 0;
    for (; describe(&c, n); n++) {
        SS_REQUIRE(n < MOST_NAMES);
        if (!names || n >= cap)
            continue;
        memcpy(text[n], c.name, sizeof text[n]);
        names[n] = text[n];
    }
    return n;
}

enum ss_err ss_column_find(struct ss_column *c, const char *name)
{
    for (size_t i = 0; describe(c, i); i++)
        if (strcmp(c->name, name) == 0)
            return families[c->family].value == ss_floor_value ? ss_floor_open() : SS_OK;
    const char *names[MOST_NAMES];
    const size_t n = ss_column_names(names, MOST_NAMES);
    const char *near = ss_nearest(name, names, n);
    SS_FAIL(SS_USAGE, "no column '%s'%s%s%s (harness/columns.h)", name, near ? "; did you mean '" : "", near ? near : "",
            near ? "'?" : "");
}

void ss_column_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    *v = (struct ss_value){0};
    bool measured = c->origin == SS_COUNTED || c->origin == SS_TIMED;
    if (!measured || r->status == SS_MEASURED)
        families[c->family].value(v, c, r);
}

/* ---- as text */

void ss_value_exact(char *out, size_t size, const struct ss_column *c, const struct ss_value *v)
{
    if (!v->present)
        snprintf(out, size, "%s", "");
    else if (c->kind == SS_COL_TEXT)
        snprintf(out, size, "%s", v->text);
    else if (c->kind == SS_COL_COUNT)
        snprintf(out, size, "%" PRId64, v->count);
    else
        snprintf(out, size, "%.9g", v->real);
}

void ss_value_human(char *out, size_t size, const struct ss_column *c, const struct ss_value *v)
{
    if (!v->present)
        snprintf(out, size, "-");
    else if (c->kind == SS_COL_TEXT)
        snprintf(out, size, "%s", v->text);
    else if (strcmp(c->unit, "B") == 0)
        ss_print_bytes(out, size, v->real);
    else if (c->kind == SS_COL_COUNT)
        ss_print_count(out, size, v->count);
    else
        ss_print_real(out, size, v->real);
}
