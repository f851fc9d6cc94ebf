/* test_v3_cc.c — the sealed border: same logits as plain, nothing readable on the wire, and no data without good evidence. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/philox.h"
#include "harness/session.h"
#include "tests/roles.h"
#include "variants/lib/border.h"

enum { TOKENS = 9 };

static void open_model(struct ss_model *m)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/tests/data/qwen2-tiny-a", ss_home());
    cr_assert_eq(ss_model_from_dir(m, path), SS_OK);
}

static struct ss_session_config config_of(const struct ss_model *m, const char *variant, const char *options)
{
    struct ss_session_config g = {.model = m,
                                  .variant = ss_variant_find(variant),
                                  .backend = "cpu",
                                  .placement = "one",
                                  .max_tokens = TOKENS,
                                  .all_logits = true,
                                  .seed = 7,
                                  .threads = 2,
                                  .weight_budget_bytes = SIZE_MAX};
    cr_assert_eq(ss_options_parse(g.variant, options, g.option), SS_OK);
    return g;
}

struct wire {
    size_t n, bytes;
    const uint8_t *secret; /* must not appear ... */
    size_t secret_bytes;
    bool seen;
    char kinds[128];
};

static void look(void *arg, int from, int to, const char *what, const void *data, size_t bytes)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct wire *w = arg;
    pthread_mutex_lock(&lock);
    w->n++;
    w->bytes += bytes;
    snprintf(w->kinds + strlen(w->kinds), sizeof w->kinds - strlen(w->kinds), "%d>%d %s ", from, to, what);
    for (size_t i = 0; w->secret && i + 16 <= w->secret_bytes; i += 16)
        w->seen = w->seen || memmem(data, bytes, w->secret + i, 16) != NULL;
    pthread_mutex_unlock(&lock);
}

/* Bit for bit: the same functions on the same values. */
Test(v3_cc, logits_are_those_of_plain_in_both_arithmetics)
{
    static const char *const options[] = {"compute=fp32", "compute=bf16"};
    struct ss_model m;
    int32_t ids[TOKENS];
    open_model(&m);
    ss_synth_ids(ids, TOKENS, m.shape.vocab, 3);
    const size_t bytes = TOKENS * m.shape.vocab * sizeof(float);
    float *logits[2] = {malloc(bytes), malloc(bytes)};
    for (size_t o = 0; o < 2; o++) {
        for (int v = 0; v < 2; v++) {
            struct ss_session *s;
            struct ss_session_config g = config_of(&m, v ? "v3-cc" : "plain", options[o]);
            cr_assert_eq(ss_session_open(&s, &g), SS_OK, "%s", ss_last_error());
            cr_assert_str_eq(ss_session_cc_mode(s), v ? "emulated" : "none");
            cr_assert_str_eq(ss_session_attestation(s), v ? "software" : "none");
            for (int pass = 0; pass < 2; pass++) /* a session's second pass has keys of its own */
                cr_assert_eq(ss_session_pass(s, ids, TOKENS, logits[v], NULL), SS_OK, "%s", ss_last_error());
            ss_session_close(s);
        }
        cr_assert_arr_eq(logits[0], logits[1], bytes, "%s", options[o]);
    }
    free(logits[0]);
    free(logits[1]);
}

/* Four messages a pass, their bytes those of cost(), and neither embeddings nor logits among them. */
Test(v3_cc, what_crosses_is_counted_and_sealed)
{
    struct ss_model m;
    struct ss_session *s;
    int32_t ids[TOKENS];
    struct ss_pass times;
    int64_t peak[SS_N_TAGS];
    open_model(&m);
    ss_synth_ids(ids, TOKENS, m.shape.vocab, 4);
    const size_t values = TOKENS * m.shape.vocab;
    float *logits = malloc(values * sizeof *logits);
    struct wire w = {0};
    struct ss_session_config g = config_of(&m, "v3-cc", "");
    g.tap = look;
    g.tap_arg = &w;
    cr_assert_eq(ss_session_open(&s, &g), SS_OK, "%s", ss_last_error());
    cr_assert_str_eq(w.kinds, "1>0 root ");
    w = (struct wire){0};
    cr_assert_eq(ss_session_pass(s, ids, TOKENS, logits, &times), SS_OK, "%s", ss_last_error());
    cr_assert_str_eq(w.kinds, "0>1 helo 1>0 evid 0>1 embd 1>0 logi ");
    const struct ss_counters *c = ss_session_counters(s);
    cr_assert_eq((size_t)ss_counters_bytes_between(c), w.bytes);
    cr_assert_eq(c->bytes_input_p0_p1, 4 * TOKENS * (int64_t)m.shape.d_model + 40);
    cr_assert_eq(c->bytes_output_p1_p0, 4 * (int64_t)values + 40);
    cr_assert_eq(c->rounds_online, 0);
    cr_assert_gt(times.offline_ns, 0);
    cr_assert_gt(times.op_ns[SS_OP_lm_head], 0, "the times are not those of the party that computes");
    ss_session_peaks(s, peak);
    cr_assert_geq(peak[SS_TAG_buffers], 2 * (4 * (int64_t)values + 40));
    cr_assert_gt(peak[SS_TAG_keys], 0);

    w.secret = (const uint8_t *)logits;
    w.secret_bytes = values * sizeof *logits;
    cr_assert_eq(ss_session_pass(s, ids, TOKENS, NULL, NULL), SS_OK);
    cr_assert_not(w.seen, "logits crossed in the clear");
    ss_session_close(s);

    /* The same looking does find them where they do cross in the clear. */
    struct wire open = {.secret = (const uint8_t *)logits, .secret_bytes = values * sizeof *logits};
    look(&open, 1, 0, "logi", logits, values * sizeof *logits);
    cr_assert(open.seen);
    free(logits);
}

