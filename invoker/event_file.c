/* The file is touched by the writing thread only, or by free when there is none any more. */
#include "invoker/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/obs/metrics.h"
#include "invoker/logs/write_behind.h"

enum { WAITING_MAX_BYTES = INV_EVENT_FILE_MIN_BYTES, MODE = 0644 };

struct inv_event_file {
    struct inv_write_behind *writer;
    char *path, *old_path;
    size_t max_bytes;
    int fd; /* -1: none */
};

/* ---- the thread's part ---- */

static void close_file(struct inv_event_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* Not another one of that name, or none. */
static bool is_still_there(const struct inv_event_file *f, struct stat *ret_open)
{
    struct stat named;

    return f->fd >= 0 && fstat(f->fd, ret_open) == 0 && stat(f->path, &named) == 0 &&
           named.st_dev == ret_open->st_dev && named.st_ino == ret_open->st_ino;
}

static int open_file(struct inv_event_file *f, struct stat *ret, struct cw_err *err)
{
    close_file(f);
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, MODE);
    if (f->fd < 0 || fstat(f->fd, ret) != 0)
        return cw_fail_errno(err, errno, "%s", f->path);
    if (!S_ISREG(ret->st_mode)) {
        close_file(f);
        return cw_fail(err, CW_INVALID, "%s: not a regular file", f->path);
    }
    return 0;
}

static int rotate(struct inv_event_file *f, struct stat *ret, struct cw_err *err)
{
    if (rename(f->path, f->old_path) != 0)
        return cw_fail_errno(err, errno, "%s: to %s", f->path, f->old_path);
    return open_file(f, ret, err);
}

/* All or nothing: half a line would spoil the next one, too. */
static void write_all(const struct inv_event_file *f, off_t size, const struct cw_str *text,
                      struct cw_err *err)
{
    size_t at = 0;

    while (at < text->n) {
        ssize_t n = write(f->fd, text->p + at, text->n - at);

        if (n < 0 && errno != EINTR) {
            (void)cw_fail_errno(err, errno, "%s", f->path);
            (void)!ftruncate(f->fd, size);
            return;
        }
        at += n > 0 ? (size_t)n : 0;
    }
}

/* Thread: the writer's. */
static void write_batch(void *arg, const struct cw_str *text, struct cw_err *err)
{
    struct inv_event_file *f = arg;
    struct stat st;

    if (!is_still_there(f, &st) && open_file(f, &st, err) != 0)
        return;
    if (st.st_size > 0 && (size_t)st.st_size + text->n > f->max_bytes && rotate(f, &st, err) != 0)
        return;
    write_all(f, st.st_size, text, err);
}

/* ---- the loop's part ---- */

void inv_event_file_put(struct inv_event_file *f, const char *json)
{
    if (f)
        inv_write_behind_put(f->writer, cw_slice_of(json), "\n", 1);
}

/* ---- life ---- */

static char *old_path_of(const char *path)
{
    size_t n = strlen(path) + sizeof(".1");
    char *old = cw_alloc(n);

    (void)snprintf(old, n, "%s.1", path);
    return old;
}

struct inv_event_file *inv_event_file_new(const struct inv_event_file_conf *conf,
                                          struct cw_err *err)
{
    struct inv_event_file *f = cw_alloc(sizeof(*f));

    f->fd = -1;
    f->path = cw_strdup(conf->path);
    f->old_path = old_path_of(conf->path);
    f->max_bytes = conf->max_bytes;
    f->writer = inv_write_behind_new(
        &(struct inv_write_behind_conf){
            .loop = conf->loop,
            .max_waiting = WAITING_MAX_BYTES,
            .write = write_batch,
            .arg = f,
            .written = cw_metrics_counter(conf->metrics, "cwhisk_events_written_total", NULL,
                                          "Events written to cwhisk.events-file."),
            .lost = cw_metrics_counter(conf->metrics, "cwhisk_events_lost_total", NULL,
                                       "Events that could not be written there."),
            .component = "EventLog",
            .fails = "cwhisk.events-file: events are not written until that works again",
            .works = "cwhisk.events-file: events are written again",
        },
        err);
    if (!f->writer) {
        inv_event_file_free(f);
        return NULL;
    }
    inv_write_behind_try(f->writer);
    return f;
}

void inv_event_file_free(struct inv_event_file *f)
{
    if (!f)
        return;
    inv_write_behind_free(f->writer);
    close_file(f);
    free(f->old_path);
    free(f->path);
    free(f);
}
