/* bench.c — runs one cell: session, warm-up, repetitions until the interval is narrow enough, distance to the reference. Inside
   the timers is what session.h says; nothing of this file is. */
#include "harness/cell.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/clock.h"
#include "harness/env.h"
#include "harness/philox.h"
#include "harness/stats.h"
#include "harness/turns.h"
#include "harness/windows.h"

/* What a cell needs while it runs; freed whatever happens. */
struct bench {
    const struct ss_cell *cell;
    const struct ss_effort *effort;
    struct ss_model model;
    struct ss_session_config config;
    struct ss_session *session;
    struct ss_job job;         /* one pass of the cell */
    int32_t *ids;              /* (past + tokens) */
    struct ss_windows windows; /* phase eval */
    size_t reps_max;
    float *logits;     /* (rows, vocab): of the last position, or of all */
    double *online;    /* (reps_max) ns, for the stop rule */
    bool has_counters; /* of an earlier pass, in the result */
};

static enum ss_err note_model(struct ss_result *r, const struct ss_model *m)
{
    const struct ss_shape *s = &m->shape;
    struct ss_pairs *p = &r->config;
    SS_TRY(ss_pairs_add(p, "model", "%s", m->name));
    SS_TRY(ss_pairs_add(p, "model_title", "%s", m->title));
    SS_TRY(ss_pairs_add(p, "model_source", "%s", m->source == SS_FROM_SEED ? "seed" : "checkpoint"));
    SS_TRY(ss_pairs_add(p, "model_path", "%s", m->path));
    SS_TRY(ss_pairs_add(p, "params", "%zu", r->params));
    SS_TRY(ss_pairs_add(p, "d_model", "%zu", s->d_model));
    SS_TRY(ss_pairs_add(p, "d_ff", "%zu", s->d_ff));
    SS_TRY(ss_pairs_add(p, "n_layers", "%zu", s->n_layers));
    SS_TRY(ss_pairs_add(p, "n_heads", "%zu", s->n_heads));
    SS_TRY(ss_pairs_add(p, "n_kv", "%zu", s->n_kv));
    SS_TRY(ss_pairs_add(p, "d_head", "%zu", s->d_head));
    SS_TRY(ss_pairs_add(p, "vocab", "%zu", s->vocab));
    SS_TRY(ss_pairs_add(p, "max_seq", "%zu", s->max_seq));
    SS_TRY(ss_pairs_add(p, "rope_theta", "%.15g", s->rope_theta));
    SS_TRY(ss_pairs_add(p, "eps", "%.15g", s->eps));
    return ss_pairs_add(p, "tied", "%s", s->tied ? "yes" : "no");
}

static enum ss_err note_variant(struct ss_result *r, const struct ss_variant *v, const int64_t *option)
{
    struct ss_pairs *p = &r->config;
    SS_TRY(ss_pairs_add(p, "variant", "%s", v->name));
    SS_TRY(ss_pairs_add(p, "claim", "%s", v->claim));
    SS_TRY(ss_pairs_add(p, "reveals", "%s", v->reveals));
    SS_TRY(ss_pairs_add(p, "trust", "%s", v->trust));
    SS_TRY(ss_pairs_add(p, "parties", "%d", v->parties));
    SS_TRY(ss_pairs_add(p, "dealer", "%s", v->dealer ? "yes" : "no"));
    SS_TRY(ss_pairs_add(p, "weights", "%s", v->weights == SS_WEIGHTS_RING ? "ring" : "float"));
    char text[256], key[64], *value = NULL;
    ss_options_print(v, option, text, sizeof text);
    SS_TRY(ss_pairs_add(p, "options", "%s", text));
    for (char *rest = text, *pair = strsep(&rest, ","); pair; pair = strsep(&rest, ",")) {
        value = strchr(pair, '=');
        if (!value)
            continue;
        snprintf(key, sizeof key, "option.%.*s", (int)(value - pair), pair);
        SS_TRY(ss_pairs_add(p, key, "%s", value + 1));
    }
    return SS_OK;
}

