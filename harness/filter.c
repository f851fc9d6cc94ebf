/* filter.c — parser and evaluation of -E expressions. */
#include "harness/filter.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config.h"

enum { MAX_NODES = 128, MAX_DEPTH = 32 };
enum kind { AND, OR, NOT, TERM };
enum field { MODEL, VARIANT, BACKEND, PHASE, PLACEMENT, TOKENS, SEED, N_FIELDS };
enum op { EQ, NE, LE, GE, LT, GT, LIKE, N_OPS };

static const char *const field_names[N_FIELDS] = {"model", "variant", "backend", "phase", "placement", "tokens", "seed"};
/* Longer spellings first: "<=" before "<". */
static const char *const op_names[N_OPS] = {"==", "!=", "<=", ">=", "<", ">", "=~"};

struct node {
    enum kind kind;
    int left, right; /* indices; NOT has only left */
    enum field field;
    enum op op;
    char value[64];
    double number;
};
struct model_size {
    char *name;
    double params;
};
struct ss_filter {
    int root; /* -1: everything matches */
    size_t n;
    struct node node[MAX_NODES];
    size_t n_models; /* every known model, read once: an expression is evaluated for many cells */
    struct model_size *model;
};
struct parser {
    const char *text, *at;
    int depth;
    struct ss_filter *f;
};

static enum ss_err load_models(struct ss_filter *f)
{
    char **names = NULL;
    size_t n = 0;
    SS_TRY(ss_model_list(&names, &n));
    f->model = calloc(n ? n : 1, sizeof *f->model);
    SS_REQUIRE(f->model);
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < n; i++) {
        struct ss_model m;
        if (err == SS_OK && (err = ss_model_find(&m, names[i])) == SS_OK) {
            f->model[f->n_models++] = (struct model_size){names[i], (double)ss_shape_params(&m.shape)};
            continue;
        }
        free(names[i]);
    }
    free(names);
    return err;
}

static bool known_params(const struct ss_filter *f, const char *name, double *params)
{
    for (size_t i = 0; i < f->n_models; i++)
        if (strcmp(f->model[i].name, name) == 0) {
            *params = f->model[i].params;
            return true;
        }
    return false;
}

/* "7b" is the size of "doc-7b" and of "qwen2.5-7b", not of "doc-37b". */
static bool has_size(const char *name, const char *size)
{
    size_t a = strlen(name), b = strlen(size);
    return b > 0 && a > b + 1 && name[a - b - 1] == '-' && strcmp(name + a - b, size) == 0;
}

/* "7b", "1.5B", "500m": parameters. */
static bool size_number(const char *text, double *params)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || !isdigit((unsigned char)text[0]) || strlen(end) != 1)
        return false;
    int unit = tolower((unsigned char)*end);
    *params = x * (unit == 'b' ? 1e9 : unit == 'm' ? 1e6 : unit == 'k' ? 1e3 : 0);
    return *params > 0;
}

/* What `value` means beside the model of a cell, in parameters. */
static bool bound_params(const struct ss_filter *f, const char *model, const char *value, double *params)
{
    if (known_params(f, value, params))
        return true;
    const char *dash = strrchr(model, '-');
    if (dash) {
        char sibling[160];
        snprintf(sibling, sizeof sibling, "%.*s-%s", (int)(dash - model), model, value);
        if (known_params(f, sibling, params))
            return true;
    }
    return size_number(value, params);
}

