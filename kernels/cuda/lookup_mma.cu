/* lookup_mma.cu — sums of selected table entries on the int8 tensor cores. Rotating each lookup's bits instead of the table
   makes all lookups of a batch one product: bits (lookups, N) x byte planes (N, <= 16), with one more plane of ones for what
   the planes were offset by. 512 B of bits per lookup at N = 4096 bound it at 8.4 G lookups/s on an H200; about 75 issued
   instructions per lookup at 12 G/s.

   Order of the N entries inside the product is free, so bits become bytes by masks alone. Step t covers 128 entries; lane
   group q (of four) holds word 4 t + q of a row; matrix instruction s (0..3) takes from it bits s, 8 + s, 16 + s, 24 + s and,
   four further, bits 4 + s, 12 + s, ..., as bytes of value 2^s, which four accumulators keep apart. k_spread_planes puts the
   planes into that order.

   A warp owns ROWS lookups. Their bits come through a ring in shared memory in units of 16 B, from the unit that its row's
   rotation starts with: unit u of the eight rows of a group lies at 128 (u mod RING) + 16 row, so that four neighbouring words
   of each of eight rows hit all banks whatever the rotations are. */
#include "kernels/cuda/lookup.cuh"

#include <cuda_pipeline_primitives.h>

enum {
    THREADS = 512,
    WARPS = THREADS / 32,
    TILES = 2, /* of 16 lookups per warp */
    ROWS = 16 * TILES,
    GROUPS = 2 * TILES, /* of eight rows */
    RING = 16,          /* units kept of each row */
    FETCH = 4,          /* units of a row per lane group and copy */
    GROUP_BYTES = RING * 128,
    WARP_BYTES = GROUPS * GROUP_BYTES,
    MAX_NT = 2,
    SHARED_PLANES = 64 << 10, /* planes of at most this many bytes are kept in shared memory, larger ones read through L1 */
};

struct plane_weights { /* what plane p adds to each column's sum */
    uint64_t of[2][8 * MAX_NT];
};

/* spread: uint32 [nt][step][half][lane][4]; see the top of the file. 128 lane words per half step. */
__global__ void k_spread_planes(uint32_t *spread, const uint8_t *planes, uint32_t n_bits, uint32_t n_planes, uint32_t words)
{
    const uint32_t f = blockIdx.x * 256 + threadIdx.x;
    if (f >= words)
        return;
    const uint32_t n = 1u << n_bits, steps = n / 128, part = f & 3, lane = f >> 2 & 31, half = f >> 7 & 1, nt_step = f >> 8;
    const uint32_t nt = nt_step / steps, step = nt_step % steps, s = 2 * half + (part >> 1), p = 8 * nt + (lane >> 2);
    const uint32_t entry = 128 * step + 32 * (lane & 3) + s + 4 * (part & 1);
    uint32_t out = p == n_planes ? 0x01010101u : 0;
    if (p < n_planes)
        for (int b = 0; b < 4; b++)
            out |= (uint32_t)planes[p * n + entry + 8 * b] << (8 * b);
    spread[f] = out;
}

