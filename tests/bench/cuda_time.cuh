/* cuda_time.cuh — what the timings of single operations share: random arrays on the device, the median of nine. */
#ifndef SS_CUDA_TIME_CUH
#define SS_CUDA_TIME_CUH

#include "tests/bench/cuda_check.cuh"

enum { REPEATS = 9 };
static const double BYTES = 4.29e12; /* measured copy rate of an H200 */

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of `call`, after one warm-up, from the device's marks around four calls. */
#define TIME(dev, seconds, call)                                                                                               \
    do {                                                                                                                       \
        double s_[REPEATS];                                                                                                    \
        MUST(call);                                                                                                            \
        for (int i_ = 0; i_ < REPEATS; i_++) {                                                                                 \
            MUST(B->mark(dev, 0));                                                                                             \
            for (int k_ = 0; k_ < 4; k_++)                                                                                     \
                MUST(call);                                                                                                    \
            MUST(B->mark(dev, 1));                                                                                             \
            MUST(B->sync(dev));                                                                                                \
            s_[i_] = (double)B->span_ns(dev, 0, 1) * 1e-9 / 4;                                                                 \
        }                                                                                                                      \
        qsort(s_, REPEATS, sizeof *s_, by_value);                                                                              \
        seconds = s_[REPEATS / 2];                                                                                             \
    } while (0)

static struct ss_aes_key key; /* any schedule will do for timings */

static inline uint64_t *noise(struct ss_dev *dev, size_t words)
{
    static uint64_t nonce;
    uint64_t *p = (uint64_t *)device_bytes(dev, words * 8, 1);
    MUST(B->prg_fill(dev, p, words, &key, nonce++, 0));
    return p;
}

static inline void any_key(void)
{
    for (int i = 0; i < 176; i++)
        key.round_keys[i] = (uint8_t)(i * 37 + 11);
}
#endif
