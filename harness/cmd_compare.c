/* cmd_compare.c — `shardscale compare A B`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cli.h"
#include "harness/compare.h"
#include "harness/config.h"

static const char usage[] =
    "shardscale compare A B [flags]   (-o table, csv or json)\n\n"
    "Two sets of results, each a results folder, a merged file or a cell's .h5: time of B over time of A, cell by cell. It is\n"
    "the median over fresh processes, the k-th of B over the k-th of A, with its exact 95% interval. B is FASTER or SLOWER if\n"
    "the whole interval is more than 1% from 1, else SAME: no difference was found, and only what lies outside of the\n"
    "interval is ruled out. Cells of fewer than 6 processes a side are judged by their repetitions, the interval widened by\n"
    "three times the scatter of the other such cells of A and B; with fewer than 6 others: n too small.\n"
    "Measure both sets in turns, or what the machine does meanwhile looks like a difference:\n\n"
    "  after/shardscale run latency --results B --beside A --program before/shardscale --repeats 12\n\n"
    "Where other work disturbs the machine, take 24 to find 5%.\n\n"
    "Exit status 4: a counter, a peak of memory, or bytes or rounds of an operation differ, or differ from cost(); 3: "
    "--fail-on.";

struct compare_flags {
    struct ss_cli cli;
    struct ss_text_list sets, metrics;
    const char *fail_on;
    double slower_by; /* of fail_on: 0.03 for slower=3%; else what the warning is about */
};

static enum ss_err read_fail_on(struct compare_flags *f)
{
    static const char key[] = "slower=";
    char number[32];
    f->slower_by = 0.05;
    if (!f->fail_on)
        return SS_OK;
    size_t head = sizeof key - 1, n = strlen(f->fail_on);
    if (strncmp(f->fail_on, key, head) != 0 || f->fail_on[n - 1] != '%' || n - head > sizeof number)
        SS_FAIL(SS_USAGE, "--fail-on %s: slower=PERCENT%% expected, as slower=3%%", f->fail_on);
    snprintf(number, sizeof number, "%.*s", (int)(n - head - 1), f->fail_on + head);
    SS_TRY(ss_parse_real(&f->slower_by, number, 0, 1000, "--fail-on slower"));
    f->slower_by /= 100;
    return SS_OK;
}

static enum ss_err check_flags(struct compare_flags *f)
{
    const char *names[64];
    size_t n = ss_metric_names(names, 64), offset;
    if (f->sets.n != 2)
        SS_FAIL(SS_USAGE, "compare wants two sets of results: shardscale compare results/before results/after");
    if (f->metrics.n == 0)
        f->metrics.v[f->metrics.n++] = names[0];
    for (size_t i = 0; i < f->metrics.n; i++)
        if (!ss_metric_offset(&offset, f->metrics.v[i])) {
            const char *near = ss_nearest(f->metrics.v[i], names, n);
            SS_FAIL(SS_USAGE, "--metric: no time '%s'%s%s%s", f->metrics.v[i], near ? "; did you mean '" : "", near ? near : "",
                    near ? "'?" : "");
        }
    const char *o = f->cli.format;
    if (o && strcmp(o, "table") != 0 && strcmp(o, "csv") != 0 && strcmp(o, "json") != 0)
        SS_FAIL(SS_USAGE, "-o %s: table, csv or json", o);
    return read_fail_on(f);
}

static void print(const struct ss_comparison *c, const char *format)
{
    struct ss_text out = {0};
    if (!format || strcmp(format, "table") == 0)
        ss_table_md(&c->table, &out);
    else if (strcmp(format, "csv") == 0)
        ss_table_csv(&c->table, &out);
    else
        ss_table_json(&c->table, &out);
    fputs(ss_text_str(&out), stdout);
    ss_text_free(&out);
}

static void note_lines(const char *what, const struct ss_text *lines)
{
    for (const char *p = ss_text_str(lines); *p; p += strcspn(p, "\n") + 1)
        ss_note("%s %.*s", what, (int)strcspn(p, "\n"), p);
}

static enum ss_err judge(const struct ss_comparison *c, const struct compare_flags *f)
{
    note_lines("only in A:", &c->only_a);
    note_lines("only in B:", &c->only_b);
    note_lines("not compared:", &c->failed);
    ss_note("%zu cells in both: %zu SAME, %zu FASTER, %zu SLOWER, %zu n too small", c->pairs, c->count[SS_ORDER_SAME],
            c->count[SS_ORDER_FASTER], c->count[SS_ORDER_SLOWER], c->count[SS_ORDER_TOO_FEW]);
    if (c->ratios)
        ss_note("geometric mean of B/A over %zu times: %.4f", c->ratios, exp(c->log_sum / (double)c->ratios));
    if (c->few)
        ss_warn("%zu times are of fewer than %d fresh processes a side, so a drift of the machine between the two sets "
                "is not ruled out; measure both in turns: run --beside A --repeats 12",
                c->few, SS_STATS_MIN);
    if (c->hidden)
        ss_warn("%zu times do not rule out that B is slower by %g %%; measure both in turns (run --beside), with more "
                "--repeats",
                c->hidden, 100 * f->slower_by);
    if (c->n_differ)
        SS_FAIL(SS_COUNTS, "counters of %zu cells differ; the first: %s", c->n_differ, c->differ);
    if (c->pairs == 0)
        SS_FAIL(SS_USAGE, "no cell is in both sets; measure the same experiment with the same options and seed");
    if (f->fail_on && c->count[SS_ORDER_TOO_FEW] == c->table.rows)
        SS_FAIL(SS_USAGE, "--fail-on %s: none of the times can be judged; measure both: run --beside A --repeats 12",
                f->fail_on);
    if (f->fail_on && c->slower)
        SS_FAIL(SS_REGRESSION, "%zu times are slower by more than %g %%, the worst by %.1f %%", c->slower, 100 * f->slower_by,
                100 * (c->worst - 1));
    return SS_OK;
}

static enum ss_err compare(const struct compare_flags *f, const struct ss_filter *filter)
{
    struct ss_set a = {0}, b = {0};
    struct ss_comparison c = {0};
    enum ss_err err = ss_set_open(&a, f->sets.v[0], filter);
    if (err == SS_OK)
        err = ss_set_open(&b, f->sets.v[1], filter);
    if (err == SS_OK)
        err = ss_compare_results(&c, &a, &b, &f->metrics, f->slower_by);
    if (err == SS_OK) {
        print(&c, f->cli.format);
        err = judge(&c, f);
    }
    ss_comparison_free(&c);
    ss_set_free(&a);
    ss_set_free(&b);
    return err;
}

enum ss_err ss_cmd_compare(int argc, char **argv)
{
    struct compare_flags f = {0};
    const struct ss_flag flags[] = {
        {"--metric", "NAME", SS_FLAG_LIST, &f.metrics,
         "online_ms (default), wall_ms, offline_ms, op_ms_qkv, ...; may be repeated"},
        {"--fail-on", "slower=P%", SS_FLAG_TEXT, &f.fail_on, "exit 3 if a time is SLOWER by more than P percent"},
        {0},
    };
    bool done;
    SS_TRY(ss_flags_parse(&f.cli, usage, flags, argc, argv, &f.sets, &done));
    if (done)
        return SS_OK;
    struct ss_filter *filter;
    SS_TRY(ss_flags_refuse(&f.cli, argv[0], "--results"));
    SS_TRY(check_flags(&f));
    SS_TRY(ss_filter_parse(&filter, f.cli.filter));
    enum ss_err err = compare(&f, filter);
    ss_filter_free(filter);
    return err;
}
