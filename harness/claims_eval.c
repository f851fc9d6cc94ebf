/* claims_eval.c — what the names in a rule's expressions stand for: shapes, definitions, columns of stored cells. */
#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/claims.h"
#include "harness/columns.h"
#include "harness/config.h"
#include "harness/stats.h"

enum { MAX_DEFINITIONS_DEEP = 8 };

const char *ss_claims_model(const char *tag)
{
    static const struct {
        const char *tag, *model;
    } models[] = {
        {"1.5B", "doc-1.5b"},      {"7B", "doc-7b"},        {"14B", "doc-14b"},      {"72B", "doc-72b"},
        {"Q1.5B", "qwen2.5-1.5b"}, {"Q7B", "qwen2.5-7b"},   {"Q14B", "qwen2.5-14b"}, {"Q72B", "qwen2.5-72b"},
        {"W2048", "width-2048"},   {"W4096", "width-4096"}, {"W8192", "width-8192"},
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strcmp(models[i].tag, tag) == 0)
            return models[i].model;
    return NULL;
}

/* The document's names for a model's dimensions. */
static bool shape_value(const struct ss_shape *s, const char *name, double *value)
{
    const struct {
        const char *name;
        size_t value;
    } names[] = {
        {"hidden_dim", s->d_model}, {"d_ff", s->d_ff},       {"num_layers", s->n_layers}, {"num_heads", s->n_heads},
        {"num_kv_heads", s->n_kv},  {"head_dim", s->d_head}, {"vocab_size", s->vocab},    {"num_parameters", 0},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0) {
            *value = (double)(names[i].value ? names[i].value : ss_shape_params(s));
            return true;
        }
    return false;
}

static enum ss_err lookup(void *user, const struct ss_name_tags *name, struct ss_range *out);

enum ss_err ss_scope_eval(struct ss_range *out, struct ss_scope *scope, const char *text)
{
    return ss_expr_eval(out, text, lookup, scope);
}

static void standard_options(char *out, size_t size, const char *variant)
{
    const struct ss_variant *v = ss_variant_find(variant);
    int64_t values[SS_MAX_OPTIONS] = {0};
    snprintf(out, size, "%s", "");
    if (v && ss_options_parse(v, "", values) == SS_OK)
        ss_options_print(v, values, out, size);
}

/* The document has one device. */
static bool usable(const struct ss_result *r)
{
    return r->status == SS_MEASURED && !r->cell.reference && !r->cell.split;
}

/* The cell of the same run as `base`, moved to another model or variant by the tags; of another variant, the one with its
   standard options if there is one. */
static enum ss_err find_cell(const struct ss_result **found, const struct ss_scope *s, const struct ss_name_tags *name)
{
    const char *model = s->base->cell.model, *variant = s->base->cell.variant;
    char options[256];
    for (size_t i = 0; i < name->n_tags; i++) {
        const char *other = ss_claims_model(name->tag[i]);
        model = other ? other : model;
        variant = other ? variant : name->tag[i];
    }
    bool same_variant = strcmp(variant, s->base->cell.variant) == 0;
    if (same_variant)
        snprintf(options, sizeof options, "%s", s->base->cell.options);
    else
        standard_options(options, sizeof options, variant);
    *found = NULL;
    for (size_t i = 0; i < s->n_cells; i++) {
        const struct ss_result *r = &s->cells[i];
        if (!usable(r) || strcmp(r->cell.model, model) != 0 || strcmp(r->cell.variant, variant) != 0 ||
            strcmp(r->cell.backend, s->base->cell.backend) != 0 || strcmp(r->cell.phase, s->base->cell.phase) != 0 ||
            r->cell.tokens != s->base->cell.tokens)
            continue;
        bool exact = strcmp(r->cell.options, options) == 0;
        if (exact || (!same_variant && !*found))
            *found = r;
        if (exact)
            break;
    }
    return *found ? SS_OK : SS_SKIP;
}

static void note_used(struct ss_scope *s, const struct ss_result *r)
{
    for (size_t i = 0; i < s->n_used; i++)
        if (s->used[i] == r)
            return;
    if (s->n_used < sizeof s->used / sizeof s->used[0])
        s->used[s->n_used++] = r;
}

