/* The machine's files. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "invoker/journal/journal.h"

static int file_open(const struct inv_journal_disk *disk, const char *path, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int code;

    (void)disk;
    if (fd < 0)
        return -errno;
    /* All space at once: a disk that fills up later cannot stop the journal. */
    code = posix_fallocate(fd, 0, (off_t)size);
    if (code == 0)
        return fd;
    close(fd);
    return -code;
}

static ssize_t file_read(const struct inv_journal_disk *disk, int fd, void *p, size_t n, int64_t at)
{
    ssize_t got = TEMP_FAILURE_RETRY(pread(fd, p, n, at));

    (void)disk;
    return got < 0 ? -errno : got;
}

static ssize_t file_write(const struct inv_journal_disk *disk, int fd, const void *p, size_t n,
                          int64_t at)
{
    ssize_t put = TEMP_FAILURE_RETRY(pwrite(fd, p, n, at));

    (void)disk;
    return put < 0 ? -errno : put;
}

static int file_sync(const struct inv_journal_disk *disk, int fd)
{
    (void)disk;
    return fdatasync(fd) == 0 ? 0 : -errno;
}

static void file_close(const struct inv_journal_disk *disk, int fd)
{
    (void)disk;
    close(fd);
}

const struct inv_journal_disk *inv_journal_files(void)
{
    static const struct inv_journal_disk FILES = {file_open, file_read, file_write, file_sync,
                                                  file_close};

    return &FILES;
}
