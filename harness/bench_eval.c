/* bench_eval.c — what bench.c does differently for phase eval: windows of the model's text, and scores beside the reference's.
 */
#include <math.h>
#include <stdlib.h>

#include "harness/windows.h"

enum ss_err ss_eval_check(const struct ss_model *m, const struct ss_cell *c)
{
    if (!*m->text)
        SS_FAIL(SS_USAGE, "phase eval: model %s has no text; name one in experiments/models/%s.ini (text = FILE)", m->name,
                m->name);
    if (c->tokens == 0 || c->tokens > m->shape.max_seq || c->tokens > SS_EVAL_STRIDE)
        SS_FAIL(SS_USAGE, "phase eval: windows of %zu tokens; %s takes 1 to %zu, and windows begin every %d bytes", c->tokens,
                m->name, m->shape.max_seq, SS_EVAL_STRIDE);
    return SS_OK;
}

enum ss_err ss_eval_open(struct ss_windows *w, const struct ss_model *m, const struct ss_cell *c, size_t wanted)
{
    SS_TRY(ss_eval_check(m, c));
    SS_TRY(ss_windows_read(w, m, m->text));
    SS_TRY(ss_windows_cut(w, c->tokens, SS_EVAL_STRIDE, wanted, m->text));
    if (w->n < wanted)
        SS_FAIL(SS_USAGE,
                "phase eval: '%s' has %zu windows of %zu tokens, %zu are wanted; give a longer text or lower reps_max", m->text,
                w->n, c->tokens, wanted);
    return SS_OK;
}

enum ss_err ss_eval_alloc(struct ss_result *r, size_t most)
{
    r->window = calloc(most, sizeof *r->window);
    if (r->cell.reference)
        r->predicted = calloc(most * r->cell.tokens, sizeof *r->predicted);
    if (!r->window || (r->cell.reference && !r->predicted))
        SS_FAIL(SS_ENV, "no memory for %zu windows; lower reps_max", most);
    return SS_OK;
}

enum ss_err ss_eval_score(struct ss_result *r, size_t i, const struct ss_windows *w, const float *logits,
                          const struct ss_result *reference)
{
    const size_t n = w->window;
    struct ss_window *to = &r->window[i];
    int32_t *top = r->predicted ? r->predicted + i * n : malloc(n * sizeof *top);
    if (!top)
        SS_FAIL(SS_ENV, "no memory for the tokens of a window; close other programs");
    ss_windows_score(&to->nats, &to->right, top, logits, ss_windows_at(w, i) + 1, n, r->shape.vocab);
    r->has_plain = reference && reference->predicted;
    if (r->has_plain) {
        SS_REQUIRE(i < reference->reps && n == reference->cell.tokens);
        to->plain_nats = reference->window[i].nats;
        for (size_t k = 0; k < n; k++)
            to->agree += top[k] == reference->predicted[i * n + k];
    }
    if (!r->predicted)
        free(top);
    if (!isfinite(to->nats))
        SS_FAIL(SS_CELLS, "%s on %s: the cross-entropy of window %zu is not a finite number", r->cell.variant, r->cell.model,
                i);
    return SS_OK;
}
