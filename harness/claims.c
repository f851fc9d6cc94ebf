/* claims.c — reading claims and rules, numbers as the document prints them, the table of verdicts. */
#include "harness/claims.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/model.h"

const char *const ss_verdict_names[SS_N_VERDICTS] = {
    [SS_CONFIRMED] = "CONFIRMED",
    [SS_REFUTED] = "REFUTED",
    [SS_FORMULA_ERROR] = "FORMULA-ERROR",
    [SS_WITHIN_NOISE] = "WITHIN-NOISE",
    [SS_PROJECTION_ONLY] = "PROJECTION-ONLY",
    [SS_NOT_TESTABLE] = "NOT-TESTABLE-HERE",
    [SS_NOT_MEASURED] = "not measured yet",
};

static const char *const claim_header[] = {"id",      "section", "quantity", "model",   "variant",
                                           "claimed", "unit",    "kind",     "formula", NULL};
static const char *const rule_header[] = {"claim", "formula", "explains", "measured", "cells", "law", "verdict", "note", NULL};

static bool is_definition(const struct ss_claims *c, size_t rule)
{
    return ss_csv_get(&c->rules, rule, SS_RF_CLAIM)[0] == '$';
}

static enum ss_err check_rules(const struct ss_claims *c, const bool *used)
{
    for (size_t r = 0; r < c->rules.rows; r++) {
        const char *name = ss_csv_get(&c->rules, r, SS_RF_CLAIM), *verdict = ss_csv_get(&c->rules, r, SS_RF_VERDICT);
        bool known = !*verdict;
        for (int v = 0; v < SS_N_VERDICTS; v++)
            known = known || strcmp(verdict, ss_verdict_names[v]) == 0;
        if (!known)
            SS_FAIL(SS_USAGE, "%s:%d: unknown verdict '%s'", c->rules.path, c->rules.line[r], verdict);
        if (!used[r] && !is_definition(c, r))
            SS_FAIL(SS_USAGE, "%s:%d: rule '%s' matches no claim that an earlier rule has not taken", c->rules.path,
                    c->rules.line[r], name);
    }
    return SS_OK;
}

/* The first rule that matches each claim; ids occur once. */
static enum ss_err match_rules(struct ss_claims *c)
{
    bool *used = calloc(c->rules.rows + 1, sizeof *used);
    c->rule_of = calloc(c->claims.rows + 1, sizeof *c->rule_of);
    SS_REQUIRE(used && c->rule_of);
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < c->claims.rows && err == SS_OK; i++) {
        const char *id = ss_csv_get(&c->claims, i, SS_CF_ID);
        size_t r = 0;
        while (r < c->rules.rows && (is_definition(c, r) || fnmatch(ss_csv_get(&c->rules, r, SS_RF_CLAIM), id, 0) != 0))
            r++;
        if (r == c->rules.rows)
            err = ss_fail(SS_USAGE, __FILE__, __LINE__, "%s:%d: no rule of %s is about claim '%s'", c->claims.path,
                          c->claims.line[i], c->rules.path, id);
        else
            used[r] = true;
        c->rule_of[i] = r;
        for (size_t k = 0; k < i && err == SS_OK; k++)
            if (strcmp(id, ss_csv_get(&c->claims, k, SS_CF_ID)) == 0)
                err = ss_fail(SS_USAGE, __FILE__, __LINE__, "%s:%d: claim '%s' occurs twice", c->claims.path, c->claims.line[i],
                              id);
    }
    if (err == SS_OK)
        err = check_rules(c, used);
    free(used);
    return err;
}

enum ss_err ss_claims_read(struct ss_claims *c, const char *claims_path, const char *rules_path)
{
    *c = (struct ss_claims){0};
    enum ss_err err = ss_csv_read(&c->claims, claims_path, claim_header);
    if (err == SS_OK)
        err = ss_csv_read(&c->rules, rules_path, rule_header);
    if (err == SS_OK)
        err = match_rules(c);
    if (err != SS_OK)
        ss_claims_free(c);
    return err;
}

enum ss_err ss_claims_read_standard(struct ss_claims *c)
{
    char claims[1100], rules[1100];
    snprintf(claims, sizeof claims, "%s/experiments/claims.csv", ss_home());
    snprintf(rules, sizeof rules, "%s/experiments/claims_rules.csv", ss_home());
    return ss_claims_read(c, claims, rules);
}

void ss_claims_free(struct ss_claims *c)
{
    ss_csv_free(&c->claims);
    ss_csv_free(&c->rules);
    free(c->rule_of);
    *c = (struct ss_claims){0};
}

