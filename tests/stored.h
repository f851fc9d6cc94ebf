/* stored.h — results made for tests of cell files. */
#ifndef SS_TEST_STORED_H
#define SS_TEST_STORED_H

#include "harness/store.h"

/* A result in which every number differs from every other. */
void fill_result(struct ss_result *r, uint64_t seed, size_t reps, size_t layers);
/* In everything that a cell file holds. */
void expect_equal_results(const struct ss_result *a, const struct ss_result *b);
/* Writes r below dir and reads it back: the same. */
void write_and_compare(const char *dir, const struct ss_result *r);
#endif
