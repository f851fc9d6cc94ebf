/* test_source_ot.c — unit vectors and lookup batches made by OT: what the online phase relies on holds for every item, counters
   equal the closed form, and each party's view is noise. */
#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "tests/uniform.h"
#include "variants/lib/gilboa.h"
#include "variants/lib/lookup.h"
#include "variants/lib/unitvec.h"

enum { MAX_WORDS = 256 };

struct vectors {
    struct ss_ot ot[2];
    unsigned n_bits;
    size_t n;
    uint8_t r[2][4096 * SS_UNITVEC_MAX_BITS];
    uint64_t *v[2];
};

static enum ss_err make_vectors(struct ss_ctx *c, void *arg)
{
    struct vectors *t = arg;
    const int me = c->role;
    if (me == SS_DEALER)
        return SS_OK;
    if (!t->ot[me].ready)
        SS_TRY(ss_ot_setup(c, &t->ot[me]));
    return ss_unitvec(c, &t->ot[me], t->v[me], t->r[me], t->n_bits, t->n, t->n_bits);
}

static size_t vector_words(unsigned n_bits)
{
    return n_bits < 6 ? 1 : (size_t)1 << (n_bits - 6);
}

/* Every vector: exactly one 1, at the position whose bits the parties share; sigma as the online phase computes it. */
static void check_vectors(const struct vectors *t, size_t *plus)
{
    const size_t words = vector_words(t->n_bits);
    for (size_t k = 0; k < t->n; k++) {
        size_t at = 0;
        for (unsigned j = 0; j < t->n_bits; j++)
            at |= (size_t)(t->r[0][k * t->n_bits + j] ^ t->r[1][k * t->n_bits + j]) << j;
        const uint64_t *v0 = t->v[0] + k * words, *v1 = t->v[1] + k * words;
        int64_t sums = 0;
        for (size_t w = 0; w < words; w++) {
            cr_assert_eq(v0[w] ^ v1[w], w == at / 64 ? 1ull << at % 64 : 0, "n_bits %u item %zu word %zu", t->n_bits, k, w);
            sums += __builtin_popcountll(v0[w]) - __builtin_popcountll(v1[w]);
        }
        const int s = ss_unitvec_sign(v0, words, 0) ^ ss_unitvec_sign(v1, words, 1);
        cr_assert_eq(sums, 1 - 2 * s);
        cr_assert_eq(1 - 2 * s, v0[at / 64] >> at % 64 & 1 ? 1 : -1);
        *plus += s == 0;
    }
}

static void vectors_open(struct roles *r, struct vectors **t)
{
    roles_open(r, NULL, NULL);
    *t = calloc(1, sizeof **t);
    for (int p = 0; p < 2; p++)
        (*t)->v[p] = malloc(4096 * MAX_WORDS * sizeof(uint64_t));
}

static void vectors_close(struct roles *r, struct vectors *t)
{
    for (int p = 0; p < 2; p++) {
        ss_ot_close(&r->ctx[p], &t->ot[p]);
        free(t->v[p]);
    }
    free(t);
    roles_close(r);
}

static void random_bits(struct vectors *t)
{
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < t->n * t->n_bits; i++)
            t->r[p][i] = (uint8_t)randombytes_uniform(2);
}

