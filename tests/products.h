/* products.h — matrix products of a backend against schoolbook sums, for the tests of one device and of two at once. */
#ifndef SS_TEST_PRODUCTS_H
#define SS_TEST_PRODUCTS_H

#include "tests/bed.h"

/* x (m, k) times w (n, k) transposed, in Z_2^64, with w in the layout `type` (SS_I16, SS_I8X2). */
void check_product(struct bed *t, const uint64_t *x, const int16_t *w, size_t m, size_t n, size_t k, enum ss_type type);
void check_random_products(struct bed *t); /* of random shapes */
void check_gemms(struct bed *t);           /* of floats: all types, with and without bias and accumulation */
#endif
