/* cli.c — parsing of flags, help, nearest matches. */
#include "harness/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/config.h"

enum { MAX_FLAGS = 64, N_COMMON = 8 };

struct given { /* the values that flags have got so far */
    size_t n;
    struct {
        const struct ss_flag *flag;
        const char *value;
    } v[MAX_FLAGS];
};

static const struct ss_flag *find_flag(const struct ss_flag *flags, const char *name, size_t len)
{
    for (; flags->name; flags++)
        if (strlen(flags->name) == len && memcmp(flags->name, name, len) == 0)
            return flags;
    return NULL;
}

static enum ss_err unknown_flag(const char *arg, size_t len, const char *command, const struct ss_flag *own,
                                const struct ss_flag *common)
{
    const char *names[MAX_FLAGS];
    size_t n = 0;
    for (; own->name && n < MAX_FLAGS; own++)
        names[n++] = own->name;
    for (; common->name && n < MAX_FLAGS; common++)
        names[n++] = common->name;
    char word[128];
    snprintf(word, sizeof word, "%.*s", (int)len, arg);
    const char *near = ss_nearest(word, names, n);
    if (near)
        SS_FAIL(SS_USAGE, "unknown flag '%s'; did you mean '%s'? (all flags: shardscale help %s)", word, near, command);
    SS_FAIL(SS_USAGE, "unknown flag '%s' (all flags: shardscale help %s)", word, command);
}

/* A flag with one value keeps it: a second, other one would quietly win over the first. */
static enum ss_err note_value(struct given *g, const struct ss_flag *f, const char *value)
{
    for (size_t i = 0; i < g->n; i++) {
        if (g->v[i].flag != f)
            continue;
        if (strcmp(g->v[i].value, value) != 0)
            SS_FAIL(SS_USAGE, "%s is given twice, as '%.80s' and as '%.80s'; give it once", f->name, g->v[i].value, value);
        return SS_OK;
    }
    SS_REQUIRE(g->n < MAX_FLAGS);
    g->v[g->n].flag = f;
    g->v[g->n++].value = value;
    return SS_OK;
}

static enum ss_err set_flag(struct given *g, const struct ss_flag *f, const char *value)
{
    if (f->kind != SS_FLAG_BOOL && *value == '\0')
        SS_FAIL(SS_USAGE, "%s has an empty value; write %s %s", f->name, f->name, f->arg);
    if (f->kind == SS_FLAG_TEXT || f->kind == SS_FLAG_U64)
        SS_TRY(note_value(g, f, value));
    switch (f->kind) {
    case SS_FLAG_BOOL:
        *(bool *)f->value = true;
        break;
    case SS_FLAG_TEXT:
        *(const char **)f->value = value;
        break;
    case SS_FLAG_U64:
        return ss_parse_u64(f->value, value, 0, UINT64_MAX, f->name);
    case SS_FLAG_LIST: {
        struct ss_text_list *list = f->value;
        if (list->n == sizeof list->v / sizeof list->v[0])
            SS_FAIL(SS_USAGE, "%s: at most %zu times", f->name, list->n);
        list->v[list->n++] = value;
        break;
    }
    }
    return SS_OK;
}

static void print_flags(const char *title, const struct ss_flag *flags)
{
    if (!flags->name)
        return;
    printf("\n%s\n", title);
    for (; flags->name; flags++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", flags->name, flags->arg ? " " : "", flags->arg ? flags->arg : "");
        printf("  %-24s %s\n", left, flags->help);
    }
}

/* One argument that begins with a dash; may take the next one as its value. */
static enum ss_err parse_flag(struct given *g, int *i, int argc, char **argv, const struct ss_flag *own,
                              const struct ss_flag *common)
{
    const char *arg = argv[*i], *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
    const struct ss_flag *f = find_flag(own, arg, len);
    if (!f)
        f = find_flag(common, arg, len);
    if (!f)
        return unknown_flag(arg, len, argv[0], own, common);
    if (f->kind == SS_FLAG_BOOL) {
        if (equals)
            SS_FAIL(SS_USAGE, "%s takes no value", f->name);
        return set_flag(g, f, NULL);
    }
    if (equals)
        return set_flag(g, f, equals + 1);
    if (*i + 1 >= argc)
        SS_FAIL(SS_USAGE, "%s needs a value: %s %s", f->name, f->name, f->arg);
    return set_flag(g, f, argv[++*i]);
}

