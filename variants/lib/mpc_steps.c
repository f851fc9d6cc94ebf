/* mpc_steps.c — v3-mpc's state and its functions online. */
#include <math.h>
#include <stdlib.h>

#include "variants/lib/mpc.h"

enum { POWER_BITS = 28, UNCLIPPED_POWER_BITS = 20 /* |x / 8| grows with its powers */ };

/* 1 / sqrt(eps) fits its scale, and eps is not rounded away beside the squares. */
static enum ss_err check_eps(const struct ss_ctx *c, unsigned f)
{
    const double least = ldexp(1, -SS_MPC_RSQRT_LEAST), fixed = ldexp(c->shape->eps * (double)c->shape->d_model, 2 * (int)f);
    if (c->shape->eps < least || fixed < 16)
        SS_FAIL(SS_USAGE,
                "eps = %g with d_model = %zu is too small for v3-mpc at frac=%u: it takes eps >= %.2g and eps d_model >= %.2g; "
                "use another variant or more frac bits",
                c->shape->eps, c->shape->d_model, f, least, ldexp(16, -2 * (int)f));
    return SS_OK;
}

enum ss_err ss_mpc_open(struct ss_ctx *c)
{
    struct ss_mpc *v = calloc(1, sizeof *v);
    if (!v)
        SS_FAIL(SS_ENV, "out of memory for the state of %s", c->variant->name);
    c->state = v;
    if (!c->backend->carry_leaves || !c->backend->gemm_u64_scores)
        SS_FAIL(SS_SKIP, "v3-mpc's comparisons are not on %s yet; use --backend cpu", c->backend->name);
    ss_mpc_plan(&v->plan, c->shape, c->option);
    SS_TRY(check_eps(c, v->plan.h.f));
    SS_TRY(ss_hidden_open(c, &v->h, &v->plan.h));
    SS_TRY(ss_buf_alloc(c, &v->gate_bits, c->shape->d_ff, SS_TAG_workspace));
    return ss_buf_alloc(c, &v->up_scale, c->shape->d_ff * sizeof(uint64_t), SS_TAG_workspace);
}

void ss_mpc_close(struct ss_ctx *c)
{
    struct ss_mpc *v = c->state;
    if (!v)
        return;
    ss_buf_free(c, &v->gate_bits);
    ss_buf_free(c, &v->up_scale);
    ss_hidden_close(c, &v->h);
    free(v);
    c->state = NULL;
}

/* x / 8 keeps as many bits as every column of the gate can give. */
enum ss_err ss_mpc_layer(struct ss_ctx *c, const struct ss_layer *w)
{
    struct ss_mpc *v = c->state;
    const size_t d_ff = c->shape->d_ff;
    const uint8_t *gate = w->gate_up.w.h_row_bits;
    unsigned least = UINT8_MAX, most = 0;
    for (size_t j = 0; j < d_ff; j++) {
        least = gate[j] < least ? gate[j] : least;
        most = gate[j] > most ? gate[j] : most;
    }
    const unsigned x_bits = v->plan.h.f + SS_MPC_SILU_RANGE_BITS, room = x_bits + least - 1;
    const unsigned wanted = v->plan.pieces ? POWER_BITS : UNCLIPPED_POWER_BITS;
    if (v->plan.h.f + most > SS_MPC_SILU_BITS)
        SS_FAIL(SS_USAGE,
                "the gate's weights in layer %zu are too small for %s: %u fractional bits, at most %u; use fewer frac bits",
                c->layer, c->variant->name, most, SS_MPC_SILU_BITS - v->plan.h.f);
    v->h.bits.power = room < wanted ? room : wanted;
    v->least_power = !v->least_power || v->h.bits.power < v->least_power ? v->h.bits.power : v->least_power;
    v->least_silu = !v->least_silu || v->h.bits.silu < v->least_silu ? v->h.bits.silu : v->least_silu;
    v->h.bits.gate = (const uint8_t *)v->gate_bits.p;
    ss_mpc_silu_encode(v->silu_coef, &v->plan, v->h.bits.power);
    SS_REQUIRE(d_ff > 0);
    uint64_t *scale = malloc(d_ff * (sizeof *scale + 1));
    if (!scale)
        SS_FAIL(SS_ENV, "out of memory for the scales of %zu columns", d_ff);
    uint8_t *bits = (uint8_t *)(scale + d_ff);
    for (size_t j = 0; j < d_ff; j++) {
        bits[j] = (uint8_t)(x_bits + gate[j] - v->h.bits.power);
        scale[j] = (uint64_t)1 << (SS_MPC_SILU_BITS - v->plan.h.f - gate[j]);
    }
    enum ss_err err = SS_OK;
    SS_TRY_OUT(c->backend->upload(c->dev, v->gate_bits.p, bits, d_ff));
    SS_TRY_OUT(c->backend->upload(c->dev, v->up_scale.p, scale, d_ff * sizeof *scale));
out:
    free(scale);
    return err;
}

