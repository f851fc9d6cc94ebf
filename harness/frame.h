/* frame.h — what travels between two processes: 16 bytes of header (magic "SSf1", type of four printable characters, length as
   64-bit little-endian), then `length` bytes. Types that begin with '~' are the transport's and session's own words: they are
   not messages of a protocol and are not counted. */
#ifndef SS_FRAME_H
#define SS_FRAME_H

#include <stdint.h>

#include "harness/err.h"

enum { SS_FRAME_HEADER = 16 };
struct ss_frame {
    char what[5];
    uint64_t bytes; /* that follow the header */
};

void ss_frame_write(uint8_t header[SS_FRAME_HEADER], const char *what, uint64_t bytes);
/* What is wrong with the header, NULL if it is one. Whether type and length are those that are due is for the caller. */
const char *ss_frame_read(struct ss_frame *f, const uint8_t header[SS_FRAME_HEADER]);
#endif
