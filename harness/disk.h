/* disk.h — files that are either complete or absent, whatever kills the program or fills the disk. */
#ifndef SS_DISK_H
#define SS_DISK_H

#include <stddef.h>

#include "harness/err.h"

/* mkdir -p */
SS_CHECKED enum ss_err ss_disk_make_dirs(const char *dir);
/* mkdir -p of the directory that holds path. */
SS_CHECKED enum ss_err ss_disk_make_parent(const char *path);
/* Writes path.part, fsyncs it, renames it to path, fsyncs the directory. On failure (SS_ENV) .part is removed and an older path
   is untouched. A .part left by a killed run is overwritten; one that another process is writing now is SS_ENV. */
SS_CHECKED enum ss_err ss_disk_replace(const char *path, const void *data, size_t bytes);
/* Whether ss_disk_replace could write there, asked before hours of work: SS_ENV with the reason if not. */
SS_CHECKED enum ss_err ss_disk_check(const char *path);
#endif
