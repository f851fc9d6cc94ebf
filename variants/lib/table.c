/* table.c — tables of public functions: fits in double, rounded to the ring, and the same entries as bytes. */
#include <math.h>
#include <stdlib.h>

#include "variants/lib/lookup.h"

enum { SAMPLES = 33 };

/* Segment `i`, positions [i, i + 2) steps: secant slope rounded to the ring, then the intercept in the middle of what is left.
 */
static void fit(const struct ss_table *t, size_t i, ss_function f, const void *arg, uint64_t *intercept, uint64_t *slope)
{
    const double h = ldexp(1, -t->step_bits), from = t->lo + (double)i * h, fine = ldexp(2, (int)t->shape.fine_bits);
    double least = INFINITY, most = -INFINITY;
    const double b = rint(ldexp(f(from + 2 * h, arg) - f(from, arg), (int)t->value_bits) / fine);
    for (int k = 0; k < SAMPLES; k++) {
        const double at = (double)k / (SAMPLES - 1);
        const double rest = ldexp(f(from + 2 * h * at, arg), (int)t->value_bits) - b * fine * at;
        least = rest < least ? rest : least;
        most = rest > most ? rest : most;
    }
    *intercept = (uint64_t)(int64_t)rint((least + most) / 2);
    *slope = (uint64_t)(int64_t)b;
}

/* Bytes that hold every entry as entry + 2^(8 k - 1). */
static unsigned planes_for(const uint64_t *entries, size_t n)
{
    unsigned k = 1;
    for (size_t i = 0; i < n; i++)
        while (k < 8 && (entries[i] + ((uint64_t)1 << (8 * k - 1))) >> (8 * k))
            k++;
    return k;
}

static void split(uint8_t *planes, const uint64_t *entries, size_t n, unsigned k)
{
    for (unsigned p = 0; p < k; p++)
        for (size_t i = 0; i < n; i++)
            planes[p * n + i] = (uint8_t)((entries[i] + ((uint64_t)1 << (8 * k - 1))) >> (8 * p));
}

static void fill(const struct ss_table *t, uint64_t *entries, ss_function f, const void *arg)
{
    const size_t n = (size_t)1 << t->shape.n_bits;
    for (size_t i = 0; i < n; i++) {
        if (t->shape.columns == 2)
            fit(t, i, f, arg, &entries[i], &entries[n + i]);
        else
            entries[i] = (uint64_t)(int64_t)rint(ldexp(f(t->lo + ldexp((double)i, -t->step_bits), arg), (int)t->value_bits));
    }
}

enum ss_err ss_table_open(struct ss_ctx *c, struct ss_table *t, ss_function f, const void *arg)
{
    const struct ss_lookup_shape *s = &t->shape;
    const size_t n = (size_t)1 << s->n_bits, words = s->columns * n, bytes = words * sizeof(uint64_t);
    SS_REQUIRE(s->n_bits >= SS_TABLE_MIN_BITS && s->n_bits <= SS_TABLE_MAX_BITS && (s->columns == 1 || s->columns == 2));
    SS_REQUIRE(t->value_bits < 62 && (s->columns == 2 || s->fine_bits == 0));
    uint64_t *entries = malloc(2 * bytes); /* bytes as planes: at most as many again */
    if (!entries)
        SS_FAIL(SS_ENV, "out of memory for a table of %zu entries", n);
    uint8_t *planes = (uint8_t *)(entries + words);
    fill(t, entries, f, arg);
    for (unsigned k = 0; k < 2; k++)
        t->data.n_planes[k] = k < s->columns ? planes_for(entries + k * n, n) : 0;
    split(planes, entries, n, t->data.n_planes[0]);
    if (s->columns == 2)
        split(planes + t->data.n_planes[0] * n, entries + n, n, t->data.n_planes[1]);
    enum ss_err err = SS_OK;
    const size_t all = bytes + (t->data.n_planes[0] + t->data.n_planes[1]) * n;
    if (t->buf.bytes < all) {
        ss_buf_free(c, &t->buf);
        SS_TRY_OUT(ss_buf_alloc(c, &t->buf, all, SS_TAG_tables));
    }
    SS_TRY_OUT(c->backend->upload(c->dev, t->buf.p, entries, all));
    t->data.entries = (const uint64_t *)t->buf.p;
    t->data.planes = (const uint8_t *)t->buf.p + bytes;
out:
    free(entries);
    return err;
}

/* got, looked up at position `at` of an index noisy by `noise`, against f. */
static double difference(double got, ss_function f, const void *arg, double at, double noise, const double range[2],
                         bool relative)
{
    double worst = 0;
    for (int k = -1; k <= 1; k++) {
        const double x = at + k * noise;
        if (x < range[0] || x > range[1])
            continue;
        const double want = f(x, arg), error = fabs(got - want) / (relative ? fabs(want) : 1);
        worst = error > worst ? error : worst;
    }
    return worst;
}

enum ss_err ss_table_error(struct ss_ctx *c, double *worst, const struct ss_table *t, ss_function f, const void *arg, double lo,
                           double hi, bool relative)
{
    const struct ss_lookup_shape *s = &t->shape;
    const size_t n = (size_t)1 << s->n_bits, units = (size_t)2 << s->fine_bits, samples = s->columns == 2 ? SAMPLES : 1;
    const double h = ldexp(1, -t->step_bits), noise = ldexp(h, -(int)s->fine_bits), range[2] = {lo, hi};
    uint64_t *entries = malloc(s->columns * n * sizeof *entries);
    if (!entries)
        SS_FAIL(SS_ENV, "out of memory for a table of %zu entries", n);
    enum ss_err err = c->backend->download(c->dev, entries, t->data.entries, s->columns * n * sizeof *entries);
    for (size_t i = 0; i < n && err == SS_OK; i++)
        for (size_t k = 0; k < samples; k++) {
            const size_t unit = s->columns == 2 ? k * (units - 1) / (SAMPLES - 1) : 0;
            const uint64_t sum = entries[i] + (s->columns == 2 ? entries[n + i] * unit : 0);
            const double at = t->lo + ((double)i + ldexp((double)unit, -(int)s->fine_bits)) * h;
            const double e = difference(ldexp((double)(int64_t)sum, -(int)t->value_bits), f, arg, at, noise, range, relative);
            *worst = e > *worst ? e : *worst;
        }
    free(entries);
    return err;
}

void ss_table_close(struct ss_ctx *c, struct ss_table *t)
{
    ss_buf_free(c, &t->buf);
}
