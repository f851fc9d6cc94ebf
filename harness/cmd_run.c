/* cmd_run.c — `shardscale run`: plan, then sweep. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/sweep.h"

static const char usage[] =
    "shardscale run [EXPERIMENT ...] [flags]\n\n"
    "Measures the cells of the experiments (names from experiments/, or .ini files; none: all) that are not yet in the\n"
    "results folder. Each cell runs in a process of its own and is saved when it is finished: interrupting loses nothing,\n"
    "repeating the command resumes.";

struct run_flags {
    struct ss_cli cli;
    const char *profile, *backend, *rerun;
    struct ss_text_list set, names;
    uint64_t threads, repeats; /* repeats 0: as the experiment has it */
    struct ss_beside beside;
    bool plan_only;
};

static enum ss_err add_experiment(struct ss_plan *p, const char *name, const struct run_flags *f)
{
    struct ss_experiment *e = calloc(1, sizeof *e);
    SS_REQUIRE(e);
    enum ss_err err = ss_experiment_read(e, name, f->profile, f->backend, f->cli.seed);
    if (err == SS_OK) {
        e->effort.threads = (int)f->threads;
        if (f->repeats)
            e->effort.repeats = f->repeats;
        err = ss_plan_add(p, e);
        ss_experiment_free(e);
    }
    free(e);
    return err;
}

static enum ss_err add_experiments(struct ss_plan *p, const struct run_flags *f)
{
    for (size_t i = 0; i < f->names.n; i++)
        SS_TRY(add_experiment(p, f->names.v[i], f));
    if (f->names.n)
        return SS_OK;
    char **all = NULL;
    size_t n = 0;
    SS_TRY(ss_experiment_list(&all, &n));
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < n; i++) {
        if (err == SS_OK)
            err = add_experiment(p, all[i], f);
        free(all[i]);
    }
    free(all);
    return err;
}

static enum ss_err make_plan(struct ss_plan *p, const struct run_flags *f, const char *results)
{
    struct ss_filter *filter;
    SS_TRY(ss_filter_parse(&filter, f->cli.filter));
    enum ss_err err = add_experiments(p, f);
    if (err == SS_OK)
        err = ss_plan_set(p, &f->set);
    if (err == SS_OK)
        err = ss_plan_filter(p, filter);
    ss_filter_free(filter);
    SS_TRY(err);
    if (!p->n)
        SS_FAIL(SS_USAGE, "no cell matches -E '%s' (shardscale run -n lists them)", f->cli.filter);
    ss_plan_probe(p, results);
    return ss_plan_select(p, f->rerun);
}

/* The k-th processes of both can only be a pair if both results have as many. What is there is never overwritten unasked. */
static enum ss_err check_beside(const struct ss_plan *p, const struct ss_beside *b, const char *results)
{
    struct ss_plan there = {.n = p->n, .v = malloc(p->n * sizeof *there.v)};
    enum ss_err err = SS_OK;
    if (strcmp(b->results_dir, results) == 0)
        err = ss_fail(SS_USAGE, __FILE__, __LINE__, "--beside %s is the results folder itself; choose another", results);
    else if (b->program && access(b->program, X_OK) != 0)
        err = ss_fail(SS_USAGE, __FILE__, __LINE__, "--program %s is no program; build it there: make", b->program);
    SS_REQUIRE(there.v);
    memcpy(there.v, p->v, p->n * sizeof *there.v);
    if (err == SS_OK)
        ss_plan_probe(&there, b->results_dir);
    for (size_t i = 0; i < p->n && err == SS_OK; i++) {
        char label[160];
        if (!p->v[i].todo || there.v[i].processes == p->v[i].processes)
            continue;
        ss_cell_label(label, sizeof label, &p->v[i].cell);
        err = ss_fail(SS_USAGE, __FILE__, __LINE__,
                      "%s: %zu processes are to stay in %s, %zu are in %s, and only as many can be paired; begin with two new "
                      "folders",
                      label, p->v[i].processes, results, there.v[i].processes, b->results_dir);
    }
    free(there.v);
    return err;
}

