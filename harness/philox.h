/* philox.h — Philox 4x32-10 (Salmon et al., SC'11) and the synthetic weights made from it. For weights and token ids only:
   never for shares, masks or keys. */
#ifndef SS_PHILOX_H
#define SS_PHILOX_H

#include <stddef.h>
#include <stdint.h>

/* out = Philox4x32-10(counter, key). Known answers: Random123 kat_vectors. */
void ss_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* Word i of cuRAND's sequence curand_init(seed, stream, 0): counter = (i/4 as 64 bits, stream as 64 bits), key = seed,
   word i%4 of the block. */
uint32_t ss_philox_word(uint64_t seed, uint64_t stream, uint64_t i);

/* One synthetic weight from one word: bytes (a, b, c, d) give ((a + b) - (c + d)) / 2 rounded towards zero, an integer in
   [-255, 255], symmetric, near-Gaussian (Irwin-Hall), standard deviation 73.9; exactly representable in bf16. */
static inline int ss_synth_int(uint32_t word)
{
    int v = (int)(word & 255) + (int)(word >> 8 & 255) - (int)(word >> 16 & 255) - (int)(word >> 24);
    return v / 2;
}
/* out[i] = ss_synth_int(word first + i), n values; vectorised where the CPU allows, same values everywhere. */
void ss_synth_fill(int16_t *out, uint64_t seed, uint64_t stream, uint64_t first, size_t n);

/* n token ids in [0, vocab) from (seed, its own stream). */
void ss_synth_ids(int32_t *ids, size_t n, size_t vocab, uint64_t seed);
#endif
