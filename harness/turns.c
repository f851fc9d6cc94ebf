/* turns.c — see turns.h. */
#include "harness/turns.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

enum { GO_ON, ALL_MEASURED };
static unsigned char heard = GO_ON; /* the other's last word; after ALL_MEASURED it no longer waits for turns of its own */

static bool next_turn(void)
{
    ssize_t n;
    while ((n = read(SS_TURN_IN, &heard, 1)) < 0 && errno == EINTR)
        ;
    return n == 1;
}

void ss_turn_take(void)
{
    (void)next_turn();
}

enum ss_err ss_turn_pass(bool last)
{
    const unsigned char word = last ? ALL_MEASURED : GO_ON;
    if (!last && heard == ALL_MEASURED)
        return SS_OK;
    signal(SIGPIPE, SIG_IGN); /* of a pipe that nobody reads any more: next_turn tells */
    while (write(SS_TURN_OUT, &word, 1) < 0 && errno == EINTR)
        ;
    if (heard != ALL_MEASURED && !next_turn())
        SS_FAIL(SS_INTERRUPTED, "the process beside this one ended before both had measured");
    return SS_OK;
}
