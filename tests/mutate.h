/* mutate.h — deterministic mutations of bytes, for tests that feed damaged input. */
#ifndef SS_TEST_MUTATE_H
#define SS_TEST_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* Mutation number `seed` of base (n bytes): one to four of: flipped bit, odd byte, cut, doubled or lost range, inserted bytes,
   a number replaced by an extreme one, a word of `words` (NULL-terminated, may be NULL) put in. out has room for 2 n + 256. */
size_t mutate(uint8_t *out, const uint8_t *base, size_t n, uint64_t seed, const char *const *words);
#endif
