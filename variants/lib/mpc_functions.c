/* mpc_functions.c — ranges and errors of v3-mpc's functions, from the coefficients that the parties evaluate. */
#include <math.h>

#include "variants/lib/mpc.h"

/* (1 + x / 256)^256: its distance from exp, and the units of 2^-28 that truncations add: e -> 2 e + 1 a squaring, from 1. */
static double exp_error(void)
{
    enum { POINTS = 4096 };
    double worst = exp(SS_MPC_EXP_LEAST); /* 0 below */
    for (int k = 0; k <= POINTS; k++) {
        const double x = (double)SS_MPC_EXP_LEAST * k / POINTS, base = 1 + ldexp(x, -SS_MPC_EXP_STEP);
        worst = fmax(worst, fabs(pow(base, 1 << SS_MPC_EXP_SQUARINGS) - exp(x)));
    }
    return worst + ldexp((1 << (SS_MPC_EXP_SQUARINGS + 1)) - 1, -SS_MPC_EXP_BITS);
}

/* Clipped: relu(x) outside |x| < 8 too, where x (1 - sigma(x)) is lost. */
static void fit_silu(struct ss_function_fit *fit, const struct ss_mpc *v)
{
    uint64_t coef[SS_MAX_POWER + 1];
    const double range = 1 << SS_MPC_SILU_RANGE_BITS;
    const struct ss_poly p = {coef, ss_mpc_silu_powers(&v->plan), SS_MPC_SILU_BITS, v->least_power, 1 / range};
    SS_REQUIRE(v->least_power > 0);
    ss_mpc_silu_encode(coef, &v->plan, v->least_power);
    if (v->plan.pieces) {
        fit->hi = ldexp(1, 62 - SS_MPC_SILU_BITS);
        fit->error = fmax(ss_poly_error(&p, 0, range, false, ss_mpc_silu_part, NULL), -ss_mpc_silu_part(range, NULL));
    } else {
        fit->hi = range;
        fit->error = ss_poly_error(&p, -range, range, false, ss_mpc_silu, NULL);
    }
    fit->lo = -fit->hi;
    fit->error += ldexp(1, -(int)v->least_silu);
}

/* eps and the result are rounded too; the result is smallest at the last octave's end. */
static void fit_rsqrt(struct ss_function_fit *fit, const struct ss_mpc_plan *p)
{
    const struct ss_shape *s = p->h.shape;
    const double eps = s->eps * (double)s->d_model, unit = ldexp(1, -2 * (int)p->h.f), limit = ldexp(unit, 62);
    fit->hi = limit - eps;
    fit->error = ss_octaves_error(&p->rsqrt, ss_mpc_inverse_root, ss_mpc_rsqrt_factor, &p->h) + unit / eps / 4 +
                 ldexp(sqrt(limit / (double)s->d_model), -SS_RSQRT_BITS);
}

enum ss_err ss_mpc_functions(struct ss_ctx *c, struct ss_function_fit fit[SS_N_FUNCTIONS])
{
    const struct ss_mpc *v = c->state;
    const struct ss_hidden_plan *p = &v->plan.h;
    const double scores = ldexp(1, 62 - (int)p->score_bits);
    struct ss_octaves recip;
    ss_mpc_recip_plan(&recip, p, c->tokens + c->past);
    for (int i = 0; i < SS_N_FUNCTIONS; i++)
        fit[i] = (struct ss_function_fit){.lo = 0};
    fit_silu(&fit[SS_FN_silu], v);
    fit_rsqrt(&fit[SS_FN_rsqrt], &v->plan);
    fit[SS_FN_exp] = (struct ss_function_fit){.lo = -scores, .hi = 1, .error = exp_error()}; /* 0 itself is inside */
    fit[SS_FN_relu] = (struct ss_function_fit){.lo = -scores, .hi = scores};                 /* exact */
    fit[SS_FN_recip] = (struct ss_function_fit){
        .lo = ldexp(1, (int)recip.first - (int)p->exp_bits),
        .hi = ldexp(1, (int)recip.last + 1 - (int)p->exp_bits),
        .error = ss_octaves_error(&recip, ss_mpc_inverse, ss_mpc_recip_factor, &recip.last),
    };
    return SS_OK;
}
