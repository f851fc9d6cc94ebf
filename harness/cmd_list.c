/* cmd_list.c — `shardscale list`: what there is, and what of it has been measured. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/sweep.h"
#include "harness/text.h"

static const char usage[] =
    "shardscale list [models|variants|backends|experiments ...] [flags]\n\n"
    "What this build can measure and what has been measured. -o json for programs; -v for the options of variants.";

enum topic { MODELS, VARIANTS, BACKENDS, EXPERIMENTS, N_TOPICS };
static const char *const topics[N_TOPICS] = {"models", "variants", "backends", "experiments"};

struct list_flags {
    struct ss_cli cli;
    const char *profile, *backend;
    struct ss_filter *filter;
};

/* Each topic makes its JSON; the text is printed from that, so that both say the same. */
static json_t *model_json(const char *name)
{
    struct ss_model m;
    if (ss_model_find(&m, name) != SS_OK) /* one broken file does not hide the others */
        return json_pack("{s:s, s:s}", "name", name, "error", ss_last_error());
    const struct ss_shape *s = &m.shape;
    return json_pack("{s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "name", name, "title", m.title, "params",
                     (json_int_t)ss_shape_params(s), "weights", m.source == SS_FROM_SEED ? "seed" : m.path, "d_model",
                     (json_int_t)s->d_model, "d_ff", (json_int_t)s->d_ff, "n_layers", (json_int_t)s->n_layers, "n_heads",
                     (json_int_t)s->n_heads, "n_kv", (json_int_t)s->n_kv, "d_head", (json_int_t)s->d_head, "vocab",
                     (json_int_t)s->vocab, "tied", s->tied);
}

static enum ss_err list_models(json_t *out)
{
    char **names = NULL;
    size_t n = 0;
    SS_TRY(ss_model_list(&names, &n));
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(out, model_json(names[i]));
        free(names[i]);
    }
    free(names);
    return SS_OK;
}

static enum ss_err list_variants(json_t *out)
{
    for (size_t i = 0; ss_variants[i]; i++) {
        const struct ss_variant *v = ss_variants[i];
        json_t *options = json_array();
        for (const struct ss_option *o = v->options; o->key; o++) {
            json_t *j = json_pack("{s:s, s:s, s:s}", "key", o->key, "help", o->help, "standard", o->standard);
            if (o->choices)
                json_object_set_new(j, "choices", json_string(o->choices));
            else
                json_object_set_new(j, "range", json_pack("[I,I]", (json_int_t)o->min, (json_int_t)o->max));
            json_array_append_new(options, j);
        }
        json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:o}", "name", v->name, "claim", v->claim,
                                             "reveals", v->reveals, "trust", v->trust, "parties", v->parties, "dealer",
                                             v->dealer, "options", options));
    }
    return SS_OK;
}

static enum ss_err list_backends(json_t *out)
{
    bool cuda = false;
    for (size_t i = 0; ss_backends[i]; i++) {
        const struct ss_backend *b = ss_backends[i];
        const char *why = b->unusable();
        cuda = cuda || strcmp(b->name, "cuda") == 0;
        json_array_append_new(
            out, json_pack("{s:s, s:s, s:b, s:s?}", "name", b->name, "about", b->about, "usable", why == NULL, "reason", why));
    }
    if (!cuda)
        json_array_append_new(out, json_pack("{s:s, s:s, s:b, s:s}", "name", "cuda", "about", "NVIDIA GPUs", "usable", 0,
                                             "reason", "not in this build (make CUDA=1)"));
    return SS_OK;
}

static enum ss_err experiment_json(json_t *out, const char *name, const struct list_flags *f, const char *results)
{
    struct ss_experiment *e = calloc(1, sizeof *e);
    struct ss_plan p = {0};
    SS_REQUIRE(e);
    enum ss_err err = ss_experiment_read(e, name, f->profile, f->backend, f->cli.seed);
    if (err == SS_OK)
        err = ss_plan_add(&p, e);
    if (err == SS_OK)
        err = ss_plan_filter(&p, f->filter);
    if (err == SS_OK) {
        ss_plan_probe(&p, results);
        size_t count[SS_N_STATES] = {0}, stale = 0;
        for (size_t i = 0; i < p.n; i++) {
            count[p.v[i].state]++;
            stale += p.v[i].state == SS_STATE_MEASURED && p.v[i].stale;
        }
        json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "name", e->name, "title",
                                             e->title, "section", e->section, "question", e->question, "cells", (json_int_t)p.n,
                                             "measured", (json_int_t)count[SS_STATE_MEASURED], "missing",
                                             (json_int_t)count[SS_STATE_MISSING], "failed", (json_int_t)count[SS_STATE_FAILED],
                                             "skipped", (json_int_t)count[SS_STATE_SKIPPED], "stale", (json_int_t)stale));
    }
    ss_plan_free(&p);
    ss_experiment_free(e);
    free(e);
    return err;
}

static enum ss_err list_experiments(json_t *out, const struct list_flags *f, const char *results)
{
    char **names = NULL;
    size_t n = 0;
    SS_TRY(ss_experiment_list(&names, &n));
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < n; i++) {
        if (err == SS_OK)
            err = experiment_json(out, names[i], f, results);
        free(names[i]);
    }
    free(names);
    return err;
}

/* ---- text */

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static long long number_of(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

static void print_options(const json_t *variant)
{
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(variant, "options"), i, o)
    {
        const json_t *range = json_object_get(o, "range");
        printf("            --set %s=%s (", text_of(o, "key"), text_of(o, "standard"));
        if (range)
            printf("%lld to %lld", (long long)json_integer_value(json_array_get(range, 0)),
                   (long long)json_integer_value(json_array_get(range, 1)));
        else
            printf("%s", text_of(o, "choices"));
        printf("): %s\n", text_of(o, "help"));
    }
}

