/* v3_cc.c — cleartext inside an enclave (P1); what crosses its border is sealed. The client (P0) embeds its tokens, verifies
   the enclave's evidence, seals the embeddings and opens the logits; between them P1 computes as plain does, by the same
   functions. Weights are public: the server loads its own copy and they do not cross the border in a pass. */
#include <stdlib.h>

#include "harness/channel.h"
#include "variants/lib/border.h"
#include "variants/lib/cleartext.h"
#include "variants/lib/sharing.h"

static const struct ss_option options[] = {SS_OPTION_COMPUTE, {.key = NULL}};

struct enclave {
    struct ss_cleartext clear; /* P1 */
    struct ss_border border;
};

static enum ss_err open_cc(struct ss_ctx *c)
{
    const struct ss_shape *s = c->shape;
    const size_t in = c->max_tokens * s->d_model, out = (c->all_logits ? c->max_tokens : 1) * s->vocab;
    struct enclave *v = calloc(1, sizeof *v);
    if (!v)
        SS_FAIL(SS_ENV, "out of memory for the state of v3-cc");
    c->state = v;
    if (c->role == SS_P1)
        SS_TRY(ss_cleartext_open(c));
    return ss_border_open(c, &v->border, in > out ? in : out);
}

static void close_cc(struct ss_ctx *c)
{
    struct enclave *v = c->state;
    if (!v)
        return;
    if (c->role == SS_P1)
        ss_cleartext_close(c);
    ss_border_close(c, &v->border);
    free(v);
    c->state = NULL;
}

/* The times of a pass are those of P1. The meetings make them whole: P1 goes on when the client has embedded its tokens, when
   it has verified the evidence, and when it has opened the logits. The key exchange is booked as offline: a session needs it
   once. */
static enum ss_err share(struct ss_ctx *c, struct ss_val *x, const float *h_x)
{
    struct enclave *v = c->state;
    const size_t n = x->rows * x->cols;
    SS_TRY(ss_meet(c, c->parties));
    SS_TRY(ss_enter(c, SS_OP_offline, c->shape->n_layers));
    SS_TRY(ss_border_connect(c, &v->border));
    SS_TRY(ss_meet(c, c->parties));
    SS_TRY(ss_enter(c, SS_OP_input, c->shape->n_layers));
    return c->role == SS_P0 ? ss_border_send(c, &v->border, "embd", h_x, n)
                            : ss_border_recv(c, &v->border, "embd", ss_f32(x), n);
}

static enum ss_err reveal(struct ss_ctx *c, const struct ss_val *logits, float *h_logits)
{
    struct enclave *v = c->state;
    const size_t n = logits->rows * logits->cols;
    if (c->role == SS_P0)
        SS_TRY(ss_border_recv(c, &v->border, "logi", h_logits, n));
    else
        SS_TRY(ss_border_send(c, &v->border, "logi", ss_f32(logits), n));
    return ss_meet(c, c->parties);
}

static void cost(const struct ss_job *job, struct ss_counters *e)
{
    const int64_t t = (int64_t)job->tokens, last = job->all_logits ? t : 1;
    ss_cost_functions(job, e);
    e->bytes_offline_p0_p1 += SS_HELLO_BYTES;
    e->bytes_offline_p1_p0 += SS_EVIDENCE_BYTES;
    e->rounds_offline += 2;
    e->bytes_input_p0_p1 += 4 * t * (int64_t)job->shape->d_model + SS_AEAD_OVERHEAD;
    e->rounds_input += 1;
    e->bytes_output_p1_p0 += 4 * last * (int64_t)job->shape->vocab + SS_AEAD_OVERHEAD;
    e->rounds_output += 1;
}

extern const struct ss_variant ss_variant_v3_cc;
const struct ss_variant ss_variant_v3_cc = {
    .name = "v3-cc",
    .claim =
        "what leaves the enclave is sealed; cc_mode says whether hardware makes the enclave, or whether it is emulated: then "
        "nothing is protected against the server",
    .reveals = "nothing outside the enclave but shapes and the number of tokens; emulated: everything, to the server",
    .trust = "hardware: the vendor and what its attestation covers; emulated: the server",
    .exposes = SS_EXPOSES_ALL, /* of the emulated enclave, the only one whose rows there are */
    .options = options,
    .parties = 2,
    .dealer = false,
    .p1_computes = true,
    .weights = SS_WEIGHTS_FLOAT,
    .value = SS_F32,
    .open = open_cc,
    .close = close_cc,
    .share = share,
    .rmsnorm = ss_cleartext_rmsnorm,
    .linear = ss_cleartext_linear,
    .linear_residual = ss_cleartext_linear_residual,
    .rope = ss_cleartext_rope,
    .attention = ss_cleartext_attention,
    .swiglu = ss_cleartext_swiglu,
    .reveal = reveal,
    .cost = cost,
};
