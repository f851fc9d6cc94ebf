/* cuda_compare.cu — timings of comparisons on the CUDA backend, median of nine: each operation, and all that one party does
   online for a batch (its own messages stand for the other's). Links as cuda_lookup.cu does. */
#include "kernels/carry.h"
#include "tests/bench/cuda_time.cuh"

enum { BITS = 64 };

static void report(const char *what, size_t n, unsigned thresholds, double seconds, double bytes)
{
    printf("%-14s n %9zu  T %2u  %10.1f us  %8.3f G comparisons/s  %8.1f GB/s  %5.1f%% of memory\n", what, n, thresholds,
           seconds * 1e6, n / seconds * 1e-9 * thresholds, bytes / seconds * 1e-9, 100 * bytes / BYTES / seconds);
    fflush(stdout);
}

struct batch {
    size_t n, words; /* of a position: thresholds * groups */
    unsigned thresholds;
    uint64_t *a, *c0, *c1, *m, *kept[2], *message[2], *theirs, *masks, *blocks, *products, *rho, *rho_a, *s, *sx;
    uint64_t h_t[SS_MAX_THRESHOLDS];
};

/* Bytes of filling a level of `count` positions, and of joining it. */
static double filled(const struct batch *x, size_t count)
{
    return 8.0 * x->words * (2 * ss_carry_opened(count) + (count > 1 ? ss_carry_nodes(count) : 0));
}
static double joined(const struct batch *x, size_t count)
{
    return 8.0 * x->words * (3 * ss_carry_opened(count) + ss_carry_products(count) + ss_carry_nodes(count)) +
           filled(x, ss_carry_nodes(count));
}

static enum ss_err leaves(struct ss_dev *dev, const struct batch *x)
{
    return B->carry_leaves(dev, x->kept[0], x->message[0], x->c0, x->c1, x->m, x->blocks, x->masks, x->h_t, x->thresholds, NULL,
                           1, x->n, BITS, 0);
}

static enum ss_err join(struct ss_dev *dev, const struct batch *x, size_t count, int in)
{
    return B->carry_join(dev, x->kept[!in], x->message[!in], x->kept[in], x->message[in], x->theirs, x->masks, x->products,
                         count, x->words, 0);
}

static enum ss_err close_bits(struct ss_dev *dev, const struct batch *x)
{
    return B->bits_close(dev, x->s, x->sx, x->message[0], x->theirs, x->rho, x->rho_a, x->a, x->c0, x->c1, x->n, x->thresholds,
                         0);
}

static enum ss_err online(struct ss_dev *dev, const struct batch *x)
{
    int in = 0;
    SS_TRY(leaves(dev, x));
    for (size_t count = ss_carry_leaves(BITS); count > 1; count = ss_carry_nodes(count), in = !in)
        SS_TRY(join(dev, x, count, in));
    return close_bits(dev, x);
}

static void bench_batch(struct ss_dev *dev, size_t n, unsigned thresholds)
{
    const size_t groups = (n + 63) / 64, words = thresholds * groups, count = ss_carry_leaves(BITS), all = thresholds * n;
    struct batch x = {n, words, thresholds};
    uint64_t **const arrays[] = {&x.a,          &x.c0,         &x.c1,     &x.m,     &x.kept[0], &x.kept[1],
                                 &x.message[0], &x.message[1], &x.theirs, &x.masks, &x.blocks,  &x.products,
                                 &x.rho,        &x.rho_a,      &x.s,      &x.sx};
    const size_t kept = ss_carry_kept(count) * words, message = ss_carry_opened(count) * words;
    const size_t blocks = ss_block_products(BITS - 1) * groups, products = ss_carry_products(count) * words;
    const size_t sizes[] = {n,       n,           n,      BITS * groups, kept, kept, message, message,
                            message, 2 * message, blocks, products,      all,  all,  all,     all};
    static_assert(sizeof arrays / sizeof *arrays == sizeof sizes / sizeof *sizes, "a size per array");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        *arrays[i] = noise(dev, sizes[i]);
    for (unsigned k = 0; k < thresholds; k++)
        x.h_t[k] = (uint64_t)(k + 1) << 20;
    const double dn = (double)n, dw = 8.0 * words, dt = thresholds;
    const double leaf_bytes = 24 * dn + 8.0 * blocks + filled(&x, count), bit_bytes = (24 + 32 * dt) * dn + 2 * dw;
    double total = leaf_bytes + bit_bytes, sec;
    for (size_t level = count; level > 1; level = ss_carry_nodes(level))
        total += joined(&x, level);
    TIME(dev, sec, B->bits_slice(dev, x.m, x.c0, x.c1, x.m, n, BITS));
    report("bits_slice", n, thresholds, sec, 32 * dn);
    TIME(dev, sec, B->block_deal(dev, x.blocks, x.blocks, x.m, x.m, BITS - 1, groups));
    report("block_deal", n, thresholds, sec, 16 * dn + 16.0 * blocks);
    TIME(dev, sec, leaves(dev, &x));
    report("carry_leaves", n, thresholds, sec, leaf_bytes);
    TIME(dev, sec, join(dev, &x, count, 0));
    report("carry_join", n, thresholds, sec, joined(&x, count));
    TIME(dev, sec, B->carry_deal(dev, x.products, x.products, x.masks, x.message[0], count, words));
    report("carry_deal", n, thresholds, sec, 16.0 * message + 16.0 * products);
    TIME(dev, sec, close_bits(dev, &x));
    report("bits_close", n, thresholds, sec, bit_bytes);
    TIME(dev, sec, B->bits_deal(dev, x.s, x.sx, x.rho, x.rho_a, x.message[0], x.theirs, x.c0, x.c1, n, thresholds));
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
    struct ss_dev *dev = open_device();
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
