/* Finds a job its container: one that is there, one to be created, or another host's. */
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "invoker/container/spec.h"
#include "invoker/dispatch_hold.h"
#include "invoker/dispatch_priv.h"
#include "invoker/dispatch_starts.h"
#include "invoker/job.h"
#include "invoker/parked.h"
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
        h = dispatch_new_holding(d, slot);
        h->member = inv_resize_add(d->resize, h, wishes, &spec);
        h->container = inv_container_new(&d->env, &spec, job, h);
    }
    cw_arena_done(&arena);
}

void dispatch_create_prewarmed(void *arg, struct inv_slot *slot, const struct cw_runtime *rt)
{
    struct inv_dispatch *d = arg;
    struct holding *h = dispatch_new_holding(d, slot);
    struct cw_container_spec spec;
    struct cw_arena arena;

    cw_arena_init(&arena);
    inv_container_spec_prewarmed(d->conf.settings, d->conf.instance, ++d->created, rt,
                                 slot->memory_mb, &arena, &spec);
    h->member = inv_resize_add(d->resize, h, NULL, &spec);
    h->container = inv_container_new_prewarmed(&d->env, &spec, h);
    cw_arena_done(&arena);
}

static void tell_start(struct inv_dispatch *d, const struct inv_job *job,
                       const struct inv_decision *decision)
{
    const struct holding *h = decision->slot->owner; /* NULL: it is to be created */

    inv_starts_tell(d->starts, job, decision, h ? inv_container_name(h->container) : NULL);
}

/* The run buffer, or those that wait for a busy container. */
static void leave_list(struct inv_dispatch *d, struct inv_job *job)
{
    if (job->parked)
        inv_parked_take(d->parked, job);
    else if (cw_link_on_list(&job->link))
        inv_run_buffer_take(&d->waiting, job);
}

/* Others of its action came before it, and wait for the containers that it would take. */
static bool is_behind(const struct inv_dispatch *d, const struct inv_job *job,
                      const struct inv_pool_need *need)
{
    return !job->impatient && inv_parked_total(d->parked) &&
           inv_parked_count(d->parked, inv_pool_pair(need));
}

/* What is idle in front of which others wait is theirs at the next turn: as good as busy. */
static void look_around(struct inv_dispatch *d, const struct inv_job *job,
                        const struct inv_pool_need *need, const struct inv_wishes *wishes,
                        struct inv_here *ret)
{
    bool behind = is_behind(d, job, need);
    struct inv_pool_pair_stats stats;

    inv_pool_pair_stats(d->pool, need, &stats);
    *ret = (struct inv_here){
        .warm = behind ? 0 : stats.idle,
        .busy = stats.busy + (behind ? stats.idle : 0),
        .waiting = inv_parked_count(d->parked, inv_pool_pair(need)),
        .may_wait = !job->impatient && !d->draining && !inv_hold_on(d->hold),
        .guarantee_ppm = wishes->guarantee_ppm,
    };
}

/* A warm container here is passed over only where it would be no use. */
static bool stays(struct inv_dispatch *d, const struct inv_job *job,
                  const struct inv_pool_need *need)
{
    struct inv_pool_pair_stats stats;

    if (!d->conf.stays || d->conf.stays(d->conf.arg, job, need))
        return true;
    inv_pool_pair_stats(d->pool, need, &stats);
    return stats.idle == 0; /* where to is asked in any case, then */
}

/* AWAY, BUSY: it is on none of our lists, or parked. Otherwise it is where it was. */
static enum inv_where ask_where(struct inv_dispatch *d, struct inv_job *job,
                                const struct inv_pool_need *need, const struct inv_wishes *wishes)
{
    struct cw_link *place = NULL;
    int64_t patience_us = 0;
    struct inv_here here;
    enum inv_where where;

    if (!d->conf.where)
        return INV_WHERE_HERE;
    if (cw_link_on_list(&job->link))
        place = inv_run_buffer_take(&d->waiting, job);
    look_around(d, job, need, wishes, &here);
    where = d->conf.where(d->conf.arg, job, need, &here, &patience_us);
    if (where == INV_WHERE_AWAY)
        d->jobs--;
    else if (where == INV_WHERE_BUSY)
        inv_parked_add(d->parked, inv_pool_pair(need), job, patience_us);
    else if (place)
        inv_run_buffer_undo(&d->waiting, place, job);
    return where;
}

static void refuse(struct inv_dispatch *d, struct inv_job *job, const char *text)
{
    leave_list(d, job);
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT, "activation %s: %s", job->msg->activation_id,
           text);
    job->at[INV_AT_PLACED] = now_us(d);
    dispatch_fail_job(d, job, CW_STATUS_DEVELOPER_ERROR, text);
}

