/* test_floors.c — floors of doc-1.5b at 56 tokens computed by hand, ceilings line by line. */
#include "harness/floors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/scratch.h"

static struct ss_pass passes[7];
static char home[SCRATCH_PATH], path[128];

/* A project directory whose ceilings.ini has this text. */
static void put(const char *text)
{
    static const char *const dirs[] = {"experiments", "experiments/machines"};
    if (!*path) {
        scratch_dir(home);
        for (size_t i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/%s", home, dirs[i]);
            cr_assert_eq(mkdir(path, 0700), 0);
        }
        snprintf(path, sizeof path, "%s/experiments/machines/ceilings.ini", home);
    }
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    setenv("SHARDSCALE_HOME", home, 1);
}

static void quiet(void)
{
    ss_set_error_silent(1);
}

TestSuite(floors, .init = quiet);

static const char machines[] = "[gpu]\ngpu = Fast 1\ncopy_tb_s = 4\nbf16_tflop_s = 800\nint8_top_s = 1000\n"
                               "[cpu]\ncpu = Slow\ncpu_isa = avx2 fma\ncpu_cores = 2\nring_gmac_s = 10\nbf16_gmac_s = 20\n";

static struct ss_result made(const char *variant, const char *options, const char *backend)
{
    struct ss_result r = {
        .cell = {.model = "doc-1.5b", .phase = "prefill", .tokens = 56},
        .status = SS_MEASURED,
        .reps = 7,
        .pass = passes,
        .shape = {.d_model = 1536, .d_ff = 8960, .n_layers = 28, .n_heads = 12, .n_kv = 2, .d_head = 128, .vocab = 151936}};
    strcpy(r.cell.variant, variant);
    strcpy(r.cell.options, options);
    strcpy(r.cell.backend, backend);
    for (size_t i = 0; i < 7; i++) {
        passes[i].online_ns = 40000000;
        passes[i].op_ns[SS_OP_gate_up] = (i + 1) * 1000000;
    }
    cr_assert_eq(ss_pairs_add(&r.env, "gpu", "%s", "Fast 1"), SS_OK);
    cr_assert_eq(ss_pairs_add(&r.env, "cpu", "%s", "Slow"), SS_OK);
    cr_assert_eq(ss_pairs_add(&r.env, "cpu_isa", "%s", "avx2 fma"), SS_OK);
    cr_assert_eq(ss_pairs_add(&r.env, "cpu_cores_allowed", "%s", "2"), SS_OK);
    return r;
}

struct expected {
    enum ss_op op;
    double bytes, ops;
};

static void check_work(const struct ss_result *r, const struct expected *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct ss_work w;
        cr_assert(ss_work_of(&w, r, e[i].op), "%s", ss_op_names[e[i].op].name);
        cr_expect_float_eq(w.bytes, e[i].bytes, 0.5, "%s %s: %.0f B", r->cell.variant, ss_op_names[e[i].op].name, w.bytes);
        cr_expect_float_eq(w.ops, e[i].ops, 0.5, "%s %s: %.0f ops", r->cell.variant, ss_op_names[e[i].op].name, w.ops);
    }
}

Test(floors, work_of_plain_bf16_by_hand)
{
    /* gate_up, a layer: weights 2 x 17920 x 1536, in 2 x 56 x 1536, out 4 x 56 x 17920 */
    static const struct expected e[] = {
        {SS_OP_qkv, 28.0 * (6291456 + 172032 + 458752), 28.0 * 2 * 56 * 2048 * 1536},
        {SS_OP_attn_out, 28.0 * (4718592 + 172032 + 2 * 344064), 28.0 * 2 * 56 * 1536 * 1536},
        {SS_OP_gate_up, 1658617856, 86318776320},
        {SS_OP_down, 818069504, 43159388160},
        {SS_OP_lm_head, 467358208, 466747392},
        {SS_OP_attn_norm, 14450688, 0},
        {SS_OP_rope, 22478848, 0},
        {SS_OP_attention, 20873216, 0},
        {SS_OP_ffn_norm, 14450688, 0},
        {SS_OP_swiglu, 140492800, 0},
        {SS_OP_final_norm, 9216, 0},
    };
    struct ss_result r = made("plain", "compute=bf16", "cuda");
    check_work(&r, e, sizeof e / sizeof *e);
    ss_pairs_free(&r.env);
}

