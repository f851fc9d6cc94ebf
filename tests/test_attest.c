/* test_attest.c — evidence of the software attestor: it verifies, every altered bit fails the check that it belongs to, and no
   input makes the parser read outside its bounds (make SAN=address). */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/scratch.h"
#include "variants/lib/attest.h"

struct made {
    struct ss_attestor attestor;
    uint8_t nonce[SS_ATTEST_NONCE];
    struct ss_evidence *e;
    struct ss_verdict v;
};

static struct made *make(void)
{
    struct made *m = calloc(1, sizeof *m);
    m->e = calloc(1, sizeof *m->e);
    cr_assert_eq(ss_attestor_software(&m->attestor), SS_OK, "%s", ss_last_error());
    randombytes_buf(m->nonce, sizeof m->nonce);
    cr_assert_eq(m->attestor.attest(&m->attestor, m->e, m->nonce), SS_OK, "%s", ss_last_error());
    return m;
}

static void unmake(struct made *m)
{
    ss_attestor_close(&m->attestor);
    free(m->e);
    free(m);
}

static void verify(struct made *m)
{
    ss_attest_verify(&m->v, m->e, m->attestor.root, m->attestor.root_bytes, m->nonce);
}

static void fails(struct made *m, enum ss_check check, const char *what, size_t bit)
{
    verify(m);
    cr_assert_not(m->v.all, "%s, bit %zu: verified", what, bit);
    cr_assert_not(m->v.check[check].held, "%s, bit %zu: '%s' held", what, bit, ss_check_names[check]);
    cr_assert_gt(strlen(m->v.check[check].detail), 0);
}

