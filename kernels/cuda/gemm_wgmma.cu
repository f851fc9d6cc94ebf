/* gemm_wgmma.cu — the ring product of gemm_ring.cu as one Hopper kernel: TMA loads, wgmma on int8, recombination in registers.
   The int32 sums never leave the SM, and the k range is cut wherever that balances the SMs, since partial results add up
   exactly mod 2^64 with atomics.

   Two CTAs (a cluster) share 128 weight rows x T tokens: CTA h owns sums s_4h .. s_4h+3, that is 4 T accumulator columns, and
   needs digits d_4h-1 .. d_4h+3. Digit d_-1 is a block of zeros. Per step of 128 bytes of k:
     A  two planes of 128 weight rows   2 x 16 KB   each CTA fetches half and multicasts it to both
     B  five digit blocks of T tokens   5 T x 128 B
     s_4h+b += lo d_4h+b + hi d_4h+b-1: one wgmma m64 n4T k32 each, for hi the same shared memory T rows earlier.
   Sixteen products where fifteen suffice. Floor at 56 tokens: 2 * 16 m n k / 1979 TOPS by the datasheet. */
#include "kernels/cuda/cuda.cuh"

enum {
    ROWS = 128,               /* weight rows per cluster */
    STEP = 128,               /* bytes of k per stage: one swizzle row */
    HALF_ROWS = 64,           /* weight rows per consumer warpgroup, and per multicast */
    PLANE = ROWS * STEP,      /* bytes */
    SHIFTS = DIGITS / 2,      /* sums per CTA */
    BLOCKS = SHIFTS + 1,      /* digit blocks per CTA */
    TILE_BLOCKS = DIGITS + 1, /* digit blocks per token tile in memory: zeros, d_0 .. d_7 */
    CONSUMER_WARPS = 8,
    THREADS = 128 + 32 * CONSUMER_WARPS, /* first warpgroup: producer */
    MAX_SHARED = 227 * 1024,
    MAX_STAGES = 6
};

static __host__ __device__ constexpr int stage_bytes(int tokens)
{
    return 2 * PLANE + BLOCKS * tokens * STEP;
}
static __host__ __device__ constexpr int stages(int tokens)
{
    int fit = (MAX_SHARED - 2048) / stage_bytes(tokens);
    return fit < MAX_STAGES ? fit : MAX_STAGES;
}
static constexpr int shared_bytes(int tokens) /* 1024: the base is aligned by hand; then the barriers */
{
    return 1024 + stages(tokens) * stage_bytes(tokens) + 2 * 8 * MAX_STAGES;
}

/* digits (tiles, 9, T, k): a (m, k) as balanced digits (see k_split_digits), block 0 of each tile and tokens from m on zero.
   Also clears out (m * n words), onto which the product adds. One thread: 4 elements of one token. */
__global__ void k_tile_digits(uint8_t *digits, uint64_t *out, const uint64_t *a, size_t m, size_t k, size_t n, unsigned tokens,
                              size_t padded)
{
    const uint64_t center = 0x8080808080808080u;
    const size_t threads = (size_t)gridDim.x * blockDim.x, first = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (size_t i = first; i < m * n; i += threads)
        out[i] = 0;
    const size_t row = first / (k / 4), column = 4 * (first - row * (k / 4));
    if (row >= padded)
        return;
    uint64_t x[4] = {0, 0, 0, 0};
    if (row < m)
#pragma unroll
        for (int e = 0; e < 4; e++)
            x[e] = (a[row * k + column + e] + center) ^ center;
    const size_t tile = row / tokens, token = row - tile * tokens;
    uint8_t *to = digits + (tile * TILE_BLOCKS * tokens + token) * k + column;
    *(uint32_t *)to = 0;
#pragma unroll
    for (int d = 0; d < DIGITS; d++) {
        uint32_t packed = 0;
#pragma unroll
        for (int e = 0; e < 4; e++)
            packed |= (uint32_t)(x[e] >> (8 * d) & 255) << (8 * e);
        *(uint32_t *)(to + (size_t)(d + 1) * tokens * k) = packed;
    }
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#include "kernels/cuda/hopper.cuh"

/* What a CTA walks through: units of (tile, step of k), contiguous per cluster, tokens varying before rows. */
struct walk {
    int unit, end, steps, token_tiles, half;
};

template <int T>
static __device__ __forceinline__ void produce(const CUtensorMap *weights, const CUtensorMap *digits, uint32_t base,
                                               uint32_t full, uint32_t empty, struct walk w)
{
    for (int i = 0; w.unit < w.end; i++, w.unit++) {
        const int slot = i % stages(T), lap = i / stages(T);
        const int tile = w.unit / w.steps, k = (w.unit - tile * w.steps) * STEP;
        const int row_tile = tile / w.token_tiles, token_tile = tile - row_tile * w.token_tiles;
        const uint32_t stage = base + slot * stage_bytes(T), filled = full + 8 * slot;
        barrier_wait(empty + 8 * slot, (lap & 1) ^ 1);
        barrier_expect(filled, stage_bytes(T));
        for (int plane = 0; plane < 2; plane++)
            load_both(stage + plane * PLANE + w.half * HALF_ROWS * STEP, weights, k, row_tile * ROWS + w.half * HALF_ROWS,
                      plane, filled);
        for (int b = 0; b < BLOCKS; b++)
            load(stage + 2 * PLANE + b * T * STEP, digits, k, (token_tile * TILE_BLOCKS + SHIFTS * w.half + b) * T, filled);
    }
}

/* Adds one warp's finished sums to out (m, n): lanes 4 g .. 4 g + 3 hold rows g and g + 8, two tokens each per 8 columns. */
template <int T>
static __device__ __forceinline__ void flush(const int (&acc)[2 * T], uint64_t *out, int row0, int token0, int half, int n,
                                             int m)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < T / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint64_t v = 0;
#pragma unroll
            for (int s = 0; s < SHIFTS; s++)
                v += (uint64_t)(int64_t)acc[4 * (s * (T / 8) + j) + i] << (8 * s);
            const int row = row0 + lane / 4 + 8 * (i / 2), token = token0 + 8 * j + 2 * (lane % 4) + i % 2;
            if (row < n && token < m)
                atomicAdd((unsigned long long *)out + (size_t)token * n + row, v << (8 * SHIFTS * half));
        }
}

