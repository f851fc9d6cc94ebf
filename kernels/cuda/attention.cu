/* attention.cu — causal grouped-query attention in fp32 with an online softmax (Milakov & Gimelshein 2018; FlashAttention's
   tiling; Flash-Decoding's split of the keys), in the order that backend.h fixes. A warp owns R query rows of one head; keys
   come in tiles of 32, one key per lane for the scores, 32 head dimensions per step for the values. At 56 tokens a layer is
   10 MFLOP and latency decides: all loads of a tile are in flight at once and, where shared memory allows, those of the next
   tile too; few rows after many keys spread the keys over blocks. At 2048 tokens shared-memory reads decide: R = 8 rows per
   load of K and V. What a row may not see is skipped where a whole warp can skip it: it would add zeros. */
#include "kernels/cuda/cuda.cuh"

#include <cuda_pipeline_primitives.h>
#include <math_constants.h>

#include "kernels/exact.h"

enum { THREADS = 128, WARPS = THREADS / 32, TILE = SS_ATTEND_TILE, MAX_CHUNKS = 8, FEW_ROWS = 2, MANY_ROWS = 8 };
static_assert(TILE == 32, "a key of the tile per lane");

/* (tokens, n_kv d_head) slices of qkv to rows past .. of the caches */
__global__ void k_append_kv(float *k_cache, float *v_cache, const float *qkv, size_t n, struct ss_attention p)
{
    size_t at = (size_t)blockIdx.x * 256 + threadIdx.x;
    if (at >= n)
        return;
    const size_t width = p.n_kv * p.d_head, row = at / width, j = at - row * width;
    const float *k = qkv + row * (p.n_heads + 2 * p.n_kv) * p.d_head + p.n_heads * p.d_head;
    k_cache[(p.past + row) * width + j] = k[j];
    v_cache[(p.past + row) * width + j] = k[width + j];
}

/* Row stride of the K tile in floats: 16 B more than a row, so that 32 lanes reading one column of float4 hit all banks. */
static __host__ __device__ constexpr int k_stride(int d)
{
    return d + 4;
}
static constexpr size_t shared_bytes(int rows, int chunks, int stages) /* Q, K, V, weights of the tile */
{
    int d = 32 * chunks;
    return sizeof(float) * (size_t)(WARPS * rows * d + stages * TILE * (k_stride(d) + d) + WARPS * rows * TILE);
}

/* Starts the copy of TILE rows of a cache, from row `first`, into a tile of D columns; rows from `limit` on and columns from
   d_head on become zero. wide: rows are 16-byte aligned and d_head is a multiple of 4. */
template <int D, int STRIDE>
static __device__ __forceinline__ void load_tile(float *tile, const float *cache, size_t first, size_t limit, size_t row_floats,
                                                 int d_head, int wide)
{
    if (wide) {
#pragma unroll 1 /* the copies are asynchronous anyway, and addresses cost registers */
        for (int i = 0; i < TILE * D / 4 / THREADS; i++) {
            const int at = i * THREADS + (int)threadIdx.x, j = at / (D / 4), c = at % (D / 4) * 4;
            const int inside = first + j < limit && c < d_head;
            __pipeline_memcpy_async(tile + j * STRIDE + c, cache + (inside ? (first + j) * row_floats + c : 0), 16,
                                    inside ? 0 : 16);
        }
    } else {
#pragma unroll 1
        for (int i = 0; i < TILE * D / THREADS; i++) {
            const int at = i * THREADS + (int)threadIdx.x, j = at / D, c = at % D;
            tile[j * STRIDE + c] = first + j < limit && c < d_head ? cache[(first + j) * row_floats + c] : 0.0f;
        }
    }
    __pipeline_commit();
}

struct attention_task {
    struct ss_attention p;
    const float *qkv, *k_cache, *v_cache;
    void *out;
    float *partial;    /* (blocks of keys, tokens, n_heads, d_head + 2): sum of weights * v, largest score, sum of weights */
    size_t block_keys; /* keys per block; >= all: nothing partial */
    float scale;
    int bf16, wide;
};

static __device__ __forceinline__ void put(void *out, int bf16, size_t i, float v)
{
    if (bf16)
        ((__nv_bfloat16 *)out)[i] = __float2bfloat16_rn(v);
    else
        ((float *)out)[i] = v;
}

/* score[r] = q (R, D) row r . key (D): this lane's key */
template <int R, int D> static __device__ __forceinline__ void multiply_key(float (&score)[R], const float *q, const float *key)
{
#pragma unroll
    for (int r = 0; r < R; r++)
        score[r] = 0;
#pragma unroll 4
    for (int c = 0; c < D / 4; c++) {
        const float4 k = ((const float4 *)key)[c];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const float4 x = ((const float4 *)(q + r * D))[c];
            score[r] = ss_add(score[r], ss_sum4(ss_mul(x.x, k.x), ss_mul(x.y, k.y), ss_mul(x.z, k.z), ss_mul(x.w, k.w)));
        }
    }
}

