/* columns_floor.c — floors and percent of bound as columns. */
#include "harness/floors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum kind { FLOOR, OF_FLOOR, BYTES, OPS };
enum { ALL = SS_N_FLOOR_OPS }; /* instead of an operation: the whole pass */

static struct ss_ceilings ceilings; /* constant once read */
static bool is_read;

enum ss_err ss_floor_open(void)
{
    char path[1200];
    if (is_read)
        return SS_OK;
    snprintf(path, sizeof path, "%s/experiments/machines/ceilings.ini", ss_home());
    SS_TRY(ss_ceilings_read(&ceilings, path));
    is_read = true;
    return SS_OK;
}

/* Order of the columns: the pass, then by operation floors, percents, bytes and operations. */
static enum kind kind_of(size_t index, size_t *op)
{
    *op = ALL;
    if (index < 2)
        return index == 0 ? FLOOR : OF_FLOOR;
    *op = (index - 2) % SS_N_FLOOR_OPS;
    return (enum kind)(FLOOR + (index - 2) / SS_N_FLOOR_OPS);
}

void ss_floor_describe(struct ss_column *c, size_t index)
{
    static const struct {
        const char *name, *header, *unit;
        enum ss_column_origin origin;
    } kinds[] = {
        [FLOOR] = {"floor_ms", "floor", "ms", SS_FORMULA},
        [OF_FLOOR] = {"of_floor", "percent of bound", "%", SS_TIMED},
        [BYTES] = {"gb", "formula: bytes moved", "GB", SS_FORMULA},
        [OPS] = {"gop", "formula: operations", "10^9", SS_FORMULA},
    };
    size_t op;
    enum kind kind = kind_of(index, &op);
    const struct ss_name *name = op == ALL ? NULL : &ss_op_names[ss_floor_ops[op]];
    c->index = index;
    c->unit = kinds[kind].unit;
    c->kind = SS_COL_REAL;
    c->origin = kinds[kind].origin;
    snprintf(c->name, sizeof c->name, "%s%s%s", kinds[kind].name, name ? "_" : "", name ? name->name : "");
    snprintf(c->header, sizeof c->header, "%s: %s", kinds[kind].header, name ? name->long_name : "whole pass");
}

/* The sum has a value only if every operation has a floor. */
static bool floor_of(double *ms, const struct ss_result *r, size_t op)
{
    const struct ss_ceiling *machine = ss_ceiling_of(&ceilings, r);
    if (op != ALL)
        return ss_floor_ms(ms, machine, r, ss_floor_ops[op]);
    *ms = 0;
    for (size_t i = 0; i < SS_N_FLOOR_OPS; i++) {
        double one;
        if (!ss_floor_ms(&one, machine, r, ss_floor_ops[i]))
            return false;
        *ms += one;
    }
    return true;
}

/* 100 floor / time; the time's interval turns round. */
static void set_percent(struct ss_value *v, const struct ss_result *r, size_t op, double floor_ms)
{
    struct ss_column column;
    struct ss_value time;
    char name[40] = "online_ms";
    if (op != ALL)
        snprintf(name, sizeof name, "op_ms_%s", ss_op_names[ss_floor_ops[op]].name);
    SS_REQUIRE(ss_column_find(&column, name) == SS_OK);
    ss_column_value(&time, &column, r);
    if (!time.present || time.real <= 0)
        return;
    v->present = true;
    v->real = 100 * floor_ms / time.real;
    v->has_interval = time.has_interval && time.lo > 0;
    v->lo = v->has_interval ? 100 * floor_ms / time.hi : 0;
    v->hi = v->has_interval ? 100 * floor_ms / time.lo : 0;
}

void ss_floor_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r)
{
    size_t op;
    enum kind kind = kind_of(c->index, &op);
    struct ss_work work;
    double ms;
    if (kind == BYTES || kind == OPS) {
        v->present = ss_work_of(&work, r, ss_floor_ops[op]);
        v->real = (kind == BYTES ? work.bytes : work.ops) / 1e9;
    } else if (floor_of(&ms, r, op) && kind == FLOOR) {
        v->present = true;
        v->real = ms;
    } else if (floor_of(&ms, r, op)) {
        set_percent(v, r, op, ms);
    }
}
