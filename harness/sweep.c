/* sweep.c — the loop over the cells of a plan: lock, preflight, one child after the other, the account at the end. */
#include "harness/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "harness/disk.h"
#include "harness/env.h"
#include "harness/store.h"

enum { PATH_BYTES = 4096, CELL_FILE_BYTES = 256 << 10 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
}

const char *ss_results_dir(const struct ss_cli *cli, const char *profile, char *out, size_t size)
{
    if (cli->results)
        snprintf(out, size, "%s", cli->results);
    else
        snprintf(out, size, "results/%s", profile);
    return out;
}

/* ---- preflight */

/* Two sweeps in one folder would measure each cell twice and disturb each other's times. */
static enum ss_err lock_results(int *fd, const char *dir)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/.lock", dir);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0)
        SS_FAIL(SS_ENV, "%s: %s; choose a writable folder with --results", path, strerror(errno));
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return SS_OK;
    int why = errno;
    close(*fd);
    *fd = -1;
    if (why == EWOULDBLOCK)
        SS_FAIL(SS_ENV, "%s: another sweep is writing to this folder; wait for it or choose another with --results", dir);
    SS_FAIL(SS_ENV, "%s: cannot be locked: %s", path, strerror(why));
}

/* Reserves for a moment what the cells will take, so that a full disk shows before hours of measuring. */
static enum ss_err check_space(const struct ss_plan *p, const char *dir)
{
    off_t need = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].todo)
            need += CELL_FILE_BYTES + (p->v[i].cell.reference ? (off_t)(p->v[i].shape.vocab * sizeof(float)) : 0);
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/cells/.space.part", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        SS_FAIL(SS_ENV, "%s/cells: %s; choose a writable folder with --results", dir, strerror(errno));
    int why = need ? posix_fallocate(fd, 0, need) : 0;
    close(fd);
    unlink(path);
    if (why == 0)
        return SS_OK;
    char text[32];
    ss_format_bytes(text, sizeof text, (double)need);
    SS_FAIL(SS_ENV, "%s: no room for the results (%s): %s; free some or choose another disk with --results", dir, text,
            strerror(why));
}

