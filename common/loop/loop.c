/* Turns are driven by hand (EVLOOP_ONCE) rather than with event_base_dispatch, so that deferred
 * calls and burials have a fixed place in each turn and an empty deferred list lets epoll sleep. */
#include "common/loop/loop.h"

#include <stdatomic.h>

#include <event2/event.h>

#include "common/base/clock.h"
#include "common/base/err.h"

/* More may be posted by new objects without end. */
enum { CALLS_PER_TURN = 10000 };

struct burial {
    struct cw_link link;
    void *obj;
    void (*free_fn)(void *obj);
};

struct cw_loop {
    struct event_base *base;
    const struct cw_clock *clock;
    struct cw_list deferred; /* struct cw_defer */
    struct cw_list again;    /* those that ran in this phase and were posted anew */
    uint64_t phase;          /* even while deferred calls run, odd while they do not */
    struct cw_list buried;   /* struct burial */
    cw_loop_fn *each_turn;   /* or NULL */
    void *each_turn_arg;
    bool stop;
    cw_loop_rest_fn *on_rest; /* or NULL */
    void *on_rest_arg;
    struct { /* written by the loop thread alone, read by any */
        _Atomic uint64_t stretch;
        _Atomic int64_t since_us;
        _Atomic(const char *) what; /* NULL: asleep */
    } shared;
};

struct cw_loop *cw_loop_new(const struct cw_clock *clock, struct cw_err *err)
{
    struct event_config *config = event_config_new();
    struct cw_loop *loop = cw_alloc(sizeof(*loop));

