/* heard.h — what the parties send each other in a lookup. */
#ifndef SS_TEST_HEARD_H
#define SS_TEST_HEARD_H

#include <stddef.h>
#include <stdint.h>

/* The last messages of P0 and P1: indices, and masked sums (masks of the shape, lookups). */
struct heard {
    uint32_t *e[2];
    uint64_t *open[2];
};
void heard_alloc(struct heard *h, size_t lookups, size_t masks);
void heard_free(struct heard *h);
void hear(void *heard, int from, int to, const char *what, const void *data, size_t bytes); /* an ss_tap */
#endif
