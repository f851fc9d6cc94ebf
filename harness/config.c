/* config.c — ini files through inih. */
#include "harness/config.h"

#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"

enum { INI_BYTES_MAX = 1 << 20 };

struct reader {
    struct ss_ini *ini;
    const char *at, *end;
    int line;           /* of the text handed out last */
    int too_long;       /* first line longer than inih's buffer, 0: none */
    bool continuation;  /* that text starts with a blank: inih repeats the key of the entry before it */
    const char *broken; /* why reading failed, NULL: it did not */
    int broken_line;
};

/* fgets for ini_parse_stream, counting lines. */
static char *next_line(char *str, int num, void *stream)
{
    struct reader *r = stream;
    if (r->at == r->end)
        return NULL;
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    size_t n = newline != NULL ? (size_t)(newline - r->at) + 1 : (size_t)(r->end - r->at);
    size_t room = (size_t)num - 1;
    r->line++;
    r->continuation = *r->at == ' ' || *r->at == '\t';
    if (n > room && r->too_long == 0)
        r->too_long = r->line;
    memcpy(str, r->at, n < room ? n : room);
    str[n < room ? n : room] = '\0';
    r->at += n;
    return str;
}

static int broken(struct reader *r, const char *why)
{
    if (r->broken == NULL) {
        r->broken = why;
        r->broken_line = r->line;
    }
    return 0;
}

static int append(struct ss_ini_entry *e, const char *more)
{
    size_t had = strlen(e->value), n = strlen(more);
    char *joined = realloc(e->value, had + n + 2);
    if (joined == NULL)
        return 0;
    joined[had] = ' ';
    memcpy(joined + had + 1, more, n + 1);
    e->value = joined;
    return 1;
}

static int on_entry(void *user, const char *section, const char *key, const char *value)
{
    struct reader *r = user;
    struct ss_ini *ini = r->ini;
    struct ss_ini_entry *last = ini->n > 0 ? &ini->v[ini->n - 1] : NULL;
    if (r->continuation && last != NULL && strcmp(last->section, section) == 0 && strcmp(last->key, key) == 0)
        return append(last, value) ? 1 : broken(r, "no memory");
    if (ss_ini_get(ini, section, key) != NULL)
        return broken(r, "the key is set a second time; keep one of them");
    struct ss_ini_entry *v = realloc(ini->v, (ini->n + 1) * sizeof *v);
    if (v == NULL)
        return broken(r, "no memory");
    ini->v = v;
    v[ini->n] = (struct ss_ini_entry){strdup(section), strdup(key), strdup(value), r->line};
    ini->n++;
    if (v[ini->n - 1].section == NULL || v[ini->n - 1].key == NULL || v[ini->n - 1].value == NULL)
        return broken(r, "no memory");
    return 1;
}

enum ss_err ss_ini_read(struct ss_ini *ini, const char *path)
{
    enum ss_err err = SS_OK;
    char *text = NULL;
    size_t n = 0;
    memset(ini, 0, sizeof *ini);
    if (strlen(path) >= sizeof ini->path)
        SS_FAIL(SS_USAGE, "%.60s...: path longer than %zu characters; use a shorter one", path, sizeof ini->path - 1);
    strcpy(ini->path, path);
    SS_TRY_OUT(ss_file_read(&text, &n, path, INI_BYTES_MAX));
    struct reader r = {.ini = ini, .at = text, .end = text + n};
    int line = ini_parse_stream(next_line, &r, on_entry, &r);
    if (r.too_long != 0 && (line == 0 || r.too_long <= line))
        SS_FAIL_OUT(SS_USAGE, "%s:%d: line too long; continue the value on the next line, indented", path, r.too_long);
    if (r.broken != NULL && r.broken_line <= line)
        SS_FAIL_OUT(SS_USAGE, "%s:%d: %s", path, r.broken_line, r.broken);
    if (line != 0)
        SS_FAIL_OUT(SS_USAGE, "%s:%d: neither `[section]` nor `key = value`; correct the line", path, line);
out:
    free(text);
    if (err != SS_OK)
        ss_ini_free(ini);
    return err;
}

void ss_ini_free(struct ss_ini *ini)
{
    for (size_t i = 0; ini->v && i < ini->n; i++) {
        free(ini->v[i].section);
        free(ini->v[i].key);
        free(ini->v[i].value);
    }
    free(ini->v);
    memset(ini, 0, sizeof *ini);
}

const char *ss_ini_get(const struct ss_ini *ini, const char *section, const char *key)
{
    for (size_t i = 0; ini->v && i < ini->n; i++)
        if (strcmp(ini->v[i].section, section) == 0 && strcmp(ini->v[i].key, key) == 0)
            return ini->v[i].value;
    return NULL;
}

static bool is_known(const char *const *known, const char *full, size_t section_length)
{
    for (; *known != NULL; known++) {
        size_t n = strlen(*known);
        if (strcmp(*known, full) == 0)
            return true;
        if (n >= 2 && strcmp(*known + n - 2, ".*") == 0 && n - 2 == section_length && strncmp(*known, full, n - 2) == 0)
            return true;
    }
    return false;
}

enum ss_err ss_ini_check(const struct ss_ini *ini, const char *const *known)
{
    size_t n_known = 0;
    while (known[n_known] != NULL)
        n_known++;
    for (size_t i = 0; i < ini->n; i++) {
        const struct ss_ini_entry *e = &ini->v[i];
        char full[512];
        snprintf(full, sizeof full, "%s.%s", e->section, e->key);
        if (is_known(known, full, strlen(e->section)))
            continue;
        const char *near = ss_nearest(full, known, n_known);
        if (near != NULL)
            SS_FAIL(SS_USAGE, "%s:%d: unknown key %s; did you mean %s?", ini->path, e->line, full, near);
        SS_FAIL(SS_USAGE, "%s:%d: unknown key %s; remove it", ini->path, e->line, full);
    }
    return SS_OK;
}
