/* The watching thread only reads what the loop thread publishes about itself, so watching costs the
 * loop nothing. Which of many callbacks in one stretch was the long one is found by sampling: the
 * one that was seen most often. */
#include "invoker/watchdog.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#define COMPONENT "Watchdog"

enum {
    LOOKS = 4, /* within the limit */
    MIN_LOOK_US = 2500,
    SUSPECTS = 8, /* different callbacks seen in one stretch; others are not counted */
    MAX_FRAMES = 24,
    OWN_FRAMES = 2, /* the signal's: handler and trampoline */
    STACK_WAIT_MS = 100,
    STACK_MAX_BYTES = 2048,
    TELL_EVERY_US = 1000000,
};

/* Filled by the loop thread, in a signal. */
struct stack {
    void *frames[MAX_FRAMES];
    _Atomic int count; /* written last */
    sem_t filled;
    bool asked; /* an earlier question may still be answered */
};

struct suspect {
    const char *what;
    unsigned seen;
};

/* What the thread knows about the stretch it saw last. */
struct sighting {
    uint64_t stretch; /* 0: none yet */
    struct suspect suspects[SUSPECTS];
    int64_t cpu_us; /* the loop thread's, at the first sight */
    bool told;
};

struct inv_watchdog {
    struct inv_watchdog_conf conf;
    const struct cw_clock *clock;
    struct cw_histogram *turns;
    struct cw_counter *stalls;
    struct cw_gauge *longest;
    int64_t longest_us;
    pthread_t loop_thread, thread;
    clockid_t loop_cpu;
    bool runs, blind;   /* blind: stacks cannot be had */
    struct stack stack; /* the thread's and the signal's */
    struct sigaction before;
    struct {
        pthread_mutex_t lock; /* guards the rest */
        pthread_cond_t stopped;
        bool stop;
        struct sighting seen;
        int64_t told_us; /* when a stall was told last; 0: never */
        uint64_t untold; /* stalls since then */
    } shared;
};

/* ---- the loop thread's stack ---- */

static void on_signal(int signo, siginfo_t *info, void *context)
{
    struct stack *stack = info->si_value.sival_ptr;
    int saved = errno;

    (void)signo, (void)context;
    if (info->si_code != SI_QUEUE || info->si_pid != getpid() || !stack)
        return; /* not ours */
    stack->count = backtrace(stack->frames, MAX_FRAMES);
    (void)sem_post(&stack->filled);
    errno = saved;
}

static void add_frame(struct cw_str *out, void *frame)
{
    const char *file;
    Dl_info at;

    if (dladdr(frame, &at) == 0 || !at.dli_fname) {
        cw_str_addf(out, " %p", frame);
        return;
    }
    file = strrchr(at.dli_fname, '/');
    file = file ? file + 1 : at.dli_fname;
    if (at.dli_sname)
        cw_str_addf(out, " %s(%s+0x%tx)", file, at.dli_sname, (char *)frame - (char *)at.dli_saddr);
    else
        cw_str_addf(out, " %s+0x%tx", file, (char *)frame - (char *)at.dli_fbase);
}

/* Not while it sleeps in the kernel uninterruptibly: then there is no answer in time. */
static bool ask_for_stack(struct inv_watchdog *w)
{
    union sigval to = {.sival_ptr = &w->stack};
    struct timespec until;

    if (w->stack.asked && sem_trywait(&w->stack.filled) == 0)
        w->stack.asked = false; /* too late for the stall before */
    if (!w->stack.asked && pthread_sigqueue(w->loop_thread, SIGURG, to) != 0)
        return false;
    w->stack.asked = true;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += STACK_WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    if (sem_clockwait(&w->stack.filled, CLOCK_MONOTONIC, &until) != 0)
        return false;
    w->stack.asked = false;
    return true;
}

static void print_stack(struct inv_watchdog *w, struct cw_str *out)
{
    int count;

    if (w->blind) {
        cw_str_addz(out, " unknown, there is no libgcc_s.so.1");
        return;
    }
    if (!ask_for_stack(w)) {
        cw_str_addz(out, " unknown, it does not take signals");
        return;
    }
    count = w->stack.count;
    for (int i = OWN_FRAMES; i < count; i++)
        add_frame(out, w->stack.frames[i]);
}

