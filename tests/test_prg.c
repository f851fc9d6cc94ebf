/* test_prg.c — AES-128-CTR: published vectors on every path, agreement of the paths, and the stream's bookkeeping. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "tests/targets.h"
#include "variants/lib/prg.h"

/* FIPS-197 appendix A.1 and SP 800-38A share this key. */
static const uint8_t nist_key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                     0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
static const uint64_t sp_nonce = 0xf0f1f2f3f4f5f6f7, sp_block = 0xf8f9fafbfcfdfeff;
/* SP 800-38A F.5.1, output blocks 1 to 4; the counter carries out of its low byte after the first. */
static const uint8_t sp_keystream[64] = {0xec, 0x8c, 0xdf, 0x73, 0x98, 0x60, 0x7c, 0xb0, 0xf2, 0xd2, 0x16, 0x75, 0xea,
                                         0x9e, 0xa1, 0xe4, 0x36, 0x2b, 0x7c, 0x3c, 0x67, 0x73, 0x51, 0x63, 0x18, 0xa0,
                                         0x77, 0xd7, 0xfc, 0x50, 0x73, 0xae, 0x6a, 0x2c, 0xc3, 0x78, 0x78, 0x89, 0x37,
                                         0x4f, 0xbe, 0xb4, 0xc8, 0x1b, 0x17, 0xba, 0x6c, 0x44, 0xe8, 0x9c, 0x39, 0x9f,
                                         0xf0, 0xf1, 0x98, 0xc6, 0xd4, 0x0a, 0x31, 0xdb, 0x15, 0x6c, 0xab, 0xfe};

Test(prg, key_expansion_is_that_of_fips_197)
{
    static const uint8_t first[4] = {0xa0, 0xfa, 0xfe, 0x17}; /* w4 */
    static const uint8_t last[16] = {0xd0, 0x14, 0xf9, 0xa8, 0xc9, 0xee, 0x25, 0x89,
                                     0xe1, 0x3f, 0x0c, 0xc8, 0xb6, 0x63, 0x0c, 0xa6}; /* w40..w43 */
    struct ss_aes_key k;
    ss_aes_expand(&k, nist_key);
    cr_assert_arr_eq(k.round_keys, nist_key, 16);
    cr_assert_arr_eq(k.round_keys + 16, first, 4);
    cr_assert_arr_eq(k.round_keys + 160, last, 16);
}

Test(prg, every_path_gives_the_published_blocks)
{
    static const uint8_t fips_key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static const uint8_t fips_out[16] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                         0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a}; /* FIPS-197 C.1 */
    struct ss_aes_key fips, sp;
    ss_aes_expand(&fips, fips_key);
    ss_aes_expand(&sp, nist_key);
    for (size_t i = 0; cpu_aes_paths[i]; i++) {
        const struct cpu_aes *path = cpu_aes_paths[i];
        uint8_t out[64];
        if (!path->usable())
            continue;
        cr_assert_eq(path->fill(out, 1, &fips, 0x0011223344556677, 0x8899aabbccddeeff), SS_OK);
        cr_assert_arr_eq(out, fips_out, 16, "%s", path->name);
        cr_assert_eq(path->fill(out, 4, &sp, sp_nonce, sp_block), SS_OK);
        cr_assert_arr_eq(out, sp_keystream, 64, "%s", path->name);
    }
}

