/* hostwire.h — messages of code that works in host memory (oblivious transfer). They go through the channel like all others, so
   that bytes and rounds are counted and a tap sees them; on a device backend they are staged through its memory. */
#ifndef SS_HOSTWIRE_H
#define SS_HOSTWIRE_H

#include "harness/channel.h"

struct ss_hostwire {
    struct ss_buf out, in; /* staging, only where the backend is not the host's */
};
/* Between the two parties, h_ pointers; one round. Either length may be 0: then it is a message in one direction. Two lengths
   that are not 0 must be equal. */
SS_CHECKED enum ss_err ss_hostwire_swap(struct ss_ctx *c, struct ss_hostwire *w, const char *what, const void *h_send,
                                        size_t send_bytes, void *h_recv, size_t recv_bytes);
void ss_hostwire_close(struct ss_ctx *c, struct ss_hostwire *w);
#endif
