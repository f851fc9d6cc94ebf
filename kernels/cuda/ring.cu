/* ring.cu — elementwise arithmetic in Z_2^64. All of it moves bytes and nothing else matters: 24 B per element for
   add/sub/mul/xor, 40 B for the close of a truncation; the floor is bytes / 4.29 TB/s. Two elements (16 B) per thread and
   access where the arrays are 16-byte aligned. No branch and no address depends on a ring value. */
#include "kernels/cuda/cuda.cuh"

#include <math.h>

enum { THREADS = 256 };
enum map { MAP_ADD, MAP_SUB, MAP_MUL, MAP_ADD_CONST };

/* The caller's `wide` says that every array is 16-byte aligned; i is even, so a pair is then one access. */
static __device__ __forceinline__ ulonglong2 load2(const uint64_t *p, size_t i, size_t n, int wide)
{
    if (wide && i + 1 < n)
        return *reinterpret_cast<const ulonglong2 *>(p + i);
    return make_ulonglong2(p[i], i + 1 < n ? p[i + 1] : 0);
}

static __device__ __forceinline__ void store2(uint64_t *p, size_t i, size_t n, int wide, uint64_t v0, uint64_t v1)
{
    if (wide && i + 1 < n) {
        *reinterpret_cast<ulonglong2 *>(p + i) = make_ulonglong2(v0, v1);
        return;
    }
    p[i] = v0;
    if (i + 1 < n)
        p[i + 1] = v1;
}

/* Column of flat index i; 32-bit division where it suffices. */
static __device__ __forceinline__ size_t column(size_t i, size_t cols)
{
    if ((i | cols) >> 32)
        return i % cols;
    return (uint32_t)i % (uint32_t)cols;
}

/* The shift of elements i and i + 1: base + col[column], base where there is no table. */
static __device__ __forceinline__ uint2 shifts2(unsigned base, const uint8_t *col, size_t i, size_t cols)
{
    if (!col)
        return make_uint2(base, base);
    size_t j = column(i, cols), next = j + 1 == cols ? 0 : j + 1;
    return make_uint2(base + col[j], base + col[next]);
}

/* 2^e as a double, |e| <= 1022 */
static __device__ __forceinline__ double power_of_two(int e)
{
    return __hiloint2double((1023 + e) << 20, 0);
}

template <int OP> static __device__ __forceinline__ uint64_t map2(uint64_t a, uint64_t b, uint64_t constant)
{
    if (OP == MAP_ADD)
        return a + b;
    if (OP == MAP_SUB)
        return a - b;
    if (OP == MAP_MUL)
        return a * b;
    return a + b + constant;
}

template <int OP>
__global__ void k_map(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n, uint64_t constant, int wide)
{
    size_t i = 2 * ((size_t)blockIdx.x * THREADS + threadIdx.x);
    if (i >= n)
        return;
    ulonglong2 x = load2(a, i, n, wide), y = load2(b, i, n, wide);
    store2(out, i, n, wide, map2<OP>(x.x, y.x, constant), map2<OP>(x.y, y.y, constant));
}

static dim3 pair_grid(size_t n)
{
    return dim3((unsigned)div_up(n, 2 * THREADS));
}

template <int OP>
static enum ss_err map(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n, uint64_t constant)
{
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    int wide = aligned_to(out, 16) && aligned_to(a, 16) && aligned_to(b, 16);
    k_map<OP><<<pair_grid(n), THREADS, 0, dev->stream>>>(out, a, b, n, constant, wide);
    CU_LAUNCHED("k_map");
    return SS_OK;
}

enum ss_err ss_cuda_ring_add(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
    return map<MAP_ADD>(dev, out, a, b, n, 0);
}

enum ss_err ss_cuda_ring_sub(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
    return map<MAP_SUB>(dev, out, a, b, n, 0);
}

enum ss_err ss_cuda_ring_mul(struct ss_dev *dev, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
    return map<MAP_MUL>(dev, out, a, b, n, 0);
}

