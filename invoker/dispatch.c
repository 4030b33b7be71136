#include "invoker/dispatch.h"

#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/token.h"
#include "invoker/container/spec.h"
#include "invoker/dispatch_hold.h"
#include "invoker/dispatch_priv.h"
#include "invoker/dispatch_starts.h"
#include "invoker/job.h"
#include "invoker/limits.h"
#include "invoker/prewarm.h"
#include "invoker/run_buffer.h"
#include "invoker/settings.h"
#include "invoker/stale.h"

static void need_of(const struct inv_dispatch *d, const struct inv_job *job,
                    struct inv_pool_need *ret)
{
    *ret = (struct inv_pool_need){
        .namespace_name = cw_slice_of(job->msg->user.namespace_name),
        .action_hash = job->action->hash,
        .kind = cw_slice_of(job->action->kind),
        .memory_mb = (uint32_t)job->action->limits.memory_mb,
        .charge_mb = d->conf.charge ? d->conf.charge(d->conf.arg, job) : 0,
        .concurrency = (uint32_t)job->action->limits.concurrency,
    };
}

static int64_t now_us(const struct inv_dispatch *d)
{
    return cw_loop_mono_us(d->conf.loop);
}

static void end_job(struct inv_dispatch *d, struct inv_job *job, enum inv_end how)
{
    d->jobs--;
    d->conf.on_end(d->conf.arg, job, how);
}

void dispatch_fail_job(struct inv_dispatch *d, struct inv_job *job, enum cw_status status,
                       const char *text)
{
    inv_job_fail(job, status, text, cw_loop_wall_ms(d->conf.loop));
    job->ended_in_container = true;
    end_job(d, job, INV_END_FAILED_START);
}

/* ---- what containers tell ---- */

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
    cw_defer_post(&d->retry);
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
    cw_defer_post(&d->retry);
    end_job(d, job, how);
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
    inv_run_buffer_put_back(&d->waiting, job);
    cw_defer_post(&d->retry);
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
    inv_pool_drop(d->pool, h->slot);
    cw_defer_post(&d->retry);
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

/* ---- placing ---- */

static struct holding *hold(struct inv_dispatch *d, struct inv_slot *slot)
{
    struct holding *h = cw_alloc(sizeof(*h));

    h->d = d;
    h->slot = slot;
    cw_list_init(&h->held);
    slot->owner = h;
    cw_list_push_back(&d->holdings, &h->link);
    return h;
}

static void create(struct inv_dispatch *d, struct inv_slot *slot, struct inv_job *job,
                   const struct inv_wishes *wishes)
{
    struct cw_container_spec spec;
    struct cw_err err = {0};
    struct cw_arena arena;
    struct holding *h;

    cw_arena_init(&arena);
    if (inv_container_spec(d->conf.settings, d->conf.manifest, d->conf.instance, ++d->created,
                           job->msg->user.namespace_name, job->action, &arena, &spec, &err) != 0) {
        cw_log(CW_LOG_ERROR, &job->msg->tx, COMPONENT, "activation %s: %s", job->msg->activation_id,
               err.msg);
        inv_pool_drop(d->pool, slot);
        inv_pool_forget(d->pool, slot);
        dispatch_fail_job(d, job, CW_STATUS_WHISK_ERROR,
                          "Failed to provision resources to run the action.");
    } else {
        h = hold(d, slot);
        h->member = inv_resize_add(d->resize, h, wishes, &spec);
        h->container = inv_container_new(&d->env, &spec, job, h);
    }
    cw_arena_done(&arena);
}

static void create_prewarmed(void *arg, struct inv_slot *slot, const struct cw_runtime *rt)
{
    struct inv_dispatch *d = arg;
    struct holding *h = hold(d, slot);
    struct cw_container_spec spec;
    struct cw_arena arena;

    cw_arena_init(&arena);
    inv_container_spec_prewarmed(d->conf.settings, d->conf.instance, ++d->created, rt,
                                 slot->memory_mb, &arena, &spec);
    h->member = inv_resize_add(d->resize, h, NULL, &spec);
    h->container = inv_container_new_prewarmed(&d->env, &spec, h);
    cw_arena_done(&arena);
}

