/* attend_u64.c — the two causal matrix products of attention in Z_2^64: plain loops, and the walk around a fast inner product
   (attend_avx2.c, attend_avx512.c). */
#include "kernels/cpu/cpu.h"

#include <string.h>

static struct ss_ragged causal(const struct ss_attention *p)
{
    return (struct ss_ragged){.rows = p->n_heads * p->tokens, .tokens = p->tokens, .past = p->past};
}

static void plain_scores(const struct ss_dev *dev, uint64_t *out, const uint64_t *q, size_t q_stride, const uint64_t *k,
                         size_t k_stride, const struct ss_attention *p, bool accumulate)
{
    const size_t d = p->d_head, group = p->n_heads / p->n_kv;
    const struct ss_ragged r = causal(p);
#pragma omp parallel for num_threads(dev->threads) schedule(dynamic, 8) if (ss_ragged_start(&r, r.rows) * d >= CPU_PARALLEL_MIN)
    for (size_t row = 0; row < r.rows; row++) {
        const size_t h = row / p->tokens, i = row % p->tokens;
        const uint64_t *a = q + i * q_stride + h * d;
        uint64_t *y = out + ss_ragged_start(&r, row);
        for (size_t j = 0; j <= p->past + i; j++) {
            const uint64_t *b = k + j * k_stride + h / group * d;
            uint64_t sum = 0;
            for (size_t l = 0; l < d; l++)
                sum += a[l] * b[l];
            y[j] = sum + (accumulate ? y[j] : 0);
        }
    }
}

static void plain_values(const struct ss_dev *dev, uint64_t *out, const uint64_t *w, const uint64_t *v, size_t v_stride,
                         const struct ss_attention *p, bool accumulate)
{
    const size_t d = p->d_head, group = p->n_heads / p->n_kv;
    const struct ss_ragged r = causal(p);
#pragma omp parallel for num_threads(dev->threads) schedule(dynamic, 8) if (ss_ragged_start(&r, r.rows) * d >= CPU_PARALLEL_MIN)
    for (size_t row = 0; row < r.rows; row++) {
        const size_t h = row / p->tokens, i = row % p->tokens;
        const uint64_t *a = w + ss_ragged_start(&r, row);
        uint64_t *y = out + (i * p->n_heads + h) * d;
        if (!accumulate)
            memset(y, 0, d * sizeof *y);
        for (size_t j = 0; j <= p->past + i; j++) {
            const uint64_t *b = v + j * v_stride + h / group * d;
            for (size_t l = 0; l < d; l++)
                y[l] += a[j] * b[l];
        }
    }
}

/* Two queries of one key-value head, neighbours in the order (token, head of the group): the second sees as many keys as the
   first, or one more. Of an odd number the last is its own neighbour. */
struct duo {
    size_t rows, token[2], head[2], seen[2];
    size_t row[2]; /* of the scores */
};

static size_t duos_of(const struct ss_attention *p)
{
    return (p->tokens * (p->n_heads / p->n_kv) + 1) / 2;
}

static struct duo duo_of(const struct ss_attention *p, size_t g, size_t index)
{
    const size_t group = p->n_heads / p->n_kv, all = p->tokens * group, first = 2 * index;
    struct duo u = {.rows = first + 1 < all ? 2 : 1};
    for (size_t i = 0; i < 2; i++) {
        const size_t query = i < u.rows ? first + i : first;
        u.token[i] = query / group;
        u.head[i] = g * group + query % group;
        u.seen[i] = p->past + u.token[i] + 1;
        u.row[i] = u.head[i] * p->tokens + u.token[i];
    }
    return u;
}

static void put(uint64_t *y, uint64_t x, bool accumulate)
{
    *y = x + (accumulate ? *y : 0);
}

enum ss_err cpu_gemm_u64_scores(struct ss_dev *dev, uint64_t *out, const uint64_t *q, size_t q_stride, const uint64_t *k,
                                size_t k_stride, const struct ss_attention *p, bool accumulate)
{
    const size_t d = p->d_head;
    const struct ss_ragged r = causal(p);
    if (!dev->attend) {
        plain_scores(dev, out, q, q_stride, k, k_stride, p, accumulate);
        return SS_OK;
    }
#pragma omp parallel for collapse(2) num_threads(dev->threads)                                                                 \
    schedule(dynamic, 8) if (ss_ragged_start(&r, r.rows) * d >= CPU_PARALLEL_MIN)
    for (size_t g = 0; g < p->n_kv; g++)
        for (size_t index = 0; index < duos_of(p); index++) {
            const struct duo u = duo_of(p, g, index);
            const uint64_t *a[2] = {q + u.token[0] * q_stride + u.head[0] * d, q + u.token[1] * q_stride + u.head[1] * d};
            for (size_t j = 0; j < u.seen[1]; j += 2) {
                const uint64_t *key = k + j * k_stride + g * d, *b[2] = {key, j + 1 < u.seen[1] ? key + k_stride : key};
                uint64_t sums[2][2];
                dev->attend->dots(sums, a, b, d);
                for (size_t i = 0; i < u.rows; i++)
                    for (size_t l = 0; l < 2 && j + l < u.seen[i]; l++)
                        put(out + ss_ragged_start(&r, u.row[i]) + j + l, sums[i][l], accumulate);
            }
        }
    return SS_OK;
}

/* Columns [from, from + n) of a query's result: sums over the first `whole` keys, and the others' products. */
static void finish_columns(uint64_t *y, const uint64_t *sums, const uint64_t *w, const uint64_t *v, size_t v_stride,
                           size_t whole, size_t seen, size_t n, bool accumulate)
{
    for (size_t l = 0; l < n; l++) {
        uint64_t sum = sums[l];
        for (size_t j = whole; j < seen; j++)
            sum += w[j] * v[j * v_stride + l];
        put(y + l, sum, accumulate);
    }
}

enum ss_err cpu_gemm_u64_values(struct ss_dev *dev, uint64_t *out, const uint64_t *w, const uint64_t *v, size_t v_stride,
                                const struct ss_attention *p, bool accumulate)
{
    const size_t d = p->d_head;
    const struct ss_ragged r = causal(p);
    if (!dev->attend) {
        plain_values(dev, out, w, v, v_stride, p, accumulate);
        return SS_OK;
    }
#pragma omp parallel for collapse(2) num_threads(dev->threads)                                                                 \
    schedule(dynamic, 8) if (ss_ragged_start(&r, r.rows) * d >= CPU_PARALLEL_MIN)
    for (size_t g = 0; g < p->n_kv; g++)
        for (size_t index = 0; index < duos_of(p); index++) {
            const struct duo u = duo_of(p, g, index);
            const uint64_t *a[2] = {w + ss_ragged_start(&r, u.row[0]), w + ss_ragged_start(&r, u.row[1])};
            for (size_t from = 0; from < d; from += CPU_ATTEND_COLUMNS) {
                const bool full = d - from >= CPU_ATTEND_COLUMNS;
                const size_t whole = full ? u.seen[0] : 0, n = full ? CPU_ATTEND_COLUMNS : d - from;
                const uint64_t *values = v + g * d + from;
                uint64_t sums[2][CPU_ATTEND_COLUMNS] = {{0}};
                if (full)
                    dev->attend->columns(sums, a, values, v_stride, whole);
                for (size_t i = 0; i < u.rows; i++)
                    finish_columns(out + (u.token[i] * p->n_heads + u.head[i]) * d + from, sums[i], a[i], values, v_stride,
                                   whole, u.seen[i], n, accumulate);
            }
        }
    return SS_OK;
}
