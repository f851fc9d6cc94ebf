/* cmd_forward.c — one pass of a checkpoint on given token ids, by one process or, with --party, by a process for each role. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/config.h"
#include "harness/ids.h"
#include "harness/store.h"
#include "harness/target.h"

static enum ss_err same_lengths(const struct ss_sequences *s, const char *path)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->start[i + 1] - s->start[i] != s->longest)
            SS_FAIL(SS_USAGE,
                    "'%s': sequence %zu has %zu ids, another has %zu; with --all-logits all sequences need the same length",
                    path, i + 1, s->start[i + 1] - s->start[i], s->longest);
    return SS_OK;
}

static enum ss_err attributes(struct ss_pairs *p, const struct ss_target *t, const struct ss_session *session)
{
    const struct ss_variant *v = t->config.variant;
    SS_TRY(ss_pairs_add(p, "model", "%s", t->model.name));
    SS_TRY(ss_pairs_add(p, "variant", "%s", v->name));
    SS_TRY(ss_pairs_add(p, "options", "%s", t->options));
    SS_TRY(ss_pairs_add(p, "claim", "%s", v->claim));
    SS_TRY(ss_pairs_add(p, "reveals", "%s", v->reveals));
    SS_TRY(ss_pairs_add(p, "cc_mode", "%s", ss_session_cc_mode(session)));
    SS_TRY(ss_pairs_add(p, "attestation", "%s", ss_session_attestation(session)));
    SS_TRY(ss_pairs_add(p, "backend", "%s", t->config.backend));
    SS_TRY(ss_pairs_add(p, "commit", "%s", ss_version_commit));
    const struct ss_counters *c = ss_session_counters(session);
    for (int i = 0; i < SS_N_COUNTERS; i++)
        SS_TRY(ss_pairs_add(p, ss_counter_names[i].name, "%lld", (long long)ss_counters_values(c)[i]));
    return SS_OK;
}

/* --party and what belongs to it. */
struct party_flags {
    const char *party;
    const char *timeout;
    struct ss_text_list tls_peer;
    struct ss_peers peers;
};
#define PARTY_FLAGS(f)                                                                                                         \
    {"--party", "ROLE", SS_FLAG_TEXT, &(f).party, "0, 1 or dealer: play only this role; the others are processes like this"},  \
        {"--listen", "HOST:PORT", SS_FLAG_TEXT, &(f).peers.listen,                                                             \
         "a party: where the other connects; dealer: where both do"},                                                          \
        {"--connect", "HOST:PORT", SS_FLAG_TEXT, &(f).peers.connect, "where the other party listens"},                         \
        {"--dealer", "HOST:PORT", SS_FLAG_TEXT, &(f).peers.dealer, "where the dealer listens"},                                \
        {"--timeout", "S", SS_FLAG_TEXT, &(f).timeout, "a peer silent for so many seconds is lost (standard: 30)"},            \
        {"--tls-key", "FILE", SS_FLAG_TEXT, &(f).peers.tls_key, "TLS 1.3 with this private key (PEM); needed off loopback"},   \
    {                                                                                                                          \
        "--tls-peer", "ROLE=SHA256", SS_FLAG_LIST, &(f).tls_peer, "the public key that a peer must have; once for each peer"   \
    }

static const char party_help[] =
    "\nThree processes (v3-cc has no dealer: leave out the first and --dealer; there party 1 is the enclave):\n"
    "  shardscale forward --party dealer --listen 127.0.0.1:7002 --weights DIR --variant V\n"
    "  shardscale forward --party 1 --connect 127.0.0.1:7001 --dealer 127.0.0.1:7002 --weights DIR --variant V\n"
    "  shardscale forward --party 0 --listen 127.0.0.1:7001 --dealer 127.0.0.1:7002 --weights DIR --variant V \\\n"
    "      --ids FILE -o OUT.h5\n"
    "Only party 0 has ids and gets logits. A key for TLS, and the SHA256 by which peers know it:\n"
    "  openssl genpkey -algorithm ed25519 -out KEY.pem\n"
    "  openssl pkey -in KEY.pem -pubout -outform DER | sha256sum\n";

