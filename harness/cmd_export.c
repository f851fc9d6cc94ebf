/* cmd_export.c — `shardscale export`: every cell with its configuration, times, counters, errors and provenance on stdout.
   CSV and Markdown have one row per cell; JSON has one object per cell with the same things nested. Bytes and counts are whole
   numbers in full, times are ms, what was not measured is empty or null. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/columns.h"
#include "harness/compare.h"
#include "harness/config.h"
#include "harness/report.h"

static const char usage[] =
    "shardscale export csv|json|md [flags]\n\n"
    "All cells of --results (a folder, a merged file or a cell's .h5) to stdout: identity, configuration, times with 95%\n"
    "intervals, counters, peaks, errors against plain fp32, and where and by what they were measured.";

enum { MAX_COLUMNS = 512 };

/* Columns of what was measured; formulas and percents of them are the report's, and so is what is made for its tables: rank
   needs the other rows, online_ci repeats an interval as text. */
static enum ss_err measured_columns(struct ss_column *column, size_t *kept)
{
    const char *names[MAX_COLUMNS];
    size_t n = ss_column_names(names, MAX_COLUMNS);
    SS_REQUIRE(n <= MAX_COLUMNS);
    *kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct ss_column *c = &column[*kept];
        SS_TRY(ss_column_find(c, names[i]));
        bool derived = c->origin == SS_FORMULA || strcmp(c->unit, "%") == 0;
        *kept += !derived && strcmp(c->name, "rank") != 0 && strcmp(c->name, "online_ci") != 0;
    }
    return SS_OK;
}

/* A median with an interval. */
static bool is_time(const struct ss_column *c)
{
    return c->origin == SS_TIMED && strcmp(c->unit, "ms") == 0 && strcmp(c->name, "first_ms") != 0;
}

/* ---- JSON */

static json_t *number(double value, bool present)
{
    return present && isfinite(value) ? json_real(value) : json_null();
}

static json_t *value_json(const struct ss_column *c, const struct ss_value *v)
{
    if (!v->present)
        return json_null();
    if (c->kind == SS_COL_TEXT)
        return json_string(v->text);
    if (c->kind == SS_COL_COUNT)
        return json_integer(v->count);
    if (!is_time(c))
        return number(v->real, true);
    return json_pack("{s:o, s:o, s:o}", "median", number(v->real, true), "low", number(v->lo, v->has_interval), "high",
                     number(v->hi, v->has_interval));
}

static json_t *pairs_json(const struct ss_pairs *p)
{
    json_t *out = json_object();
    for (size_t i = 0; i < p->n; i++)
        json_object_set_new(out, p->v[i].key, json_string(p->v[i].value));
    return out;
}

/* Every repetition, in the order of measuring. */
static json_t *samples_json(const struct ss_result *r)
{
    json_t *online = json_array(), *process = json_array();
    for (size_t i = 0; i < r->reps; i++) {
        json_array_append_new(online, json_integer((json_int_t)r->pass[i].online_ns));
        json_array_append_new(process, json_integer(r->pass[i].process));
    }
    json_t *out = json_pack("{s:o, s:o}", "online_ns", online, "process", process);
    json_t *nats = json_array(), *plain = json_array();
    for (size_t i = 0; r->window && i < r->reps; i++) {
        json_array_append_new(nats, json_real(r->window[i].nats));
        json_array_append_new(plain, number(r->window[i].plain_nats, r->has_plain));
    }
    if (r->window) {
        json_object_set(out, "xent", nats);
        json_object_set(out, "xent_plain", plain);
    }
    json_decref(nats);
    json_decref(plain);
    return out;
}

static json_t *cell_json(const struct ss_result *r, const struct ss_column *column, size_t n)
{
    json_t *out = json_object(), *expected = json_object();
    for (size_t i = 0; i < n; i++) {
        struct ss_value v;
        ss_column_value(&v, &column[i], r);
        json_object_set_new(out, column[i].name, value_json(&column[i], &v));
    }
    for (int i = 0; i < SS_N_COUNTERS; i++)
        json_object_set_new(expected, ss_counter_names[i].name,
                            r->status == SS_MEASURED ? json_integer(ss_counters_values(&r->expected)[i]) : json_null());
    json_object_set_new(out, "samples", samples_json(r));
    json_object_set_new(out, "reference", json_boolean(r->cell.reference));
    json_object_set_new(out, "expected", expected);
    json_object_set_new(out, "config", pairs_json(&r->config));
    json_object_set_new(out, "env", pairs_json(&r->env));
    return out;
}

