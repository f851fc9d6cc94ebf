/* test_forward.c — whole passes: golden logits, and the contract that every variant keeps on every backend. */
#include <criterion/criterion.h>
#include <math.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"
#include "harness/safetensors.h"
#include "harness/session.h"
#include "tests/pairs.h"
#include "tests/targets.h"

static const uint8_t key[16] = "a key for tests";

static struct ss_session_config config_of(const struct ss_model *m, const char *variant, const char *backend, size_t tokens)
{
    struct ss_session_config g = {.model = m,
                                  .variant = ss_variant_find(variant),
                                  .backend = backend,
                                  .placement = "one",
                                  .max_tokens = tokens,
                                  .all_logits = true,
                                  .seed = 7,
                                  .threads = 2,
                                  .weight_budget_bytes = SIZE_MAX,
                                  .fixed_key = key};
    cr_assert(g.variant);
    cr_assert_eq(ss_options_parse(g.variant, "", g.option), SS_OK);
    return g;
}

static void pass(const struct ss_session_config *g, const int32_t *ids, size_t n, float *logits)
{
    struct ss_session *s;
    cr_assert_eq(ss_session_open(&s, g), SS_OK, "%s", ss_last_error());
    cr_assert_eq(ss_session_pass(s, ids, n, logits, NULL), SS_OK, "%s", ss_last_error());
    ss_session_close(s);
}

static void model_at(struct ss_model *m, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/tests/data/%s", ss_home(), name);
    cr_assert_eq(ss_model_from_dir(m, path), SS_OK);
}

/* Relative L2 distance of all logits of a checkpoint from those that HF transformers computed in fp32. */
static double golden_distance(const char *model, const char *variant, const char *backend)
{
    struct ss_model m;
    char path[1200];
    struct ss_safetensors *golden;
    model_at(&m, model);
    snprintf(path, sizeof path, "%s/golden.safetensors", m.path);
    cr_assert_eq(ss_safetensors_open_file(&golden, path), SS_OK);
    const struct ss_tensor *ids = ss_safetensors_find(golden, "input_ids"), *want = ss_safetensors_find(golden, "logits");
    cr_assert(ids && want);
    size_t sequences = ids->shape[0], n = ids->shape[1], values = n * m.shape.vocab;
    float *logits = malloc(sequences * values * sizeof *logits), *reference = malloc(sequences * values * sizeof *reference);
    ss_tensor_to_f32(reference, want, 0, sequences * values);
    struct ss_session_config g = config_of(&m, variant, backend, n);
    for (size_t s = 0; s < sequences; s++) {
        int32_t row[512];
        for (size_t i = 0; i < n; i++) {
            int64_t id;
            memcpy(&id, (const char *)ids->data + (s * n + i) * sizeof id, sizeof id);
            row[i] = (int32_t)id;
        }
        pass(&g, row, n, logits + s * values);
    }
    struct ss_distance d;
    ss_distance(&d, logits, reference, sequences * n, m.shape.vocab);
    free(logits);
    free(reference);
    ss_safetensors_close(golden);
    return d.rel_l2;
}

Test(golden, plain_is_within_2e_5_of_transformers)
{
    cr_assert_lt(golden_distance("qwen2-tiny-a", "plain", "cpu"), 2e-5);
    cr_assert_lt(golden_distance("tiny-lm", "plain", "cpu"), 2e-5);
}

Test(golden, v2_and_v3_are_within_1e_3_of_transformers)
{
    cr_assert_lt(golden_distance("qwen2-tiny-a", "v2", "cpu"), 1e-3);
    cr_assert_lt(golden_distance("tiny-lm", "v2", "cpu"), 1e-3);
    cr_assert_lt(golden_distance("qwen2-tiny-a", "v3", "cpu"), 1e-3);
    cr_assert_lt(golden_distance("tiny-lm", "v3", "cpu"), 1e-3);
}

Test(golden, v3_ot_is_within_5e_3_of_transformers)
{
    cr_assert_lt(golden_distance("qwen2-tiny-a", "v3-ot", "cpu"), 5e-3);
    cr_assert_lt(golden_distance("tiny-lm", "v3-ot", "cpu"), 5e-3);
}

