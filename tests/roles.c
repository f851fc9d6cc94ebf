/* roles.c — see roles.h. */
#include "tests/roles.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

void roles_open(struct roles *r, ss_tap tap, void *tap_arg)
{
    memset(r, 0, sizeof *r);
    r->shape = (struct ss_shape){.d_model = 8, .d_ff = 16, .n_layers = 4, .n_heads = 2, .n_kv = 1, .d_head = 4, .vocab = 16};
    cr_assert_eq(ss_channel_new(&r->channel), SS_OK);
    ss_channel_tap(r->channel, tap, tap_arg);
    for (int role = 0; role < SS_N_ROLES; role++) {
        struct ss_ctx *c = &r->ctx[role];
        c->role = role;
        c->parties = 2;
        c->backend = c->host = ss_backend_find("cpu");
        c->shape = &r->shape;
        c->channel = r->channel;
        c->frac_bits = 16;
        c->pass = 1;
        c->phase = SS_OFFLINE;
        c->op = SS_OP_offline;
        cr_assert_eq(ss_wire_alloc(&c->wire, r->shape.n_layers + 1), 0);
        struct ss_dev_options o = {.threads = 1};
        cr_assert_eq(c->backend->open(&c->dev, &o), SS_OK);
        c->host_dev = c->dev;
        cr_assert_eq(ss_prg_init(&c->prg, 0), SS_OK);
    }
}

void roles_close(struct roles *r)
{
    for (int role = 0; role < SS_N_ROLES; role++) {
        struct ss_ctx *c = &r->ctx[role];
        for (int i = 0; i < 2; i++)
            ss_buf_free(c, &c->scratch[i]);
        ss_channel_release(c);
        ss_wire_free(&c->wire);
        c->backend->close(c->dev);
    }
    ss_channel_free(r->channel);
}

struct task {
    struct ss_ctx *c;
    role_fn fn;
    void *arg;
    enum ss_err err;
};

static void *run_task(void *arg)
{
    struct task *t = arg;
    t->err = t->fn(t->c, t->arg);
    if (t->err != SS_OK)
        ss_channel_abort(t->c->channel);
    return NULL;
}

enum ss_err roles_run_expecting(struct roles *r, role_fn fn, void *arg)
{
    struct task task[SS_N_ROLES];
    pthread_t thread[SS_N_ROLES];
    enum ss_err err = SS_OK;
    for (int role = 0; role < SS_N_ROLES; role++) {
        task[role] = (struct task){&r->ctx[role], fn, arg, SS_OK};
        cr_assert_eq(pthread_create(&thread[role], NULL, run_task, &task[role]), 0);
    }
    for (int role = 0; role < SS_N_ROLES; role++) {
        pthread_join(thread[role], NULL);
        if (err == SS_OK)
            err = task[role].err;
    }
    return err;
}

void roles_run(struct roles *r, role_fn fn, void *arg)
{
    cr_assert_eq(roles_run_expecting(r, fn, arg), SS_OK);
}

void fill_random(struct roles *r, uint64_t *out, size_t n)
{
    struct ss_ctx *c = &r->ctx[SS_P0];
    cr_assert_eq(ss_prg_fill(&c->prg, c->host, c->host_dev, out, n), SS_OK);
}

/* The port is taken from other tests that run now by a name in Linux's abstract namespace, which goes with this process. */
int free_port(void)
{
    for (;;) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        socklen_t n = sizeof a;
        int fd = socket(AF_INET, SOCK_STREAM, 0), taken = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0);
        close(fd);
        snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "shardscale-test-port-%d", ntohs(a.sin_port));
        if (bind(taken, (struct sockaddr *)&name, sizeof name) == 0)
            return ntohs(a.sin_port);
        close(taken);
    }
}
