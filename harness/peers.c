/* peers.c — connections, and who is at their other end. */
#include "harness/peers.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/clock.h"
#include "harness/frame.h"

enum { PROTOCOL = 1, HELLO = SS_FRAME_HEADER + 8 }; /* version of the frames and of the session's own words */
enum { GREETING_MS = 10000 };                       /* for whoever connects, to say who it is */

const char *ss_role_name(int role)
{
    static const char *const names[SS_N_ROLES] = {"party 0", "party 1", "the dealer"};
    return role >= 0 && role < SS_N_ROLES ? names[role] : "nobody";
}

static bool is_peer(const struct ss_peers *p, bool dealer, int role)
{
    return role != p->role && (role != SS_DEALER || dealer);
}

enum ss_err ss_peers_check(const struct ss_peers *p, bool dealer)
{
    SS_REQUIRE(p->role >= 0 && p->role < SS_N_ROLES);
    if (p->timeout_s < 2 || p->timeout_s > 86400)
        SS_FAIL(SS_USAGE, "--timeout is 2 to 86400 seconds, not %u", p->timeout_s);
    if (p->role == SS_DEALER) {
        if (!dealer)
            SS_FAIL(SS_USAGE, "this variant has no dealer: start --party 0 and --party 1 only");
        if (!p->listen || p->connect || p->dealer)
            SS_FAIL(SS_USAGE, "--party dealer takes --listen HOST:PORT; both parties connect to it");
    } else {
        if (!p->listen == !p->connect)
            SS_FAIL(SS_USAGE, "--party %d needs either --listen or --connect HOST:PORT, the other party the other", p->role);
        if (dealer && !p->dealer)
            SS_FAIL(SS_USAGE, "this variant has a dealer: give --dealer HOST:PORT, where `--party dealer` listens");
        if (!dealer && p->dealer)
            SS_FAIL(SS_USAGE, "--dealer: this variant has no dealer");
    }
    for (int role = 0; role < SS_N_ROLES; role++) {
        if (p->tls_key && is_peer(p, dealer, role) && !p->pinned[role])
            SS_FAIL(SS_USAGE, "--tls-key without the key of %s: give --tls-peer %s=SHA256", ss_role_name(role),
                    role == SS_DEALER ? "dealer"
                    : role == SS_P0   ? "0"
                                      : "1");
        if (p->pinned[role] && (!p->tls_key || !is_peer(p, dealer, role)))
            SS_FAIL(SS_USAGE, "--tls-peer names %s: %s", ss_role_name(role),
                    p->tls_key ? "it is no peer of this process" : "give --tls-key FILE too");
    }
    return SS_OK;
}

/* Each side says which role it plays; *role is the other's, and stays as it is if the other does not speak our protocol. */
static enum ss_err introduce(const struct ss_peers *p, struct ss_stream *s, int64_t deadline_ms, int *role)
{
    uint8_t mine[HELLO] = {0}, theirs[HELLO];
    struct ss_frame f;
    ss_frame_write(mine, "~rol", HELLO - SS_FRAME_HEADER);
    mine[SS_FRAME_HEADER] = PROTOCOL;
    mine[SS_FRAME_HEADER + 4] = (uint8_t)p->role;
    SS_TRY(ss_stream_write_all(s, mine, sizeof mine, deadline_ms));
    SS_TRY(ss_stream_read_all(s, theirs, SS_FRAME_HEADER, deadline_ms));
    const char *wrong = ss_frame_read(&f, theirs);
    if (!wrong && (strcmp(f.what, "~rol") != 0 || f.bytes != HELLO - SS_FRAME_HEADER))
        wrong = "a frame that is no greeting";
    if (wrong)
        SS_FAIL(SS_ENV, "%s sent %s; is it `shardscale forward --party`?", s->peer, wrong);
    SS_TRY(ss_stream_read_all(s, theirs + SS_FRAME_HEADER, HELLO - SS_FRAME_HEADER, deadline_ms));
    *role = theirs[SS_FRAME_HEADER + 4];
    if (theirs[SS_FRAME_HEADER] != PROTOCOL)
        SS_FAIL(SS_ENV, "%s speaks version %d of the protocol between processes, this one %d; use the same build", s->peer,
                theirs[SS_FRAME_HEADER], PROTOCOL);
    return SS_OK;
}

static enum ss_err greet(const struct ss_peers *p, bool dealer, struct ss_tls *tls, struct ss_stream *s, bool server,
                         int64_t deadline_ms, int *role)
{
    if (tls)
        SS_TRY(ss_tls_secure(tls, s, server, deadline_ms));
    SS_TRY(introduce(p, s, deadline_ms, role));
    if (*role < 0 || *role >= SS_N_ROLES || !is_peer(p, dealer, *role))
        SS_FAIL(SS_ENV, "%s plays %s, which is no peer of %s here; look at its --party and --variant", s->peer,
                ss_role_name(*role), ss_role_name(p->role));
    if (tls && memcmp(s->key, p->pin[*role], SS_KEY_DIGEST) != 0)
        SS_FAIL(SS_ENV, "%s says it is %s but has another key than --tls-peer gives for it; the connection is refused", s->peer,
                ss_role_name(*role));
    return SS_OK;
}

