#include "invoker/dispatch_hold.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"

#define COMPONENT "ContainerPool"

enum { AFTER_FAILURE_US = 1000000 };

struct inv_hold {
    struct inv_hold_conf conf;
    bool no_room;
    unsigned room;           /* nevertheless, for so many */
    bool away;               /* as the watch says */
    int64_t failed_until_us; /* a create has failed: none until then */
    int64_t seen_away_us;    /* the last moment at which it was; 0: never */
    int64_t due_us;          /* of the timer; 0: not set */
    struct cw_timer timer;
    struct cw_counter *held, *given_up;
};

static int64_t now_us(const struct inv_hold *h)
{
    return cw_loop_mono_us(h->conf.loop);
}

static void wake_by(struct inv_hold *h, int64_t at_us)
{
    int64_t left_us = at_us - now_us(h);

    if (h->due_us && h->due_us <= at_us)
        return;
    h->due_us = at_us;
    cw_timer_set_us(&h->timer, left_us > 0 ? left_us : 0);
}

static void on_due(void *arg)
{
    struct inv_hold *h = arg;

    h->due_us = 0;
    h->conf.wake(h->conf.arg);
}

void inv_hold_room(struct inv_hold *h, bool none)
{
    h->no_room = none;
    if (!none)
        h->conf.wake(h->conf.arg);
}

void inv_hold_engine(struct inv_hold *h, bool away)
{
    if (h->away || away)
        h->seen_away_us = now_us(h);
    h->away = away;
    if (away)
        return;
    h->failed_until_us = 0;
    h->conf.wake(h->conf.arg);
}

void inv_hold_failed(struct inv_hold *h)
{
    h->seen_away_us = now_us(h);
    h->failed_until_us = h->seen_away_us + AFTER_FAILURE_US;
    wake_by(h, h->failed_until_us);
}

static bool is_away(const struct inv_hold *h)
{
    return h->away || now_us(h) < h->failed_until_us;
}

void inv_hold_room_for_one(struct inv_hold *h)
{
    h->room++;
    h->conf.wake(h->conf.arg);
}

void inv_hold_use_room(struct inv_hold *h)
{
    if (h->room)
        h->room--;
}

bool inv_hold_on(const struct inv_hold *h)
{
    return (h->no_room && h->room == 0) || is_away(h);
}

bool inv_hold_since(const struct inv_hold *h, int64_t since_us)
{
    return is_away(h) || (h->seen_away_us && h->seen_away_us >= since_us);
}

static void give_up(struct inv_hold *h, struct inv_job *job, int64_t waited_us)
{
    char text[160];

    (void)snprintf(text, sizeof(text),
                   "Failed to provision resources to run the action: the container engine was out "
                   "of reach for %" PRId64 " s.",
                   waited_us / 1000000);
    cw_log(CW_LOG_ERROR, &job->msg->tx, COMPONENT,
           "activation %s has waited %" PRId64 " ms for the container engine and is given up",
           job->msg->activation_id, waited_us / 1000);
    cw_counter_add(h->given_up, 1);
    inv_job_fail(job, CW_STATUS_WHISK_ERROR, text, cw_loop_wall_ms(h->conf.loop));
    job->ended_in_container = true;
}

bool inv_hold_waits(struct inv_hold *h, struct inv_job *job)
{
    int64_t now = now_us(h);

    if (h->no_room)
        return true;
    if (!job->held_us) {
        job->held_us = now;
        cw_counter_add(h->held, 1);
    }
    if (now - job->held_us >= h->conf.limit_ms * 1000) {
        give_up(h, job, now - job->held_us);
        return false;
    }
    wake_by(h, job->held_us + h->conf.limit_ms * 1000);
    return true;
}

struct inv_hold *inv_hold_new(const struct inv_hold_conf *conf)
{
    struct inv_hold *h = cw_alloc(sizeof(*h));

    h->conf = *conf;
    cw_timer_init(&h->timer, conf->loop, on_due, h);
    h->held = cw_metrics_counter(conf->metrics, "cwhisk_activation_held_total", NULL,
                                 "Activations that waited for the container engine to come back.");
    h->given_up = cw_metrics_counter(conf->metrics, "cwhisk_activation_held_too_long_total", NULL,
                                     "Activations answered with an error because the container "
                                     "engine did not come back in time.");
    return h;
}

void inv_hold_free(struct inv_hold *h)
{
    if (!h)
        return;
    cw_timer_done(&h->timer);
    free(h);
}
