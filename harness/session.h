/* session.h — a model opened under a variant: contexts, threads, weights, buffers. forward, eval and the sweep all run passes
   through it, so there is one way to run the forward pass. */
#ifndef SS_SESSION_H
#define SS_SESSION_H

#include "harness/channel.h"
#include "harness/peers.h"
#include "harness/weights.h"
#include "variants/variant.h"

struct ss_session_config {
    const struct ss_model *model;
    const struct ss_variant *variant;
    int64_t option[SS_MAX_OPTIONS];
    const char *backend;        /* "cpu" or "cuda" */
    const char *placement;      /* "one" device for all roles, or "split": one party per device */
    size_t max_tokens;          /* rows of one pass, and positions of the cache; over TCP P0's holds for all */
    bool all_logits;            /* logits for all positions, else the last; over TCP P0's holds for all */
    bool copy_only;             /* a pass is max_tokens rows of d_model floats sent in and back, for variants on cleartext; the
                                   model's vocab must be its d_model, and all_logits set */
    uint64_t seed;              /* synthetic weights */
    int threads;                /* CPU threads in all; 0: all available */
    size_t weight_budget_bytes; /* resident weights; SIZE_MAX: as much as fits comfortably */
    const struct ss_peers *peers;   /* this process plays one role, the others are processes too; NULL: all are threads here */
    struct ss_arguments *arguments; /* counted in every pass (functions.h): plain fp32 only; NULL: not */
    const uint8_t *fixed_key;       /* tests only: 16 bytes from which every role's randomness derives; NULL: from the OS */
    ss_tap tap;                     /* tests only: sees every message (channel.h) */
    void *tap_arg;
};

struct ss_pass {              /* of one pass, nanoseconds; over TCP: of the role in this process */
    uint64_t wall_ns;         /* host clock, all roles, everything included */
    uint64_t online_ns;       /* slowest party: wall less weights and offline */
    uint64_t offline_ns;      /* slowest party's offline spans */
    uint64_t weights_ns;      /* slowest party's weight spans */
    uint64_t party_ns[2];     /* online spans of each party, waiting included; [1] = 0 for one party */
    uint64_t device_ns;       /* online span by the backend's own marks (CUDA events), P0's device */
    uint64_t op_ns[SS_N_OPS]; /* P0's view, P1's where P1 alone computes */
    int64_t energy_mj;        /* GPU energy over the pass and clock at its end: set by bench.c, -1 if unknown */
    int64_t sm_clock_mhz;
    int64_t process; /* of a repeated cell: the fresh process it ran in, counted from 0 */
    int64_t turn;    /* 0: measured alone; else the same number as the repetition of the other program it took turns with */
};

struct ss_session;
SS_CHECKED enum ss_err ss_session_open(struct ss_session **s, const struct ss_session_config *config);
/* One pass from an empty cache. h_logits (all_logits ? n : 1, vocab) or NULL. Id out of range: SS_USAGE before anything runs.
   Counters: of this pass, checked against cost(): SS_COUNTS if they differ (the first difference is named). */
SS_CHECKED enum ss_err ss_session_pass(struct ss_session *s, const int32_t *ids, size_t n, float *h_logits,
                                       struct ss_pass *pass);
/* The same on top of the first `past` positions that the passes before left in the cache; past + n <= max_tokens. What lay in
   the cache behind them is written anew. SS_USAGE if the cache has fewer. */
SS_CHECKED enum ss_err ss_session_pass_after(struct ss_session *s, size_t past, const int32_t *ids, size_t n, float *h_logits,
                                             struct ss_pass *pass);
/* Over TCP, P1 and the dealer: takes part in the next pass that P0 runs (*more), or in the end of the run (not *more). */
SS_CHECKED enum ss_err ss_session_serve(struct ss_session *s, bool *more, struct ss_pass *pass);
/* Over TCP, P0: there are no more passes. SS_OK: every process has ended well; without this call the others end with an error.
   In one process: nothing to do. */
SS_CHECKED enum ss_err ss_session_finish(struct ss_session *s);
const struct ss_counters *ss_session_counters(const struct ss_session *s); /* of the last pass */
void ss_session_expected(const struct ss_session *s, struct ss_counters *expected);
const struct ss_wire *ss_session_wire(const struct ss_session *s);
void ss_session_peaks(const struct ss_session *s, int64_t peak[SS_N_TAGS]); /* all roles of this process together */
bool ss_session_resident(const struct ss_session *s);
/* What the last pass evaluated in the place of the functions (variant.h). false: floating point. */
SS_CHECKED enum ss_err ss_session_functions(struct ss_session *s, bool *approximated,
                                            struct ss_function_fit fit[SS_N_FUNCTIONS]);
/* "hardware" or "emulated"; "verified" or "software"; both "none" for variants without an enclave. As the role of this process
   knows it, P0's view in one process. */
const char *ss_session_cc_mode(const struct ss_session *s);
const char *ss_session_attestation(const struct ss_session *s);
void ss_session_close(struct ss_session *s);

/* Distance of logits from a reference, both (rows, vocab). */
struct ss_distance {
    double max_abs, rel_l2, kl, top1; /* KL(ref || x) in nats and top-1 agreement in [0,1]: means over rows */
};
/* ln of the sum of exp(x), and the position of the largest x. */
double ss_log_sum(const float *x, size_t n, size_t *top);
void ss_distance(struct ss_distance *d, const float *x, const float *ref, size_t rows, size_t vocab);
#endif