Test(golden, v3_mpc_is_within_1e_2_of_transformers)
{
    cr_assert_lt(golden_distance("qwen2-tiny-a", "v3-mpc", "cpu"), 1e-2);
    cr_assert_lt(golden_distance("tiny-lm", "v3-mpc", "cpu"), 1e-2);
}

/* Mean of -log p(next) in nats over rows of logits (rows, vocab). */
static double cross_entropy(const float *logits, const int32_t *next, size_t rows, size_t vocab)
{
    double nats = 0;
    for (size_t r = 0; r < rows; r++, logits += vocab) {
        double most = -INFINITY, sum = 0;
        for (size_t i = 0; i < vocab; i++)
            most = fmax(most, (double)logits[i]);
        for (size_t i = 0; i < vocab; i++)
            sum += exp((double)logits[i] - most);
        nats += most + log(sum) - (double)logits[next[r]];
    }
    return nats / (double)rows;
}

/* Two windows of held-out text on trained weights; 64 windows of 256: shardscale eval (docs/variants.md). */
Test(golden, v3_ot_keeps_cross_entropy_and_top_1)
{
    enum { WINDOWS = 2, N = 128, VOCAB = 256 };
    struct ss_model m;
    char path[1200];
    model_at(&m, "tiny-lm");
    snprintf(path, sizeof path, "%s/heldout.txt", m.path);
    FILE *text = fopen(path, "rb");
    cr_assert(text && m.shape.vocab == VOCAB);
    float *logits = malloc(2 * WINDOWS * N * VOCAB * sizeof *logits), *plain = logits + WINDOWS * N * VOCAB;
    const struct ss_session_config ot = config_of(&m, "v3-ot", "cpu", N), clear = config_of(&m, "plain", "cpu", N);
    double nats = 0, nats_plain = 0;
    for (size_t w = 0; w < WINDOWS; w++) {
        int32_t ids[N + 1];
        for (size_t i = 0; i < N + 1; i++)
            ids[i] = fgetc(text);
        pass(&ot, ids, N, logits + w * N * VOCAB);
        pass(&clear, ids, N, plain + w * N * VOCAB);
        nats += cross_entropy(logits + w * N * VOCAB, ids + 1, N, VOCAB);
        nats_plain += cross_entropy(plain + w * N * VOCAB, ids + 1, N, VOCAB);
    }
    fclose(text);
    struct ss_distance d;
    ss_distance(&d, logits, plain, WINDOWS * N, VOCAB);
    free(logits);
    cr_expect_lt(fabs(nats / nats_plain - 1), 2e-3, "%g against %g nats", nats / WINDOWS, nats_plain / WINDOWS);
    cr_expect_geq(d.top1, 0.99); /* two near ties of 256 may fall */
    cr_log_info("cross-entropy %g, plain %g, top-1 agreement %g", nats / WINDOWS, nats_plain / WINDOWS, d.top1);
}

/* Contract of every variant on every backend of this build that can run here. */
ParameterizedTestParameters(contract, every_variant_on_every_backend)
{
    return every_pair();
}

ParameterizedTest(struct pair *p, contract, every_variant_on_every_backend)
{
    enum { TOKENS = 9 };
    struct ss_model m;
    model_at(&m, "qwen2-tiny-a");
    size_t values = TOKENS * m.shape.vocab;
    int32_t ids[TOKENS];
    ss_synth_ids(ids, TOKENS, m.shape.vocab, 3);
    float *a = malloc(values * sizeof *a), *b = malloc(values * sizeof *b);
    struct ss_session_config g = config_of(&m, p->variant, p->backend, TOKENS);
    pass(&g, ids, TOKENS, a); /* SS_OK: counters equal cost() */

    pass(&g, ids, TOKENS, b);
    cr_assert_arr_eq(a, b, values * sizeof *a, "%s: same keys, other logits", p->variant);

    g.weight_budget_bytes = 0;
    pass(&g, ids, TOKENS, b);
    cr_assert_arr_eq(a, b, values * sizeof *a, "%s: streamed weights give other logits than resident ones", p->variant);

    g.weight_budget_bytes = SIZE_MAX;
    g.max_tokens = TOKENS + 5;
    g.all_logits = false;
    pass(&g, ids, TOKENS, b);
    struct ss_distance d;
    ss_distance(&d, b, a + values - m.shape.vocab, 1, m.shape.vocab);
    cr_assert_lt(d.rel_l2, 1e-2, "%s: the last row alone differs by %g", p->variant, d.rel_l2);

    g = config_of(&m, p->variant, p->backend, TOKENS);
    g.fixed_key = NULL;
    struct ss_session_config plain = config_of(&m, "plain", "cpu", TOKENS);
    pass(&g, ids, TOKENS, a);
    pass(&plain, ids, TOKENS, b);
    ss_distance(&d, a, b, TOKENS, m.shape.vocab);
    cr_assert_lt(d.rel_l2, 1e-2, "%s: %g from plain", p->variant, d.rel_l2);
    free(a);
    free(b);
}

