/* test_textbook.c — 1-of-N OT of the rotated table: right for every index, N x 8 bytes a lookup, masked words only. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "tests/uniform.h"
#include "variants/lib/textbook.h"

enum { MAX_N = 700, MAX_TABLE = 1 << 14 };

struct run {
    struct ss_lookup_shape shape;
    size_t n;
    uint64_t table[MAX_TABLE];
    uint32_t t[2][MAX_N];
    uint64_t mask[2][MAX_N], w[2][MAX_N];
    uint64_t *words[2];
    struct ss_lookup_batch view[2];
    void *state[2];
};

static enum ss_err begin(struct ss_ctx *c, void *arg)
{
    struct run *t = arg;
    return c->role == SS_DEALER ? SS_OK : ss_source_textbook.begin(c, t->state[c->role], NULL);
}

static enum ss_err select_all(struct ss_ctx *c, void *arg)
{
    struct run *t = arg;
    const int me = c->role;
    if (me == SS_DEALER)
        return SS_OK;
    c->phase = SS_ONLINE;
    SS_TRY(ss_textbook_select(c, t->state[me], t->w[me], t->t[me], t->mask[me], t->table, t->n, &t->shape));
    c->phase = SS_OFFLINE;
    return SS_OK;
}

static struct run *run_new(struct roles *r, ss_tap tap, void *arg)
{
    struct run *t = calloc(1, sizeof *t);
    roles_open(r, tap, arg);
    for (int p = 0; p < 2; p++)
        t->state[p] = calloc(1, ss_source_textbook.state_bytes);
    roles_run(r, begin, t);
    randombytes_buf(t->table, sizeof t->table);
    randombytes_buf(t->mask, sizeof t->mask);
    return t;
}

static void run_free(struct roles *r, struct run *t)
{
    for (int p = 0; p < 2; p++) {
        ss_source_textbook.close(&r->ctx[p], t->state[p]);
        free(t->state[p]);
    }
    free(t);
    roles_close(r);
}

static void check(const struct run *t)
{
    const uint32_t low = (1u << t->shape.n_bits) - 1;
    for (size_t k = 0; k < t->n; k++)
        cr_assert_eq(t->w[0][k] + t->w[1][k] + t->mask[0][k] + t->mask[1][k], t->table[(t->t[0][k] + t->t[1][k]) & low],
                     "n_bits %u lookup %zu", t->shape.n_bits, k);
}

Test(textbook, every_index_and_rotation_selects_its_entry)
{
    struct roles r;
    struct run *t = run_new(&r, NULL, NULL);
    struct ss_counters e = {0};
    ss_source_textbook.cost_begin(0, &e);
    for (unsigned n_bits = 8; n_bits <= 14; n_bits++) {
        t->shape = (struct ss_lookup_shape){.n_bits = n_bits, .columns = 1};
        t->n = n_bits == 8 ? 512 : n_bits == 12 ? 300 : 70; /* 12: more than one message */
        for (size_t k = 0; k < t->n; k++) {
            t->t[0][k] = n_bits == 8 && k < 256 ? (uint32_t)k : randombytes_random(); /* upper bits do not count */
            t->t[1][k] = n_bits == 8 && k >= 256 ? (uint32_t)k : randombytes_random();
        }
        roles_run(&r, select_all, t);
        check(t);
        ss_textbook_select_cost(&t->shape, t->n, &e);
    }
    cr_assert_eq(r.ctx[0].counters.bytes_online_p0_p1, e.bytes_online_p0_p1);
    cr_assert_eq(r.ctx[1].counters.bytes_online_p1_p0, e.bytes_online_p1_p0);
    cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1, e.bytes_offline_p0_p1);
    for (int p = 0; p < 2; p++) {
        cr_assert_eq(r.ctx[p].counters.ots, e.ots);
        cr_assert_eq(r.ctx[p].counters.rounds_online, e.rounds_online);
    }
    struct ss_counters one = {0};
    ss_textbook_select_cost(&(struct ss_lookup_shape){.n_bits = 12, .columns = 1}, 8, &one);
    cr_assert_eq(one.bytes_online_p1_p0, 8 * 4096 * 8); /* N x 8 bytes a lookup */
    cr_assert_eq(one.bytes_online_p0_p1, 8 * 12 * 4);   /* log N OTs of 32 bits */
    run_free(&r, t);
}

static enum ss_err prepare(struct ss_ctx *c, void *arg)
{
    struct run *t = arg;
    const int me = c->role;
    if (me == SS_DEALER)
        return SS_OK;
    return ss_source_textbook.prepare(c, t->state[me], NULL, &t->shape, t->n, &t->view[me]);
}

Test(textbook, batches_are_masks_and_products_for_sigma_one)
{
    struct roles r;
    struct run *t = run_new(&r, NULL, NULL);
    for (int fused = 0; fused < 2; fused++) {
        t->shape = (struct ss_lookup_shape){.n_bits = 8, .columns = 1, .fused = fused};
        t->n = 333;
        for (int p = 0; p < 2; p++) {
            t->words[p] = calloc(ss_lookup_words(&t->shape, t->n), sizeof(uint64_t));
            t->view[p] = ss_lookup_view(&t->shape, t->n, t->words[p]);
        }
        int64_t before = r.ctx[0].counters.bytes_offline_p0_p1;
        roles_run(&r, prepare, t);
        for (size_t k = 0; k < t->n; k++) {
            uint64_t m[2] = {0, 0}, coef[4] = {0, 0, 0, 0};
            for (int p = 0; p < 2; p++) {
                cr_assert_eq(t->view[p].b[k], 0);
                for (size_t i = 0; i < ss_lookup_masks(&t->shape); i++)
                    m[i] += t->view[p].mask[i * t->n + k];
                for (size_t i = 0; i < ss_lookup_coefs(&t->shape); i++)
                    coef[i] += t->view[p].coef[i * t->n + k];
            }
            cr_assert_eq(coef[0], 1);
            if (!fused)
                cr_assert_eq(coef[1], m[0]);
            else
                cr_assert(coef[1] == m[1] && coef[2] == m[0] && coef[3] == m[0] * m[1]);
        }
        struct ss_counters e = {0};
        ss_source_textbook.cost(&t->shape, t->n, &e);
        cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1 - before, e.bytes_offline_p0_p1);
        for (int p = 0; p < 2; p++)
            free(t->words[p]);
    }
    const struct ss_lookup_shape two = {.n_bits = 8, .fine_bits = 4, .columns = 2};
    struct ss_counters mine = {0}, ot = {0};
    ss_source_textbook.cost(&two, 100, &mine); /* two columns: as source ot */
    ss_source_ot.cost(&two, 100, &ot);
    cr_assert_eq(ss_counters_differ(&mine, &ot), -1);
    run_free(&r, t);
}

static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    (void)from;
    (void)to;
    if (strcmp(what, "otbl") != 0)
        return;
    histogram_add(arg, h_data, 1, bytes, 0);
}

/* A table of zeros, indices all alike: P0 sees N words a lookup, all under pads. */
Test(textbook, the_receiver_sees_noise)
{
    struct roles r;
    static struct histogram seen;
    struct run *t = run_new(&r, look, &seen);
    t->shape = (struct ss_lookup_shape){.n_bits = 10, .columns = 1};
    t->n = 100;
    memset(t->table, 0, sizeof t->table);
    memset(t->t, 0, sizeof t->t);
    roles_run(&r, select_all, t);
    check(t);
    cr_assert_eq(seen.n, 100 * 1024 * 8);
    cr_assert_lt(uniform_z(&seen), UNIFORM_MOST);
    run_free(&r, t);
}