template <int T>
static __device__ __forceinline__ void consume(uint64_t *out, uint32_t base, uint32_t full, uint32_t empty, struct walk w,
                                               int n, int m)
{
    const int lane = threadIdx.x % 32, group = threadIdx.x / 128 - 1, warp = threadIdx.x / 32 % 4;
    int acc[2 * T];
    int i = 0; /* units done since the start: slot and lap of the ring follow from it */
    while (w.unit < w.end) {
        const int tile = w.unit / w.steps, k0 = w.unit - tile * w.steps;
        const int row_tile = tile / w.token_tiles, token_tile = tile - row_tile * w.token_tiles;
        const int count = min(w.steps - k0, w.end - w.unit);
        for (int c = 0; c < count; c++, i++) {
            const int slot = i % stages(T);
            const uint32_t stage = base + slot * stage_bytes(T);
            const uint64_t a = descriptor(stage + group * HALF_ROWS * STEP), b = descriptor(stage + 2 * PLANE);
            barrier_wait(full + 8 * slot, i / stages(T) & 1);
            wgmma_fence();
#pragma unroll
            for (int kk = 0; kk < STEP / 32; kk++) { /* descriptors count in 16 bytes */
                wgmma<T>(acc, a + 2 * kk, b + T * STEP / 16 + 2 * kk, (c | kk) != 0);
                wgmma<T>(acc, a + PLANE / 16 + 2 * kk, b + 2 * kk, 1);
            }
            wgmma_commit();
            if (c > 0) { /* the step before this one has been read */
                wgmma_wait<1>();
                release_both(empty + 8 * ((i - 1) % stages(T)), lane);
            }
        }
        wgmma_wait<0>();
        release_both(empty + 8 * ((i - 1) % stages(T)), lane);
#pragma unroll
        for (int r = 0; r < 2 * T; r++) /* no use of a sum moves above the wait */
            asm volatile("" : "+r"(acc[r])::"memory");
        flush<T>(acc, out, row_tile * ROWS + group * HALF_ROWS + 16 * warp, token_tile * T, w.half, n, m);
        w.unit += count;
    }
}
#endif

/* grid: two CTAs per cluster. weights: TMA map of (2, n, k), digits: of (tiles * 9 * T, k). */
template <int T>
__global__ void __launch_bounds__(THREADS, 1)
    k_gemm_digits(const __grid_constant__ CUtensorMap weights, const __grid_constant__ CUtensorMap digits, uint64_t *out, int n,
                  int m, int steps, int units, int token_tiles)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ uint8_t shared[];
    const uint32_t base = (shared_address(shared) + 1023) & ~1023u;
    const uint32_t full = base + stages(T) * stage_bytes(T), empty = full + 8 * MAX_STAGES;
    const int cluster = blockIdx.x / 2, clusters = gridDim.x / 2;
    struct walk w;
    w.unit = (int)((long long)units * cluster / clusters);
    w.end = (int)((long long)units * (cluster + 1) / clusters);
    w.steps = steps;
    w.token_tiles = token_tiles;
    w.half = blockIdx.x % 2;
    if (threadIdx.x == 0) {
        for (int s = 0; s < stages(T); s++) {
            barrier_init(full + 8 * s, 1);
            barrier_init(empty + 8 * s, 2 * CONSUMER_WARPS);
        }
        barrier_init_fence();
    }
    cluster_sync();
    if (threadIdx.x == 0)
        produce<T>(&weights, &digits, base, full, empty, w);
    else if (threadIdx.x >= 128)
        consume<T>(out, base, full, empty, w, n, m);
    __syncwarp();
    cluster_sync(); /* the other CTA may still write here and signal these barriers */
