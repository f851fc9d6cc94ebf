/* functions.c — see functions.h. Values are fetched from the backend and counted on the host. */
#include "harness/functions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/ctx.h"
#include "variants/variant.h"

enum { LEAST = -8, PER_OCTAVE = 16 };

const char *const ss_function_names[SS_N_FUNCTIONS] = {
#define X(name, arguments, error) [SS_FN_##name] = #name,
    SS_FUNCTIONS(X)
#undef X
};

/* Bin of |x| on its side, 0 to SS_ARGUMENT_SIDE; nearest: of the edge next to it. */
static int place(double x, bool nearest)
{
    const double size = fabs(x);
    if (isnan(x) || size >= ldexp(1, LEAST + SS_ARGUMENT_SIDE / PER_OCTAVE))
        return SS_ARGUMENT_SIDE;
    if (size < ldexp(1, LEAST))
        return 0;
    const int octave = ilogb(size);
    const double part = PER_OCTAVE * (ldexp(size, -octave) - 1);
    const int at = 1 + (octave - LEAST) * PER_OCTAVE + (int)(nearest ? rint(part) : part);
    return at < SS_ARGUMENT_SIDE ? at : SS_ARGUMENT_SIDE;
}

void ss_arguments_add(int64_t *bins, double x)
{
    const int at = place(x, false);
    bins[SS_ARGUMENT_SIDE + (x < 0 ? -at : at)]++;
}

double ss_arguments_edge(int i)
{
    const int at = abs(i - SS_ARGUMENT_SIDE);
    if (at == 0)
        return 0;
    const double size = ldexp(1 + (double)((at - 1) % PER_OCTAVE) / PER_OCTAVE, LEAST + (at - 1) / PER_OCTAVE);
    return i < SS_ARGUMENT_SIDE ? -size : size;
}

int64_t ss_arguments_outside(const int64_t *bins, double lo, double hi)
{
    const int below = lo < 0 ? SS_ARGUMENT_SIDE - place(lo, true) + 1 : SS_ARGUMENT_SIDE + place(lo, true);
    const int above = hi < 0 ? SS_ARGUMENT_SIDE - place(hi, true) + 1 : SS_ARGUMENT_SIDE + place(hi, true);
    int64_t n = 0;
    for (int i = 0; i < SS_ARGUMENT_BINS; i++)
        n += (!isinf(lo) && i < below) || (!isinf(hi) && i >= above) ? bins[i] : 0;
    return n;
}

/* rows x cols floats of v on the host; freed by the caller. */
static enum ss_err fetch(float **out, struct ss_ctx *c, const struct ss_val *v)
{
    const size_t bytes = v->rows * v->cols * sizeof(float);
    *out = malloc(bytes);
    if (!*out)
        SS_FAIL(SS_ENV, "out of memory for %zu values of the reference pass", v->rows * v->cols);
    enum ss_err err = c->backend->download(c->dev, *out, v->buf.p, bytes);
    if (err != SS_OK)
        free(*out);
    return err;
}

enum ss_err ss_arguments_norm(struct ss_ctx *c, const struct ss_val *x)
{
    float *h_x;
    SS_TRY(fetch(&h_x, c, x));
    for (size_t i = 0; i < x->rows; i++) {
        double sum = 0;
        for (size_t j = 0; j < x->cols; j++)
            sum += (double)h_x[i * x->cols + j] * (double)h_x[i * x->cols + j];
        ss_arguments_add(c->arguments->count[SS_FN_rsqrt], sum);
    }
    free(h_x);
    return SS_OK;
}

enum ss_err ss_arguments_swiglu(struct ss_ctx *c, const struct ss_val *gate_up)
{
    float *h_gate;
    SS_TRY(fetch(&h_gate, c, gate_up));
    for (size_t i = 0; i < gate_up->rows; i++)
        for (size_t j = 0; j < c->shape->d_ff; j++)
            ss_arguments_add(c->arguments->count[SS_FN_silu], (double)h_gate[i * gate_up->cols + j]);
    free(h_gate);
    return SS_OK;
}

/* One row of n scores, which it overwrites: the tournament of v3-ot (neighbours, the odd one waits), then the softmax. */
static void count_row(struct ss_arguments *a, float *score, float *turn, size_t n)
{
    size_t left = n;
    memcpy(turn, score, n * sizeof *turn);
    for (; left > 1; left = (left + 1) / 2) {
        for (size_t k = 0; k < left / 2; k++) {
            ss_arguments_add(a->count[SS_FN_relu], (double)turn[2 * k] - (double)turn[2 * k + 1]);
            turn[k] = fmaxf(turn[2 * k], turn[2 * k + 1]);
        }
        if (left % 2)
            turn[left / 2] = turn[left - 1];
    }
    double sum = 0;
    for (size_t j = 0; j < n; j++) {
        ss_arguments_add(a->count[SS_FN_exp], (double)score[j] - (double)turn[0]);
        sum += exp((double)score[j] - (double)turn[0]);
    }
    ss_arguments_add(a->count[SS_FN_recip], sum);
}

/* All rows of one query head. */
static void count_head(struct ss_arguments *a, float *score, const float *h_qkv, const struct ss_shape *s, size_t tokens,
                       size_t head)
{
    const size_t d = s->d_head, row = ss_shape_qkv_rows(s), kv = s->n_heads + head / (s->n_heads / s->n_kv);
    const float scale = 1 / sqrtf((float)d);
    for (size_t i = 0; i < tokens; i++) {
        for (size_t j = 0; j <= i; j++) {
            const float *q = h_qkv + i * row + head * d, *k = h_qkv + j * row + kv * d;
            float dot = 0;
#pragma omp simd reduction(+ : dot)
            for (size_t l = 0; l < d; l++)
                dot += q[l] * k[l];
            score[j] = dot * scale;
        }
        count_row(a, score, score + tokens, i + 1);
    }
}

static void join(struct ss_arguments *to, const struct ss_arguments *from)
{
    for (int f = 0; f < SS_N_FUNCTIONS; f++)
        for (int i = 0; i < SS_ARGUMENT_BINS; i++)
            to->count[f][i] += from->count[f][i];
}

enum ss_err ss_arguments_attention(struct ss_ctx *c, const struct ss_val *qkv)
{
    float *h_qkv;
    bool memory = true;
    SS_REQUIRE(c->past == 0);
    SS_TRY(fetch(&h_qkv, c, qkv));
#pragma omp parallel
    {
        struct ss_arguments *mine = calloc(1, sizeof *mine);
        float *score = malloc(2 * c->tokens * sizeof *score);
        const bool good = mine && score;
#pragma omp for
        for (size_t head = 0; head < c->shape->n_heads; head++)
            if (good)
                count_head(mine, score, h_qkv, c->shape, c->tokens, head);
#pragma omp critical
        {
            memory = memory && good;
            if (good)
                join(c->arguments, mine);
        }
        free(mine);
        free(score);
    }
    free(h_qkv);
    if (!memory)
        SS_FAIL(SS_ENV, "out of memory to count the arguments of the softmax; close other programs");
    return SS_OK;
}
