/* cmd_doctor.c — `shardscale doctor`: can this machine measure, and are the results whole? */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/env.h"
#include "harness/selftest.h"
#include "harness/store.h"
#include "harness/sweep.h"

static const char usage[] =
    "shardscale doctor [flags]\n\n"
    "Environment, backends, self-tests with known answers, memory against what the models need, results integrity (--results\n"
    "DIR; without it every folder in results/). Exit status 5: something needed is unusable, 6: a result is unreadable.";

enum tone { GOOD, NOTE, BAD };
struct doctor {
    struct ss_cli cli;
    const char *backend; /* must be usable; NULL: the CPU must */
    bool color;
    size_t n_bad, n_unreadable;
};

static void say(const struct doctor *d, enum tone tone, const char *what, const char *detail)
{
    static const char *const words[] = {"ok  ", "note", "FAIL"}, *const colors[] = {"\033[32m", "\033[33m", "\033[31m"};
    printf("%s%s%s  %-22s %s\n", d->color ? colors[tone] : "", words[tone], d->color ? "\033[0m" : "", what, detail);
}

/* Runs a check whose failure says itself what is wrong. */
static void judge(struct doctor *d, const char *what, enum ss_err err)
{
    if (err != SS_OK)
        d->n_bad++;
    say(d, err == SS_OK ? GOOD : BAD, what, err == SS_OK ? "" : ss_last_error());
}

static void check_environment(struct doctor *d)
{
    struct ss_pairs env = {0};
    const struct ss_backend *b = ss_backend_find(d->backend ? d->backend : "cpu");
    enum ss_err err = ss_env_collect(&env, b ? b->name : "cpu");
    judge(d, "environment", err);
    for (size_t i = 0; i < env.n; i++)
        printf(d->cli.verbosity > 0 ? "        %-20s %s\n" : "        %-20s %.90s\n", env.v[i].key, env.v[i].value);
    ss_pairs_free(&env);
}

static void check_backend(struct doctor *d, const struct ss_backend *b)
{
    char what[64];
    bool needed = strcmp(b->name, d->backend ? d->backend : "cpu") == 0;
    snprintf(what, sizeof what, "backend %s", b->name);
    const char *why = b->unusable();
    if (why) {
        d->n_bad += needed;
        say(d, needed ? BAD : NOTE, what, why);
        return;
    }
    struct ss_dev *dev = NULL;
    const struct ss_dev_options options = {.threads = 1};
    enum ss_err err = b->open(&dev, &options);
    if (err != SS_OK) {
        judge(d, what, err);
        return;
    }
    say(d, GOOD, what, b->about);
    snprintf(what, sizeof what, "  AES-128, %s", b->name);
    judge(d, what, ss_selftest_aes(b, dev));
    snprintf(what, sizeof what, "  ring product, %s", b->name);
    judge(d, what, ss_selftest_gemm_ring(b, dev));
    b->close(dev);
}

static void check_backends(struct doctor *d)
{
    for (size_t i = 0; ss_backends[i]; i++)
        check_backend(d, ss_backends[i]);
    if (!ss_backend_find("cuda")) {
        bool needed = d->backend && strcmp(d->backend, "cuda") == 0;
        d->n_bad += needed;
        say(d, needed ? BAD : NOTE, "backend cuda", "not in this build (make CUDA=1)");
    }
    judge(d, "Philox 4x32-10", ss_selftest_philox());
    judge(d, "HDF5 write and read", ss_selftest_store());
}

/* A program on PATH, as execvp would find it. */
static void check_program(struct doctor *d, const char *name, const char *use)
{
    char path[4096], detail[4200];
    const char *at = getenv("PATH");
    for (size_t n; at && *at; at += n + (at[n] == ':')) {
        n = strcspn(at, ":");
        struct stat s;
        snprintf(path, sizeof path, "%.*s/%s", (int)n, at, name);
        if (access(path, X_OK) == 0 && stat(path, &s) == 0 && S_ISREG(s.st_mode)) {
            say(d, GOOD, name, path);
            return;
        }
    }
    d->n_bad++;
    snprintf(detail, sizeof detail, "not found: report cannot make %s (make deps installs it)", use);
    say(d, BAD, name, detail);
}

