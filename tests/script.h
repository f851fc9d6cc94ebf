/* script.h — randomness that a test writes: a copy of the CPU backend whose prg_fill answers from a script, so that the
   dealer's and the parties' real code can be led through all randomness there is, or through bad randomness. */
#ifndef SS_TEST_SCRIPT_H
#define SS_TEST_SCRIPT_H

#include "tests/roles.h"

/* What the dealer's seeds expand to: stream of P0, stream of P1. Fills of an odd number of words waste one. */
struct script {
    const uint64_t *word[2];
    size_t n[2];
};
/* Every role of r draws from the script (which must outlive the run) from its beginning; one script at a time. Anything else
   that the dealer draws (keys) is constant; a party that draws randomness of its own fails. */
void script_set(struct roles *r, const struct script *s);

/* The same with a rule in place of a script: word i of stream `party` (P0, P1) is rule(party, i). */
typedef uint64_t (*script_rule)(int party, uint64_t i);
void script_set_rule(struct roles *r, script_rule rule);
#endif
