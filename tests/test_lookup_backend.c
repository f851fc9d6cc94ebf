/* test_lookup_backend.c — oblivious lookups and products of shares: every backend and instruction set gives what the portable
   CPU code gives, bit for bit, also outside the outputs. (What those values mean: test_columns.c, test_source_ot.c.) */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/random.h"
#include "tests/targets.h"
#include "variants/lib/prg.h"

enum { MAX_HELD = 32 };

/* The same array on both devices. */
struct array {
    void *of[2];
    size_t bytes;
};

/* [0]: the portable CPU; [1]: who is under test. */
struct pair {
    const struct ss_backend *b[2];
    struct ss_dev *dev[2];
    const char *isa;
    struct array held[MAX_HELD];
    size_t n;
    uint64_t seed;
};

/* op on both devices; A(x) is the array x on the device in hand. */
#define A(x) ((x).of[k])
#define BOTH(p, op, ...)                                                                                                       \
    for (int k = 0; k < 2; k++)                                                                                                \
    cr_assert_eq((p)->b[k]->op((p)->dev[k], __VA_ARGS__), SS_OK, "%s on %s %s", #op, (p)->b[k]->name, (p)->isa)

static struct array put(struct pair *p, const void *h, size_t bytes)
{
    cr_assert_lt(p->n, (size_t)MAX_HELD);
    struct array *a = &p->held[p->n++];
    a->bytes = bytes;
    for (int k = 0; k < 2; k++) {
        cr_assert_eq(p->b[k]->alloc(p->dev[k], &a->of[k], bytes), SS_OK);
        cr_assert_eq(p->b[k]->upload(p->dev[k], a->of[k], h, bytes), SS_OK);
    }
    return *a;
}

static struct array words(struct pair *p, size_t n)
{
    uint64_t *h = malloc(n * 8 + 8);
    cr_assert(h);
    for (size_t i = 0; i < n; i++)
        h[i] = random64(&p->seed);
    struct array a = put(p, h, n * 8);
    free(h);
    return a;
}

static struct array small_bytes(struct pair *p, size_t n, uint8_t below)
{
    uint8_t *h = malloc(n + 1);
    cr_assert(h);
    for (size_t i = 0; i < n; i++)
        h[i] = (uint8_t)(random64(&p->seed) % below);
    struct array a = put(p, h, n);
    free(h);
    return a;
}

static void same(struct pair *p, struct array a, const char *what, size_t case_n)
{
    uint8_t *want = malloc(2 * a.bytes + 1), *got = want + a.bytes;
    cr_assert(want);
    cr_assert_eq(p->b[0]->download(p->dev[0], want, a.of[0], a.bytes), SS_OK);
    cr_assert_eq(p->b[1]->download(p->dev[1], got, a.of[1], a.bytes), SS_OK);
    size_t at = 0;
    while (at < a.bytes && want[at] == got[at])
        at++;
    cr_assert_eq(at, a.bytes, "%s (n = %zu) on %s %s differs first in byte %zu of %zu", what, case_n, p->b[1]->name, p->isa, at,
                 a.bytes);
    free(want);
}

static void drop_all(struct pair *p)
{
    while (p->n) {
        const struct array a = p->held[--p->n];
        for (int k = 0; k < 2; k++)
            p->b[k]->free(p->dev[k], a.of[k], a.bytes, false);
    }
}

static void run_one(const struct ss_backend *b, const char *isa, void (*check)(struct pair *p))
{
    const struct ss_dev_options o = {.threads = 2};
    struct pair p = {.b = {ss_backend_find("cpu"), b}, .isa = isa, .seed = 1};
    setenv("SHARDSCALE_CPU", "portable", 1);
    cr_assert_eq(p.b[0]->open(&p.dev[0], &o), SS_OK);
    setenv("SHARDSCALE_CPU", *isa ? isa : "portable", 1);
    cr_assert_eq(b->open(&p.dev[1], &o), SS_OK, "%s %s", b->name, isa);
    check(&p);
    drop_all(&p);
    for (int k = 0; k < 2; k++)
        p.b[k]->close(p.dev[k]);
}

static void on_each(void (*check)(struct pair *p))
{
    for (struct target t = {0}; next_target(&t);)
        if (strcmp(t.isa, "portable") != 0)
            run_one(t.b, t.isa, check);
}

static struct ss_aes_key random_key(struct pair *p)
{
    const uint64_t h[2] = {random64(&p->seed), random64(&p->seed)};
    uint8_t raw[16];
    struct ss_aes_key key;
    memcpy(raw, h, sizeof raw);
    ss_aes_expand(&key, raw);
    return key;
}

/* ---- keys and one-hot shares ---- */

static void check_dpf_shape(struct pair *p, size_t n, unsigned n_bits, unsigned fine_bits)
{
    const struct ss_lookup_shape s = {.n_bits = n_bits, .fine_bits = fine_bits, .columns = 1};
    const size_t levels = n_bits - 7, row = (size_t)1 << (n_bits - 6);
    const struct ss_aes_key key = random_key(p);
    const struct array root0 = words(p, 2 * n), root1 = words(p, 2 * n), b0 = words(p, n), b1 = words(p, n);
    const struct array cw = words(p, n * (levels + 1) * 2), sign = words(p, n), bits = words(p, n * row + 1);
    BOTH(p, dpf_gen, A(cw), A(sign), A(root0), A(root1), A(b0), A(b1), n, &s, &key);
    same(p, cw, "dpf_gen's corrections", n);
    same(p, sign, "dpf_gen's signs", n);
    for (int party = 0; party < 2; party++) {
        BOTH(p, dpf_eval, A(bits), party ? A(root1) : A(root0), A(cw), n, n_bits, &key, party);
        same(p, bits, "dpf_eval", n);
    }
    const struct array other = words(p, n * row + 1);
    BOTH(p, onehot_deal, A(other), A(sign), A(bits), A(b0), A(b1), n, &s);
    same(p, other, "onehot_deal", n);
    same(p, sign, "onehot_deal's signs", n);
    drop_all(p);
}

static void check_dpf(struct pair *p)
{
    static const size_t ns[] = {1, 31, 1000};
    for (unsigned n_bits = 8; n_bits <= 14; n_bits++)
        for (size_t i = 0; i < 3; i++)
            check_dpf_shape(p, n_bits > 12 && i == 2 ? 130 : ns[i], n_bits, n_bits % 3 * 4);
}

Test(lookup_backend, dpf_keys_and_unit_vectors_equal_the_portable_ones)
{
    on_each(check_dpf);
}

/* ---- sums of selected entries ---- */

/* Random entries of exactly `planes` bytes each, and their planes as table.c makes them. */
static struct array table_planes(struct pair *p, uint64_t *entries, size_t n, const unsigned *planes, unsigned columns)
{
    uint8_t *h = malloc(16 * n);
    cr_assert(h);
    size_t at = 0;
    for (unsigned c = 0; c < columns; c++) {
        const unsigned bits = 8 * planes[c];
        for (size_t i = 0; i < n; i++) {
            const int64_t edge = i % 5 ? 0 : INT64_MAX, v = edge ? edge : (int64_t)random64(&p->seed);
            entries[c * n + i] = (uint64_t)((i % 2 ? v : ~v) >> (64 - bits));
        }
        for (unsigned k = 0; k < planes[c]; k++)
            for (size_t i = 0; i < n; i++)
                h[at++] = (uint8_t)((entries[c * n + i] + ((uint64_t)1 << (bits - 1))) >> (8 * k));
    }
    const struct array a = put(p, h, at);
    free(h);
    return a;
}

static void check_sum_shape(struct pair *p, size_t n, unsigned n_bits, unsigned columns, unsigned planes0, unsigned planes1,
                            size_t skew)
{
    const size_t size = (size_t)1 << n_bits, row = size / 64;
    const unsigned planes[2] = {planes0, columns == 2 ? planes1 : 0};
    const struct ss_lookup_shape s = {.n_bits = n_bits, .fine_bits = columns == 2 ? 9 : 0, .columns = columns};
    uint64_t *h = malloc(2 * size * 8);
    cr_assert(h);
    const struct array plane = table_planes(p, h, size, planes, columns), entries = put(p, h, columns * size * 8);
    free(h);
    const struct array bits = words(p, n * row + skew), e0 = words(p, n / 2 + 1), e1 = words(p, n / 2 + 1);
    const struct array mask = words(p, 2 * n), w = words(p, n + 1), v = words(p, n + 1);
    for (int party = 0; party < 2; party++) {
        for (int k = 0; k < 2; k++) {
            const struct ss_lookup_table t = {A(entries), A(plane), {planes[0], planes[1]}};
            cr_assert_eq(
                p->b[k]->lookup_sum(p->dev[k], A(w), A(v), (uint64_t *)A(bits) + skew, A(e0), A(e1), A(mask), &t, n, &s, party),
                SS_OK);
        }
        same(p, w, "lookup_sum's w", n);
        same(p, v, "lookup_sum's v", n);
    }
    drop_all(p);
}

static void check_sums(struct pair *p)
{
    static const size_t ns[] = {1, 31, 1000, 513};
    for (unsigned n_bits = 8; n_bits <= 14; n_bits++)
        for (size_t i = 0; i < 4; i++)
            for (unsigned columns = 1; columns <= 2; columns++)
                check_sum_shape(p, ns[i], n_bits, columns, 1 + (n_bits + (unsigned)i) % 7, 1 + (n_bits + 2 * (unsigned)i) % 8,
                                0);
    check_sum_shape(p, 1000, 12, 2, 8, 8, 0); /* the most planes there can be */
    check_sum_shape(p, 1000, 12, 2, 8, 7, 0);
    check_sum_shape(p, 1000, 12, 2, 4, 3, 0);
    check_sum_shape(p, 1000, 12, 2, 4, 4, 0);
    check_sum_shape(p, 1000, 14, 2, 8, 7, 0);
    check_sum_shape(p, 1000, 10, 2, 3, 3, 1); /* bits aligned to 8 bytes only */
    check_sum_shape(p, 20000, 8, 2, 3, 3, 0);
}

Test(lookup_backend, sums_equal_the_portable_ones, .timeout = 600)
{
    on_each(check_sums);
}

/* ---- the other steps of a lookup ---- */

static void check_steps_shape(struct pair *p, size_t rows, size_t cols, unsigned columns, bool fused)
{
    const size_t n = rows * cols, masks = columns + (fused ? 1 : 0), stride = cols + 3;
    const struct ss_lookup_shape s = {.n_bits = 12, .fine_bits = columns == 2 ? 7 : 0, .columns = columns, .fused = fused};
    const struct array x = words(p, rows * stride), b = words(p, n), b1 = words(p, n), e = words(p, n / 2 + 1);
    const struct array up = small_bytes(p, cols, 20), coef0 = words(p, 6 * n), coef1 = words(p, 6 * n), out = words(p, n + 1);
    const struct array mask0 = words(p, masks * n), mask1 = words(p, masks * n), sign = words(p, n);
    BOTH(p, lookup_deal, A(coef1), A(coef0), A(sign), A(b), A(b1), A(mask0), A(mask1), n, &s);
    same(p, coef1, "lookup_deal", n);
    BOTH(p, lookup_close, A(out), A(mask0), A(mask1), A(coef1), n, &s);
    same(p, out, "lookup_close", n);
    for (int party = 0; party < 2; party++)
        for (unsigned m = 0; m < 40; m += 12) { /* m + 19 stays below 64 */
            const uint64_t lo = random64(&p->seed);
            BOTH(p, lookup_index, A(e), A(x), stride, A(b), rows, cols, m, m == 24 ? NULL : A(up), lo, &s, party);
            same(p, e, "lookup_index", n);
        }
    drop_all(p);
}

static void check_steps(struct pair *p)
{
    static const size_t shapes[][2] = {{1, 1}, {1, 31}, {20, 50}, {301, 33}};
    for (size_t i = 0; i < 4; i++)
        for (unsigned columns = 1; columns <= 2; columns++)
            for (int fused = 0; fused < 2; fused++)
                check_steps_shape(p, shapes[i][0], shapes[i][1], columns, fused);
}

Test(lookup_backend, deals_indices_and_closes_equal_the_portable_ones)
{
    on_each(check_steps);
}

/* ---- products of shares ---- */

static void check_elements_shape(struct pair *p, size_t rows, size_t cols)
{
    const size_t n = rows * cols, stride = cols + 5;
    const struct array a = words(p, rows * stride), b = words(p, n), c = words(p, n), d = words(p, n), e = words(p, n);
    const struct array out = words(p, n + 1), g = words(p, cols), of_row = words(p, rows), sums = words(p, rows + 1);
    BOTH(p, ring_sub_rows, A(out), A(a), stride, A(b), rows, cols);
    same(p, out, "ring_sub_rows", n);
    BOTH(p, ring_sub_rows, A(out), A(a), stride, NULL, rows, cols);
    same(p, out, "ring_sub_rows without b", n);
    BOTH(p, ring_beaver, A(out), A(b), A(c), A(d), A(e), A(a), A(b), A(c), rows, cols);
    same(p, out, "ring_beaver", n);
    BOTH(p, ring_beaver, A(out), A(b), A(c), A(out), A(e), A(a), NULL, A(c), 1, n); /* in place */
    same(p, out, "ring_beaver in place", n);
    BOTH(p, ring_scale_cols, A(out), A(g), rows, cols);
    same(p, out, "ring_scale_cols", n);
    for (int party = 0; party < 2; party++) {
        BOTH(p, ring_square_sum, A(sums), A(b), A(c), A(d), A(of_row), rows, cols, party);
        same(p, sums, "ring_square_sum", n);
    }
    drop_all(p);
}

static void check_elements(struct pair *p)
{
    check_elements_shape(p, 1, 1);
    check_elements_shape(p, 31, 1);
    check_elements_shape(p, 3, 1536);
    check_elements_shape(p, 57, 259);
}

Test(lookup_backend, elementwise_products_equal_the_portable_ones)
{
    on_each(check_elements);
}

static void check_rope_shape(struct pair *p, size_t rows, size_t heads, size_t d_head)
{
    const size_t stride = heads * d_head + 7;
    const struct array x = words(p, rows * stride), cs = words(p, rows * d_head / 2), up = small_bytes(p, heads * d_head, 30);
    BOTH(p, ring_rope, A(x), rows, stride, heads, d_head, A(cs), A(up));
    same(p, x, "ring_rope", rows);
    drop_all(p);
}

static void check_rope(struct pair *p)
{
    check_rope_shape(p, 1, 1, 2);
    check_rope_shape(p, 13, 3, 64);
    check_rope_shape(p, 56, 14, 128);
}

Test(lookup_backend, rotations_equal_the_portable_ones)
{
    on_each(check_rope);
}

static void check_ragged_shape(struct pair *p, const struct ss_ragged *r)
{
    const size_t all = ss_ragged_start(r, r->rows);
    const struct array in = words(p, r->rows), out = words(p, all + 1), sums = words(p, r->rows + 1);
    BOTH(p, ring_spread, A(out), A(in), r);
    same(p, out, "ring_spread", r->rows);
    const struct array x = words(p, all), next = words(p, all + 1), diff = words(p, all + 1);
    BOTH(p, ring_row_sums, A(sums), A(x), r);
    same(p, sums, "ring_row_sums", r->rows);
    const size_t longest = r->tokens ? r->past + r->tokens : r->cols;
    for (unsigned level = 0; (size_t)1 << level < longest; level++) {
        BOTH(p, tournament_split, A(diff), A(x), r, level);
        same(p, diff, "tournament_split", r->rows);
        BOTH(p, tournament_join, A(next), A(x), A(diff), r, level);
        same(p, next, "tournament_join", r->rows);
        BOTH(p, copy, A(x), A(next), all * 8);
    }
    drop_all(p);
}

static void check_ragged(struct pair *p)
{
    static const struct ss_ragged shapes[] = {{1, 1, 0, 0},       {31, 1, 0, 0},        {7, 100, 0, 0}, {1000, 33, 0, 0},
                                              {1, 0, 1, 0},       {5, 0, 1, 30},        {36, 0, 12, 0}, {3 * 56, 0, 56, 0},
                                              {2 * 31, 0, 31, 9}, {4 * 17, 0, 17, 1000}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_ragged_shape(p, &shapes[i]);
}

Test(lookup_backend, ragged_rows_and_tournaments_equal_the_portable_ones)
{
    on_each(check_ragged);
}

static void check_attention_shape(struct pair *p, const struct ss_attention *a)
{
    const struct ss_ragged r = {.rows = a->n_heads * a->tokens, .tokens = a->tokens, .past = a->past};
    const size_t all = ss_ragged_start(&r, r.rows), keys = a->past + a->tokens, stride = (a->n_heads + 2 * a->n_kv) * a->d_head;
    const struct array q = words(p, a->tokens * stride), k_all = words(p, keys * (a->n_kv * a->d_head + 3));
    const struct array scores = words(p, all + 1), out = words(p, a->tokens * a->n_heads * a->d_head + 1);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        BOTH(p, gemm_u64_scores, A(scores), A(q), stride, A(k_all), a->n_kv * a->d_head + 3, a, accumulate);
        same(p, scores, "gemm_u64_scores", a->tokens);
        BOTH(p, gemm_u64_values, A(out), A(scores), A(k_all), a->n_kv * a->d_head + 3, a, accumulate);
        same(p, out, "gemm_u64_values", a->tokens);
    }
    drop_all(p);
}

static void check_attention(struct pair *p)
{
    static const struct ss_attention shapes[] = {{1, 0, 1, 1, 2},   {1, 100, 4, 2, 64}, {5, 3, 2, 1, 40},
                                                 {17, 0, 6, 2, 33}, {56, 0, 4, 2, 128}, {33, 50, 3, 3, 96}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_attention_shape(p, &shapes[i]);
}

Test(lookup_backend, matrix_products_of_attention_equal_the_portable_ones)
{
    on_each(check_attention);
}
