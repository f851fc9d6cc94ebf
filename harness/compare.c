/* compare.c — see compare.h. */
#include "harness/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store.h"
#include "harness/sweep.h"

enum column { MODEL, VARIANT, TOKENS, BACKEND, METRIC, TIME_A, TIME_B, RATIO, LOW, HIGH, VERDICT, N_A, N_B, ID };

void ss_set_free(struct ss_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        ss_result_free(&s->cells[i]);
    free(s->cells);
    *s = (struct ss_set){0};
}

enum ss_err ss_set_open(struct ss_set *s, const char *name, const struct ss_filter *f)
{
    *s = (struct ss_set){.name = name};
    SS_TRY(ss_store_read_all(&s->cells, &s->n, name));
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (ss_filter_match(f, &s->cells[i].cell))
            s->cells[kept++] = s->cells[i];
        else
            ss_result_free(&s->cells[i]);
    }
    s->n = kept;
    if (kept == 0)
        SS_FAIL(SS_RESULTS, "%s: no cells here (that match -E); give a results folder, a merged file or a cell's .h5", name);
    return SS_OK;
}

static const struct ss_result *find(const struct ss_set *s, const char *id)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->cells[i].cell.id, id) == 0)
            return &s->cells[i];
    return NULL;
}

static void add_label(struct ss_text *out, const struct ss_result *r, const char *more)
{
    char label[160];
    ss_cell_label(label, sizeof label, &r->cell);
    ss_text_add(out, "%s (%s)%s\n", label, r->cell.id, more);
}

static void head(struct ss_table *t)
{
    ss_table_column(t, "model", "model", false);
    ss_table_column(t, "variant", "variant", false);
    ss_table_column(t, "tokens", "tokens", true);
    ss_table_column(t, "backend", "backend", false);
    ss_table_column(t, "metric", "metric", false);
    ss_table_column(t, "a_ms", "A, median (ms)", true);
    ss_table_column(t, "b_ms", "B, median (ms)", true);
    ss_table_column(t, "ratio", "B/A", true);
    ss_table_column(t, "ratio_low", "95% from", true);
    ss_table_column(t, "ratio_high", "to", true);
    ss_table_column(t, "verdict", "B is", false);
    ss_table_column(t, "n_a", "processes of A", true);
    ss_table_column(t, "n_b", "processes of B", true);
    ss_table_column(t, "id", "cell", false);
}

static void set_real(struct ss_table *t, size_t column, double value, int decimals)
{
    char exact[40], human[40];
    snprintf(exact, sizeof exact, "%.9g", value);
    if (decimals)
        snprintf(human, sizeof human, "%.*f", decimals, value);
    else
        ss_print_real(human, sizeof human, value);
    ss_table_set(t, column, exact, human);
}

static void set_count(struct ss_table *t, size_t column, size_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", value);
    ss_table_set(t, column, text, NULL);
}

static void set_median(struct ss_table *t, size_t column, const struct ss_result *r, size_t offset)
{
    struct ss_samples s;
    struct ss_estimate e;
    ss_samples_of(&s, r, offset);
    if (s.n > 0) {
        ss_median_estimate(&e, s.x, s.n);
        set_real(t, column, e.value, 0);
    }
    ss_samples_free(&s);
}

/* One time of one pair of cells. */
struct timed {
    const struct ss_result *a, *b;
    const char *metric;
    size_t offset;
    struct ss_ratio r;
};

static bool has_ratio(const struct timed *t)
{
    return t->r.order != SS_ORDER_NO_TIME;
}

/* Standard deviation of ln(B/A) over the other cells of few processes, of the same metric. false: fewer than SS_STATS_MIN. */
static bool scatter_of_others(double *sd, const struct timed *all, size_t n, size_t self)
{
    double sum = 0, squares = 0;
    size_t others = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == self || all[i].r.by_process || !has_ratio(&all[i]) || all[i].offset != all[self].offset)
            continue;
        const double x = log(all[i].r.ratio.value);
        sum += x;
        squares += x * x;
        others++;
    }
    if (others < SS_STATS_MIN)
        return false;
    const double mean = sum / (double)others, square = squares / (double)others - mean * mean;
    *sd = square > 0 ? sqrt(square * (double)others / (double)(others - 1)) : 0;
    return true;
}

