/* report_md.c — REPORT.md: a front page, then the seed document's sections with their claims, tables and figures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report.h"

/* The seed document's headings; `claims` is the section as claims.csv spells it. */
static const struct {
    const char *number, *title, *claims;
} sections[] = {
    {"0", "Executive summary", "Exec"},
    {"1.1", "Qwen model configurations", "1.1"},
    {"1.2", "Scaling ratios (1.5B to 7B)", "1.2"},
    {"2.1", "V2 (baseline)", "2.1"},
    {"2.2", "V3 (GPU-optimised)", "2.2"},
    {"2.3", "V3-CC (an enclave behind a sealed border)", "2.3"},
    {"2.4", "V3-MPC (multi-party computation)", "2.4"},
    {"2.5", "V3-OT (oblivious transfer)", "2.5"},
    {"3.1", "Security overhead memory at scale", "3.1"},
    {"3.2", "Overhead scaling factors (1.5B to 7B)", "3.2"},
    {"3.3", "Visual comparison", "3.3"},
    {"3.4", "Network transfer scaling", "3.4"},
    {"4.1", "Per-token operations", "4.1"},
    {"4.2", "Latency impact at scale", "4.2"},
    {"5.1", "Error characteristics", "5.1"},
    {"5.2", "Impact on model quality", "5.2"},
    {"6.1", "GPU memory requirements", "6.1"},
    {"6.2", "GPU compatibility", "6.2"},
    {"7.1", "Best variant by model size", "7.1"},
    {"7.2", "Decision matrix", "7.2"},
    {"7.3", "Scaling to 7B: concrete recommendations", "7.3"},
    {"8.1", "For 7B deployment", "8.1"},
    {"8.2", "For 14B+ deployment", "8.2"},
    {"9.1", "Summary of scaling properties", "9.1"},
    {"9.2", "Final recommendation", "9.2"},
    {"A", "Scaling formulas", "A"},
    {"B", "Benchmark data reference", "B"},
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

/* ---- front page */

/* A row per kind of claim (claims.csv), in the order of their first appearance. */
static void verdicts_by_kind(struct ss_text *out, const struct ss_report *r)
{
    const struct ss_csv *c = &r->claims.claims;
    ss_text_add(out, "By what the document bases a claim on:\n\n| basis |");
    for (int v = 0; v < SS_N_VERDICTS; v++)
        ss_text_add(out, " %s |", ss_verdict_names[v]);
    ss_text_add(out, "\n|---|");
    for (int v = 0; v < SS_N_VERDICTS; v++)
        ss_text_add(out, "---:|");
    ss_text_add(out, "\n");
    for (size_t i = 0; i < c->rows; i++) {
        const char *kind = ss_csv_get(c, i, SS_CF_KIND);
        size_t n[SS_N_VERDICTS] = {0};
        bool first = true;
        for (size_t k = 0; k < c->rows; k++) {
            const bool same = strcmp(ss_csv_get(c, k, SS_CF_KIND), kind) == 0;
            first = first && !(same && k < i);
            n[r->judged[k].verdict] += same;
        }
        if (!first)
            continue;
        ss_text_add(out, "| %s |", kind);
        for (int v = 0; v < SS_N_VERDICTS; v++)
            ss_text_add(out, " %zu |", n[v]);
        ss_text_add(out, "\n");
    }
    ss_text_add(out, "\n");
}

static void verdicts(struct ss_text *out, const struct ss_report *r)
{
    static const char *const meaning[SS_N_VERDICTS] = {
        [SS_CONFIRMED] =
            "agrees to the printed digits (10 % where it says ~); `reason` says whether measured or arithmetic only",
        [SS_REFUTED] = "a count, a time or a published shape says otherwise",
        [SS_FORMULA_ERROR] = "the document contradicts its own formula; `reason` says what gives the printed number",
        [SS_WITHIN_NOISE] = "not decided by these repetitions",
        [SS_PROJECTION_ONLY] = "an extrapolation with nothing to hold against it",
        [SS_NOT_TESTABLE] = "`reason` says why",
        [SS_NOT_MEASURED] = "`reason` says which cell is needed",
    };
    ss_text_add(out, "## Verdicts\n\n%zu claims of the scaling analysis, one by one in its own sections below.\n\n",
                r->claims.claims.rows);
    ss_text_add(out, "| verdict | claims | meaning |\n|---|---:|---|\n");
    for (int v = 0; v < SS_N_VERDICTS; v++)
        ss_text_add(out, "| %s | %zu | %s |\n", ss_verdict_names[v], r->verdicts[v], meaning[v]);
    ss_text_add(
        out, "\nWords: the document counts four bytes a number, a share in Z_2^64 takes eight. Both stand in the report: its "
             "formulas in columns called *seed formula*, what was counted beside them.\n\n");
    verdicts_by_kind(out, r);
}

/* Whether a list "a, b, c" has the entry. */
static bool has_entry(const char *list, const char *entry)
{
    const size_t n = strlen(entry);
    for (const char *at = list; (at = strstr(at, entry)); at += n)
        if ((at == list || at[-1] == ' ') && (at - list < 2 || at[-2] == ',') && (at[n] == '\0' || at[n] == ','))
            return true;
    return false;
}

/* All cells ran on the same one. */
static bool one_backend(const struct ss_report *r)
{
    for (size_t i = 1; i < r->n_cells; i++)
        if (strcmp(r->cells[i].cell.backend, r->cells[0].cell.backend) != 0)
            return false;
    return true;
}

static void status_counts(struct ss_text *out, const struct ss_report *r, size_t model, const char *variant)
{
    const bool one = one_backend(r);
    size_t n[3] = {0}, few = 0;
    const char *name = r->cells[model].cell.model;
    struct ss_text tokens = {0};
    for (size_t i = 0; i < r->n_cells; i++) {
        const struct ss_result *c = &r->cells[i];
        if (c->cell.reference || strcmp(c->cell.model, name) != 0 || strcmp(c->cell.variant, variant) != 0)
            continue;
        n[c->status]++;
        few += c->status == SS_MEASURED && c->reps < 6;
        char text[64];
        snprintf(text, sizeof text, "%s%zu%s%s",
                 ss_cell_evaluates(&c->cell) ? "windows of "
                 : ss_cell_decodes(&c->cell) ? "1 after "
                                             : "",
                 c->cell.tokens, one ? "" : " on ", one ? "" : c->cell.backend);
        if (c->status == SS_MEASURED && !has_entry(ss_text_str(&tokens), text)) /* once for all options; lengths ascend */
            ss_text_add(&tokens, "%s%s", tokens.n ? ", " : "", text);
    }
    ss_text_add(out, " %s", n[0] ? ss_text_str(&tokens) : n[1] + n[2] ? "" : "-");
    if (n[SS_FAILED])
        ss_text_add(out, " **%zu failed**", n[SS_FAILED]);
    if (n[SS_SKIPPED])
        ss_text_add(out, " %zu skipped", n[SS_SKIPPED]);
    ss_text_add(out, "%s |", few ? " (few reps)" : "");
    ss_text_free(&tokens);
}

static bool first_variant(const struct ss_report *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(r->cells[k].cell.variant, r->cells[i].cell.variant) == 0)
            return false;
    return true;
}

