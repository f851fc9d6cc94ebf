/* test_parties.c — a run as processes: the same logits and counters as in one process, keys, mismatches, lost peers. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/clock.h"
#include "harness/philox.h"
#include "harness/session.h"
#include "tests/roles.h"
#include "tests/scratch.h"

enum { TOKENS = 9, PASSES = 2 };

struct key {
    char path[SCRATCH_PATH], hex[2 * SS_KEY_DIGEST + 1];
    uint8_t digest[SS_KEY_DIGEST];
};

static void make_key(struct key *k)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    uint8_t *der = NULL;
    const int n = i2d_PUBKEY(key, &der);
    scratch_file(k->path, "key.pem");
    FILE *f = fopen(k->path, "w");
    cr_assert(n > 0 && f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    cr_assert_eq(EVP_Digest(der, (size_t)n, k->digest, NULL, EVP_sha256(), NULL), 1);
    for (int i = 0; i < SS_KEY_DIGEST; i++)
        snprintf(k->hex + 2 * i, 3, "%02x", k->digest[i]);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

/* ---- sessions in forked processes, with a key of the tests */
static const uint8_t fixed_key[16] = "a key for tests";
struct run {
    char address[2][32]; /* of the listening party, of the dealer */
    struct key key[SS_N_ROLES];
    struct ss_peers peers[SS_N_ROLES];
    struct ss_model model;
    struct ss_session_config config;
};

static void run_open(struct run *r, const char *variant, bool tls)
{
    const bool dealer = ss_variant_find(variant)->dealer;
    char path[1200];
    memset(r, 0, sizeof *r);
    ss_set_quiet(1);
    for (int i = 0; i < 2; i++)
        snprintf(r->address[i], sizeof r->address[i], "127.0.0.1:%d", free_port());
    for (int role = 0; tls && role < SS_N_ROLES; role++)
        make_key(&r->key[role]);
    for (int role = 0; role < SS_N_ROLES; role++) {
        struct ss_peers *p = &r->peers[role];
        *p = (struct ss_peers){.role = role, .timeout_s = 60};
        p->listen = role == SS_P0 ? r->address[0] : role == SS_DEALER ? r->address[1] : NULL;
        p->connect = role == SS_P1 ? r->address[0] : NULL;
        p->dealer = role == SS_DEALER || !dealer ? NULL : r->address[1];
        p->tls_key = tls ? r->key[role].path : NULL;
        for (int peer = 0; tls && peer < SS_N_ROLES; peer++)
            if (peer != role && (peer != SS_DEALER || dealer)) {
                p->pinned[peer] = true;
                memcpy(p->pin[peer], r->key[peer].digest, SS_KEY_DIGEST);
            }
    }
    snprintf(path, sizeof path, "%s/tests/data/qwen2-tiny-a", ss_home());
    cr_assert_eq(ss_model_from_dir(&r->model, path), SS_OK);
    r->config = (struct ss_session_config){.model = &r->model,
                                           .variant = ss_variant_find(variant),
                                           .backend = "cpu",
                                           .placement = "one",
                                           .seed = 7,
                                           .threads = 1,
                                           .weight_budget_bytes = SIZE_MAX,
                                           .fixed_key = fixed_key};
    cr_assert_eq(ss_options_parse(r->config.variant, "", r->config.option), SS_OK);
}

/* The process of P1 or of the dealer, which knows neither ids nor their number. */
static pid_t fork_role(const struct run *r, int role)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0)
        return pid;
    struct ss_session_config g = r->config;
    struct ss_session *s;
    bool more = true;
    g.peers = &r->peers[role];
    enum ss_err err = ss_session_open(&s, &g);
    while (err == SS_OK && more)
        err = ss_session_serve(s, &more, NULL);
    if (s)
        ss_session_close(s);
    _exit((int)err);
}

static void run_p0(struct ss_session_config *g, const int32_t *ids, float *logits, struct ss_counters c[PASSES],
                   int64_t wire[SS_N_DIRS], char enclave[40])
{
    struct ss_session *s;
    g->max_tokens = TOKENS;
    g->all_logits = true;
    cr_assert_eq(ss_session_open(&s, g), SS_OK, "%s", ss_last_error());
    for (int pass = 0; pass < PASSES; pass++) {
        struct ss_pass times;
        float *to = logits + (size_t)pass * TOKENS * g->model->shape.vocab;
        const size_t past = pass == PASSES - 1 ? 1 : 0; /* the last on top of the cache of the one before */
        cr_assert_eq(ss_session_pass_after(s, past, ids + past, TOKENS - 2 * (size_t)pass, to, &times), SS_OK, "%s",
                     ss_last_error());
        cr_assert_gt(times.online_ns, 0);
        c[pass] = *ss_session_counters(s);
    }
    const struct ss_wire *w = ss_session_wire(s);
    memset(wire, 0, SS_N_DIRS * sizeof *wire);
    for (size_t i = 0; i < w->layers * SS_N_OPS * SS_N_DIRS; i++)
        wire[i % SS_N_DIRS] += w->bytes[i];
    cr_assert_eq(ss_session_finish(s), SS_OK, "%s", ss_last_error());
    snprintf(enclave, 40, "%s, %s", ss_session_cc_mode(s), ss_session_attestation(s));
    ss_session_close(s);
}

