/* The order in which jobs get their turn (the run buffer), and the parts' lives. */
#include "invoker/dispatch.h"

#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "invoker/dispatch_hold.h"
#include "invoker/dispatch_priv.h"
#include "invoker/dispatch_starts.h"
#include "invoker/job.h"
#include "invoker/parked.h"
#include "invoker/prewarm.h"
#include "invoker/settings.h"
#include "invoker/stale.h"

static bool is_stale(struct inv_dispatch *d, struct inv_job *job)
{
    return d->conf.stale && inv_stale_ends(d->conf.stale, job, job->action);
}

static void on_impatient(void *arg, struct inv_job *job)
{
    dispatch_put_back(arg, job);
}

static void end_waiting(struct inv_dispatch *d, struct inv_job *job)
{
    inv_run_buffer_take(&d->waiting, job);
    dispatch_end_job(d, job, INV_END_FAILED_START);
}

/* No containers can be made: those that find one go past those that do not. */
static void place_in_existing(struct inv_dispatch *d)
{
    CW_LIST_EACH (&d->waiting.jobs, n) {
        struct inv_job *job = CW_LIST_ENTRY(n, struct inv_job, link);

        if (is_stale(d, job) ||
            (dispatch_place(d, job) != DISPATCH_PLACED && !inv_hold_waits(d->hold, job)))
            end_waiting(d, job);
    }
}

/* Those that wait for CPU hold up nobody who wants none. */
static void place_in_order(struct inv_dispatch *d)
{
    d->short_of_cpu = d->short_of_room = false;
    CW_LIST_EACH (&d->waiting.jobs, n) {
        struct inv_job *job = CW_LIST_ENTRY(n, struct inv_job, link);
        enum dispatch_placed placed = DISPATCH_PLACED;

        if (is_stale(d, job))
            end_waiting(d, job);
        else
            placed = dispatch_place(d, job);
        d->short_of_cpu |= placed == DISPATCH_NO_CPU;
        d->short_of_room = placed == DISPATCH_NO_ROOM;
        if (d->short_of_room) {
            inv_run_buffer_tell(&d->waiting, job);
            break;
        }
    }
}

static void retry(void *arg)
{
    struct inv_dispatch *d = arg;
    bool held = inv_hold_on(d->hold);

    dispatch_place_parked(d);
    if (held)
        place_in_existing(d);
    else
        place_in_order(d);
    if (!cw_list_empty(&d->waiting.jobs))
        return; /* memory is theirs first */
    if (d->draining)
        dispatch_remove_idle(d);
    else if (!held)
        inv_prewarm_fill(d->prewarm);
}

void inv_dispatch_submit(struct inv_dispatch *d, CW_TAKES struct inv_job *job)
{
    enum dispatch_placed placed = DISPATCH_NO_ROOM;

    d->jobs++;
    job->turn = ++d->turns;
    if (inv_hold_on(d->hold)) {
        inv_run_buffer_put(&d->waiting, job);
        d->short_of_room = true;
        cw_defer_post(&d->retry);
        return;
    }
    if (cw_list_empty(&d->waiting.jobs) || !d->short_of_room)
        placed = dispatch_place(d, job);
    d->short_of_cpu |= placed == DISPATCH_NO_CPU;
    d->short_of_room |= placed == DISPATCH_NO_ROOM;
    if (placed != DISPATCH_PLACED)
        inv_run_buffer_put_for_room(&d->waiting, job);
}

static void remove_expired(void *arg, struct inv_slot *chain)
{
    (void)arg;
    dispatch_remove_chain(chain);
}

static void wake(void *arg)
{
    struct inv_dispatch *d = arg;

    cw_defer_post(&d->retry);
}

void inv_dispatch_look_again(struct inv_dispatch *d)
{
    cw_defer_post(&d->retry);
}

void inv_dispatch_set_memory(struct inv_dispatch *d, uint32_t pool_mb)
{
    struct inv_pool_stats pool;

    inv_pool_set_memory(d->pool, pool_mb);
    inv_pool_stats(d->pool, &pool);
    if (pool.used_mb > pool_mb)
        dispatch_remove_chain(inv_pool_trim(d->pool, pool.used_mb - pool_mb));
    inv_dispatch_look_again(d);
}

/* ---- what the engine tells ---- */

void inv_dispatch_hold(struct inv_dispatch *d, bool hold)
{
    inv_hold_room(d->hold, hold);
}

void inv_dispatch_room_for_one(struct inv_dispatch *d)
{
    inv_hold_room_for_one(d->hold);
}

void inv_dispatch_engine(struct inv_dispatch *d, bool away)
{
    inv_hold_engine(d->hold, away);
}

/* ---- life ---- */

static void make_counters(struct inv_dispatch *d)
{
    struct cw_metrics *m = d->conf.metrics;

    d->starts = inv_starts_new(m, d->conf.settings->log_markers);
    d->returned = cw_metrics_counter(m, "cwhisk_activation_returned_total", NULL,
                                     "Activations placed again because their container was dead.");
}

