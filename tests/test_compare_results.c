/* test_compare_results.c — verdicts on two sets of results: trials with the noise of real runs, slowed copies, drifted
   counters, ranks; merged files; export. */
#include "harness/compare.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/cli.h"
#include "harness/store.h"
#include "tests/random.h"
#include "tests/scratch.h"

enum { POPULATIONS = 6, MOST = 64 };

static uint64_t random_state;

static uint64_t next_random(void)
{
    return random64(&random_state);
}

/* Raw times of six cells measured on an H200: skewed, with outliers, half-widths of 0.3% to 3%. */
static size_t populations(double x[POPULATIONS][MOST], size_t n[POPULATIONS])
{
    char path[1200], line[4096];
    size_t rows = 0;
    snprintf(path, sizeof path, "%s/tests/data/online_ns.txt", ss_home());
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    while (rows < POPULATIONS && fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        size_t words = 0;
        n[rows] = 0;
        for (char *rest = line, *word; (word = strsep(&rest, " \n")) && n[rows] < MOST; words++)
            if (words >= 3 && *word)
                x[rows][n[rows]++] = strtod(word, NULL);
        cr_assert_geq(n[rows], 20);
        rows++;
    }
    fclose(f);
    return rows;
}

/* As many repetitions as the sampler makes of this noise if it may make 200. */
static size_t reps_of(const double *x, size_t n)
{
    const struct ss_stop rule = {.target = 0.01, .n_min = 20, .n_max = 200, .max_seconds = INFINITY};
    double drawn[200];
    for (size_t reps = 0;;) {
        drawn[reps++] = x[next_random() % n];
        if (ss_stop(&rule, drawn, reps, 0))
            return reps;
    }
}

static double around_1(double spread)
{
    return 1 + spread * (2 * (double)(next_random() >> 11) / 0x1p53 - 1);
}

enum { MOST_PROCESSES = 10 };

/* Repetitions drawn from a population; those of one process share a factor of 1 +- spread, those of the same turn turn[k]. */
static void draw(struct ss_result *r, const double *x, size_t n, size_t processes, size_t reps, double factor, double spread,
                 const double *turn)
{
    *r = (struct ss_result){.status = SS_MEASURED, .reps = processes * reps};
    r->pass = calloc(r->reps, sizeof *r->pass);
    for (size_t p = 0; p < processes; p++) {
        double own = factor * turn[p] * around_1(spread);
        for (size_t i = 0; i < reps; i++)
            r->pass[p * reps + i] =
                (struct ss_pass){.online_ns = (uint64_t)(own * x[next_random() % n]), .process = (int64_t)p};
    }
}

/* reps 0: as the sampler stops. drift: how far the machine's speed wanders between one turn of both and the next. */
static enum ss_order trial_of(const double *x, size_t n, size_t processes, size_t reps, double factor, double spread,
                              double drift)
{
    struct ss_result a, b;
    struct ss_ratio ratio;
    double turn[MOST_PROCESSES];
    for (size_t k = 0; k < MOST_PROCESSES; k++)
        turn[k] = around_1(drift);
    draw(&a, x, n, processes, reps ? reps : reps_of(x, n), 1, spread, turn);
    draw(&b, x, n, processes, reps ? reps : reps_of(x, n), factor, spread, turn);
    cr_assert_eq(ss_samples_ratio(&ratio, &a, &b, offsetof(struct ss_pass, online_ns)), SS_OK);
    cr_assert_eq(ratio.by_process, processes >= SS_STATS_MIN);
    ss_result_free(&a);
    ss_result_free(&b);
    return ratio.order;
}

static enum ss_order trial(const double *x, size_t n, size_t processes, size_t reps, double factor, double spread)
{
    return trial_of(x, n, processes, reps, factor, spread, 0);
}

