/* cmd_report.c — `shardscale report`: writes what follows from the stored cells, or checks that it is still there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/cli.h"
#include "harness/config.h"
#include "harness/disk.h"
#include "harness/report.h"
#include "harness/sweep.h"

struct flags {
    struct ss_cli cli;
    const char *only;
    bool plots, check;
};

const char *ss_report_dir(const struct ss_cli *cli)
{
    static const char *const dirs[] = {"results/gpu", "results/cpu", "results/smoke"};
    if (cli->results)
        return cli->results;
    for (size_t i = 0; i < 3; i++) {
        char cells[64];
        snprintf(cells, sizeof cells, "%s/cells", dirs[i]);
        if (access(cells, F_OK) == 0)
            return dirs[i];
    }
    return dirs[1];
}

static enum ss_err check_only(const struct ss_report *r, const char *only)
{
    const char *names[256];
    size_t n = 0;
    for (size_t i = 0; i < r->n_views; i++) {
        const struct ss_experiment *e = &r->view[i].e;
        bool found = strcmp(only, e->name) == 0;
        names[n++] = e->name;
        for (size_t k = 0; k < e->n_tables + e->n_figures && n < 255; k++) {
            names[n] = k < e->n_tables ? e->table[k].id : e->figure[k - e->n_tables].id;
            found = found || strcmp(only, names[n++]) == 0;
        }
        if (found && r->view[i].n == 0)
            SS_FAIL(SS_RESULTS, "%s: no cells of experiment %s here; measure it: shardscale run %s --results %s",
                    r->results_dir, e->name, e->name, r->results_dir);
        if (found)
            return SS_OK;
    }
    if (strchr(only, '/') || strstr(only, ".ini"))
        SS_FAIL(SS_USAGE, "--only %s: the report shows the experiments of %s/experiments; put the file there and give its name",
                only, ss_home());
    const char *near = ss_nearest(only, names, n);
    SS_FAIL(SS_USAGE, "--only: no experiment, table or figure '%s'%s%s%s", only, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
}

static enum ss_err write_all(const struct ss_outputs *o, const char *dir)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/tables", dir);
    SS_TRY(ss_disk_make_dirs(path));
    snprintf(path, sizeof path, "%s/plots", dir);
    SS_TRY(ss_disk_make_dirs(path));
    for (size_t i = 0; i < o->n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, o->v[i].path);
        SS_TRY(ss_text_write(&o->v[i].text, path));
    }
    return SS_OK;
}

/* What follows from the data must be there byte by byte; of pictures, which depend on gnuplot's version, that they are there.
 */
static enum ss_err compare_all(const struct ss_outputs *o, const char *dir)
{
    static const char *const pictures[] = {"svg", "pdf", "png"};
    size_t differ = 0;
    char path[2048], first[200] = "";
    for (size_t i = 0; i < o->n; i++) {
        struct ss_text there = {0};
        snprintf(path, sizeof path, "%s/%s", dir, o->v[i].path);
        bool same = access(path, R_OK) == 0 && ss_text_read(&there, path) == SS_OK && there.n == o->v[i].text.n &&
                    memcmp(ss_text_str(&there), ss_text_str(&o->v[i].text), there.n) == 0;
        ss_text_free(&there);
        size_t len = strlen(path);
        bool figure = len > 4 && strcmp(path + len - 4, ".dat") == 0;
        for (int k = 0; k < 3 && same && figure; k++) {
            memcpy(path + len - 3, pictures[k], 3);
            struct stat s;
            same = stat(path, &s) == 0 && s.st_size > 0;
        }
        if (!same && differ++ == 0)
            snprintf(first, sizeof first, "%s", o->v[i].path);
    }
    if (differ)
        SS_FAIL(SS_REGRESSION,
                "%s: %zu of %zu files are not what the cells give, the first is %s; write them: shardscale report "
                "--results %s",
                dir, differ, o->n, first, dir);
    ss_note("%s: %zu files are what the cells give", dir, o->n);
    return SS_OK;
}

static enum ss_err write_html(const struct ss_outputs *o, const char *dir)
{
    struct ss_text html = {0};
    char path[2048];
    snprintf(path, sizeof path, "%s/REPORT.html", dir);
    enum ss_err err = ss_report_html(&html, ss_text_str(&o->v[o->n - 1].text), dir);
    if (err == SS_OK)
        err = ss_text_write(&html, path);
    ss_text_free(&html);
    return err;
}

/* Cells that experiments which were run ask for, and references without which errors could not have been measured. Cells, not
   rows: experiments share cells. */
struct missing {
    size_t n;
    char (*id)[sizeof((struct ss_cell *)0)->id];
    char first[200];
};

static void add_missing(struct missing *m, const struct ss_cell *c)
{
    char label[160];
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->id[i], c->id) == 0)
            return;
    if (m->n == 0) {
        ss_cell_label(label, sizeof label, c);
        snprintf(m->first, sizeof m->first, "%s (%s)", label, c->id);
    }
    memcpy(m->id[m->n++], c->id, sizeof c->id);
}

