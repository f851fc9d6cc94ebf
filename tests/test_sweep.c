/* test_sweep.c — plans, what parent and child say to each other, and sweeps of the real program: resumed, killed, interrupted,
   without room. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/store.h"
#include "harness/sweep.h"
#include "tests/scratch.h"

static struct ss_plan plan_of(const char *experiment, const char *profile)
{
    static struct ss_experiment e;
    struct ss_plan p = {0};
    cr_assert_eq(ss_experiment_read(&e, experiment, profile, "cpu", 1), SS_OK);
    cr_assert_eq(ss_plan_add(&p, &e), SS_OK);
    ss_experiment_free(&e);
    return p;
}

/* ---- plans */

Test(sweep, a_filter_keeps_the_references_that_are_needed)
{
    struct ss_plan p = plan_of("tests/data/sweep.ini", "cpu");
    struct ss_filter *f;
    cr_assert_eq(ss_filter_parse(&f, "variant==v2 && model<=7b"), SS_OK);
    cr_assert_eq(ss_plan_filter(&p, f), SS_OK);
    cr_assert_eq(p.n, 4);
    cr_assert(p.v[0].cell.reference && p.v[1].cell.reference);
    cr_assert_str_eq(p.v[2].cell.variant, "v2");
    cr_assert_str_eq(p.v[3].cell.model, "doc-7b");
    ss_filter_free(f);
    ss_plan_free(&p);
}

Test(sweep, set_changes_the_cells_that_have_the_option)
{
    struct ss_plan p = plan_of("tests/data/sweep.ini", "smoke"), q = plan_of("tests/data/sweep.ini", "smoke");
    struct ss_text_list set = {.n = 1, .v = {"v2.frac=13"}};
    cr_assert_eq(ss_plan_set(&p, &set), SS_OK);
    for (size_t i = 0; i < p.n; i++) {
        bool v2 = strcmp(p.v[i].cell.variant, "v2") == 0;
        cr_expect_eq(strcmp(p.v[i].cell.id, q.v[i].cell.id) != 0, v2, "%s", p.v[i].cell.variant);
        if (v2)
            cr_expect_not_null(strstr(p.v[i].cell.options, "frac=13"));
    }
    set.v[0] = "compute=fp32";
    cr_assert_eq(ss_plan_set(&p, &set), SS_OK);
    ss_set_error_silent(1);
    set.v[0] = "frac=999";
    cr_assert_eq(ss_plan_set(&p, &set), SS_USAGE);
    set.v[0] = "frac";
    cr_assert_eq(ss_plan_set(&p, &set), SS_USAGE);
    ss_plan_free(&p);
    ss_plan_free(&q);
}

Test(sweep, what_is_measured_again)
{
    static const enum ss_state states[] = {SS_STATE_MISSING, SS_STATE_MEASURED, SS_STATE_MEASURED, SS_STATE_FAILED,
                                           SS_STATE_SKIPPED};
    static const struct {
        const char *rerun;
        bool todo[5];
    } cases[] = {
        {NULL, {true, false, false, false, false}},
        {"failed", {true, false, false, true, true}},
        {"stale", {true, false, true, false, false}},
        {"all", {true, true, true, true, true}},
    };
    for (size_t c = 0; c < 4; c++) {
        struct ss_planned cells[5] = {0};
        struct ss_plan p = {.n = 5, .v = cells};
        for (size_t i = 0; i < 5; i++)
            cells[i].state = states[i];
        cells[2].stale = true;
        cr_assert_eq(ss_plan_select(&p, cases[c].rerun), SS_OK);
        for (size_t i = 0; i < 5; i++)
            cr_expect_eq(cells[i].todo, cases[c].todo[i], "%s, cell %zu", cases[c].rerun ? cases[c].rerun : "-", i);
    }
}

Test(sweep, estimates_learn_from_finished_cells)
{
    struct ss_plan p = plan_of("tests/data/sweep.ini", "cpu");
    struct ss_pace pace = {0};
    double before = ss_pace_seconds(&pace, &p.v[p.n - 1]);
    cr_assert_gt(before, 0);
    ss_pace_learn(&pace, &p.v[p.n - 1], 3 * before);
    cr_assert_float_eq(ss_pace_seconds(&pace, &p.v[p.n - 1]), 3 * before, 1e-9 * before);
    cr_assert_gt(p.v[p.n - 1].wire_bytes, 0);
    cr_assert_geq(p.v[p.n - 1].memory_bytes_whole, p.v[p.n - 1].memory_bytes);
    ss_plan_free(&p);
}

