/* test_tcp.c — the channel among processes: frames, counting, both directions at once, and peers that misbehave or vanish. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/channel_tcp.h"
#include "harness/clock.h"
#include "harness/frame.h"
#include "tests/talk.h"

enum { TIMEOUT_S = 2 };

/* ---- frames */

Test(frame, what_is_written_is_read)
{
    uint8_t h[SS_FRAME_HEADER];
    struct ss_frame f;
    ss_frame_write(h, "open", 0x0123456789abcdefu);
    cr_assert_eq(ss_frame_read(&f, h), NULL);
    cr_assert_str_eq(f.what, "open");
    cr_assert_eq(f.bytes, 0x0123456789abcdefu);
    const uint8_t known[SS_FRAME_HEADER] = {'S',  'S',  'f',  '1',  'o',  'p',  'e',  'n',
                                            0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 1};
    cr_assert_arr_eq(h, known, sizeof h);
}

Test(frame, any_other_magic_or_a_type_that_is_not_printable_is_refused)
{
    for (size_t i = 0; i < 8; i++) {
        uint8_t h[SS_FRAME_HEADER];
        struct ss_frame f;
        ss_frame_write(h, "open", 8);
        h[i] ^= 0x80;
        cr_assert(ss_frame_read(&f, h), "byte %zu", i);
    }
}

/* ---- three roles, each with a channel of its own, over socket pairs */

static void connect_roles(struct roles *r)
{
    struct ss_stream stream[SS_N_ROLES][SS_N_ROLES];
    roles_open(r, NULL, NULL);
    for (int a = 0; a < SS_N_ROLES; a++) {
        stream[a][a] = (struct ss_stream){.fd = -1};
        for (int b = a + 1; b < SS_N_ROLES; b++) {
            int fd[2];
            cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
            stream[a][b] = (struct ss_stream){.fd = fd[0], .peer = "pair"};
            stream[b][a] = (struct ss_stream){.fd = fd[1], .peer = "pair"};
        }
    }
    for (int role = 0; role < SS_N_ROLES; role++)
        cr_assert_eq(ss_channel_tcp(&r->ctx[role].channel, role, stream[role], TIMEOUT_S), SS_OK);
}

static void disconnect_roles(struct roles *r)
{
    for (int role = 0; role < SS_N_ROLES; role++) {
        ss_channel_release(&r->ctx[role]);
        ss_channel_free(r->ctx[role].channel);
        r->ctx[role].channel = NULL;
    }
    roles_close(r);
}

static enum ss_err meet_talk_part(struct ss_ctx *c, void *arg)
{
    SS_TRY(ss_meet(c, 3));
    SS_TRY(talk(c, arg));
    return ss_part(c);
}

Test(tcp, counts_as_the_channel_among_threads_does, .timeout = 60)
{
    struct roles r;
    connect_roles(&r);
    roles_run(&r, meet_talk_part, NULL);
    check_talk(&r);
    disconnect_roles(&r);
}

/* 32 MiB each way at once, and a dealer that is five messages ahead of a party which is not there yet: more than any socket
   buffer holds. */
static enum ss_err big_messages(struct ss_ctx *c, void *arg)
{
    (void)arg;
    enum { WORDS = 4 << 20, DEALS = 5 };
    const size_t bytes = WORDS * sizeof(uint64_t);
    uint64_t *mine = malloc(bytes), *got = malloc(bytes);
    enum ss_err err = SS_OK;
    for (size_t i = 0; i < WORDS; i++)
        mine[i] = i * 0x9e3779b97f4a7c15u + (uint64_t)c->role;
    for (int i = 0; c->role == SS_DEALER && i < DEALS; i++)
        SS_TRY_OUT(ss_send(c, SS_P0, "deal", mine, bytes / DEALS / 8 * 8));
    if (c->role != SS_DEALER) {
        c->phase = SS_ONLINE;
        SS_TRY_OUT(ss_exchange(c, "open", mine, got, bytes));
        for (size_t i = 0; i < WORDS; i++)
            cr_assert_eq(got[i] - mine[i], (uint64_t)(1 - 2 * c->role));
    }
    for (int i = 0; c->role == SS_P0 && i < DEALS; i++) {
        SS_TRY_OUT(ss_recv(c, SS_DEALER, "deal", got, bytes / DEALS / 8 * 8));
        cr_assert_eq(got[1000], mine[1000] + SS_DEALER);
    }
    SS_TRY_OUT(ss_part(c));
out:
    free(mine);
    free(got);
    return err;
}

Test(tcp, big_messages_both_ways_do_not_block_each_other, .timeout = 120)
{
    struct roles r;
    connect_roles(&r);
    roles_run(&r, big_messages, NULL);
    disconnect_roles(&r);
}

