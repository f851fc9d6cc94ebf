/* main.c — the table of commands; the exit status is the command's enum ss_err. */
#include <cblas.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/cli.h"
#include "harness/config.h"

/* `cell`, the child process of run, has no summary: it is not for people and the help leaves it out. */
const struct ss_command ss_commands[] = {
    {"list", "models, variants, backends, experiments and the state of their cells", ss_cmd_list},
    {"run", "measure the missing cells of an experiment", ss_cmd_run},
    {"forward", "one pass of a model on given token ids", ss_cmd_forward},
    {"eval", "perplexity and top-1 of a checkpoint under a variant, beside plain", ss_cmd_eval},
    {"report", "tables, figures, REPORT.md and REPORT.html from results", ss_cmd_report},
    {"check", "every claim of claims.csv against formula and measurement", ss_cmd_check},
    {"compare", "two sets of results: ratios of times with intervals, counters exactly", ss_cmd_compare},
    {"export", "all cells with their numbers and provenance, as csv, json or md", ss_cmd_export},
    {"merge", "the cells of results in one file", ss_cmd_merge},
    {"attest", "verify attestation evidence of a GPU, offline", ss_cmd_attest},
    {"doctor", "environment, backends, self-tests, results integrity", ss_cmd_doctor},
    {"cell", NULL, ss_cmd_cell},
    {0},
};

static void print_help(void)
{
    printf("usage: shardscale COMMAND [flags]\n\n"
           "Measures how private LLM inference scales: one forward pass, several variants of it, counted and timed.\n\n");
    for (const struct ss_command *c = ss_commands; c->name; c++)
        if (c->summary)
            printf("  %-9s %s\n", c->name, c->summary);
    printf("  %-9s %s\n", "help", "the flags of a command: shardscale help run");
    printf("\nexit status: 0 ok, 1 usage, 2 some cells failed (others saved), 3 regression or claim check failed,\n"
           "4 counters differ from cost(), 5 environment unusable, 6 results unreadable, 130 interrupted (resumable)\n");
}

static const struct ss_command *find(const char *name)
{
    for (const struct ss_command *c = ss_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static enum ss_err unknown_command(const char *name)
{
    const char *names[sizeof ss_commands / sizeof ss_commands[0] + 3];
    size_t n = 0;
    for (const struct ss_command *c = ss_commands; c->name; c++)
        if (c->summary)
            names[n++] = c->name;
    names[n++] = "help";
    names[n++] = "--help";
    names[n++] = "--version";
    const char *near = ss_nearest(name, names, n);
    if (near)
        SS_FAIL(SS_USAGE, "unknown command '%s'; did you mean '%s'? (all commands: shardscale --help)", name, near);
    SS_FAIL(SS_USAGE, "unknown command '%s' (all commands: shardscale --help)", name);
}

static enum ss_err help(int argc, char **argv)
{
    if (argc < 3) {
        print_help();
        return SS_OK;
    }
    const struct ss_command *c = find(argv[2]);
    if (!c || !c->summary)
        return unknown_command(argv[2]);
    char flag[] = "--help";
    char *args[] = {argv[2], flag, NULL};
    return c->run(2, args);
}

static enum ss_err dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help();
        return SS_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("shardscale, commit %s\n%s, %s\n", ss_version_commit, ss_version_cc, ss_version_cflags);
        return SS_OK;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(argc, argv);
    const struct ss_command *c = find(argv[1]);
    return c ? c->run(argc - 1, argv + 1) : unknown_command(argv[1]);
}

/* OpenBLAS takes its SSE kernels (Prescott), a third as fast, on a CPU newer than itself: what it should take, NULL if it need
   not be told. */
static const char *blas_kernels(void)
{
    if (getenv("OPENBLAS_CORETYPE") || strcmp(openblas_get_corename(), "Prescott") != 0)
        return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "Haswell" : NULL;
}

/* Libraries read the environment before main, so the program starts itself again once, with what they should find there:
   libgomp's waiting threads spin by default, which on few cores takes them from the party that works. */
static void tell_libraries(char **argv)
{
    const char *kernels = blas_kernels();
    const bool spins = !getenv("OMP_WAIT_POLICY");
    if (spins && setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        return;
    if (kernels && setenv("OPENBLAS_CORETYPE", kernels, 1) != 0)
        return;
    if (spins || kernels)
        execv("/proc/self/exe", argv); /* returns only where /proc is missing: slower, not wrong */
}

int main(int argc, char **argv)
{
    tell_libraries(argv);
    enum ss_err err = dispatch(argc, argv);
    /* A closed or full stdout must not look like success. */
    bool lost = ferror(stdout) != 0; /* a write that failed before: what is left to flush may be nothing */
    if ((fflush(stdout) != 0 || lost) && err == SS_OK) {
        fprintf(stderr, "error: could not write to standard output\n");
        err = SS_ENV;
    }
    return err == SS_SKIP ? SS_CELLS : (int)err;
}
