/* sharing.c — see sharing.h. */
#include "variants/lib/sharing.h"

#include "harness/channel.h"

enum ss_err ss_sharing_share(struct ss_ctx *c, struct ss_val *x, const float *h_x)
{
    const struct ss_backend *b = c->backend;
    size_t n = x->rows * x->cols;
    x->bits = c->frac_bits;
    x->col_bits = NULL;
    if (c->role == SS_P1)
        return ss_recv(c, SS_P0, "shar", x->buf.p, n * sizeof(uint64_t));
    void *clear, *mask;
    SS_TRY(ss_scratch(c, 0, n * sizeof(float), &clear));
    SS_TRY(ss_scratch(c, 1, n * sizeof(uint64_t), &mask));
    SS_TRY(b->upload(c->dev, clear, h_x, n * sizeof(float)));
    SS_TRY(b->ring_encode(c->dev, ss_u64(x), clear, n, c->frac_bits));
    SS_TRY(ss_prg_fill(&c->prg, b, c->dev, mask, n));
    SS_TRY(b->ring_sub(c->dev, ss_u64(x), ss_u64(x), mask, n));
    return ss_send(c, SS_P1, "shar", mask, n * sizeof(uint64_t));
}

enum ss_err ss_sharing_linear(struct ss_ctx *c, struct ss_val *out, const struct ss_val *in, const struct ss_linear *w)
{
    SS_REQUIRE(!in->col_bits && in->cols == w->w.cols);
    out->rows = in->rows;
    out->cols = w->w.rows;
    out->bits = in->bits;
    out->col_bits = w->w.row_bits;
    SS_TRY(c->backend->gemm_ring(c->dev, ss_u64(out), ss_u64(in), in->rows, &w->w));
    if (w->bias && c->role == SS_P0)
        SS_TRY(c->backend->ring_add_bias(c->dev, ss_u64(out), w->bias, out->rows, out->cols, out->bits, out->col_bits));
    return SS_OK;
}

enum ss_err ss_sharing_reveal(struct ss_ctx *c, const struct ss_val *logits, float *h_logits)
{
    const struct ss_backend *b = c->backend;
    size_t n = logits->rows * logits->cols;
    if (c->role == SS_P1)
        return ss_send(c, SS_P0, "logi", logits->buf.p, n * sizeof(uint64_t));
    void *clear, *theirs;
    SS_TRY(ss_scratch(c, 0, n * sizeof(float), &clear));
    SS_TRY(ss_scratch(c, 1, n * sizeof(uint64_t), &theirs));
    SS_TRY(ss_recv(c, SS_P1, "logi", theirs, n * sizeof(uint64_t)));
    SS_TRY(b->ring_decode(c->dev, clear, ss_u64(logits), theirs, logits->rows, logits->cols, logits->bits, logits->col_bits));
    return b->download(c->dev, h_logits, clear, n * sizeof(float));
}

void ss_cost_functions(const struct ss_job *job, struct ss_counters *e)
{
    const struct ss_shape *s = job->shape;
    int64_t t = (int64_t)job->tokens, past = (int64_t)job->past, layers = (int64_t)s->n_layers;
    int64_t heads = (int64_t)s->n_heads, d_ff = (int64_t)s->d_ff;
    if (job->copy_only)
        return;
    e->func_silu += layers * t * d_ff;
    e->func_exp += layers * heads * (t * past + t * (t + 1) / 2);
    e->func_recip += layers * heads * t;
    e->func_rsqrt += layers * 2 * t + (job->all_logits ? t : 1);
}

void ss_cost_share_and_reveal(const struct ss_job *job, struct ss_counters *e)
{
    int64_t t = (int64_t)job->tokens;
    e->bytes_input_p0_p1 += 8 * t * (int64_t)job->shape->d_model;
    e->rounds_input += 1;
    e->bytes_output_p1_p0 += 8 * (job->all_logits ? t : 1) * (int64_t)job->shape->vocab;
    e->rounds_output += 1;
}
