/* progress.h — what a sweep says on stderr while it runs: on a terminal one line that is redrawn, elsewhere a line per finished
   cell. No escape sequences unless colour is on. */
#ifndef SS_PROGRESS_H
#define SS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct ss_progress {
    bool terminal, color;
    int verbosity;     /* -1: nothing but failures */
    size_t i, n;       /* cell in progress (1-based), of n */
    char label[160];   /* of the cell in progress */
    double cell_start; /* seconds, monotonic */
    double cell_eta;   /* expected seconds of this cell, of all later cells */
    double later_eta;
    size_t drawn; /* columns of the line on the screen, to be overwritten */
};
enum ss_progress_tone { SS_TONE_OK, SS_TONE_WARN, SS_TONE_BAD };

/* "8.1 s", "4 min 10 s", "2 h 5 min" */
void ss_format_seconds(char *out, size_t size, double seconds);
/* "1.23 GB", SI units */
void ss_format_bytes(char *out, size_t size, double bytes);

void ss_progress_begin(struct ss_progress *p, size_t i, const char *label, double cell_eta, double later_eta);
void ss_progress_tick(struct ss_progress *p); /* redraw, on a terminal */
/* A whole line that stays, above the moving one. */
void ss_progress_say(struct ss_progress *p, const char *line);
/* The cell in progress is finished: "[ 3/16] label  text". On a terminal only what is not OK stays (all with -v). */
void ss_progress_end(struct ss_progress *p, enum ss_progress_tone tone, const char *text);
void ss_progress_clear(struct ss_progress *p);
#endif