Test(source_ot, shares_xor_to_the_unit_vector_at_r)
{
    struct roles r;
    struct vectors *t;
    struct ss_counters e = {0};
    size_t plus = 0, all = 0;
    vectors_open(&r, &t);
    ss_ot_setup_cost(&e);
    for (t->n_bits = 1; t->n_bits <= SS_UNITVEC_MAX_BITS; t->n_bits++)
        for (int k = 0; k < 3; k++) {
            t->n = k == 0 ? 1 : k == 1 ? 7 : t->n_bits < 10 ? 1000 : 100;
            random_bits(t);
            roles_run(&r, make_vectors, t);
            check_vectors(t, &plus);
            all += t->n;
            if (t->n_bits > 1)
                ss_unitvec_cost(&e, t->n, t->n_bits);
        }
    cr_assert_lt(fabs((double)plus - (double)all / 2), 6 * 0.5 * sqrt((double)all), "sigma is +1 in %zu of %zu", plus, all);
    cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1, e.bytes_offline_p0_p1);
    cr_assert_eq(r.ctx[1].counters.bytes_offline_p1_p0, e.bytes_offline_p1_p0);
    cr_assert_eq(r.ctx[0].counters.rounds_offline, e.rounds_offline);
    cr_assert_eq(r.ctx[0].counters.ots, e.ots);
    vectors_close(&r, t);
}

/* Every position, with every way to share a bit: N = 256, all r0 for two values of r1. */
Test(source_ot, every_position_can_be_shared)
{
    struct roles r;
    struct vectors *t;
    size_t plus = 0;
    vectors_open(&r, &t);
    t->n_bits = 8;
    t->n = 512;
    for (size_t k = 0; k < t->n; k++)
        for (unsigned j = 0; j < 8; j++) {
            t->r[0][k * 8 + j] = k >> j & 1;
            t->r[1][k * 8 + j] = k < 256 ? 0 : 0xa7 >> j & 1;
        }
    roles_run(&r, make_vectors, t);
    check_vectors(t, &plus);
    cr_assert(plus > 150 && plus < 362);
    vectors_close(&r, t);
}

/* protocols.md 6: 104 OTs and 547 B each way for N = 4096, 32 and 42 B for N = 256, of which one bit an OT is the choice, sent
   inside the extension's 32 bits. */
Test(source_ot, counts_of_one_vector_are_those_of_the_protocol)
{
    const struct {
        unsigned n_bits;
        int64_t ots, bytes;
    } want[] = {{8, 32, 42}, {12, 104, 547}};
    for (int i = 0; i < 2; i++) {
        enum { MANY = 8 }; /* so that nothing is rounded up to bytes */
        struct ss_counters e = {0};
        ss_unitvec_cost(&e, MANY, want[i].n_bits);
        cr_assert_eq(e.ots, 2 * MANY * want[i].ots);
        const int64_t strings = e.bytes_offline_p0_p1 / MANY - 4 * want[i].ots;
        cr_assert_eq(strings + want[i].ots / 8, want[i].bytes, "%ld bytes of strings", (long)strings);
        cr_assert_eq(e.bytes_offline_p0_p1, e.bytes_offline_p1_p0);
    }
}

/* ---- whole batches */
struct batches {
    struct ss_lookup_shape shape;
    size_t n;
    uint64_t *words[2];
    struct ss_lookup_batch view[2];
    void *state[2];
};

static enum ss_err make_batch(struct ss_ctx *c, void *arg)
{
    struct batches *t = arg;
    const struct ss_lookup_source *s = &ss_source_ot;
    const int me = c->role;
    if (me == SS_DEALER) {
        struct ss_ot none = {0};
        SS_TRY(s->open(c, &none));
        SS_TRY(s->begin(c, &none, NULL));
        s->close(c, &none);
        return SS_OK;
    }
    SS_TRY(s->open(c, t->state[me]));
    c->layer = 0;
    SS_TRY(s->begin(c, t->state[me], NULL));
    c->layer = 1;
    SS_TRY(s->begin(c, t->state[me], NULL)); /* no new base OTs in later layers */
    c->layer = 0;
    return s->prepare(c, t->state[me], NULL, &t->shape, t->n, &t->view[me]);
}

static void batches_open(struct roles *r, struct batches *t, struct ss_lookup_shape shape, size_t n, ss_tap tap, void *arg)
{
    roles_open(r, tap, arg);
    *t = (struct batches){.shape = shape, .n = n};
    for (int p = 0; p < 2; p++) {
        t->words[p] = calloc(ss_lookup_words(&shape, n), sizeof(uint64_t));
        t->view[p] = ss_lookup_view(&shape, n, t->words[p]);
        t->state[p] = calloc(1, ss_source_ot.state_bytes);
    }
}

