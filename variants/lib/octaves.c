/* octaves.c — see octaves.h. Slots: comparison, x V, its truncation, powers (1 + levels, at most 4), truncation of f(y), f(y)
 * W. */
#include "variants/lib/octaves.h"

#include <math.h>

enum { COMPARE, NORM, NORM_TRUNC, POWERS, VALUE_TRUNC = POWERS + 4, SCALE };
_Static_assert(SCALE + 1 == SS_OCTAVE_SLOTS, "one slot a step");

static unsigned thresholds(const struct ss_octaves *o)
{
    return o->last - o->first;
}

static struct ss_compare_shape compare_shape(const struct ss_octaves *o)
{
    return (struct ss_compare_shape){.bits = 64, .thresholds = thresholds(o)};
}

void ss_octaves_plan(struct ss_octaves *o, unsigned radix, unsigned first, unsigned last, unsigned degree, unsigned value_bits,
                     ss_real f, ss_octave_factor factor, const void *arg)
{
    double coef[SS_MAX_POWER + 1];
    SS_REQUIRE(last > first && last - first <= SS_MAX_THRESHOLDS && radix * (last + 1) <= 62);
    SS_REQUIRE(radix * (last + 1) > SS_OCTAVE_BITS && ss_power_levels(degree) < VALUE_TRUNC - POWERS);
    *o = (struct ss_octaves){.radix = radix, .first = first, .last = last, .degree = degree, .value_bits = value_bits};
    ss_poly_fit(coef, degree, ldexp(1, -(int)radix), 1, 1, f, arg);
    ss_poly_encode(o->coef, coef, 1, SS_OCTAVE_POLY_BITS);
    ss_poly_encode(o->coef + 1, coef + 1, degree, SS_OCTAVE_POLY_BITS - SS_OCTAVE_BITS);
    for (unsigned e = first; e <= last; e++)
        o->scale[e - first] = (uint64_t)llrint(factor(e, arg));
}

double ss_octaves_error(const struct ss_octaves *o, ss_real f, ss_octave_factor factor, const void *arg)
{
    const struct ss_poly poly = {o->coef, o->degree, SS_OCTAVE_POLY_BITS, SS_OCTAVE_BITS, 1};
    double worst = 0;
    for (unsigned e = o->first; e <= o->last; e++) {
        const double exact = factor(e, arg);
        worst = fmax(worst, fabs((double)o->scale[e - o->first] / exact - 1));
    }
    return worst + ss_poly_error(&poly, ldexp(1, -(int)o->radix), 1, true, f, arg) + ldexp(1, -(int)o->value_bits);
}

size_t ss_octaves_rounds(const struct ss_octaves *o)
{
    const struct ss_compare_shape s = compare_shape(o);
    return ss_compare_rounds(&s) + 2 + 2 * ss_power_levels(o->degree) + 2;
}

void ss_need_octaves(struct ss_needs *l, enum ss_corr_slot slot, const struct ss_octaves *o, size_t n)
{
    const struct ss_compare_shape s = compare_shape(o);
    const struct ss_ragged products = {.rows = n, .cols = 1};
    ss_need_compare(l, slot + COMPARE, &s, n);
    ss_need_product(l, SS_NEED_SCALE, slot + NORM, products);
    ss_need_trunc(l, slot + NORM_TRUNC, 1, n, o->radix * (o->last + 1) - SS_OCTAVE_BITS, NULL);
    ss_need_powers(l, slot + POWERS, o->degree, n, SS_OCTAVE_BITS);
    ss_need_trunc(l, slot + VALUE_TRUNC, 1, n, SS_OCTAVE_POLY_BITS - o->value_bits, NULL);
    ss_need_product(l, SS_NEED_SCALE, slot + SCALE, products);
}

/* out = value of the octave: value[last], plus value[e - 1] - value[e] for each e with x below octave e. */
static enum ss_err by_octave(struct ss_ctx *c, const struct ss_octaves *o, uint64_t *out, const uint64_t *s,
                             const uint64_t *value, size_t n)
{
    uint64_t step[SS_MAX_THRESHOLDS];
    const unsigned t = thresholds(o);
    for (unsigned k = 0; k < t; k++)
        step[k] = value[k] - value[k + 1];
    return c->backend->ring_combine(c->dev, out, s, step, t, c->role == SS_P0 ? value[t] : 0, n);
}

enum ss_err ss_octaves_eval(struct ss_ctx *party, const struct ss_octaves *o, struct ss_supply *supply, enum ss_corr_slot slot,
                            struct ss_buf *messages, struct ss_buf *work, uint64_t *out, const uint64_t *x, size_t n)
{
    const unsigned t = thresholds(o);
    uint64_t norm[SS_MAX_THRESHOLDS + 1];
    struct ss_compare_call compare = {.shape = compare_shape(o),
                                      .corr = &supply->corr[slot + COMPARE],
                                      .slot = slot + COMPARE,
                                      .x = x,
                                      .rows = 1,
                                      .cols = n,
                                      .x_stride = n};
    SS_TRY(ss_buf_grow(party, work, (t + o->degree + 1) * n * sizeof(uint64_t), SS_TAG_shares));
    uint64_t *s = (uint64_t *)work->p, *factor = s + t * n, *z = factor + n;
    for (unsigned k = 0; k <= t; k++) {
        norm[k] = (uint64_t)1 << o->radix * (t - k);
        if (k > 0)
            compare.h_t[k - 1] = (uint64_t)1 << o->radix * (o->first + k);
    }
    compare.s = s;
    SS_TRY(ss_compare(party, messages, &compare));
    SS_TRY(by_octave(party, o, factor, s, norm, n));
    SS_TRY(ss_beaver_elements(party, supply->corr, slot + NORM, messages, z, x, factor, n));
    SS_TRY(ss_trunc_bits(party, supply->corr, slot + NORM_TRUNC, messages, z, 1, n, o->radix * (o->last + 1) - SS_OCTAVE_BITS,
                         NULL));
    SS_TRY(ss_powers(party, supply->corr, slot + POWERS, messages, z, o->degree, n, SS_OCTAVE_BITS));
    SS_TRY(party->backend->ring_combine(party->dev, z, z, o->coef + 1, o->degree, party->role == SS_P0 ? o->coef[0] : 0, n));
    SS_TRY(
        ss_trunc_bits(party, supply->corr, slot + VALUE_TRUNC, messages, z, 1, n, SS_OCTAVE_POLY_BITS - o->value_bits, NULL));
    SS_TRY(by_octave(party, o, factor, s, o->scale, n));
    return ss_beaver_elements(party, supply->corr, slot + SCALE, messages, out, z, factor, n);
}
