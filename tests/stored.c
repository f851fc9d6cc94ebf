/* stored.c — see stored.h. */
#include "tests/stored.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void fill_result(struct ss_result *r, uint64_t seed, size_t reps, size_t layers)
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
    r->first.process = r->first.turn = 0;
    cr_assert_eq(ss_pairs_add(&r->config, "turns", "yes"), SS_OK);
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

void expect_equal_results(const struct ss_result *a, const struct ss_result *b)
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

void write_and_compare(const char *dir, const struct ss_result *r)
{
    char path[PATH_MAX];
    struct ss_result back;
    cr_assert_eq(ss_store_write(dir, r), SS_OK, "%s", ss_last_error());
    ss_store_path(path, sizeof path, dir, &r->cell);
    cr_assert_eq(ss_store_read(&back, path), SS_OK, "%s", ss_last_error());
    expect_equal_results(r, &back);
    ss_result_free(&back);
}
