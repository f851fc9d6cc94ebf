/* test_compare_privacy.c — what a party sees of a comparison, exactly, on toy rings: the real code runs on scripted randomness,
   a lane (value) for each outcome.

   All that the observer draws, and the words that P1 is dealt, are fixed at a time (P0's words make up for it: two runs, the
   first to see what is dealt). Over all masks of the other party, what it sends must be distributed alike for every x. On the
   larger rings the opened c is fixed, too: its mask is the one that the small ones enumerate. Words count mod 2^bits: a ring
   homomorphism, and only their low bits are ever sliced. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/comparison.h"
#include "tests/toy.h"

enum { MAX_TOY_LANES = 1 << 20, MAX_LEVELS = 2, MAX_OPENED = 13 };
enum part { A, MASKS, BITS_RHO, BITS_A, BLOCKS, PRODUCTS, RHO, RHO_A, PARTS }; /* of a batch, in its order */

/* Rows of masks, of products of a's bits and of masks: no tree; nodes of two, three, four positions; two levels with a last
   node of two, of four. */
static const struct ring {
    unsigned bits, masks, blocks, products;
} rings[] = {{3, 0, 1, 0}, {6, 2, 11, 1}, {10, 4, 22, 5}, {14, 6, 33, 15}, {22, 11, 55, 18}, {30, 15, 77, 38}};

struct toy {
    const struct ring *ring;
    bool product, fixed_c;
    size_t n, outcomes;  /* lanes, owns x outcomes: a multiple of 64 */
    size_t rows[PARTS];  /* of bits; of arithmetic parts 1 if there */
    size_t first[PARTS]; /* words */
    int observer;
    uint64_t *c, *carry[MAX_LEVELS], *e; /* messages of the other party */
    size_t opened[MAX_LEVELS];           /* rows */
    unsigned levels;
    struct script script;
};
enum mutant { SOUND, CONSTANT_RHO, NO_MASKS, ONE_MASK };

static bool arithmetic(enum part p)
{
    return p == A || p == RHO || p == RHO_A;
}

static void toy_layout(struct toy *t)
{
    const struct ring *r = t->ring;
    const size_t rows[PARTS] = {1, r->masks, 1, r->bits, r->blocks, r->products, 1, t->product};
    size_t at = 0;
    memcpy(t->rows, rows, sizeof rows);
    for (enum part p = 0; p < PARTS; p++) {
        t->first[p] = at;
        at += rows[p] * (arithmetic(p) ? t->n : t->n / 64);
    }
    const struct ss_compare_shape s = {r->bits, 1, t->product};
    cr_assert_eq(at, ss_compare_words(&s, t->n));
}

static uint64_t get(const struct toy *t, const uint64_t *batch, enum part p, size_t row, size_t lane)
{
    if (arithmetic(p))
        return low(batch[t->first[p] + lane], t->ring->bits);
    return batch[t->first[p] + row * t->n / 64 + lane / 64] >> lane % 64 & 1;
}

static void set(const struct toy *t, uint64_t *batch, enum part p, size_t row, size_t lane, uint64_t v)
{
    uint64_t *word = &batch[t->first[p] + (arithmetic(p) ? lane : row * t->n / 64 + lane / 64)];
    *word = arithmetic(p) ? v : (*word & ~((uint64_t)1 << lane % 64)) | (v & 1) << lane % 64;
}

static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    struct toy *t = arg;
    if (from == t->observer || from == SS_DEALER || to == SS_DEALER)
        return;
    if (strcmp(what, "cary") == 0)
        t->opened[t->levels] = bytes / (t->n / 8);
    memcpy(strcmp(what, "open") == 0 ? t->c : strcmp(what, "bits") == 0 ? t->e : t->carry[t->levels++], h_data, bytes);
}

/* What is fixed for an own: any word for each row of a part. */
static uint64_t fixed(size_t own, enum part p, size_t row)
{
    return some(own << 20 | (size_t)p << 10 | row);
}

/* Masks of a lane: the observer's of its own, the other's digits of the outcome. */
static void put_masks(struct toy *t, const struct comparison *run, size_t lane, enum mutant m)
{
    const size_t own = lane / t->outcomes;
    size_t outcome = lane % t->outcomes;
    uint64_t *const mine = t->script.words[t->observer], *const other = t->script.words[1 - t->observer];
    const uint64_t c = fixed(own, PARTS, 0); /* what the other sends on a larger ring */
    set(t, mine, A, 0, lane, fixed(own, A, 0));
    set(t, other, A, 0, lane, t->fixed_c ? run->x[1 - t->observer][lane] - c : digit(&outcome, t->ring->bits));
    for (size_t row = 0; row < t->rows[MASKS]; row++) {
        const uint64_t bit = digit(&outcome, 1);
        const size_t from = m == ONE_MASK ? 0 : row;
        set(t, mine, MASKS, row, lane, m == NO_MASKS ? 0 : fixed(own, MASKS, from));
        set(t, other, MASKS, row, lane, m == NO_MASKS ? 0 : from < row ? get(t, other, MASKS, 0, lane) : bit);
    }
    set(t, mine, BITS_RHO, 0, lane, m == CONSTANT_RHO ? 0 : fixed(own, BITS_RHO, 0));
    set(t, other, BITS_RHO, 0, lane, m == CONSTANT_RHO ? 0 : digit(&outcome, 1));
}

/* P0's words for what is dealt: fixed if it observes, else such that P1 is dealt fixed ones. dealt: as it was under P0's zeros.
 */