Test(comparison, equal_runs_are_the_same_and_five_percent_is_found)
{
    double x[POPULATIONS][MOST];
    size_t n[POPULATIONS];
    cr_assert_eq(populations(x, n), POPULATIONS);
    random_state = 1;
    for (size_t p = 0; p < POPULATIONS; p++) {
        size_t same = 0, slower = 0, faster = 0;
        for (int t = 0; t < 100; t++) {
            same += trial(x[p], n[p], 1, 0, 1, 0) == SS_ORDER_SAME;
            slower += trial(x[p], n[p], 1, 0, 1.05, 0) == SS_ORDER_SLOWER;
            faster += t < 20 && trial(x[p], n[p], 1, 0, 1 / 1.05, 0) == SS_ORDER_FASTER;
        }
        fprintf(stderr, "population %zu: A/A is SAME in %zu of 100, 5%% slower in %zu of 100, faster in %zu of 20\n", p, same,
                slower, faster);
        cr_expect_geq(same, 95);
        cr_expect_geq(slower, 95);
        cr_expect_geq(faster, 19);
    }
}

/* Processes that differ by up to 2%: one process a side looks like a difference that is none, the medians of ten do not. */
Test(comparison, what_differs_from_process_to_process_is_not_a_finding)
{
    double x[POPULATIONS][MOST];
    size_t n[POPULATIONS], same = 0, slower = 0, fooled = 0;
    cr_assert_eq(populations(x, n), POPULATIONS);
    random_state = 2;
    for (int t = 0; t < 100; t++) {
        same += trial(x[4], n[4], 10, 10, 1, 0.02) == SS_ORDER_SAME;
        slower += trial(x[4], n[4], 10, 10, 1.05, 0.02) == SS_ORDER_SLOWER;
        fooled += trial(x[4], n[4], 1, 100, 1, 0.02) != SS_ORDER_SAME;
    }
    fprintf(stderr, "10 processes: A/A is SAME in %zu of 100, 5%% slower in %zu; one process: wrong in %zu\n", same, slower,
            fooled);
    cr_expect_geq(same, 95);
    cr_expect_geq(slower, 95);
    cr_expect_geq(fooled, 20, "the trial does not show what fresh processes are for");
}

/* A machine that is up to 40% faster or slower from turn to turn: pairs see through it, and so few processes suffice. */
Test(comparison, drift_that_both_share_hides_nothing_and_finds_nothing)
{
    double x[POPULATIONS][MOST];
    size_t n[POPULATIONS];
    cr_assert_eq(populations(x, n), POPULATIONS);
    random_state = 4;
    for (size_t processes = SS_STATS_MIN; processes <= 8; processes += 2) {
        size_t same = 0, slower = 0;
        for (int t = 0; t < 100; t++) {
            same += trial_of(x[4], n[4], processes, 10, 1, 0.01, 0.4) == SS_ORDER_SAME;
            slower += trial_of(x[4], n[4], processes, 10, 1.05, 0.01, 0.4) == SS_ORDER_SLOWER;
        }
        fprintf(stderr, "%zu processes under drift: A/A is SAME in %zu of 100, 5%% slower in %zu\n", processes, same, slower);
        cr_expect_geq(same, 95);
        cr_expect_geq(slower, 95);
    }
}

Test(comparison, too_few_samples_decide_nothing)
{
    double x[1] = {5e6};
    random_state = 3;
    cr_expect_eq(trial(x, 1, 1, 5, 2, 0), SS_ORDER_TOO_FEW);
    cr_expect_eq(trial(x, 1, 1, 6, 2, 0), SS_ORDER_SLOWER);
    cr_expect_eq(trial(x, 1, 6, 1, 2, 0), SS_ORDER_SLOWER);
    cr_expect_eq(trial(x, 1, 1, 6, 1.009, 0), SS_ORDER_SAME, "less than the sampler resolves");
    cr_expect_eq(trial(x, 1, 1, 6, 1 / 1.02, 0), SS_ORDER_FASTER);
    x[0] = 0;
    cr_expect_eq(trial(x, 1, 1, 6, 1, 0), SS_ORDER_NO_TIME);
}

