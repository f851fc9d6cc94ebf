/* cuda_compare.cu — timings of comparisons on the CUDA backend, median of nine: each operation, and all that one party does
   online for a batch (its own messages stand for the other's). Links as cuda_lookup.cu does. */
#include "tests/bench/cuda_time.cuh"

enum { BITS = 64, POSITIONS = BITS - 1 };

static void report(const char *what, size_t n, unsigned thresholds, double seconds, double bytes)
{
    printf("%-14s n %9zu  T %2u  %10.1f us  %8.3f G comparisons/s  %8.1f GB/s  %5.1f%% of memory\n", what, n, thresholds,
           seconds * 1e6, n / seconds * 1e-9 * thresholds, bytes / seconds * 1e-9, 100 * bytes / BYTES / seconds);
    fflush(stdout);
}

struct batch {
    size_t n, words; /* of a position: thresholds * groups */
    unsigned thresholds;
    uint64_t *a, *c0, *c1, *m, *g[2], *p[2], *top, *other, *masks, *mine, *theirs, *products, *rho, *rho_a, *s, *sx;
    uint64_t h_t[SS_MAX_THRESHOLDS];
};

/* Bytes of a level of `count` positions: opened, closed. */
static double opened(const struct batch *x, size_t count)
{
    return 8.0 * x->words * (9.0 * (count / 2) - 3);
}
static double closed(const struct batch *x, size_t count)
{
    return 8.0 * x->words * (14.0 * (count / 2) - 5 + 4 * (count % 2));
}

static enum ss_err leaves(struct ss_dev *dev, const struct batch *x)
{
    return B->carry_leaves(dev, x->g[0], x->p[0], x->top, x->c0, x->c1, x->m, x->h_t, x->thresholds, NULL, 1, x->n, BITS, 0);
}

static enum ss_err close_level(struct ss_dev *dev, const struct batch *x, size_t count, int in)
{
    return B->carry_close(dev, x->g[!in], x->p[!in], x->g[in], x->p[in], x->mine, x->theirs, x->masks, x->products, count,
                          x->words, 0);
}

static enum ss_err close_bits(struct ss_dev *dev, const struct batch *x)
{
    return B->bits_close(dev, x->s, x->sx, x->top, x->other, x->rho, x->rho_a, x->a, x->c0, x->c1, x->n, x->thresholds, 0);
}

static enum ss_err online(struct ss_dev *dev, const struct batch *x)
{
    int in = 0;
    SS_TRY(leaves(dev, x));
    for (size_t count = POSITIONS; count > 1; count = (count + 1) / 2, in = !in) {
        SS_TRY(B->carry_open(dev, x->mine, x->g[in], x->p[in], x->masks, count, x->words));
        SS_TRY(close_level(dev, x, count, in));
    }
    SS_TRY(B->ring_xor(dev, x->top, x->top, x->g[in], x->words));
    return close_bits(dev, x);
}

static void bench_batch(struct ss_dev *dev, size_t n, unsigned thresholds)
{
    const size_t groups = (n + 63) / 64, words = thresholds * groups, pairs = POSITIONS / 2, all = thresholds * n;
    struct batch x = {n, words, thresholds};
    uint64_t **const arrays[] = {&x.a,     &x.c0,    &x.c1,   &x.m,      &x.g[0],     &x.g[1], &x.p[0],  &x.p[1], &x.top,
                                 &x.other, &x.masks, &x.mine, &x.theirs, &x.products, &x.rho,  &x.rho_a, &x.s,    &x.sx};
    const size_t sizes[] = {n,
                            n,
                            n,
                            BITS * groups,
                            POSITIONS * words,
                            POSITIONS * words,
                            POSITIONS * words,
                            POSITIONS * words,
                            words,
                            words,
                            3 * pairs * words,
                            3 * pairs * words,
                            3 * pairs * words,
                            2 * pairs * words,
                            all,
                            all,
                            all,
                            all};
    static_assert(sizeof arrays / sizeof *arrays == sizeof sizes / sizeof *sizes, "a size per array");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        *arrays[i] = noise(dev, sizes[i]);
    for (unsigned k = 0; k < thresholds; k++)
        x.h_t[k] = (uint64_t)(k + 1) << 20;
    const double dn = (double)n, dw = 8.0 * words, dt = thresholds;
    const double leaf_bytes = 24 * dn + (2 * POSITIONS + 1) * dw, bit_bytes = (24 + 32 * dt) * dn + 2 * dw;
    double total = leaf_bytes + 3 * dw + bit_bytes, sec;
    for (size_t count = POSITIONS; count > 1; count = (count + 1) / 2)
        total += opened(&x, count) + closed(&x, count);
    TIME(dev, sec, B->bits_slice(dev, x.m, x.c0, x.c1, x.m, n, BITS));
    report("bits_slice", n, thresholds, sec, 32 * dn);
    TIME(dev, sec, leaves(dev, &x));
    report("carry_leaves", n, thresholds, sec, leaf_bytes);
    TIME(dev, sec, B->carry_open(dev, x.mine, x.g[0], x.p[0], x.masks, POSITIONS, words));
    report("carry_open", n, thresholds, sec, opened(&x, POSITIONS));
    TIME(dev, sec, close_level(dev, &x, POSITIONS, 0));
    report("carry_close", n, thresholds, sec, closed(&x, POSITIONS));
    TIME(dev, sec, B->carry_deal(dev, x.products, x.products, x.masks, x.mine, pairs, words));
    report("carry_deal", n, thresholds, sec, (10.0 * pairs - 4) * dw);
    TIME(dev, sec, close_bits(dev, &x));
    report("bits_close", n, thresholds, sec, bit_bytes);
    TIME(dev, sec, B->bits_deal(dev, x.s, x.sx, x.rho, x.rho_a, x.top, x.other, x.c0, x.c1, n, thresholds));
    report("bits_deal", n, thresholds, sec, (16 + 32 * dt) * dn + 2 * dw);
    TIME(dev, sec, B->ring_combine(dev, x.a, x.rho, x.h_t, thresholds, 7, n));
    report("ring_combine", n, thresholds, sec, 8 * (dt + 1) * dn);
    TIME(dev, sec, online(dev, &x));
    report("online, all", n, thresholds, sec, total);
    for (uint64_t **array : arrays)
        B->free(dev, *array, 0, false);
}

int main(void)
{
    if (B->unusable()) {
        printf("FAIL  %s\n", B->unusable());
        return 5;
    }
    struct ss_dev *dev = NULL;
    const struct ss_dev_options o = {0, 0};
    MUST(B->open(&dev, &o));
    any_key();
    bench_batch(dev, 1, 3);
    bench_batch(dev, 56, 25);
    bench_batch(dev, 56 * 12, 1);
    bench_batch(dev, 56 * 56 * 6, 1);
    bench_batch(dev, 56 * 8960, 3); /* SiLU of a layer: 1.5B, 72B */
    bench_batch(dev, 56 * 24576, 3);
    B->close(dev);
    return 0;
}
