/* attention.c — causal grouped-query attention in the order that backend.h fixes. A piece of work is ROWS query positions of
   one key-value head: each tile of keys is laid out once, a key per lane, and serves the piece's rows and query heads. Loops
   over lanes are the vector loops; no sum crosses lanes but the last one of the softmax. */
#include <omp.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/exact.h"

enum {
    ROWS = 16,
    TILE = SS_ATTEND_TILE,
    COLUMNS = 32 /* of the values in registers */,
    ALIGN_FLOATS = 16,
    PARALLEL_PRODUCTS = 1 << 21
};

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The queries of a piece of work and its scratch. */
struct piece {
    size_t queries, per_kv; /* query q is row q / per_kv, head q % per_kv of the group */
    size_t row0, d;
    size_t d4;      /* d rounded up to 4: columns of q, rows of keys */
    size_t wide;    /* d rounded up to COLUMNS: columns of values and of the sums */
    float *q;       /* (queries, d4) scaled; 0 from d on */
    float *keys;    /* (d4, TILE) the tile's keys, transposed; absent keys 0 */
    float *values;  /* (TILE, wide) the tile's values; absent ones 0 */
    float *weights; /* (queries, TILE) */
    float *lanes;   /* (queries, TILE) sums of weights so far, a key per lane */
    float *keep;    /* (queries) factor for what was summed before this tile */
    float *y;       /* (d) */
    float *partial; /* (blocks, queries, wide + 2): sums of weight * v; then the largest score, the sum of weights */
};

/* score (TILE) = q . keys, four dimensions at a time */
__attribute__((target_clones("avx2", "default"))) static void multiply_keys(float *restrict score, const float *restrict q,
                                                                            const float *restrict keys, size_t d4)
{
    float s[TILE] = {0};
    for (size_t i = 0; i < d4; i += 4) {
        const float *k = keys + i * TILE, a = q[i], b = q[i + 1], c = q[i + 2], d = q[i + 3];
        for (size_t j = 0; j < TILE; j++)
            s[j] = ss_add(
                s[j], ss_sum4(ss_mul(a, k[j]), ss_mul(b, k[TILE + j]), ss_mul(c, k[2 * TILE + j]), ss_mul(d, k[3 * TILE + j])));
    }
    memcpy(score, s, sizeof s);
}

/* score (TILE) becomes weights relative to the new *top, of which the first n count; returns the factor for older sums. */
__attribute__((target_clones("avx2", "default"))) static float weigh(float *restrict score, float *restrict lanes, float *top,
                                                                     size_t n)
{
    float next = *top;
    for (size_t j = 0; j < n; j++)
        next = score[j] > next ? score[j] : next;
    const float keep = ss_exp(ss_sub(*top, next));
    for (size_t j = 0; j < TILE; j++)
        score[j] = ss_exp(ss_sub(score[j], next));
    for (size_t j = n; j < TILE; j++)
        score[j] = 0;
    for (size_t j = 0; j < TILE; j++)
        lanes[j] = ss_add(ss_mul(lanes[j], keep), score[j]);
    *top = next;
    return keep;
}

/* acc (wide) = acc * keep, then += weights . values for each four of the tile's first n keys */
__attribute__((target_clones("avx2", "default"))) static void
add_values(float *restrict acc, float keep, const float *restrict weights, const float *restrict values, size_t n, size_t wide)
{
    for (size_t i = 0; i < wide; i += COLUMNS) {
        float s[COLUMNS];
        for (size_t l = 0; l < COLUMNS; l++)
            s[l] = ss_mul(acc[i + l], keep);
        for (size_t j = 0; j < n; j += 4) {
            const float *v = values + j * wide + i, *w = weights + j, a = w[0], b = w[1], c = w[2], d = w[3];
            for (size_t l = 0; l < COLUMNS; l++)
                s[l] = ss_add(s[l], ss_sum4(ss_mul(a, v[l]), ss_mul(b, v[wide + l]), ss_mul(c, v[2 * wide + l]),
                                            ss_mul(d, v[3 * wide + l])));
        }
        memcpy(acc + i, s, sizeof s);
    }
}

