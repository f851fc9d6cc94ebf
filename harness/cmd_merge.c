/* cmd_merge.c — `shardscale merge`: the cells of one or more results in one file, which is easier to hand on than a folder. */
#include <stdlib.h>
#include <string.h>

#include "harness/compare.h"
#include "harness/store.h"

static const char usage[] =
    "shardscale merge OUT.h5 SOURCE... [flags]\n\n"
    "Copies the cells of results folders, merged files and cells' .h5 into one file. compare, export, check and report\n"
    "(--results OUT.h5) read it like a folder. The sources stay as they are.";

/* Moves the cells of s behind those of all. */
static enum ss_err add(struct ss_set *all, struct ss_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < all->n; k++)
            if (strcmp(all->cells[k].cell.id, s->cells[i].cell.id) == 0)
                SS_FAIL(SS_USAGE, "%s: cell %s is in an earlier source, too; merge each cell once (-E chooses)", s->name,
                        s->cells[i].cell.id);
    SS_REQUIRE(s->n > 0); /* ss_set_open refuses an empty set */
    struct ss_result *grown = realloc(all->cells, (all->n + s->n) * sizeof *grown);
    SS_REQUIRE(grown);
    memcpy(grown + all->n, s->cells, s->n * sizeof *grown);
    all->cells = grown;
    all->n += s->n;
    s->n = 0;
    return SS_OK;
}

static enum ss_err merge(const struct ss_text_list *names, const struct ss_filter *filter)
{
    struct ss_set all = {0};
    enum ss_err err = ss_store_check(names->v[0]);
    for (size_t i = 1; i < names->n && err == SS_OK; i++) {
        struct ss_set s;
        err = ss_set_open(&s, names->v[i], filter);
        if (err == SS_OK)
            err = add(&all, &s);
        ss_set_free(&s);
    }
    if (err == SS_OK)
        err = ss_store_write_many(names->v[0], all.cells, all.n);
    if (err == SS_OK)
        ss_note("%s: %zu cells", names->v[0], all.n);
    ss_set_free(&all);
    return err;
}

enum ss_err ss_cmd_merge(int argc, char **argv)
{
    struct ss_cli cli;
    struct ss_text_list names = {0};
    const struct ss_flag flags[] = {{0}};
    bool done;
    SS_TRY(ss_flags_parse(&cli, usage, flags, argc, argv, &names, &done));
    if (done)
        return SS_OK;
    if (names.n < 2)
        SS_FAIL(SS_USAGE, "merge wants the file to write and what to read: shardscale merge all.h5 results/cpu");
    SS_TRY(ss_flags_refuse(&cli, argv[0], "--results -o"));
    struct ss_filter *filter;
    SS_TRY(ss_filter_parse(&filter, cli.filter));
    enum ss_err err = merge(&names, filter);
    ss_filter_free(filter);
    return err;
}
