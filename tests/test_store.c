/* test_store.c — cell files: what is written is read back; what is damaged is refused; a kill or a full disk loses nothing. */
#include "harness/store.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <hdf5.h> /* to make an older file of a cell */
#include <hdf5_hl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/disk.h"
#include "harness/seal.h"
#include "tests/scratch.h"

static char dir[SCRATCH_PATH];

static void make_dir(void)
{
    scratch_dir(dir);
    ss_set_error_silent(1);
}

/* A result in which every number differs from every other. */
static void fill(struct ss_result *r, uint64_t seed, size_t reps, size_t layers)
{
    int64_t next = 1000;
    *r = (struct ss_result){.cell = {.model = "tiny", .variant = "v3-ot", .backend = "cpu", .phase = "prefill"}};
    snprintf(r->cell.options, sizeof r->cell.options, "frac=16,entries=4096");
    r->cell.tokens = 56;
    r->cell.seed = seed;
    ss_cell_identify(&r->cell);
    snprintf(r->reason, sizeof r->reason, "Grüße: „quoted”, 100 %%");
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", 39 - i);
        cr_assert_eq(ss_pairs_add(&r->env, key, "value %d", i), SS_OK);
    }
    cr_assert_eq(ss_pairs_add(&r->config, "empty", "%s", ""), SS_OK);
    cr_assert_eq(ss_pairs_add(&r->config, "claim", "protects %s", "the input"), SS_OK);
    r->reps = reps;
    r->pass = calloc(reps + 1, sizeof *r->pass);
    struct ss_pass *pass[] = {&r->first, r->pass};
    for (size_t k = 0; k < reps + 1; k++) {
        uint64_t *word = (uint64_t *)(k == 0 ? pass[0] : pass[1] + k - 1);
        for (size_t i = 0; i < sizeof(struct ss_pass) / sizeof *word; i++)
            word[i] = (uint64_t)next++ << 20;
    }
    for (size_t k = 0; k < reps; k++)
        r->pass[k].process = (int64_t)k / 3; /* three repetitions in each fresh process */
    r->first.process = 0;
    r->first.energy_mj = -1;
    r->has_first = true;
    for (int i = 0; i < SS_N_COUNTERS; i++) {
        ss_counters_array(&r->counters)[i] = next++ << 33;
        ss_counters_array(&r->expected)[i] = next++;
    }
    for (int i = 0; i < SS_N_TAGS; i++)
        r->peak[i] = next++;
    cr_assert_eq(ss_wire_alloc(&r->wire, layers), 0);
    for (size_t i = 0; i < layers * SS_N_OPS * SS_N_DIRS; i++)
        r->wire.bytes[i] = next++;
    for (size_t i = 0; i < layers * SS_N_OPS; i++)
        r->wire.rounds[i] = next++;
    r->has_error = true;
    r->error = (struct ss_distance){.max_abs = 1.25e-3, .rel_l2 = 1.0 / 3, .kl = 1e-300, .top1 = 1};
    r->has_functions = r->has_outside = true;
    r->arguments = calloc(1, sizeof *r->arguments);
    for (int f = 0; f < SS_N_FUNCTIONS; f++) {
        r->fit[f] = (struct ss_function_fit){.lo = f == 0 ? -INFINITY : -0.25 * f, .hi = f + 1.5, .error = 1.0 / (f + 3)};
        r->arguments_seen[f] = next++ << 33;
        r->outside[f] = next++;
        for (int i = 0; i < SS_ARGUMENT_BINS; i++)
            r->arguments->count[f][i] = next++;
    }
    r->params = 1543714304;
    r->shape = (struct ss_shape){.d_model = 8,
                                 .d_ff = 24,
                                 .n_layers = 3,
                                 .n_heads = 4,
                                 .n_kv = 2,
                                 .d_head = 2,
                                 .vocab = 17,
                                 .max_seq = 99,
                                 .rope_theta = 1e6,
                                 .eps = 1e-6,
                                 .tied = true};
    r->logits = calloc(r->shape.vocab, sizeof *r->logits);
    for (size_t i = 0; i < r->shape.vocab; i++)
        r->logits[i] = (float)i / 3 - 2;
}

static void expect_equal_pairs(const struct ss_pairs *a, const struct ss_pairs *b)
{
    cr_assert_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        cr_expect_str_eq(a->v[i].key, b->v[i].key);
        cr_expect_str_eq(a->v[i].value, b->v[i].value);
    }
}

