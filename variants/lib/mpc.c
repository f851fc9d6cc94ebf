/* mpc.c — v3-mpc's plan: options to polynomials, and what each function needs. */
#include "variants/lib/mpc.h"

#include <math.h>

enum { OPT_frac, OPT_source, OPT_degree, OPT_pieces };
enum { RECIP_BITS = 30, RECIP_DEGREE = 7, RSQRT_DEGREE = 8, RSQRT_VALUE_BITS = 24, RSQRT_LAST = 30 /* 4^31 = 2^62 */ };

const struct ss_option ss_mpc_options[] = {
    {.key = "frac", .help = "fractional bits f of the shares", .choices = NULL, .min = 12, .max = 18, .standard = "16"},
    {.key = "source", .help = "where elementwise triples come from", .choices = "dealer,ot", .standard = "dealer"},
    {.key = "degree", .help = "degree of SiLU's polynomial", .choices = NULL, .min = 3, .max = 9, .standard = "8"},
    {.key = "pieces",
     .help = "clipped: x, polynomial, 0 by comparisons; none: one polynomial everywhere, as the seed document has it",
     .choices = "clipped,none",
     .standard = "clipped"},
    {.key = NULL}};

const struct ss_compare_shape ss_mpc_sign = {.bits = 64, .thresholds = 1, .product = true};
const struct ss_compare_shape ss_mpc_pieces = {.bits = 64, .thresholds = 3, .product = true};

double ss_mpc_inverse(double y, const void *arg)
{
    (void)arg;
    return 1 / y;
}

double ss_mpc_inverse_root(double y, const void *arg)
{
    (void)arg;
    return 1 / sqrt(y);
}

/* The sum of squares lies at 2f bits: 1 / sqrt(x / (2^(2f) d)) = (1 / sqrt(y)) sqrt(d) 2^f 2^(last - e) / 2^(last + 1). */
double ss_mpc_rsqrt_factor(unsigned e, const void *arg)
{
    const struct ss_hidden_plan *p = arg;
    const int bits = (int)p->f - (int)e - 1 + SS_MPC_RSQRT_SCALE - RSQRT_VALUE_BITS;
    return ldexp(sqrt((double)p->shape->d_model), bits);
}

/* 1 / x = (1 / y) 2^(last - e) / 2^(last + 1) at exp_bits: f(y) W has recip_bits. */
double ss_mpc_recip_factor(unsigned e, const void *arg)
{
    const unsigned *last = arg;
    return ldexp(1, (int)(*last - e));
}

void ss_mpc_recip_plan(struct ss_octaves *o, const struct ss_hidden_plan *p, size_t positions)
{
    const unsigned octaves = 1 + (unsigned)ceil(log2((double)positions + 1)), first = p->exp_bits - 1; /* from 1/2 */
    const unsigned last = first + (octaves < 2 ? 2 : octaves) - 1;
    ss_octaves_plan(o, 1, first, last, RECIP_DEGREE, p->recip_bits - (last + 1 - p->exp_bits), ss_mpc_inverse,
                    ss_mpc_recip_factor, &last);
}

double ss_mpc_silu(double x, const void *arg)
{
    (void)arg;
    return x / (1 + exp(-x));
}

/* 1 - sigma(x) */
static double complement(double x, const void *arg)
{
    (void)arg;
    return 1 / (1 + exp(x));
}

double ss_mpc_silu_part(double x, const void *arg)
{
    return -x * complement(x, arg);
}

void ss_mpc_plan(struct ss_mpc_plan *p, const struct ss_shape *shape, const int64_t *option)
{
    const unsigned f = (unsigned)option[OPT_frac];
    *p = (struct ss_mpc_plan){.h = {.fn = &ss_functions_by_triples,
                                    .ot_triples = option[OPT_source] == 1,
                                    .shape = shape,
                                    .f = f,
                                    .score_bits = ss_score_bits(shape, f),
                                    .exp_bits = SS_MPC_EXP_BITS,
                                    .recip_bits = RECIP_BITS},
                              .degree = (unsigned)option[OPT_degree],
                              .pieces = option[OPT_pieces] == 0};
    const double first = floor((log2(shape->eps * (double)shape->d_model) + 2 * (double)f) / 2);
    ss_octaves_plan(&p->rsqrt, 2, (unsigned)fmax(first, 0), RSQRT_LAST, RSQRT_DEGREE, RSQRT_VALUE_BITS, ss_mpc_inverse_root,
                    ss_mpc_rsqrt_factor, &p->h);
}

unsigned ss_mpc_silu_powers(const struct ss_mpc_plan *p)
{
    return p->degree + p->pieces;
}

