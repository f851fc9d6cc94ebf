/* report_front.c — the answer on the front page: how private inference scales, in a table by variant and a few sentences, all
   of it computed from the cells of latency.ini, operations.ini and recommendations.ini. What was not measured is left out. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "harness/choice.h"
#include "harness/figures.h"
#include "harness/fits.h"
#include "harness/report.h"
#include "harness/samples.h"

static const struct ss_view *view_of(const struct ss_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_views; i++)
        if (strcmp(r->view[i].e.name, name) == 0)
            return &r->view[i];
    return NULL;
}

/* The first measured cell of a view, or NULL. */
static const struct ss_result *cell_of(const struct ss_view *v, const char *model, const char *variant)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->row[i]->status == SS_MEASURED && strcmp(v->row[i]->cell.model, model) == 0 &&
            strcmp(v->row[i]->cell.variant, variant) == 0)
            return v->row[i];
    return NULL;
}

static bool first_of_variant(const struct ss_view *v, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(v->row[k]->cell.variant, v->row[i]->cell.variant) == 0)
            return false;
    return true;
}

static struct ss_value value_of(const struct ss_result *r, const char *name, struct ss_column *c)
{
    struct ss_value value = {0};
    SS_REQUIRE(ss_column_find(c, name) == SS_OK);
    if (r)
        ss_column_value(&value, c, r);
    return value;
}

static void add_value(struct ss_text *out, const struct ss_result *r, const char *name)
{
    struct ss_column c;
    char text[700];
    const struct ss_value value = value_of(r, name, &c);
    ss_value_human(text, sizeof text, &c, &value);
    ss_text_add(out, "%s", *text ? text : "-");
}

/* Online time over that of plain, of the same model. */
static enum ss_err add_ratio(struct ss_text *out, const struct ss_result *plain, const struct ss_result *r)
{
    struct ss_ratio ratio = {.order = SS_ORDER_NO_TIME};
    if (plain && plain == r) {
        ss_text_add(out, " 1 |");
        return SS_OK;
    }
    if (plain && r)
        SS_TRY(ss_samples_ratio(&ratio, plain, r, offsetof(struct ss_pass, online_ns)));
    if (ratio.order == SS_ORDER_NO_TIME)
        ss_text_add(out, " - |");
    else if (ratio.ratio.has_interval)
        ss_text_add(out, " %.3g [%.3g, %.3g] |", ratio.ratio.value, ratio.ratio.low, ratio.ratio.high);
    else
        ss_text_add(out, " %.3g (n too small) |", ratio.ratio.value);
    return SS_OK;
}

/* Exponent of a column in d_model over the widths that were run, with its interval. */
static void add_exponent(struct ss_text *out, const struct ss_view *v, const char *variant, const char *name)
{
    static struct ss_series series[SS_MAX_SERIES];
    struct ss_column x, y;
    struct ss_fit fit;
    SS_REQUIRE(ss_column_find(&x, "d_model") == SS_OK && ss_column_find(&y, name) == SS_OK);
    const size_t n = v ? ss_series_of(series, SS_MAX_SERIES, v, &x, &y) : 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(series[i].first->cell.variant, variant) == 0 && ss_fit_power(&fit, series[i].x, series[i].y, series[i].n)) {
            if (fit.exponent.high - fit.exponent.low < 0.005) /* a count: exact to the printed digits */
                ss_text_add(out, " %.2f |", fit.exponent.value);
            else
                ss_text_add(out, " %.2f [%.2f, %.2f] |", fit.exponent.value, fit.exponent.low, fit.exponent.high);
            return;
        }
    ss_text_add(out, " - |");
}

static enum ss_err by_variant(struct ss_text *out, const struct ss_report *r, const struct ss_view *v)
{
    const char *small = v->row[0]->cell.model, *large = v->row[v->n - 1]->cell.model;
    const struct ss_view *widths = view_of(r, "operations");
    struct ss_column name, from;
    SS_REQUIRE(ss_column_find(&name, "variant") == SS_OK);
    ss_text_add(out,
                "| variant | reveals (class) | time over plain, %s | time over plain, %s | time: exponent in the width | "
                "evaluations: exponent | bytes: exponent | %s: bytes per token | memory beyond the weights | "
                "error of the logits |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
                small, large, large);
    for (size_t i = 0; i < v->n; i++) {
        const char *variant = v->row[i]->cell.variant;
        const struct ss_result *last = cell_of(v, large, variant);
        if (!first_of_variant(v, i))
            continue;
        char label[700];
        ss_figure_text(label, sizeof label, &name, v->row[i]);
        const struct ss_value source = value_of(v->row[i], "option_source", &from);
        ss_text_add(out, "| %s%s%s | ", label, source.present && *source.text ? ", source=" : "",
                    source.present ? source.text : "");
        add_value(out, v->row[i], "exposes");
        ss_text_add(out, " |");
        SS_TRY(add_ratio(out, cell_of(v, small, "plain"), cell_of(v, small, variant)));
        SS_TRY(add_ratio(out, cell_of(v, large, "plain"), last));
        add_exponent(out, widths, variant, "online_ms");
        add_exponent(out, widths, variant, "func_total");
        add_exponent(out, widths, variant, "bytes_between");
        static const char *const columns[] = {"bytes_per_token", "peak_overhead", "rel_l2"};
        for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++) {
            ss_text_add(out, " ");
            add_value(out, last, columns[k]);
            ss_text_add(out, " |");
        }
        ss_text_add(out, "\n");
    }
    ss_text_add(
        out,
        "\nMedians; in brackets 95 %% intervals, of ratios by bootstrap, of exponents by the fit over the models width-*. "
        "The document claims exponent 1 for evaluations and bytes. Prefill of %zu tokens.\n\n",
        v->row[0]->cell.tokens);
    return SS_OK;
}

