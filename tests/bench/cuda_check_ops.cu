/* cuda_check_ops.cu — ring and floating-point operations against host loops. Ring: equal bits. Float: relative L2 error. */
#include "tests/bench/cuda_check.cuh"

static int same(struct ss_dev *dev, const void *d, const void *h, size_t bytes)
{
    void *got = to_host(dev, d, bytes);
    int equal = memcmp(got, h, bytes) == 0;
    free(got);
    return equal;
}

static uint64_t trunc_share(uint64_t c, uint64_t rt, uint64_t rm, unsigned m, int party) /* protocols.md, section 4 */
{
    uint64_t cm = c >> 63, low = c & ~(1ull << 63), v = (rm - 2 * cm * rm) * (1ull << (63 - m)) - rt;
    return party ? v : v + (low >> m) + cm * (1ull << (63 - m)) - (1ull << (62 - m));
}

/* rows x cols ring operations; every array starts at word `offset` of its allocation, so 1 tests 8-byte alignment. */
static void check_ring_shape(struct ss_dev *dev, size_t rows, size_t cols, size_t offset)
{
    uint64_t state = rows * 1000 + cols + offset, *h[6], *d[6], *want = (uint64_t *)malloc(8 * rows * cols);
    const size_t n = rows * cols;
    char label[128];
    float *x = random_floats(&state, n, 1e6f), *bias = random_floats(&state, cols, 100), *wantf = (float *)malloc(4 * n);
    uint8_t *bits = (uint8_t *)malloc(cols);
    for (size_t j = 0; j < cols; j++)
        bits[j] = (uint8_t)(random64(&state) % 20);
    for (int i = 0; i < 6; i++) {
        h[i] = random_words(&state, n);
        d[i] = (uint64_t *)device_bytes(dev, 8 * (n + 1), 0xab) + offset;
        MUST(B->upload(dev, d[i], h[i], 8 * n));
    }
    uint64_t *out = (uint64_t *)device_bytes(dev, 8 * (n + 1), 0xab) + offset;
    uint64_t *out2 = (uint64_t *)device_bytes(dev, 8 * (n + 1), 0xab) + offset;
    float *dx = (float *)to_device(dev, x, 4 * n), *dbias = (float *)to_device(dev, bias, 4 * cols);
    float *outf = (float *)device_bytes(dev, 4 * n, 0xff);
    uint8_t *dbits = (uint8_t *)to_device(dev, bits, cols);
    int good = 1;

    for (int op = 0; op < 3; op++) {
        for (size_t i = 0; i < n; i++)
            want[i] = op == 0 ? h[0][i] + h[1][i] : op == 1 ? h[0][i] - h[1][i] : h[0][i] * h[1][i];
        MUST((op == 0 ? B->ring_add : op == 1 ? B->ring_sub : B->ring_mul)(dev, out, d[0], d[1], n));
        good &= same(dev, out, want, 8 * n);
    }
    for (int party = 0; party < 2; party++) {
        for (size_t i = 0; i < n; i++)
            want[i] = h[0][i] + h[1][i] + (party == 0 ? 1ull << 62 : 0);
        MUST(B->trunc_open(dev, out, d[0], d[1], n, party));
        good &= same(dev, out, want, 8 * n);
    }
    snprintf(label, sizeof label, "ring_add/sub/mul, trunc_open (%zu, %zu) offset %zu", rows, cols, offset);
    verdict(label, good);

    good = 1;
    for (int with = 0; with < 2; with++) { /* without and with per-column bits */
        const uint8_t *col = with ? dbits : NULL;
        for (int party = 0; party < 2; party++)
            for (int add = 0; add < 2; add++) {
                for (size_t i = 0; i < n; i++)
                    want[i] = (add ? h[4][i] : 0) +
                              trunc_share(h[0][i] + h[1][i], h[2][i], h[3][i], 17 + (with ? bits[i % cols] : 0), party);
                MUST(B->upload(dev, d[4], h[4], 8 * n));
                MUST(B->trunc_close(dev, d[4], d[0], d[1], d[2], d[3], rows, cols, 17, col, party, add));
                good &= same(dev, d[4], want, 8 * n);
            }
        MUST(B->trunc_deal(dev, out, out2, d[0], d[1], d[2], d[3], rows, cols, 17, col));
        for (size_t i = 0; i < n; i++)
            want[i] = (((h[0][i] + h[1][i]) & ~(1ull << 63)) >> (17 + (with ? bits[i % cols] : 0))) - h[2][i];
        good &= same(dev, out, want, 8 * n);
        for (size_t i = 0; i < n; i++)
            want[i] = ((h[0][i] + h[1][i]) >> 63) - h[3][i];
        good &= same(dev, out2, want, 8 * n);
    }
    snprintf(label, sizeof label, "trunc_close, trunc_deal (%zu, %zu) offset %zu", rows, cols, offset);
    verdict(label, good);

    good = 1;
    for (size_t i = 0; i < n; i++)
        want[i] = (uint64_t)(int64_t)rint(ldexp((double)x[i], 16));
    MUST(B->ring_encode(dev, out, dx, n, 16));
    good &= same(dev, out, want, 8 * n);
    for (int with = 0; with < 2; with++) {
        const uint8_t *col = with ? dbits : NULL;
        for (size_t i = 0; i < n; i++)
            want[i] = h[0][i] + (uint64_t)(int64_t)rint(ldexp((double)bias[i % cols], 16 + (with ? bits[i % cols] : 0)));
        MUST(B->upload(dev, out, h[0], 8 * n));
        MUST(B->ring_add_bias(dev, out, dbias, rows, cols, 16, col));
        good &= same(dev, out, want, 8 * n);
        for (int two = 0; two < 2; two++) {
            for (size_t i = 0; i < n; i++)
                wantf[i] = (float)ldexp((double)(int64_t)(h[0][i] + (two ? h[1][i] : 0)), -(16 + (with ? bits[i % cols] : 0)));
            MUST(B->ring_decode(dev, outf, d[0], two ? d[1] : NULL, rows, cols, 16, col));
            good &= same(dev, outf, wantf, 4 * n);
        }
    }
    snprintf(label, sizeof label, "ring_encode, ring_add_bias, ring_decode (%zu, %zu) offset %zu", rows, cols, offset);
    verdict(label, good);
}

