/* ids.h — token ids from text files. */
#ifndef SS_IDS_H
#define SS_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

/* Sequences of ids: decimal numbers separated by blanks or commas, one sequence a line, empty lines ignored. */
struct ss_sequences {
    size_t n;      /* sequences */
    size_t *start; /* (n + 1) offsets into ids */
    int32_t *ids;  /* all of them, one after the other */
    size_t longest;
};
/* Anything but ids in [0, vocab), or no id at all: SS_USAGE naming file and line. */
SS_CHECKED enum ss_err ss_sequences_read(struct ss_sequences *s, const char *path, size_t vocab);
void ss_sequences_free(struct ss_sequences *s);
/* Bytes of a file as ids 0..255. */
SS_CHECKED enum ss_err ss_bytes_read(int32_t **ids, size_t *n, const char *path);
#endif
