/* One batch is with the worker at any time; what comes meanwhile is gathered for the next one. The
 * file is touched by the worker only, or by free when there is no worker any more. */
#include "invoker/logs/userlogs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/loop/worker.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

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
    char path[MAX_PATH];
};

struct batch {
    struct inv_userlogs *u;
    struct cw_str text;
    bool worked, opened; /* a new file */
    struct cw_err err;   /* code CW_OK: all is written */
};

struct inv_userlogs {
    struct cw_loop *loop;
    struct cw_worker *worker;
    struct cw_counter *written, *lost;
    char *folder;
    size_t max_file;
    struct cw_str waiting;
    bool busy, failing, closing;
    struct target file; /* worker */
};

/* ---- the worker's part ---- */

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

/* Thread: worker. */
static void work(void *arg)
{
    struct batch *b = arg;
    struct target *file = &b->u->file;

    b->worked = true;
    if (file->fd < 0 || file->size + b->text.n > b->u->max_file) {
        if (open_file(b->u, &b->err) != 0)
            return;
        b->opened = true;
    }
    file->size += b->text.n;
    if (write_all(file, &b->text, &b->err) != 0)
        close_file(file); /* half a line may be at its end: begin a new one */
}

/* ---- the loop's part ---- */

static void lose(struct inv_userlogs *u, size_t n, const char *why)
{
    cw_counter_add(u->lost, n);
    if (!u->failing)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT,
               "log lines cannot be written to files and are lost until that works again "
               "(activations keep theirs): %s",
               why);
    u->failing = true;
}

static void tell(struct batch *b)
{
    struct inv_userlogs *u = b->u;

    if (b->opened)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "Rotating log file to '%s'", u->file.path);
    if (b->err.code != CW_OK) {
        lose(u, b->text.n, b->err.msg);
        return;
    }
    cw_counter_add(u->written, b->text.n);
    if (u->failing)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "log lines are written to files again");
    u->failing = false;
}

static void submit(struct inv_userlogs *u);

static void done(void *arg)
{
    struct batch *b = arg;
    struct inv_userlogs *u = b->u;

    if (!b->worked) /* the worker ended first */
        work(b);
    tell(b);
    cw_str_done(&b->text);
    free(b);
    u->busy = false;
    if (!u->closing)
        submit(u);
}

static struct batch *take_batch(struct inv_userlogs *u)
{
    struct batch *b = cw_alloc(sizeof(*b));
    size_t max = u->waiting.max;

    b->u = u;
    b->text = u->waiting;
    cw_str_init(&u->waiting, max);
    return b;
}

static void submit(struct inv_userlogs *u)
{
    if (u->busy || u->waiting.n == 0)
        return;
    u->busy = true;
    cw_worker_run(u->worker, work, done, take_batch(u));
}

void inv_userlogs_write(struct inv_userlogs *u, struct cw_slice lines)
{
    if (lines.n > u->waiting.max - u->waiting.n) {
        lose(u, lines.n, "the disk is too slow");
        return;
    }
    cw_str_adds(&u->waiting, lines);
    submit(u);
}

struct inv_userlogs *inv_userlogs_new(const struct inv_userlogs_conf *conf, struct cw_err *err)
{
    struct inv_userlogs *u = cw_alloc(sizeof(*u));

    u->loop = conf->loop;
    u->file.fd = -1;
    u->folder = cw_strdup(conf->folder);
    u->max_file = conf->max_file ? conf->max_file : MAX_FILE;
    cw_str_init(&u->waiting, conf->max_waiting ? conf->max_waiting : MAX_WAITING);
    u->written = cw_metrics_counter(conf->metrics, "cwhisk_userlogs_written_bytes_total", NULL,
                                    "Bytes of log lines and records written to files.");
    u->lost = cw_metrics_counter(conf->metrics, "cwhisk_userlogs_lost_bytes_total", NULL,
                                 "Bytes of log lines and records that could not be written.");
    u->worker = cw_worker_new(conf->loop, 1, err);
    if (!u->worker) {
        inv_userlogs_free(u);
        return NULL;
    }
    return u;
}

void inv_userlogs_free(struct inv_userlogs *u)
{
    if (!u)
        return;
    u->closing = true;
    cw_worker_free(u->worker);
    if (u->waiting.n)
        done(take_batch(u));
    close_file(&u->file);
    cw_str_done(&u->waiting);
    free(u->folder);
    free(u);
}