Test(session, several_passes_of_different_lengths)
{
    struct ss_model m;
    struct ss_session *s;
    int32_t ids[12];
    model_at(&m, "qwen2-tiny-a");
    ss_synth_ids(ids, 12, m.shape.vocab, 5);
    struct ss_session_config g = config_of(&m, "v3", "cpu", 12), h = config_of(&m, "plain", "cpu", 12);
    float *a = malloc(12 * m.shape.vocab * sizeof *a), *b = malloc(12 * m.shape.vocab * sizeof *b);
    cr_assert_eq(ss_session_open(&s, &g), SS_OK);
    for (size_t n = 12; n > 0; n -= 11) {
        struct ss_pass times;
        cr_assert_eq(ss_session_pass(s, ids, n, a, &times), SS_OK);
        cr_assert_gt(times.online_ns, 0);
        cr_assert_leq(times.online_ns, times.wall_ns);
        pass(&h, ids, n, b);
        struct ss_distance d;
        ss_distance(&d, a, b, n, m.shape.vocab);
        cr_assert_lt(d.rel_l2, 1e-3);
        if (n == 1)
            break;
    }
    ss_session_close(s);
    free(a);
    free(b);
}

Test(session, an_id_outside_the_vocabulary_is_refused_before_anything_runs)
{
    struct ss_model m;
    struct ss_session *s;
    model_at(&m, "qwen2-tiny-a");
    struct ss_session_config g = config_of(&m, "v2", "cpu", 4);
    int32_t ids[4] = {1, 2, 512, 3};
    ss_set_error_silent(1);
    cr_assert_eq(ss_session_open(&s, &g), SS_OK);
    cr_assert_eq(ss_session_pass(s, ids, 4, NULL, NULL), SS_USAGE);
    cr_assert(strstr(ss_last_error(), "token id 512 at position 2"));
    ss_session_close(s);
}

/* doc-1.5b at 56 tokens evaluates 28 x 521,696 functions and the final norm; the seed document's formula says 61,880 OTs. */
Test(cost, functions_of_doc_1_5b_at_56_tokens)
{
    struct ss_model m;
    cr_assert_eq(ss_model_find(&m, "doc-1.5b"), SS_OK);
    for (size_t v = 0; ss_variants[v]; v++) {
        struct ss_counters e = {0};
        int64_t option[SS_MAX_OPTIONS];
        cr_assert_eq(ss_options_parse(ss_variants[v], "", option), SS_OK);
        struct ss_job job = {.shape = &m.shape, .tokens = 56, .option = option};
        ss_variants[v]->cost(&job, &e);
        cr_assert_eq(e.func_silu + e.func_exp + e.func_recip + e.func_rsqrt, 28 * 521696 + 1, "%s", ss_variants[v]->name);
    }
}

/* Digest of all messages, queue by queue, of a pass with fixed keys. */
struct trace {
    EVP_MD_CTX *md[SS_N_ROLES][SS_N_ROLES];
    bool sealed; /* signed and encrypted under keys that are new every time: only kinds and lengths can be compared */
};

static void digest_message(void *arg, int from, int to, const char *what, const void *data, size_t bytes)
{
    struct trace *t = arg; /* one sender per queue: no two threads meet here */
    uint64_t length = bytes;
    EVP_DigestUpdate(t->md[from][to], what, 4);
    EVP_DigestUpdate(t->md[from][to], &length, sizeof length);
    if (!t->sealed)
        EVP_DigestUpdate(t->md[from][to], data, bytes);
}

