/* test_cli.c — flags, help, nearest matches; exit statuses of the real program. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cli.h"
#include "tests/program.h"

struct parsed {
    struct ss_cli cli;
    struct ss_text_list names, set;
    const char *window;
    uint64_t count;
    bool plan, done;
    enum ss_err err;
};

static struct parsed parse(int argc, char **argv)
{
    struct parsed p = {.count = 7};
    const struct ss_flag flags[] = {
        {"--window", "N", SS_FLAG_TEXT, &p.window, "text"},
        {"--count", "N", SS_FLAG_U64, &p.count, "number"},
        {"--set", "K=V", SS_FLAG_LIST, &p.set, "list"},
        {"-n", NULL, SS_FLAG_BOOL, &p.plan, "switch"},
        {0},
    };
    ss_set_error_silent(1);
    p.err = ss_flags_parse(&p.cli, "shardscale test", flags, argc, argv, &p.names, &p.done);
    ss_set_error_silent(0);
    ss_set_quiet(0);
    return p;
}
#define PARSE(...) parse((int)(sizeof(char *[]){"test", __VA_ARGS__} / sizeof(char *)), (char *[]){"test", __VA_ARGS__, NULL})

Test(cli, values_come_after_a_blank_or_an_equals_sign)
{
    struct parsed p = PARSE("--window", "12", "--count=99", "a", "-n", "b");
    cr_assert_eq(p.err, SS_OK);
    cr_assert_str_eq(p.window, "12");
    cr_assert_eq(p.count, 99);
    cr_assert(p.plan);
    cr_assert_eq(p.names.n, 2);
    cr_assert_str_eq(p.names.v[0], "a");
    cr_assert_str_eq(p.names.v[1], "b");
}

Test(cli, defaults_hold_where_no_flag_is_given)
{
    struct parsed p = PARSE("x");
    cr_assert_eq(p.err, SS_OK);
    cr_assert_eq(p.count, 7);
    cr_assert_null(p.window);
    cr_assert_null(p.cli.results);
    cr_assert_null(p.cli.filter);
    cr_assert_eq(p.cli.seed, 1);
    cr_assert_eq(p.cli.verbosity, 0);
    cr_assert_str_eq(p.cli.color, "auto");
}

Test(cli, common_flags_are_known_everywhere)
{
    struct parsed p = PARSE("--results", "r", "-E", "tokens<9", "-o", "json", "--seed", "5", "--color", "never", "-v");
    cr_assert_eq(p.err, SS_OK);
    cr_assert_str_eq(p.cli.results, "r");
    cr_assert_str_eq(p.cli.filter, "tokens<9");
    cr_assert_str_eq(p.cli.format, "json");
    cr_assert_eq(p.cli.seed, 5);
    cr_assert_eq(p.cli.verbosity, 1);
}

Test(cli, a_list_keeps_its_order)
{
    struct parsed p = PARSE("--set", "a=1", "--set=b=2");
    cr_assert_eq(p.err, SS_OK);
    cr_assert_eq(p.set.n, 2);
    cr_assert_str_eq(p.set.v[0], "a=1");
    cr_assert_str_eq(p.set.v[1], "b=2");
}

Test(cli, two_dashes_end_the_flags)
{
    struct parsed p = PARSE("--", "--window");
    cr_assert_eq(p.err, SS_OK);
    cr_assert_null(p.window);
    cr_assert_str_eq(p.names.v[0], "--window");
}

Test(cli, unknown_flag_names_the_nearest)
{
    struct parsed p = PARSE("--windw", "3");
    cr_assert_eq(p.err, SS_USAGE);
    cr_assert(strstr(ss_last_error(), "'--windw'") && strstr(ss_last_error(), "'--window'"), "%s", ss_last_error());
    p = PARSE("--result=x");
    cr_assert_eq(p.err, SS_USAGE);
    cr_assert(strstr(ss_last_error(), "'--results'"), "%s", ss_last_error());
}

Test(cli, bad_values_are_refused)
{
    cr_assert_eq(PARSE("--count", "many").err, SS_USAGE);
    cr_assert_eq(PARSE("--count", "-3").err, SS_USAGE);
    cr_assert_eq(PARSE("--count", "12x").err, SS_USAGE);
    cr_assert_eq(PARSE("--window").err, SS_USAGE);
    cr_assert_eq(PARSE("-n=1").err, SS_USAGE);
    cr_assert_eq(PARSE("--color", "blue").err, SS_USAGE);
    cr_assert_eq(PARSE("-q", "-v").err, SS_USAGE);
}

Test(cli, an_empty_value_is_none)
{
    cr_assert_eq(PARSE("--window", "").err, SS_USAGE);
    cr_assert_eq(PARSE("--window=").err, SS_USAGE);
    cr_assert_eq(PARSE("--count=").err, SS_USAGE);
    cr_assert_eq(PARSE("--set", "").err, SS_USAGE);
    cr_assert_eq(PARSE("--results=").err, SS_USAGE);
    cr_assert(strstr(ss_last_error(), "--results has an empty value"), "%s", ss_last_error());
}

Test(cli, a_flag_given_twice_must_say_the_same)
{
    cr_assert_eq(PARSE("--window", "3", "--window=4").err, SS_USAGE);
    cr_assert(strstr(ss_last_error(), "--window is given twice, as '3' and as '4'"), "%s", ss_last_error());
    cr_assert_eq(PARSE("--seed", "3", "--seed", "4").err, SS_USAGE);
    cr_assert_eq(PARSE("--window", "3", "--window", "3").err, SS_OK);
    cr_assert_eq(PARSE("-n", "-n").err, SS_OK);
    struct parsed p = PARSE("--set", "a=1", "--set", "ab=2");
    cr_assert_eq(ss_flags_once(&p.set, "--set"), SS_OK);
    p = PARSE("--set", "a=1", "--set", "b=1", "--set", "a=2");
    ss_set_error_silent(1);
    cr_assert_eq(ss_flags_once(&p.set, "--set"), SS_USAGE);
}

Test(cli, arguments_are_refused_where_there_are_none)
{
    struct ss_cli cli;
    bool done;
    const struct ss_flag flags[] = {{0}};
    char *argv[] = {"test", "extra", NULL};
    ss_set_error_silent(1);
    cr_assert_eq(ss_flags_parse(&cli, "test", flags, 2, argv, NULL, &done), SS_USAGE);
}

Test(cli, color_follows_the_flag_and_no_color)
{
    struct ss_cli cli = {.color = "always"};
    cr_assert(ss_color(&cli, 2));
    cli.color = "never";
    cr_assert_not(ss_color(&cli, 2));
    cli.color = "auto";
    setenv("NO_COLOR", "1", 1);
    cr_assert_not(ss_color(&cli, 2));
}

/* ---- the program */