static enum ss_err check_model(const struct parser *p, const struct node *t)
{
    double params;
    if (t->op == LIKE || size_number(t->value, &params))
        return SS_OK;
    const char **names = calloc(p->f->n_models + 1, sizeof *names);
    SS_REQUIRE(names);
    bool found = strchr(t->value, '/') != NULL; /* a checkpoint directory */
    for (size_t i = 0; i < p->f->n_models; i++) {
        names[i] = p->f->model[i].name;
        found = found || strcmp(names[i], t->value) == 0 || has_size(names[i], t->value);
    }
    enum ss_err err = SS_OK;
    if (!found) {
        const char *near = ss_nearest(t->value, names, p->f->n_models);
        err = ss_fail(SS_USAGE, __FILE__, __LINE__, "filter '%s': no model or size '%s'%s%s%s (shardscale list)", p->text,
                      t->value, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    free(names);
    return err;
}

static void skip_space(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static bool accept(struct parser *p, const char *token)
{
    skip_space(p);
    size_t n = strlen(token);
    if (strncmp(p->at, token, n) != 0)
        return false;
    p->at += n;
    return true;
}

static bool is_word(char ch)
{
    return isalnum((unsigned char)ch) || (ch && strchr("._-+*?[]/:@%", ch));
}

/* A bare word or a quoted text into out. */
static enum ss_err parse_word(struct parser *p, char *out, size_t size, const char *what)
{
    skip_space(p);
    char quote = *p->at == '\'' || *p->at == '"' ? *p->at++ : '\0';
    const char *start = p->at;
    while (*p->at && (quote ? *p->at != quote : is_word(*p->at)))
        p->at++;
    size_t n = (size_t)(p->at - start);
    if (quote && *p->at++ != quote)
        SS_FAIL(SS_USAGE, "filter '%s': the quote before '%s' is not closed", p->text, start);
    if (n == 0)
        SS_FAIL(SS_USAGE, "filter '%s': %s expected at '%s'", p->text, what, *start ? start : "the end");
    if (n >= size)
        SS_FAIL(SS_USAGE, "filter '%s': '%.*s' is too long", p->text, (int)n, start);
    memcpy(out, start, n);
    out[n] = '\0';
    return SS_OK;
}

static enum ss_err new_node(struct parser *p, const struct node *value, int *index)
{
    if (p->f->n == MAX_NODES)
        SS_FAIL(SS_USAGE, "filter '%s': more than %d terms", p->text, MAX_NODES);
    *index = (int)p->f->n;
    p->f->node[p->f->n++] = *value;
    return SS_OK;
}

static enum ss_err parse_term(struct parser *p, int *index)
{
    struct node t = {.kind = TERM, .left = -1, .right = -1, .field = N_FIELDS, .op = N_OPS};
    char name[32];
    SS_TRY(parse_word(p, name, sizeof name, "a field"));
    for (int i = 0; i < N_FIELDS; i++)
        if (strcmp(name, field_names[i]) == 0)
            t.field = (enum field)i;
    if (t.field == N_FIELDS) {
        const char *near = ss_nearest(name, field_names, N_FIELDS);
        SS_FAIL(SS_USAGE, "filter '%s': unknown field '%s'%s%s%s (model variant backend phase placement tokens seed)", p->text,
                name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    skip_space(p);
    const char *where = p->at;
    for (int i = 0; i < N_OPS && t.op == N_OPS; i++)
        if (accept(p, op_names[i]))
            t.op = (enum op)i;
    if (t.op == N_OPS)
        SS_FAIL(SS_USAGE, "filter '%s': ==, !=, <, <=, >, >= or =~ expected at '%s'", p->text, *where ? where : "the end");
    SS_TRY(parse_word(p, t.value, sizeof t.value, "a value"));
    bool number = t.field == TOKENS || t.field == SEED, ordered = t.op >= LE && t.op <= GT;
    if (ordered && !number && t.field != MODEL)
        SS_FAIL(SS_USAGE, "filter '%s': %s has no order; use ==, != or =~", p->text, name);
    if (number && t.op == LIKE)
        SS_FAIL(SS_USAGE, "filter '%s': =~ compares text, %s is a number", p->text, name);
    if (number)
        SS_TRY(ss_parse_real(&t.number, t.value, 0, 1.9e19, name));
    if (t.field == MODEL)
        SS_TRY(check_model(p, &t));
    return new_node(p, &t, index);
}

static enum ss_err parse_or(struct parser *p, int *index);

static enum ss_err parse_unary(struct parser *p, int *index)
{
    if (++p->depth > MAX_DEPTH)
        SS_FAIL(SS_USAGE, "filter '%s': nested deeper than %d", p->text, MAX_DEPTH);
    if (accept(p, "!")) {
        struct node n = {.kind = NOT, .right = -1};
        SS_TRY(parse_unary(p, &n.left));
        SS_TRY(new_node(p, &n, index));
    } else if (accept(p, "(")) {
        SS_TRY(parse_or(p, index));
        if (!accept(p, ")"))
            SS_FAIL(SS_USAGE, "filter '%s': ')' expected at '%s'", p->text, *p->at ? p->at : "the end");
    } else {
        SS_TRY(parse_term(p, index));
    }
    p->depth--;
    return SS_OK;
}

static enum ss_err parse_and(struct parser *p, int *index)
{
    SS_TRY(parse_unary(p, index));
    while (accept(p, "&&")) {
        struct node n = {.kind = AND, .left = *index};
        SS_TRY(parse_unary(p, &n.right));
        SS_TRY(new_node(p, &n, index));
    }
    return SS_OK;
}

static enum ss_err parse_or(struct parser *p, int *index)
{
    SS_TRY(parse_and(p, index));
    while (accept(p, "||")) {
        struct node n = {.kind = OR, .left = *index};
        SS_TRY(parse_and(p, &n.right));
        SS_TRY(new_node(p, &n, index));
    }
    return SS_OK;
}

static enum ss_err parse(struct ss_filter *f, const char *text)
{
    struct parser p = {.text = text, .at = text, .f = f};
    SS_TRY(load_models(f));
    SS_TRY(parse_or(&p, &f->root));
    skip_space(&p);
    if (*p.at)
        SS_FAIL(SS_USAGE, "filter '%s': &&, || or the end expected at '%s'", text, p.at);
    return SS_OK;
}

enum ss_err ss_filter_parse(struct ss_filter **out, const char *text)
{
    struct ss_filter *f = calloc(1, sizeof *f);
    SS_REQUIRE(f);
    f->root = -1;
    enum ss_err err = text ? parse(f, text) : SS_OK;
    if (err != SS_OK) {
        ss_filter_free(f);
        f = NULL;
    }
    *out = f;
    return err;
}

static bool compare(double a, enum op op, double b)
{
    switch (op) {
    case EQ:
        return a == b;
    case NE:
        return a != b;
    case LE:
        return a <= b;
    case GE:
        return a >= b;
    case LT:
        return a < b;
    case GT:
        return a > b;
    default:
        return false;
    }
}

static bool match_text(const char *text, enum op op, const char *value)
{
    if (op == LIKE)
        return fnmatch(value, text, 0) == 0;
    return (strcmp(text, value) == 0) == (op == EQ);
}

static bool match_model(const struct ss_filter *f, const char *model, const struct node *t)
{
    if (t->op == EQ || t->op == NE)
        return (strcmp(model, t->value) == 0 || has_size(model, t->value)) == (t->op == EQ);
    if (t->op == LIKE)
        return match_text(model, LIKE, t->value);
    double params, bound;
    struct ss_model m;
    if (!known_params(f, model, &params)) { /* a checkpoint directory */
        if (ss_model_find(&m, model) != SS_OK)
            return false;
        params = (double)ss_shape_params(&m.shape);
    }
    return bound_params(f, model, t->value, &bound) && compare(params, t->op, bound);
}

static bool match_term(const struct ss_filter *f, const struct node *t, const struct ss_cell *c)
{
    switch (t->field) {
    case MODEL:
        return match_model(f, c->model, t);
    case VARIANT:
        return match_text(c->variant, t->op, t->value);
    case BACKEND:
        return match_text(c->backend, t->op, t->value);
    case PHASE:
        return match_text(c->phase, t->op, t->value);
    case PLACEMENT:
        return match_text(ss_cell_placement(c), t->op, t->value);
    case TOKENS:
        return compare((double)c->tokens, t->op, t->number);
    case SEED:
        return compare((double)c->seed, t->op, t->number);
    default:
        return false;
    }
}

static bool match(const struct ss_filter *f, int index, const struct ss_cell *c)
{
    const struct node *n = &f->node[index];
    switch (n->kind) {
    case AND:
        return match(f, n->left, c) && match(f, n->right, c);
    case OR:
        return match(f, n->left, c) || match(f, n->right, c);
    case NOT:
        return !match(f, n->left, c);
    default:
        return match_term(f, n, c);
    }
}

bool ss_filter_match(const struct ss_filter *f, const struct ss_cell *cell)
{
    return f->root < 0 || match(f, f->root, cell);
}

void ss_filter_free(struct ss_filter *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_models; i++)
        free(f->model[i].name);
    free(f->model);
    free(f);
}
