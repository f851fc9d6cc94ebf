/* unitvec.c — see unitvec.h. */
#include "variants/lib/unitvec.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 2 * SS_UNITVEC_MAX_BITS, WORD = 64 };

/* The vector of bits [low, low + len) of r; children cover its upper and its lower half. */
struct node {
    unsigned low, len, height;
    int left, right;
    uint64_t *v; /* (n, words) */
};
struct plan {
    struct node node[MAX_NODES];
    int count;
};

static size_t words_of(unsigned len)
{
    return len < 6 ? 1 : (size_t)1 << (len - 6);
}

/* Bytes of n vectors as a message: 2^len bits each, without gaps. */
static size_t wire_bytes(size_t n, unsigned len)
{
    return ((n << len) + 7) / 8;
}

static int plan_add(struct plan *p, unsigned low, unsigned len)
{
    const int me = p->count++;
    struct node node = {.low = low, .len = len, .left = -1, .right = -1};
    if (len > 1) {
        node.right = plan_add(p, low, len / 2);
        node.left = plan_add(p, low + len / 2, len - len / 2);
        node.height = 1 + p->node[node.left].height; /* the left one is never the lower */
    }
    p->node[me] = node;
    return me;
}

/* OTs (each way) and message bytes of the products of one height. */
static void height_size(const struct plan *p, unsigned height, size_t n, size_t *ots, size_t *bytes)
{
    *ots = *bytes = 0;
    for (int i = 0; i < p->count; i++)
        if (p->node[i].height == height) {
            *ots += n << p->node[p->node[i].left].len;
            *bytes += wire_bytes(n, p->node[i].len);
        }
}

/* A row of an outer product is 2^right bits: one piece of at most 64, or two pieces of 64. */
static uint64_t piece_get(const uint64_t *v, size_t bit, size_t piece)
{
    return v[bit / WORD] >> bit % WORD & UINT64_MAX >> (WORD - piece);
}
static void piece_xor(uint64_t *v, size_t bit, uint64_t x)
{
    v[bit / WORD] ^= x << bit % WORD;
}

static void pack(uint8_t *out, const uint64_t *v, size_t n, unsigned len)
{
    const size_t each = ((size_t)1 << len) / 8;
    if (each) { /* little-endian: x86-64 */
        for (size_t k = 0; k < n; k++)
            memcpy(out + k * each, v + k * words_of(len), each);
        return;
    }
    memset(out, 0, wire_bytes(n, len));
    for (size_t k = 0; k < n; k++)
        out[k / 2] |= (uint8_t)(v[k] << k % 2 * 4);
}

static void unpack(uint64_t *v, const uint8_t *in, size_t n, unsigned len)
{
    const size_t each = ((size_t)1 << len) / 8;
    memset(v, 0, n * words_of(len) * sizeof *v);
    for (size_t k = 0; k < n; k++)
        if (each)
            memcpy(v + k * words_of(len), in + k * each, each);
        else
            v[k] = in[k / 2] >> k % 2 * 4 & 15;
}

/* Sender's half of a node: out = L (x) R + kept pads, message = pads of both choices + R, row by row. */
static void node_send(const struct plan *p, const struct node *node, size_t n, const struct ss_block *pad0,
                      const struct ss_block *pad1, uint64_t *message)
{
    const struct node *left = &p->node[node->left], *right = &p->node[node->right];
    const size_t rows = (size_t)1 << left->len, width = (size_t)1 << right->len, piece = width < WORD ? width : WORD;
    const size_t words = words_of(node->len);
    const uint64_t low = UINT64_MAX >> (WORD - piece);
    memset(node->v, 0, n * words * sizeof *node->v);
    memset(message, 0, n * words * sizeof *message);
    for (size_t k = 0; k < n; k++) {
        const uint64_t *l = left->v + k * words_of(left->len), *r = right->v + k * words_of(right->len);
        for (size_t i = 0; i < rows; i++)
            for (size_t h = 0; h < width / piece; h++) {
                const uint64_t kept = pad0[k * rows + i].w[h] & low, other = pad1[k * rows + i].w[h] & low;
                const uint64_t mine = piece_get(r, h * WORD, piece), on = -piece_get(l, i, 1);
                piece_xor(node->v + k * words, i * width + h * WORD, (on & mine) ^ kept);
                piece_xor(message + k * words, i * width + h * WORD, kept ^ other ^ mine);
            }
    }
}

/* Receiver's half: out += pad + choice * message. */
static void node_receive(const struct plan *p, const struct node *node, size_t n, const struct ss_block *pad,
                         const uint64_t *message)
{
    const struct node *left = &p->node[node->left];
    const size_t rows = (size_t)1 << left->len, width = (size_t)1 << (node->len - left->len);
    const size_t piece = width < WORD ? width : WORD, words = words_of(node->len);
    const uint64_t low = UINT64_MAX >> (WORD - piece);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < rows; i++)
            for (size_t h = 0; h < width / piece; h++) {
                const size_t bit = i * width + h * WORD;
                const uint64_t on = -piece_get(left->v + k * words_of(left->len), i, 1);
                const uint64_t theirs = piece_get(message + k * words, bit, piece);
                piece_xor(node->v + k * words, bit, (pad[k * rows + i].w[h] & low) ^ (on & theirs));
            }
}

struct room {
    struct ss_ot_batch *send, *recv;
    struct ss_block *pad;   /* sender's two, receiver's one: (3, ots) */
    uint8_t *choice, *wire; /* (ots); two messages */
    uint64_t *message;
};