/* sx (1, n) = [x < t] x, and s (1, n) where it is not NULL. */
static enum ss_err below(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t t, uint64_t *s, uint64_t *sx, const uint64_t *x,
                         size_t n)
{
    struct ss_mpc *v = c->state;
    const struct ss_compare_call call = {.shape = ss_mpc_sign,
                                         .corr = &v->h.supply.corr[slot],
                                         .slot = slot,
                                         .s = s,
                                         .sx = sx,
                                         .x = x,
                                         .rows = 1,
                                         .cols = n,
                                         .x_stride = n,
                                         .h_t = {t}};
    return ss_compare(c, &v->h.messages, &call);
}

enum ss_err ss_mpc_relu(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *x, size_t n)
{
    struct ss_mpc *v = c->state;
    SS_TRY(ss_buf_grow(c, &v->h.work, n * sizeof(uint64_t), SS_TAG_shares));
    uint64_t *negative = (uint64_t *)v->h.work.p;
    SS_TRY(below(c, slot, 0, NULL, negative, x, n));
    return c->backend->ring_sub(c->dev, x, x, negative, n);
}

/* y = (1 - s)(1 + x / 256), s = [x < -14]; then y^256. */
enum ss_err ss_mpc_exp(struct ss_ctx *c, uint64_t *x, size_t n)
{
    struct ss_mpc *v = c->state;
    const struct ss_backend *b = c->backend;
    const unsigned bits = v->plan.h.score_bits;
    const uint64_t one = (uint64_t)1 << (bits + SS_MPC_EXP_STEP), minus_one = -one;
    SS_TRY(ss_buf_grow(c, &v->h.work, 2 * n * sizeof(uint64_t), SS_TAG_shares));
    uint64_t *s = (uint64_t *)v->h.work.p, *far = s + n, *y = s;
    SS_TRY(below(c, SS_CORR_exp + SS_MPC_COMPARE, -((uint64_t)-SS_MPC_EXP_LEAST << bits), s, far, x, n));
    SS_TRY(b->ring_sub(c->dev, x, x, far, n));
    SS_TRY(b->ring_combine(c->dev, s, s, &minus_one, 1, c->role == SS_P0 ? one : 0, n));
    SS_TRY(b->ring_add(c->dev, y, x, s, n));
    SS_TRY(ss_trunc_bits(c, v->h.supply.corr, SS_CORR_exp + SS_MPC_TRUNC, &v->h.messages, y, 1, n,
                         bits + SS_MPC_EXP_STEP - SS_MPC_EXP_BITS, NULL));
    for (unsigned i = 0; i < SS_MPC_EXP_SQUARINGS; i++) {
        SS_TRY(ss_powers(c, v->h.supply.corr, SS_CORR_exp + SS_MPC_POWERS + 2 * i, &v->h.messages, y, 2, n, SS_MPC_EXP_BITS));
        SS_TRY(b->copy(c->dev, y, y + n, n * sizeof(uint64_t)));
    }
    return b->copy(c->dev, x, y, n * sizeof(uint64_t));
}

enum ss_err ss_mpc_rsqrt(struct ss_ctx *c, enum ss_corr_slot slot, uint64_t *out, const uint64_t *x, size_t n)
{
    struct ss_mpc *v = c->state;
    const struct ss_shape *s = c->shape;
    const double eps = ldexp(s->eps * (double)s->d_model, 2 * (int)v->plan.h.f);
    const uint64_t one = 1;
    SS_TRY(c->backend->ring_combine(c->dev, out, x, &one, 1, c->role == SS_P0 ? (uint64_t)llrint(eps) : 0, n));
    SS_TRY(ss_octaves_eval(c, &v->plan.rsqrt, &v->h.supply, slot, &v->h.messages, &v->h.work, out, out, n));
    return ss_trunc_bits(c, v->h.supply.corr, slot + SS_OCTAVE_SLOTS, &v->h.messages, out, 1, n,
                         SS_MPC_RSQRT_SCALE - SS_RSQRT_BITS, NULL);
}

