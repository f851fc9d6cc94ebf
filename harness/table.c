/* table.c — one table, written as Markdown, CSV, LaTeX and JSON. */
#include "harness/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/csv.h"

static char *copy(const char *text)
{
    char *s = strdup(text);
    SS_REQUIRE(s);
    return s;
}

void ss_table_column(struct ss_table *t, const char *name, const char *header, bool number)
{
    SS_REQUIRE(t->rows == 0);
    struct ss_table_head *head = realloc(t->head, (t->columns + 1) * sizeof *head);
    SS_REQUIRE(head);
    t->head = head;
    t->head[t->columns++] = (struct ss_table_head){.name = copy(name), .header = copy(header), .number = number};
}

void ss_table_row(struct ss_table *t)
{
    SS_REQUIRE(t->columns > 0);
    struct ss_table_cell *cell = realloc(t->cell, (t->rows + 1) * t->columns * sizeof *cell);
    SS_REQUIRE(cell);
    t->cell = cell;
    memset(t->cell + t->rows * t->columns, 0, t->columns * sizeof *cell);
    t->rows++;
}

void ss_table_set(struct ss_table *t, size_t column, const char *exact, const char *human)
{
    SS_REQUIRE(t->rows > 0 && column < t->columns);
    struct ss_table_cell *c = &t->cell[(t->rows - 1) * t->columns + column];
    free(c->exact);
    free(c->human);
    c->exact = copy(exact);
    c->human = copy(human ? human : exact);
}

void ss_table_free(struct ss_table *t)
{
    for (size_t i = 0; i < t->columns; i++) {
        free(t->head[i].name);
        free(t->head[i].header);
    }
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        free(t->cell[i].exact);
        free(t->cell[i].human);
    }
    free(t->head);
    free(t->cell);
    *t = (struct ss_table){0};
}

static const char *exact(const struct ss_table *t, size_t row, size_t column)
{
    const char *s = t->cell[row * t->columns + column].exact;
    return s ? s : "";
}

static const char *human(const struct ss_table *t, size_t row, size_t column)
{
    const char *s = t->cell[row * t->columns + column].human;
    return s ? s : "";
}

void ss_md_escape(struct ss_text *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\n' || *p == '\r')
            ss_text_append(out, " ", 1);
        else if (*p == '<')
            ss_text_add(out, "&lt;");
        else if (*p == '&')
            ss_text_add(out, "&amp;");
        else if (strchr("|*_`\\[]~", *p))
            ss_text_add(out, "\\%c", *p);
        else
            ss_text_append(out, p, 1);
    }
}

void ss_table_md(const struct ss_table *t, struct ss_text *out)
{
    for (size_t c = 0; c < t->columns; c++) {
        ss_text_add(out, "| ");
        ss_md_escape(out, t->head[c].header);
        ss_text_add(out, " ");
    }
    ss_text_add(out, "|\n");
    for (size_t c = 0; c < t->columns; c++)
        ss_text_add(out, t->head[c].number ? "|---:" : "|---");
    ss_text_add(out, "|\n");
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            ss_text_add(out, "| ");
            ss_md_escape(out, human(t, r, c));
            ss_text_add(out, " ");
        }
        ss_text_add(out, "|\n");
    }
}

void ss_table_csv(const struct ss_table *t, struct ss_text *out)
{
    for (size_t c = 0; c < t->columns; c++) {
        ss_text_add(out, c ? "," : "");
        ss_csv_quote(out, t->head[c].name);
    }
    ss_text_add(out, "\n");
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            ss_text_add(out, c ? "," : "");
            ss_csv_quote(out, exact(t, r, c));
        }
        ss_text_add(out, "\n");
    }
}

static void tex_escape(struct ss_text *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\')
            ss_text_add(out, "\\textbackslash{}");
        else if (*p == '~' || *p == '^')
            ss_text_add(out, "\\%s{}", *p == '~' ? "textasciitilde" : "textasciicircum");
        else if (*p == '<' || *p == '>' || *p == '|')
            ss_text_add(out, "$%s$", *p == '|' ? "\\vert" : *p == '<' ? "<" : ">");
        else if (strchr("&%$#_{}", *p))
            ss_text_add(out, "\\%c", *p);
        else
            ss_text_append(out, *p == '\n' ? " " : p, 1);
    }
}

void ss_table_tex(const struct ss_table *t, const char *caption, struct ss_text *out)
{
    ss_text_add(out, "%% ");
    tex_escape(out, caption);
    ss_text_add(out, "\n\\begin{tabular}{");
    for (size_t c = 0; c < t->columns; c++)
        ss_text_add(out, t->head[c].number ? "r" : "l");
    ss_text_add(out, "}\n\\toprule\n");
    for (size_t c = 0; c < t->columns; c++) {
        ss_text_add(out, c ? " & " : "");
        tex_escape(out, t->head[c].header);
    }
    ss_text_add(out, " \\\\\n\\midrule\n");
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            ss_text_add(out, c ? " & " : "");
            tex_escape(out, human(t, r, c));
        }
        ss_text_add(out, " \\\\\n");
    }
    ss_text_add(out, "\\bottomrule\n\\end{tabular}\n");
}

static void json_string(struct ss_text *out, const char *text)
{
    ss_text_add(out, "\"");
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            ss_text_add(out, "\\%c", *p);
        else if ((unsigned char)*p < 0x20)
            ss_text_add(out, "\\u%04x", (unsigned char)*p);
        else
            ss_text_append(out, p, 1);
    }
    ss_text_add(out, "\"");
}

void ss_table_json(const struct ss_table *t, struct ss_text *out)
{
    ss_text_add(out, "[");
    for (size_t r = 0; r < t->rows; r++) {
        ss_text_add(out, r ? ",\n  {" : "\n  {");
        for (size_t c = 0; c < t->columns; c++) {
            ss_text_add(out, c ? ", " : "");
            json_string(out, t->head[c].name);
            ss_text_add(out, ": ");
            const char *text = exact(t, r, c);
            char *end;
            double value = strtod(text, &end);
            if (!*text || (t->head[c].number && (*end || !isfinite(value))))
                ss_text_add(out, "null");
            else if (t->head[c].number)
                ss_text_add(out, "%s", text);
            else
                json_string(out, text);
        }
        ss_text_add(out, "}");
    }
    ss_text_add(out, "\n]\n");
}