static enum ss_err role_of(int *role, const char *text, size_t n, const char *flag)
{
    static const char *const names[SS_N_ROLES] = {"0", "1", "dealer"};
    for (*role = 0; *role < SS_N_ROLES; ++*role)
        if (strlen(names[*role]) == n && memcmp(names[*role], text, n) == 0)
            return SS_OK;
    SS_FAIL(SS_USAGE, "%s: a role is 0, 1 or dealer, not '%.*s'", flag, (int)n, text);
}

static enum ss_err read_pin(struct ss_peers *p, const char *text)
{
    const size_t n = strcspn(text, "=");
    int role;
    size_t bytes;
    SS_TRY(role_of(&role, text, n, "--tls-peer"));
    const char *hex = text + n + (text[n] == '=');
    if (sodium_hex2bin(p->pin[role], SS_KEY_DIGEST, hex, strlen(hex), NULL, &bytes, NULL) != 0 || bytes != SS_KEY_DIGEST ||
        strlen(hex) != 2 * SS_KEY_DIGEST)
        SS_FAIL(SS_USAGE, "--tls-peer: '%s' is not ROLE= and the 64 hex digits of a SHA-256", text);
    p->pinned[role] = true;
    return SS_OK;
}

/* Without --party: nothing of the kind may be given. *own: this process has ids and gets logits. */
static enum ss_err resolve_party(struct party_flags *f, struct ss_target *t, bool *own)
{
    struct ss_peers *p = &f->peers;
    *own = true;
    if (!f->party) {
        if (p->listen || p->connect || p->dealer || p->tls_key || f->tls_peer.n || f->timeout)
            SS_FAIL(SS_USAGE, "--listen, --connect, --dealer, --timeout and --tls-... need --party 0, 1 or dealer");
        return SS_OK;
    }
    uint64_t timeout_s = 30;
    if (f->timeout)
        SS_TRY(ss_parse_u64(&timeout_s, f->timeout, 2, 86400, "--timeout"));
    p->timeout_s = (unsigned)timeout_s;
    SS_TRY(role_of(&p->role, f->party, strlen(f->party), "--party"));
    SS_TRY(ss_flags_once(&f->tls_peer, "--tls-peer"));
    for (size_t i = 0; i < f->tls_peer.n; i++)
        SS_TRY(read_pin(p, f->tls_peer.v[i]));
    if (t->config.variant->parties != 2)
        SS_FAIL(SS_USAGE, "variant %s has one party: run it without --party", t->config.variant->name);
    SS_TRY(ss_peers_check(p, t->config.variant->dealer));
    t->config.peers = p;
    *own = p->role == SS_P0;
    return SS_OK;
}

