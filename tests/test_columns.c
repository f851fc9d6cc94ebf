/* test_columns.c — every column of a result made by hand. */
#include "harness/columns.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/judged.h"

static struct ss_pass passes[7];

/* doc-1.5b at 56 tokens: seven repetitions of 10, 20, ... 70 ms. */
static struct ss_result made(void)
{
    struct ss_result r = {.cell = {.model = "doc-1.5b", .variant = "v2", .backend = "cpu", .phase = "prefill", .tokens = 56},
                          .status = SS_MEASURED,
                          .reps = 7,
                          .pass = passes,
                          .params = 1543714304,
                          .shape = {.d_model = 1536, .d_ff = 8960, .n_layers = 28, .n_heads = 12, .n_kv = 2, .d_head = 128}};
    for (size_t i = 0; i < 7; i++) {
        passes[i].online_ns = (7 - i) * 10000000;
        passes[i].op_ns[SS_OP_swiglu] = 2000000;
    }
    r.counters.func_silu = 28LL * 56 * 8960;
    r.counters.func_exp = 28LL * 12 * 56 * 57 / 2;
    r.counters.func_recip = 28LL * 12 * 56;
    r.counters.func_rsqrt = 28LL * 2 * 56 + 1;
    r.counters.bytes_online_p0_p1 = 1000;
    r.counters.bytes_online_p1_p0 = 500;
    r.counters.bytes_input_p0_p1 = 60;
    r.counters.bytes_offline_d_p1 = 7;
    r.counters.rounds_online = 5;
    r.counters.rounds_output = 1;
    r.peak[SS_TAG_weights] = 100;
    r.peak[SS_TAG_shares] = 20;
    r.peak[SS_TAG_tables] = 3;
    return r;
}

static int64_t count(const struct ss_result *r, const char *name)
{
    struct ss_value v = value(r, name);
    cr_assert(v.present, "%s", name);
    return v.count;
}

Test(columns, counts_and_their_sums)
{
    struct ss_result r = made();
    cr_assert_eq(count(&r, "func_total"), 28LL * 521696 + 1);
    cr_assert_float_eq(value(&r, "func_per_layer").real, 521696, 1e-9);
    cr_assert_eq(count(&r, "func_silu"), 28LL * 56 * 8960);
    cr_assert_eq(count(&r, "bytes_online_p0_p1"), 1000);
    cr_assert_eq(count(&r, "bytes_online"), 1500);
    cr_assert_eq(count(&r, "bytes_between"), 1560);
    cr_assert_eq(count(&r, "bytes_total"), 1567);
    cr_assert_eq(count(&r, "bytes_dealer"), 7);
    cr_assert_eq(count(&r, "rounds_total"), 6);
    cr_assert_eq(count(&r, "peak_shares"), 20);
    cr_assert_eq(count(&r, "peak_total"), 123);
    cr_assert_eq(count(&r, "peak_overhead"), 23);
}

Test(columns, what_a_cell_ran_on)
{
    struct ss_result r = made();
    struct ss_pass *kept = r.pass;
    const size_t reps = r.reps;
    struct ss_pass pass[3] = {{.wall_ns = 1000000, .energy_mj = 0, .sm_clock_mhz = 1900},
                              {.wall_ns = 2000000, .energy_mj = 900, .sm_clock_mhz = 1800},
                              {.wall_ns = 1000000, .energy_mj = 300, .sm_clock_mhz = 1980}};
    cr_expect_not(value(&r, "gpu_driver").present);
    cr_assert_eq(ss_pairs_add(&r.env, "gpu_driver", "570.1"), SS_OK);
    cr_assert_eq(ss_pairs_add(&r.config, "residency", "streamed"), SS_OK);
    cr_expect_str_eq(value(&r, "gpu_driver").text, "570.1");
    cr_expect_str_eq(value(&r, "residency").text, "streamed");
    cr_expect_str_eq(value(&r, "placement").text, "one");
    r.cell.split = true;
    cr_expect_str_eq(value(&r, "placement").text, "split");
    r.cell.split = false;
    r.pass = pass;
    r.reps = 3;
    cr_expect_float_eq(value(&r, "gpu_watts").real, 300, 1e-9, "1.2 J in 4 ms");
    cr_expect_float_eq(value(&r, "gpu_clock").real, 1900, 1e-9);
    pass[1].energy_mj = pass[1].sm_clock_mhz = -1;
    cr_expect_not(value(&r, "gpu_watts").present, "not known of all repetitions");
    cr_expect_float_eq(value(&r, "gpu_clock").real, 1940, 1e-9);
    r.pass = kept;
    r.reps = reps;
    ss_pairs_free(&r.env);
    ss_pairs_free(&r.config);
}

Test(columns, per_token_numbers_of_decode_are_of_one_token)
{
    struct ss_result r = made();
    cr_expect_float_eq(value(&r, "bytes_per_token").real, 1560.0 / 56, 1e-9);
    strcpy(r.cell.phase, "decode");
    cr_expect_float_eq(value(&r, "bytes_per_token").real, 1560, 1e-9);
}

Test(columns, the_documents_formulas)
{
    struct ss_result r = made();
    cr_assert_eq(count(&r, "seed_ots"), 61880);
    cr_assert_eq(count(&r, "seed_ots_per_layer"), 2210);
    cr_assert_eq(count(&r, "seed_triples"), 309400);
    cr_assert_eq(count(&r, "seed_triple_bytes"), 309400 * 12);
    cr_assert_eq(count(&r, "seed_ot_bytes"), 61880 * 64);
    cr_assert_eq(count(&r, "seed_share_bytes"), 344064);
    cr_assert_eq(count(&r, "seed_net_per_token"), 12288);
    cr_assert_eq(count(&r, "seed_kv_bytes"), 117440512);
    cr_assert_eq(count(&r, "seed_table_bytes"), 49152);
    cr_assert_eq(count(&r, "weight_bytes"), 3087428608);
}

