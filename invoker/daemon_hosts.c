/* The other invokers: what this one says of itself, where it says it, and what all learn. */
#include <inttypes.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "invoker/admin.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/feed.h"
#include "invoker/health.h"
#include "invoker/host_figures.h"
#include "invoker/host_gauges.h"
#include "invoker/host_load.h"
#include "invoker/hosts.h"
#include "invoker/intake.h"
#include "invoker/job.h"
#include "invoker/machine.h"
#include "invoker/monitor/monitor.h"
#include "invoker/placement_counts.h"
#include "invoker/pool/pool.h"
#include "invoker/profile_ask.h"
#include "invoker/profiles.h"
#include "invoker/settings.h"

enum {
    MIB_SHIFT = 20,
    NAME_MAX_BYTES = 4096,
    KEEP_NEED_US = 250000, /* inferring one takes microseconds, and evidence comes slowly */
};

/* ---- what runs here ---- */

uint32_t inv_daemon_cpu_need(struct inv_daemon *d, const struct inv_job *job, uint64_t pair)
{
    int64_t now_us = cw_loop_mono_us(d->loop);
    uint32_t known = inv_load_need(d->load, pair, now_us, KEEP_NEED_US);
    struct inv_need need;

    if (known)
        return known;
    inv_profiles_need(d->profiles, job->action, INV_TRUST_ALL, &need);
    inv_load_set_need(d->load, pair, now_us, need.cpu_millis);
    return need.cpu_millis;
}

static uint64_t pair_of(const struct inv_job *job)
{
    return inv_pool_pair(&(struct inv_pool_need){
        .namespace_name = cw_slice_of(job->msg->user.namespace_name),
        .action_hash = job->action->hash,
    });
}

void inv_daemon_note_placed(struct inv_daemon *d, struct inv_job *job)
{
    inv_load_placed(d->load, job, inv_daemon_cpu_need(d, job, pair_of(job)));
}

void inv_daemon_note_left(struct inv_daemon *d, struct inv_job *job)
{
    inv_load_left(d->load, job);
}

void inv_daemon_note_ended(struct inv_daemon *d, struct inv_job *job)
{
    inv_load_left(d->load, job);
    if (job->at[INV_AT_RUN_SENT])
        inv_load_learn(d->load, pair_of(job), job, cw_loop_mono_us(d->loop));
}

/* ---- what others are told ---- */

/* Takes something new at all. */
static bool takes_work(const struct inv_daemon *d)
{
    return d->phase == PHASE_RUNNING && !d->engine_away && d->health &&
           inv_health_enabled(d->health);
}

/* As controllers see it, where they have the same settings. */
static enum inv_host_set set_of(const struct inv_daemon *d)
{
    size_t count, rank = inv_hosts_rank(d->hosts, &count);

    return inv_host_set_of(rank, count, d->settings->managed_fraction,
                           d->settings->blackbox_fraction);
}

static void fill(void *arg, struct inv_host_view *v)
{
    struct inv_daemon *d = arg;

    inv_host_figures(
        &(struct inv_host_sources){
            .dispatch = d->dispatch,
            .monitor = d->monitor,
            .load = d->load,
            .queued = inv_intake_fetching(d->intake) + (d->feed ? inv_feed_queued(d->feed) : 0),
            .lag = d->feed ? inv_feed_lag(d->feed) : -1,
            .draining = !takes_work(d),
            .alone = takes_work(d) && !d->guests,
            .set = set_of(d),
        },
        v);
    d->cpu_used_millis = v->cpu_used_millis;
}

static size_t idle_pairs(void *arg, uint64_t *pairs, size_t max)
{
    const struct inv_daemon *d = arg;

    return inv_dispatch_idle_pairs(d->dispatch, pairs, max);
}

static void on_change(void *arg)
{
    inv_daemon_hosts_changed(arg);
}

static void make_profiles(struct inv_daemon *d)
{
    const struct inv_settings *s = d->settings;
    const struct inv_need_conf model = {.model = (enum inv_need_model)s->need_model};
    cw_auto_str struct cw_str path;

    cw_str_init(&path, NAME_MAX_BYTES);
    cw_str_addf(&path, "%s/%s.profiles", s->data_dir, d->invoker_topic);
    d->profiles = inv_profiles_new(&(struct inv_profiles_conf){
        .loop = d->loop,
        .kv = d->kv,
        .path = *s->data_dir && !path.failed ? path.p : NULL,
        .epoch_ms = s->profile_epoch_ms,
        .metrics = d->metrics,
        .model = model,
        .total_mb = (uint32_t)(inv_cpu_memory_bytes(s) >> MIB_SHIFT),
        .share_millis = (uint32_t)inv_monitor_host(d->monitor)->budget.cpu_millis,
        .limit_millis = (uint32_t)(s->user_cpus * 1000),
    });
    d->asks = inv_profile_asks_new(d->loop, d->catalog, d->profiles);
    inv_admin_add(d->admin,
                  &(struct inv_admin_route){"GET", "/profile", inv_profile_asks_answer, d->asks});
}

void inv_daemon_on_run(void *arg, const struct inv_run_report *run)
{
    struct inv_daemon *d = arg;

    inv_profiles_add(d->profiles, run);
}

bool inv_daemon_look_up_need(void *arg, const struct cw_action *action, struct inv_need *ret)
{
    const struct inv_daemon *d = arg;

    return d->profiles && inv_profiles_look(d->profiles, action, ret);
}

void inv_daemon_show_host(struct inv_daemon *d)
{
    struct inv_host_view v = {.id = (uint64_t)d->settings->id};

    if (!d->host_gauges)
        return;
    fill(d, &v);
    inv_host_gauges_set(d->host_gauges, &v);
}

int inv_daemon_make_hosts(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;

    d->load = inv_load_new();
    if (inv_redis_open(d->loop, &s->redis, s->cluster, d->boot, &d->kv, err) != 0)
        return -1;
    d->hosts = inv_hosts_new(&(struct inv_hosts_conf){
        .loop = d->loop,
        .kv = d->kv,
        .metrics = d->metrics,
        .id = (uint64_t)s->id,
        .topic = d->peer_topic,
        .instance = d->instance.p,
        .peers = (size_t)s->hosts_read,
        .boot = d->boot,
        .fill = fill,
        .idle_pairs = idle_pairs,
        .on_change = on_change,
        .arg = d,
    });
    d->host_gauges = inv_host_gauges_new(d->metrics);
    d->placement_counts = inv_placement_counts_new(d->metrics);
    inv_admin_add(d->admin, &(struct inv_admin_route){"GET", "/hosts", inv_hosts_answer, d->hosts});
    make_profiles(d);
    return 0;
}
