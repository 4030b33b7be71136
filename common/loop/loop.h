/* common/loop/loop.h -- the one thread of a daemon: libevent's base, timers, deferred calls,
 * burials.
 *
 * One turn: deferred calls, one libevent pass, then freeing of what was buried. Completions go
 * through cw_defer so that nobody is called back inside the call that asked; objects that may still
 * be on the stack are freed through cw_loop_bury. Thread: the loop thread only, unless stated. See
 * docs/threading.md.
 *
 * What runs has a name, "timer feed.c:on_retry", so that whoever watches the loop (cw_loop_now) can
 * say what holds it up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"

struct event;
struct event_base;
struct cw_clock;
struct cw_err;
struct cw_loop;

typedef void cw_loop_fn(void *arg);

/* clock is borrowed for the loop's life; NULL means the system's. */
struct cw_loop *cw_loop_new(const struct cw_clock *clock, struct cw_err *err) CW_MUST_CHECK;
/* Frees what is still buried. All events, timers and deferred calls must be gone. Accepts NULL. */
void cw_loop_free(struct cw_loop *loop);
/* Runs until cw_loop_stop. */
void cw_loop_run(struct cw_loop *loop);
/* Runs turns until done(arg) is true or timeout_ms passed (monotonic); true when done. For tests
 * and for orderly shutdown. */
bool cw_loop_run_until(struct cw_loop *loop, bool (*done)(void *arg), void *arg,
                       int64_t timeout_ms);
/* The current turn is the last. */
void cw_loop_stop(struct cw_loop *loop);
/* For libraries that need the base. */
struct event_base *cw_loop_base(struct cw_loop *loop);
const struct cw_clock *cw_loop_clock(const struct cw_loop *loop);
/* Wall clock in ms / monotonic in us, read now. */
int64_t cw_loop_wall_ms(const struct cw_loop *loop);
int64_t cw_loop_mono_us(const struct cw_loop *loop);

/* "feed.c:on_retry" of where it is written; fn is a function's name. */
#define CW_CALLEE(kind, fn) kind " " __FILE_NAME__ ":" #fn

/* ---- who is at work ---- */

/* From now on until the next mark, or until the loop sleeps, this is what runs. Timers, watches and
 * deferred calls do it by themselves; callbacks that libraries make call it first. what: static. */
void cw_loop_mark(struct cw_loop *loop, const char *what);

/* Between two sleeps. */
struct cw_loop_now {
    uint64_t stretch; /* number */
    int64_t since_us; /* monotonic; 0 while nobody listens for its end */
    const char *what;
};
/* false: it sleeps. Fields may be of neighbouring moments. Thread: any, as long as loop lives. */
bool cw_loop_now(const struct cw_loop *loop, struct cw_loop_now *ret);
/* fn at the end of each stretch, before the loop sleeps. NULL: none, and no clock is read. */
typedef void cw_loop_rest_fn(void *arg, uint64_t stretch, int64_t busy_us);
void cw_loop_on_rest(struct cw_loop *loop, cw_loop_rest_fn *fn, void *arg);

/* fn once in each turn, before it may sleep. NULL: none. */
void cw_loop_each_turn(struct cw_loop *loop, cw_loop_fn *fn, void *arg);

/* A call after what runs now, and after those posted before it: in this turn if it has not run in
 * it yet, else in the next. Embedded in its owner; posting twice is one call. */
struct cw_defer {
    struct cw_link link;
    cw_loop_fn *fn;
    void *arg;
    struct cw_loop *loop;
    const char *what;
    uint64_t ran_in; /* phase of the loop */
};
#define cw_defer_init(d, loop, fn, arg)                                                            \
    cw_defer_init_as((d), (loop), (fn), (arg), CW_CALLEE("call", fn))
void cw_defer_init_as(struct cw_defer *d, struct cw_loop *loop, cw_loop_fn *fn, void *arg,
                      const char *what);
void cw_defer_post(struct cw_defer *d);
/* After this fn will not be called; harmless when not posted. */
void cw_defer_cancel(struct cw_defer *d);

/* free_fn(obj) after the current libevent pass. Order of burial is order of freeing. */
void cw_loop_bury(struct cw_loop *loop, void *obj, void (*free_fn)(void *obj));

/* One-shot timer on monotonic time; embedded in its owner. */
struct cw_timer {
    struct event *ev;
    cw_loop_fn *fn;
    void *arg;
    struct cw_loop *loop;
    const char *what;
};
#define cw_timer_init(t, loop, fn, arg)                                                            \
    cw_timer_init_as((t), (loop), (fn), (arg), CW_CALLEE("timer", fn))
void cw_timer_init_as(struct cw_timer *t, struct cw_loop *loop, cw_loop_fn *fn, void *arg,
                      const char *what);
void cw_timer_done(struct cw_timer *t);
/* (Re)arms; delay below 0 counts as 0. */
void cw_timer_set_us(struct cw_timer *t, int64_t delay_us);
void cw_timer_set_ms(struct cw_timer *t, int64_t delay_ms);
void cw_timer_stop(struct cw_timer *t);
bool cw_timer_pending(const struct cw_timer *t);

/* Persistent watch on a descriptor or a signal. */
struct cw_watch {
    struct event *ev;
    cw_loop_fn *fn;
    void *arg;
    struct cw_loop *loop;
    const char *what;
};
/* fn on each turn in which fd is readable (level-triggered). The fd stays the caller's. */
#define cw_watch_read(w, loop, fd, fn, arg)                                                        \
    cw_watch_read_as((w), (loop), (fd), (fn), (arg), CW_CALLEE("read", fn))
void cw_watch_read_as(struct cw_watch *w, struct cw_loop *loop, int fd, cw_loop_fn *fn, void *arg,
                      const char *what);
/* fn on the loop thread after the signal arrived. */
#define cw_watch_signal(w, loop, signo, fn, arg)                                                   \
    cw_watch_signal_as((w), (loop), (signo), (fn), (arg), CW_CALLEE("signal", fn))
void cw_watch_signal_as(struct cw_watch *w, struct cw_loop *loop, int signo, cw_loop_fn *fn,
                        void *arg, const char *what);
void cw_watch_done(struct cw_watch *w);