static void expect_equal(const struct ss_result *a, const struct ss_result *b)
{
    cr_expect_str_eq(a->cell.id, b->cell.id);
    cr_expect_str_eq(a->cell.model, b->cell.model);
    cr_expect_str_eq(a->cell.variant, b->cell.variant);
    cr_expect_str_eq(a->cell.backend, b->cell.backend);
    cr_expect_str_eq(a->cell.phase, b->cell.phase);
    cr_expect_str_eq(a->cell.options, b->cell.options);
    cr_expect_eq(a->cell.tokens, b->cell.tokens);
    cr_expect_eq(a->cell.seed, b->cell.seed);
    cr_expect_eq(a->cell.reference, b->cell.reference);
    cr_expect_eq(a->cell.split, b->cell.split);
    cr_expect_eq(a->status, b->status);
    cr_expect_str_eq(a->reason, b->reason);
    expect_equal_pairs(&a->env, &b->env);
    expect_equal_pairs(&a->config, &b->config);
    cr_assert_eq(a->reps, b->reps);
    if (a->reps > 0)
        cr_expect_arr_eq(a->pass, b->pass, a->reps * sizeof *a->pass);
    cr_expect_eq(a->has_first, b->has_first);
    cr_expect_arr_eq(&a->first, &b->first, sizeof a->first);
    cr_expect_eq(ss_counters_differ(&a->counters, &b->counters), -1);
    cr_expect_eq(ss_counters_differ(&a->expected, &b->expected), -1);
    cr_expect_arr_eq(a->peak, b->peak, sizeof a->peak);
    cr_assert_eq(a->wire.layers, b->wire.layers);
    if (a->wire.layers > 0) {
        cr_expect_arr_eq(a->wire.bytes, b->wire.bytes, a->wire.layers * sizeof(int64_t[SS_N_OPS][SS_N_DIRS]));
        cr_expect_arr_eq(a->wire.rounds, b->wire.rounds, a->wire.layers * sizeof(int64_t[SS_N_OPS]));
    }
    cr_expect_eq(a->has_error, b->has_error);
    cr_expect_arr_eq(&a->error, &b->error, sizeof a->error);
    cr_expect_eq(a->has_functions, b->has_functions);
    cr_expect_eq(a->has_outside, b->has_outside);
    cr_expect_arr_eq(a->fit, b->fit, sizeof a->fit);
    cr_expect_arr_eq(a->arguments_seen, b->arguments_seen, sizeof a->arguments_seen);
    cr_expect_arr_eq(a->outside, b->outside, sizeof a->outside);
    cr_assert_eq(a->arguments == NULL, b->arguments == NULL);
    if (a->arguments)
        cr_expect_arr_eq(a->arguments, b->arguments, sizeof *a->arguments);
    cr_assert_eq(a->window == NULL, b->window == NULL);
    cr_expect_eq(a->has_plain, b->has_plain);
    if (a->window)
        cr_expect_arr_eq(a->window, b->window, a->reps * sizeof *a->window);
    cr_assert_eq(a->predicted == NULL, b->predicted == NULL);
    if (a->predicted)
        cr_expect_arr_eq(a->predicted, b->predicted, a->reps * a->cell.tokens * sizeof *a->predicted);
    cr_expect_eq(a->params, b->params);
    cr_expect_eq(a->shape.d_ff, b->shape.d_ff);
    cr_expect_eq(a->shape.max_seq, b->shape.max_seq);
    cr_expect_eq(a->shape.rope_theta, b->shape.rope_theta);
    cr_expect_eq(a->shape.eps, b->shape.eps);
    cr_expect_eq(a->shape.tied, b->shape.tied);
    cr_assert_eq(a->logits == NULL, b->logits == NULL);
    if (a->logits)
        cr_expect_arr_eq(a->logits, b->logits, a->shape.vocab * sizeof *a->logits);
}

static void write_and_compare(const struct ss_result *r)
{
    char path[PATH_MAX];
    struct ss_result back;
    cr_assert_eq(ss_store_write(dir, r), SS_OK, "%s", ss_last_error());
    ss_store_path(path, sizeof path, dir, &r->cell);
    cr_assert_eq(ss_store_read(&back, path), SS_OK, "%s", ss_last_error());
    expect_equal(r, &back);
    ss_result_free(&back);
}

