/* The end: finish what was taken, answer what is left, flush, go. */
#include <inttypes.h>

#include "common/bus/bus.h"
#include "common/driver/container_driver.h"
#include "common/obs/log.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/feed.h"
#include "invoker/forward/away.h"
#include "invoker/forward/guests.h"
#include "invoker/health.h"
#include "invoker/hosts.h"
#include "invoker/intake.h"
#include "invoker/profiles.h"
#include "invoker/records.h"
#include "invoker/settings.h"

enum {
    STOP_TICK_MS = 10,
    KILL_LIMIT_MS = 2000,
    FINAL_QUIET_MS = 300,
    FLUSH_LIMIT_MS = 10000, /* for records, acks and removals after the drain */
};

void inv_daemon_end(struct inv_daemon *d, int status)
{
    d->phase = PHASE_STOPPED;
    d->status = status;
    cw_loop_stop(d->loop);
}

static bool all_answered(const struct inv_daemon *d)
{
    return !d->leaving && inv_feed_queued(d->feed) == 0 && inv_intake_fetching(d->intake) == 0 &&
           inv_dispatch_jobs(d->dispatch) == 0 && (!d->away || inv_away_count(d->away) == 0);
}

static bool all_flushed(const struct inv_daemon *d)
{
    return inv_dispatch_containers(d->dispatch) == 0 && d->driver->ops->busy(d->driver) == 0 &&
           inv_records_may_stop(d->records) && d->bus->ops->unsent(d->bus) == 0 &&
           (!d->guests || inv_guests_open(d->guests) == 0);
}

/* For long enough, where the topic is to be emptied: controllers need a moment to see the last
 * ping.
 */
static bool stays_answered(struct inv_daemon *d)
{
    bool empties = d->settings->drain == INV_DRAIN_FINAL;
    int64_t now = cw_loop_mono_us(d->loop);

    if (!all_answered(d) || (empties && inv_feed_lag(d->feed) > 0)) {
        d->answered_us = 0;
        return false;
    }
    if (!d->answered_us)
        d->answered_us = now;
    return !empties || now - d->answered_us >= FINAL_QUIET_MS * INT64_C(1000);
}

/* What is left gets its answer now; a little later the rest of the stop goes on whatever happens.
 */
static void kill_rest(struct inv_daemon *d, const char *why)
{
    d->killed = true;
    inv_daemon_hold_or_hand_out(d);
    d->stop_by_us = cw_loop_mono_us(d->loop) + KILL_LIMIT_MS * INT64_C(1000);
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s: %zu activations are answered with an error", why,
           inv_dispatch_jobs(d->dispatch) + inv_feed_queued(d->feed) +
               inv_intake_fetching(d->intake));
    inv_dispatch_kill(d->dispatch, why);
    inv_intake_kill(d->intake);
}

static void begin_flush(struct inv_daemon *d)
{
    d->phase = PHASE_FLUSHING;
    inv_feed_stop(d->feed);
    inv_hosts_leave(d->hosts);
    inv_profiles_flush(d->profiles);
    d->stop_by_us = cw_loop_mono_us(d->loop) + FLUSH_LIMIT_MS * INT64_C(1000);
    inv_dispatch_drain(d->dispatch, true);
    if (d->driver->ops->hurry)
        d->driver->ops->hurry(d->driver);
}

static void tell_left_records(const struct inv_daemon *d)
{
    size_t left = inv_records_pending(d->records) - inv_records_at_risk(d->records);

    if (left)
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "%zu records that the store has not taken stay in %s: the next start stores them",
               left, d->settings->data_dir);
}

void inv_daemon_on_stop_tick(void *arg)
{
    struct inv_daemon *d = arg;
    bool late = cw_loop_mono_us(d->loop) >= d->stop_by_us;

    if (d->phase == PHASE_DRAINING) {
        if (stays_answered(d) || (late && d->killed))
            begin_flush(d);
        else if (late)
            kill_rest(d, "drain limit reached");
    }
    if (d->phase == PHASE_FLUSHING && (all_flushed(d) || late)) {
        if (!all_flushed(d))
            cw_log(CW_LOG_ERROR, NULL, COMPONENT,
                   "stopping with %zu records lost, %zu messages not sent, %zu containers not "
                   "removed",
                   inv_records_at_risk(d->records), d->bus->ops->unsent(d->bus),
                   inv_dispatch_containers(d->dispatch));
        else
            cw_log(CW_LOG_INFO, NULL, COMPONENT, "stopped");
        tell_left_records(d);
        inv_daemon_end(d, d->status);
        return;
    }
    cw_timer_set_ms(&d->stop_tick, STOP_TICK_MS);
}

void inv_daemon_drain(struct inv_daemon *d, int status)
{
    cw_log(CW_LOG_INFO, NULL, COMPONENT,
           "stopping: %zu activations to finish, at most %" PRId64 " ms",
           inv_dispatch_jobs(d->dispatch) + inv_feed_queued(d->feed), d->settings->drain_ms);
    d->phase = PHASE_DRAINING;
    d->status = status;
    d->stop_by_us = cw_loop_mono_us(d->loop) + d->settings->drain_ms * 1000;
    (void)inv_health_enable(d->health, false);
    inv_hosts_changed(d->hosts);
    inv_dispatch_stop_prewarming(d->dispatch);
    inv_daemon_hold_or_hand_out(d);
    if (d->settings->drain == INV_DRAIN_FINAL) {
        inv_daemon_refuse_rest(d); /* and reads on: nobody else will */
    } else {
        inv_feed_stop(d->feed);
        inv_daemon_leave(d);
    }
    cw_timer_set_ms(&d->stop_tick, 0);
}

void inv_daemon_on_signal(void *arg)
{
    struct inv_daemon *d = arg;

    switch (d->phase) {
    case PHASE_STARTING:
        inv_daemon_end(d, 0);
        break;
    case PHASE_RUNNING:
        inv_daemon_drain(d, 0);
        break;
    case PHASE_DRAINING:
        if (d->killed)
            begin_flush(d);
        else
            kill_rest(d, "second signal");
        break;
    case PHASE_FLUSHING:
        d->stop_by_us = 0;
        break;
    case PHASE_STOPPED:
        break;
    }
}
