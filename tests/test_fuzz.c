/* test_fuzz.c — damaged input of every kind (protocols.md 11.9), by mutation of good input, the same in every run: each ends as
   SS_OK or as an error with one line, without a crash (under SAN=address: without a wrong access) and in time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/claims.h"
#include "harness/experiment.h"
#include "harness/filter.h"
#include "harness/model.h"
#include "harness/safetensors.h"
#include "harness/store.h"
#include "harness/sweep.h"
#include "tests/mutate.h"
#include "tests/roles.h"
#include "tests/scratch.h"
#include "tests/toy.h"
#include "variants/variant.h"

enum { ROUNDS = 4000, FEW = 1500, MAX_FILE = 1 << 18 };

static char dir[SCRATCH_PATH];

static void make_dir(void)
{
    scratch_dir(dir);
    ss_set_error_silent(1);
}

TestSuite(fuzz, .init = make_dir, .timeout = 240);

static const char *file_in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(file_in_dir(name), "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

static size_t read_path(const char *path, uint8_t *out)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    const size_t n = fread(out, 1, MAX_FILE, f);
    cr_assert(n > 0 && n < MAX_FILE, "%s", path);
    fclose(f);
    return n;
}

/* A file of the repository. */
static size_t read_own(const char *name, uint8_t *out)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", ss_home(), name);
    return read_path(path, out);
}

/* What a reader said about mutation `seed`: nothing, or one line. How many it took: 1 or 0. */
static size_t taken(enum ss_err err, uint64_t seed)
{
    const char *said = ss_last_error();
    if (err == SS_OK)
        return 1;
    cr_assert(err == SS_USAGE || err == SS_RESULTS || err == SS_ENV || err == SS_SKIP, "mutation %d: code %d", (int)seed, err);
    cr_assert(said[0] && !strchr(said, '\n'), "mutation %d: the error is '%s'", (int)seed, said);
    ss_clear_error();
    return 0;
}

typedef enum ss_err (*reader)(void);

/* Mutates base (n bytes) into the file `name`, then reads. At least one mutation must have been refused and one accepted. */
static void fuzz_file(const char *name, const uint8_t *base, size_t n, const char *const *words, uint64_t rounds, reader read)
{
    uint8_t *damaged = malloc(2 * n + 256);
    size_t good = 0;
    write_file(name, base, n);
    ss_clear_error();
    cr_assert_eq(read(), SS_OK, "%s: undamaged: %s", name, ss_last_error());
    for (uint64_t seed = 0; seed < rounds; seed++) {
        write_file(name, damaged, mutate(damaged, base, n, seed, words));
        good += taken(read(), seed);
    }
    free(damaged);
    cr_assert(0 < good && good < rounds, "%s: %zu of %zu mutations were read", name, good, (size_t)rounds);
    cr_log_info("%s: %zu of %zu mutations still read", name, good, (size_t)rounds);
}

/* ---- checkpoints */
static enum ss_err read_safetensors(void)
{
    struct ss_safetensors *st;
    enum ss_err err = ss_safetensors_open_file(&st, file_in_dir("model.safetensors"));
    if (err != SS_OK)
        return err;
    for (const char *const *name = (const char *const[]){"a", "b", "c", NULL}; *name; name++) {
        const struct ss_tensor *t = ss_safetensors_find(st, *name);
        size_t n = t ? 1 : 0;
        for (size_t i = 0; t && i < t->rank; i++)
            n *= t->shape[i];
        if (t && n > 0 && (t->dtype == SS_DT_F32 || t->dtype == SS_DT_BF16 || t->dtype == SS_DT_F16)) {
            float first, last;
            ss_tensor_to_f32(&first, t, 0, 1);
            ss_tensor_to_f32(&last, t, n - 1, 1);
        }
    }
    ss_safetensors_close(st);
    return SS_OK;
}

