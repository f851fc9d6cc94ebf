/* wide.c — see wide.h. Flags become "x lies below window j and all above it" by a suffix product in log depth; then
   f = top + sum_j flag_j (f_(j-1) - f_j). */
#include "variants/lib/wide.h"

#include "variants/lib/needs.h"

#include <math.h>

/* A slope is a whole number for each fine unit. Where a function is small, a whole number is coarse: with 8 fine bits the
   rounding of the slope alone gave 1.5e-3 for 1/sqrt(x) at 2^31 and 30 value bits, with 6 it gives 6e-4. Fewer make the index
   coarse. */
const struct ss_lookup_shape ss_wide_value = {.n_bits = SS_WIDE_BITS, .fine_bits = 6, .columns = 2};
const struct ss_lookup_shape ss_wide_below = {.n_bits = SS_WIDE_BITS, .columns = 1};

enum { HIGHEST = 63 - SS_WIDE_BITS };

static int window_bit(int first, size_t j)
{
    const int at = first + SS_WIDE_STEP * (int)j;
    return at < HIGHEST ? at : HIGHEST;
}

size_t ss_wide_windows(int first, int top)
{
    size_t n = 1;
    while (window_bit(first, n - 1) + SS_WIDE_BITS < top && window_bit(first, n - 1) < HIGHEST)
        n++;
    SS_REQUIRE(n <= SS_WIDE_MAX);
    return n;
}

struct held {
    ss_function f;
    const void *arg;
    double least;
};

static double hold(double x, const void *arg)
{
    const struct held *h = arg;
    return h->f(x < h->least ? h->least : x, h->arg);
}

static double is_below(double index, const void *arg)
{
    (void)arg;
    return index < SS_WIDE_INDEX ? 1 : 0;
}

enum ss_err ss_wide_open(struct ss_ctx *c, struct ss_wide *w, const struct ss_lookup_shape *shape, int first, unsigned x_bits,
                         unsigned value_bits, unsigned least_index, ss_function f, const void *arg)
{
    for (size_t j = 0; j < w->windows; j++) {
        const int step_bits = (int)x_bits - window_bit(first, j);
        struct held held = {f, arg, ldexp(j == 0 ? (int)least_index - 1 : SS_WIDE_INDEX / 2, -step_bits)};
        struct ss_table *t = &w->value[j];
        t->shape = *shape;
        t->step_bits = step_bits;
        t->value_bits = value_bits;
        if (j == 0 && shape->columns == 2)
            t->lo = -ldexp(1, -step_bits); /* the first step of a table is lost, and x may be 0 */
        SS_TRY(ss_table_open(c, t, hold, &held));
        if (j == 0)
            continue;
        t = &w->below[j - 1];
        t->shape = ss_wide_below;
        t->step_bits = 0; /* the index itself */
        SS_TRY(ss_table_open(c, t, is_below, NULL));
        t->step_bits = step_bits;
    }
    return SS_OK;
}

enum ss_err ss_wide_error(struct ss_ctx *c, double *worst, double *hi, const struct ss_wide *w, size_t windows, ss_function f,
                          const void *arg, double lo)
{
    for (size_t j = 0; j < windows; j++) {
        const struct ss_table *t = &w->value[j];
        const double from = j == 0 ? lo : ldexp(SS_WIDE_INDEX - 1, -t->step_bits); /* a flag's index may be one too high */
        *hi = t->lo + ldexp((double)((1 << t->shape.n_bits) - 1), -t->step_bits);
        const double to = j + 1 < windows ? ldexp(SS_WIDE_INDEX, -w->value[j + 1].step_bits) : *hi;
        SS_TRY(ss_table_error(c, worst, t, f, arg, from, to, true));
    }
    return SS_OK;
}

void ss_wide_close(struct ss_ctx *c, struct ss_wide *w)
{
    for (size_t j = 0; j < SS_WIDE_MAX; j++) {
        ss_table_close(c, &w->value[j]);
        ss_table_close(c, &w->below[j]);
    }
}

size_t ss_wide_products(size_t windows)
{
    const size_t flags = windows - 1;
    size_t n = flags;
    for (size_t step = 1; step < flags; step *= 2)
        n += flags - step;
    return n;
}

size_t ss_wide_rounds(size_t windows)
{
    const size_t flags = windows - 1;
    size_t n = 2 + (flags > 0);
    for (size_t step = 1; step < flags; step *= 2)
        n++;
    return n;
}

/* out = value selected among y (windows, n) by the flags; below, diff, product: (windows - 1, n) each. */
static enum ss_err choose(struct ss_ctx *c, size_t windows, const uint64_t *batch, struct ss_buf *messages, uint64_t *out,
                          const uint64_t *y, uint64_t *below, size_t n)
{
    const struct ss_backend *b = c->backend;
    const size_t flags = windows - 1, all = ss_wide_products(windows) * n;
    uint64_t *product = below + flags * n;
    size_t used = 0;
    for (size_t step = 1; step < flags; step *= 2) {
        const size_t now = (flags - step) * n;
        SS_TRY(ss_beaver_part(c, batch, messages, product, below, below + step * n, all, used, now));
        SS_TRY(b->copy(c->dev, below, product, now * sizeof(uint64_t)));
        used += now;
    }
    SS_TRY(b->ring_sub(c->dev, product, y, y + n, flags * n));
    SS_TRY(ss_beaver_part(c, batch, messages, product, below, product, all, used, flags * n));
    SS_TRY(b->copy(c->dev, out, y + flags * n, n * sizeof(uint64_t)));
    for (size_t k = 0; k < flags; k++)
        SS_TRY(b->ring_add(c->dev, out, out, product + k * n, n));
    return SS_OK;
}

enum ss_err ss_wide_eval(struct ss_ctx *party, const struct ss_wide *w, size_t windows, struct ss_supply *supply,
                         enum ss_corr_slot value, struct ss_buf *messages, struct ss_buf *room, uint64_t *out,
                         const uint64_t *x, size_t rows, unsigned x_bits)
{
    SS_REQUIRE(windows >= 1 && windows <= w->windows);
    SS_TRY(ss_buf_grow(party, room, (3 * windows * rows) * sizeof(uint64_t), SS_TAG_shares));
    uint64_t *y = (uint64_t *)room->p, *below = y + windows * rows;
    struct ss_lookup_call call[2] = {{.tables = w->value,
                                      .n_tables = windows,
                                      .source = supply->source,
                                      .source_state = supply->source_state,
                                      .corr = &supply->corr[value],
                                      .slot = value,
                                      .out = y,
                                      .x = x,
                                      .rows = 1,
                                      .cols = rows,
                                      .x_stride = rows,
                                      .x_bits = x_bits}};
    call[1] = call[0];
    call[1].tables = w->below;
    call[1].n_tables = windows - 1;
    call[1].slot = value + 1;
    call[1].corr = &supply->corr[value + 1];
    call[1].out = below;
    SS_TRY(ss_lookup(party, messages, call, windows > 1 ? 2 : 1));
    if (windows == 1)
        return party->backend->copy(party->dev, out, y, rows * sizeof(uint64_t));
    const struct ss_ragged r = {.rows = ss_wide_products(windows) * rows, .cols = 1};
    const uint64_t *batch = ss_corr_take(party, &supply->corr[value + 2], value + 2, ss_beaver_words(SS_BEAVER_SCALE, &r));
    return choose(party, windows, batch, messages, out, y, below, rows);
}
