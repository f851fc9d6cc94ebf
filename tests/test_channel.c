/* test_channel.c — framing, counting and the end of a session. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/roles.h"

static enum ss_err send_and_receive(struct ss_ctx *c, void *arg)
{
    (void)arg;
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

Test(channel, counts_bytes_at_the_sender_and_rounds_at_both_parties)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    roles_run(&r, send_and_receive, NULL);
    cr_assert_eq(r.ctx[SS_DEALER].counters.bytes_offline_d_p0, 8);
    cr_assert_eq(r.ctx[SS_DEALER].counters.bytes_offline_d_p1, 24);
    cr_assert_eq(r.ctx[SS_P0].counters.bytes_online_p0_p1, 40);
    cr_assert_eq(r.ctx[SS_P1].counters.bytes_online_p1_p0, 24);
    cr_assert_eq(r.ctx[SS_P1].counters.bytes_online_p0_p1, 0, "a receiver does not count bytes");
    cr_assert_eq(r.ctx[SS_P0].counters.rounds_online, 2);
    cr_assert_eq(r.ctx[SS_P1].counters.rounds_online, 2);
    cr_assert_eq(r.ctx[SS_P0].counters.rounds_offline, 0, "dealing is no round between the parties");
    size_t here = 2 * SS_N_OPS + SS_OP_qkv;
    cr_assert_eq(r.ctx[SS_P0].wire.bytes[here * SS_N_DIRS + SS_P0_P1], 40);
    cr_assert_eq(r.ctx[SS_P0].wire.rounds[here], 2);
    roles_close(&r);
}

static enum ss_err many_messages(struct ss_ctx *c, void *arg)
{
    (void)arg;
    c->phase = SS_ONLINE;
    uint64_t word;
    for (uint64_t i = 0; i < 1000 && c->role != SS_DEALER; i++) {
        if (c->role == SS_P0) {
            word = i;
            SS_TRY(ss_send(c, SS_P1, "shar", &word, sizeof word));
        } else {
            SS_TRY(ss_recv(c, SS_P0, "shar", &word, sizeof word));
            cr_assert_eq(word, i);
        }
    }
    return SS_OK;
}

Test(channel, keeps_the_order_when_the_sender_runs_ahead)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    roles_run(&r, many_messages, NULL);
    cr_assert_leq(r.ctx[SS_P0].memory.peak[SS_TAG_buffers], 64, "messages wait in a bounded queue");
    roles_close(&r);
}

static enum ss_err wrong_frame(struct ss_ctx *c, void *arg)
{
    const char *what = arg;
    c->phase = SS_ONLINE;
    uint64_t words[2] = {0};
    if (c->role == SS_P0)
        return ss_send(c, SS_P1, "shar", words, 8);
    if (c->role == SS_P1)
        return ss_recv(c, SS_P0, what, words, strcmp(what, "shar") == 0 ? 16 : 8);
    return SS_OK;
}

Test(channel, refuses_a_frame_of_another_type_or_length)
{
    ss_set_error_silent(1);
    const char *cases[] = {"open", "shar"};
    for (int i = 0; i < 2; i++) {
        struct roles r;
        roles_open(&r, NULL, NULL);
        cr_assert_eq(roles_run_expecting(&r, wrong_frame, (void *)cases[i]), SS_ENV);
        cr_assert(strstr(ss_last_error(), "frame 'shar' of 8 bytes"), "%s", ss_last_error());
        roles_close(&r);
    }
}

static enum ss_err one_fails(struct ss_ctx *c, void *arg)
{
    (void)arg;
    if (c->role == SS_P1)
        SS_FAIL(SS_USAGE, "P1 has had enough");
    uint64_t word;
    return c->role == SS_P0 ? ss_recv(c, SS_P1, "shar", &word, 8) : ss_meet(c, 3);
}

Test(channel, a_role_that_fails_wakes_the_others, .timeout = 20)
{
    ss_set_error_silent(1);
    struct roles r;
    roles_open(&r, NULL, NULL);
    cr_assert_neq(roles_run_expecting(&r, one_fails, NULL), SS_OK);
    cr_assert(strstr(ss_last_error(), "P1 has had enough"));
    roles_close(&r);
}
