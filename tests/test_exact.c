/* test_exact.c — what `compare` and `check` hold against each other to the last byte and round. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare.h"

enum { LAYERS = 3 };

static void make(struct ss_result *r)
{
    *r = (struct ss_result){
        .cell = {.model = "m", .variant = "v2", .backend = "cpu", .phase = "prefill", .tokens = 8, .id = "x"},
        .status = SS_MEASURED,
        .reps = 1};
    r->pass = calloc(1, sizeof *r->pass);
    cr_assert_not_null(r->pass);
    cr_assert_eq(ss_wire_alloc(&r->wire, LAYERS), 0);
    for (size_t i = 0; i < (size_t)LAYERS * SS_N_OPS; i++) { /* each phase's share of what all operations sent */
        r->wire.rounds[i] = 1;
        r->wire.bytes[i * SS_N_DIRS + SS_P1_P0] = 10;
        r->wire.bytes[i * SS_N_DIRS + SS_D_P1] = 7;
    }
    r->counters.rounds_online = (int64_t)LAYERS * SS_N_OPS - 2;
    r->counters.rounds_output = 2;
    r->counters.bytes_online_p1_p0 = 10 * (int64_t)LAYERS * SS_N_OPS - 6;
    r->counters.bytes_input_p1_p0 = 6;
    r->counters.bytes_offline_d_p1 = 7 * (int64_t)LAYERS * SS_N_OPS;
    r->counters.func_silu = ((int64_t)1 << 53) + 1;
    r->peak[SS_TAG_kv] = 4096;
    r->expected = r->counters;
}

/* How many pairs differ once *value is one more in B; what the first difference is called. */
static size_t drifted(struct ss_result *b, int64_t *value, char *text, size_t size)
{
    struct ss_result a;
    struct ss_comparison c;
    make(&a);
    *value += 1;
    const struct ss_set set_a = {.name = "a", .cells = &a, .n = 1}, set_b = {.name = "b", .cells = b, .n = 1};
    const struct ss_text_list metrics = {.n = 0};
    cr_assert_eq(ss_compare_results(&c, &set_a, &set_b, &metrics, 0.05), SS_OK);
    const size_t n = c.n_differ;
    snprintf(text, size, "%s", c.differ);
    ss_comparison_free(&c);
    ss_result_free(&a);
    *value -= 1;
    return n;
}

Test(exact, one_more_of_anything_counted_differs_and_is_named)
{
    struct ss_result b;
    int64_t unused = 0;
    char text[400];
    make(&b);
    cr_expect_eq(drifted(&b, &unused, text, sizeof text), 0, "%s", text);
    for (int i = 0; i < SS_N_COUNTERS; i++) {
        cr_expect_eq(drifted(&b, ss_counters_array(&b.counters) + i, text, sizeof text), 1);
        cr_expect(strstr(text, ss_counter_names[i].name) && strstr(text, " in B"), "%s", text);
    }
    for (int i = 0; i < SS_N_TAGS; i++) {
        cr_expect_eq(drifted(&b, &b.peak[i], text, sizeof text), 1);
        cr_expect(strstr(text, ss_tag_names[i].name), "%s", text);
    }
    for (size_t i = 0; i < (size_t)LAYERS * SS_N_OPS * SS_N_DIRS; i++)
        cr_expect_eq(drifted(&b, &b.wire.bytes[i], text, sizeof text), 1);
    cr_expect(strstr(text, "wire_bytes of layer 2, output, d_p1 is 7 in A and 8 in B"), "%s", text);
    for (size_t i = 0; i < (size_t)LAYERS * SS_N_OPS; i++)
        cr_expect_eq(drifted(&b, &b.wire.rounds[i], text, sizeof text), 1);
    cr_expect(strstr(text, "wire_rounds of layer 2, output is 1 in A and 2 in B"), "%s", text);
    for (int i = 0; i < SS_N_COUNTERS; i++) {
        cr_expect_eq(drifted(&b, ss_counters_array(&b.expected) + i, text, sizeof text), 1);
        cr_expect(strstr(text, "in B ") && strstr(text, "cost() says"), "%s", text);
    }
    ss_result_free(&b);
}

Test(exact, bytes_and_rounds_of_operations_add_up_to_the_counters)
{
    struct ss_result r;
    make(&r);
    cr_expect_eq(ss_wire_differs(&r.wire, &r.counters), -1);
    r.wire.bytes[5 * SS_N_DIRS + SS_P1_P0]++;
    cr_expect_eq(ss_wire_differs(&r.wire, &r.counters), SS_P1_P0);
    r.counters.bytes_output_p1_p0++;
    cr_expect_eq(ss_wire_differs(&r.wire, &r.counters), -1);
    r.counters.bytes_offline_d_p1--;
    cr_expect_eq(ss_wire_differs(&r.wire, &r.counters), SS_D_P1);
    r.counters.bytes_offline_d_p1++;
    r.wire.rounds[0]--;
    cr_expect_eq(ss_wire_differs(&r.wire, &r.counters), SS_N_DIRS);
    r.counters.rounds_offline--;
    cr_expect_eq(ss_wire_differs(&r.wire, &r.counters), -1);
    ss_result_free(&r);
}
