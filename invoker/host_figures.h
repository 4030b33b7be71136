/* invoker/host_figures.h -- the figures of this host, from the parts that know them: what peers are
 * told, and what it places by itself. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "invoker/placement/host_view.h"

struct inv_dispatch;
struct inv_load;
struct inv_monitor;

struct inv_host_sources {
    struct inv_dispatch *dispatch;
    struct inv_monitor *monitor;
    const struct inv_load *load;
    size_t queued; /* taken, and not with the dispatch yet */
    int64_t lag;   /* messages in the topic that were not taken; below 0: not known */
    bool draining, alone;
    enum inv_host_set set;
};

/* All but what is the observer's: id, warm, busy, waiting, forwards, dead, self. */
void inv_host_figures(const struct inv_host_sources *s, struct inv_host_view *ret);