void check_ring(struct ss_dev *dev)
{
    check_ring_shape(dev, 7, 33, 0);
    check_ring_shape(dev, 7, 33, 1);
    check_ring_shape(dev, 1, 1, 0);
    check_ring_shape(dev, 56, 1536, 0);
    const float ties[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 0.49999997f, 3e18f};
    const uint64_t want[] = {0, 2, 2, 0, (uint64_t)-2, (uint64_t)-2, 0, (uint64_t)3e18f};
    uint64_t *out = (uint64_t *)device_bytes(dev, sizeof want, 0xab);
    MUST(B->ring_encode(dev, out, (float *)to_device(dev, ties, sizeof ties), 8, 0));
    verdict("ring_encode rounds half to even", same(dev, out, want, sizeof want));
}

/* One ring product; kind 0: random, 1: the values that bring the int32 sums nearest to overflow, 2: a picks single weights (a
   wrong layout then shows as whose weight came out). spots 0: every output. The first wrong outputs are printed. */
static void check_gemm_ring_shape(struct ss_dev *dev, size_t m, size_t n, size_t k, int kind, size_t spots)
{
    uint64_t state = m + n * 1000 + k, *a = random_words(&state, m * k);
    int8_t *w = (int8_t *)malloc(2 * n * k);
    for (size_t i = 0; i < m * k && kind; i++) /* all digits -128; or digit r % 8 of row r picks column r */
        a[i] = kind == 1 ? 0u - 0x8080808080808080u : i % k == i / k ? 1ull << (i / k % 8 * 8) : 0;
    for (size_t i = 0; i < n * k; i++) {
        int v = kind == 1 ? -126 * 256 - 128 : (int)(random64(&state) % 65025) - 32512, low = (int8_t)(v & 255);
        w[i] = (int8_t)low;
        w[n * k + i] = (int8_t)((v - low) / 256);
    }
    struct ss_matrix matrix = {SS_I8X2, n, k, to_device(dev, w, 2 * n * k), NULL, NULL};
    uint64_t *da = (uint64_t *)to_device(dev, a, 8 * m * k), *out = (uint64_t *)device_bytes(dev, 8 * (m * n + 1), 0xab);
    int good = 1;
    size_t wrong = 0;
    for (int run = 0; run < 2; run++) { /* twice: the second meets the first one's scratch memory */
        MUST(B->gemm_ring(dev, out, da, m, &matrix));
        uint64_t *got = (uint64_t *)to_host(dev, out, 8 * (m * n + 1));
        good &= got[m * n] == 0xababababababababu;
        for (size_t s = 0; s < (spots ? spots : m * n); s++) {
            size_t at = spots ? random64(&state) % (m * n) : s, r = at / n, c = at % n;
            uint64_t sum = 0;
            for (size_t i = 0; i < k; i++)
                sum += a[r * k + i] * (uint64_t)(int64_t)(w[n * k + c * k + i] * 256 + w[c * k + i]);
            wrong += got[at] != sum;
            if (got[at] != sum && wrong <= 6)
                printf("      (%zu, %zu): %016llx instead of %016llx\n", r, c, (unsigned long long)got[at],
                       (unsigned long long)sum);
        }
        free(got);
    }
    good &= wrong == 0;
    char label[128];
    snprintf(label, sizeof label, "gemm_ring m %zu n %zu k %zu%s", m, n, k,
             kind == 1   ? " extreme values"
             : kind == 2 ? " single weights"
                         : "");
    verdict(label, good);
    B->free(dev, (void *)matrix.data, 2 * n * k, false);
    B->free(dev, da, 8 * m * k, true);
    B->free(dev, out, 8 * m * n, true);
    free(a);
    free(w);
}

