/* columns_choice.c — what one chooses a variant by, as columns: modelled times, Pareto sets, the class of what is revealed. */
#include <stdio.h>
#include <string.h>

#include "harness/choice.h"
#include "harness/columns.h"

static const struct {
    const char *prefix, *name;
} networks[] = {
#define X(prefix, name, mbit, rtt) {#prefix, name},
    SS_NETWORKS(X)
#undef X
};
/* Order of the columns: modelled times, then Pareto sets as measured and over each network, then the class. */
enum { FIRST_PARETO = SS_N_NETWORKS, CLASS = FIRST_PARETO + 1 + SS_N_NETWORKS };
_Static_assert(SS_N_CHOICE_COLUMNS == CLASS + 1, "columns.h counts these columns");

bool ss_pareto_network(enum ss_network_id *network, const char *column)
{
    char name[40];
    *network = SS_NET_MEASURED;
    if (strcmp(column, "pareto") == 0)
        return true;
    for (int i = 0; i < SS_N_NETWORKS; i++) {
        snprintf(name, sizeof name, "%s_pareto_model", networks[i].prefix);
        *network = (enum ss_network_id)i;
        if (strcmp(column, name) == 0)
            return true;
    }
    return false;
}

void ss_choice_describe(struct ss_column *c, size_t index)
{
    c->kind = SS_COL_TEXT;
    if (index < SS_N_NETWORKS) {
        c->kind = SS_COL_REAL;
        c->origin = SS_FORMULA;
        c->unit = "s";
        snprintf(c->name, sizeof c->name, "%s_s_model", networks[index].prefix);
        snprintf(c->header, sizeof c->header, "online time (model, s), %s", networks[index].name);
    } else if (index == FIRST_PARETO) {
        c->origin = SS_TIMED;
        snprintf(c->name, sizeof c->name, "pareto");
        snprintf(c->header, sizeof c->header, "in the Pareto set, as measured");
    } else if (index < CLASS) {
        const size_t network = index - FIRST_PARETO - 1;
        c->origin = SS_FORMULA;
        snprintf(c->name, sizeof c->name, "%s_pareto_model", networks[network].prefix);
        snprintf(c->header, sizeof c->header, "in the Pareto set (model), %s", networks[network].name);
    } else {
        c->origin = SS_IDENTITY;
        snprintf(c->name, sizeof c->name, "exposes");
        snprintf(c->header, sizeof c->header, "reveals (class)");
    }
}

/* A Pareto set is of several cells: filled in by report.c. */
void ss_choice_value(struct ss_value *v, const struct ss_result *r, size_t index)
{
    static const char *const classes[SS_N_EXPOSURES] = {
#define X(name, text) [SS_EXPOSES_##name] = text,
        SS_EXPOSURES(X)
#undef X
    };
    if (index == CLASS) {
        const struct ss_variant *variant = ss_variant_find(r->cell.variant);
        const char *text = variant ? classes[variant->exposes] : NULL;
        snprintf(v->text, sizeof v->text, "%s", text ? text : "");
        v->present = text != NULL;
    } else if (index < SS_N_NETWORKS) {
        struct ss_column online;
        SS_REQUIRE(ss_column_find(&online, "online_ms") == SS_OK);
        ss_column_value(v, &online, r);
        const double plus = v->present ? ss_network_ms((enum ss_network_id)index, r) : 0;
        v->real = (v->real + plus) / 1e3;
        v->lo = (v->lo + plus) / 1e3;
        v->hi = (v->hi + plus) / 1e3;
    }
}
