/* v3.c — additive shares with nonlinear steps in the clear on P1's device (protocols.md 5). */
#include "variants/lib/clear.h"
#include "variants/lib/sharing.h"

extern const struct ss_variant ss_variant_v3;
const struct ss_variant ss_variant_v3 = {
    .name = "v3",
    .claim = "no input privacy against the server P1; P0 sees only shares of the model's hidden states",
    .reveals = "every hidden state, to P1",
    .trust = "P1 is trusted with the input; the dealer does not collude with P0",
    .exposes = SS_EXPOSES_HIDDEN,
    .options = ss_clear_options,
    .parties = 2,
    .dealer = true,
    .weights = SS_WEIGHTS_RING,
    .value = SS_U64,
    .open = ss_clear_open_device,
    .close = ss_clear_close,
    .prepare = ss_clear_prepare,
    .deal = ss_clear_deal,
    .share = ss_sharing_share,
    .rmsnorm = ss_clear_rmsnorm,
    .linear = ss_sharing_linear,
    .linear_residual = ss_clear_linear_residual,
    .rope = ss_clear_rope,
    .attention = ss_clear_attention,
    .swiglu = ss_clear_swiglu,
    .reveal = ss_sharing_reveal,
    .cost = ss_clear_cost,
};
