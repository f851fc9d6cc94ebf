/* test_uniform.c — what is opened at size (protocols.md 11.4): every kind of opened word, for input X, input X' and a simulator
   that knows no input, by chi-square over bytes; p < 1e-6 fails. Seeds are fixed, so the outcome is always the same. Then
   mutants whose dealt randomness is bad: the same statistics must refuse them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/philox.h"
#include "harness/session.h"
#include "tests/script.h"
#include "tests/toy.h"
#include "tests/uniform.h"
#include "variants/lib/beaver.h"
#include "variants/lib/lookup.h"

/* Opened words by message type; of an index only the bits that all tables have. */
enum { INDX, LOOK, OPEN, BEAV, ATTN, KINDS };
static const char *const kinds[KINDS] = {"indx", "look", "open", "beav", "attn"};
static size_t width_of(int kind)
{
    return kind == INDX ? sizeof(uint32_t) : sizeof(uint64_t);
}
static int bytes_of(int kind)
{
    return kind == INDX ? 1 : 8;
}

/* What each party sent, one message behind the other. */
struct heard {
    uint8_t *data[KINDS][2];
    size_t bytes[KINDS][2];
};

static void hear(void *arg, int from, int to, const char *what, const void *data, size_t bytes)
{
    struct heard *h = arg;
    (void)to;
    for (int kind = 0; from < 2 && kind < KINDS; kind++)
        if (strcmp(what, kinds[kind]) == 0) {
            h->data[kind][from] = realloc(h->data[kind][from], h->bytes[kind][from] + bytes);
            memcpy(h->data[kind][from] + h->bytes[kind][from], data, bytes);
            h->bytes[kind][from] += bytes;
        }
}

static void forget(struct heard *h)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (int p = 0; p < 2; p++)
            free(h->data[kind][p]);
    memset(h, 0, sizeof *h);
}

/* Of P0's words, P1's words and their sums: what an observer, and what each party, learns. */
enum { SENT_0, SENT_1, OPENED, VIEWS };

static struct histogram histogram_of(const struct heard *h, int kind, int view, int byte)
{
    struct histogram out = {0};
    const size_t width = width_of(kind), n = h->bytes[kind][0] / width;
    cr_assert_eq(h->bytes[kind][0], h->bytes[kind][1]);
    if (view != OPENED) {
        histogram_add(&out, h->data[kind][view], width, n, byte);
        return out;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t word[2] = {0};
        for (int p = 0; p < 2; p++)
            memcpy(&word[p], h->data[kind][p] + i * width, width);
        word[0] += word[1];
        histogram_add(&out, word, sizeof *word, 1, byte);
    }
    return out;
}

/* The simulator: n uniform bytes. */
static struct histogram simulated(size_t n, uint64_t seed)
{
    struct histogram out = {0};
    for (size_t i = 0; i < n; i++) {
        const uint64_t word = some(seed << 32 | i);
        histogram_add(&out, &word, sizeof word, 1, 3);
    }
    return out;
}

/* Worst z-score of kind `kind`: uniform on X, uniform on X', X like X', X like the simulator. */
static double worst_z(const struct heard *x, const struct heard *other, int kind)
{
    double worst = -100;
    for (int view = 0; view < VIEWS; view++)
        for (int byte = 0; byte < bytes_of(kind); byte++) {
            const struct histogram a = histogram_of(x, kind, view, byte), b = histogram_of(other, kind, view, byte);
            const struct histogram s = simulated(a.n, (uint64_t)(64 * kind + 8 * view + byte));
            const double z[] = {uniform_z(&a), uniform_z(&b), same_z(&a, &b), same_z(&a, &s)};
            for (size_t i = 0; i < sizeof z / sizeof *z; i++)
                worst = z[i] > worst ? z[i] : worst;
        }
    return worst;
}

/* ---- a whole pass */
static void hear_pass(struct heard *h, const char *options, const uint8_t key[16], uint64_t ids_seed)
{
    enum { TOKENS = 8 };
    struct ss_model m;
    struct ss_session *s;
    char path[1200];
    int32_t ids[TOKENS];
    snprintf(path, sizeof path, "%s/tests/data/qwen2-tiny-a", ss_home());
    cr_assert_eq(ss_model_from_dir(&m, path), SS_OK);
    ss_synth_ids(ids, TOKENS, m.shape.vocab, ids_seed);
    struct ss_session_config g = {.model = &m,
                                  .variant = ss_variant_find("v3-ot"),
                                  .backend = "cpu",
                                  .placement = "one",
                                  .max_tokens = TOKENS,
                                  .threads = 2,
                                  .weight_budget_bytes = SIZE_MAX,
                                  .fixed_key = key,
                                  .tap = hear,
                                  .tap_arg = h};
    cr_assert_eq(ss_options_parse(g.variant, options, g.option), SS_OK);
    cr_assert_eq(ss_session_open(&s, &g), SS_OK, "%s", ss_last_error());
    cr_assert_eq(ss_session_pass(s, ids, TOKENS, NULL, NULL), SS_OK, "%s", ss_last_error());
    ss_session_close(s);
}