/* "$name": its expression, evaluated for the model or cell that the tags name. */
static enum ss_err definition(struct ss_scope *s, const struct ss_name_tags *name, struct ss_range *out, bool *known)
{
    const struct ss_csv *rules = &s->claims->rules;
    *known = false;
    for (size_t r = 0; r < rules->rows; r++) {
        const char *claim = ss_csv_get(rules, r, SS_RF_CLAIM);
        if (claim[0] != '$' || strcmp(claim + 1, name->name) != 0)
            continue;
        *known = true;
        if (s->depth == MAX_DEFINITIONS_DEEP)
            SS_FAIL(SS_USAGE, "%s:%d: $%s is defined by itself", rules->path, rules->line[r], name->name);
        struct ss_scope inner = *s;
        inner.depth++;
        if (s->base)
            SS_TRY(find_cell(&inner.base, s, name));
        else if (name->n_tags)
            inner.model = name->tag[0];
        enum ss_err err = ss_scope_eval(out, &inner, ss_csv_get(rules, r, SS_RF_FORMULA));
        memcpy(s->used, inner.used, sizeof s->used);
        s->n_used = inner.n_used;
        return err;
    }
    return SS_OK;
}

static enum ss_err unknown(const struct ss_scope *s, const char *name)
{
    SS_FAIL(SS_USAGE, "%s: '%s' is neither a dimension, a definition nor a column (harness/columns.h)", s->claims->rules.path,
            name);
}

/* Names in formulas: the document's shapes. */
static enum ss_err lookup_shape(const struct ss_scope *s, const struct ss_name_tags *name, struct ss_range *out)
{
    const char *tag = name->n_tags ? name->tag[0] : s->model, *model = ss_claims_model(tag);
    if (!model || name->n_tags > 1)
        SS_FAIL(SS_USAGE, "%s: '@%s' is not a model (1.5B, 7B, 14B, 72B, with Q the published one)", s->claims->rules.path,
                tag);
    struct ss_model m;
    SS_TRY(ss_model_find(&m, model));
    double value;
    if (!shape_value(&m.shape, name->name, &value))
        return unknown(s, name->name);
    *out = ss_range_exact(value);
    return SS_OK;
}

static enum ss_err lookup_column(struct ss_scope *s, const struct ss_name_tags *name, struct ss_range *out)
{
    const struct ss_result *r;
    struct ss_column column;
    struct ss_value value;
    double dimension;
    SS_TRY(find_cell(&r, s, name));
    if (shape_value(&r->shape, name->name, &dimension)) {
        *out = ss_range_exact(dimension);
        return SS_OK;
    }
    SS_TRY(ss_column_find(&column, name->name));
    if (column.kind == SS_COL_TEXT)
        SS_FAIL(SS_USAGE, "%s: column '%s' is text", s->claims->rules.path, name->name);
    note_used(s, r);
    ss_column_value(&value, &column, r);
    if (!value.present)
        return SS_SKIP;
    *out = ss_range_exact(value.real);
    if (column.origin == SS_TIMED && column.kind == SS_COL_REAL) {
        out->known = value.has_interval;
        out->lo = value.has_interval ? value.lo : value.real;
        out->hi = value.has_interval ? value.hi : value.real;
    }
    return SS_OK;
}

/* NAME@d_model: exponent of a column over the widths of the width-* cells that are otherwise like the scope's cell, with its
   interval. SS_SKIP: fewer than five widths. */
static enum ss_err lookup_exponent(struct ss_scope *s, const struct ss_name_tags *name, struct ss_range *out)
{
    enum { MOST = 16 };
    double x[MOST], y[MOST];
    size_t n = 0;
    struct ss_column column;
    struct ss_fit fit;
    SS_TRY(ss_column_find(&column, name->name));
    for (size_t i = 0; i < s->n_cells && n < MOST; i++) {
        const struct ss_result *r = &s->cells[i];
        const struct ss_cell *c = &r->cell, *base = &s->base->cell;
        struct ss_value value;
        ss_column_value(&value, &column, r);
        if (!usable(r) || strncmp(c->model, "width-", 6) != 0 || strcmp(c->variant, base->variant) != 0 ||
            strcmp(c->options, base->options) != 0 || strcmp(c->backend, base->backend) != 0 ||
            strcmp(c->phase, base->phase) != 0 || c->tokens != base->tokens || !value.present)
            continue;
        x[n] = (double)r->shape.d_model;
        y[n++] = value.real;
        note_used(s, r);
    }
    if (!ss_fit_power(&fit, x, y, n))
        return SS_SKIP;
    *out = (struct ss_range){.v = fit.exponent.value, .lo = fit.exponent.low, .hi = fit.exponent.high, .known = true};
    return SS_OK;
}

