/* talk.h — a few messages of every kind among the three roles, for tests of each channel. */
#ifndef SS_TEST_TALK_H
#define SS_TEST_TALK_H

#include "tests/roles.h"

enum ss_err talk(struct ss_ctx *c, void *unused); /* a role_fn; checks what arrives */
void check_talk(const struct roles *r);           /* the counters after one talk */
#endif
