/* main.c — `make trials`: what `shardscale compare` says of real runs. A trial measures one experiment twice, in two folders
   that take turns, PROCESSES fresh processes of each cell a side, and compares them: the same program, so SAME is right. Then
   every time of B is taken FACTOR times and compared again: SLOWER is right. Prints a table; asserts nothing, since a test
   machine has other work. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/config.h"
#include "harness/samples.h"
#include "harness/store.h"

enum { PROCESSES = 8, MOST_CELLS = 64 };
#define FACTOR 1.05
static const size_t online = offsetof(struct ss_pass, online_ns);

struct row { /* of one cell, over all trials */
    struct ss_cell cell;
    size_t trials, order[SS_N_ORDERS], slowed[SS_N_ORDERS];
    double half_width; /* sum over trials, of the interval of B / A */
};

static int measure(const char *experiment, const char *folder, int trial, const char *set, int processes)
{
    char command[1024];
    snprintf(command, sizeof command, "'%s' run '%s' -q --results '%s/%d/%s' --repeats %d >/dev/null", getenv("SHARDSCALE"),
             experiment, folder, trial, set, processes);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static enum ss_err compare(struct row *row, const struct ss_result *a, struct ss_result *b)
{
    struct ss_ratio r;
    SS_TRY(ss_samples_ratio(&r, a, b, online));
    row->cell = a->cell;
    row->trials++;
    row->order[r.order]++;
    row->half_width += (r.ratio.high - r.ratio.low) / 2;
    for (size_t i = 0; i < b->reps; i++)
        b->pass[i].online_ns = (uint64_t)(FACTOR * (double)b->pass[i].online_ns);
    SS_TRY(ss_samples_ratio(&r, a, b, online));
    row->slowed[r.order]++;
    return SS_OK;
}

/* Both folders list their cells in the same order, that of their ids. */
static enum ss_err compare_all(struct row *row, size_t *n, const char *folder, int trial)
{
    struct ss_result *cells[2] = {0};
    size_t count[2] = {0};
    enum ss_err err = SS_OK;
    for (int set = 0; set < 2 && err == SS_OK; set++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%d/%c", folder, trial, "ab"[set]);
        err = ss_store_read_all(&cells[set], &count[set], path);
    }
    *n = 0;
    for (size_t i = 0; i < count[0] && err == SS_OK; i++) {
        struct ss_result *a = &cells[0][i], *b = &cells[1][i];
        SS_REQUIRE(count[0] == count[1] && strcmp(a->cell.id, b->cell.id) == 0 && *n < MOST_CELLS);
        if (!a->cell.reference)
            err = compare(&row[(*n)++], a, b);
    }
    for (int set = 0; set < 2; set++) {
        for (size_t i = 0; i < count[set]; i++)
            ss_result_free(&cells[set][i]);
        free(cells[set]);
    }
    return err;
}

static void print(const struct row *row, size_t n)
{
    size_t trials = 0, same = 0, found = 0;
    printf("| model | variant | tokens | trials | SAME | FASTER | SLOWER | half-width of B/A, mean | B x %g: SLOWER |\n",
           FACTOR);
    printf("|---|---|---:|---:|---:|---:|---:|---:|---:|\n");
    for (const struct row *r = row; r < row + n; r++) {
        printf("| %s | %s | %zu | %zu | %zu | %zu | %zu | %.4f | %zu |\n", r->cell.model, r->cell.variant, r->cell.tokens,
               r->trials, r->order[SS_ORDER_SAME], r->order[SS_ORDER_FASTER], r->order[SS_ORDER_SLOWER],
               r->half_width / (double)r->trials, r->slowed[SS_ORDER_SLOWER]);
        trials += r->trials;
        same += r->order[SS_ORDER_SAME];
        found += r->slowed[SS_ORDER_SLOWER];
    }
    printf("\n%zu comparisons of %d processes a side: %zu SAME; with B x %g: %zu SLOWER\n", trials, PROCESSES, same, FACTOR,
           found);
}

int main(int argc, char **argv)
{
    static struct row row[MOST_CELLS];
    char folder[] = "/tmp/shardscale-trials-XXXXXX";
    uint64_t trials;
    size_t n = 0;
    if (argc != 3 || !getenv("SHARDSCALE") || ss_parse_u64(&trials, argv[2], 1, 1000, "trials") != SS_OK || !mkdtemp(folder)) {
        fprintf(stderr, "usage: SHARDSCALE=build/cpu/shardscale trials EXPERIMENT.ini TRIALS\n");
        return SS_USAGE;
    }
    for (int t = 1; t <= (int)trials; t++) {
        for (int k = 1; k <= PROCESSES; k++)
            for (int set = 0; set < 2; set++) {
                int status = measure(argv[1], folder, t, set ? "b" : "a", k);
                if (status != 0)
                    return status;
            }
        enum ss_err err = compare_all(row, &n, folder, t);
        if (err != SS_OK)
            return (int)err;
        fprintf(stderr, "trial %d of %" PRIu64 " done: %s/%d\n", t, trials, folder, t);
    }
    print(row, n);
    return 0;
}