static enum ss_err note_run(struct ss_result *r, const struct ss_session_config *g, const struct ss_effort *e)
{
    struct ss_pairs *p = &r->config;
    SS_TRY(ss_pairs_add(p, "backend", "%s", r->cell.backend));
    SS_TRY(ss_pairs_add(p, "placement", "%s", g->placement));
    SS_TRY(ss_pairs_add(p, "phase", "%s", r->cell.phase));
    SS_TRY(ss_pairs_add(p, "tokens", "%zu", r->cell.tokens));
    if (ss_cell_decodes(&r->cell))
        SS_TRY(ss_pairs_add(p, "past", "%zu", r->cell.tokens));
    if (ss_cell_evaluates(&r->cell))
        SS_TRY(ss_pairs_add(p, "text", "%s", g->model->text));
    SS_TRY(ss_pairs_add(p, "seed", "%" PRIu64, r->cell.seed));
    SS_TRY(ss_pairs_add(p, "reference", "%s", r->cell.reference ? "yes" : "no"));
    SS_TRY(ss_pairs_add(p, "warmup", "%zu", e->warmup));
    SS_TRY(ss_pairs_add(p, "reps_min", "%zu", e->reps_min));
    SS_TRY(ss_pairs_add(p, "reps_max", "%zu", e->reps_max));
    SS_TRY(ss_pairs_add(p, "target", "%g", e->target));
    SS_TRY(ss_pairs_add(p, "max_seconds", "%g", e->max_seconds));
    SS_TRY(ss_pairs_add(p, "threads", e->threads > 0 ? "%d" : "all", e->threads));
    bool limited = e->weight_budget_bytes != SIZE_MAX;
    SS_TRY(ss_pairs_add(p, "weight_budget_bytes", limited ? "%zu" : "unlimited", e->weight_budget_bytes));
    SS_TRY(ss_pairs_add(p, "processes", "1"));
    return ss_pairs_add(p, "residency", "unknown"); /* until the session is open */
}

/* Everything that can be known before anything runs. */
static enum ss_err resolve(struct ss_result *r, struct bench *b)
{
    const struct ss_cell *c = b->cell;
    const bool copy = ss_cell_copies(c);
    if (!copy && strcmp(c->phase, "prefill") != 0 && !ss_cell_decodes(c) && !ss_cell_evaluates(c))
        SS_FAIL(SS_USAGE, "phase '%s' is unknown; it is prefill, decode, eval or copy", c->phase);
    SS_TRY(ss_model_find(&b->model, c->model));
    r->shape = b->model.shape;
    r->params = ss_shape_params(&r->shape);
    const struct ss_variant *v = ss_variant_find(c->variant);
    if (!v)
        SS_FAIL(SS_USAGE, "variant '%s' is unknown; `shardscale list` names those of this build", c->variant);
    if (copy && (v->value != SS_F32 || r->shape.vocab != r->shape.d_model))
        SS_FAIL(SS_USAGE, "phase copy measures variants on cleartext with model 'copy', not %s with %s", v->name, c->model);
    if (c->split && v->parties != 2)
        SS_FAIL(SS_USAGE, "placement split is a device for each party; variant %s has one party", v->name);
    b->job = ss_cell_job(c, &r->shape, b->config.option);
    b->config = (struct ss_session_config){.model = &b->model,
                                           .variant = v,
                                           .backend = c->backend,
                                           .placement = ss_cell_placement(c),
                                           .max_tokens = b->job.past + b->job.tokens,
                                           .all_logits = b->job.all_logits,
                                           .copy_only = copy,
                                           .seed = c->seed,
                                           .threads = b->effort->threads,
                                           .weight_budget_bytes = b->effort->weight_budget_bytes};
    SS_TRY(ss_options_parse(v, c->options, b->config.option));
    SS_TRY(note_model(r, &b->model));
    SS_TRY(note_variant(r, v, b->config.option));
    return note_run(r, &b->config, b->effort);
}

/* A window that the reference has not is not measured: it could not be compared. */
static enum ss_err prepare_windows(struct ss_result *r, struct bench *b, const struct ss_result *reference)
{
    if (reference && reference->window && reference->reps < b->reps_max)
        b->reps_max = reference->reps;
    SS_TRY(ss_eval_open(&b->windows, &b->model, b->cell, b->reps_max));
    return ss_eval_alloc(r, b->reps_max);
}

