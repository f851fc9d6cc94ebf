/* test_eval.c — phase eval: windows of a text as repetitions of a cell, scored beside plain fp32. */
#include "harness/windows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/experiment.h"
#include "harness/sweep.h"
#include "tests/judged.h"

enum { TOKENS = 32, WINDOWS = 6 };
static const struct ss_effort effort = {.reps_min = WINDOWS, .reps_max = WINDOWS, .weight_budget_bytes = SIZE_MAX};

static struct ss_cell cell_of(const char *variant, const char *options, bool reference)
{
    struct ss_cell c = {
        .model = "tiny-lm", .backend = "cpu", .phase = "eval", .tokens = TOKENS, .seed = 1, .reference = reference};
    int64_t option[SS_MAX_OPTIONS];
    const struct ss_variant *v = ss_variant_find(variant);
    snprintf(c.variant, sizeof c.variant, "%s", variant);
    cr_assert(v && ss_options_parse(v, options, option) == SS_OK);
    ss_options_print(v, option, c.options, sizeof c.options);
    ss_cell_identify(&c);
    return c;
}

static void run(struct ss_result *r, const char *variant, const char *options, const struct ss_effort *e,
                const struct ss_result *reference)
{
    const struct ss_cell c = cell_of(variant, options, reference == NULL);
    cr_assert_eq(ss_bench_cell(r, &c, e, reference), SS_OK, "%s", r->reason);
}

/* A number behind "key": in the part of JSON that follows `part`. */
static double number_in(const char *json, const char *part, const char *key)
{
    const char *at = strstr(json, part);
    cr_assert_not_null(at, "%s", json);
    at = strstr(at, key);
    cr_assert_not_null(at, "%s", json);
    return strtod(strchr(at, ':') + 1, NULL);
}

Test(eval, a_cell_says_what_the_command_says_of_the_same_windows)
{
    struct ss_result reference, r;
    const char *binary = getenv("SHARDSCALE");
    char command[512], json[4096];
    if (!binary)
        cr_skip("SHARDSCALE is not set: make tests sets it");
    snprintf(command, sizeof command,
             "'%s' eval --weights tiny-lm --text tests/data/tiny-lm/heldout.txt --variant v3 --backend cpu --window %d "
             "--stride %d --max-windows %d -o json",
             binary, TOKENS, SS_EVAL_STRIDE, WINDOWS);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    json[fread(json, 1, sizeof json - 1, pipe)] = '\0';
    cr_assert_eq(pclose(pipe), 0);
    run(&reference, "plain", "compute=fp32", &effort, NULL);
    run(&r, "v3", "", &effort, &reference);
    cr_expect_eq(value(&r, "windows").count, WINDOWS);
    cr_expect_float_eq(value(&r, "xent_plain").real, number_in(json, "\"plain\": {", "nats_per_token"), 1e-7);
    cr_expect_float_eq(value(&r, "xent").real, number_in(json, "\"result\"", "nats_per_token"), 1e-3,
                       "other masks, other rounding");
    cr_expect_float_eq(value(&r, "xent").real, value(&r, "xent_plain").real, 1e-3);
    cr_expect_float_eq(value(&reference, "top1_next").real, number_in(json, "\"plain\": {", "top1"), 1e-9);
    cr_expect_float_eq(value(&reference, "perplexity").real, number_in(json, "\"plain\": {", "perplexity"), 1e-6);
    cr_expect_eq(ss_counters_differ(&r.counters, &r.expected), -1);
    ss_result_free(&reference);
    ss_result_free(&r);
}

/* ../shared/README.md: the first 64 windows of 256 bytes have 1.18368 nats in fp32. */
Test(eval, the_held_out_text_has_the_cross_entropy_that_is_published, .timeout = 300)
{
    const struct ss_effort all = {.reps_min = 64, .reps_max = 64, .weight_budget_bytes = SIZE_MAX};
    struct ss_cell c = cell_of("plain", "compute=fp32", true);
    struct ss_result r;
    c.tokens = 256;
    ss_cell_identify(&c);
    cr_assert_eq(ss_bench_cell(&r, &c, &all, NULL), SS_OK, "%s", r.reason);
    cr_expect_float_eq(value(&r, "xent").real, 1.18368, 5e-6, "%.7f", value(&r, "xent").real);
    cr_expect_eq(value(&r, "windows").count, 64);
    ss_result_free(&r);
}

