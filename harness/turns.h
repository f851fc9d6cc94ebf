/* turns.h — two processes that measure the same cell in turns, repetition by repetition (run --beside): what drifts on the
   machine from one millisecond to the next then falls on both alike. The one whose turn it is works, the other waits without
   using a processor. */
#ifndef SS_TURNS_H
#define SS_TURNS_H

/* Descriptors of a child process that takes turns: it reads a byte when it may work and writes one when it has. */
enum { SS_TURN_IN = 4, SS_TURN_OUT = 5 };
/* Waits for the first turn: until the other has handed on or has ended. */
void ss_turn_take(void);
/* Hands on and waits for the next turn; returns at once if the other has ended. */
void ss_turn_pass(void);
#endif