Test(v3_cc, copies_come_back_whole_and_are_counted)
{
    struct ss_model m;
    struct ss_session *s;
    cr_assert_eq(ss_model_find(&m, "copy"), SS_OK, "%s", ss_last_error());
    static const char *const variants[] = {"plain", "v3-cc"};
    for (size_t v = 0; v < 2; v++) {
        struct ss_session_config g = config_of(&m, variants[v], "");
        struct ss_pass times;
        g.copy_only = true;
        cr_assert_eq(ss_session_open(&s, &g), SS_OK, "%s", ss_last_error());
        cr_assert_eq(ss_session_pass(s, (int32_t[TOKENS]){0}, TOKENS, NULL, &times), SS_OK, "%s", ss_last_error());
        const struct ss_counters *c = ss_session_counters(s);
        cr_assert_eq(c->func_rsqrt, 0);
        cr_assert_eq(c->bytes_output_p1_p0, v ? 4096 * TOKENS + 40 : 0);
        cr_assert_gt(times.op_ns[SS_OP_input], 0);
        cr_assert_eq(times.op_ns[SS_OP_lm_head], 0);
        ss_session_close(s);
    }
}

/* ---- the border between two roles, with something wrong */
struct trial {
    struct ss_border border[2];
    float sent[64], got[64];
    enum ss_check fault; /* SS_N_CHECKS: none */
};

static struct trial *fault_of; /* the attestor below has no other way to it */

/* An enclave's machine that tells lies: replays a report, signs with a stranger's keys, alters a bit. */
static enum ss_err (*honest)(struct ss_attestor *a, struct ss_evidence *e, const uint8_t nonce[SS_ATTEST_NONCE]);
static enum ss_err lie(struct ss_attestor *a, struct ss_evidence *e, const uint8_t nonce[SS_ATTEST_NONCE])
{
    uint8_t other[SS_ATTEST_NONCE];
    struct ss_attestor stranger;
    memcpy(other, nonce, sizeof other);
    switch (fault_of->fault) {
    case SS_CHECK_nonce: /* a report for another key or another challenge */
        other[0] ^= 1;
        return honest(a, e, other);
    case SS_CHECK_root:
        SS_TRY(ss_attestor_software(&stranger));
        SS_TRY(stranger.attest(&stranger, e, nonce));
        ss_attestor_close(&stranger);
        return SS_OK;
    case SS_CHECK_signature:
        SS_TRY(honest(a, e, nonce));
        e->report[37 + 8 + 7] ^= 1; /* the first measurement */
        return SS_OK;
    default:
        return honest(a, e, nonce);
    }
}

static enum ss_err talk(struct ss_ctx *c, void *arg)
{
    struct trial *t = arg;
    if (c->role == SS_DEALER)
        return SS_OK;
    struct ss_border *b = &t->border[c->role];
    SS_TRY(ss_border_open(c, b, 64));
    if (c->role == SS_P1) {
        honest = b->attestor.attest;
        b->attestor.attest = lie;
    }
    SS_TRY(ss_border_connect(c, b));
    if (c->role == SS_P0) {
        SS_TRY(ss_border_send(c, b, "embd", t->sent, 64));
        return ss_border_recv(c, b, "logi", t->got, 64);
    }
    float inside[64];
    SS_TRY(ss_border_recv(c, b, "embd", inside, 64));
    for (int i = 0; i < 64; i++)
        inside[i] *= 2;
    return ss_border_send(c, b, "logi", inside, 64);
}

