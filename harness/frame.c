/* frame.c — see frame.h. */
#include "harness/frame.h"

#include <string.h>

static const char magic[4] = {'S', 'S', 'f', '1'};

void ss_frame_write(uint8_t header[SS_FRAME_HEADER], const char *what, uint64_t bytes)
{
    memcpy(header, magic, 4);
    memcpy(header + 4, what, 4);
    for (int i = 0; i < 8; i++)
        header[8 + i] = (uint8_t)(bytes >> 8 * i);
}

const char *ss_frame_read(struct ss_frame *f, const uint8_t header[SS_FRAME_HEADER])
{
    if (memcmp(header, magic, 4) != 0)
        return "bytes that are no ShardScale frame (or one side uses TLS and the other does not)";
    for (int i = 4; i < 8; i++)
        if (header[i] <= ' ' || header[i] > '~')
            return "a frame whose type is not printable";
    memcpy(f->what, header + 4, 4);
    f->what[4] = '\0';
    f->bytes = 0;
    for (int i = 0; i < 8; i++)
        f->bytes |= (uint64_t)header[8 + i] << 8 * i;
    return NULL;
}
