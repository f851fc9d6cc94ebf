/* registry.c — looking up by name what the Makefile found in kernels/ and variants/. */
#include "kernels/backend.h"
#include "variants/variant.h"

#include <string.h>

const struct ss_backend *ss_backend_find(const char *name)
{
    for (size_t i = 0; ss_backends[i]; i++)
        if (!strcmp(ss_backends[i]->name, name))
            return ss_backends[i];
    return NULL;
}

const struct ss_variant *ss_variant_find(const char *name)
{
    for (size_t i = 0; ss_variants[i]; i++)
        if (!strcmp(ss_variants[i]->name, name))
            return ss_variants[i];
    return NULL;
}

size_t ss_type_bytes(enum ss_type t)
{
    switch (t) {
    case SS_F32:
        return 4;
    case SS_U64:
        return 8;
    case SS_BF16:
    case SS_I16:
    case SS_I8X2:
        return 2;
    }
    ss_abort(__FILE__, __LINE__, "known ss_type");
}
