/* Whether another container is started here: what it is charged, and the guards where more is
 * promised than there is. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/cgroup/usage.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/job.h"
#include "invoker/machine.h"
#include "invoker/monitor/monitor.h"
#include "invoker/placement/admission.h"
#include "invoker/pool/pool.h"
#include "invoker/profiles.h"
#include "invoker/settings.h"

enum {
    MIB_SHIFT = 20,
    LOOK_AGAIN_MS = 500,
    COLD_STARTS_PER_CORE = 1, /* more drive themselves up in a burst (docs/placement.md) */
    TELL_EVERY_US = 10 * 1000000,
};

static bool infers(const struct inv_daemon *d)
{
    return d->settings->admission == INV_CHARGE_INFERRED;
}

uint32_t inv_daemon_pool_mb(const struct inv_daemon *d)
{
    int64_t limit = inv_monitor_host(d->monitor)->budget.memory_bytes;
    int64_t bytes = d->settings->user_memory_bytes;

    if (infers(d))
        bytes = (limit >= 0 ? limit : inv_machine_memory_bytes()) - d->settings->memory_floor_bytes;

    return bytes >> MIB_SHIFT > 0 ? (uint32_t)(bytes >> MIB_SHIFT) : 1;
}

uint64_t inv_daemon_memory_need(void *arg, const struct cw_action *action)
{
    const struct inv_daemon *d = arg;
    struct inv_need need;

    inv_profiles_need(d->profiles, action, INV_TRUST_KERNEL, &need);
    return need.memory_bytes;
}

/* Rounded up: what is inferred is near, never below. */
uint32_t inv_daemon_charge(void *arg, const struct inv_job *job)
{
    return (uint32_t)((inv_daemon_memory_need(arg, job->action) + (1 << MIB_SHIFT) - 1) >>
                      MIB_SHIFT);
}

static uint32_t stall_of(const struct cw_usage_host *h, enum cw_usage_host_part part,
                         const struct cw_pressure *p)
{
    return h->have & part ? p->some_avg10 : 0;
}

/* -1: not known. */
static int64_t available(const struct inv_daemon *d)
{
    const struct inv_host_usage *host = inv_monitor_host(d->monitor);
    int64_t free_bytes =
        host->now.have & CW_HOST_MEMORY ? (int64_t)host->now.memory_available_bytes : -1;
    int64_t left = host->budget.memory_available_bytes;

    return left >= 0 && (free_bytes < 0 || left < free_bytes) ? left : free_bytes;
}

static void fill_state(struct inv_daemon *d, struct inv_admission_state *ret)
{
    const struct cw_usage_host *host = &inv_monitor_host(d->monitor)->now;
    struct inv_pool_stats pool;
    uint64_t waiting_mb;
    size_t waiting;

    inv_dispatch_stats(d->dispatch, &pool, &waiting, &waiting_mb);
    *ret = (struct inv_admission_state){
        .memory_total_bytes = (int64_t)pool.memory_mb << MIB_SHIFT,
        .memory_available_bytes = available(d),
        .memory_reserved_bytes = (int64_t)pool.used_mb << MIB_SHIFT,
        .memory_idle_bytes = (int64_t)pool.idle_mb << MIB_SHIFT,
        .memory_stall = stall_of(host, CW_HOST_PRESSURE_MEMORY, &host->memory),
        .cpu_stall = stall_of(host, CW_HOST_PRESSURE_CPU, &host->cpu),
        .running = (uint32_t)(pool.active - pool.starting),
        .starting = (uint32_t)pool.starting,
    };
}

/* At least one, on whatever part of a core. */
static int64_t cold_starts_of(const struct inv_daemon *d)
{
    return (COLD_STARTS_PER_CORE * inv_monitor_host(d->monitor)->budget.cpu_millis + 999) / 1000;
}

static void fill_conf(const struct inv_daemon *d, struct inv_admission_conf *ret)
{
    const struct inv_settings *s = d->settings;
    int64_t cold_starts = s->cold_starts;

    if (cold_starts == 0 && infers(d))
        cold_starts = cold_starts_of(d);
    *ret = (struct inv_admission_conf){
        .charge = (enum inv_charge)s->admission,
        .user_memory_bytes = s->user_memory_bytes,
        .floor_bytes = s->memory_floor_bytes,
        .memory_stall_max = (uint32_t)(s->memory_stall_max * 100),
        .cpu_stall_max = (uint32_t)(s->cpu_stall_max * 100),
        .cold_starts_max = (uint32_t)cold_starts,
    };
}