/* ---- parent and child */

Test(sweep, an_order_arrives_as_it_was_given)
{
    struct ss_plan p = plan_of("tests/data/sweep.ini", "smoke");
    struct ss_cell c;
    struct ss_effort e, want = {.warmup = 2,
                                .reps_min = 3,
                                .reps_max = 40,
                                .target = 0.0125,
                                .max_seconds = 1.5,
                                .threads = 2,
                                .weight_budget_bytes = SIZE_MAX,
                                .turn = 1796086387123456};
    p.v[p.n - 1].cell.split = true;
    ss_cell_identify(&p.v[p.n - 1].cell);
    for (size_t i = 0; i < p.n; i++) {
        char text[4096];
        FILE *f = fmemopen(text, sizeof text, "w");
        ss_child_order_write(f, &p.v[i].cell, &want);
        fclose(f);
        f = fmemopen(text, strlen(text), "r");
        cr_assert_eq(ss_child_order_read(f, &c, &e), SS_OK, "%s", ss_last_error());
        fclose(f);
        cr_expect_str_eq(c.id, p.v[i].cell.id);
        cr_expect_eq(c.reference, p.v[i].cell.reference);
        cr_expect_eq(c.split, p.v[i].cell.split);
        cr_expect_eq(e.weight_budget_bytes, SIZE_MAX);
        cr_expect_eq(e.target, 0.0125);
        cr_expect_eq(e.reps_max, 40);
        cr_expect_eq(e.turn, want.turn);
    }
    ss_plan_free(&p);
}

Test(sweep, a_wrong_order_is_refused)
{
    static const char *const orders[] = {"", "model=tiny-lm\n", "colour=red\n", "no equals sign\n", "tokens=-8\n"};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct ss_cell c;
        struct ss_effort e;
        char text[64];
        snprintf(text, sizeof text, "%s\n", orders[i]);
        FILE *f = fmemopen(text, strlen(orders[i]) + (i == 0), "r");
        ss_set_error_silent(1);
        cr_expect_eq(ss_child_order_read(f, &c, &e), SS_USAGE, "'%s'", orders[i]);
        ss_set_error_silent(0);
        fclose(f);
    }
    /* The id of another cell. */
    struct ss_cell c = {.model = "tiny-lm", .variant = "v3", .backend = "cpu", .phase = "prefill", .tokens = 8, .seed = 1};
    struct ss_effort e = {.reps_max = 1};
    char text[4096];
    ss_cell_identify(&c);
    c.tokens = 9;
    FILE *f = fmemopen(text, sizeof text, "w");
    ss_child_order_write(f, &c, &e);
    fclose(f);
    f = fmemopen(text, strlen(text), "r");
    ss_set_error_silent(1);
    cr_expect_eq(ss_child_order_read(f, &c, &e), SS_USAGE);
    cr_expect_not_null(strstr(ss_last_error(), "is not that of its cell"), "%s", ss_last_error());
    fclose(f);
}

Test(sweep, a_status_line_arrives_as_it_was_given)
{
    char text[1024];
    const struct ss_child_report r = {.status = SS_FAILED,
                                      .code = SS_COUNTS,
                                      .saved = true,
                                      .online_ns = 123456789,
                                      .rel_l2 = 1.5e-4,
                                      .reason = "rounds_online: 5 counted, 4 expected"};
    struct ss_child_report back = {0};
    FILE *f = fmemopen(text, sizeof text, "w");
    ss_child_status_write(f, &r);
    fclose(f);
    cr_assert(ss_child_status_read(text, &back));
    cr_assert_eq(back.status, SS_FAILED);
    cr_assert_eq(back.code, SS_COUNTS);
    cr_assert(back.saved);
    cr_assert_eq(back.online_ns, 123456789);
    cr_assert_float_eq(back.rel_l2, 1.5e-4, 1e-18);
    cr_assert_str_eq(back.reason, r.reason);
    cr_assert_not(ss_child_status_read("", &back));
    cr_assert_not(ss_child_status_read("9 0 0 0 0 x", &back));
    cr_assert_not(ss_child_status_read("0 0", &back));
}