/* "A to B, where the document's formula gives a to b: x to y times" for a count of one variant, smallest and largest model. */
static void beside_formula(struct ss_text *out, const struct ss_view *v, const char *variant, const char *what,
                           const char *counted, const char *formula)
{
    const struct ss_result *small = cell_of(v, v->row[0]->cell.model, variant),
                           *large = cell_of(v, v->row[v->n - 1]->cell.model, variant);
    struct ss_column c;
    const double a = value_of(small, counted, &c).real, b = value_of(large, counted, &c).real,
                 fa = value_of(small, formula, &c).real, fb = value_of(large, formula, &c).real;
    if (!small || !large || !(a > 0 && b > 0 && fa > 0 && fb > 0))
        return;
    ss_text_add(out, "- **%s**, `%s`: ", what, variant);
    add_value(out, small, counted);
    ss_text_add(out, " (%s) to ", small->cell.model);
    add_value(out, large, counted);
    ss_text_add(out, " (%s), where the document's formula gives ", large->cell.model);
    add_value(out, small, formula);
    ss_text_add(out, " to ");
    add_value(out, large, formula);
    char first[40], last[40];
    ss_print_count(first, sizeof first, (int64_t)(a / fa + 0.5));
    ss_print_count(last, sizeof last, (int64_t)(b / fb + 0.5));
    ss_text_add(out, ": %s and %s times as much.\n", first, last);
}

/* Of a decision table, whose last column names the variants. */
static const char *best_of(const struct ss_table *t, size_t row)
{
    return t->cell[row * t->columns + t->columns - 1].human;
}

/* Who is fastest of those that reveal least, model by model; as measured and over a wide-area network. */
static enum ss_err fastest(struct ss_text *out, const struct ss_report *r)
{
    static const struct {
        const char *column, *where;
    } at[] = {{"online_ms", "measured, both parties in one machine"}, {"wan_s_model", "modelled, WAN"}};
    const struct ss_view *v = view_of(r, "recommendations");
    for (size_t k = 0; v && v->n > 0 && k < sizeof at / sizeof at[0]; k++) {
        struct ss_table_spec spec = {.id = "front", .kind = "decision"};
        struct ss_table t;
        snprintf(spec.columns, sizeof spec.columns, "%s", at[k].column);
        SS_TRY(ss_report_table(&t, v, &spec));
        if (t.rows > 0)
            ss_text_add(out, "- **Fastest** of those that reveal shapes only (%s):", at[k].where);
        for (size_t i = 0, end; i < t.rows; i = end) { /* neighbours with the same answer share it */
            for (end = i + 1; end < t.rows && strcmp(best_of(&t, i), best_of(&t, end)) == 0; end++)
                ;
            ss_text_add(out, "%s %s for", i ? ";" : "", best_of(&t, i));
            if (t.rows > 1 && end - i == t.rows)
                ss_text_add(out, " every model");
            else
                for (size_t m = i; m < end; m++)
                    ss_text_add(out, "%s %s", m > i ? "," : "", t.cell[m * t.columns].human);
        }
        if (t.rows > 0)
            ss_text_add(out, ".\n");
        ss_table_free(&t);
    }
    return SS_OK;
}

enum ss_err ss_report_front(struct ss_text *out, const struct ss_report *r)
{
    const struct ss_view *v = view_of(r, "latency");
    ss_text_add(out, "## How does private inference scale?\n\n");
    ss_text_add(
        out,
        "- **The document**: of its %zu claims %zu are confirmed, %zu are refuted by a count, a time or a published shape, "
        "and %zu contradict its own formulas.\n",
        r->claims.claims.rows, r->verdicts[SS_CONFIRMED], r->verdicts[SS_REFUTED], r->verdicts[SS_FORMULA_ERROR]);
    if (!v || v->n == 0) {
        ss_text_add(out, "\nThe rest of this answer needs the cells of one experiment: `shardscale run latency`.\n\n");
        return SS_OK;
    }
    beside_formula(out, v, "v3-ot", "Function evaluations of a pass", "func_total", "seed_ots");
    beside_formula(out, v, "v3-mpc", "Element-wise triples of a pass", "triples_ew", "seed_triples");
    beside_formula(out, v, "v3-ot", "Bytes between the parties per token", "bytes_per_token", "seed_net_per_token");
    beside_formula(out, v, "v3-mpc", "Memory beyond the weights (the document: triples)", "peak_overhead", "seed_triple_bytes");
    SS_TRY(fastest(out, r));
    ss_text_add(out, "\n");
    return by_variant(out, r, v);
}
