/* experiment.c — reading experiments/NAME.ini: its sections, its effort, its tables and figures. */
#include "harness/experiment.h"
#include "harness/experiment_check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/experiment_source.h"

enum { MAX_KNOWN = 512 };

static const char *const profiles[] = {"smoke", "cpu", "gpu"};
enum { N_PROFILES = sizeof profiles / sizeof profiles[0] };

/* The keys of each kind of section. */
static const char *const experiment_keys[] = {"title", "section", "question", "like", NULL};
static const char *const axes_keys[] = {"model", "variant", "tokens", "phase", "placement", NULL};
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

static enum ss_err read_effort(struct ss_effort *e, const struct ss_source *s)
{
    const char *text[6];
    for (size_t i = 0; i < 6; i++)
        SS_TRY(ss_source_value(&text[i], s, "effort", effort_keys[i]));
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
    SS_TRY(ss_parse_u64(&repeats, ss_source_optional(s, "effort", "repeats", "1"), 1, 1000, "repeats"));
    if (reps_max < reps_min)
        SS_FAIL(SS_USAGE, "%s: [effort] reps_max %s is below reps_min %s", s->ini->path, text[2], text[1]);
    e->warmup = warmup;
    e->repeats = repeats;
    e->reps_min = reps_min;
    e->reps_max = reps_max;
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
    return ss_experiment_check(e, ini->path);
}

/* where: what named it. */
static enum ss_err no_such_experiment(const char *where, const char *name)
{
    char **names = NULL;
    size_t count = 0;
    SS_TRY(ss_experiment_list(&names, &count));
    const char *near = ss_nearest(name, (const char *const *)names, count);
    enum ss_err err = ss_fail(SS_USAGE, __FILE__, __LINE__, "%s: no such experiment%s%s%s (shardscale list)", where,
                              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return err;
}

static void path_of(char *out, size_t size, const char *stem)
{
    snprintf(out, size, "%s/experiments/%s.ini", ss_home(), stem);
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
        path_of(path, size, name);
    return access(path, R_OK) == 0 ? SS_OK : no_such_experiment(path, stem);
}

/* The file of the experiment that this one is like; base stays without entries if it is like none. */
static enum ss_err read_base(struct ss_ini *base, const struct ss_ini *ini)
{
    char path[1024], where[sizeof ini->path + 128];
    const char *name = ss_ini_get(ini, "experiment", "like");
    if (!name)
        return SS_OK;
    path_of(path, sizeof path, name);
    snprintf(where, sizeof where, "%s: [experiment] like = %.64s", ini->path, name);
    if (access(path, R_OK) != 0)
        return no_such_experiment(where, name);
    SS_TRY(ss_ini_read(base, path));
    SS_TRY(check_keys(base));
    const char *next = ss_ini_get(base, "experiment", "like");
    if (next)
        SS_FAIL(SS_USAGE, "%s: that one is itself like %s; name an experiment that is like no other", where, next);
    return SS_OK;
}

static enum ss_err read_all(struct ss_experiment *e, struct ss_ini *base, const struct ss_source *s)
{
    const struct ss_ini *ini = s->ini;
    SS_TRY(check_keys(ini));
    SS_TRY(read_base(base, ini));
    SS_TRY(copy_text(e->title, sizeof e->title, ini, "experiment", "title", true));
    SS_TRY(copy_text(e->section, sizeof e->section, ini, "experiment", "section", true));
    SS_TRY(copy_text(e->question, sizeof e->question, ini, "experiment", "question", true));
    SS_TRY(ss_source_check_options(s));
    SS_TRY(read_effort(&e->effort, s));
    SS_TRY(ss_experiment_cells(e, s));
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
    struct ss_ini ini = {0}, base = {0};
    struct ss_source s = {.ini = &ini, .base = &base, .backend = backend, .seed = seed};
    snprintf(s.profile, sizeof s.profile, "profile.%s", profile);
    SS_TRY(locate(path, sizeof path, e->name, sizeof e->name, name));
    enum ss_err err = ss_ini_read(&ini, path);
    if (err == SS_OK)
        err = read_all(e, &base, &s);
    ss_ini_free(&ini);
    ss_ini_free(&base);
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
