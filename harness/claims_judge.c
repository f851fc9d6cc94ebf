/* claims_judge.c — from a claim, its rule and the stored cells to a verdict with its reason. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/claims.h"

enum { MAX_BASES = 32 };

/* Ordered by how much they say against the claim. */
enum outcome { NOTHING, AGREES, UNDECIDED, TOO_FEW, DISAGREES };

struct work {
    const struct ss_claims *c;
    const char *claimed_text, *unit, *kind, *model, *variant;
    const char *rule[SS_N_RULE_FIELDS];
    const char *where; /* "file:line" of the rule */
    const struct ss_result *cells;
    size_t n_cells, tokens;
    struct ss_claimed claimed;
    bool defines;                  /* the claim is a formula, its value is what the formula gives */
    bool has_formula, formula_cut; /* matched only with digits cut off */
    double scale;                  /* bytes in the claim's unit, the one that matched */
    struct ss_range formula;
    enum ss_match match;
    enum outcome outcome;
    char measured[128], origin[400], detail[320];
};

/* Bytes in one unit of the claim, by both meanings of kilo; 1 for what is no size. */
static size_t unit_scales(const char *unit, double scale[2])
{
    static const char *const units[] = {"KB", "MB", "GB"};
    for (int i = 0; i < 3; i++)
        if (strcmp(unit, units[i]) == 0) {
            scale[0] = pow(1000, i + 1);
            scale[1] = pow(1024, i + 1);
            return 2;
        }
    scale[0] = 1;
    return 1;
}

/* Best match over the meanings of the unit; *scale becomes the one that matched, else 1000. */
static enum ss_match match_scaled(const struct ss_claimed *n, double value, const char *text, const char *unit, double *scale)
{
    double scales[2];
    size_t count = unit_scales(unit, scales);
    if (text[strlen(text) - (*text != '\0')] == 'K') { /* 16K entries */
        scales[0] = 1000;
        scales[1] = 1024;
        count = 2;
    }
    *scale = scales[0];
    enum ss_match best = SS_DIFFERS;
    for (size_t i = 0; i < count; i++) { /* the meaning that comes closer, if both will do */
        enum ss_match match = ss_claimed_match(n, value / scales[i]);
        bool closer = fabs(value / scales[i] - n->lo) < fabs(value / *scale - n->lo);
        if (match != SS_DIFFERS && (best == SS_DIFFERS || closer)) {
            best = match;
            *scale = scales[i];
        }
    }
    return best;
}

static bool is_size(const struct work *w)
{
    double scale[2];
    return unit_scales(w->unit, scale) == 2;
}

static void print_value(char *out, size_t size, const struct work *w, double value, double scale)
{
    char number[48];
    if (!is_size(w)) /* 16K entries are printed in full */
        scale = 1;
    if (strcmp(w->unit, "B") == 0 && fabs(value) >= 1e4) {
        ss_print_bytes(out, size, value);
        return;
    }
    ss_print_real(number, sizeof number, value / scale);
    bool show = strcmp(w->unit, "-") != 0 && *w->unit;
    snprintf(out, size, "%s%s%s", number, show ? " " : "", show ? w->unit : "");
}

static void print_range(char *out, size_t size, const struct work *w, const struct ss_range *r, double scale)
{
    if (r->truth) {
        char left[48], right[48];
        ss_print_real(left, sizeof left, r->left);
        ss_print_real(right, sizeof right, r->right);
        bool decided = r->lo == r->hi;
        snprintf(out, size, "%s against %s: %s", left, right, !decided ? "undecided" : r->v != 0 ? "holds" : "does not hold");
        return;
    }
    print_value(out, size, w, r->v, scale);
    size_t n = strlen(out);
    if (!r->known) {
        snprintf(out + n, size - n, " [n too small]");
    } else if (r->lo != r->hi) {
        char lo[48], hi[48];
        ss_print_real(lo, sizeof lo, r->lo / scale);
        ss_print_real(hi, sizeof hi, r->hi / scale);
        snprintf(out + n, size - n, " [%s, %s]", lo, hi);
    }
}

