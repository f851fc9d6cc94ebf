/* uniform.c — see uniform.h. */
#include "tests/uniform.h"

#include <math.h>
#include <string.h>

enum { VALUES = 256 };

void histogram_add(struct histogram *h, const void *words, size_t width, size_t n, int byte)
{
    const uint8_t *at = (const uint8_t *)words + byte;
    for (size_t i = 0; i < n; i++)
        h->seen[at[i * width]]++;
    h->n += n;
}

static double z_of_chi(double chi, double freedom)
{
    const double variance = 2 / (9 * freedom);
    return (cbrt(chi / freedom) - (1 - variance)) / sqrt(variance);
}

double uniform_z(const struct histogram *h)
{
    const double expected = (double)h->n / VALUES;
    double chi = 0;
    for (int v = 0; v < VALUES; v++)
        chi += ((double)h->seen[v] - expected) * ((double)h->seen[v] - expected) / expected;
    return z_of_chi(chi, VALUES - 1);
}

double byte_z(const uint64_t *words, size_t n, int byte)
{
    struct histogram h = {0};
    histogram_add(&h, words, sizeof *words, n, byte);
    return uniform_z(&h);
}

double same_z(const struct histogram *a, const struct histogram *b)
{
    const double na = (double)a->n, nb = (double)b->n;
    double chi = 0;
    int used = 0;
    for (int v = 0; v < VALUES; v++) {
        const double all = (double)(a->seen[v] + b->seen[v]), difference = (double)a->seen[v] / na - (double)b->seen[v] / nb;
        if (all > 0) {
            chi += difference * difference * na * nb / all;
            used++;
        }
    }
    return z_of_chi(chi, used > 1 ? used - 1 : 1);
}
