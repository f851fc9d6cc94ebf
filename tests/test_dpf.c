/* test_dpf.c — distributed point functions and the sums over selected entries, on each path of the CPU. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"
#include "variants/lib/prg.h"

enum { KEYS = 70, MAX_WORDS = (1 << 14) / 64, MAX_CW = 2 * 8 };

static const char *const paths[] = {"portable", "avx2", NULL};

static struct ss_dev *open_path(const char *path)
{
    struct ss_dev *dev;
    struct ss_dev_options o = {.threads = 2};
    setenv("SHARDSCALE_CPU", path, 1);
    cr_assert_eq(ss_backend_find("cpu")->open(&dev, &o), SS_OK);
    unsetenv("SHARDSCALE_CPU");
    return dev;
}

static void random_words(uint64_t *out, size_t n, uint8_t seed)
{
    struct ss_prg g;
    struct ss_dev *dev = open_path("portable");
    const uint8_t key[16] = {seed, 1, 2, 3};
    ss_prg_from_key(&g, key, 5);
    cr_assert_eq(ss_prg_fill(&g, ss_backend_find("cpu"), dev, out, n), SS_OK);
    ss_backend_find("cpu")->close(dev);
}

struct keys {
    uint64_t root[2][2 * KEYS], b[2][KEYS], cw[MAX_CW * KEYS], sign[KEYS], bits[2][KEYS * MAX_WORDS];
};

static void run_keys(struct keys *k, const char *path, const struct ss_lookup_shape *s, uint8_t seed)
{
    const struct ss_backend *b = ss_backend_find("cpu");
    struct ss_aes_key key;
    struct ss_dev *dev = open_path(path);
    ss_aes_expand(&key, (const uint8_t *)"tree key of test");
    random_words(k->root[0], 4 * KEYS, seed);
    random_words(k->b[0], 2 * KEYS, (uint8_t)(seed + 1));
    cr_assert_eq(b->dpf_gen(dev, k->cw, k->sign, k->root[0], k->root[1], k->b[0], k->b[1], KEYS, s, &key), SS_OK);
    for (int p = 0; p < 2; p++)
        cr_assert_eq(b->dpf_eval(dev, k->bits[p], k->root[p], k->cw, KEYS, s->n_bits, &key, p), SS_OK);
    b->close(dev);
}

static size_t point(const struct keys *k, size_t i, const struct ss_lookup_shape *s)
{
    return (k->b[0][i] + k->b[1][i]) >> s->fine_bits & (((uint64_t)1 << s->n_bits) - 1);
}

Test(dpf, bits_xor_to_the_unit_vector_and_both_paths_agree)
{
    struct keys *k = calloc(2, sizeof *k);
    for (unsigned n_bits = 8; n_bits <= 14; n_bits++) {
        const struct ss_lookup_shape s = {.n_bits = n_bits, .fine_bits = 5};
        const size_t words = (size_t)1 << n_bits >> 6;
        for (size_t path = 0; paths[path]; path++) {
            run_keys(&k[path], paths[path], &s, (uint8_t)(3 * n_bits));
            for (size_t i = 0; i < KEYS; i++) {
                const size_t r = point(&k[path], i, &s);
                const uint64_t *b0 = k[path].bits[0] + i * words, *b1 = k[path].bits[1] + i * words;
                for (size_t j = 0; j < words; j++)
                    cr_assert_eq(b0[j] ^ b1[j], r >> 6 == j ? (uint64_t)1 << (r & 63) : 0, "N 2^%u key %zu word %zu", n_bits, i,
                                 j);
                cr_assert_eq(k[path].sign[i], (b0[r >> 6] >> (r & 63) & 1) ? 1 : -(uint64_t)1);
            }
        }
        cr_assert_arr_eq(k[0].bits[0], k[1].bits[0], KEYS * words * sizeof(uint64_t));
        cr_assert_arr_eq(k[0].cw, k[1].cw, KEYS * 2 * (n_bits - 6) * sizeof(uint64_t));
    }
    free(k);
}

/* The sign and each party's bits are balanced: 5.5 standard deviations have p < 1e-7. */
Test(dpf, sign_and_bits_are_balanced)
{
    struct keys *k = calloc(1, sizeof *k);
    const struct ss_lookup_shape s = {.n_bits = 10};
    double plus = 0, ones[2] = {0}, signs = 0, bits = 0;
    for (int round = 0; round < 60; round++) {
        run_keys(k, "avx2", &s, (uint8_t)(round * 2));
        for (size_t i = 0; i < KEYS; i++)
            plus += k->sign[i] == 1;
        signs += KEYS;
        for (size_t j = 0; j < KEYS * 16; j++)
            for (int p = 0; p < 2; p++)
                ones[p] += __builtin_popcountll(k->bits[p][j]);
        bits += KEYS * 1024.0;
    }
    cr_assert_lt(fabs(plus - signs / 2), 5.5 * sqrt(signs / 4), "%g of %g signs are +1", plus, signs);
    for (int p = 0; p < 2; p++)
        cr_assert_lt(fabs(ones[p] - bits / 2), 5.5 * sqrt(bits / 4), "party %d: %g of %g bits", p, ones[p], bits);
    free(k);
}

