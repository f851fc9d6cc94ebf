/* test_privacy.c — exact privacy of lookups (protocols.md 11.3): the dealer's and the parties' own code is led through all
   randomness there is on a toy ring; what a party sees must be the same multiset for every input. And mutants of the dealer,
   which must not pass.

   The code computes in Z_2^64 with N = 256. The toy protocol is its image under maps that respect every step:
     words  reduction mod 2^k: sums, differences and products commute with it
     index  randomness below N 2^fine, a table of period N, P0's bits only at the first N of 256 positions: then the opened
   index matters mod N 2^fine only, and a unit vector of N bits is what the parties hold A view is what a party holds from the
   dealer and what it receives; its own share of the input is fixed. Left out, because they are uniform and independent of all
   else by construction: a party's own masks of sums, on which no message to it depends, and coefficients, on which no message
   depends (the shape ONE has P1's in its view all the same). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/heard.h"
#include "tests/script.h"
#include "tests/toy.h"
#include "variants/lib/lookup.h"

enum {
    MAX_MASKS = 3,
    MAX_COEFS = 6,
    BATCH = 16384,
    REAL_BITS = 8,
    REAL_N = 1 << REAL_BITS,
    REAL_WORDS = REAL_N / 64,
    X_BITS = 16
};

/* ---- lookups */
struct toy {
    unsigned k;             /* ring Z_2^k */
    unsigned n_bits;        /* N = 2^n_bits */
    unsigned fine, columns; /* of the shape */
    bool fused;
    bool with_coefs; /* P1's view has its coefficients; P0's are enumerated too */
    bool fixed_b;    /* the viewer's share of b is not enumerated: another one shifts what it receives (as the others show) */
};
enum mutant { SOUND, CONSTANT_R, SIGMA_PLUS, UNMASKED };

/* One choice of the dealer. */
struct choice {
    uint64_t bits, b[2], mask[2][MAX_MASKS], coef[MAX_COEFS];
};

struct run {
    const struct toy *toy;
    struct ss_lookup_shape shape;
    uint64_t y, u;           /* the input: fine index, factor */
    struct choice *choice;   /* (BATCH) */
    uint64_t *word[2];       /* the script */
    uint64_t *share[2][2];   /* x, u of each party (BATCH) */
    uint64_t *out[2], *coef; /* results; P1's coefficients (coefs, BATCH) */
    struct heard heard;
    uint64_t *entries; /* (2, REAL_N) */
    uint8_t *planes;
    struct roles r;
};

static void run_open(struct run *run, const struct toy *toy)
{
    *run = (struct run){.toy = toy, .shape = {REAL_BITS, toy->fine, toy->columns, toy->fused}};
    const size_t masks = ss_lookup_masks(&run->shape), coefs = ss_lookup_coefs(&run->shape);
    run->choice = calloc(BATCH, sizeof *run->choice);
    run->entries = calloc(2 * REAL_N, sizeof *run->entries);
    run->planes = calloc(16 * REAL_N, 1);
    run->coef = calloc(coefs * BATCH, sizeof *run->coef);
    for (int p = 0; p < 2; p++) {
        run->word[p] = calloc((REAL_WORDS + 1 + masks + coefs) * BATCH, sizeof *run->word[p]);
        run->out[p] = calloc(BATCH, sizeof *run->out[p]);
        for (int i = 0; i < 2; i++)
            run->share[i][p] = calloc(BATCH, sizeof *run->share[i][p]);
    }
    for (size_t c = 0; c < toy->columns; c++)
        for (size_t i = 0; i < REAL_N; i++) {
            const uint64_t entry = some(100 * c + low(i, toy->n_bits));
            run->entries[c * REAL_N + i] = entry;
            for (int k = 0; k < 8; k++)
                run->planes[(8 * c + (size_t)k) * REAL_N + i] = (uint8_t)((entry + ((uint64_t)1 << 63)) >> (8 * k));
        }
    heard_alloc(&run->heard, BATCH, masks);
    roles_open(&run->r, hear, &run->heard);
}

static void run_close(struct run *run)
{
    for (int p = 0; p < 2; p++) {
        free(run->word[p]);
        free(run->out[p]);
        free(run->share[0][p]);
        free(run->share[1][p]);
    }
    heard_free(&run->heard);
    free(run->choice);
    free(run->entries);
    free(run->planes);
    free(run->coef);
    for (int role = 0; role < SS_N_ROLES; role++)
        run->r.ctx[role].backend = ss_backend_find("cpu");
    roles_close(&run->r);
}

/* Choice number i of all that matter to the viewer: P0's bits, both shares of b, the other's masks (and, where the view has
   them, P0's coefficients). */
static size_t choices(const struct toy *t, int viewer)
{
    const struct ss_lookup_shape s = {REAL_BITS, t->fine, t->columns, t->fused};
    const unsigned coefs = t->with_coefs && viewer == SS_P1 ? (unsigned)ss_lookup_coefs(&s) * t->k : 0;
    const unsigned shares = (t->fixed_b ? 1 : 2) * (t->n_bits + t->fine);
    return (size_t)1 << ((1u << t->n_bits) + shares + (unsigned)ss_lookup_masks(&s) * t->k + coefs);
}