static enum ss_err judge_formula(struct work *w, struct ss_judged *j)
{
    w->scale = 1;
    w->has_formula = *w->rule[SS_RF_FORMULA] != '\0';
    if (!w->has_formula)
        return SS_OK;
    struct ss_scope scope = {.claims = w->c, .model = w->model, .tokens = (double)w->tokens};
    SS_TRY(ss_scope_eval(&w->formula, &scope, w->rule[SS_RF_FORMULA]));
    w->match = SS_SAME;
    if (w->formula.truth) {
        w->match = w->formula.v != 0 ? SS_SAME : SS_DIFFERS;
    } else if (w->claimed.numeric) {
        w->match = match_scaled(&w->claimed, w->formula.v, w->claimed_text, w->unit, &w->scale);
    } else { /* the claim is the formula: later, a measurement is held against its value, to 0.5% */
        w->defines = true;
        w->claimed =
            (struct ss_claimed){.numeric = true, .lo = w->formula.v, .hi = w->formula.v, .digit = fabs(w->formula.v) / 100};
    }
    w->formula_cut = w->match == SS_CUT_OFF;
    print_range(j->formula, sizeof j->formula, w, &w->formula, w->scale);
    return SS_OK;
}

/* What one measured value says about the claim. */
static enum outcome compare(struct work *w, struct ss_range *r, double *scale)
{
    *scale = 1;
    if (!isfinite(r->v))
        return NOTHING;
    if (r->truth) {
        if (!r->known)
            return TOO_FEW;
        return r->lo != r->hi ? UNDECIDED : r->v != 0 ? AGREES : DISAGREES;
    }
    if (!w->claimed.numeric)
        return NOTHING;
    enum ss_match match = match_scaled(&w->claimed, r->v, w->claimed_text, w->unit, scale);
    if (!r->known)
        return TOO_FEW;
    if (match != SS_DIFFERS)
        return AGREES;
    bool inside = r->lo / *scale <= w->claimed.hi && r->hi / *scale >= w->claimed.lo && r->lo != r->hi;
    return inside ? UNDECIDED : DISAGREES;
}

static void print_origin(struct work *w, const struct ss_scope *scope)
{
    struct ss_text t = {0};
    for (size_t i = 0; i < scope->n_used; i++) {
        const struct ss_cell *c = &scope->used[i]->cell;
        const char *mode = ss_pairs_get(&scope->used[i]->config, "cc_mode");
        const bool enclave = mode && strcmp(mode, "none") != 0;
        ss_text_add(&t, "%s%s %s%s%s%s", i ? ", " : "", c->model, c->variant, enclave ? " (" : "", enclave ? mode : "",
                    enclave ? ")" : "");
    }
    ss_text_add(&t, "; %zu tokens, %s", scope->base->cell.tokens, scope->base->cell.backend);
    snprintf(w->origin, sizeof w->origin, "%s", ss_text_str(&t));
    ss_text_free(&t);
}

/* r at the claim's tokens by the rule's law. Returns false, with w->detail, if it cannot be brought there. */
static enum ss_err scale_by_law(struct work *w, struct ss_scope *scope, struct ss_range *r, bool *usable)
{
    const char *law = w->rule[SS_RF_LAW];
    size_t tokens = scope->base->cell.tokens;
    *usable = true;
    if (tokens == w->tokens || r->truth)
        return SS_OK;
    if (strcmp(law, ">=") == 0) {
        double scale;
        enum outcome o = compare(w, r, &scale);
        *usable = o == DISAGREES && tokens < w->tokens && r->v / scale > w->claimed.hi;
        snprintf(w->detail, sizeof w->detail,
                 *usable ? "%zu tokens already need more than the claim has for %zu" : "only measured at %zu tokens, not %zu",
                 tokens, w->tokens);
        return SS_OK;
    }
    struct ss_range here, there;
    scope->law_tokens = (double)tokens;
    SS_TRY(ss_scope_eval(&here, scope, law));
    scope->law_tokens = (double)w->tokens;
    SS_TRY(ss_scope_eval(&there, scope, law));
    scope->law_tokens = 0;
    double factor = there.v / here.v;
    r->v *= factor;
    r->lo *= factor;
    r->hi *= factor;
    if (strcmp(law, "1") != 0)
        snprintf(w->detail, sizeof w->detail, "counted at %zu tokens and brought to %zu by the law %s", tokens, w->tokens, law);
    return SS_OK;
}

