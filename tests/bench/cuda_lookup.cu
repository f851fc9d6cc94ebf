/* cuda_lookup.cu — timings of oblivious lookups on the CUDA backend, median of nine; numbers of one layer and of a large batch.
   Links with build/cuda's kernels/cuda*.o, harness/err.o and the CUDA libraries, as cuda_check.cu does. */
#include "tests/bench/cuda_time.cuh"

static void report(const char *what, size_t n, unsigned n_bits, double seconds, double bytes)
{
    printf("%-28s n %9zu  N %5u  %10.1f us  %8.3f G/s  %5.1f%% of memory\n", what, n, 1u << n_bits, seconds * 1e6,
           n / seconds * 1e-9, 100 * bytes / BYTES / seconds);
    fflush(stdout);
}

static void bench_size(struct ss_dev *dev, size_t n, unsigned n_bits, unsigned planes)
{
    const size_t row = (size_t)1 << (n_bits - 6), levels = n_bits - 7, entries = (size_t)1 << n_bits;
    const struct ss_lookup_shape s = {n_bits, 8, 2, true};
    uint64_t *bits = noise(dev, n * row), *other = noise(dev, n * row), *cw = noise(dev, n * (levels + 1) * 2);
    uint64_t *b0 = noise(dev, n), *b1 = noise(dev, n), *root0 = noise(dev, 2 * n), *root1 = noise(dev, 2 * n);
    uint64_t *sign = noise(dev, n), *coef0 = noise(dev, 6 * n), *coef1 = noise(dev, 6 * n), *out = noise(dev, 3 * n);
    uint64_t *mask0 = noise(dev, 3 * n), *mask1 = noise(dev, 3 * n), *table = noise(dev, 4 * entries);
    uint32_t *e0 = (uint32_t *)noise(dev, n), *e1 = (uint32_t *)noise(dev, n);
    const struct ss_lookup_table t = {table, (const uint8_t *)(table + 2 * entries), {planes, planes < 8 ? planes : 7}};
    const double dn = (double)n, bits_bytes = 8.0 * dn * row;
    double sec;
    TIME(dev, sec, B->lookup_sum(dev, out, out + n, bits, e0, e1, mask0, &t, n, &s, 0));
    report(planes > 3 ? "lookup_sum, 8 + 7 planes" : "lookup_sum", n, n_bits, sec, bits_bytes + 40 * dn);
    TIME(dev, sec, B->lookup_index(dev, e0, b0, n, b1, 1, n, 9, NULL, 5, &s, 0));
    report("lookup_index", n, n_bits, sec, 20 * dn);
    TIME(dev, sec, B->lookup_close(dev, out, mask0, mask1, coef1, n, &s));
    report("lookup_close", n, n_bits, sec, 104 * dn);
    TIME(dev, sec, B->lookup_deal(dev, coef1, coef0, sign, b0, b1, mask0, mask1, n, &s));
    report("lookup_deal", n, n_bits, sec, 168 * dn);
    TIME(dev, sec, B->onehot_deal(dev, other, sign, bits, b0, b1, n, &s));
    report("onehot_deal", n, n_bits, sec, 2 * bits_bytes + 24 * dn);
    TIME(dev, sec, B->dpf_gen(dev, cw, sign, root0, root1, b0, b1, n, &s, &key));
    report("dpf_gen", n, n_bits, sec, 16.0 * dn * (levels + 1) + 56 * dn);
    TIME(dev, sec, B->dpf_eval(dev, bits, root0, cw, n, n_bits, &key, 0));
    report("dpf_eval", n, n_bits, sec, bits_bytes);
    void *const held[] = {bits, other, cw, b0, b1, root0, root1, sign, coef0, coef1, out, mask0, mask1, table, e0, e1};
    for (void *p : held)
        B->free(dev, p, 0, false);
}

static void bench_attention(struct ss_dev *dev, const struct ss_attention *p)
{
    const struct ss_ragged r = {p->n_heads * p->tokens, 0, p->tokens, p->past};
    const size_t all = ss_ragged_start(&r, r.rows), stride = (p->n_heads + 2 * p->n_kv) * p->d_head, keys = p->past + p->tokens;
    uint64_t *q = noise(dev, p->tokens * stride), *k = noise(dev, keys * stride), *scores = noise(dev, all);
    uint64_t *out = noise(dev, p->tokens * p->n_heads * p->d_head), *diff = noise(dev, all);
    double s[4];
    TIME(dev, s[0], B->gemm_u64_scores(dev, scores, q, stride, k, stride, p, true));
    TIME(dev, s[1], B->gemm_u64_values(dev, out, scores, k, stride, p, true));
    TIME(dev, s[2], B->tournament_split(dev, diff, scores, &r, 0));
    TIME(dev, s[3], B->ring_row_sums(dev, diff, scores, &r));
    printf("attention %zu after %zu, %zu heads: scores %.1f us, values %.1f us, split %.1f us, row sums %.1f us\n", p->tokens,
           p->past, p->n_heads, s[0] * 1e6, s[1] * 1e6, s[2] * 1e6, s[3] * 1e6);
    void *const held[] = {q, k, scores, out, diff};
    for (void *x : held)
        B->free(dev, x, 0, false);
}

int main(void)
{
    struct ss_dev *dev = open_device();
    any_key();
    bench_size(dev, 56 * 12, 12, 3);
    bench_size(dev, 56 * 8960, 12, 3); /* SiLU of a layer: 1.5B */
    bench_size(dev, 56 * 24576, 12, 3);
    bench_size(dev, (size_t)1 << 22, 12, 3);
    bench_size(dev, (size_t)1 << 22, 12, 8);
    bench_size(dev, (size_t)1 << 22, 8, 3);
    bench_size(dev, (size_t)1 << 20, 14, 3);
    static const struct ss_attention shapes[] = {
        {56, 0, 12, 2, 128}, {56, 0, 64, 8, 128}, {1, 255, 12, 2, 128}, {512, 0, 12, 2, 128}};
    for (const struct ss_attention &p : shapes)
        bench_attention(dev, &p);
    B->close(dev);
    return 0;
}