static void batches_close(struct roles *r, struct batches *t)
{
    for (int p = 0; p < 2; p++) {
        ss_source_ot.close(&r->ctx[p], t->state[p]);
        free(t->state[p]);
        free(t->words[p]);
    }
    roles_close(r);
}

static uint64_t opened(const struct batches *t, bool coef, size_t row, size_t k)
{
    const size_t i = row * t->n + k;
    return coef ? t->view[0].coef[i] + t->view[1].coef[i] : t->view[0].mask[i] + t->view[1].mask[i];
}

/* The definition in lookup.h, item by item. */
static void check_batch(const struct batches *t, size_t *plus)
{
    const struct ss_lookup_shape *s = &t->shape;
    const size_t words = ((size_t)1 << s->n_bits) / 64;
    const bool two = s->columns == 2;
    for (size_t k = 0; k < t->n; k++) {
        const uint64_t width_mask = (1ull << (s->n_bits + s->fine_bits)) - 1;
        const uint64_t b = (t->view[0].b[k] + t->view[1].b[k]) & width_mask;
        const uint64_t rh = b >> s->fine_bits, bl = b & ((1ull << s->fine_bits) - 1);
        const uint64_t *v0 = t->view[0].bits + k * words, *v1 = t->view[1].bits + k * words;
        for (size_t w = 0; w < words; w++)
            cr_assert_eq(v0[w] ^ v1[w], w == rh / 64 ? 1ull << rh % 64 : 0, "item %zu of %zu", k, t->n);
        const uint64_t sigma = v0[rh / 64] >> rh % 64 & 1 ? 1 : UINT64_MAX;
        *plus += sigma == 1;
        size_t mask = 0, coef = 0;
        const uint64_t m1 = opened(t, false, mask++, k), m2 = two ? opened(t, false, mask++, k) : 0;
        const uint64_t m3 = s->fused ? opened(t, false, mask++, k) : 0;
        cr_assert_eq(opened(t, true, coef++, k), sigma, "c0 of item %zu", k);
        if (s->fused)
            cr_assert_eq(opened(t, true, coef++, k), sigma * m3, "c1 of item %zu", k);
        cr_assert_eq(opened(t, true, coef++, k), sigma * (m1 + bl * m2), "c2 of item %zu", k);
        if (two)
            cr_assert_eq(opened(t, true, coef++, k), sigma * bl, "c3 of item %zu", k);
        if (two && s->fused)
            cr_assert_eq(opened(t, true, coef++, k), sigma * bl * m3, "c4 of item %zu", k);
        if (s->fused)
            cr_assert_eq(opened(t, true, coef++, k), sigma * m3 * (m1 + bl * m2), "c5 of item %zu", k);
        cr_assert(mask == ss_lookup_masks(s) && coef == ss_lookup_coefs(s));
    }
}

static const struct ss_lookup_shape shapes[] = {
    {.n_bits = 8, .fine_bits = 0, .columns = 1, .fused = false},  {.n_bits = 8, .fine_bits = 0, .columns = 1, .fused = true},
    {.n_bits = 9, .fine_bits = 13, .columns = 2, .fused = false}, {.n_bits = 12, .fine_bits = 13, .columns = 2, .fused = true},
    {.n_bits = 14, .fine_bits = 1, .columns = 2, .fused = true},  {.n_bits = 8, .fine_bits = 0, .columns = 2, .fused = true},
    {.n_bits = 11, .fine_bits = 21, .columns = 2, .fused = true}};