static enum ss_err lookup(void *user, const struct ss_name_tags *name, struct ss_range *out)
{
    struct ss_scope *s = user;
    if (strcmp(name->name, "seq_len") == 0) {
        *out = ss_range_exact(s->tokens);
        return SS_OK;
    }
    if (strcmp(name->name, "tokens") == 0 && s->law_tokens > 0) {
        *out = ss_range_exact(s->law_tokens);
        return SS_OK;
    }
    bool known;
    SS_TRY(definition(s, name, out, &known));
    if (known)
        return SS_OK;
    if (s->base && name->n_tags == 1 && strcmp(name->tag[0], "d_model") == 0)
        return lookup_exponent(s, name, out);
    return s->base ? lookup_column(s, name, out) : lookup_shape(s, name, out);
}

/* ---- which cells a rule starts from */

struct selector {
    char variants[160], backend[16], options[256];
    bool any_options;
};

/* "V2/V3" -> "v2|v3"; "all", "-" -> every variant. */
static void variants_of(char *out, size_t size, const char *claim_variant)
{
    snprintf(out, size, "%s", "plain|v2|v3|v3-cc|v3-mpc|v3-ot");
    if (claim_variant[0] != 'V')
        return;
    size_t n = 0;
    for (const char *p = claim_variant; *p && n + 1 < size; p++) {
        if (strncmp(p, " or ", 4) == 0) {
            out[n++] = '|';
            p += 3;
        } else {
            out[n++] = *p == '/' ? '|' : (char)tolower((unsigned char)*p);
        }
    }
    out[n] = '\0';
}

/* One "key=value" of the selector. */
static const char *field(const char *selector, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);
    for (const char *p = selector; *p; p += strcspn(p, " "), p += *p == ' ')
        if (strncmp(p, key, len) == 0 && p[len] == '=') {
            snprintf(out, size, "%.*s", (int)strcspn(p + len + 1, " "), p + len + 1);
            return out;
        }
    return NULL;
}

size_t ss_claims_tokens(const char *selector)
{
    char text[32];
    return field(selector, "tokens", text, sizeof text) ? strtoul(text, NULL, 10) : SS_CLAIM_TOKENS;
}

static bool in_list(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; *p; p += strcspn(p, "|"), p += *p == '|')
        if (strncmp(p, word, len) == 0 && (p[len] == '|' || p[len] == '\0'))
            return true;
    return false;
}

static bool selected(const struct selector *s, const char *model, const struct ss_result *r)
{
    if (!usable(r) || strcmp(r->cell.model, model) != 0 || !in_list(s->variants, r->cell.variant) ||
        strcmp(r->cell.phase, "prefill") != 0)
        return false;
    if (s->backend[0] && strcmp(s->backend, r->cell.backend) != 0)
        return false;
    char standard[256];
    standard_options(standard, sizeof standard, r->cell.variant);
    return fnmatch(s->any_options ? s->options : standard, r->cell.options, 0) == 0;
}

void ss_claims_wanted(char *variants, size_t variants_size, char *backend, size_t backend_size, const char *selector,
                      const char *claim_variant)
{
    if (!field(selector, "variant", variants, variants_size))
        variants_of(variants, variants_size, claim_variant);
    if (!field(selector, "backend", backend, backend_size))
        snprintf(backend, backend_size, "%s", "");
}

/* Sorted by insertion: the claim's own token count first, then the longer runs. */
static size_t collect(const struct ss_result **base, size_t cap, const struct selector *s, size_t tokens, const char *model,
                      const struct ss_result *cells, size_t n_cells)
{
    size_t n = 0;
    for (size_t i = 0; i < n_cells && n < cap; i++) {
        if (!selected(s, model, &cells[i]))
            continue;
        size_t at = n++;
        for (; at > 0; at--) {
            size_t before = base[at - 1]->cell.tokens, mine = cells[i].cell.tokens;
            if (before == tokens || (mine != tokens && before >= mine))
                break;
            base[at] = base[at - 1];
        }
        base[at] = &cells[i];
    }
    return n;
}

size_t ss_claims_bases(const struct ss_result **base, size_t cap, const char *selector, const char *claim_variant,
                       const char *model, const struct ss_result *cells, size_t n_cells)
{
    struct selector s = {0};
    ss_claims_wanted(s.variants, sizeof s.variants, s.backend, sizeof s.backend, selector, claim_variant);
    s.any_options = field(selector, "options", s.options, sizeof s.options) != NULL;
    size_t n = collect(base, cap, &s, ss_claims_tokens(selector), model, cells, n_cells);
    if (n > 0 || s.any_options)
        return n;
    s.any_options = true; /* an experiment may have run a variant with other options only */
    snprintf(s.options, sizeof s.options, "*");
    return collect(base, cap, &s, ss_claims_tokens(selector), model, cells, n_cells);
}
