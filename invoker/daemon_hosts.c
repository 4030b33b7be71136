/* The other invokers: what this one says of itself, where it says it, and what all learn. */
#include <inttypes.h>

#include <openssl/rand.h>

#include "common/base/err.h"
#include "common/loop/loop.h"
#include "invoker/admin.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/feed.h"
#include "invoker/health.h"
#include "invoker/hosts.h"
#include "invoker/intake.h"
#include "invoker/machine.h"
#include "invoker/monitor/monitor.h"
#include "invoker/profiles.h"
#include "invoker/settings.h"

enum { MIB_SHIFT = 20, NAME_MAX_BYTES = 4096 };

static uint64_t draw_seed(void)
{
    uint64_t seed = 0;

    (void)RAND_bytes((unsigned char *)&seed, sizeof(seed)); /* any value does */
    return seed | 1;
}

/* What the CPU shares of running containers buy, when all of them want it. */
static int64_t share_millis(const struct inv_pool_stats *pool, int64_t total_millis)
{
    uint32_t active_mb = pool->used_mb - pool->idle_mb - pool->prewarmed_mb;

    return pool->memory_mb ? total_millis * active_mb / pool->memory_mb : 0;
}

static void add_usage(void *arg, const struct inv_container_usage *c)
{
    struct inv_host_view *v = arg;

    if (c->usage.untrusted) /* what containers say of themselves decides nothing */
        return;
    v->cpu_used_millis += c->cpu_millis;
    v->memory_used_bytes += (int64_t)c->usage.memory_bytes;
}

/* Others may send something here. */
static bool takes_guests(const struct inv_daemon *d)
{
    return d->phase == PHASE_RUNNING && d->guests && !d->engine_away && d->health &&
           inv_health_enabled(d->health);
}

static void fill(void *arg, struct inv_host_view *v)
{
    struct inv_daemon *d = arg;
    struct inv_pool_stats pool;
    uint64_t waiting_mb;
    size_t waiting;

    inv_dispatch_stats(d->dispatch, &pool, &waiting, &waiting_mb);
    v->cpu_total_millis = inv_machine_cpu_millis();
    v->cpu_reserved_millis = share_millis(&pool, v->cpu_total_millis);
    v->memory_total_bytes = (int64_t)pool.memory_mb << MIB_SHIFT;
    v->memory_reserved_bytes = (int64_t)pool.used_mb << MIB_SHIFT;
    v->memory_idle_bytes = (int64_t)pool.idle_mb << MIB_SHIFT;
    v->running = (uint32_t)(inv_dispatch_jobs(d->dispatch) - waiting);
    v->starting = (uint32_t)pool.starting;
    v->idle = (uint32_t)pool.idle;
    v->queued = (uint32_t)(waiting + inv_intake_fetching(d->intake));
    inv_monitor_each(d->monitor, add_usage, v);
    v->draining = !takes_guests(d);
    if (!d->feed)
        return;
    v->queued += (uint32_t)inv_feed_queued(d->feed);
    v->lag = inv_feed_lag(d->feed) > 0 ? (uint64_t)inv_feed_lag(d->feed) : 0;
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
        .share_millis = (uint32_t)inv_machine_cpu_millis(),
        .limit_millis = (uint32_t)(s->user_cpus * 1000),
    });
    inv_admin_add(d->admin,
                  &(struct inv_admin_route){"GET", "/profile", inv_profiles_answer, d->profiles});
}

void inv_daemon_on_run(void *arg, const struct inv_run_report *run)
{
    struct inv_daemon *d = arg;

    inv_profiles_add(d->profiles, run);
}

int inv_daemon_make_hosts(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;

    if (inv_redis_open(d->loop, &s->redis, s->cluster, draw_seed(), &d->kv, err) != 0)
        return -1;
    d->hosts = inv_hosts_new(&(struct inv_hosts_conf){
        .loop = d->loop,
        .kv = d->kv,
        .metrics = d->metrics,
        .id = (uint64_t)s->id,
        .topic = d->peer_topic,
        .instance = d->instance.p,
        .peers = (size_t)s->hosts_read,
        .seed = draw_seed(),
        .fill = fill,
        .idle_pairs = idle_pairs,
        .on_change = on_change,
        .arg = d,
    });
    inv_admin_add(d->admin, &(struct inv_admin_route){"GET", "/hosts", inv_hosts_answer, d->hosts});
    make_profiles(d);
    return 0;
}