/* Their slots are out of the books. */
static void remove_evicted(struct inv_slot *evicted)
{
    struct inv_slot *next;

    for (struct inv_slot *slot = evicted; slot; slot = next) {
        next = slot->next_evicted;
        inv_container_remove(((struct holding *)slot->owner)->container);
    }
}

static void tell_start(struct inv_dispatch *d, const struct inv_job *job,
                       const struct inv_decision *decision)
{
    const struct holding *h = decision->slot->owner; /* NULL: it is to be created */

    inv_starts_tell(d->starts, job, decision, h ? inv_container_name(h->container) : NULL);
}

static void leave_run_buffer(struct inv_dispatch *d, struct inv_job *job)
{
    if (cw_link_on_list(&job->link))
        inv_run_buffer_take(&d->waiting, job);
}

/* It goes at once, or it stays in the run buffer if it is there. */
static bool goes_elsewhere(struct inv_dispatch *d, struct inv_job *job,
                           const struct inv_pool_need *need)
{
    struct cw_link *place = NULL;

    if (!d->conf.elsewhere)
        return false;
    if (cw_link_on_list(&job->link))
        place = inv_run_buffer_take(&d->waiting, job);
    if (d->conf.elsewhere(d->conf.arg, job, need)) {
        d->jobs--;
        return true;
    }
    if (place)
        inv_run_buffer_undo(&d->waiting, place, job);
    return false;
}

static void refuse(struct inv_dispatch *d, struct inv_job *job, const char *text)
{
    leave_run_buffer(d, job);
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT, "activation %s: %s", job->msg->activation_id,
           text);
    job->at[INV_AT_PLACED] = now_us(d);
    dispatch_fail_job(d, job, CW_STATUS_DEVELOPER_ERROR, text);
}

static void refuse_size(struct inv_dispatch *d, struct inv_job *job, uint32_t memory_mb)
{
    char text[160];

    (void)snprintf(text, sizeof(text),
                   "The action needs %u MB of memory, more than the %lld MB of this invoker.",
                   memory_mb, (long long)(d->conf.settings->user_memory_bytes >> 20));
    refuse(d, job, text);
}

static void put_into(struct inv_dispatch *d, struct inv_job *job,
                     const struct inv_decision *decision, const struct inv_wishes *wishes,
                     enum inv_adopt adopted)
{
    struct holding *h = decision->slot->owner;

    leave_run_buffer(d, job);
    job->at[INV_AT_PLACED] = now_us(d);
    if (d->conf.on_placed)
        d->conf.on_placed(d->conf.arg, job);
    tell_start(d, job, decision);
    remove_evicted(decision->evicted);
    if (decision->choice == INV_CHOICE_CREATE || decision->choice == INV_CHOICE_RECREATE)
        create(d, decision->slot, job, wishes);
    else if (adopted == INV_ADOPT_PENDING)
        dispatch_hold(h, job);
    else
        inv_container_add(h->container, job);
    if (decision->choice == INV_CHOICE_PREWARMED)
        cw_defer_post(&d->retry); /* its replacement */
}

/* A container that exists, which has been given the job's limits. */
static enum inv_adopt choose_existing(struct inv_dispatch *d, const struct inv_job *job,
                                      const struct inv_wishes *wishes, struct inv_pool_need *need,
                                      struct inv_decision *ret)
{
    enum inv_adopt adopted;

    do { /* each turn gives up one that cannot have them */
        dispatch_adapt_need(d, job, wishes, need);
        inv_pool_place_existing(d->pool, need, ret);
        adopted = ret->slot ? dispatch_adopt(ret->slot->owner, job, wishes) : INV_ADOPT_DONE;
    } while (adopted == INV_ADOPT_REFUSED);
    return adopted;
}

static bool is_admitted(struct inv_dispatch *d, const struct inv_pool_need *need)
{
    uint32_t evict_mb;

    if (!d->conf.admits)
        return true;
    if (!d->conf.admits(d->conf.arg, need->charge_mb ? need->charge_mb : need->memory_mb,
                        &evict_mb))
        return false;
    remove_evicted(inv_pool_trim(d->pool, evict_mb));
    return true;
}

enum placed { PLACED, NO_ROOM, NO_CPU };

