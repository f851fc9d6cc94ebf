/* compare.cu — comparisons: bits of values sliced over words, the carry tree over them, and the way back to additive shares;
   the functions of kernels/cpu/compare.c. All of it moves bytes, which decide for many values; one launch each, which decides
   for few. Slices: a warp turns 64 values (20 shuffles, against 128 ballots), a block 16 groups of them through shared memory,
   so that each row of bits is read and written in whole lines. No branch and no address depends on a ring value or a bit. */
#include "kernels/carry.h"
#include "kernels/cuda/cuda.cuh"

enum {
    THREADS = 256,
    LANES = 64,  /* values a word of sliced bits */
    GROUPS = 16, /* words of each row of bits in a block's tile */
    WARPS = THREADS / 32,
    TURNS = GROUPS / WARPS,  /* groups that a warp turns */
    STEP = THREADS / GROUPS, /* rows that a block writes at once; blocks of the carry that it has threads for */
    ROWS = LANES / STEP      /* rows that a thread writes */
};

static __device__ __forceinline__ size_t flat_index(void)
{
    return (size_t)blockIdx.x * THREADS + threadIdx.x;
}

static __device__ __forceinline__ size_t quotient(size_t i, size_t by)
{
    return (i | by) >> 32 ? i / by : (uint32_t)i / (uint32_t)by;
}

/* Blocks a row of values; with few of them, the thresholds go side by side instead of behind each other. */
static dim3 grid_of(const struct ss_dev *dev, size_t blocks, unsigned thresholds)
{
    return dim3((unsigned)blocks, blocks < 2 * (size_t)dev->sms ? thresholds : 1);
}

/* Lane i has row i of 32 x 32 bits and gets column i (Warren, Hacker's Delight, 7-3): at each step lanes i and i ^ step
   exchange the halves that lie off the diagonal. */
static __device__ __forceinline__ uint32_t transposed(uint32_t x)
{
    const uint32_t lane = threadIdx.x % 32;
    uint32_t low = 0xffff;
#pragma unroll
    for (uint32_t step = 16; step; step /= 2, low ^= low << step) {
        const bool upper = lane & step;
        const uint32_t other = __shfl_xor_sync(~0u, x, step), keep = upper ? ~low : low;
        x = (x & keep) | (__funnelshift_l(other, other, upper ? 32 - step : step) & ~keep);
    }
    return x;
}

/* A warp's 64 values of a group, `lane` and 32 + `lane` of them, to the group's column of the tile. The odd row length spreads
   a column over all banks. */
typedef uint64_t tile_t[LANES][GROUPS + 1];
static __device__ __forceinline__ void put_group(tile_t tile, int group, uint64_t v0, uint64_t v1)
{
    const int lane = threadIdx.x % 32;
    const uint32_t low0 = transposed((uint32_t)v0), low1 = transposed((uint32_t)v1);
    const uint32_t high0 = transposed((uint32_t)(v0 >> 32)), high1 = transposed((uint32_t)(v1 >> 32));
    tile[lane][group] = (uint64_t)low1 << 32 | low0;
    tile[32 + lane][group] = (uint64_t)high1 << 32 | high0;
}

/* Bytes a value: 8 for each of a, b, and bits / 8 for each of with, out. */
__global__ void __launch_bounds__(THREADS)
    k_bits_slice(uint64_t *out, const uint64_t *a, const uint64_t *b, const uint64_t *with, size_t n, unsigned bits)
{
    __shared__ tile_t tile;
    const size_t groups = (n + LANES - 1) / LANES, group0 = (size_t)blockIdx.x * GROUPS;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, column = threadIdx.x % GROUPS;
#pragma unroll
    for (int q = 0; q < TURNS; q++) {
        const size_t i = (group0 + q * WARPS + warp) * LANES + lane, j = i + 32;
        const uint64_t v0 = i < n ? a[i] + (b ? b[i] : 0) : 0, v1 = j < n ? a[j] + (b ? b[j] : 0) : 0;
        put_group(tile, q * WARPS + warp, v0, v1);
    }
    __syncthreads();
    if (group0 + column >= groups)
        return;
#pragma unroll
    for (int q = 0; q < ROWS; q++) {
        const unsigned row = threadIdx.x / GROUPS + q * STEP;
        const size_t at = row * groups + group0 + column;
        if (row < bits)
            out[at] = tile[row][column] ^ (with ? with[at] : 0);
    }
}