/* A role that computes longer than the timeout is not lost: its io thread gives signs of life. */
static enum ss_err slow_party(struct ss_ctx *c, void *arg)
{
    (void)arg;
    uint64_t word = 5;
    if (c->role == SS_P0) {
        SS_TRY(ss_send(c, SS_P1, "shar", &word, 8)); /* lies unread meanwhile */
        SS_TRY(ss_recv(c, SS_P1, "shar", &word, 8));
    } else if (c->role == SS_P1) {
        sleep(TIMEOUT_S + 2);
        SS_TRY(ss_send(c, SS_P0, "shar", &word, 8));
        SS_TRY(ss_recv(c, SS_P0, "shar", &word, 8));
    }
    return ss_part(c);
}

Test(tcp, a_party_that_computes_for_long_is_not_lost, .timeout = 60)
{
    struct roles r;
    connect_roles(&r);
    for (int role = 0; role < SS_N_ROLES; role++)
        r.ctx[role].phase = role == SS_DEALER ? SS_OFFLINE : SS_ONLINE;
    roles_run(&r, slow_party, NULL);
    disconnect_roles(&r);
}

static enum ss_err one_fails(struct ss_ctx *c, void *arg)
{
    (void)arg;
    uint64_t word;
    if (c->role == SS_P1)
        SS_FAIL(SS_USAGE, "P1 has had enough");
    SS_TRY(c->role == SS_P0 ? ss_recv(c, SS_P1, "shar", &word, 8) : ss_meet(c, 3));
    cr_assert(false, "a message came from nowhere");
    return SS_OK;
}

Test(tcp, a_role_that_fails_ends_the_others_with_its_reason, .timeout = 20)
{
    ss_set_error_silent(1);
    struct roles r;
    connect_roles(&r);
    cr_assert_neq(roles_run_expecting(&r, one_fails, NULL), SS_OK);
    cr_assert(strstr(ss_last_error(), "P1 has had enough"), "%s", ss_last_error());
    disconnect_roles(&r);
}

/* What went wrong outside of the protocol (a token id that P0's caller may not use, a file of its own) is nobody else's affair.
 */
Test(tcp, a_run_that_is_given_up_between_jobs_tells_no_peer_the_last_error, .timeout = 20)
{
    uint64_t word;
    ss_set_error_silent(1);
    struct roles r;
    connect_roles(&r);
    cr_assert_eq(ss_fail(SS_USAGE, __FILE__, __LINE__, "token id 4711 is outside the vocabulary"), SS_USAGE);
    ss_channel_release(&r.ctx[SS_P0]);
    cr_assert_eq(ss_recv(&r.ctx[SS_P1], SS_P0, "shar", &word, sizeof word), SS_ENV);
    cr_assert(strstr(ss_last_error(), "party 0 gave up: it ended before the run was complete"), "%s", ss_last_error());
    disconnect_roles(&r);
}

/* ---- P0 against a peer that is no good: bytes, then an end or silence */
struct bad {
    char name[32], says[64];
    uint8_t sends[64];
    size_t bytes;
    bool stays;
};
static struct bad bad_peer(const char *name, const char *says, bool stays, const char *what, uint64_t length, size_t body)
{
    struct bad b = {.bytes = SS_FRAME_HEADER + body, .stays = stays};
    strcpy(b.name, name);
    strcpy(b.says, says);
    ss_frame_write(b.sends, what, length);
    return b;
}

ParameterizedTestParameters(tcp, a_bad_peer_ends_the_run_with_a_clear_line)
{
    static struct bad bads[16];
    size_t n = 0;
    bads[n++] = bad_peer("wrong type", "'open' of 32 bytes from role 1 where 'shar' of 32", true, "open", 32, 32);
    bads[n++] = bad_peer("short", "of 31 bytes", true, "shar", 31, 31);
    bads[n++] = bad_peer("oversized", "of 1152921504606846976 bytes", true, "shar", (uint64_t)1 << 60, 0);
    bads[n++] = bad_peer("oversized farewell", "'~end' of 9999 bytes", true, "~end", 9999, 40);
    bads[n++] = bad_peer("long sign of life", "'~ali' of 8 bytes", true, "~ali", 8, 8);
    bads[n++] = bad_peer("gives up", "gave up: ????", true, "~end", 4, 4);
    bads[n++] = bad_peer("half a frame, end", "in the middle of a message", false, "shar", 32, 20);
    bads[n++] = bad_peer("half a frame, silence", "no sign of life for 2 s", true, "shar", 32, 20);
    bads[n++] = bad_peer("end", "was lost;", false, "~ali", 0, 0);
    bads[n++] = bad_peer("good bye too early", "ended its run where 'shar' was due", true, "~bye", 0, 0);
    bads[n++] = bad_peer("silence", "no sign of life for 2 s", true, "~ali", 0, 0);
    bads[n] = bad_peer("half a header", "in the middle of a message", false, "shar", 32, 0);
    bads[n++].bytes = 7;
    bads[n] = bad_peer("garbage", "no ShardScale frame", true, "shar", 32, 32);
    memcpy(bads[n++].sends, "GET / HTTP/1.1\r\n", SS_FRAME_HEADER);
    return cr_make_param_array(struct bad, bads, n);
}

