/* windows.c — see windows.h. */
#include "harness/windows.h"

#include <stdlib.h>

#include "harness/ids.h"

enum ss_err ss_windows_read(struct ss_windows *w, const struct ss_model *m, const char *path)
{
    *w = (struct ss_windows){0};
    if (m->shape.vocab != 256)
        SS_FAIL(SS_USAGE,
                "%s has a vocabulary of %zu and no tokenizer here: only a vocabulary of 256 reads text; `eval` takes --ids "
                "FILE too",
                m->name, m->shape.vocab);
    return ss_bytes_read(&w->ids, &w->n_ids, path);
}

enum ss_err ss_windows_cut(struct ss_windows *w, size_t window, size_t stride, uint64_t most, const char *path)
{
    w->window = window;
    w->stride = stride;
    if (w->n_ids < window + 1)
        SS_FAIL(SS_USAGE, "'%s' holds %zu tokens; a window of %zu needs %zu. Give a longer text or a smaller window", path,
                w->n_ids, window, window + 1);
    w->n = (w->n_ids - window - 1) / stride + 1;
    if (w->n > most)
        w->n = (size_t)most;
    return SS_OK;
}

const int32_t *ss_windows_at(const struct ss_windows *w, size_t i)
{
    SS_REQUIRE(i < w->n);
    return w->ids + i * w->stride;
}

void ss_windows_free(struct ss_windows *w)
{
    free(w->ids);
    *w = (struct ss_windows){0};
}

void ss_windows_score(double *nats, int64_t *right, int32_t *top, const float *logits, const int32_t *next, size_t rows,
                      size_t vocab)
{
    SS_REQUIRE(next && rows > 0);
    double sum = 0;
    *right = 0;
    for (size_t r = 0; r < rows; r++, logits += vocab) {
        size_t best;
        sum += ss_log_sum(logits, vocab, &best) - (double)logits[next[r]];
        *right += best == (size_t)next[r];
        if (top)
            top[r] = (int32_t)best;
    }
    *nats = sum / (double)rows;
}