/* ---- what is seen ---- */

static int64_t cpu_us(const struct inv_watchdog *w)
{
    struct timespec t = {0};

    (void)clock_gettime(w->loop_cpu, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void count_suspect(struct sighting *s, const char *what)
{
    for (int i = 0; i < SUSPECTS; i++) {
        struct suspect *one = &s->suspects[i];

        if (!one->what)
            one->what = what;
        if (one->what == what) {
            one->seen++;
            return;
        }
    }
}

static const char *culprit(const struct sighting *s)
{
    const struct suspect *most = &s->suspects[0];

    for (int i = 1; i < SUSPECTS; i++)
        if (s->suspects[i].seen > most->seen)
            most = &s->suspects[i];
    return most->what;
}

/* With the lock held. At most one stall a second, so that a loop which is always late is not made
 * later by saying so. */
static bool may_tell(struct inv_watchdog *w, int64_t now_us)
{
    if (w->shared.told_us && now_us - w->shared.told_us < TELL_EVERY_US)
        return false;
    w->shared.told_us = now_us;
    return true;
}

/* With the lock held; true: to be told now. */
static bool look(struct inv_watchdog *w, const struct cw_loop_now *now, int64_t now_us)
{
    struct sighting *s = &w->shared.seen;

    if (s->stretch != now->stretch)
        *s = (struct sighting){.stretch = now->stretch, .cpu_us = cpu_us(w)};
    count_suspect(s, now->what);
    if (s->told || !now->since_us || now_us - now->since_us < w->conf.warn_ms * 1000)
        return false;
    s->told = may_tell(w, now_us);
    return s->told;
}

/* The lock is free meanwhile: the loop may get on at any time. */
static void tell_stuck(struct inv_watchdog *w, const char *what, int64_t busy_us, int64_t on_cpu_us)
{
    cw_auto_str struct cw_str stack;

    cw_str_init(&stack, STACK_MAX_BYTES);
    print_stack(w, &stack);
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "the event loop is stuck: %s, since %" PRId64 " ms, %" PRId64
           " ms of that on a processor; stack:%s",
           what, busy_us / 1000, on_cpu_us / 1000, stack.p ? stack.p : "");
}

static void watch(struct inv_watchdog *w)
{
    struct cw_loop_now now;
    int64_t now_us = w->clock->mono_us(w->clock), on_cpu_us;

    if (!cw_loop_now(w->conf.loop, &now) || !look(w, &now, now_us))
        return;
    on_cpu_us = cpu_us(w) - w->shared.seen.cpu_us;
    pthread_mutex_unlock(&w->shared.lock);
    tell_stuck(w, now.what, now_us - now.since_us, on_cpu_us);
    pthread_mutex_lock(&w->shared.lock);
}

static void *serve(void *arg)
{
    struct inv_watchdog *w = arg;
    int64_t limit_us = w->conf.warn_ms * 1000;
    int64_t every_us = limit_us > LOOKS * MIN_LOOK_US ? limit_us / LOOKS : MIN_LOOK_US;
    struct timespec next;

    pthread_mutex_lock(&w->shared.lock);
    while (!w->shared.stop) {
        (void)clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_sec += every_us / 1000000;
        next.tv_nsec += every_us % 1000000 * 1000;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        if (pthread_cond_timedwait(&w->shared.stopped, &w->shared.lock, &next) == ETIMEDOUT)
            watch(w);
    }
    pthread_mutex_unlock(&w->shared.lock);
    return NULL;
}

/* ---- the loop's side ---- */

static void stalled(struct inv_watchdog *w, uint64_t stretch, int64_t busy_us)
{
    const char *what = "nobody looked at what did it";
    uint64_t untold;
    bool tell;

    cw_counter_add(w->stalls, 1);
    pthread_mutex_lock(&w->shared.lock);
    if (w->shared.seen.stretch == stretch)
        what = culprit(&w->shared.seen);
    tell = (w->shared.seen.stretch == stretch && w->shared.seen.told) ||
           may_tell(w, w->clock->mono_us(w->clock));
    untold = w->shared.untold;
    w->shared.untold = tell ? 0 : untold + 1;
    pthread_mutex_unlock(&w->shared.lock);
    if (!tell)
        return;
    if (untold)
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "the event loop was held up for %" PRId64 " ms: %s; %" PRIu64
               " shortly before are not listed",
               busy_us / 1000, what, untold);
    else
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "the event loop was held up for %" PRId64 " ms: %s",
               busy_us / 1000, what);
}

