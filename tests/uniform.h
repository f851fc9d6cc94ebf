/* uniform.h — chi-square statistics of words that should be uniform, as normal z-scores (Wilson and Hilferty 1931). */
#ifndef SS_TEST_UNIFORM_H
#define SS_TEST_UNIFORM_H

#include <stddef.h>
#include <stdint.h>

/* p = 1e-6, one-sided. */
#define UNIFORM_MOST 4.753

/* How often each value of one byte occurs. */
struct histogram {
    size_t n, seen[256];
};
/* Byte `byte` of each of n words of `width` bytes, little-endian. */
void histogram_add(struct histogram *h, const void *words, size_t width, size_t n, int byte);
double uniform_z(const struct histogram *h);                         /* against equal frequencies */
double byte_z(const uint64_t *words, size_t n, int byte);            /* the same of one byte of n words */
double same_z(const struct histogram *a, const struct histogram *b); /* two samples of one distribution? */
#endif
