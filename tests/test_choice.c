/* test_choice.c — network model, Pareto sets and the decision table, on results made by hand. */
#include "harness/choice.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/columns.h"
#include "harness/report.h"
#include "harness/samples.h"

enum { ROWS = 4, REPS = 10 };
static struct ss_result r[ROWS];
static const struct ss_result *row[ROWS];
static struct ss_pass passes[ROWS][REPS];

static void make(size_t i, const char *variant, double ms, double step_ms, int64_t bytes, int64_t memory, double error)
{
    r[i] = (struct ss_result){.cell = {.model = "doc-7b", .backend = "cpu", .phase = "prefill", .tokens = 8},
                              .status = SS_MEASURED,
                              .reps = REPS,
                              .pass = passes[i],
                              .has_error = true,
                              .error = {.rel_l2 = error}};
    snprintf(r[i].cell.variant, sizeof r[i].cell.variant, "%s", variant);
    for (size_t k = 0; k < REPS; k++)
        passes[i][k].online_ns = (uint64_t)((ms + step_ms * (double)k) * 1e6);
    r[i].counters.bytes_online_p0_p1 = bytes;
    r[i].peak[SS_TAG_shares] = memory;
    row[i] = &r[i];
}

/* v3 beats v2 in time only; v3-ot reveals less and costs more of all else. */
static void make_all(void)
{
    make(0, "plain", 1, 0.001, 0, 10, 3e-3);
    make(1, "v2", 40, 0.01, 1000, 100, 5e-5);
    make(2, "v3", 20, 0.01, 1000, 100, 5.2e-5);
    make(3, "v3-ot", 90, 0.01, 9000, 900, 8e-4);
}

static const char *pareto(size_t i, enum ss_network_id network)
{
    static char text[128];
    cr_assert_eq(ss_pareto(text, sizeof text, row, ROWS, i, network), SS_OK);
    return text;
}

Test(choice, every_variant_says_its_class)
{
    for (size_t i = 0; ss_variants[i]; i++)
        cr_expect(ss_variants[i]->exposes > SS_EXPOSES_UNSAID && ss_variants[i]->exposes < SS_N_EXPOSURES, "%s",
                  ss_variants[i]->name);
}

Test(choice, a_network_adds_rounds_and_bytes_of_what_is_online, .init = make_all)
{
    struct ss_counters *c = &r[1].counters;
    c->bytes_input_p0_p1 = 3000;
    c->bytes_online_p1_p0 = 500000;
    c->bytes_output_p1_p0 = 6000;
    c->bytes_offline_p0_p1 = c->bytes_offline_d_p1 = 1000000000;
    c->rounds_input = c->rounds_output = 1;
    c->rounds_online = 8;
    c->rounds_offline = 1000;
    cr_expect_float_eq(ss_network_ms(SS_NET_lan, &r[1]), 10 * 0.5 + 510000 * 8 / 1e9 * 1e3, 1e-9);
    cr_expect_float_eq(ss_network_ms(SS_NET_wan, &r[1]), 10 * 40 + 510000 * 8 / 1e8 * 1e3, 1e-9);
    cr_expect_float_eq(ss_network_ms(SS_NET_net10g, &r[1]), 10 * 0.1 + 510000 * 8 / 1e10 * 1e3, 1e-9);
    cr_expect_eq(ss_network_ms(SS_NET_MEASURED, &r[1]), 0);

    struct ss_column column;
    struct ss_value v;
    cr_assert_eq(ss_column_find(&column, "wan_s_model"), SS_OK);
    cr_expect_eq(column.origin, SS_FORMULA);
    ss_column_value(&v, &column, &r[1]);
    cr_expect_float_eq(v.real, (40.045 + 400 + 40.8) / 1e3, 1e-9);
    cr_expect(v.has_interval && v.lo < v.real && v.real < v.hi && v.hi < 0.482);
    r[1].status = SS_FAILED;
    ss_column_value(&v, &column, &r[1]);
    cr_expect_not(v.present);
}

