/* counters.c — names and sums of the counters, all from the lists in counters.h. */
#include "harness/counters.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct ss_counters) == SS_N_COUNTERS * sizeof(int64_t), "counters are int64 and nothing else");

const struct ss_name ss_counter_names[SS_N_COUNTERS] = {
#define X(field, unit, name) {#field, unit, name},
    SS_COUNTERS(X)
#undef X
};
const struct ss_name ss_tag_names[SS_N_TAGS] = {
#define X(tag, name) {#tag, "B", name},
    SS_TAGS(X)
#undef X
};
const struct ss_name ss_op_names[SS_N_OPS] = {
#define X(op, name) {#op, "ns", name},
    SS_OPS(X)
#undef X
};
const struct ss_name ss_dir_names[SS_N_DIRS] = {
    [SS_P0_P1] = {"p0_p1", "B", "P0 to P1"},
    [SS_P1_P0] = {"p1_p0", "B", "P1 to P0"},
    [SS_D_P0] = {"d_p0", "B", "dealer to P0"},
    [SS_D_P1] = {"d_p1", "B", "dealer to P1"},
};
const struct ss_name ss_phase_names[SS_N_PHASES] = {
    [SS_INPUT] = {"input", "", "input sharing"},
    [SS_OFFLINE] = {"offline", "", "offline"},
    [SS_ONLINE] = {"online", "", "online"},
    [SS_OUTPUT] = {"output", "", "output opening"},
};

int64_t *ss_counters_bytes(struct ss_counters *c, enum ss_phase phase, enum ss_dir dir)
{
    int64_t *const field[SS_N_PHASES][SS_N_DIRS] = {
        [SS_INPUT] = {&c->bytes_input_p0_p1, &c->bytes_input_p1_p0, NULL, NULL},
        [SS_OFFLINE] = {&c->bytes_offline_p0_p1, &c->bytes_offline_p1_p0, &c->bytes_offline_d_p0, &c->bytes_offline_d_p1},
        [SS_ONLINE] = {&c->bytes_online_p0_p1, &c->bytes_online_p1_p0, NULL, NULL},
        [SS_OUTPUT] = {&c->bytes_output_p0_p1, &c->bytes_output_p1_p0, NULL, NULL},
    };
    return field[phase][dir];
}

int64_t *ss_counters_rounds(struct ss_counters *c, enum ss_phase phase)
{
    int64_t *const field[SS_N_PHASES] = {
        [SS_INPUT] = &c->rounds_input,
        [SS_OFFLINE] = &c->rounds_offline,
        [SS_ONLINE] = &c->rounds_online,
        [SS_OUTPUT] = &c->rounds_output,
    };
    return field[phase];
}

/* Bytes over all phases in directions [0, dirs). */
static int64_t bytes_in(const struct ss_counters *c, int dirs)
{
    struct ss_counters copy = *c;
    int64_t sum = 0;
    for (int phase = 0; phase < SS_N_PHASES; phase++)
        for (int dir = 0; dir < dirs; dir++) {
            const int64_t *bytes = ss_counters_bytes(&copy, (enum ss_phase)phase, (enum ss_dir)dir);
            sum += bytes ? *bytes : 0;
        }
    return sum;
}

int64_t ss_counters_bytes_between(const struct ss_counters *c)
{
    return bytes_in(c, SS_D_P0);
}

int64_t ss_counters_bytes_total(const struct ss_counters *c)
{
    return bytes_in(c, SS_N_DIRS);
}

int ss_counters_differ(const struct ss_counters *a, const struct ss_counters *b)
{
    const int64_t *x = ss_counters_values(a), *y = ss_counters_values(b);
    for (int i = 0; i < SS_N_COUNTERS; i++)
        if (x[i] != y[i])
            return i;
    return -1;
}

int ss_wire_alloc(struct ss_wire *w, size_t layers)
{
    *w = (struct ss_wire){.layers = layers};
    w->bytes = calloc(layers, sizeof(int64_t[SS_N_OPS][SS_N_DIRS]));
    w->rounds = calloc(layers, sizeof(int64_t[SS_N_OPS]));
    if (layers == 0 || (w->bytes && w->rounds))
        return 0;
    ss_wire_free(w);
    return -1;
}

void ss_wire_clear(struct ss_wire *w)
{
    if (w->layers == 0)
        return;
    memset(w->bytes, 0, w->layers * sizeof(int64_t[SS_N_OPS][SS_N_DIRS]));
    memset(w->rounds, 0, w->layers * sizeof(int64_t[SS_N_OPS]));
}

void ss_wire_free(struct ss_wire *w)
{
    free(w->bytes);
    free(w->rounds);
    *w = (struct ss_wire){0};
}

int ss_wire_differs(const struct ss_wire *w, const struct ss_counters *c)
{
    struct ss_counters copy = *c;
    int64_t bytes[SS_N_DIRS] = {0}, rounds = 0;
    for (size_t i = 0; i < w->layers * SS_N_OPS; i++) {
        rounds += w->rounds[i];
        for (int dir = 0; dir < SS_N_DIRS; dir++)
            bytes[dir] += w->bytes[i * SS_N_DIRS + (size_t)dir];
    }
    for (int phase = 0; phase < SS_N_PHASES; phase++) {
        rounds -= *ss_counters_rounds(&copy, (enum ss_phase)phase);
        for (int dir = 0; dir < SS_N_DIRS; dir++) {
            const int64_t *counted = ss_counters_bytes(&copy, (enum ss_phase)phase, (enum ss_dir)dir);
            bytes[dir] -= counted ? *counted : 0;
        }
    }
    for (int dir = 0; dir < SS_N_DIRS; dir++)
        if (bytes[dir] != 0)
            return dir;
    return rounds != 0 ? SS_N_DIRS : -1;
}
