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

static double ms_of(const struct ss_pass *pass, size_t offset)
{
    uint64_t ns;
    memcpy(&ns, (const char *)pass + offset, sizeof ns);
    return (double)ns / 1e6;
}

void ss_samples_of(struct ss_samples *s, const struct ss_result *r, size_t offset)
{
    *s = (struct ss_samples){.processes = ss_result_processes(r)};
    s->by_process = s->processes >= SS_STATS_MIN;
    s->x = malloc((r->reps + 1) * sizeof *s->x);
    SS_REQUIRE(s->x);
    for (size_t i = 0, from = 0; i < r->reps; i++) {
        s->x[s->n++] = ms_of(&r->pass[i], offset);
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

struct pair { /* of cells */
    const struct ss_result *of_a, *of_b;
    size_t offset;
    double plus_a, plus_b;
    struct ss_samples a, b;
    bool by_process;
};

static void open_pair(struct pair *p, const struct ss_result *a, double plus_a, const struct ss_result *b, double plus_b,
                      size_t offset)
{
    *p = (struct pair){.of_a = a, .of_b = b, .offset = offset, .plus_a = plus_a, .plus_b = plus_b};
    ss_samples_of(&p->a, a, offset);
    ss_samples_of(&p->b, b, offset);
    for (size_t i = 0; i < p->a.n; i++)
        p->a.x[i] += plus_a;
    for (size_t i = 0; i < p->b.n; i++)
        p->b.x[i] += plus_b;
    p->by_process = p->a.by_process && p->b.by_process;
}

static void close_pair(struct pair *p)
{
    ss_samples_free(&p->a);
    ss_samples_free(&p->b);
}

static size_t first_of_process(const struct ss_result *r, int64_t process)
{
    size_t i = 0;
    while (i < r->reps && r->pass[i].process < process)
        i++;
    return i;
}

/* Median of the ratios of repetitions that process k of both took in turns; 0: it took none. ratio: room for them. */
static double ratio_in_turns(double *ratio, const struct pair *p, int64_t k)
{
    const struct ss_result *a = p->of_a, *b = p->of_b;
    size_t n = 0, i = first_of_process(a, k), j = first_of_process(b, k);
    while (i < a->reps && j < b->reps && a->pass[i].process == k && b->pass[j].process == k) {
        const int64_t turn_a = a->pass[i].turn, turn_b = b->pass[j].turn;
        const double x = ms_of(&a->pass[i], p->offset) + p->plus_a, y = ms_of(&b->pass[j], p->offset) + p->plus_b;
        if (turn_a == turn_b && turn_a > 0 && x > 0 && y > 0)
            ratio[n++] = y / x;
        i += turn_a <= turn_b;
        j += turn_b <= turn_a;
    }
    struct ss_estimate e = {0};
    if (n > 0)
        ss_median_estimate(&e, ratio, n);
    return e.value;
}

/* Median of the ratios of process k to process k, with its exact interval; zero where one of them took no time. */
static void ratio_of_pairs(struct ss_estimate *e, const struct pair *p)
{
    const size_t n = p->a.n < p->b.n ? p->a.n : p->b.n;
    double *ratio = malloc((n + p->of_a->reps + 1) * sizeof *ratio);
    bool all = true;
    SS_REQUIRE(ratio);
    for (size_t k = 0; k < n; k++) {
        const double in_turns = ratio_in_turns(ratio + n, p, (int64_t)k);
        all = all && p->a.x[k] > 0 && p->b.x[k] > 0;
        ratio[k] = in_turns > 0 ? in_turns : p->b.x[k] / p->a.x[k];
    }
    if (all)
        ss_median_estimate(e, ratio, n);
    free(ratio);
}

static enum ss_err ratio_of(struct ss_ratio *out, struct pair *p)
{
    *out = (struct ss_ratio){.by_process = p->by_process, .order = SS_ORDER_NO_TIME};
    enum ss_err err = SS_OK;
    if (p->a.n == 0 || p->b.n == 0)
        return SS_OK;
    if (p->by_process)
        ratio_of_pairs(&out->ratio, p);
    else
        err = ss_median_ratio(&out->ratio, p->b.x, p->b.n, p->a.x, p->a.n, SS_BOOTSTRAP_SEED);
    out->order = ss_order_of(&out->ratio);
    return err;
}

enum ss_err ss_samples_ratio(struct ss_ratio *out, const struct ss_result *a, const struct ss_result *b, size_t offset)
{
    struct pair p;
    open_pair(&p, a, 0, b, 0, offset);
    enum ss_err err = ratio_of(out, &p);
    close_pair(&p);
    return err;
}

struct range {
    double least, most;
};

static struct range range_of(const struct ss_samples *s)
{
    struct range r = {INFINITY, -INFINITY};
    for (size_t i = 0; i < s->n; i++) {
        r.least = fmin(r.least, s->x[i]);
        r.most = fmax(r.most, s->x[i]);
    }
    return r;
}

/* Of samples that do not overlap: every resampled ratio lies between those of the extremes, so the bootstrap could say nothing
   else. */
static bool apart(enum ss_order *order, const struct pair *p)
{
    const struct range a = range_of(&p->a), b = range_of(&p->b);
    if (p->by_process || p->a.n < SS_STATS_MIN || p->b.n < SS_STATS_MIN || !(a.least > 0) || !(b.least > 0))
        return false;
    *order =
        ss_order_of(&(struct ss_estimate){.value = 1, .low = b.least / a.most, .high = b.most / a.least, .has_interval = true});
    return *order != SS_ORDER_SAME;
}

enum ss_err ss_samples_order(enum ss_order *out, const struct ss_result *a, double plus_a, const struct ss_result *b,
                             double plus_b, size_t offset)
{
    struct pair p;
    struct ss_ratio r;
    enum ss_err err = SS_OK;
    open_pair(&p, a, plus_a, b, plus_b, offset);
    if (!apart(out, &p)) {
        err = ratio_of(&r, &p);
        *out = r.order;
    }
    close_pair(&p);
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
        enum ss_order order;
        SS_TRY(ss_samples_order(&order, row[i], 0, row[k], 0, offset));
        first += order == SS_ORDER_FASTER;
        last += order != SS_ORDER_SLOWER;
        too_few = too_few || order == SS_ORDER_TOO_FEW;
    }
    if (first == last)
        snprintf(out, size, "%zu", first);
    else
        snprintf(out, size, "%zu-%zu (%s)", first, last, too_few ? ss_order_names[SS_ORDER_TOO_FEW] : "tie");
    return SS_OK;
}
