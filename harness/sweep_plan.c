/* sweep_plan.c — which cells a sweep consists of, what state they are in, what they will need. */
#include "harness/sweep.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/store.h"
#include "harness/windows.h"

enum ss_err ss_reference_of(struct ss_cell *ref, const struct ss_cell *c)
{
    const struct ss_variant *plain = ss_variant_find("plain");
    if (!plain)
        SS_FAIL(SS_ENV, "this build has no variant 'plain', the reference of all others");
    int64_t values[SS_MAX_OPTIONS] = {0};
    SS_TRY(ss_options_parse(plain, "compute=fp32", values));
    *ref = *c;
    ref->reference = true;
    ref->split = false; /* one party */
    snprintf(ref->variant, sizeof ref->variant, "%s", plain->name);
    ss_options_print(plain, values, ref->options, sizeof ref->options);
    ss_cell_identify(ref);
    return SS_OK;
}

/* " key=value" of each option that is not the variant's standard. */
static void unusual_options(char *out, size_t size, const struct ss_cell *c)
{
    const struct ss_variant *v = ss_variant_find(c->variant);
    char text[sizeof c->options];
    size_t used = 0;
    out[0] = '\0';
    snprintf(text, sizeof text, "%s", c->options);
    for (char *rest = text, *pair; v && (pair = strsep(&rest, ","));)
        for (const struct ss_option *o = v->options; o->key; o++) {
            const char *value = strchr(pair, '=');
            if (!value || strlen(o->key) != (size_t)(value - pair) || strncmp(o->key, pair, strlen(o->key)) != 0 ||
                strcmp(o->standard, value + 1) == 0)
                continue;
            const int n = snprintf(out + used, size - used, " %s", pair);
            used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
        }
}

void ss_cell_label(char *out, size_t size, const struct ss_cell *c)
{
    static const char *const where[2][2] = {{"", " (split)"}, {" (cuda)", " (cuda, split)"}};
    char options[128] = "";
    if (!c->reference)
        unusual_options(options, sizeof options, c);
    snprintf(out, size, "%s %s%s %s%zu tokens%s", c->model, c->reference ? "reference" : c->variant, options,
             ss_cell_evaluates(c) ? "windows of "
             : ss_cell_decodes(c) ? "1 token after "
                                  : "",
             c->tokens, where[strcmp(c->backend, "cpu") != 0][c->split]);
}

/* Estimates for one device: KV cache and activations of every party on it, eight buffers of the widest rows; weights by
   ss_weights_footprint. */
static void estimate(struct ss_planned *p, const struct ss_variant *v)
{
    const struct ss_shape *s = &p->shape;
    const struct ss_backend *backend = ss_backend_find(p->cell.backend);
    enum ss_type type = v->weights == SS_WEIGHTS_FLOAT ? SS_BF16 : backend ? backend->ring_matrix : SS_I16;
    size_t streaming, resident, parties = p->cell.split ? 1 : (size_t)ss_variant_computing(v), value = ss_type_bytes(v->value);
    ss_weights_footprint(s, type, &streaming, &resident);
    size_t cache = 2 * s->n_layers * s->n_kv * s->d_head;
    size_t rows = 8 * (s->d_model + ss_shape_qkv_rows(s) + 3 * s->d_ff);
    const struct ss_job job = ss_cell_job(&p->cell, s, NULL);
    size_t rest = parties * value * ((job.past + job.tokens) * (cache + rows) + ss_cell_rows(&p->cell) * s->vocab);
    p->memory_bytes = streaming + rest;
    p->memory_bytes_whole = resident + rest;
}

static enum ss_err wire_cost(struct ss_planned *p, const struct ss_variant *v)
{
    int64_t option[SS_MAX_OPTIONS] = {0};
    struct ss_counters expected = {0};
    SS_TRY(ss_options_parse(v, p->cell.options, option));
    const struct ss_job job = ss_cell_job(&p->cell, &p->shape, option);
    v->cost(&job, &expected);
    p->wire_bytes = ss_counters_bytes_total(&expected);
    return SS_OK;
}

