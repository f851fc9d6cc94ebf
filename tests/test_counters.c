/* test_counters.c — names, sums and the table by layer and operation. */
#include "harness/counters.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(counters, names_follow_the_list)
{
    cr_expect_str_eq(ss_counter_names[SS_COUNTER_ots].name, "ots");
    cr_expect_str_eq(ss_counter_names[SS_COUNTER_ots].unit, "OTs");
    cr_expect_str_eq(ss_counter_names[SS_N_COUNTERS - 1].name, "bytes_output_p1_p0");
    cr_expect_str_eq(ss_tag_names[SS_TAG_kv].name, "kv");
    cr_expect_str_eq(ss_op_names[SS_OP_swiglu].long_name, "SwiGLU");
    cr_expect_str_eq(ss_dir_names[SS_D_P1].name, "d_p1");
    cr_expect_str_eq(ss_phase_names[SS_OFFLINE].name, "offline");
}

Test(counters, every_name_is_there_and_different)
{
    for (int i = 0; i < SS_N_COUNTERS; i++) {
        cr_assert(ss_counter_names[i].name && ss_counter_names[i].unit && ss_counter_names[i].long_name);
        for (int j = 0; j < i; j++)
            cr_expect_str_neq(ss_counter_names[i].name, ss_counter_names[j].name);
    }
}

Test(counters, bytes_and_rounds_name_their_field)
{
    struct ss_counters c = {0};
    for (int phase = 0; phase < SS_N_PHASES; phase++) {
        char name[64];
        snprintf(name, sizeof name, "rounds_%s", ss_phase_names[phase].name);
        const int64_t *rounds = ss_counters_rounds(&c, (enum ss_phase)phase);
        cr_expect_str_eq(ss_counter_names[rounds - ss_counters_array(&c)].name, name);
        for (int dir = 0; dir < SS_N_DIRS; dir++) {
            const int64_t *bytes = ss_counters_bytes(&c, (enum ss_phase)phase, (enum ss_dir)dir);
            cr_expect_eq(bytes != NULL, dir <= SS_P1_P0 || phase == SS_OFFLINE);
            snprintf(name, sizeof name, "bytes_%s_%s", ss_phase_names[phase].name, ss_dir_names[dir].name);
            if (bytes)
                cr_expect_str_eq(ss_counter_names[bytes - ss_counters_array(&c)].name, name);
        }
    }
}

Test(counters, sums_without_and_with_the_dealer)
{
    struct ss_counters c = {0};
    int64_t between = 0, total = 0;
    for (int i = 0; i < SS_N_COUNTERS; i++) { /* powers of two: a sum names its terms */
        ss_counters_array(&c)[i] = (int64_t)1 << i;
        const char *name = ss_counter_names[i].name;
        if (strncmp(name, "bytes_", 6) != 0)
            continue;
        total += (int64_t)1 << i;
        between += strstr(name, "_d_p") ? 0 : (int64_t)1 << i;
    }
    cr_expect_eq(ss_counters_bytes_between(&c), between);
    cr_expect_eq(ss_counters_bytes_total(&c), total);
    cr_expect_gt(total, between);
}

Test(counters, the_first_difference_is_found)
{
    struct ss_counters a = {0}, b = {0};
    cr_expect_eq(ss_counters_differ(&a, &b), -1);
    b.bytes_output_p1_p0 = 1;
    cr_expect_eq(ss_counters_differ(&a, &b), SS_N_COUNTERS - 1);
    b.rounds_online = 1;
    cr_expect_eq(ss_counters_differ(&a, &b), SS_COUNTER_rounds_online);
    b.func_silu = -1;
    cr_expect_eq(ss_counters_differ(&a, &b), 0);
}

Test(counters, wire_is_zero_when_made_and_when_cleared)
{
    struct ss_wire w;
    cr_assert_eq(ss_wire_alloc(&w, 3), 0);
    cr_expect_eq(w.layers, 3);
    size_t n = 3 * SS_N_OPS * SS_N_DIRS;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(w.bytes[i], 0);
        cr_assert_eq(w.rounds[3 * SS_N_OPS - 1], 0);
        memset(w.bytes, 1, n * sizeof *w.bytes);
        w.rounds[3 * SS_N_OPS - 1] = 1;
        ss_wire_clear(&w);
    }
    ss_wire_free(&w);
    cr_expect(w.layers == 0 && !w.bytes && !w.rounds);
    cr_expect_eq(ss_wire_alloc(&w, 0), 0);
    ss_wire_clear(&w);
    ss_wire_free(&w);
}
