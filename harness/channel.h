/* channel.h — the only way from one role to another. Messages are framed (type, length), copied (the sender's buffer is free on
   return, in stream order), counted once by the sender: bytes by direction, phase, layer and operation; rounds by both parties.
   A round is one simultaneous exchange, or one message in one direction that the next step waits for. */
#ifndef SS_CHANNEL_H
#define SS_CHANNEL_H

#include "harness/ctx.h"

/* Channel among P0, P1 and the dealer as threads of this process (as processes: channel_tcp.h). abort wakes every waiter; their
   calls then return SS_ENV without a word, because the role that failed has said why. */
struct ss_channel;
SS_CHECKED enum ss_err ss_channel_new(struct ss_channel **ch);
void ss_channel_free(struct ss_channel *ch); /* after every thread has left */
void ss_channel_abort(struct ss_channel *ch);

/* role: who is at the other end. `what` is a four-character frame type that both sides must agree on, as are the bytes. */
SS_CHECKED enum ss_err ss_send(struct ss_ctx *c, int role, const char *what, const void *data, size_t bytes);
SS_CHECKED enum ss_err ss_recv(struct ss_ctx *c, int role, const char *what, void *data, size_t bytes);
/* Both parties send and receive `bytes` at once: one round. */
SS_CHECKED enum ss_err ss_exchange(struct ss_ctx *c, const char *what, const void *send, void *recv, size_t bytes);
/* Tests only: every message is shown to `tap` (host copy) before it is delivered, in the sender's thread. */
typedef void (*ss_tap)(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes);
void ss_channel_tap(struct ss_channel *ch, ss_tap tap, void *arg);
/* Frees the message buffers in which c is the sender; each role before it closes its device. */
void ss_channel_release(struct ss_ctx *c);
/* All n roles of the session meet; SS_ENV if one of them aborted. */
SS_CHECKED enum ss_err ss_meet(struct ss_ctx *c, int n);
/* The same among the roles of this process, for what they share: over TCP (channel_tcp.h) a role is alone and goes on. */
SS_CHECKED enum ss_err ss_meet_here(struct ss_ctx *c, int n);
#endif
