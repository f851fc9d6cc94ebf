/* test_softspoken.c — OT extension: correct for every choice, never the same pad twice, counted as the closed form says, and
   nothing but noise on the wire. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/roles.h"
#include "tests/uniform.h"
#include "variants/lib/softspoken.h"

enum { MAX = 20000, BLOCKS = 2 };

struct run {
    size_t n[2]; /* [receiver] */
    uint8_t choice[2][MAX];
    struct ss_block m[2][2][MAX * BLOCKS]; /* [sender][message] */
    struct ss_block got[2][MAX * BLOCKS];  /* [receiver] */
    struct ss_block delta[2];
    struct ss_ot ot[2];
};

static enum ss_err setup(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    return c->role == SS_DEALER ? SS_OK : ss_ot_setup(c, &run->ot[c->role]);
}

static enum ss_err random_ots(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const int me = c->role, other = 1 - me;
    struct ss_ot_batch send = {0}, recv = {0};
    if (me == SS_DEALER)
        return SS_OK;
    struct ss_ot *ot = &run->ot[me];
    run->delta[me] = ot->send.delta;
    SS_TRY(ss_ot_extend(c, ot, &send, run->n[other], &recv, run->choice[me], run->n[me]));
    if (run->n[other])
        SS_TRY(ss_ot_pads_send(ot, &send, run->m[me][0], run->m[me][1], BLOCKS));
    if (run->n[me])
        SS_TRY(ss_ot_pads_recv(ot, &recv, run->got[me], BLOCKS));
    ss_ot_batch_free(c, &send);
    ss_ot_batch_free(c, &recv);
    return SS_OK;
}

static struct run *run_new(struct roles *r)
{
    struct run *run = calloc(1, sizeof *run);
    cr_assert(run);
    roles_run(r, setup, run);
    return run;
}

static void run_free(struct roles *r, struct run *run)
{
    for (int p = 0; p < 2; p++)
        ss_ot_close(&r->ctx[p], &run->ot[p]);
    free(run);
}

static bool same(const struct ss_block *a, const struct ss_block *b)
{
    return memcmp(a, b, BLOCKS * sizeof *a) == 0;
}

static void check_direction(const struct run *run, int receiver)
{
    const int sender = 1 - receiver;
    for (size_t i = 0; i < run->n[receiver]; i++) {
        const unsigned b = run->choice[receiver][i];
        const struct ss_block *got = run->got[receiver] + i * BLOCKS;
        cr_assert(same(got, run->m[sender][b] + i * BLOCKS), "OT %zu to %d, choice %u", i, receiver, b);
        cr_assert(!same(got, run->m[sender][1 - b] + i * BLOCKS));
        cr_assert(memcmp(got, got + 1, sizeof *got) != 0); /* the blocks of one message differ */
    }
}

Test(softspoken, every_size_and_choice_gives_the_chosen_message)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    struct run *run = run_new(&r);
    cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1, SS_OT_SETUP_BYTES);
    cr_assert_eq(r.ctx[1].counters.bytes_offline_p1_p0, SS_OT_SETUP_BYTES);
    cr_assert_eq(r.ctx[0].counters.rounds_offline, SS_OT_SETUP_ROUNDS);
    const size_t sizes[] = {1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000, 8191, 8192, 8193, 20000};
    int64_t bytes = SS_OT_SETUP_BYTES, ots = 0, rounds = SS_OT_SETUP_ROUNDS;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int pattern = 0; pattern < 4; pattern++) {
            run->n[0] = run->n[1] = sizes[k];
            if (pattern == 3)
                run->n[0] = 0; /* one direction alone */
            for (size_t i = 0; i < sizes[k]; i++)
                for (int p = 0; p < 2; p++)
                    run->choice[p][i] = pattern < 2 ? (uint8_t)pattern : (uint8_t)randombytes_uniform(2);
            roles_run(&r, random_ots, run);
            for (int p = 0; p < 2; p++)
                check_direction(run, p);
            bytes += ss_ot_extend_bytes(run->n[0]);
            ots += (int64_t)(run->n[0] + run->n[1]);
            rounds++;
        }
    cr_assert_eq(r.ctx[0].counters.bytes_offline_p0_p1, bytes);
    cr_assert_eq(r.ctx[0].counters.ots, ots);
    cr_assert_eq(r.ctx[1].counters.ots, ots);
    cr_assert_eq(r.ctx[0].counters.rounds_offline, rounds);
    run_free(&r, run);
    roles_close(&r);
}