Test(fuzz, safetensors_header)
{
    static const char *const words[] = {"\"F32\"", "\"shape\"", "[",  "]",  "{", "}", "null",
                                        "true",    "\"a\":",    "[]", "{}", ",", ":", NULL};
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                                 "\"a\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0,8]},"
                                 "\"c\":{\"dtype\":\"I64\",\"shape\":[0,5],\"data_offsets\":[32,32]}}";
    uint8_t file[8 + sizeof header - 1 + 32] = {sizeof header - 1};
    memcpy(file + 8, header, sizeof header - 1);
    fuzz_file("model.safetensors", file, sizeof file, words, ROUNDS, read_safetensors);
}

static enum ss_err read_config(void)
{
    struct ss_model m;
    return ss_model_from_dir(&m, dir);
}

Test(fuzz, config_json)
{
    static const char *const words[] = {"null", "[", "{", "\"hidden_size\"", "1e308", "-0.0", "\"\"", "true", NULL};
    uint8_t *base = malloc(MAX_FILE);
    const size_t n = read_own("tests/data/tiny-lm/config.json", base);
    fuzz_file("config.json", base, n, words, ROUNDS, read_config);
    free(base);
}

/* ---- experiments and claims */
static enum ss_err read_experiment(void)
{
    static const char *const profiles[] = {"smoke", "cpu", "gpu"};
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < 3 && err == SS_OK; i++) {
        struct ss_experiment e;
        err = ss_experiment_read(&e, file_in_dir("x.ini"), profiles[i], "cpu", 1);
        if (err == SS_OK)
            ss_experiment_free(&e);
    }
    return err;
}

Test(fuzz, experiment_ini)
{
    static const char *const words[] = {
        "[axes]",   "[options]", "[effort]", "[profile.cpu]", "=",  ",", "v3-ot.frac = 12\n", "1-64*2",
        "1-999999", "#",         ";",        "[table.",       "%s", NULL};
    uint8_t *base = malloc(MAX_FILE);
    const size_t n = read_own("experiments/lookups.ini", base);
    fuzz_file("x.ini", base, n, words, FEW, read_experiment);
    free(base);
}

static enum ss_err read_claims(void)
{
    struct ss_claims c;
    char claims[128];
    snprintf(claims, sizeof claims, "%s", file_in_dir("claims.csv"));
    enum ss_err err = ss_claims_read(&c, claims, file_in_dir("rules.csv"));
    if (err != SS_OK)
        return err;
    struct ss_judged *judged = NULL;
    size_t count[SS_N_VERDICTS];
    err = ss_claims_judge_all(&judged, count, &c, NULL, 0);
    if (err == SS_OK)
        free(judged);
    ss_claims_free(&c);
    return err;
}

Test(fuzz, claims_csv)
{
    static const char *const words[] = {"\"", ",", "\n", "\r\n", "~", "-", "+", "@", "a-*", "#", ",,,,,,,,", NULL};
    uint8_t *base = malloc(MAX_FILE);
    const size_t n = read_own("experiments/claims.csv", base), m = read_own("experiments/claims_rules.csv", base + n);
    write_file("rules.csv", base + n, m);
    fuzz_file("claims.csv", base, n, words, 100, read_claims);
    write_file("claims.csv", base, n);
    fuzz_file("rules.csv", base + n, m, words, 100, read_claims);
    free(base);
}

/* ---- expressions */
static enum ss_err any_name(void *user, const struct ss_name_tags *name, struct ss_range *out)
{
    (void)user;
    *out = ss_range_exact((double)strlen(name->name) - 1);
    return SS_OK;
}

static enum ss_err read_filter(const char *text)
{
    struct ss_filter *f;
    const struct ss_cell cell = {.model = "doc-7b", .variant = "v2", .backend = "cpu", .phase = "prefill", .tokens = 8};
    enum ss_err err = ss_filter_parse(&f, text);
    if (err != SS_OK)
        return err;
    (void)ss_filter_match(f, &cell);
    ss_filter_free(f);
    return SS_OK;
}