/* Every opening of v3-ot: indices, sums, truncations, products, q k v and attention weights. */
Test(uniform, every_opening_of_a_pass)
{
    static struct heard x, other;
    hear_pass(&x, "", (const uint8_t *)"the first key...", 1);
    hear_pass(&other, "", (const uint8_t *)"the second key..", 2);
    for (int kind = 0; kind < KINDS; kind++) {
        const double z = worst_z(&x, &other, kind);
        cr_assert_gt(x.bytes[kind][0], 256 * 16 * width_of(kind), "%s: too few words", kinds[kind]);
        cr_expect_lt(z, UNIFORM_MOST, "%s: z = %g", kinds[kind], z);
        cr_log_info("%s: %zu words, worst z = %.2f", kinds[kind], x.bytes[kind][0] / width_of(kind), z);
    }
    forget(&x);
    forget(&other);
}

/* ---- each protocol once, with good and with bad randomness */
enum { N = 8192, HEADS = 2, D = 4, TOKENS = 256, ROW = (HEADS + 2) * D };
static const struct ss_lookup_shape shape = {12, 8, 2, true};

struct inputs {
    uint64_t *share[2]; /* (N) */
    uint64_t *out[2];   /* room for attention's scores, too */
    size_t seen;
};

static double line(double x, const void *arg)
{
    (void)arg;
    return x;
}

static enum ss_err look_up(struct ss_ctx *c, struct inputs *in, struct ss_seeds *seeds)
{
    struct ss_corr corr = {0};
    struct ss_buf messages = {0};
    struct ss_table table = {.shape = shape, .step_bits = 7, .value_bits = 20, .lo = -16};
    void *state = calloc(1, ss_source_dealer.state_bytes);
    c->phase = SS_OFFLINE;
    SS_TRY(ss_source_dealer.begin(c, state, seeds));
    if (c->role == SS_DEALER) {
        SS_TRY(ss_source_dealer.deal(c, state, seeds, &shape, N));
    } else {
        uint64_t *x = in->share[c->role];
        SS_TRY(ss_lookup_prepare(c, &ss_source_dealer, state, seeds, &corr, SS_CORR_silu, &shape, 1, N));
        SS_TRY(ss_table_open(c, &table, line, NULL));
        c->phase = SS_ONLINE;
        const struct ss_lookup_call call = {.tables = &table,
                                            .n_tables = 1,
                                            .source = &ss_source_dealer,
                                            .corr = &corr,
                                            .slot = SS_CORR_silu,
                                            .out = in->out[c->role],
                                            .x = x,
                                            .u = x,
                                            .rows = 1,
                                            .cols = N,
                                            .x_stride = N,
                                            .u_stride = N,
                                            .x_bits = 24};
        SS_TRY(ss_lookup(c, &messages, &call, 1));
    }
    ss_source_dealer.close(c, state);
    free(state);
    ss_corr_close(c, &corr);
    ss_table_close(c, &table);
    ss_buf_free(c, &messages);
    return SS_OK;
}

static enum ss_err truncate_and_square(struct ss_ctx *c, struct inputs *in, struct ss_seeds *seeds)
{
    struct ss_corr corr[2] = {0};
    struct ss_buf scratch = {0}, opened = {0};
    const struct ss_ragged r = {.rows = N / 8, .cols = 8};
    const int p = c->role;
    c->phase = SS_OFFLINE;
    SS_TRY(ss_buf_alloc(c, &scratch, 6 * N * sizeof(uint64_t), SS_TAG_triples));
    if (p == SS_DEALER) {
        SS_TRY(ss_trunc_deal(c, seeds, &scratch, 1, N, 8, NULL));
        SS_TRY(ss_beaver_deal(c, seeds, &scratch, SS_BEAVER_NORM, &r));
    } else {
        const struct ss_val x = {.buf = {.p = in->share[p]}, .rows = 1, .cols = N, .bits = 24};
        uint64_t *mine = scratch.p;
        SS_TRY(ss_trunc_receive(c, seeds, &corr[0], SS_CORR_down, N));
        SS_TRY(ss_beaver_receive(c, seeds, &corr[1], SS_CORR_attn_norm, SS_BEAVER_NORM, &r));
        c->phase = SS_ONLINE;
        SS_TRY(ss_trunc(c, &corr[0], SS_CORR_down, in->out[p], &x, false, mine, mine + N));
        const uint64_t *batch = ss_corr_take(c, &corr[1], SS_CORR_attn_norm, ss_beaver_words(SS_BEAVER_NORM, &r));
        SS_TRY(ss_beaver_squares(c, batch, &opened, in->out[p], in->share[p], &r));
        SS_TRY(ss_beaver_scale_opened(c, batch, &opened, &scratch, in->out[p], in->share[p], &r));
    }
    for (int i = 0; i < 2; i++)
        ss_corr_close(c, &corr[i]);
    ss_buf_free(c, &scratch);
    ss_buf_free(c, &opened);
    return SS_OK;
}

