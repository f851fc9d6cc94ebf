/* plain.c — the ideal functionality: one machine, cleartext, fp32 or bf16 inputs of matrix products. */
#include <stdlib.h>

#include "variants/lib/cleartext.h"
#include "variants/lib/sharing.h"

static const struct ss_option options[] = {SS_OPTION_COMPUTE, {.key = NULL}};

static enum ss_err open_plain(struct ss_ctx *c)
{
    c->state = calloc(1, sizeof(struct ss_cleartext));
    if (!c->state)
        SS_FAIL(SS_ENV, "out of memory for the state of plain");
    return ss_cleartext_open(c);
}

static void close_plain(struct ss_ctx *c)
{
    if (!c->state)
        return;
    ss_cleartext_close(c);
    free(c->state);
    c->state = NULL;
}

static enum ss_err share(struct ss_ctx *c, struct ss_val *x, const float *h_x)
{
    return c->backend->upload(c->dev, x->buf.p, h_x, x->rows * x->cols * sizeof(float));
}

static enum ss_err reveal(struct ss_ctx *c, const struct ss_val *logits, float *h_logits)
{
    return c->backend->download(c->dev, h_logits, logits->buf.p, logits->rows * logits->cols * sizeof(float));
}

extern const struct ss_variant ss_variant_plain;
const struct ss_variant ss_variant_plain = {
    .name = "plain",
    .claim = "none: cleartext on one machine, the yardstick for speed and error",
    .reveals = "everything, to the machine that runs it",
    .trust = "that machine",
    .exposes = SS_EXPOSES_ALL,
    .options = options,
    .parties = 1,
    .dealer = false,
    .weights = SS_WEIGHTS_FLOAT,
    .value = SS_F32,
    .open = open_plain,
    .close = close_plain,
    .share = share,
    .rmsnorm = ss_cleartext_rmsnorm,
    .linear = ss_cleartext_linear,
    .linear_residual = ss_cleartext_linear_residual,
    .rope = ss_cleartext_rope,
    .attention = ss_cleartext_attention,
    .swiglu = ss_cleartext_swiglu,
    .reveal = reveal,
    .cost = ss_cost_functions,
};
