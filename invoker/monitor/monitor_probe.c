/* Containers whose groups cannot be seen, through the probes in them (common/cgroup/usage_probe.h).
 */
#include <stdio.h>
#include <unistd.h>

#include "common/cgroup/usage_probe.h"
#include "common/driver/container_driver.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/monitor/monitor.h"
#include "invoker/monitor/monitor_priv.h"

enum { PATH_MAX_BYTES = 4096 };

static void on_fault(void *arg, const char *id, const char *text)
{
    struct inv_monitor *m = arg;

    cw_counter_add(m->probe_faults, 1);
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "container %.12s: %s (said once, until it answers properly)", id, text);
}

static void on_fresh(void *arg, void *owner)
{
    struct inv_watched *w = owner;

    (void)arg;
    cw_defer_post(&w->settle);
}

static bool is_there(const char *root, const char *name)
{
    char path[PATH_MAX_BYTES];
    int n = snprintf(path, sizeof(path), "%s/%s", root, name);

    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

void inv_monitor_start_probes(struct inv_monitor *m, const char *cgroup_root)
{
    m->hidden = !is_there(cgroup_root, "cgroup.controllers") && !is_there(cgroup_root, "memory");
    m->probes =
        cw_usage_probes_new(&(struct cw_usage_probes_conf){.loop = m->conf.loop,
                                                           .interval_ms = m->conf.interval_ms,
                                                           .on_fault = on_fault,
                                                           .on_fresh = on_fresh,
                                                           .arg = m});
}

bool inv_monitor_wants_probe(const struct inv_monitor *m)
{
    if (!m || m->conf.interval_ms == 0 || m->conf.probe == INV_PROBE_OFF)
        return false;
    return m->conf.probe == INV_PROBE_ALWAYS || m->hidden;
}

void inv_monitor_use_probe(struct inv_watched *w, const struct cw_container *real)
{
    if (!w || w->group || w->probe || !real->probe_port || w->m->conf.interval_ms == 0)
        return;
    w->probe = cw_usage_probe_open(w->m->probes, w, w->id, real->address, real->probe_port,
                                   real->probe_token, w->memory_bytes);
    inv_watched_activate(w);
}

/* Once for all runs that have ended: whatever comes next finds them. */
bool inv_watched_refresh(struct inv_watched *w)
{
    w->refreshing = w->probe && !w->refreshing && !w->forgotten && cw_usage_probe_refresh(w->probe);
    return w->refreshing;
}

bool inv_watched_look_through_probe(struct inv_watched *w, struct cw_usage *ret)
{
    int64_t at_us;

    if (!cw_usage_probe_sample(w->probe, ret, &at_us) || at_us == w->sampled_us)
        return false;
    w->sampled_us = w->stat_us = at_us;
    w->stat_memory = ret->memory_bytes;
    return true;
}
