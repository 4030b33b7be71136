/* common/loop/worker.h -- threads for work that would stall the loop.
 *
 * A job gets copies in and gives its result back through the loop: work() runs on a worker thread
 * and touches nothing but its arg, done() runs on the loop thread afterwards. Thread: loop, unless
 * a function says otherwise. */
#pragma once

#include "common/base/mem.h"
#include "common/loop/loop.h"

struct cw_err;
struct cw_worker;

/* `threads` 1..64. */
struct cw_worker *cw_worker_new(struct cw_loop *loop, unsigned threads,
                                struct cw_err *err) CW_MUST_CHECK;
/* Waits for jobs that run; those not begun and those not delivered yet get done(arg) called here,
 * so that args are always released by done. Accepts NULL. */
void cw_worker_free(struct cw_worker *w);
/* Jobs begin in order. work: Thread worker. done: Thread loop, exactly once, never inside this
 * call. */
#define cw_worker_run(w, work, done, arg)                                                          \
    cw_worker_run_as((w), (work), (done), (arg), CW_CALLEE("worker's", done))
void cw_worker_run_as(struct cw_worker *w, void (*work)(void *arg), void (*done)(void *arg),
                      void *arg, const char *what);
