/* store_check.c — whether a result may be written to a path. */
#include <hdf5.h>
#include <sys/stat.h>

#include "harness/disk.h"
#include "harness/store.h"

enum ss_err ss_store_check(const char *path)
{
    struct stat s;
    if (stat(path, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0) {
        H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
        if (H5Fis_hdf5(path) <= 0)
            SS_FAIL(SS_USAGE, "%s is there already and is no HDF5 file; move it away or choose another name", path);
    }
    return ss_disk_check(path);
}
