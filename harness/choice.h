/* choice.h — which variant for what: the network model, Pareto sets and the decision table (section 7 of the seed document).
   All of it follows from stored cells; nothing here is measured anew. */
#ifndef SS_CHOICE_H
#define SS_CHOICE_H

#include "harness/experiment.h"
#include "harness/table.h"

/* X(column prefix, name, Mbit/s, ms of a round trip) */
#define SS_NETWORKS(X)                                                                                                         \
    X(net10g, "10 Gbit/s, 0.1 ms", 10000, 0.1)                                                                                 \
    X(lan, "LAN: 1 Gbit/s, 0.5 ms", 1000, 0.5)                                                                                 \
    X(wan, "WAN: 100 Mbit/s, 40 ms", 100, 40)
enum ss_network_id {
#define X(prefix, name, mbit, rtt) SS_NET_##prefix,
    SS_NETWORKS(X)
#undef X
        SS_N_NETWORKS,
    SS_NET_MEASURED = SS_N_NETWORKS /* no model: as measured, both parties in one machine */
};

/* What the network adds to the measured online time, ms: rounds x round trip + bytes / bandwidth, of everything that is online
   (input, online, output), both directions sharing the line. 0 for SS_NET_MEASURED. */
double ss_network_ms(enum ss_network_id network, const struct ss_result *r);

/* "yes", or "no: v3": that variant is at no point worse and at one better, among the rows of the same model, tokens, backend
   and phase. Points: online time over the network, peak memory beyond the weights, all bytes, error of the logits, class of
   what is revealed. Times inside noise are equal (samples.h), errors within SS_ERROR_MARGIN too. Empty without a measurement.
 */
#define SS_ERROR_MARGIN 0.1 /* an error is that of one input and has no interval */
SS_CHECKED enum ss_err ss_pareto(char *out, size_t size, const struct ss_result *const *row, size_t n, size_t i,
                                 enum ss_network_id network);
/* The network of a Pareto column; false: c is no such column. */
bool ss_pareto_network(enum ss_network_id *network, const char *column);

/* kind = decision: a row per model and column of spec, a column per class of what is revealed: the variants of that class or a
   better one that no other beats. Several: a tie. */
struct ss_view;
SS_CHECKED enum ss_err ss_decision_table(struct ss_table *t, const struct ss_view *v, const struct ss_table_spec *spec);
#endif
