/* arrays.c — see arrays.h. */
#include "tests/arrays.h"

#include <stdlib.h>

#include "tests/targets.h"

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

void on_each(void (*check)(struct bench *t))
{
    const struct ss_dev_options o = {.threads = 2};
    for (struct target at = {0}; next_target(&at);) {
        struct bench t = {.b = at.b, .isa = at.isa, .seed = 1};
        cr_assert_eq(t.b->open(&t.dev, &o), SS_OK, "%s %s", t.b->name, t.isa);
        check(&t);
        drop_all(&t);
        t.b->close(t.dev);
    }
}