enum ss_err ss_mpc_recip(struct ss_ctx *c, uint64_t *out, const uint64_t *x, size_t n, size_t positions)
{
    struct ss_mpc *v = c->state;
    if (v->recip_positions != positions) {
        ss_mpc_recip_plan(&v->recip, &v->plan.h, positions);
        v->recip_positions = positions;
    }
    return ss_octaves_eval(c, &v->recip, &v->h.supply, SS_CORR_recip, &v->h.messages, &v->h.work, out, x, n);
}

/* relu (n) = x - [x < 0] x at SILU_BITS; z (n) = |x| where |x| < 8, else 0, at x's bits. sx: 3 n words of room. */
static enum ss_err cut(struct ss_ctx *c, uint64_t *relu, uint64_t *z, uint64_t *sx, const struct ss_val *gate_up)
{
    struct ss_mpc *v = c->state;
    const struct ss_backend *b = c->backend;
    const size_t d_ff = c->shape->d_ff, n = gate_up->rows * d_ff;
    const uint64_t border = (uint64_t)1 << (gate_up->bits + SS_MPC_SILU_RANGE_BITS);
    static const uint64_t inside[3] = {1, -(uint64_t)2, 1}; /* of s x for the thresholds -8, 0, 8 */
    const struct ss_compare_call call = {.shape = ss_mpc_pieces,
                                         .corr = &v->h.supply.corr[SS_CORR_silu + SS_MPC_COMPARE],
                                         .slot = SS_CORR_silu + SS_MPC_COMPARE,
                                         .sx = sx,
                                         .x = ss_u64(gate_up),
                                         .rows = gate_up->rows,
                                         .cols = d_ff,
                                         .x_stride = gate_up->cols,
                                         .h_t = {-border, 0, border},
                                         .shift = gate_up->col_bits};
    SS_TRY(ss_compare(c, &v->h.messages, &call));
    SS_TRY(b->ring_combine(c->dev, z, sx, inside, 3, 0, n));
    SS_TRY(b->ring_sub_rows(c->dev, relu, ss_u64(gate_up), gate_up->cols, sx + n, gate_up->rows, d_ff));
    return b->ring_scale_cols(c->dev, relu, (const uint64_t *)v->up_scale.p, gate_up->rows, d_ff);
}

enum ss_err ss_mpc_swiglu(struct ss_ctx *c, struct ss_val *out, const struct ss_val *gate_up)
{
    struct ss_mpc *v = c->state;
    const struct ss_backend *b = c->backend;
    const size_t d_ff = c->shape->d_ff, rows = gate_up->rows, n = rows * d_ff;
    const unsigned k = ss_mpc_silu_powers(&v->plan);
    struct ss_corr *corr = v->h.supply.corr;
    SS_TRY(ss_buf_grow(c, &v->h.work, (1 + (k < 4 ? 4 : k)) * n * sizeof(uint64_t), SS_TAG_shares));
    uint64_t *y = (uint64_t *)v->h.work.p, *z = y + n;
    if (v->plan.pieces)
        SS_TRY(cut(c, y, z, z + n, gate_up));
    else
        SS_TRY(b->ring_sub_rows(c->dev, z, ss_u64(gate_up), gate_up->cols, NULL, rows, d_ff));
    SS_TRY(ss_trunc_bits(c, corr, SS_CORR_silu + SS_MPC_TRUNC, &v->h.messages, z, rows, d_ff, 0, v->h.bits.gate));
    SS_TRY(ss_powers(c, corr, SS_CORR_silu + SS_MPC_POWERS, &v->h.messages, z, k, n, v->h.bits.power));
    SS_TRY(b->ring_combine(c->dev, z, z, v->silu_coef + 1, k, c->role == SS_P0 ? v->silu_coef[0] : 0, n));
    if (v->plan.pieces)
        SS_TRY(b->ring_add(c->dev, z, z, y, n));
    SS_TRY(ss_trunc_bits(c, corr, SS_CORR_silu + SS_MPC_SILU_TRUNC, &v->h.messages, z, 1, n, SS_MPC_SILU_BITS - v->h.bits.silu,
                         NULL));
    SS_TRY(b->ring_sub_rows(c->dev, y, ss_u64(gate_up) + d_ff, gate_up->cols, NULL, rows, d_ff));
    return ss_beaver_elements(c, corr, SS_CORR_silu + SS_MPC_SILU_PRODUCT, &v->h.messages, ss_u64(out), z, y, n);
}
