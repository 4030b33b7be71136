#include "invoker/host_figures.h"

#include "invoker/dispatch.h"
#include "invoker/host_load.h"
#include "invoker/machine.h"
#include "invoker/monitor/monitor.h"
#include "invoker/placement/policy.h"
#include "invoker/resize/resize.h"
#include "invoker/resize/solver.h"

enum { MIB_SHIFT = 20 };

/* What no guarantee may take here, beyond what policies leave in any case, counts as promised: else
 * what does not fit would wait here while there is room elsewhere. */
static double guaranteed(const struct inv_resize *r)
{
    double most = (double)inv_resize_most_ppm(r) / INV_CPU_WHOLE_PPM;
    double held_back = 1 - INV_GUARANTEE_RESERVE - most;
    double sum = inv_resize_guaranteed(r) + (held_back > 0 ? held_back : 0);

    return sum < 1 ? sum : 1;
}

/* What user-memory promises beyond the limits of the groups that containers are in is not there. */
static void fit_into(const struct cw_usage_budget *budget, struct inv_host_view *ret)
{
    ret->cpu_total_millis = budget->cpu_millis;
    if (budget->memory_bytes >= 0 && budget->memory_bytes < ret->memory_total_bytes)
        ret->memory_total_bytes = budget->memory_bytes;
}

void inv_host_figures(const struct inv_host_sources *s, struct inv_host_view *ret)
{
    struct inv_pool_stats pool;
    struct inv_used used;
    uint64_t waiting_mb;
    size_t waiting;

    inv_dispatch_stats(s->dispatch, &pool, &waiting, &waiting_mb);
    ret->cpu_reserved_millis = inv_load_cpu_millis(s->load);
    ret->memory_total_bytes = (int64_t)pool.memory_mb << MIB_SHIFT;
    ret->memory_reserved_bytes = (int64_t)pool.used_mb << MIB_SHIFT;
    ret->memory_idle_bytes = (int64_t)pool.idle_mb << MIB_SHIFT;
    ret->mean_run_us = inv_load_mean_run_us(s->load);
    ret->cpu_guaranteed = guaranteed(inv_dispatch_resize(s->dispatch));
    ret->running = (uint32_t)(inv_dispatch_jobs(s->dispatch) - waiting);
    ret->starting = (uint32_t)pool.starting;
    ret->idle = (uint32_t)pool.idle;
    ret->queued = (uint32_t)(waiting + s->queued);
    ret->lag = s->lag > 0 ? (uint64_t)s->lag : 0;
    ret->set = s->set;
    ret->draining = s->draining;
    ret->alone = s->alone;
    if (!s->monitor) {
        ret->cpu_total_millis = inv_machine_cpu_millis();
        return;
    }
    fit_into(&inv_monitor_host(s->monitor)->budget, ret);
    used = inv_monitor_used(s->monitor); /* what containers say of themselves decides nothing */
    ret->cpu_used_millis = used.cpu_millis;
    ret->memory_used_bytes = used.memory_bytes;
}
