/* dev.c — the CPU as a device: which instruction set, how much memory, allocation, time marks. */
#include "kernels/cpu/cpu.h"

#include <cblas.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "harness/clock.h"

enum { HUGE_BYTES = 2 << 20, ALIGN = 64 };

static bool has_isa(enum cpu_isa isa)
{
    switch (isa) {
    case CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni");
    case CPU_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    default:
        return true;
    }
}

static enum ss_err choose_isa(enum cpu_isa *isa)
{
    static const char *const names[CPU_N_ISA] = {"portable", "avx2", "avx512"};
    const char *asked = getenv("SHARDSCALE_CPU");
    *isa = CPU_PORTABLE;
    if (!asked || !*asked) {
        for (int i = CPU_PORTABLE; i < CPU_N_ISA; i++)
            if (has_isa((enum cpu_isa)i))
                *isa = (enum cpu_isa)i;
        return SS_OK;
    }
    for (int i = CPU_PORTABLE; i < CPU_N_ISA; i++)
        if (!strcmp(asked, names[i])) {
            if (!has_isa((enum cpu_isa)i))
                SS_FAIL(SS_ENV, "SHARDSCALE_CPU=%s: this CPU lacks the instructions; unset it or choose a narrower one", asked);
            *isa = (enum cpu_isa)i;
            return SS_OK;
        }
    SS_FAIL(SS_USAGE, "SHARDSCALE_CPU=%s is unknown; use portable, avx2 or avx512", asked);
}

/* Our own threads call BLAS on row tiles; BLAS must not start more. */
static void blas_one_thread(void)
{
    openblas_set_num_threads(1);
}

enum ss_err cpu_open(struct ss_dev **dev, const struct ss_dev_options *o)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct cpu_dot *const dots[CPU_N_ISA] = {NULL, &cpu_dot_avx2, &cpu_dot_avx512};
    static const struct cpu_attend_u64 *const attends[CPU_N_ISA] = {NULL, &cpu_attend_avx2, &cpu_attend_avx512};
    static const struct cpu_few *const fews[CPU_N_ISA] = {NULL, &cpu_few_avx2, &cpu_few_avx512};
    enum cpu_isa isa;
    *dev = NULL;
    SS_TRY(choose_isa(&isa));
    if (o->threads < 1 || o->threads > SS_MAX_THREADS)
        SS_FAIL(SS_USAGE, "%d CPU threads asked for; choose 1 to %d", o->threads, SS_MAX_THREADS);
    if (o->device != 0)
        SS_FAIL(SS_USAGE, "CPU device %d does not exist; only 0 does", o->device);
    struct ss_dev *d = calloc(1, sizeof *d);
    if (!d)
        SS_FAIL(SS_ENV, "out of memory: %zu bytes for a CPU device", sizeof *d);
    pthread_once(&once, blas_one_thread);
    d->threads = o->threads;
    d->isa = isa;
    d->dot = dots[isa];
    d->attend = attends[isa];
    d->few = fews[isa];
    d->aes = cpu_aes_choose(isa);
    *dev = d;
    return SS_OK;
}

void cpu_close(struct ss_dev *dev)
{
    if (!dev)
        return;
    cpu_free(dev, dev->work, dev->work_bytes, true);
    cpu_free(dev, dev->turns, 0, false);
    free(dev->mark_ns);
    free(dev);
}

/* First number in a file of /proc or /sys after `key` ("" for a file that is one number); false if there is none. */
static bool read_number(const char *path, const char *key, unsigned long long *value)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    char line[256];
    bool found = false;
    while (!found && fgets(line, sizeof line, f))
        found = !strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), "%llu", value) == 1;
    fclose(f);
    return found;
}

/* What the control group leaves of its limit (page cache can be reclaimed), version 2 then 1; false: no limit. */
static bool cgroup_memory(unsigned long long *left, unsigned long long *limit)
{
    static const char *const files[][4] = {
        {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file "},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
         "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file "},
    };
    for (size_t i = 0; i < 2; i++) {
        unsigned long long used, cache = 0;
        if (!read_number(files[i][0], "", limit) || !read_number(files[i][1], "", &used))
            continue;
        (void)read_number(files[i][2], files[i][3], &cache);
        used -= cache < used ? cache : used;
        *left = used < *limit ? *limit - used : 0;
        return true;
    }
    return false;
}

void cpu_memory(struct ss_dev *dev, size_t *free_bytes, size_t *total_bytes)
{
    (void)dev;
    unsigned long long available = 0, total = 0, left, limit;
    if (read_number("/proc/meminfo", "MemAvailable:", &available) && read_number("/proc/meminfo", "MemTotal:", &total)) {
        available *= 1024;
        total *= 1024;
    }
    if (cgroup_memory(&left, &limit)) {
        available = left < available ? left : available;
        total = limit < total ? limit : total;
    }
    *free_bytes = (size_t)available;
    *total_bytes = (size_t)total;
}

enum ss_err cpu_alloc(struct ss_dev *dev, void **p, size_t bytes)
{
    (void)dev;
    const bool huge = bytes >= HUGE_BYTES;
    if (posix_memalign(p, huge ? HUGE_BYTES : ALIGN, bytes ? bytes : 1)) {
        *p = NULL;
        SS_FAIL(SS_ENV, "out of host memory: %zu bytes asked for; use a smaller model or fewer tokens", bytes);
    }
    if (huge) /* advice only: with small pages the first touch of 15 GB of weights costs half a minute of faults */
        (void)madvise(*p, bytes, MADV_HUGEPAGE);
    return SS_OK;
}

void cpu_free(struct ss_dev *dev, void *p, size_t bytes, bool wipe)
{
    (void)dev;
    if (p && wipe)
        sodium_memzero(p, bytes);
    free(p);
}

enum ss_err cpu_work(struct ss_dev *dev, void **p, size_t bytes)
{
    if (bytes > dev->work_bytes) {
        void *grown;
        SS_TRY(cpu_alloc(dev, &grown, bytes));
        cpu_free(dev, dev->work, dev->work_bytes, true);
        dev->work = grown;
        dev->work_bytes = bytes;
    }
    *p = dev->work;
    return SS_OK;
}

enum ss_err cpu_move(struct ss_dev *dev, void *dst, const void *src, size_t bytes)
{
    (void)dev;
    if (bytes)
        memcpy(dst, src, bytes);
    return SS_OK;
}

enum ss_err cpu_sync(struct ss_dev *dev)
{
    (void)dev;
    return SS_OK;
}

enum ss_err cpu_mark(struct ss_dev *dev, size_t slot)
{
    if (slot >= dev->n_marks) {
        size_t n = dev->n_marks ? dev->n_marks : 256;
        while (n <= slot)
            n *= 2;
        uint64_t *grown = realloc(dev->mark_ns, n * sizeof *grown);
        if (!grown)
            SS_FAIL(SS_ENV, "out of memory: %zu bytes for time marks", n * sizeof *grown);
        memset(grown + dev->n_marks, 0, (n - dev->n_marks) * sizeof *grown);
        dev->mark_ns = grown;
        dev->n_marks = n;
    }
    dev->mark_ns[slot] = ss_now_ns();
    return SS_OK;
}

uint64_t cpu_span_ns(struct ss_dev *dev, size_t from, size_t to)
{
    SS_REQUIRE(from < dev->n_marks && to < dev->n_marks);
    return dev->mark_ns[to] - dev->mark_ns[from];
}