static void flip(void *data, size_t bit)
{
    ((uint8_t *)data)[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

Test(attest, software_evidence_verifies_and_names_what_it_found)
{
    struct made *m = make();
    struct ss_report r;
    char text[256];
    verify(m);
    ss_verdict_print(text, sizeof text, &m->v);
    cr_assert(m->v.all, "%s", text);
    cr_assert_str_eq(text, "every check holds");
    cr_assert_null(ss_report_parse(&r, m->e));
    cr_assert_eq(r.blocks, 2);
    cr_assert_eq(r.measurement[0].n, SS_ATTEST_HASH);
    cr_assert_arr_eq(r.measurement[0].p, r.fwid.p, SS_ATTEST_HASH, "the FWID is the first measurement here");
    cr_assert_arr_eq(r.nonce.p, m->nonce, sizeof m->nonce);
    cr_assert_str_eq(m->attestor.cc_mode, "emulated");
    cr_assert_str_eq(m->attestor.attestation, "software");
    unmake(m);
}

/* The measurement is that of this program: SHA-384 as coreutils computes it. */
Test(attest, the_first_measurement_is_the_programs_file)
{
    struct made *m = make();
    struct ss_report r;
    char command[64], want[97] = "", got[97];
    snprintf(command, sizeof command, "sha384sum /proc/%d/exe", (int)getpid());
    FILE *p = popen(command, "r");
    cr_assert(p && fscanf(p, "%96s", want) == 1);
    pclose(p);
    cr_assert_null(ss_report_parse(&r, m->e));
    sodium_bin2hex(got, sizeof got, r.measurement[0].p, SS_ATTEST_HASH);
    cr_assert_str_eq(got, want);
    unmake(m);
}

/* The strides are prime to 8, so that bits of every place in a byte are altered; with strides of 1 the two tests take minutes.
 */
enum { REPORT_STRIDE = 37, CHAIN_STRIDE = 211, ROOT_STRIDE = 97, NONCE_STRIDE = 5 };

Test(attest, an_altered_bit_of_the_report_fails)
{
    struct made *m = make();
    struct ss_report r;
    cr_assert_null(ss_report_parse(&r, m->e));
    const size_t nonce = 8 * (size_t)(r.nonce.p - m->e->report), signature = 8 * (size_t)(r.signature.p - m->e->report);
    const size_t value = 8 * (size_t)(r.measurement[1].p - m->e->report), fwid = 8 * (size_t)(r.fwid.p - m->e->report);
    for (size_t bit = 0; bit < 8 * m->e->report_bytes; bit += REPORT_STRIDE) {
        flip(m->e->report, bit);
        verify(m);
        cr_assert_not(m->v.all, "bit %zu", bit);
        cr_assert_not(m->v.check[SS_CHECK_signature].held, "bit %zu: the signature held", bit);
        if (bit >= nonce && bit < nonce + 8 * SS_ATTEST_NONCE)
            cr_assert_not(m->v.check[SS_CHECK_nonce].held, "bit %zu of the nonce", bit - nonce);
        if (bit >= fwid && bit < fwid + 8 * SS_ATTEST_HASH)
            cr_assert_not(m->v.check[SS_CHECK_fwid].held, "bit %zu of the FWID", bit - fwid);
        if ((bit >= value && bit < value + 8 * SS_ATTEST_HASH) || bit >= signature)
            cr_assert(m->v.check[SS_CHECK_format].held && m->v.check[SS_CHECK_nonce].held && m->v.check[SS_CHECK_chain].held,
                      "bit %zu: another check than the signature failed", bit);
        flip(m->e->report, bit);
    }
    verify(m);
    cr_assert(m->v.all);
    unmake(m);
}

/* A new nonce for old evidence: its age shows. */
Test(attest, old_evidence_does_not_answer_a_new_nonce)
{
    struct made *m = make();
    for (size_t bit = 0; bit < 8 * sizeof m->nonce; bit += NONCE_STRIDE) {
        flip(m->nonce, bit);
        fails(m, SS_CHECK_nonce, "expected nonce", bit);
        cr_assert(m->v.check[SS_CHECK_signature].held);
        flip(m->nonce, bit);
    }
    unmake(m);
}

/* Of the chain's text, and of the root's. */
Test(attest, an_altered_bit_of_a_certificate_fails)
{
    struct made *m = make();
    for (size_t bit = 0; bit < 8 * m->e->chain_bytes; bit += CHAIN_STRIDE) {
        flip(m->e->chain, bit);
        fails(m, SS_CHECK_chain, "chain", bit);
        flip(m->e->chain, bit);
    }
    for (size_t bit = 0; bit < 8 * m->attestor.root_bytes; bit += ROOT_STRIDE) {
        flip(m->attestor.root, bit);
        fails(m, SS_CHECK_root, "root", bit);
        flip(m->attestor.root, bit);
    }
    unmake(m);
}

/* The chain and the keys of another attestor, which is as good as this one but not the pinned one. */
Test(attest, another_root_is_not_trusted)
{
    struct made *m = make(), *other = make();
    ss_attest_verify(&m->v, m->e, other->attestor.root, other->attestor.root_bytes, m->nonce);
    cr_assert_not(m->v.check[SS_CHECK_root].held);
    cr_assert_not(m->v.check[SS_CHECK_chain].held);
    cr_assert(m->v.check[SS_CHECK_signature].held);

    /* Its report under our chain: the signature is not by our signer. */
    memcpy(m->e->report, other->e->report, other->e->report_bytes);
    memcpy(m->nonce, other->nonce, sizeof m->nonce);
    fails(m, SS_CHECK_signature, "report of another", 0);
    cr_assert(m->v.check[SS_CHECK_chain].held);
    unmake(m);
    unmake(other);
}

/* Certificate i of the chain: its text in PEM. */
static size_t cut(const struct made *m, int i, const char **start)
{
    const char *at = m->e->chain, *end = at + m->e->chain_bytes, *next;
    static const char mark[] = "-----END CERTIFICATE-----\n";
    for (;; at = next) {
        next = (const char *)memmem(at, (size_t)(end - at), mark, sizeof mark - 1) + sizeof mark - 1;
        if (i-- == 0)
            break;
    }
    *start = at;
    return (size_t)(next - at);
}

static void rebuild(struct made *m, const int *order, int n)
{
    char text[2 * SS_CHAIN_MAX];
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        const char *from;
        const size_t bytes = cut(m, order[i], &from);
        memcpy(text + used, from, bytes);
        used += bytes;
    }
    cr_assert_leq(used, SS_CHAIN_MAX);
    memcpy(m->e->chain, text, used);
    m->e->chain_bytes = used;
}

Test(attest, a_chain_must_be_whole_in_order_and_without_extras)
{
    static const struct {
        int order[4], n;
        enum ss_check check;
    } bad[] = {{{0, 1}, 2, SS_CHECK_root},        {{0, 2}, 2, SS_CHECK_chain}, {{1, 0, 2}, 3, SS_CHECK_signature},
               {{0, 1, 1, 2}, 4, SS_CHECK_chain}, {{2}, 1, SS_CHECK_chain},    {{0}, 1, SS_CHECK_chain}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct made *m = make();
        rebuild(m, bad[i].order, bad[i].n);
        fails(m, bad[i].check, "order", i);
        unmake(m);
    }
    struct made *m = make();
    rebuild(m, (const int[]){0, 1, 2}, 3);
    verify(m);
    cr_assert(m->v.all);
    m->e->chain_bytes = 0;
    fails(m, SS_CHECK_chain, "no chain", 0);
    unmake(m);
}

/* The clock of this test binary, libcrypto's included: its own, moved by `ahead` seconds. */
static time_t ahead;
time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const time_t t = now.tv_sec + ahead;
    if (out)
        *out = t;
    return t;
}

