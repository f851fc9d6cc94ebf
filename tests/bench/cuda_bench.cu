/* cuda_bench.cu — timings of the CUDA backend's operations. Each is captured into a graph of several calls on rotating
   operands (more of them than L2 holds) and replayed; the median replay divided by the calls is printed beside the floor: the
   larger of operations over the tensor cores' datasheet rate and bytes over the measured copy rate. */
#include "tests/bench/cuda_check.cuh"

#include <time.h>

enum { REPLAYS = 9, POOL = 1 << 30 };
static const double INT8_OPS = 1979e12, BF16_OPS = 989e12, BYTES = 4.29e12;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static cudaGraphExec_t end_capture(struct ss_dev *dev)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    if (cudaStreamEndCapture(dev->stream, &graph) != cudaSuccess || cudaGraphInstantiate(&exec, graph, 0) != cudaSuccess) {
        printf("FAIL  capture: %s\n", cudaGetErrorString(cudaGetLastError()));
        exit(1);
    }
    cudaGraphDestroy(graph);
    return exec;
}

/* Seconds per call of the captured graph. */
static double replay(struct ss_dev *dev, cudaGraphExec_t exec, int calls)
{
    double s[REPLAYS];
    for (int i = -1; i < REPLAYS; i++) {
        MUST(B->mark(dev, 0));
        if (cudaGraphLaunch(exec, dev->stream) != cudaSuccess)
            exit(1);
        MUST(B->mark(dev, 1));
        MUST(B->sync(dev));
        if (i >= 0)
            s[i] = (double)B->span_ns(dev, 0, 1) * 1e-9 / calls;
    }
    cudaGraphExecDestroy(exec);
    qsort(s, REPLAYS, sizeof *s, by_value);
    return s[REPLAYS / 2];
}

/* Warm up once, then time `calls` times `call`, in which i counts. */
#define TIME(dev, seconds, calls, call)                                                                                        \
    do {                                                                                                                       \
        int i = 0;                                                                                                             \
        MUST(call);                                                                                                            \
        MUST(B->sync(dev));                                                                                                    \
        if (cudaStreamBeginCapture((dev)->stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)                            \
            exit(1);                                                                                                           \
        for (i = 0; i < (calls); i++)                                                                                          \
            MUST(call);                                                                                                        \
        seconds = replay(dev, end_capture(dev), calls);                                                                        \
    } while (0)

static void report(const char *what, double seconds, double ops, double rate, double bytes)
{
    const double floor = ops / rate > bytes / BYTES ? ops / rate : bytes / BYTES;
    printf("%-44s %9.1f us  floor %8.1f us  %5.1f%%", what, seconds * 1e6, floor * 1e6, 100 * floor / seconds);
    if (ops > 0)
        printf("  %7.1f TOPS", ops / seconds * 1e-12);
    printf("  %7.1f GB/s\n", bytes / seconds * 1e-9);
    fflush(stdout);
}

static struct ss_aes_key key; /* any key will do for random bits */

static uint64_t *random_device(struct ss_dev *dev, size_t bytes)
{
    uint64_t *p = (uint64_t *)device_bytes(dev, bytes, 1);
    static uint64_t nonce;
    MUST(B->prg_fill(dev, p, bytes / 8, &key, nonce++, 0));
    return p;
}

/* (n, k) of the doc models' layers, 1.5B, 7B and 72B */
static const size_t shapes[][2] = {{2048, 1536},  {1536, 1536},  {17920, 1536}, {1536, 8960},  {4608, 3584},
                                   {37888, 3584}, {3584, 18944}, {10240, 8192}, {49152, 8192}, {8192, 24576}};

static void bench_gemm_ring(struct ss_dev *dev, const uint64_t *pool, size_t m, const char *how)
{
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const size_t n = shapes[s][0], k = shapes[s][1], bytes = 2 * n * k, sets = POOL / bytes;
        uint64_t *a = random_device(dev, 8 * m * k), *out = (uint64_t *)device_bytes(dev, 8 * m * n, 0xab);
        struct ss_matrix w = {SS_I8X2, n, k, NULL, NULL, NULL};
        double seconds;
        TIME(dev, seconds, 16, (w.data = (const uint8_t *)pool + i % sets * bytes, B->gemm_ring(dev, out, a, m, &w)));
        char label[96];
        snprintf(label, sizeof label, "gemm_ring %s m %zu (%zu x %zu)", how, m, n, k);
        report(label, seconds, 30.0 * m * n * k, INT8_OPS, bytes + 8.0 * m * (n + k));
        B->free(dev, a, 8 * m * k, false);
        B->free(dev, out, 8 * m * n, false);
    }
}

