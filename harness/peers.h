/* peers.h — how the processes of a run find each other. Each plays one role. The parties are joined by one connection (one
   listens, the other connects); the dealer listens and both parties connect to it. */
#ifndef SS_PEERS_H
#define SS_PEERS_H

#include "harness/ctx.h"
#include "harness/stream.h"

struct ss_peers {
    int role;            /* of this process */
    const char *listen;  /* HOST:PORT; parties: this or connect; dealer: this */
    const char *connect; /* where the other party listens */
    const char *dealer;  /* where the dealer listens; NULL: the variant has none, or this is the dealer */
    unsigned timeout_s;  /* to wait for a peer, at the start and for any sign of life later */
    const char *tls_key; /* private key (PEM); NULL: plain TCP, loopback only */
    bool pinned[SS_N_ROLES];
    uint8_t pin[SS_N_ROLES][SS_KEY_DIGEST]; /* SHA-256 of the public key of each peer */
};

/* SS_USAGE unless the fields fit each other and a run with (or without) a dealer. */
SS_CHECKED enum ss_err ss_peers_check(const struct ss_peers *p, bool dealer);
/* Connects; stream[role] of each peer is open on success, all others have fd -1. */
SS_CHECKED enum ss_err ss_peers_meet(const struct ss_peers *p, bool dealer, struct ss_stream stream[SS_N_ROLES]);
/* "party 0", "party 1", "the dealer" */
const char *ss_role_name(int role);
#endif
