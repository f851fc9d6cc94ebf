/* ctx.c — where a role is, how long it stayed there, what memory it holds. */
#include "harness/ctx.h"

#include <stdlib.h>
#include <string.h>

static enum ss_phase phase_of(enum ss_op op)
{
    switch (op) {
    case SS_OP_input:
        return SS_INPUT;
    case SS_OP_weights:
    case SS_OP_offline:
        return SS_OFFLINE;
    case SS_OP_output:
        return SS_OUTPUT;
    default:
        return SS_ONLINE;
    }
}

enum ss_err ss_enter(struct ss_ctx *c, enum ss_op op, size_t layer)
{
    struct ss_marks *m = &c->marks;
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 1024;
        uint8_t *grown = realloc(m->op, cap);
        if (!grown)
            SS_FAIL(SS_ENV, "out of memory for %zu time marks", cap);
        m->op = grown;
        m->cap = cap;
    }
    SS_TRY(c->backend->mark(c->dev, m->n));
    m->op[m->n++] = (uint8_t)op;
    if (c->backend->range)
        c->backend->range(c->dev, ss_op_names[op].name, layer);
    c->op = op;
    c->layer = layer;
    c->phase = phase_of(op);
    return SS_OK;
}

enum ss_err ss_leave(struct ss_ctx *c)
{
    SS_TRY(c->backend->mark(c->dev, c->marks.n));
    if (c->backend->range)
        c->backend->range(c->dev, NULL, 0);
    return c->backend->sync(c->dev);
}

void ss_ctx_times(struct ss_ctx *c, uint64_t op_ns[SS_N_OPS])
{
    memset(op_ns, 0, SS_N_OPS * sizeof *op_ns);
    for (size_t i = 0; i < c->marks.n; i++)
        op_ns[c->marks.op[i]] += c->backend->span_ns(c->dev, i, i + 1);
}

static enum ss_err alloc_on(struct ss_ctx *c, struct ss_buf *b, size_t bytes, enum ss_tag tag, bool on_host)
{
    SS_REQUIRE(!b->p);
    const struct ss_backend *backend = on_host ? c->host : c->backend;
    SS_TRY(backend->alloc(on_host ? c->host_dev : c->dev, &b->p, bytes));
    b->bytes = bytes;
    b->tag = tag;
    b->on_host = on_host;
    c->memory.now[tag] += (int64_t)bytes;
    if (c->memory.peak[tag] < c->memory.now[tag])
        c->memory.peak[tag] = c->memory.now[tag];
    return SS_OK;
}

enum ss_err ss_buf_alloc(struct ss_ctx *c, struct ss_buf *b, size_t bytes, enum ss_tag tag)
{
    return alloc_on(c, b, bytes, tag, false);
}

enum ss_err ss_buf_alloc_host(struct ss_ctx *c, struct ss_buf *b, size_t bytes, enum ss_tag tag)
{
    return alloc_on(c, b, bytes, tag, true);
}

enum ss_err ss_buf_grow(struct ss_ctx *c, struct ss_buf *b, size_t bytes, enum ss_tag tag)
{
    if (b->bytes >= bytes)
        return SS_OK;
    SS_TRY(c->backend->sync(c->dev));
    ss_buf_free(c, b);
    return ss_buf_alloc(c, b, bytes, tag);
}

enum ss_err ss_scratch(struct ss_ctx *c, int i, size_t bytes, void **p)
{
    SS_TRY(ss_buf_grow(c, &c->scratch[i], bytes, SS_TAG_workspace));
    *p = c->scratch[i].p;
    return SS_OK;
}

void ss_buf_free(struct ss_ctx *c, struct ss_buf *b)
{
    if (!b->p)
        return;
    bool wipe = b->tag != SS_TAG_weights && b->tag != SS_TAG_tables;
    if (b->on_host)
        c->host->free(c->host_dev, b->p, b->bytes, wipe);
    else
        c->backend->free(c->dev, b->p, b->bytes, wipe);
    c->memory.now[b->tag] -= (int64_t)b->bytes;
    *b = (struct ss_buf){0};
}

void ss_count_softmax(struct ss_ctx *c)
{
    size_t seen = c->tokens * c->past + c->tokens * (c->tokens + 1) / 2; /* sum over rows i of past + i + 1 */
    c->counters.func_exp += (int64_t)(c->shape->n_heads * seen);
    c->counters.func_recip += (int64_t)(c->shape->n_heads * c->tokens);
}