static size_t top_of(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static enum ss_err run_sequences(struct ss_session *session, const struct ss_sequences *s, float *logits, size_t rows,
                                 size_t vocab)
{
    printf("%-10s %7s %9s %12s %12s\n", "sequence", "tokens", "top id", "top logit", "online ms");
    for (size_t i = 0; i < s->n; i++) {
        size_t n = s->start[i + 1] - s->start[i];
        float *to = logits + i * rows * vocab;
        struct ss_pass pass;
        SS_TRY(ss_session_pass(session, s->ids + s->start[i], n, to, &pass));
        const float *last = to + (rows - 1) * vocab;
        size_t top = top_of(last, vocab);
        printf("%-10zu %7zu %9zu %12.5f %12.3f\n", i + 1, n, top, (double)last[top], (double)pass.online_ns / 1e6);
        fflush(stdout); /* a long run shows where it is, also through a pipe */
    }
    return SS_OK;
}

/* The processes of P1 and the dealer: pass after pass until P0 has no more. */
static enum ss_err serve(const struct ss_target *t)
{
    struct ss_session *session = NULL;
    enum ss_err err = SS_OK;
    bool more = true;
    size_t passes = 0;
    SS_TRY_OUT(ss_session_open(&session, &t->config));
    for (; more; passes += more)
        SS_TRY_OUT(ss_session_serve(session, &more, NULL));
    printf("%s of %s on %s (%s): %zu passes served\n", ss_role_name(t->config.peers->role), t->config.variant->name,
           t->config.backend, t->options, passes);
out:
    ss_session_close(session);
    return err;
}

enum ss_err ss_cmd_forward(int argc, char **argv)
{
    struct ss_cli cli = {0};
    struct ss_target t = {.variant = "plain"};
    struct party_flags party = {0};
    const char *ids = NULL;
    bool all_logits = false, own = true, done = false;
    const struct ss_flag flags[] = {
        SS_TARGET_FLAGS(t),
        {"--ids", "FILE", SS_FLAG_TEXT, &ids, "token ids as decimal text, a line a sequence"},
        {"--all-logits", NULL, SS_FLAG_BOOL, &all_logits, "keep the logits of all positions, not only the last"},
        PARTY_FLAGS(party),
        {0}};
    struct ss_text_list rest = {0};
    SS_TRY(ss_flags_parse(&cli, "forward --weights DIR --ids FILE [--variant V] [--all-logits] [-o OUT.h5]", flags, argc, argv,
                          &rest, &done));
    if (done) {
        printf("%s", party_help);
        return SS_OK;
    }
    if (rest.n)
        SS_FAIL(SS_USAGE, "forward takes no argument '%s'; see `shardscale forward --help`", rest.v[0]);
    SS_TRY(ss_flags_refuse(&cli, argv[0], "--results -E"));
    SS_TRY(ss_target_resolve(&t, &cli));
    SS_TRY(resolve_party(&party, &t, &own));
    if (!own) {
        if (ids || all_logits || cli.format)
            SS_FAIL(SS_USAGE, "--ids, --all-logits and -o belong to --party 0, which has the ids and gets the logits");
        return serve(&t);
    }
    if (!ids)
        SS_FAIL(SS_USAGE, "no token ids: give --ids FILE, decimal text, a line a sequence");

    enum ss_err err = SS_OK;
    struct ss_sequences s = {0};
    struct ss_session *session = NULL;
    struct ss_pairs about = {0};
    float *logits = NULL;
    const char *out_path = cli.format ? cli.format : "logits.h5";
    size_t vocab = t.model.shape.vocab;
    SS_TRY_OUT(ss_store_check(out_path));
    SS_TRY_OUT(ss_sequences_read(&s, ids, vocab));
    if (all_logits)
        SS_TRY_OUT(same_lengths(&s, ids));
    size_t rows = all_logits ? s.longest : 1;
    logits = malloc(s.n * rows * vocab * sizeof *logits);
    if (!logits)
        SS_FAIL_OUT(SS_ENV, "out of memory for %zu x %zu x %zu logits", s.n, rows, vocab);
    t.config.max_tokens = s.longest;
    t.config.all_logits = all_logits;
    SS_TRY_OUT(ss_session_open(&session, &t.config));
    SS_TRY_OUT(run_sequences(session, &s, logits, rows, vocab));
    SS_TRY_OUT(attributes(&about, &t, session));
    SS_TRY_OUT(ss_session_finish(session));
    SS_TRY_OUT(ss_store_logits(out_path, logits, s.n, rows, vocab, &about));
    printf("%s on %s (%s; enclave: %s, attestation: %s): %s\nlogits (%zu, %zu, %zu) in %s\n", t.config.variant->name,
           t.config.backend, t.options, ss_session_cc_mode(session), ss_session_attestation(session), t.config.variant->claim,
           s.n, rows, vocab, out_path);
out:
    ss_session_close(session);
    ss_sequences_free(&s);
    ss_pairs_free(&about);
    free(logits);
    return err;
}
