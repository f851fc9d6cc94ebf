/* weights_slot.c — layout, allocation and filling of slots. */
#include "harness/weights_slot.h"

enum { ALIGN = 256, STAGE_BYTES = 16 << 20 /* blocks of rows pass through it */ };

/* Matrices with the tensors whose rows they stack, and vectors, which lie one after the other. */
struct ss_plan {
    size_t n_matrices, n_vectors;
    struct {
        size_t n;
        enum ss_tensor_id part[3];
    } matrix[SS_SLOT_MATRICES];
    enum ss_tensor_id vector[5];
};
const struct ss_plan ss_layer_plan = {
    .n_matrices = 4,
    .n_vectors = 5,
    .matrix = {{3, {SS_W_Q, SS_W_K, SS_W_V}}, {1, {SS_W_O}}, {2, {SS_W_GATE, SS_W_UP}}, {1, {SS_W_DOWN}}},
    .vector = {SS_W_ATTN_NORM, SS_W_FFN_NORM, SS_W_Q_BIAS, SS_W_K_BIAS, SS_W_V_BIAS},
};
const struct ss_plan ss_head_plan = {
    .n_matrices = 1, .n_vectors = 1, .matrix = {{1, {SS_W_HEAD}}}, .vector = {SS_W_FINAL_NORM}};

void ss_tensor_dims(const struct ss_shape *s, enum ss_tensor_id id, size_t *rows, size_t *cols)
{
    const size_t q = s->n_heads * s->d_head, kv = s->n_kv * s->d_head, d = s->d_model;
    const size_t dims[SS_N_W][2] = {[SS_W_Q] = {q, d},
                                    [SS_W_K] = {kv, d},
                                    [SS_W_V] = {kv, d},
                                    [SS_W_O] = {d, q},
                                    [SS_W_GATE] = {s->d_ff, d},
                                    [SS_W_UP] = {s->d_ff, d},
                                    [SS_W_DOWN] = {d, s->d_ff},
                                    [SS_W_ATTN_NORM] = {d, 1},
                                    [SS_W_FFN_NORM] = {d, 1},
                                    [SS_W_Q_BIAS] = {q, 1},
                                    [SS_W_K_BIAS] = {kv, 1},
                                    [SS_W_V_BIAS] = {kv, 1},
                                    [SS_W_EMBED] = {s->vocab, d},
                                    [SS_W_HEAD] = {s->vocab, d},
                                    [SS_W_FINAL_NORM] = {d, 1}};
    *rows = dims[id][0];
    *cols = dims[id][1];
}

