/* weights_seen.h — what the tests of weights share: one party or three roles, all that a role sees of the weights as bytes, and
   single values. Weights lie in CPU memory here, so the tests read them directly. */
#ifndef SS_TEST_WEIGHTS_SEEN_H
#define SS_TEST_WEIGHTS_SEEN_H

#include "harness/weights_source.h"
#include "tests/roles.h"

/* Open in the suites weights (P0 alone) and weights_shared (two parties and a dealer). */
extern struct roles roles;
extern struct ss_ctx *solo; /* P0 */
extern const struct ss_variant with_dealer;

struct bytes {
    char *p;
    size_t n;
};
/* Two passes over the weights of w, behind what b holds. */
enum ss_err see(struct bytes *b, struct ss_weights *w, struct ss_ctx *c, const struct ss_shape *s);
/* What P0 alone sees of weights that it opens: resident if the budget is not 0. */
struct bytes seen_alone(const struct ss_model *m, enum ss_weight_form form, size_t budget);
void expect_equal(struct bytes a, struct bytes b, const char *what); /* frees b */

double int_weight(const struct ss_matrix *m, size_t row, size_t col); /* of the ring form, as a real number */
double bf16_weight(const struct ss_matrix *m, size_t row, size_t col);
#endif
