/* env.c — build, host and libraries. */
#include "harness/env.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cblas.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <sodium.h>

#include "harness/cli.h"
#include "harness/store.h"

static const char unknown[] = "unknown";

/* First line of a file, without its newline; "unknown" if there is none. */
static const char *first_line(char *out, size_t size, const char *path)
{
    FILE *f = fopen(path, "r");
    bool read = f && fgets(out, (int)size, f);
    if (f)
        fclose(f);
    if (!read)
        return unknown;
    out[strcspn(out, "\n")] = '\0';
    return *out ? out : unknown;
}

/* Value of the first line "key : value" of /proc/cpuinfo or /proc/meminfo. */
static const char *proc_value(char *out, size_t size, const char *path, const char *key)
{
    char line[8192];
    const char *found = unknown;
    FILE *f = fopen(path, "r");
    while (f && found == unknown && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, size, "%s", colon);
        found = out;
    }
    if (f)
        fclose(f);
    return found;
}

static enum ss_err add_time(struct ss_pairs *env, const char *key)
{
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        snprintf(text, sizeof text, "%s", unknown);
    return ss_pairs_add(env, key, "%s", text);
}

static enum ss_err add_load(struct ss_pairs *env, const char *key)
{
    double load[3];
    if (getloadavg(load, 3) != 3)
        return ss_pairs_add(env, key, "%s", unknown);
    return ss_pairs_add(env, key, "%.2f %.2f %.2f", load[0], load[1], load[2]);
}

/* Command line as it was given, arguments separated by blanks. */
static enum ss_err add_argv(struct ss_pairs *env)
{
    char text[4096];
    FILE *f = fopen("/proc/self/cmdline", "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    while (n > 0 && text[n - 1] == '\0')
        n--;
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    text[n] = '\0';
    return ss_pairs_add(env, "argv", "%s", n > 0 ? text : unknown);
}

/* Of the work tree from which the binary was built. */
static enum ss_err add_dirty(struct ss_pairs *env)
{
    const char *count = ss_version_dirty_count;
    const bool known = strcmp(count, unknown) != 0;
    SS_TRY(ss_pairs_add(env, "git_dirty", "%s", !known ? unknown : strcmp(count, "0") ? "yes" : "no"));
    SS_TRY(ss_pairs_add(env, "git_dirty_count", "%s", count));
    return ss_pairs_add(env, "git_dirty_files", "%s", known ? ss_version_dirty : unknown);
}

static enum ss_err add_build(struct ss_pairs *env)
{
    SS_TRY(ss_pairs_add(env, "git_commit", "%s", ss_version_commit));
    SS_TRY(add_dirty(env));
    SS_TRY(ss_pairs_add(env, "compiler", "%s", ss_version_cc));
    return ss_pairs_add(env, "cflags", "%s", ss_version_cflags);
}

/* Those instruction sets among the CPU's that make a difference to us. */
static enum ss_err add_isa(struct ss_pairs *env)
{
    static const char *const wanted[] = {"aes",      "vaes",        "pclmulqdq",   "sha_ni",   "avx2",
                                         "fma",      "bmi2",        "avx512f",     "avx512dq", "avx512bw",
                                         "avx512vl", "avx512_vnni", "avx512_bf16", "avx_vnni", "gfni",
                                         "amx_int8", "amx_bf16",    "asimd",       "sve",      "hypervisor"};
    char flags[8192], padded[8200], key[32], found[256] = "";
    const char *list = proc_value(flags, sizeof flags, "/proc/cpuinfo", "flags");
    if (list == unknown)
        list = proc_value(flags, sizeof flags, "/proc/cpuinfo", "Features");
    if (list == unknown)
        return ss_pairs_add(env, "cpu_isa", "%s", unknown);
    snprintf(padded, sizeof padded, " %s ", list);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        snprintf(key, sizeof key, " %s ", wanted[i]);
        if (strstr(padded, key))
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", *found ? " " : "", wanted[i]);
    }
    return ss_pairs_add(env, "cpu_isa", "%s", found);
}