/* The tile's n keys a key per lane, and its values packed: rows of a cache lie a power of two apart and evict each other. */
static void lay_out(const struct piece *t, const float *k, const float *v, size_t n, size_t stride)
{
    if (n < TILE)
        memset(t->keys, 0, t->d4 * TILE * sizeof(float));
    for (size_t i = 0; i < t->d; i++)
        for (size_t j = 0; j < n; j++)
            t->keys[i * TILE + j] = k[j * stride + i];
    for (size_t j = 0; j < n; j++)
        memcpy(t->values + j * t->wide, v + j * stride, t->d * sizeof(float));
    memset(t->values + n * t->wide, 0, (TILE - n) * t->wide * sizeof(float));
}

static float fold(float *v, size_t n) /* v[0] + .. + v[n - 1], halves onto halves; n a power of two */
{
    for (size_t step = n / 2; step; step /= 2)
        for (size_t i = 0; i < step; i++)
            v[i] = ss_add(v[i], v[i + step]);
    return v[0];
}

/* One block of keys, [from, end), for every query of the piece; k, v: the whole caches of this head. */
static void attend_block(const struct piece *t, float *partial, const float *k, const float *v, size_t stride, size_t from,
                         size_t end, size_t past)
{
    const size_t width = t->wide + 2;
    memset(t->lanes, 0, t->queries * TILE * sizeof(float));
    memset(partial, 0, t->queries * width * sizeof(float));
    for (size_t q = 0; q < t->queries; q++)
        partial[q * width + t->wide] = SS_ATTEND_BELOW_ALL;
    for (size_t j0 = from; j0 < end; j0 += TILE) {
        const size_t n = smaller(TILE, end - j0);
        lay_out(t, k + j0 * stride, v + j0 * stride, n, stride);
        for (int step = 0; step < 2; step++) /* scores of all while the keys are in cache, then the values */
            for (size_t q = 0; q < t->queries; q++) {
                const size_t visible = past + t->row0 + q / t->per_kv + 1;
                float *weights = t->weights + q * TILE, *sums = partial + q * width;
                if (visible <= j0)
                    continue;
                const size_t seen = smaller(n, visible - j0);
                if (step == 0) {
                    multiply_keys(weights, t->q + q * t->d4, t->keys, t->d4);
                    t->keep[q] = weigh(weights, t->lanes + q * TILE, sums + t->wide, seen);
                } else {
                    add_values(sums, t->keep[q], weights, t->values, seen, t->wide);
                }
            }
    }
    for (size_t q = 0; q < t->queries; q++)
        partial[q * width + t->wide + 1] = fold(t->lanes + q * TILE, TILE);
}

/* y = the blocks' sums, each brought to the largest score of all, over the sum of their weights */
static void join(const struct piece *t, const float *partial, size_t blocks)
{
    const size_t d = t->d, wide = t->wide, stride = t->queries * (wide + 2);
    float top = SS_ATTEND_BELOW_ALL, total = 0, *restrict y = t->y;
    for (size_t b = 0; b < blocks; b++)
        top = partial[b * stride + wide] > top ? partial[b * stride + wide] : top;
    for (size_t b = 0; b < blocks; b++) {
        const float *p = partial + b * stride, factor = ss_exp(ss_sub(p[wide], top)), part = ss_mul(factor, p[wide + 1]);
        total = b ? ss_add(total, part) : part;
        for (size_t i = 0; i < d; i++)
            y[i] = b ? ss_add(y[i], ss_mul(factor, p[i])) : ss_mul(factor, p[i]);
    }
    for (size_t i = 0; i < d; i++)
        y[i] = ss_add(ss_div(y[i], total), 0.0f);
}

static size_t carve(struct piece *t, float *at, size_t blocks)
{
    float **parts[] = {&t->q, &t->keys, &t->values, &t->weights, &t->lanes, &t->keep, &t->y, &t->partial};
    const size_t n = t->queries;
    const size_t sizes[] = {n * t->d4, t->d4 * TILE, TILE * t->wide, n * TILE, n * TILE, n, t->d, blocks * n * (t->wide + 2)};
    size_t used = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (at)
            *parts[i] = at + used;
        used += round_up(sizes[i], ALIGN_FLOATS);
    }
    return used;
}