static void expect_only_p1(struct ss_stream stream[SS_N_ROLES], int fd)
{
    for (int role = 0; role < SS_N_ROLES; role++)
        stream[role] = (struct ss_stream){.fd = role == SS_P1 ? fd : -1, .peer = "pair"};
}

ParameterizedTest(struct bad *b, tcp, a_bad_peer_ends_the_run_with_a_clear_line, .timeout = 30)
{
    struct roles r;
    struct ss_stream stream[SS_N_ROLES];
    int fd[2];
    uint64_t words[4];
    ss_set_error_silent(1);
    roles_open(&r, NULL, NULL);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    expect_only_p1(stream, fd[0]);
    struct ss_ctx *c = &r.ctx[SS_P0];
    cr_assert_eq(ss_channel_tcp(&c->channel, SS_P0, stream, TIMEOUT_S), SS_OK);
    cr_assert_eq(write(fd[1], b->sends, b->bytes), (ssize_t)b->bytes);
    if (!b->stays)
        close(fd[1]);
    const int64_t start = ss_now_ms();
    c->phase = SS_ONLINE;
    cr_expect_eq(ss_recv(c, SS_P1, "shar", words, sizeof words), SS_ENV, "%s", b->name);
    cr_expect_lt(ss_now_ms() - start, 1000 * (TIMEOUT_S + 8));
    cr_expect(strstr(ss_last_error(), b->says), "%s: %s", b->name, ss_last_error());
    cr_expect_eq(ss_send(c, SS_P1, "shar", words, sizeof words), SS_ENV, "%s: a channel that failed goes on", b->name);
    cr_expect_eq(c->counters.bytes_online_p0_p1, 0, "%s: bytes that were not sent are counted", b->name);
    ss_channel_release(c);
    ss_channel_free(c->channel);
    c->channel = NULL;
    roles_close(&r);
}

/* Frames with random types, lengths and bytes, cut anywhere, from a peer that then ends: always an error, never a crash. */
Test(tcp, random_frames_end_the_run, .timeout = 120)
{
    static const char *const types[] = {"shar", "open", "~met", "~bye", "~ali", "~end", "~run", "\x01\x02\x03\x04"};
    unsigned state = 12345;
    ss_set_error_silent(1);
    for (int round = 0; round < 300; round++) {
        struct roles r;
        struct ss_stream stream[SS_N_ROLES];
        uint8_t sends[2048];
        uint64_t words[4];
        size_t n = 0;
        int fd[2];
        roles_open(&r, NULL, NULL);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
        expect_only_p1(stream, fd[0]);
        for (int frames = rand_r(&state) % 4; frames >= 0; frames--) {
            const size_t body = (size_t)rand_r(&state) % 40;
            const uint64_t said = rand_r(&state) % 2 ? body : (uint64_t)rand_r(&state) << rand_r(&state) % 33;
            ss_frame_write(sends + n, types[rand_r(&state) % 8], rand_r(&state) % 4 ? said : sizeof words + 1);
            n += SS_FRAME_HEADER;
            for (size_t i = 0; i < body; i++)
                sends[n++] = (uint8_t)rand_r(&state);
        }
        n -= (size_t)rand_r(&state) % n;
        struct ss_ctx *c = &r.ctx[SS_P0];
        cr_assert_eq(ss_channel_tcp(&c->channel, SS_P0, stream, TIMEOUT_S), SS_OK);
        cr_assert_eq(write(fd[1], sends, n), (ssize_t)n);
        close(fd[1]);
        c->phase = SS_ONLINE;
        enum ss_err err = SS_OK;
        for (int i = 0; i < 6 && err == SS_OK; i++)
            err = ss_recv(c, SS_P1, "shar", words, sizeof words);
        cr_assert_eq(err, SS_ENV, "round %d", round);
        ss_channel_release(c);
        ss_channel_free(c->channel);
        c->channel = NULL;
        roles_close(&r);
    }
}
