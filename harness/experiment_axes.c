/* experiment_axes.c — the axes of an experiment, and their product: its cells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/experiment_source.h"
#include "harness/sweep.h"

enum { MAX_AXIS = 64, MAX_WORDS = 8 };

static enum ss_err add_cell(struct ss_experiment *e, const struct ss_source *s, const struct ss_cell *c)
{
    for (size_t i = 0; i < e->n_cells; i++)
        if (strcmp(e->cells[i].id, c->id) == 0)
            SS_FAIL(SS_USAGE, "%s: [axes] name %s, %s (%s), %zu tokens twice", s->ini->path, c->model, c->variant, c->options,
                    c->tokens);
    struct ss_cell *grown = realloc(e->cells, (e->n_cells + 1) * sizeof *grown);
    SS_REQUIRE(grown);
    e->cells = grown;
    e->cells[e->n_cells++] = *c;
    return SS_OK;
}

struct axes {
    char model_text[1024], variant_text[1024], phase_text[64], *phase[2];
    size_t n_models, n_variants, n_tokens, n_phases, n_placements;
    bool split[2]; /* placements */
    char *model[MAX_AXIS];
    struct {
        const struct ss_variant *variant;
        char options[256];
        const char *only; /* model; NULL: all */
    } v[MAX_AXIS];
    uint64_t tokens[MAX_AXIS];
};

/* Adds the variant with every combination of the alternatives of word[at] and those after it. options: so far, for
   ss_options_parse. */
static enum ss_err add_variants(struct axes *a, const struct ss_source *s, const struct ss_variant *v, const char *only,
                                char *const *word, size_t n, const char *options)
{
    char text[512], values[sizeof a->variant_text], *value[MAX_AXIS];
    if (n == 0) {
        if (a->n_variants == MAX_AXIS)
            SS_FAIL(SS_USAGE, "%s: [axes] variant: more than %d combinations", s->ini->path, MAX_AXIS);
        int64_t option[SS_MAX_OPTIONS] = {0};
        SS_TRY(ss_options_parse(v, options, option));
        ss_options_print(v, option, a->v[a->n_variants].options, sizeof a->v[0].options);
        a->v[a->n_variants].variant = v;
        a->v[a->n_variants++].only = only;
        return SS_OK;
    }
    const char *equals = strchr(*word, '=');
    if (!equals || !equals[1])
        SS_FAIL(SS_USAGE, "%s: [axes] variant %s: '%s' is not KEY=VALUE or @MODEL", s->ini->path, v->name, *word);
    snprintf(values, sizeof values, "%s", equals + 1);
    const size_t n_values = ss_split(values, '|', value, MAX_AXIS);
    for (size_t i = 0; i < n_values; i++) {
        snprintf(text, sizeof text, "%s,%.*s=%s", options, (int)(equals - *word), *word, value[i]);
        SS_TRY(add_variants(a, s, v, only, word + 1, n - 1, text));
    }
    return SS_OK;
}

/* One entry of the list: a name and its words. */
static enum ss_err read_variant(struct axes *a, const struct ss_source *s, char *entry)
{
    char *word[MAX_WORDS], options[256];
    const char *only = NULL;
    size_t n = 0, kept = 1;
    for (char *rest = entry, *w; (w = strsep(&rest, " \t"));) {
        if (!*w)
            continue;
        if (n == MAX_WORDS)
            SS_FAIL(SS_USAGE, "%s: [axes] variant %s: more than %d words", s->ini->path, word[0], MAX_WORDS);
        word[n++] = w;
    }
    if (n == 0)
        SS_FAIL(SS_USAGE, "%s: [axes] variant: an entry is empty", s->ini->path);
    for (size_t i = 1; i < n; i++)
        if (*word[i] == '@')
            only = word[i] + 1;
        else
            word[kept++] = word[i];
    bool known = !only;
    for (size_t i = 0; i < a->n_models && !known; i++)
        known = strcmp(a->model[i], only) == 0;
    if (!known)
        SS_FAIL(SS_USAGE, "%s: [axes] variant %s: model '%s' is not among the models of this profile", s->ini->path, word[0],
                only);
    const struct ss_variant *v;
    SS_TRY(ss_source_variant(&v, s->ini, word[0]));
    SS_TRY(ss_source_options(options, sizeof options, s, v));
    return add_variants(a, s, v, only, word + 1, kept - 1, options);
}

static enum ss_err read_phases(struct axes *a, const struct ss_source *s, const char *phase)
{
    snprintf(a->phase_text, sizeof a->phase_text, "%s", phase);
    a->n_phases = ss_split(a->phase_text, ',', a->phase, 2);
    for (size_t i = 0; i < a->n_phases; i++)
        if (strcmp(a->phase[i], "prefill") != 0 && strcmp(a->phase[i], "decode") != 0 && strcmp(a->phase[i], "eval") != 0 &&
            strcmp(a->phase[i], "copy") != 0)
            SS_FAIL(SS_USAGE, "%s: [axes] phase '%s' is not known (prefill, decode, eval, copy)", s->ini->path, a->phase[i]);
    return SS_OK;
}

