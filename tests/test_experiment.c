/* test_experiment.c — experiments as files: expansion into cells, profiles, identity, and every way to write one wrongly. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/columns.h"
#include "harness/experiment.h"
#include "harness/sweep.h"
#include "tests/scratch.h"

static const char base[] = "[experiment]\n"             /* line 1 */
                           "title = T\n"                /* 2 */
                           "section = 9.9\n"            /* 3 */
                           "question = Q?\n"            /* 4 */
                           "[axes]\n"                   /* 5 */
                           "model = doc-1.5b, doc-7b\n" /* 6 */
                           "variant = plain, v2, v3\n"  /* 7 */
                           "tokens = 8-32*2\n"          /* 8 */
                           "phase = prefill\n"          /* 9 */
                           "[options]\n"                /* 10 */
                           "plain.compute = bf16\n"     /* 11 */
                           "[effort]\n"                 /* 12 */
                           "warmup = 1\n"               /* 13 */
                           "reps_min = 6\n"             /* 14 */
                           "reps_max = 20\n"            /* 15 */
                           "target = 0.01\n"            /* 16 */
                           "max_seconds = 20\n"         /* 17 */
                           "resident_gb = 8\n"          /* 18 */
                           "[profile.smoke]\n"          /* 19 */
                           "model = tiny-lm\n"          /* 20 */
                           "tokens = 8\n"               /* 21 */
                           "reps_min = 2\n"             /* 22 */
                           "[table.T1]\n"               /* 23 */
                           "title = A table\n"          /* 24 */
                           "columns = model, variant\n" /* 25 */
                           "[figure.F1]\n"              /* 26 */
                           "title = A figure\n"         /* 27 */
                           "kind = bars\n"              /* 28 */
                           "x = model\n"                /* 29 */
                           "y = online_ms\n"            /* 30 */
                           "xlabel = model\n"           /* 31 */
                           "ylabel = ms\n";             /* 32 */

static struct ss_experiment e;

/* Reads `text` with the first `from` replaced by `to` as an experiment. */
static enum ss_err read_changed(const char *from, const char *to, const char *profile)
{
    char text[4096], path[SCRATCH_PATH];
    const char *at = strstr(base, from);
    cr_assert_not_null(at, "%s", from);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
    scratch_file(path, "experiment.ini");
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
    ss_set_error_silent(1);
    enum ss_err err = ss_experiment_read(&e, path, profile, "cpu", 1);
    ss_set_error_silent(0);
    return err;
}

Test(experiment, a_list_of_phases_gives_the_cells_of_each)
{
    cr_assert_eq(read_changed("phase = prefill", "phase = prefill, decode", "smoke"), SS_OK, "%s", ss_last_error());
    cr_assert_eq(e.n_cells, 8, "a reference and three variants, twice");
    for (size_t i = 0; i < e.n_cells; i++)
        cr_expect_str_eq(e.cells[i].phase, i == 0 || (i >= 2 && i < 5) ? "prefill" : "decode");
    struct ss_cell ref;
    cr_assert_eq(ss_reference_of(&ref, &e.cells[7]), SS_OK);
    cr_expect_str_eq(ref.id, e.cells[1].id, "decode is compared with decode");
    ss_experiment_free(&e);
}

Test(experiment, axes_multiply_and_each_model_and_length_has_one_reference)
{
    cr_assert_eq(read_changed("", "", "cpu"), SS_OK, "%s", ss_last_error());
    size_t references = 0;
    for (size_t i = 0; i < e.n_cells; i++) {
        references += e.cells[i].reference;
        if (e.cells[i].reference) {
            cr_expect_str_eq(e.cells[i].variant, "plain");
            cr_expect_not_null(strstr(e.cells[i].options, "compute=fp32"));
            cr_expect_eq(i + 1, references, "references come first");
        }
    }
    cr_assert_eq(references, 2 * 3);
    cr_assert_eq(e.n_cells, 2 * 3 + 2 * 3 * 3);
    cr_assert_eq(e.effort.warmup, 1);
    cr_assert_eq(e.effort.reps_min, 6);
    cr_assert_eq(e.n_tables, 1);
    cr_assert_str_eq(e.table[0].id, "T1");
    cr_assert_str_eq(e.table[0].columns, "model, variant");
    cr_assert_eq(e.n_figures, 1);
    cr_assert_str_eq(e.figure[0].kind, "bars");
    ss_experiment_free(&e);
}

