/* comparison.c — see comparison.h. */
#include "tests/comparison.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum ss_err comparison_run(struct ss_ctx *c, void *arg)
{
    const struct comparison *run = arg;
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

void comparison_alloc(struct comparison *run)
{
    const size_t all = run->shape.thresholds * run->rows * run->cols;
    for (int p = 0; p < 2; p++) {
        run->x[p] = calloc(run->rows * run->stride, sizeof(uint64_t));
        run->s[p] = calloc(all, sizeof(uint64_t));
        run->sx[p] = run->shape.product ? calloc(all, sizeof(uint64_t)) : NULL;
    }
}

void comparison_free(struct comparison *run)
{
    for (int p = 0; p < 2; p++) {
        free(run->x[p]);
        free(run->s[p]);
        free(run->sx[p]);
    }
}

/* The dealer's seeds name the party whose stream they begin. */
enum { MAGIC = 0x5eedf00d };
static struct ss_backend scripted; /* of the one script */
static const struct script *active;
static uint64_t seeds_drawn;

static enum ss_err scripted_fill(struct ss_dev *dev, uint64_t *out, size_t n, const struct ss_aes_key *key, uint64_t nonce,
                                 uint64_t first_block)
{
    (void)dev;
    (void)nonce;
    uint64_t seed[2]; /* the first round key is the key */
    memcpy(seed, key->round_keys, sizeof seed);
    if (seed[1] != MAGIC) {
        cr_assert_eq(n, 2); /* the dealer draws a seed */
        out[0] = seeds_drawn++ % 2;
        out[1] = MAGIC;
        return SS_OK;
    }
    cr_assert(2 * first_block + n <= active->n);
    memcpy(out, active->words[seed[0]] + 2 * first_block, n * sizeof *out);
    return SS_OK;
}

void script_open(struct script *s, struct roles *r, size_t words)
{
    scripted = *r->ctx[0].backend;
    scripted.prg_fill = scripted_fill;
    seeds_drawn = 0;
    active = s;
    s->n = words;
    for (int p = 0; p < 2; p++)
        s->words[p] = calloc(words, sizeof(uint64_t));
    for (int role = 0; role < SS_N_ROLES; role++)
        r->ctx[role].backend = &scripted;
}

void script_close(struct script *s)
{
    free(s->words[0]);
    free(s->words[1]);
}