static enum ss_err export_json(const struct ss_set *s, const struct ss_column *column, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(all, cell_json(&s->cells[i], column, n));
    int failed = json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    json_decref(all);
    if (failed)
        SS_FAIL(SS_ENV, "JSON could not be written to standard output");
    putchar('\n');
    return SS_OK;
}

/* ---- rows */

/* Keys of config or env of any cell, in the order of their first appearance. */
static void union_of_keys(struct ss_pairs *keys, const struct ss_set *s, bool env)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct ss_pairs *p = env ? &s->cells[i].env : &s->cells[i].config;
        for (size_t k = 0; k < p->n; k++)
            if (!ss_pairs_get(keys, p->v[k].key))
                SS_REQUIRE(ss_pairs_add(keys, p->v[k].key, "%s", "") == SS_OK);
    }
}

static void add_heads(struct ss_table *t, const struct ss_column *column, size_t n)
{
    char name[64];
    for (size_t i = 0; i < n; i++) {
        bool numeric = column[i].kind != SS_COL_TEXT;
        ss_table_column(t, column[i].name, column[i].name, numeric);
        for (int end = 0; end < 2 && is_time(&column[i]); end++) {
            snprintf(name, sizeof name, "%.39s_%s", column[i].name, end ? "high" : "low");
            ss_table_column(t, name, name, true);
        }
    }
}

static void set_real(struct ss_table *t, size_t column, double value, bool present)
{
    char text[40] = "";
    if (present)
        snprintf(text, sizeof text, "%.9g", value);
    ss_table_set(t, column, text, NULL);
}

static size_t add_values(struct ss_table *t, const struct ss_result *r, const struct ss_column *column, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        struct ss_value v;
        char exact[700];
        ss_column_value(&v, &column[i], r);
        ss_value_exact(exact, sizeof exact, &column[i], &v);
        ss_table_set(t, at++, exact, NULL);
        if (is_time(&column[i])) {
            set_real(t, at++, v.lo, v.has_interval);
            set_real(t, at++, v.hi, v.has_interval);
        }
    }
    return at;
}

static void export_rows(const struct ss_set *s, const struct ss_column *column, size_t n, bool csv)
{
    struct ss_table t = {0};
    struct ss_pairs keys[2] = {{0}, {0}};
    struct ss_text out = {0};
    add_heads(&t, column, n);
    for (int e = 0; e < 2; e++) {
        union_of_keys(&keys[e], s, e == 1);
        for (size_t k = 0; k < keys[e].n; k++) {
            char name[128];
            snprintf(name, sizeof name, "%s.%s", e ? "env" : "config", keys[e].v[k].key);
            ss_table_column(&t, name, name, false);
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct ss_result *r = &s->cells[i];
        ss_table_row(&t);
        size_t at = add_values(&t, r, column, n);
        for (int e = 0; e < 2; e++)
            for (size_t k = 0; k < keys[e].n; k++) {
                const char *value = ss_pairs_get(e ? &r->env : &r->config, keys[e].v[k].key);
                ss_table_set(&t, at++, value ? value : "", NULL);
            }
    }
    if (csv)
        ss_table_csv(&t, &out);
    else
        ss_table_md(&t, &out);
    fputs(ss_text_str(&out), stdout);
    ss_text_free(&out);
    ss_pairs_free(&keys[0]);
    ss_pairs_free(&keys[1]);
    ss_table_free(&t);
}

enum ss_err ss_cmd_export(int argc, char **argv)
{
    static const char *const formats[] = {"csv", "json", "md"};
    struct ss_cli cli;
    struct ss_text_list names = {0};
    const struct ss_flag flags[] = {{0}};
    bool done, known = false;
    SS_TRY(ss_flags_parse(&cli, usage, flags, argc, argv, &names, &done));
    if (done)
        return SS_OK;
    for (size_t i = 0; i < 3 && names.n == 1; i++)
        known = known || strcmp(names.v[0], formats[i]) == 0;
    if (!known || cli.format)
        SS_FAIL(SS_USAGE, "export wants one format: shardscale export csv, json or md");
    struct ss_filter *filter;
    struct ss_set s = {0};
    struct ss_column column[MAX_COLUMNS];
    SS_TRY(ss_filter_parse(&filter, cli.filter));
    size_t n = 0;
    enum ss_err err = ss_set_open(&s, ss_report_dir(&cli), filter);
    if (err == SS_OK)
        err = measured_columns(column, &n);
    if (err == SS_OK && strcmp(names.v[0], "json") == 0)
        err = export_json(&s, column, n);
    else if (err == SS_OK)
        export_rows(&s, column, n, strcmp(names.v[0], "csv") == 0);
    ss_set_free(&s);
    ss_filter_free(filter);
    return err;
}