void check_gemm_ring(struct ss_dev *dev, int full)
{
    static const size_t shapes[][3] = {{1, 48, 64},   {3, 40, 80},    {8, 128, 128}, {9, 144, 208},  {17, 33, 30}, {16, 16, 16},
                                       {33, 272, 96}, {56, 128, 128}, {57, 200, 48}, {64, 256, 320}, {5, 7, 1}};
    check_gemm_ring_shape(dev, 8, 128, 128, 2, 0);
    check_gemm_ring_shape(dev, 56, 256, 256, 2, 0);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_gemm_ring_shape(dev, shapes[i][0], shapes[i][1], shapes[i][2], 0, 0);
    check_gemm_ring_shape(dev, 3, 48, 4096, 1, 0);
    if (!full)
        return;
    check_gemm_ring_shape(dev, 3, 48, 65520, 1, 0);
    check_gemm_ring_shape(dev, 2, 16, 65552, 1, 0);
    check_gemm_ring_shape(dev, 56, 2048, 1536, 0, 20000);
    check_gemm_ring_shape(dev, 56, 1536, 8960, 0, 5000);
    check_gemm_ring_shape(dev, 56, 17920, 1536, 0, 20000);
    check_gemm_ring_shape(dev, 1, 17920, 1536, 0, 0);
    check_gemm_ring_shape(dev, 200, 4608, 3584, 0, 5000);
    check_gemm_ring_shape(dev, 56, 8192, 24576, 0, 2000);
}

static float to_bf16(float x) /* round to nearest even */
{
    uint32_t u;
    memcpy(&u, &x, 4);
    u = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &u, 4);
    return x;
}

/* Relative L2 error of a device array (f32 or bf16) against doubles. */
static void close_to(struct ss_dev *dev, const char *what, const void *d, enum ss_type type, const double *want, size_t n,
                     double tolerance)
{
    uint8_t *got = (uint8_t *)to_host(dev, d, n * (type == SS_F32 ? 4 : 2));
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        float x;
        uint32_t u = type == SS_F32 ? 0 : (uint32_t)((uint16_t *)got)[i] << 16;
        memcpy(&x, type == SS_F32 ? (const void *)(got + 4 * i) : (const void *)&u, 4);
        diff += (x - want[i]) * (x - want[i]);
        norm += want[i] * want[i];
    }
    char label[160];
    double error = sqrt(diff / norm);
    snprintf(label, sizeof label, "%s: relative L2 error %.2e (at most %.0e)", what, error, tolerance);
    verdict(label, error <= tolerance);
    free(got);
}

static void *as_type(struct ss_dev *dev, const float *x, size_t n, enum ss_type type)
{
    if (type == SS_F32)
        return to_device(dev, x, 4 * n);
    uint16_t *h = (uint16_t *)malloc(2 * n);
    for (size_t i = 0; i < n; i++) {
        float r = to_bf16(x[i]);
        memcpy(&h[i], (const uint8_t *)&r + 2, 2);
    }
    void *d = to_device(dev, h, 2 * n);
    free(h);
    return d;
}

