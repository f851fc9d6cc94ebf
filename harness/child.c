/* child.c — one cell in a process of its own: a crash, a kill for memory or a leak ends with the cell. Parent and child are the
   same executable; the order goes in by stdin, the status line comes back on descriptor 3, stderr is relayed line by line. */
#include "harness/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/clock.h"
#include "harness/config.h"
#include "harness/turns.h"

enum { STATUS_FD = 3, TICK_MS = 200, PATH_BYTES = 4096 };

/* ---- what they say to each other */

void ss_child_order_write(FILE *out, const struct ss_cell *c, const struct ss_effort *e)
{
    fprintf(out, "id=%s\nmodel=%s\nvariant=%s\nbackend=%s\nphase=%s\noptions=%s\n", c->id, c->model, c->variant, c->backend,
            c->phase, c->options);
    fprintf(out, "tokens=%zu\nseed=%" PRIu64 "\nreference=%d\nsplit=%d\n", c->tokens, c->seed, c->reference, c->split);
    fprintf(out, "warmup=%zu\nreps_min=%zu\nreps_max=%zu\ntarget=%.17g\nmax_seconds=%.17g\n", e->warmup, e->reps_min,
            e->reps_max, e->target, e->max_seconds);
    fprintf(out, "threads=%d\nweight_budget_bytes=%zu\nprocess=%zu\nturn=%" PRIu64 "\n", e->threads, e->weight_budget_bytes,
            e->process, e->turn);
}

struct slot { /* one key of the order: text of `size` bytes, or a number */
    const char *key;
    char *text;
    size_t size;
    uint64_t *number;
    double *real;
};

static enum ss_err take_line(char *line, const struct slot *slots, size_t n, unsigned *seen)
{
    line[strcspn(line, "\n")] = '\0';
    char *equals = strchr(line, '=');
    if (!equals)
        SS_FAIL(SS_USAGE, "order of the child process: no '=' in '%s'", line);
    *equals = '\0';
    const char *value = equals + 1;
    for (size_t i = 0; i < n; i++) {
        const struct slot *s = &slots[i];
        if (strcmp(s->key, line) != 0)
            continue;
        *seen |= 1u << i;
        if (s->number)
            return ss_parse_u64(s->number, value, 0, UINT64_MAX, s->key);
        if (s->real)
            return ss_parse_real(s->real, value, 0, 1e12, s->key);
        if (strlen(value) >= s->size)
            SS_FAIL(SS_USAGE, "order of the child process: %s is too long", s->key);
        memcpy(s->text, value, strlen(value) + 1);
        return SS_OK;
    }
    SS_FAIL(SS_USAGE, "order of the child process: unknown key '%s'", line);
}

enum ss_err ss_child_order_read(FILE *in, struct ss_cell *c, struct ss_effort *e)
{
    *c = (struct ss_cell){0};
    *e = (struct ss_effort){0};
    char id[sizeof c->id] = "";
    uint64_t tokens = 0, reference = 0, split = 0, warmup = 0, reps_min = 0, reps_max = 0, threads = 0, budget = 0, process = 0;
    const struct slot slots[] = {
        {.key = "id", .text = id, .size = sizeof id},
        {.key = "model", .text = c->model, .size = sizeof c->model},
        {.key = "variant", .text = c->variant, .size = sizeof c->variant},
        {.key = "backend", .text = c->backend, .size = sizeof c->backend},
        {.key = "phase", .text = c->phase, .size = sizeof c->phase},
        {.key = "options", .text = c->options, .size = sizeof c->options},
        {.key = "tokens", .number = &tokens},
        {.key = "seed", .number = &c->seed},
        {.key = "reference", .number = &reference},
        {.key = "split", .number = &split},
        {.key = "warmup", .number = &warmup},
        {.key = "reps_min", .number = &reps_min},
        {.key = "reps_max", .number = &reps_max},
        {.key = "target", .real = &e->target},
        {.key = "max_seconds", .real = &e->max_seconds},
        {.key = "threads", .number = &threads},
        {.key = "weight_budget_bytes", .number = &budget},
        {.key = "process", .number = &process},
        {.key = "turn", .number = &e->turn},
    };
    enum { N_SLOTS = sizeof slots / sizeof slots[0] };
    unsigned seen = 0;
    char line[512];
    while (fgets(line, sizeof line, in))
        SS_TRY(take_line(line, slots, N_SLOTS, &seen));
    for (size_t i = 0; i < N_SLOTS; i++)
        if (!(seen >> i & 1))
            SS_FAIL(SS_USAGE, "order of the child process: %s is missing", slots[i].key);
    c->tokens = tokens;
    c->reference = reference != 0;
    c->split = split != 0;
    e->warmup = warmup;
    e->reps_min = reps_min;
    e->reps_max = reps_max;
    e->threads = (int)threads;
    e->weight_budget_bytes = budget;
    e->process = process;
    ss_cell_identify(c);
    if (strcmp(c->id, id) != 0)
        SS_FAIL(SS_USAGE, "order of the child process: id %s is not that of its cell (%s)", id, c->id);
    return SS_OK;
}

