/* compare.h — two result sets side by side: cells paired by id, which holds neither machine nor commit; times as ratios with
   their verdict (samples.h), counters exactly. Fewer than SS_STATS_MIN fresh processes on a side are judged by how far the
   other such cells of the two sets scatter; where there are too few of these too, not at all. */
#ifndef SS_COMPARE_H
#define SS_COMPARE_H

#include "harness/cli.h"
#include "harness/filter.h"
#include "harness/samples.h"
#include "harness/table.h"

struct ss_set {
    const char *name; /* folder, merged file or cell file */
    struct ss_result *cells;
    size_t n;
};
/* SS_RESULTS: unreadable, or nothing there that matches. In every case to be freed by ss_set_free. */
SS_CHECKED enum ss_err ss_set_open(struct ss_set *s, const char *name, const struct ss_filter *f);
void ss_set_free(struct ss_set *s);

struct ss_comparison {
    struct ss_table table; /* a row per cell and metric; ss_table_free */
    size_t pairs;          /* cells of both sets; references are held against each other by their counters only */
    size_t count[SS_N_ORDERS];
    size_t ratios; /* times with a ratio B/A, and the sum of its logarithms */
    double log_sum;
    size_t few;       /* times of fewer than SS_STATS_MIN processes on a side */
    size_t slower;    /* verdict SLOWER, and by more than slower_by */
    double worst;     /* largest ratio among those */
    size_t hidden;    /* SAME or FASTER, and yet the interval allows slower_by */
    size_t n_differ;  /* pairs with a counter, a peak, or bytes or rounds of an operation that differ, or differ from cost() */
    char differ[400]; /* "doc-7b v2 8 tokens: bytes_online_p0_p1 is 12 in A and 13 in B", of the first */
    struct ss_text only_a, only_b, failed; /* labels, one a line: cells of one set, pairs without two measurements */
};
/* metrics: names of ss_metric_names; slower_by: 0.03 for 3%. */
SS_CHECKED enum ss_err ss_compare_results(struct ss_comparison *c, const struct ss_set *a, const struct ss_set *b,
                                          const struct ss_text_list *metrics, double slower_by);
void ss_comparison_free(struct ss_comparison *c);
#endif
