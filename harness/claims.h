/* claims.h — the 349 claims of the seed document (experiments/claims.csv) and what became of each, by the rules in
   experiments/claims_rules.csv.

   A rule: claim      id or glob; of several that match, the first holds. "$name" defines a name for later expressions
           formula    the document's own arithmetic over the shapes of its table 1.1 (expr.h; @7B another of its models,
                      @Q7B the published Qwen2.5 of that size), in bytes where the claim is in KB, MB, GB. A comparison is a
                      claim in words
           explains   an expression that does give the printed number; must do so
           measured   expression over columns (columns.h) of stored cells; @variant, @7B or @W2048 (width-2048) takes another
                      cell of the same run; @d_model is the exponent of the column over the widths of the cells width-* like
                      this one
           cells      what to measure it on: variant=a|b backend=b tokens=n options=GLOB; standard: the claim's variant, any
                      backend, 56 tokens, the variant's standard options (others if it was run with no others)
           law        how `measured` grows with `tokens`: an expression (1: not at all), or ">=" for a number that can only
                      grow, so that a smaller run is a lower bound. Empty: only cells of exactly that many tokens count
           verdict    what holds while nothing is computed or measured
           note       the reason in words
   A new measurement changes this file, not the program. */
#ifndef SS_CLAIMS_H
#define SS_CLAIMS_H

#include "harness/cell.h"
#include "harness/csv.h"
#include "harness/expr.h"
#include "harness/table.h"

enum ss_verdict {
    SS_CONFIRMED,
    SS_REFUTED,
    SS_FORMULA_ERROR,   /* the document contradicts its own formula */
    SS_WITHIN_NOISE,    /* the claim lies inside the interval, or the ranking is not decided */
    SS_PROJECTION_ONLY, /* an extrapolation, nothing to measure it against */
    SS_NOT_TESTABLE,    /* NOT-TESTABLE-HERE; the reason says why */
    SS_NOT_MEASURED,    /* "not measured yet" */
    SS_N_VERDICTS
};
extern const char *const ss_verdict_names[SS_N_VERDICTS];

enum { SS_CLAIM_TOKENS = 56 }; /* the document's benchmark */
enum { SS_N_CLAIM_FIELDS = 9, SS_N_RULE_FIELDS = 8 };
enum ss_claim_field {
    SS_CF_ID,
    SS_CF_SECTION,
    SS_CF_QUANTITY,
    SS_CF_MODEL,
    SS_CF_VARIANT,
    SS_CF_CLAIMED,
    SS_CF_UNIT,
    SS_CF_KIND
};
enum ss_rule_field {
    SS_RF_CLAIM,
    SS_RF_FORMULA,
    SS_RF_EXPLAINS,
    SS_RF_MEASURED,
    SS_RF_CELLS,
    SS_RF_LAW,
    SS_RF_VERDICT,
    SS_RF_NOTE
};

struct ss_claims {
    struct ss_csv claims, rules;
    size_t *rule_of; /* (claims.rows) */
};
/* SS_USAGE: malformed file, a claim without a rule, a rule that matches none. */
SS_CHECKED enum ss_err ss_claims_read(struct ss_claims *c, const char *claims_path, const char *rules_path);
/* experiments/claims.csv and claims_rules.csv of this installation. */
SS_CHECKED enum ss_err ss_claims_read_standard(struct ss_claims *c);
void ss_claims_free(struct ss_claims *c);

/* A number as printed: "~0.5-2" -> 0.5..2, approximate; "6+" -> at least 6; "1,536". */
struct ss_claimed {
    bool numeric;
    bool approximate; /* ~ : 10% */
    bool at_least;
    double lo, hi; /* equal unless a range */
    double digit;  /* one unit of the last printed digit */
};
void ss_claimed_parse(struct ss_claimed *n, const char *text);
enum ss_match { SS_DIFFERS, SS_SAME, SS_CUT_OFF /* digits cut off instead of rounded */ };
/* value in the unit of the claim. Same: to the last printed digit, or within 10% of value where the claim says "~". */
enum ss_match ss_claimed_match(const struct ss_claimed *n, double value);

struct ss_judged {
    enum ss_verdict verdict;
    char formula[128]; /* what the formula gives, "" if there is none */
    char measured[128];
    char origin[400];
    char reason[900];
};
/* cells: as ss_store_read_all gives them. */
SS_CHECKED enum ss_err ss_claim_judge(struct ss_judged *j, const struct ss_claims *c, size_t claim,
                                      const struct ss_result *cells, size_t n_cells);
/* All of them, (claims.rows), malloc'ed. count: how many of each verdict. */
SS_CHECKED enum ss_err ss_claims_judge_all(struct ss_judged **j, size_t count[SS_N_VERDICTS], const struct ss_claims *c,
                                           const struct ss_result *cells, size_t n_cells);
/* The claimed text with its unit: "344 KB", "linear in hidden_dim". */
void ss_claimed_print(struct ss_text *out, const struct ss_claims *c, size_t claim);
/* All fields and the verdict of every claim. */
void ss_claims_table(struct ss_table *t, const struct ss_claims *c, const struct ss_judged *j);

/* Evaluation (claims_eval.c): the names that an expression may use. cells NULL: formulas only. */
struct ss_scope {
    const struct ss_claims *claims;
    const char *model; /* of the claim: "1.5B", "7B", ... */
    double tokens;     /* seq_len */
    const struct ss_result *cells;
    size_t n_cells;
    const struct ss_result *base;     /* cell whose variant, backend, tokens and options are meant; NULL for formulas */
    double law_tokens;                /* value of `tokens` in a law */
    const struct ss_result *used[16]; /* of which a verdict tells its origin */
    size_t n_used;
    int depth;
};
SS_CHECKED enum ss_err ss_scope_eval(struct ss_range *out, struct ss_scope *scope, const char *text);
/* Measured cells that a rule may start from, best first; returns how many. tokens: what the claim is about. */
size_t ss_claims_bases(const struct ss_result **base, size_t cap, const char *selector, const char *claim_variant,
                       const char *model, const struct ss_result *cells, size_t n_cells);
/* The variants ("v2|v3") and the backend ("" any) that a selector means. */
void ss_claims_wanted(char *variants, size_t variants_size, char *backend, size_t backend_size, const char *selector,
                      const char *claim_variant);
/* tokens=N of the selector, else 56. */
size_t ss_claims_tokens(const char *selector);
/* "doc-7b" of "7B", "qwen2.5-7b" of "Q7B", "width-2048" of "W2048"; NULL: none of these. */
const char *ss_claims_model(const char *tag);
#endif
