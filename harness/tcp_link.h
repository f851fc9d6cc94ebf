/* tcp_link.h — what the role's thread (channel_tcp.c) and the thread that moves bytes (tcp_io.c) share, all under `lock`. */
#ifndef SS_TCP_LINK_H
#define SS_TCP_LINK_H

#include <pthread.h>

#include "harness/channel_tcp.h"
#include "harness/frame.h"
#include "harness/transport.h"

enum { SS_POSTS = 4, SS_REASON_BYTES = 600, SS_BEAT_MS = 500 };

/* A frame, header included, on its way out. */
struct ss_post {
    struct ss_buf buf; /* host */
    size_t bytes;
};

/* What the role waits for. */
struct ss_due {
    bool wanted, here;
    char what[5];
    uint8_t *h_to;
    size_t least, most, bytes;
};

struct ss_link {
    struct ss_stream stream;
    int role;
    /* Out: posts filled by the role, emptied by the io thread; between two of them its own short frames (signs of life, the
       reason for giving up). */
    struct ss_post post[SS_POSTS];
    size_t filled, emptied, at; /* at: bytes gone of the frame in hand */
    uint8_t own[SS_FRAME_HEADER + SS_REASON_BYTES];
    size_t own_bytes, own_at;
    /* In: a header, then, once the role wants it, the rest straight to where it is wanted. */
    uint8_t header[SS_FRAME_HEADER];
    size_t header_at, body_at;
    struct ss_frame frame;
    struct ss_due due;
    uint8_t reason[SS_REASON_BYTES]; /* of a peer that gives up */
    bool paused;                     /* a frame waits for the role to want it */
    bool drains;                     /* frames are read and thrown away, up to the reason or the end */
    bool bye_sent, bye_heard;
    bool retry; /* the last write found no room */
    bool mute;  /* nothing can be written any more; the reason may still be read */
    bool lost;
    int64_t heard_ms, spoke_ms; /* last progress in and out */
};

struct ss_tcp {
    struct ss_channel base;
    int role;
    int64_t timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t io;
    bool running; /* the io thread is to be joined */
    int wake;     /* eventfd: there is something new for the io thread */
    bool aborted, parted;
    int64_t aborted_ms;
    struct ss_link link[SS_N_ROLES]; /* stream.fd -1: no such peer */
    struct ss_buf staging;           /* host, for messages into device memory */
};

void *ss_tcp_io(void *tcp); /* body of the io thread */
/* With the lock held: moves what can be moved at once, which saves the role a turn of the io thread; true if it is not all. */
bool ss_tcp_pump(struct ss_tcp *t, struct ss_link *l);
/* With the lock held: wakes everybody and lets the io thread tell the peers why; "": it ended early. The peers read it: a
   reason is an error of the channel or of a role's job, never of what else this process does with its input. */
void ss_tcp_give_up(struct ss_tcp *t, const char *why);
void ss_tcp_wake(struct ss_tcp *t);
#endif
