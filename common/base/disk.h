/* common/base/disk.h -- the file system as those see it who keep records in files, so that tests
 * can be the disk: full, failing, or gone in the middle of a write.
 *
 * Blocking. Errors as -errno. Thread: any. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* name: without the directory; size: bytes. */
typedef void cw_disk_name_fn(void *arg, const char *name, int64_t size);

struct cw_disk {
    /* A descriptor for reading and writing. size 0: of a file that is there; otherwise it is made
     * when it is not there (mode 0600), and has room for so many bytes. */
    int (*open)(const struct cw_disk *disk, const char *path, size_t size);
    /* As pread(2) and pwritev(2): perhaps less than asked for. */
    ssize_t (*read)(const struct cw_disk *disk, int fd, void *p, size_t n, int64_t at);
    ssize_t (*write)(const struct cw_disk *disk, int fd, const struct iovec *iov, int count,
                     int64_t at);
    int (*sync)(const struct cw_disk *disk, int fd); /* as fdatasync(2) */
    void (*close)(const struct cw_disk *disk, int fd);
    int (*remove)(const struct cw_disk *disk, const char *path);
    /* Each file of the directory, in no order. */
    int (*list)(const struct cw_disk *disk, const char *dir, cw_disk_name_fn *fn, void *arg);
    /* Makes what was made and removed in the directory survive the machine. */
    int (*sync_dir)(const struct cw_disk *disk, const char *dir);
};

/* The machine's files. */
const struct cw_disk *cw_disk_files(void);

/* All n bytes, fewer only where the file ends: how many. */
ssize_t cw_disk_read_all(const struct cw_disk *disk, int fd, void *p, size_t n, int64_t at);
/* All of it or an error; what iov says is changed. count: any. 0, or -errno (nothing written where
 * something should be: -EIO). */
int cw_disk_write_all(const struct cw_disk *disk, int fd, struct iovec *iov, size_t count,
                      int64_t at);