    if (config) {
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        loop->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (!loop->base) {
        free(loop);
        (void)cw_fail(err, CW_INTERNAL, "loop: libevent gave no event base");
        return NULL;
    }
    loop->clock = clock ? clock : cw_clock_system();
    cw_list_init(&loop->deferred);
    cw_list_init(&loop->again);
    loop->phase = 1; /* a call that never ran has 0 */
    cw_list_init(&loop->buried);
    return loop;
}

static void begin_stretch(struct cw_loop *loop)
{
    int64_t now_us = loop->on_rest ? cw_loop_mono_us(loop) : 0;

    atomic_store_explicit(&loop->shared.since_us, now_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&loop->shared.stretch, 1, memory_order_relaxed);
}

void cw_loop_mark(struct cw_loop *loop, const char *what)
{
    if (!atomic_load_explicit(&loop->shared.what, memory_order_relaxed))
        begin_stretch(loop);
    atomic_store_explicit(&loop->shared.what, what, memory_order_relaxed);
}

static void end_stretch(struct cw_loop *loop)
{
    int64_t since_us = atomic_load_explicit(&loop->shared.since_us, memory_order_relaxed);

    if (!atomic_load_explicit(&loop->shared.what, memory_order_relaxed))
        return;
    if (loop->on_rest && since_us)
        loop->on_rest(loop->on_rest_arg,
                      atomic_load_explicit(&loop->shared.stretch, memory_order_relaxed),
                      cw_loop_mono_us(loop) - since_us);
    atomic_store_explicit(&loop->shared.what, NULL, memory_order_relaxed);
}

bool cw_loop_now(const struct cw_loop *loop, struct cw_loop_now *ret)
{
    ret->stretch = atomic_load_explicit(&loop->shared.stretch, memory_order_relaxed);
    ret->since_us = atomic_load_explicit(&loop->shared.since_us, memory_order_relaxed);
    ret->what = atomic_load_explicit(&loop->shared.what, memory_order_relaxed);
    return ret->what != NULL;
}

void cw_loop_on_rest(struct cw_loop *loop, cw_loop_rest_fn *fn, void *arg)
{
    loop->on_rest = fn;
    loop->on_rest_arg = arg;
}

static void bury_all(struct cw_loop *loop)
{
    struct cw_link *n;

    if (loop->buried.count)
        cw_loop_mark(loop, "freeing of what was in use");
    while ((n = cw_list_pop_front(&loop->buried))) {
        struct burial *b = CW_LIST_ENTRY(n, struct burial, link);

        b->free_fn(b->obj);
        free(b);
    }
}

void cw_loop_free(struct cw_loop *loop)
{
    if (!loop)
        return;
    bury_all(loop);
    event_base_free(loop->base);
    free(loop);
}

/* What these calls post runs at once, too, so that a chain of them costs one pass of libevent and
 * not one for each link; but each only once, since a call that posts itself again must let I/O
 * happen in between. true when something ran. */
static bool run_deferred(struct cw_loop *loop)
{
    struct cw_link *n;
    size_t ran = 0;

    loop->phase++;
    while (ran < CALLS_PER_TURN && (n = cw_list_pop_front(&loop->deferred))) {
        struct cw_defer *d = CW_LIST_ENTRY(n, struct cw_defer, link);

        ran++;
        d->ran_in = loop->phase;
        cw_loop_mark(loop, d->what);
        d->fn(d->arg);
    }
    loop->phase++;
    while ((n = cw_list_pop_front(&loop->again)))
        cw_list_push_back(&loop->deferred, n);
    return ran > 0;
}

/* watched: the caller looks at a condition between turns, so a turn that did something must not
 * sleep. */
static void turn(struct cw_loop *loop, bool watched)
{
    bool busy = loop->buried.count > 0;
    int flags = EVLOOP_ONCE;

    busy |= run_deferred(loop);
    bury_all(loop);
    if (loop->stop || loop->deferred.count || (watched && busy))
        flags |= EVLOOP_NONBLOCK;
    if (loop->each_turn) {
        if (atomic_load_explicit(&loop->shared.what, memory_order_relaxed))
            cw_loop_mark(loop, "what each turn does");
        loop->each_turn(loop->each_turn_arg);
    }
    end_stretch(loop);
    (void)event_base_loop(loop->base, flags);
    bury_all(loop);
}

void cw_loop_run(struct cw_loop *loop)
{
    loop->stop = false;
    while (!loop->stop)
        turn(loop, false);
}

static void on_limit(void *arg)
{
    *(bool *)arg = true;
}

bool cw_loop_run_until(struct cw_loop *loop, bool (*done)(void *arg), void *arg, int64_t timeout_ms)
{
    struct cw_timer limit;
    bool late = false;

    cw_timer_init(&limit, loop, on_limit, &late);
    cw_timer_set_ms(&limit, timeout_ms);
    loop->stop = false;
    while (!done(arg) && !late && !loop->stop)
        turn(loop, true);
    cw_timer_done(&limit);
    return done(arg);
}

void cw_loop_each_turn(struct cw_loop *loop, cw_loop_fn *fn, void *arg)
{
    loop->each_turn = fn;
    loop->each_turn_arg = arg;
}

void cw_loop_stop(struct cw_loop *loop)
{
    loop->stop = true;
    (void)event_base_loopbreak(loop->base);
}

struct event_base *cw_loop_base(struct cw_loop *loop)
{
    return loop->base;
}

const struct cw_clock *cw_loop_clock(const struct cw_loop *loop)
{
    return loop->clock;
}

int64_t cw_loop_wall_ms(const struct cw_loop *loop)
{
    return cw_clock_wall_ms(loop->clock);
}

int64_t cw_loop_mono_us(const struct cw_loop *loop)
{
    return cw_clock_mono_us(loop->clock);
}

void cw_defer_init_as(struct cw_defer *d, struct cw_loop *loop, cw_loop_fn *fn, void *arg,
                      const char *what)
{
    *d = (struct cw_defer){.fn = fn, .arg = arg, .loop = loop, .what = what};
}

/* It is on this list, or would be. */
static struct cw_list *list_of(struct cw_defer *d)
{
    return d->ran_in == d->loop->phase ? &d->loop->again : &d->loop->deferred;
}

void cw_defer_post(struct cw_defer *d)
{
    if (!cw_link_on_list(&d->link))
        cw_list_push_back(list_of(d), &d->link);
}

void cw_defer_cancel(struct cw_defer *d)
{
    if (cw_link_on_list(&d->link))
        cw_list_remove(list_of(d), &d->link);
}

void cw_loop_bury(struct cw_loop *loop, void *obj, void (*free_fn)(void *obj))
{
    struct burial *b = cw_alloc(sizeof(*b));

    b->obj = obj;
    b->free_fn = free_fn;
    cw_list_push_back(&loop->buried, &b->link);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct cw_timer *t = arg;

    (void)fd, (void)what;
    cw_loop_mark(t->loop, t->what);
    t->fn(t->arg);
}

static struct event *must(struct event *ev)
{
    if (!ev)
        abort(); /* libevent fails here only when memory is short */
    return ev;
}

void cw_timer_init_as(struct cw_timer *t, struct cw_loop *loop, cw_loop_fn *fn, void *arg,
                      const char *what)
{
    *t = (struct cw_timer){.fn = fn, .arg = arg, .loop = loop, .what = what};
    t->ev = must(evtimer_new(loop->base, on_timer, t));
}

void cw_timer_done(struct cw_timer *t)
{
    if (t->ev)
        event_free(t->ev);
    t->ev = NULL;
}

void cw_timer_set_us(struct cw_timer *t, int64_t delay_us)
{
    struct timeval tv = {0};

    if (delay_us > 0) {
        tv.tv_sec = delay_us / 1000000;
        tv.tv_usec = delay_us % 1000000;
    }
    if (event_add(t->ev, &tv) != 0)
        abort();
}

void cw_timer_set_ms(struct cw_timer *t, int64_t delay_ms)
{
    cw_timer_set_us(t, delay_ms > INT64_MAX / 1000 ? INT64_MAX : delay_ms * 1000);
}

void cw_timer_stop(struct cw_timer *t)
{
    (void)event_del(t->ev);
}

bool cw_timer_pending(const struct cw_timer *t)
{
    return event_pending(t->ev, EV_TIMEOUT, NULL);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct cw_watch *w = arg;

    (void)fd, (void)what;
    cw_loop_mark(w->loop, w->what);
    w->fn(w->arg);
}

static void watch(struct cw_watch *w, int fd, short what)
{
    w->ev = must(event_new(w->loop->base, fd, (short)(what | EV_PERSIST), on_watch, w));
    if (event_add(w->ev, NULL) != 0)
        abort();
}

void cw_watch_read_as(struct cw_watch *w, struct cw_loop *loop, int fd, cw_loop_fn *fn, void *arg,
                      const char *what)
{
    *w = (struct cw_watch){.fn = fn, .arg = arg, .loop = loop, .what = what};
    watch(w, fd, EV_READ);
}

void cw_watch_signal_as(struct cw_watch *w, struct cw_loop *loop, int signo, cw_loop_fn *fn,
                        void *arg, const char *what)
{
    *w = (struct cw_watch){.fn = fn, .arg = arg, .loop = loop, .what = what};
    watch(w, signo, EV_SIGNAL);
}

void cw_watch_done(struct cw_watch *w)
{
    if (w->ev)
        event_free(w->ev);
    w->ev = NULL;
}
