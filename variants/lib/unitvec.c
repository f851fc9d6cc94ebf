/* unitvec.c — see unitvec.h. */
#include "variants/lib/unitvec.h"

#include <string.h>

enum { MAX_NODES = 2 * SS_UNITVEC_MAX_BITS, WORD = 64, PARALLEL_MIN = 4096 };

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

/* One node's vectors of items [first, first + n) to and from a message; first is even where a vector is half a byte. */
static void pack(uint8_t *message, const uint64_t *v, size_t first, size_t n, unsigned len)
{
    const size_t each = ((size_t)1 << len) / 8, words = words_of(len);
    for (size_t k = 0; k < n; k++)
        if (each) /* little-endian: x86-64 */
            memcpy(message + (first + k) * each, v + k * words, each);
        else if (k % 2 == 0)
            message[(first + k) / 2] = (uint8_t)v[k];
        else
            message[(first + k) / 2] |= (uint8_t)(v[k] << 4);
}

static void unpack(uint64_t *v, const uint8_t *message, size_t item, unsigned len)
{
    const size_t each = ((size_t)1 << len) / 8;
    v[0] = 0;
    if (each)
        memcpy(v, message + item * each, each);
    else
        v[0] = message[item / 2] >> item % 2 * 4 & 15;
}

/* A node while it is made. */
struct making {
    const struct node *node, *left, *right;
    uint8_t *message;
};
enum { MAX_WORDS = 1 << SS_UNITVEC_MAX_BITS >> 6 };
_Static_assert(SS_OT_TILE >= 2 << (SS_UNITVEC_MAX_BITS + 1) / 2, "a tile has an even number of items' OTs");

/* Sender's half: out = L (x) R + kept pads, message = pads of both choices + R, row by row. */
static void node_send(void *arg, size_t first, size_t n, const struct ss_block *pad0, const struct ss_block *pad1)
{
    const struct making *m = arg;
    const struct node *node = m->node;
    const size_t rows = (size_t)1 << m->left->len, width = (size_t)1 << m->right->len, piece = width < WORD ? width : WORD;
    const size_t words = words_of(node->len), item = first / rows, items = n / rows;
    const uint64_t low = UINT64_MAX >> (WORD - piece);
    uint64_t message[2 * MAX_WORDS]; /* 4 x width words a tile */
    memset(node->v + item * words, 0, items * words * sizeof *node->v);
    memset(message, 0, items * words * sizeof *message);
    for (size_t k = 0; k < items; k++) {
        const uint64_t *l = m->left->v + (item + k) * words_of(m->left->len);
        const uint64_t *r = m->right->v + (item + k) * words_of(m->right->len);
        uint64_t *v = node->v + (item + k) * words;
        for (size_t i = 0; i < rows; i++)
            for (size_t h = 0; h < width / piece; h++) {
                const uint64_t kept = pad0[k * rows + i].w[h] & low, other = pad1[k * rows + i].w[h] & low;
                const uint64_t mine = piece_get(r, h * WORD, piece), on = -piece_get(l, i, 1);
                piece_xor(v, i * width + h * WORD, (on & mine) ^ kept);
                piece_xor(message + k * words, i * width + h * WORD, kept ^ other ^ mine);
            }
    }
    pack(m->message, message, item, items, node->len);
}

/* Receiver's half: out += pad + choice * message. */
static void node_receive(void *arg, size_t first, size_t n, const struct ss_block *pad, const struct ss_block *none)
{
    (void)none;
    const struct making *m = arg;
    const struct node *node = m->node;
    const size_t rows = (size_t)1 << m->left->len, width = (size_t)1 << m->right->len;
    const size_t piece = width < WORD ? width : WORD, words = words_of(node->len), item = first / rows;
    const uint64_t low = UINT64_MAX >> (WORD - piece);
    uint64_t message[MAX_WORDS] = {0};
    for (size_t k = 0; k < n / rows; k++) {
        const uint64_t *l = m->left->v + (item + k) * words_of(m->left->len);
        uint64_t *v = node->v + (item + k) * words;
        unpack(message, m->message, item + k, node->len);
        for (size_t i = 0; i < rows; i++)
            for (size_t h = 0; h < width / piece; h++) {
                const size_t bit = i * width + h * WORD;
                const uint64_t on = -piece_get(l, i, 1), theirs = piece_get(message, bit, piece);
                piece_xor(v, bit, (pad[k * rows + i].w[h] & low) ^ (on & theirs));
            }
    }
}