static enum ss_err describe(struct ss_planned *p)
{
    const struct ss_variant *v = ss_variant_find(p->cell.variant);
    SS_REQUIRE(v); /* ss_experiment_read knows only variants of this build */
    struct ss_model m;
    SS_TRY(ss_model_find(&m, p->cell.model));
    if (ss_cell_evaluates(&p->cell))
        SS_TRY(ss_eval_check(&m, &p->cell));
    p->shape = m.shape;
    p->params = ss_shape_params(&m.shape);
    estimate(p, v);
    return wire_cost(p, v);
}

static void demand_more(struct ss_effort *e, const struct ss_effort *other)
{
    e->warmup = e->warmup > other->warmup ? e->warmup : other->warmup;
    e->reps_min = e->reps_min > other->reps_min ? e->reps_min : other->reps_min;
    e->reps_max = e->reps_max > other->reps_max ? e->reps_max : other->reps_max;
    e->repeats = e->repeats > other->repeats ? e->repeats : other->repeats;
    e->target = e->target < other->target ? e->target : other->target;
    e->max_seconds = e->max_seconds > other->max_seconds ? e->max_seconds : other->max_seconds;
    if (e->weight_budget_bytes < other->weight_budget_bytes)
        e->weight_budget_bytes = other->weight_budget_bytes;
}

static struct ss_planned *find(const struct ss_plan *p, const char *id)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i].cell.id, id) == 0)
            return &p->v[i];
    return NULL;
}

/* References go behind the last reference, others to the end. */
static enum ss_err insert(struct ss_plan *p, const struct ss_cell *c, const struct ss_effort *e)
{
    struct ss_planned item = {.cell = *c, .effort = *e};
    SS_TRY(describe(&item));
    struct ss_planned *grown = realloc(p->v, (p->n + 1) * sizeof *grown);
    SS_REQUIRE(grown);
    p->v = grown;
    size_t at = p->n;
    if (c->reference)
        for (at = 0; at < p->n && p->v[at].cell.reference;)
            at++;
    memmove(&p->v[at + 1], &p->v[at], (p->n - at) * sizeof item);
    p->v[at] = item;
    p->n++;
    return SS_OK;
}

enum ss_err ss_plan_add(struct ss_plan *p, const struct ss_experiment *e)
{
    for (size_t i = 0; i < e->n_cells; i++) {
        struct ss_effort effort = e->effort;
        if (e->cells[i].reference) { /* wanted for its logits, which are the same every time; of phase eval, for all windows */
            effort.warmup = 0;
            effort.reps_min = effort.reps_max = ss_cell_evaluates(&e->cells[i]) ? effort.reps_max : 1;
            effort.repeats = 1;
        }
        struct ss_planned *old = find(p, e->cells[i].id);
        if (old)
            demand_more(&old->effort, &effort);
        else
            SS_TRY(insert(p, &e->cells[i], &effort));
    }
    return SS_OK;
}

/* One --set for one cell; *used becomes true if it concerned the cell. */
static enum ss_err set_option(struct ss_planned *c, const char *set, bool *used)
{
    const struct ss_variant *v = ss_variant_find(c->cell.variant);
    SS_REQUIRE(v);
    const char *equals = strchr(set, '=');
    if (!equals)
        SS_FAIL(SS_USAGE, "--set %s: KEY=VALUE or VARIANT.KEY=VALUE expected", set);
    size_t head = strlen(v->name);
    if (strncmp(set, v->name, head) == 0 && set[head] == '.')
        set += head + 1;
    bool has = false;
    for (const struct ss_option *o = v->options; o->key; o++)
        has = has || (strlen(o->key) == (size_t)(equals - set) && strncmp(o->key, set, strlen(o->key)) == 0);
    if (!has)
        return SS_OK;
    char text[512];
    int64_t values[SS_MAX_OPTIONS] = {0};
    snprintf(text, sizeof text, "%s,%s", c->cell.options, set);
    SS_TRY(ss_options_parse(v, text, values));
    ss_options_print(v, values, c->cell.options, sizeof c->cell.options);
    ss_cell_identify(&c->cell);
    *used = true;
    return wire_cost(c, v);
}

