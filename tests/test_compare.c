/* test_compare.c — comparisons between dealer and parties: every value, threshold and mask on small rings, edges at 64 bits,
   counts, and privacy on toy rings exactly: the real code runs on scripted randomness, a lane (value) for each outcome. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "variants/lib/compare.h"

struct run {
    struct ss_compare_shape shape;
    size_t rows, cols, stride;
    uint64_t t[SS_MAX_THRESHOLDS];
    const uint8_t *shift;
    uint64_t *x[2], *s[2], *sx[2];
    uint64_t *dealt; /* NULL, or where P1's batch is copied to */
};

static enum ss_err run_role(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf work = {0};
    const size_t n = run->rows * run->cols;
    c->phase = SS_OFFLINE;
    if (c->role == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_compare_deal(c, &seeds, &work, &run->shape, n));
    } else {
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_compare_receive(c, &seeds, &corr, SS_CORR_relu, &run->shape, n));
        if (c->role == SS_P1 && run->dealt)
            memcpy(run->dealt, corr.buf.p, ss_compare_words(&run->shape, n) * sizeof(uint64_t));
        c->phase = SS_ONLINE;
        struct ss_compare_call call = {.shape = run->shape,
                                       .corr = &corr,
                                       .slot = SS_CORR_relu,
                                       .s = run->s[c->role],
                                       .sx = run->sx[c->role],
                                       .x = run->x[c->role],
                                       .rows = run->rows,
                                       .cols = run->cols,
                                       .x_stride = run->stride,
                                       .shift = run->shift};
        memcpy(call.h_t, run->t, sizeof call.h_t);
        SS_TRY(ss_compare(c, &work, &call));
    }
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    ss_buf_free(c, &work);
    c->pass++;
    return SS_OK;
}

static void run_alloc(struct run *run)
{
    const size_t all = run->shape.thresholds * run->rows * run->cols;
    for (int p = 0; p < 2; p++) {
        run->x[p] = calloc(run->rows * run->stride, sizeof(uint64_t));
        run->s[p] = calloc(all, sizeof(uint64_t));
        run->sx[p] = run->shape.product ? calloc(all, sizeof(uint64_t)) : NULL;
    }
}

static void run_free(struct run *run)
{
    for (int p = 0; p < 2; p++) {
        free(run->x[p]);
        free(run->s[p]);
        free(run->sx[p]);
    }
}

/* Randomness from a script: the dealer's seeds name the party, and a party's stream is its script. */
enum { MAGIC = 0x5eedf00d };
static struct {
    struct ss_backend backend;
    uint64_t *words[2];
    size_t n[2], seeds;
} script;

static enum ss_err scripted_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                                 uint64_t first_block)
{
    (void)dev;
    (void)nonce;
    uint64_t seed[2]; /* the first round key is the key */
    memcpy(seed, key->round_keys, sizeof seed);
    if (seed[1] != MAGIC) {
        cr_assert_eq(n, 2); /* the dealer draws a seed */
        out[0] = script.seeds++ % 2;
        out[1] = MAGIC;
        return SS_OK;
    }
    cr_assert(2 * first_block + n <= script.n[seed[0]]);
    memcpy(out, script.words[seed[0]] + 2 * first_block, n * sizeof *out);
    return SS_OK;
}

static void script_open(struct roles *r, size_t words)
{
    script.backend = *r->ctx[0].backend;
    script.backend.prg_fill = scripted_fill;
    for (int p = 0; p < 2; p++) {
        script.n[p] = words;
        script.words[p] = calloc(words, sizeof(uint64_t));
    }
    for (int role = 0; role < SS_N_ROLES; role++)
        r->ctx[role].backend = &script.backend;
}

static void script_close(void)
{
    free(script.words[0]);
    free(script.words[1]);
}

static void random_fill(struct roles *r, uint64_t *out, size_t n)
{
    cr_assert_eq(r->ctx[0].host->prg_fill(r->ctx[0].dev, out, n, &r->ctx[0].prg.key, 1, r->ctx[0].prg.next_block), SS_OK);
    r->ctx[0].prg.next_block += n;
}

static uint64_t opened(uint64_t *const share[2], size_t i)
{
    return share[0][i] + share[1][i];
}