static enum ss_err multiply_height(struct ss_ctx *c, struct ss_ot *ot, const struct plan *p, unsigned height, size_t n,
                                   struct room *m)
{
    size_t ots, bytes, first = 0, at = 0;
    height_size(p, height, n, &ots, &bytes);
    for (int i = 0; i < p->count; i++)
        if (p->node[i].height == height) {
            const struct node *left = &p->node[p->node[i].left];
            const size_t rows = (size_t)1 << left->len;
            for (size_t k = 0; k < n * rows; k++)
                m->choice[first + k] = (uint8_t)piece_get(left->v + k / rows * words_of(left->len), k % rows, 1);
            first += n * rows;
        }
    SS_TRY(ss_ot_extend(c, ot, m->send, ots, m->recv, m->choice, ots));
    SS_TRY(ss_ot_pads_send(ot, m->send, m->pad, m->pad + ots, 1));
    SS_TRY(ss_ot_pads_recv(ot, m->recv, m->pad + 2 * ots, 1));
    first = 0;
    for (int i = 0; i < p->count; i++)
        if (p->node[i].height == height) {
            node_send(p, &p->node[i], n, m->pad + first, m->pad + ots + first, m->message);
            pack(m->wire + at, m->message, n, p->node[i].len);
            at += wire_bytes(n, p->node[i].len);
            first += n << p->node[p->node[i].left].len;
        }
    SS_TRY(ss_hostwire_swap(c, &ot->wire, "otuv", m->wire, bytes, m->wire + bytes, bytes));
    first = at = 0;
    for (int i = 0; i < p->count; i++)
        if (p->node[i].height == height) {
            unpack(m->message, m->wire + bytes + at, n, p->node[i].len);
            node_receive(p, &p->node[i], n, m->pad + 2 * ots + first, m->message);
            at += wire_bytes(n, p->node[i].len);
            first += n << p->node[p->node[i].left].len;
        }
    return SS_OK;
}

enum ss_err ss_unitvec(struct ss_ctx *c, struct ss_ot *ot, uint64_t *vectors, const uint8_t *r, size_t stride, size_t n,
                       unsigned n_bits)
{
    SS_REQUIRE(n_bits >= 1 && n_bits <= SS_UNITVEC_MAX_BITS && n > 0);
    enum ss_err err = SS_OK;
    struct plan p = {.count = 0};
    struct ss_ot_batch send = {0}, recv = {0};
    struct room m = {.send = &send, .recv = &recv};
    size_t ots = 1, bytes = 1, words = 0;
    plan_add(&p, 0, n_bits);
    for (unsigned h = 1; h <= p.node[0].height; h++) {
        size_t o, b;
        height_size(&p, h, n, &o, &b);
        ots = o > ots ? o : ots;
        bytes = b > bytes ? b : bytes;
    }
    for (int i = 1; i < p.count; i++)
        words += n * words_of(p.node[i].len);
    uint64_t *inner = calloc(words + 1, sizeof *inner), *next = inner;
    m.pad = malloc(3 * ots * sizeof *m.pad);
    m.wire = malloc(2 * bytes + ots);
    m.message = malloc(n * words_of(n_bits) * sizeof *m.message);
    if (!inner || !m.pad || !m.wire || !m.message)
        SS_FAIL_OUT(SS_ENV, "out of memory for %zu unit vectors of 2^%u by OT", n, n_bits);
    m.choice = m.wire + 2 * bytes;
    for (int i = 0; i < p.count; i++) {
        p.node[i].v = i ? next : vectors;
        next += i ? n * words_of(p.node[i].len) : 0;
        if (p.node[i].len == 1) /* (1 - r, r): party 0 adds the 1 */
            for (size_t k = 0; k < n; k++)
                p.node[i].v[k] = (uint64_t)(r[k * stride + p.node[i].low] & 1) * 3 ^ (c->role == SS_P0);
    }
    for (unsigned h = 1; h <= p.node[0].height; h++)
        SS_TRY_OUT(multiply_height(c, ot, &p, h, n, &m));
out:
    ss_ot_batch_free(&send);
    ss_ot_batch_free(&recv);
    if (inner)
        sodium_memzero(inner, words * sizeof *inner);
    if (m.pad)
        sodium_memzero(m.pad, 3 * ots * sizeof *m.pad);
    if (m.wire)
        sodium_memzero(m.wire, 2 * bytes + ots);
    free(inner);
    free(m.pad);
    free(m.wire);
    free(m.message);
    return err;
}

void ss_unitvec_cost(struct ss_counters *e, size_t n, unsigned n_bits)
{
    struct plan p = {.count = 0};
    plan_add(&p, 0, n_bits);
    for (unsigned h = 1; h <= p.node[0].height; h++) {
        size_t ots, bytes;
        height_size(&p, h, n, &ots, &bytes);
        e->ots += 2 * (int64_t)ots;
        e->bytes_offline_p0_p1 += ss_ot_extend_bytes(ots) + (int64_t)bytes;
        e->bytes_offline_p1_p0 += ss_ot_extend_bytes(ots) + (int64_t)bytes;
        e->rounds_offline += 2;
    }
}

/* Without a table in memory: the vector is secret. */
static uint64_t ones(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return x * 0x0101010101010101 >> 56;
}

uint8_t ss_unitvec_sign(const uint64_t *vector, size_t words, int party)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++)
        sum += ones(vector[i]);
    return (uint8_t)((sum + (party == SS_P1 ? sum & 1 : 0)) >> 1 & 1); /* the odd side: (S - 1) / 2 at P0, (S + 1) / 2 at P1 */
}