void ss_child_status_write(FILE *out, const struct ss_child_report *r)
{
    fprintf(out, "%d %d %d %" PRIu64 " %.17g %s\n", (int)r->status, (int)r->code, r->saved, r->online_ns, r->rel_l2, r->reason);
    fflush(out);
}

bool ss_child_status_read(const char *line, struct ss_child_report *r)
{
    int status, code, saved, at = 0;
    uint64_t online_ns;
    double rel_l2;
    if (sscanf(line, "%d %d %d %" SCNu64 " %lf %n", &status, &code, &saved, &online_ns, &rel_l2, &at) != 5 || at == 0)
        return false;
    if (status < SS_MEASURED || status > SS_SKIPPED)
        return false;
    r->status = (enum ss_status)status;
    r->code = (enum ss_err)code;
    r->saved = saved != 0;
    r->online_ns = online_ns;
    r->rel_l2 = rel_l2;
    snprintf(r->reason, sizeof r->reason, "%.*s", (int)strcspn(line + at, "\n"), line + at);
    return true;
}

/* ---- the process */

/* What a child is told, and how it is started. */
struct errand {
    const struct ss_cell *cell;
    const struct ss_effort *effort;
    const char *results_dir, *program; /* program NULL: this executable */
    int turn_in, turn_out;             /* its ends of the pipes of turns.h, closed once it has them; -1: alone */
};
struct pipes {
    int order[2], status[2], errors[2]; /* [0] read end */
};
struct child {
    pid_t pid;
    int status_fd, errors_fd; /* -1: at its end */
    size_t n_status, n_errors;
    char status[1024], errors[1024]; /* what has come; errors: the line in progress */
    char last[384];                  /* last whole line on stderr: what a crash said */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pipes(struct pipes *p)
{
    for (int i = 0; i < 2; i++) {
        close_fd(&p->order[i]);
        close_fd(&p->status[i]);
        close_fd(&p->errors[i]);
    }
}

/* Between fork and exec: async-signal-safe calls only. */
__attribute__((noreturn)) static void become_child(const struct pipes *p, const struct errand *a, pid_t parent,
                                                   char *const argv[])
{
    /* Nothing of the sweep may outlive it, even when it is killed by SIGKILL. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(SS_ENV);
    setpgid(0, 0); /* Ctrl-C goes to the sweep, which decides */
    signal(SIGPIPE, SIG_DFL);
    /* Above all wanted numbers first, so that no dup2 closes a source of a later one. */
    int order = fcntl(p->order[0], F_DUPFD_CLOEXEC, 10), status = fcntl(p->status[1], F_DUPFD_CLOEXEC, 10);
    int errors = fcntl(p->errors[1], F_DUPFD_CLOEXEC, 10);
    int in = a->turn_in < 0 ? -1 : fcntl(a->turn_in, F_DUPFD_CLOEXEC, 10);
    int out = a->turn_out < 0 ? -1 : fcntl(a->turn_out, F_DUPFD_CLOEXEC, 10);
    if (order < 0 || status < 0 || errors < 0 || dup2(order, STDIN_FILENO) < 0 || dup2(errors, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || dup2(status, STATUS_FD) < 0)
        _exit(SS_ENV);
    if (a->turn_in >= 0 && (in < 0 || out < 0 || dup2(in, SS_TURN_IN) < 0 || dup2(out, SS_TURN_OUT) < 0))
        _exit(SS_ENV);
    execv(a->program ? a->program : "/proc/self/exe", argv);
    _exit(SS_ENV);
}

static enum ss_err spawn(struct child *ch, struct pipes *p, const struct errand *a)
{
    static char command[] = "shardscale", cell[] = "cell", flag[] = "--results";
    char dir[PATH_BYTES];
    snprintf(dir, sizeof dir, "%s", a->results_dir);
    char *const argv[] = {command, cell, flag, dir, NULL};
    if (pipe2(p->order, O_CLOEXEC) != 0 || pipe2(p->status, O_CLOEXEC) != 0 || pipe2(p->errors, O_CLOEXEC) != 0)
        SS_FAIL(SS_ENV, "no pipe for the child process: %s", strerror(errno));
    pid_t parent = getpid();
    fflush(NULL);
    ch->pid = fork();
    if (ch->pid < 0)
        SS_FAIL(SS_ENV, "no child process: %s (memory or process limit)", strerror(errno));
    if (ch->pid == 0)
        become_child(p, a, parent, argv);
    close_fd(&p->order[0]);
    close_fd(&p->status[1]);
    close_fd(&p->errors[1]);
    ch->status_fd = p->status[0];
    ch->errors_fd = p->errors[0];
    return SS_OK;
}

/* Relays whole lines to the screen; a line too long for the buffer goes out in pieces. */
static void take_errors(struct child *ch, struct ss_progress *progress)
{
    for (;;) {
        char *end = memchr(ch->errors, '\n', ch->n_errors);
        size_t n = end ? (size_t)(end - ch->errors) : ch->n_errors;
        if (!end && n < sizeof ch->errors - 1)
            return;
        char line[sizeof ch->errors];
        memcpy(line, ch->errors, n);
        line[n] = '\0';
        ch->n_errors -= n + (end != NULL);
        memmove(ch->errors, ch->errors + n + (end != NULL), ch->n_errors);
        if (!n)
            continue;
        snprintf(ch->last, sizeof ch->last, "%.*s", (int)sizeof ch->last - 1, line);
        ss_progress_say(progress, line);
    }
}

static void read_some(int *fd, char *buffer, size_t *n, size_t size)
{
    ssize_t got = read(*fd, buffer + *n, size - *n);
    if (got > 0)
        *n += (size_t)got;
    else if (got == 0 || errno != EINTR)
        *fd = -1; /* the pipe itself is closed by close_pipes */
}

static void listen_to(struct child *ch, struct ss_progress *progress)
{
    struct pollfd fds[2] = {{.fd = ch->status_fd, .events = POLLIN}, {.fd = ch->errors_fd, .events = POLLIN}};
    bool silent = ch->status_fd < 0 && ch->errors_fd < 0; /* only its end is awaited */
    if (poll(fds, 2, silent ? 2 : TICK_MS) <= 0)
        return;
    if (fds[0].revents) {
        if (ch->n_status + 1 >= sizeof ch->status)
            ch->status_fd = -1;
        else
            read_some(&ch->status_fd, ch->status, &ch->n_status, sizeof ch->status - 1);
    }
    if (fds[1].revents) {
        read_some(&ch->errors_fd, ch->errors, &ch->n_errors, sizeof ch->errors - 1);
        take_errors(ch, progress);
    }
}

/* The child ended without having said how: what is known is how it died and the last it wrote. */
static void explain_death(struct ss_child_report *r, const struct child *ch, int wait_status)
{
    r->status = SS_FAILED;
    r->code = SS_CELLS;
    r->saved = false;
    r->rel_l2 = -1;
    const char *head = ch->last[0] ? ": " : "";
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL)
        snprintf(r->reason, sizeof r->reason, "killed by signal 9 (out of memory?)%s%s", head, ch->last);
    else if (WIFSIGNALED(wait_status))
        snprintf(r->reason, sizeof r->reason, "killed by signal %d (%.64s)%s%s", WTERMSIG(wait_status),
                 strsignal(WTERMSIG(wait_status)), head, ch->last);
    else
        snprintf(r->reason, sizeof r->reason, "child process ended with status %d and no result%s%s", WEXITSTATUS(wait_status),
                 head, ch->last);
}

static enum ss_err run_child(struct ss_child_report *r, struct errand *a, struct ss_progress *progress,
                             const volatile sig_atomic_t *stop)
{
    *r = (struct ss_child_report){.rel_l2 = -1};
    struct pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
    struct child ch = {.status_fd = -1, .errors_fd = -1};
    double start = ss_now();
    enum ss_err err = spawn(&ch, &p, a);
    close_fd(&a->turn_in);
    close_fd(&a->turn_out);
    if (err != SS_OK) {
        close_pipes(&p);
        return err;
    }
    FILE *order = fdopen(p.order[1], "w");
    SS_REQUIRE(order);
    ss_child_order_write(order, a->cell, a->effort); /* a child that died at once shows in how it ended */
    fclose(order);
    p.order[1] = -1;
    int wait_status = 0;
    pid_t ended = 0;
    while (ch.status_fd >= 0 || ch.errors_fd >= 0 || ended == 0) {
        if (*stop && !r->interrupted) {
            r->interrupted = true;
            kill(ch.pid, SIGKILL);
        }
        listen_to(&ch, progress);
        if (ended == 0)
            ended = waitpid(ch.pid, &wait_status, WNOHANG);
        ss_progress_tick(progress);
    }
    close_pipes(&p);
    ch.status[ch.n_status] = '\0';
    if (!ss_child_status_read(ch.status, r))
        explain_death(r, &ch, wait_status);
    r->seconds = ss_now() - start;
    return SS_OK;
}

enum ss_err ss_child_run(struct ss_child_report *r, const struct ss_cell *c, const struct ss_effort *e, const char *results_dir,
                         struct ss_progress *progress, const volatile sig_atomic_t *stop)
{
    struct errand a = {.cell = c, .effort = e, .results_dir = results_dir, .turn_in = -1, .turn_out = -1};
    return run_child(r, &a, progress, stop);
}

/* ---- two in turns */

struct second {
    struct ss_child_report *report;
    struct errand errand;
    const volatile sig_atomic_t *stop;
    enum ss_err err;
};

static void *run_second(void *arg)
{
    struct second *s = arg;
    struct ss_progress silent = {.verbosity = -1};
    s->err = run_child(s->report, &s->errand, &silent, s->stop);
    return NULL;
}

enum ss_err ss_child_run_beside(struct ss_child_report r[2], const struct ss_cell *c, const struct ss_effort *e,
                                const char *results_dir, const struct ss_beside *beside, struct ss_progress *progress,
                                const volatile sig_atomic_t *stop)
{
    int to_first[2] = {-1, -1}, to_second[2] = {-1, -1};
    pthread_t thread;
    if (pipe2(to_first, O_CLOEXEC) != 0 || pipe2(to_second, O_CLOEXEC) != 0 || write(to_first[1], "", 1) != 1)
        SS_FAIL(SS_ENV, "no pipe for two processes in turns: %s", strerror(errno));
    struct errand first = {c, e, results_dir, NULL, to_first[0], to_second[1]};
    struct second second = {&r[1], {c, e, beside->results_dir, beside->program, to_second[0], to_first[1]}, stop, SS_OK};
    if (pthread_create(&thread, NULL, run_second, &second) != 0) {
        for (int i = 0; i < 2; i++) {
            close(to_first[i]);
            close(to_second[i]);
        }
        SS_FAIL(SS_ENV, "no thread for the second of two processes in turns (process limit)");
    }
    enum ss_err err = run_child(&r[0], &first, progress, stop);
    pthread_join(thread, NULL);
    return err == SS_OK ? second.err : err;
}
