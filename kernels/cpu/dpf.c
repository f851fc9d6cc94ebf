/* dpf.c — distributed point functions with one-bit outputs (Boyle, Gilboa, Ishai, CCS 2016, figures 1 and 5), a level of many
   trees at a time so that the cipher has independent blocks; and one-hot shares for small tables. */
#include "kernels/cpu/cpu.h"

enum { LEAF_BITS = 7, LEAF_WORDS = 2, GEN_GROUP = 64, EVAL_GROUP = 8, MAX_LEAVES = 1 << (CPU_MAX_TABLE_BITS - LEAF_BITS) };
enum { LEFT, RIGHT, LEAF }; /* tweaks of the hash: the low two bits of its input */

struct block {
    uint64_t w[2];
};

static struct block tweaked(struct block s, uint64_t tweak)
{
    return (struct block){{(s.w[0] & ~(uint64_t)3) | tweak, s.w[1]}};
}

static struct block xored(struct block a, struct block b)
{
    return (struct block){{a.w[0] ^ b.w[0], a.w[1] ^ b.w[1]}};
}

/* all ones if the control bit of s is set */
static uint64_t control(struct block s)
{
    return -(s.w[0] & 1);
}

static struct block selected(struct block a, uint64_t mask)
{
    return (struct block){{a.w[0] & mask, a.w[1] & mask}};
}

/* The correction of the left (0) or right (1) child: its control correction moved to bit 0. */
static struct block correction(struct block cw, unsigned side)
{
    return (struct block){{(cw.w[0] & ~(uint64_t)3) | (cw.w[0] >> side & 1), cw.w[1]}};
}

static uint64_t point(uint64_t b0, uint64_t b1, const struct ss_lookup_shape *s)
{
    return (b0 + b1) >> s->fine_bits & (((uint64_t)1 << s->n_bits) - 1);
}

/* The seeds of both parties on the path to r, one level down; in, out: (4) per key, see gen_group. */
static struct block gen_level(struct block at[2], const struct block *child, uint64_t bit)
{
    struct block keep[2], lose[2], cw;
    for (int p = 0; p < 2; p++) {
        const struct block left = child[2 * p], right = child[2 * p + 1];
        keep[p] = xored(left, selected(xored(left, right), -bit));
        lose[p] = xored(right, selected(xored(left, right), -bit));
    }
    const uint64_t t_left = (child[0].w[0] ^ child[2].w[0] ^ bit ^ 1) & 1, t_right = (child[1].w[0] ^ child[3].w[0] ^ bit) & 1;
    cw = tweaked(xored(lose[0], lose[1]), t_left | t_right << 1);
    const struct block left = correction(cw, 0), right = correction(cw, 1);
    const struct block kept = xored(left, selected(xored(left, right), -bit));
    for (int p = 0; p < 2; p++)
        at[p] = xored(keep[p], selected(kept, control(at[p])));
    return cw;
}

/* count <= GEN_GROUP keys. cw (count, levels + 1), root* and cw as in dpf_gen. */
static enum ss_err gen_group(const struct ss_dev *dev, struct block *cw, uint64_t *sign, const struct block *root0,
                             const struct block *root1, const uint64_t *r, size_t count, size_t levels,
                             const struct ss_aes_key *key)
{
    struct block at[GEN_GROUP][2], in[GEN_GROUP][4], out[GEN_GROUP][4];
    for (size_t i = 0; i < count; i++) {
        at[i][0] = tweaked(root0[i], 0);
        at[i][1] = tweaked(root1[i], 1); /* control bits start as 0 and 1 */
    }
    for (size_t l = 0; l < levels; l++) {
        for (size_t i = 0; i < count; i++)
            for (int p = 0; p < 2; p++) {
                in[i][2 * p] = tweaked(at[i][p], LEFT);
                in[i][2 * p + 1] = tweaked(at[i][p], RIGHT);
            }
        SS_TRY(dev->aes->mmo(out, in, 4 * count, key));
        for (size_t i = 0; i < count; i++)
            cw[i * (levels + 1) + l] = gen_level(at[i], out[i], r[i] >> (LEAF_BITS + levels - 1 - l) & 1);
    }
    for (size_t i = 0; i < count; i++)
        for (int p = 0; p < 2; p++)
            in[i][2 * p] = in[i][2 * p + 1] = tweaked(at[i][p], LEAF);
    SS_TRY(dev->aes->mmo(out, in, 4 * count, key));
    for (size_t i = 0; i < count; i++) {
        const uint64_t high = -(r[i] >> 6 & 1), one = (uint64_t)1 << (r[i] & 63);
        const struct block leaf = xored(xored(out[i][0], out[i][2]), (struct block){{one & ~high, one & high}});
        const struct block mine = xored(out[i][0], selected(leaf, control(at[i][0])));
        const uint64_t bit = ((mine.w[0] & ~high) | (mine.w[1] & high)) >> (r[i] & 63) & 1;
        cw[i * (levels + 1) + levels] = leaf;
        sign[i] = 2 * bit - 1;
    }
    return SS_OK;
}

