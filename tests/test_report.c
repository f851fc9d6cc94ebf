/* test_report.c — a whole report from cells made by hand, in a directory of its own. */
#include "harness/report.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <hdf5.h> /* to damage a cell file */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/store.h"
#include "tests/scratch.h"

static char dir[SCRATCH_PATH];

/* A measured cell with the counters of its closed form and seven times. */
static void store_cell(const struct ss_cell *cell)
{
    struct ss_result r = {.cell = *cell, .status = SS_MEASURED, .reps = 7};
    struct ss_model m;
    int64_t option[SS_MAX_OPTIONS] = {0};
    const struct ss_variant *v = ss_variant_find(cell->variant);
    cr_assert_eq(ss_model_find(&m, cell->model), SS_OK);
    cr_assert_eq(ss_options_parse(v, cell->options, option), SS_OK);
    r.shape = m.shape;
    r.params = ss_shape_params(&m.shape);
    r.pass = calloc(r.reps, sizeof *r.pass);
    for (size_t i = 0; i < r.reps; i++)
        r.pass[i].online_ns = r.pass[i].wall_ns = 5000000 + 100000 * i;
    const struct ss_job job = {.shape = &r.shape, .tokens = cell->tokens, .option = option};
    v->cost(&job, &r.counters);
    r.expected = r.counters;
    for (int t = 0; t < SS_N_TAGS; t++)
        r.peak[t] = 1000 * (t + 1);
    cr_assert_eq(ss_wire_alloc(&r.wire, r.shape.n_layers + 1), 0);
    for (int p = 0; p < SS_N_PHASES; p++) { /* all on one operation */
        r.wire.rounds[0] += *ss_counters_rounds(&r.counters, (enum ss_phase)p);
        for (int d = 0; d < SS_N_DIRS; d++) {
            const int64_t *bytes = ss_counters_bytes(&r.counters, (enum ss_phase)p, (enum ss_dir)d);
            r.wire.bytes[d] += bytes ? *bytes : 0;
        }
    }
    r.has_error = !cell->reference;
    r.error = (struct ss_distance){.max_abs = 1e-3, .rel_l2 = 2e-4, .kl = 1e-6, .top1 = 1};
    if (cell->reference)
        r.logits = calloc(r.shape.vocab, sizeof *r.logits);
    cr_assert_eq(ss_pairs_add(&r.env, "cpu", "%s", "a | b & c"), SS_OK);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_result_free(&r);
}

static struct ss_experiment experiment;

/* A home with a few of the experiments: the pictures of all of them take seconds a report. */
static void enter_small_home(void)
{
    static const char *const parts[] = {"plots",
                                        "tests",
                                        "experiments/models",
                                        "experiments/machines",
                                        "experiments/claims.csv",
                                        "experiments/claims_rules.csv",
                                        "experiments/architecture.ini",
                                        "experiments/latency.ini",
                                        "experiments/lookups.ini",
                                        "experiments/recommendations.ini",
                                        "experiments/two-gpu.ini"};
    char home[SCRATCH_PATH], there[PATH_MAX], here[PATH_MAX];
    scratch_dir(home);
    snprintf(here, sizeof here, "%s/experiments", home);
    cr_assert_eq(mkdir(here, 0777), 0);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        cr_assert_not_null(realpath(ss_home(), there));
        snprintf(there + strlen(there), sizeof there - strlen(there), "/%s", parts[i]);
        snprintf(here, sizeof here, "%s/%s", home, parts[i]);
        cr_assert_eq(symlink(there, here), 0, "%s", here);
    }
    setenv("SHARDSCALE_HOME", home, 1);
}

static void make_results(void)
{
    ss_set_quiet(1);
    scratch_dir(dir);
    enter_small_home();
    cr_assert_eq(ss_experiment_read(&experiment, "lookups", "smoke", "cpu", 1), SS_OK);
    for (size_t i = 0; i < experiment.n_cells; i++)
        store_cell(&experiment.cells[i]);
}

static void remove_results(void) /* the files go with the run's folder */
{
    ss_experiment_free(&experiment);
}

