/* gilboa.c — see gilboa.h. */
#include "variants/lib/gilboa.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_BITS = 64 };

static const uint8_t full_width[1] = {8};
/* Bit i of a factor needs the other factor mod 2^(64 - i). */
static const uint8_t product_width[WORD_BITS] = {8, 8, 8, 8, 8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6,
                                                 6, 6, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3,
                                                 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1};

static size_t message_bytes(const struct ss_cot_format *f, size_t n)
{
    size_t period_bytes = 0, bytes;
    for (size_t i = 0; i < f->period; i++)
        period_bytes += f->words * f->width[i];
    bytes = n / f->period * period_bytes;
    for (size_t i = 0; i < n % f->period; i++)
        bytes += f->words * f->width[i];
    return bytes;
}

/* Message word: H(q) - H(q + D) + delta; the sender keeps -H(q). pads: the two messages of each OT. */
static void correct(const struct ss_cot_format *f, uint8_t *message, uint64_t *out, const uint64_t *delta, const uint64_t *pad0,
                    const uint64_t *pad1, size_t n, size_t stride)
{
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < f->words; w++) {
            const uint64_t kept = pad0[i * stride + w], word = kept - pad1[i * stride + w] + delta[i * f->words + w];
            const size_t width = f->width[i % f->period];
            memcpy(message, &word, width); /* little-endian: x86-64 */
            message += width;
            out[i * f->words + w] = 0 - kept;
        }
}

/* b = 0: H(t) = H(q). b = 1: H(t) + word = H(q) + delta. */
static void open_message(const struct ss_cot_format *f, uint64_t *out, const uint8_t *message, const uint8_t *choice,
                         const uint64_t *pad, size_t n, size_t stride)
{
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < f->words; w++) {
            const size_t width = f->width[i % f->period];
            uint64_t word = 0;
            memcpy(&word, message, width);
            message += width;
            out[i * f->words + w] = pad[i * stride + w] + (-(uint64_t)(choice[i] & 1) & word);
        }
}

enum ss_err ss_cot(struct ss_ctx *c, struct ss_ot *ot, const struct ss_cot_format *f, const uint8_t *choice, uint64_t *out_recv,
                   size_t n_recv, const uint64_t *delta, uint64_t *out_send, size_t n_send)
{
    SS_REQUIRE(f->words > 0 && f->words <= SS_COT_MAX_WORDS && f->period > 0);
    enum ss_err err = SS_OK;
    const size_t blocks = (f->words + 1) / 2, out_bytes = message_bytes(f, n_send), in_bytes = message_bytes(f, n_recv);
    struct ss_ot_batch send = {0}, recv = {0};
    struct ss_block *pad = malloc((2 * n_send + n_recv) * blocks * sizeof *pad);
    uint8_t *message = malloc(out_bytes + in_bytes);
    if (!pad || !message)
        SS_FAIL_OUT(SS_ENV, "out of memory for %zu correlated OTs", n_send + n_recv);
    struct ss_block *pad1 = pad + n_send * blocks, *mine = pad + 2 * n_send * blocks;
    SS_TRY_OUT(ss_ot_extend(c, ot, &send, n_send, &recv, choice, n_recv));
    if (n_send)
        SS_TRY_OUT(ss_ot_pads_send(ot, &send, pad, pad1, blocks));
    correct(f, message, out_send, delta, &pad->w[0], &pad1->w[0], n_send, 2 * blocks);
    SS_TRY_OUT(ss_hostwire_swap(c, &ot->wire, "otco", message, out_bytes, message + out_bytes, in_bytes));
    if (n_recv)
        SS_TRY_OUT(ss_ot_pads_recv(ot, &recv, mine, blocks));
    open_message(f, out_recv, message + out_bytes, choice, &mine->w[0], n_recv, 2 * blocks);
out:
    ss_ot_batch_free(&send);
    ss_ot_batch_free(&recv);
    if (pad)
        sodium_memzero(pad, (2 * n_send + n_recv) * blocks * sizeof *pad);
    free(pad);
    free(message);
    return err;
}

enum ss_err ss_gilboa_bit(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint8_t *s, const uint64_t *x, size_t n,
                          size_t words)
{
    const struct ss_cot_format f = {.words = words, .period = 1, .width = full_width};
    enum ss_err err = SS_OK;
    const size_t all = n * words;
    uint64_t *room = calloc(2 * all, sizeof *room), *delta = room, *got = room + all;
    if (!room)
        SS_FAIL(SS_ENV, "out of memory for %zu products by OT", all);
    for (size_t i = 0; i < all; i++) { /* (s0 xor s1) x0 = s0 x0 + s1 (1 - 2 s0) x0 */
        const uint64_t bit = s[i / words] & 1;
        delta[i] = x[i] - 2 * bit * x[i];
        out[i] = bit * x[i];
    }
    SS_TRY_OUT(ss_cot(c, ot, &f, s, got, n, delta, delta, n));
    for (size_t i = 0; i < all; i++)
        out[i] += got[i] + delta[i];
out:
    sodium_memzero(room, 2 * all * sizeof *room);
    free(room);
    return err;
}

