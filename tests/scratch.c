/* scratch.c — see scratch.h. Criterion gives every test a process of its own; the hooks run in the runner, their parent. */
#include "tests/scratch.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static const char variable[] = "SHARDSCALE_TEST_SCRATCH"; /* tells the tests the run's folder */
static char root[] = "/tmp/shardscale-tests-XXXXXX";

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    if (!mkdtemp(root) || setenv(variable, root, 1) != 0) {
        perror(root);
        exit(1);
    }
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    if (nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        perror(root);
}

void scratch_dir(char dir[SCRATCH_PATH])
{
    const char *run = getenv(variable);
    cr_assert(run, "%s is not set: the runner sets it", variable);
    snprintf(dir, SCRATCH_PATH, "%s/XXXXXX", run);
    cr_assert(mkdtemp(dir), "%s", dir);
}

void scratch_file(char path[SCRATCH_PATH], const char *name)
{
    char dir[SCRATCH_PATH];
    scratch_dir(dir);
    cr_assert_lt(snprintf(path, SCRATCH_PATH, "%s/%s", dir, name), SCRATCH_PATH, "%s is too long a name", name);
}