Test(floors, work_of_v3_by_hand)
{
    /* gate_up, a layer: weights 55050240 once, two parties' shares in 8 x 56 x 1536 and out 8 x 56 x 17920 */
    static const struct expected e[] = {
        {SS_OP_gate_up, 2029518848, 2589563289600},
        {SS_OP_down, 1072562176, 1294781644800},
        {SS_OP_lm_head, 469202944, 14002421760},
        {SS_OP_attn_norm, 77070336, 0},
        {SS_OP_rope, 64225280, 0},
        {SS_OP_attention, 54591488, 0},
        {SS_OP_swiglu, 674365440, 0},
        {SS_OP_final_norm, 49152, 0},
    };
    struct ss_result r = made("v3", "frac=16", "cuda");
    check_work(&r, e, sizeof e / sizeof *e);
    ss_pairs_free(&r.env);
    static const struct expected cpu[] = {{SS_OP_qkv, 28.0 * (6291456 + 16 * (86016 + 114688)), 9865003008}};
    r = made("v2", "frac=16", "cpu");
    check_work(&r, cpu, 1);
    struct ss_work w;
    cr_expect_not(ss_work_of(&w, &r, SS_OP_input));
    cr_expect_not(ss_work_of(&w, &r, SS_OP_offline));
    ss_pairs_free(&r.env);
}

static struct ss_value value(const struct ss_result *r, const char *name)
{
    struct ss_column c;
    struct ss_value v;
    cr_assert_eq(ss_column_find(&c, name), SS_OK, "%s: %s", name, ss_last_error());
    ss_column_value(&v, &c, r);
    return v;
}

Test(floors, the_longer_of_moving_and_computing)
{
    put(machines);
    struct ss_result r = made("plain", "compute=bf16", "cuda");
    cr_expect_float_eq(value(&r, "floor_ms_gate_up").real, 1658617856 / 4e9, 1e-9);
    cr_expect_float_eq(value(&r, "gb_gate_up").real, 1.658617856, 1e-9);
    cr_expect_float_eq(value(&r, "gop_gate_up").real, 86.31877632, 1e-9);
    ss_pairs_free(&r.env);
    r = made("v3", "frac=16", "cuda");
    cr_expect_float_eq(value(&r, "floor_ms_gate_up").real, 2589563289600 / 1e12, 1e-9);
    cr_expect_float_eq(value(&r, "floor_ms_swiglu").real, 674365440 / 4e9, 1e-9);
    double sum = 0;
    for (size_t i = 0; i < SS_N_FLOOR_OPS; i++) {
        char name[40];
        snprintf(name, sizeof name, "floor_ms_%s", ss_op_names[ss_floor_ops[i]].name);
        sum += value(&r, name).real;
    }
    cr_expect_float_eq(value(&r, "floor_ms").real, sum, 1e-9);
    cr_expect_float_eq(value(&r, "of_floor").real, 100 * sum / 40, 1e-9);
    ss_pairs_free(&r.env);
}

Test(floors, percent_of_bound_with_its_interval)
{
    put(machines);
    struct ss_result r = made("v3", "frac=16", "cuda"); /* gate_up: 1 to 7 ms, median 4 */
    struct ss_value v = value(&r, "of_floor_gate_up");
    cr_expect_float_eq(v.real, 258.95632896 / 4, 1e-9);
    cr_expect(v.has_interval && fabs(v.lo - 258.95632896 / 7) < 1e-9 && fabs(v.hi - 258.95632896) < 1e-9);
    cr_expect_not(value(&r, "of_floor_qkv").present, "no time was measured");
    r.status = SS_SKIPPED;
    cr_expect_not(value(&r, "of_floor_gate_up").present);
    cr_expect(value(&r, "floor_ms_gate_up").present, "a formula needs no run");
    ss_pairs_free(&r.env);
}

Test(floors, a_cpu_without_copy_speed_bounds_products_only)
{
    put(machines);
    struct ss_result r = made("v3", "frac=16", "cpu");
    cr_expect_float_eq(value(&r, "floor_ms_qkv").real, 9865003008 / 1e7, 1e-6);
    cr_expect_not(value(&r, "floor_ms_swiglu").present);
    cr_expect_not(value(&r, "floor_ms").present);
    cr_expect(value(&r, "gb_swiglu").present);
    ss_pairs_free(&r.env);
    r = made("plain", "compute=bf16", "cpu");
    cr_expect_float_eq(value(&r, "floor_ms_gate_up").real, 86318776320 / 4e7, 1e-6); /* 20 GMAC/s are 40 Gop/s */
    ss_pairs_free(&r.env);
}