/* A warp's R rows from my_row0 on: the quotient where this block saw all keys, otherwise its part for k_join_attention. */
template <int R, int C>
static __device__ __forceinline__ void finish(const struct attention_task &t, const float (&sum)[R], const float (&top)[R],
                                              const float (&acc)[R][C], size_t my_row0, size_t head)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < R; r++) {
        float total = sum[r];
        for (int step = 16; step; step /= 2)
            total = ss_add(total, __shfl_xor_sync(~0u, total, step));
        if (my_row0 + r >= t.p.tokens)
            continue;
        const size_t row_head = (my_row0 + r) * t.p.n_heads + head;
        float *partial = t.partial + (blockIdx.z * t.p.tokens * t.p.n_heads + row_head) * (t.p.d_head + 2);
        const bool whole = gridDim.z == 1;
#pragma unroll
        for (int c = 0; c < C; c++) {
            const int dim = 32 * c + lane;
            if (dim < (int)t.p.d_head && whole)
                put(t.out, t.bf16, row_head * t.p.d_head + dim, ss_add(ss_div(acc[r][c], total), 0.0f));
            else if (dim < (int)t.p.d_head)
                partial[dim] = acc[r][c];
        }
        if (!whole && lane == 0) {
            partial[t.p.d_head] = top[r];
            partial[t.p.d_head + 1] = total;
        }
    }
}

/* Scores of this lane's key become weights; row r sees the tile's first first_seen + r keys, of which `here` exist. */
template <int R, int C>
static __device__ __forceinline__ void weigh(float *weights, const float (&score)[R], float (&sum)[R], float (&top)[R],
                                             float (&acc)[R][C], long first_seen, long here)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < R; r++) {
        const float s = lane < first_seen + r && lane < here ? score[r] : -CUDART_INF_F;
        float best = s;
        for (int step = 16; step; step /= 2)
            best = fmaxf(best, __shfl_xor_sync(~0u, best, step));
        const float next = fmaxf(top[r], best), keep = ss_exp(ss_sub(top[r], next)), weight = ss_exp(ss_sub(s, next));
        weights[r * TILE + lane] = weight;
        top[r] = next;
        sum[r] = ss_add(ss_mul(sum[r], keep), weight); /* of this lane's keys */
#pragma unroll
        for (int c = 0; c < C; c++)
            acc[r][c] = ss_mul(acc[r][c], keep);
    }
}

/* acc += weights (R, TILE) . v (TILE, 32 C), over the first n keys rounded up to four; this lane's columns */
template <int R, int C>
static __device__ __forceinline__ void add_values(float (&acc)[R][C], const float *weights, const float *v_tile, int n)
{
#pragma unroll 1
    for (int j = 0; j < n; j += 4) {
        float v[4][C];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int c = 0; c < C; c++)
                v[i][c] = v_tile[(j + i) * 32 * C + 32 * c + threadIdx.x % 32];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const float4 w = *(const float4 *)(weights + r * TILE + j);
#pragma unroll
            for (int c = 0; c < C; c++)
                acc[r][c] = ss_add(
                    acc[r][c], ss_sum4(ss_mul(w.x, v[0][c]), ss_mul(w.y, v[1][c]), ss_mul(w.z, v[2][c]), ss_mul(w.w, v[3][c])));
        }
    }
}