static void check_gemm(struct ss_dev *dev, enum ss_type act, enum ss_type type, size_t m, size_t n, size_t k)
{
    uint64_t state = m * n + k;
    float *a = random_floats(&state, m * k, 1), *w = random_floats(&state, n * k, 1), *bias = random_floats(&state, n, 10);
    float *old = random_floats(&state, m * n, 10);
    double *want = (double *)malloc(8 * m * n);
    struct ss_matrix matrix = {type, n, k, as_type(dev, w, n * k, type), NULL, NULL};
    void *da = as_type(dev, a, m * k, act), *dbias = to_device(dev, bias, 4 * n), *out = device_bytes(dev, 4 * m * n, 0xff);
    for (int form = 0; form < 4; form++) { /* bias, accumulate */
        const int add = form & 1, with_bias = form & 2;
        for (size_t r = 0; r < m; r++)
            for (size_t c = 0; c < n; c++) {
                double sum = 0;
                for (size_t i = 0; i < k; i++)
                    sum += (double)(act == SS_F32 ? a[r * k + i] : to_bf16(a[r * k + i])) *
                           (double)(type == SS_F32 ? w[c * k + i] : to_bf16(w[c * k + i]));
                want[r * n + c] = sum + (with_bias ? bias[c] : 0) + (add ? old[r * n + c] : 0);
            }
        if (add)
            MUST(B->upload(dev, out, old, 4 * m * n));
        MUST(B->gemm(dev, (float *)out, da, act, m, &matrix, with_bias ? (const float *)dbias : NULL, add));
        char label[128];
        snprintf(label, sizeof label, "gemm %s x %s (%zu, %zu, %zu)%s%s", act == SS_F32 ? "f32" : "bf16",
                 type == SS_F32 ? "f32" : "bf16", m, n, k, with_bias ? " + bias" : "", add ? " + old" : "");
        close_to(dev, label, out, SS_F32, want, m * n, 1e-5);
    }
}

static void check_attention(struct ss_dev *dev, struct ss_attention p, enum ss_type act)
{
    const size_t width = (p.n_heads + 2 * p.n_kv) * p.d_head, kv = p.n_kv * p.d_head, total = p.past + p.tokens;
    uint64_t state = p.tokens + p.past;
    float *qkv = random_floats(&state, p.tokens * width, 2), *k = random_floats(&state, total * kv, 2);
    float *v = random_floats(&state, total * kv, 2);
    double *want = (double *)calloc(p.tokens * p.n_heads * p.d_head, 8), *weight = (double *)malloc(8 * total);
    float *dk = (float *)device_bytes(dev, 4 * (total + 1) * kv, 0xff),
          *dv = (float *)device_bytes(dev, 4 * (total + 1) * kv, 0xff);
    void *out = device_bytes(dev, 4 * p.tokens * p.n_heads * p.d_head, 0xff);
    MUST(B->upload(dev, dk, k, 4 * p.past * kv));
    MUST(B->upload(dev, dv, v, 4 * p.past * kv));
    for (size_t t = 0; t < p.tokens; t++)
        for (size_t j = 0; j < kv; j++) {
            k[(p.past + t) * kv + j] = qkv[t * width + p.n_heads * p.d_head + j];
            v[(p.past + t) * kv + j] = qkv[t * width + p.n_heads * p.d_head + kv + j];
        }
    for (size_t t = 0; t < p.tokens; t++)
        for (size_t head = 0; head < p.n_heads; head++) {
            const size_t g = head / (p.n_heads / p.n_kv), keys = p.past + t + 1;
            double top = -1e300, sum = 0, *o = want + (t * p.n_heads + head) * p.d_head;
            for (size_t j = 0; j < keys; j++) {
                weight[j] = 0;
                for (size_t i = 0; i < p.d_head; i++)
                    weight[j] += (double)qkv[t * width + head * p.d_head + i] * k[j * kv + g * p.d_head + i];
                weight[j] /= sqrt((double)p.d_head);
                top = weight[j] > top ? weight[j] : top;
            }
            for (size_t j = 0; j < keys; j++)
                sum += weight[j] = exp(weight[j] - top);
            for (size_t j = 0; j < keys; j++)
                for (size_t i = 0; i < p.d_head; i++)
                    o[i] += weight[j] / sum * v[j * kv + g * p.d_head + i];
        }
    MUST(B->attention(dev, out, act, (float *)to_device(dev, qkv, 4 * p.tokens * width), dk, dv, &p));
    char label[128];
    snprintf(label, sizeof label, "attention %zu tokens after %zu, %zu/%zu heads of %zu, %s", p.tokens, p.past, p.n_heads,
             p.n_kv, p.d_head, act == SS_F32 ? "f32" : "bf16");
    close_to(dev, label, out, act, want, p.tokens * p.n_heads * p.d_head, act == SS_F32 ? 2e-6 : 3e-3);
    verdict("  caches", same(dev, dk, k, 4 * total * kv) && same(dev, dv, v, 4 * total * kv));
}

