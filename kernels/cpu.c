/* cpu.c — the reference backend: cleartext arithmetic as plain loops in fp32; products, ring and randomness in cpu/. */
#include "kernels/backend.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

enum { CHUNK = 256 }; /* outputs converted at a time */

static const char *unusable(void)
{
    return NULL;
}

static enum ss_err fence_new(struct ss_dev *dev, void **fence)
{
    *fence = dev; /* nothing to order: every operation is finished when it returns */
    return SS_OK;
}

static void fence_free(struct ss_dev *dev, void *fence)
{
    (void)dev;
    (void)fence;
}

static enum ss_err fence_nop(struct ss_dev *dev, void *fence)
{
    (void)dev;
    SS_REQUIRE(fence);
    return SS_OK;
}

static void rmsnorm_row(void *out, enum ss_type act, size_t at, const float *x, const float *gain, size_t d, double eps)
{
    double squares = 0;
    for (size_t j = 0; j < d; j++)
        squares += (double)x[j] * x[j];
    const float scale = (float)(1 / sqrt(squares / (double)d + eps));
    for (size_t j = 0; j < d; j += CHUNK) {
        const size_t n = d - j < CHUNK ? d - j : CHUNK;
        float y[CHUNK];
        for (size_t i = 0; i < n; i++)
            y[i] = x[j + i] * scale * gain[j + i];
        cpu_store(out, act, at + j, y, n);
    }
}

static enum ss_err rmsnorm(struct ss_dev *dev, void *out, enum ss_type act, const float *x, const float *gain, size_t rows,
                           size_t d, double eps)
{
    SS_REQUIRE(act == SS_F32 || act == SS_BF16);
#pragma omp parallel for num_threads(dev->threads) if (rows * d >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        rmsnorm_row(out, act, i * d, x + i * d, gain, d, eps);
    return SS_OK;
}

static void rope_row(float *x, size_t heads, size_t d_head, size_t pos, double theta)
{
    const size_t half = d_head / 2;
    for (size_t i = 0; i < half; i++) {
        const double angle = (double)pos * pow(theta, -2.0 * (double)i / (double)d_head);
        const float c = (float)cos(angle), s = (float)sin(angle);
        for (size_t h = 0; h < heads; h++) {
            float *lo = x + h * d_head + i, *hi = lo + half, a = *lo, b = *hi;
            *lo = a * c - b * s;
            *hi = b * c + a * s;
        }
    }
}

static enum ss_err rope(struct ss_dev *dev, float *x, size_t rows, size_t stride, size_t heads, size_t d_head, size_t pos0,
                        double theta)
{
    SS_REQUIRE(d_head % 2 == 0 && heads * d_head <= stride);
#pragma omp parallel for num_threads(dev->threads) if (rows * heads * d_head >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        rope_row(x + i * stride, heads, d_head, pos0 + i, theta);
    return SS_OK;
}

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* One query q (d_head) against n positions of one key-value head, `stride` floats apart. p (n) is scratch. */
static void attend(float *out, float *p, const float *q, const float *k, const float *v, size_t n, size_t stride, size_t d_head)
{
    const float scale = (float)(1 / sqrt((double)d_head));
    float top = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) {
        p[j] = dot(q, k + j * stride, d_head) * scale;
        top = p[j] > top ? p[j] : top;
    }
    for (size_t j = 0; j < n; j++) {
        p[j] = expf(p[j] - top);
        sum += p[j];
    }
    memset(out, 0, d_head * sizeof *out);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < d_head; i++)
            out[i] += p[j] * v[j * stride + i];
    for (size_t i = 0; i < d_head; i++)
        out[i] /= sum;
}

