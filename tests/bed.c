/* bed.c — see bed.h. */
#include "tests/bed.h"

#include <criterion/criterion.h>
#include <stdlib.h>

void *bed_room(struct bed *t, size_t bytes)
{
    cr_assert_lt(t->n, (size_t)BED_MAX_HELD);
    cr_assert_eq(t->b->alloc(t->dev, &t->held[t->n], bytes), SS_OK);
    t->held_bytes[t->n] = bytes;
    return t->held[t->n++];
}

void *bed_put(struct bed *t, const void *h, size_t bytes)
{
    void *p = bed_room(t, bytes);
    cr_assert_eq(t->b->upload(t->dev, p, h, bytes), SS_OK);
    return p;
}

void bed_get(struct bed *t, void *h, const void *p, size_t bytes)
{
    cr_assert_eq(t->b->download(t->dev, h, p, bytes), SS_OK);
}

void bed_drop(struct bed *t)
{
    while (t->n) {
        t->n--;
        t->b->free(t->dev, t->held[t->n], t->held_bytes[t->n], false);
    }
}

void bed_run(const struct ss_backend *b, const char *isa, bed_check check)
{
    const struct ss_dev_options o = {.threads = 2};
    struct bed t = {.b = b, .isa = isa};
    cr_assert_eq(b->open(&t.dev, &o), SS_OK, "%s %s", b->name, isa);
    check(&t);
    bed_drop(&t);
    b->close(t.dev);
}

void bed_on_each(bed_check check)
{
    size_t ran = 0;
    for (struct target t = {0}; next_target(&t); ran++)
        bed_run(t.b, t.isa, check);
    cr_assert_gt(ran, 0);
}

void *host(size_t bytes)
{
    void *p = calloc(bytes ? bytes : 1, 1);
    cr_assert(p);
    return p;
}
