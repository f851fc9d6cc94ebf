/* beaver.h — products of shares by dealt triples (Beaver, CRYPTO '91): one opening per operand, not per product.

   Every batch: masks from both parties' seeds; the masks' product is shared between P0 (from its seed) and P1 (8 bytes an
   element from the dealer). Each party sees operands minus uniform masks and nothing else.
     scale   x (ragged rows) times one y a row; with rows of one value: the element-wise product
     norm    the same, and the sum of squares of each row of x from the same opening
     attend  q, k, v rows opened once: scores q k^T, and later values w v; cached rows keep their opened form and their shares
 */
#ifndef SS_BEAVER_H
#define SS_BEAVER_H

#include "variants/lib/kv.h"
#include "variants/lib/triples.h"
#include "variants/lib/trunc.h"

enum ss_beaver_kind { SS_BEAVER_SCALE, SS_BEAVER_NORM };

SS_CHECKED enum ss_err ss_beaver_deal(struct ss_ctx *dealer, struct ss_seeds *s, struct ss_buf *scratch,
                                      enum ss_beaver_kind kind, const struct ss_ragged *r);
SS_CHECKED enum ss_err ss_beaver_receive(struct ss_ctx *party, struct ss_seeds *s, struct ss_corr *corr, enum ss_corr_slot slot,
                                         enum ss_beaver_kind kind, const struct ss_ragged *r);
/* A batch of SS_BEAVER_SCALE whose rows have one value, without the dealer: masks are each party's own, products by OT. */
SS_CHECKED enum ss_err ss_beaver_by_ot(struct ss_ctx *party, struct ss_ot *ot, struct ss_corr *corr, enum ss_corr_slot slot,
                                       const struct ss_ragged *r);
/* One round: out = x times y, row by row; out may be x. `work` holds messages and temporaries. */
SS_CHECKED enum ss_err ss_beaver_scale(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot, struct ss_buf *work,
                                       uint64_t *out, const uint64_t *x, const uint64_t *y, const struct ss_ragged *r);
/* The element-wise products [first, first + n) of a batch of r->rows single values, the batch taken before by the caller. */
SS_CHECKED enum ss_err ss_beaver_part(struct ss_ctx *party, const uint64_t *batch, struct ss_buf *work, uint64_t *out,
                                      const uint64_t *x, const uint64_t *y, size_t all, size_t first, size_t n);
/* n element-wise products by the SCALE batch (rows of one value) of `slot`, one round; corr: the array of all slots. */
SS_CHECKED enum ss_err ss_beaver_elements(struct ss_ctx *party, struct ss_corr *corr, enum ss_corr_slot slot,
                                          struct ss_buf *work, uint64_t *out, const uint64_t *x, const uint64_t *y, size_t n);
/* A norm's two openings: squares (out: a sum a row), then scale, which needs `opened` as squares left it. */
SS_CHECKED enum ss_err ss_beaver_squares(struct ss_ctx *party, const uint64_t *batch, struct ss_buf *opened, uint64_t *out,
                                         const uint64_t *x, const struct ss_ragged *r);
SS_CHECKED enum ss_err ss_beaver_scale_opened(struct ss_ctx *party, const uint64_t *batch, const struct ss_buf *opened,
                                              struct ss_buf *work, uint64_t *out, const uint64_t *y, const struct ss_ragged *r);
size_t ss_beaver_words(enum ss_beaver_kind kind, const struct ss_ragged *r);
/* Everything but rounds (scale: 1, norm: 2). */
void ss_beaver_cost(enum ss_beaver_kind kind, const struct ss_ragged *r, struct ss_counters *e);
/* The same of a scale whose rows have one value, from either source; everything but online rounds. */
void ss_beaver_product_cost(bool by_ot, const struct ss_ragged *r, struct ss_counters *e);

/* Attention: what survives a layer, per role. Dealer: masks of cached rows; parties: shares and opened differences. */
struct ss_attend {
    struct ss_kv kv, opened;
    struct ss_buf qkv; /* opened q, k, v of this pass (tokens, qkv rows) */
};
SS_CHECKED enum ss_err ss_attend_open(struct ss_ctx *c, struct ss_attend *a);
void ss_attend_close(struct ss_ctx *c, struct ss_attend *a);
/* Both batches of a layer: scores, then values. */
SS_CHECKED enum ss_err ss_attend_deal(struct ss_ctx *dealer, struct ss_attend *a, struct ss_seeds *s, struct ss_buf *scratch);
SS_CHECKED enum ss_err ss_attend_receive(struct ss_ctx *party, struct ss_seeds *s, struct ss_corr *scores,
                                         struct ss_corr *values);
/* One round each. qkv: shares (tokens, qkv rows) at one scale; scores (n_heads, causal rows); out (tokens, n_heads d_head). */
SS_CHECKED enum ss_err ss_attend_scores(struct ss_ctx *party, struct ss_attend *a, struct ss_corr *corr, struct ss_buf *work,
                                        uint64_t *scores, const uint64_t *qkv);
SS_CHECKED enum ss_err ss_attend_values(struct ss_ctx *party, struct ss_attend *a, struct ss_corr *corr, struct ss_buf *work,
                                        uint64_t *out, const uint64_t *weights);
void ss_attend_cost(const struct ss_shape *s, size_t tokens, size_t past, struct ss_counters *e);
#endif