static void put_dealt(struct toy *t, const uint64_t *dealt)
{
    for (enum part p = BITS_A; p < PARTS; p++)
        for (size_t row = 0; row < t->rows[p]; row++)
            for (size_t lane = 0; lane < t->n; lane++) {
                const uint64_t word = fixed(lane / t->outcomes, p, row), bare = dealt ? get(t, dealt, p, row, lane) : 0;
                set(t, t->script.words[SS_P0], p, row, lane, dealt ? (arithmetic(p) ? bare - word : bare ^ word) : word);
            }
}

static void check_dealt(const struct toy *t, const uint64_t *dealt)
{
    for (enum part p = BITS_A; p < PARTS; p++)
        for (size_t row = 0; row < t->rows[p]; row++)
            for (size_t lane = 0; lane < t->n; lane++)
                cr_assert_eq(get(t, dealt, p, row, lane),
                             low(fixed(lane / t->outcomes, p, row), arithmetic(p) ? t->ring->bits : 1), "part %d", p);
}

static void run_once(struct roles *r, struct toy *t, struct comparison *run)
{
    t->levels = 0;
    roles_run(r, comparison_run, run);
}

/* How often each view occurs in the lanes: seen (owns, outcomes). */
static void count_views(struct roles *r, struct toy *t, struct comparison *run, uint64_t x, enum mutant m, uint32_t *seen)
{
    memset(seen, 0, t->n * sizeof *seen);
    for (int p = 0; p < 2; p++)
        memset(t->script.words[p], 0, t->script.n * sizeof(uint64_t));
    for (size_t i = 0; i < t->n; i++) {
        run->x[t->observer][i] = some(i / t->outcomes) * 5;
        run->x[1 - t->observer][i] = x - run->x[t->observer][i];
        put_masks(t, run, i, m);
    }
    if (t->observer == SS_P1)
        run_once(r, t, run);
    put_dealt(t, t->observer == SS_P1 ? run->dealt : NULL);
    run_once(r, t, run);
    if (t->observer == SS_P1)
        check_dealt(t, run->dealt);
    for (size_t i = 0; i < t->n; i++) {
        size_t v = t->fixed_c ? 0 : low(t->c[i], t->ring->bits);
        for (unsigned level = 0; level < t->levels; level++)
            for (size_t j = 0; j < t->opened[level]; j++)
                v = put(v, t->carry[level][j * t->n / 64 + i / 64] >> i % 64, 1);
        v = put(v, t->e[i / 64] >> i % 64, 1);
        cr_assert_lt(v, t->outcomes);
        seen[i / t->outcomes * t->outcomes + v]++;
        const uint64_t less = x >> (t->ring->bits - 1) & 1; /* x < 0 */
        cr_assert_eq(opened(run->s, i), less);
        if (t->product)
            cr_assert_eq(opened(run->sx, i), less * x);
    }
}

/* 1 if some x gives the observer other views than x = 0 does, for one of its `owns`. */
static int leaks(const struct ring *ring, bool product, int observer, size_t owns, enum mutant m)
{
    struct roles r;
    struct toy t = {.ring = ring, .product = product, .fixed_c = ring->bits > 10, .observer = observer};
    t.outcomes = (size_t)1 << ((t.fixed_c ? 0 : ring->bits) + ring->masks + 1);
    t.n = owns * t.outcomes;
    cr_assert(t.n % 64 == 0 && t.n <= MAX_TOY_LANES);
    toy_layout(&t);
    struct comparison run = {.shape = {ring->bits, 1, product}, .rows = 1, .cols = t.n, .stride = t.n};
    const size_t words = ss_compare_words(&run.shape, t.n), half = (size_t)1 << (ring->bits - 1);
    uint64_t *messages = calloc((1 + MAX_LEVELS) * t.n, sizeof *messages);
    uint32_t *seen[2] = {calloc(t.n, sizeof **seen), calloc(t.n, sizeof **seen)};
    t.c = messages;
    for (int level = 0; level < MAX_LEVELS; level++)
        t.carry[level] = messages + t.n + (size_t)level * t.n * MAX_OPENED / 64;
    t.e = messages + t.n + MAX_LEVELS * t.n * MAX_OPENED / 64;
    comparison_alloc(&run);
    run.dealt = calloc(words, sizeof(uint64_t));
    roles_open(&r, look, &t);
    script_open(&t.script, &r, words + 1);
    int found = 0;
    for (size_t k = 0; k < (half < 32 ? 2 * half : 12); k++) { /* all of a small ring; the edges and others of a large one */
        const size_t edge[] = {0, 1, half - 1, half, 2 * half - 1};
        const uint64_t x = half < 32 ? k : k < 5 ? edge[k] : some(k) % (2 * half);
        count_views(&r, &t, &run, x, m, seen[k > 0]);
        found |= k > 0 && memcmp(seen[0], seen[1], t.n * sizeof **seen) != 0;
    }
    free(messages);
    free(seen[0]);
    free(seen[1]);
    free(run.dealt);
    comparison_free(&run);
    script_close(&t.script);
    roles_close(&r);
    return found;
}

Test(compare, no_view_depends_on_the_value_on_toy_rings, .timeout = 600)
{
    for (int observer = 0; observer < 2; observer++)
        for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
            const size_t owns = rings[i].bits <= 6 ? 64 : rings[i].bits <= 22 ? 2 : 1;
            cr_expect_not(leaks(&rings[i], i % 2 == 0, observer, owns, SOUND), "observer %d, %u bits", observer, rings[i].bits);
        }
}

Test(compare, mutants_leak_on_toy_rings)
{
    for (int observer = 0; observer < 2; observer++)
        for (enum mutant m = CONSTANT_RHO; m <= ONE_MASK; m++) {
            cr_expect(leaks(&rings[1], false, observer, 8, m), "observer %d, mutant %d", observer, m);
            cr_expect(leaks(&rings[4], true, observer, 1, m), "two levels, observer %d, mutant %d", observer, m);
        }
}
