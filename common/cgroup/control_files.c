/* The kernel's files, and how their numbers are written. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/cgroup/control_priv.h"

static int kernel_write(void *arg, const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;
    size_t n = strlen(text);

    (void)arg;
    if (fd < 0)
        return errno;
    if (write(fd, text, n) != (ssize_t)n)
        rc = errno ? errno : EIO;
    (void)close(fd);
    return rc;
}

static int kernel_read(void *arg, const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    ssize_t n;

    (void)arg;
    if (fd < 0)
        return errno;
    n = read(fd, text, size - 1);
    if (n < 0)
        rc = errno;
    text[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    return rc;
}

const struct cw_control_files CW_CONTROL_KERNEL = {.write = kernel_write, .read = kernel_read};
