/* version.c — what this binary was built from; the Makefile gives the macros to this file alone. */
#include "harness/cli.h"

#ifndef SS_COMMIT
#define SS_COMMIT "unknown"
#endif
#ifndef SS_DIRTY
#define SS_DIRTY "unknown"
#define SS_DIRTY_COUNT "unknown"
#endif
#ifndef SS_CFLAGS
#define SS_CFLAGS "unknown"
#endif
#ifndef SS_CC
#define SS_CC "unknown"
#endif

const char ss_version_commit[] = SS_COMMIT;
const char ss_version_dirty[] = SS_DIRTY;
const char ss_version_dirty_count[] = SS_DIRTY_COUNT;
const char ss_version_cflags[] = SS_CFLAGS;
const char ss_version_cc[] = SS_CC;
