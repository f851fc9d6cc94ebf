/* cmd_check.c — `shardscale check`: every claim with its verdict, and the counters of every stored cell against cost(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/report.h"
#include "harness/store.h"
#include "harness/sweep.h"

/* Counters against the closed form, as stored and as this program's cost() has it now. */
static enum ss_err check_counters(const struct ss_result *cells, size_t n)
{
    size_t compared = 0, differ = 0;
    for (size_t i = 0; i < n; i++) {
        const struct ss_result *c = &cells[i];
        if (c->status == SS_SKIPPED)
            continue;
        struct ss_counters now = c->expected;
        const struct ss_variant *v = ss_variant_find(c->cell.variant);
        int64_t option[SS_MAX_OPTIONS] = {0};
        if (c->status == SS_MEASURED && v && ss_options_parse(v, c->cell.options, option) == SS_OK) {
            const struct ss_job job = ss_cell_job(&c->cell, &c->shape, option);
            now = (struct ss_counters){0};
            v->cost(&job, &now);
        }
        compared++;
        char label[160];
        ss_cell_label(label, sizeof label, &c->cell);
        const int where = ss_wire_differs(&c->wire, &c->counters);
        if (c->wire.layers > 0 && where >= 0) {
            differ++;
            ss_warn("%s (%s): its %s%s by layer and operation do not add up to its counters", label, c->cell.id,
                    where < SS_N_DIRS ? "bytes " : "rounds", where < SS_N_DIRS ? ss_dir_names[where].name : "");
            continue;
        }
        int at = ss_counters_differ(&c->counters, &c->expected);
        if (at < 0)
            at = ss_counters_differ(&c->counters, &now);
        if (at < 0)
            continue;
        differ++;
        ss_warn("%s (%s): %s is %lld, cost() says %lld", label, c->cell.id, ss_counter_names[at].name,
                (long long)ss_counters_values(&c->counters)[at], (long long)ss_counters_values(&now)[at]);
    }
    if (differ)
        SS_FAIL(SS_COUNTS,
                "%zu of %zu cells have counters that differ from cost() or from their own parts; measure them again: "
                "shardscale run --rerun all",
                differ, compared);
    ss_note("counters of %zu stored cells equal cost()", compared);
    return SS_OK;
}

static void print_table(const struct ss_table *t, const char *format)
{
    struct ss_text out = {0};
    if (!format || strcmp(format, "md") == 0)
        ss_table_md(t, &out);
    else if (strcmp(format, "csv") == 0)
        ss_table_csv(t, &out);
    else
        ss_table_json(t, &out);
    fputs(ss_text_str(&out), stdout);
    ss_text_free(&out);
}

static enum ss_err check(const struct ss_result *cells, size_t n, const char *format, bool strict)
{
    struct ss_claims claims;
    struct ss_judged *judged;
    size_t count[SS_N_VERDICTS];
    SS_TRY(ss_claims_read_standard(&claims));
    enum ss_err err = ss_claims_judge_all(&judged, count, &claims, cells, n);
    if (err == SS_OK) {
        struct ss_table t;
        ss_claims_table(&t, &claims, judged);
        print_table(&t, format);
        ss_table_free(&t);
        free(judged);
    }
    if (err == SS_OK) {
        ss_note("%zu claims", claims.claims.rows);
        for (int v = 0; v < SS_N_VERDICTS; v++)
            ss_note("%6zu  %s", count[v], ss_verdict_names[v]);
        err = check_counters(cells, n);
    }
    size_t wrong = count[SS_REFUTED] + count[SS_FORMULA_ERROR];
    if (err == SS_OK && strict && wrong)
        err = ss_fail(SS_REGRESSION, __FILE__, __LINE__, "--strict: %zu claims are refuted or contradict their own formula",
                      wrong);
    ss_claims_free(&claims);
    return err;
}

enum ss_err ss_cmd_check(int argc, char **argv)
{
    struct ss_cli cli;
    bool strict = false, done;
    const struct ss_flag flags[] = {
        {"--strict", NULL, SS_FLAG_BOOL, &strict, "exit 3 if a claim is refuted or contradicts its own formula"},
        {0},
    };
    SS_TRY(ss_flags_parse(&cli, "shardscale check [flags]   (-o md, csv or json; without results, formulas only)", flags, argc,
                          argv, NULL, &done));
    if (done)
        return SS_OK;
    if (cli.filter)
        SS_FAIL(SS_USAGE, "check takes no -E: it judges all claims over all stored cells");
    if (cli.format && strcmp(cli.format, "md") != 0 && strcmp(cli.format, "csv") != 0 && strcmp(cli.format, "json") != 0)
        SS_FAIL(SS_USAGE, "-o %s: md, csv or json", cli.format);
    struct ss_result *cells = NULL;
    size_t n = 0;
    const char *dir = ss_report_dir(&cli);
    enum ss_err err = ss_store_read_all(&cells, &n, dir);
    if (err == SS_OK && n == 0)
        ss_warn("%s: no results here, claims are held against formulas only; measure: shardscale run --results %s", dir, dir);
    if (err == SS_OK)
        err = check(cells, n, cli.format, strict);
    for (size_t i = 0; i < n; i++)
        ss_result_free(&cells[i]);
    free(cells);
    return err;
}
