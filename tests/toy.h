/* toy.h — small rings for tests of exact privacy: digits of an enumeration, views as numbers. */
#ifndef SS_TEST_TOY_H
#define SS_TEST_TOY_H

#include <stddef.h>
#include <stdint.h>

#include "tests/random.h"

static inline uint64_t low(uint64_t x, unsigned bits)
{
    return x & (((uint64_t)1 << bits) - 1);
}

/* Fixed words that mean nothing: word i of random64 from 0. */
static inline uint64_t some(uint64_t i)
{
    uint64_t state = i * 0x9e3779b97f4a7c15;
    return random64(&state);
}

/* The low bits of *i, which loses them. */
static inline uint64_t digit(size_t *i, unsigned bits)
{
    const uint64_t d = low(*i, bits);
    *i >>= bits;
    return d;
}

/* view with the low bits of `word` behind it */
static inline size_t put(size_t view, uint64_t word, unsigned bits)
{
    return view << bits | low(word, bits);
}
#endif
