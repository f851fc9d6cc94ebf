/* choice.c — see choice.h. */
#include "harness/choice.h"

#include <stdio.h>
#include <string.h>

#include "harness/columns.h"
#include "harness/report.h"
#include "harness/samples.h"

double ss_network_ms(enum ss_network_id network, const struct ss_result *r)
{
    static const struct {
        double mbit, rtt;
    } of[] = {
#define X(prefix, name, mbit, rtt) {mbit, rtt},
        SS_NETWORKS(X)
#undef X
    };
    if (network == SS_NET_MEASURED)
        return 0;
    static const enum ss_phase phases[] = {SS_INPUT, SS_ONLINE, SS_OUTPUT};
    struct ss_counters c = r->counters;
    int64_t bytes = 0;
    for (size_t p = 0; p < sizeof phases / sizeof phases[0]; p++)
        bytes += *ss_counters_bytes(&c, phases[p], SS_P0_P1) + *ss_counters_bytes(&c, phases[p], SS_P1_P0);
    const int64_t rounds = c.rounds_input + c.rounds_online + c.rounds_output;
    return (double)rounds * of[network].rtt + (double)bytes * 8 / (of[network].mbit * 1e3);
}

static bool judged(const struct ss_result *r)
{
    const struct ss_variant *v = ss_variant_find(r->cell.variant);
    return r->status == SS_MEASURED && r->reps > 0 && v && v->exposes != SS_EXPOSES_UNSAID;
}

static enum ss_exposure exposure(const struct ss_result *r)
{
    return ss_variant_find(r->cell.variant)->exposes;
}

/* Of b beside a at one point where less is better. UNKNOWN: nothing can be said. */
enum order { BETTER, EQUAL, WORSE, UNKNOWN };

static enum ss_err order_of_times(enum order *out, const struct ss_result *a, const struct ss_result *b,
                                  enum ss_network_id network)
{
    enum ss_order order;
    SS_TRY(ss_samples_order(&order, a, ss_network_ms(network, a), b, ss_network_ms(network, b),
                            offsetof(struct ss_pass, online_ns)));
    *out = order == SS_ORDER_FASTER ? BETTER : order == SS_ORDER_SLOWER ? WORSE : order == SS_ORDER_SAME ? EQUAL : UNKNOWN;
    return SS_OK;
}

static enum order order_of_values(const char *name, double margin, const struct ss_result *a, const struct ss_result *b)
{
    struct ss_column c;
    struct ss_value x, y;
    SS_REQUIRE(ss_column_find(&c, name) == SS_OK);
    ss_column_value(&x, &c, a);
    ss_column_value(&y, &c, b);
    if (!x.present || !y.present)
        return UNKNOWN;
    if (y.real * (1 + margin) < x.real)
        return BETTER;
    return x.real * (1 + margin) < y.real ? WORSE : EQUAL;
}

static enum ss_err dominates(bool *yes, const struct ss_result *a, const struct ss_result *b, enum ss_network_id network)
{
    enum order at[] = {
        UNKNOWN,
        order_of_values("peak_overhead", 0, a, b),
        order_of_values("bytes_total", 0, a, b),
        order_of_values("rel_l2", SS_ERROR_MARGIN, a, b),
        exposure(b) > exposure(a)   ? BETTER
        : exposure(b) < exposure(a) ? WORSE
                                    : EQUAL,
    };
    SS_TRY(order_of_times(&at[0], a, b, network));
    bool better = false;
    *yes = true;
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        *yes = *yes && at[i] <= EQUAL;
        better = better || at[i] == BETTER;
    }
    *yes = *yes && better;
    return SS_OK;
}

enum ss_err ss_pareto(char *out, size_t size, const struct ss_result *const *row, size_t n, size_t i,
                      enum ss_network_id network)
{
    struct ss_text by = {0};
    snprintf(out, size, "%s", "");
    if (!judged(row[i]))
        return SS_OK;
    enum ss_err err = SS_OK;
    for (size_t k = 0; k < n && err == SS_OK; k++) {
        bool yes = false;
        if (k == i || !judged(row[k]) || !ss_same_question(&row[k]->cell, &row[i]->cell))
            continue;
        err = dominates(&yes, row[i], row[k], network);
        if (yes)
            ss_text_add(&by, "%s%s", by.n ? ", " : "no: ", row[k]->cell.variant);
    }
    snprintf(out, size, "%s", by.n ? ss_text_str(&by) : "yes");
    ss_text_free(&by);
    return err;
}

/* ---- the decision table */

