/* channel_tcp.h — the channel of a process that plays one role; the other roles are processes at the other end of streams. A
   thread of its own moves the bytes, so that both directions run at once and a lost peer is seen while the role computes. */
#ifndef SS_CHANNEL_TCP_H
#define SS_CHANNEL_TCP_H

#include "harness/channel.h"
#include "harness/stream.h"

/* Takes over the open streams (fd >= 0), also on failure. A peer that gives no sign of life for timeout_s is lost: the channel
   is then aborted with one line that names it. */
SS_CHECKED enum ss_err ss_channel_tcp(struct ss_channel **ch, int role, struct ss_stream stream[SS_N_ROLES],
                                      unsigned timeout_s);

/* Words between the processes that no protocol knows and no counter counts; host memory; `what` begins with '~'. A word
   longer than `most` ends the run. */
SS_CHECKED enum ss_err ss_tell(struct ss_ctx *c, int role, const char *what, const void *h_data, size_t bytes);
SS_CHECKED enum ss_err ss_hear(struct ss_ctx *c, int role, const char *what, void *h_data, size_t most, size_t *bytes);
/* The end of a good run: returns when every peer has got here too. Without it ss_channel_release tells the peers that this
   role has given up. */
SS_CHECKED enum ss_err ss_part(struct ss_ctx *c);
#endif
