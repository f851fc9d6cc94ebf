/* pairs.c — see pairs.h. */
#include "tests/pairs.h"

#include <stdio.h>

#include "variants/variant.h"

struct criterion_test_params every_pair(void)
{
    static struct pair pairs[64];
    size_t n = 0;
    for (size_t v = 0; ss_variants[v]; v++)
        for (size_t b = 0; ss_backends[b]; b++) {
            if (ss_backends[b]->unusable())
                continue;
            snprintf(pairs[n].variant, sizeof pairs[n].variant, "%s", ss_variants[v]->name);
            snprintf(pairs[n].backend, sizeof pairs[n].backend, "%s", ss_backends[b]->name);
            n++;
        }
    return cr_make_param_array(struct pair, pairs, n);
}
