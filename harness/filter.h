/* filter.h — the expression of -E: which cells.

   expr  = and { "||" and }          and = unary { "&&" unary }          unary = "!" unary | "(" expr ")" | term
   term  = field op value            field = model | variant | backend | phase | placement (text) | tokens | seed (numbers)
   op    = == != =~ (glob)           and < <= > >= for model, tokens and seed
   value = a word, or text in '' or "".
   A model is named in full (doc-7b) or by its size (7b: every model whose name ends in -7b). Ordered, models compare by their
   parameter count; a size then means the model of that size in the same family, else the number itself. */
#ifndef SS_FILTER_H
#define SS_FILTER_H

#include "harness/cell.h"

struct ss_filter;
/* text NULL: matches everything. Syntax, unknown field, unknown model or size, bad number: SS_USAGE with the place in text. */
SS_CHECKED enum ss_err ss_filter_parse(struct ss_filter **f, const char *text);
bool ss_filter_match(const struct ss_filter *f, const struct ss_cell *cell);
void ss_filter_free(struct ss_filter *f);
#endif
