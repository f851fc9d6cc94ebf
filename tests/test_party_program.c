/* test_party_program.c — `forward --party` as a user runs it: three programs on the loopback address, killed, stopped, or
   started with things that do not fit. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/clock.h"
#include "harness/stream.h"
#include "tests/roles.h"
#include "tests/scratch.h"
#include "variants/variant.h"

enum { MAX_ARGS = 24, TIMEOUT_S = 4, SAYS = 4096 };

struct three {
    char dir[SCRATCH_PATH], listen[32], dealer[32], model[1100], ids[100], out[100];
    pid_t pid[SS_N_ROLES];
    int said[SS_N_ROLES]; /* read end: stdout and stderr of each */
};

/* Sequences of 40 tokens, a line each. */
static void three_open(struct three *t, int sequences)
{
    if (!getenv("SHARDSCALE"))
        cr_skip("SHARDSCALE is not set: make tests sets it");
    memset(t, 0, sizeof *t);
    scratch_dir(t->dir);
    snprintf(t->listen, sizeof t->listen, "127.0.0.1:%d", free_port());
    snprintf(t->dealer, sizeof t->dealer, "127.0.0.1:%d", free_port());
    snprintf(t->model, sizeof t->model, "%s/tests/data/qwen2-tiny-a", ss_home());
    snprintf(t->ids, sizeof t->ids, "%s/ids", t->dir);
    snprintf(t->out, sizeof t->out, "%s/out.h5", t->dir);
    FILE *f = fopen(t->ids, "w");
    for (int s = 0; s < sequences; s++)
        for (int i = 0; i < 40; i++)
            fprintf(f, "%d%c", (7 * s + i) % 512, i == 39 ? '\n' : ' ');
    fclose(f);
}

static void three_close(struct three *t)
{
    for (int role = 0; role < SS_N_ROLES; role++)
        close(t->said[role]);
    unlink(t->ids);
    unlink(t->out);
    cr_expect_eq(rmdir(t->dir), 0, "something else was left in %s", t->dir);
}

/* Starts role with `set` as its option (or NULL). */
static void start(struct three *t, int role, const char *variant, const char *set)
{
    static const char *const names[SS_N_ROLES] = {"0", "1", "dealer"};
    const char *args[MAX_ARGS] = {getenv("SHARDSCALE"), "forward", "--party",   names[role], "--weights", t->model,
                                  "--variant",          variant,   "--backend", "cpu",       "--threads", "1",
                                  "--timeout",          "4"};
    int n = 14, fd[2];
    if (role != SS_P1)
        args[n++] = "--listen", args[n++] = role == SS_P0 ? t->listen : t->dealer;
    else
        args[n++] = "--connect", args[n++] = t->listen;
    if (role != SS_DEALER && ss_variant_find(variant)->dealer)
        args[n++] = "--dealer", args[n++] = t->dealer;
    if (role == SS_P0)
        args[n++] = "--ids", args[n++] = t->ids, args[n++] = "-o", args[n++] = t->out;
    if (set)
        args[n++] = "--set", args[n++] = set;
    cr_assert(n < MAX_ARGS && pipe2(fd, O_CLOEXEC) == 0);
    t->pid[role] = fork();
    cr_assert_geq(t->pid[role], 0);
    if (t->pid[role] == 0) {
        dup2(fd[1], 1);
        dup2(fd[1], 2);
        execv(args[0], (char **)args);
        _exit(99);
    }
    close(fd[1]);
    t->said[role] = fd[0];
}

