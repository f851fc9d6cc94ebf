/* cuda_check.cu — correctness of the CUDA backend against plain host loops, then timings (cuda_bench.cu). Stands alone: links
   with kernels/cuda.cu, kernels/cuda/, harness/err.c and the CUDA libraries.
     cuda_check --tiny [--no-wgmma]   small shapes only, for compute-sanitizer
     cuda_check [--no-wgmma]          all checks
     cuda_check --bench | --bench-ring [--no-wgmma]   timings */
#include "tests/bench/cuda_check.cuh"

static int failures;

void verdict(const char *what, int good)
{
    printf("%s  %s\n", good ? "PASS" : "FAIL", what);
    fflush(stdout);
    failures += !good;
}

/* ---- AES-128 and Philox on the host */

static uint8_t sbox[256];
static uint8_t times(uint8_t a, uint8_t b)
{
    uint8_t r = 0;
    for (; b; b >>= 1, a = (uint8_t)(a << 1 ^ (a >> 7) * 0x1b))
        r ^= b & 1 ? a : 0;
    return r;
}
static void make_sbox(void)
{
    for (int x = 0; x < 256; x++) {
        uint8_t inverse = 0;
        for (int y = 1; y < 256; y++)
            if (times((uint8_t)x, (uint8_t)y) == 1)
                inverse = (uint8_t)y;
        unsigned v = inverse * 0x0101u; /* rotations of a byte as shifts of its double */
        sbox[x] = (uint8_t)(inverse ^ v >> 7 ^ v >> 6 ^ v >> 5 ^ v >> 4 ^ 0x63);
    }
}
static void expand_key(struct ss_aes_key *k, const uint8_t key[16])
{
    uint8_t rcon = 1, *w = k->round_keys;
    memcpy(w, key, 16);
    for (int i = 4; i < 44; i++) {
        uint8_t t[4];
        memcpy(t, w + 4 * i - 4, 4);
        if (i % 4 == 0) {
            uint8_t first = t[0];
            t[0] = sbox[t[1]] ^ rcon, t[1] = sbox[t[2]], t[2] = sbox[t[3]], t[3] = sbox[first];
            rcon = times(rcon, 2);
        }
        for (int b = 0; b < 4; b++)
            w[4 * i + b] = w[4 * i - 16 + b] ^ t[b];
    }
}
static void aes_block(uint8_t s[16], const struct ss_aes_key *k)
{
    for (int i = 0; i < 16; i++)
        s[i] ^= k->round_keys[i];
    for (int r = 1; r <= 10; r++) {
        uint8_t t[16];
        for (int i = 0; i < 16; i++)
            t[i] = sbox[s[(i + 4 * (i % 4)) % 16]];
        for (int i = 0; i < 16; i++) {
            const uint8_t *c = t + i / 4 * 4;
            uint8_t mixed = (uint8_t)(times(c[i % 4], 2) ^ times(c[(i + 1) % 4], 3) ^ c[(i + 2) % 4] ^ c[(i + 3) % 4]);
            s[i] = (uint8_t)((r < 10 ? mixed : t[i]) ^ k->round_keys[16 * r + i]);
        }
    }
}
static uint64_t keystream_word(const struct ss_aes_key *k, uint64_t nonce, uint64_t first, size_t i)
{
    uint8_t s[16];
    uint64_t counter = first + i / 2, word;
    for (int b = 0; b < 8; b++)
        s[b] = (uint8_t)(nonce >> (56 - 8 * b)), s[8 + b] = (uint8_t)(counter >> (56 - 8 * b));
    aes_block(s, k);
    memcpy(&word, s + 8 * (i % 2), 8);
    return word;
}

