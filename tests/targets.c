/* targets.c — see targets.h. */
#include "tests/targets.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

bool usable_here(const struct ss_backend *b)
{
    const char *why = b->unusable(), *required = getenv("REQUIRE");
    cr_assert(!why || !required || !strstr(required, b->name), "%s is required: %s", b->name, why);
    return !why;
}

static bool has_isa(size_t n)
{
    return n == 0 || (n == 1 && __builtin_cpu_supports("avx2")) ||
           (n == 2 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"));
}

bool next_target(struct target *t)
{
    static const char *const isas[] = {"portable", "avx2", "avx512"};
    for (; ss_backends[t->at_b]; t->at_b++, t->at_isa = 0) {
        t->b = ss_backends[t->at_b];
        if (t->at_isa == 0 && !usable_here(t->b))
            continue;
        const bool cpu = strcmp(t->b->name, "cpu") == 0;
        while (t->at_isa < (cpu ? 3 : 1)) {
            const size_t n = t->at_isa++;
            if (cpu && !has_isa(n))
                continue;
            t->isa = cpu ? isas[n] : "";
            if (cpu)
                setenv("SHARDSCALE_CPU", t->isa, 1);
            return true;
        }
    }
    return false;
}
