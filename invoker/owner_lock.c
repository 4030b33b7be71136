#include "invoker/owner_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/map.h"

enum { PATH_MAX_BYTES = 4096 };

struct inv_owner_lock {
    struct sockaddr_un address; /* abstract: no file, gone with the process */
    socklen_t address_len;
    char *path;             /* NULL: no file */
    int socket_fd, file_fd; /* -1: not held */
};

/* ---- the name in the network namespace ---- */

static long peer_pid(const struct inv_owner_lock *l)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct ucred cred = {0};
    socklen_t size = sizeof(cred);

    if (fd < 0)
        return 0;
    if (connect(fd, (const struct sockaddr *)&l->address, l->address_len) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0)
        cred.pid = 0;
    close(fd);
    return cred.pid;
}

static int try_socket(struct inv_owner_lock *l, struct cw_str *who, struct cw_err *err)
{
    int fd, code;

    if (l->socket_fd >= 0)
        return 0;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return cw_fail_errno(err, errno, "lock socket");
    if (bind(fd, (const struct sockaddr *)&l->address, l->address_len) == 0 && listen(fd, 1) == 0) {
        l->socket_fd = fd;
        return 0;
    }
    code = errno;
    close(fd);
    if (code != EADDRINUSE)
        return cw_fail_errno(err, code, "lock socket @%s", l->address.sun_path + 1);
    cw_str_addf(who, "process %ld of this machine", peer_pid(l));
    return 1;
}

static void set_address(struct inv_owner_lock *l, const char *name, const char *scope)
{
    /* Abstract names have room for 107 bytes: the scope is hashed. */
    uint64_t hash = cw_siphash(0, 0, cw_slice_of(scope));
    int n = snprintf(l->address.sun_path + 1, sizeof(l->address.sun_path) - 1,
                     "cwhisk/%016llx/%.60s", (unsigned long long)hash, name);

    l->address.sun_family = AF_UNIX;
    l->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* ---- the file ---- */

static long read_pid(int fd)
{
    char text[24];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = '\0';
    return strtol(text, NULL, 10);
}

static void write_pid(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    /* Only for people who look: a failure costs nothing. */
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)n, 0);
}

static int try_file(struct inv_owner_lock *l, struct cw_str *who, struct cw_err *err)
{
    int fd, code;

    if (!l->path || l->file_fd >= 0)
        return 0;
    fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return cw_fail_errno(err, errno, "lock file %s (cwhisk.data-dir)", l->path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        write_pid(fd);
        l->file_fd = fd;
        return 0;
    }
    code = errno;
    if (code == EWOULDBLOCK)
        cw_str_addf(who, "process %ld holds %s", read_pid(fd), l->path);
    close(fd);
    return code == EWOULDBLOCK ? 1 : cw_fail_errno(err, code, "lock on %s", l->path);
}

/* ---- both ---- */

struct inv_owner_lock *inv_owner_lock_new(const char *name, const char *scope, const char *data_dir)
{
    struct inv_owner_lock *l = cw_alloc(sizeof(*l));
    struct cw_str path;

    l->socket_fd = l->file_fd = -1;
    set_address(l, name, scope);
    if (data_dir && *data_dir) {
        cw_str_init(&path, PATH_MAX_BYTES);
        cw_str_addf(&path, "%s/%s.lock", data_dir, name);
        l->path = cw_str_steal(&path);
    }
    return l;
}

void inv_owner_lock_free(struct inv_owner_lock *l)
{
    if (!l)
        return;
    if (l->socket_fd >= 0)
        close(l->socket_fd);
    if (l->file_fd >= 0)
        close(l->file_fd);
    free(l->path);
    free(l);
}

int inv_owner_lock_try(struct inv_owner_lock *l, struct cw_str *who, struct cw_err *err)
{
    int got = try_socket(l, who, err);

    return got == 0 ? try_file(l, who, err) : got;
}