static void measured(struct ss_text *out, const struct ss_report *r)
{
    const bool one = one_backend(r);
    ss_text_add(out,
                "## What was measured\n\nTokens of a pass%s%s, by model and variant; 1 after N: decode, one token on top of N "
                "cached ones. The plain fp32 runs that the others are compared with are not listed.\n\n| model |",
                one ? ", all on " : " and the backend", one ? r->cells[0].cell.backend : "");
    size_t variants = 0;
    for (size_t i = 0; i < r->n_cells; i++)
        if (first_variant(r, i)) {
            ss_text_add(out, " %s |", r->cells[i].cell.variant);
            variants++;
        }
    ss_text_add(out, "\n|---|");
    for (size_t i = 0; i < variants; i++)
        ss_text_add(out, "---|");
    ss_text_add(out, "\n");
    for (size_t m = 0; m < r->n_cells; m++) {
        if (m > 0 && strcmp(r->cells[m].cell.model, r->cells[m - 1].cell.model) == 0)
            continue;
        ss_text_add(out, "| %s |", r->cells[m].cell.model);
        for (size_t i = 0; i < r->n_cells; i++)
            if (first_variant(r, i))
                status_counts(out, r, m, r->cells[i].cell.variant);
        ss_text_add(out, "\n");
    }
    ss_text_add(out, "\n");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different values of one key of env over all cells, sorted. */
static void env_line(struct ss_text *out, const struct ss_report *r, const char *label, const char *key)
{
    const char **value = malloc((r->n_cells + 1) * sizeof *value);
    SS_REQUIRE(value);
    size_t n = 0;
    for (size_t i = 0; i < r->n_cells; i++) {
        const char *text = ss_pairs_get(&r->cells[i].env, key);
        if (text && *text)
            value[n++] = text;
    }
    qsort(value, n, sizeof *value, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(value[i], value[i - 1]) == 0)
            continue;
        ss_text_add(out, i ? "; " : "| %s | ", label);
        ss_md_escape(out, value[i]);
    }
    if (n)
        ss_text_add(out, " |\n");
    free(value);
}

