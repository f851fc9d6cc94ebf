/* test_store_disk.c — a kill or a full disk loses no cell. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/disk.h"
#include "tests/scratch.h"
#include "tests/stored.h"

static char dir[SCRATCH_PATH];

static void make_dir(void)
{
    scratch_dir(dir);
    ss_set_error_silent(1);
}

TestSuite(store_disk, .init = make_dir);

/* Writes cells for ever, always the same eight, in turn from `first`; a byte into `written` after each. */
static void write_for_ever(uint64_t first, int written)
{
    struct ss_result r;
    fill_result(&r, 0, 5, 3);
    for (r.cell.seed = first;; r.cell.seed = (r.cell.seed + 1) % 8) {
        ss_cell_identify(&r.cell);
        enum ss_err err = ss_store_write(dir, &r);
        if ((err != SS_OK && err != SS_ENV) || write(written, "", 1) != 1) /* SS_ENV: the other writer has this cell */
            _exit(1);
    }
}

Test(store_disk, a_kill_at_any_moment_leaves_readable_files, .timeout = 120)
{
    struct ss_result *all;
    size_t n = 0;
    for (int kills = 0; kills < 20; kills++) {
        pid_t writer[2];
        int written[2];
        char byte;
        cr_assert_eq(pipe(written), 0);
        for (int i = 0; i < 2; i++) {
            writer[i] = fork();
            cr_assert_geq(writer[i], 0);
            if (writer[i] == 0)
                write_for_ever((uint64_t)(3 * kills + 4 * i) % 8, written[1]);
        }
        for (int i = 0; i < 2; i++) /* two cells are done: from here on, any moment */
            cr_assert_eq(read(written[0], &byte, 1), 1);
        usleep((unsigned)(kills * 7919 % 40) * 1000);
        for (int i = 0; i < 2; i++) {
            int status;
            kill(writer[i], SIGKILL);
            cr_assert_eq(waitpid(writer[i], &status, 0), writer[i]);
            cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            close(written[i]);
        }
        cr_assert_eq(ss_store_read_all(&all, &n, dir), SS_OK, "%s", ss_last_error());
        for (size_t i = 0; i < n; i++)
            ss_result_free(&all[i]);
        free(all);
    }
    cr_expect_geq(n, 2);
    struct ss_result r; /* a .part left behind is in nobody's way */
    for (uint64_t seed = 0; seed < 8; seed++) {
        fill_result(&r, seed, 1, 1);
        write_and_compare(dir, &r);
        ss_result_free(&r);
    }
}

static size_t count_parts(const char *where)
{
    size_t parts = 0;
    DIR *d = opendir(where);
    cr_assert_not_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        parts += strstr(e->d_name, ".part") != NULL;
    closedir(d);
    return parts;
}

Test(store_disk, a_full_disk_is_one_clear_error_and_keeps_what_is_saved)
{
    struct ss_result r, back;
    char path[PATH_MAX], cells[96], logits_path[96];
    static float logits[3 * 100000];
    fill_result(&r, 1, 3, 2);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_store_path(path, sizeof path, dir, &r.cell);
    snprintf(cells, sizeof cells, "%s/cells", dir);
    snprintf(logits_path, sizeof logits_path, "%s/out.h5", dir);

    signal(SIGXFSZ, SIG_IGN);
    struct rlimit unlimited, limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    limit = unlimited;
    for (limit.rlim_cur = 0; limit.rlim_cur <= 20000; limit.rlim_cur += 5000) {
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        r.reps = 1;
        enum ss_err err = ss_store_write(dir, &r);
        enum ss_err err_logits = ss_store_logits(logits_path, logits, 3, 1, 100000, &r.env);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
        r.reps = 3;
        cr_expect_eq(err, SS_ENV);
        cr_expect_eq(err_logits, SS_ENV);
        cr_expect_not_null(strstr(ss_last_error(), "free disk space"), "%s", ss_last_error());
        cr_assert_eq(ss_store_read(&back, path), SS_OK);
        expect_equal_results(&r, &back); /* the older result is still there */
        ss_result_free(&back);
        cr_expect_eq(count_parts(cells) + count_parts(dir), 0);
        cr_expect_neq(access(logits_path, F_OK), 0);
    }
    cr_expect_eq(ss_store_logits(logits_path, logits, 3, 1, 100000, &r.env), SS_OK);
    ss_result_free(&r);
}

Test(store_disk, an_unwritable_directory_is_one_clear_error)
{
    struct ss_result r;
    char file[96], below[128];
    fill_result(&r, 1, 1, 1);
    snprintf(file, sizeof file, "%s/file", dir);
    snprintf(below, sizeof below, "%s/results", file);
    cr_assert_eq(ss_disk_replace(file, "", 0), SS_OK);
    cr_expect_eq(ss_store_write(below, &r), SS_ENV);
    cr_expect_not_null(strstr(ss_last_error(), file));
    cr_expect_eq(ss_store_write("/proc/shardscale", &r), SS_ENV);
    cr_expect_eq(ss_store_logits("/proc/shardscale/x.h5", r.logits, 1, 1, r.shape.vocab, &r.env), SS_ENV);
    if (geteuid() != 0) { /* root may write anywhere */
        cr_assert_eq(chmod(dir, 0555), 0);
        cr_expect_eq(ss_store_write(dir, &r), SS_ENV);
        cr_assert_eq(chmod(dir, 0755), 0);
    }
    ss_result_free(&r);
}
