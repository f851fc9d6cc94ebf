/* Philox 4x32-10: published vectors, and one value whatever the instruction set. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"

/* Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds. */
Test(philox, known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        ss_philox4x32(out, kat[i].counter, kat[i].key);
        cr_expect(memcmp(out, kat[i].out, sizeof out) == 0, "vector %zu", i);
    }
}

Test(philox, words_are_the_blocks_of_a_stream)
{
    const uint64_t seed = 0x299f31d0a4093822, stream = 0x0370734413198a2e, first_block = 0x05a308d3243f6a88;
    const uint32_t key[2] = {0xa4093822, 0x299f31d0};
    for (uint64_t b = 0; b < 2; b++) {
        uint32_t counter[4] = {0x243f6a88 + (uint32_t)b, 0x05a308d3, 0x13198a2e, 0x03707344}, out[4];
        ss_philox4x32(out, counter, key);
        for (uint64_t k = 0; k < 4; k++)
            cr_expect_eq(ss_philox_word(seed, stream, 4 * (first_block + b) + k), out[k]);
    }
}

Test(philox, integers_of_hand_computed_words)
{
    cr_expect_eq(ss_synth_int(0x00000000), 0);
    cr_expect_eq(ss_synth_int(0x0000ffff), 255);
    cr_expect_eq(ss_synth_int(0xffff0000), -255);
    cr_expect_eq(ss_synth_int(0x00000001), 0); /* 1/2 towards zero */
    cr_expect_eq(ss_synth_int(0x01000000), 0); /* -1/2 towards zero */
    cr_expect_eq(ss_synth_int(0x04030201), -2);
}

Test(philox, fill_equals_words_at_every_offset_and_length)
{
    enum { MAX = 700 };
    int16_t out[MAX + 1];
    const uint64_t boundary = UINT64_C(1) << 34; /* the block number's high half changes here */
    const uint64_t firsts[] = {0, 1, 2, 3, 4, 97, boundary - 333, boundary - 64, boundary, 3 * boundary - 1};
    for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++)
        for (size_t n = 0; n <= MAX; n += n < 70 ? 1 : 63) {
            const uint64_t seed = 0x0123456789abcdef * (f + 1), stream = (uint64_t)n << 33 | f;
            out[n] = 12345;
            ss_synth_fill(out, seed, stream, firsts[f], n);
            cr_assert_eq(out[n], 12345, "wrote past its end");
            for (size_t i = 0; i < n; i++)
                cr_assert_eq(out[i], ss_synth_int(ss_philox_word(seed, stream, firsts[f] + i)), "first %zu, n %zu, value %zu",
                             f, n, i);
        }
}

Test(philox, moments_are_those_of_the_header)
{
    enum { N = 1 << 20 };
    int16_t *v = malloc(N * sizeof *v);
    double sum = 0, squares = 0;
    ss_synth_fill(v, 7, 9, 0, N);
    for (size_t i = 0; i < N; i++) {
        cr_assert(v[i] >= -255 && v[i] <= 255);
        sum += v[i];
        squares += (double)v[i] * v[i];
    }
    cr_expect_float_eq(sum / N, 0, 5 * 73.9 / 1024, "mean %g", sum / N);
    cr_expect_float_eq(sqrt(squares / N), 73.9, 0.3, "standard deviation %g", sqrt(squares / N));
    free(v);
}

Test(philox, ids_cover_the_vocabulary_and_follow_the_seed)
{
    enum { N = 4096, VOCAB = 37 };
    static int32_t a[N], b[N];
    size_t seen[VOCAB] = {0}, equal = 0;
    ss_synth_ids(a, N, VOCAB, 1);
    ss_synth_ids(b, N / 2, VOCAB, 1);
    cr_expect(memcmp(a, b, N / 2 * sizeof *a) == 0);
    ss_synth_ids(b, N, VOCAB, 2);
    for (size_t i = 0; i < N; i++) {
        cr_assert(a[i] >= 0 && a[i] < VOCAB);
        seen[a[i]]++;
        equal += a[i] == b[i];
    }
    for (size_t v = 0; v < VOCAB; v++)
        cr_expect(seen[v] > N / VOCAB / 2, "id %zu: %zu times", v, seen[v]);
    cr_expect(equal < N / 10);
}