Test(attest, certificates_hold_in_their_time_only)
{
    static const struct {
        time_t ahead;
        const char *says;
    } times[] = {{-86400, "not yet valid"}, {0, ""}, {2 * 365 * 86400, "expired"}};
    struct made *m = make();
    for (size_t i = 0; i < 3; i++) {
        ahead = times[i].ahead;
        verify(m);
        cr_expect_eq(m->v.check[SS_CHECK_chain].held, times[i].ahead == 0, "%zu: %s", i, m->v.check[SS_CHECK_chain].detail);
        cr_expect(strstr(m->v.check[SS_CHECK_chain].detail, times[i].says), "%s", m->v.check[SS_CHECK_chain].detail);
        cr_expect_eq(m->v.all, times[i].ahead == 0);
    }
    unmake(m);
}

/* PEM may be encrypted, and libcrypto then asks the user for a passphrase: evidence of others must not come to that. */
Test(attest, an_encrypted_certificate_is_refused_without_a_question, .timeout = 20)
{
    static const char pem[] = "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
                              "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
                              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END CERTIFICATE-----\n";
    struct made *m = make();
    char left[8];
    int user[2];
    cr_assert(pipe(user) == 0 && write(user[1], "secret\n", 7) == 7 && close(user[1]) == 0 && dup2(user[0], 0) == 0);
    (void)setsid(); /* no terminal: a question would be answered from standard input */
    memcpy(m->e->chain, pem, sizeof pem - 1);
    m->e->chain_bytes = sizeof pem - 1;
    fails(m, SS_CHECK_chain, "encrypted", 0);
    cr_assert_eq(read(0, left, sizeof left), 7, "the answer was read");
    unmake(m);
}

/* Cut off, another byte, an extreme length or grown by rubbish; `at` is one place past the end at most. */
static void mutate(struct ss_evidence *e, bool report, bool head)
{
    uint8_t *data = report ? e->report : (uint8_t *)e->chain;
    size_t *n = report ? &e->report_bytes : &e->chain_bytes;
    const size_t capacity = report ? sizeof e->report : sizeof e->chain;
    const size_t last = *n < capacity ? *n : capacity - 1, at = randombytes_uniform(head ? 60 : (uint32_t)last + 1);
    switch (randombytes_uniform(4)) {
    case 0:
        *n = at < *n ? at : *n;
        break;
    case 1:
        data[at] = (uint8_t)randombytes_random();
        break;
    case 2:
        data[at] = randombytes_uniform(2) ? 0xff : 0;
        break;
    default:
        randombytes_buf(data + *n, capacity - *n);
        *n = capacity;
    }
}

/* The chain's last line end may be missing (attest_verify.c, is_canonical). */
static bool means_the_same(const struct ss_evidence *a, const struct ss_evidence *b)
{
    const bool cut = a->chain_bytes + 1 == b->chain_bytes && b->chain[a->chain_bytes] == '\n';
    return a->report_bytes == b->report_bytes && memcmp(a->report, b->report, b->report_bytes) == 0 &&
           (a->chain_bytes == b->chain_bytes || cut) && memcmp(a->chain, b->chain, a->chain_bytes) == 0;
}

/* Truncations, and random mutations of any length and place: a verdict, never a crash, never a pass unless nothing changed. */
Test(attest, mutated_evidence_is_refused_quietly)
{
    enum { TRIALS = 2000 };
    struct made *m = make();
    struct ss_evidence *good = malloc(sizeof *good);
    struct ss_report r;
    memcpy(good, m->e, sizeof *good);
    for (size_t n = 0; n < good->report_bytes; n++) {
        m->e->report_bytes = n;
        cr_assert_not_null(ss_report_parse(&r, m->e), "%zu bytes", n);
    }
    for (int i = 0; i < TRIALS; i++) {
        memcpy(m->e, good, sizeof *good);
        for (uint32_t k = 0, edits = 1 + randombytes_uniform(4); k < edits; k++) {
            const bool report = randombytes_uniform(3) > 0;
            mutate(m->e, report, report && k % 2);
        }
        const bool same = means_the_same(m->e, good);
        if (i % 16 == 0 || same) { /* the whole verification is slower */
            verify(m);
            cr_assert_eq(m->v.all, same, "trial %d: %zu of %zu bytes of report, %zu of %zu of chain", i, m->e->report_bytes,
                         good->report_bytes, m->e->chain_bytes, good->chain_bytes);
        } else {
            (void)ss_report_parse(&r, m->e);
        }
    }
    free(good);
    unmake(m);
}