static bool is_ring(enum ss_type t)
{
    return t == SS_I16 || t == SS_I8X2;
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static void matrix_dims(const struct ss_shape *s, const struct ss_plan *p, size_t i, size_t *rows, size_t *cols)
{
    *rows = 0;
    for (size_t k = 0; k < p->matrix[i].n; k++) {
        size_t part;
        ss_tensor_dims(s, p->matrix[i].part[k], &part, cols);
        *rows += part;
    }
}

/* Bytes of the matrices, floats of the vectors, rows of all matrices. */
static void plan_sizes(const struct ss_shape *s, const struct ss_plan *p, enum ss_type type, size_t *matrices, size_t *floats,
                       size_t *all_rows)
{
    size_t rows = 0, cols = 0;
    *matrices = *floats = *all_rows = 0;
    for (size_t i = 0; i < p->n_matrices; i++) {
        matrix_dims(s, p, i, &rows, &cols);
        *matrices += aligned(rows * cols * ss_type_bytes(type));
        *all_rows += rows;
    }
    for (size_t i = 0; i < p->n_vectors; i++) {
        ss_tensor_dims(s, p->vector[i], &rows, &cols);
        *floats += rows;
    }
}

/* All that a slot allocates, row bits on device and host included. */
static size_t slot_bytes(const struct ss_shape *s, const struct ss_plan *p, enum ss_type type)
{
    size_t matrices, floats, rows;
    plan_sizes(s, p, type, &matrices, &floats, &rows);
    return matrices + aligned(floats * sizeof(float)) + (is_ring(type) ? 2 * rows : 0);
}

void ss_weights_footprint(const struct ss_shape *s, enum ss_type type, size_t *streaming_bytes, size_t *resident_bytes)
{
    size_t layer = slot_bytes(s, &ss_layer_plan, type), head = slot_bytes(s, &ss_head_plan, type);
    *streaming_bytes = layer + head;
    *resident_bytes = s->n_layers * layer + head;
}

size_t ss_slot_stage_bytes(const struct ss_shape *s)
{
    size_t matrices, floats, rows;
    plan_sizes(s, &ss_layer_plan, SS_F32, &matrices, &floats, &rows);
    return floats * sizeof(float) > STAGE_BYTES ? floats * sizeof(float) : STAGE_BYTES;
}

/* ---- slots */
enum ss_err ss_slot_alloc(struct ss_slot *t, struct ss_ctx *c, const struct ss_plan *p, const struct ss_shape *s,
                          enum ss_type type)
{
    const bool ring = is_ring(type);
    size_t matrices, floats, all_rows, offset = 0, row = 0;
    plan_sizes(s, p, type, &matrices, &floats, &all_rows);
    const size_t bits_at = matrices + aligned(floats * sizeof(float));
    t->plan = p;
    SS_TRY(ss_buf_alloc(c, &t->buf, bits_at + (ring ? all_rows : 0), SS_TAG_weights));
    if (ring)
        SS_TRY(ss_buf_alloc_host(c, &t->h_bits, all_rows, SS_TAG_weights));
    char *base = t->buf.p;
    t->vectors = (float *)(void *)(base + matrices);
    for (size_t i = 0; i < p->n_matrices; i++) {
        struct ss_matrix *m = &t->m[i];
        matrix_dims(s, p, i, &m->rows, &m->cols);
        t->data[i] = base + offset;
        t->row_bits[i] = ring ? (uint8_t *)base + bits_at + row : NULL;
        t->h_row_bits[i] = ring ? (uint8_t *)t->h_bits.p + row : NULL;
        m->type = type;
        m->data = t->data[i];
        m->row_bits = t->row_bits[i];
        m->h_row_bits = t->h_row_bits[i];
        offset += aligned(m->rows * m->cols * ss_type_bytes(type));
        row += m->rows;
    }
    t->layer = (struct ss_layer){.attn_norm = t->vectors,
                                 .ffn_norm = t->vectors + s->d_model,
                                 .qkv = {t->m[0], t->vectors + 2 * s->d_model},
                                 .out = {t->m[1], NULL},
                                 .gate_up = {t->m[2], NULL},
                                 .down = {t->m[3], NULL}};
    return SS_OK;
}

void ss_slot_free(struct ss_slot *t, struct ss_ctx *c)
{
    ss_buf_free(c, &t->buf);
    ss_buf_free(c, &t->h_bits);
}

static enum ss_err fill_matrix(struct ss_slot *t, struct ss_ctx *c, const struct ss_source *source, const void *state,
                               const struct ss_shape *s, const struct ss_buf *h_stage, size_t layer, size_t i)
{
    const struct ss_matrix *m = &t->m[i];
    const size_t party = c->own_weights ? 0 : (size_t)c->role, parties = c->own_weights ? 1 : (size_t)c->parties;
    const size_t from = m->rows * party / parties, to = m->rows * (party + 1) / parties;
    for (size_t k = 0, start = 0, rows, cols; k < t->plan->matrix[i].n; k++, start += rows) {
        enum ss_tensor_id id = t->plan->matrix[i].part[k];
        ss_tensor_dims(s, id, &rows, &cols);
        size_t first = from > start ? from : start, last = to < start + rows ? to : start + rows;
        if (first >= last)
            continue;
        struct ss_rows r = {.layer = layer,
                            .id = id,
                            .row0 = first - start,
                            .rows = last - first,
                            .cols = cols,
                            .dst = t->data[i],
                            .type = m->type,
                            .dst_row0 = first,
                            .dst_rows = m->rows,
                            .h_row_bits = is_ring(m->type) ? t->h_row_bits[i] + first : NULL,
                            .h_stage = h_stage->p,
                            .stage_bytes = h_stage->bytes};
        SS_TRY(source->rows(state, c, &r));
    }
    if (!is_ring(m->type) || from == to)
        return SS_OK;
    return c->backend->upload(c->dev, t->row_bits[i] + from, t->h_row_bits[i] + from, to - from);
}

enum ss_err ss_slot_fill(struct ss_slot *t, struct ss_ctx *c, const struct ss_source *source, const void *state,
                         const struct ss_shape *s, const struct ss_buf *h_stage, size_t layer)
{
    for (size_t i = 0; i < t->plan->n_matrices; i++)
        SS_TRY(fill_matrix(t, c, source, state, s, h_stage, layer, i));
    if (c->role != SS_P0 && !c->own_weights)
        return SS_OK;
    float *h = h_stage->p;
    size_t at = 0;
    for (size_t i = 0, rows, cols; i < t->plan->n_vectors; i++, at += rows) {
        ss_tensor_dims(s, t->plan->vector[i], &rows, &cols);
        source->vector(state, h + at, layer, t->plan->vector[i]);
    }
    return c->backend->upload(c->dev, t->vectors, h, at * sizeof *h);
}
