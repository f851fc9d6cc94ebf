/* cpu.c — the reference backend: cleartext arithmetic as plain loops in fp32; products, attention, ring, randomness in cpu/. */
#include "kernels/backend.h"

#include "kernels/cpu/cpu.h"
#include "kernels/exact.h"

enum { CHUNK = 256 }; /* outputs converted at a time */

static const char *unusable(void)
{
    return NULL;
}

static int devices(void)
{
    return 1;
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

static double fold(double *v, size_t n) /* v[0] + .. + v[n - 1], halves onto halves; n a power of two */
{
    for (size_t step = n / 2; step; step /= 2)
        for (size_t i = 0; i < step; i++)
            v[i] += v[i + step];
    return v[0];
}

/* Sum of squares in the order that backend.h fixes. */
__attribute__((target_clones("avx2", "default"))) static double squares(const float *x, size_t d)
{
    enum { GROUPS = SS_NORM_LANES / 4, TREES = GROUPS / SS_NORM_TREE };
    double lanes[SS_NORM_LANES] = {0}, trees[TREES] = {0};
    const size_t used = d < SS_NORM_LANES ? d : SS_NORM_LANES, n = (used + 4 * SS_NORM_TREE - 1) / (4 * SS_NORM_TREE);
    for (size_t from = 0; from < d; from += SS_NORM_LANES)
        for (size_t i = 0; i < (d - from < SS_NORM_LANES ? d - from : SS_NORM_LANES); i++)
            lanes[i] += (double)x[from + i] * x[from + i];
    for (size_t i = 0; i < n * SS_NORM_TREE; i++)
        lanes[i] = (lanes[4 * i] + lanes[4 * i + 1]) + (lanes[4 * i + 2] + lanes[4 * i + 3]);
    for (size_t i = 0; i < n; i++)
        trees[i] = fold(lanes + i * SS_NORM_TREE, SS_NORM_TREE);
    return fold(trees, TREES);
}

static void rmsnorm_row(void *out, enum ss_type act, size_t at, const float *x, const float *gain, size_t d, double eps)
{
    const float scale = ss_norm_scale(squares(x, d), d, eps);
    for (size_t j = 0; j < d; j += CHUNK) {
        const size_t n = d - j < CHUNK ? d - j : CHUNK;
        float y[CHUNK];
        for (size_t i = 0; i < n; i++)
            y[i] = ss_mul(ss_mul(x[j + i], scale), gain[j + i]);
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

/* The table outlives the call: a pass rotates at the same positions in every layer, and pow and cos cost more than the rest. */
static enum ss_err rope_table(struct ss_dev *dev, size_t positions, size_t pairs, double theta)
{
    if (dev->turns && dev->turn_theta == theta && dev->turn_pairs == pairs && dev->turn_positions >= positions)
        return SS_OK;
    const size_t n = positions + positions / 2 + 64;
    void *turns;
    SS_TRY(cpu_alloc(dev, &turns, n * pairs * 2 * sizeof(float)));
    cpu_free(dev, dev->turns, 0, false);
    dev->turns = turns;
    dev->turn_theta = theta;
    dev->turn_pairs = pairs;
    dev->turn_positions = n;
    ss_rope_turns(dev->turns, 0, n, pairs, theta);
    return SS_OK;
}

static void rope_row(float *x, const float *turns, size_t heads, size_t d_head)
{
    const size_t half = d_head / 2;
    for (size_t h = 0; h < heads; h++) {
        float *lo = x + h * d_head, *hi = lo + half;
        for (size_t i = 0; i < half; i++) {
            const float a = lo[i], b = hi[i], c = turns[2 * i], s = turns[2 * i + 1];
            lo[i] = ss_sub(ss_mul(a, c), ss_mul(b, s));
            hi[i] = ss_add(ss_mul(b, c), ss_mul(a, s));
        }
    }
}

static enum ss_err rope(struct ss_dev *dev, float *x, size_t rows, size_t stride, size_t heads, size_t d_head, size_t pos0,
                        double theta)
{
    const size_t pairs = d_head / 2;
    SS_REQUIRE(d_head % 2 == 0 && heads * d_head <= stride);
    SS_TRY(rope_table(dev, pos0 + rows, pairs, theta));
#pragma omp parallel for num_threads(dev->threads) if (rows * heads * d_head >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < rows; i++)
        rope_row(x + i * stride, dev->turns + (pos0 + i) * pairs * 2, heads, d_head);
    return SS_OK;
}

__attribute__((target_clones("avx2", "default"))) static void silu_mul_run(float *restrict y, const float *gate,
                                                                           const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = ss_mul(ss_silu(gate[i]), up[i]);
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
            silu_mul_run(y, gate, up, n);
            cpu_store(out, act, i * d_ff + j, y, n);
        }
    return SS_OK;
}

const struct ss_backend ss_backend_cpu = {
    .name = "cpu",
    .about = "host CPU: int16 multiply-add for the ring, OpenBLAS for floats, AES-128-CTR",
    .ring_matrix = SS_I16,
    .unusable = unusable,
    .devices = devices,
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
    .attention = cpu_attention,
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
    .aes_mmo = cpu_aes_mmo,
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
    .bits_slice = cpu_bits_slice,
    .carry_leaves = cpu_carry_leaves,
    .carry_join = cpu_carry_join,
    .carry_deal = cpu_carry_deal,
    .block_deal = cpu_block_deal,
    .bits_close = cpu_bits_close,
    .bits_deal = cpu_bits_deal,
    .ring_combine = cpu_ring_combine,
};
