/* selftest.c — known answers on the machine at hand. */
#include "harness/selftest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/philox.h"
#include "harness/store.h"
#include "variants/lib/prg.h"

/* CTR mode encrypts nonce || counter: with those set to the standard's plaintext the keystream is its ciphertext. */
enum ss_err ss_selftest_aes(const struct ss_backend *b, struct ss_dev *dev)
{
    static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static const uint8_t expected[16] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                         0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
    struct ss_aes_key k;
    void *p = NULL;
    uint8_t got[16] = {0};
    ss_aes_expand(&k, key);
    SS_TRY(b->alloc(dev, &p, sizeof got));
    enum ss_err err = b->prg_fill(dev, p, 2, &k, 0x0011223344556677u, 0x8899aabbccddeeffu);
    if (err == SS_OK)
        err = b->download(dev, got, p, sizeof got);
    b->free(dev, p, sizeof got, false);
    SS_TRY(err);
    if (memcmp(got, expected, sizeof got) != 0)
        SS_FAIL(SS_ENV, "backend %s: AES-128 differs from FIPS-197 (first byte %02x, expected 69)", b->name, got[0]);
    return SS_OK;
}

enum { M = 2, N = 3, K = 96 };

/* The weight of row j, column i, and its form on the device. */
static int weight(size_t j, size_t i)
{
    return (int)(j * 7919 + i * 104729) % 65025 - 32512;
}

static void fill_matrix(int16_t *words, enum ss_type type)
{
    int8_t *planes = (int8_t *)words;
    for (size_t j = 0; j < N; j++)
        for (size_t i = 0; i < K; i++) {
            int w = weight(j, i), lo = ((w & 255) ^ 128) - 128; /* low byte, sign extended */
            if (type == SS_I16) {
                words[j * K + i] = (int16_t)w;
            } else {
                planes[j * K + i] = (int8_t)lo;
                planes[N * K + j * K + i] = (int8_t)((w - lo) / 256);
            }
        }
}

static enum ss_err multiply(uint64_t out[M * N], const uint64_t a[M * K], const struct ss_backend *b, struct ss_dev *dev,
                            void *p[3])
{
    static int16_t words[N * K];
    fill_matrix(words, b->ring_matrix);
    const struct ss_matrix w = {.type = b->ring_matrix, .rows = N, .cols = K, .data = p[1]};
    SS_TRY(b->upload(dev, p[0], a, M * K * sizeof *a));
    SS_TRY(b->upload(dev, p[1], words, sizeof words));
    SS_TRY(b->gemm_ring(dev, p[2], p[0], M, &w));
    return b->download(dev, out, p[2], M * N * sizeof *out);
}

enum ss_err ss_selftest_gemm_ring(const struct ss_backend *b, struct ss_dev *dev)
{
    static const size_t bytes[3] = {M * K * sizeof(uint64_t), N * K * sizeof(int16_t), M * N * sizeof(uint64_t)};
    uint64_t a[M * K], out[M * N] = {0};
    void *p[3] = {NULL, NULL, NULL};
    for (size_t i = 0; i < M * K; i++)
        a[i] = i * 0x9e3779b97f4a7c15u + 0xfedcba9876543210u;
    enum ss_err err = SS_OK;
    for (int i = 0; i < 3 && err == SS_OK; i++)
        err = b->alloc(dev, &p[i], bytes[i]);
    if (err == SS_OK)
        err = multiply(out, a, b, dev, p);
    for (int i = 0; i < 3; i++)
        if (p[i])
            b->free(dev, p[i], bytes[i], false);
    SS_TRY(err);
    for (size_t m = 0; m < M; m++)
        for (size_t j = 0; j < N; j++) {
            uint64_t sum = 0;
            for (size_t i = 0; i < K; i++)
                sum += a[m * K + i] * (uint64_t)(int64_t)weight(j, i);
            if (out[m * N + j] != sum)
                SS_FAIL(SS_ENV, "backend %s: ring product [%zu,%zu] is %016" PRIx64 ", expected %016" PRIx64, b->name, m, j,
                        out[m * N + j], sum);
        }
    return SS_OK;
}

enum ss_err ss_selftest_philox(void)
{
    static const uint32_t counter[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, key[2] = {0xa4093822, 0x299f31d0};
    static const uint32_t expected[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    uint32_t got[4];
    ss_philox4x32(got, counter, key);
    if (memcmp(got, expected, sizeof got) != 0)
        SS_FAIL(SS_ENV, "Philox 4x32-10 differs from Random123 (first word %08" PRIx32 ")", got[0]);
    return SS_OK;
}

enum ss_err ss_selftest_store(void)
{
    const char *tmp = getenv("TMPDIR");
    char dir[512], cells[600], path[4096];
    snprintf(dir, sizeof dir, "%s/shardscale-doctor-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        SS_FAIL(SS_ENV, "%s: no temporary folder can be made; set TMPDIR", dir);
    struct ss_result r = {.status = SS_SKIPPED}, back = {0};
    snprintf(r.cell.model, sizeof r.cell.model, "doctor");
    snprintf(r.reason, sizeof r.reason, "written by doctor");
    ss_cell_identify(&r.cell);
    ss_store_path(path, sizeof path, dir, &r.cell);
    enum ss_err err = ss_store_write(dir, &r);
    if (err == SS_OK)
        err = ss_store_read(&back, path);
    if (err == SS_OK && (strcmp(back.cell.id, r.cell.id) != 0 || strcmp(back.reason, r.reason) != 0))
        err = ss_fail(SS_ENV, __FILE__, __LINE__, "%s: read back differently from what was written", path);
    ss_result_free(&back);
    unlink(path);
    snprintf(cells, sizeof cells, "%s/cells", dir);
    rmdir(cells);
    rmdir(dir);
    return err;
}