Test(experiment, a_profile_overrides_axes_and_effort)
{
    cr_assert_eq(read_changed("", "", "smoke"), SS_OK);
    cr_assert_eq(e.n_cells, 1 + 3);
    cr_assert_str_eq(e.cells[0].model, "tiny-lm");
    cr_assert_eq(e.effort.reps_min, 2);
    cr_assert_eq(e.effort.reps_max, 20);
    cr_assert_eq(e.effort.repeats, 1, "not given");
    ss_experiment_free(&e);
    cr_assert_eq(read_changed("reps_min = 2", "repeats = 7", "smoke"), SS_OK, "%s", ss_last_error());
    cr_assert_eq(e.effort.repeats, 7);
    ss_experiment_free(&e);
}

/* The reference is kept for its logits, a plain fp32 cell is timed: two cells even where both compute the same. */
Test(experiment, a_plain_fp32_cell_is_not_the_reference)
{
    cr_assert_eq(read_changed("plain.compute = bf16", "plain.compute = fp32", "smoke"), SS_OK);
    cr_assert_str_eq(e.cells[0].options, e.cells[1].options);
    cr_assert_str_neq(e.cells[0].id, e.cells[1].id);
    ss_experiment_free(&e);
}

Test(experiment, identity_is_stable_and_knows_nothing_of_the_effort)
{
    cr_assert_eq(read_changed("", "", "smoke"), SS_OK);
    struct ss_cell first = e.cells[1];
    ss_experiment_free(&e);
    cr_assert_eq(read_changed("max_seconds = 20", "max_seconds = 5", "smoke"), SS_OK);
    cr_assert_str_eq(e.cells[1].id, first.id);
    ss_experiment_free(&e);
    cr_assert_eq(read_changed("title = T", "title = U", "smoke"), SS_OK);
    cr_assert_str_eq(e.cells[1].id, first.id);
    ss_experiment_free(&e);
    cr_assert_eq(read_changed("plain.compute = bf16", "plain.compute = fp32", "smoke"), SS_OK);
    cr_assert_str_neq(e.cells[1].id, first.id);
    ss_experiment_free(&e);
}

/* Placement one is what cells were before there was a choice: their ids stay. */
Test(experiment, placements_multiply_the_cells_of_two_parties)
{
    cr_assert_eq(read_changed("", "", "smoke"), SS_OK);
    struct ss_experiment before = e;
    cr_assert_eq(read_changed("phase = prefill", "phase = prefill\nplacement = one, split", "smoke"), SS_OK, "%s",
                 ss_last_error());
    static const bool split[] = {false, false, false, true, false, true};
    static const size_t same[] = {0, 1, 2, 2, 3, 3}; /* reference, plain, v2, v2, v3, v3 */
    cr_assert_eq(e.n_cells, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct ss_cell *c = &before.cells[same[i]];
        cr_expect_eq(e.cells[i].split, split[i], "%zu", i);
        cr_expect_str_eq(e.cells[i].variant, c->variant);
        cr_expect_eq(strcmp(e.cells[i].id, c->id) == 0, !split[i], "%zu", i);
    }
    ss_experiment_free(&e);
    cr_assert_eq(read_changed("variant = plain, v2, v3", "variant = v3\nplacement = split", "smoke"), SS_OK);
    cr_assert_eq(e.n_cells, 2);
    cr_expect(!e.cells[0].split && e.cells[1].split);
    ss_experiment_free(&e);
    ss_experiment_free(&before);
}

