/* gilboa.c — see gilboa.h. */
#include "variants/lib/gilboa.h"

#include <string.h>

enum { WORD_BITS = 64, PARALLEL_MIN = 4096 /* below it, waking the threads costs more */ };

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

/* One direction of a call of ss_cot. */
struct cot {
    const struct ss_cot_format *f;
    uint8_t *message; /* with room for a word beyond its end */
    uint64_t *out;
    const uint64_t *delta;
    const uint8_t *choice;
};

/* Message word: H(q) - H(q + D) + delta; the sender keeps -H(q). */
static void correct(void *arg, size_t first, size_t n, const struct ss_block *m0, const struct ss_block *m1)
{
    const struct cot *k = arg;
    const struct ss_cot_format *f = k->f;
    const size_t stride = (f->words + 1) / 2 * 2;
    const uint64_t *pad0 = m0->w, *pad1 = m1->w;
    uint8_t tile[(SS_OT_TILE * SS_COT_MAX_WORDS + 1) * sizeof(uint64_t)], *to = tile;
    for (size_t i = 0; i < n; i++) {
        const size_t width = f->width[(first + i) % f->period];
        for (size_t w = 0; w < f->words; w++) {
            const size_t at = (first + i) * f->words + w;
            const uint64_t kept = pad0[i * stride + w], word = kept - pad1[i * stride + w] + k->delta[at];
            memcpy(to, &word, sizeof word); /* little-endian: x86-64; the next word covers what is too much */
            to += width;
            k->out[at] = 0 - kept;
        }
    }
    memcpy(k->message + message_bytes(f, first), tile, (size_t)(to - tile));
}

/* b = 0: H(t) = H(q). b = 1: H(t) + word = H(q) + delta. */
static void open_message(void *arg, size_t first, size_t n, const struct ss_block *m, const struct ss_block *none)
{
    (void)none;
    const struct cot *k = arg;
    const struct ss_cot_format *f = k->f;
    const size_t stride = (f->words + 1) / 2 * 2;
    const uint64_t *pad = m->w;
    const uint8_t *from = k->message + message_bytes(f, first);
    for (size_t i = 0; i < n; i++) {
        const size_t width = f->width[(first + i) % f->period];
        const uint64_t mask = -(uint64_t)(k->choice[first + i] & 1);
        for (size_t w = 0; w < f->words; w++) {
            uint64_t word; /* its upper bytes are the next word's where width < 8 */
            memcpy(&word, from, sizeof word);
            from += width;
            k->out[(first + i) * f->words + w] = pad[i * stride + w] + (mask & word);
        }
    }
}

enum ss_err ss_cot(struct ss_ctx *c, struct ss_ot *ot, const struct ss_cot_format *f, const uint8_t *choice, uint64_t *out_recv,
                   size_t n_recv, const uint64_t *delta, uint64_t *out_send, size_t n_send)
{
    SS_REQUIRE(f->words > 0 && f->words <= SS_COT_MAX_WORDS && f->period > 0);
    const size_t blocks = (f->words + 1) / 2, out_bytes = message_bytes(f, n_send), in_bytes = message_bytes(f, n_recv);
    void *room;
    SS_TRY(ss_ot_extend(c, ot, &ot->sent, n_send, &ot->received, choice, n_recv));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_MESSAGE, out_bytes + in_bytes + sizeof(uint64_t), &room));
    struct cot send = {.f = f, .message = room, .out = out_send, .delta = delta};
    struct cot recv = {.f = f, .message = (uint8_t *)room + out_bytes, .out = out_recv, .choice = choice};
    if (n_send)
        SS_TRY(ss_ot_hash_send(ot, &ot->sent, n_send, blocks, correct, &send));
    SS_TRY(ss_hostwire_swap(c, &ot->wire, "otco", send.message, out_bytes, recv.message, in_bytes));
    return n_recv ? ss_ot_hash_recv(ot, &ot->received, n_recv, blocks, open_message, &recv) : SS_OK;
}

enum ss_err ss_gilboa_bit(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint8_t *s, const uint64_t *x, size_t n,
                          size_t words)
{
    const struct ss_cot_format f = {.words = words, .period = 1, .width = full_width};
    const size_t all = n * words;
    void *room;
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_TERMS, 2 * all * sizeof(uint64_t), &room));
    uint64_t *delta = room, *got = delta + all;
#pragma omp parallel for num_threads(ot->threads) if (n > PARALLEL_MIN)
    for (size_t i = 0; i < n; i++) /* (s0 xor s1) x0 = s0 x0 + s1 (1 - 2 s0) x0 */
        for (size_t w = i * words; w < (i + 1) * words; w++) {
            const uint64_t bit = s[i] & 1;
            delta[w] = x[w] - 2 * bit * x[w];
            out[w] = bit * x[w];
        }
    SS_TRY(ss_cot(c, ot, &f, s, got, n, delta, delta, n));
#pragma omp parallel for num_threads(ot->threads) if (n > PARALLEL_MIN)
    for (size_t i = 0; i < all; i++)
        out[i] += got[i] + delta[i];
    return SS_OK;
}

enum ss_err ss_gilboa_product(struct ss_ctx *c, struct ss_ot *ot, uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n)
{
    const struct ss_cot_format f = {.words = 1, .period = WORD_BITS, .width = product_width};
    const size_t all = n * WORD_BITS;
    void *room, *choices;
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_TERMS, 2 * all * sizeof(uint64_t), &room));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_CHOICE, all, &choices));
    uint64_t *delta = room, *got = delta + all;
    uint8_t *choice = choices;
#pragma omp parallel for num_threads(ot->threads) if (all > PARALLEL_MIN)
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < WORD_BITS; i++) {
            choice[k * WORD_BITS + i] = x[k] >> i & 1;
            delta[k * WORD_BITS + i] = y[k];
        }
    SS_TRY(ss_cot(c, ot, &f, choice, got, all, delta, delta, all));
#pragma omp parallel for num_threads(ot->threads) if (all > PARALLEL_MIN)
    for (size_t k = 0; k < n; k++) {
        uint64_t sum = x[k] * y[k];
        for (size_t i = 0; i < WORD_BITS; i++)
            sum += (got[k * WORD_BITS + i] + delta[k * WORD_BITS + i]) << i;
        out[k] = sum;
    }
    return SS_OK;
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
    void *room, *choices;
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_TERMS, all * sizeof(uint64_t), &room));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_CHOICE, all, &choices));
    uint64_t *cross = room;
    uint8_t *choice = choices;
    number_widths(width, n_bits);
#pragma omp parallel for num_threads(ot->threads) if (all > PARALLEL_MIN)
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < per; i++)
            cross[k * per + i] = choice[k * per + i] = s[k * n_bits + i] & 1;
    if (all && c->role == SS_P0)
        SS_TRY(ss_cot(c, ot, &f, choice, cross, all, NULL, NULL, 0));
    if (all && c->role == SS_P1)
        SS_TRY(ss_cot(c, ot, &f, NULL, NULL, 0, cross, cross, all));
#pragma omp parallel for num_threads(ot->threads) if (all > PARALLEL_MIN)
    for (size_t k = 0; k < n; k++) { /* b0 xor b1 = b0 + b1 - 2 b0 b1 */
        uint64_t sum = 0;
        for (size_t i = 0; i < n_bits; i++)
            sum += (uint64_t)(s[k * n_bits + i] & 1) << i;
        for (size_t i = 0; i < per; i++)
            sum -= cross[k * per + i] << (i + 1);
        out[k] = sum & UINT64_MAX >> (WORD_BITS - n_bits);
    }
    return SS_OK;
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
