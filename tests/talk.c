/* talk.c — see talk.h. */
#include "tests/talk.h"

#include <criterion/criterion.h>

enum ss_err talk(struct ss_ctx *c, void *unused)
{
    (void)unused;
    uint64_t mine[3] = {1 + (uint64_t)c->role, 2, 3}, got[3] = {0};
    if (c->role == SS_DEALER) {
        SS_TRY(ss_send(c, SS_P0, "deal", mine, 8));
        return ss_send(c, SS_P1, "deal", mine, 24);
    }
    SS_TRY(ss_recv(c, SS_DEALER, "deal", got, c->role == SS_P0 ? 8 : 24));
    cr_assert_eq(got[0], 3);
    c->phase = SS_ONLINE;
    c->op = SS_OP_qkv;
    c->layer = 2;
    SS_TRY(ss_exchange(c, "open", mine, got, 24));
    cr_assert_eq(got[0], c->role == SS_P0 ? 2 : 1);
    if (c->role == SS_P0)
        return ss_send(c, SS_P1, "shar", mine, 16);
    return ss_recv(c, SS_P0, "shar", got, 16);
}

void check_talk(const struct roles *r)
{
    cr_assert_eq(r->ctx[SS_DEALER].counters.bytes_offline_d_p0, 8);
    cr_assert_eq(r->ctx[SS_DEALER].counters.bytes_offline_d_p1, 24);
    cr_assert_eq(r->ctx[SS_P0].counters.bytes_online_p0_p1, 40);
    cr_assert_eq(r->ctx[SS_P1].counters.bytes_online_p1_p0, 24);
    cr_assert_eq(r->ctx[SS_P1].counters.bytes_online_p0_p1, 0, "a receiver does not count bytes");
    cr_assert_eq(r->ctx[SS_P0].counters.rounds_online, 2);
    cr_assert_eq(r->ctx[SS_P1].counters.rounds_online, 2);
    cr_assert_eq(r->ctx[SS_P0].counters.rounds_offline, 0, "dealing is no round between the parties");
    const size_t here = 2 * SS_N_OPS + SS_OP_qkv;
    cr_assert_eq(r->ctx[SS_P0].wire.bytes[here * SS_N_DIRS + SS_P0_P1], 40);
    cr_assert_eq(r->ctx[SS_P0].wire.rounds[here], 2);
}