enum { TRACED = 5 };

/* g: of qwen2-tiny-a at TRACED tokens. logits (TRACED, vocab). */
static void trace_of(struct ss_session_config g, float *logits, char hex[65])
{
    struct trace t;
    EVP_MD_CTX *all = EVP_MD_CTX_new();
    unsigned char sum[32];
    int32_t ids[TRACED];
    ss_synth_ids(ids, TRACED, g.model->shape.vocab, 11);
    for (int from = 0; from < SS_N_ROLES; from++)
        for (int to = 0; to < SS_N_ROLES; to++) {
            t.md[from][to] = EVP_MD_CTX_new();
            EVP_DigestInit_ex(t.md[from][to], EVP_sha256(), NULL);
        }
    t.sealed = strcmp(g.variant->name, "v3-cc") == 0;
    g.tap = digest_message;
    g.tap_arg = &t;
    pass(&g, ids, TRACED, logits);
    EVP_DigestInit_ex(all, EVP_sha256(), NULL);
    for (int from = 0; from < SS_N_ROLES; from++)
        for (int to = 0; to < SS_N_ROLES; to++) {
            EVP_DigestFinal_ex(t.md[from][to], sum, NULL);
            EVP_DigestUpdate(all, sum, sizeof sum);
            EVP_MD_CTX_free(t.md[from][to]);
        }
    EVP_DigestFinal_ex(all, sum, NULL);
    EVP_MD_CTX_free(all);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

static float *traced_logits(const struct ss_model *m)
{
    float *logits = malloc(TRACED * m->shape.vocab * sizeof *logits);
    cr_assert(logits);
    return logits;
}

/* The line of the baseline that names this variant; false if there is none. */
static bool baseline(const char *variant, char want[128])
{
    char path[1200], name[64];
    snprintf(path, sizeof path, "%s/tests/data/wire_trace.txt", ss_home());
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s is missing", path);
    bool found = false;
    while (!found && fscanf(f, "%63s %127s", name, want) == 2)
        found = strcmp(name, variant) == 0;
    fclose(f);
    return found;
}

/* A change here means that what goes over the wire has changed: look at the diff of the protocol, then update the line. */
Test(wire, traces_equal_the_checked_in_digests)
{
    struct ss_model m;
    model_at(&m, "qwen2-tiny-a");
    float *logits = traced_logits(&m);
    for (size_t v = 0; ss_variants[v]; v++) {
        if (ss_variants[v]->parties != 2)
            continue;
        char want[128], got[65];
        trace_of(config_of(&m, ss_variants[v]->name, "cpu", TRACED), logits, got);
        cr_expect(baseline(ss_variants[v]->name, want) && strcmp(got, want) == 0,
                  "tests/data/wire_trace.txt should have the line: %s %s", ss_variants[v]->name, got);
    }
    free(logits);
}

/* Base OTs draw from the system's generator, which a fixed key does not reach. In its place, and in tests only: one ChaCha20
   stream, the same for every thread that draws. */
static void drawn(void *const buf, const size_t bytes)
{
    static _Thread_local uint64_t draws;
    static const unsigned char stream_key[crypto_stream_chacha20_KEYBYTES] = "a stream for tests";
    unsigned char nonce[crypto_stream_chacha20_NONCEBYTES];
    memcpy(nonce, &draws, sizeof nonce);
    draws++;
    crypto_stream_chacha20(buf, bytes, nonce, stream_key);
}
static uint32_t drawn_word(void)
{
    uint32_t word;
    drawn(&word, sizeof word);
    return word;
}
static const char *drawn_name(void)
{
    return "fixed, for tests";
}
static struct randombytes_implementation fixed_randomness = {
    .implementation_name = drawn_name, .random = drawn_word, .buf = drawn};

static struct ss_session_config without_dealer(const struct ss_model *m, const char *options, const char *backend, int threads)
{
    struct ss_session_config g = config_of(m, "v3-ot", backend, TRACED);
    cr_assert_eq(ss_options_parse(g.variant, options, g.option), SS_OK);
    g.threads = threads;
    return g;
}

/* Lookups by OT, where all randomness is fixed: every number of threads and every backend sends the same bytes, those that are
   checked in, and ends with the same logits. That a pass is SS_OK says that its counters are those of cost(). */
Test(wire, lookups_by_ot_are_byte_equal_for_every_thread_count_and_backend)
{
    static const char *const options[] = {"source=ot", "source=textbook,columns=1"};
    struct ss_model m;
    char want[128], got[65];
    cr_assert_geq(sodium_init(), 0); /* draws, and does so once a process */
    cr_assert_eq(randombytes_set_implementation(&fixed_randomness), 0);
    model_at(&m, "qwen2-tiny-a");
    float *first = traced_logits(&m), *other = traced_logits(&m);
    const size_t bytes = TRACED * m.shape.vocab * sizeof *first;
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "v3-ot,%s", options[i]);
        trace_of(without_dealer(&m, options[i], "cpu", 2), first, got); /* one thread a party */
        cr_expect(baseline(name, want) && strcmp(got, want) == 0, "tests/data/wire_trace.txt should have the line: %s %s", name,
                  got);
        snprintf(want, sizeof want, "%s", got);
        for (size_t b = 0; ss_backends[b]; b++) {
            const char *backend = ss_backends[b]->name;
            if (!usable_here(ss_backends[b]))
                continue;
            trace_of(without_dealer(&m, options[i], backend, 6), other, got);
            cr_expect_str_eq(got, want, "%s on %s with 3 threads a party sends other bytes", name, backend);
            cr_expect_arr_eq(other, first, bytes, "%s on %s with 3 threads a party gives other logits", name, backend);
        }
    }
    free(first);
    free(other);
}

