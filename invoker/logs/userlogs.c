/* The file is touched by the writing thread only, or by free when there is none any more. */
#include "invoker/logs/userlogs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/logs/write_behind.h"

#define COMPONENT "DockerToActivationFileLogStore"

enum {
    MAX_FILE = 100 << 20,
    MAX_WAITING = 64 << 20,
    MAX_PATH = 4096,
    NAME_TRIES = 100, /* two files within a millisecond */
};

/* The file that is open. */
struct target {
    int fd; /* -1: none */
    size_t size;
    bool opened; /* just now */
    char path[MAX_PATH];
};

struct inv_userlogs {
    struct inv_write_behind *writer;
    char *folder;
    size_t max_file;
    struct target file;
};

/* ---- the thread's part ---- */

static void close_file(struct target *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

static int open_file(struct inv_userlogs *u, struct cw_err *err)
{
    int64_t now_ms = cw_clock_wall_ms(cw_clock_system());
    struct target *file = &u->file;

    close_file(file);
    for (int i = 0; i < NAME_TRIES && file->fd < 0; i++) {
        (void)snprintf(file->path, sizeof(file->path), "%s/userlogs-%" PRId64 ".log", u->folder,
                       now_ms + i);
        file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
        if (file->fd < 0 && errno != EEXIST)
            break;
    }
    if (file->fd < 0)
        return cw_fail_errno(err, errno, "%s", file->path);
    file->size = 0;
    if (fchmod(file->fd, 0666) != 0) /* whatever the umask: the shipper is somebody else */
        return cw_fail_errno(err, errno, "%s: mode", file->path);
    return 0;
}

static int write_all(const struct target *file, const struct cw_str *text, struct cw_err *err)
{
    size_t at = 0;

    while (at < text->n) {
        ssize_t n = write(file->fd, text->p + at, text->n - at);

        if (n < 0 && errno != EINTR)
            return cw_fail_errno(err, errno, "%s", file->path);
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Thread: the writer's. */
static void write_batch(void *arg, const struct cw_str *text, struct cw_err *err)
{
    struct inv_userlogs *u = arg;
    struct target *file = &u->file;

    if (file->fd < 0 || file->size + text->n > u->max_file) {
        if (open_file(u, err) != 0)
            return;
        file->opened = true;
    }
    file->size += text->n;
    if (write_all(file, text, err) != 0)
        close_file(file); /* half a line may be at its end: begin a new one */
}

/* ---- the loop's part ---- */

static void on_written(void *arg)
{
    struct inv_userlogs *u = arg;

    if (u->file.opened)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "Rotating log file to '%s'", u->file.path);
    u->file.opened = false;
}

void inv_userlogs_write(struct inv_userlogs *u, struct cw_slice lines)
{
    inv_write_behind_put(u->writer, lines, "", lines.n);
}

struct inv_userlogs *inv_userlogs_new(const struct inv_userlogs_conf *conf, struct cw_err *err)
{
    struct inv_userlogs *u = cw_alloc(sizeof(*u));

    u->file.fd = -1;
    u->folder = cw_strdup(conf->folder);
    u->max_file = conf->max_file ? conf->max_file : MAX_FILE;
    u->writer = inv_write_behind_new(
        &(struct inv_write_behind_conf){
            .loop = conf->loop,
            .max_waiting = conf->max_waiting ? conf->max_waiting : MAX_WAITING,
            .write = write_batch,
            .on_written = on_written,
            .arg = u,
            .written = cw_metrics_counter(conf->metrics, "cwhisk_userlogs_written_bytes_total",
                                          NULL, "Bytes of log lines and records written to files."),
            .lost = cw_metrics_counter(conf->metrics, "cwhisk_userlogs_lost_bytes_total", NULL,
                                       "Bytes of log lines and records that could not be written."),
            .component = COMPONENT,
            .fails = "log lines cannot be written to files and are lost until that works again "
                     "(activations keep theirs)",
            .works = "log lines are written to files again",
        },
        err);
    if (!u->writer) {
        inv_userlogs_free(u);
        return NULL;
    }
    return u;
}

void inv_userlogs_free(struct inv_userlogs *u)
{
    if (!u)
        return;
    inv_write_behind_free(u->writer);
    close_file(&u->file);
    free(u->folder);
    free(u);
}
