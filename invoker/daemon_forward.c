/* Work between invokers: what we give to others, what they give to us, and where an activation had
 * best go. Only with kv: without it there is nobody else. */
#include <stdlib.h>

#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/kv/kv.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/model/manifest.h"
#include "common/obs/log.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/forward/away.h"
#include "invoker/forward/guests.h"
#include "invoker/host_load.h"
#include "invoker/hosts.h"
#include "invoker/intake.h"
#include "invoker/job.h"
#include "invoker/ledger.h"
#include "invoker/monitor/monitor.h"
#include "invoker/placement/policy.h"
#include "invoker/placement_counts.h"
#include "invoker/pool/pool.h"
#include "invoker/resize/solver.h"
#include "invoker/settings.h"

enum {
    MIB_SHIFT = 20,
    GUESTS_MAX_BYTES = 32 << 20,
    GONE_GRACE_MS = 3000,
    VIEWS_MORE = 16,
};

/* ---- what went out ---- */

static void on_away_there(void *arg, const struct inv_job *job, const struct inv_journal_peer *peer)
{
    struct inv_daemon *d = arg;

    inv_ledger_forwarded(d->ledger, job->ticket, peer);
}

static void on_away_ended(void *arg, int64_t ticket, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_ledger_acked(d->ledger, ticket);
    inv_ledger_stored(d->ledger, ticket);
    if (job)
        inv_daemon_drop(d, job);
    else
        inv_daemon_forget_predecessor(d);
}

/* One of a predecessor has no action yet. */
static void on_away_returned(void *arg, int64_t ticket, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_ledger_returned(d->ledger, ticket);
    if (!job)
        return;
    if (d->killed || d->refusing)
        inv_daemon_refuse(d, job);
    else if (job->action)
        inv_dispatch_submit(d->dispatch, job);
    else
        inv_intake_job(d->intake, job);
}

static void on_away_use(void *arg, uint64_t peer, bool used)
{
    struct inv_daemon *d = arg;

    if (used)
        inv_hosts_pin(d->hosts, peer);
    else
        inv_hosts_unpin(d->hosts, peer);
}

static void on_away_lost(void *arg, struct inv_job *job, const char *text)
{
    struct inv_daemon *d = arg;

    inv_job_excuse(job, text, cw_loop_wall_ms(d->loop));
    inv_daemon_finish(d, job, INV_END_FAILED_START);
}

/* ---- where to ---- */

static void ask_for(struct inv_daemon *d, const struct inv_job *job,
                    const struct inv_pool_need *need, const struct inv_here *here,
                    struct inv_ask *ret)
{
    uint64_t pair = inv_pool_pair(need);
    struct inv_pace pace;

    inv_load_pace(d->load, pair, cw_loop_mono_us(d->loop), &pace);
    *ret = (struct inv_ask){
        .cpu_millis = inv_daemon_cpu_need(d, job, pair),
        .memory_bytes = (uint64_t)(need->charge_mb ? need->charge_mb : need->memory_mb)
                        << MIB_SHIFT,
        .action_key = pair,
        .home_hash = inv_home_hash(need->namespace_name, cw_slice_of(job->msg->action.full)),
        .cpu_guarantee = (double)here->guarantee_ppm / INV_CPU_WHOLE_PPM,
        .blackbox =
            job->action->image && !cw_manifest_is_native_blackbox(d->manifest, job->action->image),
        .cold_start_us = pace.cold_us,
        .run_us = pace.run_us,
        .waited_us = pace.waited_us,
        .seed = pair ^ (uint64_t)d->settings->id ^ (uint64_t)job->at[INV_AT_TAKEN],
    };
}

/* There is somebody else, and the job may go there. */
static bool may_leave(const struct inv_daemon *d, const struct inv_job *job)
{
    return d->guests && d->phase == PHASE_RUNNING && !job->guest && !job->came_back &&
           inv_hosts_alive(d->hosts) > 0;
}

static void make_views(struct inv_daemon *d, size_t count)
{
    if (count <= d->views_max)
        return;
    free(d->views);
    d->views_max = count + VIEWS_MORE;
    d->views = cw_alloc(d->views_max * sizeof(*d->views));
}