enum ss_err ss_cuda_trunc_open(struct ss_dev *dev, uint64_t *c, const uint64_t *x, const uint64_t *r, size_t n, int party)
{
    return map<MAP_ADD_CONST>(dev, c, x, r, n, party == 0 ? (uint64_t)1 << 62 : 0);
}

/* Round half even, as rint does under the default mode. */
static __device__ __forceinline__ uint64_t encode(float x, int bits)
{
    return (uint64_t)__double2ll_rn((double)x * power_of_two(bits));
}

static __device__ __forceinline__ float decode(uint64_t v, int bits)
{
    return __double2float_rn(__ll2double_rn((long long)v) * power_of_two(-bits));
}

__global__ void k_add_bias(uint64_t *x, const float *bias, size_t n, size_t cols, unsigned bits, const uint8_t *col_bits)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= n)
        return;
    size_t j = column(i, cols);
    x[i] += encode(bias[j], (int)(bits + (col_bits ? col_bits[j] : 0)));
}

enum ss_err ss_cuda_ring_add_bias(struct ss_dev *dev, uint64_t *x, const float *bias, size_t rows, size_t cols, unsigned bits,
                                  const uint8_t *col_bits)
{
    size_t n = rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_add_bias<<<(unsigned)div_up(n, THREADS), THREADS, 0, dev->stream>>>(x, bias, n, cols, bits, col_bits);
    CU_LAUNCHED("k_add_bias");
    return SS_OK;
}

__global__ void k_encode(uint64_t *out, const float *x, size_t n, unsigned bits, int wide)
{
    size_t i = 2 * ((size_t)blockIdx.x * THREADS + threadIdx.x);
    if (i >= n)
        return;
    float x0 = x[i], x1 = i + 1 < n ? x[i + 1] : 0;
    store2(out, i, n, wide, encode(x0, (int)bits), encode(x1, (int)bits));
}

enum ss_err ss_cuda_ring_encode(struct ss_dev *dev, uint64_t *out, const float *x, size_t n, unsigned bits)
{
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    k_encode<<<pair_grid(n), THREADS, 0, dev->stream>>>(out, x, n, bits, aligned_to(out, 16));
    CU_LAUNCHED("k_encode");
    return SS_OK;
}

/* out = (float)((double)(int64)(a + b) * 2^-shift): two roundings, the same two on the CPU */
__global__ void k_decode(float *out, const uint64_t *a, const uint64_t *b, size_t n, size_t cols, unsigned bits,
                         const uint8_t *col_bits, int wide)
{
    size_t i = 2 * ((size_t)blockIdx.x * THREADS + threadIdx.x);
    if (i >= n)
        return;
    ulonglong2 v = load2(a, i, n, wide);
    if (b) {
        ulonglong2 w = load2(b, i, n, wide);
        v.x += w.x;
        v.y += w.y;
    }
    uint2 shift = shifts2(bits, col_bits, i, cols);
    out[i] = decode(v.x, (int)shift.x);
    if (i + 1 < n)
        out[i + 1] = decode(v.y, (int)shift.y);
}

enum ss_err ss_cuda_ring_decode(struct ss_dev *dev, float *out, const uint64_t *a, const uint64_t *b, size_t rows, size_t cols,
                                unsigned bits, const uint8_t *col_bits)
{
    size_t n = rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    int wide = aligned_to(a, 16) && aligned_to(b, 16);
    k_decode<<<pair_grid(n), THREADS, 0, dev->stream>>>(out, a, b, n, cols, bits, col_bits, wide);
    CU_LAUNCHED("k_decode");
    return SS_OK;
}

/* One party's share of trunc(c0 + c1 - r - 2^62, m). `mine` is all ones on party 0, which alone adds the public terms. */
static __device__ __forceinline__ uint64_t close_share(uint64_t c, uint64_t rt, uint64_t rm, unsigned m, uint64_t mine)
{
    const uint64_t cm = c >> 63, low = c & ~((uint64_t)1 << 63);
    uint64_t public_terms = (low >> m) + (cm << (63 - m)) - ((uint64_t)1 << (62 - m));
    return ((rm - 2 * cm * rm) << (63 - m)) - rt + (public_terms & mine);
}

