/* test_program.c — what gnuplot and cmark-gfm find around them is the same for every user. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "harness/report.h"

Test(program, neither_the_users_zone_nor_language_reaches_it)
{
    struct ss_text out = {0};
    const char *const argv[] = {"sh", "-c", "echo $TZ $LC_ALL $SEEN", NULL};
    cr_assert_eq(setenv("TZ", "Asia/Tokyo", 1) | setenv("LC_ALL", "de_DE.UTF-8", 1), 0);
    cr_assert_eq(ss_program_run(&out, argv, "dash", NULL, "SEEN=1"), SS_OK);
    cr_expect_str_eq(ss_text_str(&out), "UTC0 C.UTF-8 1\n");
    ss_text_free(&out);
}