/* choice (n, rows): the bits of a node's vectors. */
static void choices(uint8_t *choice, const struct node *node, size_t n, int threads)
{
    const size_t rows = (size_t)1 << node->len, words = words_of(node->len);
#pragma omp parallel for num_threads(threads) if (n * rows > PARALLEL_MIN)
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < rows; i++)
            choice[k * rows + i] = (uint8_t)piece_get(node->v + k * words, i, 1);
}

static enum ss_err multiply_height(struct ss_ctx *c, struct ss_ot *ot, const struct plan *p, unsigned height, size_t n,
                                   uint8_t *choice, uint8_t *wire)
{
    struct making made[MAX_NODES];
    size_t ots, bytes, first = 0, at = 0, count = 0;
    height_size(p, height, n, &ots, &bytes);
    for (int i = 0; i < p->count; i++)
        if (p->node[i].height == height) {
            const struct node *node = &p->node[i], *left = &p->node[node->left];
            made[count++] = (struct making){node, left, &p->node[node->right], wire + at};
            choices(choice + first, left, n, ot->threads);
            first += n << left->len;
            at += wire_bytes(n, node->len);
        }
    SS_TRY(ss_ot_extend(c, ot, &ot->sent, ots, &ot->received, choice, ots));
    for (size_t i = 0; i < count; i++)
        SS_TRY(ss_ot_hash_send(ot, &ot->sent, n << made[i].left->len, 1, node_send, &made[i]));
    SS_TRY(ss_hostwire_swap(c, &ot->wire, "otuv", wire, bytes, wire + bytes, bytes));
    for (size_t i = 0; i < count; i++) {
        made[i].message += bytes;
        SS_TRY(ss_ot_hash_recv(ot, &ot->received, n << made[i].left->len, 1, node_receive, &made[i]));
    }
    return SS_OK;
}

enum ss_err ss_unitvec(struct ss_ctx *c, struct ss_ot *ot, uint64_t *vectors, const uint8_t *r, size_t stride, size_t n,
                       unsigned n_bits)
{
    SS_REQUIRE(n_bits >= 1 && n_bits <= SS_UNITVEC_MAX_BITS && n > 0);
    struct plan p = {.count = 0};
    size_t ots = 0, bytes = 0, words = 0;
    void *choice, *wire, *inner;
    plan_add(&p, 0, n_bits);
    for (unsigned h = 1; h <= p.node[0].height; h++) {
        size_t o, b;
        height_size(&p, h, n, &o, &b);
        ots = o > ots ? o : ots;
        bytes = b > bytes ? b : bytes;
    }
    for (int i = 1; i < p.count; i++)
        words += n * words_of(p.node[i].len);
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_VECTORS, words * sizeof(uint64_t), &inner));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_CHOICE, ots, &choice));
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_MESSAGE, 2 * bytes, &wire));
    uint64_t *next = inner;
    for (int i = 0; i < p.count; i++) {
        p.node[i].v = i ? next : vectors;
        next += i ? n * words_of(p.node[i].len) : 0;
        if (p.node[i].len == 1) /* (1 - r, r): party 0 adds the 1 */
            for (size_t k = 0; k < n; k++)
                p.node[i].v[k] = (uint64_t)(r[k * stride + p.node[i].low] & 1) * 3 ^ (c->role == SS_P0);
    }
    for (unsigned h = 1; h <= p.node[0].height; h++)
        SS_TRY(multiply_height(c, ot, &p, h, n, choice, wire));
    return SS_OK;
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