/* Every x under every mask against every t of a ring of 2^bits; x has any bits above. */
static void every_case(unsigned bits)
{
    const uint64_t ring = (uint64_t)1 << bits;
    struct roles r;
    struct run run = {.shape = {bits, 32, true}, .rows = ring, .cols = ring, .stride = ring};
    const size_t n = ring * ring;
    run_alloc(&run);
    roles_open(&r, NULL, NULL);
    script_open(&r, ss_compare_words(&run.shape, n) + 1);
    for (uint64_t from = 0; from < ring; from += 32) {
        for (int p = 0; p < 2; p++)
            random_fill(&r, script.words[p], script.n[p]);
        random_fill(&r, run.x[0], n);
        random_fill(&r, run.x[1], n);
        for (size_t i = 0; i < n; i++) {
            script.words[1][i] += i % ring - (opened(script.words, i)) % ring; /* a mod 2^bits = i % ring */
            run.x[1][i] += (i / ring - opened(run.x, i)) % ring;               /* x mod 2^bits = i / ring */
            cr_assert_eq(opened(script.words, i) % ring, i % ring);
            cr_assert_eq(opened(run.x, i) % ring, i / ring);
        }
        for (uint64_t k = 0; k < 32; k++)
            run.t[k] = from + k - ring / 2;
        roles_run(&r, run_role, &run);
        for (uint64_t k = 0; k < 32; k++)
            for (size_t i = 0; i < n; i++) {
                const uint64_t x = opened(run.x, i), want = (x - run.t[k]) >> (bits - 1) & 1;
                if (opened(run.s, k * n + i) != want || opened(run.sx, k * n + i) != want * x)
                    cr_assert_fail("%u bits: x %zu < t %lld under mask %zu", bits, i / ring, (long long)run.t[k], i % ring);
            }
    }
    run_free(&run);
    script_close();
    roles_close(&r);
}

Test(compare, every_value_threshold_and_mask_of_small_rings)
{
    every_case(6);
    every_case(8);
}

/* ---- 64 bits. Differences x - t at every edge; columns shift the thresholds. */
static const int64_t difference[] = {0,          -1,          1,         INT64_MIN,    INT64_MAX, INT64_MIN + 1, INT64_MAX - 1,
                                     -(1 << 30), (1ll << 40), 1ll << 62, -(1ll << 62), 1ll << 32, -(1ll << 32),  255};
enum { DIFFERENCES = sizeof difference / sizeof *difference, COLUMNS = 5 };
static const uint8_t shifts[COLUMNS] = {0, 1, 7, 20, 28};

static void at_64_bits(struct roles *r, size_t rows, size_t cols, unsigned thresholds, bool product, bool only_product)
{
    struct run run = {.shape = {64, thresholds, product},
                      .rows = rows,
                      .cols = cols,
                      .stride = cols + 3,
                      .shift = cols == COLUMNS ? shifts : NULL};
    const size_t n = rows * cols, groups = (n + 63) / 64, words = thresholds * groups;
    run_alloc(&run);
    random_fill(r, run.x[0], rows * run.stride);
    random_fill(r, run.x[1], rows * run.stride);
    for (unsigned k = 0; k < thresholds; k++) /* falling, rising, both signs */
        run.t[k] = (uint64_t)((k % 2 ? -1 : 1) * (int64_t)(k * 0x12345u + (k % 3)));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const uint64_t t = run.t[(i + j) % thresholds] << (run.shift ? run.shift[j] : 0);
            const size_t at = i * run.stride + j;
            if ((i * cols + j) % 3)
                run.x[1][at] = t + (uint64_t)difference[(i * cols + j) % DIFFERENCES] - run.x[0][at];
        }
    uint64_t *bits[2] = {run.s[0], run.s[1]};
    if (only_product)
        run.s[0] = run.s[1] = NULL;
    struct ss_counters before[SS_N_ROLES], e = {0};
    for (int role = 0; role < SS_N_ROLES; role++)
        before[role] = r->ctx[role].counters;
    roles_run(r, run_role, &run);
    run.s[0] = bits[0];
    run.s[1] = bits[1];
    for (unsigned k = 0; k < thresholds; k++)
        for (size_t i = 0; i < n; i++) {
            const uint64_t x = opened(run.x, i / cols * run.stride + i % cols);
            const uint64_t t = run.t[k] << (run.shift ? run.shift[i % cols] : 0), want = (int64_t)(x - t) < 0;
            const int64_t sx = (int64_t)x, st = (int64_t)t;
            if (llabs(sx / 2) < 1ll << 61) /* no wrap: the order of the signed numbers */
                cr_assert_eq(want, sx < st);
            if (!only_product)
                cr_assert_eq(opened(run.s, k * n + i), want, "x %lld t %lld", (long long)sx, (long long)st);
            if (product)
                cr_assert_eq(opened(run.sx, k * n + i), want * x);
        }
    ss_compare_cost(&run.shape, n, &e);
    const struct ss_counters *c = &r->ctx[0].counters, *d = &r->ctx[SS_DEALER].counters;
    /* 63 positions in 6 levels: 118 products under 180 masks. */
    cr_assert_eq(e.triples_bin, (int64_t)(64 * 118 * words));
    cr_assert_eq(e.opened_words, (int64_t)(n + 181 * words));
    cr_assert_eq(e.bytes_offline_d_p1, (int64_t)(8 * (64 * groups + 118 * words + (product ? 2 : 1) * thresholds * n)));
    cr_assert_eq(ss_compare_rounds(&run.shape), 8);
    for (int p = 0; p < 2; p++) {
        c = &r->ctx[p].counters;
        cr_assert_eq(c->triples_bin - before[p].triples_bin, e.triples_bin);
        cr_assert_eq(c->opened_words - before[p].opened_words, e.opened_words);
        cr_assert_eq(c->rounds_online - before[p].rounds_online, 8);
    }
    cr_assert_eq(e.bytes_online_p0_p1, 8 * e.opened_words);
    cr_assert_eq(r->ctx[0].counters.bytes_online_p0_p1 - before[0].bytes_online_p0_p1, e.bytes_online_p0_p1);
    cr_assert_eq(r->ctx[1].counters.bytes_online_p1_p0 - before[1].bytes_online_p1_p0, e.bytes_online_p1_p0);
    cr_assert_eq(d->bytes_offline_d_p1 - before[SS_DEALER].bytes_offline_d_p1, e.bytes_offline_d_p1 + SS_SEED_BYTES);
    cr_assert_eq(d->bytes_offline_d_p0 - before[SS_DEALER].bytes_offline_d_p0, SS_SEED_BYTES);
    run_free(&run);
}

