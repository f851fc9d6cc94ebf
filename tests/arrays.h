/* arrays.h — the same words on a backend's device and on the host, for tests that hold operations against plain loops, on every
   backend and instruction set of this machine. */
#ifndef SS_TEST_ARRAYS_H
#define SS_TEST_ARRAYS_H

#include <criterion/criterion.h>

#include "kernels/backend.h"
#include "tests/random.h"

enum { MAX_HELD = 32, MANY = 300001 /* from here on a GPU's blocks hold all thresholds, a CPU's threads share the work */ };

/* Loops work out on the host what should be there. The last word is nobody's. */
struct array {
    uint64_t *d, *h;
    size_t words;
};

struct bench {
    const struct ss_backend *b;
    struct ss_dev *dev;
    const char *isa;
    struct array held[MAX_HELD];
    size_t n;
    uint64_t seed;
};

#define RUN(t, op, ...) cr_assert_eq((t)->b->op((t)->dev, __VA_ARGS__), SS_OK, "%s on %s %s", #op, (t)->b->name, (t)->isa)

struct array random_words(struct bench *t, size_t words);
/* The device's words, and the one behind them, are the host's. */
void same(struct bench *t, struct array a, const char *what, size_t case_n);
void drop_all(struct bench *t);
/* Runs `check` on each backend that is usable here; those named in REQUIRE must be. */
void on_each(void (*check)(struct bench *t));

/* Bits sliced as backend.h says. */
static inline size_t groups_of(size_t n)
{
    return n / 64 + (n % 64 != 0);
}
static inline uint64_t bit_of(const uint64_t *bits, size_t n, size_t row, size_t i)
{
    return bits[row * groups_of(n) + i / 64] >> i % 64 & 1;
}
static inline void set_bit(uint64_t *bits, size_t n, size_t row, size_t i, uint64_t bit)
{
    uint64_t *word = &bits[row * groups_of(n) + i / 64];
    *word = (*word & ~((uint64_t)1 << i % 64)) | bit << i % 64;
}
#endif
