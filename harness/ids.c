/* ids.c — see ids.h. */
#include "harness/ids.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/file.h"

enum { MAX_IDS_BYTES = 1 << 30 };

/* Reads one number at *p; false at the end of the line or of the text. */
static enum ss_err next_id(const char **p, const char *end, size_t vocab, const char *path, size_t line, int32_t *id,
                           int *found)
{
    while (*p < end && (**p == ' ' || **p == '\t' || **p == ',' || **p == '\r'))
        ++*p;
    *found = *p < end && **p != '\n';
    if (!*found)
        return SS_OK;
    uint64_t value = 0;
    const char *start = *p;
    while (*p < end && **p >= '0' && **p <= '9' && value < 1u << 31)
        value = 10 * value + (uint64_t)(*(*p)++ - '0');
    int terminated = *p == end || strchr(" \t,\r\n", **p) != NULL;
    if (*p == start || !terminated)
        SS_FAIL(SS_USAGE, "%s:%zu: '%.*s' is not a token id; write decimal numbers separated by blanks, a line a sequence",
                path, line, (int)strcspn(start, " \t,\r\n") < 24 ? (int)strcspn(start, " \t,\r\n") : 24, start);
    if (value >= vocab)
        SS_FAIL(SS_USAGE, "%s:%zu: token id %llu is outside the vocabulary, 0 to %zu", path, line, (unsigned long long)value,
                vocab - 1);
    *id = (int32_t)value;
    return SS_OK;
}

static enum ss_err read_lines(struct ss_sequences *s, const char *p, const char *end, size_t vocab, const char *path)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t total = 0;
    if ((size_t)(end - p) >= sizeof mark - 1 && memcmp(p, mark, sizeof mark - 1) == 0)
        SS_FAIL(SS_USAGE, "%s: begins with a UTF-8 byte order mark; save it without one", path);
    for (size_t line = 1; p < end; line++) {
        size_t first = total;
        for (;;) {
            int found;
            SS_TRY(next_id(&p, end, vocab, path, line, &s->ids[total], &found));
            if (!found)
                break;
            total++;
        }
        if (p < end)
            p++; /* the newline */
        if (total == first)
            continue;
        s->start[++s->n] = total;
        if (total - first > s->longest)
            s->longest = total - first;
    }
    return SS_OK;
}

enum ss_err ss_sequences_read(struct ss_sequences *s, const char *path, size_t vocab)
{
    enum ss_err err = SS_OK;
    char *text;
    size_t n;
    *s = (struct ss_sequences){0};
    SS_TRY(ss_file_read(&text, &n, path, MAX_IDS_BYTES));
    s->ids = malloc((n / 2 + 2) * sizeof *s->ids); /* an id takes a digit and a separator at least */
    s->start = calloc(n / 2 + 3, sizeof *s->start);
    if (!s->ids || !s->start)
        SS_FAIL_OUT(SS_ENV, "out of memory for the ids of '%s'", path);
    SS_TRY_OUT(read_lines(s, text, text + n, vocab, path));
    if (s->n == 0)
        SS_FAIL_OUT(SS_USAGE, "'%s' holds no token id; write decimal numbers separated by blanks, a line a sequence", path);
out:
    free(text);
    if (err != SS_OK)
        ss_sequences_free(s);
    return err;
}

void ss_sequences_free(struct ss_sequences *s)
{
    free(s->ids);
    free(s->start);
    *s = (struct ss_sequences){0};
}

enum ss_err ss_bytes_read(int32_t **ids, size_t *n, const char *path)
{
    enum ss_err err = SS_OK;
    int fd;
    unsigned char *bytes = NULL;
    *ids = NULL;
    const char *why = ss_file_open(&fd, n, path);
    if (why)
        SS_FAIL(SS_USAGE, "cannot read '%s': %s; name a readable file", path, why);
    bytes = malloc(*n + 1);
    *ids = malloc((*n + 1) * sizeof **ids);
    if (!bytes || !*ids)
        SS_FAIL_OUT(SS_ENV, "out of memory for the %zu bytes of '%s'", *n, path);
    for (size_t got = 0; got < *n;) {
        ssize_t more = read(fd, bytes + got, *n - got);
        if (more <= 0)
            SS_FAIL_OUT(SS_USAGE, "'%s' could be read only up to byte %zu of %zu; is another program writing it?", path, got,
                        *n);
        got += (size_t)more;
    }
    for (size_t i = 0; i < *n; i++)
        (*ids)[i] = bytes[i];
out:
    close(fd);
    free(bytes);
    if (err != SS_OK)
        free(*ids);
    return err;
}
