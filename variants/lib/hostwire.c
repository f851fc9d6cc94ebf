/* hostwire.c — see hostwire.h. */
#include "variants/lib/hostwire.h"

static enum ss_err room(struct ss_ctx *c, struct ss_buf *b, size_t bytes)
{
    if (b->bytes >= bytes)
        return SS_OK;
    SS_TRY(c->backend->sync(c->dev));
    ss_buf_free(c, b);
    return ss_buf_alloc(c, b, bytes, SS_TAG_buffers);
}

static enum ss_err pass(struct ss_ctx *c, const char *what, const void *send, size_t send_bytes, void *recv, size_t recv_bytes)
{
    const int other = 1 - c->role;
    if (send_bytes && recv_bytes)
        return ss_exchange(c, what, send, recv, send_bytes);
    return send_bytes ? ss_send(c, other, what, send, send_bytes) : ss_recv(c, other, what, recv, recv_bytes);
}

enum ss_err ss_hostwire_swap(struct ss_ctx *c, struct ss_hostwire *w, const char *what, const void *h_send, size_t send_bytes,
                             void *h_recv, size_t recv_bytes)
{
    SS_REQUIRE(c->role != SS_DEALER && (send_bytes || recv_bytes));
    SS_REQUIRE(send_bytes == recv_bytes || !send_bytes || !recv_bytes);
    if (c->backend == c->host)
        return pass(c, what, h_send, send_bytes, h_recv, recv_bytes);
    SS_TRY(room(c, &w->out, send_bytes));
    SS_TRY(room(c, &w->in, recv_bytes));
    if (send_bytes)
        SS_TRY(c->backend->upload(c->dev, w->out.p, h_send, send_bytes));
    SS_TRY(pass(c, what, w->out.p, send_bytes, w->in.p, recv_bytes));
    return recv_bytes ? c->backend->download(c->dev, h_recv, w->in.p, recv_bytes) : SS_OK;
}

void ss_hostwire_close(struct ss_ctx *c, struct ss_hostwire *w)
{
    ss_buf_free(c, &w->out);
    ss_buf_free(c, &w->in);
}