static enum ss_err add_cpu(struct ss_pairs *env)
{
    static const struct {
        const char *key, *path;
    } file[] = {{"cpu_governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"},
                {"cpu_smt", "/sys/devices/system/cpu/smt/active"},
                {"cpu_quota", "/sys/fs/cgroup/cpu.max"},
                {"huge_pages", "/sys/kernel/mm/transparent_hugepage/enabled"}};
    char text[512];
    cpu_set_t set;
    SS_TRY(ss_pairs_add(env, "cpu", "%s", proc_value(text, sizeof text, "/proc/cpuinfo", "model name")));
    SS_TRY(ss_pairs_add(env, "cpu_cores", "%ld", sysconf(_SC_NPROCESSORS_ONLN)));
    bool affinity = sched_getaffinity(0, sizeof set, &set) == 0;
    SS_TRY(ss_pairs_add(env, "cpu_cores_allowed", affinity ? "%d" : unknown, affinity ? CPU_COUNT(&set) : 0));
    SS_TRY(add_isa(env));
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
        SS_TRY(ss_pairs_add(env, file[i].key, "%s", first_line(text, sizeof text, file[i].path)));
    return add_load(env, "load");
}

static enum ss_err add_system(struct ss_pairs *env)
{
    char text[128];
    struct utsname u;
    bool named = uname(&u) == 0; /* the host's name is left out */
    SS_TRY(ss_pairs_add(env, "kernel", named ? "%s %s %s" : unknown, u.sysname, u.release, u.machine));
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    bool ram = pages > 0 && page > 0;
    SS_TRY(ss_pairs_add(env, "ram_bytes", ram ? "%llu" : unknown, (unsigned long long)pages * (unsigned long long)page));
    return ss_pairs_add(env, "ram_available", "%s", proc_value(text, sizeof text, "/proc/meminfo", "MemAvailable"));
}

static enum ss_err add_libraries(struct ss_pairs *env)
{
    char hdf5[32];
    ss_store_library(hdf5, sizeof hdf5);
    SS_TRY(ss_pairs_add(env, "lib_c", "glibc %s", gnu_get_libc_version()));
    SS_TRY(ss_pairs_add(env, "lib_hdf5", "%s", hdf5));
    SS_TRY(ss_pairs_add(env, "lib_openssl", "%s", OpenSSL_version(OPENSSL_VERSION)));
    SS_TRY(ss_pairs_add(env, "lib_sodium", "%s", sodium_version_string()));
    SS_TRY(ss_pairs_add(env, "lib_openblas", "%s", openblas_get_config()));
    return ss_pairs_add(env, "lib_jansson", "%s", jansson_version_str());
}

/* Variables by which libraries can be told to behave differently. */
static enum ss_err add_variables(struct ss_pairs *env)
{
    static const char *const name[] = {"OMP_NUM_THREADS", "OMP_PROC_BIND", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE",
                                       "CUDA_VISIBLE_DEVICES"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const char *value = getenv(name[i]);
        SS_TRY(ss_pairs_add(env, name[i], "%s", value ? value : "unset"));
    }
    return SS_OK;
}

enum ss_err ss_env_collect(struct ss_pairs *env, const char *backend)
{
    SS_TRY(add_time(env, "start_utc"));
    SS_TRY(add_argv(env));
    SS_TRY(add_build(env));
    SS_TRY(add_cpu(env));
    SS_TRY(add_system(env));
    SS_TRY(add_libraries(env));
    SS_TRY(add_variables(env));
    return ss_env_collect_gpu(env, backend);
}

enum ss_err ss_env_finish(struct ss_pairs *env)
{
    SS_TRY(add_load(env, "load_end"));
    return add_time(env, "end_utc");
}
