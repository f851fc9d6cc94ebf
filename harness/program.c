/* program.c — running gnuplot and cmark-gfm: argument vectors, no shell. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/report.h"

enum { NOT_FOUND = 127 };

static void become(const char *const *argv, int in, int out, const char *env)
{
    char text[128];
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(1);
    setenv("LC_ALL", "C.UTF-8", 1); /* gnuplot's labels are UTF-8 and its numbers have points, whatever the user's locale */
    setenv("TZ", "UTC0", 1);        /* its PDFs carry a date with the zone */
    if (env) {
        snprintf(text, sizeof text, "%s", env);
        putenv(text);
    }
    execvp(argv[0], (char *const *)argv);
    _exit(errno == ENOENT ? NOT_FOUND : 1);
}

/* The last line that says something. */
static const char *last_line(struct ss_text *t)
{
    while (t->n && (t->p[t->n - 1] == '\n' || t->p[t->n - 1] == ' '))
        t->p[--t->n] = '\0';
    const char *text = ss_text_str(t), *line = strrchr(text, '\n');
    return line ? line + 1 : text;
}

enum ss_err ss_program_run(struct ss_text *out, const char *const *argv, const char *package, const struct ss_text *in,
                           const char *env)
{
    int ends[2], status = 0;
    FILE *input = tmpfile(); /* a file, not a second pipe: neither side can block the other */
    if (!input || pipe2(ends, O_CLOEXEC) != 0) {
        if (input)
            fclose(input);
        SS_FAIL(SS_ENV, "%s: cannot be started: %s", argv[0], strerror(errno));
    }
    if (in)
        fwrite(ss_text_str(in), 1, in->n, input);
    bool ready = fflush(input) == 0 && fseek(input, 0, SEEK_SET) == 0;
    pid_t child = ready ? fork() : -1;
    if (child == 0) {
        close(ends[0]);
        become(argv, fileno(input), ends[1], env);
    }
    fclose(input);
    close(ends[1]);
    char block[16384];
    for (ssize_t n; child > 0 && ((n = read(ends[0], block, sizeof block)) > 0 || (n < 0 && errno == EINTR));)
        ss_text_append(out, block, n > 0 ? (size_t)n : 0);
    close(ends[0]);
    if (child < 0)
        SS_FAIL(SS_ENV, "%s: cannot be started: %s", argv[0], strerror(errno));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
        SS_FAIL(SS_ENV, "%s is not installed; install the package %s (make deps)", argv[0], package);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        SS_FAIL(SS_ENV, "%s failed: %s", argv[0], last_line(out));
    return SS_OK;
}
