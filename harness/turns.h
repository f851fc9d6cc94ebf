/* turns.h — two processes that measure the same cell in turns, repetition by repetition (run --beside): what drifts on the
   machine from one millisecond to the next then falls on both alike. The one whose turn it is works, the other waits without
   using a processor. Neither saves before both have measured, so that one without the other does not stay. */
#ifndef SS_TURNS_H
#define SS_TURNS_H

#include <stdbool.h>

#include "harness/err.h"

/* Descriptors of a child process that takes turns: it reads a byte when it may work and writes one when it has. */
enum { SS_TURN_IN = 4, SS_TURN_OUT = 5 };
/* Waits for the first turn: until the other has handed on, or has ended, which ss_turn_pass tells. */
void ss_turn_take(void);
/* Hands on and waits for the next turn, or, after the last repetition, until the other has made its own. SS_INTERRUPTED:
   it has ended before. */
SS_CHECKED enum ss_err ss_turn_pass(bool last);
#endif
