/* file.h — small input files read whole, with the checks that every reader needs. */
#ifndef SS_FILE_H
#define SS_FILE_H

#include <stddef.h>

#include "harness/err.h"

/* The whole regular file, at most max bytes, with a '\0' after it; *text is malloc'ed. Absent, not a regular file, unreadable,
   too large, or holding a NUL byte: SS_USAGE naming the file and the remedy. */
SS_CHECKED enum ss_err ss_file_read(char **text, size_t *n, const char *path, size_t max);
/* Why path cannot be opened as a regular file for reading (fd is then -1), NULL if it could: *fd is open, *bytes its size. */
const char *ss_file_open(int *fd, size_t *bytes, const char *path);
#endif