static __device__ __forceinline__ void mma_u8(int (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

struct warp_rows { /* rows lane / 4 + 8 g of the warp's tile */
    const uint8_t *bits[GROUPS];
    uint32_t unit[GROUPS]; /* first unit of the rotated row */
    uint32_t at[GROUPS];   /* byte of this lane's first rotated word inside a group's ring; of the word after it */
    uint32_t next[GROUPS];
    uint32_t shift[GROUPS]; /* bits to drop of the first word */
};

/* Starts the copy of units FETCH * turn .. of every row; units counts those of a row. */
static __device__ __forceinline__ void fetch(uint8_t *ring, const struct warp_rows &r, uint32_t turn, uint32_t units)
{
    const uint32_t lane = threadIdx.x % 32, u = FETCH * turn + (lane & 3), slot = u % RING * 128 + (lane >> 2) * 16;
    if (u <= units) /* the last is the first again: the rotation may start inside it */
#pragma unroll
        for (int g = 0; g < GROUPS; g++)
            __pipeline_memcpy_async(ring + g * GROUP_BYTES + slot, r.bits[g] + ((r.unit[g] + u) & (units - 1)) * 16, 16);
    __pipeline_commit();
}

/* acc[tile][nt][s] += step t */
template <int NT>
static __device__ __forceinline__ void multiply(int (&acc)[TILES][NT][4][4], const uint8_t *ring, const struct warp_rows &r,
                                                const uint4 *planes, uint32_t t, uint32_t steps)
{
    uint32_t word[GROUPS];
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const uint8_t *rows = ring + g * GROUP_BYTES;
        const uint32_t first = *(const uint32_t *)(rows + ((128 * t + r.at[g]) & (GROUP_BYTES - 1)));
        const uint32_t after = *(const uint32_t *)(rows + ((128 * t + r.next[g]) & (GROUP_BYTES - 1)));
        word[g] = __funnelshift_r(first, after, r.shift[g]);
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        uint4 b[NT];
#pragma unroll
        for (int nt = 0; nt < NT; nt++)
            b[nt] = planes[((nt * steps + t) * 2 + half) * 32 + threadIdx.x % 32];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int s = 2 * half + i;
            const uint32_t bytes = 0x01010101u << s;
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                const uint32_t lo = word[2 * tile], hi = word[2 * tile + 1];
                const uint32_t a[4] = {lo & bytes, hi & bytes, lo >> 4 & bytes, hi >> 4 & bytes};
#pragma unroll
                for (int nt = 0; nt < NT; nt++)
                    mma_u8(acc[tile][nt][s], a, i ? b[nt].z : b[nt].x, i ? b[nt].w : b[nt].y);
            }
        }
    }
}

/* Lane (row, q) holds planes 8 nt + 2 q and the next of rows row (h = 0) and row + 8 (h = 1) of each tile. */
template <int NT>
static __device__ __forceinline__ void finish(const struct lookup_sums &t, const int (&acc)[TILES][NT][4][4], size_t row0,
                                              const struct plane_weights &weights)
{
    const uint32_t lane = threadIdx.x % 32, q = lane & 3;
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const int tile = g / 2, h = g % 2;
        uint64_t sum0 = 0, sum1 = 0;
#pragma unroll
        for (int nt = 0; nt < NT; nt++)
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const int(&c)[4][4] = acc[tile][nt];
                const int at = 2 * h + j;
                const uint64_t plane = (uint64_t)(c[0][at] + (c[1][at] >> 1) + (c[2][at] >> 2) + (c[3][at] >> 3));
                sum0 += plane * weights.of[0][8 * nt + 2 * q + j];
                sum1 += plane * weights.of[1][8 * nt + 2 * q + j];
            }
        for (int step = 1; step < 4; step *= 2) {
            sum0 += __shfl_xor_sync(~0u, sum0, step);
            sum1 += __shfl_xor_sync(~0u, sum1, step);
        }
        const size_t i = row0 + 8 * g + (lane >> 2);
        if (q == 0 && i < t.n)
            finish_lookup(t, i, opened_index(t, i), sum0, sum1);
    }
}

/* Dynamic shared memory: the warps' rings, then the planes if SHARED. */
template <int NT, bool SHARED>
__global__ void __launch_bounds__(THREADS, 1)
    k_lookup_sum_mma(const struct lookup_sums t, const uint4 *spread, const __grid_constant__ struct plane_weights weights)
{
    extern __shared__ uint4 shared[];
    const uint32_t n = 1u << t.n_bits, units = n / 128, lane = threadIdx.x % 32, q = lane & 3;
    uint4 *mine = shared + WARPS * WARP_BYTES / 16;
    const uint4 *planes = SHARED ? mine : spread;
    if (SHARED) {
        for (uint32_t i = threadIdx.x; i < NT * n / 2; i += THREADS)
            mine[i] = spread[i];
        __syncthreads();
    }
    uint8_t *ring = (uint8_t *)shared + threadIdx.x / 32 * WARP_BYTES;
    const size_t step = (size_t)gridDim.x * WARPS * ROWS;
    /* neighbouring tiles to different blocks, so that few tiles spread over the device */
    for (size_t row0 = ((size_t)(threadIdx.x / 32) * gridDim.x + blockIdx.x) * ROWS; row0 < t.n; row0 += step) {
        struct warp_rows r;
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            const size_t row = row0 + 8 * g + (lane >> 2), i = row < t.n ? row : t.n - 1;
            const uint32_t start = (n - (opened_index(t, i) >> t.fine_bits)) & (n - 1), first = (start >> 5 & 3) + q;
            r.bits[g] = (const uint8_t *)t.bits + i * (n / 8);
            r.unit[g] = start >> 7;
            r.at[g] = (first >> 2) * 128 + (lane >> 2) * 16 + (first & 3) * 4;
            r.next[g] = (first + 1 >> 2) * 128 + (lane >> 2) * 16 + (first + 1 & 3) * 4;
            r.shift[g] = start & 31;
        }
        int acc[TILES][NT][4][4] = {};
        __syncwarp(); /* nobody reads the previous tile's units any more */
        for (uint32_t turn = 0; turn < 3; turn++)
            fetch(ring, r, turn, units);
        for (uint32_t turn = 0; turn * FETCH < units; turn++) {
            __syncwarp(); /* the slots of turn - 1 are free */
            fetch(ring, r, turn + 3, units);
            __pipeline_wait_prior(2); /* turn and turn + 1 are here */
            __syncwarp();
            const uint32_t end = (turn + 1) * FETCH < units ? (turn + 1) * FETCH : units;
#pragma unroll 2
            for (uint32_t at = turn * FETCH; at < end; at++)
                multiply<NT>(acc, ring, r, planes, at, units);
        }
        __pipeline_wait_prior(0);
        finish<NT>(t, acc, row0, weights);
    }
}