static enum ss_err prepare(struct ss_result *r, struct bench *b, const struct ss_result *reference)
{
    const size_t positions = b->job.past + b->job.tokens, vocab = b->model.shape.vocab;
    b->reps_max = b->effort->reps_max > 0 ? b->effort->reps_max : 1;
    if (ss_cell_evaluates(b->cell))
        SS_TRY(prepare_windows(r, b, reference));
    const size_t reps_max = b->reps_max;
    b->ids = calloc(positions > 0 ? positions : 1, sizeof *b->ids);
    b->logits = calloc(ss_cell_rows(b->cell) * (vocab > 0 ? vocab : 1), sizeof *b->logits);
    b->online = calloc(reps_max, sizeof *b->online);
    r->pass = calloc(reps_max, sizeof *r->pass);
    if (!b->ids || !b->logits || !b->online || !r->pass)
        SS_FAIL(SS_ENV, "no memory for %zu repetitions; lower reps_max", reps_max);
    const bool counts = b->cell->reference && b->job.past == 0; /* arguments are those of a pass from an empty cache */
    if (counts)
        r->arguments = b->config.arguments = calloc(1, sizeof *r->arguments);
    if (counts && !r->arguments)
        SS_FAIL(SS_ENV, "no memory to count the arguments of functions; close other programs");
    ss_synth_ids(b->ids, positions, vocab, b->cell->seed);
    SS_TRY(ss_session_open(&b->session, &b->config));
    SS_TRY(ss_pairs_add(&r->config, "cc_mode", "%s", ss_session_cc_mode(b->session)));
    SS_TRY(ss_pairs_add(&r->config, "attestation", "%s", ss_session_attestation(b->session)));
    SS_TRY(ss_pairs_add(&r->config, "residency", "%s", ss_session_resident(b->session) ? "resident" : "streamed"));
    return b->job.past > 0 ? ss_session_pass(b->session, b->ids, b->job.past, NULL, NULL) : SS_OK;
}

/* What the session counted in its last pass. */
static enum ss_err collect(struct ss_result *r, const struct bench *b)
{
    const struct ss_wire *wire = ss_session_wire(b->session);
    r->counters = *ss_session_counters(b->session);
    ss_session_expected(b->session, &r->expected);
    ss_session_peaks(b->session, r->peak);
    ss_wire_free(&r->wire);
    if (ss_wire_alloc(&r->wire, wire->layers) != 0)
        SS_FAIL(SS_ENV, "no memory for the byte table of %zu layers; close other programs", wire->layers);
    memcpy(r->wire.bytes, wire->bytes, wire->layers * sizeof(int64_t[SS_N_OPS][SS_N_DIRS]));
    memcpy(r->wire.rounds, wire->rounds, wire->layers * sizeof(int64_t[SS_N_OPS]));
    return SS_OK;
}

/* One pass, whose counters must be those of the passes before it. */
static enum ss_err run_pass(struct ss_result *r, struct bench *b, struct ss_pass *pass)
{
    bool gpu = strcmp(b->cell->backend, "cuda") == 0, metered = gpu && !b->cell->split; /* the meter is device 0's */
    const bool eval = ss_cell_evaluates(b->cell);
    if (r->arguments && !(eval && r->reps > 0)) /* of one pass; of phase eval, of all windows */
        memset(r->arguments, 0, sizeof *r->arguments);
    int64_t before = metered ? ss_env_gpu_energy_mj() : -1;
    float *logits = b->config.copy_only ? NULL : b->logits;
    const struct ss_job *job = &b->job;
    const int32_t *ids = eval ? ss_windows_at(&b->windows, r->reps) : b->ids + job->past;
    enum ss_err err = ss_session_pass_after(b->session, job->past, ids, job->tokens, logits, pass);
    int64_t after = metered ? ss_env_gpu_energy_mj() : -1;
    pass->energy_mj = before >= 0 && after >= before ? after - before : -1;
    pass->sm_clock_mhz = gpu ? ss_env_gpu_clock() : -1;
    struct ss_counters earlier = r->counters;
    if (err != SS_OK && err != SS_COUNTS)
        return err;
    enum ss_err collected = collect(r, b); /* also of a pass that was refused: what it counted says why */
    if (err != SS_OK || collected != SS_OK)
        return err != SS_OK ? err : collected;
    int differ = b->has_counters ? ss_counters_differ(&earlier, &r->counters) : -1;
    b->has_counters = true;
    if (differ >= 0)
        SS_FAIL(SS_COUNTS,
                "%s: %s is %" PRId64 " in one repetition and %" PRId64 " in the next; counts must not depend on chance",
                r->cell.variant, ss_counter_names[differ].long_name, ss_counters_values(&earlier)[differ],
                ss_counters_values(&r->counters)[differ]);
    return SS_OK;
}

/* Windows are samples of a text, so it is not the times that say when there are enough: reps_max of them, or from reps_min on
   as many as max_seconds allow. */
static bool enough(const struct bench *b, const struct ss_stop *rule, size_t reps, double seconds)
{
    if (ss_cell_evaluates(b->cell))
        return reps >= rule->n_max || (reps >= rule->n_min && seconds >= rule->max_seconds);
    return ss_stop(rule, b->online, reps, seconds);
}