Test(comparison, samples_are_repetitions_or_medians_of_processes)
{
    struct ss_result r = {.reps = 7};
    struct ss_samples s;
    static const uint64_t ms[7] = {1, 2, 9, 4, 5, 6, 7};
    r.pass = calloc(18, sizeof *r.pass);
    for (size_t i = 0; i < 7; i++)
        r.pass[i].wall_ns = ms[i] * 1000000;
    ss_samples_of(&s, &r, offsetof(struct ss_pass, wall_ns));
    cr_expect(s.n == 7 && s.processes == 1 && !s.by_process && s.x[2] == 9);
    ss_samples_free(&s);
    r.reps = 18; /* process p: p + 1, 10 (p + 1), 100 (p + 1) */
    for (size_t i = 0; i < 18; i++) {
        r.pass[i].process = (int64_t)(i / 3);
        r.pass[i].wall_ns = (i / 3 + 1) * (i % 3 == 0 ? 100 : i % 3 == 1 ? 1 : 10) * 1000000;
    }
    ss_samples_of(&s, &r, offsetof(struct ss_pass, wall_ns));
    cr_assert(s.n == 6 && s.processes == 6 && s.by_process);
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(s.x[i], 10 * (double)(i + 1));
    ss_samples_free(&s);
    r.reps = 15;
    ss_samples_of(&s, &r, offsetof(struct ss_pass, wall_ns));
    cr_expect(s.n == 15 && s.processes == 5 && !s.by_process);
    ss_samples_free(&s);
    ss_result_free(&r);
}

/* ---- ranks */

static void make_row(struct ss_result *r, const char *variant, double ms, double width, size_t reps)
{
    *r = (struct ss_result){.cell = {.model = "m", .backend = "cpu", .phase = "prefill", .tokens = 8}, .status = SS_MEASURED};
    snprintf(r->cell.variant, sizeof r->cell.variant, "%s", variant);
    r->reps = reps;
    r->pass = calloc(reps, sizeof *r->pass);
    for (size_t i = 0; i < reps; i++)
        r->pass[i].online_ns = (uint64_t)(1e6 * (ms + width * (double)i));
}

Test(comparison, a_ranking_inside_noise_is_a_tie)
{
    struct ss_result r[6];
    const struct ss_result *row[6];
    static const char *const expected[] = {"1", "2-3 (tie)", "2-3 (tie)", "4", "1", ""};
    make_row(&r[0], "plain", 10, 0.01, 10);
    make_row(&r[1], "v2", 20, 1, 10);
    make_row(&r[2], "v3", 20.3, 1, 10);
    make_row(&r[3], "v3-ot", 90, 0.1, 10);
    make_row(&r[4], "v2", 1, 0, 10); /* another question: alone in it */
    r[4].cell.tokens = 9;
    make_row(&r[5], "v3-mpc", 1, 0, 10);
    r[5].status = SS_FAILED;
    for (size_t i = 0; i < 6; i++)
        row[i] = &r[i];
    for (size_t i = 0; i < 6; i++) {
        char text[64];
        cr_assert_eq(ss_rank(text, sizeof text, row, 6, i, offsetof(struct ss_pass, online_ns)), SS_OK);
        cr_expect_str_eq(text, expected[i], "row %zu: %s", i, text);
    }
    char text[64];
    r[3].reps = 5;
    cr_assert_eq(ss_rank(text, sizeof text, row, 6, 3, offsetof(struct ss_pass, online_ns)), SS_OK);
    cr_expect_str_eq(text, "1-4 (n too small)");
    r[3].reps = 10;
    r[0].cell.split = true;
    cr_assert_eq(ss_rank(text, sizeof text, row, 6, 3, offsetof(struct ss_pass, online_ns)), SS_OK);
    cr_expect_str_eq(text, "3", "what ran on two devices is not ranked with the others");
    for (size_t i = 0; i < 6; i++)
        ss_result_free(&r[i]);
}

/* ---- the commands */

static char dir[SCRATCH_PATH], out[1 << 20];

static void make_dir(void)
{
    scratch_dir(dir);
    ss_set_error_silent(1);
}

