/* comparison.h — one comparison between dealer and parties, on random or on scripted randomness, for the tests of compare.h. */
#ifndef SS_TEST_COMPARISON_H
#define SS_TEST_COMPARISON_H

#include "tests/roles.h"
#include "variants/lib/compare.h"

struct comparison {
    struct ss_compare_shape shape;
    size_t rows, cols, stride;
    uint64_t t[SS_MAX_THRESHOLDS];
    const uint8_t *shift;
    uint64_t *x[2], *s[2], *sx[2]; /* shares; s may be NULL */
    uint64_t *dealt;               /* NULL, or where P1's batch is copied to */
};
void comparison_alloc(struct comparison *t); /* x, s, and sx if products are wanted, zeros */
void comparison_free(struct comparison *t);
enum ss_err comparison_run(struct ss_ctx *c, void *comparison); /* a role_fn: batch and use */

/* Randomness from a script: what each party's stream gives, which the dealer expands too. One script at a time. */
struct script {
    uint64_t *words[2]; /* of P0's and P1's stream, zeros at first */
    size_t n;           /* each */
};
void script_open(struct script *s, struct roles *r, size_t words);
void script_close(struct script *s);

static inline uint64_t opened(uint64_t *const share[2], size_t i)
{
    return share[0][i] + share[1][i];
}
#endif
