/* invoker/engine_watch.h -- follows what the container engine does by itself: whether it answers,
 * and which of our containers end without our doing.
 *
 * While it is away no containers are asked for, and what needs one waits (inv_dispatch_engine).
 * A death is passed on as it is told. Whenever the engine is back the janitor does a round, which
 * compares its containers with ours: some may have ended unseen, and a create whose answer was lost
 * may have left one. An engine that is away for longer than a restart takes makes the invoker
 * unwell. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cw_driver;
struct cw_loop;
struct cw_metrics;
struct inv_dispatch;
struct inv_janitor;
struct inv_engine_watch;

struct inv_engine_watch_conf {
    struct cw_loop *loop;
    struct cw_driver *driver;
    struct inv_dispatch *dispatch;
    struct cw_metrics *metrics;
    struct inv_janitor *janitor;
    const char *prefix;  /* of our containers' names */
    int64_t patience_ms; /* an engine may be away for so long */
    /* false: it is away for longer; true: it is back after that. */
    void (*on_well)(void *arg, bool well);
    void *arg;
};

/* Everything in conf is borrowed, conf is copied. NULL where the driver cannot watch. */
struct inv_engine_watch *inv_engine_watch_new(const struct inv_engine_watch_conf *conf);
/* Accepts NULL. */
void inv_engine_watch_free(struct inv_engine_watch *w);
