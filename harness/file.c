/* file.c — small input files read whole. */
#include "harness/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *ss_file_open(int *fd, size_t *bytes, const char *path)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (*fd < 0)
        return strerror(errno);
    if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *bytes = (size_t)st.st_size;
        return NULL;
    }
    close(*fd);
    *fd = -1;
    return "not a regular file";
}

enum ss_err ss_file_read(char **text, size_t *n, const char *path, size_t max)
{
    enum ss_err err = SS_OK;
    int fd = -1;
    size_t bytes = 0, got = 0;
    char *t = NULL;
    const char *why = ss_file_open(&fd, &bytes, path);
    if (why != NULL)
        SS_FAIL_OUT(SS_USAGE, "%s: cannot be read (%s); give the path of a readable file", path, why);
    if (bytes > max)
        SS_FAIL_OUT(SS_USAGE, "%s: %zu bytes, at most %zu expected; is this the right file?", path, bytes, max);
    t = malloc(bytes + 1);
    if (t == NULL)
        SS_FAIL_OUT(SS_ENV, "%s: no memory for %zu bytes; free some", path, bytes);
    while (got < bytes) {
        ssize_t r = read(fd, t + got, bytes - got);
        if (r <= 0)
            SS_FAIL_OUT(SS_USAGE, "%s: read stopped at byte %zu of %zu; check the disk", path, got, bytes);
        got += (size_t)r;
    }
    t[bytes] = '\0';
    if (memchr(t, '\0', bytes) != NULL)
        SS_FAIL_OUT(SS_USAGE, "%s: holds a NUL byte, so it is not text; is this the right file?", path);
    *text = t;
    *n = bytes;
    t = NULL;
out:
    free(t);
    if (fd >= 0)
        close(fd);
    return err;
}