/* After the variants. */
static enum ss_err read_placements(struct axes *a, const struct ss_source *s)
{
    char text[64], *name[2];
    bool one = false;
    snprintf(text, sizeof text, "%s", ss_source_optional(s, "axes", "placement", "one"));
    a->n_placements = ss_split(text, ',', name, 2);
    if (!a->n_placements)
        SS_FAIL(SS_USAGE, "%s: [axes] placement is empty (one, split)", s->ini->path);
    for (size_t i = 0; i < a->n_placements; i++) {
        a->split[i] = strcmp(name[i], "split") == 0;
        one = one || !a->split[i];
        if (!a->split[i] && strcmp(name[i], "one") != 0)
            SS_FAIL(SS_USAGE, "%s: [axes] placement '%s' is not known (one, split)", s->ini->path, name[i]);
    }
    for (size_t i = 0; i < a->n_variants && !one; i++)
        if (a->v[i].variant->parties != 2)
            SS_FAIL(SS_USAGE, "%s: [axes] variant %s has one party; add placement one, or remove the variant", s->ini->path,
                    a->v[i].variant->name);
    return SS_OK;
}

static enum ss_err read_axes(struct axes *a, const struct ss_source *s)
{
    const char *model, *variant, *tokens, *phase;
    SS_TRY(ss_source_value(&model, s, "axes", "model"));
    SS_TRY(ss_source_value(&variant, s, "axes", "variant"));
    SS_TRY(ss_source_value(&tokens, s, "axes", "tokens"));
    SS_TRY(ss_source_value(&phase, s, "axes", "phase"));
    SS_TRY(read_phases(a, s, phase));
    if (strlen(model) >= sizeof a->model_text || strlen(variant) >= sizeof a->variant_text)
        SS_FAIL(SS_USAGE, "%s: [axes] list too long", s->ini->path);
    snprintf(a->model_text, sizeof a->model_text, "%s", model);
    snprintf(a->variant_text, sizeof a->variant_text, "%s", variant);
    a->n_models = ss_split(a->model_text, ',', a->model, MAX_AXIS);
    for (size_t i = 0; i < a->n_models; i++) {
        struct ss_model m;
        SS_TRY(ss_model_find(&m, a->model[i]));
        if (strlen(a->model[i]) >= sizeof((struct ss_cell *)0)->model)
            SS_FAIL(SS_USAGE, "%s: model '%s': the name is too long", s->ini->path, a->model[i]);
    }
    char *entry[MAX_AXIS];
    const size_t n_entries = ss_split(a->variant_text, ',', entry, MAX_AXIS);
    for (size_t i = 0; i < n_entries; i++)
        SS_TRY(read_variant(a, s, entry[i]));
    if (!a->n_models || !a->n_variants)
        SS_FAIL(SS_USAGE, "%s: [axes] model and variant name at least one each", s->ini->path);
    SS_TRY(read_placements(a, s));
    return ss_parse_range(a->tokens, MAX_AXIS, &a->n_tokens, tokens, "tokens");
}

/* pass: counts through the tokens of the first phase, then those of the next. */
static void make_cell(struct ss_cell *c, const struct ss_source *s, const struct axes *a, size_t model, size_t pass,
                      size_t variant, bool split)
{
    *c = (struct ss_cell){.tokens = a->tokens[pass % a->n_tokens], .seed = s->seed, .split = split};
    snprintf(c->model, sizeof c->model, "%s", a->model[model]);
    snprintf(c->variant, sizeof c->variant, "%s", a->v[variant].variant->name);
    snprintf(c->backend, sizeof c->backend, "%s", s->backend);
    snprintf(c->phase, sizeof c->phase, "%s", a->phase[pass / a->n_tokens]);
    snprintf(c->options, sizeof c->options, "%s", a->v[variant].options);
    ss_cell_identify(c);
}

/* The reference of each (model, phase, tokens) first: their logits are what all others are compared with. */
static enum ss_err expand(struct ss_experiment *e, const struct ss_source *s, const struct axes *a)
{
    struct ss_cell c, reference;
    for (size_t m = 0; m < a->n_models; m++)
        for (size_t t = 0; t < a->n_phases * a->n_tokens; t++) {
            make_cell(&c, s, a, m, t, 0, false);
            if (ss_cell_copies(&c)) /* no logits to compare */
                continue;
            SS_TRY(ss_reference_of(&reference, &c));
            SS_TRY(add_cell(e, s, &reference));
        }
    for (size_t m = 0; m < a->n_models; m++)
        for (size_t t = 0; t < a->n_phases * a->n_tokens; t++)
            for (size_t v = 0; v < a->n_variants; v++) {
                if (a->v[v].only && strcmp(a->v[v].only, a->model[m]) != 0)
                    continue;
                for (size_t p = 0; p < a->n_placements; p++) {
                    if (a->split[p] && a->v[v].variant->parties != 2) /* no second party to place */
                        continue;
                    make_cell(&c, s, a, m, t, v, a->split[p]);
                    SS_TRY(add_cell(e, s, &c));
                }
            }
    return SS_OK;
}

enum ss_err ss_experiment_cells(struct ss_experiment *e, const struct ss_source *s)
{
    struct axes *a = calloc(1, sizeof *a);
    SS_REQUIRE(a);
    enum ss_err err = read_axes(a, s);
    if (err == SS_OK)
        err = expand(e, s, a);
    free(a);
    return err;
}