/* Repetitions of one process a side know nothing of the next process. How far single processes differ is seen in the other
   cells: three standard deviations of theirs go into the interval, in quadrature, as uncertainty of its own (Thompson &
   Ellison, "Dark uncertainty", Accred. Qual. Assur. 2011). A drift that all cells share is not in it. */
static void judge_few_processes(struct ss_ratio *r, const struct timed *all, size_t n, size_t self)
{
    struct ss_estimate *e = &r->ratio;
    double sd;
    if (!e->has_interval || !scatter_of_others(&sd, all, n, self)) {
        e->has_interval = false;
    } else {
        const double below = log(e->value / e->low), above = log(e->high / e->value);
        e->low = e->value * exp(-hypot(below, 3 * sd));
        e->high = e->value * exp(hypot(above, 3 * sd));
    }
    r->order = ss_order_of(e);
}

static void add_row(struct ss_comparison *c, const struct timed *p, double slower_by)
{
    struct ss_table *t = &c->table;
    const struct ss_ratio *r = &p->r;
    const struct ss_result *a = p->a, *b = p->b;
    c->count[r->order]++;
    c->few += has_ratio(p) && !r->by_process;
    c->ratios += has_ratio(p);
    c->log_sum += has_ratio(p) ? log(r->ratio.value) : 0;
    if (r->order == SS_ORDER_SLOWER && r->ratio.value > 1 + slower_by) {
        c->slower++;
        c->worst = r->ratio.value > c->worst ? r->ratio.value : c->worst;
    }
    c->hidden += (r->order == SS_ORDER_SAME || r->order == SS_ORDER_FASTER) && r->ratio.high > 1 + slower_by;
    ss_table_row(t);
    ss_table_set(t, MODEL, a->cell.model, NULL);
    ss_table_set(t, VARIANT, a->cell.variant, NULL);
    set_count(t, TOKENS, a->cell.tokens);
    ss_table_set(t, BACKEND, a->cell.backend, NULL);
    ss_table_set(t, METRIC, p->metric, NULL);
    set_median(t, TIME_A, a, p->offset);
    set_median(t, TIME_B, b, p->offset);
    if (has_ratio(p))
        set_real(t, RATIO, r->ratio.value, 4);
    if (r->ratio.has_interval) {
        set_real(t, LOW, r->ratio.low, 4);
        set_real(t, HIGH, r->ratio.high, 4);
    }
    ss_table_set(t, VERDICT, ss_order_names[r->order], NULL);
    set_count(t, N_A, ss_result_processes(a));
    set_count(t, N_B, ss_result_processes(b));
    ss_table_set(t, ID, a->cell.id, NULL);
}

static enum ss_err judge_times(struct ss_comparison *c, struct timed *all, size_t n, double slower_by)
{
    for (size_t i = 0; i < n; i++)
        SS_TRY(ss_samples_ratio(&all[i].r, all[i].a, all[i].b, all[i].offset));
    for (size_t i = 0; i < n; i++) {
        struct timed t = all[i]; /* the others' scatter is that of what was measured */
        if (has_ratio(&t) && !t.r.by_process)
            judge_few_processes(&t.r, all, n, i);
        add_row(c, &t, slower_by);
    }
    return SS_OK;
}

struct difference {
    char text[200]; /* "peak_kv is 12 in A and 13 in B" */
};

static bool unlike(struct difference *d, int64_t a, int64_t b, const char *fmt, ...) SS_PRINTF(4, 5);
static bool unlike(struct difference *d, int64_t a, int64_t b, const char *fmt, ...)
{
    char name[120];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    if (a != b)
        snprintf(d->text, sizeof d->text, "%s is %" PRId64 " in A and %" PRId64 " in B", name, a, b);
    return a != b;
}

