/* test_filter.c — expressions of -E: truth table, precedence, models by size, errors. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "harness/filter.h"

static struct ss_cell cell(const char *model, const char *variant, size_t tokens)
{
    struct ss_cell c = {.tokens = tokens, .seed = 1};
    snprintf(c.model, sizeof c.model, "%s", model);
    snprintf(c.variant, sizeof c.variant, "%s", variant);
    snprintf(c.backend, sizeof c.backend, "cpu");
    snprintf(c.phase, sizeof c.phase, "prefill");
    return c;
}

static bool matches(const char *text, const struct ss_cell *c)
{
    struct ss_filter *f;
    cr_assert_eq(ss_filter_parse(&f, text), SS_OK, "%s", text);
    bool yes = ss_filter_match(f, c);
    ss_filter_free(f);
    return yes;
}

Test(filter, truth_table)
{
    const struct ss_cell c = cell("doc-7b", "v2", 8);
    static const struct {
        const char *text;
        bool yes;
    } cases[] = {
        {"model==doc-7b", true},
        {"model==7b", true},
        {"model!=7b", false},
        {"model==doc-1.5b", false},
        {"model == '7b'", true},
        {"model=~doc-*", true},
        {"model=~'qwen*'", false},
        {"model<=7b", true},
        {"model<7b", false},
        {"model>1.5b", true},
        {"model>=14b", false},
        {"model<=doc-7b", true},
        {"model<qwen2.5-14b", true},
        {"variant==v2", true},
        {"variant!=v2", false},
        {"variant=~v*", true},
        {"backend==cpu", true},
        {"phase==prefill", true},
        {"placement==one", true},
        {"placement!=one", false},
        {"placement=~s*", false},
        {"tokens==8", true},
        {"tokens<64", true},
        {"tokens>=9", false},
        {"tokens!=8", false},
        {"seed==1", true},
        {"!variant==v2", false},
        {"!!variant==v2", true},
        {"!(variant==v3)", true},
        {"variant==v2&&tokens<64", true},
        {"variant==v2 && tokens>64", false},
        {"variant==v3 || tokens<64", true},
        {"variant==v3 || tokens>64", false},
        {"variant==v2 || variant==v3 && tokens>64", true}, /* && binds closer */
        {"(variant==v2 || variant==v3) && tokens>64", false},
        {" ( ( tokens <= 8 ) ) ", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(matches(cases[i].text, &c), cases[i].yes, "%s", cases[i].text);
}

Test(filter, no_expression_matches_everything)
{
    const struct ss_cell c = cell("doc-72b", "plain", 1);
    cr_assert(matches(NULL, &c));
}

/* qwen2.5-7b has 7.6e9 parameters: "7b" beside it means the 7b of its own family, not the number. */
Test(filter, a_size_means_the_model_of_the_same_family)
{
    const struct ss_cell qwen = cell("qwen2.5-7b", "v2", 8), doc = cell("doc-14b", "v2", 8), tiny = cell("tiny-lm", "v2", 8);
    cr_assert(matches("model<=7b", &qwen));
    cr_assert_not(matches("model<7b", &qwen));
    cr_assert_not(matches("model<=7b", &doc));
    cr_assert(matches("model<1.5b", &tiny));
    cr_assert(matches("model<1b", &tiny)); /* no family has a 1b: the number */
}

Test(filter, errors_name_the_place)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "a field expected"},
        {"modle==7b", "'model'"},
        {"model", "expected at 'the end'"},
        {"model=7b", "expected at '=7b'"},
        {"model==", "a value expected"},
        {"model==doc-8b", "no model or size 'doc-8b'"},
        {"variant<v3", "has no order"},
        {"tokens=~8*", "is a number"},
        {"tokens<many", "tokens"},
        {"(tokens<8", "')' expected"},
        {"tokens<8)", "expected at ')'"},
        {"tokens<8 tokens>2", "expected at 'tokens>2'"},
        {"tokens<8 &&", "a field expected"},
        {"tokens<8 & tokens>2", "expected at '& tokens>2'"},
        {"model=='7b", "not closed"},
        {"!", "a field expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ss_filter *f = NULL;
        ss_set_error_silent(1);
        enum ss_err err = ss_filter_parse(&f, cases[i].text);
        ss_set_error_silent(0);
        cr_expect_eq(err, SS_USAGE, "%s", cases[i].text);
        cr_expect_null(f);
        cr_expect(strstr(ss_last_error(), cases[i].says) != NULL, "%s: %s", cases[i].text, ss_last_error());
    }
}

Test(filter, nesting_is_bounded)
{
    char text[4096] = "";
    for (int i = 0; i < 1000; i++)
        strcat(text, "(");
    struct ss_filter *f;
    ss_set_error_silent(1);
    cr_assert_eq(ss_filter_parse(&f, text), SS_USAGE);
}
