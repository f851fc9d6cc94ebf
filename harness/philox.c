/* philox.c — Philox 4x32-10 after Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11), and the
   integers of synthetic weights: portable, AVX2 and AVX-512, chosen at run time, all with the same values. */
#include "harness/philox.h"

#include "harness/err.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* SC'11, section 3.3 and Random123's philox.h: multipliers, and the Weyl increments of the key. */
#define MUL0 0xD2511F53u
#define MUL1 0xCD9E8D57u
#define WEYL0 0x9E3779B9u
#define WEYL1 0xBB67AE85u
enum { ROUNDS = 10 };

/* Token ids must not repeat the words of a weight: weights use streams (layer << 8) | tensor, far below this one. */
#define STREAM_IDS UINT64_MAX

void ss_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3], k0 = key[0], k1 = key[1];
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t p0 = (uint64_t)MUL0 * x0, p1 = (uint64_t)MUL1 * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)p1;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)p0;
        k0 += WEYL0;
        k1 += WEYL1;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

static void block(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t b)
{
    const uint32_t counter[4] = {(uint32_t)b, (uint32_t)(b >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    ss_philox4x32(out, counter, key);
}

uint32_t ss_philox_word(uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t words[4];
    block(words, seed, stream, i / 4);
    return words[i % 4];
}

/* The vector kernels make whole groups of blocks from block b on and return how many values they made. One 64-bit lane holds
   one block's word in its low half; what is above is left over from the last product and ignored by the next (mul_epu32 reads
   low halves only), so a round is 2 products, 2 shifts and 4 xors. Where only the low 32 bits of the block number vary, half of
   the first two rounds is the same for all blocks and made once, here. */
struct start {
    uint32_t x2; /* after round 0: x2 = hi(MUL0 c) ^ this, x3 = lo(MUL0 c) */
    uint32_t x0; /* after round 1: x0 = hi(MUL1 x2) ^ this, x1 = lo(MUL1 x2) */
    uint32_t x3; /* after round 1: x2 = x3 ^ this ... */
    uint32_t p0; /* ... and x3 = this */
    uint32_t k0[ROUNDS], k1[ROUNDS];
};
static void start(struct start *s, uint64_t seed, uint64_t stream, uint64_t b)
{
    for (uint32_t r = 0; r < ROUNDS; r++) {
        s->k0[r] = (uint32_t)seed + r * WEYL0;
        s->k1[r] = (uint32_t)(seed >> 32) + r * WEYL1;
    }
    uint64_t p1 = (uint64_t)MUL1 * (uint32_t)stream;
    uint64_t p0 = (uint64_t)MUL0 * ((uint32_t)(p1 >> 32) ^ (uint32_t)(b >> 32) ^ s->k0[0]);
    s->x2 = (uint32_t)(stream >> 32) ^ s->k1[0];
    s->x0 = (uint32_t)p1 ^ s->k0[1];
    s->x3 = (uint32_t)(p0 >> 32) ^ s->k1[1];
    s->p0 = (uint32_t)p0;
}

#if defined(__x86_64__)
enum { LANES_AVX2 = 4, LANES_AVX512 = 8 };
/* Independent groups in flight hide the latency of the products; more of them spill registers. */
enum { GROUPS = 2 };

/* (a + b) - (c + d) of the bytes of each 32-bit word, then halved towards zero as 16-bit values in the order of the words. */
__attribute__((target("avx2"))) static inline __m256i synth_avx2(__m256i x0, __m256i x1, __m256i x2, __m256i x3)
{
    const __m256i signs = _mm256_set1_epi32((int)0xFFFF0101), ones = _mm256_set1_epi16(1);
    __m256i lo = _mm256_blend_epi32(x0, _mm256_slli_epi64(x1, 32), 0xAA);
    __m256i hi = _mm256_blend_epi32(x2, _mm256_slli_epi64(x3, 32), 0xAA);
    lo = _mm256_madd_epi16(_mm256_maddubs_epi16(lo, signs), ones);
    hi = _mm256_madd_epi16(_mm256_maddubs_epi16(hi, signs), ones);
    __m256i v = _mm256_shuffle_epi32(_mm256_packs_epi32(lo, hi), _MM_SHUFFLE(3, 1, 2, 0));
    return _mm256_srai_epi16(_mm256_add_epi16(v, _mm256_srli_epi16(v, 15)), 1);
}

__attribute__((target("avx2"))) static size_t fill_avx2(int16_t *out, const struct start *s, uint64_t b, size_t n)
{
    const __m256i m0 = _mm256_set1_epi64x(MUL0), m1 = _mm256_set1_epi64x(MUL1), next = _mm256_set1_epi64x(LANES_AVX2);
    const __m256i s0 = _mm256_set1_epi64x(s->x0), s2 = _mm256_set1_epi64x(s->x2), s3 = _mm256_set1_epi64x(s->x3);
    const size_t words = 4 * LANES_AVX2;
    __m256i k0[ROUNDS], k1[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        k0[r] = _mm256_set1_epi64x(s->k0[r]);
        k1[r] = _mm256_set1_epi64x(s->k1[r]);
    }
    __m256i c = _mm256_add_epi64(_mm256_set1_epi64x((int64_t)b), _mm256_set_epi64x(3, 2, 1, 0));
    size_t i = 0;
    for (; n - i >= GROUPS * words; i += GROUPS * words) {
        __m256i x0[GROUPS], x1[GROUPS], x2[GROUPS], x3[GROUPS];
#pragma GCC unroll 4
        for (int g = 0; g < GROUPS; g++, c = _mm256_add_epi64(c, next)) {
            __m256i p0 = _mm256_mul_epu32(c, m0);
            x1[g] = _mm256_mul_epu32(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), s2), m1);
            x0[g] = _mm256_xor_si256(_mm256_srli_epi64(x1[g], 32), s0);
            x2[g] = _mm256_xor_si256(p0, s3);
            x3[g] = _mm256_set1_epi64x(s->p0);
        }
#pragma GCC unroll 10
        for (int r = 2; r < ROUNDS; r++) {
#pragma GCC unroll 4
            for (int g = 0; g < GROUPS; g++) {
                __m256i p0 = _mm256_mul_epu32(x0[g], m0), p1 = _mm256_mul_epu32(x2[g], m1);
                x0[g] = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_xor_si256(x1[g], k0[r]));
                x2[g] = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_xor_si256(x3[g], k1[r]));
                x1[g] = p1;
                x3[g] = p0;
            }
        }