/* Why activations wait although the books would let them start. */
static void tell_hold(struct inv_daemon *d, enum inv_hold_reason why)
{
    int64_t now = cw_loop_mono_us(d->loop);

    cw_counter_add(d->admission_holds[why], 1);
    if (d->admission_told_us && now - d->admission_told_us < TELL_EVERY_US)
        return;
    d->admission_told_us = now;
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "no new containers for now: %s",
           inv_hold_reason_name(why));
}

void inv_daemon_look_again(struct inv_daemon *d)
{
    if (!cw_timer_pending(&d->admission_again))
        cw_timer_set_ms(&d->admission_again, LOOK_AGAIN_MS);
}

bool inv_daemon_admits(void *arg, uint32_t charge_mb, uint32_t *evict_mb)
{
    struct inv_daemon *d = arg;
    struct inv_admission_state state;
    struct inv_admission_conf conf;
    struct inv_admission judged;

    *evict_mb = 0;
    fill_state(d, &state);
    fill_conf(d, &conf);
    inv_admission_judge(&conf, &state, (uint64_t)charge_mb << MIB_SHIFT, &judged);
    if (judged.verdict == INV_ADMIT)
        return true;
    if (judged.verdict == INV_EVICT && judged.why != INV_HOLD_MEMORY) {
        *evict_mb = (uint32_t)((judged.evict_bytes + (1 << MIB_SHIFT) - 1) >> MIB_SHIFT);
        return true;
    }
    if (judged.why == INV_HOLD_MEMORY || judged.why == INV_HOLD_TOO_LARGE)
        return true; /* the books say it themselves, and when it has room */
    tell_hold(d, judged.why);
    inv_daemon_look_again(d);
    return false;
}

/* So that charts can draw them. */
static void show_guards(struct inv_daemon *d)
{
    struct inv_admission_conf conf;
    const char *help = "Pressure above which new containers have to wait; 0: never.";

    fill_conf(d, &conf);
    cw_gauge_set(
        cw_metrics_gauge(d->metrics, "cwhisk_admission_stall_max_ratio", "resource=\"cpu\"", help),
        conf.cpu_stall_max / 1e4);
    cw_gauge_set(cw_metrics_gauge(d->metrics, "cwhisk_admission_stall_max_ratio",
                                  "resource=\"memory\"", NULL),
                 conf.memory_stall_max / 1e4);
    cw_gauge_set(cw_metrics_gauge(d->metrics, "cwhisk_admission_floor_bytes", NULL,
                                  "Memory of the host that stays free of new containers."),
                 (double)conf.floor_bytes);
    cw_gauge_set(cw_metrics_gauge(d->metrics, "cwhisk_admission_cold_starts_max", NULL,
                                  "Containers that may be started at the same time; 0: any."),
                 conf.cold_starts_max);
}

void inv_daemon_on_budget(void *arg)
{
    struct inv_daemon *d = arg;

    if (infers(d))
        inv_dispatch_set_memory(d->dispatch, inv_daemon_pool_mb(d));
    inv_profiles_set_share(d->profiles, (uint32_t)inv_monitor_host(d->monitor)->budget.cpu_millis);
    show_guards(d);
}

static void look_again(void *arg)
{
    struct inv_daemon *d = arg;

    inv_dispatch_look_again(d->dispatch);
}

void inv_daemon_init_admission(struct inv_daemon *d)
{
    show_guards(d);
    cw_timer_init(&d->admission_again, d->loop, look_again, d);
    for (int why = 0; why < INV_HOLD_REASONS; why++) {
        char label[48];

        (void)snprintf(label, sizeof(label), "reason=\"%s\"",
                       inv_hold_reason_name((enum inv_hold_reason)why));
        d->admission_holds[why] =
            cw_metrics_counter(d->metrics, "cwhisk_admission_holds_total", label,
                               "Times that a new container had to wait although there was memory.");
    }
}