Test(dpf, one_hot_shares_xor_to_the_unit_vector)
{
    const struct ss_backend *b = ss_backend_find("cpu");
    const struct ss_lookup_shape s = {.n_bits = 8, .fine_bits = 3};
    struct ss_dev *dev = open_path("portable");
    uint64_t bits[2][4 * KEYS], share[2][KEYS], sign[KEYS];
    random_words(bits[0], 4 * KEYS, 1);
    random_words(share[0], 2 * KEYS, 2);
    cr_assert_eq(b->onehot_deal(dev, bits[1], sign, bits[0], share[0], share[1], KEYS, &s), SS_OK);
    for (size_t i = 0; i < KEYS; i++) {
        const size_t r = (share[0][i] + share[1][i]) >> 3 & 255;
        for (size_t j = 0; j < 4; j++)
            cr_assert_eq(bits[0][4 * i + j] ^ bits[1][4 * i + j], r >> 6 == j ? (uint64_t)1 << (r & 63) : 0);
        cr_assert_eq(sign[i], (bits[0][4 * i + (r >> 6)] >> (r & 63) & 1) ? 1 : -(uint64_t)1);
    }
    b->close(dev);
}

/* Random bits, rotations and tables of every width: bytes sum to the same words as the schoolbook form. */
Test(lookup, selected_sums_agree_on_both_paths)
{
    enum { N = 40 };
    const struct ss_backend *b = ss_backend_find("cpu");
    uint64_t *bits = malloc(N * MAX_WORDS * sizeof *bits), mask[2 * N], e_words[N], out[2][2 * N];
    random_words(mask, 2 * N, 9);
    random_words(e_words, N, 10);
    const uint32_t *e = (const uint32_t *)e_words;
    for (unsigned n_bits = 8; n_bits <= 14; n_bits++)
        for (unsigned planes = 1; planes <= 8; planes++) {
            const size_t n = (size_t)1 << n_bits;
            const struct ss_lookup_shape s = {.n_bits = n_bits, .fine_bits = 4, .columns = 2};
            const unsigned other = 9 - planes;
            uint64_t *entries = malloc(2 * n * sizeof *entries);
            uint8_t *bytes = malloc(9 * n);
            random_words(bits, N * n / 64, (uint8_t)n_bits);
            random_words(entries, 2 * n, (uint8_t)(n_bits + planes));
            for (size_t i = 0; i < 2 * n; i++) {
                const unsigned k = i < n ? planes : other;
                uint64_t biased = k == 8 ? entries[i] : entries[i] & (((uint64_t)1 << 8 * k) - 1);
                entries[i] = biased - ((uint64_t)1 << (8 * k - 1));
                for (unsigned p = 0; p < k; p++)
                    bytes[((i < n ? 0 : planes) + p) * n + i % n] = (uint8_t)(biased >> 8 * p);
            }
            const struct ss_lookup_table t = {entries, bytes, {planes, other}};
            for (int path = 0; path < 2; path++) {
                struct ss_dev *dev = open_path(paths[path]);
                cr_assert_eq(b->lookup_sum(dev, out[path], out[path] + N, bits, e, e + N, mask, &t, N, &s, path), SS_OK);
                b->close(dev);
            }
            for (size_t i = 0; i < 2 * N; i++) /* the second ran as party 1: the sums' signs differ */
                cr_assert_eq(out[0][i] + out[1][i], -2 * mask[i], "2^%u entries, %u planes, %zu", n_bits, planes, i);
            free(entries);
            free(bytes);
        }
    free(bits);
}