enum ss_err ss_flags_parse(struct ss_cli *cli, const char *usage, const struct ss_flag *flags, int argc, char **argv,
                           struct ss_text_list *positional, bool *done)
{
    bool quiet = false, verbose = false, help = false;
    *cli = (struct ss_cli){.color = "auto", .seed = 1};
    *done = false;
    const struct ss_flag common[N_COMMON + 1] = {
        {"--results", "DIR", SS_FLAG_TEXT, &cli->results, "where results are, default results/<profile>"},
        {"-E", "EXPR", SS_FLAG_TEXT, &cli->filter, "only cells that match, e.g. 'variant==v2 && model<=7b'"},
        {"-o", "FMT", SS_FLAG_TEXT, &cli->format, "output format or file, where the command has one"},
        {"--seed", "N", SS_FLAG_U64, &cli->seed, "seed of synthetic weights and inputs, default 1"},
        {"--color", "WHEN", SS_FLAG_TEXT, &cli->color, "auto, never or always"},
        {"-q", NULL, SS_FLAG_BOOL, &quiet, "errors only"},
        {"-v", NULL, SS_FLAG_BOOL, &verbose, "more detail"},
        {"--help", NULL, SS_FLAG_BOOL, &help, "this text"},
        {0},
    };
    struct ss_text_list none = {0};
    if (!positional)
        positional = &none;
    struct given given = {0};
    bool flags_end = false;
    for (int i = 1; i < argc; i++) {
        if (!flags_end && strcmp(argv[i], "--") == 0) {
            flags_end = true;
        } else if (!flags_end && argv[i][0] == '-' && argv[i][1] != '\0') {
            SS_TRY(parse_flag(&given, &i, argc, argv, flags, common));
        } else {
            if (positional == &none)
                SS_FAIL(SS_USAGE, "unexpected argument '%s' (see shardscale help %s)", argv[i], argv[0]);
            if (positional->n == sizeof positional->v / sizeof positional->v[0])
                SS_FAIL(SS_USAGE, "more than %zu arguments", positional->n);
            positional->v[positional->n++] = argv[i];
        }
    }
    if (help) {
        printf("usage: %s\n", usage);
        print_flags("flags:", flags);
        print_flags("common flags:", common);
        *done = true;
        return SS_OK;
    }
    if (strcmp(cli->color, "auto") != 0 && strcmp(cli->color, "never") != 0 && strcmp(cli->color, "always") != 0)
        SS_FAIL(SS_USAGE, "--color: '%s' is not auto, never or always", cli->color);
    if (quiet && verbose)
        SS_FAIL(SS_USAGE, "-q and -v exclude each other");
    cli->verbosity = quiet ? -1 : verbose ? 1 : 0;
    ss_set_quiet(quiet);
    return SS_OK;
}

enum ss_err ss_flags_refuse(const struct ss_cli *cli, const char *command, const char *flags)
{
    const struct {
        const char *name, *value;
    } common[] = {{"--results", cli->results}, {"-E", cli->filter}, {"-o", cli->format}};
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if (common[i].value && strstr(flags, common[i].name))
            SS_FAIL(SS_USAGE, "%s takes no %s; leave it out (shardscale help %s)", command, common[i].name, command);
    return SS_OK;
}

enum ss_err ss_flags_once(const struct ss_text_list *list, const char *flag)
{
    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < i; k++) {
            size_t n = strcspn(list->v[i], "=");
            if (strcspn(list->v[k], "=") == n && memcmp(list->v[i], list->v[k], n) == 0)
                SS_FAIL(SS_USAGE, "%s is given twice for %.*s, as %.80s and as %.80s; give it once", flag, (int)n, list->v[i],
                        list->v[k], list->v[i]);
        }
    return SS_OK;
}

bool ss_color(const struct ss_cli *cli, int fd)
{
    if (strcmp(cli->color, "auto") != 0)
        return strcmp(cli->color, "always") == 0;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}
