/* clear.c — nonlinear steps at P1: P0 sends its share, P1 adds, computes in fp32, shares again under a fresh mask. P1 sees
   every hidden state; P0 sees uniformly random shares only. */
#include "variants/lib/clear.h"

#include <stdlib.h>

#include "harness/channel.h"
#include "variants/lib/kv.h"
#include "variants/lib/sharing.h"
#include "variants/lib/trunc.h"

struct clear {
    bool on_host;                               /* where P1 computes: v2 on the host, v3 on the device */
    struct ss_buf theirs;                       /* P1: P0's share; P0 and P1: message of a truncation. u64 (tokens, widest) */
    struct ss_buf mine;                         /* mask or own message, u64 (tokens, widest) */
    struct ss_buf opened;                       /* P1, device: f32 (tokens, widest) */
    struct ss_buf computed;                     /* P1, device: f32 (tokens, widest result) */
    struct ss_buf h_opened, h_computed, h_gain; /* P1, host: the same for v2 */
    struct ss_buf product;                      /* untruncated output of a residual projection, u64 (tokens, d_model) */
    struct ss_kv kv;                            /* P1: plaintext keys and values */
    struct ss_seeds seeds;
    struct ss_corr corr[SS_CORR_SLOTS];
    struct ss_buf dealt; /* dealer's scratch */
};

const struct ss_option ss_clear_options[] = {
    {.key = "frac", .help = "fractional bits f of the shares", .choices = NULL, .min = 12, .max = 18, .standard = "16"},
    {.key = NULL}};

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

static enum ss_err open_p1(struct ss_ctx *c, struct clear *v, size_t opened_words, size_t computed_words)
{
    SS_TRY(ss_buf_alloc(c, &v->opened, opened_words * sizeof(float), SS_TAG_shares));
    SS_TRY(ss_buf_alloc(c, &v->computed, computed_words * sizeof(float), SS_TAG_shares));
    if (v->on_host) {
        SS_TRY(ss_buf_alloc_host(c, &v->h_opened, opened_words * sizeof(float), SS_TAG_shares));
        SS_TRY(ss_buf_alloc_host(c, &v->h_computed, computed_words * sizeof(float), SS_TAG_shares));
        SS_TRY(ss_buf_alloc_host(c, &v->h_gain, c->shape->d_model * sizeof(float), SS_TAG_workspace));
    }
    return ss_kv_open(c, &v->kv, SS_F32, v->on_host);
}

static enum ss_err open_with(struct ss_ctx *c, bool on_host)
{
    struct clear *v = calloc(1, sizeof *v);
    if (!v)
        SS_FAIL(SS_ENV, "out of memory for the state of %s", c->variant->name);
    c->state = v;
    v->on_host = on_host;
    c->frac_bits = (unsigned)c->option[0];
    const struct ss_shape *s = c->shape;
    size_t attended = s->n_heads * s->d_head;
    if (c->role == SS_DEALER)
        return ss_buf_alloc(c, &v->dealt, 6 * c->max_tokens * s->d_model * sizeof(uint64_t), SS_TAG_triples);
    size_t widest = max(max(2 * s->d_ff, ss_shape_qkv_rows(s)), s->d_model);
    size_t result = max(max(s->d_ff, attended), s->d_model);
    size_t received = c->role == SS_P1 ? widest : s->d_model; /* P0 only gets truncation messages there ... */
    size_t sent = c->role == SS_P1 ? result : s->d_model;     /* ... and sends them from here */
    SS_TRY(ss_buf_alloc(c, &v->theirs, c->max_tokens * received * sizeof(uint64_t), SS_TAG_buffers));
    SS_TRY(ss_buf_alloc(c, &v->mine, c->max_tokens * sent * sizeof(uint64_t), SS_TAG_buffers));
    SS_TRY(ss_buf_alloc(c, &v->product, c->max_tokens * s->d_model * sizeof(uint64_t), SS_TAG_shares));
    return c->role == SS_P1 ? open_p1(c, v, c->max_tokens * widest, c->max_tokens * result) : SS_OK;
}

enum ss_err ss_clear_open_host(struct ss_ctx *c)
{
    return open_with(c, true);
}

enum ss_err ss_clear_open_device(struct ss_ctx *c)
{
    return open_with(c, false);
}

