/* mutate.c — see mutate.h. */
#include "tests/mutate.h"

#include <ctype.h>
#include <string.h>

#include "tests/toy.h"

static uint64_t draw(uint64_t *state, uint64_t below)
{
    return some(++*state) % (below ? below : 1);
}

/* out[at .. at + gone) becomes `bytes` (n). */
static size_t replace(uint8_t *out, size_t size, size_t room, size_t at, size_t gone, const void *bytes, size_t n)
{
    if (size - gone + n > room)
        return size;
    memmove(out + at + n, out + at + gone, size - at - gone);
    memcpy(out + at, bytes, n);
    return size - gone + n;
}

static size_t replace_number(uint8_t *out, size_t size, size_t room, size_t at)
{
    static const char *const extremes[] = {"0",   "-1",  "1e400", "18446744073709551615", "9223372036854775808", "4294967296",
                                           "0.5", "nan", ""};
    while (at < size && !isdigit(out[at]))
        at++;
    size_t end = at;
    while (end < size && isdigit(out[end]))
        end++;
    if (end == at)
        return size;
    const char *x = extremes[(at + end) % (sizeof extremes / sizeof *extremes)];
    return replace(out, size, room, at, end - at, x, strlen(x));
}

static size_t one(uint8_t *out, size_t size, size_t room, uint64_t *state, const char *const *words)
{
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '"', '\n', '\\'};
    const size_t at = draw(state, size), length = 1 + draw(state, draw(state, 8) ? 8 : 64);
    const size_t range = length < size - at ? length : size - at;
    size_t n_words = 0;
    uint8_t bytes[64];
    if (size == 0)
        return size;
    while (words && words[n_words])
        n_words++;
    switch (draw(state, 8)) {
    case 0:
        out[at] ^= (uint8_t)(1u << draw(state, 8));
        return size;
    case 1:
        out[at] = odd[draw(state, sizeof odd)];
        return size;
    case 2:
        return draw(state, 4) ? size : at;
    case 3:
        memcpy(bytes, out + at, range);
        return replace(out, size, room, draw(state, size), 0, bytes, range);
    case 4:
        return replace(out, size, room, at, range, "", 0);
    case 5:
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)draw(state, 256);
        return replace(out, size, room, at, 0, bytes, length);
    case 6:
        return replace_number(out, size, room, at);
    default:
        if (n_words > 0) {
            const char *word = words[draw(state, n_words)];
            return replace(out, size, room, at, draw(state, 2) ? 0 : range, word, strlen(word));
        }
        out[at] = (uint8_t)draw(state, 256);
        return size;
    }
}

size_t mutate(uint8_t *out, const uint8_t *base, size_t n, uint64_t seed, const char *const *words)
{
    const size_t room = 2 * n + 256;
    uint64_t state = seed << 16;
    size_t size = n;
    memcpy(out, base, n);
    for (uint64_t i = 0, times = 1 + draw(&state, 4); i < times; i++)
        size = one(out, size, room, &state, words);
    return size;
}