#endif
}

__global__ void k_has_wgmma(int *yes)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    *yes = 1;
#else
    *yes = 0;
#endif
}

typedef void (*gemm_kernel)(CUtensorMap, CUtensorMap, uint64_t *, int, int, int, int, int);
static const struct form {
    int tokens;
    gemm_kernel kernel;
} forms[] = {
    {8, k_gemm_digits<8>}, {16, k_gemm_digits<16>}, {32, k_gemm_digits<32>}, {56, k_gemm_digits<56>}, {64, k_gemm_digits<64>}};

/* The tile that computes the fewest rows beyond m; of equals the widest. */
static const struct form *choose(size_t m)
{
    const struct form *best = forms;
    for (const struct form &f : forms)
        if (div_up(m, f.tokens) * f.tokens <= div_up(m, best->tokens) * best->tokens)
            best = &f;
    return best;
}

enum ss_err ss_wgmma_open(struct ss_dev *dev)
{
    int major = 0, yes = 0, *d_yes = NULL;
    CU(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, dev->ordinal));
    if (major != 9)
        return SS_OK;
    SS_TRY(ss_cuda_scratch(dev, SCRATCH_DIGITS, sizeof *d_yes, (void **)&d_yes));
    k_has_wgmma<<<1, 1, 0, dev->stream>>>(d_yes);
    CU_LAUNCHED("k_has_wgmma");
    CU(cudaMemcpyAsync(&yes, d_yes, sizeof yes, cudaMemcpyDeviceToHost, dev->stream));
    CU(cudaStreamSynchronize(dev->stream));
    if (!yes)
        return SS_OK;
    for (const struct form &f : forms)
        CU(cudaFuncSetAttribute((const void *)f.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes(f.tokens)));
    cudaDriverEntryPointQueryResult found;
    CU(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void **)&dev->encode_map, 12000, cudaEnableDefault, &found));
    if (found != cudaDriverEntryPointSuccess)
        SS_FAIL(SS_ENV, "the driver has no cuTensorMapEncodeTiled: update it to CUDA 12 or newer");
    dev->wgmma = 1;
    return SS_OK;
}

/* A map of bytes (dims[rank - 1], ..., dims[0]), dense, loaded in boxes of box_rows x 128 B with the 128-byte swizzle. */
static enum ss_err make_map(struct ss_dev *dev, CUtensorMap *map, const void *p, unsigned rank, const cuuint64_t dims[3],
                            unsigned box_rows)
{
    const cuuint64_t strides[2] = {dims[0], dims[0] * dims[1]};
    const cuuint32_t box[3] = {STEP, box_rows, 1}, ones[3] = {1, 1, 1};
    CUresult err = dev->encode_map(map, CU_TENSOR_MAP_DATA_TYPE_UINT8, rank, (void *)p, dims, strides, box, ones,
                                   CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                   CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (err != CUDA_SUCCESS)
        SS_FAIL(SS_ENV, "cuTensorMapEncodeTiled: error %d for (%zu, %zu)", (int)err, (size_t)dims[1], (size_t)dims[0]);
    return SS_OK;
}

enum ss_err ss_wgmma_gemm(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w)
{
    const struct form *f = choose(m);
    const size_t n = w->rows, k = w->cols, tiles = div_up(m, f->tokens), padded = tiles * f->tokens;
    void *digits = NULL;
    SS_TRY(ss_cuda_scratch(dev, SCRATCH_DIGITS, TILE_BLOCKS * padded * k, &digits));
    k_tile_digits<<<(unsigned)div_up(padded * k / 4, 256), 256, 0, dev->stream>>>((uint8_t *)digits, out, a, m, k, n,
                                                                                  (unsigned)f->tokens, padded);
    CU_LAUNCHED("k_tile_digits");

    CUtensorMap weight_map, digit_map;
    const cuuint64_t weight_dims[3] = {k, n, 2}, digit_dims[3] = {k, TILE_BLOCKS * padded, 1};
    SS_TRY(make_map(dev, &weight_map, w->data, 3, weight_dims, HALF_ROWS));
    SS_TRY(make_map(dev, &digit_map, digits, 2, digit_dims, (unsigned)f->tokens));

    const size_t steps = div_up(k, STEP), units = div_up(n, ROWS) * tiles * steps;
    const unsigned clusters = (unsigned)smaller(units, (size_t)dev->sms / 2);
    cudaLaunchAttribute pair[1];
    pair[0].id = cudaLaunchAttributeClusterDimension;
    pair[0].val.clusterDim.x = 2;
    pair[0].val.clusterDim.y = pair[0].val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(2 * clusters);
    config.blockDim = dim3(THREADS);
    config.dynamicSmemBytes = (size_t)shared_bytes(f->tokens);
    config.stream = dev->stream;
    config.attrs = pair;
    config.numAttrs = 1;
    CU(cudaLaunchKernelEx(&config, f->kernel, weight_map, digit_map, out, (int)n, (int)m, (int)steps, (int)units, (int)tiles));
    return SS_OK;
}