static void print_need(struct work *w, const struct ss_result *nearest)
{
    if (nearest) {
        snprintf(w->detail, sizeof w->detail, "measured at %zu tokens only; needs %zu", nearest->cell.tokens, w->tokens);
        return;
    }
    char variants[160], backend[16];
    ss_claims_wanted(variants, sizeof variants, backend, sizeof backend, w->rule[SS_RF_CELLS], w->variant);
    for (char *p = variants; *p; p++)
        *p = *p == '|' ? '/' : *p;
    struct ss_text t = {0};
    ss_text_add(&t, "needs %s of %s", variants, ss_claims_model(w->model));
    if (*backend)
        ss_text_add(&t, " on %s", backend);
    if (!*w->rule[SS_RF_LAW] || strcmp(w->rule[SS_RF_LAW], ">=") == 0)
        ss_text_add(&t, " at %zu tokens", w->tokens);
    snprintf(w->detail, sizeof w->detail, "%s", ss_text_str(&t));
    ss_text_free(&t);
}

static enum ss_err judge_measured(struct work *w)
{
    const struct ss_result *base[MAX_BASES];
    if (!*w->rule[SS_RF_MEASURED])
        return SS_OK;
    size_t n =
        ss_claims_bases(base, MAX_BASES, w->rule[SS_RF_CELLS], w->variant, ss_claims_model(w->model), w->cells, w->n_cells);
    print_need(w, n ? base[0] : NULL);
    if (n == 0 || (base[0]->cell.tokens != w->tokens && !*w->rule[SS_RF_LAW]))
        return SS_OK;
    double worst = 0;
    for (size_t i = 0; i < n && base[i]->cell.tokens == base[0]->cell.tokens; i++) {
        struct ss_scope scope = {.claims = w->c,
                                 .model = w->model,
                                 .tokens = (double)w->tokens,
                                 .cells = w->cells,
                                 .n_cells = w->n_cells,
                                 .base = base[i]};
        struct ss_range r;
        enum ss_err err = ss_scope_eval(&r, &scope, w->rule[SS_RF_MEASURED]);
        if (err == SS_SKIP)
            continue;
        SS_TRY(err);
        if (w->outcome == NOTHING)
            w->detail[0] = '\0';
        bool can = true;
        SS_TRY(scale_by_law(w, &scope, &r, &can));
        double scale, distance = fabs(r.v - w->claimed.lo);
        enum outcome o = can ? compare(w, &r, &scale) : NOTHING;
        if (o == NOTHING || o < w->outcome || (o == w->outcome && distance <= worst))
            continue;
        w->outcome = o;
        worst = distance;
        print_range(w->measured, sizeof w->measured, w, &r, scale);
        print_origin(w, &scope);
    }
    return SS_OK;
}

static enum ss_verdict fixed_verdict(const struct work *w, enum ss_verdict otherwise)
{
    for (int v = 0; v < SS_N_VERDICTS; v++)
        if (strcmp(w->rule[SS_RF_VERDICT], ss_verdict_names[v]) == 0)
            return (enum ss_verdict)v;
    return otherwise;
}

static enum ss_verdict decide(const struct work *w)
{
    if (w->has_formula && w->match == SS_DIFFERS) /* a config value is held against the published model, not a formula */
        return strcmp(w->kind, "config") == 0 || w->formula.truth ? SS_REFUTED : SS_FORMULA_ERROR;
    switch (w->outcome) {
    case AGREES:
        return SS_CONFIRMED;
    case DISAGREES:
        return SS_REFUTED;
    case UNDECIDED:
        return SS_WITHIN_NOISE;
    case TOO_FEW:
        return SS_NOT_MEASURED;
    case NOTHING:
        break;
    }
    bool arithmetic = w->has_formula && !w->defines && strcmp(w->kind, "measured") != 0;
    return fixed_verdict(w, arithmetic ? SS_CONFIRMED : SS_NOT_MEASURED);
}

static void add_clause(struct ss_text *t, const char *text)
{
    if (*text)
        ss_text_add(t, "%s%s", t->n ? "; " : "", text);
}