/* PLACED: the job has left the run buffer; otherwise it stays where it is. */
static enum placed place(struct inv_dispatch *d, struct inv_job *job)
{
    struct inv_decision decision;
    struct inv_pool_need need;
    struct inv_wishes wishes;
    struct cw_err err = {0};
    enum inv_adopt adopted;

    if (dispatch_read_wishes(d, job, &wishes, &err) != 0) {
        refuse(d, job, err.msg);
        return PLACED;
    }
    need_of(d, job, &need);
    adopted = choose_existing(d, job, &wishes, &need, &decision);
    if (!decision.slot && goes_elsewhere(d, job, &need))
        return PLACED;
    if (decision.choice == INV_CHOICE_WAIT && need.warm_only) {
        dispatch_make_room_for_cpu(d, job, &wishes);
        return NO_CPU;
    }
    if (decision.choice == INV_CHOICE_WAIT && !inv_hold_on(d->hold) && is_admitted(d, &need))
        inv_pool_place_new(d->pool, &need, &decision);
    if (decision.choice == INV_CHOICE_CREATE || decision.choice == INV_CHOICE_RECREATE)
        inv_hold_use_room(d->hold);
    if (decision.choice == INV_CHOICE_WAIT)
        return NO_ROOM;
    if (!decision.slot) /* never, then */
        refuse_size(d, job, need.memory_mb);
    else
        put_into(d, job, &decision, &wishes, adopted);
    return PLACED;
}

static void remove_idle(struct inv_dispatch *d)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        if (h->slot->state == INV_SLOT_IDLE || h->slot->state == INV_SLOT_PREWARMED ||
            h->slot->state == INV_SLOT_PREPARING)
            inv_container_remove(h->container);
    }
}

static bool is_stale(struct inv_dispatch *d, struct inv_job *job)
{
    return d->conf.stale && inv_stale_ends(d->conf.stale, job, job->action);
}

static void end_waiting(struct inv_dispatch *d, struct inv_job *job)
{
    inv_run_buffer_take(&d->waiting, job);
    end_job(d, job, INV_END_FAILED_START);
}

/* No containers can be made: those that find one go past those that do not. */
static void place_in_existing(struct inv_dispatch *d)
{
    CW_LIST_EACH (&d->waiting.jobs, n) {
        struct inv_job *job = CW_LIST_ENTRY(n, struct inv_job, link);

        if (is_stale(d, job) || (place(d, job) != PLACED && !inv_hold_waits(d->hold, job)))
            end_waiting(d, job);
    }
}

/* Those that wait for CPU hold up nobody who wants none. */
static void place_in_order(struct inv_dispatch *d)
{
    d->short_of_cpu = false;
    CW_LIST_EACH (&d->waiting.jobs, n) {
        struct inv_job *job = CW_LIST_ENTRY(n, struct inv_job, link);
        enum placed placed = PLACED;

        if (is_stale(d, job))
            end_waiting(d, job);
        else
            placed = place(d, job);
        d->short_of_cpu |= placed == NO_CPU;
        if (placed == NO_ROOM)
            break;
    }
}

static void retry(void *arg)
{
    struct inv_dispatch *d = arg;
    bool held = inv_hold_on(d->hold);

    if (held)
        place_in_existing(d);
    else
        place_in_order(d);
    if (!cw_list_empty(&d->waiting.jobs))
        return; /* memory is theirs first */
    if (d->draining)
        remove_idle(d);
    else if (!held)
        inv_prewarm_fill(d->prewarm);
}

void inv_dispatch_submit(struct inv_dispatch *d, CW_TAKES struct inv_job *job)
{
    enum placed placed = NO_ROOM;

    d->jobs++;
    if (inv_hold_on(d->hold)) {
        inv_run_buffer_put(&d->waiting, job);
        cw_defer_post(&d->retry);
        return;
    }
    if (cw_list_empty(&d->waiting.jobs) || d->short_of_cpu)
        placed = place(d, job);
    d->short_of_cpu |= placed == NO_CPU;
    if (placed != PLACED)
        inv_run_buffer_put_for_room(&d->waiting, job);
}

