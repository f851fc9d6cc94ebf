/* columns_machine.c — what a cell ran on, as columns: notes of /config and /env, clock and power of its repetitions. */
#include "harness/columns.h"

#include <stdio.h>
#include <stdlib.h>

#include "harness/stats.h"

enum { CLOCK, POWER };

static const struct {
    const char *name, *header;
    const char *config, *env; /* key of the note in the one or the other; neither: the cell's placement */
} notes[] = {
    {"residency", "weights", "residency", NULL},
    {"placement", "placement", NULL, NULL},
    {"threads", "CPU threads", "threads", NULL},
    {"cpu", "CPU", NULL, "cpu"},
    {"cpu_cores", "cores allowed", NULL, "cpu_cores_allowed"},
    {"cpu_isa", "instruction sets", NULL, "cpu_isa"},
    {"gpu", "GPU", NULL, "gpu"},
    {"gpu_driver", "driver", NULL, "gpu_driver"},
    {"gpu_cc_mode", "confidential computing", NULL, "gpu_cc_mode"},
    {"gpu_power_limit", "power limit", NULL, "gpu_power_limit"},
};
enum { N_NOTES = sizeof notes / sizeof notes[0] };
_Static_assert(N_NOTES + POWER + 1 == SS_N_MACHINE_COLUMNS, "columns.h counts the columns of a machine");

void ss_machine_describe(struct ss_column *c, size_t index)
{
    c->index = index;
    c->origin = index < N_NOTES ? SS_IDENTITY : SS_TIMED;
    c->kind = index < N_NOTES ? SS_COL_TEXT : SS_COL_REAL;
    if (index < N_NOTES) {
        snprintf(c->name, sizeof c->name, "%s", notes[index].name);
        snprintf(c->header, sizeof c->header, "%s", notes[index].header);
        return;
    }
    const bool clock = index - N_NOTES == CLOCK;
    c->unit = clock ? "MHz" : "W";
    snprintf(c->name, sizeof c->name, "%s", clock ? "gpu_clock" : "gpu_watts");
    snprintf(c->header, sizeof c->header, "%s", clock ? "GPU clock, median" : "GPU power, energy over wall time");
}

/* MHz at the end of each repetition. */
static void clock_of(struct ss_value *v, const struct ss_result *r)
{
    double *mhz = malloc((r->reps + 1) * sizeof *mhz);
    struct ss_estimate e;
    size_t n = 0;
    SS_REQUIRE(mhz);
    for (size_t i = 0; i < r->reps; i++)
        if (r->pass[i].sm_clock_mhz > 0)
            mhz[n++] = (double)r->pass[i].sm_clock_mhz;
    if (n > 0) {
        ss_median_estimate(&e, mhz, n);
        v->present = true;
        v->real = e.value;
    }
    free(mhz);
}

/* All repetitions together: the GPU's energy counter moves in steps that are longer than a short pass. */
static void power_of(struct ss_value *v, const struct ss_result *r)
{
    double mj = 0, ns = 0;
    for (size_t i = 0; i < r->reps; i++) {
        if (r->pass[i].energy_mj < 0)
            return;
        mj += (double)r->pass[i].energy_mj;
        ns += (double)r->pass[i].wall_ns;
    }
    v->present = mj > 0 && ns > 0;
    v->real = v->present ? 1e6 * mj / ns : 0;
}

void ss_machine_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    if (c->index == N_NOTES + CLOCK)
        clock_of(v, r);
    else if (c->index == N_NOTES + POWER)
        power_of(v, r);
    else {
        const char *config = notes[c->index].config, *env = notes[c->index].env;
        const char *text = config ? ss_pairs_get(&r->config, config)
                           : env  ? ss_pairs_get(&r->env, env)
                                  : ss_cell_placement(&r->cell);
        v->present = text && *text;
        snprintf(v->text, sizeof v->text, "%s", v->present ? text : "");
    }
}
