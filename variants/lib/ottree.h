/* ottree.h — inside of softspoken: from 128 base OTs to 32 GGM trees of 16 leaves, of which the other side knows all but one.
 */
#ifndef SS_OTTREE_H
#define SS_OTTREE_H

#include "variants/lib/softspoken.h"

/* Hash domains: tweaks of pads and of the trees of each direction never meet. */
enum { SS_OT_SPACE_PADS = 0, SS_OT_SPACE_TREE = 1 };
/* Fills both sides of ot from the base OTs: one message each way. */
SS_CHECKED enum ss_err ss_ottree_build(struct ss_ctx *c, struct ss_ot *ot, const struct ss_baseot *base);
#endif