/* Warm-up, then at least one timed repetition. With another process beside this one (turns.h) the warm-up and each repetition
   are a turn, and what follows waits until both have measured. */
static enum ss_err repeat(struct ss_result *r, struct bench *b, const struct ss_result *reference)
{
    const struct ss_effort *e = b->effort;
    for (size_t i = 0; i < e->warmup; i++) {
        struct ss_pass pass;
        SS_TRY(run_pass(r, b, &pass));
        if (i == 0)
            r->first = pass;
        r->has_first = true;
    }
    if (e->turn) {
        SS_TRY(ss_pairs_add(&r->config, "turns", "yes"));
        SS_TRY(ss_turn_pass(false));
    }
    struct ss_stop rule = {.target = e->target, .n_min = e->reps_min, .n_max = b->reps_max, .max_seconds = e->max_seconds};
    double start = ss_now();
    for (bool done = false; !done;) {
        struct ss_pass *pass = &r->pass[r->reps];
        SS_TRY(run_pass(r, b, pass));
        pass->turn = e->turn ? (int64_t)(e->turn + r->reps) : 0;
        b->online[r->reps] = (double)pass->online_ns;
        if (r->window)
            SS_TRY(ss_eval_score(r, r->reps, &b->windows, b->logits, reference));
        r->reps++;
        done = enough(b, &rule, r->reps, ss_now() - start);
        if (e->turn)
            SS_TRY(ss_turn_pass(done));
    }
    return SS_OK;
}

/* What was evaluated in the place of the functions, and which of the reference's arguments that does not cover. */
static enum ss_err judge_functions(struct ss_result *r, struct bench *b, const struct ss_result *reference)
{
    SS_TRY(ss_session_functions(b->session, &r->has_functions, r->fit));
    r->has_outside = r->has_functions && reference && reference->arguments;
    for (int f = 0; f < SS_N_FUNCTIONS && r->has_outside; f++) {
        const int64_t *bins = reference->arguments->count[f];
        r->outside[f] = ss_arguments_outside(bins, r->fit[f].lo, r->fit[f].hi);
        for (int i = 0; i < SS_ARGUMENT_BINS; i++)
            r->arguments_seen[f] += bins[i];
    }
    return SS_OK;
}

/* Judges the logits of the last repetition. */
static enum ss_err judge(struct ss_result *r, struct bench *b, const struct ss_result *reference)
{
    size_t vocab = r->shape.vocab;
    if (r->window) /* each was judged on its own */
        return SS_OK;
    for (size_t i = 0; i < vocab; i++)
        if (!isfinite(b->logits[i]))
            SS_FAIL(SS_CELLS, "%s on %s: logit %zu is not a finite number", r->cell.variant, r->cell.model, i);
    if (reference && reference->logits) {
        ss_distance(&r->error, b->logits, reference->logits, 1, vocab);
        r->has_error = true;
    }
    if (r->cell.reference) {
        r->logits = b->logits;
        b->logits = NULL;
    }
    return SS_OK;
}

enum ss_err ss_bench_cell(struct ss_result *r, const struct ss_cell *cell, const struct ss_effort *effort,
                          const struct ss_result *reference)
{
    struct bench b = {.cell = cell, .effort = effort};
    enum ss_err err;
    *r = (struct ss_result){.cell = *cell, .status = SS_FAILED};
    ss_clear_error();
    if (effort->turn)
        ss_turn_take();
    SS_TRY_OUT(ss_env_collect(&r->env, cell->backend));
    SS_TRY_OUT(resolve(r, &b));
    SS_TRY_OUT(prepare(r, &b, reference));
    SS_TRY_OUT(repeat(r, &b, reference));
    SS_TRY_OUT(judge_functions(r, &b, reference));
    SS_TRY_OUT(judge(r, &b, reference));
    r->status = SS_MEASURED;
out:
    if (err != SS_OK) {
        r->status = err == SS_SKIP ? SS_SKIPPED : SS_FAILED;
        snprintf(r->reason, sizeof r->reason, "%.*s", (int)sizeof r->reason - 1, ss_last_error());
    }
    ss_session_close(b.session);
    ss_windows_free(&b.windows);
    free(b.ids);
    free(b.logits);
    free(b.online);
    if (ss_env_finish(&r->env) != SS_OK && err == SS_OK)
        err = SS_ENV;
    return err;
}
