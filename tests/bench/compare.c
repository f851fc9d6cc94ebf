/* compare.c — operations of comparisons and attention's products of shares on one thread, per instruction set: values a second
   and bytes against a copy of the same size; prints only. Each figure is the best of several passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/backend.h"
#include "kernels/carry.h"
#include "variants/lib/prg.h"

extern const struct ss_backend ss_backend_cpu;
static const struct ss_backend *const cpu = &ss_backend_cpu;

enum { THRESHOLDS = 3, BITS = 64, PASSES = 5 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* one thread, and others may be running */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(enum ss_err err)
{
    if (err != SS_OK)
        exit((int)err);
}

/* Best seconds of PASSES + 1 calls; the first touches the memory. */
#define TIME(seconds, call)                                                                                                    \
    do {                                                                                                                       \
        seconds = 1e9;                                                                                                         \
        for (int pass_ = 0; pass_ <= PASSES; pass_++) {                                                                        \
            const double t0_ = now_s();                                                                                        \
            must(call);                                                                                                        \
            const double took_ = now_s() - t0_;                                                                                \
            seconds = pass_ && took_ < seconds ? took_ : seconds;                                                              \
        }                                                                                                                      \
    } while (0)

static void report(const char *isa, const char *what, size_t n, double seconds, double bytes, double copy_rate)
{
    printf("%-9s %-13s n %8zu  %8.3f ms  %8.1f M/s  %6.2f GB/s  %5.1f%% of copy\n", isa, what, n, seconds * 1e3,
           1e-6 * (double)n / seconds, 1e-9 * bytes / seconds, 100 * bytes / seconds / copy_rate);
}

static void comparisons(struct ss_dev *dev, const char *isa, uint64_t *pool, size_t n)
{
    const size_t groups = (n + 63) / 64, words = THRESHOLDS * groups, count = ss_carry_leaves(BITS);
    const size_t next = ss_carry_nodes(count), opened = ss_carry_opened(count) * words,
                 dealt = ss_carry_products(count) * words;
    const size_t blocks = ss_block_products(BITS - 1) * groups;
    const uint64_t h_t[THRESHOLDS] = {1, (uint64_t)5 << 40, (uint64_t)-9 << 33};
    uint64_t *a = pool, *b = a + n, *m = b + n, *block = m + BITS * groups, *kept = block + blocks;
    uint64_t *kept_out = kept + ss_carry_kept(count) * words, *masks = kept_out + ss_carry_kept(next) * words;
    uint64_t *mine = masks + 2 * opened, *theirs = mine + opened, *products = theirs + opened, *message = products + dealt;
    uint64_t *e0 = message + opened, *e1 = e0 + words, *rho = e1 + words, *rho_a = rho + THRESHOLDS * n;
    uint64_t *s = rho_a + THRESHOLDS * n, *sx = s + THRESHOLDS * n;
    const double dn = (double)n, dw = 8 * (double)words, dt = THRESHOLDS, d_block = 8 * (double)blocks;
    const double d_opened = 8 * (double)opened, d_dealt = 8 * (double)dealt;
    const double kept_bytes = dw * (double)count / SS_CARRY_RADIX; /* g of every node */
    const double next_bytes = dw * (2 * (double)ss_carry_opened(next) + 1);
    double sec, rate;
    TIME(sec, cpu->copy(dev, mine, theirs, 8 * opened));
    rate = 2 * d_opened / sec;
    printf("%-9s copy of %zu MiB: %.2f GB/s\n", isa, opened >> 17, 1e-9 * rate);
    TIME(sec, cpu->bits_slice(dev, m, a, b, m, n, BITS));
    report(isa, "bits_slice", n, sec, 32 * dn, rate);
    TIME(sec, cpu->block_deal(dev, block, block, m, m, BITS - 1, groups));
    report(isa, "block_deal", n, sec, 16 * dn + 2 * d_block, rate);
    TIME(sec, cpu->carry_leaves(dev, kept, mine, a, b, m, block, masks, h_t, THRESHOLDS, NULL, 1, n, BITS, 0));
    report(isa, "carry_leaves", n, sec, 24 * dn + d_block + 2 * d_opened + kept_bytes, rate);
    TIME(sec, cpu->carry_join(dev, kept_out, message, kept, mine, theirs, masks, products, count, words, 0));
    report(isa, "carry_join", n, sec, 3 * d_opened + d_dealt + kept_bytes + next_bytes, rate);
    TIME(sec, cpu->carry_deal(dev, products, products, masks, mine, count, words));
    report(isa, "carry_deal", n, sec, 2 * d_opened + 2 * d_dealt, rate);
    TIME(sec, cpu->bits_close(dev, s, sx, e0, e1, rho, rho_a, a, b, m, n, THRESHOLDS, 0));
    report(isa, "bits_close", n, sec, 24 * dn + 32 * dt * dn + 2 * dw, rate);
    TIME(sec, cpu->bits_deal(dev, s, sx, rho, rho_a, e0, e1, a, b, n, THRESHOLDS));
    report(isa, "bits_deal", n, sec, 16 * dn + 32 * dt * dn + 2 * dw, rate);
    TIME(sec, cpu->ring_combine(dev, a, rho, h_t, THRESHOLDS, 7, n));
    report(isa, "ring_combine", n, sec, 8 * (dt + 1) * dn, rate);
}

static void attention(struct ss_dev *dev, const char *isa, uint64_t *pool, const struct ss_attention *p)
{
    const size_t kv = p->n_kv * p->d_head, a = p->n_heads * p->d_head, keys = p->past + p->tokens;
    const size_t scores = p->n_heads * (p->tokens * p->past + p->tokens * (p->tokens + 1) / 2);
    uint64_t *q = pool, *k = q + p->tokens * a, *out = k + keys * kv, *y = out + scores;
    const double macs = (double)(scores * p->d_head);
    double s[2];
    TIME(s[0], cpu->gemm_u64_scores(dev, out, q, a, k, kv, p, true));
    TIME(s[1], cpu->gemm_u64_values(dev, y, out, k, kv, p, true));
    printf("%-9s %zu tokens after %zu, %zu heads of %zu: scores %6.2f GMAC/s, values %6.2f GMAC/s\n", isa, p->tokens, p->past,
           p->n_heads, p->d_head, 1e-9 * macs / s[0], 1e-9 * macs / s[1]);
}

int main(void)
{
    static const char *const isas[] = {"portable", "avx2", "avx512"};
    static const uint8_t key[16] = {1, 2, 3};
    static const size_t sizes[] = {56 * 12, 56 * 4864};
    static const struct ss_attention shapes[] = {{56, 0, 12, 2, 128}, {1, 255, 12, 2, 128}, {256, 0, 14, 2, 64}};
    const struct ss_dev_options o = {.threads = 1};
    const size_t words = (size_t)56 * 4864 * 80;
    void *pool = NULL;
    ss_set_error_silent(1);
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        struct ss_dev *dev;
        struct ss_prg g;
        setenv("SHARDSCALE_CPU", isas[i], 1);
        if (cpu->open(&dev, &o) != SS_OK) {
            printf("%-9s %s\n", isas[i], ss_last_error());
            continue;
        }
        if (!pool)
            must(cpu->alloc(dev, &pool, words * 8));
        ss_prg_from_key(&g, key, 1);
        must(ss_prg_fill(&g, cpu, dev, pool, words));
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            comparisons(dev, isas[i], pool, sizes[s]);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            attention(dev, isas[i], pool, &shapes[s]);
        cpu->close(dev);
    }
    free(pool);
    return 0;
}
