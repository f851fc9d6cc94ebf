/* csv.c — a strict reader of comma-separated files. */
#include "harness/csv.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"

enum { MAX_BYTES = 16 << 20 };

struct cursor {
    const char *path, *at, *end;
    int line;
};

static void add_field(struct ss_csv *csv, size_t index, struct ss_text *value)
{
    char **grown = realloc(csv->field, (index + 1) * sizeof *grown);
    SS_REQUIRE(grown);
    csv->field = grown;
    csv->field[index] = strdup(ss_text_str(value));
    SS_REQUIRE(csv->field[index]);
}

/* at the character after the opening quote -> after the closing one */
static enum ss_err read_quoted(struct cursor *c, struct ss_text *value)
{
    int begin = c->line;
    for (;; c->at++) {
        if (c->at == c->end)
            SS_FAIL(SS_USAGE, "%s:%d: a quote is not closed", c->path, begin);
        if (*c->at == '"') {
            c->at++;
            if (c->at == c->end || *c->at != '"')
                return SS_OK;
        }
        c->line += *c->at == '\n';
        ss_text_append(value, c->at, 1);
    }
}

static enum ss_err read_field(struct cursor *c, struct ss_text *value)
{
    if (c->at < c->end && *c->at == '"') {
        c->at++;
        SS_TRY(read_quoted(c, value));
    } else {
        for (; c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r'; c->at++) {
            if (*c->at == '"')
                SS_FAIL(SS_USAGE, "%s:%d: a quote inside an unquoted field; put the whole field in quotes", c->path, c->line);
            ss_text_append(value, c->at, 1);
        }
    }
    if (c->at < c->end && *c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n')
        c->at++;
    if (c->at < c->end && *c->at != ',' && *c->at != '\n')
        SS_FAIL(SS_USAGE, "%s:%d: text after a closing quote", c->path, c->line);
    return SS_OK;
}

/* One line of `columns` fields, appended at field index `first`. */
static enum ss_err read_row(struct ss_csv *csv, struct cursor *c, size_t first)
{
    int begin = c->line;
    size_t n = 0;
    for (bool more = true; more;) {
        struct ss_text value = {0};
        enum ss_err err = read_field(c, &value);
        if (err == SS_OK && n < csv->columns)
            add_field(csv, first + n, &value);
        n += err == SS_OK;
        ss_text_free(&value);
        if (err != SS_OK || n > csv->columns) {
            for (size_t i = 0; i < n && i < csv->columns; i++)
                free(csv->field[first + i]);
            SS_TRY(err);
            SS_FAIL(SS_USAGE, "%s:%d: more than %zu fields", csv->path, begin, csv->columns);
        }
        more = c->at < c->end && *c->at == ',';
        c->at += c->at < c->end;
    }
    c->line++;
    if (n == csv->columns)
        return SS_OK;
    for (size_t i = 0; i < n; i++)
        free(csv->field[first + i]);
    SS_FAIL(SS_USAGE, "%s:%d: %zu fields instead of %zu", csv->path, begin, n, csv->columns);
}

static void skip_comments(struct cursor *c)
{
    while (c->at < c->end && (*c->at == '#' || *c->at == '\n')) {
        while (c->at < c->end && *c->at != '\n')
            c->at++;
        c->at += c->at < c->end;
        c->line++;
    }
}

static enum ss_err read_rows(struct ss_csv *csv, struct cursor *c, const char *const *header)
{
    SS_TRY(read_row(csv, c, 0));
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < csv->columns; i++) {
        if (err == SS_OK && strcmp(csv->field[i], header[i]) != 0)
            err = ss_fail(SS_USAGE, __FILE__, __LINE__, "%s: column %zu is '%s', not '%s'", csv->path, i + 1, csv->field[i],
                          header[i]);
        free(csv->field[i]);
    }
    SS_TRY(err);
    for (skip_comments(c); c->at < c->end; skip_comments(c)) {
        int *line = realloc(csv->line, (csv->rows + 1) * sizeof *line);
        SS_REQUIRE(line);
        csv->line = line;
        csv->line[csv->rows] = c->line;
        SS_TRY(read_row(csv, c, csv->rows * csv->columns));
        csv->rows++;
    }
    return SS_OK;
}

enum ss_err ss_csv_read(struct ss_csv *csv, const char *path, const char *const *header)
{
    *csv = (struct ss_csv){0};
    snprintf(csv->path, sizeof csv->path, "%s", path);
    while (header[csv->columns])
        csv->columns++;
    char *text = NULL;
    size_t n = 0;
    SS_TRY(ss_file_read(&text, &n, path, MAX_BYTES));
    struct cursor c = {.path = csv->path, .at = text, .end = text + n, .line = 1};
    enum ss_err err = SS_OK;
    skip_comments(&c);
    if (c.at == c.end)
        err = ss_fail(SS_USAGE, __FILE__, __LINE__, "%s: empty", path);
    if (err == SS_OK)
        err = read_rows(csv, &c, header);
    free(text);
    if (err != SS_OK)
        ss_csv_free(csv);
    return err;
}

const char *ss_csv_get(const struct ss_csv *csv, size_t row, size_t column)
{
    SS_REQUIRE(row < csv->rows && column < csv->columns);
    return csv->field[row * csv->columns + column];
}

void ss_csv_free(struct ss_csv *csv)
{
    for (size_t i = 0; i < csv->rows * csv->columns; i++)
        free(csv->field[i]);
    free(csv->field);
    free(csv->line);
    *csv = (struct ss_csv){0};
}

void ss_csv_quote(struct ss_text *out, const char *field)
{
    if (!field[strcspn(field, ",\"\r\n")] && field[0] != '#') {
        ss_text_append(out, field, strlen(field));
        return;
    }
    ss_text_append(out, "\"", 1);
    for (const char *p = field; *p; p++)
        ss_text_append(out, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
    ss_text_append(out, "\"", 1);
}