/* This host comes first; alone: there is nobody else. */
static void choose(struct inv_daemon *d, const struct inv_ask *ask, const struct inv_here *here,
                   bool alone, struct inv_placement *ret)
{
    size_t count = alone ? 1 : inv_hosts_alive(d->hosts) + 1;
    struct inv_host_view *self;

    make_views(d, count);
    count = inv_hosts_view(d->hosts, ask->action_key, d->views, count);
    self = &d->views[0];
    self->warm = here->warm;
    self->busy = here->busy;
    self->waiting = here->waiting;
    self->alone = false;
    self->draining &= !alone; /* what is here runs here; others may have to go elsewhere */
    inv_policy_place((enum inv_policy)d->settings->placement_policy, d->views, count, ask, ret);
    inv_placement_counts_add(d->placement_counts, ret);
}

static bool send_to(struct inv_daemon *d, struct inv_job *job, uint64_t host,
                    const struct inv_ask *ask)
{
    struct inv_away_peer to = {.process.id = host};
    struct cw_err err = {0};
    struct inv_peer peer;

    if (!inv_hosts_find(d->hosts, host, &peer) || !peer.alive)
        return false;
    if (inv_ledger_start(d->ledger, job->ticket, &err) != 0)
        return false; /* so will its start here, which says why */
    to.process.boot = peer.boot;
    to.topic = peer.topic;
    if (!inv_away_send(d->away, job, &to))
        return false;
    inv_hosts_forwarded(d->hosts, host, ask->action_key, ask->cpu_millis, ask->memory_bytes);
    return true;
}

/* It would never run here, but another host is large enough: there will be room one day. */
static bool is_for_others(struct inv_daemon *d, const struct inv_ask *ask,
                          const struct inv_placement *placed)
{
    if (placed->host >= 0 || (uint64_t)d->views[0].memory_total_bytes >= ask->memory_bytes ||
        (placed->why != INV_WAIT_MEMORY && placed->why != INV_WAIT_CPU))
        return false;
    inv_daemon_look_again(d);
    return true;
}

enum inv_where inv_daemon_where(void *arg, struct inv_job *job, const struct inv_pool_need *need,
                                const struct inv_here *here, int64_t *ret_patience_us)
{
    struct inv_daemon *d = arg;
    bool alone = !may_leave(d, job);
    bool may_wait = here->may_wait && here->busy > 0 && d->settings->placement_wait;
    struct inv_placement placed;
    struct inv_ask ask;

    inv_daemon_note_left(d, job);
    if (alone && !may_wait)
        return INV_WHERE_HERE;
    ask_for(d, job, need, here, &ask);
    ask.may_wait = may_wait;
    choose(d, &ask, here, alone, &placed);
    *ret_patience_us = placed.patience_us;
    if (placed.why == INV_WAIT_BUSY) {
        inv_load_waits(d->load, ask.action_key, cw_loop_mono_us(d->loop), placed.wait_us);
        return INV_WHERE_BUSY;
    }
    if (placed.host == 0 && here->busy > 0 && here->warm == 0)
        inv_load_bought(d->load, ask.action_key);
    if (placed.host > 0) {
        inv_daemon_touch(d, job);
        if (send_to(d, job, d->views[placed.host].id, &ask))
            return INV_WHERE_AWAY;
    }
    return is_for_others(d, &ask, &placed) ? INV_WHERE_LATER : INV_WHERE_HERE;
}

bool inv_daemon_stays(void *arg, const struct inv_job *job, const struct inv_pool_need *need)
{
    struct inv_daemon *d = arg;
    struct inv_host_view self;
    struct inv_ask ask = {0};

    if (d->settings->placement_policy != INV_POLICY_HYBRID || !may_leave(d, job))
        return true;
    self = (struct inv_host_view){
        .cpu_total_millis = inv_monitor_host(d->monitor)->budget.cpu_millis,
        .cpu_used_millis = d->cpu_used_millis,
        .cpu_reserved_millis = inv_load_cpu_millis(d->load),
        .memory_total_bytes = 1, /* it is warm: memory does not matter */
    };
    ask.cpu_millis = inv_daemon_cpu_need(d, job, inv_pool_pair(need));
    return inv_policy_stays(&self, &ask);
}

/* ---- what came in ---- */

static void on_guest(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_intake_job(d->intake, job);
}

static void on_report(void *arg, const struct cw_peer_message *report)
{
    struct inv_daemon *d = arg;

    inv_away_report(d->away, report);
}

