/* arrays.c — see arrays.h. */
#include "tests/arrays.h"

#include <stdlib.h>
#include <string.h>

uint64_t random64(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static struct array put(struct bench *t, uint64_t *h, size_t words)
{
    cr_assert_lt(t->n, (size_t)MAX_HELD);
    void *d;
    cr_assert_eq(t->b->alloc(t->dev, &d, (words + 1) * 8), SS_OK);
    cr_assert_eq(t->b->upload(t->dev, d, h, (words + 1) * 8), SS_OK);
    t->held[t->n] = (struct array){.d = d, .h = h, .words = words};
    return t->held[t->n++];
}

struct array random_words(struct bench *t, size_t words)
{
    uint64_t *h = malloc((words + 1) * 8);
    cr_assert(h);
    for (size_t i = 0; i <= words; i++)
        h[i] = random64(&t->seed);
    return put(t, h, words);
}

void same(struct bench *t, struct array a, const char *what, size_t case_n)
{
    uint64_t *got = malloc((a.words + 1) * 8);
    cr_assert(got);
    cr_assert_eq(t->b->download(t->dev, got, a.d, (a.words + 1) * 8), SS_OK);
    size_t at = 0;
    while (at <= a.words && a.h[at] == got[at])
        at++;
    cr_assert_eq(at, a.words + 1, "%s (n = %zu) on %s %s differs first in word %zu of %zu", what, case_n, t->b->name, t->isa,
                 at, a.words);
    free(got);
}

void drop_all(struct bench *t)
{
    while (t->n) {
        const struct array a = t->held[--t->n];
        t->b->free(t->dev, a.d, (a.words + 1) * 8, false);
        free(a.h);
    }
}

static void run_one(const struct ss_backend *b, const char *isa, void (*check)(struct bench *t))
{
    const struct ss_dev_options o = {.threads = 2};
    struct bench t = {.b = b, .isa = isa, .seed = 1};
    setenv("SHARDSCALE_CPU", *isa ? isa : "portable", 1);
    cr_assert_eq(b->open(&t.dev, &o), SS_OK, "%s %s", b->name, isa);
    check(&t);
    drop_all(&t);
    b->close(t.dev);
}

void on_each(void (*check)(struct bench *t))
{
    const char *required = getenv("REQUIRE");
    for (size_t i = 0; ss_backends[i]; i++) {
        const struct ss_backend *b = ss_backends[i];
        const char *why = b->unusable();
        cr_assert(!why || !required || !strstr(required, b->name), "%s is required: %s", b->name, why);
        if (why)
            continue;
        if (strcmp(b->name, "cpu") != 0) {
            run_one(b, "", check);
            continue;
        }
        run_one(b, "portable", check);
        if (__builtin_cpu_supports("avx2"))
            run_one(b, "avx2", check);
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
            run_one(b, "avx512", check);
    }
}