/* The hash of trees and of oblivious transfers, AES(key, x) ^ x: FIPS-197 C.1 in every lane, and the paths agree. */
Test(prg, every_path_hashes_the_published_block)
{
    enum { BLOCKS = 37 };
    static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static const uint8_t plain[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    static const uint8_t cipher[16] = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                                       0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
    uint8_t in[16 * BLOCKS], mixed[16 * BLOCKS], want[16 * BLOCKS], got[16 * BLOCKS + 1];
    struct ss_aes_key k;
    ss_aes_expand(&k, key);
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = plain[i % 16];
        mixed[i] = (uint8_t)(i * i * 7 + i);
    }
    for (size_t p = 0; cpu_aes_paths[p]; p++) {
        if (!cpu_aes_paths[p]->usable())
            continue;
        for (size_t n = 1; n <= BLOCKS; n++) {
            got[16 * n] = 0xa5;
            cr_assert_eq(cpu_aes_paths[p]->mmo(got, in, n, &k), SS_OK);
            for (size_t i = 0; i < 16 * n; i++)
                cr_assert_eq(got[i], cipher[i % 16] ^ plain[i % 16], "%s, %zu blocks", cpu_aes_paths[p]->name, n);
            cr_assert_eq(cpu_aes_openssl.mmo(want, mixed, n, &k), SS_OK);
            cr_assert_eq(cpu_aes_paths[p]->mmo(got, mixed, n, &k), SS_OK);
            cr_assert_arr_eq(got, want, 16 * n, "%s, %zu blocks", cpu_aes_paths[p]->name, n);
            cr_assert_eq(got[16 * n], 0xa5, "%s wrote behind %zu blocks", cpu_aes_paths[p]->name, n);
        }
    }
}

Test(prg, every_path_agrees_for_every_length)
{
    enum { BLOCKS = 100 };
    static uint8_t want[16 * BLOCKS], got[16 * BLOCKS + 1];
    for (size_t i = 1; cpu_aes_paths[i]; i++) {
        if (!cpu_aes_paths[i]->usable())
            continue;
        for (size_t n = 0; n <= BLOCKS; n++) {
            uint8_t key[16];
            struct ss_aes_key k;
            for (size_t j = 0; j < sizeof key; j++)
                key[j] = (uint8_t)(n * 37 + j * j * 11);
            ss_aes_expand(&k, key);
            const uint64_t nonce = 0x9e3779b97f4a7c15 * n, first = n % 2 ? UINT32_MAX - 20 : n << 40;
            memset(got, 0xa5, sizeof got);
            cr_assert_eq(cpu_aes_openssl.fill(want, n, &k, nonce, first), SS_OK);
            cr_assert_eq(cpu_aes_paths[i]->fill(got, n, &k, nonce, first), SS_OK);
            cr_assert_eq(memcmp(want, got, 16 * n), 0, "%s, %zu blocks", cpu_aes_paths[i]->name, n);
            cr_assert_eq(got[16 * n], 0xa5, "%s wrote behind %zu blocks", cpu_aes_paths[i]->name, n);
        }
    }
}

/* n words of the stream `g` on backend b, brought to the host. */
static void fill(const struct ss_backend *b, struct ss_dev *dev, struct ss_prg *g, uint64_t *h_out, size_t n)
{
    void *p;
    cr_assert_eq(b->alloc(dev, &p, n * 8), SS_OK);
    cr_assert_eq(ss_prg_fill(g, b, dev, p, n), SS_OK);
    cr_assert_eq(b->download(dev, h_out, p, n * 8), SS_OK);
    b->free(dev, p, n * 8, true);
}

/* Calls check on each usable backend; one that REQUIRE names must be usable, and one at least must have run. */
static void on_each(void (*check)(const struct ss_backend *b, struct ss_dev *dev))
{
    const struct ss_dev_options o = {.threads = 2};
    size_t ran = 0;
    for (size_t i = 0; ss_backends[i]; i++) {
        const struct ss_backend *b = ss_backends[i];
        struct ss_dev *dev;
        if (!usable_here(b))
            continue;
        cr_assert_eq(b->open(&dev, &o), SS_OK);
        check(b, dev);
        b->close(dev);
        ran++;
    }
    cr_assert_gt(ran, 0);
}

static void check_vector(const struct ss_backend *b, struct ss_dev *dev)
{
    struct ss_prg g;
    uint64_t out[8];
    ss_prg_from_key(&g, nist_key, sp_nonce);
    g.next_block = sp_block;
    fill(b, dev, &g, out, 8);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++)
            cr_assert_eq((uint8_t)(out[i] >> 8 * j), sp_keystream[8 * i + j], "%s word %zu", b->name, i);
}

Test(prg, words_are_keystream_bytes_little_endian)
{
    on_each(check_vector);
}

