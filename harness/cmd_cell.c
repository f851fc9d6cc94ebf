/* cmd_cell.c — `shardscale cell`: the child process of run. Order on stdin, result into the results folder, one status line on
   descriptor 3. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/stats.h"
#include "harness/store.h"
#include "harness/sweep.h"

static const char usage[] = "shardscale cell --results DIR < ORDER\n\nChild process of `shardscale run`; not for use by hand.";

/* What c is compared with; false where the reference was not measured. r is the caller's to free. */
static bool read_reference(struct ss_result *r, const struct ss_cell *c, const char *results)
{
    struct ss_cell ref;
    char path[4096];
    if (c->reference || ss_reference_of(&ref, c) != SS_OK)
        return false;
    ss_store_path(path, sizeof path, results, &ref);
    return access(path, F_OK) == 0 && ss_store_read(r, path) == SS_OK && r->status == SS_MEASURED;
}

static uint64_t median_online(const struct ss_result *r)
{
    double *x = calloc(r->reps ? r->reps : 1, sizeof *x);
    SS_REQUIRE(x);
    for (size_t i = 0; i < r->reps; i++)
        x[i] = (double)r->pass[i].online_ns;
    struct ss_estimate e = {0};
    if (r->reps)
        ss_median_estimate(&e, x, r->reps);
    free(x);
    return (uint64_t)e.value;
}

/* r becomes the stored cell with r's repetitions behind its own. */
static enum ss_err add_to_stored(struct ss_result *r, const char *results)
{
    char path[4096];
    struct ss_result all = {0};
    ss_store_path(path, sizeof path, results, &r->cell);
    SS_TRY(ss_store_read(&all, path));
    enum ss_err err = ss_result_append(&all, r);
    if (err != SS_OK) {
        ss_result_free(&all);
        return err;
    }
    ss_result_free(r);
    *r = all;
    return SS_OK;
}

static enum ss_err run_cell(struct ss_child_report *report, const struct ss_cell *c, const struct ss_effort *effort,
                            const char *results)
{
    struct ss_result r = {0}, reference = {0};
    const bool compare = read_reference(&reference, c, results);
    ss_clear_error();
    report->code = ss_bench_cell(&r, c, effort, compare ? &reference : NULL);
    ss_result_free(&reference);
    report->status = r.status;
    report->online_ns = median_online(&r);
    report->rel_l2 = r.has_error ? r.error.rel_l2 : -1;
    snprintf(report->reason, sizeof report->reason, "%s", r.reason);
    enum ss_err err = SS_OK;
    if (effort->process > 0 && report->code == SS_OK)
        err = add_to_stored(&r, results);
    if (err == SS_COUNTS) { /* the stored processes are not to be trusted either */
        r.status = report->status = SS_FAILED;
        report->code = err;
        snprintf(r.reason, sizeof r.reason, "%.500s", ss_last_error());
        snprintf(report->reason, sizeof report->reason, "%s", r.reason);
        err = SS_OK;
    }
    /* What is stored stays; and what the process beside this one broke off is no result. */
    bool keep = (effort->process > 0 && report->code != SS_OK && report->code != SS_COUNTS) || report->code == SS_INTERRUPTED;
    if (err == SS_OK && !keep)
        err = ss_store_write(results, &r);
    report->saved = err == SS_OK && !keep;
    if (err != SS_OK) {
        report->code = err;
        snprintf(report->reason, sizeof report->reason, "%.500s", ss_last_error());
    }
    ss_result_free(&r);
    return report->code;
}

enum ss_err ss_cmd_cell(int argc, char **argv)
{
    struct ss_cli cli;
    const struct ss_flag flags[] = {{0}};
    bool done;
    SS_TRY(ss_flags_parse(&cli, usage, flags, argc, argv, NULL, &done));
    if (done)
        return SS_OK;
    if (!cli.results)
        SS_FAIL(SS_USAGE, "cell needs --results DIR");
    FILE *status = fcntl(3, F_GETFD) >= 0 ? fdopen(3, "w") : NULL;
    if (!status)
        SS_FAIL(SS_USAGE, "cell is the child process of run and wants descriptor 3 open; use shardscale run");
    struct ss_cell c;
    struct ss_effort effort;
    enum ss_err err = ss_child_order_read(stdin, &c, &effort);
    if (err == SS_OK) {
        /* The parent prints the reason, once. */
        struct ss_child_report report = {0};
        ss_set_error_silent(1);
        err = run_cell(&report, &c, &effort, cli.results);
        ss_child_status_write(status, &report);
    }
    fclose(status);
    return err;
}
