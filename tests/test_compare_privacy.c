/* test_compare_privacy.c — what a party sees of a comparison, exactly, on toy rings: the real code runs on scripted randomness,
   a lane (value) for each outcome.

   One party's own randomness is fixed at a time; over all randomness of the other, what it gets (dealt words, messages) must be
   distributed alike for every x. Words count mod 2^bits: a ring homomorphism, and only their low bits are ever sliced. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/comparison.h"

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
    struct script script;
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
static void count_views(struct roles *r, struct toy *t, struct comparison *run, int observer, const uint64_t *own, size_t owns,
                        uint64_t x, enum mutant m, uint32_t *seen, unsigned view_bits)
{
    const enum part mine = observer == SS_P0 ? RHO_A : BITS_RHO, other = observer == SS_P0 ? BITS_RHO : RHO_A;
    const uint64_t outcomes = (uint64_t)1 << total(t, other);
    memset(seen, 0, (owns << view_bits) * sizeof *seen);
    for (int p = 0; p < 2; p++)
        memset(t->script.words[p], 0, t->script.n * sizeof(uint64_t));
    for (size_t i = 0; i < t->n; i++) {
        put_parts(t, t->script.words[observer], i, own[i / outcomes], mine, m);
        put_parts(t, t->script.words[1 - observer], i, i % outcomes, other, m);
        run->x[observer][i] = own[i / outcomes] * 5;
        run->x[1 - observer][i] = x - run->x[observer][i];
    }
    t->sender = 1 - observer;
    t->levels = 0;
    roles_run(r, comparison_run, run);
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
    struct comparison run = {.shape = {bits, 1, product}, .rows = 1, .cols = t.n, .stride = t.n};
    const size_t words = ss_compare_words(&run.shape, t.n);
    uint64_t *messages = calloc(2 * t.n, sizeof *messages), *own = calloc(owns, sizeof *own);
    uint32_t *seen[2] = {calloc(owns << view_bits, sizeof **seen), calloc(owns << view_bits, sizeof **seen)};
    t.c = messages;
    t.carry[0] = messages + t.n;
    t.carry[1] = t.carry[0] + t.n / 4;
    t.e = t.carry[1] + t.n / 4;
    comparison_alloc(&run);
    run.dealt = calloc(words, sizeof(uint64_t));
    roles_open(&r, look, &t);
    script_open(&t.script, &r, words + 1);
    fill_random(&r, own, owns);
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
    comparison_free(&run);
    script_close(&t.script);
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
