/* samples.h — the timed repetitions of a stored cell as independent samples, and what two cells' samples say about which is
   faster. Repetitions of one process share its memory layout, its device and its moment; fresh processes do not. So from
   SS_STATS_MIN processes on, the sample is the median of each process; below that it is each repetition, and `by_process` is
   false: such an interval knows nothing of what changes from process to process. Fresh processes of two cells are compared
   pair by pair, the k-th with the k-th: measured in turns, the two of a pair share the machine's state. Where the two took
   turns repetition by repetition (turns.h), a pair's ratio is the median of the ratios of repetitions, else the ratio of
   medians. */
#ifndef SS_SAMPLES_H
#define SS_SAMPLES_H

#include "harness/cell.h"
#include "harness/stats.h"

/* X(name): the times of a pass that are called NAME_ms (columns.h) and are NAME_ns of struct ss_pass. */
#define SS_PASS_TIMES(X) X(online) X(wall) X(offline) X(weights) X(device)

/* Where in struct ss_pass "online_ms" or "op_ms_OPERATION" is, a uint64_t in ns. false: not such a name. */
bool ss_metric_offset(size_t *offset, const char *name);
/* Names that ss_metric_offset knows, "online_ms" first; returns how many. names may be NULL. */
size_t ss_metric_names(const char **names, size_t cap);

struct ss_samples {
    size_t n;
    double *x; /* (n) ms */
    size_t processes;
    bool by_process;
};
/* r->reps may be 0. To be freed by ss_samples_free. */
void ss_samples_of(struct ss_samples *s, const struct ss_result *r, size_t offset);
void ss_samples_free(struct ss_samples *s);

/* Which of two times is longer. The rule: with fewer than SS_STATS_MIN samples on a side nothing is said. Else a difference is
   claimed only if the whole 95% interval of the ratio lies more than SS_MARGIN from 1: the sampler stops when it knows a median
   to 1%, so less is not a finding. Of fresh processes the ratio is the median of the pairs' ratios with its order-statistic
   interval, exact for any distribution and any drift that the two of a pair share; else that of medians, bootstrapped. With
   SAME, what is ruled out is what lies outside of the interval. */
enum ss_order {
    SS_ORDER_SAME,
    SS_ORDER_FASTER,
    SS_ORDER_SLOWER,
    SS_ORDER_TOO_FEW,
    SS_ORDER_NO_TIME, /* no ratio: not measured, or a time of 0 on either side */
    SS_N_ORDERS
};
extern const char *const ss_order_names[SS_N_ORDERS]; /* SAME, FASTER, SLOWER, n too small, no time */
#define SS_MARGIN 0.01
enum ss_order ss_order_of(const struct ss_estimate *ratio); /* NO_TIME: not finite or not positive */
/* Philox is for weights; the bootstrap's SplitMix64 starts from this, the same for every comparison and on every machine. */
enum { SS_BOOTSTRAP_SEED = 20240613 };
struct ss_ratio {
    struct ss_estimate ratio; /* time of b / time of a */
    enum ss_order order;      /* of b beside a */
    bool by_process;          /* on both sides */
};
SS_CHECKED enum ss_err ss_samples_ratio(struct ss_ratio *out, const struct ss_result *a, const struct ss_result *b,
                                        size_t offset);
/* Its order alone, which needs no bootstrap where the samples are far apart. plus_a, plus_b: added to each time, in ms, for
   modelled times (choice.h). */
SS_CHECKED enum ss_err ss_samples_order(enum ss_order *out, const struct ss_result *a, double plus_a, const struct ss_result *b,
                                        double plus_b, size_t offset);

/* Of equal model, tokens, backend, placement and phase: what variants are ranked in. */
bool ss_same_question(const struct ss_cell *a, const struct ss_cell *b);
/* Rank of row[i] among the rows of the same question (ss_same_question), 1 the fastest: 1 + those that are faster,
   as far as noise lets one say so. "2"; "1-3 (tie)": it is neither faster nor slower than others; "1-3 (n too small)". Empty
   without a measurement. */
SS_CHECKED enum ss_err ss_rank(char *out, size_t size, const struct ss_result *const *row, size_t n, size_t i, size_t offset);
#endif
