/* config.h — ini files (inih) with known keys only, ranges, nearest match. */
#ifndef SS_CONFIG_H
#define SS_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

struct ss_ini_entry {
    char *section, *key, *value;
    int line;
};
struct ss_ini {
    char path[1024];
    size_t n;
    struct ss_ini_entry *v;
};
SS_CHECKED enum ss_err ss_ini_read(struct ss_ini *ini, const char *path);
void ss_ini_free(struct ss_ini *ini);
const char *ss_ini_get(const struct ss_ini *ini, const char *section, const char *key); /* NULL if absent */
/* Every key must be in known ("section.key" or "section.*", NULL-terminated); else SS_USAGE with file, line and nearest match.
 */
SS_CHECKED enum ss_err ss_ini_check(const struct ss_ini *ini, const char *const *known);

/* The candidate closest to word by edit distance, NULL if none is near. */
const char *ss_nearest(const char *word, const char *const *candidates, size_t n);
/* Strict numbers: the whole text, in [min, max]; `what` names it in the error. */
SS_CHECKED enum ss_err ss_parse_u64(uint64_t *out, const char *text, uint64_t min, uint64_t max, const char *what);
SS_CHECKED enum ss_err ss_parse_real(double *out, const char *text, double min, double max, const char *what);
/* "56", "8,56", "64-4096*2" (geometric), "8-64+8" (arithmetic) -> values, at most cap. */
SS_CHECKED enum ss_err ss_parse_range(uint64_t *out, size_t cap, size_t *n, const char *text, const char *what);
/* Splits "a, b ,c" in place; returns the count, at most cap; entries are trimmed. */
size_t ss_split(char *text, char sep, char **out, size_t cap);
#endif
