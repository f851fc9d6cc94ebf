/* ctx.h — what one role (P0, P1 or the dealer) holds during a run: its device, its counters, its end of the channel. There is
   no global state; several contexts live in one process, one thread each, and none reads another's. */
#ifndef SS_CTX_H
#define SS_CTX_H

#include "harness/counters.h"
#include "harness/err.h"
#include "harness/model.h"
#include "kernels/backend.h"
#include "variants/lib/prg.h"

enum { SS_P0 = 0, SS_P1 = 1, SS_DEALER = 2, SS_N_ROLES = 3 };
enum { SS_MAX_OPTIONS = 12 };

struct ss_channel; /* channel.h */
struct ss_ctx;

/* The only way to hold backend memory. {0} is a valid empty buffer. */
struct ss_buf {
    void *p;
    size_t bytes;
    enum ss_tag tag;
    bool on_host; /* memory of ctx->host_dev instead of ctx->dev */
};

/* One activation tensor (rows, cols): cleartext f32, or one party's share of a fixed-point value. */
struct ss_val {
    struct ss_buf buf; /* room for the largest use */
    size_t rows, cols;
    unsigned bits;           /* shares: fractional bits ... */
    const uint8_t *col_bits; /* ... plus this many per column; NULL: none (set by an untruncated product) */
    const uint8_t *h_col_bits;
};

/* Memory accounting shared by the roles of one session is summed by the session; each context keeps its own. */
struct ss_memory {
    int64_t now[SS_N_TAGS], peak[SS_N_TAGS];
};

/* Moments noted by ss_enter: op i runs from mark i to mark i + 1. */
struct ss_marks {
    size_t n, cap;
    uint8_t *op; /* enum ss_op of each mark */
};

struct ss_ctx {
    int role;         /* SS_P0, SS_P1 or SS_DEALER */
    int parties;      /* 1 (plain) or 2 */
    bool own_weights; /* this role has a copy of the weights of its own (placement split; a process of its own) */
    const struct ss_backend *backend;
    struct ss_dev *dev;
    const struct ss_backend *host; /* the CPU backend, for variants that stage through the host */
    struct ss_dev *host_dev;
    const struct ss_variant *variant;
    const struct ss_shape *shape;
    void *state;                    /* the variant's own, made by open() */
    struct ss_prg prg;              /* this role's private randomness, keyed from the OS */
    unsigned frac_bits;             /* f: fractional bits of shares */
    enum ss_type act;               /* plain: SS_F32 or SS_BF16 inputs of matrix products */
    int64_t option[SS_MAX_OPTIONS]; /* resolved options in the order of variant->options */
    struct ss_channel *channel;
    struct ss_buf scratch[2]; /* ss_scratch */

    uint64_t pass;       /* number of the pass in progress, from 1: part of every correlation id */
    size_t tokens, past; /* of the pass in progress */
    size_t max_tokens;
    bool all_logits;
    struct ss_arguments *arguments; /* measurement (functions.h): NULL but in the reference pass */

    enum ss_op op; /* where we are: set by ss_enter */
    size_t layer;
    enum ss_phase phase;
    struct ss_counters counters;
    struct ss_wire wire;
    struct ss_memory memory;
    struct ss_marks marks;
};

/* Enter an operation: later time, bytes and rounds are booked there. layer n_layers: belongs to no layer. */
SS_CHECKED enum ss_err ss_enter(struct ss_ctx *c, enum ss_op op, size_t layer);
/* Nanoseconds by operation of the pass that ss_leave ended (device time in stream order), after a sync. */
void ss_ctx_times(struct ss_ctx *c, uint64_t op_ns[SS_N_OPS]);

/* Ends the pass: the last operation's span closes here. */
SS_CHECKED enum ss_err ss_leave(struct ss_ctx *c);

SS_CHECKED enum ss_err ss_buf_alloc(struct ss_ctx *c, struct ss_buf *b, size_t bytes, enum ss_tag tag);
SS_CHECKED enum ss_err ss_buf_alloc_host(struct ss_ctx *c, struct ss_buf *b, size_t bytes, enum ss_tag tag);
/* Room for at least `bytes`, contents lost if it grows: for buffers that a first pass sizes. */
SS_CHECKED enum ss_err ss_buf_grow(struct ss_ctx *c, struct ss_buf *b, size_t bytes, enum ss_tag tag);
/* Scratch i of at least `bytes`, contents lost; grows in the first pass (which is kept apart), never later. */
SS_CHECKED enum ss_err ss_scratch(struct ss_ctx *c, int i, size_t bytes, void **p);
void ss_buf_free(struct ss_ctx *c, struct ss_buf *b); /* wipes secrets: every tag but weights and tables */

/* Evaluations of a function, counted where it is called, by every role that takes part. */
void ss_count_softmax(struct ss_ctx *c); /* exp for j <= i, one reciprocal a row, of all heads of this layer */

static inline float *ss_f32(const struct ss_val *v)
{
    return (float *)v->buf.p;
}
static inline uint64_t *ss_u64(const struct ss_val *v)
{
    return (uint64_t *)v->buf.p;
}
#endif