static const char *state_text(const struct ss_planned *c)
{
    static const char *const names[SS_N_STATES] = {"missing", "measured", "failed", "skipped"};
    return c->state == SS_STATE_MEASURED && c->stale ? "stale" : names[c->state];
}

static void print_plan(const struct ss_plan *p, const char *results)
{
    struct ss_pace pace = {0};
    double total = 0;
    size_t todo = 0, least = 0;
    char memory[32], whole[32], wire[32], time[32];
    printf("%-16s  %-32s  %-8s  %-3s  %10s  %10s  %10s  %12s\n", "id", "cell", "state", "run", "memory >=", "resident",
           "bytes/pass", "time (est.)");
    for (size_t i = 0; i < p->n; i++) {
        const struct ss_planned *c = &p->v[i];
        char label[160];
        double seconds = ss_pace_seconds(&pace, c);
        ss_cell_label(label, sizeof label, &c->cell);
        ss_format_bytes(memory, sizeof memory, (double)c->memory_bytes);
        ss_format_bytes(whole, sizeof whole, (double)c->memory_bytes_whole);
        ss_format_bytes(wire, sizeof wire, (double)c->wire_bytes);
        ss_format_seconds(time, sizeof time, seconds);
        printf("%-16s  %-32s  %-8s  %-3s  %10s  %10s  %10s  %12s\n", c->cell.id, label, state_text(c), c->todo ? "yes" : "no",
               memory, whole, wire, time);
        if (!c->todo)
            continue;
        todo++;
        total += (double)ss_planned_runs(c) * seconds;
        least = c->memory_bytes > least ? c->memory_bytes : least;
    }
    ss_format_bytes(memory, sizeof memory, (double)least);
    ss_format_seconds(time, sizeof time, total);
    printf("%zu of %zu cells to measure into %s: about %s, at least %s of memory\n", todo, p->n, results, time, memory);
}

static void print_summary(const struct ss_plan *p, const char *results, size_t n_new)
{
    size_t count[SS_N_STATES] = {0}, stale = 0;
    for (size_t i = 0; i < p->n; i++) {
        count[p->v[i].state]++;
        stale += p->v[i].state == SS_STATE_MEASURED && p->v[i].stale;
    }
    printf("%s: %zu cells: %zu measured, %zu skipped, %zu failed, %zu missing; %zu new, %zu already there\n", results, p->n,
           count[SS_STATE_MEASURED], count[SS_STATE_SKIPPED], count[SS_STATE_FAILED], count[SS_STATE_MISSING], n_new,
           p->n - count[SS_STATE_MISSING] - n_new);
    for (size_t i = 0; i < p->n; i++) {
        char label[160];
        ss_cell_label(label, sizeof label, &p->v[i].cell);
        if (p->v[i].state == SS_STATE_FAILED || p->v[i].state == SS_STATE_SKIPPED)
            printf("  %s: %s: %s\n", label, state_text(&p->v[i]), p->v[i].reason);
    }
    if (stale)
        ss_warn("%zu cells were measured by another commit of this program; --rerun stale measures them again", stale);
    if (count[SS_STATE_FAILED] + count[SS_STATE_SKIPPED])
        ss_note("failed and skipped cells are tried again with --rerun failed");
}

/* The command as it was given, quoted for a shell. */
static void print_resume(int argc, char **argv)
{
    fprintf(stderr, "to resume: shardscale");
    for (int i = 0; i < argc; i++) {
        bool plain = *argv[i] != '\0';
        for (const char *s = argv[i]; *s; s++)
            plain = plain && (isalnum((unsigned char)*s) || strchr("-_./=,:+@%", *s));
        fprintf(stderr, plain ? " %s" : " '%s'", argv[i]);
    }
    fprintf(stderr, "\n");
}

