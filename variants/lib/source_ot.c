/* source_ot.c — lookup batches without a dealer: everything by oblivious transfer between the two parties (lookup.h,
   protocols.md 6). Base OTs are drawn afresh at layer 0 of every pass. A batch of n lookups is made in chunks:

     r, bl     random bits of b by XOR; additive shares of b mod 2^W by W - 1 COTs (P0 receives)
     bits      unit vectors at rh by outer products
     masks     each party's own random words
     bl, bl m2, bl m3        one COT each way for each bit of bl, words 2^i (1, m2, m3)
     m3 (m1 + bl m2)         Gilboa product, 64 COTs each way
     sigma x = x - 2 s x     one COT each way for all coefficients, s the XOR-shared sign bit

   Each party sees corrections and words under one-time pads of the other side, all pseudo-random. */
#include "variants/lib/gilboa.h"
#include "variants/lib/lookup.h"
#include "variants/lib/unitvec.h"

/* Fine bits for which OTs are spent at least: a layer's SiLU has 3 to 8 of them, by the scale of its weights, and the cost of a
   pass must follow from shapes alone. What is beyond the shape's is 0 at both parties. */
enum { LEAST_FINE = 8 };
enum { CHUNK = 16384, MAX_MASKS = 3, MAX_WIDTH = 64, RANDOM_WORDS = MAX_MASKS + 1, PARALLEL_MIN = 256 };

/* Host memory for m <= CHUNK lookups. */
struct chunk {
    uint64_t *vectors;            /* (m, words) */
    uint64_t *random;             /* (RANDOM_WORDS, m): word 0's bits are those of b */
    uint64_t *b;                  /* (m) */
    uint64_t *fine_in, *fine_out; /* (m, fine_of, 2 or 3) */
    uint64_t *bl[MAX_MASKS];      /* (m) each: bl, bl m2, bl m3 */
    uint64_t *product;            /* (m): m3 (m1 + bl m2) */
    uint64_t *sum;                /* (m): m1 + bl m2 */
    uint64_t *sign_in, *sign_out; /* (m, coefs) */
    uint64_t *coef;               /* (coefs, m) */
    uint8_t *bits;                /* (m, n_bits + fine_of): those of b, then zeros */
    uint8_t *fine, *sign;         /* (m, fine_of), (m) */
};

static size_t words_of(const struct ss_lookup_shape *s)
{
    return ((size_t)1 << s->n_bits) / 64;
}

static size_t fine_of(const struct ss_lookup_shape *s)
{
    return s->columns == 1 ? 0 : s->fine_bits > LEAST_FINE ? s->fine_bits : LEAST_FINE;
}

static size_t fine_words(const struct ss_lookup_shape *s)
{
    return s->fused ? 3 : 2;
}

static enum ss_err chunk_open(struct ss_ctx *c, struct ss_ot *ot, struct chunk *k, const struct ss_lookup_shape *s, size_t m)
{
    const size_t fine = m * fine_of(s), signs = m * ss_lookup_coefs(s), width = s->n_bits + fine_of(s);
    const size_t words = m * words_of(s) + m * RANDOM_WORDS + m + 2 * fine * fine_words(s) + 5 * m + 3 * signs;
    void *room;
    SS_TRY(ss_ot_room(c, ot, SS_OT_ROOM_LOOKUPS, words * sizeof(uint64_t) + m * width + fine + m, &room));
    uint64_t *p = room;
    k->vectors = p, p += m * words_of(s);
    k->random = p, p += m * RANDOM_WORDS;
    k->b = p, p += m;
    k->fine_in = p, p += fine * fine_words(s);
    k->fine_out = p, p += fine * fine_words(s);
    for (int i = 0; i < MAX_MASKS; i++)
        k->bl[i] = p, p += m;
    k->product = p, p += m;
    k->sum = p, p += m;
    k->sign_in = p, p += signs;
    k->sign_out = p, p += signs;
    k->coef = p, p += signs;
    k->bits = (uint8_t *)p;
    k->fine = k->bits + m * width;
    k->sign = k->fine + fine;
    return SS_OK;
}