static void explain_formula(const struct work *w, struct ss_text *t, const char *value)
{
    if (!w->has_formula || w->defines || w->formula.truth)
        return;
    ss_text_add(t, strcmp(w->kind, "config") == 0 ? "should be %s" : "the formula gives %s", value);
    if (w->match != SS_DIFFERS && is_size(w)) {
        int power = *w->unit == 'K' ? 1 : *w->unit == 'M' ? 2 : 3;
        bool binary = fabs(w->scale - pow(1024, power)) < 1;
        ss_text_add(t, " (1 %s = %s^%d B)", w->unit, binary ? "2" : "10", binary ? 10 * power : 3 * power);
    }
    if (w->formula_cut)
        ss_text_add(t, ", digits cut off instead of rounded");
}

/* "EXPR = value": what does give the printed number. A rule that explains wrongly is an error. */
static enum ss_err explain_number(const struct work *w, struct ss_text *t)
{
    const char *text = w->rule[SS_RF_EXPLAINS];
    if (!*text)
        return SS_OK;
    struct ss_scope scope = {.claims = w->c, .model = w->model, .tokens = (double)w->tokens};
    struct ss_range r;
    double scale;
    SS_TRY(ss_scope_eval(&r, &scope, text));
    if (match_scaled(&w->claimed, r.v, w->claimed_text, w->unit, &scale) == SS_DIFFERS)
        SS_FAIL(SS_USAGE, "%s: '%s' = %g does not explain '%s %s'", w->where, text, r.v, w->claimed_text, w->unit);
    char value[64];
    print_value(value, sizeof value, w, r.v, scale);
    ss_text_add(t, "%sthe printed number is %s = %s", t->n ? "; " : "", text, value);
    return SS_OK;
}

static enum ss_err explain(struct work *w, struct ss_judged *j)
{
    struct ss_text t = {0};
    explain_formula(w, &t, j->formula);
    enum ss_err err = explain_number(w, &t);
    bool waiting = *w->rule[SS_RF_MEASURED] && w->outcome == NOTHING;
    if (w->outcome != NOTHING)
        ss_text_add(&t, "%smeasured %s", t.n ? "; " : "", w->measured);
    if (waiting && j->verdict == SS_CONFIRMED)
        add_clause(&t, "arithmetic only, not measured yet");
    if (!waiting || j->verdict == SS_CONFIRMED || j->verdict == SS_NOT_MEASURED)
        add_clause(&t, w->detail);
    if (!waiting || (j->verdict != SS_CONFIRMED && j->verdict != SS_NOT_MEASURED)) /* else it is about what is to come */
        add_clause(&t, w->rule[SS_RF_NOTE]);
    snprintf(j->reason, sizeof j->reason, "%s", ss_text_str(&t));
    ss_text_free(&t);
    return err;
}

enum ss_err ss_claim_judge(struct ss_judged *j, const struct ss_claims *c, size_t claim, const struct ss_result *cells,
                           size_t n_cells)
{
    SS_REQUIRE(claim < c->claims.rows);
    *j = (struct ss_judged){0};
    char where[1100];
    size_t rule = c->rule_of[claim];
    char model[32]; /* "72B+" is about the 72B */
    const char *printed = ss_csv_get(&c->claims, claim, SS_CF_MODEL);
    snprintf(model, sizeof model, "%.*s", (int)strcspn(printed, "+"), printed);
    struct work w = {
        .c = c,
        .claimed_text = ss_csv_get(&c->claims, claim, SS_CF_CLAIMED),
        .unit = ss_csv_get(&c->claims, claim, SS_CF_UNIT),
        .kind = ss_csv_get(&c->claims, claim, SS_CF_KIND),
        .variant = ss_csv_get(&c->claims, claim, SS_CF_VARIANT),
        .model = ss_claims_model(model) ? model : "1.5B", /* "any" and ratios: the document's benchmark */
        .where = where,
        .cells = cells,
        .n_cells = n_cells,
    };
    snprintf(where, sizeof where, "%s:%d", c->rules.path, c->rules.line[rule]);
    for (size_t i = 0; i < SS_N_RULE_FIELDS; i++)
        w.rule[i] = ss_csv_get(&c->rules, rule, i);
    w.tokens = ss_claims_tokens(w.rule[SS_RF_CELLS]);
    ss_claimed_parse(&w.claimed, w.claimed_text);
    SS_TRY(judge_formula(&w, j));
    SS_TRY(judge_measured(&w));
    j->verdict = decide(&w);
    snprintf(j->measured, sizeof j->measured, "%s", w.measured);
    snprintf(j->origin, sizeof j->origin, "%s", w.origin);
    return explain(&w, j);
}
