/* exact.h — the fp32 arithmetic that every backend shares, so that their results are equal bit for bit: IEEE add, subtract,
   multiply, divide and square root in a stated order. Never a fused multiply-add, never a libm or device function whose last
   bit differs from machine to machine. The orders of the sums are written down beside the operations in backend.h.
   Compilers must not contract a product and a sum: the build passes -ffp-contract=off, device code uses the _rn intrinsics. */
#ifndef SS_KERNELS_EXACT_H
#define SS_KERNELS_EXACT_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define SS_HD static __host__ __device__ __forceinline__
#else
#define SS_HD static inline __attribute__((always_inline))
#endif

#ifdef __CUDA_ARCH__
#define SS_EXACT_OP(device, host) return device
#else
#define SS_EXACT_OP(device, host) return host
#endif

SS_HD float ss_add(float a, float b)
{
    SS_EXACT_OP(__fadd_rn(a, b), a + b);
}
SS_HD float ss_sub(float a, float b)
{
    SS_EXACT_OP(__fsub_rn(a, b), a - b);
}
SS_HD float ss_mul(float a, float b)
{
    SS_EXACT_OP(__fmul_rn(a, b), a * b);
}
SS_HD float ss_div(float a, float b)
{
    SS_EXACT_OP(__fdiv_rn(a, b), a / b);
}
SS_HD float ss_sum4(float a, float b, float c, float d)
{
    return ss_add(ss_add(a, b), ss_add(c, d));
}

SS_HD uint32_t ss_float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
SS_HD float ss_bits_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* yes ? a : b without a branch: host compilers turn it into vector code, a conditional on floats they do not */
SS_HD float ss_choose(int yes, float a, float b)
{
    SS_EXACT_OP(yes ? a : b,
                ss_bits_float((ss_float_bits(a) & (0u - (uint32_t)yes)) | (ss_float_bits(b) & ((uint32_t)yes - 1u))));
}

/* e^x within 1 ulp of the true value's float; exactly 1 at 0, exactly 0 below -87.3 (no denormal is returned), e^88.37 above
   88.37 (never infinite), NaN for NaN. x = n ln 2 + r with ln 2 in two parts (Cody & Waite), |r| <= ln 2 / 2; the polynomial is
   that of expf in Moshier's Cephes. */
SS_HD float ss_exp(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: the sum's lowest bits are the nearest integer */
    const float most = ss_choose(x > 88.37f, 88.37f, x), y = ss_choose(most < -87.3f, -87.3f, most);
    const float t = ss_add(ss_mul(y, 1.44269504088896341f), shift), n = ss_sub(t, shift);
    const float r = ss_sub(ss_sub(y, ss_mul(n, 0.693359375f)), ss_mul(n, -2.12194440e-4f));
    float p = 1.9875691500e-4f;
    p = ss_add(ss_mul(p, r), 1.3981999507e-3f);
    p = ss_add(ss_mul(p, r), 8.3334519073e-3f);
    p = ss_add(ss_mul(p, r), 4.1665795894e-2f);
    p = ss_add(ss_mul(p, r), 1.6666665459e-1f);
    p = ss_add(ss_mul(p, r), 5.0000001201e-1f);
    p = ss_add(ss_add(ss_mul(p, ss_mul(r, r)), r), 1.0f);
    const uint32_t power = (ss_float_bits(t) << 23) + 0x3f800000u; /* 2^n, n in -126 .. 127 */
    return ss_choose(x < -87.3f, 0.0f, ss_mul(p, ss_bits_float(power)));
}

/* x / (1 + e^-x) */
SS_HD float ss_silu(float x)
{
    return ss_div(x, ss_add(1.0f, ss_exp(-x)));
}

/* ---- rmsnorm: element i is squared into double sum i % SS_NORM_LANES; see backend.h */
enum { SS_NORM_LANES = 2048, SS_NORM_TREE = 32 };

/* squares: sum of the d squares */
SS_HD float ss_norm_scale(double squares, size_t d, double eps)
{
    SS_EXACT_OP((float)__ddiv_rn(1.0, __dsqrt_rn(__dadd_rn(__ddiv_rn(squares, (double)d), eps))),
                (float)(1.0 / sqrt(squares / (double)d + eps)));
}

/* ---- attention */
enum {
    SS_ATTEND_TILE = 32,         /* keys between two looks at the largest score */
    SS_ATTEND_SPLIT = 128,       /* least keys of a block, a multiple of the tile */
    SS_ATTEND_SPLITS = 16,       /* most blocks */
    SS_ATTEND_WHOLE_TOKENS = 256 /* so many query rows or more: one block */
};
#define SS_ATTEND_BELOW_ALL (-1e30f) /* largest score of no keys; finite, so that such a block adds 0 and not NaN */

/* Keys per block: block b holds positions b * size .. of all past + tokens. */
static inline size_t ss_attend_block(size_t tokens, size_t past)
{
    const size_t keys = tokens + past, tile = SS_ATTEND_TILE, least = SS_ATTEND_SPLIT;
    if (tokens >= SS_ATTEND_WHOLE_TOKENS)
        return (keys + tile - 1) / tile * tile;
    const size_t size = ((keys + SS_ATTEND_SPLITS - 1) / SS_ATTEND_SPLITS + tile - 1) / tile * tile;
    return size < least ? least : size;
}

static inline float ss_attend_scale(size_t d_head)
{
    return (float)(1 / sqrt((double)d_head));
}

/* ---- rope: turns (positions, pairs) of (cos, sin) for positions [from, to); the host's libm, in double, for every backend:
   pair i of position p turns by p * theta^(-2 i / d_head), d_head = 2 pairs */
static inline void ss_rope_turns(float *turns, size_t from, size_t to, size_t pairs, double theta)
{
    for (size_t i = 0; i < pairs; i++) {
        const double frequency = pow(theta, -2.0 * (double)i / (double)(2 * pairs));
        for (size_t p = from; p < to; p++) {
            turns[2 * (p * pairs + i)] = (float)cos((double)p * frequency);
            turns[2 * (p * pairs + i) + 1] = (float)sin((double)p * frequency);
        }
    }
}
#endif