static enum ss_err sweep(struct ss_plan *p, const struct run_flags *f, const char *results, int argc, char **argv)
{
    const struct ss_backend *b = ss_backend_find(f->backend);
    if (!b)
        SS_FAIL(SS_ENV, "this build has no backend '%s' (make CUDA=1 builds it)", f->backend);
    const char *why = b->unusable();
    if (why)
        SS_FAIL(SS_ENV, "backend %s cannot be used here: %s", f->backend, why);
    size_t before = 0, after = 0;
    for (size_t i = 0; i < p->n; i++)
        before += p->v[i].todo;
    enum ss_err err = ss_sweep_run(p, results, f->beside.results_dir ? &f->beside : NULL, &f->cli);
    for (size_t i = 0; i < p->n; i++)
        after += p->v[i].todo;
    if (err == SS_INTERRUPTED) {
        fprintf(stderr, "interrupted: %zu cells finished, %zu left; every process that has measured is saved\n", before - after,
                after);
        print_resume(argc, argv);
    } else if (err == SS_OK || err == SS_CELLS || err == SS_COUNTS) {
        print_summary(p, results, before - after);
    }
    return err;
}

enum ss_err ss_cmd_run(int argc, char **argv)
{
    struct run_flags f = {.profile = "cpu"};
    const char *repeats = NULL;
    const struct ss_flag flags[] = {
        {"--profile", "NAME", SS_FLAG_TEXT, &f.profile, "smoke, cpu (default) or gpu"},
        {"--backend", "NAME", SS_FLAG_TEXT, &f.backend, "cpu or cuda; default: cuda for profile gpu, else cpu"},
        {"-n", NULL, SS_FLAG_BOOL, &f.plan_only, "plan only: cells, memory, bytes by cost(), time"},
        {"--set", "KEY=VALUE", SS_FLAG_LIST, &f.set, "a variant's option (or VARIANT.KEY=VALUE); may be repeated"},
        {"--rerun", "WHICH", SS_FLAG_TEXT, &f.rerun, "also measure again: failed (and skipped), stale or all"},
        {"--repeats", "K", SS_FLAG_TEXT, &repeats,
         "measure each cell in K fresh processes, cells taking turns; adds what is missing"},
        {"--beside", "DIR", SS_FLAG_TEXT, &f.beside.results_dir,
         "measure each cell twice, the second time into DIR, repetition by repetition in turns: for compare"},
        {"--program", "FILE", SS_FLAG_TEXT, &f.beside.program, "the shardscale that measures into DIR, default this one"},
        {"--threads", "N", SS_FLAG_U64, &f.threads, "CPU threads, default 0: all"},
        {0},
    };
    bool done;
    char results[1024];
    SS_TRY(ss_flags_parse(&f.cli, usage, flags, argc, argv, &f.names, &done));
    if (done)
        return SS_OK;
    if (f.cli.format)
        SS_FAIL(SS_USAGE, "run has no -o; report writes tables (shardscale report --help)");
    if (f.threads > SS_MAX_THREADS)
        SS_FAIL(SS_USAGE, "--threads %llu: at most %d", (unsigned long long)f.threads, SS_MAX_THREADS);
    if (repeats)
        SS_TRY(ss_parse_u64(&f.repeats, repeats, 1, 1000, "--repeats"));
    if (f.beside.program && !f.beside.results_dir)
        SS_FAIL(SS_USAGE, "--program %s needs --beside DIR, where its results go", f.beside.program);
    if (!f.backend)
        f.backend = strcmp(f.profile, "gpu") == 0 ? "cuda" : "cpu";
    ss_results_dir(&f.cli, f.profile, results, sizeof results);
    struct ss_plan p = {0};
    enum ss_err err = make_plan(&p, &f, results);
    if (err == SS_OK && f.beside.results_dir)
        err = check_beside(&p, &f.beside, results);
    if (err == SS_OK && f.plan_only)
        print_plan(&p, results);
    else if (err == SS_OK)
        err = sweep(&p, &f, results, argc, argv);
    ss_plan_free(&p);
    return err;
}
