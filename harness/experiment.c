/* experiment.c — reading experiments/NAME.ini and expanding its axes into cells. */
#include "harness/experiment.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/sweep.h"

enum { MAX_AXIS = 64, MAX_WORDS = 8, MAX_KNOWN = 512, MAX_SECTION_KEYS = 12 };

static const char *const profiles[] = {"smoke", "cpu", "gpu"};
enum { N_PROFILES = sizeof profiles / sizeof profiles[0] };

/* The keys of each kind of section. */
static const char *const experiment_keys[] = {"title", "section", "question", NULL};
static const char *const axes_keys[] = {"model", "variant", "tokens", "phase", NULL};
static const char *const effort_keys[] = {"warmup",      "reps_min",    "reps_max", "target",
                                          "max_seconds", "resident_gb", "repeats",  NULL};
static const char *const table_keys[] = {"title", "columns", "note", "fit", "exponent", "predict", "kind", NULL};
static const char *const figure_keys[] = {"title", "kind",  "x",     "y",     "series", "xlabel", "ylabel",
                                          "log",   "claim", "floor", "where", "note",   NULL};

struct known { /* "section.key" of everything that may stand in this file */
    size_t n;
    char text[MAX_KNOWN][96];
    const char *v[MAX_KNOWN + 1];
};
struct reader { /* one file being read for one profile */
    const struct ss_ini *ini;
    char profile[32]; /* section name, "profile.cpu" */
    const char *backend;
    uint64_t seed;
};

static void add_known(struct known *k, const char *section, const char *const *keys)
{
    for (; *keys && k->n < MAX_KNOWN; keys++, k->n++) {
        snprintf(k->text[k->n], sizeof k->text[0], "%s.%s", section, *keys);
        k->v[k->n] = k->text[k->n];
    }
    k->v[k->n] = NULL;
}

static bool starts_with(const char *text, const char *head)
{
    return strncmp(text, head, strlen(head)) == 0;
}

/* Sections whose name carries an id ("table.ID") are known by their head, wherever they appear. */
static enum ss_err check_keys(const struct ss_ini *ini)
{
    static const char *const any[] = {"*", NULL};
    struct known *k = calloc(1, sizeof *k);
    SS_REQUIRE(k);
    add_known(k, "experiment", experiment_keys);
    add_known(k, "axes", axes_keys);
    add_known(k, "options", any);
    add_known(k, "effort", effort_keys);
    for (size_t i = 0; i < N_PROFILES; i++) {
        char section[32];
        snprintf(section, sizeof section, "profile.%s", profiles[i]);
        add_known(k, section, axes_keys);
        add_known(k, section, effort_keys);
    }
    const char *last = "";
    for (size_t i = 0; i < ini->n; i++) {
        const char *section = ini->v[i].section;
        if (strcmp(section, last) == 0)
            continue;
        last = section;
        if (starts_with(section, "table.") && strlen(section) < sizeof((struct ss_table_spec *)0)->id)
            add_known(k, section, table_keys);
        if (starts_with(section, "figure.") && strlen(section) < sizeof((struct ss_figure_spec *)0)->id)
            add_known(k, section, figure_keys);
    }
    enum ss_err err = ss_ini_check(ini, k->v);
    free(k);
    return err;
}

static const char *optional_value(const struct reader *r, const char *section, const char *key, const char *otherwise)
{
    const char *value = ss_ini_get(r->ini, r->profile, key);
    value = value ? value : ss_ini_get(r->ini, section, key);
    return value ? value : otherwise;
}

/* The value that holds for this profile. */
static enum ss_err value_of(const struct reader *r, const char *section, const char *key, const char **value)
{
    *value = ss_ini_get(r->ini, r->profile, key);
    if (!*value)
        *value = ss_ini_get(r->ini, section, key);
    if (!*value || !**value)
        SS_FAIL(SS_USAGE, "%s: [%s] %s is missing", r->ini->path, section, key);
    return SS_OK;
}