static void check_memory(struct doctor *d, const struct ss_backend *b)
{
    struct ss_dev *dev = NULL;
    const struct ss_dev_options options = {.threads = 1};
    size_t free_bytes = 0, total_bytes = 0, n = 0;
    char what[64], detail[256], text[4][32], **names = NULL;
    if (b->unusable() || b->open(&dev, &options) != SS_OK)
        return;
    b->memory(dev, &free_bytes, &total_bytes);
    b->close(dev);
    ss_format_bytes(text[0], sizeof text[0], (double)free_bytes);
    ss_format_bytes(text[1], sizeof text[1], (double)total_bytes);
    snprintf(what, sizeof what, "memory, %s", b->name);
    snprintf(detail, sizeof detail, "%s free of %s", text[0], text[1]);
    say(d, GOOD, what, detail);
    enum ss_err err = ss_model_list(&names, &n);
    if (err != SS_OK) {
        judge(d, "  models", err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct ss_model m;
        size_t least[2], most[2];
        if (ss_model_find(&m, names[i]) == SS_OK) {
            ss_weights_footprint(&m.shape, SS_BF16, &least[0], &most[0]);
            ss_weights_footprint(&m.shape, b->ring_matrix, &least[1], &most[1]);
            size_t need = least[0] > least[1] ? least[0] : least[1], whole = most[0] > most[1] ? most[0] : most[1];
            ss_format_bytes(text[2], sizeof text[2], (double)need);
            ss_format_bytes(text[3], sizeof text[3], (double)whole);
            snprintf(what, sizeof what, "  %s", names[i]);
            snprintf(detail, sizeof detail, "weights at least %s, resident %s: %s", text[2], text[3],
                     whole < free_bytes  ? "fits"
                     : need < free_bytes ? "layers are made as they stream"
                                         : "does not fit, its cells will be skipped");
            say(d, need < free_bytes ? GOOD : NOTE, what, detail);
        } else {
            d->n_bad++;
            say(d, BAD, names[i], ss_last_error());
        }
        free(names[i]);
    }
    free(names);
}

static void check_results(struct doctor *d, const char *dir)
{
    struct ss_result *r = NULL;
    size_t n = 0, count[3] = {0};
    char detail[256];
    bool whole = ss_store_read_all(&r, &n, dir) == SS_OK;
    d->n_unreadable += !whole;
    if (!whole)
        say(d, BAD, dir, ss_last_error());
    for (size_t i = 0; i < n; i++) {
        count[r[i].status]++;
        ss_result_free(&r[i]);
    }
    free(r);
    snprintf(detail, sizeof detail, "%zu cells readable: %zu measured, %zu failed, %zu skipped", n, count[SS_MEASURED],
             count[SS_FAILED], count[SS_SKIPPED]);
    say(d, whole ? GOOD : NOTE, dir, detail);
}

static void check_all_results(struct doctor *d)
{
    glob_t found;
    if (d->cli.results) {
        check_results(d, d->cli.results);
        return;
    }
    if (glob("results/*/cells", 0, NULL, &found) != 0) {
        say(d, NOTE, "results", "none yet in results/");
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        *strrchr(found.gl_pathv[i], '/') = '\0';
        check_results(d, found.gl_pathv[i]);
    }
    globfree(&found);
}

enum ss_err ss_cmd_doctor(int argc, char **argv)
{
    struct doctor d = {0};
    const struct ss_flag flags[] = {
        {"--backend", "NAME", SS_FLAG_TEXT, &d.backend, "this one must be usable: cpu (default) or cuda"},
        {0},
    };
    bool done;
    SS_TRY(ss_flags_parse(&d.cli, usage, flags, argc, argv, NULL, &done));
    if (done)
        return SS_OK;
    SS_TRY(ss_flags_refuse(&d.cli, argv[0], "-E -o"));
    if (d.backend && strcmp(d.backend, "cpu") != 0 && strcmp(d.backend, "cuda") != 0)
        SS_FAIL(SS_USAGE, "unknown backend '%s' (cpu or cuda)", d.backend);
    d.color = ss_color(&d.cli, STDOUT_FILENO);
    const int silent = ss_set_error_silent(1); /* each finding is a line of the list */
    check_environment(&d);
    check_backends(&d);
    for (size_t i = 0; ss_backends[i]; i++)
        check_memory(&d, ss_backends[i]);
    check_program(&d, "gnuplot", "figures");
    check_program(&d, "cmark-gfm", "REPORT.html");
    check_all_results(&d);
    ss_set_error_silent(silent);
    if (d.n_bad)
        SS_FAIL(SS_ENV, "doctor: %zu checks failed, see the lines marked FAIL", d.n_bad);
    if (d.n_unreadable)
        SS_FAIL(SS_RESULTS, "doctor: results are unreadable, see the lines marked FAIL; delete those files and repeat run");
    return SS_OK;
}
