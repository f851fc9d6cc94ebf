/* aes.cuh — AES-128 on the device for prg.cu and dpf.cu. The classical T-table, one copy per shared-memory bank: lane l reads
   only bank l, so no two lanes collide and the time does not depend on what is looked up. A block of 16 B costs 160 look-ups;
   one look-up per lane and cycle bounds an H200 at 740 GB/s, address and rotation arithmetic at about 640. */
#ifndef SS_CUDA_AES_CUH
#define SS_CUDA_AES_CUH

#include "kernels/cuda/cuda.cuh"

#include <string.h>

enum { AES_ROUNDS = 10, AES_BANKS = 32, AES_WORDS = 4 * (AES_ROUNDS + 1), AES_TABLE = 256 * AES_BANKS };

static __constant__ uint8_t aes_sbox[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76, 0xca, 0x82, 0xc9, 0x7d,
    0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0, 0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc,
    0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15, 0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2,
    0xeb, 0x27, 0xb2, 0x75, 0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
    0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf, 0xd0, 0xef, 0xaa, 0xfb,
    0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8, 0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5,
    0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2, 0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d,
    0x64, 0x5d, 0x19, 0x73, 0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
    0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79, 0xe7, 0xc8, 0x37, 0x6d,
    0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08, 0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6,
    0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a, 0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9,
    0x86, 0xc1, 0x1d, 0x9e, 0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16};

struct aes_words { /* round keys as little-endian words: column c of round r is w[4 r + c] */
    uint32_t w[AES_WORDS];
};

static __device__ __forceinline__ uint32_t twice(uint32_t x)
{
    return (x << 1 ^ (x >> 7) * 0x11b) & 255;
}

/* Entry (byte `at` of word) of this lane's copy: entries are AES_BANKS words = 128 B apart. */
static __device__ __forceinline__ uint32_t entry(const uint32_t *table, uint32_t lane_offset, uint32_t word, int at)
{
    uint32_t scaled = at == 0 ? word << 7 : word >> (8 * at - 7);
    return *(const uint32_t *)((const char *)table + ((scaled & 0x7f80) | lane_offset));
}

static __device__ __forceinline__ uint32_t rotate_bytes(uint32_t x, int bytes)
{
    return __funnelshift_l(x, x, 8 * bytes);
}

/* SubBytes, ShiftRows, MixColumns for one column made of row 0 of a, row 1 of b, row 2 of c, row 3 of d. */
static __device__ __forceinline__ uint32_t round_column(const uint32_t *table, uint32_t lane, uint32_t a, uint32_t b,
                                                        uint32_t c, uint32_t d)
{
    return entry(table, lane, a, 0) ^ rotate_bytes(entry(table, lane, b, 1), 1) ^ rotate_bytes(entry(table, lane, c, 2), 2) ^
           rotate_bytes(entry(table, lane, d, 3), 3);
}

/* The last round has no MixColumns: byte 1 of a table entry is the S-box itself. */
static __device__ __forceinline__ uint32_t last_column(const uint32_t *table, uint32_t lane, uint32_t a, uint32_t b, uint32_t c,
                                                       uint32_t d)
{
    uint32_t low = __byte_perm(entry(table, lane, a, 0), entry(table, lane, b, 1), 0x0051);
    uint32_t high = __byte_perm(entry(table, lane, c, 2), entry(table, lane, d, 3), 0x0051);
    return __byte_perm(low, high, 0x5410);
}

/* By all threads of the block: fills table (AES_TABLE words of shared memory). The caller synchronises. */
static __device__ __forceinline__ void aes_fill_table(uint32_t *table)
{
    for (int i = threadIdx.x; i < AES_TABLE; i += blockDim.x) {
        const uint32_t s = aes_sbox[i / AES_BANKS], s2 = twice(s);
        table[i] = s2 | s << 8 | s << 16 | (s2 ^ s) << 24;
    }
}

/* lane: 4 * (threadIdx.x % AES_BANKS), the byte offset of this lane's bank. Words hold bytes in memory order. */
static __device__ __forceinline__ uint4 aes_encrypt(const uint32_t *table, uint32_t lane, const struct aes_words &key, uint4 in)
{
    uint32_t s0 = in.x ^ key.w[0], s1 = in.y ^ key.w[1], s2 = in.z ^ key.w[2], s3 = in.w ^ key.w[3];
#pragma unroll
    for (int r = 1; r < AES_ROUNDS; r++) {
        const uint32_t t0 = round_column(table, lane, s0, s1, s2, s3) ^ key.w[4 * r];
        const uint32_t t1 = round_column(table, lane, s1, s2, s3, s0) ^ key.w[4 * r + 1];
        const uint32_t t2 = round_column(table, lane, s2, s3, s0, s1) ^ key.w[4 * r + 2];
        const uint32_t t3 = round_column(table, lane, s3, s0, s1, s2) ^ key.w[4 * r + 3];
        s0 = t0, s1 = t1, s2 = t2, s3 = t3;
    }
    return make_uint4(last_column(table, lane, s0, s1, s2, s3) ^ key.w[4 * AES_ROUNDS],
                      last_column(table, lane, s1, s2, s3, s0) ^ key.w[4 * AES_ROUNDS + 1],
                      last_column(table, lane, s2, s3, s0, s1) ^ key.w[4 * AES_ROUNDS + 2],
                      last_column(table, lane, s3, s0, s1, s2) ^ key.w[4 * AES_ROUNDS + 3]);
}

static inline struct aes_words aes_words_of(const struct ss_aes_key *key)
{
    struct aes_words words;
    memcpy(words.w, key->round_keys, sizeof words.w);
    return words;
}
#endif