/* ---- the program */

static char dir[SCRATCH_PATH], out[65536];

static const char *binary(void)
{
    const char *path = getenv("SHARDSCALE");
    if (!path)
        cr_skip("SHARDSCALE is not set: make tests sets it");
    return path;
}

static void make_dir(void)
{
    scratch_dir(dir);
}

/* Exit status of a sweep of tiny-lm (four cells: reference, plain, v2, v3); both its streams in out. */
static int sweep(const char *more)
{
    char command[1024];
    snprintf(command, sizeof command, "'%s' run tests/data/sweep.ini --profile smoke -E 'model==tiny-lm' --results %s %s 2>&1",
             binary(), dir, more);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    size_t n = fread(out, 1, sizeof out - 1, pipe);
    out[n] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Starts the same sweep and leaves it running. */
static pid_t start_sweep(const char *repeats)
{
    const char *path = binary();
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execl(path, path, "run", "tests/data/sweep.ini", "--profile", "smoke", "-E", "model==tiny-lm", "--results", dir,
              "--repeats", repeats, (char *)NULL);
        _exit(127);
    }
    cr_assert(pid > 0);
    return pid;
}

/* Cell files, each of which must be readable; their write times, summed, tell whether one was written again. */
static size_t cell_files(double *written)
{
    char path[512];
    size_t n = 0;
    *written = 0;
    snprintf(path, sizeof path, "%s/cells", dir);
    DIR *d = opendir(path);
    if (!d)
        return 0;
    for (struct dirent *f; (f = readdir(d));) {
        size_t len = strlen(f->d_name);
        if (len < 3 || strcmp(f->d_name + len - 3, ".h5") != 0)
            continue;
        struct ss_result r;
        struct stat s;
        snprintf(path, sizeof path, "%s/cells/%s", dir, f->d_name);
        cr_expect_eq(ss_store_read(&r, path), SS_OK, "%s", path);
        cr_expect_eq(stat(path, &s), 0);
        *written += (double)s.st_mtim.tv_sec + 1e-9 * (double)s.st_mtim.tv_nsec;
        ss_result_free(&r);
        n++;
    }
    closedir(d);
    return n;
}

static void wait_for_cells(size_t wanted)
{
    double written;
    for (int i = 0; i < 3000 && cell_files(&written) < wanted; i++)
        usleep(20000);
    cr_assert_geq(cell_files(&written), wanted, "no cell was finished in a minute");
}

TestSuite(sweeping, .init = make_dir);

Test(sweeping, measures_once_and_compares_with_the_reference)
{
    double first, second;
    cr_assert_eq(sweep(""), 0, "%s", out);
    cr_assert_not_null(strstr(out, "4 measured"), "%s", out);
    cr_assert_not_null(strstr(out, "4 new, 0 already there"), "%s", out);
    cr_assert_not_null(strstr(out, "[4/4] tiny-lm v3 8 tokens"), "%s", out);
    cr_assert_null(strchr(out, '\033'));
    cr_assert_eq(cell_files(&first), 4);
    cr_assert_eq(sweep(""), 0, "%s", out);
    cr_assert_not_null(strstr(out, "0 new, 4 already there"), "%s", out);
    cr_assert_eq(cell_files(&second), 4);
    cr_assert_eq(first, second, "a finished cell was written again");
    struct ss_plan p = plan_of("tests/data/sweep.ini", "smoke");
    size_t compared = 0;
    for (size_t i = 0; i < p.n; i++) {
        char path[512];
        struct ss_result r;
        if (p.v[i].cell.reference || strcmp(p.v[i].cell.model, "tiny-lm") != 0)
            continue;
        ss_store_path(path, sizeof path, dir, &p.v[i].cell);
        cr_assert_eq(ss_store_read(&r, path), SS_OK);
        cr_expect(r.has_error && r.error.rel_l2 < 0.1, "%s: %g", p.v[i].cell.variant, r.error.rel_l2);
        ss_result_free(&r);
        compared++;
    }
    cr_expect_eq(compared, 3);
    ss_plan_free(&p);
}

