#include "invoker/logs/log_watch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "invoker/logs/log_file.h"

enum {
    ON_FILE = IN_MODIFY,
    ON_FOLDER = IN_CREATE | IN_MOVED_TO,
};

struct inv_log_watcher {
    int fd;
    struct cw_watch readable;
    struct cw_list waiting; /* struct inv_log_watch */
};

/* Gives up a watch unless another file that is waited for has it, too: one inode is one watch. */
static void drop(struct inv_log_watcher *w, int wd)
{
    if (wd < 0)
        return;
    CW_LIST_EACH (&w->waiting, n) {
        struct inv_log_watch *other = CW_LIST_ENTRY(n, struct inv_log_watch, link);

        if (other->file == wd || other->folder == wd)
            return;
    }
    (void)inotify_rm_watch(w->fd, wd);
}

void inv_log_watch_stop(struct inv_log_watch *watch)
{
    int file = watch->file, folder = watch->folder;

    if (!cw_link_on_list(&watch->link))
        return;
    cw_list_remove(&watch->watcher->waiting, &watch->link);
    watch->file = watch->folder = -1;
    drop(watch->watcher, file);
    drop(watch->watcher, folder);
}

void inv_log_watch_leave_file(struct inv_log_watch *watch)
{
    int file = watch->file;

    watch->file = -1;
    drop(watch->watcher, file);
}

/* By descriptor, since the name may belong to another file by now. */
static int watch_file(const struct inv_log_watch *watch, const struct inv_log_file *f)
{
    char name[40];

    if (f->fd < 0)
        return -1;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", f->fd);
    return inotify_add_watch(watch->watcher->fd, name, ON_FILE);
}

static int watch_folder(const struct inv_log_watch *watch, const struct inv_log_file *f)
{
    const char *slash = strrchr(f->path, '/');
    char *folder = slash ? cw_memdup(f->path, (size_t)(slash - f->path) + 1) : cw_strdup(".");
    int wd = inotify_add_watch(watch->watcher->fd, folder, ON_FOLDER);

    free(folder);
    return wd;
}

bool inv_log_watch_start(struct inv_log_watch *watch, const struct inv_log_file *f)
{
    int file = watch->file, folder = watch->folder;

    if (!cw_link_on_list(&watch->link))
        cw_list_push_back(&watch->watcher->waiting, &watch->link);
    if (file < 0)
        watch->file = watch_file(watch, f);
    if (folder < 0)
        watch->folder = watch_folder(watch, f);
    return watch->file != file || watch->folder != folder;
}

bool inv_log_watch_works(const struct inv_log_watch *watch, const struct inv_log_file *f)
{
    return watch->folder >= 0 && !f->starved && (f->fd < 0 || watch->file >= 0);
}

static void on_notice(struct inv_log_watcher *w, const struct inotify_event *ev)
{
    CW_LIST_EACH (&w->waiting, n) {
        struct inv_log_watch *watch = CW_LIST_ENTRY(n, struct inv_log_watch, link);

        if (!(ev->mask & IN_Q_OVERFLOW) && ev->wd != watch->file && ev->wd != watch->folder)
            continue;
        if (ev->mask & IN_IGNORED) { /* the watched inode is gone */
            watch->file = ev->wd == watch->file ? -1 : watch->file;
            watch->folder = ev->wd == watch->folder ? -1 : watch->folder;
        }
        cw_defer_post(watch->wake);
    }
}

static void on_readable(void *arg)
{
    struct inv_log_watcher *w = arg;
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(w->fd, buf, sizeof(buf));
    const struct inotify_event *ev;

    for (char *p = buf; n > 0 && p < buf + n; p += sizeof(*ev) + ev->len) {
        ev = (const struct inotify_event *)(void *)p;
        on_notice(w, ev);
    }
}

void inv_log_watch_init(struct inv_log_watch *watch, struct inv_log_watcher *w,
                        struct cw_defer *wake)
{
    *watch = (struct inv_log_watch){.watcher = w, .wake = wake, .file = -1, .folder = -1};
}

struct inv_log_watcher *inv_log_watcher_new(struct cw_loop *loop, struct cw_err *err)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct inv_log_watcher *w;

    if (fd < 0) {
        (void)cw_fail_errno(err, errno, "logs: inotify");
        return NULL;
    }
    w = cw_alloc(sizeof(*w));
    w->fd = fd;
    cw_list_init(&w->waiting);
    cw_watch_read(&w->readable, loop, fd, on_readable, w);
    return w;
}

void inv_log_watcher_stop(struct inv_log_watcher *w)
{
    if (w->fd < 0)
        return;
    cw_watch_done(&w->readable);
    close(w->fd);
    w->fd = -1;
}

void inv_log_watcher_free(struct inv_log_watcher *w)
{
    if (!w)
        return;
    inv_log_watcher_stop(w);
    free(w);
}
