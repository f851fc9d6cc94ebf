/* program.c — see program.h. */
#include "tests/program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

int program(const char *args, char *out, size_t size)
{
    const char *binary = getenv("SHARDSCALE");
    if (!binary)
        cr_skip("SHARDSCALE is not set: make tests sets it");
    char command[4096];
    cr_assert_lt((size_t)snprintf(command, sizeof command, "'%s' %s 2>&1", binary, args), sizeof command);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    size_t n = fread(out, 1, size - 1, pipe);
    out[n] = '\0';
    char rest[4096];
    while (fread(rest, 1, sizeof rest, pipe) > 0)
        ;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void expect_one_line(const char *args, int status, const char *says)
{
    char out[8192];
    int got = program(args, out, sizeof out);
    cr_expect_eq(got, status, "%s: exit status %d, not %d\n%s", args, got, status, out);
    cr_expect(strstr(out, says) != NULL, "%s: '%s' is not in: %s", args, says, out);
    const char *newline = strchr(out, '\n');
    cr_expect(newline && newline[1] == '\0', "%s: not one line: %s", args, out);
}
