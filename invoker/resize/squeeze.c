/* The kernel works inside the write, so each step asks for little; when one took long all the same
 * (swap on a slow disk) the next asks for less. A container is done when the kernel finds nothing
 * more, or so little that it is not worth looking for. */
#include "invoker/resize/squeeze.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/cgroup/control.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"

#define COMPONENT "Resize"

enum {
    STEP_MAX = 4 << 20,
    STEP_MIN = 256 << 10,
    SLOW_US = 3000,    /* for one step */
    PAUSE_US = 2000,   /* between two */
    WORTH_WHILE = 16,  /* a step that wins less than this part of what it asked for is the last */
    MAX_STEPS = 16384, /* of one container: 64 GB */
};

static const double STEP_BOUNDS[] = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005,
                                     0.01,   0.02,   0.05,   0.1,   1};

struct inv_squeeze {
    struct cw_loop *loop;
    int64_t after_us;
    struct cw_list idle; /* struct inv_squeezed */
    struct cw_timer timer;
    int64_t step;
    unsigned steps; /* of the first on the list */
    struct cw_counter *won, *count;
    struct cw_histogram *seconds;
};

static void arm(struct inv_squeeze *q)
{
    struct cw_link *n = cw_list_first(&q->idle);
    int64_t due;

    if (!n) {
        cw_timer_stop(&q->timer);
        return;
    }
    due = CW_LIST_ENTRY(n, struct inv_squeezed, link)->since_us + q->after_us -
          cw_loop_mono_us(q->loop);
    cw_timer_set_us(&q->timer, due);
}

static void take_off(struct inv_squeeze *q, struct inv_squeezed *s)
{
    cw_list_remove(&q->idle, &s->link);
    q->step = STEP_MAX;
    q->steps = 0;
}

static void finish(struct inv_squeeze *q, struct inv_squeezed *s)
{
    take_off(q, s);
    s->times++;
    cw_counter_add(q->count, 1);
    cw_log(CW_LOG_INFO, NULL, COMPONENT,
           "container %s, idle for %lld ms, gave back %lld KB of memory, in %lld us", s->name,
           (long long)((cw_loop_mono_us(q->loop) - s->since_us) / 1000),
           (long long)(s->won_bytes >> 10), (long long)s->spent_us);
    arm(q);
}

/* true: there may be more. */
static bool squeeze_once(struct inv_squeeze *q, struct inv_squeezed *s)
{
    int64_t begun_us = cw_clock_mono_us(cw_loop_clock(q->loop)), us, won;
    struct cw_err err = {0};
    enum cw_control_answer answer = cw_control_reclaim(s->control, q->step, &won, &err);

    us = cw_clock_mono_us(cw_loop_clock(q->loop)) - begun_us;
    cw_histogram_observe(q->seconds, (double)us / 1e6);
    cw_counter_add(q->won, (uint64_t)won);
    s->won_bytes += won;
    s->total_bytes += won;
    s->spent_us += us;
    if (answer == CW_CONTROL_DENIED || answer == CW_CONTROL_FAILED)
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "container %s cannot be squeezed: %s", s->name,
               err.msg);
    if (us > SLOW_US && q->step > STEP_MIN)
        q->step /= 2;
    return cw_control_is_set(answer) && won >= q->step / WORTH_WHILE && ++q->steps < MAX_STEPS;
}

static void on_timer(void *arg)
{
    struct inv_squeeze *q = arg;
    struct cw_link *n = cw_list_first(&q->idle);
    struct inv_squeezed *s = n ? CW_LIST_ENTRY(n, struct inv_squeezed, link) : NULL;

    if (!s)
        return;
    if (squeeze_once(q, s))
        cw_timer_set_us(&q->timer, PAUSE_US);
    else
        finish(q, s);
}

struct inv_squeeze *inv_squeeze_new(struct cw_loop *loop, struct cw_metrics *metrics,
                                    int64_t after_ms)
{
    struct inv_squeeze *q = cw_alloc(sizeof(*q));

    q->loop = loop;
    q->after_us = after_ms * 1000;
    q->step = STEP_MAX;
    cw_list_init(&q->idle);
    cw_timer_init(&q->timer, loop, on_timer, q);
    q->won = cw_metrics_counter(metrics, "cwhisk_resize_squeezed_bytes_total", NULL,
                                "Memory that idle containers gave back.");
    q->count = cw_metrics_counter(metrics, "cwhisk_resize_squeezes_total", NULL,
                                  "Idle containers that were squeezed.");
    q->seconds = cw_metrics_histogram(metrics, "cwhisk_resize_squeeze_step_seconds", NULL,
                                      "Time of one step of a squeeze.", STEP_BOUNDS,
                                      CW_ARRAY_LEN(STEP_BOUNDS));
    return q;
}

void inv_squeeze_free(struct inv_squeeze *q)
{
    if (!q)
        return;
    cw_timer_done(&q->timer);
    free(q);
}

void inv_squeeze_enter(struct inv_squeeze *q, struct inv_squeezed *s, struct cw_control *control,
                       const char *name)
{
    if (!q->after_us || !control || cw_link_on_list(&s->link))
        return;
    s->control = control;
    s->name = name;
    s->since_us = cw_loop_mono_us(q->loop);
    s->won_bytes = s->spent_us = 0;
    cw_list_push_back(&q->idle, &s->link);
    if (q->idle.count == 1)
        arm(q);
}

void inv_squeeze_leave(struct inv_squeeze *q, struct inv_squeezed *s)
{
    bool first = cw_list_first(&q->idle) == &s->link;

    if (!cw_link_on_list(&s->link))
        return;
    if (first)
        take_off(q, s);
    else
        cw_list_remove(&q->idle, &s->link);
    if (first)
        arm(q);
}

uint64_t inv_squeeze_won(const struct inv_squeeze *q)
{
    return cw_counter_value(q->won);
}
