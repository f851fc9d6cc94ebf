/* weights_seen.c — see weights_seen.h. */
#include "tests/weights_seen.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "variants/variant.h"

const struct ss_variant with_dealer = {.name = "test", .parties = 2, .dealer = true};
struct roles roles;
struct ss_ctx *solo;

static void begin(void)
{
    ss_set_error_silent(1);
    roles_open(&roles, NULL, NULL);
    for (int role = 0; role < SS_N_ROLES; role++)
        roles.ctx[role].variant = &with_dealer;
    solo = &roles.ctx[SS_P0];
}

static void end(void)
{
    roles_close(&roles);
}

static void alone(void)
{
    begin();
    solo->parties = 1;
    solo->variant = NULL;
}

TestSuite(weights, .init = alone, .fini = end);
TestSuite(weights_shared, .init = begin, .fini = end);

static void add(struct bytes *b, const void *data, size_t n)
{
    b->p = realloc(b->p, b->n + n + 1);
    memcpy(b->p + b->n, data, n);
    b->n += n;
}

static void add_matrix(struct bytes *b, const struct ss_matrix *m)
{
    add(b, &m->type, sizeof m->type);
    add(b, m->data, m->rows * m->cols * ss_type_bytes(m->type));
    if (m->row_bits != NULL) {
        add(b, m->row_bits, m->rows);
        add(b, m->h_row_bits, m->rows);
    }
}

/* Two passes over the weights of w. */
enum ss_err see(struct bytes *b, struct ss_weights *w, struct ss_ctx *c, const struct ss_shape *s)
{
    for (int pass = 0; pass < 2; pass++) {
        const struct ss_layer *l;
        const struct ss_matrix *head;
        const float *norm;
        for (size_t layer = 0; layer < s->n_layers; layer++) {
            SS_TRY(ss_weights_layer(w, c, layer, &l));
            add(b, l->attn_norm, s->d_model * sizeof(float));
            add(b, l->ffn_norm, s->d_model * sizeof(float));
            add(b, l->qkv.bias, l->qkv.w.rows * sizeof(float));
            cr_assert(l->out.bias == NULL && l->gate_up.bias == NULL && l->down.bias == NULL);
            add_matrix(b, &l->qkv.w);
            add_matrix(b, &l->out.w);
            add_matrix(b, &l->gate_up.w);
            add_matrix(b, &l->down.w);
        }
        SS_TRY(ss_weights_head(w, c, &norm, &head));
        add(b, norm, s->d_model * sizeof(float));
        add_matrix(b, head);
    }
    return SS_OK;
}

struct bytes seen_alone(const struct ss_model *m, enum ss_weight_form form, size_t budget)
{
    struct ss_weights *w;
    struct bytes b = {0};
    cr_assert_eq(ss_weights_open(&w, solo, m, form, 5, budget), SS_OK, "%s", ss_last_error());
    cr_expect_eq(ss_weights_resident(w), budget > 0);
    cr_assert_eq(see(&b, w, solo, &m->shape), SS_OK);
    ss_weights_close(w, solo);
    cr_expect_eq(solo->memory.now[SS_TAG_weights], 0);
    cr_expect_eq(solo->memory.now[SS_TAG_workspace], 0);
    return b;
}

void expect_equal(struct bytes a, struct bytes b, const char *what)
{
    cr_expect(a.n == b.n && memcmp(a.p, b.p, a.n) == 0, "%s", what);
    free(b.p);
}

double int_weight(const struct ss_matrix *m, size_t row, size_t col)
{
    size_t i = row * m->cols + col;
    double v;
    if (m->type == SS_I16) {
        v = ((const int16_t *)m->data)[i];
    } else {
        const int8_t *lo = m->data, *hi = lo + m->rows * m->cols;
        v = lo[i] + 256.0 * hi[i];
    }
    return ldexp(v, -m->h_row_bits[row]);
}

double bf16_weight(const struct ss_matrix *m, size_t row, size_t col)
{
    uint32_t bits = (uint32_t)((const uint16_t *)m->data)[row * m->cols + col] << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
