/* synth.c — synthetic weights in the type a matrix product wants. */
#include "harness/philox.h"
#include "kernels/cpu/cpu.h"

#include <math.h>

enum { CHUNK = 4096 };

/* A synthetic weight has at most 8 significant bits: cutting its float's low half off is exact. */
__attribute__((target_clones("avx2", "default"))) static void to_bf16(uint16_t *out, const int16_t *v, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++) {
        union {
            float value;
            uint32_t word;
        } x = {.value = (float)v[i] * scale};
        out[i] = (uint16_t)(x.word >> 16);
    }
}

static void to_f32(float *out, const int16_t *v, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)v[i] * scale;
}

static void planes(int8_t *lo, int8_t *hi, const int16_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lo[i] = (int8_t)(uint8_t)v[i];
        hi[i] = (int8_t)((v[i] - lo[i]) / 256);
    }
}

enum ss_err cpu_synth(struct ss_dev *dev, void *dst, enum ss_type type, size_t total_rows, size_t dst_row0, uint64_t seed,
                      uint64_t stream, size_t row0, size_t rows, size_t cols, unsigned scale_bits)
{
    SS_REQUIRE(type == SS_F32 || type == SS_BF16 || type == SS_I16 || type == SS_I8X2);
    SS_REQUIRE(dst_row0 + rows <= total_rows);
    const size_t n = rows * cols, at = dst_row0 * cols;
    const float scale = ldexpf(1, -(int)scale_bits);
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t count = n - i < CHUNK ? n - i : CHUNK;
        int16_t chunk[CHUNK], *v = type == SS_I16 ? (int16_t *)dst + at + i : chunk;
        ss_synth_fill(v, seed, stream, row0 * cols + i, count);
        if (type == SS_I8X2)
            planes((int8_t *)dst + at + i, (int8_t *)dst + total_rows * cols + at + i, v, count);
        else if (type == SS_BF16)
            to_bf16((uint16_t *)dst + at + i, v, count, scale);
        else if (type == SS_F32)
            to_f32((float *)dst + at + i, v, count, scale);
    }
    return SS_OK;
}
