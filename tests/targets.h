/* targets.h — what tests of backends run on: every backend of the registry that can run here, and on the CPU every instruction
   set it has. */
#ifndef SS_TEST_TARGETS_H
#define SS_TEST_TARGETS_H

#include "kernels/backend.h"

/* Can b run here? If not, and the environment's REQUIRE names it, the test fails. */
bool usable_here(const struct ss_backend *b);

struct target {
    const struct ss_backend *b;
    const char *isa;     /* of the CPU; "" elsewhere */
    size_t at_b, at_isa; /* where the next one is looked for */
};
/* for (struct target t = {0}; next_target(&t);) ... A CPU opened in the body has the instruction set t.isa. */
bool next_target(struct target *t);
#endif
