/* cli.h — command line: one table of flags per command, the common flags everywhere. */
#ifndef SS_CLI_H
#define SS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

struct ss_cli {          /* the common flags */
    const char *results; /* --results DIR, default results/<profile> where a command needs one, else NULL */
    const char *filter;  /* -E EXPR, NULL: all */
    const char *format;  /* -o FMT or file, NULL: the command's own */
    const char *color;   /* auto, never, always */
    uint64_t seed;       /* --seed N, default 1 */
    int verbosity;       /* -q: -1, -v: 1 */
};
enum ss_flag_kind { SS_FLAG_BOOL, SS_FLAG_TEXT, SS_FLAG_U64, SS_FLAG_LIST };
struct ss_text_list {
    size_t n;
    const char *v[32];
};
struct ss_flag {
    const char *name; /* "--window"; the last entry has NULL */
    const char *arg;  /* "N" in the help, NULL for a bool */
    enum ss_flag_kind kind;
    void *value; /* bool *, const char **, uint64_t *, struct ss_text_list * (may be repeated) */
    const char *help;
};
/* Parses flags (--x V, --x=V) and common flags; positional arguments are collected in order. Unknown flag: SS_USAGE with the
   nearest match. A flag with one value may come again only with the same one. --help prints the command's help on stdout and
   sets *done. */
SS_CHECKED enum ss_err ss_flags_parse(struct ss_cli *cli, const char *usage, const struct ss_flag *flags, int argc, char **argv,
                                      struct ss_text_list *positional, bool *done);
/* SS_USAGE if one of the common flags named in `flags` ("--results -E -o") was given: it means nothing to this command. */
SS_CHECKED enum ss_err ss_flags_refuse(const struct ss_cli *cli, const char *command, const char *flags);
/* SS_USAGE if a list of KEY=VALUE has two entries for one KEY. */
SS_CHECKED enum ss_err ss_flags_once(const struct ss_text_list *list, const char *flag);
bool ss_color(const struct ss_cli *cli, int fd); /* auto: a terminal and no NO_COLOR */

struct ss_command {
    const char *name, *summary;
    enum ss_err (*run)(int argc, char **argv); /* argv[0] is the command's name */
};
extern const struct ss_command ss_commands[]; /* ends with name NULL */
enum ss_err ss_cmd_list(int argc, char **argv);
enum ss_err ss_cmd_run(int argc, char **argv);
enum ss_err ss_cmd_cell(int argc, char **argv); /* child process of run: measures one cell */
enum ss_err ss_cmd_forward(int argc, char **argv);
enum ss_err ss_cmd_eval(int argc, char **argv);
enum ss_err ss_cmd_report(int argc, char **argv);
enum ss_err ss_cmd_check(int argc, char **argv);
enum ss_err ss_cmd_compare(int argc, char **argv);
enum ss_err ss_cmd_export(int argc, char **argv);
enum ss_err ss_cmd_merge(int argc, char **argv);
enum ss_err ss_cmd_attest(int argc, char **argv);
enum ss_err ss_cmd_doctor(int argc, char **argv);

/* version.c: what this binary was built from; dirty: files that differed from the commit, and how many, or "unknown". */
extern const char ss_version_commit[], ss_version_dirty[], ss_version_dirty_count[], ss_version_cflags[], ss_version_cc[];
#endif
