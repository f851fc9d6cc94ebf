/* workers.h — one thread per role of a session, and jobs that all of them do at once. */
#ifndef SS_WORKERS_H
#define SS_WORKERS_H

#include "harness/channel.h"

struct ss_session;
struct ss_workers;
typedef enum ss_err (*ss_role_job)(struct ss_session *s, int role);

/* A thread for every role in the mask. Whoever fails a job aborts the channel, so that nobody waits for it. */
SS_CHECKED enum ss_err ss_workers_start(struct ss_workers **w, struct ss_session *s, struct ss_channel *channel,
                                        unsigned roles);
/* Runs job in the threads of the roles in mask and waits for them. A role that was only woken by another's failure returns
   SS_ENV without having said anything: the first other error wins. */
SS_CHECKED enum ss_err ss_workers_run(struct ss_workers *w, unsigned mask, ss_role_job job);
void ss_workers_stop(struct ss_workers *w); /* ends the threads; NULL: nothing to do */
#endif
