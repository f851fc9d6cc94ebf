/* cell.h — one question of a sweep (struct ss_cell) and its answer (struct ss_result). */
#ifndef SS_CELL_H
#define SS_CELL_H

#include "harness/session.h"

/* Identity: everything that can change the counts or the output. id = first 16 hex digits of SHA-256 of the canonical text
   ("model=...\nvariant=...\n...", "placement=split\n" at its end if it is), the same on every machine. How often and how long
   to measure is not part of it. */
struct ss_cell {
    char id[17];
    char model[64];
    char variant[24];
    char backend[16];
    char phase[16];    /* "prefill": a pass of `tokens`; "decode": one token on top of `tokens` cached positions; "eval":
                          windows of `tokens` of the model's text, all logits (windows.h); "copy": no layers */
    char options[256]; /* resolved, ss_options_print */
    size_t tokens;
    uint64_t seed;
    bool reference; /* plain fp32 run whose logits are kept for the others */
    bool split;     /* placement: a device for each party; false: one for all roles */
};
struct ss_effort { /* how much to measure */
    size_t warmup, reps_min, reps_max;
    double target; /* relative half-width of the 95% interval of the median at which to stop */
    double max_seconds;
    int threads;
    size_t weight_budget_bytes;
    size_t repeats; /* fresh processes to measure the cell in, one after the other; each repeats it as above */
    size_t process; /* which of them measures now, from 0: the later ones add to what is stored */
    uint64_t turn;  /* 0: alone; else in turns with another process (turns.h), repetition i being turn + i in both */
};

enum ss_status { SS_MEASURED, SS_FAILED, SS_SKIPPED };
extern const char *const ss_status_names[3];

struct ss_pair {
    char *key, *value;
};
struct ss_pairs {
    size_t n;
    struct ss_pair *v;
};
SS_CHECKED enum ss_err ss_pairs_add(struct ss_pairs *p, const char *key, const char *fmt, ...) SS_PRINTF(3, 4);
const char *ss_pairs_get(const struct ss_pairs *p, const char *key); /* NULL if absent */
void ss_pairs_free(struct ss_pairs *p);

struct ss_window {           /* one repetition of phase eval */
    double nats, plain_nats; /* mean cross-entropy of the next token; plain: of the reference on the same window */
    int64_t right, agree;    /* positions whose most likely token is the next one; is the reference's */
};

struct ss_result {
    struct ss_cell cell;
    enum ss_status status;
    char reason[512]; /* why failed or skipped */
    struct ss_pairs env, config;
    size_t reps;
    struct ss_pass *pass; /* (reps) timed repetitions */
    struct ss_pass first; /* the first pass, kept apart (zero if there was none before the timed ones) */
    bool has_first;
    struct ss_counters counters, expected;
    int64_t peak[SS_N_TAGS];
    struct ss_wire wire;
    bool has_error; /* compared with the reference cell */
    struct ss_distance error;
    bool has_functions; /* the variant approximates functions */
    struct ss_function_fit fit[SS_N_FUNCTIONS];
    bool has_outside; /* and the reference's arguments are known: how many it had, and how many lie outside the fits */
    int64_t arguments_seen[SS_N_FUNCTIONS], outside[SS_N_FUNCTIONS];
    struct ss_window *window; /* (reps) phase eval, else NULL; each fresh process begins again with window 0 */
    bool has_plain;           /* plain_nats and agree are known */
    int32_t *predicted;       /* (reps, tokens) most likely tokens: references of phase eval only */
    size_t params;            /* of the model */
    struct ss_shape shape;
    float *logits;                  /* (vocab) last position, references only */
    struct ss_arguments *arguments; /* of the functions in one pass, references only; NULL: not counted */
};
void ss_result_free(struct ss_result *r);
size_t ss_result_processes(const struct ss_result *r); /* fresh processes that its repetitions ran in */
size_t ss_result_windows(const struct ss_result *r);   /* different ones, which come first; 0 but for phase eval */
/* Adds the repetitions of `more`, measured by one more fresh process, to r, whose error and peaks stay. SS_COUNTS: its counters
   are not those of r. */
SS_CHECKED enum ss_err ss_result_append(struct ss_result *r, const struct ss_result *more);
void ss_cell_identify(struct ss_cell *c); /* fills id */
bool ss_cell_decodes(const struct ss_cell *c);
bool ss_cell_copies(const struct ss_cell *c);
const char *ss_cell_placement(const struct ss_cell *c); /* "one" or "split" */
bool ss_cell_evaluates(const struct ss_cell *c);
/* Rows of logits of one pass. */
size_t ss_cell_rows(const struct ss_cell *c);
/* What one measured pass of the cell is, for cost(). */
struct ss_job ss_cell_job(const struct ss_cell *c, const struct ss_shape *shape, const int64_t *option);
/* Runs the cell in this process: session, (decode) one pass of all cached positions, warm-up, repetitions until stop, distance
   to the reference cell's result (NULL: not compared). r is filled in every case; the return value is SS_OK, SS_SKIP, SS_COUNTS
   or another failure, which r->status and r->reason repeat. */
enum ss_err ss_bench_cell(struct ss_result *r, const struct ss_cell *cell, const struct ss_effort *effort,
                          const struct ss_result *reference);
#endif