static void check_split(const struct ss_backend *b, struct ss_dev *dev)
{
    struct ss_prg one, two;
    uint64_t whole[16], parts[16];
    ss_prg_from_key(&one, nist_key, 5);
    ss_prg_from_key(&two, nist_key, 5);
    fill(b, dev, &one, whole, 16);
    fill(b, dev, &two, parts, 10);
    fill(b, dev, &two, parts + 10, 6);
    cr_assert_arr_eq(whole, parts, sizeof whole, "%s", b->name);
    cr_assert_eq(one.next_block, two.next_block);
}

Test(prg, a_fill_may_be_split_at_block_borders)
{
    on_each(check_split);
}

static void check_large(const struct ss_backend *b, struct ss_dev *dev)
{
    enum { N = 100003 };
    struct ss_prg g;
    uint8_t *want = malloc(8 * (N + 1));
    uint64_t *got = malloc(8 * N);
    cr_assert(want && got);
    ss_prg_from_key(&g, nist_key, 77);
    fill(b, dev, &g, got, N);
    cr_assert_eq(cpu_aes_openssl.fill(want, (N + 1) / 2, &g.key, 77, 0), SS_OK);
    cr_assert_eq(memcmp(want, got, 8 * N), 0, "%s", b->name);
    free(want);
    free(got);
}

Test(prg, a_large_odd_fill_is_one_stream)
{
    on_each(check_large);
}

static void check_nonces(const struct ss_backend *b, struct ss_dev *dev)
{
    struct ss_prg g, h;
    uint64_t x[4], y[4];
    ss_prg_from_key(&g, nist_key, 1);
    ss_prg_from_key(&h, nist_key, 2);
    fill(b, dev, &g, x, 4);
    fill(b, dev, &h, y, 4);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            cr_assert_neq(x[i], y[j], "%s", b->name);
}

Test(prg, distinct_nonces_give_distinct_streams)
{
    on_each(check_nonces);
}

static void check_position(const struct ss_backend *b, struct ss_dev *dev)
{
    struct ss_prg g;
    uint64_t odd[3], next[2], all[6];
    ss_prg_from_key(&g, nist_key, 9);
    fill(b, dev, &g, odd, 3);
    cr_assert_eq(g.next_block, 2, "half a block was used, so the whole block is spent");
    fill(b, dev, &g, next, 2);
    cr_assert_eq(g.next_block, 3);
    ss_prg_from_key(&g, nist_key, 9);
    fill(b, dev, &g, all, 6);
    cr_assert_arr_eq(odd, all, sizeof odd);
    cr_assert_arr_eq(next, all + 4, sizeof next);
}

Test(prg, position_moves_past_what_was_used)
{
    on_each(check_position);
}

Test(prg, init_draws_fresh_keys)
{
    struct ss_prg a, b;
    cr_assert_eq(ss_prg_init(&a, 1), SS_OK);
    cr_assert_eq(ss_prg_init(&b, 1), SS_OK);
    cr_assert_neq(memcmp(&a.key, &b.key, sizeof a.key), 0);
    cr_assert_eq(a.next_block, 0);
    cr_assert_eq(a.nonce, 1);
}

Test(prg, wipe_leaves_zeros)
{
    static const struct ss_prg zero;
    struct ss_prg g;
    ss_prg_from_key(&g, nist_key, 3);
    ss_prg_wipe(&g);
    cr_assert_eq(memcmp(&g, &zero, sizeof g), 0);
}

Test(prg, running_out_of_blocks_aborts, .signal = SIGABRT)
{
    struct ss_prg g;
    uint64_t out[4];
    const struct ss_backend *b = ss_backend_find("cpu");
    const struct ss_dev_options o = {.threads = 1};
    struct ss_dev *dev;
    cr_assert_eq(b->open(&dev, &o), SS_OK);
    ss_prg_from_key(&g, nist_key, 0);
    g.next_block = UINT64_MAX;
    enum ss_err unreached = ss_prg_fill(&g, b, dev, out, 4);
    cr_assert_fail("returned %d", (int)unreached);
}
