/* expr.c — a recursive-descent evaluator; it computes while it reads, expressions are one line long. */
#include "harness/expr.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

struct parser {
    const char *text, *at;
    int depth;
    ss_expr_lookup lookup;
    void *user;
};

static enum ss_err parse_comparison(struct parser *p, struct ss_range *out);

struct ss_range ss_range_exact(double v)
{
    return (struct ss_range){.v = v, .lo = v, .hi = v, .known = true};
}

static void skip_blanks(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t')
        p->at++;
}

static bool accept(struct parser *p, char c)
{
    skip_blanks(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static enum ss_err complain(const struct parser *p, const char *what)
{
    SS_FAIL(SS_USAGE, "expression '%s': %s at character %zu", p->text, what, (size_t)(p->at - p->text) + 1);
}

static struct ss_range combine(char op, struct ss_range a, struct ss_range b)
{
    struct ss_range r = {.known = a.known && b.known};
    switch (op) {
    case '+':
        r.v = a.v + b.v;
        r.lo = a.lo + b.lo;
        r.hi = a.hi + b.hi;
        break;
    case '-':
        r.v = a.v - b.v;
        r.lo = a.lo - b.hi;
        r.hi = a.hi - b.lo;
        break;
    default: {
        double x = op == '*' ? b.lo : 1 / b.lo, y = op == '*' ? b.hi : 1 / b.hi;
        r.v = op == '*' ? a.v * b.v : a.v / b.v;
        r.lo = fmin(fmin(a.lo * x, a.lo * y), fmin(a.hi * x, a.hi * y));
        r.hi = fmax(fmax(a.lo * x, a.lo * y), fmax(a.hi * x, a.hi * y));
        if (op == '/' && b.lo <= 0 && b.hi >= 0)
            r.known = false;
    }
    }
    return r;
}

static enum ss_err parse_call(struct parser *p, const char *name, struct ss_range *out)
{
    bool least = strcmp(name, "min") == 0, absolute = strcmp(name, "abs") == 0;
    SS_TRY(parse_comparison(p, out));
    if (absolute && out->v < 0)
        *out = combine('-', ss_range_exact(0), *out);
    if (absolute && out->lo < 0 && out->hi > 0) { /* the interval holds zero */
        out->hi = fmax(-out->lo, out->hi);
        out->lo = 0;
    }
    while (!absolute && accept(p, ',')) {
        struct ss_range b;
        SS_TRY(parse_comparison(p, &b));
        out->v = least ? fmin(out->v, b.v) : fmax(out->v, b.v);
        out->lo = least ? fmin(out->lo, b.lo) : fmax(out->lo, b.lo);
        out->hi = least ? fmin(out->hi, b.hi) : fmax(out->hi, b.hi);
        out->known = out->known && b.known;
        out->truth = out->truth && b.truth;
    }
    return accept(p, ')') ? SS_OK : complain(p, "')' expected");
}

static enum ss_err take(struct parser *p, char out[SS_EXPR_MAX_NAME], const char *more)
{
    size_t n = 0;
    while (isalnum((unsigned char)*p->at) || (*p->at && strchr(more, *p->at))) {
        if (n + 1 == SS_EXPR_MAX_NAME)
            return complain(p, "name too long");
        out[n++] = *p->at++;
    }
    out[n] = '\0';
    return n ? SS_OK : complain(p, "a name is expected");
}

static enum ss_err parse_name(struct parser *p, struct ss_range *out)
{
    struct ss_name_tags name = {0};
    SS_TRY(take(p, name.name, "_"));
    if (strcmp(name.name, "min") == 0 || strcmp(name.name, "max") == 0 || strcmp(name.name, "abs") == 0) {
        if (!accept(p, '('))
            return complain(p, "'(' expected");
        return parse_call(p, name.name, out);
    }
    while (*p->at == '@') {
        p->at++;
        if (name.n_tags == SS_EXPR_MAX_TAGS)
            return complain(p, "too many tags");
        SS_TRY(take(p, name.tag[name.n_tags++], "._-"));
    }
    *out = (struct ss_range){0};
    return p->lookup(p->user, &name, out);
}

static enum ss_err parse_factor(struct parser *p, struct ss_range *out)
{
    if (++p->depth > MAX_DEPTH)
        return complain(p, "nested too deeply");
    enum ss_err err = SS_OK;
    skip_blanks(p);
    if (accept(p, '-')) {
        err = parse_factor(p, out);
        *out = combine('-', ss_range_exact(0), *out);
    } else if (accept(p, '(')) {
        err = parse_comparison(p, out);
        if (err == SS_OK && !accept(p, ')'))
            err = complain(p, "')' expected");
    } else if (isdigit((unsigned char)*p->at) || *p->at == '.') {
        char *end;
        *out = ss_range_exact(strtod(p->at, &end));
        if (end == p->at)
            err = complain(p, "a number is expected");
        p->at = end;
    } else if (isalpha((unsigned char)*p->at)) {
        err = parse_name(p, out);
    } else {
        err = complain(p, "a number, a name or '(' is expected");
    }
    p->depth--;
    return err;
}

static enum ss_err parse_product(struct parser *p, struct ss_range *out)
{
    SS_TRY(parse_factor(p, out));
    for (;;) {
        char op = accept(p, '*') ? '*' : accept(p, '/') ? '/' : '\0';
        if (!op)
            return SS_OK;
        struct ss_range b = {0};
        SS_TRY(parse_factor(p, &b));
        *out = combine(op, *out, b);
    }
}

static enum ss_err parse_sum(struct parser *p, struct ss_range *out)
{
    SS_TRY(parse_product(p, out));
    for (;;) {
        char op = accept(p, '+') ? '+' : accept(p, '-') ? '-' : '\0';
        if (!op)
            return SS_OK;
        struct ss_range b = {0};
        SS_TRY(parse_product(p, &b));
        *out = combine(op, *out, b);
    }
}

/* a < b or a <= b: certain when the intervals say so, else undecided. */
static struct ss_range less(struct ss_range a, struct ss_range b, bool or_equal)
{
    bool yes = or_equal ? a.v <= b.v : a.v < b.v;
    bool surely = or_equal ? a.hi <= b.lo : a.hi < b.lo, never = or_equal ? a.lo > b.hi : a.lo >= b.hi;
    return (struct ss_range){.v = yes, .lo = surely ? 1 : 0, .hi = never ? 0 : 1, .known = a.known && b.known, .truth = true};
}

static enum ss_err parse_comparison(struct parser *p, struct ss_range *out)
{
    SS_TRY(parse_sum(p, out));
    skip_blanks(p);
    char first = *p->at;
    if (first != '<' && first != '>' && first != '=')
        return SS_OK;
    p->at++;
    bool equal = *p->at == '=';
    p->at += equal;
    if (first == '=' && !equal)
        return complain(p, "'==' expected");
    struct ss_range b = {0};
    SS_TRY(parse_sum(p, &b));
    double left = out->v, right = b.v;
    if (first == '<') {
        *out = less(*out, b, equal);
    } else if (first == '>') {
        *out = less(b, *out, equal);
    } else {
        bool overlap = out->lo <= b.hi && b.lo <= out->hi, exact = out->lo == out->hi && b.lo == b.hi;
        *out = (struct ss_range){
            .v = out->v == b.v, .lo = exact && out->v == b.v, .hi = overlap, .known = out->known && b.known, .truth = true};
    }
    out->left = left;
    out->right = right;
    return SS_OK;
}

enum ss_err ss_expr_eval(struct ss_range *out, const char *text, ss_expr_lookup lookup, void *user)
{
    struct parser p = {.text = text, .at = text, .lookup = lookup, .user = user};
    *out = (struct ss_range){0};
    SS_TRY(parse_comparison(&p, out));
    skip_blanks(&p);
    if (*p.at)
        return complain(&p, "unexpected text");
    if (!isfinite(out->v))
        out->known = false;
    return SS_OK;
}