/* Exit status of role (minus the signal that ended it), and the rest of what it said. */
static int end_of(struct three *t, int role, char says[SAYS])
{
    size_t at = 0;
    ssize_t n;
    int status;
    while ((n = read(t->said[role], says + at, SAYS - 1 - at)) > 0)
        at += (size_t)n;
    says[at] = '\0';
    cr_assert_eq(waitpid(t->pid[role], &status, 0), t->pid[role]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Returns when P0 has printed the line of its first sequence. */
static void wait_for_first_row(struct three *t)
{
    char says[SAYS];
    size_t at = 0;
    do {
        cr_assert_lt(at, sizeof says - 1);
        cr_assert_eq(read(t->said[SS_P0], says + at, 1), 1, "P0 ended at once: %.*s", (int)at, says);
        says[++at] = '\0';
    } while (!strstr(says, "\n1 ") || says[at - 1] != '\n');
}

Test(program, three_processes_write_one_result, .timeout = 120)
{
    static const char *const variants[] = {"v3", "v3-ot", "v3-mpc", "v3-cc"};
    for (int i = 0; i < 4; i++) {
        struct three t;
        char says[SAYS];
        const int roles = ss_variant_find(variants[i])->dealer ? SS_N_ROLES : 2;
        three_open(&t, 2);
        for (int role = roles - 1; role >= 0; role--)
            start(&t, role, variants[i], NULL);
        for (int role = 0; role < roles; role++) {
            int status = end_of(&t, role, says);
            cr_expect_eq(status, 0, "role %d: %d, %s", role, status, says);
            cr_expect_null(strstr(says, "error"), "%s", says);
            cr_expect(role != SS_P0 || strstr(says, roles == 2 ? "enclave: emulated, " : "enclave: none, "), "%s", says);
        }
        cr_expect_eq(access(t.out, R_OK), 0);
        three_close(&t);
    }
}

struct blow {
    char variant[8];
    int role, signal;
};

ParameterizedTestParameters(program, a_party_that_is_lost_ends_the_others_without_a_result)
{
    static struct blow blows[] = {{"v3-ot", SS_P0, SIGKILL},      {"v3-ot", SS_P1, SIGKILL},  {"v3-ot", SS_DEALER, SIGKILL},
                                  {"v3-ot", SS_P1, SIGSTOP},      {"v3-mpc", SS_P1, SIGKILL}, {"v3-mpc", SS_DEALER, SIGKILL},
                                  {"v3-mpc", SS_DEALER, SIGSTOP}, {"v3-cc", SS_P0, SIGKILL},  {"v3-cc", SS_P1, SIGKILL}};
    return cr_make_param_array(struct blow, blows, sizeof blows / sizeof blows[0]);
}

ParameterizedTest(struct blow *b, program, a_party_that_is_lost_ends_the_others_without_a_result, .timeout = 120)
{
    struct three t;
    char says[SAYS];
    const int roles = ss_variant_find(b->variant)->dealer ? SS_N_ROLES : 2;
    three_open(&t, 20000); /* minutes and more */
    for (int role = 0; role < roles; role++)
        start(&t, role, b->variant, NULL);
    wait_for_first_row(&t);
    kill(t.pid[b->role], b->signal);
    const int64_t start_ms = ss_now_ms();
    for (int role = 0; role < roles; role++) {
        if (role == b->role)
            continue;
        int status = end_of(&t, role, says);
        const char *error = strstr(says, "error: ");
        cr_expect_eq(status, SS_ENV, "role %d ended with %d: %s", role, status, says);
        cr_expect(error && strchr(error, '\n')[1] == '\0', "not one line of error: %s", says);
        cr_expect(strstr(says, b->signal == SIGKILL ? "was lost" : "no sign of life"), "%s", says);
    }
    const int64_t limit_ms = b->signal == SIGKILL ? 1000 * TIMEOUT_S : 2000 * TIMEOUT_S;
    cr_expect_lt(ss_now_ms() - start_ms, limit_ms);
    cr_expect_neq(access(t.out, F_OK), 0, "there is a result");
    kill(t.pid[b->role], SIGKILL);
    end_of(&t, b->role, says);
    three_close(&t);
}

Test(program, processes_that_mean_different_runs_refuse_each_other_by_name, .timeout = 60)
{
    struct three t;
    char says[SAYS];
    three_open(&t, 1);
    start(&t, SS_DEALER, "v3", NULL);
    start(&t, SS_P1, "v3", "frac=15");
    start(&t, SS_P0, "v3", NULL);
    for (int role = 0; role < SS_N_ROLES; role++) {
        int status = end_of(&t, role, says);
        cr_expect(status == SS_USAGE || status == SS_ENV, "role %d ended with %d: %s", role, status, says);
        cr_expect(strstr(says, "differ in the options: '"), "role %d: %s", role, says);
    }
    cr_expect_neq(access(t.out, F_OK), 0, "there is a result");
    three_close(&t);
}

Test(program, party_flags_that_do_not_fit_exit_1_with_one_line)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"--party 2", "a role is 0, 1 or dealer"},
        {"--listen 127.0.0.1:1", "need --party"},
        {"--party 0 --dealer 127.0.0.1:1", "--listen or --connect"},
        {"--party 1 --connect 127.0.0.1:1", "--dealer"},
        {"--party dealer --connect 127.0.0.1:1", "takes --listen"},
        {"--party 1 --connect 127.0.0.1:1 --dealer 127.0.0.1:1 --ids x", "belong to --party 0"},
        {"--party dealer --listen 127.0.0.1", "is no address"},
        {"--party dealer --listen 0.0.0.0:7000", "give --tls-key"},
        {"--party dealer --listen 127.0.0.1:1 --tls-key k", "without the key of party 0"},
        {"--party dealer --listen 127.0.0.1:1 --tls-peer 0=12", "64 hex digits"},
        {"--party dealer --listen 127.0.0.1:1 --timeout 1", "--timeout"},
        {"--party 0 --listen 127.0.0.1:1 --variant plain --ids x", "one party"},
    };
    if (!getenv("SHARDSCALE"))
        cr_skip("SHARDSCALE is not set: make tests sets it");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char command[3000], out[SAYS];
        snprintf(command, sizeof command, "'%s' forward --weights '%s/tests/data/qwen2-tiny-a' %s %s 2>&1",
                 getenv("SHARDSCALE"), ss_home(), strstr(cases[i].args, "--variant") ? "" : "--variant v3", cases[i].args);
        FILE *pipe = popen(command, "r");
        cr_assert_not_null(pipe);
        out[fread(out, 1, sizeof out - 1, pipe)] = '\0';
        int status = pclose(pipe);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == SS_USAGE, "%s: %#x %s", cases[i].args, status, out);
        cr_expect(strstr(out, cases[i].says), "%s: '%s' is not in: %s", cases[i].args, cases[i].says, out);
        cr_expect(strchr(out, '\n') && strchr(out, '\n')[1] == '\0', "not one line: %s", out);
    }
}
