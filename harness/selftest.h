/* selftest.h — small tests with known answers that doctor runs on the machine at hand: the tests/ of a machine that has only
   the program. */
#ifndef SS_SELFTEST_H
#define SS_SELFTEST_H

#include "kernels/backend.h"

/* Each returns SS_ENV and says what differs. */
SS_CHECKED enum ss_err ss_selftest_aes(const struct ss_backend *b, struct ss_dev *dev);       /* FIPS-197, appendix C.1 */
SS_CHECKED enum ss_err ss_selftest_gemm_ring(const struct ss_backend *b, struct ss_dev *dev); /* against schoolbook sums */
SS_CHECKED enum ss_err ss_selftest_philox(void);                                              /* Random123, kat_vectors */
SS_CHECKED enum ss_err ss_selftest_store(void); /* a cell file written to a temporary folder and read back */
#endif
