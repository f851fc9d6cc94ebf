/* csv.h — comma-separated files, strictly (RFC 4180): a wrong number of fields, a stray quote, an unfinished quote or another
   header is an error with its line. Lines that begin with '#' and empty lines are comments. */
#ifndef SS_CSV_H
#define SS_CSV_H

#include "harness/text.h"

struct ss_csv {
    char path[1024];
    size_t columns, rows; /* rows without the header */
    char **field;         /* (rows, columns) */
    int *line;            /* (rows) where the row begins */
};
/* header: the names that must stand in the first line, NULL-terminated. Any defect: SS_USAGE. */
SS_CHECKED enum ss_err ss_csv_read(struct ss_csv *csv, const char *path, const char *const *header);
const char *ss_csv_get(const struct ss_csv *csv, size_t row, size_t column);
void ss_csv_free(struct ss_csv *csv);
/* One field, quoted where it must be. */
void ss_csv_quote(struct ss_text *out, const char *field);
#endif
