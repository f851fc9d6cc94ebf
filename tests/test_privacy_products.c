/* test_privacy_products.c — exact privacy of truncations and products (protocols.md 11.3), as in test_privacy.c: all randomness
   of the dealer on a toy ring of 4 bits, every view counted.

   The toy protocol is the image of the one over Z_2^64: for products under reduction mod 2^k, with which sums and products
   commute; for truncation with values in the top k bits and m = 64 - k + the toy's m, so that the shift drops exactly the bits
   that are zero, and the terms 2^(63-m), 2^(62-m) are the toy's 2^(k-1-m), 2^(k-2-m). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/script.h"
#include "tests/toy.h"
#include "variants/lib/beaver.h"

enum { TOY_K = 4, TOY_M = 2, TOY_Q = 1 << TOY_K, TRUNC_N = 1 << 4 * TOY_K, BEAVER_N = 1 << 5 * TOY_K };

struct batch {
    size_t n;
    uint64_t *word[2], *x[2], *y[2], *out[2], *sent[2], *dealt; /* dealt: what P1 got */
    unsigned top;                                               /* toy values lie above this bit */
};

static void batch_open(struct batch *b, size_t n, unsigned top)
{
    *b = (struct batch){.n = n, .top = top, .dealt = calloc(2 * n, sizeof(uint64_t))};
    for (int p = 0; p < 2; p++) {
        uint64_t **all[] = {&b->x[p], &b->y[p], &b->out[p]};
        b->word[p] = calloc(3 * n, sizeof(uint64_t));
        b->sent[p] = calloc(2 * n, sizeof(uint64_t));
        for (size_t i = 0; i < 3; i++)
            *all[i] = calloc(n, sizeof(uint64_t));
    }
}

static void batch_close(struct batch *b)
{
    free(b->dealt);
    for (int p = 0; p < 2; p++) {
        free(b->word[p]);
        free(b->x[p]);
        free(b->y[p]);
        free(b->out[p]);
        free(b->sent[p]);
    }
}

static void hear_batch(void *arg, int from, int to, const char *what, const void *data, size_t bytes)
{
    struct batch *b = arg;
    (void)to;
    if (from == SS_DEALER && (!strcmp(what, "trnc") || !strcmp(what, "beav")))
        memcpy(b->dealt, data, bytes);
    else if (from < 2)
        memcpy(b->sent[from], data, bytes);
}

static enum ss_err truncate_all(struct ss_ctx *c, void *arg)
{
    struct batch *b = arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf scratch = {0};
    const unsigned m = b->top + TOY_M;
    c->phase = SS_OFFLINE;
    if (c->role == SS_DEALER) {
        SS_TRY(ss_buf_alloc(c, &scratch, 6 * b->n * sizeof(uint64_t), SS_TAG_triples));
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_trunc_deal(c, &seeds, &scratch, 1, b->n, m, NULL));
    } else {
        SS_TRY(ss_buf_alloc(c, &scratch, 2 * b->n * sizeof(uint64_t), SS_TAG_buffers));
        uint64_t *mine = scratch.p;
        const struct ss_val x = {.buf = {.p = b->x[c->role]}, .rows = 1, .cols = b->n, .bits = c->frac_bits + m};
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_trunc_receive(c, &seeds, &corr, SS_CORR_down, b->n));
        c->phase = SS_ONLINE;
        SS_TRY(ss_trunc(c, &corr, SS_CORR_down, b->out[c->role], &x, false, mine, mine + b->n));
    }
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    ss_buf_free(c, &scratch);
    c->pass++;
    return SS_OK;
}

static enum ss_err multiply_all(struct ss_ctx *c, void *arg)
{
    struct batch *b = arg;
    struct ss_seeds seeds = {0};
    struct ss_corr corr = {0};
    struct ss_buf scratch = {0};
    const struct ss_ragged r = {.rows = b->n, .cols = 1};
    const int p = c->role;
    c->phase = SS_OFFLINE;
    if (p == SS_DEALER) {
        SS_TRY(ss_seeds_deal(c, &seeds));
        SS_TRY(ss_beaver_deal(c, &seeds, &scratch, SS_BEAVER_SCALE, &r));
    } else {
        SS_TRY(ss_seeds_receive(c, &seeds));
        SS_TRY(ss_beaver_receive(c, &seeds, &corr, SS_CORR_prob, SS_BEAVER_SCALE, &r));
        c->phase = SS_ONLINE;
        SS_TRY(ss_beaver_scale(c, &corr, SS_CORR_prob, &scratch, b->out[p], b->x[p], b->y[p], &r));
    }
    ss_seeds_close(c, &seeds);
    ss_corr_close(c, &corr);
    ss_buf_free(c, &scratch);
    c->pass++;
    return SS_OK;
}

/* Runs fn on input (x, y) with the words in the script, all toy values; the viewer's shares of the input are fixed. */
static void run_batch(struct batch *b, role_fn fn, int viewer, uint64_t x, uint64_t y)
{
    struct roles r;
    const struct script script = {{b->word[0], b->word[1]}, {3 * b->n, 3 * b->n}};
    for (size_t i = 0; i < b->n; i++) {
        b->x[viewer][i] = some(3) << b->top;
        b->x[1 - viewer][i] = (x << b->top) - b->x[viewer][i];
        b->y[viewer][i] = some(4);
        b->y[1 - viewer][i] = y - b->y[viewer][i];
    }
    roles_open(&r, hear_batch, b);
    script_set(&r, &script);
    roles_run(&r, fn, b);
    for (int role = 0; role < SS_N_ROLES; role++)
        r.ctx[role].backend = ss_backend_find("cpu");
    roles_close(&r);
}

