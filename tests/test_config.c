/* ini files, strict numbers, ranges, nearest match. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/config.h"
#include "tests/scratch.h"

static char path[SCRATCH_PATH];

static void put(const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f != NULL);
    cr_assert_eq(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void begin(void)
{
    ss_set_error_silent(1);
    scratch_file(path, "config.ini");
}

TestSuite(config, .init = begin);

static enum ss_err read_text(struct ss_ini *ini, const char *text)
{
    put(text, strlen(text));
    return ss_ini_read(ini, path);
}

Test(config, reads_sections_keys_lines_and_continuations)
{
    struct ss_ini ini;
    cr_assert_eq(read_text(&ini, "; comment\n[a]\nx = 1\n\ny=two words ; note\n[b]\nx = long\n  value\n"), SS_OK);
    cr_assert_eq(ini.n, 3);
    cr_expect_str_eq(ss_ini_get(&ini, "a", "x"), "1");
    cr_expect_str_eq(ss_ini_get(&ini, "a", "y"), "two words");
    cr_expect_str_eq(ss_ini_get(&ini, "b", "x"), "long value");
    cr_expect_eq(ini.v[0].line, 3);
    cr_expect_eq(ini.v[1].line, 5);
    cr_expect_eq(ini.v[2].line, 7);
    cr_expect_null(ss_ini_get(&ini, "b", "y"));
    ss_ini_free(&ini);
    cr_expect_eq(ini.n, 0);
}

Test(config, bad_files_are_one_line_with_their_place)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"[a]\nx = 1\nx = 2\n", ":3: the key is set a second time"},
        {"[a]\nnonsense\n", ":2: neither"},
        {"[a\n", ":1: neither"},
        {"[a]\nx = 1\nbroken\ny = 1\ny = 1\n", ":3: neither"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ss_ini ini;
        cr_expect_eq(read_text(&ini, bad[i].text), SS_USAGE, "%s", bad[i].text);
        cr_expect(strstr(ss_last_error(), bad[i].says) != NULL, "'%s' lacks '%s'", ss_last_error(), bad[i].says);
        cr_expect_null(ini.v);
    }
}

Test(config, long_lines_nul_bytes_and_odd_files_are_refused)
{
    struct ss_ini ini;
    char text[5000] = "[a]\nx = ";
    memset(text + 8, 'v', sizeof text - 9);
    cr_expect_eq(read_text(&ini, text), SS_USAGE);
    cr_expect(strstr(ss_last_error(), ":2: line too long") != NULL, "%s", ss_last_error());
    put("[a]\nx\0y = 1\n", 12);
    cr_expect_eq(ss_ini_read(&ini, path), SS_USAGE);
    cr_expect_eq(ss_ini_read(&ini, "/tmp"), SS_USAGE);
    cr_expect_eq(ss_ini_read(&ini, "/nowhere/x.ini"), SS_USAGE);
    cr_expect(strstr(ss_last_error(), "/nowhere/x.ini") != NULL);
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(ss_ini_read(&ini, path), SS_USAGE, "a FIFO must be refused, not waited for");
    memset(text, 'p', sizeof text - 1);
    cr_expect_eq(ss_ini_read(&ini, text), SS_USAGE);
}

Test(config, unknown_keys_get_the_nearest_match)
{
    static const char *const known[] = {"model.d_ff", "model.vocab", "plot.*", NULL};
    struct ss_ini ini;
    cr_assert_eq(read_text(&ini, "[model]\nd_ff = 1\nvocab = 2\n[plot]\nanything = 3\n"), SS_OK);
    cr_expect_eq(ss_ini_check(&ini, known), SS_OK);
    ss_ini_free(&ini);
    cr_assert_eq(read_text(&ini, "[model]\nd_ff = 1\nvocap = 2\n"), SS_OK);
    cr_expect_eq(ss_ini_check(&ini, known), SS_USAGE);
    cr_expect(strstr(ss_last_error(), ":3: unknown key model.vocap; did you mean model.vocab?") != NULL, "%s", ss_last_error());
    ss_ini_free(&ini);
    cr_assert_eq(read_text(&ini, "[plots]\nx = 1\n"), SS_OK);
    cr_expect_eq(ss_ini_check(&ini, known), SS_USAGE);
    ss_ini_free(&ini);
    cr_assert_eq(read_text(&ini, "d_ff = 1\n"), SS_OK);
    cr_expect_eq(ss_ini_check(&ini, known), SS_USAGE, "a key before any section is unknown");
    ss_ini_free(&ini);
}

Test(config, nearest)
{
    static const char *const names[] = {"plain", "v2", "v3", "v3-cc", "v3-mpc", "v3-ot"};
    cr_expect_str_eq(ss_nearest("plane", names, 6), "plain");
    cr_expect_str_eq(ss_nearest("v3-mcp", names, 6), "v3-mpc");
    cr_expect_str_eq(ss_nearest("v3ot", names, 6), "v3-ot");
    cr_expect_null(ss_nearest("something", names, 6));
    cr_expect_null(ss_nearest("x", names, 0));
    char long_word[400];
    memset(long_word, 'v', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    cr_expect_null(ss_nearest(long_word, names, 6));
}

Test(config, whole_numbers_are_strict)
{
    static const char *const bad[] = {"",  " 1", "1 ", "-1", "+1", "1.0", "1e3", "0x10", "one", "18446744073709551616",
                                      "3", "100"};
    uint64_t v = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(ss_parse_u64(&v, bad[i], 5, 99, "n"), SS_USAGE, "'%s'", bad[i]);
    cr_expect_eq(v, 0);
    cr_expect_eq(ss_parse_u64(&v, "5", 5, 99, "n"), SS_OK);
    cr_expect_eq(v, 5);
    cr_expect_eq(ss_parse_u64(&v, "18446744073709551615", 0, UINT64_MAX, "n"), SS_OK);
    cr_expect_eq(v, UINT64_MAX);
}

Test(config, real_numbers_are_strict)
{
    static const char *const bad[] = {"", " 1", "1 ", "nan", "inf", "0x1p3", "1,5", "1e", "--1", "1e400", "11"};
    double v = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(ss_parse_real(&v, bad[i], 0, 10, "x"), SS_USAGE, "'%s'", bad[i]);
    cr_expect_eq(ss_parse_real(&v, "1e-6", 0, 10, "x"), SS_OK);
    cr_expect_eq(v, 1e-6);
}

Test(config, ranges)
{
    static const struct {
        const char *text;
        size_t n;
        uint64_t v[8];
    } good[] = {
        {"56", 1, {56}},
        {" 8, 56 ", 2, {8, 56}},
        {"64-4096*2", 7, {64, 128, 256, 512, 1024, 2048, 4096}},
        {"64-100*2", 1, {64}},
        {"8-64+8", 8, {8, 16, 24, 32, 40, 48, 56, 64}},
        {"1,10-12+1", 4, {1, 10, 11, 12}},
        {"18446744073709551614-18446744073709551615+1", 2, {UINT64_MAX - 1, UINT64_MAX}},
    };
    static const char *const bad[] = {"",     ",",      "1,",    "a",   "1-8",     "8-1+1",  "0-8*2", "1-8*1", "1-8+0",
                                      "1-8*", "1-8+1x", "1-9+1", "5,5", "4,1-8*2", "1--2+1", "1 2",   "-1"};
    uint64_t v[8];
    size_t n;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect_eq(ss_parse_range(v, 8, &n, good[i].text, "seq"), SS_OK, "%s", good[i].text);
        cr_assert_eq(n, good[i].n, "%s", good[i].text);
        cr_expect(memcmp(v, good[i].v, n * sizeof *v) == 0, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(ss_parse_range(v, 8, &n, bad[i], "seq"), SS_USAGE, "'%s'", bad[i]);
}

Test(config, split)
{
    char text[] = " a, b ,c,, d ", *v[8];
    cr_assert_eq(ss_split(text, ',', v, 8), 5);
    cr_expect_str_eq(v[0], "a");
    cr_expect_str_eq(v[1], "b");
    cr_expect_str_eq(v[2], "c");
    cr_expect_str_eq(v[3], "");
    cr_expect_str_eq(v[4], "d");
    char empty[] = "  ", more[] = "1,2,3";
    cr_expect_eq(ss_split(empty, ',', v, 8), 0);
    cr_assert_eq(ss_split(more, ',', v, 2), 2);
    cr_expect_str_eq(v[1], "2,3");
}
