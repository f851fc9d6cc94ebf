/* measured.h — one short measurement of a prefill on the CPU. */
#ifndef SS_TEST_MEASURED_H
#define SS_TEST_MEASURED_H

#include "harness/cell.h"

/* One repetition, to be freed with ss_result_free; a reference where `reference` is NULL. It fails the test if it fails. */
void run_cell(struct ss_result *r, const char *model, size_t tokens, const char *variant, const char *options,
              const struct ss_result *reference);
#endif