Test(compare, edges_at_64_bits_in_every_shape)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    const size_t n[] = {1, 63, 64, 65, 1000};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        at_64_bits(&r, n[i], 1, 1, false, false);
        at_64_bits(&r, 1, n[i], 3, true, false);
    }
    at_64_bits(&r, 200, COLUMNS, 9, true, false);
    at_64_bits(&r, 13, COLUMNS, SS_MAX_THRESHOLDS, true, true);
    at_64_bits(&r, 3, COLUMNS, 2, false, false);
    roles_close(&r);
}

/* The smallest rings have no tree or one level. */
Test(compare, every_width_of_the_ring)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    for (unsigned bits = 2; bits <= 64; bits++) {
        struct run run = {.shape = {bits, 2, false}, .rows = 1, .cols = 130, .stride = 130, .t = {0, (uint64_t)-1}};
        const struct ss_compare_shape *s = &run.shape;
        struct ss_counters before = r.ctx[1].counters, e = {0};
        run_alloc(&run);
        random_fill(&r, run.x[0], 130);
        random_fill(&r, run.x[1], 130);
        roles_run(&r, run_role, &run);
        for (size_t i = 0; i < 260; i++)
            cr_assert_eq(opened(run.s, i), (opened(run.x, i % 130) - run.t[i / 130]) >> (bits - 1) & 1, "%u bits", bits);
        ss_compare_cost(s, 130, &e);
        cr_assert_eq(r.ctx[1].counters.opened_words - before.opened_words, e.opened_words);
        cr_assert_eq(r.ctx[1].counters.triples_bin - before.triples_bin, e.triples_bin);
        cr_assert_eq((size_t)(r.ctx[1].counters.rounds_online - before.rounds_online), ss_compare_rounds(s));
        run_free(&run);
    }
    roles_close(&r);
}

/* ---- privacy, exactly, on rings of 3 and 4 bits. One party's own randomness is fixed at a time; over all randomness of the
   other, what it gets (dealt words, messages) must be distributed alike for every x. Words count mod 2^bits: a ring
   homomorphism, and only their low bits are ever sliced. */
enum { MAX_TOY_LANES = 1 << 20 };
enum part { A, MASKS, BITS_RHO, BITS_A, PRODUCTS, RHO, RHO_A, PARTS }; /* of a batch, in its order */
struct toy {
    unsigned bits;
    bool product;
    size_t n;                   /* lanes: a multiple of 64 */
    unsigned width[PARTS];      /* bits of randomness a lane takes for each part */
    size_t first[PARTS];        /* words */
    uint64_t *c, *carry[2], *e; /* messages of the party that is not the observer */
    int sender;
    unsigned levels;
};
enum mutant { SOUND, CONSTANT_RHO, NO_MASKS };