static void check_elementwise(struct ss_dev *dev, size_t rows, size_t d)
{
    uint64_t state = rows + d;
    float *x = random_floats(&state, rows * 2 * d, 8), *gain = random_floats(&state, d, 2);
    double *want = (double *)malloc(8 * rows * 2 * d);
    void *dx = to_device(dev, x, 8 * rows * d), *dgain = to_device(dev, gain, 4 * d);
    for (int t = 0; t < 2; t++) {
        const enum ss_type act = t ? SS_BF16 : SS_F32;
        const double tolerance = t ? 3e-3 : 1e-6;
        void *out = device_bytes(dev, 4 * rows * d, 0xff);
        for (size_t r = 0; r < rows; r++) {
            double sum = 0;
            for (size_t i = 0; i < d; i++)
                sum += (double)x[r * d + i] * x[r * d + i];
            for (size_t i = 0; i < d; i++)
                want[r * d + i] = x[r * d + i] / sqrt(sum / (double)d + 1e-6) * gain[i];
        }
        MUST(B->rmsnorm(dev, out, act, (float *)dx, (float *)dgain, rows, d, 1e-6));
        close_to(dev, t ? "rmsnorm bf16" : "rmsnorm f32", out, act, want, rows * d, tolerance);
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < d; i++)
                want[r * d + i] = x[2 * r * d + i] / (1 + exp(-(double)x[2 * r * d + i])) * x[2 * r * d + d + i];
        MUST(B->silu_mul(dev, out, act, (float *)dx, rows, d));
        close_to(dev, t ? "silu_mul bf16" : "silu_mul f32", out, act, want, rows * d, tolerance);
    }
    static const size_t positions[] = {0, 7, 5000};
    for (int t = 0; t < 3; t++) { /* stride 2 d: two heads of d_head = d / 2 turn, the rest stays */
        const size_t d_head = d / 2, pairs = d_head / 2;
        for (size_t i = 0; i < rows * 2 * d; i++)
            want[i] = x[i];
        for (size_t r = 0; r < rows; r++)
            for (size_t h = 0; h < 2; h++)
                for (size_t i = 0; i < pairs; i++) {
                    const double angle = (double)(positions[t] + r) * pow(1e6, -2.0 * (double)i / (double)d_head);
                    const double u = x[2 * r * d + h * d_head + i], v = x[2 * r * d + h * d_head + pairs + i];
                    want[2 * r * d + h * d_head + i] = u * cos(angle) - v * sin(angle);
                    want[2 * r * d + h * d_head + pairs + i] = v * cos(angle) + u * sin(angle);
                }
        MUST(B->upload(dev, dx, x, 8 * rows * d));
        MUST(B->rope(dev, (float *)dx, rows, 2 * d, 2, d_head, positions[t], 1e6));
        close_to(dev, "rope", dx, SS_F32, want, rows * 2 * d, 1e-6);
    }
}

void check_float(struct ss_dev *dev, int full)
{
    static const enum ss_type types[] = {SS_F32, SS_BF16};
    check_elementwise(dev, 5, 64);
    for (int a = 0; a < 2; a++)
        for (int w = 0; w < 2; w++) {
            check_gemm(dev, types[a], types[w], 5, 24, 40);
            check_gemm(dev, types[a], types[w], 3, 7, 13);
            if (full)
                check_gemm(dev, types[a], types[w], 56, 320, 1536);
        }
    check_attention(dev, (struct ss_attention){5, 0, 4, 2, 32}, SS_F32);
    check_attention(dev, (struct ss_attention){1, 40, 4, 2, 16}, SS_F32);
    check_attention(dev, (struct ss_attention){9, 30, 3, 1, 80}, SS_BF16);
    check_attention(dev, (struct ss_attention){2, 300, 2, 1, 22}, SS_F32);
    if (!full)
        return;
    check_elementwise(dev, 56, 1536);
    check_attention(dev, (struct ss_attention){56, 0, 12, 2, 128}, SS_F32);
    check_attention(dev, (struct ss_attention){1, 2047, 12, 2, 128}, SS_F32);
    check_attention(dev, (struct ss_attention){3, 700, 3, 1, 80}, SS_BF16);
    check_attention(dev, (struct ss_attention){300, 21, 4, 2, 128}, SS_F32);
    check_attention(dev, (struct ss_attention){270, 0, 2, 1, 64}, SS_F32);
    check_attention(dev, (struct ss_attention){259, 3, 2, 2, 256}, SS_F32);
    check_attention(dev, (struct ss_attention){256, 0, 2, 1, 24}, SS_BF16);
}
