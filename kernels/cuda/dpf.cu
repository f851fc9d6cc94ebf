/* dpf.cu — distributed point functions with one-bit outputs (Boyle, Gilboa, Ishai, CCS 2016) and one-hot shares; the functions
   of kernels/cpu/dpf.c. The cipher decides: a key of 12 bits costs 94 AES blocks. A thread walks one quarter of a key's tree
   depth first, so that keys of one layer fill the device and only two blocks are computed twice. */
#include "kernels/cuda/aes.cuh"

enum {
    THREADS = 512,
    BLOCKS_PER_SM = 2,
    LEAF_BITS = 7,
    MAX_BITS = 14,
    MAX_SPLIT = 2,
    MAX_DEPTH = MAX_BITS - LEAF_BITS - MAX_SPLIT
};
enum { LEFT, RIGHT, LEAF }; /* tweaks of the hash: the low two bits of its input */

struct hash { /* what hashing needs on the device */
    const uint32_t *table;
    uint32_t lane;
    const struct aes_words &key;
};

static __device__ __forceinline__ uint4 load_block(const uint64_t *p)
{
    const uint64_t low = p[0], high = p[1];
    return make_uint4((uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32));
}

static __device__ __forceinline__ void store_block(uint64_t *p, uint4 b)
{
    p[0] = (uint64_t)b.y << 32 | b.x;
    p[1] = (uint64_t)b.w << 32 | b.z;
}

static __device__ __forceinline__ uint4 xored(uint4 a, uint4 b)
{
    return make_uint4(a.x ^ b.x, a.y ^ b.y, a.z ^ b.z, a.w ^ b.w);
}

static __device__ __forceinline__ uint4 selected(uint4 a, uint32_t mask)
{
    return make_uint4(a.x & mask, a.y & mask, a.z & mask, a.w & mask);
}

static __device__ __forceinline__ uint4 tweaked(uint4 s, uint32_t tweak)
{
    return make_uint4((s.x & ~3u) | tweak, s.y, s.z, s.w);
}

/* All ones if the control bit of s is set. */
static __device__ __forceinline__ uint32_t control(uint4 s)
{
    return 0u - (s.x & 1);
}

/* The correction of the left (0) or right (1) child: its control correction moved to bit 0. */
static __device__ __forceinline__ uint4 correction(uint4 cw, unsigned side)
{
    return make_uint4((cw.x & ~3u) | (cw.x >> side & 1), cw.y, cw.z, cw.w);
}

static __device__ __forceinline__ uint4 hashed(const struct hash &h, uint4 s, uint32_t tweak)
{
    const uint4 in = tweaked(s, tweak);
    return xored(aes_encrypt(h.table, h.lane, h.key, in), in);
}

static __device__ __forceinline__ uint32_t point(uint64_t b0, uint64_t b1, unsigned n_bits, unsigned fine_bits)
{
    return (uint32_t)((b0 + b1) >> fine_bits) & ((1u << n_bits) - 1);
}