enum ss_err cpu_dpf_gen(struct ss_dev *dev, uint64_t *cw, uint64_t *sign, const uint64_t *root0, const uint64_t *root1,
                        const uint64_t *b0, const uint64_t *b1, size_t n, const struct ss_lookup_shape *s,
                        const struct ss_aes_key *key)
{
    SS_REQUIRE(s->n_bits >= LEAF_BITS && s->n_bits <= CPU_MAX_TABLE_BITS);
    const size_t levels = s->n_bits - LEAF_BITS;
    enum ss_err err = SS_OK;
#pragma omp parallel for num_threads(dev->threads) if (n > GEN_GROUP)
    for (size_t at = 0; at < n; at += GEN_GROUP) {
        const size_t count = n - at < GEN_GROUP ? n - at : GEN_GROUP;
        uint64_t r[GEN_GROUP];
        for (size_t i = 0; i < count; i++)
            r[i] = point(b0[at + i], b1[at + i], s);
        enum ss_err e = gen_group(dev, (struct block *)cw + at * (levels + 1), sign + at, (const struct block *)root0 + at,
                                  (const struct block *)root1 + at, r, count, levels, key);
        if (e != SS_OK) {
#pragma omp atomic write
            err = e;
        }
    }
    return err;
}

/* count <= EVAL_GROUP keys to their leaves, breadth first: key i's nodes of a level lie together in leaf order. */
static enum ss_err eval_group(const struct ss_dev *dev, struct block *bits, const struct block *root, const struct block *cw,
                              size_t count, size_t levels, const struct ss_aes_key *key, int party)
{
    struct block at[EVAL_GROUP * MAX_LEAVES], in[EVAL_GROUP * MAX_LEAVES];
    const size_t leaves = (size_t)1 << levels;
    for (size_t i = 0; i < count; i++)
        at[i] = tweaked(root[i], (uint64_t)party);
    for (size_t l = 0; l < levels; l++) {
        const size_t nodes = (size_t)1 << l;
        struct block out[EVAL_GROUP * MAX_LEAVES];
        for (size_t j = 0; j < count * nodes; j++) {
            in[2 * j] = tweaked(at[j], LEFT);
            in[2 * j + 1] = tweaked(at[j], RIGHT);
        }
        SS_TRY(dev->aes->mmo(out, in, 2 * count * nodes, key));
        for (size_t i = count; i-- > 0;) { /* from the last: a key's children lie behind nodes still to be read */
            const struct block c = cw[i * (levels + 1) + l], left = correction(c, 0), right = correction(c, 1);
            uint64_t t[MAX_LEAVES];
            for (size_t j = 0; j < nodes; j++)
                t[j] = control(at[i * nodes + j]);
            for (size_t j = 0; j < nodes; j++) {
                const size_t to = 2 * (i * nodes + j);
                at[to] = xored(out[to], selected(left, t[j]));
                at[to + 1] = xored(out[to + 1], selected(right, t[j]));
            }
        }
    }
    for (size_t j = 0; j < count * leaves; j++)
        in[j] = tweaked(at[j], LEAF);
    SS_TRY(dev->aes->mmo(bits, in, count * leaves, key));
    for (size_t i = 0; i < count; i++)
        for (size_t j = i * leaves; j < (i + 1) * leaves; j++)
            bits[j] = xored(bits[j], selected(cw[i * (levels + 1) + levels], control(at[j])));
    return SS_OK;
}

enum ss_err cpu_dpf_eval(struct ss_dev *dev, uint64_t *bits, const uint64_t *root, const uint64_t *cw, size_t n,
                         unsigned n_bits, const struct ss_aes_key *key, int party)
{
    SS_REQUIRE(n_bits >= LEAF_BITS && n_bits <= CPU_MAX_TABLE_BITS);
    const size_t levels = n_bits - LEAF_BITS;
    enum ss_err err = SS_OK;
#pragma omp parallel for num_threads(dev->threads) if (n > EVAL_GROUP)
    for (size_t at = 0; at < n; at += EVAL_GROUP) {
        enum ss_err e = eval_group(dev, (struct block *)bits + (at << levels), (const struct block *)root + at,
                                   (const struct block *)cw + at * (levels + 1), n - at < EVAL_GROUP ? n - at : EVAL_GROUP,
                                   levels, key, party);
        if (e != SS_OK) {
#pragma omp atomic write
            err = e;
        }
    }
    return err;
}

enum ss_err cpu_onehot_deal(struct ss_dev *dev, uint64_t *bits1, uint64_t *sign, const uint64_t *bits0, const uint64_t *b0,
                            const uint64_t *b1, size_t n, const struct ss_lookup_shape *s)
{
    const size_t words = (size_t)1 << s->n_bits >> 6;
#pragma omp parallel for num_threads(dev->threads) if (n * words >= CPU_PARALLEL_MIN)
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = point(b0[i], b1[i], s), one = (uint64_t)1 << (r & 63);
        uint64_t bit = 0;
        for (size_t j = 0; j < words; j++) {
            const uint64_t same = ((j ^ r >> 6) - 1) >> 63; /* j == r >> 6; gcc makes a jump of the comparison */
            const uint64_t here = -same & one, word = bits0[i * words + j];
            bits1[i * words + j] = word ^ here;
            bit |= word & here;
        }
        sign[i] = 2 * (bit >> (r & 63)) - 1;
    }
    return SS_OK;
}
