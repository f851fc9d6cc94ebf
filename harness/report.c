/* report.c — which stored cells answer which experiment, and its tables. */
#include "harness/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/choice.h"
#include "harness/columns.h"
#include "harness/config.h"
#include "harness/fits.h"
#include "harness/samples.h"
#include "harness/store.h"

/* ---- views */

/* The same question, whatever its options and seed. */
static bool same_axes(const struct ss_cell *a, const struct ss_cell *b)
{
    return strcmp(a->model, b->model) == 0 && strcmp(a->variant, b->variant) == 0 && strcmp(a->backend, b->backend) == 0 &&
           strcmp(a->phase, b->phase) == 0 && a->tokens == b->tokens && a->reference == b->reference && a->split == b->split;
}

/* Stored cells that answer c of e: the very cell, else those that differ in options or seed only (run --set, --seed). The
   latter not where e itself asks for several options: they answer another of its cells. */
static size_t answers(const struct ss_report *r, const struct ss_experiment *e, const struct ss_cell *c,
                      const struct ss_result **found, size_t cap)
{
    size_t n = 0, alike = 0;
    for (size_t i = 0; i < r->n_cells; i++)
        if (strcmp(r->cells[i].cell.id, c->id) == 0) {
            found[0] = &r->cells[i];
            return 1;
        }
    for (size_t i = 0; i < e->n_cells; i++)
        alike += same_axes(&e->cells[i], c);
    for (size_t i = 0; i < r->n_cells && n < cap && alike == 1; i++)
        if (same_axes(&r->cells[i].cell, c))
            found[n++] = &r->cells[i];
    return n;
}

/* How much of an experiment is stored, references left out. */
struct share {
    size_t have, cells;
};

static struct share share_of(const struct ss_report *r, const struct ss_experiment *e)
{
    const struct ss_result *found[1];
    struct share s = {0};
    for (size_t i = 0; i < e->n_cells; i++) {
        s.cells += !e->cells[i].reference;
        s.have += !e->cells[i].reference && answers(r, e, &e->cells[i], found, 1) > 0;
    }
    return s;
}

/* ---- which profile and backend a campaign was measured with */
static const char *const profiles[] = {"smoke", "cpu", "gpu"}, *const backends[] = {"cpu", "cuda"};
enum { N_BACKENDS = 2, N_KINDS = 3 * N_BACKENDS };

static enum ss_err read_kind(struct ss_experiment *e, const struct ss_report *r, const char *name, size_t kind)
{
    return ss_experiment_read(e, name, profiles[kind / N_BACKENDS], backends[kind % N_BACKENDS], r->cells[0].cell.seed);
}

static enum ss_err shares_of(struct share s[N_KINDS], const struct ss_report *r, const char *name)
{
    for (size_t k = 0; k < N_KINDS; k++) {
        struct ss_experiment e;
        SS_TRY(read_kind(&e, r, name, k));
        s[k] = share_of(r, &e);
        ss_experiment_free(&e);
    }
    return SS_OK;
}

/* The kind of which most cells are stored, over all n experiments. */
static size_t kind_of_campaign(const struct share (*s)[N_KINDS], size_t n)
{
    size_t best = 0, most = 0;
    for (size_t k = 0; k < N_KINDS; k++) {
        size_t have = 0;
        for (size_t i = 0; i < n; i++)
            have += s[i][k].have;
        if (have > most) {
            best = k;
            most = have;
        }
    }
    return best;
}

/* The campaign's kind where at least half of the experiment is there, so that a lost cell is missed and no smaller profile
   which happens to share its cells stands in; else the one of which most is stored, of equals the one that lacks fewer. */
static size_t kind_of_experiment(const struct share s[N_KINDS], size_t campaign)
{
    if (s[campaign].have > 0 && 2 * s[campaign].have >= s[campaign].cells)
        return campaign;
    size_t best = 0;
    for (size_t k = 1; k < N_KINDS; k++)
        if (s[k].have > s[best].have || (s[k].have == s[best].have && s[k].cells < s[best].cells))
            best = k;
    return best;
}

