/* roles.h — three contexts on the CPU with a channel between them and a thread each, for tests of protocol pieces. */
#ifndef SS_TEST_ROLES_H
#define SS_TEST_ROLES_H

#include "harness/channel.h"

struct roles {
    struct ss_ctx ctx[SS_N_ROLES];
    struct ss_channel *channel;
    struct ss_shape shape;
};
typedef enum ss_err (*role_fn)(struct ss_ctx *c, void *arg);

void roles_open(struct roles *r, ss_tap tap, void *tap_arg);
void roles_close(struct roles *r);
/* Runs fn in three threads; asserts that each returned SS_OK. */
void roles_run(struct roles *r, role_fn fn, void *arg);
enum ss_err roles_run_expecting(struct roles *r, role_fn fn, void *arg); /* first failure, SS_OK if none */
void fill_random(struct roles *r, uint64_t *out, size_t n);              /* n words from the generator of P0, script or not */
/* A port of the loopback address that nobody uses just now, and no other test while this process lives. */
int free_port(void);
#endif