/* Mask i of lookup.h (0: m1, 1: m2, 2: m3) lies here, whatever the shape has. */
static uint64_t *mask_of(const struct chunk *k, size_t m, size_t i)
{
    return k->random + (i + 1) * m;
}

/* bl, bl m2 and (fused) bl m3 from the bits of bl. */
static enum ss_err make_fine(struct ss_ctx *c, struct ss_ot *ot, struct chunk *k, const struct ss_lookup_shape *s, size_t m)
{
    const size_t f = fine_of(s), words = fine_words(s), width = s->n_bits + f;
#pragma omp parallel for num_threads(ot->threads) if (m > PARALLEL_MIN)
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < f; j++) {
            uint64_t *in = k->fine_in + (i * f + j) * words;
            const uint64_t real = j < s->fine_bits;
            k->fine[i * f + j] = real ? k->bits[i * width + j] : 0;
            in[0] = (uint64_t)(real && c->role == SS_P0) << j;
            for (size_t w = 1; w < words; w++)
                in[w] = (real * mask_of(k, m, w)[i]) << j;
        }
    SS_TRY(ss_gilboa_bit(c, ot, k->fine_out, k->fine, k->fine_in, m * f, words));
#pragma omp parallel for num_threads(ot->threads) if (m > PARALLEL_MIN)
    for (size_t i = 0; i < m; i++)
        for (size_t w = 0; w < words; w++) {
            uint64_t sum = 0;
            for (size_t j = 0; j < f; j++)
                sum += k->fine_out[(i * f + j) * words + w];
            k->bl[w][i] = sum;
        }
    return SS_OK;
}

/* The coefficients of lookup.h: first without sigma, then with it. */
static enum ss_err make_coefs(struct ss_ctx *c, struct ss_ot *ot, struct chunk *k, const struct ss_lookup_shape *s, size_t m)
{
    const size_t coefs = ss_lookup_coefs(s);
    const bool two = s->columns == 2;
    for (size_t i = 0; i < m; i++)
        k->sum[i] = mask_of(k, m, 0)[i] + (two ? k->bl[1][i] : 0);
    if (s->fused)
        SS_TRY(ss_gilboa_product(c, ot, k->product, mask_of(k, m, 2), k->sum, m));
#pragma omp parallel for num_threads(ot->threads) if (m > PARALLEL_MIN)
    for (size_t i = 0; i < m; i++) {
        uint64_t *x = k->sign_in + i * coefs;
        *x++ = c->role == SS_P0;
        if (s->fused)
            *x++ = mask_of(k, m, 2)[i];
        *x++ = k->sum[i];
        if (two)
            *x++ = k->bl[0][i];
        if (two && s->fused)
            *x++ = k->bl[2][i];
        if (s->fused)
            *x++ = k->product[i];
        SS_REQUIRE(x == k->sign_in + (i + 1) * coefs);
        k->sign[i] = ss_unitvec_sign(k->vectors + i * words_of(s), words_of(s), c->role);
        for (size_t w = i * coefs; w < (i + 1) * coefs; w++) /* doubled here, so that the shares of the result are uniform */
            k->sign_out[w] = 2 * k->sign_in[w];
    }
    SS_TRY(ss_gilboa_bit(c, ot, k->sign_out, k->sign, k->sign_out, m, coefs));
#pragma omp parallel for num_threads(ot->threads) if (m > PARALLEL_MIN)
    for (size_t i = 0; i < m; i++)
        for (size_t w = 0; w < coefs; w++)
            k->coef[w * m + i] = k->sign_in[i * coefs + w] - k->sign_out[i * coefs + w];
    return SS_OK;
}

static enum ss_err store(struct ss_ctx *c, const struct chunk *k, const struct ss_lookup_shape *s, size_t n, size_t first,
                         size_t m, const struct ss_lookup_batch *out)
{
    const struct ss_backend *b = c->backend;
    const size_t word = sizeof(uint64_t);
    SS_TRY(b->upload(c->dev, out->bits + first * words_of(s), k->vectors, m * words_of(s) * word));
    SS_TRY(b->upload(c->dev, out->b + first, k->b, m * word));
    size_t slot = 0;
    for (size_t i = 0; i < MAX_MASKS; i++)
        if (i == 0 || (i == 1 && s->columns == 2) || (i == 2 && s->fused))
            SS_TRY(b->upload(c->dev, out->mask + slot++ * n + first, mask_of(k, m, i), m * word));
    for (size_t i = 0; i < ss_lookup_coefs(s); i++)
        SS_TRY(b->upload(c->dev, out->coef + i * n + first, k->coef + i * m, m * word));
    return SS_OK;
}

