/* invoker/logs/log_hub_priv.h -- what all sources share.
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "invoker/logs/log_collector.h"

struct inv_log_watcher;

struct inv_log_hub {
    struct cw_loop *loop;
    struct inv_log_watcher *watcher;
    struct cw_driver *driver; /* NULL: files only */
    enum inv_log_from from;
    bool said; /* that the stream is used */
    size_t sources;
    bool freed; /* but for the sources that are left */
};

/* A source is gone. */
void inv_log_hub_release(struct inv_log_hub *hub);
