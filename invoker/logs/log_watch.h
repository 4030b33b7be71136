/* invoker/logs/log_watch.h -- is told by inotify that there is more in a log file.
 *
 * One descriptor serves all files. A file is watched (writes and truncation) together with its
 * folder (creation and rotation), and only while somebody waits. Thread: loop. */
#pragma once

#include <stdbool.h>

#include "common/base/list.h"

struct cw_defer;
struct cw_err;
struct cw_loop;
struct inv_log_file;
struct inv_log_watcher;

/* Embedded in its owner, who must stop it before it goes. */
struct inv_log_watch {
    struct inv_log_watcher *watcher;
    struct cw_link link;
    struct cw_defer *wake; /* posted when there may be something new */
    int file, folder;      /* inotify's; -1: none */
};

struct inv_log_watcher *inv_log_watcher_new(struct cw_loop *loop, struct cw_err *err) CW_MUST_CHECK;
/* Tells nothing more; watches may still be stopped. */
void inv_log_watcher_stop(struct inv_log_watcher *w);
/* All watches must have been stopped. Accepts NULL. */
void inv_log_watcher_free(struct inv_log_watcher *w);

void inv_log_watch_init(struct inv_log_watch *watch, struct inv_log_watcher *w,
                        struct cw_defer *wake);
/* true when something new is watched, so that what happened before must be looked at once more. */
bool inv_log_watch_start(struct inv_log_watch *watch, const struct inv_log_file *f);
/* Harmless when not started. */
void inv_log_watch_stop(struct inv_log_watch *watch);
/* The owner reads another file from now on. */
void inv_log_watch_leave_file(struct inv_log_watch *watch);
/* false: fs.inotify.max_user_watches is used up and nothing will be told. */
bool inv_log_watch_works(const struct inv_log_watch *watch, const struct inv_log_file *f);
