/* test_experiment_like.c — an experiment that takes from another what it does not set: what wins, and what is refused. */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/experiment.h"

static const char other[] = "[experiment]\n"
                            "title = Other\n"
                            "section = 9.9\n"
                            "question = Q?\n"
                            "[axes]\n"
                            "model = doc-1.5b\n"
                            "variant = v2, v3\n"
                            "tokens = 8\n"
                            "phase = prefill\n"
                            "[options]\n"
                            "v2.frac = 13\n"
                            "v3.frac = 14\n"
                            "[effort]\n"
                            "warmup = 1\n"
                            "reps_min = 6\n"
                            "reps_max = 20\n"
                            "target = 0.01\n"
                            "max_seconds = 20\n"
                            "resident_gb = 8\n"
                            "[profile.smoke]\n"
                            "model = width-512\n"
                            "tokens = 16\n"
                            "reps_min = 2\n"
                            "repeats = 3\n"
                            "[table.T1]\n"
                            "title = A table\n"
                            "columns = model\n";
static const char head[] = "[experiment]\ntitle = Own\nsection = 1.1\nquestion = Why?\nlike = other\n";

static char home[PATH_MAX];
static struct ss_experiment e;

static void write_file(const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", home, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f, "%s", path);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

/* A home of its own with the models of the real one and experiments/other.ini. */
static void make_home(void)
{
    char models[PATH_MAX], path[PATH_MAX + 64], link[PATH_MAX + 96];
    snprintf(path, sizeof path, "%s/experiments/models", ss_home());
    cr_assert_not_null(realpath(path, models));
    snprintf(home, sizeof home, "/tmp/ss_like_XXXXXX");
    cr_assert_not_null(mkdtemp(home));
    snprintf(path, sizeof path, "%s/experiments", home);
    snprintf(link, sizeof link, "%s/models", path);
    cr_assert_eq(mkdir(path, 0777), 0);
    cr_assert_eq(symlink(models, link), 0);
    write_file("experiments/other.ini", other);
    cr_assert_eq(setenv("SHARDSCALE_HOME", home, 1), 0);
}

static void remove_home(void)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf %s", home);
    cr_expect_eq(system(command), 0);
}

TestSuite(experiment_like, .init = make_home, .fini = remove_home);

/* Reads head + more, a file outside experiments/. */
static enum ss_err read_like(const char *more, const char *profile)
{
    char text[2048], path[PATH_MAX + 64];
    snprintf(text, sizeof text, "%s%s", head, more);
    write_file("own.ini", text);
    snprintf(path, sizeof path, "%s/own.ini", home);
    return ss_experiment_read(&e, path, profile, "cpu", 1);
}

Test(experiment_like, what_is_not_set_is_taken)
{
    struct ss_experiment o;
    static const char *const profiles[] = {"smoke", "cpu", "gpu"};
    for (size_t p = 0; p < 3; p++) {
        cr_assert_eq(ss_experiment_read(&o, "other", profiles[p], "cpu", 1), SS_OK);
        cr_assert_eq(read_like("", profiles[p]), SS_OK, "%s", ss_last_error());
        cr_assert_eq(e.n_cells, o.n_cells);
        for (size_t i = 0; i < e.n_cells; i++)
            cr_expect_str_eq(e.cells[i].id, o.cells[i].id);
        cr_expect_eq(memcmp(&e.effort, &o.effort, sizeof e.effort), 0);
        cr_expect_eq(e.effort.repeats, p == 0 ? 3 : 1);
        cr_expect_str_eq(e.title, "Own");
        cr_expect_eq(e.n_tables, 0, "tables are not taken");
        ss_experiment_free(&e);
        ss_experiment_free(&o);
    }
}

/* This file wins over the other; in a file, the profile wins over [axes] and [effort]. */
Test(experiment_like, what_wins)
{
    static const struct {
        const char *own, *profile;
        size_t tokens, reps_min;
    } cases[] = {
        {"", "smoke", 16, 2},
        {"", "cpu", 8, 6},
        {"[axes]\ntokens = 32\n", "smoke", 32, 2},
        {"[axes]\ntokens = 32\n", "cpu", 32, 6},
        {"[effort]\nreps_min = 4\n", "smoke", 16, 4},
        {"[profile.smoke]\ntokens = 64\n", "smoke", 64, 2},
        {"[profile.smoke]\ntokens = 64\n", "cpu", 8, 6},
        {"[axes]\ntokens = 32\n[profile.smoke]\ntokens = 64\nreps_min = 3\n", "smoke", 64, 3},
        {"[axes]\ntokens = 32\n[profile.smoke]\ntokens = 64\nreps_min = 3\n", "gpu", 32, 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(read_like(cases[i].own, cases[i].profile), SS_OK, "%s", ss_last_error());
        cr_expect_eq(e.n_cells, 3);
        cr_expect_eq(e.cells[0].tokens, cases[i].tokens, "%s in %s: %zu", cases[i].own, cases[i].profile, e.cells[0].tokens);
        cr_expect_eq(e.effort.reps_min, cases[i].reps_min, "%s in %s", cases[i].own, cases[i].profile);
        ss_experiment_free(&e);
    }
}

Test(experiment_like, options_are_taken_one_by_one)
{
    cr_assert_eq(read_like("[options]\nv2.frac = 15\n", "cpu"), SS_OK, "%s", ss_last_error());
    cr_assert_eq(e.n_cells, 3);
    cr_expect_not_null(strstr(e.cells[1].options, "frac=15"), "%s", e.cells[1].options);
    cr_expect_not_null(strstr(e.cells[2].options, "frac=14"), "%s", e.cells[2].options);
    ss_experiment_free(&e);
}

static void expect_refused(enum ss_err err, const char *says)
{
    cr_expect_eq(err, SS_USAGE, "%s", says);
    cr_expect_not_null(strstr(ss_last_error(), says), "'%s' is not in: %s", says, ss_last_error());
    cr_expect_null(strchr(ss_last_error(), '\n'));
}

Test(experiment_like, mistakes_are_named)
{
    char broken[2048];
    ss_set_error_silent(1);
    write_file("experiments/third.ini", "[experiment]\ntitle = T\nsection = 1\nquestion = Q\nlike = othr\n");
    expect_refused(ss_experiment_read(&e, "third", "cpu", "cpu", 1), "like = othr: no such experiment; did you mean 'other'?");
    write_file("experiments/third.ini", head);
    write_file("experiments/fourth.ini", "[experiment]\ntitle = T\nsection = 1\nquestion = Q\nlike = third\n");
    expect_refused(ss_experiment_read(&e, "fourth", "cpu", "cpu", 1), "like = third: that one is itself like other");
    write_file("experiments/fourth.ini", "[experiment]\ntitle = T\nsection = 1\nquestion = Q\nlike = fourth\n");
    expect_refused(ss_experiment_read(&e, "fourth", "cpu", "cpu", 1), "like = fourth: that one is itself like fourth");
    expect_refused(read_like("[options]\nplain.compute = bf16\nv2.frac = 99\n", "cpu"), "frac");
    expect_refused(read_like("[axes]\nphase =\n", "cpu"), "own.ini: [axes] phase is missing");
    snprintf(broken, sizeof broken, "%s[axis]\nmodel = tiny-lm\n", other);
    write_file("experiments/other.ini", broken);
    expect_refused(read_like("", "cpu"), "experiments/other.ini:29: unknown key axis.model");
}
