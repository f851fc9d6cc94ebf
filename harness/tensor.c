/* tensor.c — exact conversion of checkpoint elements to f32. Data in a mapping may lie at any address, so it is read by memcpy.
 */
#include <string.h>

#include "harness/safetensors.h"

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float from_bf16(uint16_t h)
{
    return from_bits((uint32_t)h << 16);
}

/* binary16: shifting exponent and mantissa into place leaves the exponent 112 too small, for subnormals too. */
static float from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13;
    if ((h & 0x7c00) == 0x7c00) /* infinity, NaN */
        return from_bits(sign | rest | 0x7f800000);
    float magnitude = from_bits(rest) * 0x1p112f;
    return sign != 0 ? -magnitude : magnitude;
}

void ss_tensor_to_f32(float *out, const struct ss_tensor *t, size_t first, size_t n)
{
    size_t width = t->dtype == SS_DT_F32 ? 4 : 2;
    SS_REQUIRE(t->dtype == SS_DT_F32 || t->dtype == SS_DT_BF16 || t->dtype == SS_DT_F16);
    SS_REQUIRE(first <= t->bytes / width && n <= t->bytes / width - first);
    const char *src = (const char *)t->data + first * width;
    if (t->dtype == SS_DT_F32) {
        memcpy(out, src, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, src + 2 * i, sizeof h);
        out[i] = t->dtype == SS_DT_BF16 ? from_bf16(h) : from_f16(h);
    }
}