static void remove_expired(void *arg, struct inv_slot *chain)
{
    (void)arg;
    remove_evicted(chain);
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

void inv_dispatch_died(struct inv_dispatch *d, const char *id, int64_t exit_code)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        if (strcmp(inv_container_id(h->container), id) == 0) {
            inv_container_died(h->container, exit_code);
            return;
        }
    }
}

static bool runs(const struct cw_owned_container *list, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].id, id) == 0)
            return list[i].running;
    return false;
}

void inv_dispatch_compare(struct inv_dispatch *d, const struct cw_owned_container *list,
                          size_t count, int64_t since_us)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct inv_container *c = CW_LIST_ENTRY(n, struct holding, link)->container;
        int64_t created_us = inv_container_since_us(c);

        if (created_us && created_us < since_us && !runs(list, count, inv_container_id(c)))
            inv_container_died(c, -1);
    }
}

static struct holding *find_holding(const struct inv_dispatch *d, const char *name)
{
    CW_LIST_EACH (&d->holdings, n) {
        struct holding *h = CW_LIST_ENTRY(n, struct holding, link);

        if (strcmp(inv_container_name(h->container), name) == 0)
            return h;
    }
    return NULL;
}

bool inv_dispatch_holds(const struct inv_dispatch *d, const char *name, struct inv_held *ret)
{
    const struct holding *h = find_holding(d, name);

    if (!h || !ret)
        return h != NULL;
    ret->memory_bytes = (uint64_t)h->slot->memory_mb << 20;
    ret->idle_ms = h->slot->state == INV_SLOT_IDLE && inv_container_idle_us(h->container)
                       ? (now_us(d) - inv_container_idle_us(h->container)) / 1000
                       : -1;
    return true;
}

bool inv_dispatch_remove_idle(struct inv_dispatch *d, const char *name)
{
    struct holding *h = find_holding(d, name);

    if (!h || h->slot->state != INV_SLOT_IDLE)
        return false;
    inv_container_remove(h->container);
    return h->slot->state == INV_SLOT_GONE; /* not while it still collects logs */
}

/* ---- life ---- */

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

static void make_env(struct inv_dispatch *d)
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
    };
}

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
    make_env(d);
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
        .arg = d,
    });
    d->prewarm = inv_prewarm_new(&(struct inv_prewarm_conf){
        .loop = conf->loop,
        .settings = conf->settings,
        .manifest = conf->manifest,
        .pool = d->pool,
        .metrics = conf->metrics,
        .spread = conf->spread,
        .create = create_prewarmed,
        .remove = remove_expired,
        .wake = wake,
        .arg = d,
    });
    inv_run_buffer_init(&d->waiting, conf->loop, conf->metrics);
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
    if (draining)
        inv_prewarm_stop(d->prewarm);
    cw_defer_post(&d->retry);
}

void inv_dispatch_release(struct inv_dispatch *d,
                          bool (*which)(void *arg, const struct inv_job *job),
                          void (*fn)(void *arg, struct inv_job *job), void *arg)
{
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
    while ((job = inv_run_buffer_first(&d->waiting))) {
        inv_run_buffer_take(&d->waiting, job);
        inv_job_stop(job, cw_loop_wall_ms(d->conf.loop));
        job->ended_in_container = true;
        end_job(d, job, INV_END_ABORTED);
    }
    CW_LIST_EACH (&d->holdings, h) {
        inv_container_kill(CW_LIST_ENTRY(h, struct holding, link)->container, why);
    }
}

size_t inv_dispatch_containers(const struct inv_dispatch *d)
{
    return d->holdings.count;
}

struct inv_resize *inv_dispatch_resize(struct inv_dispatch *d)
{
    return d->resize;
}

void inv_dispatch_stats(const struct inv_dispatch *d, struct inv_pool_stats *pool, size_t *waiting,
                        uint64_t *waiting_mb)
{
    inv_pool_stats(d->pool, pool);
    *waiting = d->waiting.jobs.count;
    *waiting_mb = d->waiting.memory_mb;
}

size_t inv_dispatch_idle_pairs(const struct inv_dispatch *d, uint64_t *pairs, size_t max)
{
    return inv_pool_idle_pairs(d->pool, pairs, max);
}
