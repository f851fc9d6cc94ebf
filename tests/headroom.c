/* headroom.c — see headroom.h. The parties meet in trunc_open and ring_square_sum: each of these stands between two exchanges,
   so that neither party can be a call ahead of the other by more than one. */
#include "tests/headroom.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"

enum { TRUNCATION, SQUARES, MEETINGS };

const struct ss_backend *__real_ss_backend_find(const char *name);
const struct ss_backend *__wrap_ss_backend_find(const char *name);

static struct ss_backend checking;
static struct headroom *result;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint64_t *words;
    size_t n;
    int party;
} waiting[MEETINGS];

static double bits_of(double x)
{
    return x > 0 ? log2(x) : 0;
}

/* The first party leaves its words, the second gets them in *theirs (malloc'ed). */
static bool meet(int where, int party, const uint64_t *words, size_t n, uint64_t **theirs)
{
    if (waiting[where].words) {
        cr_assert(waiting[where].party != party && waiting[where].n == n, "the parties are not at the same operation");
        *theirs = waiting[where].words;
        waiting[where].words = NULL;
        return true;
    }
    waiting[where].words = malloc(n * sizeof *words);
    memcpy(waiting[where].words, words, n * sizeof *words);
    waiting[where].n = n;
    waiting[where].party = party;
    return false;
}

static enum ss_err trunc_open(struct ss_dev *dev, uint64_t *c, const uint64_t *x, const uint64_t *r, size_t n, int party)
{
    uint64_t *theirs;
    pthread_mutex_lock(&lock);
    if (meet(TRUNCATION, party, x, n, &theirs)) {
        for (size_t i = 0; i < n; i++) {
            const double size = fabs((double)(int64_t)(x[i] + theirs[i]));
            result->bad_values += size >= 0x1p62;
            result->bits = fmax(result->bits, bits_of(size));
        }
        result->values += n;
        free(theirs);
    }
    pthread_mutex_unlock(&lock);
    return __real_ss_backend_find("cpu")->trunc_open(dev, c, x, r, n, party);
}

/* x = d0 + d1 + a, a shared: its squares are added as real numbers, which do not wrap. */
static enum ss_err ring_square_sum(struct ss_dev *dev, uint64_t *out, const uint64_t *d0, const uint64_t *d1, const uint64_t *a,
                                   const uint64_t *c, size_t rows, size_t cols, int party)
{
    uint64_t *theirs;
    pthread_mutex_lock(&lock);
    if (meet(SQUARES, party, a, rows * cols, &theirs)) {
        for (size_t i = 0; i < rows; i++) {
            double sum = 0;
            for (size_t j = i * cols; j < (i + 1) * cols; j++)
                sum += pow((double)(int64_t)(d0[j] + d1[j] + a[j] + theirs[j]), 2);
            result->bad_sums += sum >= 0x1p63;
            result->sum_bits = fmax(result->sum_bits, bits_of(sum));
        }
        result->sums += rows;
        free(theirs);
    }
    pthread_mutex_unlock(&lock);
    return __real_ss_backend_find("cpu")->ring_square_sum(dev, out, d0, d1, a, c, rows, cols, party);
}

const struct ss_backend *__wrap_ss_backend_find(const char *name)
{
    return result && strcmp(name, "cpu") == 0 ? &checking : __real_ss_backend_find(name);
}

void headroom_begin(struct headroom *h)
{
    *h = (struct headroom){0};
    checking = *__real_ss_backend_find("cpu");
    checking.trunc_open = trunc_open;
    checking.ring_square_sum = ring_square_sum;
    result = h;
}

void headroom_end(void)
{
    for (int i = 0; i < MEETINGS; i++) {
        free(waiting[i].words);
        waiting[i].words = NULL;
    }
    result = NULL;
}