#pragma GCC unroll 4
        for (size_t g = 0; g < GROUPS; g++)
            _mm256_storeu_si256((__m256i *)(void *)(out + i + g * words), synth_avx2(x0[g], x1[g], x2[g], x3[g]));
    }
    return i;
}

__attribute__((target("avx512f,avx512bw"))) static inline __m512i synth_avx512(__m512i x0, __m512i x1, __m512i x2, __m512i x3)
{
    const __m512i signs = _mm512_set1_epi32((int)0xFFFF0101), ones = _mm512_set1_epi16(1);
    __m512i lo = _mm512_mask_blend_epi32(0xAAAA, x0, _mm512_slli_epi64(x1, 32));
    __m512i hi = _mm512_mask_blend_epi32(0xAAAA, x2, _mm512_slli_epi64(x3, 32));
    lo = _mm512_madd_epi16(_mm512_maddubs_epi16(lo, signs), ones);
    hi = _mm512_madd_epi16(_mm512_maddubs_epi16(hi, signs), ones);
    __m512i v = _mm512_shuffle_epi32(_mm512_packs_epi32(lo, hi), _MM_PERM_DBCA);
    return _mm512_srai_epi16(_mm512_add_epi16(v, _mm512_srli_epi16(v, 15)), 1);
}

__attribute__((target("avx512f,avx512bw"))) static size_t fill_avx512(int16_t *out, const struct start *s, uint64_t b, size_t n)
{
    enum { XOR3 = 0x96 }; /* truth table of a ^ b ^ c */
    const __m512i m0 = _mm512_set1_epi64(MUL0), m1 = _mm512_set1_epi64(MUL1), next = _mm512_set1_epi64(LANES_AVX512);
    const __m512i s0 = _mm512_set1_epi64(s->x0), s2 = _mm512_set1_epi64(s->x2), s3 = _mm512_set1_epi64(s->x3);
    const size_t words = 4 * LANES_AVX512;
    __m512i k0[ROUNDS], k1[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        k0[r] = _mm512_set1_epi64(s->k0[r]);
        k1[r] = _mm512_set1_epi64(s->k1[r]);
    }
    __m512i c = _mm512_add_epi64(_mm512_set1_epi64((int64_t)b), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
    size_t i = 0;
    for (; n - i >= GROUPS * words; i += GROUPS * words) {
        __m512i x0[GROUPS], x1[GROUPS], x2[GROUPS], x3[GROUPS];
#pragma GCC unroll 4
        for (int g = 0; g < GROUPS; g++, c = _mm512_add_epi64(c, next)) {
            __m512i p0 = _mm512_mul_epu32(c, m0);
            x1[g] = _mm512_mul_epu32(_mm512_xor_si512(_mm512_srli_epi64(p0, 32), s2), m1);
            x0[g] = _mm512_xor_si512(_mm512_srli_epi64(x1[g], 32), s0);
            x2[g] = _mm512_xor_si512(p0, s3);
            x3[g] = _mm512_set1_epi64(s->p0);
        }
#pragma GCC unroll 10
        for (int r = 2; r < ROUNDS; r++) {
#pragma GCC unroll 4
            for (int g = 0; g < GROUPS; g++) {
                __m512i p0 = _mm512_mul_epu32(x0[g], m0), p1 = _mm512_mul_epu32(x2[g], m1);
                x0[g] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), x1[g], k0[r], XOR3);
                x2[g] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), x3[g], k1[r], XOR3);
                x1[g] = p1;
                x3[g] = p0;
            }
        }
