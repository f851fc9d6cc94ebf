/* test_options.c — variant options, token id files. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/ids.h"
#include "tests/scratch.h"
#include "variants/variant.h"

Test(options, standard_values_and_round_trip)
{
    for (size_t i = 0; ss_variants[i]; i++) {
        int64_t a[SS_MAX_OPTIONS], b[SS_MAX_OPTIONS];
        char text[256];
        cr_assert_eq(ss_options_parse(ss_variants[i], "", a), SS_OK);
        ss_options_print(ss_variants[i], a, text, sizeof text);
        cr_assert_eq(ss_options_parse(ss_variants[i], text, b), SS_OK);
        cr_assert_arr_eq(a, b, sizeof a);
    }
}

Test(options, bad_options_name_the_remedy)
{
    static const struct {
        const char *variant, *text, *says;
    } bad[] = {{"v2", "frak=16", "did you mean 'frac'"},
               {"v2", "frac=99", "frac"},
               {"v2", "frac=", "frac"},
               {"v2", "frac", "needs a value"},
               {"plain", "compute=fp16", "fp32,bf16"}};
    ss_set_error_silent(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t values[SS_MAX_OPTIONS];
        cr_assert_eq(ss_options_parse(ss_variant_find(bad[i].variant), bad[i].text, values), SS_USAGE, "%s", bad[i].text);
        cr_assert(strstr(ss_last_error(), bad[i].says), "%s: %s", bad[i].text, ss_last_error());
    }
}

static enum ss_err read_text(struct ss_sequences *s, const char *text)
{
    char path[SCRATCH_PATH];
    scratch_file(path, "ids");
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
    return ss_sequences_read(s, path, 512);
}

Test(ids, a_line_is_a_sequence)
{
    struct ss_sequences s;
    cr_assert_eq(read_text(&s, "1 2 3\n\n511,0\r\n  7\t8 9 10"), SS_OK);
    cr_assert_eq(s.n, 3);
    cr_assert_eq(s.start[1], 3);
    cr_assert_eq(s.start[2], 5);
    cr_assert_eq(s.start[3], 9);
    cr_assert_eq(s.ids[3], 511);
    cr_assert_eq(s.ids[8], 10);
    cr_assert_eq(s.longest, 4);
    ss_sequences_free(&s);
}

Test(ids, bad_files_name_the_line)
{
    static const char *const bad[] = {"1 2\n3 x 4\n", "1 2\n-3\n", "1\n512\n", "1\n99999999999999999999\n",
                                      "1\n3.5\n",     "",          "\n\n"};
    ss_set_error_silent(1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ss_sequences s;
        cr_assert_eq(read_text(&s, bad[i]), SS_USAGE, "'%s'", bad[i]);
        if (i < 5)
            cr_assert(strstr(ss_last_error(), ":2: "), "%s", ss_last_error());
    }
    struct ss_sequences s;
    cr_assert_eq(ss_sequences_read(&s, "/no/such/file", 10), SS_USAGE);
    cr_assert_eq(ss_sequences_read(&s, "/tmp", 10), SS_USAGE);
}