/* Every length of the chain's text: whole, and without its last line end; nothing else verifies. */
Test(attest, a_chain_cut_anywhere_is_refused_but_for_its_last_line_end)
{
    struct made *m = make();
    const size_t whole = m->e->chain_bytes;
    for (size_t n = whole; n > 0; n--) {
        m->e->chain_bytes = n;
        verify(m);
        cr_assert_eq(m->v.all, n + 1 >= whole, "%zu of %zu bytes", n, whole);
    }
    unmake(m);
}

/* ---- the command */
struct files {
    char evidence[SCRATCH_PATH], root[SCRATCH_PATH];
};

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");
    cr_assert(f && fwrite(text, 1, n, f) == n);
    fclose(f);
}

static void write_evidence(const struct files *f, const struct made *m, const char *nonce_hex)
{
    static char report[12000], chain[8000], json[24000];
    sodium_bin2base64(report, sizeof report, m->e->report, m->e->report_bytes, sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64(chain, sizeof chain, (const uint8_t *)m->e->chain, m->e->chain_bytes, sodium_base64_VARIANT_ORIGINAL);
    int n = snprintf(json, sizeof json,
                     "[{\"arch\": \"HOP\\u001bPER\", \"certificate\": \"%s\", \"evidence\": \"%s\", \"nonce\": \"%s\"}]", chain,
                     report, nonce_hex);
    write_file(f->evidence, json, (size_t)n);
    write_file(f->root, m->attestor.root, m->attestor.root_bytes);
}

/* Exit status of the program; its output in text. */
static int run(const struct files *f, const char *more, char *text, size_t size)
{
    char command[512];
    const char *program = getenv("SHARDSCALE");
    cr_assert(program, "SHARDSCALE names the program (make tests sets it)");
    snprintf(command, sizeof command, "'%s' attest --evidence %s --root %s %s 2>&1", program, f->evidence, f->root, more);
    FILE *p = popen(command, "r");
    cr_assert(p);
    size_t n = fread(text, 1, size - 1, p);
    text[n] = '\0';
    int status = pclose(p);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(attest, the_command_prints_each_check_and_fails_with_it)
{
    struct made *m = make();
    struct files f;
    char hex[65], text[4096], more[128];
    scratch_file(f.evidence, "evidence.json");
    scratch_file(f.root, "root.pem");
    sodium_bin2hex(hex, sizeof hex, m->nonce, sizeof m->nonce);
    write_evidence(&f, m, hex);
    cr_assert_eq(run(&f, "", text, sizeof text), 0, "%s", text);
    for (int i = 0; i < SS_N_CHECKS; i++)
        cr_assert(strstr(text, ss_check_names[i]), "%s is not printed", ss_check_names[i]);
    cr_assert(strstr(text, "not checked  freshness"));
    cr_assert_not(strstr(text, "FAIL"));
    cr_assert(strstr(text, "HOP?PER"), "what an unknown wrote reaches the terminal as it is: %s", text);

    snprintf(more, sizeof more, "--nonce %s", hex);
    cr_assert_eq(run(&f, more, text, sizeof text), 0);
    cr_assert_not(strstr(text, "freshness"));
    more[8] = more[8] == '0' ? '1' : '0';
    cr_assert_eq(run(&f, more, text, sizeof text), 1);
    cr_assert(strstr(text, "FAIL         nonce"), "%s", text);
    cr_assert_eq(run(&f, "--nonce 12", text, sizeof text), 1);
    cr_assert(strstr(text, "32 bytes in hex"));

    flip(m->e->report, 8 * (m->e->report_bytes - 1));
    write_evidence(&f, m, hex);
    cr_assert_eq(run(&f, "", text, sizeof text), 1);
    cr_assert(strstr(text, "FAIL         report signature"), "%s", text);
    write_file(f.evidence, "[]", 2);
    cr_assert_eq(run(&f, "", text, sizeof text), 1);
    write_file(f.evidence, "[{\"evidence\": 3}]", 17);
    cr_assert_eq(run(&f, "", text, sizeof text), 1);
    unmake(m);
}

/* Without NVML, or with the mode off, there is no hardware to speak of. */
Test(attest, no_hardware_is_claimed_where_there_is_none)
{
    if (ss_attest_gpu_has_cc())
        cr_skip_test("this machine has a GPU in confidential-computing mode");
    struct ss_attestor a;
    ss_set_error_silent(1);
    cr_assert_neq(ss_attestor_gpu(&a), SS_OK);
    cr_assert_null(a.state);
}