Test(columns, times_have_medians_and_exact_intervals)
{
    struct ss_result r = made();
    struct ss_value t = value(&r, "online_ms");
    cr_assert_float_eq(t.real, 40, 1e-9);
    cr_assert(t.has_interval && fabs(t.lo - 10) < 1e-9 && fabs(t.hi - 70) < 1e-9); /* n = 7: the range */
    cr_assert_str_eq(value(&r, "online_ci").text, "10-70");
    cr_assert_float_eq(value(&r, "tokens_per_s").real, 1400, 1e-6);
    cr_assert_float_eq(value(&r, "op_ms_swiglu").real, 2, 1e-9);
    r.reps = 5;
    cr_assert_not(value(&r, "online_ms").has_interval);
    cr_assert_str_eq(value(&r, "online_ci").text, "n too small");
    r.reps = 0;
    cr_assert_not(value(&r, "online_ms").present);
    cr_assert_not(value(&r, "first_ms").present);
}

Test(columns, errors_only_where_compared)
{
    struct ss_result r = made();
    cr_assert_not(value(&r, "rel_l2").present);
    r.has_error = true;
    r.error.rel_l2 = 2e-4;
    cr_assert_float_eq(value(&r, "rel_l2").real, 2e-4, 1e-12);
}

Test(columns, a_failed_cell_has_its_reason_and_no_numbers)
{
    struct ss_result r = made();
    r.status = SS_SKIPPED;
    strcpy(r.reason, "memory (needs 151 GB, has 139 GB)");
    cr_assert_str_eq(value(&r, "status").text, "skipped: memory (needs 151 GB, has 139 GB)");
    cr_assert_not(value(&r, "func_total").present);
    cr_assert_not(value(&r, "online_ms").present);
    cr_assert_not(value(&r, "peak_total").present);
    cr_assert_eq(count(&r, "seed_ots"), 61880);
    cr_assert_str_eq(value(&r, "model").text, "doc-1.5b");
}

Test(columns, options_of_the_cell)
{
    struct ss_result r = made();
    cr_assert_not(value(&r, "option_entries").present, "v2 has no such option");
    snprintf(r.cell.options, sizeof r.cell.options, "frac=14,source=ot,entries=1024");
    cr_assert_eq(count(&r, "option_frac"), 14);
    cr_assert_eq(count(&r, "option_entries"), 1024);
    cr_assert_str_eq(value(&r, "option_source").text, "ot");
    cr_assert_not(value(&r, "option_columns").present);
}

Test(columns, functions_only_where_approximated_and_costs_by_evaluation)
{
    struct ss_result r = made();
    cr_assert_not(value(&r, "error_exp").present);
    cr_assert_not(value(&r, "out_of_range").present);
    r.has_functions = true;
    r.fit[SS_FN_exp].error = 0.5;
    cr_assert_eq(value(&r, "error_exp").real, 0.5);
    cr_assert_not(value(&r, "outside_exp").present);
    r.has_outside = true;
    r.outside[SS_FN_exp] = 3;
    r.outside[SS_FN_rsqrt] = 4;
    cr_assert_eq(count(&r, "outside_exp"), 3);
    cr_assert_eq(count(&r, "outside_silu"), 0);
    cr_assert_eq(count(&r, "out_of_range"), 7);
    const double all = 28.0 * 521696 + 1;
    cr_assert_float_eq(value(&r, "online_b_per_func").real, 1500 / all, 1e-12);
    cr_assert_float_eq(value(&r, "offline_b_per_func").real, 7 / all, 1e-12);
    struct ss_value t = value(&r, "online_ns_per_func");
    cr_assert_float_eq(t.real, 40e6 / all, 1e-6);
    cr_assert(t.has_interval && t.lo < t.real && t.real < t.hi);
}

Test(columns, names_are_unique_and_found)
{
    const char *names[256];
    size_t n = ss_column_names(names, 256);
    cr_assert(n > 100 && n <= 256, "%zu columns", n);
    for (size_t i = 0; i < n; i++) {
        struct ss_column c;
        cr_assert_eq(ss_column_find(&c, names[i]), SS_OK);
        for (size_t k = 0; k < i; k++)
            cr_assert_str_neq(names[i], names[k]);
        bool seed = strncmp(names[i], "seed_", 5) == 0;
        cr_assert(!seed || c.origin == SS_FORMULA, "%s", names[i]);
    }
    struct ss_column c;
    ss_set_error_silent(1);
    cr_assert_eq(ss_column_find(&c, "func_totl"), SS_USAGE);
    cr_assert_not_null(strstr(ss_last_error(), "func_total"));
}

Test(columns, exact_for_machines_si_for_people)
{
    struct ss_result r = made();
    struct ss_column c;
    struct ss_value v;
    char text[64];
    cr_assert_eq(ss_column_find(&c, "seed_kv_bytes"), SS_OK);
    ss_column_value(&v, &c, &r);
    ss_value_exact(text, sizeof text, &c, &v);
    cr_assert_str_eq(text, "117440512");
    ss_value_human(text, sizeof text, &c, &v);
    cr_assert_str_eq(text, "117.4 MB");
    v.present = false;
    ss_value_exact(text, sizeof text, &c, &v);
    cr_assert_str_eq(text, "");
    ss_value_human(text, sizeof text, &c, &v);
    cr_assert_str_eq(text, "-");
}
