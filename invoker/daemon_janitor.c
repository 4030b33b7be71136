/* The janitor, from the settings. */
#include "common/cgroup/usage.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/janitor/janitor.h"
#include "invoker/janitor/owners.h"
#include "invoker/settings.h"

/* Its memory is free again. */
static void on_left_over(void *arg)
{
    struct inv_daemon *d = arg;

    inv_dispatch_room_for_one(d->dispatch);
}

void inv_daemon_make_janitor(struct inv_daemon *d)
{
    const struct inv_settings *s = d->settings;

    d->janitor_usage = cw_usage_source_new(s->cgroup_root, "/proc", inv_settings_cgroup_parent(s));
    if (s->janitor_others)
        d->owners = inv_owners_new(d->loop, d->bus, s->topic_prefix, s->janitor_others_ms);
    d->janitor = inv_janitor_new(&(struct inv_janitor_conf){
        .loop = d->loop,
        .driver = d->driver,
        .dispatch = d->dispatch,
        .metrics = d->metrics,
        .events = d->events,
        .usage = d->janitor_usage,
        .owners = d->owners,
        .policy = {.prefix = d->container_prefix,
                   .cluster = s->cluster,
                   .others = s->janitor_others,
                   .idle_ms = s->janitor_idle_ms,
                   .max_containers = (uint64_t)s->janitor_containers,
                   .memory_part = s->janitor_memory},
        .on_left_over = on_left_over,
        .arg = d,
        .instance = s->id,
        .boot = d->boot_label,
        .interval_ms = s->janitor_ms,
        .dry_run = s->janitor_dry_run,
    });
}