static uint32_t philox_word(uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t c[4] = {(uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int r = 0; r < 10; r++) {
        uint64_t a = (uint64_t)0xD2511F53 * c[0], b = (uint64_t)0xCD9E8D57 * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        memcpy(c, next, sizeof c);
        k0 += 0x9E3779B9, k1 += 0xBB67AE85;
    }
    return c[i % 4];
}

static void check_prg(struct ss_dev *dev)
{
    static const uint8_t fips_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static const uint8_t fips_out[16] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                         0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
    static const uint8_t sp_key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                       0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
    static const uint8_t sp_out[32] = {0xec, 0x8c, 0xdf, 0x73, 0x98, 0x60, 0x7c, 0xb0, 0xf2, 0xd2, 0x16,
                                       0x75, 0xea, 0x9e, 0xa1, 0xe4, 0x36, 0x2b, 0x7c, 0x3c, 0x67, 0x73,
                                       0x51, 0x63, 0x18, 0xa0, 0x77, 0xd7, 0xfc, 0x50, 0x73, 0xae};
    struct ss_aes_key key;
    uint64_t *d = (uint64_t *)device_bytes(dev, 8 * 100008, 0xab);
    make_sbox();
    expand_key(&key, fips_key);
    MUST(B->prg_fill(dev, d, 2, &key, 0x0011223344556677u, 0x8899aabbccddeeffu));
    verdict("prg_fill: FIPS-197 C.1", memcmp(to_host(dev, d, 16), fips_out, 16) == 0);
    expand_key(&key, sp_key);
    MUST(B->prg_fill(dev, d, 4, &key, 0xf0f1f2f3f4f5f6f7u, 0xf8f9fafbfcfdfeffu));
    verdict("prg_fill: SP 800-38A F.5.1", memcmp(to_host(dev, d, 32), sp_out, 32) == 0);
    static const size_t lengths[] = {1, 2, 3, 1023, 100001};
    int good = 1;
    for (size_t l = 0; l < 5; l++)
        for (size_t shift = 0; shift < 2; shift++) { /* 16- and 8-byte aligned output; the word after it stays */
            size_t n = lengths[l];
            if (cudaMemsetAsync(d, 0xab, 8 * (n + 3), dev->stream) != cudaSuccess)
                exit(1);
            MUST(B->prg_fill(dev, d + shift, n, &key, 0x0123456789abcdefu, 0xfffffff0u));
            uint64_t *h = (uint64_t *)to_host(dev, d, 8 * (n + 3));
            for (size_t i = 0; i < n; i += 1 + n / 4000)
                good &= h[shift + i] == keystream_word(&key, 0x0123456789abcdefu, 0xfffffff0u, i);
            good &= h[shift + n - 1] == keystream_word(&key, 0x0123456789abcdefu, 0xfffffff0u, n - 1);
            good &= h[shift + n] == 0xababababababababu;
            free(h);
        }
    verdict("prg_fill: lengths, alignments, carry into the high counter word", good);
}

static void check_synth(struct ss_dev *dev)
{
    verdict("host Philox: Random123 known answer",
            philox_word(0, 0, 0) == 0x6627e8d5 && philox_word(0, 0, 1) == 0xe169c58d && philox_word(0, 0, 3) == 0x9b00dbd8);
    static const enum ss_type types[] = {SS_F32, SS_BF16, SS_I16, SS_I8X2};
    static const char *const names[] = {"synth F32", "synth BF16", "synth I16", "synth I8X2"};
    static const size_t widths[] = {96, 37};
    for (int t = 0; t < 4; t++) {
        int good = 1;
        for (int c = 0; c < 2; c++) {
            const size_t cols = widths[c], total = 21, dst0 = 3, row0 = 1001, rows = 15, n = total * cols;
            const size_t bytes = n * (types[t] == SS_F32 ? 4 : 2);
            const uint64_t seed = 0x1234567890abcdefu, stream = 0x500000007u;
            void *d = device_bytes(dev, bytes, 0xab);
            MUST(B->synth(dev, d, types[t], total, dst0, seed, stream, row0, rows, cols, 11));
            uint8_t *h = (uint8_t *)to_host(dev, d, bytes);
            for (size_t i = 0; i < n; i++) {
                const int inside = i >= dst0 * cols && i < (dst0 + rows) * cols;
                uint32_t word = philox_word(seed, stream, row0 * cols + i - dst0 * cols);
                int v = ((int)(word & 255) + (int)(word >> 8 & 255) - (int)(word >> 16 & 255) - (int)(word >> 24)) / 2;
                uint32_t f;
                float x = (float)v / 2048;
                memcpy(&f, &x, 4);
                if (types[t] == SS_F32)
                    good &= ((uint32_t *)h)[i] == (inside ? f : 0xababababu);
                else if (types[t] == SS_BF16)
                    good &= ((uint16_t *)h)[i] == (inside ? f >> 16 : 0xabab);
                else if (types[t] == SS_I16)
                    good &= ((uint16_t *)h)[i] == (inside ? (uint16_t)v : 0xabab);
                else if (inside)
                    good &= (int8_t)h[n + i] * 256 + (int8_t)h[i] == v;
                else
                    good &= h[i] == 0xab && h[n + i] == 0xab;
            }
            free(h);
        }
        verdict(names[t], good);
    }
}

static void check_transport(struct ss_dev *dev)
{
    uint64_t state = 5;
    const size_t n = (20 << 20) / 8 + 3; /* three chunks of staging */
    uint64_t *h = random_words(&state, n), *d = (uint64_t *)to_device(dev, h, 8 * n),
             *e = (uint64_t *)device_bytes(dev, 8 * n, 1);
    MUST(B->copy(dev, e, d, 8 * n));
    verdict("upload, copy, download", memcmp(to_host(dev, e, 8 * n), h, 8 * n) == 0);

    struct ss_dev *other = NULL;
    const struct ss_dev_options o = {dev->ordinal, 0};
    void *fence = NULL;
    MUST(B->open(&other, &o));
    MUST(B->fence_new(dev, &fence));
    for (int i = 0; i < 50; i++)
        MUST(B->ring_add(dev, d, d, e, n)); /* the other stream must see all fifty */
    MUST(B->fence_record(dev, fence));
    MUST(B->fence_wait(other, fence));
    MUST(B->copy(other, e, d, 8 * n));
    uint64_t *got = (uint64_t *)to_host(other, e, 8 * n);
    int good = 1;
    for (size_t i = 0; i < n; i++)
        good &= got[i] == 51 * h[i];
    B->fence_free(dev, fence);
    B->close(other);
    size_t free_bytes, total_bytes;
    B->memory(dev, &free_bytes, &total_bytes);
    verdict("fence between two streams", good);
    verdict("memory", total_bytes > free_bytes && free_bytes > 0);
    MUST(B->mark(dev, 0));
    MUST(B->ring_add(dev, d, d, d, n));
    MUST(B->mark(dev, 5000));
    MUST(B->sync(dev));
    uint64_t ns = B->span_ns(dev, 0, 5000);
    verdict("mark beyond the first events, span", ns > 1000 && ns < 1000000000);
    B->free(dev, d, 8 * n, true);
}

int main(int argc, char **argv)
{
    int tiny = 0, timings = 0, ring_only = 0, wgmma = 1;
    for (int i = 1; i < argc; i++) {
        tiny |= !strcmp(argv[i], "--tiny");
        timings |= !strcmp(argv[i], "--bench");
        ring_only |= !strcmp(argv[i], "--bench-ring");
        wgmma &= strcmp(argv[i], "--no-wgmma") != 0;
    }
    struct ss_dev *dev = open_device();
    printf("%d SMs, wgmma %d%s\n", dev->sms, dev->wgmma, wgmma ? "" : " (switched off)");
    dev->wgmma &= wgmma;
    if (timings || ring_only) {
        bench(dev, ring_only);
    } else {
        check_transport(dev);
        check_prg(dev);
        check_synth(dev);
        check_ring(dev);
        check_float(dev, !tiny);
        check_gemm_ring(dev, !tiny);
        printf("%d failures\n", failures);
    }
    B->close(dev);
    return failures != 0;
}
