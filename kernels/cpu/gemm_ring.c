/* gemm_ring.c — out (m, n) = a (m, k) * w (n, k)^T mod 2^64: the schoolbook form, and the blocked form around cpu_dot. */
#include "kernels/cpu/cpu.h"

#include <string.h>

enum { TOKEN_BLOCK = 64, MAX_LANES = 32 };

static int64_t weight_at(const struct ss_matrix *w, size_t row, size_t col)
{
    size_t i = row * w->cols + col;
    if (w->type == SS_I16)
        return ((const int16_t *)w->data)[i];
    const int8_t *lo = w->data, *hi = lo + w->rows * w->cols;
    return (int64_t)hi[i] * 256 + lo[i];
}

static void schoolbook(const struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w)
{
#pragma omp parallel for num_threads(dev->threads) if (m * w->cols >= CPU_PARALLEL_MIN / 64)
    for (size_t row = 0; row < w->rows; row++)
        for (size_t i = 0; i < m; i++) {
            uint64_t sum = 0;
            for (size_t j = 0; j < w->cols; j++)
                sum += a[i * w->cols + j] * (uint64_t)weight_at(w, row, j);
            out[i * w->rows + row] = sum;
        }
}

/* The five digits of n <= lanes elements of a, zeros behind them. Adding half of each digit's range first makes every digit a
   plain bit field: no carries to pass on. */
static void split(int16_t *x, const uint64_t *a, size_t n, size_t lanes)
{
    const uint64_t bias = (1ull << 10) + (1ull << 21) + (1ull << 31) + (1ull << 47);
    uint64_t y[MAX_LANES];
    for (size_t i = 0; i < MAX_LANES; i++)
        y[i] = bias;
    for (size_t i = 0; i < n; i++)
        y[i] += a[i];
    for (size_t i = 0; i < lanes; i++) {
        x[i] = (int16_t)((int)(y[i] & 2047) - 1024);
        x[lanes + i] = (int16_t)((int)(y[i] >> 11 & 2047) - 1024);
        x[2 * lanes + i] = (int16_t)((int)(y[i] >> 22 & 1023) - 512);
        x[3 * lanes + i] = (int16_t)((int)(y[i] >> 32 & 65535) - 32768);
        x[4 * lanes + i] = (int16_t)(uint16_t)(y[i] >> 48);
    }
}

struct product {
    const struct cpu_dot *dot;
    const int16_t *x;    /* (tokens, steps, CPU_DIGITS, lanes) */
    const int16_t *w;    /* (n, k) */
    size_t m, n, k;      /* tokens of this block, weight rows, inner length */
    size_t steps, whole; /* steps with padding, steps without */
};

/* acc (m, CPU_TILE_ROWS) += digits of steps [first, first + steps) times the tile's rows */
static void tile_block(uint64_t *acc, const struct product *p, const int16_t *const *w, size_t first, size_t steps)
{
    const struct cpu_dot *dot = p->dot;
    for (size_t t = 0; t < p->m; t++) {
        const int16_t *x = p->x + (t * p->steps + first) * CPU_DIGITS * dot->lanes;
        for (size_t r = 0; r < CPU_TILE_ROWS; r += dot->rows)
            dot->run(acc + t * CPU_TILE_ROWS + r, x, w + r, steps);
    }
}

/* Weight rows [row0, row0 + CPU_TILE_ROWS); rows behind the last repeat it and are dropped. */
static void tile(uint64_t *out, const struct product *p, size_t row0)
{
    const size_t lanes = p->dot->lanes, rows = p->n - row0 < CPU_TILE_ROWS ? p->n - row0 : CPU_TILE_ROWS;
    uint64_t acc[TOKEN_BLOCK * CPU_TILE_ROWS] = {0};
    const int16_t *w[CPU_TILE_ROWS];
    for (size_t first = 0; first < p->whole; first += CPU_BLOCK_STEPS) {
        size_t steps = p->whole - first < CPU_BLOCK_STEPS ? p->whole - first : CPU_BLOCK_STEPS;
        for (size_t r = 0; r < CPU_TILE_ROWS; r++)
            w[r] = p->w + (row0 + (r < rows ? r : rows - 1)) * p->k + first * lanes;
        tile_block(acc, p, w, first, steps);
    }
    if (p->whole < p->steps) { /* the last k % lanes values, zero-padded: never read behind the matrix */
        int16_t tail[CPU_TILE_ROWS][MAX_LANES] = {0};
        for (size_t r = 0; r < CPU_TILE_ROWS; r++) {
            const size_t row = row0 + (r < rows ? r : rows - 1), done = p->whole * lanes;
            memcpy(tail[r], p->w + row * p->k + done, (p->k - done) * sizeof **tail);
            w[r] = tail[r];
        }
        tile_block(acc, p, w, p->whole, 1);
    }
    for (size_t t = 0; t < p->m; t++)
        memcpy(out + t * p->n + row0, acc + t * CPU_TILE_ROWS, rows * sizeof *out);
}

enum ss_err cpu_gemm_ring(struct ss_dev *dev, uint64_t *out, const uint64_t *a, size_t m, const struct ss_matrix *w)
{
    SS_REQUIRE(w->type == SS_I16 || w->type == SS_I8X2);
    if (!dev->dot || w->type == SS_I8X2) {
        schoolbook(dev, out, a, m, w);
        return SS_OK;
    }
    const size_t lanes = dev->dot->lanes, k = w->cols, steps = (k + lanes - 1) / lanes;
    const size_t block = m < TOKEN_BLOCK ? m : TOKEN_BLOCK, step_values = CPU_DIGITS * lanes;
    void *work;
    SS_TRY(cpu_work(dev, &work, block * steps * step_values * sizeof(int16_t)));
    int16_t *x = work;
    for (size_t t0 = 0; t0 < m; t0 += block) {
        const size_t tokens = m - t0 < block ? m - t0 : block;
        const struct product p = {dev->dot, x, w->data, tokens, w->rows, k, steps, k / lanes};
#pragma omp parallel num_threads(dev->threads)
        {
#pragma omp for collapse(2)
            for (size_t t = 0; t < tokens; t++)
                for (size_t s = 0; s < steps; s++)
                    split(x + (t * steps + s) * step_values, a + (t0 + t) * k + s * lanes,
                          k - s * lanes < lanes ? k - s * lanes : lanes, lanes);
#pragma omp for schedule(dynamic, 4)
            for (size_t row = 0; row < w->rows; row += CPU_TILE_ROWS)
                tile(out + t0 * w->rows, &p, row);
        }
    }
    return SS_OK;
}
