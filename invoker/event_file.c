/* One batch is with the worker at any time; events that come meanwhile are the next one. The file
 * is touched by the worker only, or by free when there is no worker any more. */
#include "invoker/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/loop/worker.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#define COMPONENT "EventLog"

enum { WAITING_MAX_BYTES = INV_EVENT_FILE_MIN_BYTES, MODE = 0644 };

struct batch {
    struct inv_event_file *f;
    struct cw_str text;
    size_t events;
    bool worked;
    struct cw_err err; /* code CW_OK: all is written */
};

struct inv_event_file {
    struct cw_worker *worker;
    struct cw_counter *written, *lost;
    char *path, *old_path;
    size_t max_bytes;
    struct cw_str waiting;
    size_t waiting_events;
    bool busy, failing, closing;
    int fd; /* worker's; -1: none */
};

/* ---- the worker's part ---- */

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

/* Thread: worker. */
static void work(void *arg)
{
    struct batch *b = arg;
    struct inv_event_file *f = b->f;
    struct stat st;

    b->worked = true;
    if (!is_still_there(f, &st) && open_file(f, &st, &b->err) != 0)
        return;
    if (st.st_size > 0 && (size_t)st.st_size + b->text.n > f->max_bytes &&
        rotate(f, &st, &b->err) != 0)
        return;
    write_all(f, st.st_size, &b->text, &b->err);
}

/* ---- the loop's part ---- */

static void lose(struct inv_event_file *f, size_t events, const char *why)
{
    cw_counter_add(f->lost, events);
    if (!f->failing)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT,
               "cwhisk.events-file: events are not written until that works again: %s", why);
    f->failing = true;
}

static void tell(const struct batch *b)
{
    struct inv_event_file *f = b->f;

    if (b->err.code != CW_OK) {
        lose(f, b->events, b->err.msg);
        return;
    }
    cw_counter_add(f->written, b->events);
    if (f->failing)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "cwhisk.events-file: events are written again");
    f->failing = false;
}

static void submit(struct inv_event_file *f);

static void done(void *arg)
{
    struct batch *b = arg;
    struct inv_event_file *f = b->f;

    if (!b->worked) /* the worker ended first */
        work(b);
    tell(b);
    cw_str_done(&b->text);
    free(b);
    f->busy = false;
    if (!f->closing && f->waiting_events)
        submit(f);
}

static void submit(struct inv_event_file *f)
{
    struct batch *b = cw_alloc(sizeof(*b));

    b->f = f;
    b->text = f->waiting;
    b->events = f->waiting_events;
    cw_str_init(&f->waiting, WAITING_MAX_BYTES);
    f->waiting_events = 0;
    f->busy = true;
    cw_worker_run(f->worker, work, done, b);
}

void inv_event_file_put(struct inv_event_file *f, const char *json)
{
    size_t n = f ? strlen(json) + 1 : 0;

    if (!f)
        return;
    if (n > WAITING_MAX_BYTES - f->waiting.n) {
        lose(f, 1, "the disk is too slow");
        return;
    }
    cw_str_addz(&f->waiting, json);
    cw_str_addc(&f->waiting, '\n');
    f->waiting_events++;
    if (!f->busy)
        submit(f);
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
    cw_str_init(&f->waiting, WAITING_MAX_BYTES);
    f->written = cw_metrics_counter(conf->metrics, "cwhisk_events_written_total", NULL,
                                    "Events written to cwhisk.events-file.");
    f->lost = cw_metrics_counter(conf->metrics, "cwhisk_events_lost_total", NULL,
                                 "Events that could not be written there.");
    f->worker = cw_worker_new(conf->loop, 1, err);
    if (!f->worker) {
        inv_event_file_free(f);
        return NULL;
    }
    submit(f);
    return f;
}

void inv_event_file_free(struct inv_event_file *f)
{
    if (!f)
        return;
    f->closing = true;
    cw_worker_free(f->worker);
    if (f->waiting_events) {
        struct batch last = {.f = f, .text = f->waiting, .events = f->waiting_events};

        work(&last);
        tell(&last);
    }
    cw_str_done(&f->waiting);
    close_file(f);
    free(f->old_path);
    free(f->path);
    free(f);
}