static enum ss_err placeholder(struct ss_result *out, const struct ss_view *v, const struct ss_cell *c)
{
    struct ss_model m;
    *out = (struct ss_result){.cell = *c, .status = SS_SKIPPED};
    snprintf(out->reason, sizeof out->reason, "missing; measure it: shardscale run %s --profile %s", v->e.name, v->profile);
    SS_TRY(ss_model_find(&m, c->model));
    out->shape = m.shape;
    out->params = ss_shape_params(&m.shape);
    return SS_OK;
}

static enum ss_err fill_view(const struct ss_report *r, struct ss_view *v)
{
    enum { MOST = 16 };
    const struct ss_experiment *e = &v->e;
    v->row = calloc(e->n_cells * MOST + 1, sizeof *v->row);
    v->missing = calloc(e->n_cells + 1, sizeof *v->missing);
    SS_REQUIRE(v->row && v->missing);
    if (share_of(r, e).have == 0)
        return SS_OK;
    for (size_t i = 0; i < e->n_cells; i++) {
        if (e->cells[i].reference)
            continue;
        const struct ss_result *found[MOST];
        size_t n = answers(r, e, &e->cells[i], found, MOST);
        for (size_t k = 0; k < n; k++)
            v->row[v->n++] = found[k];
        if (n > 0)
            continue;
        SS_TRY(placeholder(&v->missing[v->n_missing], v, &e->cells[i]));
        v->row[v->n++] = &v->missing[v->n_missing++];
    }
    return SS_OK;
}

static bool asks_for(const struct ss_experiment *e, const char *id)
{
    for (size_t i = 0; i < e->n_cells; i++)
        if (strcmp(e->cells[i].id, id) == 0)
            return true;
    return false;
}

/* v lacks half of its cells or more, and those it has were measured for experiments that lack none: it was not run itself. */
static bool only_shares(const struct ss_report *r, const struct ss_view *v)
{
    const struct ss_result *found[1];
    if (2 * v->n_missing < v->n)
        return false;
    for (size_t i = 0; i < v->e.n_cells; i++) {
        const struct ss_cell *c = &v->e.cells[i];
        if (c->reference || answers(r, &v->e, c, found, 1) == 0)
            continue;
        bool shared = false;
        for (size_t k = 0; k < r->n_views && !shared; k++)
            shared = r->view[k].n > 0 && r->view[k].n_missing == 0 && asks_for(&r->view[k].e, c->id);
        if (!shared)
            return false;
    }
    return true;
}

static enum ss_err open_view(struct ss_report *r, struct ss_view *v, const char *name, size_t kind)
{
    SS_TRY(read_kind(&v->e, r, name, kind));
    snprintf(v->profile, sizeof v->profile, "%s", profiles[kind / N_BACKENDS]);
    r->n_views++;
    return fill_view(r, v);
}

static enum ss_err open_views(struct ss_report *r)
{
    char **names = NULL;
    size_t n = 0;
    SS_TRY(ss_experiment_list(&names, &n));
    struct share(*shares)[N_KINDS] = calloc(n + 1, sizeof *shares);
    r->view = calloc(n + 1, sizeof *r->view);
    SS_REQUIRE(r->view && shares);
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < n && err == SS_OK; i++)
        err = shares_of(shares[i], r, names[i]);
    const size_t campaign = kind_of_campaign(shares, n);
    for (size_t i = 0; i < n && err == SS_OK; i++)
        err = open_view(r, &r->view[i], names[i], kind_of_experiment(shares[i], campaign));
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    free(shares);
    for (size_t i = 0; i < r->n_views && err == SS_OK; i++)
        if (only_shares(r, &r->view[i]))
            r->view[i].n = r->view[i].n_missing = 0;
    return err;
}

static enum ss_err choose_folder(struct ss_report *r, const char *results)
{
    struct stat s;
    r->results_dir = results;
    if (stat(results, &s) != 0 || !S_ISREG(s.st_mode))
        return SS_OK;
    size_t n = strlen(results);
    if (n <= 3 || n >= sizeof r->folder || strcmp(results + n - 3, ".h5") != 0)
        SS_FAIL(SS_USAGE, "%s: a file of results is called NAME.h5; its report goes to the folder NAME", results);
    snprintf(r->folder, sizeof r->folder, "%.*s", (int)(n - 3), results);
    r->results_dir = r->folder;
    return SS_OK;
}