Test(source_ot, batches_are_what_the_online_phase_expects)
{
    size_t plus = 0, all = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct roles r;
        struct batches t;
        const size_t n = i == 1 ? 16384 + 77 : 101; /* more than one chunk once */
        batches_open(&r, &t, shapes[i], n, NULL, NULL);
        roles_run(&r, make_batch, &t);
        check_batch(&t, &plus);
        all += n;
        struct ss_counters e = {0};
        ss_source_ot.cost_begin(0, &e);
        ss_source_ot.cost_begin(1, &e);
        ss_source_ot.cost(&shapes[i], n, &e);
        cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1, e.bytes_offline_p0_p1, "shape %zu", i);
        cr_assert_eq(r.ctx[1].counters.bytes_offline_p1_p0, e.bytes_offline_p1_p0, "shape %zu", i);
        for (int p = 0; p < 2; p++) {
            cr_assert_eq(r.ctx[p].counters.ots, e.ots, "shape %zu", i);
            cr_assert_eq(r.ctx[p].counters.rounds_offline, e.rounds_offline, "shape %zu", i);
        }
        cr_assert_eq(r.ctx[SS_DEALER].counters.ots, 0);
        batches_close(&r, &t);
    }
    cr_assert_lt(fabs((double)plus - (double)all / 2), 6 * 0.5 * sqrt((double)all), "sigma is +1 in %zu of %zu", plus, all);
}

/* Each party's own share of everything is uniform, so that its opened words carry nothing; so is b itself (no constant r). */
Test(source_ot, each_share_and_b_are_uniform)
{
    enum { ITEMS = 6000 };
    struct roles r;
    struct batches t;
    const struct ss_lookup_shape shape = {.n_bits = 8, .fine_bits = 8, .columns = 2, .fused = true};
    batches_open(&r, &t, shape, ITEMS, NULL, NULL);
    roles_run(&r, make_batch, &t);
    for (int p = 0; p < 2; p++)
        for (int byte = 0; byte < 8; byte++) {
            cr_assert_lt(byte_z(t.view[p].bits, ITEMS * 4, byte), UNIFORM_MOST, "bits of party %d, byte %d", p, byte);
            for (size_t i = 0; i < 3; i++)
                cr_assert_lt(byte_z(t.view[p].mask + i * ITEMS, ITEMS, byte), UNIFORM_MOST);
            for (size_t i = 0; i < 6; i++)
                cr_assert_lt(byte_z(t.view[p].coef + i * ITEMS, ITEMS, byte), UNIFORM_MOST, "coefficient %zu", i);
        }
    uint64_t *b = malloc(ITEMS * sizeof *b);
    for (size_t k = 0; k < ITEMS; k++)
        b[k] = t.view[0].b[k] + t.view[1].b[k];
    cr_assert_lt(byte_z(b, ITEMS, 0), UNIFORM_MOST);
    cr_assert_lt(byte_z(b, ITEMS, 1), UNIFORM_MOST);
    free(b);
    batches_close(&r, &t);
}

struct seen {
    struct histogram bytes[2][2]; /* [from][what is sent: corrections, answers] */
};
static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    (void)to;
    struct seen *s = arg;
    if (strcmp(what, "bsot") == 0 || from == SS_DEALER)
        return;
    const int kind = strcmp(what, "otex") != 0;
    histogram_add(&s->bytes[from][kind], h_data, 1, bytes, 0);
}

Test(source_ot, what_each_party_sees_is_noise)
{
    struct roles r;
    struct batches t;
    static struct seen seen;
    batches_open(&r, &t, (struct ss_lookup_shape){.n_bits = 8, .fine_bits = 16, .columns = 2, .fused = true}, 800, look, &seen);
    roles_run(&r, make_batch, &t); /* multiples of 8 items: no spare bits in the messages */
    for (int from = 0; from < 2; from++)
        for (int kind = 0; kind < 2; kind++) {
            cr_assert_gt(seen.bytes[from][kind].n, 100000);
            cr_assert_lt(uniform_z(&seen.bytes[from][kind]), UNIFORM_MOST, "from %d kind %d", from, kind);
        }
    batches_close(&r, &t);
}