void ss_clear_close(struct ss_ctx *c)
{
    struct clear *v = c->state;
    if (!v)
        return;
    struct ss_buf *all[] = {&v->product,  &v->theirs,     &v->mine,   &v->opened, &v->computed,
                            &v->h_opened, &v->h_computed, &v->h_gain, &v->dealt};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ss_buf_free(c, all[i]);
    ss_kv_close(c, &v->kv);
    ss_seeds_close(c, &v->seeds);
    for (int i = 0; i < SS_CORR_SLOTS; i++)
        ss_corr_close(c, &v->corr[i]);
    free(v);
    c->state = NULL;
}

enum ss_err ss_clear_deal(struct ss_ctx *c, const struct ss_layer *w, size_t layer)
{
    struct clear *v = c->state;
    if (layer == c->shape->n_layers)
        return SS_OK;
    SS_TRY(ss_seeds_deal(c, &v->seeds));
    SS_TRY(ss_trunc_deal(c, &v->seeds, &v->dealt, c->tokens, c->shape->d_model, 0, w->out.w.row_bits));
    return ss_trunc_deal(c, &v->seeds, &v->dealt, c->tokens, c->shape->d_model, 0, w->down.w.row_bits);
}

enum ss_err ss_clear_prepare(struct ss_ctx *c, const struct ss_layer *w, size_t layer)
{
    (void)w;
    struct clear *v = c->state;
    if (layer == c->shape->n_layers)
        return SS_OK;
    SS_TRY(ss_seeds_receive(c, &v->seeds));
    size_t n = c->tokens * c->shape->d_model;
    SS_TRY(ss_trunc_receive(c, &v->seeds, &v->corr[SS_CORR_attn_out], SS_CORR_attn_out, n));
    return ss_trunc_receive(c, &v->seeds, &v->corr[SS_CORR_down], SS_CORR_down, n);
}

/* P0 sends its share of x; P1 holds x in `opened`, on the host too for v2. One message. */
static enum ss_err open_to_p1(struct ss_ctx *c, const struct ss_val *x)
{
    struct clear *v = c->state;
    size_t n = x->rows * x->cols;
    if (c->role == SS_P0)
        return ss_send(c, SS_P1, "open", x->buf.p, n * sizeof(uint64_t));
    SS_TRY(ss_recv(c, SS_P0, "open", v->theirs.p, n * sizeof(uint64_t)));
    SS_TRY(c->backend->ring_decode(c->dev, (float *)v->opened.p, ss_u64(x), (const uint64_t *)v->theirs.p, x->rows, x->cols,
                                   x->bits, x->col_bits));
    return v->on_host ? c->backend->download(c->dev, v->h_opened.p, v->opened.p, n * sizeof(float)) : SS_OK;
}

/* P1 shares what it computed, under a mask of its own. One message. */
static enum ss_err share_again(struct ss_ctx *c, struct ss_val *out)
{
    struct clear *v = c->state;
    const struct ss_backend *b = c->backend;
    size_t n = out->rows * out->cols;
    out->bits = c->frac_bits;
    out->col_bits = NULL;
    if (c->role == SS_P0)
        return ss_recv(c, SS_P1, "shar", out->buf.p, n * sizeof(uint64_t));
    if (v->on_host)
        SS_TRY(b->upload(c->dev, v->computed.p, v->h_computed.p, n * sizeof(float)));
    SS_TRY(b->ring_encode(c->dev, ss_u64(out), (const float *)v->computed.p, n, c->frac_bits));
    SS_TRY(ss_prg_fill(&c->prg, b, c->dev, (uint64_t *)v->mine.p, n));
    SS_TRY(b->ring_sub(c->dev, ss_u64(out), ss_u64(out), (const uint64_t *)v->mine.p, n));
    return ss_send(c, SS_P0, "shar", v->mine.p, n * sizeof(uint64_t));
}

/* Who computes P1's cleartext and on which arrays. */
struct place {
    const struct ss_backend *b;
    struct ss_dev *dev;
    float *in, *out;
};
static struct place place_of(const struct ss_ctx *c, const struct clear *v)
{
    if (v->on_host)
        return (struct place){c->host, c->host_dev, (float *)v->h_opened.p, (float *)v->h_computed.p};
    return (struct place){c->backend, c->dev, (float *)v->opened.p, (float *)v->computed.p};
}

