/* experiment_source.c — the values and options of an experiment that hold for one profile. */
#include "harness/experiment_source.h"

#include <stdio.h>
#include <string.h>

static const char *value_in(const struct ss_ini *ini, const char *profile, const char *section, const char *key)
{
    const char *value = ss_ini_get(ini, profile, key);
    return value ? value : ss_ini_get(ini, section, key);
}

const char *ss_source_optional(const struct ss_source *s, const char *section, const char *key, const char *otherwise)
{
    const char *value = value_in(s->ini, s->profile, section, key);
    if (!value)
        value = value_in(s->base, s->profile, section, key);
    return value ? value : otherwise;
}

enum ss_err ss_source_value(const char **value, const struct ss_source *s, const char *section, const char *key)
{
    *value = ss_source_optional(s, section, key, "");
    if (!**value)
        SS_FAIL(SS_USAGE, "%s: [%s] %s is missing", s->ini->path, section, key);
    return SS_OK;
}

struct options { /* "key=value,..." of one variant */
    char text[512];
    size_t used;
};

/* Adds those of [options] of ini that `before` (NULL: none) does not set. */
static enum ss_err add_options(struct options *o, const struct ss_ini *ini, const struct ss_ini *before,
                               const struct ss_variant *v)
{
    const size_t head = strlen(v->name);
    for (size_t i = 0; i < ini->n; i++) {
        const struct ss_ini_entry *e = &ini->v[i];
        if (strcmp(e->section, "options") != 0 || strncmp(e->key, v->name, head) != 0 || e->key[head] != '.')
            continue;
        if (before && ss_ini_get(before, "options", e->key))
            continue;
        const size_t left = sizeof o->text - o->used;
        int n = snprintf(o->text + o->used, left, "%s%s=%s", o->used ? "," : "", e->key + head + 1, e->value);
        if (n < 0 || (size_t)n >= left)
            SS_FAIL(SS_USAGE, "%s:%d: the options of %s are too long", ini->path, e->line, v->name);
        o->used += (size_t)n;
    }
    return SS_OK;
}

enum ss_err ss_source_options(char *out, size_t size, const struct ss_source *s, const struct ss_variant *v)
{
    struct options o = {0};
    SS_TRY(add_options(&o, s->ini, NULL, v));
    SS_TRY(add_options(&o, s->base, s->ini, v));
    int64_t values[SS_MAX_OPTIONS] = {0};
    SS_TRY(ss_options_parse(v, o.text, values));
    ss_options_print(v, values, out, size);
    return SS_OK;
}

enum ss_err ss_source_variant(const struct ss_variant **v, const struct ss_ini *ini, const char *name)
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

static enum ss_err check_options(const struct ss_source *s, const struct ss_ini *ini)
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
        SS_TRY(ss_source_variant(&v, ini, name));
        SS_TRY(ss_source_options(resolved, sizeof resolved, s, v));
    }
    return SS_OK;
}

enum ss_err ss_source_check_options(const struct ss_source *s)
{
    SS_TRY(check_options(s, s->ini));
    return check_options(s, s->base);
}
