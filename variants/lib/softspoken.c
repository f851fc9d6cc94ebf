/* softspoken.c — extension and its use; the trees are in ottree.c. */
#include "variants/lib/softspoken.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "variants/lib/ottree.h"

/* OTs worked on at a time: 16 leaves of CHUNK / 8 bytes fit the first-level cache, the 128 bit planes the second. */
enum { CHUNK = 8192, LANES = 64, WORDS = CHUNK / LANES };

struct work {
    uint64_t leaf[SS_OT_LEAVES][WORDS];
    uint64_t plane[SS_BASE_OTS][WORDS]; /* bit j of plane i = bit i of string j */
    uint64_t choice[WORDS];
};

enum ss_err ss_ot_setup(struct ss_ctx *c, struct ss_ot *ot)
{
    struct ss_baseot *base = malloc(sizeof *base);
    struct ss_hostwire wire = ot->wire;
    enum ss_err err = SS_OK;
    ot->wire = (struct ss_hostwire){{0}, {0}};
    ss_ot_close(c, ot);
    ot->wire = wire;
    ot->work = aligned_alloc(64, sizeof(struct work));
    if (!base || !ot->work)
        SS_FAIL_OUT(SS_ENV, "out of memory for oblivious transfer");
    SS_TRY_OUT(ss_baseot_run(c, &ot->wire, base));
    SS_TRY_OUT(ss_othash_open(&ot->hash, base->public_key));
    SS_TRY_OUT(ss_ottree_build(c, ot, base));
    ot->ready = true;
out:
    if (base)
        sodium_memzero(base, sizeof *base);
    free(base);
    return err;
}

void ss_ot_close(struct ss_ctx *c, struct ss_ot *ot)
{
    if (ot->work)
        sodium_memzero(ot->work, sizeof(struct work));
    free(ot->work);
    ss_othash_close(&ot->hash);
    ss_hostwire_close(c, &ot->wire);
    sodium_memzero(ot, sizeof *ot);
}

void ss_ot_setup_cost(struct ss_counters *e)
{
    e->bytes_offline_p0_p1 += SS_OT_SETUP_BYTES;
    e->bytes_offline_p1_p0 += SS_OT_SETUP_BYTES;
    e->rounds_offline += SS_OT_SETUP_ROUNDS;
}

static void xor_into(uint64_t *restrict a, const uint64_t *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] ^= b[i];
}

/* plane[t] = sum of the leaves whose number has bit t; the sum of all leaves ends in leaf[0]. Pairs are added level by level,
   so that 15 + 15 additions do (Roy 2022, section 3.1, "efficient computation"). */
static void fold(struct work *w, size_t group, size_t words)
{
    for (size_t t = 0, step = 1; t < SS_OT_K; t++, step *= 2) {
        uint64_t *plane = w->plane[group * SS_OT_K + t];
        memset(plane, 0, words * sizeof *plane);
        for (size_t x = 0; x < SS_OT_LEAVES; x += 2 * step) {
            xor_into(plane, w->leaf[x + step], words);
            xor_into(w->leaf[x], w->leaf[x + step], words);
        }
    }
}

/* Bit j of word i to bit i of word j (Hacker's Delight, section 7-3, for 64 bits). */
static void transpose64(uint64_t a[LANES])
{
    uint64_t mask = 0x00000000ffffffff;
    for (size_t half = 32; half; half /= 2, mask ^= mask << half)
        for (size_t base = 0; base < LANES; base += 2 * half)
            for (size_t i = base; i < base + half; i++) {
                const uint64_t t = (a[i] >> half ^ a[i + half]) & mask;
                a[i + half] ^= t;
                a[i] ^= t << half;
            }
}

static void planes_to_strings(struct ss_block *out, const struct work *w, size_t n)
{
    for (size_t j = 0; j * LANES < n; j++)
        for (size_t half = 0; half < 2; half++) {
            uint64_t a[LANES];
            for (size_t i = 0; i < LANES; i++)
                a[i] = w->plane[half * LANES + i][j];
            transpose64(a);
            for (size_t i = 0; i < LANES && j * LANES + i < n; i++)
                out[j * LANES + i].w[half] = a[i];
        }
}

