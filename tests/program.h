/* program.h — the real program, as a user starts it. */
#ifndef SS_TEST_PROGRAM_H
#define SS_TEST_PROGRAM_H

#include <stddef.h>

/* Exit status of `shardscale ARGS` (a shell reads ARGS), minus the signal that ended it; both its streams in out. The test is
   skipped where SHARDSCALE does not name the program. */
int program(const char *args, char *out, size_t size);
/* Expects that exit status and a single line that holds `says`. */
void expect_one_line(const char *args, int status, const char *says);
#endif