Test(choice, dominated_is_worse_somewhere_and_better_nowhere, .init = make_all)
{
    cr_expect_str_eq(pareto(0, SS_NET_MEASURED), "yes");
    cr_expect_str_eq(pareto(1, SS_NET_MEASURED), "no: v3");
    cr_expect_str_eq(pareto(2, SS_NET_MEASURED), "yes");
    cr_expect_str_eq(pareto(3, SS_NET_MEASURED), "yes", "it reveals less");
    r[1].peak[SS_TAG_shares]--;
    cr_expect_str_eq(pareto(1, SS_NET_MEASURED), "yes", "it takes less memory");
    r[1].peak[SS_TAG_shares]++;
    r[1].error.rel_l2 = 4e-5;
    cr_expect_str_eq(pareto(1, SS_NET_MEASURED), "yes", "its error is smaller by more than the margin");
}

Test(choice, one_that_reveals_more_dominates_nothing, .init = make_all)
{
    make(0, "plain", 1, 0.001, 0, 10, 1e-9);
    cr_expect_str_eq(pareto(2, SS_NET_MEASURED), "yes");
    make(3, "v3-ot", 10, 0.01, 1000, 100, 5e-5);
    cr_expect_str_eq(pareto(2, SS_NET_MEASURED), "no: v3-ot");
}

Test(choice, noise_few_samples_and_slow_networks_decide_nothing, .init = make_all)
{
    cr_expect_str_eq(pareto(1, SS_NET_wan), "no: v3", "no round yet: the network adds 0.08 ms");
    r[1].counters.rounds_online = r[2].counters.rounds_online = 1000; /* 40 s beside 20 ms */
    cr_expect_str_eq(pareto(1, SS_NET_wan), "yes");
    cr_expect_str_eq(pareto(2, SS_NET_wan), "yes");
    make(1, "v2", 20, 4, 1000, 100, 5e-5);
    make(2, "v3", 19, 4, 1000, 100, 5e-5);
    cr_expect_str_eq(pareto(1, SS_NET_MEASURED), "yes");
    make_all();
    r[2].reps = 5;
    cr_expect_str_eq(pareto(1, SS_NET_MEASURED), "yes", "too few to say that v3 is faster");
    r[1].status = SS_FAILED;
    cr_expect_str_eq(pareto(1, SS_NET_MEASURED), "");
}

static void expect_choice(const struct ss_table *t, size_t at, const char *by, const char *all, const char *hidden,
                          const char *shapes)
{
    const char *expected[] = {by, all, hidden, shapes};
    for (size_t i = 0; i < 4; i++)
        cr_expect_str_eq(t->cell[at * t->columns + 3 + i].exact, expected[i], "row %zu: %s", at,
                         t->cell[at * t->columns + 3 + i].exact);
}

Test(choice, decisions_by_class_and_need, .init = make_all)
{
    const struct ss_view v = {.n = ROWS, .row = row};
    const struct ss_table_spec spec = {.id = "T", .columns = "online_ms, wan_s_model, bytes_total, rel_l2"};
    struct ss_table t;
    r[1].counters.rounds_online = r[2].counters.rounds_online = 1000;
    cr_assert_eq(ss_decision_table(&t, &v, &spec), SS_OK);
    cr_assert_eq(t.rows, 4);
    expect_choice(&t, 0, "online_ms", "plain", "v3", "v3-ot");
    expect_choice(&t, 1, "wan_s_model", "plain", "v3-ot", "v3-ot");
    expect_choice(&t, 2, "bytes_total", "plain", "v2, v3 (tie)", "v3-ot");
    expect_choice(&t, 3, "rel_l2", "v2, v3 (tie)", "v2, v3 (tie)", "v3-ot");
    ss_table_free(&t);

    r[1].reps = r[2].reps = 5;
    r[3].status = SS_FAILED;
    cr_assert_eq(ss_decision_table(&t, &v, &spec), SS_OK);
    expect_choice(&t, 0, "online_ms", "plain, v2, v3 (n too small)", "v2, v3 (n too small)", "");
    ss_table_free(&t);

    const struct ss_table_spec text = {.id = "T", .columns = "reveals"};
    ss_set_error_silent(1);
    cr_expect_eq(ss_decision_table(&t, &v, &text), SS_USAGE);
    cr_expect_not_null(strstr(ss_last_error(), "reveals"));
}
