/* gemm.c — speed of the CPU backend's products and keystream, per instruction set; prints only, asserts nothing.
   Usage: gemm [threads]. Each figure is the best of several passes; weights are larger than the caches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/clock.h"
#include "kernels/backend.h"
#include "variants/lib/prg.h"

extern const struct ss_backend ss_backend_cpu;
static const struct ss_backend *const cpu = &ss_backend_cpu;

static const size_t shapes[][2] = {{1536, 1536}, {17920, 1536}, {1536, 8960}, {49152, 8192}}; /* rows, cols */
enum { N_SHAPES = sizeof shapes / sizeof *shapes, PASSES = 3, MAX_TOKENS = 56 };
static const size_t tokens[] = {8, MAX_TOKENS};

static void must(enum ss_err err)
{
    if (err != SS_OK)
        exit((int)err);
}

struct arrays {
    void *w, *a, *out;
    size_t w_bytes, a_bytes, out_bytes;
};

static void products(struct ss_dev *dev, const char *isa, const struct arrays *x)
{
    const bool slow = !strcmp(isa, "portable");
    for (size_t s = 0; s < N_SHAPES; s++)
        for (size_t t = 0; t < 2; t++) {
            const struct ss_matrix ring = {.type = SS_I16, .rows = shapes[s][0], .cols = shapes[s][1], .data = x->w};
            const struct ss_matrix bf16 = {.type = SS_BF16, .rows = ring.rows, .cols = ring.cols, .data = x->w};
            const double macs = (double)(ring.rows * ring.cols * tokens[t]);
            const int passes = slow || macs > 5e9 ? 1 : PASSES;
            double best[2] = {1e9, 1e9};
            for (int p = 0; p < passes && !(slow && macs > 5e9); p++) {
                const double t0 = ss_now();
                must(cpu->gemm_ring(dev, x->out, x->a, tokens[t], &ring));
                const double t1 = ss_now();
                must(cpu->gemm(dev, x->out, x->a, SS_BF16, tokens[t], &bf16, NULL, false));
                const double t2 = ss_now();
                best[0] = t1 - t0 < best[0] ? t1 - t0 : best[0];
                best[1] = t2 - t1 < best[1] ? t2 - t1 : best[1];
            }
            printf("%-9s %2zu x %5zu x %5zu  ring %7.2f GMAC/s  bf16 %7.2f GMAC/s\n", isa, tokens[t], ring.rows, ring.cols,
                   1e-9 * macs / best[0], 1e-9 * macs / best[1]);
        }
}

static void keystream(struct ss_dev *dev, const char *isa, const struct arrays *x)
{
    static const uint8_t key[16] = {1, 2, 3};
    static const size_t sizes[] = {1 << 12, 1 << 16, 1 << 20, 1 << 27};
    struct ss_prg g;
    ss_prg_from_key(&g, key, 1);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t words = sizes[s] / 8, passes = (size_t)(1 << 29) / sizes[s];
        const double t0 = ss_now();
        for (size_t p = 0; p < passes; p++)
            must(ss_prg_fill(&g, cpu, dev, x->w, words));
        printf("%-9s keystream, %9zu B a call: %6.2f GB/s\n", isa, sizes[s],
               1e-9 * (double)(passes * sizes[s]) / (ss_now() - t0));
    }
}

int main(int argc, char **argv)
{
    static const char *const isas[] = {"portable", "avx2", "avx512"};
    const struct ss_dev_options o = {.threads = argc > 1 ? atoi(argv[1]) : 2};
    struct arrays x = {.w_bytes = shapes[3][0] * shapes[3][1] * 2,
                       .a_bytes = (size_t)MAX_TOKENS * 8960 * 8,
                       .out_bytes = (size_t)MAX_TOKENS * 49152 * 8};
    ss_set_error_silent(1);
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        struct ss_dev *dev;
        setenv("SHARDSCALE_CPU", isas[i], 1);
        if (cpu->open(&dev, &o) != SS_OK) {
            printf("%-9s %s\n", isas[i], ss_last_error());
            continue;
        }
        if (!x.w) {
            must(cpu->alloc(dev, &x.w, x.w_bytes));
            must(cpu->alloc(dev, &x.a, x.a_bytes));
            must(cpu->alloc(dev, &x.out, x.out_bytes));
        }
        keystream(dev, isas[i], &x);
        must(cpu->synth(dev, x.w, SS_BF16, 1, 0, 1, 1, 0, 1, x.w_bytes / 2, 8)); /* finite as bf16, any bits as int16 */
        must(cpu->synth(dev, x.a, SS_BF16, 1, 0, 2, 1, 0, 1, x.a_bytes / 2, 8));
        products(dev, isas[i], &x);
        cpu->close(dev);
    }
    free(x.w);
    free(x.a);
    free(x.out);
    return 0;
}