struct how {
    char variant[16];
    bool tls;
};

ParameterizedTestParameters(parties, processes_give_the_same_logits_and_counters_as_threads)
{
    static struct how hows[] = {{"v2", false},   {"v3", false},     {"v3", true},     {"v3-ot", false},
                                {"v3-ot", true}, {"v3-mpc", false}, {"v3-cc", false}, {"v3-cc", true}};
    return cr_make_param_array(struct how, hows, sizeof hows / sizeof hows[0]);
}

ParameterizedTest(struct how *how, parties, processes_give_the_same_logits_and_counters_as_threads, .timeout = 120)
{
    struct run r;
    int32_t ids[TOKENS];
    struct ss_counters apart[PASSES], together[PASSES];
    int64_t wire_apart[SS_N_DIRS], wire_together[SS_N_DIRS];
    char enclave_apart[40], enclave_together[40];
    int status;
    run_open(&r, how->variant, how->tls);
    ss_synth_ids(ids, TOKENS, r.model.shape.vocab, 3);
    const size_t bytes = PASSES * TOKENS * r.model.shape.vocab * sizeof(float);
    float *a = calloc(1, bytes), *b = calloc(1, bytes);
    const bool has_dealer = r.config.variant->dealer;
    pid_t p1 = fork_role(&r, SS_P1), dealer = has_dealer ? fork_role(&r, SS_DEALER) : 0;
    struct ss_session_config g = r.config;
    g.peers = &r.peers[SS_P0];
    run_p0(&g, ids, a, apart, wire_apart, enclave_apart);
    cr_assert(waitpid(p1, &status, 0) == p1 && status == 0, "P1 ended with %#x", status);
    if (has_dealer)
        cr_assert(waitpid(dealer, &status, 0) == dealer && status == 0, "the dealer ended with %#x", status);
    g = r.config;
    run_p0(&g, ids, b, together, wire_together, enclave_together);
    cr_assert_arr_eq(a, b, bytes, "%s: other logits than in one process", how->variant);
    for (int pass = 0; pass < PASSES; pass++) {
        int differ = ss_counters_differ(&apart[pass], &together[pass]);
        cr_assert_eq(differ, -1, "pass %d: %s", pass, differ < 0 ? "" : ss_counter_names[differ].name);
    }
    cr_assert_arr_eq(wire_apart, wire_together, sizeof wire_apart);
    cr_assert_gt(wire_apart[SS_P1_P0], 0);
    cr_assert_eq(wire_apart[SS_D_P1] > 0, has_dealer);
    cr_assert_str_eq(enclave_apart, enclave_together);
    free(a);
    free(b);
}

/* ---- keys of a long connection */
struct end {
    struct ss_tls *tls;
    struct ss_stream s;
    bool server;
    int updates; /* key updates seen, its own and the other's */
    bool good;
};
enum { LONG_BYTES = 1 << 20, KEY_BYTES = 1 << 17 };

static void count_updates(int sent, int version, int type, const void *message, size_t bytes, SSL *ssl, void *arg)
{
    (void)sent;
    (void)version;
    (void)ssl;
    if (type == SSL3_RT_HANDSHAKE && bytes > 0 && *(const uint8_t *)message == SSL3_MT_KEY_UPDATE)
        ++*(int *)arg;
}

/* The server sends, the client listens. */
static void *one_end(void *arg)
{
    struct end *e = arg;
    uint8_t *data = calloc(1, LONG_BYTES), seen = 0;
    const int64_t deadline_ms = ss_now_ms() + 20000;
    e->good = ss_tls_secure(e->tls, &e->s, e->server, deadline_ms) == SS_OK;
    if (e->good) {
        SSL_set_msg_callback(e->s.ssl, count_updates);
        SSL_set_msg_callback_arg(e->s.ssl, &e->updates);
        e->s.key_bytes = KEY_BYTES;
        memset(data, e->server ? 7 : 0, LONG_BYTES);
        e->good = (e->server ? ss_stream_write_all(&e->s, data, LONG_BYTES, deadline_ms)
                             : ss_stream_read_all(&e->s, data, LONG_BYTES, deadline_ms)) == SS_OK;
    }
    for (size_t i = 0; i < LONG_BYTES; i++)
        seen |= data[i] ^ 7;
    e->good = e->good && seen == 0;
    free(data);
    return NULL;
}