static void machine(struct ss_text *out, const struct ss_report *r)
{
    static const char *const keys[][2] = {
        {"CPU", "cpu"},
        {"cores", "cpu_cores_allowed"},
        {"instruction sets", "cpu_isa"},
        {"RAM (bytes)", "ram_bytes"},
        {"kernel", "kernel"},
        {"GPU", "gpu"},
        {"GPU clock at most", "gpu_sm_clock_max"},
        {"GPU power limit", "gpu_power_limit"},
        {"confidential computing", "gpu_cc_mode"},
        {"driver", "gpu_driver"},
        {"CUDA runtime", "cuda_runtime"},
        {"compiler", "compiler"},
        {"flags", "cflags"},
        {"commit", "git_commit"},
        {"uncommitted changes", "git_dirty"},
    };
    ss_text_add(out, "## Machine\n\n| | |\n|---|---|\n");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        env_line(out, r, keys[i][0], keys[i][1]);
    ss_text_add(out, "\n");
}

static void security(struct ss_text *out, const struct ss_report *r)
{
    ss_text_add(out, "## What each variant protects\n\n| variant | protects | reveals | trusts |\n|---|---|---|---|\n");
    for (size_t i = 0; i < r->n_cells; i++) {
        const struct ss_variant *v = first_variant(r, i) ? ss_variant_find(r->cells[i].cell.variant) : NULL;
        if (!v)
            continue;
        ss_text_add(out, "| %s | ", v->name);
        ss_md_escape(out, v->claim);
        ss_text_add(out, " | ");
        ss_md_escape(out, v->reveals);
        ss_text_add(out, " | ");
        ss_md_escape(out, v->trust);
        ss_text_add(out, " |\n");
    }
    ss_text_add(out, "\n");
}

static void warnings(struct ss_text *out, const struct ss_report *r)
{
    size_t few = 0, alone = 0, bad = 0, missing = 0;
    for (size_t i = 0; i < r->n_cells; i++) {
        const struct ss_result *c = &r->cells[i];
        bool counts = c->status == SS_MEASURED && !c->cell.reference;
        few += counts && c->reps < 6;
        alone += counts && !c->has_error;
        bad += c->status != SS_MEASURED;
    }
    for (size_t i = 0; i < r->n_views; i++)
        missing += r->view[i].n_missing;
    if (few + alone + bad + missing == 0)
        return;
    ss_text_add(out, "## Warnings\n\n");
    if (few)
        ss_text_add(out,
                    "- %zu cells have fewer than 6 repetitions: n too small, their times have no interval. More: `reps_min` "
                    "of the experiment.\n",
                    few);
    if (alone)
        ss_text_add(out, "- %zu cells were not compared with plain fp32: their output is unchecked.\n", alone);
    if (bad)
        ss_text_add(out, "- %zu cells failed or were skipped; their rows say why. Again: `shardscale run --rerun failed`.\n",
                    bad);
    if (missing)
        ss_text_add(out, "- %zu rows of experiments that were run have no cell; they name the command.\n", missing);
    ss_text_add(out, "\n");
}

