/* baseot.h — 128 base OTs in each direction at once: endemic OT (Masny, Rindal, CCS 2019, section 5, the one-round protocol
   from Diffie-Hellman) over ristretto255, semi-honest use. Group, scalars and hashing are libsodium's.

   For one OT with choice b: the receiver draws a uniform element r_(1-b) and a scalar a, sends (r_0, r_1) with
   r_b = a G - Hash(r_(1-b)). The sender sends s G; message j is KDF(s (r_j + Hash(r_(1-j)))). The receiver computes KDF(a s G),
   which is message b. Both points are uniform whatever b is, so the sender learns nothing; message 1-b is a Diffie-Hellman
   value of which the receiver knows no logarithm. s is shared by the 128 instances; every hash is separated by instance and
   slot. */
#ifndef SS_BASEOT_H
#define SS_BASEOT_H

#include "variants/lib/hostwire.h"

enum { SS_BASE_OTS = 128, SS_OT_BYTES = 16, SS_OT_POINT = 32 };
/* One message each way, one round: r_0, r_1 of 128 OTs, s G, and 16 bytes for the session's public hash key. */
enum { SS_BASEOT_SENT_BYTES = SS_BASE_OTS * 2 * SS_OT_POINT + SS_OT_POINT + SS_OT_BYTES };

struct ss_baseot {
    uint8_t choice[SS_BASE_OTS / 8];            /* as receiver, bit i at choice[i / 8] >> i % 8; drawn here */
    uint8_t received[SS_BASE_OTS][SS_OT_BYTES]; /* message choice_i of the other side's OT i */
    uint8_t sent[SS_BASE_OTS][2][SS_OT_BYTES];  /* as sender: both messages, random */
    uint8_t public_key[SS_OT_BYTES];            /* known to both and to nobody in advance: BLAKE2b of both nonces */
};
/* Both parties call it at once. A point that is no group element is SS_ENV. */
SS_CHECKED enum ss_err ss_baseot_run(struct ss_ctx *c, struct ss_hostwire *wire, struct ss_baseot *b);
#endif
