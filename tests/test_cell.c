/* test_cell.c — the identity of a cell, and its pairs. */
#include "harness/cell.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct ss_cell example(void)
{
    struct ss_cell c = {.model = "qwen2.5-1.5b", .variant = "v3-ot", .backend = "cpu", .phase = "prefill"};
    strcpy(c.options, "frac=16,entries=4096");
    c.tokens = 56;
    c.seed = 1;
    return c;
}

Test(cell, id_is_the_head_of_sha256_of_the_canonical_text)
{
    /* printf 'model=qwen2.5-1.5b\nvariant=v3-ot\nbackend=cpu\nphase=prefill\noptions=frac=16,entries=4096\ntokens=56\nseed=1\n
       reference=0\n' | sha256sum (one text, without the line break of this comment) */
    struct ss_cell c = example();
    ss_cell_identify(&c);
    cr_expect_str_eq(c.id, "ee990d540f5f2d55");
    c.split = true; /* placement=split\n behind it */
    ss_cell_identify(&c);
    cr_expect_str_eq(c.id, "a780e7338351679e");
}

Test(cell, every_field_changes_the_id)
{
    struct ss_cell c[10];
    for (int i = 0; i < 10; i++)
        c[i] = example();
    strcpy(c[1].model, "qwen2.5-7b");
    strcpy(c[2].variant, "v3");
    strcpy(c[3].backend, "cuda");
    strcpy(c[4].phase, "decode");
    strcpy(c[5].options, "frac=16,entries=1024");
    c[6].tokens = 57;
    c[7].seed = UINT64_MAX;
    c[8].reference = true;
    c[9].split = true;
    for (int i = 0; i < 10; i++) {
        ss_cell_identify(&c[i]);
        cr_expect_eq(strspn(c[i].id, "0123456789abcdef"), 16);
        for (int j = 0; j < i; j++)
            cr_expect_str_neq(c[i].id, c[j].id);
    }
}

Test(cell, bytes_after_the_text_of_a_field_do_not_matter)
{
    struct ss_cell c = example(), d = example();
    memset(d.model, 'x', sizeof d.model);
    strcpy(d.model, c.model);
    ss_cell_identify(&c);
    ss_cell_identify(&d);
    cr_expect_str_eq(c.id, d.id);
}

Test(cell, the_longest_fields_fit)
{
    struct ss_cell c = example();
    memset(c.model, 'm', sizeof c.model - 1);
    memset(c.variant, 'v', sizeof c.variant - 1);
    memset(c.backend, 'b', sizeof c.backend - 1);
    memset(c.phase, 'p', sizeof c.phase - 1);
    memset(c.options, 'o', sizeof c.options - 1);
    c.tokens = SIZE_MAX;
    c.seed = UINT64_MAX;
    c.reference = c.split = true;
    ss_cell_identify(&c);
    cr_expect_eq(strlen(c.id), 16);
}

Test(cell, pairs_keep_their_order_and_replace_a_repeated_key)
{
    struct ss_pairs p = {0};
    cr_expect_null(ss_pairs_get(&p, "a"));
    cr_assert_eq(ss_pairs_add(&p, "b", "%d", 1), SS_OK);
    cr_assert_eq(ss_pairs_add(&p, "a", "%s", "two"), SS_OK);
    cr_assert_eq(ss_pairs_add(&p, "b", "%d", 3), SS_OK);
    cr_assert_eq(p.n, 2);
    cr_expect_str_eq(p.v[0].key, "b");
    cr_expect_str_eq(ss_pairs_get(&p, "b"), "3");
    cr_expect_str_eq(ss_pairs_get(&p, "a"), "two");
    ss_pairs_free(&p);
    cr_expect(p.n == 0 && !p.v);
}

Test(cell, a_process_adds_its_repetitions_if_it_counted_the_same)
{
    struct ss_result all = {.reps = 2}, more = {.reps = 3};
    all.pass = calloc(2, sizeof *all.pass);
    more.pass = calloc(3, sizeof *more.pass);
    all.pass[1].online_ns = 7;
    more.pass[0].online_ns = 8;
    cr_expect_eq(ss_result_processes(&all), 1);
    cr_assert_eq(ss_pairs_add(&more.env, "end_utc", "later"), SS_OK);
    cr_assert_eq(ss_result_append(&all, &more), SS_OK);
    cr_assert_eq(ss_result_append(&all, &more), SS_OK);
    cr_assert_eq(all.reps, 8);
    cr_expect_eq(ss_result_processes(&all), 3);
    static const int64_t process[8] = {0, 0, 1, 1, 1, 2, 2, 2};
    for (size_t i = 0; i < 8; i++)
        cr_expect_eq(all.pass[i].process, process[i]);
    cr_expect(all.pass[1].online_ns == 7 && all.pass[2].online_ns == 8);
    cr_expect_str_eq(ss_pairs_get(&all.env, "end_utc"), "later");
    cr_expect_str_eq(ss_pairs_get(&all.config, "processes"), "3");
    more.counters.rounds_online = 1;
    ss_set_error_silent(1);
    cr_expect_eq(ss_result_append(&all, &more), SS_COUNTS);
    cr_expect_not_null(strstr(ss_last_error(), "rounds, online"));
    cr_expect_eq(all.reps, 8);
    ss_result_free(&all);
    ss_result_free(&more);
}

Test(cell, a_result_is_freed_whole_and_twice_without_harm)
{
    struct ss_result r = {0};
    ss_result_free(&r);
    cr_assert_eq(ss_pairs_add(&r.env, "k", "v"), SS_OK);
    cr_assert_eq(ss_wire_alloc(&r.wire, 2), 0);
    r.pass = calloc(3, sizeof *r.pass);
    r.logits = calloc(3, sizeof *r.logits);
    ss_result_free(&r);
    cr_expect(!r.pass && !r.logits && r.env.n == 0 && r.wire.layers == 0);
    ss_result_free(&r);
}