/* One number with thousands commas at *text; digit: one unit of its last digit. */
static bool take_number(const char **text, double *value, double *digit)
{
    char plain[32];
    size_t n = 0;
    const char *p = *text;
    for (; ((*p >= '0' && *p <= '9') || *p == '.' || *p == ',') && n + 1 < sizeof plain; p++)
        if (*p != ',')
            plain[n++] = *p;
    plain[n] = '\0';
    char *end;
    *value = strtod(plain, &end);
    if (n == 0 || *end)
        return false;
    const char *dot = strchr(plain, '.');
    *digit = dot ? pow(10, -(double)strlen(dot + 1)) : 1;
    *text = p;
    return true;
}

void ss_claimed_parse(struct ss_claimed *n, const char *text)
{
    *n = (struct ss_claimed){0};
    const char *p = text;
    n->approximate = *p == '~';
    p += *p == '~' || *p == '+';
    if (!take_number(&p, &n->lo, &n->digit))
        return;
    n->hi = n->lo;
    if (*p == '-') {
        double digit;
        p++;
        if (!take_number(&p, &n->hi, &digit))
            return;
        n->digit = fmin(n->digit, digit);
    }
    n->at_least = *p == '+';
    p += *p == '+' || *p == 'K'; /* 2K: the unit is the caller's affair */
    n->numeric = *p == '\0';
}

enum ss_match ss_claimed_match(const struct ss_claimed *n, double value)
{
    double half = n->digit / 2 * (1 + 1e-9);
    if (n->at_least)
        return value >= n->lo - half ? SS_SAME : SS_DIFFERS;
    if (value >= n->lo - half && value <= n->hi + half)
        return SS_SAME;
    double distance = value < n->lo ? n->lo - value : value - n->hi;
    if (n->approximate && distance <= 0.1 * fabs(value))
        return SS_SAME;
    /* 802,816 printed as 802: digits cut off. Not for a first digit, where 7.6 would pass for 7. */
    if (value > n->hi && value < n->hi + n->digit && distance <= 0.02 * fabs(value))
        return SS_CUT_OFF;
    return SS_DIFFERS;
}

enum ss_err ss_claims_judge_all(struct ss_judged **j, size_t count[SS_N_VERDICTS], const struct ss_claims *c,
                                const struct ss_result *cells, size_t n_cells)
{
    memset(count, 0, SS_N_VERDICTS * sizeof *count);
    *j = calloc(c->claims.rows + 1, sizeof **j);
    SS_REQUIRE(*j);
    for (size_t i = 0; i < c->claims.rows; i++) {
        enum ss_err err = ss_claim_judge(&(*j)[i], c, i, cells, n_cells);
        if (err != SS_OK) {
            free(*j);
            *j = NULL;
            return err;
        }
        count[(*j)[i].verdict]++;
    }
    return SS_OK;
}

void ss_claimed_print(struct ss_text *out, const struct ss_claims *c, size_t claim)
{
    const char *unit = ss_csv_get(&c->claims, claim, SS_CF_UNIT), *claimed = ss_csv_get(&c->claims, claim, SS_CF_CLAIMED);
    struct ss_claimed number;
    ss_claimed_parse(&number, claimed);
    ss_text_add(out, "%s", claimed);
    if (number.numeric && strcmp(unit, "-") != 0)
        ss_text_add(out, " %s", unit);
}

void ss_claims_table(struct ss_table *t, const struct ss_claims *c, const struct ss_judged *j)
{
    static const char *const names[] = {"id",      "section",  "quantity", "model",   "variant", "claimed",
                                        "formula", "measured", "origin",   "verdict", "reason"};
    enum { N = sizeof names / sizeof names[0] };
    *t = (struct ss_table){0};
    for (size_t i = 0; i < N; i++)
        ss_table_column(t, names[i], strcmp(names[i], "measured") == 0 ? "measured [95% CI]" : names[i], false);
    for (size_t i = 0; i < c->claims.rows; i++) {
        struct ss_text claimed = {0};
        ss_claimed_print(&claimed, c, i);
        const char *text[N] = {ss_csv_get(&c->claims, i, SS_CF_ID),
                               ss_csv_get(&c->claims, i, SS_CF_SECTION),
                               ss_csv_get(&c->claims, i, SS_CF_QUANTITY),
                               ss_csv_get(&c->claims, i, SS_CF_MODEL),
                               ss_csv_get(&c->claims, i, SS_CF_VARIANT),
                               ss_text_str(&claimed),
                               j[i].formula,
                               j[i].measured,
                               j[i].origin,
                               ss_verdict_names[j[i].verdict],
                               j[i].reason};
        ss_table_row(t);
        for (size_t k = 0; k < N; k++)
            ss_table_set(t, k, text[k], NULL);
        ss_text_free(&claimed);
    }
}