struct task {
    struct ss_attention p;
    const float *qkv, *k_cache, *v_cache;
    void *out;
    enum ss_type act;
    size_t block_keys, blocks;
};

static void attend_piece(const struct task *a, float *scratch, size_t row0, size_t g)
{
    const struct ss_attention *p = &a->p;
    const size_t d = p->d_head, per_kv = p->n_heads / p->n_kv, stride = p->n_kv * d, rows = smaller(ROWS, p->tokens - row0);
    const size_t qkv_width = (p->n_heads + 2 * p->n_kv) * d, visible = p->past + row0 + rows;
    struct piece t = {.queries = rows * per_kv, .per_kv = per_kv, .row0 = row0, .d = d};
    t.d4 = round_up(d, 4), t.wide = round_up(d, COLUMNS);
    carve(&t, scratch, a->blocks);
    memset(t.q, 0, t.queries * t.d4 * sizeof(float));
    memset(t.keys, 0, t.d4 * TILE * sizeof(float));
    memset(t.values, 0, TILE * t.wide * sizeof(float));
    const float scale = ss_attend_scale(d);
    for (size_t q = 0; q < t.queries; q++) {
        const float *x = a->qkv + (row0 + q / per_kv) * qkv_width + (g * per_kv + q % per_kv) * d;
        for (size_t i = 0; i < d; i++)
            t.q[q * t.d4 + i] = ss_mul(x[i], scale);
    }
    for (size_t b = 0; b * a->block_keys < visible; b++)
        attend_block(&t, t.partial + b * t.queries * (t.wide + 2), a->k_cache + g * d, a->v_cache + g * d, stride,
                     b * a->block_keys, smaller((b + 1) * a->block_keys, visible), p->past);
    for (size_t q = 0; q < t.queries; q++) {
        const size_t row = row0 + q / per_kv, blocks = (p->past + row) / a->block_keys + 1;
        join(&t, t.partial + q * (t.wide + 2), blocks);
        cpu_store(a->out, a->act, (row * p->n_heads + g * per_kv + q % per_kv) * d, t.y, d);
    }
}

enum ss_err cpu_attention(struct ss_dev *dev, void *out, enum ss_type act, const float *qkv, float *k_cache, float *v_cache,
                          const struct ss_attention *p)
{
    SS_REQUIRE(act == SS_F32 || act == SS_BF16);
    SS_REQUIRE(p->n_kv > 0 && p->n_heads % p->n_kv == 0);
    const size_t d = p->d_head, q_width = p->n_heads * d, kv_width = p->n_kv * d, row = q_width + 2 * kv_width;
    for (size_t i = 0; i < p->tokens; i++) {
        memcpy(k_cache + (p->past + i) * kv_width, qkv + i * row + q_width, kv_width * sizeof *k_cache);
        memcpy(v_cache + (p->past + i) * kv_width, qkv + i * row + q_width + kv_width, kv_width * sizeof *v_cache);
    }
    struct task task = {*p, qkv, k_cache, v_cache, out, act, ss_attend_block(p->tokens, p->past), 0};
    task.blocks = (p->past + p->tokens + task.block_keys - 1) / task.block_keys;
    struct piece largest = {.queries = smaller(ROWS, p->tokens) * (p->n_heads / p->n_kv), .d = d};
    largest.d4 = round_up(d, 4), largest.wide = round_up(d, COLUMNS);
    const size_t scratch_floats = carve(&largest, NULL, task.blocks);
    void *work;
    SS_TRY(cpu_work(dev, &work, (size_t)dev->threads * scratch_floats * sizeof(float)));
    const size_t pieces = (p->tokens + ROWS - 1) / ROWS, products = p->tokens * (p->past + p->tokens) * q_width;
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(dev->threads) if (products >= PARALLEL_PRODUCTS)
    for (size_t i = 0; i < pieces; i++) /* the last rows see the most keys: they go first */
        for (size_t g = 0; g < p->n_kv; g++)
            attend_piece(&task, (float *)work + (size_t)omp_get_thread_num() * scratch_floats, (pieces - 1 - i) * ROWS, g);
    return SS_OK;
}