TestSuite(store, .init = make_dir);

Test(store, what_is_written_is_read_back)
{
    struct ss_result r;
    fill(&r, UINT64_MAX, 7, 4);
    write_and_compare(&r);
    r.has_first = r.has_error = false;
    r.first = (struct ss_pass){0};
    r.error = (struct ss_distance){0};
    r.status = SS_FAILED;
    free(r.logits);
    r.logits = NULL;
    free(r.arguments);
    r.arguments = NULL;
    r.has_functions = r.has_outside = false;
    memset(r.fit, 0, sizeof r.fit);
    memset(r.arguments_seen, 0, sizeof r.arguments_seen);
    memset(r.outside, 0, sizeof r.outside);
    write_and_compare(&r); /* replaces the first */
    ss_result_free(&r);
}

Test(store, a_skipped_cell_without_data_is_read_back)
{
    struct ss_result r = {.cell = {.model = "m", .variant = "plain", .backend = "cuda", .phase = "prefill", .reference = true},
                          .status = SS_SKIPPED,
                          .reason = "memory (needs 151 GB, has 139 GB)"};
    ss_cell_identify(&r.cell);
    write_and_compare(&r);
}

Test(store, files_from_before_cells_were_repeated_are_one_process)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    const int64_t backwards[7] = {0, 0, 1, 0, 1, 1, 1};
    fill(&r, 1, 7, 2);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_store_path(path, sizeof path, dir, &r.cell);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "/cell/process", H5P_DEFAULT);
    cr_assert(H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, backwards) >= 0);
    cr_assert(H5Dclose(set) >= 0 && H5Fclose(file) >= 0);
    cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "process does not count up"), "%s", ss_last_error());
    file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    cr_assert(H5Ldelete(file, "/cell/process", H5P_DEFAULT) >= 0 && H5Fclose(file) >= 0);
    cr_assert_eq(ss_store_read(&back, path), SS_OK, "%s", ss_last_error());
    cr_expect_eq(ss_result_processes(&back), 1);
    for (size_t i = 0; i < 7; i++)
        r.pass[i].process = 0;
    expect_equal(&r, &back);
    ss_result_free(&r);
    ss_result_free(&back);
}

/* As xarray reads it: units, long names, and a coordinate for every dimension. */
static void expect_described(hid_t file, const char *name, const char *coordinate)
{
    char path[64];
    snprintf(path, sizeof path, "/cell/%s", name);
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
    cr_assert(set >= 0, "%s", path);
    cr_expect(H5Aexists(set, "units") > 0 && H5Aexists(set, "long_name") > 0, "%s", path);
    snprintf(path, sizeof path, "/cell/%s", coordinate);
    hid_t scale = H5Dopen2(file, path, H5P_DEFAULT);
    cr_assert(scale >= 0 && H5DSis_scale(scale) > 0, "%s", path);
    cr_expect(H5DSis_attached(set, scale, strcmp(coordinate, "position") == 0 ? 1 : 0) > 0, "%s over %s", name, coordinate);
    H5Dclose(scale);
    H5Dclose(set);
}

Test(store, windows_of_a_text_are_read_back)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    fill(&r, 1, 7, 2);
    snprintf(r.cell.phase, sizeof r.cell.phase, "eval");
    r.cell.tokens = 5;
    r.cell.reference = true;
    ss_cell_identify(&r.cell);
    r.window = calloc(7, sizeof *r.window);
    r.predicted = calloc(7 * 5, sizeof *r.predicted);
    for (int i = 0; i < 7; i++)
        r.window[i] = (struct ss_window){.nats = 1 + 1.0 / (i + 3), .right = 100 + i};
    for (int i = 0; i < 7 * 5; i++)
        r.predicted[i] = 255 - i;
    write_and_compare(&r); /* a reference */
    free(r.predicted);
    r.predicted = NULL;
    r.cell.reference = false;
    ss_cell_identify(&r.cell);
    write_and_compare(&r); /* without a reference */
    r.has_plain = true;
    for (int i = 0; i < 7; i++) {
        r.window[i].plain_nats = 2 - 1.0 / (i + 3);
        r.window[i].agree = 200 + i;
    }
    write_and_compare(&r);
    ss_store_path(path, sizeof path, dir, &r.cell);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    static const char *const names[] = {"window", "xent", "xent_plain", "top1_next", "top1_plain"};
    for (size_t i = 0; i < 5; i++)
        expect_described(file, names[i], "rep");
    int64_t window[7];
    hid_t set = H5Dopen2(file, "/cell/window", H5P_DEFAULT);
    cr_assert(H5Dread(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, window) >= 0);
    cr_expect_arr_eq(window, ((int64_t[]){0, 1, 2, 0, 1, 2, 0}), sizeof window, "three to a process");
    H5Dclose(set);
    cr_assert(H5Ldelete(file, "/cell/xent", H5P_DEFAULT) >= 0 && H5Fclose(file) >= 0);
    cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "dataset xent is missing"), "%s", ss_last_error());
    ss_result_free(&r);
}

