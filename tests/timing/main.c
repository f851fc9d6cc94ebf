/* timing: no branch and no address depends on a secret (protocols.md 11.8). Run by `make timing` under valgrind's memcheck, on
   the portable path of the CPU backend: every word that a role draws (shares, masks, keys, dealt randomness) is marked
   undefined, so that memcheck reports each jump and each address that depends on one.

   Public, and marked defined where it enters the channel: what one party sends the other, which the receiver could have made up
   itself. Not so the shares of input and output. P0's choice of rows of the embedding table is its own affair and not covered;
   nor is the time of single instructions (a 64-bit multiplication takes the same on the CPUs that we know). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "harness/philox.h"
#include "harness/session.h"

enum { TOKENS = 2 }; /* one pair for the maximum of the scores */

/* Set by the tap: the next copy of this thread, into the channel, is a message of as many bytes that the other party sees. */
static _Thread_local size_t public_bytes;

static const struct ss_backend *real(void)
{
    extern const struct ss_backend ss_backend_cpu;
    return &ss_backend_cpu;
}

static enum ss_err secret_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                               uint64_t first_block)
{
    SS_TRY(real()->prg_fill(dev, out, n, key, nonce, first_block));
    (void)VALGRIND_MAKE_MEM_UNDEFINED(out, n * sizeof *out);
    return SS_OK;
}

static enum ss_err noted_copy(struct ss_dev *dev, void *dst, const void *src, size_t bytes)
{
    if (public_bytes == bytes && bytes > 0)
        (void)VALGRIND_MAKE_MEM_DEFINED(src, bytes);
    public_bytes = 0;
    return real()->copy(dev, dst, src, bytes);
}

static enum ss_err secret_encode(struct ss_dev *dev, uint64_t *out, const float *x, size_t n, unsigned bits)
{
    float *secret = malloc(n * sizeof *secret);
    if (!secret)
        SS_FAIL(SS_ENV, "out of memory for %zu values", n);
    memcpy(secret, x, n * sizeof *secret);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, n * sizeof *secret);
    enum ss_err err = real()->ring_encode(dev, out, secret, n, bits);
    free(secret);
    return err;
}

/* Linked with --wrap: what the whole program gets when it asks for a backend. */
const struct ss_backend *__wrap_ss_backend_find(const char *name);
const struct ss_backend *__wrap_ss_backend_find(const char *name)
{
    static struct ss_backend marked;
    if (strcmp(name, real()->name) != 0)
        return NULL;
    if (!marked.name) { /* first call: from main, before there are threads */
        marked = *real();
        marked.prg_fill = secret_fill;
        marked.copy = noted_copy;
        marked.ring_encode = secret_encode;
    }
    return &marked;
}

/* The channel shows a message, then copies it in this thread: what goes to the other party is public from there on. */
static void publish(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    (void)arg;
    (void)h_data;
    if (from != SS_DEALER && to != SS_DEALER && strcmp(what, "shar") != 0 && strcmp(what, "logi") != 0)
        public_bytes = bytes;
}

/* One pass; the number of memcheck's complaints goes to *complaints. */
static enum ss_err check(const struct ss_model *m, const struct ss_variant *v, const char *options, size_t tokens,
                         unsigned *complaints)
{
    struct ss_session_config g = {.model = m,
                                  .variant = v,
                                  .backend = "cpu",
                                  .placement = "one",
                                  .max_tokens = tokens,
                                  .seed = 7,
                                  .threads = 1,
                                  .weight_budget_bytes = SIZE_MAX,
                                  .tap = publish};
    struct ss_session *s;
    int32_t ids[TOKENS];
    const unsigned before = VALGRIND_COUNT_ERRORS;
    SS_TRY(ss_options_parse(v, options, g.option));
    ss_synth_ids(ids, tokens, m->shape.vocab, 3);
    SS_TRY(ss_session_open(&s, &g));
    enum ss_err err = ss_session_pass(s, ids, tokens, NULL, NULL);
    ss_session_close(s);
    *complaints = VALGRIND_COUNT_ERRORS - before;
    return err;
}

/* A branch on a secret must be reported, or the rest says nothing. */
static enum ss_err self_test(void)
{
    const struct ss_backend *b = ss_backend_find("cpu");
    const struct ss_dev_options o = {.threads = 1};
    const unsigned before = VALGRIND_COUNT_ERRORS;
    struct ss_dev *dev;
    struct ss_prg g;
    uint64_t words[2];
    volatile int odd = 0;
    if (!RUNNING_ON_VALGRIND)
        SS_FAIL(SS_USAGE, "this program says something under valgrind only; run it by `make timing`");
    SS_TRY(b->open(&dev, &o));
    SS_TRY(ss_prg_init(&g, 0));
    SS_TRY(ss_prg_fill(&g, b, dev, words, 2));
    fprintf(stderr, "self-test: one report must follow\n");
    if (words[0] & 1)
        odd = 1;
    (void)odd;
    b->close(dev);
    if (VALGRIND_COUNT_ERRORS == before)
        SS_FAIL(SS_ENV, "memcheck did not see a branch on a secret word; is the program built with -O1 or more and run under "
                        "memcheck?");
    return SS_OK;
}

static int report(const char *variant, const char *options, enum ss_err err, unsigned complaints)
{
    if (err != SS_OK)
        return 1;
    printf("%-8s %-32s %s\n", variant, options,
           complaints ? "DEPENDS ON SECRETS: see above" : "no branch or address on a secret");
    fflush(stdout);
    return complaints != 0;
}

/* Two parties and nothing opened: plain has no secrets, v2 and v3 show P1 every hidden state, v3-cc computes in the clear. */
static bool hides(const struct ss_variant *v)
{
    static const char *const open[] = {"plain", "v2", "v3", "v3-cc"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (strcmp(v->name, open[i]) == 0)
            return false;
    return true;
}

int main(void)
{
    static const struct {
        const char *options;
        size_t tokens; /* one where memcheck takes minutes: a lookup is a lookup */
    } lookups[] = {{"source=dealer", TOKENS},
                   {"source=dealer,entries=256,columns=1", TOKENS},
                   {"source=ot,entries=256", 1},
                   {"source=textbook,entries=256,columns=1", 1}};
    struct ss_model m;
    char path[1200];
    int failed = 0;
    unsigned complaints = 0;
    if (self_test() != SS_OK)
        return 1;
    snprintf(path, sizeof path, "%s/tests/data/qwen2-tiny-a", ss_home());
    if (ss_model_from_dir(&m, path) != SS_OK)
        return 1;
    m.shape.n_layers = 1;    /* every layer does the same */
    m.source = SS_FROM_SEED; /* the checkpoint has more layers */
    for (size_t i = 0; ss_variants[i]; i++) {
        const struct ss_variant *v = ss_variants[i];
        const bool looks_up = strcmp(v->name, "v3-ot") == 0;
        for (size_t k = 0; hides(v) && k < (looks_up ? sizeof lookups / sizeof *lookups : 1); k++) {
            const char *options = looks_up ? lookups[k].options : "";
            enum ss_err err = check(&m, v, options, looks_up ? lookups[k].tokens : TOKENS, &complaints);
            failed |= report(v->name, options, err, complaints);
        }
    }
    return failed;
}