Test(experiment, options_are_resolved_in_full)
{
    cr_assert_eq(read_changed("plain.compute = bf16", "v2.frac = 14", "smoke"), SS_OK, "%s", ss_last_error());
    size_t seen = 0;
    for (size_t i = 0; i < e.n_cells; i++) {
        const char *variant = e.cells[i].variant, *frac = strcmp(variant, "v2") == 0 ? "frac=14" : "frac=16";
        if (strcmp(variant, "plain") == 0)
            continue;
        cr_expect_not_null(strstr(e.cells[i].options, frac), "%s %s", variant, e.cells[i].options);
        seen++;
    }
    cr_expect_eq(seen, 2);
    ss_experiment_free(&e);
}

static size_t cells_with(const char *model, const char *variant, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < e.n_cells; i++)
        n += !e.cells[i].reference && strcmp(e.cells[i].model, model) == 0 && strcmp(e.cells[i].variant, variant) == 0 &&
             strstr(e.cells[i].options, part);
    return n;
}

Test(experiment, a_variant_may_carry_options_and_a_model)
{
    cr_assert_eq(read_changed("plain, v2, v3", "plain, v2 frac=12|14|16 @doc-7b, v3-ot entries=256|4096 columns=1|2", "cpu"),
                 SS_OK, "%s", ss_last_error());
    cr_expect_eq(cells_with("doc-1.5b", "plain", ""), 3);
    cr_expect_eq(cells_with("doc-1.5b", "v2", ""), 0);
    cr_expect_eq(cells_with("doc-7b", "v2", ""), 9);
    cr_expect_eq(cells_with("doc-7b", "v2", "frac=14"), 3);
    cr_expect_eq(cells_with("doc-1.5b", "v3-ot", ""), 12);
    cr_expect_eq(cells_with("doc-1.5b", "v3-ot", "entries=256,columns=2,range=256"), 3);
    cr_expect_eq(e.n_cells, 6 + 6 + 9 + 24);
    ss_experiment_free(&e);
}

Test(experiment, mistakes_are_named)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"reps_max", "reps_mx", ":15: unknown key effort.reps_mx; did you mean effort.reps_max"},
        {"[axes]", "[axis]", ":6: unknown key axis.model; did you mean axes.model"},
        {"[profile.smoke]", "[profile.smok]", ":20: unknown key profile.smok.model"},
        {"columns = ", "colums = ", "did you mean table.T1.columns"},
        {"kind = bars\n", "", "[figure.F1] kind is missing"},
        {"y = online_ms\n", "y = online_ms\nclaims = seed_ots\n", "did you mean figure.F1.claim"},
        {"question = Q?\n", "", "[experiment] question is missing"},
        {"target = 0.01\n", "", "[effort] target is missing"},
        {"variant = plain, v2, v3\n", "", "[axes] variant is missing"},
        {"plain, v2, v3", "plane, v2", "did you mean 'plain'"},
        {"plain, v2, v3", "plain, v2, v2", "twice"},
        {"plain, v2, v3", "plain, v2 frac=14|14", "frac=14), 8 tokens twice"},
        {"plain, v2, v3", "plain, v2 frac", "'frac' is not KEY=VALUE"},
        {"plain, v2, v3", "plain, v2 frac=|14", "frac"},
        {"plain, v2, v3", "plain, v2 @doc-14b", "'doc-14b' is not among the models"},
        {"plain, v2, v3", "plain, , v2", "an entry is empty"},
        {"doc-1.5b, doc-7b", "doc-1.5b, doc-8b", "doc-8b"},
        {"phase = prefill", "phase = decoding", "'decoding'"},
        {"phase = prefill", "phase = prefill, prefill", "twice"},
        {"phase = prefill", "phase = prefill\nplacement = both", "placement 'both' is not known (one, split)"},
        {"phase = prefill", "phase = prefill\nplacement =", "placement is empty"},
        {"phase = prefill", "phase = prefill\nplacement = one, split, one", "placement 'split, one'"},
        {"phase = prefill", "phase = prefill\nplacement = one, one", "twice"},
        {"phase = prefill", "phase = prefill\nplacement = split", "variant plain has one party; add placement one"},
        {"8-32*2", "8-32", "tokens"},
        {"reps_max = 20", "reps_max = 2", "below reps_min"},
        {"target = 0.01", "target = 2", "target"},
        {"warmup = 1", "warmup = one", "warmup"},
        {"plain.compute", "plan.compute", "unknown variant 'plan'"},
        {"plain.compute", "plain.compile", "compile"},
        {"compute = bf16", "compute = bf17", "bf17"},
        {"plain.compute", "compute", "VARIANT.KEY"},
        {"ylabel = ms", "ylabel = ms\nlog = z", "log 'z'"},
        {"title = A table", "title = A table\npredict = 9", "need fit = COLUMN"},
        {"title = A table", "title = A table\nfit = d_model", "[table.T1] exponent is missing"},
        {"resident_gb = 8", "resident_gb = 8\nrepeats = 0", "repeats"},
        {"[experiment]", "[experiment]\nTitle", ":2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ss_clear_error();
        cr_expect_eq(read_changed(cases[i].from, cases[i].to, "cpu"), SS_USAGE, "%s", cases[i].to);
        cr_expect(strstr(ss_last_error(), cases[i].says) != NULL, "%s: '%s' is not in: %s", cases[i].to, cases[i].says,
                  ss_last_error());
    }
}