Test(store, missing_directories_are_made)
{
    struct ss_result r;
    fill(&r, 1, 1, 1);
    strcat(dir, "/a/b");
    write_and_compare(&r);
    dir[strlen(dir) - 4] = '\0';
    ss_result_free(&r);
}

Test(store, all_results_are_sorted_and_damage_is_named)
{
    const char *const variant[] = {"v3-ot", "v3", "plain", "v3-mpc", "v3-cc", "v2"};
    const char *const order[] = {"plain", "v2", "v3", "v3-cc", "v3-mpc", "v3-ot"};
    struct ss_result r, *all;
    size_t n;
    cr_assert_eq(ss_store_read_all(&all, &n, dir), SS_OK); /* no such directory yet */
    cr_assert_eq(n, 0);
    free(all);
    fill(&r, 1, 1, 1);
    for (size_t i = 0; i < 12; i++) {
        snprintf(r.cell.variant, sizeof r.cell.variant, "%s", variant[i % 6]);
        r.params = i < 6 ? 2000 : 1000;
        snprintf(r.cell.model, sizeof r.cell.model, "%s", i < 6 ? "big" : "small");
        ss_cell_identify(&r.cell);
        cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    }
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/cells/0123456789abcdef.h5", dir);
    cr_assert_eq(ss_disk_replace(path, "not hdf5", 8), SS_OK);
    snprintf(path, sizeof path, "%s/cells/0123456789abcdef.h5.part", dir); /* left by a kill: not a result */
    close(open(path, O_CREAT | O_WRONLY, 0666));
    cr_assert_eq(ss_store_read_all(&all, &n, dir), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "0123456789abcdef.h5"));
    cr_expect_not_null(strstr(ss_last_error(), "delete it and run again"));
    cr_assert_eq(n, 12);
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(all[i].params, i < 6 ? 1000 : 2000);
        cr_expect_str_eq(all[i].cell.variant, order[i % 6]);
        ss_result_free(&all[i]);
    }
    free(all);
    ss_result_free(&r);
}