/* A cell of tiny-lm with times around 10 ms of as many fresh processes, scaled by factor, in DIR/set. */
static void store(const char *set, const char *variant, double factor, int64_t drift, size_t processes)
{
    struct ss_result r = {.cell = {.model = "tiny-lm", .backend = "cpu", .phase = "prefill", .tokens = 8, .seed = 1},
                          .status = SS_MEASURED,
                          .reps = processes};
    struct ss_model m;
    cr_assert_eq(ss_model_find(&m, "tiny-lm"), SS_OK);
    snprintf(r.cell.variant, sizeof r.cell.variant, "%s", variant);
    ss_cell_identify(&r.cell);
    r.shape = m.shape;
    r.params = ss_shape_params(&m.shape);
    r.pass = calloc(processes, sizeof *r.pass);
    for (size_t i = 0; i < processes; i++)
        r.pass[i] =
            (struct ss_pass){.online_ns = (uint64_t)(factor * (1e7 + 2e4 * (double)(i * 7 % 20))), .process = (int64_t)i};
    r.counters.func_silu = ((int64_t)1 << 53) + 1; /* a double cannot hold it */
    r.counters.bytes_online_p0_p1 = 4096 + drift;
    r.expected = r.counters;
    r.error = (struct ss_distance){.max_abs = NAN, .rel_l2 = 0.5};
    r.has_error = true;
    cr_assert_eq(ss_pairs_add(&r.env, "git_commit", "%s", set), SS_OK);
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, set);
    cr_assert_eq(ss_store_write(path, &r), SS_OK, "%s", ss_last_error());
    ss_result_free(&r);
}

/* The command with its arguments, in which %s is dir; standard output in out. */
static enum ss_err run(enum ss_err (*command)(int, char **), const char *arguments)
{
    char line[1024] = "", path[128], *argv[24];
    int argc = 0;
    for (const char *p = arguments; *p;) { /* "@/a" is DIR/a */
        size_t n = strlen(line);
        snprintf(line + n, sizeof line - n, *p == '@' ? "%s" : "%.1s", *p == '@' ? dir : p);
        p++;
    }
    for (char *rest = line, *word; (word = strsep(&rest, " "));)
        argv[argc++] = word;
    argv[argc] = NULL;
    snprintf(path, sizeof path, "%s/stdout", dir);
    cr_assert_not_null(freopen(path, "w", stdout));
    enum ss_err err = command(argc, argv);
    fflush(stdout);
    FILE *f = fopen(path, "r");
    size_t n = fread(out, 1, sizeof out - 1, f);
    out[n] = '\0';
    fclose(f);
    return err;
}

TestSuite(comparing, .init = make_dir);

Test(comparing, a_slowed_copy_fails_only_if_asked_to)
{
    store("a", "plain", 1, 0, 20);
    store("a", "v2", 1, 0, 20);
    store("b", "plain", 1.05, 0, 20);
    store("b", "v2", 1, 0, 20);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/a --fail-on slower=1%"), SS_OK, "%s", ss_last_error());
    cr_expect(strstr(out, "SAME") && !strstr(out, "SLOWER"), "%s", out);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b"), SS_OK);
    cr_expect(strstr(out, "| plain | 8 | cpu | online\\_ms | 10.19 | 10.7 | 1.0500 |") && strstr(out, "SLOWER"), "%s", out);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/b @/a --fail-on slower=3%"), SS_OK);
    cr_expect(strstr(out, "FASTER"), "%s", out);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b --fail-on slower=3%"), SS_REGRESSION);
    cr_expect(strstr(ss_last_error(), "1 times are slower") && strstr(ss_last_error(), "5.0 %"), "%s", ss_last_error());
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b --fail-on slower=6%"), SS_OK);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b --fail-on slower=3% -E variant==v2"), SS_OK);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b --metric wall_ms -o csv"), SS_OK);
    cr_expect(strstr(out, "wall_ms,0,0,,,,no time"), "%s", out);
}

