/* seal.h — a checksum at the end of a result file: "ss-seal1" and the SHA-256 of all bytes before it. HDF5 1.10 loops or
   crashes on some damaged files, so damage must be found before the library reads one; it ignores what follows its own data. */
#ifndef SS_SEAL_H
#define SS_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "harness/err.h"

enum { SS_SEAL_BYTES = 40 };
void ss_seal(uint8_t seal[SS_SEAL_BYTES], const void *data, size_t bytes);

enum ss_sealed {
    SS_SEAL_NONE, /* written before there were seals */
    SS_SEAL_GOOD,
    SS_SEAL_BROKEN
};
/* Of a file; SS_RESULTS if it cannot be read. */
SS_CHECKED enum ss_err ss_seal_check(enum ss_sealed *sealed, const char *path);
#endif
