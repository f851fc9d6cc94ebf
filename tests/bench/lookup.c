/* lookup.c — lookups a second on one thread: keys dealt, keys expanded, entries summed. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "variants/lib/lookup.h"

enum { N = 4096 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* one thread, and others may be running */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double silu_like(double x, const void *arg)
{
    (void)arg;
    return x > 0 ? x : 0;
}

struct arrays {
    uint64_t *root, *b, *cw, *sign, *bits, *mask, *out;
    uint32_t *e;
};

static int measure(const struct ss_ctx *c, const struct arrays *a, const struct ss_table *t)
{
    const struct ss_backend *b = c->backend;
    const struct ss_lookup_shape *s = &t->shape;
    struct ss_aes_key key;
    ss_aes_expand(&key, (const uint8_t *)"a key for a tree");
    double gen = 0, eval = 0, sum = 0;
    for (int round = 0; round < 6; round++) { /* the first touches the memory */
        double t0 = now();
        if (b->dpf_gen(c->dev, a->cw, a->sign, a->root, a->root + 2 * N, a->b, a->b + N, N, s, &key) != SS_OK)
            return 1;
        double t1 = now();
        if (b->dpf_eval(c->dev, a->bits, a->root, a->cw, N, s->n_bits, &key, 0) != SS_OK)
            return 1;
        double t2 = now();
        if (b->lookup_sum(c->dev, a->out, a->out + N, a->bits, a->e, a->e + N, a->mask, &t->data, N, s, 0) != SS_OK)
            return 1;
        double t3 = now();
        if (round > 0) {
            gen += (t1 - t0) / 5 / N;
            eval += (t2 - t1) / 5 / N;
            sum += (t3 - t2) / 5 / N;
        }
    }
    printf("N = %5u, %u columns, %u byte planes: dealt %6.2f M/s, expanded %6.2f M/s, summed %6.2f M/s, both %6.2f M/s\n",
           1u << s->n_bits, s->columns, t->data.n_planes[0] + t->data.n_planes[1], 1e-6 / gen, 1e-6 / eval, 1e-6 / sum,
           1e-6 / (eval + sum));
    return 0;
}

int main(void)
{
    struct ss_ctx c = {.backend = ss_backend_find("cpu")};
    struct ss_dev_options o = {.threads = 1};
    struct ss_prg g;
    uint64_t *words = malloc((size_t)N * 400 * sizeof *words);
    if (!words || c.backend->open(&c.dev, &o) != SS_OK || ss_prg_init(&g, 0) != SS_OK ||
        ss_prg_fill(&g, c.backend, c.dev, words, (size_t)N * 400) != SS_OK)
        return 1;
    struct arrays a = {.root = words, .b = words + 4 * N, .cw = words + 6 * N, .sign = words + 24 * N};
    a.mask = words + 25 * N;
    a.out = words + 27 * N;
    a.e = (uint32_t *)(words + 29 * N);
    a.bits = words + 30 * N;
    int bad = 0;
    for (unsigned n_bits = 8; n_bits <= 14 && !bad; n_bits += 2)
        for (unsigned columns = 1; columns <= 2 && !bad; columns++) {
            struct ss_table t = {.shape = {n_bits, columns == 2 ? 6 : 0, columns, false},
                                 .step_bits = (int)n_bits - 9,
                                 .value_bits = 16,
                                 .lo = -256};
            bad = ss_table_open(&c, &t, silu_like, NULL) != SS_OK || measure(&c, &a, &t);
            ss_table_close(&c, &t);
        }
    c.backend->close(c.dev);
    free(words);
    return bad;
}
