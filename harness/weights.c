/* weights.c — residency, and the meetings of the roles that share the one copy. */
#include "harness/weights.h"

#include <stdlib.h>

#include "harness/channel.h"
#include "harness/weights_slot.h"
#include "variants/variant.h"

struct ss_weights {
    struct ss_shape shape;
    enum ss_type type;
    const struct ss_source *source;
    void *state;
    bool resident;
    size_t n_slots; /* n_layers if resident, else 1 */
    struct ss_slot *slots, head;
    struct ss_buf stage[2]; /* host, one for each party */
    bool one_stage;         /* opened by a role that loads for itself alone */
    /* seen[role][layer]: the role has met the others over this layer, so it is loaded. Each role reads and writes its own row
       only; all go through the layers in the same order and therefore decide alike. [n_layers] is the head. */
    uint8_t *seen[SS_N_ROLES];
};

/* All roles of the session, each with its device idle. */
static enum ss_err meet(struct ss_ctx *c)
{
    int roles = c->parties + (c->variant != NULL && c->variant->dealer ? 1 : 0);
    SS_TRY(c->backend->sync(c->dev));
    return roles == 1 || c->channel == NULL ? SS_OK : ss_meet_here(c, roles);
}

/* The dealer only reads, and so does a client whose server computes alone. */
static bool loads(const struct ss_ctx *c, int role)
{
    const bool reads = role == SS_P0 && c->variant != NULL && c->variant->p1_computes;
    return (role < c->parties || c->own_weights) && !reads;
}

/* Loads a slot unless it holds its layer for good. The first meeting: nobody reads the slot any more; the second: it is full.
 */
static enum ss_err load(struct ss_weights *w, struct ss_ctx *c, struct ss_slot *t, size_t layer)
{
    const bool stays = w->resident || t == &w->head;
    if (stays && w->seen[c->role][layer])
        return SS_OK;
    SS_TRY(meet(c));
    if (loads(c, c->role))
        SS_TRY(ss_slot_fill(t, c, w->source, w->state, &w->shape, &w->stage[w->one_stage ? 0 : c->role], layer));
    SS_TRY(meet(c));
    w->seen[c->role][layer] = 1;
    return SS_OK;
}

/* Decides residency and allocates. */
static enum ss_err place(struct ss_weights *w, struct ss_ctx *c, size_t budget_bytes)
{
    size_t streaming, resident, available, total;
    ss_weights_footprint(&w->shape, w->type, &streaming, &resident);
    c->backend->memory(c->dev, &available, &total);
    if (streaming > available)
        SS_FAIL(SS_SKIP, "memory (needs %.1f GB, has %.1f GB)", (double)streaming / 1e9, (double)available / 1e9);
    w->resident = resident <= budget_bytes && resident <= available;
    w->n_slots = w->resident ? w->shape.n_layers : 1;
    w->slots = calloc(w->n_slots, sizeof *w->slots);
    for (int role = 0; role < SS_N_ROLES; role++)
        w->seen[role] = calloc(w->shape.n_layers + 1, 1);
    if (w->slots == NULL || w->seen[0] == NULL || w->seen[1] == NULL || w->seen[2] == NULL)
        SS_FAIL(SS_ENV, "no memory for the table of layers; free some");
    for (size_t i = 0; i < w->n_slots; i++)
        SS_TRY(ss_slot_alloc(&w->slots[i], c, &ss_layer_plan, &w->shape, w->type));
    SS_TRY(ss_slot_alloc(&w->head, c, &ss_head_plan, &w->shape, w->type));
    w->one_stage = c->own_weights;
    for (int party = 0; party < (w->one_stage ? 1 : c->parties); party++)
        if (w->one_stage || loads(c, party))
            SS_TRY(ss_buf_alloc_host(c, &w->stage[party], ss_slot_stage_bytes(&w->shape), SS_TAG_workspace));
    return SS_OK;
}

enum ss_err ss_weights_open(struct ss_weights **out, struct ss_ctx *c, const struct ss_model *m, enum ss_weight_form form,
                            uint64_t seed, size_t budget_bytes)
{
    enum ss_err err = SS_OK;
    enum ss_type float_type;
    SS_REQUIRE(c->parties == 1 || c->parties == 2);
    *out = NULL;
    struct ss_weights *w = calloc(1, sizeof *w);
    if (w == NULL)
        SS_FAIL(SS_ENV, "no memory for %zu bytes; free some", sizeof *w);
    w->shape = m->shape;
    w->source = m->source == SS_FROM_SEED ? &ss_weights_from_seed : &ss_weights_from_checkpoint;
    SS_TRY_OUT(w->source->open(&w->state, m, form, seed, &float_type));
    w->type = form == SS_WEIGHTS_RING ? c->backend->ring_matrix : float_type;
    SS_TRY_OUT(place(w, c, budget_bytes));
    *out = w;
    w = NULL;
out:
    ss_weights_close(w, c);
    return err;
}

void ss_weights_close(struct ss_weights *w, struct ss_ctx *c)
{
    if (w == NULL)
        return;
    for (size_t i = 0; w->slots != NULL && i < w->n_slots; i++)
        ss_slot_free(&w->slots[i], c);
    ss_slot_free(&w->head, c);
    for (int party = 0; party < 2; party++)
        ss_buf_free(c, &w->stage[party]);
    for (int role = 0; role < SS_N_ROLES; role++)
        free(w->seen[role]);
    if (w->state != NULL)
        w->source->close(w->state);
    free(w->slots);
    free(w);
}

enum ss_err ss_weights_layer(struct ss_weights *w, struct ss_ctx *c, size_t layer, const struct ss_layer **out)
{
    SS_REQUIRE(layer < w->shape.n_layers);
    struct ss_slot *t = &w->slots[w->resident ? layer : 0];
    SS_TRY(load(w, c, t, layer));
    *out = &t->layer;
    return SS_OK;
}

enum ss_err ss_weights_head(struct ss_weights *w, struct ss_ctx *c, const float **final_norm, const struct ss_matrix **head)
{
    SS_TRY(load(w, c, &w->head, w->shape.n_layers));
    *final_norm = w->head.vectors;
    *head = &w->head.m[0];
    return SS_OK;
}

enum ss_err ss_weights_embed(const struct ss_weights *w, float *h_out, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= w->shape.vocab)
            SS_FAIL(SS_USAGE, "token %zu has id %d, outside the vocabulary of %zu; tokenize for this model", i, ids[i],
                    w->shape.vocab);
        w->source->embed(w->state, h_out + i * w->shape.d_model, ids[i]);
    }
    return SS_OK;
}

bool ss_weights_resident(const struct ss_weights *w)
{
    return w->resident;
}