Test(eval, plain_beside_itself_differs_by_nothing)
{
    struct ss_result reference, same, bf16;
    run(&reference, "plain", "compute=fp32", &effort, NULL);
    cr_expect_not(reference.has_plain || value(&reference, "xent_diff").present);
    cr_expect(reference.logits == NULL && reference.predicted && reference.arguments);
    run(&same, "plain", "compute=fp32", &effort, &reference);
    const struct ss_value diff = value(&same, "xent_diff");
    cr_expect(diff.present && diff.has_interval && diff.real == 0 && diff.lo == 0 && diff.hi == 0);
    cr_expect_eq(value(&same, "top1_plain").real, 1);
    cr_expect_eq(value(&same, "top1_next").real, value(&reference, "top1_next").real);
    cr_expect_null(same.predicted);
    cr_expect_not(same.has_error, "the last position of one window says little of the text");
    run(&bf16, "plain", "compute=bf16", &effort, &reference);
    const struct ss_value other = value(&bf16, "xent_diff");
    cr_expect(other.real != 0 && fabs(other.real) < 0.05 && other.lo < other.real && other.real < other.hi, "%g", other.real);
    cr_expect_float_eq(value(&bf16, "xent").real - value(&bf16, "xent_plain").real, other.real, 1e-12);
    cr_expect_float_eq(value(&bf16, "perplexity").real, exp(value(&bf16, "xent").real), 1e-12);
    for (size_t i = 0; i < WINDOWS; i++)
        for (size_t k = 0; k < i; k++)
            cr_expect_neq(reference.window[i].nats, reference.window[k].nats, "windows %zu and %zu are one", i, k);
    ss_result_free(&reference);
    ss_result_free(&same);
    ss_result_free(&bf16);
}

/* Of all windows together: as many as all repetitions of a variant evaluate. */
Test(eval, arguments_are_those_of_all_windows)
{
    struct ss_result reference, r;
    run(&reference, "plain", "compute=fp32", &effort, NULL);
    run(&r, "v3-ot", "", &effort, &reference);
    cr_expect(r.has_outside);
    cr_expect_eq(r.arguments_seen[SS_FN_silu], WINDOWS * r.counters.func_silu);
    cr_expect_eq(r.arguments_seen[SS_FN_rsqrt], WINDOWS * r.counters.func_rsqrt);
    cr_expect_eq(value(&r, "func_per_layer").real, (double)(r.counters.func_silu + r.counters.func_exp + r.counters.func_recip +
                                                            r.counters.func_relu + r.counters.func_rsqrt - TOKENS) /
                                                       6);
    ss_result_free(&reference);
    ss_result_free(&r);
}

/* reps_min whatever the time, and never a window that the reference has not. */
Test(eval, how_many_windows)
{
    struct ss_effort e = {.warmup = 1, .reps_min = 3, .reps_max = 9, .max_seconds = 0, .weight_budget_bytes = SIZE_MAX};
    struct ss_result reference, few, more;
    run(&reference, "plain", "compute=fp32", &effort, NULL);
    run(&few, "plain", "compute=bf16", &e, &reference);
    cr_expect_eq(few.reps, 3);
    e.max_seconds = 60;
    run(&more, "plain", "compute=bf16", &e, &reference);
    cr_expect_eq(more.reps, WINDOWS);
    cr_expect_not(value(&few, "xent_diff").has_interval);
    cr_expect_str_eq(value(&few, "xent_diff_ci").text, "n too small");
    cr_expect_eq(few.window[2].nats, more.window[2].nats, "a warm-up takes no window away");
    cr_assert_eq(ss_result_append(&more, &few), SS_OK);
    cr_expect_eq(more.reps, WINDOWS + 3);
    cr_expect_eq(more.window[WINDOWS].nats, more.window[0].nats, "a fresh process begins again");
    cr_expect_eq(value(&more, "windows").count, WINDOWS);
    struct ss_result *all[] = {&reference, &few, &more};
    for (size_t i = 0; i < 3; i++)
        ss_result_free(all[i]);
}

static void expect_refused(struct ss_cell c, const char *why)
{
    struct ss_result r;
    ss_set_error_silent(1);
    ss_cell_identify(&c);
    cr_expect_eq(ss_bench_cell(&r, &c, &effort, NULL), SS_USAGE);
    cr_expect_eq(r.status, SS_FAILED);
    cr_expect_not_null(strstr(r.reason, why), "%s", r.reason);
    cr_expect_eq(r.reps, 0);
    ss_result_free(&r);
}

