/* session_peers.h — what the processes of a run tell each other besides the protocol's messages: that they mean the same run,
   how many tokens a pass has, what each has counted. Called in the thread of this process's role. */
#ifndef SS_SESSION_PEERS_H
#define SS_SESSION_PEERS_H

#include "harness/session.h"

/* Every process tells what it is about to run; whatever differs is named and ends the run. P0 alone decides g->max_tokens and
   g->all_logits; the others take them over. */
SS_CHECKED enum ss_err ss_session_agree(struct ss_ctx *c, struct ss_session_config *g);
/* P0: the next pass has this many tokens after so many cached ones; 0 tokens: there is none. */
SS_CHECKED enum ss_err ss_session_announce(struct ss_ctx *c, size_t tokens, size_t past);
SS_CHECKED enum ss_err ss_session_await(struct ss_ctx *c, size_t *tokens, size_t *past);
/* After a pass: each sends what it counted, and all[] then holds every role's counters and byte table. */
SS_CHECKED enum ss_err ss_session_share_counts(struct ss_ctx *c, struct ss_ctx all[SS_N_ROLES]);
#endif