Test(floors, no_ceiling_no_number)
{
    static const char *const keys[] = {"gpu", "cpu", "cpu_isa", "cpu_cores_allowed"};
    put(machines);
    for (size_t i = 0; i < 4; i++) { /* one other property is another machine */
        struct ss_result r = made("v3", "frac=16", i == 0 ? "cuda" : "cpu");
        cr_expect(value(&r, "floor_ms_gate_up").present);
        cr_assert_eq(ss_pairs_add(&r.env, keys[i], "%s", "other"), SS_OK);
        cr_expect_not(value(&r, "floor_ms_gate_up").present, "%s", keys[i]);
        cr_expect_not(value(&r, "of_floor_gate_up").present, "%s", keys[i]);
        cr_expect_not(value(&r, "floor_ms").present);
        cr_expect(value(&r, "gop_gate_up").present);
        ss_pairs_free(&r.env);
        cr_expect_not(value(&r, "floor_ms_gate_up").present, "no env");
    }
    struct ss_result r = made("plain", "compute=fp32", "cuda");
    cr_expect_not(value(&r, "floor_ms_gate_up").present, "fp32 products have no ceiling");
    cr_expect(value(&r, "floor_ms_swiglu").present);
    struct ss_column c;
    char text[16];
    cr_assert_eq(ss_column_find(&c, "of_floor_gate_up"), SS_OK);
    struct ss_value v = value(&r, "of_floor_gate_up");
    ss_value_human(text, sizeof text, &c, &v);
    cr_expect_str_eq(text, "-");
    r.cell.split = true;
    cr_expect_not(value(&r, "gb_gate_up").present, "formulas are those of one device");
    r.cell.split = false;
    cr_expect(value(&r, "gb_gate_up").present);
    strcpy(r.cell.phase, "decode");
    cr_expect_not(value(&r, "gb_gate_up").present, "formulas are those of a prefill");
    ss_pairs_free(&r.env);
}

Test(floors, ini_line_by_line)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[a]\ngpu = x\ncopy_tb_s = 1\n", NULL},
        {"[a]\ngpu = x\n[a]\ncopy_tb_s = 1\n", NULL},
        {"[a]\ngpu = x\ncopy_tb = 1\n", ":3: unknown key a.copy_tb; did you mean a.copy_tb_s?"},
        {"[a]\ngpu = x\nring_gmac_s = 1\n", ":3: unknown key a.ring_gmac_s"},
        {"[a]\ngpu = x\nint8_top_s = fast\n", ":3: int8_top_s = 'fast'"},
        {"[a]\ngpu = x\nint8_top_s = 0\n", ":3: int8_top_s = '0'"},
        {"[a]\ngpu = x\n[b]\ncopy_tb_s = 1\n", ":4: [b] names neither gpu nor cpu"},
        {"[a]\ngpu = x\ncpu = y\n", ":2: unknown key a.gpu"},
        {"[a]\ncpu = y\ncpu_isa = avx2\n", ":2: [a] has no cpu_cores"},
        {"[a]\ngpu =\n", ":2: gpu: give 1 to"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ss_ceilings c;
        put(cases[i].text);
        cr_expect_eq(ss_ceilings_read(&c, path), cases[i].says ? SS_USAGE : SS_OK, "%s", cases[i].text);
        if (cases[i].says)
            cr_expect_not_null(strstr(ss_last_error(), cases[i].says), "'%s' lacks '%s'", ss_last_error(), cases[i].says);
        cr_expect_eq(c.n, cases[i].says ? 0 : 1);
    }
    struct ss_column column; /* the error reaches whoever names the column */
    cr_expect_eq(ss_column_find(&column, "floor_ms"), SS_USAGE);
    cr_expect_eq(ss_column_find(&column, "online_ms"), SS_OK);
}

Test(floors, the_committed_ceilings_are_readable)
{
    char committed[1200];
    struct ss_ceilings c;
    snprintf(committed, sizeof committed, "%s/experiments/machines/ceilings.ini", ss_home());
    cr_assert_eq(ss_ceilings_read(&c, committed), SS_OK, "%s", ss_last_error());
    struct ss_result r = {.cell = {.backend = "cuda"}};
    cr_assert_eq(ss_pairs_add(&r.env, "gpu", "%s", "NVIDIA H200"), SS_OK);
    const struct ss_ceiling *h200 = ss_ceiling_of(&c, &r);
    cr_assert_not_null(h200);
    cr_expect(h200->copy_bytes_s > 1e12 && h200->bf16_op_s > 1e14 && h200->int8_op_s > 1e14);
    ss_pairs_free(&r.env);
}
