/* What containers tell, and what is told of jobs that end. */
#include <stdio.h>

#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/obs/token.h"
#include "invoker/dispatch_hold.h"
#include "invoker/dispatch_priv.h"
#include "invoker/job.h"
#include "invoker/limits.h"
#include "invoker/prewarm.h"
#include "invoker/settings.h"

void dispatch_end_job(struct inv_dispatch *d, struct inv_job *job, enum inv_end how)
{
    d->jobs--;
    d->conf.on_end(d->conf.arg, job, how);
}

void dispatch_fail_job(struct inv_dispatch *d, struct inv_job *job, enum cw_status status,
                       const char *text)
{
    inv_job_fail(job, status, text, cw_loop_wall_ms(d->conf.loop));
    job->ended_in_container = true;
    dispatch_end_job(d, job, INV_END_FAILED_START);
}

static void on_created(void *arg, struct inv_container *c)
{
    struct holding *h = inv_container_owner(c);

    (void)arg;
    inv_resize_created(h->member, inv_container_id(c));
}

static void on_standby(void *arg, struct inv_container *c)
{
    struct inv_dispatch *d = arg;
    struct holding *h = inv_container_owner(c);

    inv_prewarm_created(d->prewarm, h->slot);
    cw_defer_post(&d->retry);
}

static void on_warm(void *arg, struct inv_container *c)
{
    struct inv_dispatch *d = arg;
    struct holding *h = inv_container_owner(c);

    inv_pool_warmed(d->pool, h->slot);
    dispatch_room_changed(h);
}

static int on_start(void *arg, struct inv_container *c, struct inv_job *job, struct cw_err *err)
{
    struct inv_dispatch *d = arg;

    (void)c;
    return d->conf.on_start ? d->conf.on_start(d->conf.arg, job, err) : 0;
}

static void on_result(void *arg, struct inv_container *c, struct inv_job *job)
{
    struct inv_dispatch *d = arg;

    (void)c;
    d->conf.on_result(d->conf.arg, job);
}

static void on_end(void *arg, struct inv_container *c, struct inv_job *job, enum inv_end how)
{
    struct inv_dispatch *d = arg;
    struct holding *h = inv_container_owner(c);

    inv_pool_done(d->pool, h->slot);
    if (h->slot->state == INV_SLOT_IDLE)
        inv_resize_idle(h->member);
    dispatch_room_changed(h);
    dispatch_end_job(d, job, how);
}

static void on_return(void *arg, struct inv_container *c, struct inv_job *job)
{
    struct inv_dispatch *d = arg;
    struct holding *h = inv_container_owner(c);
    unsigned tries = job->reschedules;

    inv_pool_done(d->pool, h->slot);
    if (d->conf.on_return)
        d->conf.on_return(d->conf.arg, job);
    inv_job_restart(job);
    if (inv_container_since_us(c) == 0)
        job->reschedules = tries; /* there was no container that could have tried it */
    cw_counter_add(d->returned, 1);
    dispatch_room_changed(h);
    dispatch_put_back(d, job);
}

static bool engine_was_away(void *arg, int64_t since_us, bool unreached)
{
    struct inv_dispatch *d = arg;

    if (d->conf.settings->engine_wait_ms == 0)
        return false;
    if (unreached)
        inv_hold_failed(d->hold);
    return inv_hold_since(d->hold, since_us);
}

static void on_doomed(void *arg, struct inv_container *c)
{
    struct inv_dispatch *d = arg;
    struct holding *h = inv_container_owner(c);

    if (h->slot->state == INV_SLOT_PREPARING && !d->draining) /* then it was cancelled */
        inv_prewarm_failed(d->prewarm, h->slot);
    dispatch_let_go(h);
    dispatch_room_changed(h);
    inv_pool_drop(d->pool, h->slot);
}

static void on_gone(void *arg, struct inv_container *c)
{
    struct inv_dispatch *d = arg;
    struct holding *h = inv_container_owner(c);

    inv_pool_forget(d->pool, h->slot);
    inv_resize_remove(h->member);
    if (d->short_of_cpu)
        cw_defer_post(&d->retry);
    cw_list_remove(&d->holdings, &h->link);
    free(h);
}

static struct cw_counter *dead_counter(struct inv_dispatch *d, const char *state)
{
    char label[48];

    (void)snprintf(label, sizeof(label), "containerState=\"%s\"", state);
    return cw_token_counter(d->conf.metrics,
                            &(struct cw_token){.component = "invoker",
                                               .action = "containerHealthFailed",
                                               .sub = state,
                                               .state = "counter",
                                               .labels = label},
                            "Containers found dead when they were needed or looked at.");
}

static struct cw_counter *unheard_counter(struct inv_dispatch *d, const char *label)
{
    return cw_metrics_counter(d->conf.metrics, "cwhisk_containers_unheard_total", label,
                              "New containers that took no connection in time: replaced since they "
                              "did nothing (silent) or ended, or listening late.");
}

void dispatch_make_env(struct inv_dispatch *d)
{
    const struct inv_settings *s = d->conf.settings;

    d->env = (struct inv_container_env){
        .loop = d->conf.loop,
        .driver = d->conf.driver,
        .logs = d->conf.logs,
        .userlogs = d->conf.userlogs,
        .monitor = d->conf.monitor,
        .events = {.on_created = on_created,
                   .on_standby = on_standby,
                   .on_warm = on_warm,
                   .on_start = on_start,
                   .engine_was_away = engine_was_away,
                   .on_result = on_result,
                   .on_end = on_end,
                   .on_return = on_return,
                   .on_doomed = on_doomed,
                   .on_gone = on_gone,
                   .arg = d},
        .pause_grace_ms = s->pause_grace_ms,
        .idle_ms = s->idle_container_ms,
        .health_check_ms = s->health_check ? s->health_check_ms : 0,
        .health_check_fails = s->health_check_max_fails,
        .log_markers = s->log_markers,
        .remove_on_incomplete_logs = s->remove_on_incomplete_logs,
        .settings = s,
        .containers_dir = s->containers_dir,
        .max_call_bytes = 2 * inv_limits_code(s), /* as JSON text, at worst doubled */
        .dead_warm = dead_counter(d, "warm"),
        .dead_prewarmed = dead_counter(d, "prewarm"),
        .replaced_silent = unheard_counter(d, "reason=\"silent\""),
        .replaced_ended = unheard_counter(d, "reason=\"ended\""),
        .late = unheard_counter(d, "reason=\"late\""),
    };
}
