/* wide.h — functions of a positive value over many octaves: a table for each window of the value's bits, the right one selected
   by flags. Windows overlap where both are accurate, so that the noise of an index does no harm.

   Window j looks up x >> s_j, s_j = s_0 + 7 j (the last at most 51), and is used where its index is at least 30: a segment is
   then narrow against x: relative error, with the noise of an index, 5e-4 for 1/sqrt(x) and 1.1e-3 for 1/x, up to 1.3e-3
   where the result has 14 bits (ss_wide_error; table T5.1 of experiments/ot-resolution.ini). Flag j is 1 where x lies below
   window j. */
#ifndef SS_WIDE_H
#define SS_WIDE_H

#include "variants/lib/beaver.h"
#include "variants/lib/lookup.h"

enum { SS_WIDE_MAX = 8, SS_WIDE_BITS = 12, SS_WIDE_STEP = 7, SS_WIDE_INDEX = 31 };

struct ss_wide {
    struct ss_table value[SS_WIDE_MAX], below[SS_WIDE_MAX]; /* below[k]: flag of window k + 1 */
    size_t windows;                                         /* all that this run can need; a pass may use fewer */
};
/* Windows for x < 2^top as integers, the lowest at bit `first`. */
size_t ss_wide_windows(int first, int top);
/* f of x, a value with x_bits fractional bits. least_index: smallest index of window 0 at which f is fitted, not held constant.
 */
SS_CHECKED enum ss_err ss_wide_open(struct ss_ctx *c, struct ss_wide *w, const struct ss_lookup_shape *shape, int first,
                                    unsigned x_bits, unsigned value_bits, unsigned least_index, ss_function f, const void *arg);
/* Measurement: the largest relative error (ss_table_error) for x from lo up, over `windows`, each where it may be selected.
 *Raises worst; *hi: where the last window ends. */
SS_CHECKED enum ss_err ss_wide_error(struct ss_ctx *c, double *worst, double *hi, const struct ss_wide *w, size_t windows,
                                     ss_function f, const void *arg, double lo);
void ss_wide_close(struct ss_ctx *c, struct ss_wide *w);

struct ss_supply; /* needs.h */
extern const struct ss_lookup_shape ss_wide_value, ss_wide_below;
/* Products a value of x needs to select among `windows`; rounds of an evaluation. */
size_t ss_wide_products(size_t windows);
size_t ss_wide_rounds(size_t windows);

/* Slots value, value + 1 (flags), value + 2 (selection) of the supply hold the correlations of rows evaluations. out (rows) at
 * value_bits. */
SS_CHECKED enum ss_err ss_wide_eval(struct ss_ctx *party, const struct ss_wide *w, size_t windows, struct ss_supply *supply,
                                    enum ss_corr_slot value, struct ss_buf *messages, struct ss_buf *room, uint64_t *out,
                                    const uint64_t *x, size_t rows, unsigned x_bits);
#endif
