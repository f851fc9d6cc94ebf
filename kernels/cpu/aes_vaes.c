/* aes_vaes.c — AES-128-CTR keystream with vector AES: 2 blocks a register (AVX2) or 4 (AVX-512), 8 registers in flight. */
#include "kernels/cpu/cpu.h"

#include <cpuid.h>
#include <immintrin.h>

enum { BLOCK = 16, ROUNDS = 10, WIDTH = 8 };

static bool has_vaes256(void)
{
    unsigned a, b, c = 0, d;
    const bool has = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & bit_VAES); /* Clang 14's builtin does not know it */
    return has && __builtin_cpu_supports("avx2") && cpu_aes_ni.usable();
}

static bool has_vaes512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && has_vaes256();
}

__attribute__((target("vaes,avx2"))) static enum ss_err fill256(uint8_t *out, size_t blocks, const struct ss_aes_key *key,
                                                                uint64_t nonce, uint64_t first_block)
{
    enum { PER = 2, STRIDE = PER * WIDTH };
    const __m256i big_endian = _mm256_broadcastsi128_si256(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i step = _mm256_set_epi64x(PER, 0, PER, 0);
    const long long high = (long long)nonce, low = (long long)first_block;
    __m256i rk[ROUNDS + 1], counter = _mm256_add_epi64(_mm256_set_epi64x(low, high, low, high), _mm256_set_epi64x(1, 0, 0, 0));
    for (int i = 0; i <= ROUNDS; i++)
        rk[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(key->round_keys + BLOCK * i)));
    size_t b = 0;
    for (; b + STRIDE <= blocks; b += STRIDE) {
        __m256i s[WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            s[i] = _mm256_xor_si256(_mm256_shuffle_epi8(counter, big_endian), rk[0]);
            counter = _mm256_add_epi64(counter, step);
        }
        for (int r = 1; r < ROUNDS; r++)
            for (int i = 0; i < WIDTH; i++)
                s[i] = _mm256_aesenc_epi128(s[i], rk[r]);
        for (int i = 0; i < WIDTH; i++)
            _mm256_storeu_si256((__m256i *)(out + b * BLOCK) + i, _mm256_aesenclast_epi128(s[i], rk[ROUNDS]));
    }
    return cpu_aes_ni.fill(out + b * BLOCK, blocks - b, key, nonce, first_block + b);
}

__attribute__((target("vaes,avx512f,avx512bw"))) static enum ss_err
fill512(uint8_t *out, size_t blocks, const struct ss_aes_key *key, uint64_t nonce, uint64_t first_block)
{
    enum { PER = 4, STRIDE = PER * WIDTH };
    const __m512i big_endian = _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    const __m512i step = _mm512_set_epi64(PER, 0, PER, 0, PER, 0, PER, 0);
    const __m128i start = _mm_set_epi64x((long long)first_block, (long long)nonce);
    __m512i rk[ROUNDS + 1], counter = _mm512_add_epi64(_mm512_broadcast_i32x4(start), _mm512_set_epi64(3, 0, 2, 0, 1, 0, 0, 0));
    for (int i = 0; i <= ROUNDS; i++)
        rk[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(key->round_keys + BLOCK * i)));
    size_t b = 0;
    for (; b + STRIDE <= blocks; b += STRIDE) {
        __m512i s[WIDTH];
        for (int i = 0; i < WIDTH; i++) {
            s[i] = _mm512_xor_si512(_mm512_shuffle_epi8(counter, big_endian), rk[0]);
            counter = _mm512_add_epi64(counter, step);
        }
        for (int r = 1; r < ROUNDS; r++)
            for (int i = 0; i < WIDTH; i++)
                s[i] = _mm512_aesenc_epi128(s[i], rk[r]);
        for (int i = 0; i < WIDTH; i++)
            _mm512_storeu_si512((uint8_t *)(out + b * BLOCK) + 64 * i, _mm512_aesenclast_epi128(s[i], rk[ROUNDS]));
    }
    return cpu_aes_ni.fill(out + b * BLOCK, blocks - b, key, nonce, first_block + b);
}

/* Both widths use this one: the trees of a DPF keep 256-bit units busy. */
__attribute__((target("vaes,avx2"))) static enum ss_err mmo256(void *out, const void *in, size_t blocks,
                                                               const struct ss_aes_key *key)
{
    enum { PER = 2, STRIDE = PER * WIDTH };
    __m256i rk[ROUNDS + 1];
    for (int i = 0; i <= ROUNDS; i++)
        rk[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(key->round_keys + BLOCK * i)));
    size_t b = 0;
    for (; b + STRIDE <= blocks; b += STRIDE) {
        const __m256i *from = (const __m256i *)((const uint8_t *)in + b * BLOCK);
        __m256i *to = (__m256i *)((uint8_t *)out + b * BLOCK), s[WIDTH];
        for (int i = 0; i < WIDTH; i++)
            s[i] = _mm256_xor_si256(_mm256_loadu_si256(from + i), rk[0]);
        for (int r = 1; r < ROUNDS; r++)
            for (int i = 0; i < WIDTH; i++)
                s[i] = _mm256_aesenc_epi128(s[i], rk[r]);
        for (int i = 0; i < WIDTH; i++) {
            s[i] = _mm256_aesenclast_epi128(s[i], rk[ROUNDS]);
            _mm256_storeu_si256(to + i, _mm256_xor_si256(s[i], _mm256_loadu_si256(from + i)));
        }
    }
    return blocks == b ? SS_OK : cpu_aes_ni.mmo((uint8_t *)out + b * BLOCK, (const uint8_t *)in + b * BLOCK, blocks - b, key);
}

const struct cpu_aes cpu_aes_vaes256 = {
    .name = "vaes-256", .isa = CPU_AVX2, .usable = has_vaes256, .fill = fill256, .mmo = mmo256};
const struct cpu_aes cpu_aes_vaes512 = {
    .name = "vaes-512", .isa = CPU_AVX512, .usable = has_vaes512, .fill = fill512, .mmo = mmo256};