typedef size_t (*view_fn)(const struct batch *b, int viewer, size_t i);

/* Counts the views of the batch into seen (n); true if they are not those of `first` (NULL: nothing to compare with). */
static bool differs(const struct batch *b, view_fn f, int viewer, uint32_t *seen, const uint32_t *first)
{
    memset(seen, 0, b->n * sizeof *seen);
    for (size_t i = 0; i < b->n; i++)
        seen[f(b, viewer, i)]++;
    return first && memcmp(first, seen, b->n * sizeof *seen) != 0;
}

/* Script: P0 r0 | rt0 | rm0, P1 r1, r at the top. constant: r does not depend on the choice; the views are not the same then.
 */
static void script_truncation(struct batch *b, bool constant)
{
    for (size_t i = 0; i < b->n; i++) {
        size_t left = i;
        const uint64_t r0 = digit(&left, TOY_K), r1 = constant ? 5 - r0 : digit(&left, TOY_K);
        b->word[0][i] = r0 << b->top;
        b->word[1][i] = r1 << b->top;
        b->word[0][b->n + i] = digit(&left, TOY_K);
        b->word[0][2 * b->n + i] = digit(&left, TOY_K);
    }
}

static size_t truncation_view(const struct batch *b, int viewer, size_t i)
{
    const uint64_t *dealt = viewer == SS_P0 ? b->word[0] + b->n : b->dealt;
    const size_t view = put(put(b->word[viewer][i] >> b->top, dealt[i], TOY_K), dealt[b->n + i], TOY_K);
    return put(view, b->sent[1 - viewer][i] >> b->top, TOY_K);
}

/* true if some inputs give the viewer different views. */
static bool truncation_leaks(int viewer, bool constant)
{
    struct batch b;
    bool differ = false, begun = false;
    uint32_t *first = calloc(TRUNC_N, sizeof *first), *seen = calloc(TRUNC_N, sizeof *seen);
    batch_open(&b, TRUNC_N, 64 - TOY_K);
    for (int x = -TOY_Q / 4 + 1; x < TOY_Q / 4; x++) { /* |x| < 2^(k-2): all that the slack allows */
        size_t up = 0;
        script_truncation(&b, constant);
        run_batch(&b, truncate_all, viewer, (uint64_t)(int64_t)x, 0);
        for (size_t i = 0; i < b.n; i++) {
            const int64_t got = (int64_t)(b.out[0][i] + b.out[1][i]), floor = x >> TOY_M;
            cr_assert(got == floor || got == floor + 1, "%d truncated to %lld", x, (long long)got);
            up += got != floor;
        }
        if (!constant) /* up with probability (x mod 2^m) / 2^m, exactly */
            cr_assert_eq(up, b.n / (1 << TOY_M) * (size_t)(x & ((1 << TOY_M) - 1)));
        differ = differs(&b, truncation_view, viewer, begun ? seen : first, begun ? first : NULL) || differ;
        begun = true;
    }
    free(first);
    free(seen);
    batch_close(&b);
    return differ;
}

Test(privacy_products, truncation)
{
    for (int viewer = 0; viewer < 2; viewer++) {
        cr_assert(!truncation_leaks(viewer, false), "P%d's view depends on the input", viewer);
        cr_assert(truncation_leaks(viewer, true), "P%d: a constant mask", viewer);
    }
}

/* Script: P0 a0 | b0 | c0, P1 a1 | b1. */
static void script_product(struct batch *b, bool constant)
{
    for (size_t i = 0; i < b->n; i++) {
        size_t left = i;
        const uint64_t a0 = digit(&left, TOY_K), a1 = constant ? 5 - a0 : digit(&left, TOY_K);
        b->word[0][i] = a0;
        b->word[1][i] = a1;
        b->word[0][b->n + i] = digit(&left, TOY_K);
        b->word[1][b->n + i] = digit(&left, TOY_K);
        b->word[0][2 * b->n + i] = digit(&left, TOY_K);
    }
}

static size_t product_view(const struct batch *b, int viewer, size_t i)
{
    const uint64_t product = viewer == SS_P0 ? b->word[0][2 * b->n + i] : b->dealt[i];
    const size_t view = put(put(put(0, b->word[viewer][i], TOY_K), b->word[viewer][b->n + i], TOY_K), product, TOY_K);
    return put(put(view, b->sent[1 - viewer][i], TOY_K), b->sent[1 - viewer][b->n + i], TOY_K);
}

static bool product_leaks(int viewer, bool constant)
{
    static const uint64_t inputs[][2] = {{0, 0}, {1, 15}, {7, 3}};
    struct batch b;
    bool differ = false;
    uint32_t *first = calloc(BEAVER_N, sizeof *first), *seen = calloc(BEAVER_N, sizeof *seen);
    batch_open(&b, BEAVER_N, 0);
    for (size_t k = 0; k < 3; k++) {
        script_product(&b, constant);
        run_batch(&b, multiply_all, viewer, inputs[k][0], inputs[k][1]);
        for (size_t i = 0; i < b.n; i++)
            cr_assert_eq(b.out[0][i] + b.out[1][i], inputs[k][0] * inputs[k][1]);
        differ = differs(&b, product_view, viewer, k == 0 ? first : seen, k == 0 ? NULL : first) || differ;
    }
    free(first);
    free(seen);
    batch_close(&b);
    return differ;
}

Test(privacy_products, product)
{
    for (int viewer = 0; viewer < 2; viewer++) {
        cr_assert(!product_leaks(viewer, false), "P%d's view depends on the input", viewer);
        cr_assert(product_leaks(viewer, true), "P%d: a constant mask", viewer);
    }
}
