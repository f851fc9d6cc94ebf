/* bed.h — one backend under test and what it holds, for the tests of the contract of kernels/backend.h: every backend of the
   registry and every instruction set of the CPU (targets.h). Every failed call fails the test. */
#ifndef SS_TEST_BED_H
#define SS_TEST_BED_H

#include <string.h>

#include "tests/random.h"
#include "tests/targets.h"

enum { BED_MAX_HELD = 64 };

struct bed {
    const struct ss_backend *b;
    struct ss_dev *dev;
    const char *isa;
    void *held[BED_MAX_HELD];
    size_t held_bytes[BED_MAX_HELD], n;
};
typedef void (*bed_check)(struct bed *t);

void *bed_room(struct bed *t, size_t bytes); /* device memory until bed_drop */
void *bed_put(struct bed *t, const void *h, size_t bytes);
void bed_get(struct bed *t, void *h, const void *p, size_t bytes);
void bed_drop(struct bed *t); /* all that it holds */

void bed_run(const struct ss_backend *b, const char *isa, bed_check check);
void bed_on_each(bed_check check); /* each target that can run here, one at least */

void *host(size_t bytes); /* zeros, to be freed */

static inline double uniform(uint64_t *state) /* [-1, 1) */
{
    return (double)(int64_t)random64(state) * 0x1p-63;
}

/* Independent of the backends' rounding: the nearer neighbour, in double; the even one on a tie. */
static inline uint16_t to_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    const uint32_t low = u & 0xffff, base = u >> 16;
    return (uint16_t)(base + (low > 0x8000 || (low == 0x8000 && base % 2)));
}

static inline float from_bf16(uint16_t x)
{
    const uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
#endif