static enum ss_err attend(struct ss_ctx *c, struct inputs *in, struct ss_seeds *seeds)
{
    struct ss_attend a = {0};
    struct ss_corr corr[2] = {0};
    struct ss_buf scratch = {0};
    const int p = c->role;
    c->phase = SS_OFFLINE;
    c->tokens = c->max_tokens = TOKENS;
    SS_TRY(ss_attend_open(c, &a));
    if (p == SS_DEALER) {
        SS_TRY(ss_attend_deal(c, &a, seeds, &scratch));
    } else {
        SS_TRY(ss_attend_receive(c, seeds, &corr[0], &corr[1]));
        c->phase = SS_ONLINE;
        SS_TRY(ss_attend_scores(c, &a, &corr[0], &scratch, in->out[p], in->share[p]));
    }
    ss_attend_close(c, &a);
    for (int i = 0; i < 2; i++)
        ss_corr_close(c, &corr[i]);
    ss_buf_free(c, &scratch);
    return SS_OK;
}

static enum ss_err each_once(struct ss_ctx *c, void *arg)
{
    struct ss_seeds seeds = {0};
    c->phase = SS_OFFLINE;
    SS_TRY(c->role == SS_DEALER ? ss_seeds_deal(c, &seeds) : ss_seeds_receive(c, &seeds));
    SS_TRY(look_up(c, arg, &seeds));
    SS_TRY(truncate_and_square(c, arg, &seeds));
    SS_TRY(attend(c, arg, &seeds));
    ss_seeds_close(c, &seeds);
    return SS_OK;
}

/* All N inputs are `value`, freshly shared. */
static void hear_protocols(struct heard *h, script_rule rule, uint64_t value)
{
    struct roles r;
    struct inputs in;
    for (int p = 0; p < 2; p++) {
        in.share[p] = calloc(N, sizeof(uint64_t));
        in.out[p] = calloc((size_t)HEADS * TOKENS * TOKENS, sizeof(uint64_t));
    }
    for (size_t i = 0; i < N; i++) {
        in.share[0][i] = some(value << 20 | i);
        in.share[1][i] = value - in.share[0][i];
    }
    roles_open(&r, hear, h);
    script_set_rule(&r, rule);
    roles_run(&r, each_once, &in);
    for (int role = 0; role < SS_N_ROLES; role++)
        r.ctx[role].backend = ss_backend_find("cpu");
    roles_close(&r);
    for (int p = 0; p < 2; p++) {
        free(in.share[p]);
        free(in.out[p]);
    }
}

static uint64_t offset; /* of the good stream, so that X and X' have streams of their own */
static uint64_t good(int party, uint64_t i)
{
    return some((uint64_t)(party + 1) << 40 | (offset + i));
}
/* The same r, a, b, masks in every item. */
static uint64_t constant(int party, uint64_t i)
{
    (void)i;
    return some((uint64_t)party);
}
/* No randomness: what is opened is the input itself. */
static uint64_t none(int party, uint64_t i)
{
    (void)party;
    (void)i;
    return 0;
}

static void worst_of_each(script_rule rule, double z[KINDS])
{
    struct heard x = {0}, other = {0};
    offset = 0;
    hear_protocols(&x, rule, 3 << 20);
    offset = (uint64_t)1 << 30;
    hear_protocols(&other, rule, (uint64_t)-5 << 22);
    for (int kind = 0; kind < KINDS; kind++)
        z[kind] = worst_z(&x, &other, kind);
    forget(&x);
    forget(&other);
}

Test(uniform, every_protocol_with_good_randomness)
{
    double z[KINDS];
    worst_of_each(good, z);
    for (int kind = 0; kind < KINDS; kind++)
        cr_expect_lt(z[kind], UNIFORM_MOST, "%s: z = %g", kinds[kind], z[kind]);
}

static void expect_caught(script_rule rule)
{
    double z[KINDS];
    worst_of_each(rule, z);
    for (int kind = 0; kind < KINDS; kind++)
        cr_expect_gt(z[kind], 10 * UNIFORM_MOST, "%s: z = %g", kinds[kind], z[kind]);
}

Test(uniform, a_constant_mask_is_caught_in_every_opening)
{
    expect_caught(constant);
}

Test(uniform, an_unmasked_opening_is_caught_in_every_opening)
{
    expect_caught(none);
}