static enum ss_err expand(struct ss_ctx *c, struct work *w, const struct ss_ot_side *side, size_t group, size_t words)
{
    for (size_t x = 0; x < SS_OT_LEAVES; x++)
        SS_TRY(c->host->prg_fill(c->host_dev, w->leaf[x], words, &side->leaf[group][x], 0, side->next_block));
    return SS_OK;
}

/* Receiver, n <= CHUNK OTs: corrections d (32, ceil(n / 8)) bytes, strings t. */
static enum ss_err extend_receiver(struct ss_ctx *c, struct ss_ot *ot, struct ss_block *string, uint8_t *d,
                                   const uint8_t *choice, size_t n)
{
    struct work *w = (struct work *)ot->work;
    const size_t bytes = (n + 7) / 8, words = 2 * ((n + 127) / 128);
    memset(w->choice, 0, sizeof w->choice);
    for (size_t i = 0; i < n; i++)
        w->choice[i / LANES] |= (uint64_t)(choice[i] & 1) << i % LANES;
    for (size_t g = 0; g < SS_OT_GROUPS; g++) {
        SS_TRY(expand(c, w, &ot->recv, g, words));
        fold(w, g, words);
        xor_into(w->leaf[0], w->choice, words);
        memcpy(d + g * bytes, w->leaf[0], bytes);
    }
    planes_to_strings(string, w, n);
    ot->recv.next_block += words / 2;
    return SS_OK;
}

static enum ss_err extend_sender(struct ss_ctx *c, struct ss_ot *ot, struct ss_block *string, const uint8_t *d, size_t n)
{
    struct work *w = (struct work *)ot->work;
    const size_t bytes = (n + 7) / 8, words = 2 * ((n + 127) / 128);
    for (size_t g = 0; g < SS_OT_GROUPS; g++) {
        SS_TRY(expand(c, w, &ot->send, g, words));
        memset(w->leaf[0], 0, words * sizeof(uint64_t)); /* the leaf that this party does not have; its factor is 0 */
        fold(w, g, words);
        memset(w->choice, 0, words * sizeof(uint64_t));
        memcpy(w->choice, d + g * bytes, bytes);
        for (size_t t = 0; t < SS_OT_K; t++) {
            const size_t bit = g * SS_OT_K + t;
            const uint64_t mask = -(ot->send.delta.w[bit / 64] >> bit % 64 & 1);
            for (size_t i = 0; i < words; i++)
                w->plane[bit][i] ^= mask & w->choice[i];
        }
    }
    planes_to_strings(string, w, n);
    ot->send.next_block += words / 2;
    return SS_OK;
}

static enum ss_err batch_open(struct ss_ot_batch *b, struct ss_ot_side *side, size_t n, int state)
{
    SS_REQUIRE(b->state == SS_OT_NONE || b->state == SS_OT_USED); /* an unused batch would be lost */
    ss_ot_batch_free(b);
    b->string = malloc(n * sizeof *b->string);
    if (!b->string)
        SS_FAIL(SS_ENV, "out of memory for %zu OT strings", n);
    SS_REQUIRE(side->next_id + n >= side->next_id); /* a number is never used twice */
    b->n = n;
    b->first_id = side->next_id;
    b->state = state;
    side->next_id += n;
    return SS_OK;
}

void ss_ot_batch_free(struct ss_ot_batch *b)
{
    if (b->string)
        sodium_memzero(b->string, b->n * sizeof *b->string);
    free(b->string);
    *b = (struct ss_ot_batch){0};
}

