/* otbits.h — the bit matrices of the OT extension, a tile of at most SS_OTBITS_MAX OTs at a time, in vectors of 256 bits. */
#ifndef SS_OTBITS_H
#define SS_OTBITS_H

#include "variants/lib/othash.h"

/* OTs of a tile: 16 leaves of 1 KiB fit the first-level cache, 128 planes the second. Two more vectors a plane keep rows of 64
   planes from meeting in the same cache sets. */
enum { SS_OTBITS_MAX = 8192, SS_OTBITS_K = 4, SS_OTBITS_LEAVES = 16, SS_OTBITS_PLANES = 128 };
enum { SS_OTBITS_LANES = 4, SS_OTBITS_VECS = SS_OTBITS_MAX / 256, SS_OTBITS_ROW = SS_OTBITS_VECS + 2 };
typedef uint64_t ss_otvec __attribute__((vector_size(32), may_alias));

struct ss_otbits {
    ss_otvec leaf[SS_OTBITS_LEAVES][SS_OTBITS_VECS];
    ss_otvec plane[SS_OTBITS_PLANES][SS_OTBITS_ROW]; /* bit j of plane i = bit i of string j */
    ss_otvec sum[SS_OTBITS_VECS];                    /* of the leaves */
    ss_otvec bits[SS_OTBITS_VECS];                   /* choices or corrections */
};

/* bits = the low bits of n bytes, then zeros to the end. */
void ss_otbits_pack(struct ss_otbits *w, const uint8_t *bytes, size_t n);
/* Plane 4 group + t = sum of the leaves whose number has bit t; sum = all leaves: n OTs. */
void ss_otbits_fold(struct ss_otbits *w, size_t group, size_t n);
/* Strings of n OTs from the planes. */
void ss_otbits_strings(struct ss_block *out, const struct ss_otbits *w, size_t n);
#endif