enum ss_err ss_report_open(struct ss_report *r, const char *results)
{
    *r = (struct ss_report){0};
    enum ss_err err = choose_folder(r, results);
    if (err == SS_OK)
        err = ss_store_read_all(&r->cells, &r->n_cells, results);
    if (err == SS_OK && r->n_cells == 0)
        err = ss_fail(SS_RESULTS, __FILE__, __LINE__, "%s: no results here; measure first: shardscale run --results %s",
                      results, results);
    if (err == SS_OK)
        err = open_views(r);
    if (err == SS_OK)
        err = ss_claims_read_standard(&r->claims);
    if (err == SS_OK)
        err = ss_claims_judge_all(&r->judged, r->verdicts, &r->claims, r->cells, r->n_cells);
    if (err != SS_OK)
        ss_report_close(r);
    return err;
}

void ss_report_close(struct ss_report *r)
{
    for (size_t i = 0; i < r->n_views; i++) {
        free(r->view[i].row);
        free(r->view[i].missing);
        ss_experiment_free(&r->view[i].e);
    }
    free(r->view);
    for (size_t i = 0; i < r->n_cells; i++)
        ss_result_free(&r->cells[i]);
    free(r->cells);
    ss_claims_free(&r->claims);
    free(r->judged);
    *r = (struct ss_report){0};
}

/* ---- outputs */

struct ss_text *ss_outputs_add(struct ss_outputs *o, const char *fmt, ...)
{
    struct ss_output *v = realloc(o->v, (o->n + 1) * sizeof *v);
    SS_REQUIRE(v);
    o->v = v;
    o->v[o->n] = (struct ss_output){0};
    va_list args;
    va_start(args, fmt);
    vsnprintf(o->v[o->n].path, sizeof o->v[o->n].path, fmt, args);
    va_end(args);
    return &o->v[o->n++].text;
}

void ss_outputs_free(struct ss_outputs *o)
{
    for (size_t i = 0; i < o->n; i++)
        ss_text_free(&o->v[i].text);
    free(o->v);
    *o = (struct ss_outputs){0};
}

bool ss_report_wants(const struct ss_view *v, const char *id, const char *only)
{
    return !only || strcmp(only, v->e.name) == 0 || strcmp(only, id) == 0;
}

/* ---- tables */

static void add_column(struct ss_table *t, const struct ss_column *c)
{
    char header[160];
    bool unit = *c->unit && strcmp(c->unit, "B") != 0 && !strstr(c->header, c->unit);
    snprintf(header, sizeof header, unit ? "%s (%s)" : "%s", c->header, c->unit);
    ss_table_column(t, c->name, header, c->kind != SS_COL_TEXT);
}

/* A row of a variant with an enclave must say what makes it: the two columns that do, after the variant's name. */
static enum ss_err add_enclave(struct ss_column *column, size_t *n, const struct ss_view *v)
{
    struct ss_column mode, attestation;
    size_t at = *n;
    bool wanted = false;
    SS_TRY(ss_column_find(&mode, "cc_mode"));
    SS_TRY(ss_column_find(&attestation, "attestation"));
    for (size_t i = 0; i < v->n; i++) {
        struct ss_value value;
        ss_column_value(&value, &mode, v->row[i]);
        wanted = wanted || (value.present && strcmp(value.text, "none") != 0);
    }
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(column[i].name, mode.name) == 0)
            return SS_OK;
        if (strcmp(column[i].name, "variant") == 0)
            at = i + 1;
    }
    if (!wanted)
        return SS_OK;
    memmove(&column[at + 2], &column[at], (*n - at) * sizeof *column);
    column[at] = mode;
    column[at + 1] = attestation;
    *n += 2;
    return SS_OK;
}