Test(program, bad_usage_exits_1_with_one_line)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"rnu", "'run'"},
        {"run --profil smoke", "'--profile'"},
        {"run --profile small", "unknown profile 'small'"},
        {"run no-such-experiment", "no such experiment"},
        {"run latncy", "'latency'"},
        {"run --backend tpu", "unknown backend 'tpu'"},
        {"run -E 'modell==x'", "'model'"},
        {"run -E 'variant==v2 &&'", "a field expected"},
        {"run -n -E 'tokens==123456'", "no cell matches"},
        {"run -n --rerun some", "--rerun some"},
        {"run -n --set nonsense=1", "no variant of this sweep"},
        {"list nothing", "list has no 'nothing'"},
        {"list -o xml", "-o xml"},
        {"help rnu", "'run'"},
        {"cell", "--results"},
        {"run -n --repeats 1001", "--repeats = '1001'"},
        {"compar", "'compare'"},
        {"compare results", "two sets"},
        {"export", "one format"},
        {"merge x.h5", "what to read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_one_line(cases[i].args, 1, cases[i].says);
}

Test(program, help_and_version_exit_0)
{
    static const char *const args[] = {"--help",      "help",          "--version",      "help run",      "run --help",
                                       "list --help", "doctor --help", "compare --help", "export --help", "merge --help"};
    for (size_t i = 0; i < sizeof args / sizeof args[0]; i++) {
        char out[8192];
        cr_expect_eq(program(args[i], out, sizeof out), 0, "%s: %s", args[i], out);
        cr_expect_null(strchr(out, '\033'));
    }
}

Test(program, list_is_the_same_in_text_and_json)
{
    char text[16384], json[65536];
    cr_assert_eq(program("list models variants", text, sizeof text), 0);
    cr_assert_eq(program("list models variants -o json", json, sizeof json), 0);
    static const char *const names[] = {"doc-7b", "qwen2.5-72b", "tiny-lm", "plain", "v2", "v3"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\"", names[i]);
        cr_expect(strstr(text, names[i]) != NULL, "%s", names[i]);
        cr_expect(strstr(json, quoted) != NULL, "%s", names[i]);
    }
}
