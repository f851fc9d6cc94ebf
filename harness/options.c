/* options.c — a variant's options: from "key=value,key=value" to numbers and back. */
#include <stdio.h>
#include <string.h>

#include "harness/config.h"
#include "variants/variant.h"

enum { MAX_CHOICES = 8 };

static enum ss_err parse_choice(const struct ss_variant *v, const struct ss_option *o, const char *text, int64_t *value)
{
    char choices[128], *choice[MAX_CHOICES];
    snprintf(choices, sizeof choices, "%s", o->choices);
    size_t n = ss_split(choices, ',', choice, MAX_CHOICES);
    for (size_t i = 0; i < n; i++)
        if (strcmp(choice[i], text) == 0) {
            *value = (int64_t)i;
            return SS_OK;
        }
    SS_FAIL(SS_USAGE, "option %s of variant %s is one of %s, not '%s'", o->key, v->name, o->choices, text);
}

static enum ss_err parse_value(const struct ss_variant *v, const struct ss_option *o, const char *text, int64_t *value)
{
    if (o->choices)
        return parse_choice(v, o, text, value);
    char what[128];
    snprintf(what, sizeof what, "option %s of variant %s", o->key, v->name);
    uint64_t number = 0;
    SS_TRY(ss_parse_u64(&number, text, (uint64_t)o->min, (uint64_t)o->max, what));
    *value = (int64_t)number;
    return SS_OK;
}

static enum ss_err unknown(const struct ss_variant *v, const char *key)
{
    const char *keys[SS_MAX_OPTIONS];
    char all[256] = "";
    size_t n = 0;
    for (const struct ss_option *o = v->options; o->key; o++) {
        keys[n++] = o->key;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", *all ? ", " : "", o->key);
    }
    const char *near = ss_nearest(key, keys, n);
    if (near)
        SS_FAIL(SS_USAGE, "variant %s has no option '%s'; did you mean '%s'? It has: %s", v->name, key, near, all);
    SS_FAIL(SS_USAGE, "variant %s has no option '%s'; it has: %s", v->name, key, all);
}

enum ss_err ss_options_parse(const struct ss_variant *v, const char *text, int64_t values[SS_MAX_OPTIONS])
{
    memset(values, 0, SS_MAX_OPTIONS * sizeof *values);
    for (size_t i = 0; v->options[i].key; i++) {
        SS_REQUIRE(i < SS_MAX_OPTIONS);
        SS_TRY(parse_value(v, &v->options[i], v->options[i].standard, &values[i]));
    }
    char copy[512], *pair[2 * SS_MAX_OPTIONS];
    if (strlen(text) >= sizeof copy)
        SS_FAIL(SS_USAGE, "options of variant %s are longer than %zu characters", v->name, sizeof copy - 1);
    memcpy(copy, text, strlen(text) + 1);
    size_t n = ss_split(copy, ',', pair, 2 * SS_MAX_OPTIONS);
    for (size_t p = 0; p < n; p++) {
        if (!*pair[p])
            continue;
        char *equals = strchr(pair[p], '=');
        if (!equals)
            SS_FAIL(SS_USAGE, "option '%s' of variant %s needs a value: --set %s=VALUE", pair[p], v->name, pair[p]);
        *equals = '\0';
        size_t i = 0;
        while (v->options[i].key && strcmp(v->options[i].key, pair[p]) != 0)
            i++;
        if (!v->options[i].key)
            return unknown(v, pair[p]);
        SS_TRY(parse_value(v, &v->options[i], equals + 1, &values[i]));
    }
    return SS_OK;
}

void ss_options_print(const struct ss_variant *v, const int64_t values[SS_MAX_OPTIONS], char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; v->options[i].key; i++) {
        const struct ss_option *o = &v->options[i];
        const char *comma = i ? "," : "";
        int written;
        if (o->choices) {
            char choices[128], *choice[MAX_CHOICES];
            snprintf(choices, sizeof choices, "%s", o->choices);
            size_t n = ss_split(choices, ',', choice, MAX_CHOICES);
            SS_REQUIRE(values[i] >= 0 && (size_t)values[i] < n);
            written = snprintf(out + used, size - used, "%s%s=%s", comma, o->key, choice[values[i]]);
        } else {
            written = snprintf(out + used, size - used, "%s%s=%lld", comma, o->key, (long long)values[i]);
        }
        SS_REQUIRE(written >= 0 && (size_t)written < size - used);
        used += (size_t)written;
    }
}
