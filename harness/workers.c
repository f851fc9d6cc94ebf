/* workers.c — see workers.h. */
#include "harness/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct worker {
    pthread_t thread;
    struct ss_workers *all;
    int role;
    bool started;
};

struct ss_workers {
    struct worker worker[SS_N_ROLES];
    struct ss_session *session;
    struct ss_channel *channel;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    ss_role_job job;
    unsigned number;     /* of the job in hand */
    unsigned mask, busy; /* roles that take part, roles still at it */
    enum ss_err result[SS_N_ROLES];
    bool quit;
};

static void *work(void *arg)
{
    struct worker *me = arg;
    struct ss_workers *w = me->all;
    unsigned seen = 0;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->quit && (w->number == seen || !(w->mask >> me->role & 1)))
            pthread_cond_wait(&w->changed, &w->lock);
        if (w->quit)
            break;
        seen = w->number;
        ss_role_job job = w->job;
        pthread_mutex_unlock(&w->lock);
        enum ss_err err = job(w->session, me->role);
        if (err != SS_OK)
            ss_channel_abort(w->channel);
        pthread_mutex_lock(&w->lock);
        w->result[me->role] = err;
        w->busy &= ~(1u << me->role);
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum ss_err ss_workers_run(struct ss_workers *w, unsigned mask, ss_role_job job)
{
    pthread_mutex_lock(&w->lock);
    w->job = job;
    w->mask = w->busy = mask;
    w->number++;
    memset(w->result, 0, sizeof w->result);
    pthread_cond_broadcast(&w->changed);
    while (w->busy)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    enum ss_err err = SS_OK;
    for (int role = 0; role < SS_N_ROLES; role++)
        if (w->result[role] != SS_OK && (err == SS_OK || err == SS_ENV))
            err = w->result[role];
    return err;
}

enum ss_err ss_workers_start(struct ss_workers **out, struct ss_session *s, struct ss_channel *channel, unsigned roles)
{
    struct ss_workers *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        SS_FAIL(SS_ENV, "out of memory for the threads of a session");
    w->session = s;
    w->channel = channel;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    for (int role = 0; role < SS_N_ROLES; role++) {
        if (!(roles >> role & 1))
            continue;
        w->worker[role].all = w;
        w->worker[role].role = role;
        if (pthread_create(&w->worker[role].thread, NULL, work, &w->worker[role]) != 0) {
            ss_workers_stop(w);
            SS_FAIL(SS_ENV, "cannot start a thread for role %d", role);
        }
        w->worker[role].started = true;
    }
    *out = w;
    return SS_OK;
}

void ss_workers_stop(struct ss_workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    for (int role = 0; role < SS_N_ROLES; role++)
        if (w->worker[role].started)
            pthread_join(w->worker[role].thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    free(w);
}