/* Fresh processes and repetitions that the stored cell of a variant has. */
static size_t processes_of(const char *variant, size_t *reps, uint64_t *first_ns)
{
    struct ss_plan p = plan_of("tests/data/sweep.ini", "smoke");
    size_t processes = 0;
    for (size_t i = 0; i < p.n; i++) {
        char path[512];
        struct ss_result r;
        if (strcmp(p.v[i].cell.variant, variant) != 0 || p.v[i].cell.reference || strcmp(p.v[i].cell.model, "tiny-lm") != 0)
            continue;
        ss_store_path(path, sizeof path, dir, &p.v[i].cell);
        cr_assert_eq(ss_store_read(&r, path), SS_OK);
        processes = ss_result_processes(&r);
        *reps = r.reps;
        *first_ns = r.pass[0].wall_ns;
        ss_result_free(&r);
    }
    ss_plan_free(&p);
    return processes;
}

Test(sweeping, fresh_processes_take_turns_and_are_added_to_what_is_there)
{
    size_t reps, more;
    uint64_t first, same;
    cr_assert_eq(sweep(""), 0, "%s", out);
    cr_assert_eq(processes_of("v2", &reps, &first), 1);
    cr_assert_eq(sweep("--repeats 3"), 0, "%s", out);
    static const char *const order[] = {"[1/6] tiny-lm plain compute=bf16 8 tokens, process 2 of 3",
                                        "[2/6] tiny-lm v2 8 tokens, process 2 of 3",
                                        "[3/6] tiny-lm v3 8 tokens, process 2 of 3",
                                        "[4/6] tiny-lm plain compute=bf16 8 tokens, process 3 of 3", "[6/6] tiny-lm v3"};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        cr_expect_not_null(strstr(out, order[i]), "'%s' is not in: %s", order[i], out);
    cr_assert_eq(processes_of("v2", &more, &same), 3);
    cr_expect_geq(more, reps + 4);
    cr_expect_eq(same, first, "what the first process measured stays");
    cr_assert_eq(sweep("--repeats 3"), 0, "%s", out);
    cr_assert_not_null(strstr(out, "0 new, 4 already there"), "%s", out);
    cr_assert_eq(sweep("--repeats 2 --rerun all"), 0, "%s", out);
    cr_assert_not_null(strstr(out, "[1/7] tiny-lm reference"), "%s", out);
    cr_assert_eq(processes_of("v2", &more, &same), 2);
}

/* Rewrites the stored v2 cell with one more byte. */
static void drift(void)
{
    struct ss_result *all;
    size_t n;
    cr_assert_eq(ss_store_read_all(&all, &n, dir), SS_OK);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].cell.variant, "v2") == 0) {
            all[i].counters.bytes_online_p0_p1++;
            cr_assert_eq(ss_store_write(dir, &all[i]), SS_OK);
        }
        ss_result_free(&all[i]);
    }
    free(all);
}

Test(sweeping, processes_that_count_differently_fail_the_cell)
{
    cr_assert_eq(sweep(""), 0, "%s", out);
    drift();
    cr_assert_eq(sweep("--repeats 2"), 4, "%s", out);
    cr_assert_not_null(strstr(out, "in one process and"), "%s", out);
    cr_assert_not_null(strstr(out, "3 measured, 0 skipped, 1 failed"), "%s", out);
}

/* A home without the checkpoint's weights: every further process fails. */
Test(sweeping, a_later_process_that_fails_leaves_what_is_stored)
{
    char command[1024], home[80];
    size_t reps, more;
    uint64_t first, same;
    cr_assert_eq(sweep(""), 0, "%s", out);
    cr_assert_eq(processes_of("v2", &reps, &first), 1);
    snprintf(home, sizeof home, "%s/home", dir);
    snprintf(
        command, sizeof command,
        "mkdir -p '%s/tests/data/tiny-lm' && ln -s '%s/experiments' '%s/experiments' && ln -s '%s/tests/data/qwen2-tiny-a' "
        "'%s/tests/data/' && cp '%s/tests/data/tiny-lm/config.json' '%s/tests/data/tiny-lm/'",
        home, ss_home(), home, ss_home(), home, ss_home(), home);
    cr_assert_eq(system(command), 0);
    char *real = strdup(ss_home());
    setenv("SHARDSCALE_HOME", home, 1);
    cr_assert_eq(sweep("--repeats 2"), 2, "%s", out);
    setenv("SHARDSCALE_HOME", real, 1);
    free(real);
    cr_expect_not_null(strstr(out, "process 2 of 2  failed"), "%s", out);
    cr_expect_eq(processes_of("v2", &more, &same), 1);
    cr_expect(more == reps && same == first);
    cr_assert_eq(sweep("--repeats 2"), 0, "%s", out);
    cr_expect_eq(processes_of("v2", &more, &same), 2);
}

