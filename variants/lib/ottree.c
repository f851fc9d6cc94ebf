/* ottree.c — punctured trees by OT of the level sums (Schoppmann, Gascon, Reichert, Raykova, CCS 2019, section 4; Roy 2022,
   section 5.1, without the malicious check). Tree g uses base OTs 4g .. 4g + 3, the root's children first. The punctured path
   is the complement of the base OTs' choices: at each level the receiver of the base OT learns the sum of all nodes on the side
   off the path. Levels count from 1; node x of a level has children 2x and 2x + 1; leaf numbers read the path from its top. */
#include "variants/lib/ottree.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct level {
    struct ss_block node[SS_OT_LEAVES];
};
struct sums {
    struct ss_block sum[SS_OT_GROUPS][SS_OT_K - 1][2]; /* levels 2 .. 4, left and right, masked */
};
_Static_assert(sizeof(struct sums) == SS_OT_TREE_BYTES, "the message has no padding");

static struct ss_block add(struct ss_block a, struct ss_block b)
{
    return (struct ss_block){{a.w[0] ^ b.w[0], a.w[1] ^ b.w[1]}};
}

static struct ss_block masked(struct ss_block a, uint64_t mask)
{
    return (struct ss_block){{a.w[0] & mask, a.w[1] & mask}};
}

/* All ones where a == b, for numbers below 2^32, in constant time. */
static uint64_t equal(uint32_t a, uint32_t b)
{
    return -(((uint64_t)(a ^ b) - 1) >> 63);
}

/* One level down: children of `count` nodes. tweak: direction, tree, level; the hash separates the nodes of a level. */
static enum ss_err grow(const struct ss_othash *h, struct level *l, size_t count, uint64_t tweak)
{
    struct ss_block children[SS_OT_LEAVES];
    SS_TRY(ss_othash_run(h, children, 2, l->node, NULL, count, tweak, SS_OT_SPACE_TREE));
    memcpy(l->node, children, 2 * count * sizeof *children);
    sodium_memzero(children, sizeof children);
    return SS_OK;
}

static uint64_t tweak_of(int sender, size_t group, size_t level)
{
    return (uint64_t)sender << 32 | (uint64_t)group << 16 | (uint64_t)level << 8;
}

/* The side that knows the whole tree: base OT sender, extension receiver. */
static enum ss_err build_whole(struct ss_ctx *c, struct ss_ot *ot, const struct ss_baseot *base, struct sums *out)
{
    struct level l;
    for (size_t g = 0; g < SS_OT_GROUPS; g++) {
        memcpy(l.node, base->sent[g * SS_OT_K], 2 * SS_OT_BYTES);
        for (size_t level = 2, count = 4; level <= SS_OT_K; level++, count *= 2) {
            SS_TRY(grow(&ot->hash, &l, count / 2, tweak_of(1 - c->role, g, level)));
            struct ss_block *sum = out->sum[g][level - 2];
            memcpy(sum, base->sent[g * SS_OT_K + level - 1], 2 * SS_OT_BYTES);
            for (size_t x = 0; x < count; x++)
                sum[x % 2] = add(sum[x % 2], l.node[x]);
        }
        for (size_t x = 0; x < SS_OT_LEAVES; x++)
            ss_aes_expand(&ot->recv.leaf[g][x], (const uint8_t *)&l.node[x]);
    }
    sodium_memzero(&l, sizeof l);
    return SS_OK;
}

/* The punctured side: base OT receiver, extension sender. The path is its secret: nodes are selected by masks, never by
 * address. */
static enum ss_err build_punctured(struct ss_ctx *c, struct ss_ot *ot, const struct ss_baseot *base, const struct sums *in)
{
    struct level l, turned;
    for (size_t g = 0; g < SS_OT_GROUPS; g++) {
        uint32_t path = 0; /* number of the unknown node at this level */
        for (size_t level = 1, count = 2; level <= SS_OT_K; level++, count *= 2) {
            const size_t i = g * SS_OT_K + level - 1;
            const uint32_t side = base->choice[i / 8] >> i % 8 & 1; /* the side whose sum is known */
            struct ss_block sum;
            memcpy(&sum, base->received[i], sizeof sum);
            if (level == 1)
                memset(&l, 0, sizeof l);
            else {
                SS_TRY(grow(&ot->hash, &l, count / 2, tweak_of(c->role, g, level)));
                const struct ss_block *masks = in->sum[g][level - 2];
                for (uint32_t s = 0; s < 2; s++)
                    sum = add(sum, masked(masks[s], equal(s, side)));
            }
            const uint32_t sibling = 2 * path + side, unknown = 2 * path + (side ^ 1);
            for (uint32_t x = 0; x < count; x++) /* drop what grew from nothing, and sum the known nodes of that side */
                l.node[x] = masked(l.node[x], ~equal(x / 2, path));
            for (uint32_t x = 0; x < count; x++)
                sum = add(sum, masked(l.node[x], equal(x % 2, side)));
            for (uint32_t x = 0; x < count; x++)
                l.node[x] = add(l.node[x], masked(sum, equal(x, sibling)));
            path = unknown;
        }
        memset(&turned, 0, sizeof turned);
        for (uint32_t y = 0; y < SS_OT_LEAVES; y++)
            for (uint32_t x = 0; x < SS_OT_LEAVES; x++)
                turned.node[y] = add(turned.node[y], masked(l.node[x], equal(x ^ y, path)));
        for (size_t y = 0; y < SS_OT_LEAVES; y++)
            ss_aes_expand(&ot->send.leaf[g][y], (const uint8_t *)&turned.node[y]);
        ot->send.delta.w[g / 16] |= (uint64_t)path << g % 16 * SS_OT_K;
    }
    sodium_memzero(&l, sizeof l);
    sodium_memzero(&turned, sizeof turned);
    return SS_OK;
}

enum ss_err ss_ottree_build(struct ss_ctx *c, struct ss_ot *ot, const struct ss_baseot *base)
{
    enum ss_err err = SS_OK;
    struct sums *mine = malloc(2 * sizeof *mine);
    if (!mine)
        SS_FAIL(SS_ENV, "out of memory for OT trees");
    SS_TRY_OUT(build_whole(c, ot, base, mine));
    SS_TRY_OUT(ss_hostwire_swap(c, &ot->wire, "ottr", mine, sizeof *mine, mine + 1, sizeof *mine));
    SS_TRY_OUT(build_punctured(c, ot, base, mine + 1));
out:
    free(mine);
    return err;
}
