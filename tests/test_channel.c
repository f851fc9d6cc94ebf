/* test_channel.c — framing, counting and the end of a session. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/talk.h"

Test(channel, counts_bytes_at_the_sender_and_rounds_at_both_parties)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    roles_run(&r, talk, NULL);
    check_talk(&r);
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
