/* main.c — `make trials`: what `shardscale compare` says of real runs. A trial measures every cell of an experiment twice, in
   two folders, PROCESSES fresh processes a side, repetition by repetition in turns (run --beside), and compares them: the same
   program, so SAME is right. Then every time of B is taken FACTOR times and compared again: SLOWER is right. The same again
   with the first process of each cell only. FLAG: a flag of `shardscale run`, such as --backend=cuda. Prints a table; asserts
   nothing, since a test machine has other work. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/compare.h"
#include "harness/config.h"

enum { ROWS = 4 };
#define FACTOR 1.05

struct row { /* verdicts of one kind over all trials */
    bool one_process;
    double factor;
    size_t cells, order[SS_N_ORDERS];
};

struct runs { /* how the cells are measured */
    const char *experiment, *flag;
    int processes;
    char folder[64];
};

static int call(const char *format, ...) SS_PRINTF(1, 2);
static int call(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : SS_CELLS;
}

/* Every cell in folder/a and folder/b, two processes at a time, repetition by repetition in turns. */
static int measure(const struct runs *r)
{
    return call("'%s' run '%s' -q %s --results '%s/a' --beside '%s/b' --repeats %d >/dev/null", getenv("SHARDSCALE"),
                r->experiment, r->flag, r->folder, r->folder, r->processes);
}

static void keep_first_process(struct ss_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct ss_result *r = &s->cells[i];
        size_t kept = 0;
        while (kept < r->reps && r->pass[kept].process == 0)
            kept++;
        r->reps = kept;
    }
}

static void slow_down(struct ss_set *s, double factor)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->cells[i].reps; k++) {
            uint64_t *ns = &s->cells[i].pass[k].online_ns;
            *ns = (uint64_t)(factor * (double)*ns);
        }
}

static enum ss_err compare(struct row *row, const struct ss_set *a, const struct ss_set *b)
{
    const struct ss_text_list metrics = {.n = 1, .v = {"online_ms"}};
    struct ss_comparison c;
    enum ss_err err = ss_compare_results(&c, a, b, &metrics, FACTOR - 1);
    row->cells += c.table.rows;
    for (int k = 0; k < SS_N_ORDERS; k++)
        row->order[k] += c.count[k];
    ss_comparison_free(&c);
    return err;
}

static enum ss_err compare_each_way(struct row row[ROWS], const char *folder, const struct ss_filter *all)
{
    enum ss_err err = SS_OK;
    for (int k = 0; k < ROWS && err == SS_OK; k++) {
        struct ss_set set[2] = {0};
        char name[2][256];
        for (int i = 0; i < 2 && err == SS_OK; i++) {
            snprintf(name[i], sizeof name[i], "%s/%c", folder, "ab"[i]);
            err = ss_set_open(&set[i], name[i], all);
            if (row[k].one_process)
                keep_first_process(&set[i]);
        }
        slow_down(&set[1], row[k].factor);
        if (err == SS_OK)
            err = compare(&row[k], &set[0], &set[1]);
        ss_set_free(&set[0]);
        ss_set_free(&set[1]);
    }
    return err;
}

static void print(const struct row row[ROWS], int trials, int processes)
{
    printf("%d trials: every cell measured twice, repetition by repetition in turns.\n\n", trials);
    printf("| fresh processes a side | time of B | comparisons | SAME | FASTER | SLOWER | n too small |\n");
    printf("|---:|---:|---:|---:|---:|---:|---:|\n");
    for (int k = 0; k < ROWS; k++)
        printf("| %d | x %g | %zu | %zu | %zu | %zu | %zu |\n", row[k].one_process ? 1 : processes, row[k].factor, row[k].cells,
               row[k].order[SS_ORDER_SAME], row[k].order[SS_ORDER_FASTER], row[k].order[SS_ORDER_SLOWER],
               row[k].order[SS_ORDER_TOO_FEW]);
}

int main(int argc, char **argv)
{
    struct row row[ROWS] = {{.factor = 1}, {.factor = FACTOR}, {true, .factor = 1}, {true, .factor = FACTOR}};
    struct runs runs = {.folder = "/tmp/shardscale-trials-XXXXXX"};
    uint64_t trials, processes;
    struct ss_filter *all;
    if (argc < 4 || argc > 5 || !getenv("SHARDSCALE") || ss_filter_parse(&all, NULL) != SS_OK ||
        ss_parse_u64(&trials, argv[2], 1, 1000, "trials") != SS_OK ||
        ss_parse_u64(&processes, argv[3], 2, 1000, "processes") != SS_OK || !mkdtemp(runs.folder)) {
        fprintf(stderr, "usage: SHARDSCALE=build/cpu/shardscale trials EXPERIMENT.ini TRIALS PROCESSES [FLAG]\n");
        return SS_USAGE;
    }
    runs.experiment = argv[1];
    runs.processes = (int)processes;
    runs.flag = argc > 4 ? argv[4] : "";
    int status = 0;
    for (int t = 1; t <= (int)trials && status == 0; t++) {
        status = measure(&runs);
        if (status == 0)
            status = (int)compare_each_way(row, runs.folder, all);
        fprintf(stderr, "trial %d of %" PRIu64 ": SAME is right in %zu of %zu, SLOWER in %zu of %zu\n", t, trials,
                row[0].order[SS_ORDER_SAME], row[0].cells, row[1].order[SS_ORDER_SLOWER], row[1].cells);
        status = status ? status : call("rm -rf '%s'/?", runs.folder);
    }
    const int removed = call("rm -rf '%s'", runs.folder);
    status = status ? status : removed;
    ss_filter_free(all);
    if (status == 0)
        print(row, (int)trials, (int)processes);
    return status;
}