static void refuse_size(struct inv_dispatch *d, struct inv_job *job, uint32_t memory_mb)
{
    char text[160];

    (void)snprintf(text, sizeof(text),
                   "The action needs %u MB of memory, more than the %u MB of this invoker.",
                   memory_mb, inv_pool_memory_mb(d->pool));
    refuse(d, job, text);
}

static void put_into(struct inv_dispatch *d, struct inv_job *job,
                     const struct inv_decision *decision, const struct inv_wishes *wishes,
                     enum inv_adopt adopted)
{
    struct holding *h = decision->slot->owner;

    leave_list(d, job);
    job->at[INV_AT_PLACED] = now_us(d);
    if (d->conf.on_placed)
        d->conf.on_placed(d->conf.arg, job);
    tell_start(d, job, decision);
    dispatch_remove_chain(decision->evicted);
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
    dispatch_remove_chain(inv_pool_trim(d->pool, evict_mb));
    return true;
}

/* No container that is there will do: a new one, if there is room for it. */
static enum dispatch_placed place_new(struct inv_dispatch *d, struct inv_job *job,
                                      const struct inv_wishes *wishes,
                                      const struct inv_pool_need *need)
{
    struct inv_decision decision = {.choice = INV_CHOICE_WAIT};

    if (need->warm_only) {
        dispatch_make_room_for_cpu(d, job, wishes);
        return DISPATCH_NO_CPU;
    }
    if (!inv_hold_on(d->hold) && is_admitted(d, need))
        inv_pool_place_new(d->pool, need, &decision);
    if (decision.choice == INV_CHOICE_WAIT)
        return DISPATCH_NO_ROOM;
    inv_hold_use_room(d->hold);
    put_into(d, job, &decision, wishes, INV_ADOPT_DONE);
    return DISPATCH_PLACED;
}

enum dispatch_placed dispatch_place(struct inv_dispatch *d, struct inv_job *job)
{
    struct inv_decision decision = {.choice = INV_CHOICE_WAIT};
    enum inv_where where = INV_WHERE_HERE;
    enum inv_adopt adopted = INV_ADOPT_DONE;
    struct inv_pool_need need;
    struct inv_wishes wishes;
    struct cw_err err = {0};
    bool behind, asked;

    if (dispatch_read_wishes(d, job, &wishes, &err) != 0) {
        refuse(d, job, err.msg);
        return DISPATCH_PLACED;
    }
    need_of(d, job, &need);
    behind = is_behind(d, job, &need);
    if (behind)
        dispatch_adapt_need(d, job, &wishes, &need); /* as choose_existing does */
    asked = behind || !stays(d, job, &need);
    if (asked)
        where = ask_where(d, job, &need, &wishes);
    if (!behind && (where == INV_WHERE_HERE || where == INV_WHERE_LATER))
        adopted = choose_existing(d, job, &wishes, &need, &decision);
    if (!asked && !decision.slot)
        where = ask_where(d, job, &need, &wishes);
    if (where == INV_WHERE_AWAY || where == INV_WHERE_BUSY)
        return DISPATCH_PLACED;
    if (decision.slot) {
        put_into(d, job, &decision, &wishes, adopted);
        return DISPATCH_PLACED;
    }
    if (decision.choice != INV_CHOICE_NEVER)
        return place_new(d, job, &wishes, &need);
    if (where == INV_WHERE_LATER)
        return DISPATCH_LATER;
    refuse_size(d, job, need.memory_mb);
    return DISPATCH_PLACED;
}

/* The container that became free is for the first of them. false: there is none for it. */
static bool place_first(struct inv_dispatch *d, struct inv_job *job, struct inv_pool_need *need)
{
    struct inv_decision decision;
    struct inv_wishes wishes;
    enum inv_adopt adopted;

    if (dispatch_read_wishes(d, job, &wishes, NULL) != 0)
        return false; /* it was read before */
    adopted = choose_existing(d, job, &wishes, need, &decision);
    if (!decision.slot)
        return false;
    put_into(d, job, &decision, &wishes, adopted);
    return true;
}

static void place_parked_of(struct inv_dispatch *d, uint64_t pair)
{
    struct inv_pool_pair_stats stats;
    struct inv_pool_need need;
    struct inv_job *job;

    while ((job = inv_parked_first(d->parked, pair))) {
        if (d->conf.stale && inv_stale_ends(d->conf.stale, job, job->action)) {
            leave_list(d, job);
            dispatch_end_job(d, job, INV_END_FAILED_START);
            continue;
        }
        need_of(d, job, &need);
        if (place_first(d, job, &need))
            continue;
        inv_pool_pair_stats(d->pool, &need, &stats);
        if (stats.busy + stats.idle + stats.starting == 0)
            inv_parked_give_up(d->parked, pair); /* they waited for containers that have died */
        return;
    }
}

void dispatch_place_parked(struct inv_dispatch *d)
{
    uint64_t pair;

    while (inv_parked_next_ready(d->parked, &pair))
        place_parked_of(d, pair);
}
