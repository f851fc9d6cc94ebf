/* measured.c — see measured.h. */
#include "tests/measured.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct ss_effort effort = {
    .reps_min = 1, .reps_max = 1, .target = 1, .max_seconds = 60, .weight_budget_bytes = SIZE_MAX};

void run_cell(struct ss_result *r, const char *model, size_t tokens, const char *variant, const char *options,
              const struct ss_result *reference)
{
    struct ss_cell c = {.backend = "cpu", .phase = "prefill", .tokens = tokens, .seed = 1};
    int64_t option[SS_MAX_OPTIONS];
    const struct ss_variant *v = ss_variant_find(variant);
    snprintf(c.model, sizeof c.model, "%s", model);
    snprintf(c.variant, sizeof c.variant, "%s", variant);
    cr_assert_eq(ss_options_parse(v, options, option), SS_OK);
    ss_options_print(v, option, c.options, sizeof c.options);
    c.reference = reference == NULL;
    ss_cell_identify(&c);
    cr_assert_eq(ss_bench_cell(r, &c, &effort, reference), SS_OK, "%s", r->reason);
}