/* Text into a field of fixed size; absent: empty unless required. */
static enum ss_err copy_text(char *out, size_t size, const struct ss_ini *ini, const char *section, const char *key,
                             bool required)
{
    const char *value = ss_ini_get(ini, section, key);
    if (required && (!value || !*value))
        SS_FAIL(SS_USAGE, "%s: [%s] %s is missing", ini->path, section, key);
    if (value && strlen(value) >= size)
        SS_FAIL(SS_USAGE, "%s: [%s] %s is longer than %zu characters", ini->path, section, key, size - 1);
    snprintf(out, size, "%s", value ? value : "");
    return SS_OK;
}

static enum ss_err read_effort(struct ss_effort *e, const struct reader *r)
{
    const char *text[6];
    for (size_t i = 0; i < 6; i++)
        SS_TRY(value_of(r, "effort", effort_keys[i], &text[i]));
    uint64_t warmup, reps_min, reps_max, repeats;
    double resident_gb;
    *e = (struct ss_effort){.threads = 0};
    SS_TRY(ss_parse_u64(&warmup, text[0], 0, 1000, "warmup"));
    SS_TRY(ss_parse_u64(&reps_min, text[1], 1, 100000, "reps_min"));
    SS_TRY(ss_parse_u64(&reps_max, text[2], 1, 100000, "reps_max"));
    SS_TRY(ss_parse_real(&e->target, text[3], 0, 1, "target"));
    SS_TRY(ss_parse_real(&e->max_seconds, text[4], 0, 86400, "max_seconds"));
    SS_TRY(ss_parse_real(&resident_gb, text[5], 0, 1e6, "resident_gb"));
    e->weight_budget_bytes = (size_t)(resident_gb * 1e9);
    SS_TRY(ss_parse_u64(&repeats, optional_value(r, "effort", "repeats", "1"), 1, 1000, "repeats"));
    if (reps_max < reps_min)
        SS_FAIL(SS_USAGE, "%s: [effort] reps_max %s is below reps_min %s", r->ini->path, text[2], text[1]);
    e->warmup = warmup;
    e->repeats = repeats;
    e->reps_min = reps_min;
    e->reps_max = reps_max;
    return SS_OK;
}

/* All options of a variant as [options] of this file has them. */
static enum ss_err options_of(const struct ss_ini *ini, const struct ss_variant *v, char *out, size_t size)
{
    char text[512] = "";
    size_t used = 0, head = strlen(v->name);
    for (size_t i = 0; i < ini->n; i++) {
        const struct ss_ini_entry *e = &ini->v[i];
        if (strcmp(e->section, "options") != 0 || strncmp(e->key, v->name, head) != 0 || e->key[head] != '.')
            continue;
        int n = snprintf(text + used, sizeof text - used, "%s%s=%s", used ? "," : "", e->key + head + 1, e->value);
        if (n < 0 || (size_t)n >= sizeof text - used)
            SS_FAIL(SS_USAGE, "%s:%d: the options of %s are too long", ini->path, e->line, v->name);
        used += (size_t)n;
    }
    int64_t values[SS_MAX_OPTIONS] = {0};
    SS_TRY(ss_options_parse(v, text, values));
    ss_options_print(v, values, out, size);
    return SS_OK;
}