enum ss_err ss_ot_extend(struct ss_ctx *c, struct ss_ot *ot, struct ss_ot_batch *send, size_t n_send, struct ss_ot_batch *recv,
                         const uint8_t *choice, size_t n_recv)
{
    SS_REQUIRE(ot->ready && (n_send || n_recv));
    enum ss_err err = SS_OK;
    const size_t out_bytes = (size_t)ss_ot_extend_bytes(n_recv), in_bytes = (size_t)ss_ot_extend_bytes(n_send);
    uint8_t *d = calloc(out_bytes + in_bytes, 1);
    if (!d)
        SS_FAIL_OUT(SS_ENV, "out of memory for the corrections of %zu OTs", n_send + n_recv);
    if (n_recv)
        SS_TRY_OUT(batch_open(recv, &ot->recv, n_recv, SS_OT_RECEIVER));
    if (n_send)
        SS_TRY_OUT(batch_open(send, &ot->send, n_send, SS_OT_SENDER));
    for (size_t i = 0; i < n_recv; i += CHUNK) /* chunks start at multiples of 8, so only the last has spare bits */
        SS_TRY_OUT(extend_receiver(c, ot, recv->string + i, d + ss_ot_extend_bytes(i), choice + i,
                                   n_recv - i < CHUNK ? n_recv - i : CHUNK));
    SS_TRY_OUT(ss_hostwire_swap(c, &ot->wire, "otex", d, out_bytes, d + out_bytes, in_bytes));
    for (size_t i = 0; i < n_send; i += CHUNK)
        SS_TRY_OUT(extend_sender(c, ot, send->string + i, d + out_bytes + ss_ot_extend_bytes(i),
                                 n_send - i < CHUNK ? n_send - i : CHUNK));
    c->counters.ots += (int64_t)(n_send + n_recv);
out:
    free(d);
    return err;
}

enum ss_err ss_ot_pads_send(const struct ss_ot *ot, struct ss_ot_batch *b, struct ss_block *m0, struct ss_block *m1,
                            size_t blocks)
{
    SS_REQUIRE(b->state == SS_OT_SENDER);
    b->state = SS_OT_USED;
    SS_TRY(ss_othash_run(&ot->hash, m0, blocks, b->string, NULL, b->n, b->first_id, SS_OT_SPACE_PADS));
    return ss_othash_run(&ot->hash, m1, blocks, b->string, &ot->send.delta, b->n, b->first_id, SS_OT_SPACE_PADS);
}

enum ss_err ss_ot_pads_recv(const struct ss_ot *ot, struct ss_ot_batch *b, struct ss_block *m, size_t blocks)
{
    SS_REQUIRE(b->state == SS_OT_RECEIVER);
    b->state = SS_OT_USED;
    return ss_othash_run(&ot->hash, m, blocks, b->string, NULL, b->n, b->first_id, SS_OT_SPACE_PADS);
}

enum ss_err ss_ot_strings(struct ss_ctx *c, struct ss_ot *ot, struct ss_ot_batch *send, const uint8_t *h_in,
                          struct ss_ot_batch *recv, const uint8_t *choice, uint8_t *h_out, size_t bytes)
{
    const size_t n_send = h_in ? send->n : 0, n_recv = h_out ? recv->n : 0, blocks = (bytes + SS_OT_BYTES - 1) / SS_OT_BYTES;
    const size_t pad = blocks * SS_OT_BYTES, out_bytes = 2 * n_send * bytes, in_bytes = 2 * n_recv * bytes;
    enum ss_err err = SS_OK;
    SS_REQUIRE((n_send || n_recv) && bytes > 0);
    uint8_t *pads = malloc((2 * n_send + n_recv) * pad), *message = malloc(out_bytes + in_bytes);
    if (!pads || !message)
        SS_FAIL_OUT(SS_ENV, "out of memory for %zu OT messages", n_send + n_recv);
    if (n_send)
        SS_TRY_OUT(ss_ot_pads_send(ot, send, (struct ss_block *)pads, (struct ss_block *)(pads + n_send * pad), blocks));
    for (size_t i = 0; i < 2 * n_send; i++)
        for (size_t j = 0; j < bytes; j++)
            message[i * bytes + j] = h_in[i * bytes + j] ^ pads[(i % 2 * n_send + i / 2) * pad + j];
    SS_TRY_OUT(ss_hostwire_swap(c, &ot->wire, "otst", message, out_bytes, message + out_bytes, in_bytes));
    uint8_t *mine = pads + 2 * n_send * pad;
    if (n_recv)
        SS_TRY_OUT(ss_ot_pads_recv(ot, recv, (struct ss_block *)mine, blocks));
    for (size_t i = 0; i < n_recv; i++) {
        const uint8_t *pair = message + out_bytes + 2 * i * bytes, mask = (uint8_t) - (choice[i] & 1);
        for (size_t j = 0; j < bytes; j++)
            h_out[i * bytes + j] = (uint8_t)(mine[i * pad + j] ^ pair[j] ^ (mask & (pair[j] ^ pair[bytes + j])));
    }
out:
    if (pads)
        sodium_memzero(pads, (2 * n_send + n_recv) * pad);
    free(pads);
    free(message);
    return err;
}