/* Waits for a peer. Whoever else connects (a port scanner, a health check, a key that is not pinned) and so never says which
   role it plays is turned away, and ends no run. */
static enum ss_err admit(const struct ss_peers *p, bool dealer, struct ss_tls *tls, int listener, struct ss_stream *s,
                         int64_t deadline_ms, int *role)
{
    char stranger[512] = "";
    for (;;) {
        const int silent = ss_set_error_silent(1);
        enum ss_err err = ss_stream_accept(s, listener, p->listen, deadline_ms);
        const int64_t soon_ms = ss_now_ms() + GREETING_MS;
        const bool came = err == SS_OK;
        if (came)
            err = greet(p, dealer, tls, s, true, soon_ms < deadline_ms ? soon_ms : deadline_ms, role);
        ss_set_error_silent(silent);
        if (err == SS_OK)
            return SS_OK;
        if (!came || *role >= 0)
            SS_FAIL(err, "%.450s%s%s", ss_last_error(), *stranger ? "; the last that came: " : "", stranger);
        snprintf(stranger, sizeof stranger, "%.500s", ss_last_error());
        ss_warn("%s; waiting on at %s", stranger, p->listen);
        ss_stream_close(s);
    }
}

/* A connection to or from `due` (a role, or -1: whichever of the missing comes). */
static enum ss_err join(const struct ss_peers *p, bool dealer, struct ss_tls *tls, int listener, const char *to, int due,
                        struct ss_stream stream[SS_N_ROLES])
{
    const int64_t deadline_ms = ss_now_ms() + 1000 * (int64_t)p->timeout_s;
    struct ss_stream s = {.fd = -1};
    enum ss_err err = SS_OK;
    int role = -1;
    if (to) {
        SS_TRY(ss_stream_dial(&s, to, tls != NULL, deadline_ms));
        SS_TRY_OUT(greet(p, dealer, tls, &s, false, deadline_ms, &role));
    } else {
        SS_TRY_OUT(admit(p, dealer, tls, listener, &s, deadline_ms, &role));
    }
    if ((due >= 0 && role != due) || stream[role].fd >= 0)
        SS_FAIL_OUT(SS_ENV, "%s plays %s where %s was due; look at the addresses and at --party", s.peer, ss_role_name(role),
                    due >= 0 ? ss_role_name(due) : "the other party");
    stream[role] = s;
    s.fd = -1;
out:
    ss_stream_close(&s);
    return err;
}

/* Parties go to the dealer first; the dealer takes them as they come. So nobody waits in a circle. */
static enum ss_err join_all(const struct ss_peers *p, bool dealer, struct ss_tls *tls, int listener,
                            struct ss_stream stream[SS_N_ROLES])
{
    if (p->role == SS_DEALER) {
        SS_TRY(join(p, dealer, tls, listener, NULL, -1, stream));
        return join(p, dealer, tls, listener, NULL, -1, stream);
    }
    if (dealer)
        SS_TRY(join(p, dealer, tls, -1, p->dealer, SS_DEALER, stream));
    return join(p, dealer, tls, listener, p->connect, 1 - p->role, stream);
}

static enum ss_err open_tls(struct ss_tls **tls, const struct ss_peers *p)
{
    uint8_t pins[SS_N_ROLES][SS_KEY_DIGEST];
    size_t n = 0;
    for (int role = 0; role < SS_N_ROLES; role++)
        if (p->pinned[role])
            memcpy(pins[n++], p->pin[role], SS_KEY_DIGEST);
    SS_TRY(ss_tls_open(tls, p->tls_key, pins, n));
    char hex[2 * SS_KEY_DIGEST + 1];
    for (int i = 0; i < SS_KEY_DIGEST; i++)
        snprintf(hex + 2 * i, 3, "%02x", ss_tls_own_key(*tls)[i]);
    ss_note("TLS 1.3; SHA-256 of this process's public key: %s", hex);
    return SS_OK;
}

enum ss_err ss_peers_meet(const struct ss_peers *p, bool dealer, struct ss_stream stream[SS_N_ROLES])
{
    enum ss_err err = SS_OK;
    struct ss_tls *tls = NULL;
    int listener = -1;
    for (int role = 0; role < SS_N_ROLES; role++)
        stream[role] = (struct ss_stream){.fd = -1};
    SS_TRY(ss_peers_check(p, dealer));
    if (p->tls_key)
        SS_TRY_OUT(open_tls(&tls, p));
    if (p->listen)
        SS_TRY_OUT(ss_stream_listen(&listener, p->listen, tls != NULL));
    SS_TRY_OUT(join_all(p, dealer, tls, listener, stream));
out:
    if (listener >= 0)
        close(listener);
    ss_tls_close(tls);
    for (int role = 0; role < SS_N_ROLES && err != SS_OK; role++)
        ss_stream_close(&stream[role]);
    return err;
}
