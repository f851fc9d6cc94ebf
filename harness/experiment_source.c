/* experiment_source.c — the values and options of an experiment that hold for one profile. */
#include "harness/experiment_source.h"

#include <stdio.h>
#include <string.h>

const char *ss_source_optional(const struct ss_source *s, const char *section, const char *key, const char *otherwise)
{
    const char *value = ss_ini_get(s->ini, s->profile, key);
    value = value ? value : ss_ini_get(s->ini, section, key);
    return value ? value : otherwise;
}

enum ss_err ss_source_value(const char **value, const struct ss_source *s, const char *section, const char *key)
{
    *value = ss_ini_get(s->ini, s->profile, key);
    if (!*value)
        *value = ss_ini_get(s->ini, section, key);
    if (!*value || !**value)
        SS_FAIL(SS_USAGE, "%s: [%s] %s is missing", s->ini->path, section, key);
    return SS_OK;
}

enum ss_err ss_source_options(char *out, size_t size, const struct ss_source *s, const struct ss_variant *v)
{
    const struct ss_ini *ini = s->ini;
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

enum ss_err ss_source_variant(const struct ss_variant **v, const struct ss_source *s, const char *name)
{
    *v = ss_variant_find(name);
    if (*v)
        return SS_OK;
    const char *names[64];
    size_t n = 0;
    for (; ss_variants[n] && n < 64; n++)
        names[n] = ss_variants[n]->name;
    const char *near = ss_nearest(name, names, n);
    SS_FAIL(SS_USAGE, "%s: unknown variant '%s'%s%s%s (shardscale list)", s->ini->path, name, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
}

enum ss_err ss_source_check_options(const struct ss_source *s)
{
    const struct ss_ini *ini = s->ini;
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
        SS_TRY(ss_source_variant(&v, s, name));
        SS_TRY(ss_source_options(resolved, sizeof resolved, s, v));
    }
    return SS_OK;
}