static bool arithmetic(enum part p)
{
    return p == A || p == RHO || p == RHO_A;
}

static void toy_layout(struct toy *t)
{
    const unsigned masks = t->bits == 3 ? 2 : 4,
                   products = t->bits == 3 ? 1 : 2; /* 2 or 3 positions: 1 or 2 levels of 1 pair */
    const unsigned width[PARTS] = {t->bits, masks, 1, t->bits, products, t->bits, t->product ? t->bits : 0};
    size_t at = 0;
    memcpy(t->width, width, sizeof width);
    for (enum part p = 0; p < PARTS; p++) {
        t->first[p] = at;
        at += arithmetic(p) ? (width[p] ? t->n : 0) : width[p] * t->n / 64;
    }
    const struct ss_compare_shape s = {t->bits, 1, t->product};
    cr_assert_eq(at, ss_compare_words(&s, t->n));
}

static uint64_t get(const struct toy *t, const uint64_t *batch, enum part p, size_t lane)
{
    uint64_t v = 0;
    if (arithmetic(p))
        return t->width[p] ? batch[t->first[p] + lane] % ((uint64_t)1 << t->bits) : 0;
    for (unsigned j = 0; j < t->width[p]; j++)
        v |= (batch[t->first[p] + j * t->n / 64 + lane / 64] >> lane % 64 & 1) << j;
    return v;
}

static void set(const struct toy *t, uint64_t *batch, enum part p, size_t lane, uint64_t v)
{
    if (arithmetic(p)) {
        if (t->width[p])
            batch[t->first[p] + lane] = v;
        return;
    }
    for (unsigned j = 0; j < t->width[p]; j++)
        batch[t->first[p] + j * t->n / 64 + lane / 64] |= (v >> j & 1) << lane % 64;
}

static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    struct toy *t = arg;
    if (from != t->sender || to == SS_DEALER)
        return;
    memcpy(strcmp(what, "open") == 0 ? t->c : strcmp(what, "bits") == 0 ? t->e : t->carry[t->levels++], h_data, bytes);
}

/* Randomness `own` (parts up to `last`, low bits first) for a lane. */
static void put_parts(const struct toy *t, uint64_t *batch, size_t lane, uint64_t own, enum part last, enum mutant m)
{
    for (enum part p = 0; p <= last; p++) {
        const uint64_t v = own & (((uint64_t)1 << t->width[p]) - 1);
        own >>= t->width[p];
        set(t, batch, p, lane, (m == CONSTANT_RHO && p == BITS_RHO) || (m == NO_MASKS && p == MASKS) ? 0 : v);
    }
}

static unsigned total(const struct toy *t, enum part last)
{
    unsigned bits = 0;
    for (enum part p = 0; p <= last; p++)
        bits += t->width[p];
    return bits;
}

/* How often each view occurs in the lanes: seen (owns, 2^view bits). */
static void count_views(struct roles *r, struct toy *t, struct run *run, int observer, const uint64_t *own, size_t owns,
                        uint64_t x, enum mutant m, uint32_t *seen, unsigned view_bits)
{
    const enum part mine = observer == SS_P0 ? RHO_A : BITS_RHO, other = observer == SS_P0 ? BITS_RHO : RHO_A;
    const uint64_t outcomes = (uint64_t)1 << total(t, other);
    memset(seen, 0, (owns << view_bits) * sizeof *seen);
    for (int p = 0; p < 2; p++)
        memset(script.words[p], 0, script.n[p] * sizeof(uint64_t));
    for (size_t i = 0; i < t->n; i++) {
        put_parts(t, script.words[observer], i, own[i / outcomes], mine, m);
        put_parts(t, script.words[1 - observer], i, i % outcomes, other, m);
        run->x[observer][i] = own[i / outcomes] * 5;
        run->x[1 - observer][i] = x - run->x[observer][i];
    }
    t->sender = 1 - observer;
    t->levels = 0;
    roles_run(r, run_role, run);
    for (size_t i = 0; i < t->n; i++) {
        uint64_t v = t->c[i] % ((uint64_t)1 << t->bits);
        for (unsigned level = 0; level < t->levels; level++)
            for (unsigned j = 0; j < 2; j++)
                v = v << 1 | (t->carry[level][j * t->n / 64 + i / 64] >> i % 64 & 1);
        v = v << 1 | (t->e[i / 64] >> i % 64 & 1);
        for (enum part p = BITS_A; observer == SS_P1 && p < PARTS; p++)
            v = v << t->width[p] | get(t, run->dealt, p, i);
        cr_assert_lt(v, (uint64_t)1 << view_bits);
        seen[(i / outcomes << view_bits) + v]++;
        const uint64_t less = x >> (t->bits - 1) & 1; /* x < 0 */
        cr_assert_eq(opened(run->s, i), less);
        if (t->product)
            cr_assert_eq(opened(run->sx, i), less * x);
    }
}

