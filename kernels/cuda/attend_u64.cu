/* attend_u64.cu — the two causal matrix products of attention in Z_2^64. At 56 tokens a layer has some ten million
   multiply-adds of four IMADs each: tiles in shared memory, one sum per thread. */
#include "kernels/cuda/ragged.cuh"

enum { TOKENS = 16, KEYS = 16, DEPTH = 32, THREADS = TOKENS * KEYS, V_TOKENS = 8, V_COLS = 32, V_KEYS = 32 };

struct product {
    struct ss_attention p;
    struct ss_ragged rows; /* of the weights: n_heads x tokens */
    uint64_t *out;
    const uint64_t *a, *b;
    size_t a_stride, b_stride;
    bool accumulate;
};

static struct product product_of(const struct ss_attention *p, uint64_t *out, const uint64_t *a, size_t a_stride,
                                 const uint64_t *b, size_t b_stride, bool accumulate)
{
    const struct ss_ragged rows = {p->n_heads * p->tokens, 0, p->tokens, p->past};
    return {*p, rows, out, a, b, a_stride, b_stride, accumulate};
}

/* grid (key tiles, token tiles, heads); a = q, b = k */
__global__ void __launch_bounds__(THREADS) k_scores(const struct product t)
{
    __shared__ uint64_t q_tile[TOKENS][DEPTH], k_tile[KEYS][DEPTH + 1];
    const struct ss_attention &p = t.p;
    const size_t token0 = (size_t)blockIdx.y * TOKENS, key0 = (size_t)blockIdx.x * KEYS, head = blockIdx.z;
    if (key0 > p.past + token0 + TOKENS - 1) /* no row of this tile sees any of these keys */
        return;
    const size_t group = head / (p.n_heads / p.n_kv), keys = p.past + p.tokens;
    const int key = threadIdx.x % KEYS, token = threadIdx.x / KEYS;
    uint64_t sum = 0;
    for (size_t c0 = 0; c0 < p.d_head; c0 += DEPTH) {
        __syncthreads();
        for (int at = threadIdx.x; at < TOKENS * DEPTH; at += THREADS) {
            const int i = at / DEPTH, c = at % DEPTH;
            const bool inside = c0 + c < p.d_head;
            q_tile[i][c] = inside && token0 + i < p.tokens ? t.a[(token0 + i) * t.a_stride + head * p.d_head + c0 + c] : 0;
            k_tile[i][c] = inside && key0 + i < keys ? t.b[(key0 + i) * t.b_stride + group * p.d_head + c0 + c] : 0;
        }
        __syncthreads();
#pragma unroll 8
        for (int c = 0; c < DEPTH; c++)
            sum += q_tile[token][c] * k_tile[key][c];
    }
    const size_t i = token0 + token, j = key0 + key;
    if (i >= p.tokens || j > p.past + i)
        return;
    uint64_t *y = t.out + row_start(t.rows, head * p.tokens + i) + j;
    *y = sum + (t.accumulate ? *y : 0);
}
static_assert(TOKENS == KEYS, "one loop fills both tiles");

enum ss_err ss_cuda_gemm_u64_scores(struct ss_dev *dev, uint64_t *out, const uint64_t *q, size_t q_stride, const uint64_t *k,
                                    size_t k_stride, const struct ss_attention *p, bool accumulate)
{
    SS_REQUIRE(p->n_heads % p->n_kv == 0 && p->n_heads <= 65535 && p->tokens <= 65535);
    if (p->tokens == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const dim3 grid((unsigned)div_up(p->past + p->tokens, KEYS), (unsigned)div_up(p->tokens, TOKENS), (unsigned)p->n_heads);
    k_scores<<<grid, THREADS, 0, dev->stream>>>(product_of(p, out, q, q_stride, k, k_stride, accumulate));
    CU_LAUNCHED("k_scores");
    return SS_OK;
}

/* grid (column tiles, token tiles, heads); a = weights, b = v */
__global__ void __launch_bounds__(V_TOKENS *V_COLS) k_values(const struct product t)
{
    __shared__ uint64_t w_tile[V_TOKENS][V_KEYS], v_tile[V_KEYS][V_COLS];
    const struct ss_attention &p = t.p;
    const size_t token0 = (size_t)blockIdx.y * V_TOKENS, col0 = (size_t)blockIdx.x * V_COLS, head = blockIdx.z;
    const size_t group = head / (p.n_heads / p.n_kv);
    const size_t last = token0 + V_TOKENS < p.tokens ? token0 + V_TOKENS : p.tokens, visible = p.past + last;
    const int col = threadIdx.x % V_COLS, token = threadIdx.x / V_COLS;
    const size_t i = token0 + token, l = col0 + col;
    /* this thread fills weight (token, col) and values (token + 8 n, col) of the tiles */
    const uint64_t *weights = i < p.tokens ? t.a + row_start(t.rows, head * p.tokens + i) : NULL;
    uint64_t sum = 0;
    for (size_t j0 = 0; j0 < visible; j0 += V_KEYS) {
        __syncthreads();
        w_tile[token][col] = weights && j0 + col <= p.past + i ? weights[j0 + col] : 0;
        for (int n = token; n < V_KEYS; n += V_TOKENS)
            v_tile[n][col] = l < p.d_head && j0 + n < visible ? t.b[(j0 + n) * t.b_stride + group * p.d_head + l] : 0;
        __syncthreads();
#pragma unroll 8
        for (int n = 0; n < V_KEYS; n++)
            sum += w_tile[token][n] * v_tile[n][col];
    }
    if (i >= p.tokens || l >= p.d_head)
        return;
    uint64_t *y = t.out + (i * p.n_heads + head) * p.d_head + l;
    *y = sum + (t.accumulate ? *y : 0);
}
static_assert(V_KEYS == V_COLS, "a thread per weight of the tile");

enum ss_err ss_cuda_gemm_u64_values(struct ss_dev *dev, uint64_t *out, const uint64_t *w, const uint64_t *v, size_t v_stride,
                                    const struct ss_attention *p, bool accumulate)
{
    SS_REQUIRE(p->n_heads % p->n_kv == 0 && p->n_heads <= 65535 && p->tokens <= 65535);
    if (p->tokens == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const dim3 grid((unsigned)div_up(p->d_head, V_COLS), (unsigned)div_up(p->tokens, V_TOKENS), (unsigned)p->n_heads);
    k_values<<<grid, V_TOKENS * V_COLS, 0, dev->stream>>>(product_of(p, out, w, 0, v, v_stride, accumulate));
    CU_LAUNCHED("k_values");
    return SS_OK;
}