static enum ss_err report(const char *flag, const char *value)
{
    char name[] = "report", results[] = "--results", quiet[] = "-q", first[32], second[32];
    char *argv[] = {name, results, dir, quiet, first, second, NULL};
    snprintf(first, sizeof first, "%s", flag ? flag : "");
    snprintf(second, sizeof second, "%s", value ? value : "");
    ss_set_error_silent(1);
    return ss_cmd_report(4 + (flag != NULL) + (value != NULL), argv);
}

static void path_of(char *out, size_t size, const char *file)
{
    snprintf(out, size, "%s/%s", dir, file);
}

static bool exists(const char *file)
{
    char path[256];
    struct stat s;
    path_of(path, sizeof path, file);
    return stat(path, &s) == 0 && s.st_size > 0;
}

static void read_text(struct ss_text *t, const char *file)
{
    char path[256];
    path_of(path, sizeof path, file);
    cr_assert_eq(ss_text_read(t, path), SS_OK, "%s", file);
}

Test(report, two_runs_are_byte_identical, .init = make_results, .fini = remove_results)
{
    static const char *const files[] = {"REPORT.md",
                                        "REPORT.html",
                                        "tables/lookups-T2.5.md",
                                        "tables/lookups-T2.5.csv",
                                        "tables/lookups-T2.5.tex",
                                        "plots/lookups-F2.5.dat",
                                        "plots/lookups-F2.5.svg",
                                        "plots/lookups-F2.5.pdf",
                                        "plots/lookups-F2.5.png",
                                        "tables/recommendations-T7.2.csv",
                                        "plots/recommendations-F7.1.dat",
                                        "plots/recommendations-F7.1.svg"};
    enum { N = sizeof files / sizeof files[0] };
    struct ss_text first[N] = {0};
    cr_assert_eq(report(NULL, NULL), SS_OK, "%s", ss_last_error());
    for (size_t i = 0; i < N; i++)
        read_text(&first[i], files[i]);
    sleep(1); /* a clock that got into a file would show */
    cr_assert_eq(report(NULL, NULL), SS_OK);
    for (size_t i = 0; i < N; i++) {
        struct ss_text again = {0};
        read_text(&again, files[i]);
        cr_assert(again.n == first[i].n && memcmp(again.p, first[i].p, again.n) == 0, "%s differs", files[i]);
        ss_text_free(&again);
        ss_text_free(&first[i]);
    }
}