/* What a killed sweep was writing: incomplete, and never read. Only under the lock. */
static void remove_parts(const char *dir)
{
    char pattern[PATH_BYTES];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/cells/*.part", dir);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
}

static enum ss_err prepare(int *lock, const struct ss_plan *p, const char *dir)
{
    char cells[PATH_BYTES];
    snprintf(cells, sizeof cells, "%s/cells", dir);
    SS_TRY(ss_disk_make_dirs(cells));
    SS_TRY(lock_results(lock, dir));
    remove_parts(dir);
    return check_space(p, dir);
}

/* ---- one cell */

/* A child that died could not write its own result: a failed cell is a row with a reason, never a gap. */
static enum ss_err write_failed(const struct ss_planned *c, const char *reason, const char *dir)
{
    struct ss_result r = {.cell = c->cell, .status = SS_FAILED, .params = c->params, .shape = c->shape};
    snprintf(r.reason, sizeof r.reason, "%s", reason);
    enum ss_err err = ss_env_collect(&r.env, c->cell.backend);
    if (err == SS_OK)
        err = ss_env_finish(&r.env);
    if (err == SS_OK)
        err = ss_store_write(dir, &r);
    ss_result_free(&r);
    return err;
}

static void describe(char *out, size_t size, enum ss_progress_tone *tone, const struct ss_child_report *r)
{
    char online[32], took[32], error[48] = "";
    ss_format_seconds(took, sizeof took, r->seconds);
    switch (r->status) {
    case SS_MEASURED:
        *tone = SS_TONE_OK;
        if (r->online_ns < 1000000000)
            snprintf(online, sizeof online, "%.3g ms", 1e-6 * (double)r->online_ns);
        else
            ss_format_seconds(online, sizeof online, 1e-9 * (double)r->online_ns);
        if (r->rel_l2 >= 0)
            snprintf(error, sizeof error, "  error %.1e", r->rel_l2);
        snprintf(out, size, "online %s%s  ok (%s)", online, error, took);
        break;
    case SS_SKIPPED:
        *tone = SS_TONE_WARN;
        snprintf(out, size, "skipped: %s", r->reason);
        break;
    case SS_FAILED:
        *tone = SS_TONE_BAD;
        snprintf(out, size, "failed: %s", r->reason);
        break;
    }
}

/* Numbers of turns that no other process has: microseconds, of which a repetition takes more than one. */
static uint64_t new_turn(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The cell's process and the one beside it. One without the other cannot be compared: if the second fails, the cell has. */
static enum ss_err measure_both(struct ss_child_report *r, struct ss_planned *c, const char *dir,
                                const struct ss_beside *beside, struct ss_progress *progress)
{
    struct ss_child_report both[2];
    c->effort.turn = new_turn();
    SS_TRY(ss_child_run_beside(both, &c->cell, &c->effort, dir, beside, progress, &stop));
    *r = both[0];
    r->interrupted = both[0].interrupted || both[1].interrupted;
    const bool was_left_alone = r->code == SS_INTERRUPTED;
    if ((both[1].saved && both[1].status == r->status) || (r->status == SS_FAILED && !was_left_alone))
        return SS_OK;
    r->status = SS_FAILED;
    r->code = both[1].code == SS_COUNTS ? SS_COUNTS : SS_CELLS;
    snprintf(r->reason, sizeof r->reason, "beside, in %.200s: %.250s", beside->results_dir,
             *both[1].reason ? both[1].reason : "not saved");
    return SS_OK;
}

static enum ss_err measure(struct ss_planned *c, struct ss_pace *pace, const char *dir, const struct ss_beside *beside,
                           struct ss_progress *progress)
{
    struct ss_child_report r;
    c->effort.process = c->processes;
    SS_TRY(beside ? measure_both(&r, c, dir, beside, progress) : ss_child_run(&r, &c->cell, &c->effort, dir, progress, &stop));
    if (r.interrupted && !r.saved)
        return SS_INTERRUPTED;
    if (!r.saved && r.code == SS_ENV && r.status == SS_MEASURED) {
        ss_progress_clear(progress);
        SS_FAIL(SS_ENV, "%s was measured but could not be saved: %s", progress->label, r.reason);
    }
    if (!r.saved && c->processes == 0) { /* else what earlier processes measured stays, and the next run tries again */
        enum ss_err err = write_failed(c, r.reason, dir);
        if (err != SS_OK) {
            ss_progress_clear(progress);
            return err;
        }
    }
    static const enum ss_state states[] = {
        [SS_MEASURED] = SS_STATE_MEASURED, [SS_FAILED] = SS_STATE_FAILED, [SS_SKIPPED] = SS_STATE_SKIPPED};
    c->state = states[r.status];
    c->stale = false;
    c->counts = r.status == SS_FAILED && r.code == SS_COUNTS;
    c->processes += r.status == SS_MEASURED;
    c->todo = r.status == SS_MEASURED && c->processes < c->effort.repeats;
    snprintf(c->reason, sizeof c->reason, "%s", r.reason);
    if (r.status == SS_MEASURED)
        ss_pace_learn(pace, c, r.seconds);
    enum ss_progress_tone tone = SS_TONE_BAD;
    char text[640];
    describe(text, sizeof text, &tone, &r);
    ss_progress_end(progress, tone, text);
    return SS_OK;
}

/* ---- all cells */

size_t ss_planned_runs(const struct ss_planned *c)
{
    size_t wanted = c->effort.repeats > 1 ? c->effort.repeats : 1;
    return !c->todo ? 0 : wanted > c->processes ? wanted - c->processes : 1;
}

/* The one process that cell c's turn is. */
static enum ss_err take_turn(struct ss_plan *p, size_t c, struct ss_pace *pace, const char *dir, const struct ss_beside *beside,
                             struct ss_progress *progress)
{
    double own = ss_pace_seconds(pace, &p->v[c]), later = -own;
    for (size_t k = 0; k < p->n; k++)
        later += (double)ss_planned_runs(&p->v[k]) * ss_pace_seconds(pace, &p->v[k]);
    char label[160], turn[240];
    ss_cell_label(label, sizeof label, &p->v[c].cell);
    snprintf(turn, sizeof turn, "%s", label);
    if (p->v[c].effort.repeats > 1)
        snprintf(turn, sizeof turn, "%s, process %zu of %zu", label, p->v[c].processes + 1, p->v[c].effort.repeats);
    ss_progress_begin(progress, progress->i + 1, turn, own, later);
    return measure(&p->v[c], pace, dir, beside, progress);
}

/* Round by round, A B A B: a cell's next process only after all others have had as many. */
static enum ss_err loop(struct ss_plan *p, const char *dir, const struct ss_beside *beside, struct ss_progress *progress)
{
    struct ss_pace pace = {0};
    size_t left = progress->n;
    for (size_t round = 0; left > 0; round++) {
        left = 0;
        for (size_t c = 0; c < p->n; c++) {
            if (p->v[c].todo && p->v[c].processes <= round) {
                if (stop)
                    return SS_INTERRUPTED;
                SS_TRY(take_turn(p, c, &pace, dir, beside, progress));
            }
            left += p->v[c].todo;
        }
    }
    return SS_OK;
}

static void catch_signals(struct sigaction old[4])
{
    struct sigaction catch = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    stop = 0;
    sigaction(SIGINT, &catch, &old[0]);
    sigaction(SIGTERM, &catch, &old[1]);
    sigaction(SIGHUP, &catch, &old[2]);
    sigaction(SIGPIPE, &ignore, &old[3]);
}

static void restore_signals(const struct sigaction old[4])
{
    sigaction(SIGINT, &old[0], NULL);
    sigaction(SIGTERM, &old[1], NULL);
    sigaction(SIGHUP, &old[2], NULL);
    sigaction(SIGPIPE, &old[3], NULL);
}

static enum ss_err verdict(const struct ss_plan *p)
{
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i].state != SS_STATE_FAILED)
            continue;
        if (p->v[i].counts)
            return SS_COUNTS;
        err = SS_CELLS;
    }
    return err;
}

enum ss_err ss_sweep_run(struct ss_plan *p, const char *results_dir, const struct ss_beside *beside, const struct ss_cli *cli)
{
    struct ss_progress progress = {
        .terminal = isatty(STDERR_FILENO), .color = ss_color(cli, STDERR_FILENO), .verbosity = cli->verbosity};
    for (size_t i = 0; i < p->n; i++)
        progress.n += ss_planned_runs(&p->v[i]);
    int lock = -1, lock_beside = -1;
    enum ss_err err = prepare(&lock, p, results_dir);
    if (err == SS_OK && beside)
        err = prepare(&lock_beside, p, beside->results_dir);
    if (err == SS_OK) {
        struct sigaction old[4];
        catch_signals(old);
        err = loop(p, results_dir, beside, &progress);
        ss_progress_clear(&progress);
        restore_signals(old);
    }
    if (lock >= 0)
        close(lock);
    if (lock_beside >= 0)
        close(lock_beside);
    return err == SS_OK ? verdict(p) : err;
}