/* No cell has the option of `set`: the nearest of those that the cells' variants have, named as `set` names its own. */
static enum ss_err unknown_option(const struct ss_plan *p, const char *set)
{
    enum { MAX_NAMES = 256 };
    char text[MAX_NAMES][64], key[64];
    const char *names[MAX_NAMES];
    size_t n = 0;
    snprintf(key, sizeof key, "%.*s", (int)strcspn(set, "="), set);
    const bool dotted = strchr(key, '.') != NULL;
    for (size_t i = 0; i < p->n; i++)
        for (const struct ss_option *o = ss_variant_find(p->v[i].cell.variant)->options; o->key; o++) {
            if (n == MAX_NAMES)
                break;
            snprintf(text[n], sizeof text[n], "%s%s%s", dotted ? p->v[i].cell.variant : "", dotted ? "." : "", o->key);
            bool seen = false;
            for (size_t k = 0; k < n && !seen; k++)
                seen = strcmp(text[k], text[n]) == 0;
            names[n] = text[n];
            n += !seen;
        }
    const char *near = ss_nearest(key, names, n);
    SS_FAIL(SS_USAGE, "--set %s: no variant of this sweep has that option%s%s%s (shardscale list variants -v)", set,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

enum ss_err ss_plan_set(struct ss_plan *p, const struct ss_text_list *set)
{
    SS_TRY(ss_flags_once(set, "--set"));
    for (size_t s = 0; s < set->n; s++) {
        bool used = false;
        for (size_t i = 0; i < p->n; i++)
            if (!p->v[i].cell.reference)
                SS_TRY(set_option(&p->v[i], set->v[s], &used));
        if (!used)
            return unknown_option(p, set->v[s]);
    }
    return SS_OK;
}

enum ss_err ss_plan_filter(struct ss_plan *p, const struct ss_filter *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].cell.reference || ss_filter_match(f, &p->v[i].cell))
            p->v[kept++] = p->v[i];
    size_t matching = p->n = kept;
    kept = 0;
    for (size_t i = 0; i < matching; i++) {
        bool needed = !p->v[i].cell.reference;
        for (size_t j = i + 1; j < matching && !needed; j++) {
            struct ss_cell ref;
            if (p->v[j].cell.reference)
                continue;
            SS_TRY(ss_reference_of(&ref, &p->v[j].cell));
            needed = strcmp(ref.id, p->v[i].cell.id) == 0;
        }
        if (needed)
            p->v[kept++] = p->v[i];
    }
    p->n = kept;
    return SS_OK;
}

static void probe(struct ss_planned *p, const char *path)
{
    struct ss_result r = {0};
    p->state = SS_STATE_MISSING;
    p->processes = 0;
    p->stale = p->counts = false;
    p->reason[0] = '\0';
    if (access(path, F_OK) != 0)
        return;
    const int silent = ss_set_error_silent(1);
    enum ss_err err = ss_store_read(&r, path);
    if (err == SS_OK && strcmp(r.cell.id, p->cell.id) != 0) {
        err = ss_fail(SS_RESULTS, __FILE__, __LINE__, "%s: holds cell %s", path, r.cell.id);
        ss_result_free(&r);
    }
    ss_set_error_silent(silent);
    if (err != SS_OK) {
        ss_warn("%s; the cell counts as missing and will be measured again by run", ss_last_error());
        return;
    }
    static const enum ss_state states[] = {
        [SS_MEASURED] = SS_STATE_MEASURED, [SS_FAILED] = SS_STATE_FAILED, [SS_SKIPPED] = SS_STATE_SKIPPED};
    const char *commit = ss_pairs_get(&r.env, "git_commit");
    p->state = states[r.status];
    p->stale = !commit || strcmp(commit, ss_version_commit) != 0;
    p->processes = r.status == SS_MEASURED ? ss_result_processes(&r) : 0;
    p->counts = r.status == SS_FAILED && ss_counters_differ(&r.counters, &r.expected) >= 0;
    snprintf(p->reason, sizeof p->reason, "%s", r.reason);
    ss_result_free(&r);
}