/* ---- sections */

/* Index of the first section that an experiment names ("2.1, 2.2"; "2.x": the first of chapter 2), else N_SECTIONS. */
static size_t home_of(const char *section)
{
    size_t len = strcspn(section, ", "), chapter = strcspn(section, ".");
    for (size_t i = 0; i < N_SECTIONS; i++)
        if (strlen(sections[i].number) == len && strncmp(sections[i].number, section, len) == 0)
            return i;
    for (size_t i = 0; i < N_SECTIONS && chapter < len; i++)
        if (strncmp(sections[i].number, section, chapter + 1) == 0)
            return i;
    return N_SECTIONS;
}

static enum ss_err add_figures(struct ss_text *out, const struct ss_view *v)
{
    for (size_t k = 0; k < v->e.n_figures; k++) {
        const struct ss_figure_spec *f = &v->e.figure[k];
        struct ss_text data = {0}, absent = {0};
        bool drawable;
        enum ss_err err = ss_figure_data(&data, &absent, &drawable, v, f);
        if (err == SS_OK && !drawable) {
            ss_text_add(out, "*Figure %s, %s: nothing of it was measured.*\n\n", f->id, f->title);
        } else if (err == SS_OK) {
            char stem[120];
            snprintf(stem, sizeof stem, "plots/%s-%s", v->e.name, f->id);
            ss_text_add(out, "![%s](%s.svg)\n\n*%s.%s%s", f->title, stem, f->id, *f->note ? " " : "", f->note);
            if (absent.n)
                ss_text_add(out, " Not drawn, zero or not measured: %s.", absent.p);
            ss_text_add(out, "* [pdf](%s.pdf) [png](%s.png) [data](%s.dat)\n\n", stem, stem, stem);
        }
        ss_text_free(&data);
        ss_text_free(&absent);
        SS_TRY(err);
    }
    return SS_OK;
}

static enum ss_err add_experiment(struct ss_text *out, const struct ss_view *v)
{
    ss_text_add(out, "#### Measured: %s\n\n%s\n\n", v->e.title, v->e.question);
    if (v->n == 0) {
        ss_text_add(out, "Not run in this campaign: `shardscale run %s`.\n\n", v->e.name);
        return SS_OK;
    }
    for (size_t k = 0; k < v->e.n_tables; k++) {
        const struct ss_table_spec *spec = &v->e.table[k];
        struct ss_table t;
        enum ss_err err = ss_report_table(&t, v, spec);
        if (err == SS_OK) {
            ss_text_add(out, "**%s. %s** [csv](tables/%s-%s.csv) [tex](tables/%s-%s.tex)\n\n", spec->id, spec->title, v->e.name,
                        spec->id, v->e.name, spec->id);
            ss_table_md(&t, out);
            ss_text_add(out, "\n%s%s", spec->note, *spec->note ? "\n\n" : "");
        }
        ss_table_free(&t);
        SS_TRY(err);
    }
    SS_TRY(add_figures(out, v));
    ss_report_security(out, v);
    ss_text_add(out, "\n");
    return SS_OK;
}

static void claim_text(struct ss_text *out, const struct ss_csv *c, size_t row)
{
    const char *model = ss_csv_get(c, row, SS_CF_MODEL), *variant = ss_csv_get(c, row, SS_CF_VARIANT);
    ss_text_add(out, "%s", ss_csv_get(c, row, SS_CF_QUANTITY));
    if (strcmp(variant, "-") != 0)
        ss_text_add(out, ", %s", variant);
    if (strcmp(model, "-") != 0)
        ss_text_add(out, ", %s", model);
}