static enum ss_err find_variant(const struct ss_ini *ini, const char *name, const struct ss_variant **v)
{
    *v = ss_variant_find(name);
    if (*v)
        return SS_OK;
    const char *names[64];
    size_t n = 0;
    for (; ss_variants[n] && n < 64; n++)
        names[n] = ss_variants[n]->name;
    const char *near = ss_nearest(name, names, n);
    SS_FAIL(SS_USAGE, "%s: unknown variant '%s'%s%s%s (shardscale list)", ini->path, name, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
}

/* Every VARIANT.KEY of [options] names a variant of this build; its keys and values are checked by ss_options_parse. */
static enum ss_err check_options(const struct ss_ini *ini)
{
    for (size_t i = 0; i < ini->n; i++) {
        const struct ss_ini_entry *e = &ini->v[i];
        if (strcmp(e->section, "options") != 0)
            continue;
        const char *dot = strrchr(e->key, '.');
        if (!dot)
            SS_FAIL(SS_USAGE, "%s:%d: [options] wants VARIANT.KEY, not '%s'", ini->path, e->line, e->key);
        char name[64], resolved[256];
        const struct ss_variant *v;
        snprintf(name, sizeof name, "%.*s", (int)(dot - e->key), e->key);
        SS_TRY(find_variant(ini, name, &v));
        SS_TRY(options_of(ini, v, resolved, sizeof resolved));
    }
    return SS_OK;
}

static enum ss_err add_cell(struct ss_experiment *e, const struct reader *r, const struct ss_cell *c)
{
    for (size_t i = 0; i < e->n_cells; i++)
        if (strcmp(e->cells[i].id, c->id) == 0)
            SS_FAIL(SS_USAGE, "%s: [axes] name %s, %s (%s), %zu tokens twice", r->ini->path, c->model, c->variant, c->options,
                    c->tokens);
    struct ss_cell *grown = realloc(e->cells, (e->n_cells + 1) * sizeof *grown);
    SS_REQUIRE(grown);
    e->cells = grown;
    e->cells[e->n_cells++] = *c;
    return SS_OK;
}

struct axes {
    char model_text[1024], variant_text[1024], phase_text[64], *phase[2];
    size_t n_models, n_variants, n_tokens, n_phases;
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
static enum ss_err add_variants(struct axes *a, const struct reader *r, const struct ss_variant *v, const char *only,
                                char *const *word, size_t n, const char *options)
{
    char text[512], values[sizeof a->variant_text], *value[MAX_AXIS];
    if (n == 0) {
        if (a->n_variants == MAX_AXIS)
            SS_FAIL(SS_USAGE, "%s: [axes] variant: more than %d combinations", r->ini->path, MAX_AXIS);
        int64_t option[SS_MAX_OPTIONS] = {0};
        SS_TRY(ss_options_parse(v, options, option));
        ss_options_print(v, option, a->v[a->n_variants].options, sizeof a->v[0].options);
        a->v[a->n_variants].variant = v;
        a->v[a->n_variants++].only = only;
        return SS_OK;
    }
    const char *equals = strchr(*word, '=');
    if (!equals || !equals[1])
        SS_FAIL(SS_USAGE, "%s: [axes] variant %s: '%s' is not KEY=VALUE or @MODEL", r->ini->path, v->name, *word);
    snprintf(values, sizeof values, "%s", equals + 1);
    const size_t n_values = ss_split(values, '|', value, MAX_AXIS);
    for (size_t i = 0; i < n_values; i++) {
        snprintf(text, sizeof text, "%s,%.*s=%s", options, (int)(equals - *word), *word, value[i]);
        SS_TRY(add_variants(a, r, v, only, word + 1, n - 1, text));
    }
    return SS_OK;
}

/* One entry of the list: a name and its words. */
static enum ss_err read_variant(struct axes *a, const struct reader *r, char *entry)
{
    char *word[MAX_WORDS], options[256];
    const char *only = NULL;
    size_t n = 0, kept = 1;
    for (char *rest = entry, *w; (w = strsep(&rest, " \t"));) {
        if (!*w)
            continue;
        if (n == MAX_WORDS)
            SS_FAIL(SS_USAGE, "%s: [axes] variant %s: more than %d words", r->ini->path, word[0], MAX_WORDS);
        word[n++] = w;
    }
    if (n == 0)
        SS_FAIL(SS_USAGE, "%s: [axes] variant: an entry is empty", r->ini->path);
    for (size_t i = 1; i < n; i++)
        if (*word[i] == '@')
            only = word[i] + 1;
        else
            word[kept++] = word[i];
    bool known = !only;
    for (size_t i = 0; i < a->n_models && !known; i++)
        known = strcmp(a->model[i], only) == 0;
    if (!known)
        SS_FAIL(SS_USAGE, "%s: [axes] variant %s: model '%s' is not among the models of this profile", r->ini->path, word[0],
                only);
    const struct ss_variant *v;
    SS_TRY(find_variant(r->ini, word[0], &v));
    SS_TRY(options_of(r->ini, v, options, sizeof options));
    return add_variants(a, r, v, only, word + 1, kept - 1, options);
}

static enum ss_err read_phases(struct axes *a, const struct reader *r, const char *phase)
{
    snprintf(a->phase_text, sizeof a->phase_text, "%s", phase);
    a->n_phases = ss_split(a->phase_text, ',', a->phase, 2);
    for (size_t i = 0; i < a->n_phases; i++)
        if (strcmp(a->phase[i], "prefill") != 0 && strcmp(a->phase[i], "decode") != 0 && strcmp(a->phase[i], "copy") != 0)
            SS_FAIL(SS_USAGE, "%s: [axes] phase '%s' is not known (prefill, decode, copy)", r->ini->path, a->phase[i]);
    return SS_OK;
}

static enum ss_err read_axes(struct axes *a, const struct reader *r)
{
    const char *model, *variant, *tokens, *phase;
    SS_TRY(value_of(r, "axes", "model", &model));
    SS_TRY(value_of(r, "axes", "variant", &variant));
    SS_TRY(value_of(r, "axes", "tokens", &tokens));
    SS_TRY(value_of(r, "axes", "phase", &phase));
    SS_TRY(read_phases(a, r, phase));
    if (strlen(model) >= sizeof a->model_text || strlen(variant) >= sizeof a->variant_text)
        SS_FAIL(SS_USAGE, "%s: [axes] list too long", r->ini->path);
    snprintf(a->model_text, sizeof a->model_text, "%s", model);
    snprintf(a->variant_text, sizeof a->variant_text, "%s", variant);
    a->n_models = ss_split(a->model_text, ',', a->model, MAX_AXIS);
    for (size_t i = 0; i < a->n_models; i++) {
        struct ss_model m;
        SS_TRY(ss_model_find(&m, a->model[i]));
        if (strlen(a->model[i]) >= sizeof((struct ss_cell *)0)->model)
            SS_FAIL(SS_USAGE, "%s: model '%s': the name is too long", r->ini->path, a->model[i]);
    }
    char *entry[MAX_AXIS];
    const size_t n_entries = ss_split(a->variant_text, ',', entry, MAX_AXIS);
    for (size_t i = 0; i < n_entries; i++)
        SS_TRY(read_variant(a, r, entry[i]));
    if (!a->n_models || !a->n_variants)
        SS_FAIL(SS_USAGE, "%s: [axes] model and variant name at least one each", r->ini->path);
    return ss_parse_range(a->tokens, MAX_AXIS, &a->n_tokens, tokens, "tokens");
}

/* pass: counts through the tokens of the first phase, then those of the next. */
static void make_cell(struct ss_cell *c, const struct reader *r, const struct axes *a, size_t model, size_t pass,
                      size_t variant)
{
    *c = (struct ss_cell){.tokens = a->tokens[pass % a->n_tokens], .seed = r->seed};
    snprintf(c->model, sizeof c->model, "%s", a->model[model]);
    snprintf(c->variant, sizeof c->variant, "%s", a->v[variant].variant->name);
    snprintf(c->backend, sizeof c->backend, "%s", r->backend);
    snprintf(c->phase, sizeof c->phase, "%s", a->phase[pass / a->n_tokens]);
    snprintf(c->options, sizeof c->options, "%s", a->v[variant].options);
    ss_cell_identify(c);
}

/* The reference of each (model, phase, tokens) first: their logits are what all others are compared with. */
static enum ss_err expand(struct ss_experiment *e, const struct reader *r, const struct axes *a)
{
    struct ss_cell c, reference;
    for (size_t m = 0; m < a->n_models; m++)
        for (size_t t = 0; t < a->n_phases * a->n_tokens; t++) {
            make_cell(&c, r, a, m, t, 0);
            if (ss_cell_copies(&c)) /* no logits to compare */
                continue;
            SS_TRY(ss_reference_of(&reference, &c));
            SS_TRY(add_cell(e, r, &reference));
        }
    for (size_t m = 0; m < a->n_models; m++)
        for (size_t t = 0; t < a->n_phases * a->n_tokens; t++)
            for (size_t v = 0; v < a->n_variants; v++) {
                if (a->v[v].only && strcmp(a->v[v].only, a->model[m]) != 0)
                    continue;
                make_cell(&c, r, a, m, t, v);
                SS_TRY(add_cell(e, r, &c));
            }
    return SS_OK;
}

static enum ss_err read_table(struct ss_table_spec *t, const struct ss_ini *ini, const char *section)
{
    snprintf(t->id, sizeof t->id, "%s", strchr(section, '.') + 1);
    SS_TRY(copy_text(t->title, sizeof t->title, ini, section, "title", true));
    SS_TRY(copy_text(t->columns, sizeof t->columns, ini, section, "columns", true));
    SS_TRY(copy_text(t->note, sizeof t->note, ini, section, "note", false));
    SS_TRY(copy_text(t->fit, sizeof t->fit, ini, section, "fit", false));
    SS_TRY(copy_text(t->exponent, sizeof t->exponent, ini, section, "exponent", *t->fit != '\0'));
    const char *predict = ss_ini_get(ini, section, "predict");
    if (!*t->fit && (*t->exponent || predict))
        SS_FAIL(SS_USAGE, "%s: [%s] exponent and predict need fit = COLUMN", ini->path, section);
    SS_TRY(copy_text(t->kind, sizeof t->kind, ini, section, "kind", false));
    if (*t->kind && strcmp(t->kind, "decision") != 0)
        SS_FAIL(SS_USAGE, "%s: [%s] kind '%s' is not decision or empty", ini->path, section, t->kind);
    return predict ? ss_parse_real(&t->predict, predict, 1e-9, 1e18, "predict") : SS_OK;
}

static enum ss_err read_figure(struct ss_figure_spec *f, const struct ss_ini *ini, const char *section)
{
    snprintf(f->id, sizeof f->id, "%s", strchr(section, '.') + 1);
    SS_TRY(copy_text(f->title, sizeof f->title, ini, section, "title", true));
    SS_TRY(copy_text(f->kind, sizeof f->kind, ini, section, "kind", true));
    SS_TRY(copy_text(f->x, sizeof f->x, ini, section, "x", true));
    SS_TRY(copy_text(f->y, sizeof f->y, ini, section, "y", true));
    SS_TRY(copy_text(f->series, sizeof f->series, ini, section, "series", false));
    SS_TRY(copy_text(f->xlabel, sizeof f->xlabel, ini, section, "xlabel", true));
    SS_TRY(copy_text(f->ylabel, sizeof f->ylabel, ini, section, "ylabel", true));
    SS_TRY(copy_text(f->log, sizeof f->log, ini, section, "log", false));
    SS_TRY(copy_text(f->claim, sizeof f->claim, ini, section, "claim", false));
    SS_TRY(copy_text(f->floor, sizeof f->floor, ini, section, "floor", false));
    SS_TRY(copy_text(f->where, sizeof f->where, ini, section, "where", false));
    if (f->log[0] && strcmp(f->log, "x") != 0 && strcmp(f->log, "y") != 0 && strcmp(f->log, "xy") != 0)
        SS_FAIL(SS_USAGE, "%s: [%s] log '%s' is not x, y, xy or empty", ini->path, section, f->log);
    return copy_text(f->note, sizeof f->note, ini, section, "note", false);
}

static enum ss_err read_views(struct ss_experiment *e, const struct ss_ini *ini)
{
    const char *last = "";
    for (size_t i = 0; i < ini->n; i++) {
        const char *section = ini->v[i].section;
        if (strcmp(section, last) == 0)
            continue;
        last = section;
        bool table = starts_with(section, "table."), figure = starts_with(section, "figure.");
        if ((table && e->n_tables == SS_MAX_VIEWS) || (figure && e->n_figures == SS_MAX_VIEWS))
            SS_FAIL(SS_USAGE, "%s:%d: more than %d tables or figures", ini->path, ini->v[i].line, SS_MAX_VIEWS);
        if (table)
            SS_TRY(read_table(&e->table[e->n_tables++], ini, section));
        if (figure)
            SS_TRY(read_figure(&e->figure[e->n_figures++], ini, section));
    }
    return SS_OK;
}

/* name: path of an .ini file, or a stem in experiments/. */
static enum ss_err locate(char *path, size_t size, char *stem, size_t stem_size, const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    size_t n = strlen(base);
    bool ini = n > 4 && strcmp(base + n - 4, ".ini") == 0;
    snprintf(stem, stem_size, "%.*s", (int)(ini ? n - 4 : n), base);
    if (ini || slash)
        snprintf(path, size, "%s", name);
    else
        snprintf(path, size, "%s/experiments/%s.ini", ss_home(), name);
    if (access(path, R_OK) == 0)
        return SS_OK;
    char **names = NULL;
    size_t count = 0;
    SS_TRY(ss_experiment_list(&names, &count));
    const char *near = ss_nearest(stem, (const char *const *)names, count);
    enum ss_err err = ss_fail(SS_USAGE, __FILE__, __LINE__, "%s: no such experiment%s%s%s (shardscale list)", path,
                              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return err;
}

static enum ss_err read_all(struct ss_experiment *e, const struct reader *r)
{
    const struct ss_ini *ini = r->ini;
    SS_TRY(check_keys(ini));
    SS_TRY(copy_text(e->title, sizeof e->title, ini, "experiment", "title", true));
    SS_TRY(copy_text(e->section, sizeof e->section, ini, "experiment", "section", true));
    SS_TRY(copy_text(e->question, sizeof e->question, ini, "experiment", "question", true));
    SS_TRY(check_options(ini));
    SS_TRY(read_effort(&e->effort, r));
    struct axes *a = calloc(1, sizeof *a);
    SS_REQUIRE(a);
    enum ss_err err = read_axes(a, r);
    if (err == SS_OK)
        err = expand(e, r, a);
    free(a);
    SS_TRY(err);
    return read_views(e, ini);
}

enum ss_err ss_experiment_read(struct ss_experiment *e, const char *name, const char *profile, const char *backend,
                               uint64_t seed)
{
    *e = (struct ss_experiment){0};
    bool known = false;
    for (size_t i = 0; i < N_PROFILES; i++)
        known = known || strcmp(profile, profiles[i]) == 0;
    if (!known)
        SS_FAIL(SS_USAGE, "unknown profile '%s' (smoke, cpu or gpu)", profile);
    if (strcmp(backend, "cpu") != 0 && strcmp(backend, "cuda") != 0)
        SS_FAIL(SS_USAGE, "unknown backend '%s' (cpu or cuda)", backend);
    char path[1024];
    struct ss_ini ini = {0};
    struct reader r = {.ini = &ini, .backend = backend, .seed = seed};
    snprintf(r.profile, sizeof r.profile, "profile.%s", profile);
    SS_TRY(locate(path, sizeof path, e->name, sizeof e->name, name));
    enum ss_err err = ss_ini_read(&ini, path);
    if (err == SS_OK)
        err = read_all(e, &r);
    ss_ini_free(&ini);
    if (err != SS_OK)
        ss_experiment_free(e);
    return err;
}

void ss_experiment_free(struct ss_experiment *e)
{
    free(e->cells);
    *e = (struct ss_experiment){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum ss_err ss_experiment_list(char ***names, size_t *n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/experiments", ss_home());
    *names = NULL;
    *n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        SS_FAIL(SS_ENV, "%s: cannot be read (set SHARDSCALE_HOME to the directory that holds experiments/)", path);
    for (struct dirent *d; (d = readdir(dir));) {
        size_t len = strlen(d->d_name);
        if (len <= 4 || strcmp(d->d_name + len - 4, ".ini") != 0 || d->d_name[0] == '.')
            continue;
        char **grown = realloc(*names, (*n + 1) * sizeof *grown);
        SS_REQUIRE(grown);
        *names = grown;
        (*names)[(*n)++] = strndup(d->d_name, len - 4);
    }
    closedir(dir);
    if (*n)
        qsort(*names, *n, sizeof **names, by_name);
    return SS_OK;
}
