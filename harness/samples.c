/* samples.c — see samples.h. */
#include "harness/samples.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ss_order_names[SS_N_ORDERS] = {"SAME", "FASTER", "SLOWER", "n too small", "no time"};

static const struct {
    const char *name;
    size_t offset;
} metrics[] = {
#define X(name) {#name "_ms", offsetof(struct ss_pass, name##_ns)},
    SS_PASS_TIMES(X)
#undef X
#define X(op, text) {"op_ms_" #op, offsetof(struct ss_pass, op_ns) + SS_OP_##op * sizeof(uint64_t)},
        SS_OPS(X)
#undef X
};
enum { N_METRICS = sizeof metrics / sizeof metrics[0] };

bool ss_metric_offset(size_t *offset, const char *name)
{
    for (size_t i = 0; i < N_METRICS; i++)
        if (strcmp(metrics[i].name, name) == 0) {
            *offset = metrics[i].offset;
            return true;
        }
    return false;
}

size_t ss_metric_names(const char **names, size_t cap)
{
    for (size_t i = 0; i < N_METRICS && i < cap && names; i++)
        names[i] = metrics[i].name;
    return N_METRICS;
}

void ss_samples_of(struct ss_samples *s, const struct ss_result *r, size_t offset)
{
    *s = (struct ss_samples){.processes = ss_result_processes(r)};
    s->by_process = s->processes >= SS_STATS_MIN;
    s->x = malloc((r->reps + 1) * sizeof *s->x);
    SS_REQUIRE(s->x);
    for (size_t i = 0, from = 0; i < r->reps; i++) {
        uint64_t ns;
        memcpy(&ns, (const char *)&r->pass[i] + offset, sizeof ns);
        s->x[s->n++] = (double)ns / 1e6;
        bool last = i + 1 == r->reps || r->pass[i + 1].process != r->pass[i].process;
        if (!s->by_process || !last)
            continue;
        struct ss_estimate e; /* of the repetitions of one process, which lie behind the medians of those before it */
        ss_median_estimate(&e, s->x + from, s->n - from);
        s->x[from++] = e.value;
        s->n = from;
    }
}

void ss_samples_free(struct ss_samples *s)
{
    free(s->x);
    *s = (struct ss_samples){0};
}

enum ss_order ss_order_of(const struct ss_estimate *ratio)
{
    if (!isfinite(ratio->value) || ratio->value <= 0)
        return SS_ORDER_NO_TIME;
    if (!ratio->has_interval)
        return SS_ORDER_TOO_FEW;
    if (ratio->low > 1 + SS_MARGIN)
        return SS_ORDER_SLOWER;
    return ratio->high < 1 / (1 + SS_MARGIN) ? SS_ORDER_FASTER : SS_ORDER_SAME;
}

/* Median of the ratios of process k to process k, with its exact interval; zero where one of them took no time. */
static void ratio_of_pairs(struct ss_estimate *e, const struct ss_samples *y, const struct ss_samples *x)
{
    const size_t n = x->n < y->n ? x->n : y->n;
    double *ratio = malloc((n + 1) * sizeof *ratio);
    bool all = true;
    SS_REQUIRE(ratio);
    for (size_t k = 0; k < n; k++) {
        all = all && x->x[k] > 0 && y->x[k] > 0;
        ratio[k] = y->x[k] / x->x[k];
    }
    if (all)
        ss_median_estimate(e, ratio, n);
    free(ratio);
}

enum ss_err ss_samples_ratio(struct ss_ratio *out, const struct ss_result *a, const struct ss_result *b, size_t offset)
{
    return ss_samples_ratio_plus(out, a, 0, b, 0, offset);
}

enum ss_err ss_samples_ratio_plus(struct ss_ratio *out, const struct ss_result *a, double plus_a, const struct ss_result *b,
                                  double plus_b, size_t offset)
{
    struct ss_samples x, y;
    ss_samples_of(&x, a, offset);
    ss_samples_of(&y, b, offset);
    for (size_t i = 0; i < x.n; i++)
        x.x[i] += plus_a;
    for (size_t i = 0; i < y.n; i++)
        y.x[i] += plus_b;
    *out = (struct ss_ratio){.by_process = x.by_process && y.by_process, .order = SS_ORDER_NO_TIME};
    enum ss_err err = SS_OK;
    if (out->by_process)
        ratio_of_pairs(&out->ratio, &y, &x);
    else if (x.n > 0 && y.n > 0)
        err = ss_median_ratio(&out->ratio, y.x, y.n, x.x, x.n, SS_BOOTSTRAP_SEED);
    if (x.n > 0 && y.n > 0)
        out->order = ss_order_of(&out->ratio);
    ss_samples_free(&x);
    ss_samples_free(&y);
    return err;
}

bool ss_same_question(const struct ss_cell *a, const struct ss_cell *b)
{
    return strcmp(a->model, b->model) == 0 && strcmp(a->backend, b->backend) == 0 && strcmp(a->phase, b->phase) == 0 &&
           a->tokens == b->tokens && a->reference == b->reference && a->split == b->split;
}

enum ss_err ss_rank(char *out, size_t size, const struct ss_result *const *row, size_t n, size_t i, size_t offset)
{
    size_t first = 1, last = 1;
    bool too_few = false;
    snprintf(out, size, "%s", "");
    if (row[i]->status != SS_MEASURED || row[i]->reps == 0)
        return SS_OK;
    for (size_t k = 0; k < n; k++) {
        if (k == i || row[k]->status != SS_MEASURED || !ss_same_question(&row[k]->cell, &row[i]->cell))
            continue;
        struct ss_ratio r;
        SS_TRY(ss_samples_ratio(&r, row[i], row[k], offset));
        first += r.order == SS_ORDER_FASTER;
        last += r.order != SS_ORDER_SLOWER;
        too_few = too_few || r.order == SS_ORDER_TOO_FEW;
    }
    if (first == last)
        snprintf(out, size, "%zu", first);
    else
        snprintf(out, size, "%zu-%zu (%s)", first, last, too_few ? ss_order_names[SS_ORDER_TOO_FEW] : "tie");
    return SS_OK;
}