static enum ss_err order_by(enum order *out, const struct ss_column *c, const struct ss_result *a, const struct ss_result *b)
{
    for (int network = 0; network < SS_N_NETWORKS; network++) {
        struct ss_column modelled;
        ss_choice_describe(&modelled, (size_t)network);
        if (strcmp(c->name, modelled.name) == 0)
            return order_of_times(out, a, b, (enum ss_network_id)network);
    }
    if (strcmp(c->name, "online_ms") == 0)
        return order_of_times(out, a, b, SS_NET_MEASURED);
    *out = order_of_values(c->name, strcmp(c->name, "rel_l2") == 0 ? SS_ERROR_MARGIN : 0, a, b);
    return SS_OK;
}

/* The rows of row[of]'s question that expose no more than `worst` and that no other of these beats. */
static enum ss_err best_of(struct ss_text *out, const struct ss_view *v, size_t of, const struct ss_column *c,
                           enum ss_exposure worst)
{
    size_t n = 0;
    bool unknown = false;
    for (size_t i = 0; i < v->n; i++) {
        struct ss_value value;
        bool beaten =
            !ss_same_question(&v->row[i]->cell, &v->row[of]->cell) || !judged(v->row[i]) || exposure(v->row[i]) < worst;
        if (beaten)
            continue;
        ss_column_value(&value, c, v->row[i]);
        beaten = !value.present;
        for (size_t k = 0; k < v->n && !beaten; k++) {
            enum order order = EQUAL;
            if (k == i || !ss_same_question(&v->row[k]->cell, &v->row[i]->cell) || !judged(v->row[k]) ||
                exposure(v->row[k]) < worst)
                continue;
            SS_TRY(order_by(&order, c, v->row[i], v->row[k]));
            beaten = order == BETTER;
            unknown = unknown || order == UNKNOWN;
        }
        if (!beaten)
            ss_text_add(out, "%s%s", n++ ? ", " : "", v->row[i]->cell.variant);
    }
    if (n > 1)
        ss_text_add(out, " (%s)", unknown ? ss_order_names[SS_ORDER_TOO_FEW] : "tie");
    return SS_OK;
}

static enum ss_err decide(struct ss_table *t, const struct ss_view *v, size_t of, const struct ss_column *c)
{
    char text[160];
    ss_table_row(t);
    ss_table_set(t, 0, v->row[of]->cell.model, NULL);
    snprintf(text, sizeof text, "%zu", v->row[of]->cell.tokens);
    ss_table_set(t, 1, text, NULL);
    ss_table_set(t, 2, v->row[of]->cell.backend, NULL);
    snprintf(text, sizeof text, "least %s", c->header);
    ss_table_set(t, 3, c->name, text);
    for (size_t worst = SS_EXPOSES_UNSAID + 1; worst < SS_N_EXPOSURES; worst++) {
        struct ss_text best = {0};
        enum ss_err err = best_of(&best, v, of, c, (enum ss_exposure)worst);
        ss_table_set(t, 3 + worst, ss_text_str(&best), best.n ? NULL : "-");
        ss_text_free(&best);
        SS_TRY(err);
    }
    return SS_OK;
}

enum ss_err ss_decision_table(struct ss_table *t, const struct ss_view *v, const struct ss_table_spec *spec)
{
    static const char *const heads[][2] = {{"model", "model"},
                                           {"tokens", "tokens"},
                                           {"backend", "backend"},
                                           {"by", "chosen by"},
#define X(name, text) {"best_" #name, "best, revealing at most: " text},
                                           SS_EXPOSURES(X)
#undef X
    };
    enum { MOST = 16 };
    struct ss_column column[MOST];
    char list[sizeof spec->columns], *name[MOST];
    snprintf(list, sizeof list, "%s", spec->columns);
    const size_t n = ss_split(list, ',', name, MOST);
    *t = (struct ss_table){0};
    for (size_t i = 0; i < n; i++)
        if (ss_column_find(&column[i], name[i]) != SS_OK || column[i].kind == SS_COL_TEXT)
            SS_FAIL(SS_USAGE, "experiment %s: table %s cannot choose by '%s': not a column of numbers", v->e.name, spec->id,
                    name[i]);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        ss_table_column(t, heads[i][0], heads[i][1], i == 1);
    for (size_t of = 0; of < v->n; of++) {
        bool first = true;
        for (size_t k = 0; k < of; k++)
            first = first && !ss_same_question(&v->row[k]->cell, &v->row[of]->cell);
        for (size_t i = 0; i < n && first; i++)
            SS_TRY(decide(t, v, of, &column[i]));
    }
    return SS_OK;
}