/* Twenty repetitions of one process are one sample: of the next process of the same program they know nothing. */
Test(comparing, one_process_a_side_decides_nothing)
{
    store("a", "plain", 1, 0, 20);
    store("b", "plain", 1.5, 0, 20);
    for (int set = 0; set < 2; set++) {
        struct ss_set cells = {0};
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, set ? "b" : "a");
        cr_assert_eq(ss_store_read_all(&cells.cells, &cells.n, path), SS_OK);
        for (size_t i = 0; i < 20; i++)
            cells.cells[0].pass[i].process = 0;
        cr_assert_eq(ss_store_write(path, &cells.cells[0]), SS_OK);
        ss_set_free(&cells);
    }
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b -o csv"), SS_OK);
    cr_expect(strstr(out, ",1.5,,,n too small,1,1,"), "%s", out);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b --fail-on slower=5%"), SS_USAGE);
    cr_expect(strstr(ss_last_error(), "run --beside"), "%s", ss_last_error());
}

/* ---- one process a side, judged by the others */

enum { MANY = 40 };

/* Cells of one process, 30 repetitions around 10 ms; the process of cell i is off by up to `spread`, cell `odd` slower by
 * `factor`. */
static void make_set(struct ss_set *s, double spread, size_t odd, double factor)
{
    static double x[2];
    *s = (struct ss_set){.name = "made", .cells = calloc(MANY, sizeof *s->cells), .n = MANY};
    for (size_t i = 0; i < MANY; i++) {
        struct ss_result *r = &s->cells[i];
        const double turn = 1;
        x[0] = 1e7, x[1] = 1.002e7;
        draw(r, x, 2, 1, 30, i == odd || odd == MANY ? factor : 1, spread, &turn);
        r->cell = (struct ss_cell){.model = "m", .variant = "v2", .backend = "cpu", .phase = "prefill", .tokens = i};
        snprintf(r->cell.id, sizeof r->cell.id, "%zu", i);
    }
}

/* B's cell odd (MANY: every cell) takes factor times as long. */
static struct ss_comparison compare_made(double spread, size_t odd, double factor)
{
    const struct ss_text_list metrics = {.n = 1, .v = {"online_ms"}};
    struct ss_set a, b;
    struct ss_comparison c;
    make_set(&a, spread, MANY, 1);
    make_set(&b, spread, odd, factor);
    cr_assert_eq(ss_compare_results(&c, &a, &b, &metrics, 0.05), SS_OK);
    cr_assert_eq(c.few, MANY);
    ss_set_free(&a);
    ss_set_free(&b);
    return c;
}

Test(comparison, one_process_a_side_is_judged_by_how_far_the_others_scatter)
{
    size_t wrong = 0;
    random_state = 5;
    for (int t = 0; t < 50; t++) {
        struct ss_comparison c = compare_made(0.1, MANY, 1);
        wrong += c.count[SS_ORDER_FASTER] + c.count[SS_ORDER_SLOWER];
        ss_comparison_free(&c);
    }
    cr_expect_leq(wrong, 50 * MANY / 100, "%zu of %d equal pairs differ", wrong, 50 * MANY);
    struct ss_comparison c = compare_made(0.1, 3, 2);
    cr_expect_eq(c.count[SS_ORDER_SLOWER], 1, "twice as long stands out");
    ss_comparison_free(&c);
    c = compare_made(0.1, 3, 1.05);
    cr_expect_eq(c.count[SS_ORDER_SLOWER], 0, "5 % does not where single processes differ by 10 %");
    ss_comparison_free(&c);
    c = compare_made(0.002, 3, 1.05);
    cr_expect_eq(c.count[SS_ORDER_SLOWER], 1, "it does where they are alike");
    ss_comparison_free(&c);
    c = compare_made(0, MANY, 1.05);
    cr_expect_eq(c.count[SS_ORDER_SLOWER], MANY);
    cr_expect_float_eq(exp(c.log_sum / (double)c.ratios), 1.05, 0.001);
    ss_comparison_free(&c);
}

Test(comparing, one_byte_more_exits_4_and_is_named)
{
    store("a", "v2", 1, 0, 20);
    store("b", "v2", 1.05, 1, 20);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b --fail-on slower=3%"), SS_COUNTS);
    cr_expect(strstr(ss_last_error(), "bytes_online_p0_p1 is 4096 in A and 4097 in B"), "%s", ss_last_error());
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/b @/b"), SS_OK);
}

