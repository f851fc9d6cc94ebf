/* expr.h — arithmetic over named numbers with intervals, the language of experiments/claims_rules.csv.

   comparison = sum [ ("<" | "<=" | ">" | ">=" | "==") sum ]        sum = product { ("+" | "-") product }
   product = factor { ("*" | "/") factor }                          factor = "-" factor | number | "(" comparison ")"
   | name { "@" tag } | min(a, b, ...) | max(a, b, ...) | abs(a)
   A tag reaches to the next blank, operator other than "-", or parenthesis: online_ms@v3-ot, d_ff@7B. */
#ifndef SS_EXPR_H
#define SS_EXPR_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/err.h"

enum { SS_EXPR_MAX_TAGS = 3, SS_EXPR_MAX_NAME = 48 };

struct ss_range {
    double v;
    double lo, hi;      /* where v may lie with 95% confidence; lo = hi = v for what is exact */
    bool known;         /* false: v was measured too few times for an interval */
    bool truth;         /* v is 0 or 1, the outcome of a comparison; undecided inside the noise: lo = 0, hi = 1 */
    double left, right; /* what was compared */
};
struct ss_range ss_range_exact(double v);

struct ss_name_tags {
    char name[SS_EXPR_MAX_NAME];
    size_t n_tags;
    char tag[SS_EXPR_MAX_TAGS][SS_EXPR_MAX_NAME];
};
/* Value of a name. SS_SKIP: it has none here (not measured); the evaluation ends with SS_SKIP and prints nothing. Unknown names
   are SS_USAGE, printed by the callee. */
typedef enum ss_err (*ss_expr_lookup)(void *user, const struct ss_name_tags *name, struct ss_range *out);

/* Intervals are propagated as if the operands moved independently (never too narrow). Division by zero gives a value that is
   not finite and has no interval. Syntax: SS_USAGE with the place. */
SS_CHECKED enum ss_err ss_expr_eval(struct ss_range *out, const char *text, ss_expr_lookup lookup, void *user);
#endif