/* Every backend and every instruction set of the CPU sends the same bytes in v3 and ends with the same logits: ring and fp32
   arithmetic are equal bit for bit. */
Test(wire, v3_is_byte_equal_on_every_backend)
{
    enum { TOKENS = 40 };
    static const char *const models[] = {"qwen2-tiny-a", "tiny-lm"};
    struct ss_model m[2];
    float *want[2], *got[2];
    int32_t ids[2][TOKENS];
    char want_trace[65], got_trace[65];
    for (size_t i = 0; i < 2; i++) {
        model_at(&m[i], models[i]);
        ss_synth_ids(ids[i], TOKENS, m[i].shape.vocab, 13);
        want[i] = malloc(TOKENS * m[i].shape.vocab * sizeof(float));
        got[i] = malloc(TOKENS * m[i].shape.vocab * sizeof(float));
        cr_assert(want[i] && got[i]);
    }
    size_t n = 0;
    for (struct target t = {0}; next_target(&t); n++) {
        trace_of(config_of(&m[0], "v3", t.b->name, TRACED), got[0], n ? got_trace : want_trace);
        if (n)
            cr_expect_str_eq(got_trace, want_trace, "%s %s sends other bytes", t.b->name, t.isa);
        for (size_t i = 0; i < 2; i++) {
            const struct ss_session_config g = config_of(&m[i], "v3", t.b->name, TOKENS);
            pass(&g, ids[i], TOKENS, n ? got[i] : want[i]);
            if (n)
                cr_expect_arr_eq(got[i], want[i], TOKENS * m[i].shape.vocab * sizeof(float), "%s: other logits on %s %s",
                                 models[i], t.b->name, t.isa);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        free(want[i]);
        free(got[i]);
    }
}

/* REQUIRE=cuda (or a list): a run in which that backend's tests were skipped has failed. */
Test(require, named_backends_are_in_this_build_and_usable_here)
{
    char names[128];
    const char *required = getenv("REQUIRE");
    snprintf(names, sizeof names, "%s", required ? required : "");
    for (char *rest = names, *name; (name = strtok_r(rest, ", ", &rest));) {
        const struct ss_backend *b = ss_backend_find(name);
        cr_assert(b, "REQUIRE names %s, which is not in this build (make CUDA=1)", name);
        cr_assert(!b->unusable(), "REQUIRE names %s: %s", name, b->unusable());
    }
}