void ss_plan_probe(struct ss_plan *p, const char *results_dir)
{
    for (size_t i = 0; i < p->n; i++) {
        char path[4096];
        ss_store_path(path, sizeof path, results_dir, &p->v[i].cell);
        probe(&p->v[i], path);
    }
}

enum ss_err ss_plan_select(struct ss_plan *p, const char *rerun)
{
    bool failed = rerun && strcmp(rerun, "failed") == 0, stale = rerun && strcmp(rerun, "stale") == 0;
    bool all = rerun && strcmp(rerun, "all") == 0;
    if (rerun && !failed && !stale && !all)
        SS_FAIL(SS_USAGE, "--rerun %s: failed, stale or all expected", rerun);
    for (size_t i = 0; i < p->n; i++) {
        struct ss_planned *c = &p->v[i];
        bool unsuccessful = c->state == SS_STATE_FAILED || c->state == SS_STATE_SKIPPED;
        bool too_few = c->state == SS_STATE_MEASURED && c->processes < c->effort.repeats;
        bool anew = c->state == SS_STATE_MISSING || all || (failed && unsuccessful) || (c->stale && (stale || too_few));
        c->todo = anew || too_few;
        if (anew)
            c->processes = 0;
    }
    return SS_OK;
}

void ss_plan_free(struct ss_plan *p)
{
    free(p->v);
    *p = (struct ss_plan){0};
}

static size_t pace_index(const struct ss_planned *c)
{
    size_t i = 0;
    while (ss_variants[i] && strcmp(ss_variants[i]->name, c->cell.variant) != 0)
        i++;
    return i < SS_MAX_PACES ? i : SS_MAX_PACES - 1;
}

/* Before anything was measured: seconds per parameter of one short pass. Making synthetic weights and reading them through the
   caches outweighs arithmetic at a few tokens; 64 more tokens double it. */
static double prior_seconds(const struct ss_planned *c)
{
    const struct ss_variant *v = ss_variant_find(c->cell.variant);
    double per_param = strcmp(c->cell.backend, "cuda") == 0 ? 2e-11 : 5e-10;
    const struct ss_job job = ss_cell_job(&c->cell, &c->shape, NULL);
    double one = (double)c->params * per_param * (v && ss_variant_computing(v) > 1 ? 2 : 1);
    double pass = one * (1 + (double)job.tokens / 64) + 1e-3, before = job.past ? one * (1 + (double)job.past / 64) : 0;
    double reps = c->effort.max_seconds / pass;
    if (reps > (double)c->effort.reps_max)
        reps = (double)c->effort.reps_max;
    if (reps < (double)c->effort.reps_min)
        reps = (double)c->effort.reps_min;
    return 0.2 + before + pass * ((double)c->effort.warmup + reps + 0.3);
}

double ss_pace_seconds(const struct ss_pace *pace, const struct ss_planned *c)
{
    size_t own = pace_index(c);
    double estimated = pace->estimated[own], measured = pace->measured[own];
    if (estimated <= 0)
        for (size_t i = 0; i < SS_MAX_PACES; i++) {
            estimated += pace->estimated[i];
            measured += pace->measured[i];
        }
    return prior_seconds(c) * (estimated > 0 ? measured / estimated : 1);
}

void ss_pace_learn(struct ss_pace *pace, const struct ss_planned *c, double seconds)
{
    size_t i = pace_index(c);
    pace->estimated[i] += prior_seconds(c);
    pace->measured[i] += seconds;
}
