/* version.c — what this binary was built from; the Makefile gives the macros to this file alone. */
#include "harness/cli.h"

#ifndef SS_COMMIT
#define SS_COMMIT "unknown"
#endif
#ifndef SS_CFLAGS
#define SS_CFLAGS "unknown"
#endif
#ifndef SS_CC
#define SS_CC "unknown"
#endif

const char ss_version_commit[] = SS_COMMIT;
const char ss_version_cflags[] = SS_CFLAGS;
const char ss_version_cc[] = SS_CC;