static int keep_reports(void *arg, struct cw_err *err)
{
    struct inv_daemon *d = arg;

    return inv_ledger_flush(d->ledger, err);
}

bool inv_daemon_give_back(struct inv_daemon *d, struct inv_job *job)
{
    if (!job->guest || job->at[INV_AT_RUN_SENT] != 0)
        return false;
    inv_guests_return(d->guests, job);
    return true;
}

/* ---- life ---- */

/* While kv is down nobody is known to have ended. */
static bool lives(void *arg, const struct inv_journal_peer *peer)
{
    struct inv_daemon *d = arg;
    struct inv_peer found;

    if (!cw_kv_up(d->kv))
        return true;
    return inv_hosts_find(d->hosts, peer->id, &found) && found.alive && found.boot == peer->boot;
}

void inv_daemon_hosts_changed(struct inv_daemon *d)
{
    if (d->away)
        inv_away_check(d->away, lives, d);
    inv_dispatch_look_again(d->dispatch); /* what waits may find room elsewhere now */
}

static int make_guests(struct inv_daemon *d, struct cw_err *err)
{
    d->guests = inv_guests_new(
        &(struct inv_guests_conf){
            .loop = d->loop,
            .bus = d->bus,
            .metrics = d->metrics,
            .topic = d->peer_topic,
            .instance_id = d->member_id,
            .boot = d->boot,
            .capacity = d->guests_max,
            .max_bytes = GUESTS_MAX_BYTES,
            .on_guest = on_guest,
            .on_report = on_report,
            .keep = keep_reports,
            .arg = d,
        },
        err);
    return d->guests ? 0 : -1;
}

static void make_away(struct inv_daemon *d)
{
    d->away = inv_away_new(&(struct inv_away_conf){
        .loop = d->loop,
        .bus = d->bus,
        .metrics = d->metrics,
        .topic = d->peer_topic,
        .instance = cw_str_slice(&d->instance),
        .max_bytes = (size_t)d->max_message_bytes,
        .time_std_ms = d->settings->time_std_ms,
        .time_max_ms = d->settings->time_max_ms,
        .gone_grace_ms = GONE_GRACE_MS,
        .on_there = on_away_there,
        .on_ended = on_away_ended,
        .on_returned = on_away_returned,
        .on_lost = on_away_lost,
        .on_use = on_away_use,
        .arg = d,
    });
}

static void expect(void *arg, int64_t ticket, const char *activation_id,
                   const struct inv_journal_peer *peer)
{
    struct inv_daemon *d = arg;

    inv_away_expect(d->away, ticket, activation_id, peer);
}

static bool may_forward(const struct inv_daemon *d)
{
    return d->kv && d->settings->forward;
}

void inv_daemon_expect_forwarded(struct inv_daemon *d)
{
    if (!may_forward(d))
        return;
    make_away(d);
    inv_ledger_forwarded_left(d->ledger, expect, d);
}

bool inv_daemon_adopt_forwarded(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    if (!d->away || !inv_away_adopt(d->away, job))
        return false;
    cw_log(CW_LOG_INFO, &job->msg->tx, COMPONENT,
           "activation %s was forwarded by the invoker before this one: its end is waited for",
           job->msg->activation_id);
    return true;
}

/* Others are told of us when we can take what they send. */
static void on_peer_topic(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;
    struct cw_err problem = {0};

    if (d->phase != PHASE_RUNNING)
        return;
    if (!err && make_guests(d, &problem) == 0) {
        inv_daemon_hold_or_hand_out(d);
    } else {
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "topic %s: %s; nothing is forwarded from here or to here", d->peer_topic,
               err ? err->msg : problem.msg);
        inv_away_kill(d->away, "The activation was interrupted: its end cannot be heard of.");
    }
    inv_hosts_start(d->hosts);
}

void inv_daemon_start_forwarding(struct inv_daemon *d, size_t guests_max)
{
    const struct cw_topic_spec topic = {
        .name = d->peer_topic,
        .partitions = 1,
        .replication_factor = (int)d->settings->replication_factor,
        .config = d->topic_config,
    };

    d->guests_max = guests_max;
    if (may_forward(d))
        cw_bus_ensure_topic(d->bus, &topic, on_peer_topic, d);
    else
        inv_hosts_start(d->hosts);
}