Test(parties, a_long_connection_takes_new_keys, .timeout = 60)
{
    struct key key[2];
    struct end end[2] = {{.server = true}, {.server = false}};
    pthread_t thread[2];
    int fd[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    make_key(&key[0]);
    make_key(&key[1]);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(ss_tls_open(&end[i].tls, key[i].path, (const uint8_t(*)[SS_KEY_DIGEST])key[1 - i].digest, 1), SS_OK);
        end[i].s = (struct ss_stream){.fd = fd[i], .peer = "pair"};
        cr_assert_eq(pthread_create(&thread[i], NULL, one_end, &end[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < 2; i++) {
        cr_expect(end[i].good, "%s", ss_last_error());
        cr_expect_eq(end[i].updates, LONG_BYTES / KEY_BYTES - 1, "end %d saw %d key updates", i, end[i].updates);
        ss_stream_close(&end[i].s);
        ss_tls_close(end[i].tls);
        unlink(key[i].path);
    }
}

/* A key that is pinned for another role, then one that is not pinned at all: P0 refuses both, and nobody has a run. */
Test(parties, a_peer_with_a_wrong_key_is_refused, .timeout = 120)
{
    static const char *const says[] = {"another key than --tls-peer gives", "no --tls-peer names"};
    ss_set_error_silent(1);
    for (int i = 0; i < 2; i++) {
        struct run r;
        struct ss_stream stream[SS_N_ROLES];
        pid_t child[SS_N_ROLES] = {0};
        int status;
        run_open(&r, "v3", true);
        for (int role = 0; role < SS_N_ROLES; role++)
            r.peers[role].timeout_s = 4;
        for (int role = SS_P1; role < SS_N_ROLES; role++)
            if ((child[role] = fork()) == 0)
                _exit((int)ss_peers_meet(&r.peers[role], true, stream));
        struct ss_peers *p = &r.peers[SS_P0];
        if (i == 0)
            memcpy(p->pin[SS_P1], r.key[SS_DEALER].digest, SS_KEY_DIGEST);
        memcpy(p->pin[SS_DEALER], r.key[i == 0 ? SS_P1 : SS_P0].digest, SS_KEY_DIGEST);
        cr_expect_eq(ss_peers_meet(p, true, stream), SS_ENV);
        cr_expect(strstr(ss_last_error(), says[i]), "%s", ss_last_error());
        cr_expect(waitpid(child[SS_P1], &status, 0) == child[SS_P1] && WIFEXITED(status) && WEXITSTATUS(status) == SS_ENV,
                  "P1 found a party 0: %#x", status);
        cr_expect_eq(waitpid(child[SS_DEALER], &status, 0), child[SS_DEALER]);
    }
}

/* Connects, sends what is no greeting (or nothing), and waits to be turned away. */
static void intrude(const char *at, const char *words)
{
    struct ss_stream s;
    const int64_t deadline_ms = ss_now_ms() + 20000;
    char answer[64];
    cr_assert_eq(ss_stream_dial(&s, at, false, deadline_ms), SS_OK);
    cr_assert_eq(ss_stream_write_all(&s, words, strlen(words), deadline_ms), SS_OK);
    if (*words)
        while (ss_stream_read_all(&s, answer, 1, deadline_ms) == SS_OK)
            ;
    cr_assert_lt(ss_now_ms(), deadline_ms, "nobody turned '%s' away", words);
    ss_stream_close(&s);
}
static const char *const intruders[] = {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "",
                                        "SSf1 and then rubbish of some length"};

/* Whoever connects to a listening port before the peers do. */
Test(parties, strangers_end_no_run, .timeout = 120)
{
    for (int tls = 0; tls < 2; tls++) {
        struct run r;
        int32_t ids[TOKENS];
        struct ss_counters counters[PASSES];
        int64_t wire[SS_N_DIRS];
        char enclave[40];
        int status;
        run_open(&r, "v3", tls);
        ss_set_error_silent(1);
        ss_synth_ids(ids, TOKENS, r.model.shape.vocab, 3);
        float *logits = calloc(PASSES * TOKENS * r.model.shape.vocab, sizeof *logits);
        pid_t dealer = fork_role(&r, SS_DEALER);
        for (int i = 0; i < 3; i++)
            intrude(r.address[1], intruders[i]);
        pid_t p1 = fork_role(&r, SS_P1);
        struct ss_session_config g = r.config;
        g.peers = &r.peers[SS_P0];
        run_p0(&g, ids, logits, counters, wire, enclave);
        cr_expect(waitpid(p1, &status, 0) == p1 && status == 0, "P1 ended with %#x", status);
        cr_expect(waitpid(dealer, &status, 0) == dealer && status == 0, "the dealer ended with %#x", status);
        free(logits);
    }
}

Test(parties, where_only_strangers_came_the_last_is_named, .timeout = 60)
{
    struct run r;
    struct ss_stream stream[SS_N_ROLES];
    int status;
    run_open(&r, "v3", false);
    ss_set_error_silent(1);
    r.peers[SS_DEALER].timeout_s = 3;
    pid_t child = fork();
    if (child == 0) {
        intrude(r.address[1], intruders[0]);
        _exit(0);
    }
    cr_expect_eq(ss_peers_meet(&r.peers[SS_DEALER], true, stream), SS_ENV);
    cr_expect(strstr(ss_last_error(), "nobody connected to"), "%s", ss_last_error());
    cr_expect(strstr(ss_last_error(), "the last that came: 127.0.0.1:"), "%s", ss_last_error());
    cr_expect(strstr(ss_last_error(), "no ShardScale frame"), "%s", ss_last_error());
    cr_expect(waitpid(child, &status, 0) == child && status == 0);
}