static uint32_t tiles_of_planes(const struct ss_lookup_table *t)
{
    return (t->n_planes[0] + t->n_planes[1] + 1 + 7) / 8;
}

bool ss_cuda_lookup_fits(struct ss_dev *dev, const struct ss_lookup_table *t, const struct lookup_sums *sums)
{
    int most = 0;
    if (cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, dev->ordinal) != cudaSuccess)
        return false;
    return tiles_of_planes(t) <= MAX_NT && aligned_to(sums->bits, 16) && sums->n_bits >= 8 &&
           most >= WARPS * WARP_BYTES + (int)SHARED_PLANES;
}

static void weigh(struct plane_weights *w, const struct ss_lookup_table *t, uint32_t columns)
{
    const uint32_t ones = t->n_planes[0] + t->n_planes[1];
    *w = plane_weights{};
    for (uint32_t c = 0, p = 0; c < columns; c++) {
        for (uint32_t k = 0; k < t->n_planes[c]; k++, p++)
            w->of[c][p] = (uint64_t)1 << (8 * k);
        w->of[c][ones] = -((uint64_t)1 << (8 * t->n_planes[c] - 1)); /* the planes hold entry + this much */
    }
}

template <int NT, bool SHARED>
static enum ss_err launch(struct ss_dev *dev, const struct lookup_sums *sums, const uint4 *spread, size_t spread_bytes,
                          const struct plane_weights *weights)
{
    const size_t shared = WARPS * WARP_BYTES + (SHARED ? spread_bytes : 0), tiles = div_up(sums->n, ROWS);
    CU(cudaFuncSetAttribute((const void *)k_lookup_sum_mma<NT, SHARED>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                            (int)shared));
    const unsigned grid = (unsigned)smaller(tiles, (size_t)dev->sms);
    k_lookup_sum_mma<NT, SHARED><<<grid, THREADS, shared, dev->stream>>>(*sums, spread, *weights);
    CU_LAUNCHED("k_lookup_sum_mma");
    return SS_OK;
}

enum ss_err ss_cuda_lookup_sum_mma(struct ss_dev *dev, const struct ss_lookup_table *t, const struct lookup_sums *sums)
{
    const uint32_t nt = tiles_of_planes(t), words = nt * 2 << sums->n_bits;
    void *spread;
    SS_TRY(ss_cuda_scratch(dev, SCRATCH_PLANES, words * sizeof(uint32_t), &spread));
    k_spread_planes<<<words / 256, 256, 0, dev->stream>>>((uint32_t *)spread, t->planes, sums->n_bits,
                                                          t->n_planes[0] + t->n_planes[1], words);
    CU_LAUNCHED("k_spread_planes");
    struct plane_weights weights;
    weigh(&weights, t, sums->columns);
    const size_t bytes = words * sizeof(uint32_t);
    const bool shared = bytes <= SHARED_PLANES;
    if (nt == 1)
        return shared ? launch<1, true>(dev, sums, (const uint4 *)spread, bytes, &weights)
                      : launch<1, false>(dev, sums, (const uint4 *)spread, bytes, &weights);
    return shared ? launch<2, true>(dev, sums, (const uint4 *)spread, bytes, &weights)
                  : launch<2, false>(dev, sums, (const uint4 *)spread, bytes, &weights);
}
