/* disk.c — write to .part, fsync, rename, fsync the directory. */
#include "harness/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum ss_err ss_disk_make_dirs(const char *dir)
{
    char path[PATH_MAX];
    size_t length = strlen(dir);
    if (length == 0)
        return SS_OK;
    if (length >= sizeof path)
        SS_FAIL(SS_ENV, "%.80s...: directory name too long; choose a shorter one", dir);
    memcpy(path, dir, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        char end = path[i];
        path[i] = '\0';
        struct stat s;
        int made = mkdir(path, 0777), reason = errno;
        if (made != 0 && !(stat(path, &s) == 0 && S_ISDIR(s.st_mode)))
            SS_FAIL(SS_ENV, "cannot make directory %s: %s; choose another place", path, strerror(reason));
        path[i] = end;
    }
    return SS_OK;
}

/* Directory that holds path: "." for a bare name. */
static void parent(char out[PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (!slash)
        snprintf(out, PATH_MAX, ".");
    else
        snprintf(out, PATH_MAX, "%.*s", (int)(length > 0 ? length : 1), path);
}

enum ss_err ss_disk_make_parent(const char *path)
{
    char dir[PATH_MAX];
    parent(dir, path);
    return ss_disk_make_dirs(dir);
}

static enum ss_err part_name(char out[PATH_MAX], const char *path)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s.part", path) >= PATH_MAX)
        SS_FAIL(SS_ENV, "%.80s...: file name too long; choose a shorter directory", path);
    return SS_OK;
}

/* Descriptor of an empty .part held by this process alone, -1 with errno. The lock is fcntl's, tied to the descriptor, because
   HDF5 readers take flock and must not trip over it after the rename. A file renamed away between open and lock is let go. */
static int open_part(const char *part)
{
    for (;;) {
        int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return -1;
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        struct stat opened, named;
        bool locked = fcntl(fd, F_OFD_SETLK, &whole) == 0;
        if (!locked && (errno == EAGAIN || errno == EACCES)) {
            close(fd);
            errno = EBUSY;
            return -1;
        }
        bool same = fstat(fd, &opened) == 0 && stat(part, &named) == 0 && opened.st_ino == named.st_ino;
        if (same && ftruncate(fd, 0) == 0)
            return fd;
        int reason = errno;
        close(fd);
        if (same) {
            errno = reason;
            return -1;
        }
    }
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* Makes the rename itself durable. File systems that cannot fsync a directory say EINVAL. */
static bool sync_parent(const char *path)
{
    char dir[PATH_MAX];
    parent(dir, path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0 || errno == EINVAL;
    close(fd);
    return ok;
}

static enum ss_err cannot_write(const char *path, int reason)
{
    const char *remedy = "check the disk";
    if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG)
        remedy = "free disk space, then repeat: what is saved stays saved";
    else if (reason == EACCES || reason == EPERM || reason == EROFS)
        remedy = "choose a directory that you may write to";
    else if (reason == EBUSY)
        remedy = "another process is writing it: wait for that one to end";
    SS_FAIL(SS_ENV, "cannot write %s: %s; %s", path, strerror(reason), remedy);
}

/* A device or a link is never renamed over. */
static enum ss_err not_special(const char *path)
{
    struct stat s;
    if (lstat(path, &s) == 0 && !S_ISREG(s.st_mode))
        SS_FAIL(SS_ENV, "%s is not a regular file; choose another name", path);
    return SS_OK;
}

enum ss_err ss_disk_check(const char *path)
{
    char part[PATH_MAX];
    SS_TRY(not_special(path));
    SS_TRY(ss_disk_make_parent(path));
    SS_TRY(part_name(part, path));
    int fd = open_part(part);
    if (fd < 0)
        return cannot_write(path, errno);
    unlink(part);
    close(fd);
    return SS_OK;
}

enum ss_err ss_disk_replace(const char *path, const void *data, size_t bytes)
{
    char part[PATH_MAX];
    SS_TRY(not_special(path));
    SS_TRY(part_name(part, path));
    int fd = open_part(part);
    if (fd < 0)
        return cannot_write(part, errno);
    bool ok = write_all(fd, data, bytes) && fsync(fd) == 0 && rename(part, path) == 0 && sync_parent(path);
    int reason = errno;
    if (!ok)
        unlink(part);
    close(fd); /* only now: the lock lasts until the rename is done */
    return ok ? SS_OK : cannot_write(path, reason);
}
