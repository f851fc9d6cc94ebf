/* turns.c — see turns.h. */
#include "harness/turns.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

void ss_turn_take(void)
{
    char byte;
    while (read(SS_TURN_IN, &byte, 1) < 0 && errno == EINTR)
        ;
}

void ss_turn_pass(void)
{
    signal(SIGPIPE, SIG_IGN); /* of a pipe that nobody reads any more */
    while (write(SS_TURN_OUT, "", 1) < 0 && errno == EINTR)
        ;
    ss_turn_take();
}