static enum ss_err read_expression(const char *text)
{
    struct ss_range r;
    return ss_expr_eval(&r, text, any_name, NULL);
}

static enum ss_err read_options(const char *text)
{
    int64_t values[SS_MAX_OPTIONS];
    enum ss_err err = ss_options_parse(ss_variant_find("v3-ot"), text, values);
    if (err != SS_OK)
        return err;
    char printed[512];
    ss_options_print(ss_variant_find("v3-ot"), values, printed, sizeof printed);
    return SS_OK;
}

static enum ss_err read_numbers(const char *text)
{
    uint64_t values[64];
    size_t n;
    return ss_parse_range(values, 64, &n, text, "tokens");
}

static void fuzz_text(const char *base, const char *const *words, enum ss_err (*read)(const char *text))
{
    const size_t n = strlen(base);
    size_t good = 0;
    uint8_t *damaged = malloc(2 * n + 257);
    cr_assert_eq(read(base), SS_OK, "%s: %s", base, ss_last_error());
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        const size_t size = mutate(damaged, (const uint8_t *)base, n, seed, words);
        damaged[size] = '\0';
        good += taken(read((const char *)damaged), seed);
    }
    free(damaged);
    cr_assert(0 < good && good < ROUNDS, "%s: %zu of %d mutations were read", base, good, ROUNDS);
}

Test(fuzz, texts_of_the_command_line)
{
    static const char *const words[] = {"(", ")", "!", "&&", "||", "==", "=~", "<=", "'", "*", "1e999", "7b", "\"", "  ", NULL};
    fuzz_text("model==7b && (variant=~'v*' || !tokens<64) && seed != 3 && model>=doc-1.5b", words, read_filter);
    fuzz_text("min(4, x, 9) + max(1, 2) * -abs(y@v3-ot@7B - 2.5e3) / (z + 1) <= 12", words, read_expression);
    fuzz_text("frac=16,source=dealer,entries=4096,columns=2", words, read_options);
    fuzz_text("1,2,8-64*2,100-120+5", words, read_numbers);
}

/* Nesting is bounded: a long run of any opening is refused, not followed down the stack. */
Test(fuzz, deep_nesting_is_refused)
{
    enum { DEEP = 1 << 20 };
    static const char *const openings[] = {"(", "!", "-", "min(", "!(", "-("};
    char *text = malloc(4 * DEEP + 1);
    for (size_t k = 0; k < sizeof openings / sizeof *openings; k++) {
        text[0] = '\0';
        const size_t n = strlen(openings[k]);
        for (size_t i = 0; i < DEEP; i++)
            memcpy(text + i * n, openings[k], n);
        text[DEEP * n] = '\0';
        cr_assert_eq(read_filter(text), SS_USAGE);
        cr_assert_eq(read_expression(text), SS_USAGE);
    }
    for (size_t i = 0; i < DEEP; i++)
        text[i] = '[';
    write_file("config.json", text, DEEP);
    cr_assert_eq(read_config(), SS_USAGE);
    free(text);
}

/* ---- results */
static enum ss_err read_cell(void)
{
    struct ss_result r;
    enum ss_err err = ss_store_read(&r, file_in_dir("cell.h5"));
    if (err == SS_OK)
        ss_result_free(&r);
    return err;
}

Test(fuzz, result_file)
{
    struct ss_result r = {.cell = {.model = "tiny", .variant = "v3", .backend = "cpu", .phase = "prefill", .tokens = 4},
                          .reps = 2,
                          .has_error = true,
                          .shape = {.d_model = 8, .vocab = 5}};
    uint8_t *base = malloc(MAX_FILE);
    char path[256];
    ss_cell_identify(&r.cell);
    r.pass = calloc(r.reps, sizeof *r.pass);
    r.logits = calloc(r.shape.vocab, sizeof *r.logits);
    cr_assert_eq(ss_wire_alloc(&r.wire, 2), 0);
    cr_assert_eq(ss_pairs_add(&r.env, "cpu", "%s", "a CPU"), SS_OK);
    cr_assert_eq(ss_pairs_add(&r.config, "claim", "%s", "nothing"), SS_OK);
    cr_assert_eq(ss_store_write(dir, &r), SS_OK);
    snprintf(path, sizeof path, "%s/cells/%s.h5", dir, r.cell.id);
    const size_t n = read_path(path, base);
    ss_result_free(&r);
    fuzz_file("cell.h5", base, n, NULL, FEW, read_cell);
    free(base);
}