Test(sweeping, a_repeated_sweep_that_is_killed_continues)
{
    size_t reps;
    uint64_t first;
    int status;
    pid_t pid = start_sweep("20");
    wait_for_cells(4);
    kill(pid, SIGTERM);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %d", status);
    size_t before = processes_of("v2", &reps, &first);
    cr_assert(before >= 1 && before < 20);
    char more[32], expected[64];
    snprintf(more, sizeof more, "--repeats %zu", before + 1);
    snprintf(expected, sizeof expected, "tiny-lm v2 8 tokens, process %zu of %zu", before + 1, before + 1);
    cr_assert_eq(sweep(more), 0, "%s", out);
    cr_expect_not_null(strstr(out, expected), "%s", out);
    cr_expect_eq(processes_of("v2", &reps, &first), before + 1);
}

Test(sweeping, kill_9_loses_no_finished_cell)
{
    double before, after;
    pid_t pid = start_sweep("1");
    wait_for_cells(1);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    usleep(200000); /* the child is killed with it; nothing is written from here on */
    size_t kept = cell_files(&before);
    cr_assert_geq(kept, 1);
    usleep(300000);
    cr_assert_eq(cell_files(&after), kept, "a child outlived its sweep");
    cr_assert_eq(sweep(""), 0, "%s", out);
    char expected[64];
    snprintf(expected, sizeof expected, "%zu new, %zu already there", 4 - kept, kept);
    cr_assert_not_null(strstr(out, expected), "'%s' is not in: %s", expected, out);
    cr_assert_eq(cell_files(&after), 4);
}

Test(sweeping, sigterm_exits_130_and_resumes)
{
    double written;
    int status;
    pid_t pid = start_sweep("1");
    wait_for_cells(1);
    kill(pid, SIGTERM);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (cell_files(&written) < 4)
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %d", status);
    cr_assert_eq(sweep(""), 0, "%s", out);
    cr_assert_eq(cell_files(&written), 4);
}

Test(sweeping, two_sweeps_in_one_folder_are_refused)
{
    char path[128];
    snprintf(path, sizeof path, "%s/.lock", dir);
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
    cr_assert_eq(sweep(""), 5, "%s", out);
    cr_assert_not_null(strstr(out, "another sweep"), "%s", out);
    close(fd);
}

Test(sweeping, a_folder_that_cannot_be_written_exits_5_before_measuring)
{
    char path[128];
    snprintf(path, sizeof path, "%s/cells", dir);
    int fd = open(path, O_RDWR | O_CREAT, 0666); /* a file where the folder should be: holds for root, too */
    cr_assert(fd >= 0);
    close(fd);
    cr_assert_eq(sweep(""), 5, "%s", out);
    cr_assert_null(strstr(out, "[1/4]"), "%s", out);
}

Test(sweeping, a_damaged_cell_is_measured_again)
{
    cr_assert_eq(sweep("-q"), 0, "%s", out);
    struct ss_plan p = plan_of("tests/data/sweep.ini", "smoke");
    char path[512];
    ss_store_path(path, sizeof path, dir, &p.v[0].cell);
    cr_assert_eq(truncate(path, 100), 0);
    cr_assert_eq(sweep(""), 0, "%s", out);
    cr_assert_not_null(strstr(out, "1 new, 3 already there"), "%s", out);
    ss_plan_free(&p);
}

Test(sweeping, a_plan_measures_nothing)
{
    double written;
    cr_assert_eq(sweep("-n"), 0, "%s", out);
    cr_assert_not_null(strstr(out, "4 of 4 cells to measure"), "%s", out);
    cr_assert_eq(cell_files(&written), 0);
}
