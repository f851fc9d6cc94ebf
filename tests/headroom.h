/* headroom.h — a check that only tests can make, because it needs both parties' shares: that what is truncated stays below
   2^62, and that sums of squares do not wrap (protocols.md 2). A wrapper of the CPU backend joins the shares; the program
   itself has no such hook. The test binary is linked with --wrap=ss_backend_find. */
#ifndef SS_TEST_HEADROOM_H
#define SS_TEST_HEADROOM_H

#include <stddef.h>

struct headroom {
    size_t values, sums;         /* joined and looked at */
    size_t bad_values, bad_sums; /* of them, too large */
    double bits;                 /* log2 of the largest |value| */
    double sum_bits;
};
/* From here on ss_backend_find("cpu") gives the checking backend, until headroom_end; nothing else may run. */
void headroom_begin(struct headroom *h);
void headroom_end(void);
#endif