static void bench_gemm(struct ss_dev *dev, const uint64_t *pool, size_t m, enum ss_type act)
{
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const size_t n = shapes[s][0], k = shapes[s][1], bytes = 2 * n * k, sets = POOL / bytes;
        void *a = device_bytes(dev, 4 * m * k, 1);
        MUST(B->synth(dev, a, act, m, 0, 9, 9, 0, m, k, 8));
        float *out = (float *)device_bytes(dev, 4 * m * n, 0xff);
        struct ss_matrix w = {SS_BF16, n, k, NULL, NULL, NULL};
        double seconds;
        TIME(dev, seconds, 16,
             (w.data = (const uint8_t *)pool + i % sets * bytes, B->gemm(dev, out, a, act, m, &w, NULL, false)));
        char label[96];
        snprintf(label, sizeof label, "gemm %s x bf16 m %zu (%zu x %zu)", act == SS_F32 ? "f32" : "bf16", m, n, k);
        report(label, seconds, 2.0 * m * n * k, BF16_OPS, bytes + 4.0 * m * n);
        B->free(dev, a, 4 * m * k, false);
        B->free(dev, out, 4 * m * n, false);
    }
}

static void bench_elementwise(struct ss_dev *dev)
{
    const size_t n = (size_t)1 << 27, rows = 56, cols = 17920;
    uint64_t *a = random_device(dev, 8 * n), *b = random_device(dev, 8 * n), *c = random_device(dev, 8 * n);
    float *f = (float *)device_bytes(dev, 4 * n, 0);
    MUST(B->synth(dev, f, SS_F32, n / 1024, 0, 3, 3, 0, n / 1024, 1024, 8));
    double s;
    TIME(dev, s, 2, B->copy(dev, a, b, 8 * n));
    report("copy 1 GiB", s, 0, 1, 16.0 * n);
    TIME(dev, s, 2, B->prg_fill(dev, a, n, &key, 1, (uint64_t)i * n));
    report("prg_fill 1 GiB", s, 0, 1, 8.0 * n);
    TIME(dev, s, 8, B->prg_fill(dev, a, rows * 1536, &key, 1, (uint64_t)i * n));
    report("prg_fill (56, 1536)", s, 0, 1, 8.0 * rows * 1536);
    TIME(dev, s, 2, B->ring_add(dev, a, b, c, n));
    report("ring_add 1 GiB", s, 0, 1, 24.0 * n);
    TIME(dev, s, 2, B->ring_mul(dev, a, b, c, n));
    report("ring_mul 1 GiB", s, 0, 1, 24.0 * n);
    TIME(dev, s, 2, B->synth(dev, a, SS_BF16, 4 * n / 8192, 0, 1, 2, 0, 4 * n / 8192, 8192, 8));
    report("synth bf16 1 GiB", s, 0, 1, 8.0 * n);
    TIME(dev, s, 2, B->synth(dev, a, SS_I8X2, 4 * n / 8192, 0, 1, 2, 0, 4 * n / 8192, 8192, 8));
    report("synth i8x2 1 GiB", s, 0, 1, 8.0 * n);
    TIME(dev, s, 8, B->ring_add(dev, a, b, c, rows * 1536));
    report("ring_add (56, 1536)", s, 0, 1, 24.0 * rows * 1536);
    TIME(dev, s, 8, B->ring_encode(dev, a, f, rows * cols, 16));
    report("ring_encode (56, 17920)", s, 0, 1, 12.0 * rows * cols);
    TIME(dev, s, 8, B->ring_decode(dev, f, a, b, rows, cols, 16, NULL));
    report("ring_decode (56, 17920)", s, 0, 1, 20.0 * rows * cols);
    TIME(dev, s, 8, B->ring_decode(dev, f, a, b, rows, cols, 16, (const uint8_t *)c));
    report("ring_decode col_bits (56, 17920)", s, 0, 1, 20.0 * rows * cols);
    TIME(dev, s, 8, B->trunc_close(dev, c, a, b, a + n / 2, b + n / 2, rows, cols, 16, NULL, 0, false));
    report("trunc_close (56, 17920)", s, 0, 1, 40.0 * rows * cols);
    MUST(B->synth(dev, f, SS_F32, n / 1024, 0, 3, 3, 0, n / 1024, 1024, 8));
    TIME(dev, s, 8, B->rmsnorm(dev, a, SS_BF16, f, f, rows, 1536, 1e-6));
    report("rmsnorm (56, 1536)", s, 0, 1, 6.0 * rows * 1536);
    TIME(dev, s, 8, B->rmsnorm(dev, a, SS_BF16, f, f, rows, 8192, 1e-6));
    report("rmsnorm (56, 8192)", s, 0, 1, 6.0 * rows * 8192);
    TIME(dev, s, 8, B->rope(dev, f, rows, 2048, 14, 128, 0, 1e6));
    report("rope (56, 14 x 128)", s, 0, 1, 8.0 * rows * 14 * 128);
    TIME(dev, s, 8, B->silu_mul(dev, a, SS_BF16, f, rows, 8960));
    report("silu_mul (56, 8960)", s, 0, 1, 10.0 * rows * 8960);
    static const struct ss_attention attentions[] = {
        {56, 0, 12, 2, 128}, {56, 0, 64, 8, 128}, {1, 255, 12, 2, 128}, {1, 2047, 12, 2, 128}, {2048, 0, 12, 2, 128}};
    for (size_t t = 0; t < sizeof attentions / sizeof *attentions; t++) {
        const struct ss_attention *p = &attentions[t];
        const double keys = (double)p->past + (p->tokens + 1) / 2.0;
        TIME(dev, s, 4, B->attention(dev, a, SS_BF16, f, (float *)b, (float *)c, p));
        char label[96];
        snprintf(label, sizeof label, "attention %zu after %zu, %zu heads", p->tokens, p->past, p->n_heads);
        report(label, s, 4.0 * p->tokens * keys * p->n_heads * p->d_head, 67e12, 0);
    }
    B->free(dev, a, 0, false);
    B->free(dev, b, 0, false);
    B->free(dev, c, 0, false);
    B->free(dev, f, 0, false);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The ring products of a whole prefill: four per layer, both parties at once on their own streams, weights of all layers. */
static void bench_pass(struct ss_dev *dev, const char *name, const size_t (*layer)[2], size_t layers, size_t m)
{
    struct ss_dev *devs[2] = {dev, NULL};
    const struct ss_dev_options o = {dev->ordinal, 0};
    cudaGraphExec_t graphs[2];
    size_t layer_bytes = 0, widest = 0;
    double ops = 0, s[REPLAYS];
    MUST(B->open(&devs[1], &o));
    devs[1]->wgmma = dev->wgmma;
    for (int i = 0; i < 4; i++) {
        layer_bytes += 2 * layer[i][0] * layer[i][1];
        ops += 30.0 * m * layer[i][0] * layer[i][1] * layers * 2;
        widest = layer[i][0] > widest ? layer[i][0] : widest;
        widest = layer[i][1] > widest ? layer[i][1] : widest;
    }
    uint8_t *w = (uint8_t *)device_bytes(dev, layer_bytes * layers, 1);
    uint8_t *next = w;
    for (size_t l = 0; l < layers; l++)
        for (int i = 0; i < 4; i++) {
            MUST(B->synth(dev, next, SS_I8X2, layer[i][0], 0, 1, 4 * l + i, 0, layer[i][0], layer[i][1], 8));
            next += 2 * layer[i][0] * layer[i][1];
        }
    MUST(B->sync(dev));
    for (int p = 0; p < 2; p++) {
        uint64_t *a = random_device(devs[p], 8 * m * widest), *out = (uint64_t *)device_bytes(devs[p], 8 * m * widest, 0xab);
        for (int warm = 1; warm >= 0; warm--) {
            MUST(B->sync(devs[p]));
            if (!warm && cudaStreamBeginCapture(devs[p]->stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)
                exit(1);
            const uint8_t *at = w;
            for (size_t l = 0; l < (warm ? 1 : layers); l++)
                for (int i = 0; i < 4; i++) {
                    struct ss_matrix matrix = {SS_I8X2, layer[i][0], layer[i][1], at, NULL, NULL};
                    MUST(B->gemm_ring(devs[p], out, a, m, &matrix));
                    at += 2 * layer[i][0] * layer[i][1];
                }
        }
        graphs[p] = end_capture(devs[p]);
    }
    for (int i = -1; i < REPLAYS; i++) {
        double start = now();
        for (int p = 0; p < 2; p++)
            if (cudaGraphLaunch(graphs[p], devs[p]->stream) != cudaSuccess)
                exit(1);
        MUST(B->sync(devs[0]));
        MUST(B->sync(devs[1]));
        if (i >= 0)
            s[i] = now() - start;
    }
    qsort(s, REPLAYS, sizeof *s, by_value);
    report(name, s[REPLAYS / 2], ops, INT8_OPS, 2.0 * layer_bytes * layers);
    B->close(devs[1]);
    B->free(dev, w, 0, false);
}

void bench(struct ss_dev *dev, int ring_only)
{
    static const size_t small[4][2] = {{2048, 1536}, {1536, 1536}, {17920, 1536}, {1536, 8960}};
    static const size_t middle[4][2] = {{4608, 3584}, {3584, 3584}, {37888, 3584}, {3584, 18944}};
    static const size_t large[4][2] = {{10240, 8192}, {8192, 8192}, {49152, 8192}, {8192, 24576}};
    for (int i = 0; i < 176; i++)
        key.round_keys[i] = (uint8_t)(i * 37 + 11);
    const char *how = dev->wgmma ? "wgmma" : "lt";
    uint64_t *pool = random_device(dev, POOL);
    bench_gemm_ring(dev, pool, 56, how);
    if (dev->wgmma) {
        bench_gemm_ring(dev, pool, 1, how);
        if (!ring_only)
            bench_gemm_ring(dev, pool, 512, how);
    }
    bench_pass(dev, "ring products 1.5B, both parties", small, 28, 56);
    bench_pass(dev, "ring products 7B, both parties", middle, 28, 56);
    if (dev->wgmma && !ring_only) {
        bench_pass(dev, "ring products 72B x 20/80, both parties", large, 20, 56);
        MUST(B->synth(dev, pool, SS_BF16, POOL / 2048, 0, 1, 2, 0, POOL / 2048, 1024, 8));
        bench_gemm(dev, pool, 56, SS_BF16);
        bench_gemm(dev, pool, 56, SS_F32);
        bench_elementwise(dev);
    }
}