/* Thread per (key, part): leaves part * 2^depth .. of the key, depth = levels - split. */
__global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    k_dpf_eval(uint64_t *bits, const uint64_t *root, const uint64_t *cw, size_t n, int levels, int split,
               const __grid_constant__ struct aes_words key, uint32_t party)
{
    __shared__ uint32_t table[AES_TABLE];
    aes_fill_table(table);
    __syncthreads();
    const struct hash h = {table, 4 * (threadIdx.x % AES_BANKS), key};
    const size_t step = (size_t)gridDim.x * THREADS, threads = n << split;
    const int depth = levels - split;
    for (size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x; at < threads; at += step) {
        const size_t i = at >> split;
        const uint32_t part = (uint32_t)at & ((1u << split) - 1);
        const uint64_t *my_cw = cw + i * 2 * (size_t)(levels + 1);
        uint64_t *out = bits + (at << depth) * 2;
        uint4 node = tweaked(load_block(root + 2 * i), party), right[MAX_DEPTH];
        for (int l = 0; l < split; l++) {
            const uint32_t side = part >> (split - 1 - l) & 1;
            const uint4 c = correction(load_block(my_cw + 2 * l), side);
            node = xored(hashed(h, node, side), selected(c, control(node)));
        }
        for (int leaf = 0, level = 0; leaf < 1 << depth; leaf++) {
#pragma unroll 1
            for (; level < depth; level++) { /* down to the left, remembering the right */
                const uint4 c = load_block(my_cw + 2 * (split + level));
                const uint32_t t = control(node);
                const uint4 l = hashed(h, node, LEFT), r = hashed(h, node, RIGHT);
                right[level] = xored(r, selected(correction(c, 1), t));
                node = xored(l, selected(correction(c, 0), t));
            }
            store_block(out + 2 * leaf, xored(hashed(h, node, LEAF), selected(load_block(my_cw + 2 * levels), control(node))));
            level = depth - __ffs(leaf + 1); /* where the path to the next leaf turns right; -1 after the last */
            if (level >= 0)
                node = right[level];
            level++;
        }
    }
}

enum ss_err ss_cuda_dpf_eval(struct ss_dev *dev, uint64_t *bits, const uint64_t *root, const uint64_t *cw, size_t n,
                             unsigned n_bits, const struct ss_aes_key *key, int party)
{
    SS_REQUIRE(n_bits >= LEAF_BITS && n_bits <= MAX_BITS);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const int levels = (int)n_bits - LEAF_BITS, split = levels < MAX_SPLIT ? levels : (int)MAX_SPLIT;
    const size_t grid = smaller(div_up(n << split, THREADS), (size_t)dev->sms * BLOCKS_PER_SM);
    k_dpf_eval<<<(unsigned)grid, THREADS, 0, dev->stream>>>(bits, root, cw, n, levels, split, aes_words_of(key),
                                                            (uint32_t)party);
    CU_LAUNCHED("k_dpf_eval");
    return SS_OK;
}

struct gen_arrays {
    uint64_t *cw, *sign;
    const uint64_t *root0, *root1, *b0, *b1;
};

/* Thread per key. */
__global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
    k_dpf_gen(struct gen_arrays p, size_t n, unsigned n_bits, unsigned fine_bits, const __grid_constant__ struct aes_words key)
{
    __shared__ uint32_t table[AES_TABLE];
    aes_fill_table(table);
    __syncthreads();
    const struct hash h = {table, 4 * (threadIdx.x % AES_BANKS), key};
    const int levels = (int)n_bits - LEAF_BITS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (size_t)gridDim.x * THREADS) {
        const uint32_t r = point(p.b0[i], p.b1[i], n_bits, fine_bits);
        uint64_t *cw = p.cw + i * 2 * (size_t)(levels + 1);
        uint4 at0 = tweaked(load_block(p.root0 + 2 * i), 0), at1 = tweaked(load_block(p.root1 + 2 * i), 1);
#pragma unroll 1
        for (int l = 0; l < levels; l++) {
            const uint32_t bit = r >> (LEAF_BITS + levels - 1 - l) & 1, to_right = 0u - bit;
            const uint4 l0 = hashed(h, at0, LEFT), r0 = hashed(h, at0, RIGHT), d0 = selected(xored(l0, r0), to_right);
            const uint4 l1 = hashed(h, at1, LEFT), r1 = hashed(h, at1, RIGHT), d1 = selected(xored(l1, r1), to_right);
            const uint32_t t_left = (l0.x ^ l1.x ^ bit ^ 1) & 1, t_right = (r0.x ^ r1.x ^ bit) & 1;
            const uint4 lost = xored(xored(r0, d0), xored(r1, d1)), c = tweaked(lost, t_left | t_right << 1);
            const uint4 left = correction(c, 0), kept = xored(left, selected(xored(left, correction(c, 1)), to_right));
            at0 = xored(xored(l0, d0), selected(kept, control(at0)));
            at1 = xored(xored(l1, d1), selected(kept, control(at1)));
            store_block(cw + 2 * l, c);
        }
        const uint4 leaf0 = hashed(h, at0, LEAF), leaf1 = hashed(h, at1, LEAF);
        const uint32_t one = 1u << (r & 31), word = r >> 5 & 3;
        const uint4 unit =
            make_uint4(one & (0u - (word == 0)), one & (0u - (word == 1)), one & (0u - (word == 2)), one & (0u - (word == 3)));
        const uint4 leaf = xored(xored(leaf0, leaf1), unit), mine = xored(leaf0, selected(leaf, control(at0)));
        const uint32_t hit = (mine.x & unit.x) | (mine.y & unit.y) | (mine.z & unit.z) | (mine.w & unit.w);
        store_block(cw + 2 * levels, leaf);
        p.sign[i] = 2 * (uint64_t)(hit >> (r & 31) & 1) - 1;
    }
}