Test(eval, a_model_without_text_is_refused)
{
    struct ss_cell c = cell_of("plain", "", false);
    snprintf(c.model, sizeof c.model, "qwen2-tiny-a");
    expect_refused(c,
                   "phase eval: model qwen2-tiny-a has no text; name one in experiments/models/qwen2-tiny-a.ini (text = FILE)");
    struct ss_experiment e = {.n_cells = 1, .cells = &c};
    struct ss_plan p = {0};
    cr_expect_eq(ss_plan_add(&p, &e), SS_USAGE, "before anything runs");
    cr_expect_not_null(strstr(ss_last_error(), "has no text"));
    ss_plan_free(&p);
}

Test(eval, windows_longer_than_the_model_are_refused)
{
    struct ss_cell c = cell_of("plain", "", false);
    c.tokens = 513;
    expect_refused(c, "windows of 513 tokens; tiny-lm takes 1 to 512");
}

/* A home with one model, whose text is `bytes` long. */
static void make_home(char *dir, size_t bytes)
{
    char path[1200], here[1024];
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_not_null(realpath("tests/data/tiny-lm", here));
    snprintf(path, sizeof path, "%s/experiments", dir);
    cr_assert_eq(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s/experiments/models", dir);
    cr_assert_eq(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s/experiments/models/tiny-lm.ini", dir);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fprintf(f, "[model]\ntitle = short\ncheckpoint = %s\ntext = text\n", here);
    cr_assert_eq(fclose(f), 0);
    snprintf(path, sizeof path, "%s/text", dir);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    for (size_t i = 0; i < bytes; i++)
        fputc('a' + (int)(i % 26), f);
    cr_assert_eq(fclose(f), 0);
    setenv("SHARDSCALE_HOME", dir, 1);
}

static void remove_home(const char *dir)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    cr_assert_eq(system(command), 0);
}

Test(eval, a_short_text_is_refused)
{
    char dir[] = "/tmp/ss-eval-XXXXXX";
    make_home(dir, SS_EVAL_STRIDE + TOKENS);
    expect_refused(cell_of("plain", "", false), "has 1 windows of 32 tokens, 6 are wanted");
    remove_home(dir);
}

Test(eval, a_text_of_one_byte_more_has_one_window_more)
{
    char dir[] = "/tmp/ss-eval-XXXXXX";
    const struct ss_effort two = {.reps_min = 2, .reps_max = 2, .weight_budget_bytes = SIZE_MAX};
    struct ss_result r;
    make_home(dir, SS_EVAL_STRIDE + TOKENS + 1);
    run(&r, "plain", "", &two, NULL);
    cr_expect_eq(r.reps, 2);
    ss_result_free(&r);
    remove_home(dir);
}

Test(eval, a_text_shorter_than_a_window_is_refused)
{
    char dir[] = "/tmp/ss-eval-XXXXXX";
    make_home(dir, TOKENS);
    expect_refused(cell_of("plain", "", false), "holds 32 tokens; a window of 32 needs 33");
    remove_home(dir);
}

/* Three tokens, two rows, by hand: the first row foretells its next token with probability 1/2, the second with 1/4. */
Test(eval, the_score_of_two_rows)
{
    const float h = logf(2), logits[] = {h, 0, 0, 0, h, 0};
    const int32_t next[] = {0, 2};
    int32_t top[2];
    double nats;
    int64_t right;
    ss_windows_score(&nats, &right, top, logits, next, 2, 3);
    cr_expect_float_eq(nats, (log(2) + log(4)) / 2, 1e-7);
    cr_expect_eq(right, 1);
    cr_expect(top[0] == 0 && top[1] == 1);
}

/* References of phase eval measure every window that a variant may ask for. */
Test(eval, a_plan_gives_the_reference_all_windows)
{
    static struct ss_experiment e;
    struct ss_plan p = {0};
    cr_assert_eq(ss_experiment_read(&e, "perplexity", "smoke", "cpu", 1), SS_OK, "%s", ss_last_error());
    cr_assert_eq(ss_plan_add(&p, &e), SS_OK);
    cr_expect(p.v[0].cell.reference && ss_cell_evaluates(&p.v[0].cell));
    cr_expect_eq(p.v[0].effort.reps_min, e.effort.reps_max);
    cr_expect_eq(p.v[0].effort.reps_max, e.effort.reps_max);
    ss_plan_free(&p);
    ss_experiment_free(&e);
}