/* The file's bytes; malloc'ed. */
static char *slurp(const char *path, size_t *size)
{
    struct stat s;
    cr_assert_eq(stat(path, &s), 0);
    *size = (size_t)s.st_size;
    char *bytes = malloc(*size);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    cr_assert_eq(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

Test(store, every_truncation_is_refused)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    size_t size, refused = 0;
    fill(&r, 1, 3, 2);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_store_path(path, sizeof path, dir, &r.cell);
    char *bytes = slurp(path, &size);
    for (size_t length = 0; length < size; length += length < 200 ? 13 : size / 97) {
        cr_assert_eq(ss_disk_replace(path, bytes, length), SS_OK);
        cr_expect_eq(ss_store_read(&back, path), SS_RESULTS, "%zu of %zu bytes were accepted", length, size);
        cr_expect_not_null(strstr(ss_last_error(), path));
        refused++;
    }
    cr_assert_eq(ss_disk_replace(path, bytes, size - 1), SS_OK);
    cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
    cr_expect_gt(refused, 90);
    free(bytes);
    ss_result_free(&r);
}

/* Replaces the only place where `from` stands in the file by the equally long `to`, and seals it again. */
static void patch(const char *path, const char *from, const char *to)
{
    size_t size;
    char *bytes = slurp(path, &size), *at = memmem(bytes, size, from, strlen(from));
    cr_assert_not_null(at, "no '%s' in the file", from);
    memcpy(at, to, strlen(to));
    ss_seal((uint8_t *)bytes + size - SS_SEAL_BYTES, bytes, size - SS_SEAL_BYTES);
    cr_assert_eq(ss_disk_replace(path, bytes, size), SS_OK);
    free(bytes);
}

/* A changed bit anywhere is noticed before HDF5 sees it; files from before there were seals are read as they are. */
Test(store, one_changed_bit_is_refused)
{
    struct ss_result r, back;
    char path[PATH_MAX];
    size_t size;
    fill(&r, 1, 3, 2);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    ss_store_path(path, sizeof path, dir, &r.cell);
    char *bytes = slurp(path, &size);
    for (size_t at = 0; at < size - SS_SEAL_BYTES; at += size / 53) {
        bytes[at] ^= 16;
        cr_assert_eq(ss_disk_replace(path, bytes, size), SS_OK);
        cr_expect_eq(ss_store_read(&back, path), SS_RESULTS);
        cr_expect_not_null(strstr(ss_last_error(), "checksum"), "byte %zu: %s", at, ss_last_error());
        bytes[at] ^= 16;
    }
    cr_assert_eq(ss_disk_replace(path, bytes, size - SS_SEAL_BYTES), SS_OK);
    cr_assert_eq(ss_store_read(&back, path), SS_OK, "%s", ss_last_error());
    ss_result_free(&back);
    free(bytes);
    ss_result_free(&r);
}

Test(store, values_that_do_not_belong_are_refused)
{
    static const char *const change[][2] = {{"shardscale cell", "somebody's cell"}, /* format */
                                            {"v3-ot", "v3-xx"},                     /* variant, against the id */
                                            {"measured", "mesaured"},               /* status */
                                            {"gate_up", "gate-up"}};                /* coordinate of operations */
    struct ss_result r, back;
    char path[PATH_MAX];
    fill(&r, 1, 3, 2);
    ss_store_path(path, sizeof path, dir, &r.cell);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        cr_assert_eq(ss_store_write(dir, &r), SS_OK);
        patch(path, change[i][0], change[i][1]);
        cr_expect_eq(ss_store_read(&back, path), SS_RESULTS, "%s", change[i][1]);
        cr_expect_not_null(strstr(ss_last_error(), "another version"), "%s", ss_last_error());
    }
    ss_result_free(&r);
}

Test(store, a_missing_file_and_a_foreign_file_are_named)
{
    struct ss_result r;
    char path[128];
    float x[4] = {0};
    cr_expect_eq(ss_store_read(&r, "/nonexistent/x.h5"), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "/nonexistent/x.h5"));
    snprintf(path, sizeof path, "%s/foreign.h5", dir);
    cr_assert_eq(ss_store_logits(path, x, 1, 1, 4, &(struct ss_pairs){0}), SS_OK);
    cr_expect_eq(ss_store_read(&r, path), SS_RESULTS);
    cr_expect_not_null(strstr(ss_last_error(), "not a result of shardscale"));
    cr_expect_eq(ss_store_read(&r, dir), SS_RESULTS); /* a directory */
}

/* Writes cells for ever, always the same eight, in turn from `first`; a byte into `written` after each. */
static void write_for_ever(uint64_t first, int written)
{
    struct ss_result r;
    fill(&r, 0, 5, 3);
    for (r.cell.seed = first;; r.cell.seed = (r.cell.seed + 1) % 8) {
        ss_cell_identify(&r.cell);
        enum ss_err err = ss_store_write(dir, &r);
        if ((err != SS_OK && err != SS_ENV) || write(written, "", 1) != 1) /* SS_ENV: the other writer has this cell */
            _exit(1);
    }
}

Test(store, a_kill_at_any_moment_leaves_readable_files, .timeout = 120)
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
        fill(&r, seed, 1, 1);
        write_and_compare(&r);
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

Test(store, a_full_disk_is_one_clear_error_and_keeps_what_is_saved)
{
    struct ss_result r, back;
    char path[PATH_MAX], cells[96], logits_path[96];
    static float logits[3 * 100000];
    fill(&r, 1, 3, 2);
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
        expect_equal(&r, &back); /* the older result is still there */
        ss_result_free(&back);
        cr_expect_eq(count_parts(cells) + count_parts(dir), 0);
        cr_expect_neq(access(logits_path, F_OK), 0);
    }
    cr_expect_eq(ss_store_logits(logits_path, logits, 3, 1, 100000, &r.env), SS_OK);
    ss_result_free(&r);
}

Test(store, an_unwritable_directory_is_one_clear_error)
{
    struct ss_result r;
    char file[96], below[128];
    fill(&r, 1, 1, 1);
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