/* 1 if some x gives the observer other views than x = 0 does. */
static int leaks(unsigned bits, bool product, int observer, size_t owns, enum mutant m)
{
    struct roles r;
    struct toy t = {.bits = bits, .product = product, .n = 64};
    toy_layout(&t);
    const enum part mine = observer == SS_P0 ? RHO_A : BITS_RHO, other = observer == SS_P0 ? BITS_RHO : RHO_A;
    const unsigned own_bits = total(&t, mine), view_bits = total(&t, other);
    t.n = owns << view_bits;
    cr_assert(t.n % 64 == 0 && t.n <= MAX_TOY_LANES);
    toy_layout(&t);
    struct run run = {.shape = {bits, 1, product}, .rows = 1, .cols = t.n, .stride = t.n};
    const size_t words = ss_compare_words(&run.shape, t.n);
    uint64_t *messages = calloc(2 * t.n, sizeof *messages), *own = calloc(owns, sizeof *own);
    uint32_t *seen[2] = {calloc(owns << view_bits, sizeof **seen), calloc(owns << view_bits, sizeof **seen)};
    t.c = messages;
    t.carry[0] = messages + t.n;
    t.carry[1] = t.carry[0] + t.n / 4;
    t.e = t.carry[1] + t.n / 4;
    run_alloc(&run);
    run.dealt = calloc(words, sizeof(uint64_t));
    roles_open(&r, look, &t);
    script_open(&r, words + 1);
    random_fill(&r, own, owns);
    for (size_t i = 0; i < owns; i++)
        own[i] = owns >> own_bits ? i : own[i] % ((uint64_t)1 << own_bits);
    int found = 0;
    for (uint64_t x = 0; x < (uint64_t)1 << bits; x++) {
        count_views(&r, &t, &run, observer, own, owns, x, m, seen[x > 0], view_bits);
        found |= x > 0 && memcmp(seen[0], seen[1], (owns << view_bits) * sizeof **seen) != 0;
    }
    free(messages);
    free(own);
    free(seen[0]);
    free(seen[1]);
    free(run.dealt);
    run_free(&run);
    script_close();
    roles_close(&r);
    return found;
}

Test(compare, no_view_depends_on_the_value_on_toy_rings)
{
    cr_assert_not(leaks(3, false, SS_P1, 64, SOUND)); /* all of P1's own randomness */
    cr_assert_not(leaks(3, true, SS_P1, 8, SOUND));
    cr_assert_not(leaks(4, false, SS_P1, 1, SOUND));
    cr_assert_not(leaks(3, true, SS_P0, 1 << 13, SOUND)); /* random ones of P0's */
    cr_assert_not(leaks(4, false, SS_P0, 1 << 11, SOUND));
}

Test(compare, mutants_leak_on_toy_rings)
{
    for (int observer = 0; observer < 2; observer++)
        for (enum mutant m = CONSTANT_RHO; m <= NO_MASKS; m++)
            cr_assert(leaks(3, false, observer, observer == SS_P0 ? 256 : 8, m), "observer %d, mutant %d", observer, m);
}

/* ---- use */
static enum ss_err compare_twice(struct ss_ctx *c, void *arg)
{
    (void)arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf work = {0};
    const struct ss_compare_shape s = {64, 1, false};
    uint64_t x[4] = {0}, out[4];
    struct ss_compare_call call = {
        .shape = s, .corr = &corr, .slot = SS_CORR_relu, .s = out, .x = x, .rows = 1, .cols = 4, .x_stride = 4};
    if (c->role == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        return ss_compare_deal(c, &seeds, &work, &s, 4);
    }
    SS_TRY(ss_seeds_receive(c, &seeds));
    SS_TRY(ss_compare_receive(c, &seeds, &corr, SS_CORR_relu, &s, 4));
    c->phase = SS_ONLINE;
    SS_TRY(ss_compare(c, &work, &call));
    return ss_compare(c, &work, &call);
}

Test(compare, a_batch_used_twice_aborts, .signal = SIGABRT)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    roles_run(&r, compare_twice, NULL);
}