static enum ss_err try_border(enum ss_check fault, struct wire *w, struct trial *t)
{
    struct roles r;
    *t = (struct trial){.fault = fault};
    fault_of = t;
    for (int i = 0; i < 64; i++)
        t->sent[i] = (float)i + 0.5f;
    roles_open(&r, look, w);
    ss_clear_error();
    enum ss_err err = roles_run_expecting(&r, talk, t);
    for (int role = 0; role < 2; role++)
        ss_border_close(&r.ctx[role], &t->border[role]);
    roles_close(&r);
    return err;
}

Test(border, an_attested_enclave_gets_the_data_and_answers)
{
    struct trial t;
    struct wire w = {.secret = (const uint8_t *)t.sent, .secret_bytes = sizeof t.sent};
    cr_assert_eq(try_border(SS_N_CHECKS, &w, &t), SS_OK, "%s", ss_last_error());
    for (int i = 0; i < 64; i++)
        cr_assert_float_eq(t.got[i], 2 * t.sent[i], 0);
    cr_assert_not(w.seen);
    cr_assert(strstr(w.kinds, "embd"));
}

/* The root of a stranger's attestor, as a client's file. */
static void write_root(char path[64])
{
    struct ss_attestor stranger;
    cr_assert_eq(ss_attestor_software(&stranger), SS_OK);
    strcpy(path, "/tmp/shardscale-root-XXXXXX");
    FILE *f = fdopen(mkstemp(path), "w");
    cr_assert(f && fwrite(stranger.root, 1, stranger.root_bytes, f) == stranger.root_bytes && fclose(f) == 0);
    ss_attestor_close(&stranger);
}

Test(border, a_client_with_a_root_of_its_own_takes_none_from_the_machine_that_is_to_be_attested)
{
    struct trial t;
    struct wire w = {0};
    char path[64];
    write_root(path);
    setenv("SHARDSCALE_ATTEST_ROOT", path, 1);
    ss_set_error_silent(1);
    cr_assert_eq(try_border(SS_N_CHECKS, &w, &t), SS_ENV);
    cr_assert(strstr(ss_last_error(), "pinned root: the chain does not end with"), "%s", ss_last_error());
    cr_assert_str_eq(w.kinds, "1>0 root 0>1 helo 1>0 evid ", "%s", w.kinds);
    unlink(path);
}

/* An enclave that hands over no root says that it is hardware. */
static enum ss_err open_without_root(struct ss_ctx *c, void *arg)
{
    static const char none[SS_CHAIN_MAX];
    if (c->role == SS_P1)
        return ss_send(c, SS_P0, "root", none, sizeof none);
    return c->role == SS_P0 ? ss_border_open(c, arg, 64) : SS_OK;
}

Test(border, hardware_is_believed_only_against_a_root_that_the_client_brings)
{
    char path[64];
    write_root(path);
    ss_set_error_silent(1);
    for (int with = 0; with < 2; with++) {
        struct roles r;
        struct ss_border b = {0};
        if (with)
            setenv("SHARDSCALE_ATTEST_ROOT", path, 1);
        roles_open(&r, NULL, NULL);
        cr_expect_eq(roles_run_expecting(&r, open_without_root, &b), with ? SS_OK : SS_USAGE);
        cr_expect(with || strstr(ss_last_error(), "set SHARDSCALE_ATTEST_ROOT"), "%s", ss_last_error());
        if (with) {
            cr_expect_str_eq(r.ctx[SS_P0].cc_mode, "hardware");
            cr_expect_str_eq(r.ctx[SS_P0].attestation, "verified");
        }
        ss_border_close(&r.ctx[SS_P0], &b);
        roles_close(&r);
    }
    unlink(path);
}

Test(border, without_good_evidence_nothing_is_sent)
{
    static const enum ss_check faults[] = {SS_CHECK_nonce, SS_CHECK_root, SS_CHECK_signature};
    ss_set_error_silent(1);
    for (size_t i = 0; i < 3; i++) {
        struct trial t;
        struct wire w = {0};
        cr_assert_eq(try_border(faults[i], &w, &t), SS_ENV);
        cr_assert(strstr(ss_last_error(), ss_check_names[faults[i]]), "%s", ss_last_error());
        cr_assert_str_eq(w.kinds, "1>0 root 0>1 helo 1>0 evid ", "%s", w.kinds);
    }
}
