/* columns_eval.c — how well a text is foretold (phase eval), as columns: means over the windows of the first process, with 95%
   intervals over windows (stats.h). Beside plain, windows are pairs: the text's own variation falls out of xent_diff. */
#include "harness/columns.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/samples.h"
#include "harness/text.h"

enum { WINDOWS, XENT, XENT_PLAIN, PERPLEXITY, XENT_DIFF, XENT_DIFF_CI, TOP1_NEXT, TOP1_PLAIN, N_COLUMNS };

static const struct {
    const char *name, *header, *unit;
    enum ss_column_kind kind;
} columns[N_COLUMNS] = {
    [WINDOWS] = {"windows", "windows of the text", "", SS_COL_COUNT},
    [XENT] = {"xent", "cross-entropy of the next token", "nats", SS_COL_REAL},
    [XENT_PLAIN] = {"xent_plain", "cross-entropy of plain fp32, same windows", "nats", SS_COL_REAL},
    [PERPLEXITY] = {"perplexity", "perplexity", "", SS_COL_REAL},
    [XENT_DIFF] = {"xent_diff", "cross-entropy beyond plain's", "nats", SS_COL_REAL},
    [XENT_DIFF_CI] = {"xent_diff_ci", "beyond plain's, 95% interval (nats)", "", SS_COL_TEXT},
    [TOP1_NEXT] = {"top1_next", "most likely token is the next one", "", SS_COL_REAL},
    [TOP1_PLAIN] = {"top1_plain", "most likely token is plain's", "", SS_COL_REAL},
};

size_t ss_eval_columns(void)
{
    return N_COLUMNS;
}

void ss_eval_describe(struct ss_column *c, size_t index)
{
    c->index = index;
    c->unit = columns[index].unit;
    c->kind = columns[index].kind;
    c->origin = SS_COUNTED;
    snprintf(c->name, sizeof c->name, "%s", columns[index].name);
    snprintf(c->header, sizeof c->header, "%s", columns[index].header);
}

/* Over n windows: mean of `with` times a window's own cross-entropy and `plain` times plain's. */
static void set_nats(struct ss_value *v, const struct ss_result *r, size_t n, double with, double plain)
{
    double *x = malloc(n * sizeof *x);
    struct ss_estimate e;
    SS_REQUIRE(x);
    for (size_t i = 0; i < n; i++)
        x[i] = with * r->window[i].nats + plain * r->window[i].plain_nats;
    SS_REQUIRE(ss_mean_estimate(&e, x, n, SS_BOOTSTRAP_SEED) == SS_OK);
    free(x);
    ss_value_estimate(v, &e);
}

static void set_interval(struct ss_value *v, const struct ss_result *r, size_t n)
{
    struct ss_value x = {0};
    char lo[32], hi[32], text[72] = "n too small";
    set_nats(&x, r, n, 1, -1);
    ss_print_real(lo, sizeof lo, x.lo);
    ss_print_real(hi, sizeof hi, x.hi);
    if (x.has_interval)
        snprintf(text, sizeof text, "%s to %s", lo, hi);
    ss_value_text(v, text);
}

/* Fraction of all positions. */
static void set_fraction(struct ss_value *v, const struct ss_result *r, size_t n, bool plain)
{
    int64_t hits = 0;
    for (size_t i = 0; i < n; i++)
        hits += plain ? r->window[i].agree : r->window[i].right;
    ss_value_real(v, (double)hits / (double)(n * r->cell.tokens));
}

void ss_eval_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    const size_t n = ss_result_windows(r);
    const bool beside = c->index == XENT_PLAIN || c->index == XENT_DIFF || c->index == XENT_DIFF_CI || c->index == TOP1_PLAIN;
    if (n == 0 || (beside && !r->has_plain))
        return;
    switch (c->index) {
    case WINDOWS:
        ss_value_count(v, (int64_t)n);
        break;
    case XENT:
        set_nats(v, r, n, 1, 0);
        break;
    case XENT_PLAIN:
        set_nats(v, r, n, 0, 1);
        break;
    case PERPLEXITY:
        set_nats(v, r, n, 1, 0);
        v->real = exp(v->real);
        v->lo = exp(v->lo);
        v->hi = exp(v->hi);
        break;
    case XENT_DIFF:
        set_nats(v, r, n, 1, -1);
        break;
    case XENT_DIFF_CI:
        set_interval(v, r, n);
        break;
    default:
        set_fraction(v, r, n, c->index == TOP1_PLAIN);
    }
}
