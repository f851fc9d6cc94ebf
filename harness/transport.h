/* transport.h — how messages travel: what channel.c asks of channel_local.c (threads of one process) and of channel_tcp.c
   (processes). Counting, rounds and the tap are channel.c's; nobody else includes this. */
#ifndef SS_TRANSPORT_H
#define SS_TRANSPORT_H

#include "harness/channel.h"

/* An aborted channel fails with SS_ENV without a word: whoever aborted it has said why. */
struct ss_transport {
    /* Arguments as for ss_send and ss_recv. The sender's buffer is free on return, in stream order. */
    enum ss_err (*put)(struct ss_ctx *c, int role, const char *what, const void *data, size_t bytes);
    enum ss_err (*take)(struct ss_ctx *c, int role, const char *what, void *data, size_t bytes);
    enum ss_err (*meet)(struct ss_ctx *c, int n);
    bool one_process; /* all roles are threads of this process */
    void (*abort)(struct ss_channel *ch);
    void (*release)(struct ss_ctx *c);
    void (*free)(struct ss_channel *ch);
};

/* The beginning of every transport's own struct. */
struct ss_channel {
    const struct ss_transport *via;
    ss_tap tap;
    void *tap_arg;
};
#endif
