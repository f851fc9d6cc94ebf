/* synth.c — synthetic weights in the type a matrix product wants. */
#include "harness/philox.h"
#include "kernels/cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 4096 };

/* A synthetic weight takes 2 x LARGEST + 1 values, each exact in bf16: they are converted once and then looked up. */
enum { LARGEST = 255, VALUES = 2 * LARGEST + 1 };
struct values {
    uint16_t bf16[VALUES];
    float f32[VALUES];
};

static void convert_values(struct values *t, float scale)
{
    for (int v = -LARGEST; v <= LARGEST; v++) {
        float x = (float)v * scale;
        uint32_t word;
        memcpy(&word, &x, sizeof word);
        t->f32[v + LARGEST] = x;
        t->bf16[v + LARGEST] = (uint16_t)(word >> 16);
    }
}

static void float_values(void *dst, enum ss_type type, size_t at, const int16_t *v, size_t n, const struct values *t)
{
    if (type == SS_F32)
        for (size_t i = 0; i < n; i++)
            ((float *)dst)[at + i] = t->f32[v[i] + LARGEST];
    else
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)dst)[at + i] = t->bf16[v[i] + LARGEST];
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
    struct values table;
    convert_values(&table, ldexpf(1, -(int)scale_bits));
#pragma omp parallel for num_threads(dev->threads) if (n >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t count = n - i < CHUNK ? n - i : CHUNK;
        int16_t v[CHUNK];
        ss_synth_fill(v, seed, stream, row0 * cols + i, count);
        if (type == SS_I16)
            memcpy((int16_t *)dst + at + i, v, count * sizeof *v);
        else if (type == SS_I8X2)
            planes((int8_t *)dst + at + i, (int8_t *)dst + total_rows * cols + at + i, v, count);
        else
            float_values(dst, type, at + i, v, count, &table);
    }
    return SS_OK;
}
