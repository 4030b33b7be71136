#include "common/base/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the machine's ---- */

static int file_open(const struct cw_disk *disk, const char *path, size_t size)
{
    int fd = open(path, O_RDWR | (size ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW, 0600);
    int code;

    (void)disk;
    if (fd < 0)
        return -errno;
    code = size ? posix_fallocate(fd, 0, (off_t)size) : 0;
    if (code == 0)
        return fd;
    close(fd);
    return -code;
}

static ssize_t file_read(const struct cw_disk *disk, int fd, void *p, size_t n, int64_t at)
{
    ssize_t got = TEMP_FAILURE_RETRY(pread(fd, p, n, at));

    (void)disk;
    return got < 0 ? -errno : got;
}

static ssize_t file_write(const struct cw_disk *disk, int fd, const struct iovec *iov, int count,
                          int64_t at)
{
    ssize_t put = TEMP_FAILURE_RETRY(pwritev(fd, iov, count, at));

    (void)disk;
    return put < 0 ? -errno : put;
}

static int file_sync(const struct cw_disk *disk, int fd)
{
    (void)disk;
    return fdatasync(fd) == 0 ? 0 : -errno;
}

static void file_close(const struct cw_disk *disk, int fd)
{
    (void)disk;
    close(fd);
}

static int file_remove(const struct cw_disk *disk, const char *path)
{
    (void)disk;
    return unlink(path) == 0 ? 0 : -errno;
}

static int file_list(const struct cw_disk *disk, const char *dir, cw_disk_name_fn *fn, void *arg)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    int code;

    (void)disk;
    if (!d)
        return -errno;
    while (errno = 0, (entry = readdir(d))) {
        struct stat st;

        if (fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            fn(arg, entry->d_name, st.st_size);
    }
    code = errno;
    (void)closedir(d);
    return -code;
}

static int file_sync_dir(const struct cw_disk *disk, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code;

    (void)disk;
    if (fd < 0)
        return -errno;
    code = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return code;
}

const struct cw_disk *cw_disk_files(void)
{
    static const struct cw_disk FILES = {
        .open = file_open,
        .read = file_read,
        .write = file_write,
        .sync = file_sync,
        .close = file_close,
        .remove = file_remove,
        .list = file_list,
        .sync_dir = file_sync_dir,
    };

    return &FILES;
}

/* ---- whole pieces ---- */

ssize_t cw_disk_read_all(const struct cw_disk *disk, int fd, void *p, size_t n, int64_t at)
{
    size_t got = 0;

    while (got < n) {
        ssize_t more = disk->read(disk, fd, (char *)p + got, n - got, at + (int64_t)got);

        if (more < 0)
            return more;
        if (more == 0)
            break;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

int cw_disk_write_all(const struct cw_disk *disk, int fd, struct iovec *iov, size_t count,
                      int64_t at)
{
    while (count) {
        int some = count < IOV_MAX ? (int)count : IOV_MAX;
        ssize_t put;

        if (iov->iov_len == 0) { /* taken whole before, or empty */
            iov++, count--;
            continue;
        }
        put = disk->write(disk, fd, iov, some, at);
        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        at += put;
        for (; put; iov++, count--) {
            if ((size_t)put < iov->iov_len) {
                iov->iov_base = (char *)iov->iov_base + put;
                iov->iov_len -= (size_t)put;
                break;
            }
            put -= (ssize_t)iov->iov_len;
        }
    }
    return 0;
}