/* claimed | formula | measured [95% CI] | origin | verdict, with the reason. */
static void add_claims(struct ss_text *out, const struct ss_report *r, const char *section)
{
    static const char *const names[] = {"id",     "claim",   "claimed", "formula", "measured [95% CI]",
                                        "origin", "verdict", "reason"};
    const struct ss_csv *c = &r->claims.claims;
    struct ss_table t = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ss_table_column(&t, names[i], names[i], false);
    for (size_t i = 0; i < c->rows; i++) {
        const char *where = ss_csv_get(c, i, SS_CF_SECTION);
        if (strcmp(where, section) != 0 && !(strcmp(section, "Exec") == 0 && strcmp(where, "Title/Exec") == 0))
            continue;
        struct ss_text claim = {0}, claimed = {0};
        claim_text(&claim, c, i);
        ss_claimed_print(&claimed, &r->claims, i);
        const char *cell[] = {ss_csv_get(c, i, SS_CF_ID),
                              ss_text_str(&claim),
                              ss_text_str(&claimed),
                              r->judged[i].formula,
                              r->judged[i].measured,
                              r->judged[i].origin,
                              ss_verdict_names[r->judged[i].verdict],
                              r->judged[i].reason};
        ss_table_row(&t);
        for (size_t k = 0; k < sizeof cell / sizeof cell[0]; k++)
            ss_table_set(&t, k, cell[k], NULL);
        ss_text_free(&claim);
        ss_text_free(&claimed);
    }
    if (t.rows)
        ss_table_md(&t, out);
    ss_text_add(out, "\n");
    ss_table_free(&t);
}

static void heading(struct ss_text *out, size_t i)
{
    static const char *const chapters[] = {"",
                                           "Model architecture scaling",
                                           "Variant-specific scaling analysis",
                                           "Comparative scaling analysis",
                                           "Computational overhead scaling",
                                           "Accuracy at scale",
                                           "Hardware requirements at scale",
                                           "Scaling recommendations",
                                           "Scaling roadmap",
                                           "Conclusion"};
    const char *number = sections[i].number;
    if (number[1] == '.' && (i == 0 || sections[i - 1].number[0] != number[0]))
        ss_text_add(out, "## %c. %s\n\n", number[0], chapters[number[0] - '0']);
    if (strcmp(number, "0") == 0)
        ss_text_add(out, "## %s\n\n", sections[i].title);
    else if (number[1] == '.')
        ss_text_add(out, "### %s %s\n\n", number, sections[i].title);
    else
        ss_text_add(out, "## Appendix %s: %s\n\n", number, sections[i].title);
}

enum ss_err ss_report_md(struct ss_text *out, const struct ss_report *r)
{
    ss_text_add(out, "# ShardScale: the scaling analysis, checked\n\n"
                     "Every number under *measured* was counted or timed in a run of the real forward pass whose output was "
                     "compared with plain fp32 and whose counters equal the variant's closed form. What comes from a formula "
                     "stands in columns of its own. Section numbers are those of the scaling analysis. Bytes are SI here and "
                     "exact integers in the CSV files.\n\n");
    SS_TRY(ss_report_front(out, r));
    security(out, r);
    verdicts(out, r);
    warnings(out, r);
    measured(out, r);
    machine(out, r);
    for (size_t i = 0; i <= N_SECTIONS; i++) {
        bool any = false;
        if (i < N_SECTIONS) {
            heading(out, i);
            add_claims(out, r, sections[i].claims);
        }
        for (size_t v = 0; v < r->n_views; v++) {
            if (home_of(r->view[v].e.section) != i)
                continue;
            if (i == N_SECTIONS && !any)
                ss_text_add(out, "## Further experiments\n\n");
            any = true;
            SS_TRY(add_experiment(out, &r->view[v]));
        }
    }
    return SS_OK;
}