static struct choice choose(const struct run *run, int viewer, size_t i, enum mutant m)
{
    const struct toy *t = run->toy;
    const unsigned width = t->n_bits + t->fine;
    struct choice c = {.bits = digit(&i, 1u << t->n_bits)};
    uint64_t b = digit(&i, width); /* b itself, and the viewer's share: as many choices as both shares */
    c.b[viewer] = t->fixed_b ? low(some(9000), width) : digit(&i, width);
    if (m == CONSTANT_R)
        b = ((uint64_t)1 << t->fine) | low(b, t->fine);
    if (m == SIGMA_PLUS)
        c.bits |= (uint64_t)1 << (b >> t->fine);
    c.b[1 - viewer] = b - c.b[viewer];
    for (size_t k = 0; k < ss_lookup_masks(&run->shape); k++) {
        c.mask[viewer][k] = some(7000 + k);
        c.mask[1 - viewer][k] = digit(&i, t->k);
        if (m == UNMASKED && k == 0)
            c.mask[0][k] = c.mask[1][k] = 0;
    }
    for (size_t k = 0; k < ss_lookup_coefs(&run->shape); k++)
        c.coef[k] = t->with_coefs && viewer == SS_P1 ? digit(&i, t->k) : some(8000 + k);
    return c;
}

/* The streams that the dealer expands: P0 bits | b | masks | coefficients, P1 b | masks. */
static void write_script(struct run *run)
{
    const size_t masks = ss_lookup_masks(&run->shape), coefs = ss_lookup_coefs(&run->shape);
    uint64_t *b0 = run->word[0] + REAL_WORDS * BATCH, *b1 = run->word[1];
    for (size_t i = 0; i < BATCH; i++) {
        const struct choice *c = &run->choice[i];
        run->word[0][i * REAL_WORDS] = c->bits;
        b0[i] = c->b[0];
        b1[i] = c->b[1];
        for (size_t k = 0; k < masks; k++) {
            b0[(1 + k) * BATCH + i] = c->mask[0][k];
            b1[(1 + k) * BATCH + i] = c->mask[1][k];
        }
        for (size_t k = 0; k < coefs; k++)
            b0[(1 + masks + k) * BATCH + i] = c->coef[k];
    }
}

static enum ss_err look_up(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const struct ss_lookup_source *source = &ss_source_dealer;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf messages = {0};
    const struct ss_table table = {.shape = run->shape,
                                   .step_bits = X_BITS - (int)run->shape.fine_bits,
                                   .data = {run->entries, run->planes, {8, run->shape.columns == 2 ? 8 : 0}}};
    void *state = calloc(1, source->state_bytes);
    const int p = c->role;
    c->phase = SS_OFFLINE;
    if (p == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(source->begin(c, state, &seeds));
        SS_TRY(source->deal(c, state, &seeds, &run->shape, BATCH));
    } else {
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(source->begin(c, state, &seeds));
        SS_TRY(ss_lookup_prepare(c, source, state, &seeds, &corr, SS_CORR_silu, &run->shape, 1, BATCH));
        if (p == SS_P1)
            memcpy(run->coef, ss_lookup_view(&run->shape, BATCH, corr.buf.p).coef,
                   ss_lookup_coefs(&run->shape) * BATCH * sizeof *run->coef);
        c->phase = SS_ONLINE;
        const struct ss_lookup_call call = {.tables = &table,
                                            .n_tables = 1,
                                            .source = source,
                                            .corr = &corr,
                                            .slot = SS_CORR_silu,
                                            .out = run->out[p],
                                            .x = run->share[0][p],
                                            .u = run->shape.fused ? run->share[1][p] : NULL,
                                            .rows = 1,
                                            .cols = BATCH,
                                            .x_stride = BATCH,
                                            .u_stride = BATCH,
                                            .x_bits = X_BITS};
        SS_TRY(ss_lookup(c, &messages, &call, 1));
    }
    source->close(c, state);
    free(state);
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    ss_buf_free(c, &messages);
    c->pass++;
    return SS_OK;
}

/* A lookup of the choice must still be right: at (e + b), entry and slope times the sum of the low parts. */
static void check_result(const struct run *run, size_t i)
{
    const struct toy *t = run->toy;
    const struct choice *c = &run->choice[i];
    const unsigned width = t->n_bits + t->fine;
    const uint64_t b = c->b[0] + c->b[1], e = low((uint64_t)run->heard.e[0][i] + run->heard.e[1][i], width);
    cr_assert_eq(e, low(run->y - b, width));
    const uint64_t at = low((e >> t->fine) + (b >> t->fine), t->n_bits), fine = low(e, t->fine) + low(b, t->fine);
    const uint64_t value = run->entries[at] + (t->columns == 2 ? run->entries[REAL_N + at] * fine : 0);
    cr_assert_eq(run->out[0][i] + run->out[1][i], value * (t->fused ? run->u : 1));
}