static int compare_blocks(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct ss_block));
}

/* Numbers never repeat within a set of base OTs, so neither do pads, across batches and across messages. */
Test(softspoken, no_pad_ever_repeats)
{
    enum { ROUNDS = 6, N = 3000, EACH = 4 * BLOCKS * N };
    struct roles r;
    roles_open(&r, NULL, NULL);
    struct run *run = run_new(&r);
    struct ss_block *all = malloc(ROUNDS * EACH * sizeof *all);
    memset(run->choice, 0, sizeof run->choice); /* the same choices every time */
    run->n[0] = run->n[1] = N;
    for (size_t k = 0; k < ROUNDS; k++) {
        if (k == ROUNDS / 2)
            roles_run(&r, setup, run); /* fresh base OTs start again at number 0 */
        roles_run(&r, random_ots, run);
        for (size_t p = 0; p < 2; p++)
            for (size_t b = 0; b < 2; b++)
                memcpy(all + k * EACH + (2 * p + b) * BLOCKS * N, run->m[p][b], BLOCKS * N * sizeof *all);
    }
    qsort(all, ROUNDS * EACH, sizeof *all, compare_blocks);
    for (size_t i = 1; i < ROUNDS * EACH; i++)
        cr_assert(compare_blocks(all + i - 1, all + i) != 0);
    free(all);
    run_free(&r, run);
    roles_close(&r);
}

static void look(void *arg, int from, int to, const char *what, const void *h_data, size_t bytes)
{
    (void)to;
    if (from != SS_P0 || strcmp(what, "otex") != 0)
        return;
    histogram_add(arg, h_data, 1, bytes, 0);
}

/* What the sender sees for constant choices. */
Test(softspoken, corrections_are_uniform_whatever_the_choices)
{
    struct roles r;
    struct histogram seen;
    roles_open(&r, look, &seen);
    struct run *run = run_new(&r);
    run->n[0] = run->n[1] = MAX;
    for (int choice = 0; choice < 2; choice++) {
        memset(&seen, 0, sizeof seen);
        memset(run->choice, choice, sizeof run->choice);
        roles_run(&r, random_ots, run);
        cr_assert_gt(seen.n, 70000);
        cr_assert_lt(uniform_z(&seen), UNIFORM_MOST, "choice %d", choice);
    }
    run_free(&r, run);
    roles_close(&r);
}

static enum ss_err misuse(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const int me = c->role;
    static _Thread_local struct ss_ot_batch send, recv;
    if (me == SS_DEALER)
        return SS_OK;
    SS_TRY(ss_ot_extend(c, &run->ot[me], &send, 8, &recv, run->choice[me], 8));
    SS_TRY(ss_ot_pads_send(&run->ot[me], &send, run->m[me][0], run->m[me][1], 1));
    return ss_ot_pads_send(&run->ot[me], &send, run->m[me][0], run->m[me][1], 1);
}
static enum ss_err wrong_side(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const int me = c->role;
    static _Thread_local struct ss_ot_batch send, recv;
    if (me == SS_DEALER)
        return SS_OK;
    SS_TRY(ss_ot_extend(c, &run->ot[me], &send, 8, &recv, run->choice[me], 8));
    return ss_ot_pads_recv(&run->ot[me], &send, run->m[me][0], 1);
}
static enum ss_err lost_batch(struct ss_ctx *c, void *arg)
{
    struct run *run = arg;
    const int me = c->role;
    static _Thread_local struct ss_ot_batch send, recv;
    if (me == SS_DEALER)
        return SS_OK;
    SS_TRY(ss_ot_extend(c, &run->ot[me], &send, 8, &recv, run->choice[me], 8));
    return ss_ot_extend(c, &run->ot[me], &send, 8, &recv, run->choice[me], 8);
}
static void aborts(role_fn fn)
{
    struct roles r;
    roles_open(&r, NULL, NULL);
    struct run *run = run_new(&r);
    (void)roles_run_expecting(&r, fn, run);
}

Test(softspoken, ots_hashed_twice_abort, .signal = SIGABRT)
{
    aborts(misuse);
}

Test(softspoken, a_senders_batch_read_as_receivers_aborts, .signal = SIGABRT)
{
    aborts(wrong_side);
}

Test(softspoken, a_batch_overwritten_before_use_aborts, .signal = SIGABRT)
{
    aborts(lost_batch);
}