/* What a sweep's child is told. */
Test(fuzz, order_of_a_child)
{
    struct ss_cell cell = {
        .model = "tiny-lm", .variant = "v3-ot", .backend = "cpu", .phase = "prefill", .tokens = 4, .seed = 1};
    const struct ss_effort effort = {.reps_min = 2, .reps_max = 4, .target = 0.01, .max_seconds = 3};
    uint8_t base[4096], damaged[2 * sizeof base + 256];
    ss_cell_identify(&cell);
    FILE *f = fmemopen(base, sizeof base, "w");
    ss_child_order_write(f, &cell, &effort);
    const size_t n = (size_t)ftell(f);
    fclose(f);
    struct ss_cell c;
    struct ss_effort e;
    size_t good = 0;
    f = fmemopen(base, n, "r");
    cr_assert_eq(ss_child_order_read(f, &c, &e), SS_OK, "undamaged: %s", ss_last_error());
    fclose(f);
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        const size_t size = mutate(damaged, base, n, seed, NULL);
        FILE *in = fmemopen(damaged, size ? size : 1, "r");
        good += taken(ss_child_order_read(in, &c, &e), seed);
        fclose(in);
        struct ss_child_report report = {0};
        damaged[size] = '\0';
        (void)ss_child_status_read((const char *)damaged, &report);
    }
    cr_assert(0 < good && good < ROUNDS, "%zu of %d orders were read", good, ROUNDS);
    cr_log_info("%zu of %d orders were read", good, ROUNDS);
}

/* ---- frames */
struct frames {
    const char *sent, *due;
    size_t sent_bytes, due_bytes;
    int from, to;
};

static enum ss_err one_frame(struct ss_ctx *c, void *arg)
{
    const struct frames *f = arg;
    static uint8_t out[2048];
    uint8_t in[2048];
    c->phase = SS_OFFLINE;
    if (c->role == f->from)
        return ss_send(c, f->to, f->sent, out, f->sent_bytes);
    return c->role == f->to ? ss_recv(c, f->from, f->due, in, f->due_bytes) : SS_OK;
}

/* Type and length as the receiver expects them, or an error that names both. */
Test(fuzz, frames)
{
    static const char *const types[] = {"open", "shar", "indx", "look", "beav", "attn"};
    static const int links[][2] = {{SS_P0, SS_P1}, {SS_P1, SS_P0}, {SS_DEALER, SS_P0}, {SS_DEALER, SS_P1}};
    for (uint64_t i = 0; i < 300; i++) {
        struct roles r;
        const uint64_t x = some(i);
        struct frames f = {.sent = types[x % 6],
                           .sent_bytes = 1 + (x >> 8) % 1500,
                           .from = links[x >> 32 & 3][0],
                           .to = links[x >> 32 & 3][1]};
        f.due = (x >> 40) % 3 ? f.sent : types[(x >> 44) % 6];
        f.due_bytes = (x >> 50) % 3 ? f.sent_bytes : 1 + (x >> 20) % 1500;
        const bool same = strcmp(f.sent, f.due) == 0 && f.sent_bytes == f.due_bytes;
        roles_open(&r, NULL, NULL);
        ss_clear_error();
        const enum ss_err err = roles_run_expecting(&r, one_frame, &f);
        cr_assert_eq(err, same ? SS_OK : SS_ENV);
        cr_assert(same || (strstr(ss_last_error(), f.sent) && strstr(ss_last_error(), f.due)), "%s", ss_last_error());
        roles_close(&r);
    }
}