/* R query rows per warp, D = 32 C >= d_head, S tiles of keys in shared memory. grid (query tiles, n_heads, blocks of keys). */
template <int R, int C, int S>
__global__ void __launch_bounds__(THREADS, C == MAX_CHUNKS ? 2
                                           : S == 2        ? 3
                                                           : 4) k_attention(const struct attention_task t)
{
    constexpr int D = 32 * C, STRIDE = k_stride(D), STAGE = TILE * (STRIDE + D);
    extern __shared__ float4 shared[];
    float *q_tile = (float *)shared, *kv_tiles = q_tile + WARPS * R * D; /* S times K then V */
    const struct ss_attention &p = t.p;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, d_head = (int)p.d_head;
    const size_t head = blockIdx.y, group = head / (p.n_heads / p.n_kv), row_floats = p.n_kv * p.d_head;
    /* The last rows see the most keys: they start first. */
    const size_t row0 = (size_t)(gridDim.x - 1 - blockIdx.x) * WARPS * R, qkv_stride = (p.n_heads + 2 * p.n_kv) * p.d_head;
    const float *q = q_tile + warp * R * D;
    float *weights = kv_tiles + S * STAGE + warp * R * TILE;

    for (int at = threadIdx.x; at < WARPS * R * D; at += THREADS) {
        size_t r = row0 + at / D;
        int c = at % D;
        q_tile[at] = r < p.tokens && c < d_head ? ss_mul(t.qkv[r * qkv_stride + head * p.d_head + c], t.scale) : 0.0f;
    }
    const size_t my_row0 = row0 + warp * R; /* this warp's rows of the batch */
    float sum[R], top[R], acc[R][C];
#pragma unroll
    for (int r = 0; r < R; r++) {
        sum[r] = 0;
        top[r] = SS_ATTEND_BELOW_ALL;
#pragma unroll
        for (int c = 0; c < C; c++)
            acc[r][c] = 0;
    }
    /* Keys of this block: up to what the last row of the query tile may see. */
    const size_t last = row0 + WARPS * R < p.tokens ? row0 + WARPS * R : p.tokens, visible = p.past + last;
    const size_t from = blockIdx.z * t.block_keys, end = from + t.block_keys < visible ? from + t.block_keys : visible;
    const float *k_cache = t.k_cache + group * p.d_head, *v_cache = t.v_cache + group * p.d_head;
    if (S == 2 && from < end) {
        load_tile<D, STRIDE>(kv_tiles, k_cache, from, end, row_floats, d_head, t.wide);
        load_tile<D, D>(kv_tiles + TILE * STRIDE, v_cache, from, end, row_floats, d_head, t.wide);
    }
    int stage = 0;
    for (size_t j0 = from; j0 < end; j0 += TILE) {
        float *k_tile = kv_tiles + stage * STAGE, *v_tile = k_tile + TILE * STRIDE;
        const size_t loaded = S == 2 ? j0 + TILE : j0;
        float *next = kv_tiles + (S == 2 ? stage ^ 1 : 0) * STAGE;
        __syncthreads(); /* nobody reads `next` any more */
        if (S == 1 || loaded < end) {
            load_tile<D, STRIDE>(next, k_cache, loaded, end, row_floats, d_head, t.wide);
            load_tile<D, D>(next + TILE * STRIDE, v_cache, loaded, end, row_floats, d_head, t.wide);
        } else { /* the waits below count commits */
            __pipeline_commit();
            __pipeline_commit();
        }
        __pipeline_wait_prior(2 * S - 1);
        __syncthreads();
        /* Of this tile the warp's row r sees the first first_seen + r keys. */
        const long first_seen = (long)(p.past + my_row0 + 1) - (long)j0, here = (long)(end - j0);
        const long most = first_seen + R - 1 < here ? first_seen + R - 1 : here;
        if (most > 0) {
            float score[R];
            multiply_key<R, D>(score, q, k_tile + lane * STRIDE);
            weigh<R, C>(weights, score, sum, top, acc, first_seen, here);
        }
        __pipeline_wait_prior(2 * S - 2);
        __syncthreads();
        if (most > 0)
            add_values<R, C>(acc, weights, v_tile, most < TILE ? (int)most : (int)TILE);
        if (S == 2)
            stage ^= 1;
    }
    finish<R, C>(t, sum, top, acc, my_row0, head);
}

/* One warp per (token, head): the blocks' sums, each brought to the largest score of all; blocks <= 32. */
__global__ void k_join_attention(const struct attention_task t, size_t rows, int blocks)
{
    const size_t row = ((size_t)blockIdx.x * THREADS + threadIdx.x) / 32, stride = rows * (t.p.d_head + 2);
    const int lane = threadIdx.x % 32;
    if (row >= rows)
        return;
    const float *partial = t.partial + row * (t.p.d_head + 2);
    const float mine = lane < blocks ? partial[lane * stride + t.p.d_head] : SS_ATTEND_BELOW_ALL;
    const float weights = lane < blocks ? partial[lane * stride + t.p.d_head + 1] : 0;
    float top = mine;
    for (int step = 16; step; step /= 2)
        top = fmaxf(top, __shfl_xor_sync(~0u, top, step));
    const float factor = ss_exp(ss_sub(mine, top)), part = ss_mul(factor, weights);
    float total = __shfl_sync(~0u, part, 0);
    for (int b = 1; b < blocks; b++)
        total = ss_add(total, __shfl_sync(~0u, part, b));
    for (size_t first = 0; first < t.p.d_head; first += 32) { /* all lanes stay: they hold the factors */
        const size_t dim = first + lane < t.p.d_head ? first + lane : t.p.d_head - 1;
        float v = ss_mul(__shfl_sync(~0u, factor, 0), partial[dim]);
        for (int b = 1; b < blocks; b++)
            v = ss_add(v, ss_mul(__shfl_sync(~0u, factor, b), partial[b * stride + dim]));
        if (first + lane < t.p.d_head)
            put(t.out, t.bf16, row * t.p.d_head + dim, ss_add(ss_div(v, total), 0.0f));
    }
}