enum ss_err ss_gilboa_product(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n)
{
    const struct ss_cot_format f = {.words = 1, .period = WORD_BITS, .width = product_width};
    enum ss_err err = SS_OK;
    const size_t all = n * WORD_BITS;
    uint64_t *room = calloc(2 * all, sizeof *room), *delta = room, *got = room + all;
    uint8_t *choice = calloc(all, 1);
    if (!room || !choice)
        SS_FAIL_OUT(SS_ENV, "out of memory for %zu products by OT", n);
    for (size_t i = 0; i < all; i++) {
        choice[i] = x[i / WORD_BITS] >> i % WORD_BITS & 1;
        delta[i] = y[i / WORD_BITS];
    }
    SS_TRY_OUT(ss_cot(c, ot, &f, choice, got, all, delta, delta, all));
    for (size_t k = 0; k < n; k++) {
        uint64_t sum = x[k] * y[k];
        for (size_t i = 0; i < WORD_BITS; i++)
            sum += (got[k * WORD_BITS + i] + delta[k * WORD_BITS + i]) << i;
        out[k] = sum;
    }
out:
    if (room)
        sodium_memzero(room, 2 * all * sizeof *room);
    if (choice)
        sodium_memzero(choice, all);
    free(room);
    free(choice);
    return err;
}

/* Bit i's cross term -2^(i+1) b0 b1 matters mod 2^(n_bits - i - 1). */
static void number_widths(uint8_t width[WORD_BITS], size_t n_bits)
{
    for (size_t i = 0; i + 1 < n_bits; i++)
        width[i] = (uint8_t)((n_bits - 1 - i + 7) / 8);
}

enum ss_err ss_gilboa_number(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint8_t *s, size_t n, size_t n_bits)
{
    SS_REQUIRE(n_bits >= 1 && n_bits <= WORD_BITS);
    uint8_t width[WORD_BITS];
    const size_t per = n_bits - 1, all = n * per;
    const struct ss_cot_format f = {.words = 1, .period = per, .width = width};
    enum ss_err err = SS_OK;
    uint64_t *cross = calloc(all + 1, sizeof *cross);
    uint8_t *choice = calloc(all + 1, 1);
    if (!cross || !choice)
        SS_FAIL_OUT(SS_ENV, "out of memory for %zu conversions by OT", n);
    number_widths(width, n_bits);
    for (size_t i = 0; i < all; i++)
        cross[i] = choice[i] = s[i / per * n_bits + i % per] & 1;
    if (all && c->role == SS_P0)
        SS_TRY_OUT(ss_cot(c, ot, &f, choice, cross, all, NULL, NULL, 0));
    if (all && c->role == SS_P1)
        SS_TRY_OUT(ss_cot(c, ot, &f, NULL, NULL, 0, cross, cross, all));
    for (size_t k = 0; k < n; k++) { /* b0 xor b1 = b0 + b1 - 2 b0 b1 */
        uint64_t sum = 0;
        for (size_t i = 0; i < n_bits; i++)
            sum += (uint64_t)(s[k * n_bits + i] & 1) << i;
        for (size_t i = 0; i < per; i++)
            sum -= cross[k * per + i] << (i + 1);
        out[k] = sum & UINT64_MAX >> (WORD_BITS - n_bits);
    }
out:
    if (cross)
        sodium_memzero(cross, all * sizeof *cross);
    if (choice)
        sodium_memzero(choice, all);
    free(cross);
    free(choice);
    return err;
}

/* Each direction: corrections from receiver to sender, words back; the two directions of a call travel in the same rounds. */
void ss_cot_cost(struct ss_counters *e, const struct ss_cot_format *f, size_t n_p0_receives, size_t n_p1_receives)
{
    e->ots += (int64_t)(n_p0_receives + n_p1_receives);
    e->rounds_offline += 2;
    e->bytes_offline_p0_p1 += ss_ot_extend_bytes(n_p0_receives) + (int64_t)message_bytes(f, n_p1_receives);
    e->bytes_offline_p1_p0 += ss_ot_extend_bytes(n_p1_receives) + (int64_t)message_bytes(f, n_p0_receives);
}

void ss_gilboa_bit_cost(struct ss_counters *e, size_t n, size_t words)
{
    const struct ss_cot_format f = {.words = words, .period = 1, .width = full_width};
    ss_cot_cost(e, &f, n, n);
}

void ss_gilboa_product_cost(struct ss_counters *e, size_t n)
{
    const struct ss_cot_format f = {.words = 1, .period = WORD_BITS, .width = product_width};
    ss_cot_cost(e, &f, WORD_BITS * n, WORD_BITS * n);
}

void ss_gilboa_number_cost(struct ss_counters *e, size_t n, size_t n_bits)
{
    uint8_t width[WORD_BITS];
    const struct ss_cot_format f = {.words = 1, .period = n_bits - 1, .width = width};
    number_widths(width, n_bits);
    if (n_bits > 1)
        ss_cot_cost(e, &f, n * (n_bits - 1), 0);
}
