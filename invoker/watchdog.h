/* invoker/watchdog.h -- says when the event loop does not get on, and who holds it up.
 *
 * A thread of its own looks at what the loop does (cw_loop_now), four times within the limit. A
 * stretch of work that reaches the limit gives a line while it lasts, with the callback, its
 * processor time (blocked or busy?) and the loop thread's stack, and a line with its length at its
 * end; a healthy one costs two readings of the clock and a histogram's entry. Of stalls that follow
 * each other closely one a second is told. Thread: loop. */
#pragma once

#include <stdint.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_loop;
struct cw_metrics;
struct inv_watchdog;

struct inv_watchdog_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    int64_t warn_ms; /* 1.. */
};

/* One at a time in a process: it takes SIGURG, with which it asks for the stack. Call on the thread
 * that runs the loop. */
struct inv_watchdog *inv_watchdog_new(const struct inv_watchdog_conf *conf,
                                      struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. */
void inv_watchdog_free(struct inv_watchdog *w);