static enum ss_err attention(struct ss_dev *dev, void *out, enum ss_type act, const float *qkv, float *k_cache, float *v_cache,
                             const struct ss_attention *p)
{
    SS_REQUIRE(act == SS_F32 || act == SS_BF16);
    SS_REQUIRE(p->n_kv > 0 && p->n_heads % p->n_kv == 0);
    const size_t d = p->d_head, q_width = p->n_heads * d, kv_width = p->n_kv * d, row = q_width + 2 * kv_width;
    const size_t scratch_values = p->past + p->tokens + d;
    void *work;
    SS_TRY(cpu_work(dev, &work, (size_t)dev->threads * scratch_values * sizeof(float)));
    float *scratch = work;
    for (size_t i = 0; i < p->tokens; i++) {
        memcpy(k_cache + (p->past + i) * kv_width, qkv + i * row + q_width, kv_width * sizeof *k_cache);
        memcpy(v_cache + (p->past + i) * kv_width, qkv + i * row + q_width + kv_width, kv_width * sizeof *v_cache);
    }
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(dev->threads)
    for (size_t i = 0; i < p->tokens; i++)
        for (size_t h = 0; h < p->n_heads; h++) {
            const size_t group = h / (p->n_heads / p->n_kv) * d;
            float *probability = scratch + (size_t)omp_get_thread_num() * scratch_values;
            float *y = probability + p->past + p->tokens;
            attend(y, probability, qkv + i * row + h * d, k_cache + group, v_cache + group, p->past + i + 1, kv_width, d);
            cpu_store(out, act, i * q_width + h * d, y, d);
        }
    return SS_OK;
}

static enum ss_err silu_mul(struct ss_dev *dev, void *out, enum ss_type act, const float *gate_up, size_t rows, size_t d_ff)
{
    SS_REQUIRE(act == SS_F32 || act == SS_BF16);
#pragma omp parallel for collapse(2) num_threads(dev->threads) if (rows * d_ff >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < d_ff; j += CHUNK) {
            const float *gate = gate_up + i * 2 * d_ff + j, *up = gate + d_ff;
            const size_t n = d_ff - j < CHUNK ? d_ff - j : CHUNK;
            float y[CHUNK];
            for (size_t l = 0; l < n; l++)
                y[l] = gate[l] / (1 + expf(-gate[l])) * up[l];
            cpu_store(out, act, i * d_ff + j, y, n);
        }
    return SS_OK;
}

const struct ss_backend ss_backend_cpu = {
    .name = "cpu",
    .about = "host CPU: int16 multiply-add for the ring, OpenBLAS for floats, AES-128-CTR",
    .ring_matrix = SS_I16,
    .unusable = unusable,
    .open = cpu_open,
    .close = cpu_close,
    .memory = cpu_memory,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_move,
    .download = cpu_move,
    .copy = cpu_move,
    .sync = cpu_sync,
    .mark = cpu_mark,
    .span_ns = cpu_span_ns,
    .fence_new = fence_new,
    .fence_free = fence_free,
    .fence_record = fence_nop,
    .fence_wait = fence_nop,
    .synth = cpu_synth,
    .gemm = cpu_gemm,
    .rmsnorm = rmsnorm,
    .rope = rope,
    .attention = attention,
    .silu_mul = silu_mul,
    .gemm_ring = cpu_gemm_ring,
    .ring_add = cpu_ring_add,
    .ring_sub = cpu_ring_sub,
    .ring_mul = cpu_ring_mul,
    .ring_add_bias = cpu_ring_add_bias,
    .ring_encode = cpu_ring_encode,
    .ring_decode = cpu_ring_decode,
    .trunc_open = cpu_trunc_open,
    .trunc_close = cpu_trunc_close,
    .trunc_deal = cpu_trunc_deal,
    .prg_fill = cpu_prg_fill,
    .dpf_gen = cpu_dpf_gen,
    .dpf_eval = cpu_dpf_eval,
    .onehot_deal = cpu_onehot_deal,
    .lookup_deal = cpu_lookup_deal,
    .lookup_index = cpu_lookup_index,
    .lookup_sum = cpu_lookup_sum,
    .lookup_close = cpu_lookup_close,
    .ring_sub_rows = cpu_ring_sub_rows,
    .ring_beaver = cpu_ring_beaver,
    .ring_square_sum = cpu_ring_square_sum,
    .ring_spread = cpu_ring_spread,
    .ring_row_sums = cpu_ring_row_sums,
    .ring_scale_cols = cpu_ring_scale_cols,
    .ring_rope = cpu_ring_rope,
    .gemm_u64_scores = cpu_gemm_u64_scores,
    .gemm_u64_values = cpu_gemm_u64_values,
    .tournament_split = cpu_tournament_split,
    .tournament_join = cpu_tournament_join,
};
