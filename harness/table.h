/* table.h — one table, three writers: Markdown for people, CSV for programs, LaTeX for papers. */
#ifndef SS_TABLE_H
#define SS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/text.h"

struct ss_table_head {
    char *name;   /* CSV header, JSON key */
    char *header; /* for people, unit included */
    bool number;  /* aligned right; a number in JSON */
};
struct ss_table_cell {
    char *exact, *human;
};
struct ss_table {
    size_t columns, rows;
    struct ss_table_head *head; /* (columns) */
    struct ss_table_cell *cell; /* (rows, columns) */
};
void ss_table_column(struct ss_table *t, const char *name, const char *header, bool number); /* before the first row */
void ss_table_row(struct ss_table *t);                                                       /* a new row of empty cells */
/* In the last row. human NULL: the same as exact. */
void ss_table_set(struct ss_table *t, size_t column, const char *exact, const char *human);
void ss_table_free(struct ss_table *t);

void ss_table_md(const struct ss_table *t, struct ss_text *out);
void ss_table_csv(const struct ss_table *t, struct ss_text *out);
/* A tabular for \input, with booktabs rules; caption as a comment. */
void ss_table_tex(const struct ss_table *t, const char *caption, struct ss_text *out);
/* An array of objects; an empty cell is null, so is a number that is not finite. */
void ss_table_json(const struct ss_table *t, struct ss_text *out);
/* text as a Markdown cell: | and the characters of markup escaped, line ends removed. */
void ss_md_escape(struct ss_text *out, const char *text);
#endif