enum ss_err ss_cuda_bits_slice(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, const uint64_t *with,
                               size_t n, unsigned bits)
{
    SS_REQUIRE(bits <= LANES);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_bits_slice<<<(unsigned)div_up(n, LANES * GROUPS), THREADS, 0, dev->stream>>>(out, a, b, with, n, bits);
    CU_LAUNCHED("k_bits_slice");
    return SS_OK;
}

/* A level of the carry to be filled. */
struct level {
    uint64_t *kept, *message;
    const uint64_t *masks;
    size_t count, words;
};

static __device__ __forceinline__ void put_one(const struct level &l, enum ss_carry_where where, size_t row, size_t w,
                                               uint64_t x)
{
    const size_t at = row * l.words + w;
    if (where == SS_CARRY_KEPT)
        l.kept[at] = x;
    else if (where == SS_CARRY_MESSAGE)
        l.message[at] = x ^ l.masks[at];
}

/* Word w of position k to where the level needs it. */
static __device__ __forceinline__ void put(const struct level &l, size_t k, size_t w, uint64_t g, uint64_t p)
{
    const struct ss_carry_place to = ss_carry_place(l.count, k);
    put_one(l, to.g, to.g_at, w, g);
    put_one(l, to.p, to.p_at, w, p);
}

struct leaves {
    struct level to;
    const uint64_t *c0, *c1, *m, *products;
    const uint8_t *shift;
    uint64_t t[SS_MAX_THRESHOLDS];
};

/* Bytes a value, at 64 bits: 45.1 read; 4 written and 3.4 of masks read a threshold; c0 + c1, m and products are kept in
   registers from threshold to threshold. A thread makes a word of a block. first: all bits on party 0, none on party 1. */
__global__ void __launch_bounds__(THREADS)
    k_carry_leaves(const struct leaves a, size_t n, size_t cols, unsigned thresholds, unsigned bits, uint64_t first)
{
    __shared__ tile_t tile;
    const size_t groups = (n + LANES - 1) / LANES, group0 = (size_t)blockIdx.x * GROUPS;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, column = threadIdx.x % GROUPS;
    const size_t group = group0 + column;
    const unsigned block = threadIdx.x / GROUPS, bit0 = block * SS_BLOCK_BITS, left = bit0 + 1 < bits ? bits - 1 - bit0 : 0;
    const unsigned here = left < SS_BLOCK_BITS ? left : SS_BLOCK_BITS; /* bits of this block */
    const bool busy = here > 0 && group < groups;
    uint64_t c[TURNS][2], share[SS_BLOCK_SUBSETS];
    unsigned up[TURNS][2];
#pragma unroll
    for (int q = 0; q < TURNS; q++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const size_t i = (group0 + q * WARPS + warp) * LANES + h * 32 + lane;
            c[q][h] = i < n ? a.c0[i] + a.c1[i] : 0;
            up[q][h] = i < n && a.shift ? a.shift[i - quotient(i, cols) * cols] : 0;
        }
    size_t bit = bit0 * groups + group, product = block * SS_BLOCK_PRODUCTS * groups + group;
    share[0] = first;
#pragma unroll
    for (unsigned v = 1; v < SS_BLOCK_SUBSETS; v++) { /* of bits that are not there: 0, and C is 1: they pass a carry on */
        const bool single = !(v & (v - 1)), there = busy && v < 1u << here;
        share[v] = !there ? 0 : single ? a.m[bit] : a.products[product];
        *(single ? &bit : &product) += groups;
    }
    const bool last = busy && left <= SS_BLOCK_BITS;
    const uint64_t m_top = last ? a.m[(bits - 1) * groups + group] : 0;
    for (unsigned k = blockIdx.y; k < thresholds; k += gridDim.y) {
#pragma unroll
        for (int q = 0; q < TURNS; q++) {
            const size_t i = (group0 + q * WARPS + warp) * LANES + lane;
            const uint64_t v0 = i < n ? c[q][0] - (a.t[k] << up[q][0]) : 0;
            const uint64_t v1 = i + 32 < n ? c[q][1] - (a.t[k] << up[q][1]) : 0;
            put_group(tile, q * WARPS + warp, v0, v1);
        }
        __syncthreads();
        if (busy) {
            uint64_t mask[SS_BLOCK_SUBSETS], opened[SS_BLOCK_BITS], g, p;
#pragma unroll
            for (unsigned v = 0; v < SS_BLOCK_SUBSETS; v++)
                mask[v] = share[v];
#pragma unroll
            for (unsigned j = 0; j < SS_BLOCK_BITS; j++)
                opened[j] = j < here ? tile[bit0 + j][column] : ~(uint64_t)0;
            ss_block_join(&g, &p, mask, opened, SS_BLOCK_BITS);
            if (last)
                g ^= (tile[bits - 1][column] & first) ^ m_top;
            put(a.to, block, k * groups + group, g, p);
        }
        __syncthreads();
    }
}

