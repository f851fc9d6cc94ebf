/* softspoken.h — SoftSpokenOT extension (Roy, CRYPTO 2022), semi-honest, k = 4: 128 base OTs become 32 all-but-one trees of 16
   leaves, and every further OT costs the receiver 32 bits on the wire and no public-key work.

   In one direction, with D the sender's 128 secret bits in 32 groups of 4: the receiver knows all 16 leaves r_x of each tree,
   the sender all but x = D_g. Expanded to n bits each, u_g = sum_x r_x and v_g = sum_x x r_x are known to the receiver, and
   w_g = sum_x (x + D_g) r_x = v_g + D_g u_g to the sender, in GF(2)^n and GF(2)^(4 x n) (section 3.1, figure 2). The receiver
   sends d_g = u_g + b for its choice bits b; the sender sets q_g = w_g + D_g d_g = v_g + D_g b (section 4, repetition code).
   Column j of the 32 groups: the receiver has t_j, the sender q_j = t_j + b_j D, 128 bits each. Hashing (othash.h) under the
   OT's number makes H(q_j), H(q_j + D) the sender's two random messages and H(t_j) the chosen one.

   The sender sees the d_g: each is masked by the u_g of a leaf that it does not have. The receiver sees what the sender sends
   under its pads. The numbers of a direction run through the life of a set of base OTs: no string is hashed under two of them,
   and no two strings of one direction under the same. The directions count apart; their D are independent.

   A party works with as many threads as OpenMP gave it at setup, on tiles of OTs; what is sent does not depend on their number.
   */
#ifndef SS_SOFTSPOKEN_H
#define SS_SOFTSPOKEN_H

#include "variants/lib/baseot.h"
#include "variants/lib/otbits.h"

enum { SS_OT_K = SS_OTBITS_K, SS_OT_LEAVES = SS_OTBITS_LEAVES, SS_OT_GROUPS = SS_BASE_OTS / SS_OT_K };
/* Setup, each way: the base OTs' message and the masked level sums of the trees; 2 rounds. */
enum { SS_OT_TREE_BYTES = SS_OT_GROUPS * (SS_OT_K - 1) * 2 * SS_OT_BYTES, SS_OT_SETUP_ROUNDS = 2 };
enum { SS_OT_SETUP_BYTES = SS_BASEOT_SENT_BYTES + SS_OT_TREE_BYTES };

struct ss_ot_side {
    struct ss_aes_key leaf[SS_OT_GROUPS][SS_OT_LEAVES]; /* receiver: by x; sender: by x ^ D_g, number 0 is the unknown one */
    struct ss_block delta;                              /* sender: D, group g in bits 4g .. 4g + 3 */
    uint64_t next_block;                                /* of every leaf's AES-CTR stream */
    uint64_t next_id;                                   /* number of the next OT */
};

/* n correlated strings of one direction, waiting to be hashed, once. */
struct ss_ot_batch {
    struct ss_buf buf;       /* host memory, kept for the next extension */
    struct ss_block *string; /* (n) q_j or t_j */
    size_t n, hashed;        /* the first `hashed` of them were */
    uint64_t first_id;
    enum { SS_OT_NONE, SS_OT_SENDER, SS_OT_RECEIVER, SS_OT_USED } state;
};

/* Host memory of the callers of OT: grows, is reused, and is wiped when it is freed. */
enum ss_ot_room {
    SS_OT_ROOM_EXTEND,  /* corrections */
    SS_OT_ROOM_MESSAGE, /* of correlated OTs and unit vectors */
    SS_OT_ROOM_TERMS,   /* of products */
    SS_OT_ROOM_CHOICE,
    SS_OT_ROOM_VECTORS,
    SS_OT_ROOM_LOOKUPS,
    SS_OT_N_ROOMS
};

/* Both directions between two parties. */
struct ss_ot {
    struct ss_othash hash;
    struct ss_ot_side send, recv;
    struct ss_ot_batch sent, received; /* for callers that hash all of an extension before the next */
    struct ss_hostwire wire;
    struct ss_buf work; /* (threads) struct ss_otbits */
    struct ss_buf room[SS_OT_N_ROOMS];
    int threads;
    bool ready;
};
/* Fresh base OTs and trees; the keys of an earlier setup are wiped. Both parties at once. */
SS_CHECKED enum ss_err ss_ot_setup(struct ss_ctx *c, struct ss_ot *ot);
void ss_ot_close(struct ss_ctx *c, struct ss_ot *ot); /* accepts {0} */
void ss_ot_setup_cost(struct ss_counters *e);         /* offline bytes and rounds of one setup, added to e */
/* At least `bytes`, undefined, until the next call for the same room. */
SS_CHECKED enum ss_err ss_ot_room(struct ss_ctx *c, struct ss_ot *ot, enum ss_ot_room which, size_t bytes, void **p);

/* Extends both directions: this party sends in n_send OTs and receives in n_recv, one byte 0 or 1 a choice. n_send == n_recv,
   or one is 0 (at the other party the other one). One round, 32 x ceil(n_recv / 8) bytes. Counts the OTs of both directions. */
SS_CHECKED enum ss_err ss_ot_extend(struct ss_ctx *c, struct ss_ot *ot, struct ss_ot_batch *send, size_t n_send,
                                    struct ss_ot_batch *recv, const uint8_t *choice, size_t n_recv);
void ss_ot_batch_free(struct ss_ctx *c, struct ss_ot_batch *b); /* accepts {0} */

/* Random OT. The next n OTs of a batch are hashed, tile by tile, to `blocks` blocks a message, m0 and m1 (n_tile, blocks) at
   the sender, m0 the chosen one at the receiver (m1 NULL), and fn is called with OTs [first, first + n_tile) of those n, by
   several threads at once. first is a multiple of SS_OT_TILE, n_tile SS_OT_TILE but for the last. A batch of the other side, or
   one that has fewer OTs left, aborts. */
enum { SS_OT_TILE = 256, SS_OT_MAX_BLOCKS = 4 };
typedef void (*ss_ot_tile_fn)(void *arg, size_t first, size_t n_tile, const struct ss_block *m0, const struct ss_block *m1);
SS_CHECKED enum ss_err ss_ot_hash_send(const struct ss_ot *ot, struct ss_ot_batch *b, size_t n, size_t blocks, ss_ot_tile_fn fn,
                                       void *arg);
SS_CHECKED enum ss_err ss_ot_hash_recv(const struct ss_ot *ot, struct ss_ot_batch *b, size_t n, size_t blocks, ss_ot_tile_fn fn,
                                       void *arg);
/* All of a batch into arrays (n, blocks). */
SS_CHECKED enum ss_err ss_ot_pads_send(const struct ss_ot *ot, struct ss_ot_batch *b, struct ss_block *m0, struct ss_block *m1,
                                       size_t blocks);
SS_CHECKED enum ss_err ss_ot_pads_recv(const struct ss_ot *ot, struct ss_ot_batch *b, struct ss_block *m, size_t blocks);

/* Bytes that n OTs cost the receiver in ss_ot_extend. */
static inline int64_t ss_ot_extend_bytes(size_t n)
{
    return SS_OT_GROUPS * (int64_t)((n + 7) / 8);
}
#endif
