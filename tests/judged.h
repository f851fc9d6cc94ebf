/* judged.h — what the report says of cells: verdicts by a claim's id, values by a column's name. */
#ifndef SS_TEST_JUDGED_H
#define SS_TEST_JUDGED_H

#include "harness/claims.h"
#include "harness/columns.h"

/* The claims of experiments/; open_claims and close_claims are the .init and .fini of tests that judge. */
extern struct ss_claims claims;
void open_claims(void);
void close_claims(void);
struct ss_judged judge(const char *id, const struct ss_result *cells, size_t n); /* fails the test if there is no such claim */

struct ss_value value(const struct ss_result *r, const char *column); /* fails the test if there is no such column */
#endif