/* What the program measured itself, in fresh processes of two folders that take turns. Times are not asserted: a test machine
   has other work. */
Test(comparing, real_runs_count_the_same_until_one_byte_drifts)
{
    const char *binary = getenv("SHARDSCALE");
    char command[512], path[PATH_MAX];
    if (!binary)
        cr_skip("SHARDSCALE is not set: make tests sets it");
    for (int k = 1; k <= 6; k++)
        for (int set = 0; set < 2; set++) {
            snprintf(command, sizeof command,
                     "'%s' run latency --profile smoke -E 'model==tiny-lm && variant==v2' -q --repeats %d --results '%s/%s' "
                     ">/dev/null",
                     binary, k, dir, set ? "b" : "a");
            cr_assert_eq(system(command), 0);
        }
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b"), SS_OK, "%s", ss_last_error());
    cr_expect(strstr(out, "| 6 | 6 |") && !strstr(out, ss_order_names[SS_ORDER_TOO_FEW]), "%s", out);
    fprintf(stderr, "%s", out);
    struct ss_set b = {0};
    snprintf(path, sizeof path, "%s/b", dir);
    cr_assert_eq(ss_store_read_all(&b.cells, &b.n, path), SS_OK);
    cr_assert_eq(b.n, 2);
    size_t at = b.cells[0].cell.reference ? 1 : 0;
    b.cells[at].counters.bytes_online_p1_p0++;
    cr_assert_eq(ss_store_write(path, &b.cells[at]), SS_OK);
    ss_set_free(&b);
    snprintf(command, sizeof command, "'%s' compare -q '%s/a' '%s/b' >/dev/null 2>&1", binary, dir, dir);
    cr_assert_eq(WEXITSTATUS(system(command)), 4);
}

Test(comparing, sets_that_do_not_overlap_are_named)
{
    char notes[128];
    store("a", "plain", 1, 0, 20);
    store("a", "v2", 1, 0, 5);
    store("b", "v2", 1, 0, 5);
    store("b", "v3", 1, 0, 20);
    snprintf(notes, sizeof notes, "%s/stderr", dir);
    cr_assert_not_null(freopen(notes, "w", stderr));
    cr_assert_eq(run(ss_cmd_compare, "compare @/a @/b -o json"), SS_OK);
    fflush(stderr);
    struct ss_text text = {0};
    cr_assert_eq(ss_text_read(&text, notes), SS_OK);
    cr_expect(strstr(text.p, "1 times are of fewer than 6 fresh processes a side"), "%s", text.p);
    cr_expect(strstr(text.p, "only in A: tiny-lm plain 8 tokens") && strstr(text.p, "only in B: tiny-lm v3 8 tokens"), "%s",
              text.p);
    ss_text_free(&text);
    json_t *rows = json_loads(out, 0, NULL);
    cr_assert_eq(json_array_size(rows), 1, "%s", out);
    json_t *row = json_array_get(rows, 0);
    cr_expect_str_eq(json_string_value(json_object_get(row, "verdict")), "n too small");
    cr_expect(json_is_null(json_object_get(row, "ratio_low")));
    cr_expect_eq(json_number_value(json_object_get(row, "ratio")), 1);
    json_decref(rows);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/b -E variant==v3"), SS_RESULTS, "A has none");
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/a @/nothing"), SS_RESULTS);
}