enum ss_err ss_cuda_carry_leaves(struct ss_dev *dev, uint64_t *kept, uint64_t *message, const uint64_t *c0, const uint64_t *c1,
                                 const uint64_t *m, const uint64_t *products, const uint64_t *masks, const uint64_t *h_t,
                                 unsigned thresholds, const uint8_t *shift, size_t rows, size_t cols, unsigned bits, int party)
{
    const size_t n = rows * cols;
    SS_REQUIRE(bits >= 2 && bits <= LANES && thresholds <= SS_MAX_THRESHOLDS);
    if (n == 0 || thresholds == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    struct leaves a = {
        {kept, message, masks, ss_carry_leaves(bits), thresholds * div_up(n, LANES)}, c0, c1, m, products, shift, {}};
    for (unsigned k = 0; k < thresholds; k++)
        a.t[k] = h_t[k];
    const dim3 grid = grid_of(dev, div_up(n, LANES * GROUPS), thresholds);
    k_carry_leaves<<<grid, THREADS, 0, dev->stream>>>(a, n, cols, thresholds, bits, party == 0 ? ~(uint64_t)0 : 0);
    CU_LAUNCHED("k_carry_leaves");
    return SS_OK;
}

/* ---- the tree: a thread per word of a node. Bytes a word of a whole node: 380 (node 0: 290), dealt: 460 (340). */
struct join {
    struct level to;
    const uint64_t *kept, *mine, *theirs, *masks, *products;
    size_t count;
    uint64_t first;
};

/* A word of a node of N positions. */
template <unsigned N>
static __device__ __forceinline__ void join_node(const struct join &a, const struct ss_carry_node &node, size_t k, size_t w)
{
    const size_t words = a.to.words;
    uint64_t e[2 * N - 1], mask[2 * N - 1], product[SS_CARRY_PRODUCTS], g = a.kept[k * words + w], p = 0;
#pragma unroll
    for (unsigned i = 0; i < 2 * N - 1; i++) {
        const size_t at = (node.opened_at + i) * words + w;
        e[i] = i < node.rows ? a.mine[at] ^ a.theirs[at] : 0;
        mask[i] = i < node.rows ? a.masks[at] : 0;
    }
#pragma unroll
    for (unsigned i = 0; i < SS_CARRY_PRODUCTS; i++)
        product[i] = i < node.product_rows ? a.products[(node.product_at + i) * words + w] : 0;
    ss_carry_node_join(&g, &p, e, mask, product, &a.first, N, node.has_p);
    put(a.to, k, w, g, p);
}

__global__ void __launch_bounds__(THREADS) k_carry_join(const struct join a)
{
    const size_t at = flat_index(), words = a.to.words;
    if (at >= a.to.count * words)
        return;
    const size_t k = quotient(at, words), w = at - k * words;
    const struct ss_carry_node node = ss_carry_node(a.count, k);
    switch (node.positions) {
    case 4:
        return join_node<4>(a, node, k, w);
    case 3:
        return join_node<3>(a, node, k, w);
    case 2:
        return join_node<2>(a, node, k, w);
    default: /* moves along */
        put(a.to, k, w, a.kept[at], a.kept[at + words]);
    }
}

enum ss_err ss_cuda_carry_join(struct ss_dev *dev, uint64_t *kept_out, uint64_t *message_out, const uint64_t *kept,
                               const uint64_t *mine, const uint64_t *theirs, const uint64_t *masks, const uint64_t *products,
                               size_t count, size_t words, int party)
{
    const size_t nodes = ss_carry_nodes(count);
    SS_REQUIRE(count > 1);
    if (words == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct level to = {kept_out, message_out, masks + ss_carry_opened(count) * words, nodes, words};
    const struct join a = {to, kept, mine, theirs, masks, products, count, party == 0 ? ~(uint64_t)0 : 0};
    k_carry_join<<<(unsigned)div_up(nodes * words, THREADS), THREADS, 0, dev->stream>>>(a);
    CU_LAUNCHED("k_carry_join");
    return SS_OK;
}

/* ---- the dealer's side: a thread per word of a node or block */
struct deal {
    uint64_t *products1;
    const uint64_t *products0, *masks0, *masks1;
    size_t count, words;
};

template <unsigned N>
static __device__ __forceinline__ void deal_node(const struct deal &d, const struct ss_carry_node &node, size_t w)
{
    uint64_t mask[2 * N - 1], product[SS_CARRY_PRODUCTS];
#pragma unroll
    for (unsigned i = 0; i < 2 * N - 1; i++) {
        const size_t at = (node.opened_at + i) * d.words + w;
        mask[i] = i < node.rows ? d.masks0[at] ^ d.masks1[at] : 0;
    }
    ss_carry_node_products(product, mask, N, 1);
#pragma unroll
    for (unsigned i = 0; i < (4u << (N - 1)) - 2 - 2 * N; i++) {
        const size_t at = (node.product_at + i) * d.words + w;
        if (i < node.product_rows)
            d.products1[at] = product[i] ^ d.products0[at];
    }
}

__global__ void __launch_bounds__(THREADS) k_carry_deal(const struct deal d)
{
    const size_t at = flat_index(), k = quotient(at, d.words), w = at - k * d.words;
    if (k >= ss_carry_nodes(d.count))
        return;
    const struct ss_carry_node node = ss_carry_node(d.count, k);
    switch (node.positions) {
    case 4:
        return deal_node<4>(d, node, w);
    case 3:
        return deal_node<3>(d, node, w);
    case 2:
        return deal_node<2>(d, node, w);
    default: /* nothing is opened */
        return;
    }
}

enum ss_err ss_cuda_carry_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *masks0,
                               const uint64_t *masks1, size_t count, size_t words)
{
    SS_REQUIRE(count > 1);
    if (words == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct deal d = {products1, products0, masks0, masks1, count, words};
    k_carry_deal<<<(unsigned)div_up(ss_carry_nodes(count) * words, THREADS), THREADS, 0, dev->stream>>>(d);
    CU_LAUNCHED("k_carry_deal");
    return SS_OK;
}

/* d.count: bits. */
__global__ void __launch_bounds__(THREADS) k_block_deal(const struct deal d, size_t blocks)
{
    const size_t at = flat_index(), k = quotient(at, d.words), w = at - k * d.words;
    if (k >= blocks)
        return;
    const size_t bit0 = k * SS_BLOCK_BITS, left = d.count - bit0;
    uint64_t one[SS_BLOCK_BITS], all[SS_BLOCK_SUBSETS];
#pragma unroll
    for (unsigned j = 0; j < SS_BLOCK_BITS; j++) {
        const size_t in = (bit0 + j) * d.words + w;
        one[j] = j < left ? d.masks0[in] ^ d.masks1[in] : 0;
    }
    ss_subset_products(all, one, SS_BLOCK_BITS);
    size_t out = k * SS_BLOCK_PRODUCTS * d.words + w;
#pragma unroll
    for (unsigned v = 1; v < SS_BLOCK_SUBSETS; v++)
        if ((v & (v - 1)) && (left >= SS_BLOCK_BITS || v < 1u << left)) {
            d.products1[out] = all[v] ^ d.products0[out];
            out += d.words;
        }
}

enum ss_err ss_cuda_block_deal(struct ss_dev *dev, uint64_t *products1, const uint64_t *products0, const uint64_t *m0,
                               const uint64_t *m1, size_t bits, size_t words)
{
    const size_t blocks = (bits + SS_BLOCK_BITS - 1) / SS_BLOCK_BITS;
    SS_REQUIRE(bits > 0 && bits < LANES);
    if (words == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct deal d = {products1, products0, m0, m1, bits, words};
    k_block_deal<<<(unsigned)div_up(blocks * words, THREADS), THREADS, 0, dev->stream>>>(d, blocks);
    CU_LAUNCHED("k_block_deal");
    return SS_OK;
}

/* ---- back to additive shares */
static __device__ __forceinline__ uint64_t opened_bit(const uint64_t *a, const uint64_t *b, size_t groups, size_t k, size_t i)
{
    const size_t word = k * groups + i / LANES;
    return (a[word] ^ b[word]) >> (i % LANES) & 1;
}

struct bits_arrays {
    uint64_t *s, *sx;
    const uint64_t *e0, *e1, *rho, *rho_a, *a, *c0, *c1;
};

/* Bytes a value: 16 a threshold for s; 16 more for sx, and 24 once. */
__global__ void k_bits_close(const struct bits_arrays p, size_t n, unsigned thresholds, uint64_t first)
{
    const size_t i = flat_index(), groups = (n + LANES - 1) / LANES;
    if (i >= n)
        return;
    const uint64_t a = p.sx ? p.a[i] : 0, c = p.sx ? p.c0[i] + p.c1[i] : 0;
    for (unsigned k = blockIdx.y; k < thresholds; k += gridDim.y) {
        const size_t at = k * n + i;
        const uint64_t e = opened_bit(p.e0, p.e1, groups, k, i), sign = 1 - 2 * e, bit = first * e + sign * p.rho[at];
        if (p.s)
            p.s[at] = bit;
        if (p.sx)
            p.sx[at] = c * bit + e * a + sign * p.rho_a[at];
    }
}

enum ss_err ss_cuda_bits_close(struct ss_dev *dev, uint64_t *s, uint64_t *sx, const uint64_t *e0, const uint64_t *e1,
                               const uint64_t *rho, const uint64_t *rho_a, const uint64_t *a, const uint64_t *c0,
                               const uint64_t *c1, size_t n, unsigned thresholds, int party)
{
    if (n == 0 || thresholds == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct bits_arrays p = {s, sx, e0, e1, rho, rho_a, a, c0, c1};
    const dim3 grid = grid_of(dev, div_up(n, THREADS), thresholds);
    k_bits_close<<<grid, THREADS, 0, dev->stream>>>(p, n, thresholds, party == 0);
    CU_LAUNCHED("k_bits_close");
    return SS_OK;
}

struct bits_deal_arrays {
    uint64_t *rho1, *rho_a1;
    const uint64_t *rho0, *rho_a0, *bits0, *bits1, *a0, *a1;
};

__global__ void k_bits_deal(const struct bits_deal_arrays p, size_t n, unsigned thresholds)
{
    const size_t i = flat_index(), groups = (n + LANES - 1) / LANES;
    if (i >= n)
        return;
    const uint64_t a = p.rho_a1 ? p.a0[i] + p.a1[i] : 0;
    for (unsigned k = blockIdx.y; k < thresholds; k += gridDim.y) {
        const size_t at = k * n + i;
        const uint64_t rho = opened_bit(p.bits0, p.bits1, groups, k, i);
        p.rho1[at] = rho - p.rho0[at];
        if (p.rho_a1)
            p.rho_a1[at] = rho * a - p.rho_a0[at];
    }
}

enum ss_err ss_cuda_bits_deal(struct ss_dev *dev, uint64_t *rho1, uint64_t *rho_a1, const uint64_t *rho0,
                              const uint64_t *rho_a0, const uint64_t *bits0, const uint64_t *bits1, const uint64_t *a0,
                              const uint64_t *a1, size_t n, unsigned thresholds)
{
    if (n == 0 || thresholds == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct bits_deal_arrays p = {rho1, rho_a1, rho0, rho_a0, bits0, bits1, a0, a1};
    const dim3 grid = grid_of(dev, div_up(n, THREADS), thresholds);
    k_bits_deal<<<grid, THREADS, 0, dev->stream>>>(p, n, thresholds);
    CU_LAUNCHED("k_bits_deal");
    return SS_OK;
}

struct coefficients {
    uint64_t c[SS_MAX_THRESHOLDS];
};

__global__ void k_combine(uint64_t *out, const uint64_t *in, const struct coefficients coef, unsigned terms, uint64_t constant,
                          size_t n)
{
    const size_t i = flat_index();
    if (i >= n)
        return;
    uint64_t sum = constant;
#pragma unroll 8
    for (unsigned k = 0; k < terms; k++)
        sum += coef.c[k] * in[k * n + i];
    out[i] = sum;
}

enum ss_err ss_cuda_ring_combine(struct ss_dev *dev, uint64_t *out, const uint64_t *in, const uint64_t *h_coef, unsigned terms,
                                 uint64_t constant, size_t n)
{
    SS_REQUIRE(terms <= SS_MAX_THRESHOLDS);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    struct coefficients coef = {};
    for (unsigned k = 0; k < terms; k++)
        coef.c[k] = h_coef[k];
    k_combine<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(out, in, coef, terms, constant, n);
    CU_LAUNCHED("k_combine");
    return SS_OK;
}