typedef void (*attention_kernel)(struct attention_task);

/* Few rows per warp spread a short prompt over more SMs; many rows reuse each loaded key; two stages hide the loads of a tile
   behind the tile before, as long as all blocks fit on the device with them. The result does not depend on the choice. */
static const struct attention_form {
    int rows, chunks, stages;
    attention_kernel kernel;
} forms[] = {
    {FEW_ROWS, 1, 2, k_attention<FEW_ROWS, 1, 2>},
    {FEW_ROWS, 2, 2, k_attention<FEW_ROWS, 2, 2>},
    {FEW_ROWS, 4, 2, k_attention<FEW_ROWS, 4, 2>},
    {FEW_ROWS, 1, 1, k_attention<FEW_ROWS, 1, 1>},
    {FEW_ROWS, 2, 1, k_attention<FEW_ROWS, 2, 1>},
    {FEW_ROWS, 4, 1, k_attention<FEW_ROWS, 4, 1>},
    {FEW_ROWS, MAX_CHUNKS, 1, k_attention<FEW_ROWS, MAX_CHUNKS, 1>},
    {MANY_ROWS, 1, 1, k_attention<MANY_ROWS, 1, 1>},
    {MANY_ROWS, 2, 1, k_attention<MANY_ROWS, 2, 1>},
    {MANY_ROWS, 4, 1, k_attention<MANY_ROWS, 4, 1>},
    {MANY_ROWS, MAX_CHUNKS, 1, k_attention<MANY_ROWS, MAX_CHUNKS, 1>},
};
enum { MANY_TOKENS = 256, TWO_STAGE_BLOCKS = 3 /* on an SM */ };

/* The first form that holds the head; stages 2 only if so many blocks run at once. */
static const struct attention_form *choose(int rows, size_t d_head, bool two_stages)
{
    const struct attention_form *f = forms;
    while (f->rows != rows || (size_t)f->chunks * 32 < d_head || (f->stages == 2 && !two_stages))
        f++;
    return f;
}

enum ss_err ss_attention_open(struct ss_dev *dev)
{
    CU(cudaSetDevice(dev->ordinal));
    for (const struct attention_form &f : forms)
        CU(cudaFuncSetAttribute((const void *)f.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                (int)shared_bytes(f.rows, f.chunks, f.stages)));
    return SS_OK;
}

enum ss_err ss_cuda_attention(struct ss_dev *dev, void *out, enum ss_type act, const float *qkv, float *k_cache, float *v_cache,
                              const struct ss_attention *p)
{
    SS_REQUIRE(p->d_head <= 32 * MAX_CHUNKS && p->n_heads % p->n_kv == 0);
    if (p->tokens == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const size_t n = p->tokens * p->n_kv * p->d_head, keys = p->past + p->tokens, rows = p->tokens * p->n_heads;
    k_append_kv<<<(unsigned)div_up(n, 256), 256, 0, dev->stream>>>(k_cache, v_cache, qkv, n, *p);
    CU_LAUNCHED("k_append_kv");

    const int rows_per_warp = p->tokens < MANY_TOKENS ? (int)FEW_ROWS : (int)MANY_ROWS;
    const size_t tiles = div_up(p->tokens, WARPS * rows_per_warp), block_keys = ss_attend_block(p->tokens, p->past);
    const size_t blocks = div_up(keys, block_keys);
    const struct attention_form *f =
        choose(rows_per_warp, p->d_head, tiles * p->n_heads * blocks <= TWO_STAGE_BLOCKS * (size_t)dev->sms);
    void *partial = NULL;
    if (blocks > 1)
        SS_TRY(ss_cuda_scratch(dev, SCRATCH_PARTIALS, blocks * rows * (p->d_head + 2) * sizeof(float), &partial));
    struct attention_task task = {*p, qkv, k_cache, v_cache, out, (float *)partial, block_keys, 0, 0, 0};
    task.scale = ss_attend_scale(p->d_head);
    task.bf16 = act == SS_BF16;
    task.wide = p->d_head % 4 == 0 && aligned_to(k_cache, 16) && aligned_to(v_cache, 16);
    dim3 grid((unsigned)tiles, (unsigned)p->n_heads, (unsigned)blocks);
    f->kernel<<<grid, THREADS, shared_bytes(f->rows, f->chunks, f->stages), dev->stream>>>(task);
    CU_LAUNCHED("k_attention");
    if (blocks > 1) {
        k_join_attention<<<(unsigned)div_up(rows, WARPS), THREADS, 0, dev->stream>>>(task, rows, (int)blocks);
        CU_LAUNCHED("k_join_attention");
    }
    return SS_OK;
}
