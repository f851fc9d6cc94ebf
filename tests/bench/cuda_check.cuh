/* cuda_check.cuh — what the two halves of the CUDA check share: device arrays made from host arrays, random inputs, verdicts.
 */
#ifndef SS_CUDA_CHECK_CUH
#define SS_CUDA_CHECK_CUH

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.cuh"
#include "tests/random.h"

extern const struct ss_backend ss_backend_cuda;
#define B (&ss_backend_cuda)
#define MUST(call)                                                                                                             \
    do {                                                                                                                       \
        if ((call) != SS_OK) {                                                                                                 \
            printf("FAIL  %s:%d %s\n", __FILE__, __LINE__, #call);                                                             \
            exit(1);                                                                                                           \
        }                                                                                                                      \
    } while (0)

/* The device under test; without one the program ends with status 5. */
static inline struct ss_dev *open_device(void)
{
    const struct ss_dev_options o = {0, 0};
    struct ss_dev *dev = NULL;
    if (B->unusable()) {
        printf("FAIL  %s\n", B->unusable());
        exit(5);
    }
    MUST(B->open(&dev, &o));
    return dev;
}

static inline float next_float(uint64_t *state) /* uniform in [-1, 1) */
{
    return (float)((int64_t)random64(state) >> 32) * 0x1p-31f;
}

/* Everything is freed when the process ends: a check runs once. */
static inline void *device_bytes(struct ss_dev *dev, size_t bytes, int poison)
{
    void *p = NULL;
    MUST(B->alloc(dev, &p, bytes));
    if (cudaMemsetAsync(p, poison, bytes, dev->stream) != cudaSuccess)
        exit(1);
    return p;
}
static inline void *to_device(struct ss_dev *dev, const void *h, size_t bytes)
{
    void *p = device_bytes(dev, bytes, 0xab);
    MUST(B->upload(dev, p, h, bytes));
    return p;
}
static inline void *to_host(struct ss_dev *dev, const void *p, size_t bytes)
{
    void *h = malloc(bytes);
    MUST(B->download(dev, h, p, bytes));
    return h;
}
static inline uint64_t *random_words(uint64_t *state, size_t n)
{
    uint64_t *h = (uint64_t *)malloc(n * 8);
    for (size_t i = 0; i < n; i++)
        h[i] = random64(state);
    return h;
}
static inline float *random_floats(uint64_t *state, size_t n, float scale)
{
    float *h = (float *)malloc(n * 4);
    for (size_t i = 0; i < n; i++)
        h[i] = next_float(state) * scale;
    return h;
}

void check_ring(struct ss_dev *dev);
void check_gemm_ring(struct ss_dev *dev, int full);
void check_float(struct ss_dev *dev, int full);
void bench(struct ss_dev *dev, int ring_only);
void verdict(const char *what, int good);
#endif