struct close_arrays {
    uint64_t *out;
    const uint64_t *c0, *c1, *rt, *rm;
    const uint8_t *col_m;
};

__global__ void k_trunc_close(struct close_arrays p, size_t n, size_t cols, unsigned m, uint64_t mine, int accumulate, int wide)
{
    size_t i = 2 * ((size_t)blockIdx.x * THREADS + threadIdx.x);
    if (i >= n)
        return;
    ulonglong2 c0 = load2(p.c0, i, n, wide), c1 = load2(p.c1, i, n, wide);
    ulonglong2 rt = load2(p.rt, i, n, wide), rm = load2(p.rm, i, n, wide);
    uint2 shift = shifts2(m, p.col_m, i, cols);
    uint64_t v0 = close_share(c0.x + c1.x, rt.x, rm.x, shift.x, mine);
    uint64_t v1 = close_share(c0.y + c1.y, rt.y, rm.y, shift.y, mine);
    if (accumulate) {
        ulonglong2 old = load2(p.out, i, n, wide);
        v0 += old.x;
        v1 += old.y;
    }
    store2(p.out, i, n, wide, v0, v1);
}

enum ss_err ss_cuda_trunc_close(struct ss_dev *dev, uint64_t *out, const uint64_t *c0, const uint64_t *c1, const uint64_t *rt,
                                const uint64_t *rm, size_t rows, size_t cols, unsigned m, const uint8_t *col_m, int party,
                                bool accumulate)
{
    size_t n = rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    struct close_arrays p = {out, c0, c1, rt, rm, col_m};
    int wide = aligned_to(out, 16) && aligned_to(c0, 16) && aligned_to(c1, 16) && aligned_to(rt, 16) && aligned_to(rm, 16);
    k_trunc_close<<<pair_grid(n), THREADS, 0, dev->stream>>>(p, n, cols, m, party == 0 ? ~(uint64_t)0 : 0, accumulate, wide);
    CU_LAUNCHED("k_trunc_close");
    return SS_OK;
}

struct deal_arrays {
    uint64_t *rt1, *rm1;
    const uint64_t *r0, *r1, *rt0, *rm0;
    const uint8_t *col_m;
};

__global__ void k_trunc_deal(struct deal_arrays p, size_t n, size_t cols, unsigned m, int wide)
{
    size_t i = 2 * ((size_t)blockIdx.x * THREADS + threadIdx.x);
    if (i >= n)
        return;
    ulonglong2 r0 = load2(p.r0, i, n, wide), r1 = load2(p.r1, i, n, wide);
    ulonglong2 rt0 = load2(p.rt0, i, n, wide), rm0 = load2(p.rm0, i, n, wide);
    uint2 shift = shifts2(m, p.col_m, i, cols);
    const uint64_t low = ~((uint64_t)1 << 63), ra = r0.x + r1.x, rb = r0.y + r1.y;
    store2(p.rt1, i, n, wide, ((ra & low) >> shift.x) - rt0.x, ((rb & low) >> shift.y) - rt0.y);
    store2(p.rm1, i, n, wide, (ra >> 63) - rm0.x, (rb >> 63) - rm0.y);
}

enum ss_err ss_cuda_trunc_deal(struct ss_dev *dev, uint64_t *rt1, uint64_t *rm1, const uint64_t *r0, const uint64_t *r1,
                               const uint64_t *rt0, const uint64_t *rm0, size_t rows, size_t cols, unsigned m,
                               const uint8_t *col_m)
{
    size_t n = rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    struct deal_arrays p = {rt1, rm1, r0, r1, rt0, rm0, col_m};
    int wide = aligned_to(rt1, 16) && aligned_to(rm1, 16) && aligned_to(r0, 16) && aligned_to(r1, 16) && aligned_to(rt0, 16) &&
               aligned_to(rm0, 16);
    k_trunc_deal<<<pair_grid(n), THREADS, 0, dev->stream>>>(p, n, cols, m, wide);
    CU_LAUNCHED("k_trunc_deal");
    return SS_OK;
}