static void on_rest(void *arg, uint64_t stretch, int64_t busy_us)
{
    struct inv_watchdog *w = arg;

    cw_histogram_observe(w->turns, (double)busy_us / 1e6);
    if (busy_us > w->longest_us) {
        w->longest_us = busy_us;
        cw_gauge_set(w->longest, (double)busy_us / 1e6);
    }
    if (busy_us >= w->conf.warn_ms * 1000)
        stalled(w, stretch, busy_us);
}

/* ---- life ---- */

/* The first backtrace loads a library: not in a signal. Where there is none, each would try again,
 * and wait forever for the lock of an allocation that the signal has interrupted. */
static int take_signal(struct inv_watchdog *w, struct cw_err *err)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    void *frame;

    w->blind = backtrace(&frame, 1) < 1;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGURG, &action, &w->before) != 0)
        return cw_fail_errno(err, errno, "watchdog: signal");
    return 0;
}

static int start_thread(struct inv_watchdog *w, struct cw_err *err)
{
    sigset_t all, old;
    int rc;

    sigfillset(&all); /* signals belong to the loop thread */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, NULL, serve, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return cw_fail_errno(err, rc, "watchdog: thread");
    w->runs = true;
    return 0;
}

static void make_metrics(struct inv_watchdog *w)
{
    struct cw_metrics *m = w->conf.metrics;

    w->turns = cw_metrics_histogram(m, "cwhisk_loop_turn_seconds", NULL,
                                    "Work of the event loop between two sleeps.", NULL, 0);
    w->stalls = cw_metrics_counter(m, "cwhisk_loop_stalls_total", NULL,
                                   "Turns of the event loop over cwhisk.stall-warn.");
    w->longest = cw_metrics_gauge(m, "cwhisk_loop_stall_seconds", NULL,
                                  "The longest turn of the event loop so far.");
}

struct inv_watchdog *inv_watchdog_new(const struct inv_watchdog_conf *conf, struct cw_err *err)
{
    struct inv_watchdog *w = cw_alloc(sizeof(*w));
    pthread_condattr_t attr;

    w->conf = *conf;
    w->clock = cw_loop_clock(conf->loop);
    w->loop_thread = pthread_self();
    (void)pthread_getcpuclockid(w->loop_thread, &w->loop_cpu);
    make_metrics(w);
    (void)sem_init(&w->stack.filled, 0, 0);
    pthread_mutex_init(&w->shared.lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->shared.stopped, &attr);
    pthread_condattr_destroy(&attr);
    w->before.sa_handler = SIG_DFL;
    cw_loop_on_rest(conf->loop, on_rest, w);
    if (take_signal(w, err) != 0 || start_thread(w, err) != 0) {
        inv_watchdog_free(w);
        return NULL;
    }
    return w;
}

void inv_watchdog_free(struct inv_watchdog *w)
{
    if (!w)
        return;
    cw_loop_on_rest(w->conf.loop, NULL, NULL);
    if (w->runs) {
        pthread_mutex_lock(&w->shared.lock);
        w->shared.stop = true;
        pthread_cond_signal(&w->shared.stopped);
        pthread_mutex_unlock(&w->shared.lock);
        pthread_join(w->thread, NULL);
    }
    (void)sigaction(SIGURG, &w->before, NULL);
    (void)sem_destroy(&w->stack.filled);
    pthread_cond_destroy(&w->shared.stopped);
    pthread_mutex_destroy(&w->shared.lock);
    free(w);
}
