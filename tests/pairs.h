/* pairs.h — every variant on every backend that can run here, as the parameters of a test. */
#ifndef SS_TEST_PAIRS_H
#define SS_TEST_PAIRS_H

#include <criterion/parameterized.h>

struct pair {
    char variant[24], backend[16];
};
struct criterion_test_params every_pair(void);
#endif