static enum ss_err read_columns(struct ss_column *column, size_t *n, const struct ss_view *v, const struct ss_table_spec *spec)
{
    enum { MOST = 40 };
    char list[sizeof spec->columns], *name[MOST];
    snprintf(list, sizeof list, "%s", spec->columns);
    *n = ss_split(list, ',', name, MOST);
    bool status = false;
    for (size_t i = 0; i < *n; i++) {
        if (ss_column_find(&column[i], name[i]) != SS_OK)
            SS_FAIL(SS_USAGE, "experiment %s: table %s names an unknown column '%s'", v->e.name, spec->id, name[i]);
        status = status || strcmp(name[i], "status") == 0;
    }
    for (size_t i = 0; i < v->n && !status; i++)
        if (v->row[i]->status != SS_MEASURED) { /* its reason must be seen */
            status = true;
            SS_TRY(ss_column_find(&column[(*n)++], "status"));
        }
    return add_enclave(column, n, v);
}

/* Columns that one cell does not know: of row r among the others. */
static enum ss_err compare_rows(struct ss_value *value, const struct ss_column *c, const struct ss_view *v, size_t r)
{
    enum ss_network_id network;
    if (strcmp(c->name, "rank") == 0)
        SS_TRY(ss_rank(value->text, sizeof value->text, v->row, v->n, r, offsetof(struct ss_pass, online_ns)));
    else if (ss_pareto_network(&network, c->name))
        SS_TRY(ss_pareto(value->text, sizeof value->text, v->row, v->n, r, network));
    else
        return SS_OK;
    value->present = *value->text != '\0';
    return SS_OK;
}

enum ss_err ss_report_table(struct ss_table *t, const struct ss_view *v, const struct ss_table_spec *spec)
{
    struct ss_column column[44]; /* 40, status, the enclave's two */
    size_t n;
    if (*spec->fit)
        return ss_fits_table(t, v, spec);
    if (*spec->kind)
        return ss_decision_table(t, v, spec);
    *t = (struct ss_table){0};
    SS_TRY(read_columns(column, &n, v, spec));
    for (size_t i = 0; i < n; i++)
        add_column(t, &column[i]);
    for (size_t r = 0; r < v->n; r++) {
        ss_table_row(t);
        for (size_t i = 0; i < n; i++) {
            struct ss_value value;
            char exact[700], human[700];
            ss_column_value(&value, &column[i], v->row[r]);
            SS_TRY(compare_rows(&value, &column[i], v, r));
            ss_value_exact(exact, sizeof exact, &column[i], &value);
            ss_value_human(human, sizeof human, &column[i], &value);
            ss_table_set(t, i, exact, human);
        }
    }
    return SS_OK;
}

enum ss_err ss_report_tables(struct ss_outputs *o, const struct ss_report *r, const char *only)
{
    for (size_t i = 0; i < r->n_views; i++) {
        const struct ss_view *v = &r->view[i];
        for (size_t k = 0; k < v->e.n_tables && v->n > 0; k++) {
            const struct ss_table_spec *spec = &v->e.table[k];
            if (!ss_report_wants(v, spec->id, only))
                continue;
            struct ss_table t;
            enum ss_err err = ss_report_table(&t, v, spec);
            if (err == SS_OK) {
                struct ss_text *md = ss_outputs_add(o, "tables/%s-%s.md", v->e.name, spec->id);
                ss_text_add(md, "**%s.** %s\n\n", spec->title, spec->note);
                ss_table_md(&t, md);
                ss_text_add(md, "\n");
                ss_report_security(md, v);
                ss_table_csv(&t, ss_outputs_add(o, "tables/%s-%s.csv", v->e.name, spec->id));
                ss_table_tex(&t, spec->title, ss_outputs_add(o, "tables/%s-%s.tex", v->e.name, spec->id));
            }
            ss_table_free(&t);
            SS_TRY(err);
        }
    }
    return SS_OK;
}

void ss_report_security(struct ss_text *out, const struct ss_view *v)
{
    for (size_t i = 0; i < v->n; i++) {
        const char *name = v->row[i]->cell.variant;
        bool seen = false;
        for (size_t k = 0; k < i; k++)
            seen = seen || strcmp(v->row[k]->cell.variant, name) == 0;
        const struct ss_variant *variant = ss_variant_find(name);
        if (!seen && variant)
            ss_text_add(out, "- `%s` — %s. Reveals: %s.\n", name, variant->claim, variant->reveals);
    }
}