static enum ss_err make_chunk(struct ss_ctx *c, struct ss_ot *ot, const struct ss_lookup_shape *s, size_t n, size_t first,
                              size_t m, const struct ss_lookup_batch *out)
{
    const size_t width = s->n_bits + fine_of(s), real = s->n_bits + s->fine_bits;
    struct chunk k;
    SS_TRY(chunk_open(c, ot, &k, s, m));
    SS_TRY(ss_prg_fill(&c->prg, c->host, c->host_dev, k.random, m * RANDOM_WORDS));
#pragma omp parallel for num_threads(ot->threads) if (m > PARALLEL_MIN)
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < width; j++)
            k.bits[i * width + j] = j < real ? k.random[i] >> j & 1 : 0;
    SS_TRY(ss_gilboa_number(c, ot, k.b, k.bits, m, width));
    SS_TRY(ss_unitvec(c, ot, k.vectors, k.bits + s->fine_bits, width, m, s->n_bits));
    if (s->columns == 2)
        SS_TRY(make_fine(c, ot, &k, s, m));
    SS_TRY(make_coefs(c, ot, &k, s, m));
    return store(c, &k, s, n, first, m, out);
}

static void require_shape(const struct ss_lookup_shape *s)
{
    SS_REQUIRE(s->n_bits >= 6 && s->n_bits <= SS_UNITVEC_MAX_BITS && s->n_bits + s->fine_bits <= MAX_WIDTH);
    SS_REQUIRE(s->columns == 2 || (s->columns == 1 && s->fine_bits == 0));
}

static enum ss_err ot_prepare(struct ss_ctx *c, void *state, struct ss_seeds *seeds, const struct ss_lookup_shape *s, size_t n,
                              struct ss_lookup_batch *out)
{
    (void)seeds;
    require_shape(s);
    for (size_t first = 0; first < n; first += CHUNK)
        SS_TRY(make_chunk(c, state, s, n, first, n - first < CHUNK ? n - first : CHUNK, out));
    return SS_OK;
}

static enum ss_err ot_open(struct ss_ctx *c, void *state)
{
    (void)c;
    (void)state;
    return SS_OK;
}

static void ot_close(struct ss_ctx *c, void *state)
{
    if (state)
        ss_ot_close(c, state);
}

static enum ss_err ot_begin(struct ss_ctx *c, void *state, struct ss_seeds *seeds)
{
    (void)seeds;
    return c->role != SS_DEALER && c->layer == 0 ? ss_ot_setup(c, state) : SS_OK;
}

static void ot_cost_begin(size_t layer, struct ss_counters *e)
{
    if (layer == 0)
        ss_ot_setup_cost(e);
}

static void ot_cost(const struct ss_lookup_shape *s, size_t n, struct ss_counters *e)
{
    require_shape(s);
    for (size_t first = 0; first < n; first += CHUNK) {
        const size_t m = n - first < CHUNK ? n - first : CHUNK;
        ss_gilboa_number_cost(e, m, s->n_bits + fine_of(s));
        ss_unitvec_cost(e, m, s->n_bits);
        if (s->columns == 2)
            ss_gilboa_bit_cost(e, m * fine_of(s), fine_words(s));
        if (s->fused)
            ss_gilboa_product_cost(e, m);
        ss_gilboa_bit_cost(e, m, ss_lookup_coefs(s));
    }
}

const struct ss_lookup_source ss_source_ot = {
    .name = "ot",
    .trust = "P0 and P1 do not collude; computational (ristretto255, AES); no dealer for lookups",
    .state_bytes = sizeof(struct ss_ot),
    .open = ot_open,
    .close = ot_close,
    .begin = ot_begin,
    .deal = NULL,
    .prepare = ot_prepare,
    .cost_begin = ot_cost_begin,
    .cost = ot_cost,
};