Test(comparing, bad_usage_is_refused)
{
    store("a", "plain", 1, 0, 20);
    static const struct {
        const char *arguments, *says;
    } cases[] = {
        {"compare @/a", "two sets"},
        {"compare @/a @/a --metric online", "'online_ms'"},
        {"compare @/a @/a --fail-on 3%", "slower=PERCENT"},
        {"compare @/a @/a --fail-on slower=3", "slower=PERCENT"},
        {"compare @/a @/a --fail-on slower=x%", "slower"},
        {"compare @/a @/a -o xml", "-o xml"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(run(ss_cmd_compare, cases[i].arguments), SS_USAGE, "%s", cases[i].arguments);
        cr_expect(strstr(ss_last_error(), cases[i].says), "%s: %s", cases[i].arguments, ss_last_error());
    }
    cr_expect_eq(run(ss_cmd_export, "export xml --results @/a"), SS_USAGE);
    cr_expect_eq(run(ss_cmd_export, "export --results @/a"), SS_USAGE);
    cr_expect_eq(run(ss_cmd_merge, "merge @/all.h5"), SS_USAGE);
}

Test(comparing, a_merged_file_is_read_like_its_folder)
{
    store("a", "plain", 1, 0, 20);
    store("a", "v2", 1, 0, 7);
    store("b", "v3", 1, 0, 6);
    cr_assert_eq(run(ss_cmd_merge, "merge -q @/all.h5 @/a @/b"), SS_OK, "%s", ss_last_error());
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/all.h5 @/a -o csv"), SS_OK, "%s", ss_last_error());
    cr_expect(strstr(out, ",SAME,20,20,") && strstr(out, ",SAME,7,7,"), "%s", out);
    cr_assert_eq(run(ss_cmd_export, "export csv --results @/a"), SS_OK);
    static char folder[sizeof out];
    memcpy(folder, out, sizeof out);
    cr_assert_eq(run(ss_cmd_merge, "merge -q @/again.h5 @/all.h5 -E variant!=v3"), SS_OK);
    cr_assert_eq(run(ss_cmd_export, "export csv --results @/again.h5"), SS_OK);
    cr_expect_str_eq(out, folder, "nothing is lost on the way through two merged files");
    cr_assert_eq(run(ss_cmd_merge, "merge -q @/twice.h5 @/all.h5 @/b"), SS_USAGE, "a cell twice");
    char path[128];
    snprintf(path, sizeof path, "%s/twice.h5", dir);
    cr_expect_neq(access(path, F_OK), 0);
    struct ss_result one;
    snprintf(path, sizeof path, "%s/all.h5", dir);
    cr_expect_eq(ss_store_read(&one, path), SS_RESULTS, "many cells where one is wanted");
    cr_assert_eq(truncate(path, 20000), 0);
    cr_assert_eq(run(ss_cmd_compare, "compare -q @/all.h5 @/a"), SS_RESULTS);
    cr_expect(strstr(ss_last_error(), "all.h5"), "%s", ss_last_error());
}

Test(comparing, export_is_exact_and_holds_no_nan)
{
    store("a", "plain", 1, 0, 20);
    cr_assert_eq(run(ss_cmd_export, "export json --results @/a"), SS_OK, "%s", ss_last_error());
    json_error_t at;
    json_t *cells = json_loads(out, 0, &at), *c = json_array_get(cells, 0);
    cr_assert(c, "%s in %s", at.text, out);
    cr_expect_eq(json_integer_value(json_object_get(c, "func_silu")), ((int64_t)1 << 53) + 1);
    cr_expect(json_is_integer(json_object_get(json_object_get(c, "expected"), "bytes_online_p0_p1")));
    cr_expect(json_is_null(json_object_get(c, "max_abs")), "not a number is null");
    cr_expect_eq(json_number_value(json_object_get(c, "rel_l2")), 0.5);
    json_t *online = json_object_get(c, "online_ms");
    cr_expect_float_eq(json_number_value(json_object_get(online, "median")), 10.19, 1e-9);
    cr_expect(json_number_value(json_object_get(online, "low")) < 10.19);
    cr_expect_eq(json_array_size(json_object_get(json_object_get(c, "samples"), "online_ns")), 20);
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(c, "env"), "git_commit")), "a");
    json_decref(cells);
    cr_assert_eq(run(ss_cmd_export, "export csv --results @/a"), SS_OK);
    cr_expect(strstr(out, "online_ms,online_ms_low,online_ms_high") && strstr(out, ",9007199254740993,") &&
                  strstr(out, "env.git_commit"),
              "%s", out);
    cr_expect_null(strstr(out, "nan"));
    cr_assert_eq(run(ss_cmd_export, "export md --results @/a"), SS_OK);
    cr_expect(strstr(out, "| tiny-lm | plain |"), "%s", out);
}
