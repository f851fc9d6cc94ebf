/* test_backend.c — what every backend has besides arithmetic: synthetic weights, memory, fences and marks, two devices at once,
   and what is refused. (Arithmetic: test_backend_ring.c, _float.c, _exact.c.) */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "harness/philox.h"
#include "tests/products.h"

static int16_t synth_value(const struct ss_matrix *w, const uint8_t *bytes, size_t i, unsigned scale_bits)
{
    const size_t n = w->rows * w->cols;
    float f;
    int16_t v;
    switch (w->type) {
    case SS_I8X2:
        return (int16_t)((int8_t)bytes[n + i] * 256 + (int8_t)bytes[i]);
    case SS_I16:
        memcpy(&v, bytes + 2 * i, 2);
        return v;
    case SS_BF16:
        memcpy(&v, bytes + 2 * i, 2);
        f = from_bf16((uint16_t)v);
        break;
    default:
        memcpy(&f, bytes + 4 * i, 4);
    }
    f = ldexpf(f, (int)scale_bits);
    cr_assert_eq(f, rintf(f));
    return (int16_t)f;
}

static void check_synth(struct bed *t)
{
    enum { TOTAL = 40, COLS = 1003, AT = 3, ROW0 = 5, ROWS = 36, SCALE = 11 };
    static const enum ss_type types[] = {SS_F32, SS_BF16, SS_I16, SS_I8X2};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        const struct ss_matrix w = {.type = types[k], .rows = TOTAL, .cols = COLS};
        const size_t bytes = TOTAL * COLS * ss_type_bytes(w.type);
        uint8_t *out = host(bytes), *d = bed_put(t, out, bytes);
        cr_assert_eq(t->b->synth(t->dev, d, w.type, TOTAL, AT, 42, 7, ROW0, ROWS, COLS, SCALE), SS_OK);
        bed_get(t, out, d, bytes);
        for (size_t i = 0; i < TOTAL * COLS; i++) {
            const size_t row = i / COLS, word = (row - AT + ROW0) * COLS + i % COLS;
            const int want = row < AT || row >= AT + ROWS ? 0 : ss_synth_int(ss_philox_word(42, 7, word));
            cr_assert_eq(synth_value(&w, out, i, SCALE), want, "%s %s: type %d at %zu", t->b->name, t->isa, (int)w.type, i);
        }
        free(out);
        bed_drop(t);
    }
}

Test(backend, synthetic_weights_are_the_same_integers_in_every_type)
{
    bed_on_each(check_synth);
}

static void check_device(struct bed *t)
{
    size_t free_bytes, total_bytes;
    void *fence = NULL;
    t->b->memory(t->dev, &free_bytes, &total_bytes);
    cr_assert(free_bytes > 0 && free_bytes <= total_bytes, "%zu of %zu", free_bytes, total_bytes);
    cr_assert_eq((uintptr_t)bed_room(t, 1) % 64, 0);
    cr_assert_eq(t->b->fence_new(t->dev, &fence), SS_OK);
    cr_assert(fence);
    cr_assert_eq(t->b->fence_record(t->dev, fence), SS_OK);
    cr_assert_eq(t->b->fence_wait(t->dev, fence), SS_OK);
    t->b->fence_free(t->dev, fence);
    for (size_t slot = 0; slot < 1000; slot += 333)
        cr_assert_eq(t->b->mark(t->dev, slot), SS_OK);
    cr_assert_eq(t->b->sync(t->dev), SS_OK);
    cr_assert_eq(t->b->span_ns(t->dev, 333, 333), 0);
    cr_assert_lt(t->b->span_ns(t->dev, 0, 999), UINT64_MAX / 2, "marks run backwards");
}

Test(backend, device_has_memory_fences_and_marks)
{
    bed_on_each(check_device);
}

static void *party(void *backend)
{
    bed_run(backend, "beside another", check_random_products);
    bed_run(backend, "beside another", check_gemms);
    return NULL;
}

Test(backend, two_devices_work_at_once)
{
    for (size_t i = 0; ss_backends[i]; i++) {
        pthread_t two[2];
        if (!usable_here(ss_backends[i]))
            continue;
        for (size_t j = 0; j < 2; j++)
            cr_assert_eq(pthread_create(&two[j], NULL, party, (void *)(uintptr_t)ss_backends[i]), 0);
        for (size_t j = 0; j < 2; j++)
            pthread_join(two[j], NULL);
    }
}

Test(backend, cpu_refuses_what_it_cannot_open)
{
    const struct ss_backend *b = ss_backend_find("cpu");
    const struct ss_dev_options none = {.threads = 0}, two = {.threads = 2};
    struct ss_dev *dev;
    ss_set_error_silent(1);
    cr_assert_eq(b->open(&dev, &none), SS_USAGE);
    setenv("SHARDSCALE_CPU", "mmx", 1);
    cr_assert_eq(b->open(&dev, &two), SS_USAGE);
    cr_assert(strstr(ss_last_error(), "mmx"));
    if (!__builtin_cpu_supports("avx512vnni")) {
        setenv("SHARDSCALE_CPU", "avx512", 1);
        cr_assert_eq(b->open(&dev, &two), SS_ENV);
    }
    cr_assert_null(dev);
}

Test(backend, registry_finds_by_name_only)
{
    cr_assert_not_null(ss_backend_find("cpu"));
    cr_assert_null(ss_backend_find("gpu"));
    cr_assert_null(ss_backend_find(""));
}
