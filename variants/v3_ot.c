/* v3_ot.c — additive shares, nonlinear steps by oblivious table lookups (protocols.md 6). */
#include "variants/lib/oblivious.h"
#include "variants/lib/sharing.h"

extern const struct ss_variant ss_variant_v3_ot;
const struct ss_variant ss_variant_v3_ot = {
    .name = "v3-ot",
    .claim = "neither party learns anything about the input or any hidden state (semi-honest); P0 alone learns the logits",
    .reveals = "nothing beyond shapes and the number of tokens",
    .trust = "P0 and P1 do not collude; the dealer, which deals triples, truncation and (source=dealer) lookups, colludes with "
             "neither",
    .exposes = SS_EXPOSES_SHAPES,
    .options = ss_oblivious_options,
    .parties = 2,
    .dealer = true,
    .weights = SS_WEIGHTS_RING,
    .value = SS_U64,
    .open = ss_oblivious_open,
    .close = ss_oblivious_close,
    .prepare = ss_hidden_offline,
    .deal = ss_hidden_offline,
    .share = ss_sharing_share,
    .rmsnorm = ss_hidden_rmsnorm,
    .linear = ss_sharing_linear,
    .linear_residual = ss_hidden_linear_residual,
    .rope = ss_hidden_rope,
    .attention = ss_hidden_attention,
    .swiglu = ss_hidden_swiglu,
    .reveal = ss_sharing_reveal,
    .functions = ss_oblivious_functions,
    .cost = ss_oblivious_cost,
};