#pragma GCC unroll 4
        for (size_t g = 0; g < GROUPS; g++)
            _mm512_storeu_si512(out + i + g * words, synth_avx512(x0[g], x1[g], x2[g], x3[g]));
    }
    return i;
}
#endif

static size_t fill_groups(int16_t *out, uint64_t seed, uint64_t stream, uint64_t b, size_t n)
{
    uint64_t same_high = ((b | UINT32_MAX) - b + 1) * 4; /* a call across it (2^34 words) goes on in portable code */
    struct start s;
    start(&s, seed, stream, b);
    n = n < same_high ? n : (size_t)same_high;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw"))
        return fill_avx512(out, &s, b, n);
    if (__builtin_cpu_supports("avx2"))
        return fill_avx2(out, &s, b, n);
#endif
    (void)out, (void)s;
    return 0;
}

void ss_synth_fill(int16_t *out, uint64_t seed, uint64_t stream, uint64_t first, size_t n)
{
    size_t i = 0;
    for (; i < n && (first + i) % 4 != 0; i++)
        out[i] = (int16_t)ss_synth_int(ss_philox_word(seed, stream, first + i));
    i += fill_groups(out + i, seed, stream, (first + i) / 4, n - i);
    while (i < n) {
        uint32_t words[4];
        block(words, seed, stream, (first + i) / 4);
        for (int k = 0; k < 4 && i < n; k++, i++)
            out[i] = (int16_t)ss_synth_int(words[k]);
    }
}

void ss_synth_ids(int32_t *ids, size_t n, size_t vocab, uint64_t seed)
{
    SS_REQUIRE(vocab > 0 && vocab <= INT32_MAX);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)((uint64_t)ss_philox_word(seed, STREAM_IDS, i) * vocab >> 32);
}
