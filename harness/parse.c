/* parse.c — strict numbers, ranges, lists and the nearest match. */
#include "harness/config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 127 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Insertions, deletions, substitutions and swaps of neighbours from a to b (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1], n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = j;
    size_t i = 0;
    for (; a[i] != '\0'; i++) {
        const size_t *before = rows[(i + 2) % 3], *last = rows[i % 3]; /* of prefixes of a with i - 1 and i letters */
        size_t *row = rows[(i + 1) % 3];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            row[j + 1] = min3(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] != b[j]));
            if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] && before[j - 1] + 1 < row[j + 1])
                row[j + 1] = before[j - 1] + 1;
        }
    }
    return rows[i % 3][n];
}

const char *ss_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t length = strlen(word), best = SIZE_MAX;
    const char *found = NULL;
    if (length > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        if (other > WORD_MAX)
            continue;
        size_t d = distance(word, candidates[i]), longer = length > other ? length : other;
        if (d < best && d <= longer / 3 + 1 && d < longer) { /* more than that is another word, not a slip */
            best = d;
            found = candidates[i];
        }
    }
    return found;
}

/* ---- numbers */
/* Digits at *text, moved past them; false if there are none or they exceed 64 bits. */
static bool digits(uint64_t *out, const char **text)
{
    uint64_t v = 0;
    const char *s = *text;
    for (; isdigit((unsigned char)*s); s++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    bool some = s != *text;
    *text = s;
    *out = v;
    return some;
}

enum ss_err ss_parse_u64(uint64_t *out, const char *text, uint64_t min, uint64_t max, const char *what)
{
    const char *s = text;
    uint64_t v;
    if (!digits(&v, &s) || *s != '\0' || v < min || v > max)
        SS_FAIL(SS_USAGE, "%s = '%.80s': give a whole number from %llu to %llu", what, text, (unsigned long long)min,
                (unsigned long long)max);
    *out = v;
    return SS_OK;
}

enum ss_err ss_parse_real(double *out, const char *text, double min, double max, const char *what)
{
    char *end = NULL;
    double v = 0;
    bool plain = *text != '\0' && text[strspn(text, "0123456789+-.eE")] == '\0'; /* no blanks, hex, inf or nan */
    if (plain)
        v = strtod(text, &end);
    if (!plain || *end != '\0' || !(v >= min && v <= max))
        SS_FAIL(SS_USAGE, "%s = '%.80s': give a number from %g to %g", what, text, min, max);
    *out = v;
    return SS_OK;
}

/* One item, "a" or "a-b*k" or "a-b+k", appended to out; why it cannot be, or NULL. */
static const char *range_item(uint64_t *out, size_t cap, size_t *n, const char *item)
{
    uint64_t first, last, step = 1;
    char kind = '+';
    if (!digits(&first, &item))
        return "not a number";
    last = first;
    if (*item == '-') {
        item++;
        if (!digits(&last, &item) || (*item != '*' && *item != '+'))
            return "a range needs its step, as in 64-4096*2 or 8-64+8";
        kind = *item++;
        if (!digits(&step, &item))
            return "the step is not a number";
    }
    if (*item != '\0')
        return "unexpected text after the number";
    if (last < first)
        return "the range runs backwards";
    if (step < (kind == '*' ? 2u : 1u) || (kind == '*' && first == 0))
        return "the range never ends; use +1 or more, or a start above 0 and *2 or more";
    for (uint64_t v = first; v <= last;) {
        if (*n == cap)
            return "too many values";
        for (size_t i = 0; i < *n; i++)
            if (out[i] == v)
                return "a value occurs twice";
        out[(*n)++] = v;
        if (kind == '*' ? __builtin_mul_overflow(v, step, &v) : __builtin_add_overflow(v, step, &v))
            break;
    }
    return NULL;
}

enum ss_err ss_parse_range(uint64_t *out, size_t cap, size_t *n, const char *text, const char *what)
{
    enum { ITEMS = 256 };
    enum ss_err err = SS_OK;
    char *copy = strdup(text), *item[ITEMS];
    if (copy == NULL)
        SS_FAIL(SS_ENV, "%s: no memory; free some", what);
    size_t items = ss_split(copy, ',', item, ITEMS);
    *n = 0;
    if (items == 0)
        SS_FAIL_OUT(SS_USAGE, "%s is empty; give numbers such as 56, or 8,56, or 64-4096*2", what);
    for (size_t i = 0; i < items; i++) {
        const char *why = range_item(out, cap, n, item[i]);
        if (why != NULL)
            SS_FAIL_OUT(SS_USAGE, "%s = '%.80s': '%.40s': %s (at most %zu values)", what, text, item[i], why, cap);
    }
out:
    free(copy);
    return err;
}

/* An empty text has no entries; what does not fit in cap entries stays in the last one, unsplit, for the caller to refuse. */
size_t ss_split(char *text, char sep, char **out, size_t cap)
{
    size_t n = 0;
    while (isspace((unsigned char)*text))
        text++;
    while (text != NULL && n < cap && (*text != '\0' || n > 0)) {
        char *next = n + 1 < cap ? strchr(text, sep) : NULL;
        if (next != NULL)
            *next++ = '\0';
        while (isspace((unsigned char)*text))
            text++;
        size_t length = strlen(text);
        while (length > 0 && isspace((unsigned char)text[length - 1]))
            text[--length] = '\0';
        out[n++] = text;
        text = next;
    }
    return n;
}