static bool is_there(const struct ss_report *r, const char *id)
{
    for (size_t i = 0; i < r->n_cells; i++)
        if (strcmp(r->cells[i].cell.id, id) == 0)
            return true;
    return false;
}

static enum ss_err find_missing(struct missing *m, const struct ss_report *r)
{
    size_t most = r->n_cells;
    for (size_t i = 0; i < r->n_views; i++)
        most += r->view[i].n_missing;
    *m = (struct missing){.id = calloc(most + 1, sizeof *m->id)};
    SS_REQUIRE(m->id);
    for (size_t i = 0; i < r->n_views; i++)
        for (size_t k = 0; k < r->view[i].n_missing; k++)
            add_missing(m, &r->view[i].missing[k].cell);
    for (size_t i = 0; i < r->n_cells; i++) {
        const struct ss_result *c = &r->cells[i];
        struct ss_cell reference;
        if (c->status != SS_MEASURED || c->cell.reference || !c->has_error)
            continue;
        SS_TRY(ss_reference_of(&reference, &c->cell));
        if (!is_there(r, reference.id))
            add_missing(m, &reference);
    }
    return SS_OK;
}

/* REPORT.html is what its text and the pictures beside it give. */
static enum ss_err check_html(const struct ss_text *md, const char *dir)
{
    struct ss_text html = {0}, there = {0};
    char path[2048];
    snprintf(path, sizeof path, "%s/REPORT.html", dir);
    enum ss_err err = ss_report_html(&html, ss_text_str(md), dir);
    if (err == SS_OK) {
        const bool same = access(path, R_OK) == 0 && ss_text_read(&there, path) == SS_OK && there.n == html.n &&
                          memcmp(ss_text_str(&there), ss_text_str(&html), html.n) == 0;
        if (!same)
            err =
                ss_fail(SS_REGRESSION, __FILE__, __LINE__,
                        "%s is not what REPORT.md and the pictures give; write it: shardscale report --results %s", path, dir);
    }
    ss_text_free(&html);
    ss_text_free(&there);
    return err;
}

static enum ss_err make(struct ss_outputs *o, const struct ss_report *r, const struct flags *f)
{
    bool whole = !f->only && !f->plots;
    if (f->only)
        SS_TRY(check_only(r, f->only));
    if (!f->plots)
        SS_TRY(ss_report_tables(o, r, f->only));
    SS_TRY(ss_report_figures(o, r, f->only));
    if (whole)
        SS_TRY(ss_report_md(ss_outputs_add(o, "REPORT.md"), r));
    if (f->check) {
        SS_TRY(compare_all(o, r->results_dir));
        return whole ? check_html(&o->v[o->n - 1].text, r->results_dir) : SS_OK;
    }
    SS_TRY(write_all(o, r->results_dir));
    SS_TRY(ss_report_plot(r, f->only));
    if (whole)
        SS_TRY(write_html(o, r->results_dir));
    ss_note("%s: %zu files and their pictures%s", r->results_dir, o->n, whole ? "; read REPORT.html" : "");
    return SS_OK;
}

enum ss_err ss_cmd_report(int argc, char **argv)
{
    struct flags f = {0};
    const struct ss_flag flags[] = {
        {"--only", "NAME", SS_FLAG_TEXT, &f.only, "tables and figures of one experiment, or one table or figure by its id"},
        {"--plots", NULL, SS_FLAG_BOOL, &f.plots, "figures only"},
        {"--check", NULL, SS_FLAG_BOOL, &f.check, "write nothing; exit 3 if a file is not what the cells give"},
        {0},
    };
    bool done;
    SS_TRY(ss_flags_parse(&f.cli, "shardscale report [flags]", flags, argc, argv, NULL, &done));
    if (done)
        return SS_OK;
    if (f.cli.filter || f.cli.format)
        SS_FAIL(SS_USAGE, "report takes neither -E nor -o; --only NAME chooses an experiment, table or figure");
    struct ss_report r;
    struct ss_outputs o = {0};
    SS_TRY(ss_report_open(&r, ss_report_dir(&f.cli)));
    enum ss_err err = make(&o, &r, &f);
    struct missing missing = {0};
    if (err == SS_OK)
        err = find_missing(&missing, &r);
    if (err == SS_OK && missing.n) /* all is written; a gap must still not pass for a whole campaign */
        err = ss_fail(SS_CELLS, __FILE__, __LINE__,
                      "%s: %zu cells of experiments that were run are missing, the first is %s; measure them: "
                      "shardscale run --results %s",
                      r.results_dir, missing.n, missing.first, r.results_dir);
    free(missing.id);
    ss_outputs_free(&o);
    ss_report_close(&r);
    return err;
}