void ss_mpc_silu_encode(uint64_t *coef, const struct ss_mpc_plan *p, unsigned power_bits)
{
    const double range = 1 << SS_MPC_SILU_RANGE_BITS;
    double c[SS_MAX_POWER + 1] = {0};
    if (p->pieces) { /* - z q(z) */
        ss_poly_fit(c + 1, p->degree, 0, range, 1 / range, complement, NULL);
        for (unsigned i = 1; i <= p->degree + 1; i++)
            c[i] *= -range;
    } else {
        ss_poly_fit(c, p->degree, -range, range, 1 / range, ss_mpc_silu, NULL);
    }
    ss_poly_encode(coef, c, 1, SS_MPC_SILU_BITS);
    ss_poly_encode(coef + 1, c + 1, ss_mpc_silu_powers(p), SS_MPC_SILU_BITS - power_bits);
}

static const struct ss_mpc_plan *plan_of(const struct ss_hidden_plan *p)
{
    return (const struct ss_mpc_plan *)p; /* its first member */
}

static void need_rsqrt(struct ss_needs *l, const struct ss_hidden_plan *p, enum ss_corr_slot slot, size_t n)
{
    ss_need_octaves(l, slot, &plan_of(p)->rsqrt, n);
    ss_need_trunc(l, slot + SS_OCTAVE_SLOTS, 1, n, SS_MPC_RSQRT_SCALE - SS_RSQRT_BITS, NULL);
}

static void need_relu(struct ss_needs *l, const struct ss_hidden_plan *p, enum ss_corr_slot slot, size_t n)
{
    (void)p;
    ss_need_compare(l, slot, &ss_mpc_sign, n);
}

static void need_exp(struct ss_needs *l, const struct ss_hidden_plan *p, size_t n)
{
    ss_need_compare(l, SS_CORR_exp + SS_MPC_COMPARE, &ss_mpc_sign, n);
    ss_need_trunc(l, SS_CORR_exp + SS_MPC_TRUNC, 1, n, p->score_bits + SS_MPC_EXP_STEP - SS_MPC_EXP_BITS, NULL);
    for (unsigned i = 0; i < SS_MPC_EXP_SQUARINGS; i++)
        ss_need_powers(l, SS_CORR_exp + SS_MPC_POWERS + 2 * i, 2, n, SS_MPC_EXP_BITS);
}

static void need_recip(struct ss_needs *l, const struct ss_hidden_plan *p, size_t n, size_t positions)
{
    struct ss_octaves recip;
    ss_mpc_recip_plan(&recip, p, positions);
    ss_need_octaves(l, SS_CORR_recip, &recip, n);
}

static void need_swiglu(struct ss_needs *l, const struct ss_hidden_plan *p, const struct ss_hidden_bits *bits, size_t rows)
{
    const struct ss_mpc_plan *m = plan_of(p);
    const size_t n = rows * p->shape->d_ff;
    if (m->pieces)
        ss_need_compare(l, SS_CORR_silu + SS_MPC_COMPARE, &ss_mpc_pieces, n);
    ss_need_trunc(l, SS_CORR_silu + SS_MPC_TRUNC, rows, p->shape->d_ff, 0, bits->gate);
    ss_need_powers(l, SS_CORR_silu + SS_MPC_POWERS, ss_mpc_silu_powers(m), n, bits->power);
    ss_need_trunc(l, SS_CORR_silu + SS_MPC_SILU_TRUNC, 1, n, SS_MPC_SILU_BITS - bits->silu, NULL);
    ss_need_product(l, SS_NEED_SCALE, SS_CORR_silu + SS_MPC_SILU_PRODUCT, (struct ss_ragged){.rows = n, .cols = 1});
}

static struct ss_function_rounds rounds(const struct ss_hidden_plan *p, size_t positions)
{
    const struct ss_mpc_plan *m = plan_of(p);
    struct ss_octaves recip;
    ss_mpc_recip_plan(&recip, p, positions);
    const size_t pieces = m->pieces ? ss_compare_rounds(&ss_mpc_pieces) : 0;
    return (struct ss_function_rounds){.rsqrt = ss_octaves_rounds(&m->rsqrt) + 1,
                                       .relu = ss_compare_rounds(&ss_mpc_sign),
                                       .exp = ss_compare_rounds(&ss_mpc_sign) + 1 + 2 * SS_MPC_EXP_SQUARINGS,
                                       .recip = ss_octaves_rounds(&recip),
                                       .swiglu = pieces + 1 + 2 * ss_power_levels(ss_mpc_silu_powers(m)) + 1 + 1};
}

void ss_mpc_cost(const struct ss_job *job, struct ss_counters *e)
{
    struct ss_mpc_plan p;
    ss_mpc_plan(&p, job->shape, job->option);
    ss_hidden_cost(&p.h, job, e);
}

const struct ss_functions ss_functions_by_triples = {
    .need_rsqrt = need_rsqrt,
    .need_relu = need_relu,
    .need_exp = need_exp,
    .need_recip = need_recip,
    .need_swiglu = need_swiglu,
    .rounds = rounds,
    .layer = ss_mpc_layer,
    .rsqrt = ss_mpc_rsqrt,
    .relu = ss_mpc_relu,
    .exp = ss_mpc_exp,
    .recip = ss_mpc_recip,
    .swiglu = ss_mpc_swiglu,
};