static size_t view_of(const struct run *run, int viewer, size_t i)
{
    const struct toy *t = run->toy;
    const struct choice *c = &run->choice[i];
    const unsigned width = t->n_bits + t->fine;
    const uint64_t unit = (uint64_t)1 << ((c->b[0] + c->b[1]) >> t->fine);
    size_t view = put(0, viewer == SS_P0 ? c->bits : c->bits ^ unit, 1u << t->n_bits);
    if (!t->fixed_b)
        view = put(view, c->b[viewer], width);
    view = put(view, run->heard.e[1 - viewer][i], width);
    for (size_t k = 0; k < ss_lookup_masks(&run->shape); k++)
        view = put(view, run->heard.open[1 - viewer][k * BATCH + i], t->k);
    for (size_t k = 0; t->with_coefs && viewer == SS_P1 && k < ss_lookup_coefs(&run->shape); k++)
        view = put(view, run->coef[k * BATCH + i], t->k);
    return view;
}

/* How often the viewer has each view over all choices of the dealer, on input (y, u). */
static void count_views(struct run *run, int viewer, enum mutant m, uint32_t *seen)
{
    const struct script script = {{run->word[0], run->word[1]},
                                  {BATCH * (REAL_WORDS + 1 + MAX_MASKS + MAX_COEFS), BATCH * (1 + MAX_MASKS)}};
    const size_t all = choices(run->toy, viewer);
    for (size_t i = 0; i < BATCH; i++) {
        run->share[0][viewer][i] = some(1); /* what the viewer holds does not depend on the input: the other share does */
        run->share[0][1 - viewer][i] = run->y - some(1);
        run->share[1][viewer][i] = some(2);
        run->share[1][1 - viewer][i] = run->u - some(2);
    }
    for (size_t first = 0; first < all; first += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            run->choice[i] = choose(run, viewer, first + i, m);
        write_script(run);
        script_set(&run->r, &script);
        roles_run(&run->r, look_up, run);
        for (size_t i = 0; i < BATCH; i++) {
            check_result(run, i);
            seen[view_of(run, viewer, i)]++;
        }
    }
}

/* true if two of the inputs give the viewer different multisets. */
static bool leaks(const struct toy *t, int viewer, enum mutant m)
{
    struct run run;
    run_open(&run, t);
    const size_t views = choices(t, viewer), last = (1u << (t->n_bits + t->fine)) - 1; /* as many views as choices */
    const uint64_t inputs[][2] = {{0, 0}, {last, 3}, {last / 2, 5}};
    uint32_t *first = calloc(views, sizeof *first), *seen = calloc(views, sizeof *seen);
    bool differ = false;
    for (size_t k = 0; k < (t->columns == 2 && t->fused ? 2 : 3) && !differ; k++) {
        run.y = inputs[k][0];
        run.u = inputs[k][1];
        memset(seen, 0, views * sizeof *seen);
        count_views(&run, viewer, m, seen);
        if (k == 0)
            memcpy(first, seen, views * sizeof *seen);
        differ = memcmp(first, seen, views * sizeof *seen) != 0;
    }
    free(first);
    free(seen);
    run_close(&run);
    return differ;
}

static const struct toy ONE = {.k = 4, .n_bits = 2, .columns = 1, .with_coefs = true};
static const struct toy ONE_WIDE = {.k = 4, .n_bits = 3, .columns = 1};
static const struct toy ONE_FUSED = {.k = 5, .n_bits = 2, .columns = 1, .fused = true};
static const struct toy TWO = {.k = 4, .n_bits = 2, .fine = 1, .columns = 2};
static const struct toy TWO_FUSED = {.k = 4, .n_bits = 2, .fine = 1, .columns = 2, .fused = true, .fixed_b = true};

static void same_views(const struct toy *t)
{
    for (int viewer = 0; viewer < 2; viewer++)
        cr_assert(!leaks(t, viewer, SOUND), "P%d's view depends on the input", viewer);
}

Test(privacy, one_column_with_coefficients)
{
    same_views(&ONE);
}

Test(privacy, one_column_of_eight_entries)
{
    same_views(&ONE_WIDE);
}

Test(privacy, one_column_fused)
{
    same_views(&ONE_FUSED);
}

Test(privacy, two_columns)
{
    same_views(&TWO);
}

Test(privacy, two_columns_fused)
{
    same_views(&TWO_FUSED);
}

/* A constant r and an unmasked sum show the index or the value to both; a sign that is always + shows P0 where r is not, and P1
   where its bit is 1. */
Test(privacy, mutants_of_a_lookup_are_caught)
{
    for (int viewer = 0; viewer < 2; viewer++) {
        cr_assert(leaks(&ONE_FUSED, viewer, CONSTANT_R), "P%d: a constant r", viewer);
        cr_assert(leaks(&ONE_FUSED, viewer, SIGMA_PLUS), "P%d: sigma always +1", viewer);
        cr_assert(leaks(&ONE_FUSED, viewer, UNMASKED), "P%d: w opened without a mask", viewer);
    }
}