enum ss_err ss_cuda_dpf_gen(struct ss_dev *dev, uint64_t *cw, uint64_t *sign, const uint64_t *root0, const uint64_t *root1,
                            const uint64_t *b0, const uint64_t *b1, size_t n, const struct ss_lookup_shape *s,
                            const struct ss_aes_key *key)
{
    SS_REQUIRE(s->n_bits >= LEAF_BITS && s->n_bits <= MAX_BITS);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const struct gen_arrays p = {cw, sign, root0, root1, b0, b1};
    const size_t grid = smaller(div_up(n, THREADS), (size_t)dev->sms * BLOCKS_PER_SM);
    k_dpf_gen<<<(unsigned)grid, THREADS, 0, dev->stream>>>(p, n, s->n_bits, s->fine_bits, aes_words_of(key));
    CU_LAUNCHED("k_dpf_gen");
    return SS_OK;
}

/* 2^lane_bits <= 32 lanes per row of `words` words. */
__global__ void k_onehot_deal(uint64_t *bits1, uint64_t *sign, const uint64_t *bits0, const uint64_t *b0, const uint64_t *b1,
                              size_t n, unsigned n_bits, unsigned fine_bits, int lane_bits)
{
    const size_t at = (size_t)blockIdx.x * THREADS + threadIdx.x, row = at >> lane_bits, i = row < n ? row : n - 1;
    const uint32_t lanes = 1u << lane_bits, words = 1u << (n_bits - 6), r = point(b0[i], b1[i], n_bits, fine_bits);
    uint64_t hit = 0;
    for (uint32_t j = (uint32_t)at & (lanes - 1); j < words; j += lanes) {
        const uint64_t here = -(uint64_t)(j == r >> 6) & (uint64_t)1 << (r & 63), word = bits0[i * words + j];
        if (row < n)
            bits1[i * words + j] = word ^ here;
        hit |= word & here;
    }
    uint32_t any = (uint32_t)(hit >> (r & 63)) & 1;
    for (uint32_t step = lanes / 2; step; step /= 2)
        any |= __shfl_xor_sync(~0u, any, step);
    if (row < n && (at & (lanes - 1)) == 0)
        sign[i] = 2 * (uint64_t)any - 1;
}

enum ss_err ss_cuda_onehot_deal(struct ss_dev *dev, uint64_t *bits1, uint64_t *sign, const uint64_t *bits0, const uint64_t *b0,
                                const uint64_t *b1, size_t n, const struct ss_lookup_shape *s)
{
    SS_REQUIRE(s->n_bits >= 6 && s->n_bits <= 30);
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    const int lane_bits = s->n_bits - 6 < 5 ? (int)s->n_bits - 6 : 5;
    k_onehot_deal<<<(unsigned)div_up(n << lane_bits, THREADS), THREADS, 0, dev->stream>>>(bits1, sign, bits0, b0, b1, n,
                                                                                          s->n_bits, s->fine_bits, lane_bits);
    CU_LAUNCHED("k_onehot_deal");
    return SS_OK;
}
