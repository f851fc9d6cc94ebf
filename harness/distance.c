/* distance.c — how far logits are from a reference. */
#include <math.h>

#include "harness/session.h"

double ss_log_sum(const float *x, size_t n, size_t *top)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)x[best]);
    *top = best;
    return (double)x[best] + log(sum);
}

void ss_distance(struct ss_distance *d, const float *x, const float *ref, size_t rows, size_t vocab)
{
    double square = 0, square_ref = 0, kl = 0;
    size_t agree = 0;
    *d = (struct ss_distance){0};
    for (size_t r = 0; r < rows; r++, x += vocab, ref += vocab) {
        size_t top_x, top_ref;
        double lx = ss_log_sum(x, vocab, &top_x), lr = ss_log_sum(ref, vocab, &top_ref);
        for (size_t i = 0; i < vocab; i++) {
            double diff = (double)x[i] - (double)ref[i];
            d->max_abs = fmax(d->max_abs, fabs(diff));
            square += diff * diff;
            square_ref += (double)ref[i] * (double)ref[i];
            kl += exp((double)ref[i] - lr) * (((double)ref[i] - lr) - ((double)x[i] - lx));
        }
        agree += top_x == top_ref;
    }
    d->rel_l2 = sqrt(square / square_ref);
    d->kl = kl / (double)rows;
    d->top1 = (double)agree / (double)rows;
}
