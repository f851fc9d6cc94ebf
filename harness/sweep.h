/* sweep.h — from experiments to results: the plan (which cells, in what state, how long), one child process per cell, and the
   loop over them. Whatever happens to a child or to the sweep, a finished cell's file stays. */
#ifndef SS_SWEEP_H
#define SS_SWEEP_H

#include <signal.h>
#include <stdio.h>

#include "harness/cli.h"
#include "harness/experiment.h"
#include "harness/filter.h"
#include "harness/progress.h"

/* ---- plan (sweep_plan.c) */
enum ss_state { SS_STATE_MISSING, SS_STATE_MEASURED, SS_STATE_FAILED, SS_STATE_SKIPPED, SS_N_STATES };
struct ss_planned {
    struct ss_cell cell;
    struct ss_effort effort; /* the largest that any of the experiments asks for */
    struct ss_shape shape;
    size_t params;
    enum ss_state state;
    bool stale;  /* measured by another commit than this program's */
    bool counts; /* failed because counters differed */
    bool todo;
    size_t processes;          /* fresh processes whose repetitions are stored and stay; effort.repeats are wanted */
    char reason[512];          /* of a failed or skipped cell */
    int64_t wire_bytes;        /* of one pass, by the variant's cost() */
    size_t memory_bytes;       /* estimate with streamed weights: the least that a device needs */
    size_t memory_bytes_whole; /* estimate with resident weights */
};
struct ss_plan {
    size_t n;
    struct ss_planned *v;
};
/* The plain fp32 cell whose logits c is compared with. */
SS_CHECKED enum ss_err ss_reference_of(struct ss_cell *ref, const struct ss_cell *c);
/* Adds the cells of e, each once; references stay in front. */
SS_CHECKED enum ss_err ss_plan_add(struct ss_plan *p, const struct ss_experiment *e);
/* "key=value" or "VARIANT.key=value" for every cell (references excepted) whose variant has the key; SS_USAGE if none has. */
SS_CHECKED enum ss_err ss_plan_set(struct ss_plan *p, const struct ss_text_list *set);
/* Keeps the cells that match, and the references that they need. */
SS_CHECKED enum ss_err ss_plan_filter(struct ss_plan *p, const struct ss_filter *f);
/* What is in results_dir: state, stale, reason. A file that cannot be read is a missing cell, with a warning. */
void ss_plan_probe(struct ss_plan *p, const char *results_dir);
/* todo: missing cells, those measured in fewer fresh processes than their effort wants, and by rerun (NULL, "failed", "stale",
   "all") those already there. Processes of another commit are not added to: such a cell begins anew. */
SS_CHECKED enum ss_err ss_plan_select(struct ss_plan *p, const char *rerun);
void ss_plan_free(struct ss_plan *p);
size_t ss_planned_runs(const struct ss_planned *c); /* processes that it is still to be measured in; 0: not todo */

/* What finished cells say about the speed of this machine: measured over estimated seconds, by variant. */
enum { SS_MAX_PACES = 16 };
struct ss_pace {
    double estimated[SS_MAX_PACES], measured[SS_MAX_PACES];
};
double ss_pace_seconds(const struct ss_pace *pace, const struct ss_planned *c);
void ss_pace_learn(struct ss_pace *pace, const struct ss_planned *c, double seconds);

/* "doc-7b v2 8 tokens", with "reference" for references. */
void ss_cell_label(char *out, size_t size, const struct ss_cell *c);

/* ---- one cell in a process of its own (child.c) */
struct ss_child_report {
    enum ss_status status;
    enum ss_err code;   /* SS_COUNTS, ... of a failed cell */
    bool saved;         /* the child wrote the cell's file */
    bool interrupted;   /* killed because *stop became nonzero */
    double seconds;     /* life of the process */
    uint64_t online_ns; /* median over repetitions */
    double rel_l2;      /* to the reference, < 0: not compared */
    char reason[512];
};
/* What parent and child say to each other, as text. */
void ss_child_order_write(FILE *out, const struct ss_cell *c, const struct ss_effort *e);
SS_CHECKED enum ss_err ss_child_order_read(FILE *in, struct ss_cell *c, struct ss_effort *e);
void ss_child_status_write(FILE *out, const struct ss_child_report *r);
bool ss_child_status_read(const char *line, struct ss_child_report *r);
/* Runs `shardscale cell` of this same executable and waits. The child's stderr goes to progress. *stop: a signal handler's
   flag. The error is SS_ENV if no process can be made; all that happens to the cell is in r. */
SS_CHECKED enum ss_err ss_child_run(struct ss_child_report *r, const struct ss_cell *c, const struct ss_effort *e,
                                    const char *results_dir, struct ss_progress *progress, const volatile sig_atomic_t *stop);
/* The other of two results that are measured in turns (turns.h). */
struct ss_beside {
    const char *results_dir; /* NULL: none */
    const char *program;     /* the shardscale that measures into it; NULL: this one */
};
/* Two processes that measure c in turns, r[0] of this executable into results_dir, r[1] of beside; e->turn > 0. */
SS_CHECKED enum ss_err ss_child_run_beside(struct ss_child_report r[2], const struct ss_cell *c, const struct ss_effort *e,
                                           const char *results_dir, const struct ss_beside *beside,
                                           struct ss_progress *progress, const volatile sig_atomic_t *stop);

/* ---- the loop (sweep.c) */
/* Measures every todo cell, in as many fresh processes as its effort wants: all cells once, then all cells again, so that what
   drifts on the machine falls on all of them alike. SS_CELLS, SS_COUNTS: some are failed (now or from before); SS_ENV:
   results_dir is unwritable, full or in use by another sweep; SS_INTERRUPTED: resumable. Updates the plan's states. beside
   NULL, or: every process has one beside it, and the two take turns. */
SS_CHECKED enum ss_err ss_sweep_run(struct ss_plan *p, const char *results_dir, const struct ss_beside *beside,
                                    const struct ss_cli *cli);
/* default results/<profile> */
const char *ss_results_dir(const struct ss_cli *cli, const char *profile, char *out, size_t size);
#endif
