/* heard.c — see heard.h. */
#include "tests/heard.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void heard_alloc(struct heard *h, size_t lookups, size_t masks)
{
    for (int p = 0; p < 2; p++) {
        h->e[p] = calloc(lookups, sizeof *h->e[p]);
        h->open[p] = calloc(masks * lookups, sizeof *h->open[p]);
        cr_assert(h->e[p] && h->open[p]);
    }
}

void heard_free(struct heard *h)
{
    for (int p = 0; p < 2; p++) {
        free(h->e[p]);
        free(h->open[p]);
    }
}

void hear(void *heard, int from, int to, const char *what, const void *data, size_t bytes)
{
    struct heard *h = heard;
    (void)to;
    if (from < 2 && !strcmp(what, "indx"))
        memcpy(h->e[from], data, bytes);
    if (from < 2 && !strcmp(what, "look"))
        memcpy(h->open[from], data, bytes);
}
