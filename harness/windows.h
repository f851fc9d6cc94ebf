/* windows.h — a text cut into windows, and how well logits foretell it. Shared by the command eval and phase eval of cells. */
#ifndef SS_WINDOWS_H
#define SS_WINDOWS_H

#include "harness/cell.h"

/* Window i: ids [i * stride, i * stride + window] of the text, the last one only as a target. */
struct ss_windows {
    int32_t *ids; /* of the whole text; owned */
    size_t n_ids;
    size_t n; /* windows */
    size_t window, stride;
};
/* The bytes of the file as ids. SS_USAGE for a model whose vocabulary is not bytes: there is no tokenizer here. */
SS_CHECKED enum ss_err ss_windows_read(struct ss_windows *w, const struct ss_model *m, const char *path);
/* n becomes the number of whole windows, at most `most`; SS_USAGE, naming `path`, if there is none. */
SS_CHECKED enum ss_err ss_windows_cut(struct ss_windows *w, size_t window, size_t stride, uint64_t most, const char *path);
const int32_t *ss_windows_at(const struct ss_windows *w, size_t i); /* (window + 1) */
void ss_windows_free(struct ss_windows *w);

/* Of logits (rows, vocab), where the token after row r is next[r]: mean cross-entropy in nats, and how often the most likely
   token is the next one. top: the most likely tokens (rows), or NULL. */
void ss_windows_score(double *nats, int64_t *right, int32_t *top, const float *logits, const int32_t *next, size_t rows,
                      size_t vocab);

/* ---- phase eval (bench_eval.c). Repetition i of a cell is window i of the model's text: `tokens` tokens from byte
   SS_EVAL_STRIDE * i on, which is how the held-out text of tiny-lm is to be read, whatever the window's length. */
enum { SS_EVAL_STRIDE = 4096 };
/* SS_USAGE in one line if the model has no text, or the windows would overlap. */
SS_CHECKED enum ss_err ss_eval_check(const struct ss_model *m, const struct ss_cell *c);
/* The first `wanted` windows; SS_USAGE if the text has fewer. */
SS_CHECKED enum ss_err ss_eval_open(struct ss_windows *w, const struct ss_model *m, const struct ss_cell *c, size_t wanted);
/* Room for the windows of `most` repetitions in r. */
SS_CHECKED enum ss_err ss_eval_alloc(struct ss_result *r, size_t most);
/* The logits (tokens, vocab) of repetition i become r->window[i], beside the reference's (NULL: not compared), which must have
   that window. */
SS_CHECKED enum ss_err ss_eval_score(struct ss_result *r, size_t i, const struct ss_windows *w, const float *logits,
                                     const struct ss_result *reference);
#endif
