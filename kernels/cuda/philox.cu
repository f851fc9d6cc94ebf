/* philox.cu — synthetic weights by cuRAND's Philox 4x32-10, the same words as harness/philox.h. Element (r, c) of a matrix
   with `cols` columns is word r * cols + c. One thread makes one Philox block, four elements. Bound by the stores: 2 B per
   element at 4.29 TB/s for the two 16-bit forms. */
#include "kernels/cuda/cuda.cuh"

#include <curand_philox4x32_x.h>

enum { THREADS = 256 };

static __device__ __forceinline__ int synth_int(uint32_t word) /* ss_synth_int on the device */
{
    int v = (int)(word & 255) + (int)(word >> 8 & 255) - (int)(word >> 16 & 255) - (int)(word >> 24);
    return v / 2;
}

struct synth_target {
    void *dst;    /* first element of the first wanted row */
    size_t plane; /* I8X2: elements from the low plane to the high one */
    float scale;  /* BF16, F32 */
    enum ss_type type;
};

static __device__ __forceinline__ void put(const struct synth_target &t, size_t at, int v)
{
    if (t.type == SS_F32) {
        ((float *)t.dst)[at] = (float)v * t.scale;
    } else if (t.type == SS_BF16) {
        ((__nv_bfloat16 *)t.dst)[at] = __float2bfloat16_rn((float)v * t.scale);
    } else if (t.type == SS_I16) {
        ((int16_t *)t.dst)[at] = (int16_t)v;
    } else {
        int low = (int8_t)(v & 255);
        ((int8_t *)t.dst)[at] = (int8_t)low;
        ((int8_t *)t.dst)[t.plane + at] = (int8_t)((v - low) / 256);
    }
}

/* Four elements at once where they are all wanted and `at` is a multiple of four on aligned memory. */
static __device__ __forceinline__ void put4(const struct synth_target &t, size_t at, const int v[4])
{
    if (t.type == SS_F32) {
        ((float4 *)t.dst)[at / 4] = make_float4(v[0] * t.scale, v[1] * t.scale, v[2] * t.scale, v[3] * t.scale);
    } else if (t.type == SS_BF16) {
        __nv_bfloat162 a = __floats2bfloat162_rn(v[0] * t.scale, v[1] * t.scale);
        __nv_bfloat162 b = __floats2bfloat162_rn(v[2] * t.scale, v[3] * t.scale);
        ((uint2 *)t.dst)[at / 4] = make_uint2(*reinterpret_cast<uint32_t *>(&a), *reinterpret_cast<uint32_t *>(&b));
    } else if (t.type == SS_I16) {
        ((short4 *)t.dst)[at / 4] = make_short4((short)v[0], (short)v[1], (short)v[2], (short)v[3]);
    } else {
        char4 low = make_char4((signed char)(v[0] & 255), (signed char)(v[1] & 255), (signed char)(v[2] & 255),
                               (signed char)(v[3] & 255));
        ((char4 *)t.dst)[at / 4] = low;
        ((char4 *)t.dst)[(t.plane + at) / 4] =
            make_char4((signed char)((v[0] - low.x) / 256), (signed char)((v[1] - low.y) / 256),
                       (signed char)((v[2] - low.z) / 256), (signed char)((v[3] - low.w) / 256));
    }
}

/* Words first .. first + n - 1 of the stream, word `first` to element 0 of the target. */
__global__ void k_synth(struct synth_target target, uint64_t seed, uint64_t stream, uint64_t first, uint64_t n, int wide)
{
    const uint64_t block = first / 4 + (uint64_t)blockIdx.x * THREADS + threadIdx.x, end = first + n;
    if (4 * block >= end)
        return;
    uint4 counter = make_uint4((uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, (uint32_t)(stream >> 32));
    uint4 r = curand_Philox4x32_10(counter, make_uint2((uint32_t)seed, (uint32_t)(seed >> 32)));
    const int v[4] = {synth_int(r.x), synth_int(r.y), synth_int(r.z), synth_int(r.w)};
    if (wide && 4 * block >= first && 4 * block + 4 <= end) {
        put4(target, (size_t)(4 * block - first), v);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (4 * block + i >= first && 4 * block + i < end)
            put(target, (size_t)(4 * block + i - first), v[i]);
}

enum ss_err ss_cuda_synth(struct ss_dev *dev, void *dst, enum ss_type type, size_t total_rows, size_t dst_row0, uint64_t seed,
                          uint64_t stream, size_t row0, size_t rows, size_t cols, unsigned scale_bits)
{
    static const size_t element_bytes[] = {4, 2, 0, 2, 1}; /* by enum ss_type; I8X2: of one plane */
    SS_REQUIRE(type == SS_F32 || type == SS_BF16 || type == SS_I16 || type == SS_I8X2);
    SS_REQUIRE(dst_row0 + rows <= total_rows && scale_bits < 127);
    const uint64_t first = (uint64_t)row0 * cols, n = (uint64_t)rows * cols;
    if (n == 0)
        return SS_OK;
    CU(cudaSetDevice(dev->ordinal));
    struct synth_target target;
    target.dst = (uint8_t *)dst + dst_row0 * cols * element_bytes[type];
    target.plane = total_rows * cols;
    target.scale = 1.0f / (float)((__uint128_t)1 << scale_bits);
    target.type = type;
    int wide = first % 4 == 0 && aligned_to(target.dst, 4 * element_bytes[type]) && target.plane % 4 == 0;
    size_t blocks = (first + n + 3) / 4 - first / 4;
    k_synth<<<(unsigned)div_up(blocks, THREADS), THREADS, 0, dev->stream>>>(target, seed, stream, first, n, wide);
    CU_LAUNCHED("k_synth");
    return SS_OK;
}