Test(experiment, unknown_names_are_refused)
{
    ss_set_error_silent(1);
    cr_assert_eq(ss_experiment_read(&e, "latncy", "cpu", "cpu", 1), SS_USAGE);
    cr_assert(strstr(ss_last_error(), "'latency'"), "%s", ss_last_error());
    cr_assert_eq(ss_experiment_read(&e, "latency", "huge", "cpu", 1), SS_USAGE);
    cr_assert_eq(ss_experiment_read(&e, "latency", "cpu", "tpu", 1), SS_USAGE);
}

static void each_column(const char *list, const char *where)
{
    char text[1024], *name[64];
    snprintf(text, sizeof text, "%s", list);
    size_t n = ss_split(text, ',', name, 64);
    cr_expect_gt(n, 0, "%s names no column", where);
    for (size_t i = 0; i < n; i++) {
        struct ss_column c;
        cr_expect_eq(ss_column_find(&c, name[i]), SS_OK, "%s: %s", where, name[i]);
    }
}

Test(experiment, every_committed_one_is_readable_in_every_profile)
{
    static const char *const profiles[] = {"smoke", "cpu", "gpu"};
    char **names;
    size_t n;
    cr_assert_eq(ss_experiment_list(&names, &n), SS_OK);
    cr_assert_geq(n, 6);
    for (size_t i = 0; i < n; i++) {
        for (size_t p = 0; p < 3; p++) {
            cr_assert_eq(ss_experiment_read(&e, names[i], profiles[p], p == 2 ? "cuda" : "cpu", 1), SS_OK, "%s", names[i]);
            cr_expect_gt(e.n_cells, 0);
            cr_expect_gt(e.n_tables, 0, "%s shows no table", names[i]);
            for (size_t t = 0; t < e.n_tables; t++)
                each_column(e.table[t].columns, e.table[t].id);
            for (size_t f = 0; f < e.n_figures; f++) {
                each_column(e.figure[f].x, e.figure[f].id);
                each_column(e.figure[f].y, e.figure[f].id);
                if (e.figure[f].series[0])
                    each_column(e.figure[f].series, e.figure[f].id);
            }
            ss_experiment_free(&e);
        }
        free(names[i]);
    }
    free(names);
}

/* Six experiments ask about the same cells: each is measured once. */
Test(experiment, shared_cells_are_planned_once)
{
    static const char *const names[] = {"architecture", "memory", "triples", "lookups", "network", "latency"};
    struct ss_plan plan = {0};
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(ss_experiment_read(&e, names[i], "cpu", "cpu", 1), SS_OK);
        cr_assert_eq(ss_plan_add(&plan, &e), SS_OK);
        ss_experiment_free(&e);
    }
    cr_assert_eq(plan.n, 4 + 4 * 6);
    for (size_t i = 0; i < plan.n; i++) {
        cr_expect_eq(plan.v[i].cell.reference, i < 4);
        if (plan.v[i].cell.reference)
            cr_expect_eq(plan.v[i].effort.reps_max, 1, "a reference is run once");
    }
    ss_plan_free(&plan);
}