struct inv_dispatch *inv_dispatch_new(const struct inv_dispatch_conf *conf)
{
    struct inv_dispatch *d = cw_alloc(sizeof(*d));

    d->conf = *conf;
    dispatch_make_env(d);
    make_counters(d);
    d->pool = inv_pool_new(conf->pool_mb ? conf->pool_mb
                                         : (uint32_t)(conf->settings->user_memory_bytes >> 20));
    d->hold = inv_hold_new(&(struct inv_hold_conf){
        .loop = conf->loop,
        .metrics = conf->metrics,
        .limit_ms = conf->settings->engine_wait_ms,
        .wake = wake,
        .arg = d,
    });
    d->resize = inv_resize_new(&(struct inv_resize_conf){
        .loop = conf->loop,
        .driver = conf->driver,
        .metrics = conf->metrics,
        .settings = conf->settings,
        .on_adopted = dispatch_on_adopted,
        .memory_need = dispatch_memory_need,
        .arg = d,
    });
    d->prewarm = inv_prewarm_new(&(struct inv_prewarm_conf){
        .loop = conf->loop,
        .settings = conf->settings,
        .manifest = conf->manifest,
        .pool = d->pool,
        .metrics = conf->metrics,
        .spread = conf->spread,
        .create = dispatch_create_prewarmed,
        .remove = remove_expired,
        .wake = wake,
        .arg = d,
    });
    inv_run_buffer_init(&d->waiting, conf->loop, conf->metrics);
    d->parked = inv_parked_new(&(struct inv_parked_conf){
        .loop = conf->loop, .metrics = conf->metrics, .on_impatient = on_impatient, .arg = d});
    cw_list_init(&d->holdings);
    cw_defer_init(&d->retry, conf->loop, retry, d);
    return d;
}

void inv_dispatch_start_prewarming(struct inv_dispatch *d)
{
    inv_prewarm_start(d->prewarm);
    cw_defer_post(&d->retry);
}

void inv_dispatch_stop_prewarming(struct inv_dispatch *d)
{
    inv_prewarm_stop(d->prewarm);
}

void inv_dispatch_free(struct inv_dispatch *d)
{
    if (!d)
        return;
    cw_defer_cancel(&d->retry);
    inv_hold_free(d->hold);
    inv_starts_free(d->starts);
    inv_prewarm_free(d->prewarm);
    inv_resize_free(d->resize);
    inv_parked_free(d->parked);
    inv_pool_free(d->pool);
    free(d);
}

size_t inv_dispatch_jobs(const struct inv_dispatch *d)
{
    return d->jobs;
}

void inv_dispatch_drain(struct inv_dispatch *d, bool draining)
{
    d->draining = draining;
    if (draining) {
        inv_prewarm_stop(d->prewarm);
        inv_parked_give_up_all(d->parked); /* whoever is to end it finds all in their order */
    }
    cw_defer_post(&d->retry);
}

void inv_dispatch_release(struct inv_dispatch *d,
                          bool (*which)(void *arg, const struct inv_job *job),
                          void (*fn)(void *arg, struct inv_job *job), void *arg)
{
    inv_parked_give_up_all(d->parked);
    CW_LIST_EACH (&d->waiting.jobs, n) {
        struct inv_job *job = CW_LIST_ENTRY(n, struct inv_job, link);

        if (!which(arg, job))
            continue;
        inv_run_buffer_take(&d->waiting, job);
        d->jobs--;
        fn(arg, job);
    }
}

void inv_dispatch_kill(struct inv_dispatch *d, const char *why)
{
    struct inv_job *job;

    d->draining = true;
    inv_prewarm_stop(d->prewarm);
    CW_LIST_EACH (&d->holdings, h) {
        dispatch_let_go(CW_LIST_ENTRY(h, struct holding, link));
    }
    inv_parked_give_up_all(d->parked);
    while ((job = inv_run_buffer_first(&d->waiting))) {
        inv_run_buffer_take(&d->waiting, job);
        inv_job_stop(job, cw_loop_wall_ms(d->conf.loop));
        job->ended_in_container = true;
        dispatch_end_job(d, job, INV_END_ABORTED);
    }
    CW_LIST_EACH (&d->holdings, h) {
        inv_container_kill(CW_LIST_ENTRY(h, struct holding, link)->container, why);
    }
}

struct inv_resize *inv_dispatch_resize(struct inv_dispatch *d)
{
    return d->resize;
}

void inv_dispatch_stats(const struct inv_dispatch *d, struct inv_pool_stats *pool, size_t *waiting,
                        uint64_t *waiting_mb)
{
    inv_pool_stats(d->pool, pool);
    *waiting = d->waiting.jobs.count + inv_parked_total(d->parked);
    *waiting_mb = d->waiting.memory_mb + inv_parked_memory_mb(d->parked);
}

size_t inv_dispatch_idle_pairs(const struct inv_dispatch *d, uint64_t *pairs, size_t max)
{
    return inv_pool_idle_pairs(d->pool, pairs, max);
}