Test(report, holds_every_section_claim_and_the_security_text, .init = make_results, .fini = remove_results)
{
    struct ss_text md = {0}, html = {0};
    cr_assert_eq(report(NULL, NULL), SS_OK, "%s", ss_last_error());
    read_text(&md, "REPORT.md");
    static const char *const parts[] = {"### 1.1 ",
                                        "### 9.2 ",
                                        "## Appendix B",
                                        "s2.5-ot-per-layer-1.5B",
                                        "sB-tokens",
                                        "FORMULA-ERROR",
                                        "plots/lookups-F2.5.svg",
                                        "Reveals:",
                                        "349 claims",
                                        "a \\| b &amp; c",
                                        "How does private inference scale?"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        cr_assert_not_null(strstr(md.p, parts[i]), "%s", parts[i]);
    cr_assert_null(strstr(md.p, dir));
    read_text(&html, "REPORT.html");
    cr_assert_not_null(strstr(html.p, "<img src=\"data:image/svg+xml;base64,"));
    cr_assert_null(strstr(html.p, "src=\"plots/"));
    cr_assert_not_null(strstr(html.p, "<table class=\"claims\">"), "they are laid out to fit the page");
    cr_assert_null(strstr(html.p, "<link rel=\"stylesheet\""));
    cr_assert_null(strstr(html.p, "<script"));
    static const char *const links[] = {"href=\"#sec-2.5\">2.5 ", "<h3 id=\"sec-2.5\">2.5 ",
                                        "<tr id=\"s2.5-ot-per-layer-1.5B\">", "href=\"#appendix-b\"", "<h2 id=\"appendix-b\">"};
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        cr_expect_not_null(strstr(html.p, links[i]), "%s", links[i]);
    ss_text_free(&md);
    ss_text_free(&html);
}

/* On a logarithmic axis plain's zero bytes have no place: named, not drawn at some other one. */
Test(report, points_without_a_place_are_named, .init = make_results, .fini = remove_results)
{
    struct ss_text data = {0}, md = {0};
    cr_assert_eq(report(NULL, NULL), SS_OK, "%s", ss_last_error());
    read_text(&data, "plots/recommendations-F7.1.dat");
    cr_expect_not_null(strstr(data.p, "# nothing to draw: plain\n"));
    cr_expect_null(strstr(data.p, "\n0 "));
    cr_expect_not_null(strstr(data.p, " \"tiny-lm\"\n"));
    read_text(&md, "REPORT.md");
    cr_expect_not_null(strstr(md.p, "Not drawn, zero or not measured: plain."));
    cr_expect_not_null(strstr(md.p, "| basis | CONFIRMED |"));
    ss_text_free(&data);
    ss_text_free(&md);
}

static void figure_data(struct ss_text *data, const char *kind, const char *y, const char *claim, const char *where)
{
    struct ss_report r;
    struct ss_figure_spec spec = {.id = "F", .title = "t", .x = "params", .series = "variant", .log = "xy"};
    struct ss_text absent = {0};
    bool drawable;
    snprintf(spec.kind, sizeof spec.kind, "%s", kind);
    snprintf(spec.y, sizeof spec.y, "%s", y);
    snprintf(spec.claim, sizeof spec.claim, "%s", claim);
    snprintf(spec.where, sizeof spec.where, "%s", where);
    cr_assert_eq(ss_report_open(&r, dir), SS_OK);
    for (size_t i = 0; i < r.n_views; i++)
        if (strcmp(r.view[i].e.name, "lookups") == 0)
            cr_assert_eq(ss_figure_data(data, &absent, &drawable, &r.view[i], &spec), SS_OK, "%s", ss_last_error());
    ss_text_free(&absent);
    ss_report_close(&r);
}

/* Lines that lie on each other hide each other: one line with all names. The document's formula is a line of its own. */
Test(report, equal_series_share_a_line_and_the_claim_has_its_own, .init = make_results, .fini = remove_results)
{
    struct ss_text equal = {0}, apart = {0};
    figure_data(&equal, "lines", "func_total", "seed_ots", "");
    cr_expect_not_null(strstr(equal.p, "# series: plain, v2, v3, v3-cc; v3-mpc, v3-ot\n"), "%s", equal.p);
    const char *line = strstr(equal.p, "\n\n\n# seed_ots\n");
    cr_assert_not_null(line, "%s", equal.p);
    cr_expect_not_null(strstr(line, " \"\"\n"));
    figure_data(&apart, "lines", "bytes_between", "v3-mpc:seed_triple_bytes", "model == width-512");
    cr_expect_not_null(strstr(apart.p, "# series: v2, v3; v3-cc; v3-mpc; v3-ot\n"), "%s", apart.p);
    cr_expect_not_null(strstr(apart.p, "# where model == width-512\n"));
    line = strstr(apart.p, "# seed_triple_bytes\n");
    cr_assert_not_null(line, "%s", apart.p);
    cr_expect_not_null(strstr(line, " \"v3-mpc\"\n"), "one model is left, and its line is named: %s", line);
    cr_expect_eq(strchr(strchr(line, '\n') + 1, '\n')[1], '\0');
    ss_text_free(&equal);
    ss_text_free(&apart);
}

Test(report, shares_add_up_and_say_their_sum, .init = make_results, .fini = remove_results)
{
    struct ss_text data = {0};
    figure_data(&data, "share", "peak_shares, peak_kv", "", "variant == v2 && model == width-512");
    double shares = 0, kv = 0;
    const char *bar = strstr(data.p, "0 \"v2\" \"");
    cr_assert_not_null(bar, "%s", data.p);
    cr_assert_eq(sscanf(bar, "0 \"v2\" \"%*[^\"]\" %lf %lf", &shares, &kv), 2, "%s", bar);
    cr_expect_float_eq(shares + kv, 100, 1e-6);
    cr_expect(shares > 0 && kv > 0);
    cr_expect_not_null(strstr(data.p, " kB\" "), "the sum in words: %s", data.p);
    ss_text_free(&data);
}

Test(report, check_finds_drift, .init = make_results, .fini = remove_results)
{
    char path[256];
    cr_assert_eq(report("--check", NULL), SS_REGRESSION, "nothing was written yet");
    cr_assert_eq(report(NULL, NULL), SS_OK, "%s", ss_last_error());
    cr_assert_eq(report("--check", NULL), SS_OK, "%s", ss_last_error());
    path_of(path, sizeof path, "tables/lookups-T2.5.csv");
    FILE *f = fopen(path, "a");
    fputs("x\n", f);
    fclose(f);
    cr_assert_eq(report("--check", NULL), SS_REGRESSION);
    cr_assert_not_null(strstr(ss_last_error(), "lookups-T2.5.csv"));
    cr_assert_eq(report(NULL, NULL), SS_OK);
    path_of(path, sizeof path, "plots/lookups-F2.5.png");
    unlink(path);
    cr_assert_eq(report("--check", NULL), SS_REGRESSION);
}

Test(report, only_writes_what_was_asked_for, .init = make_results, .fini = remove_results)
{
    cr_assert_eq(report("--only", "T2.5"), SS_OK, "%s", ss_last_error());
    cr_assert(exists("tables/lookups-T2.5.md") && !exists("plots/lookups-F2.5.svg") && !exists("REPORT.md"));
    cr_assert_eq(report("--only", "lookups"), SS_OK);
    cr_assert(exists("plots/lookups-F2.5.svg") && !exists("REPORT.md"));
    cr_assert_eq(report("--only", "lookupz"), SS_USAGE);
    cr_assert_not_null(strstr(ss_last_error(), "lookups"));
}

Test(report, a_merged_file_is_reported_beside_itself, .init = make_results, .fini = remove_results)
{
    char merge[] = "merge", quiet[] = "-q", file[80], name[] = "report", results[] = "--results";
    snprintf(file, sizeof file, "%s/all.h5", dir);
    char *merging[] = {merge, quiet, file, dir, NULL}, *reporting[] = {name, quiet, results, file, NULL};
    cr_assert_eq(ss_cmd_merge(4, merging), SS_OK, "%s", ss_last_error());
    cr_assert_eq(ss_cmd_report(4, reporting), SS_OK, "%s", ss_last_error());
    cr_assert_eq(report(NULL, NULL), SS_OK);
    struct ss_text one = {0}, other = {0};
    read_text(&one, "REPORT.md");
    read_text(&other, "all/REPORT.md");
    cr_expect_str_eq(one.p, other.p);
    ss_text_free(&one);
    ss_text_free(&other);
}

Test(report, equal_times_have_tied_ranks, .init = make_results, .fini = remove_results)
{
    struct ss_report r;
    cr_assert_eq(ss_report_open(&r, dir), SS_OK);
    const struct ss_table_spec spec = {.id = "T", .columns = "model, variant, rank"};
    size_t seen = 0;
    for (size_t i = 0; i < r.n_views; i++) {
        struct ss_table t;
        if (strcmp(r.view[i].e.name, "lookups") != 0)
            continue;
        cr_assert_eq(ss_report_table(&t, &r.view[i], &spec), SS_OK);
        cr_assert_gt(t.rows, 2);
        for (size_t k = 0; k < t.rows; k++)
            cr_expect(strstr(t.cell[k * t.columns + 2].human, "(tie)"), "%s", t.cell[k * t.columns + 2].human);
        ss_table_free(&t);
        seen++;
    }
    cr_expect_eq(seen, 1);
    ss_report_close(&r);
}

Test(report, a_missing_cell_is_a_row_and_an_error, .init = make_results, .fini = remove_results)
{
    char path[512];
    ss_store_path(path, sizeof path, dir, &experiment.cells[experiment.n_cells - 1]);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(report(NULL, NULL), SS_CELLS, "%s", ss_last_error());
    cr_assert_not_null(strstr(ss_last_error(), "1 cells"), "%s", ss_last_error());
    struct ss_text csv = {0};
    read_text(&csv, "tables/lookups-T2.5.csv");
    cr_assert_not_null(strstr(csv.p, "missing; measure it: shardscale run lookups"));
    ss_text_free(&csv);
}

/* A split cell with another option (run --set) answers for the split one, as it does for cells of one device, and only for it.
 */
Test(report, a_cell_of_another_placement_is_missing, .init = make_results, .fini = remove_results)
{
    struct ss_experiment e;
    cr_assert_eq(ss_experiment_read(&e, "two-gpu", "smoke", "cpu", 1), SS_OK, "%s", ss_last_error());
    for (size_t i = 0; i < e.n_cells; i++)
        if (e.cells[i].split && strcmp(e.cells[i].model, "tiny-lm") == 0) {
            struct ss_cell c = e.cells[i];
            char *frac = strstr(c.options, "frac=16");
            cr_assert_not_null(frac, "%s", c.options);
            memcpy(frac, "frac=15", 7);
            ss_cell_identify(&c);
            store_cell(&c);
        }
    ss_experiment_free(&e);
    cr_assert_eq(report(NULL, NULL), SS_CELLS, "%s", ss_last_error());
    cr_assert_not_null(strstr(ss_last_error(), "1 cells"), "%s", ss_last_error());
    struct ss_text csv = {0};
    read_text(&csv, "tables/two-gpu-T4.2g.csv");
    cr_expect_not_null(strstr(csv.p, "tiny-lm,v3,one,8,cpu,5.3"), "%s", csv.p);
    cr_expect_not_null(strstr(csv.p, "tiny-lm,v3,split,8,cpu,5.3"), "%s", csv.p);
    cr_expect_not_null(strstr(csv.p, "width-512,v3,one,8,cpu,5.3"), "%s", csv.p);
    cr_expect_not_null(strstr(csv.p, "width-512,v3,split,8,cpu,,"), "%s", csv.p);
    ss_text_free(&csv);
}

static void store_some(const char *name, const char *profile, bool (*wanted)(const struct ss_cell *))
{
    struct ss_experiment e;
    cr_assert_eq(ss_experiment_read(&e, name, profile, "cpu", 1), SS_OK, "%s", ss_last_error());
    for (size_t i = 0; i < e.n_cells; i++)
        if (wanted(&e.cells[i]))
            store_cell(&e.cells[i]);
    ss_experiment_free(&e);
}

static bool every(const struct ss_cell *c)
{
    return c->tokens > 0;
}

static bool but_plain_72b(const struct ss_cell *c)
{
    return c->reference || strcmp(c->model, "doc-72b") != 0 || strcmp(c->variant, "plain") != 0;
}

static bool cc_of_1_5b(const struct ss_cell *c)
{
    return strcmp(c->model, "doc-1.5b") == 0 && strcmp(c->variant, "v3-cc") == 0;
}

/* Of latency half of the cpu profile's 24 cells and, measured for other questions, all 12 of the smoke profile: the campaign is
   a cpu campaign that lacks cells, not a complete smoke one. */
Test(report, a_smaller_profile_does_not_stand_in_for_the_campaigns_own)
{
    ss_set_quiet(1);
    scratch_dir(dir);
    enter_small_home();
    store_some("architecture", "cpu", but_plain_72b);
    store_some("latency", "cpu", cc_of_1_5b);
    store_some("latency", "smoke", every);
    struct ss_report r;
    cr_assert_eq(ss_report_open(&r, dir), SS_OK, "%s", ss_last_error());
    const struct ss_view *v = r.view;
    while (v < r.view + r.n_views && strcmp(v->e.name, "latency") != 0)
        v++;
    cr_assert_lt(v, r.view + r.n_views);
    cr_expect_str_eq(v->profile, "cpu");
    cr_expect_eq(v->n, 24);
    cr_expect_eq(v->n_missing, 12);
    ss_report_close(&r);
}

Test(report, a_removed_dataset_is_an_error, .init = make_results, .fini = remove_results)
{
    char path[512];
    ss_store_path(path, sizeof path, dir, &experiment.cells[experiment.n_cells - 1]);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    cr_assert(file >= 0 && H5Ldelete(file, "/cell/counters", H5P_DEFAULT) >= 0 && H5Fclose(file) >= 0);
    cr_assert_eq(report(NULL, NULL), SS_RESULTS);
    cr_assert_not_null(strstr(ss_last_error(), experiment.cells[experiment.n_cells - 1].id), "%s", ss_last_error());
    cr_assert_not(exists("REPORT.md"));
}

Test(report, a_missing_reference_is_named, .init = make_results, .fini = remove_results)
{
    char path[512];
    cr_assert(experiment.cells[0].reference);
    ss_store_path(path, sizeof path, dir, &experiment.cells[0]);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(report("--only", "lookups"), SS_CELLS, "%s", ss_last_error());
    cr_assert(strstr(ss_last_error(), "1 cells") && strstr(ss_last_error(), experiment.cells[0].id), "%s", ss_last_error());
}

Test(report, check_finds_a_changed_page, .init = make_results, .fini = remove_results)
{
    char path[512];
    cr_assert_eq(report(NULL, NULL), SS_OK, "%s", ss_last_error());
    cr_assert_eq(report("--check", NULL), SS_OK, "%s", ss_last_error());
    path_of(path, sizeof path, "REPORT.html");
    FILE *f = fopen(path, "a");
    cr_assert_not_null(f);
    fputs(" ", f);
    fclose(f);
    cr_assert_eq(report("--check", NULL), SS_REGRESSION);
    cr_assert_not_null(strstr(ss_last_error(), "REPORT.html"), "%s", ss_last_error());
}

Test(report, no_results_names_the_command)
{
    scratch_file(dir, "nothing-here");
    cr_assert_eq(report(NULL, NULL), SS_RESULTS);
    cr_assert_not_null(strstr(ss_last_error(), "shardscale run"));
}

Test(report, check_command_compares_counters, .init = make_results, .fini = remove_results)
{
    char name[] = "check", results[] = "--results", strict[] = "--strict", quiet[] = "-q";
    char *argv[] = {name, results, dir, quiet, strict, NULL};
    cr_assert_not_null(freopen("/dev/null", "w", stdout));
    ss_set_error_silent(1);
    cr_assert_eq(ss_cmd_check(4, argv), SS_OK, "%s", ss_last_error());
    cr_assert_eq(ss_cmd_check(5, argv), SS_REGRESSION);
    char path[512];
    struct ss_result r;
    ss_store_path(path, sizeof path, dir, &experiment.cells[experiment.n_cells - 1]);
    cr_assert_eq(ss_store_read(&r, path), SS_OK);
    r.counters.bytes_online_p0_p1++;
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_result_free(&r);
    cr_assert_eq(ss_cmd_check(4, argv), SS_COUNTS);
}

Test(report, a_missing_program_is_named_with_its_package)
{
    static const char *const argv[] = {"shardscale-no-such-program", NULL}, *const fails[] = {"false", NULL},
                             *const copies[] = {"cat", NULL};
    struct ss_text in = {0}, out = {0};
    ss_set_error_silent(1);
    cr_assert_eq(ss_program_run(&out, argv, "its-package", NULL, NULL), SS_ENV);
    cr_assert_not_null(strstr(ss_last_error(), "its-package"));
    cr_assert_eq(ss_program_run(&out, fails, "coreutils", NULL, NULL), SS_ENV);
    for (int i = 0; i < 20000; i++) /* more than a pipe holds */
        ss_text_add(&in, "line %d\n", i);
    cr_assert_eq(ss_program_run(&out, copies, "coreutils", &in, NULL), SS_OK);
    cr_assert(out.n == in.n && memcmp(out.p, in.p, in.n) == 0);
    ss_text_free(&in);
    ss_text_free(&out);
}