/* Bytes and rounds by layer and operation. */
static bool wires_differ(struct difference *d, const struct ss_wire *a, const struct ss_wire *b)
{
    if (unlike(d, (int64_t)a->layers, (int64_t)b->layers, "the number of layers of wire_bytes"))
        return true;
    for (size_t i = 0; i < a->layers * SS_N_OPS; i++) {
        const char *op = ss_op_names[i % SS_N_OPS].name;
        for (size_t dir = 0; dir < SS_N_DIRS; dir++)
            if (unlike(d, a->bytes[i * SS_N_DIRS + dir], b->bytes[i * SS_N_DIRS + dir], "wire_bytes of layer %zu, %s, %s",
                       i / SS_N_OPS, op, ss_dir_names[dir].name))
                return true;
        if (unlike(d, a->rounds[i], b->rounds[i], "wire_rounds of layer %zu, %s", i / SS_N_OPS, op))
            return true;
    }
    return false;
}

/* A set whose own counters are not what its cost() was. */
static bool contradicts(struct difference *d, const struct ss_result *r, const char *set)
{
    int at = ss_counters_differ(&r->counters, &r->expected);
    if (at >= 0)
        snprintf(d->text, sizeof d->text, "in %s %s is %" PRId64 " and cost() says %" PRId64, set, ss_counter_names[at].name,
                 ss_counters_values(&r->counters)[at], ss_counters_values(&r->expected)[at]);
    return at >= 0;
}

/* All that must be equal to the last byte and round. */
static bool counts_differ(struct difference *d, const struct ss_result *a, const struct ss_result *b)
{
    const int64_t *x = ss_counters_values(&a->counters), *y = ss_counters_values(&b->counters);
    for (int i = 0; i < SS_N_COUNTERS; i++)
        if (unlike(d, x[i], y[i], "%s", ss_counter_names[i].name))
            return true;
    for (int i = 0; i < SS_N_TAGS; i++)
        if (unlike(d, a->peak[i], b->peak[i], "peak_%s", ss_tag_names[i].name))
            return true;
    return wires_differ(d, &a->wire, &b->wire) || contradicts(d, a, "A") || contradicts(d, b, "B");
}

static void compare_counters(struct ss_comparison *c, const struct ss_result *a, const struct ss_result *b)
{
    struct difference d;
    if (!counts_differ(&d, a, b) || c->n_differ++ > 0)
        return;
    char label[160];
    ss_cell_label(label, sizeof label, &a->cell);
    snprintf(c->differ, sizeof c->differ, "%s: %s", label, d.text);
}

enum ss_err ss_compare_results(struct ss_comparison *c, const struct ss_set *a, const struct ss_set *b,
                               const struct ss_text_list *metrics, double slower_by)
{
    *c = (struct ss_comparison){0};
    struct timed *timed = calloc(a->n * metrics->n + 1, sizeof *timed);
    size_t n = 0;
    SS_REQUIRE(timed);
    head(&c->table);
    for (size_t i = 0; i < b->n; i++)
        if (!find(a, b->cells[i].cell.id))
            add_label(&c->only_b, &b->cells[i], "");
    for (size_t i = 0; i < a->n; i++) {
        const struct ss_result *x = &a->cells[i], *y = find(b, x->cell.id);
        if (!y) {
            add_label(&c->only_a, x, "");
            continue;
        }
        c->pairs++;
        if (x->status != SS_MEASURED || y->status != SS_MEASURED) {
            char states[64];
            snprintf(states, sizeof states, ": %s in A, %s in B", ss_status_names[x->status], ss_status_names[y->status]);
            add_label(&c->failed, x, states);
            continue;
        }
        compare_counters(c, x, y);
        for (size_t m = 0; m < metrics->n && !x->cell.reference; m++) {
            timed[n] = (struct timed){.a = x, .b = y, .metric = metrics->v[m]};
            SS_REQUIRE(ss_metric_offset(&timed[n].offset, metrics->v[m]));
            n++;
        }
    }
    enum ss_err err = judge_times(c, timed, n, slower_by);
    free(timed);
    return err;
}

void ss_comparison_free(struct ss_comparison *c)
{
    ss_table_free(&c->table);
    ss_text_free(&c->only_a);
    ss_text_free(&c->only_b);
    ss_text_free(&c->failed);
    *c = (struct ss_comparison){0};
}
