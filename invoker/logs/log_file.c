#include "invoker/logs/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST_BYTES = 8 * 1024, /* enough for most activations, and cheap to allocate */
    READ_BYTES = 64 * 1024,
    ROTATED_MAX = 32, /* names FILE.1 ... looked at */
    PATH_MAX_BYTES = 8192,
};

static bool open_at(struct inv_log_file *f, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    f->starved = fd < 0 && (errno == EMFILE || errno == ENFILE);
    f->unreadable = fd < 0 && errno != ENOENT && !f->starved;
    if (fd < 0)
        return false;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        f->unreadable = true;
        return false;
    }
    f->fd = fd;
    return true;
}

static bool same_file(const struct stat *a, const char *path)
{
    struct stat b;

    return stat(path, &b) == 0 && b.st_ino == a->st_ino && b.st_dev == a->st_dev;
}

static char *rotated_name(const struct inv_log_file *f, int n)
{
    struct cw_str name;

    cw_str_init(&name, PATH_MAX_BYTES);
    cw_str_addz(&name, f->path);
    if (n > 0)
        cw_str_addf(&name, ".%d", n);
    return cw_str_steal(&name);
}

/* The name of the file that came after ours: where ours is FILE.n, FILE.(n-1). free() it; NULL when
 * ours is the current one. */
static char *successor_name(const struct inv_log_file *f, const struct stat *ours)
{
    struct stat any;
    bool found = false;
    int n = 0;

    if (same_file(ours, f->path) || stat(f->path, &any) != 0)
        return NULL;
    while (!found && n < ROTATED_MAX) {
        char *name = rotated_name(f, ++n);

        found = same_file(ours, name);
        free(name);
    }
    return rotated_name(f, found ? n - 1 : 0);
}

enum inv_log_follow inv_log_file_follow(struct inv_log_file *f, size_t pending)
{
    int64_t end = f->offset + (int64_t)pending;
    enum inv_log_follow result = INV_LOG_FILE_MORE;
    struct stat ours;
    char *next;

    if (f->fd < 0)
        return open_at(f, f->path) ? INV_LOG_FILE_MORE : INV_LOG_FILE_ENDS;
    if (fstat(f->fd, &ours) != 0)
        return INV_LOG_FILE_ENDS;
    if (ours.st_size < end) {
        f->offset = 0;
        return INV_LOG_FILE_FRESH;
    }
    if (!(next = successor_name(f, &ours)))
        return INV_LOG_FILE_ENDS;
    /* Docker closes a file before it renames it: what we have not seen now is still to be read. */
    if (fstat(f->fd, &ours) == 0 && ours.st_size == end) {
        close(f->fd);
        f->fd = -1;
        f->offset = 0;
        (void)open_at(f, next);
        result = INV_LOG_FILE_FRESH;
    }
    free(next);
    return result;
}

ssize_t inv_log_file_fill(struct inv_log_file *f, struct cw_str *buf)
{
    size_t most = f->more ? READ_BYTES : FIRST_BYTES;
    char *to;
    ssize_t n;

    if (f->fd < 0)
        return 0;
    to = cw_str_reserve(buf, most);
    if (!to)
        return -1;
    do
        n = pread(f->fd, to, most, f->offset + (int64_t)buf->n);
    while (n < 0 && errno == EINTR);
    f->more = n == (ssize_t)most;
    if (n > 0)
        cw_str_commit(buf, (size_t)n);
    return n;
}

void inv_log_file_take(struct inv_log_file *f, size_t n)
{
    f->offset += (int64_t)n;
}

void inv_log_file_init(struct inv_log_file *f, const char *path)
{
    *f = (struct inv_log_file){.path = cw_strdup(path), .fd = -1};
    (void)open_at(f, f->path);
}

void inv_log_file_done(struct inv_log_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    free(f->path);
    f->path = NULL;
}
