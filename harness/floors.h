/* floors.h — lower bounds of an operation's time on a machine whose ceilings are known, and the columns that show them.
   floor = max(bytes / copy speed, operations / rate of that arithmetic), summed over layers. Bytes are those that cross the
   border of an operation, each once; what a fused kernel could keep on chip is not in them. All parties on one device. */
#ifndef SS_FLOORS_H
#define SS_FLOORS_H

#include "harness/columns.h"

enum { SS_MAX_MACHINES = 16 };

/* Operations that have a floor; the first SS_N_FLOOR_LINEAR are matrix products. */
enum { SS_N_FLOOR_LINEAR = 5, SS_N_FLOOR_OPS = 11 };
extern const enum ss_op ss_floor_ops[SS_N_FLOOR_OPS];

/* What a machine does at most; 0: unknown. */
struct ss_ceiling {
    char name[80];               /* of its section; inih allows fewer than 50 characters */
    char gpu[96];                /* /env gpu, or "" */
    char cpu[96], cpu_isa[256];  /* /env cpu, cpu_isa; "" for a GPU */
    char cpu_cores[8];           /* /env cpu_cores_allowed */
    double copy_bytes_s;         /* memory, read plus written */
    double bf16_op_s, int8_op_s; /* a multiply-add is two */
    double ring_op_s;            /* multiply-adds of 64-bit shares by int16 weights, each one */
};
struct ss_ceilings {
    size_t n;
    struct ss_ceiling v[SS_MAX_MACHINES];
};
/* SS_USAGE names file and line of an unknown key or a bad value. */
SS_CHECKED enum ss_err ss_ceilings_read(struct ss_ceilings *c, const char *path);
/* The machine on which r ran, NULL if it is not among them. */
const struct ss_ceiling *ss_ceiling_of(const struct ss_ceilings *c, const struct ss_result *r);

/* Which rate holds for the products of a cell. */
enum ss_arithmetic {
    SS_ARITH_FP32,      /* no ceiling */
    SS_ARITH_BF16,      /* 2 m n k */
    SS_ARITH_INT8,      /* ring on CUDA: parties x 15 digit products x 2 m n k */
    SS_ARITH_RING_MACS, /* ring on the CPU: parties x m n k */
};
/* What one operation moves and computes in a pass, all layers and parties. */
struct ss_work {
    double bytes, ops; /* ops: of products only */
    enum ss_arithmetic arithmetic;
};
/* false: no formula for this operation of this variant. */
bool ss_work_of(struct ss_work *w, const struct ss_result *r, enum ss_op op);
/* false: no formula, or no ceiling for what the operation needs. */
bool ss_floor_ms(double *ms, const struct ss_ceiling *machine, const struct ss_result *r, enum ss_op op);

/* ---- columns: floor_ms, of_floor; floor_ms_OP, of_floor_OP, gb_OP of each floor operation; gop_OP of the products */
enum { SS_N_FLOOR_COLUMNS = 2 + 3 * SS_N_FLOOR_OPS + SS_N_FLOOR_LINEAR };
void ss_floor_describe(struct ss_column *c, size_t index); /* name, header, unit, kind, origin, index */
/* Reads experiments/machines/ceilings.ini, once. Its errors come out where a column is looked up. */
SS_CHECKED enum ss_err ss_floor_open(void);
void ss_floor_value(struct ss_value *v, const struct ss_column *c, const struct ss_result *r);
#endif