enum ss_err ss_clear_rmsnorm(struct ss_ctx *c, struct ss_val *out, const struct ss_val *x, const float *gain)
{
    struct clear *v = c->state;
    size_t d = c->shape->d_model;
    c->counters.func_rsqrt += (int64_t)x->rows;
    SS_TRY(open_to_p1(c, x));
    if (c->role == SS_P1) {
        struct place p = place_of(c, v);
        if (v->on_host) {
            SS_TRY(c->backend->download(c->dev, v->h_gain.p, gain, d * sizeof(float)));
            gain = (const float *)v->h_gain.p;
        }
        SS_TRY(p.b->rmsnorm(p.dev, p.out, SS_F32, p.in, gain, x->rows, d, c->shape->eps));
    }
    out->rows = x->rows;
    out->cols = d;
    return share_again(c, out);
}

enum ss_err ss_clear_linear_residual(struct ss_ctx *c, struct ss_val *x, const struct ss_val *in, const struct ss_linear *w)
{
    struct clear *v = c->state;
    enum ss_corr_slot slot = c->op == SS_OP_down ? SS_CORR_down : SS_CORR_attn_out;
    struct ss_val product = {.buf = v->product};
    SS_TRY(ss_sharing_linear(c, &product, in, w));
    return ss_trunc(c, &v->corr[slot], slot, ss_u64(x), &product, true, (uint64_t *)v->mine.p, (uint64_t *)v->theirs.p);
}

/* q, k and v are opened once, here; attention goes on from the opened copy. */
enum ss_err ss_clear_rope(struct ss_ctx *c, struct ss_val *qkv)
{
    struct clear *v = c->state;
    const struct ss_shape *s = c->shape;
    SS_TRY(open_to_p1(c, qkv));
    if (c->role == SS_P0)
        return SS_OK;
    struct place p = place_of(c, v);
    return p.b->rope(p.dev, p.in, qkv->rows, qkv->cols, s->n_heads + s->n_kv, s->d_head, c->past, s->rope_theta);
}

enum ss_err ss_clear_attention(struct ss_ctx *c, struct ss_val *out, const struct ss_val *qkv)
{
    struct clear *v = c->state;
    ss_count_softmax(c);
    if (c->role == SS_P1) {
        struct place p = place_of(c, v);
        struct ss_attention a = ss_attention_of(c);
        SS_TRY(p.b->attention(p.dev, p.out, SS_F32, p.in, ss_kv_keys(c, &v->kv), ss_kv_values(c, &v->kv), &a));
    }
    out->rows = qkv->rows;
    out->cols = c->shape->n_heads * c->shape->d_head;
    return share_again(c, out);
}

enum ss_err ss_clear_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up)
{
    struct clear *v = c->state;
    size_t d_ff = c->shape->d_ff;
    c->counters.func_silu += (int64_t)(gate_up->rows * d_ff);
    SS_TRY(open_to_p1(c, gate_up));
    if (c->role == SS_P1) {
        struct place p = place_of(c, v);
        SS_TRY(p.b->silu_mul(p.dev, p.out, SS_F32, p.in, gate_up->rows, d_ff));
    }
    out->rows = gate_up->rows;
    out->cols = d_ff;
    return share_again(c, out);
}

/* Per layer: 2 norms open and share (tokens, d_model), attention opens qkv and shares its output, SwiGLU opens 2 d_ff and
   shares d_ff a token: 2 rounds each; two truncations of (tokens, d_model): 1 round each. The final norm likewise. */
void ss_clear_cost(const struct ss_job *job, struct ss_counters *e)
{
    const struct ss_shape *s = job->shape;
    int64_t t = (int64_t)job->tokens, layers = (int64_t)s->n_layers, d = (int64_t)s->d_model, d_ff = (int64_t)s->d_ff;
    int64_t qkv = (int64_t)ss_shape_qkv_rows(s), attended = (int64_t)(s->n_heads * s->d_head);
    int64_t last = job->all_logits ? t : 1, truncated = layers * 2 * t * d;
    ss_cost_functions(job, e);
    ss_cost_share_and_reveal(job, e);
    e->trunc_pairs += truncated;
    e->opened_words += truncated;
    e->bytes_online_p0_p1 += 8 * (layers * t * (2 * d + qkv + 2 * d_ff) + truncated + last * d);
    e->bytes_online_p1_p0 += 8 * (layers * t * (2 * d + attended + d_ff) + truncated + last * d);
    e->rounds_online += layers * 10 + 2;
    e->bytes_offline_d_p0 += layers * SS_SEED_BYTES;
    e->bytes_offline_d_p1 += layers * SS_SEED_BYTES + truncated * SS_TRUNC_DEALT_BYTES;
}