static void print_model(const json_t *j)
{
    char params[32];
    if (json_object_get(j, "error")) {
        printf("  %-14s %s\n", text_of(j, "name"), text_of(j, "error"));
        return;
    }
    ss_print_count(params, sizeof params, number_of(j, "params"));
    printf("  %-14s %15s parameters  %3lld x %5lld  weights: %s\n", text_of(j, "name"), params, number_of(j, "n_layers"),
           number_of(j, "d_model"), text_of(j, "weights"));
}

static void print_item(enum topic topic, const json_t *j, int verbosity)
{
    switch (topic) {
    case MODELS:
        print_model(j);
        break;
    case VARIANTS:
        printf("  %-8s  %s\n", text_of(j, "name"), text_of(j, "claim"));
        if (verbosity > 0) {
            printf("            reveals: %s\n            trust: %s\n", text_of(j, "reveals"), text_of(j, "trust"));
            print_options(j);
        }
        break;
    case BACKENDS:
        printf("  %-8s  %s: %s%s\n", text_of(j, "name"), text_of(j, "about"),
               json_is_true(json_object_get(j, "usable")) ? "usable" : "not usable: ", text_of(j, "reason"));
        break;
    default:
        printf("  %-14s %2lld of %2lld cells measured, %lld missing, %lld failed, %lld skipped, %lld stale  %s [%s]\n",
               text_of(j, "name"), number_of(j, "measured"), number_of(j, "cells"), number_of(j, "missing"),
               number_of(j, "failed"), number_of(j, "skipped"), number_of(j, "stale"), text_of(j, "title"),
               text_of(j, "section"));
    }
}

static enum ss_err select_topics(bool wanted[N_TOPICS], const struct ss_text_list *names)
{
    for (size_t i = 0; i < names->n; i++) {
        size_t t = 0;
        while (t < N_TOPICS && strcmp(topics[t], names->v[i]) != 0)
            t++;
        if (t == N_TOPICS)
            SS_FAIL(SS_USAGE, "list has no '%s' (models, variants, backends, experiments)", names->v[i]);
        wanted[t] = true;
    }
    for (size_t t = 0; t < N_TOPICS && !names->n; t++)
        wanted[t] = true;
    return SS_OK;
}

static enum ss_err fill(json_t *root, const bool wanted[N_TOPICS], const struct list_flags *f, const char *results)
{
    for (size_t t = 0; t < N_TOPICS; t++) {
        if (!wanted[t])
            continue;
        json_t *list = json_array();
        json_object_set_new(root, topics[t], list);
        switch ((enum topic)t) {
        case MODELS:
            SS_TRY(list_models(list));
            break;
        case VARIANTS:
            SS_TRY(list_variants(list));
            break;
        case BACKENDS:
            SS_TRY(list_backends(list));
            break;
        default:
            SS_TRY(list_experiments(list, f, results));
        }
    }
    return SS_OK;
}

static void print_text(const json_t *root, const bool wanted[N_TOPICS], const char *results, int verbosity)
{
    bool first = true;
    for (size_t t = 0; t < N_TOPICS; t++) {
        if (!wanted[t])
            continue;
        size_t i;
        json_t *item;
        printf("%s%s%s%s%s\n", first ? "" : "\n", topics[t], t == EXPERIMENTS ? " (results in " : "",
               t == EXPERIMENTS ? results : "", t == EXPERIMENTS ? ")" : "");
        first = false;
        json_array_foreach(json_object_get(root, topics[t]), i, item) print_item((enum topic)t, item, verbosity);
    }
}

enum ss_err ss_cmd_list(int argc, char **argv)
{
    struct list_flags f = {.profile = "cpu"};
    struct ss_text_list names = {0};
    const struct ss_flag flags[] = {
        {"--profile", "NAME", SS_FLAG_TEXT, &f.profile, "of the experiments: smoke, cpu (default) or gpu"},
        {"--backend", "NAME", SS_FLAG_TEXT, &f.backend, "cpu or cuda; default: cuda for profile gpu, else cpu"},
        {0},
    };
    bool done, wanted[N_TOPICS] = {false};
    char results[1024];
    json_t *root = NULL;
    enum ss_err err = SS_OK;
    SS_TRY(ss_flags_parse(&f.cli, usage, flags, argc, argv, &names, &done));
    if (done)
        return SS_OK;
    bool json = f.cli.format && strcmp(f.cli.format, "json") == 0;
    if (f.cli.format && !json && strcmp(f.cli.format, "text") != 0)
        SS_FAIL(SS_USAGE, "-o %s: list writes text or json", f.cli.format);
    if (!f.backend)
        f.backend = strcmp(f.profile, "gpu") == 0 ? "cuda" : "cpu";
    SS_TRY(select_topics(wanted, &names));
    SS_TRY(ss_filter_parse(&f.filter, f.cli.filter));
    ss_results_dir(&f.cli, f.profile, results, sizeof results);
    struct stat s;
    if (stat(results, &s) == 0 && !S_ISDIR(s.st_mode))
        SS_FAIL_OUT(SS_USAGE, "--results %s is no folder; shardscale export lists the cells of a file", results);
    root = json_object();
    err = fill(root, wanted, &f, results);
    if (err == SS_OK && json) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (err == SS_OK) {
        print_text(root, wanted, results, f.cli.verbosity);
    }
out:
    json_decref(root);
    ss_filter_free(f.filter);
    return err;
}
