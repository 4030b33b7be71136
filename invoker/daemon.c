/* What it is made of, in the order in which that must be made, and let go. */
#include "invoker/daemon.h"

#include <inttypes.h>
#include <signal.h>
#include <strings.h>

#include "common/base/boot.h"
#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/cgroup/freezer.h"
#include "common/cgroup/usage.h"
#include "common/driver/container_driver.h"
#include "common/http/client.h"
#include "common/kv/kv.h"
#include "common/model/instance_id.h"
#include "common/model/manifest.h"
#include "common/model/param_lock.h"
#include "common/obs/log.h"
#include "common/obs/token.h"
#include "common/store/docstore.h"
#include "invoker/ack.h"
#include "invoker/admin.h"
#include "invoker/blacklist.h"
#include "invoker/catalog.h"
#include "invoker/container/spec.h"
#include "invoker/daemon_priv.h"
#include "invoker/descriptors.h"
#include "invoker/dispatch.h"
#include "invoker/engine_watch.h"
#include "invoker/event_file.h"
#include "invoker/event_log.h"
#include "invoker/feed.h"
#include "invoker/forward/away.h"
#include "invoker/forward/guests.h"
#include "invoker/health.h"
#include "invoker/host_gauges.h"
#include "invoker/host_load.h"
#include "invoker/hosts.h"
#include "invoker/intake.h"
#include "invoker/janitor/janitor.h"
#include "invoker/janitor/owners.h"
#include "invoker/kafka_conf.h"
#include "invoker/ledger.h"
#include "invoker/lifecycle_times.h"
#include "invoker/logs/log_collector.h"
#include "invoker/logs/userlogs.h"
#include "invoker/monitor/monitor.h"
#include "invoker/ownership.h"
#include "invoker/placement_counts.h"
#include "invoker/profile_ask.h"
#include "invoker/profiles.h"
#include "invoker/records.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "invoker/store_check.h"
#include "invoker/telemetry.h"
#include "invoker/trace.h"
#include "invoker/watchdog.h"

enum {
    NAME_MAX_BYTES = 4096,
    INSTANCE_MAX_BYTES = 32768, /* goes into every ack and ping */
};

static void on_descriptors_short(void *arg, bool is_short)
{
    struct inv_daemon *d = arg;

    d->descriptors_short = is_short;
    if (d->feed)
        inv_daemon_hold_or_hand_out(d);
}

/* ---- construction ---- */

static const char *named(struct inv_daemon *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *named(struct inv_daemon *d, const char *fmt, ...)
{
    cw_auto_str struct cw_str text;
    va_list ap;

    cw_str_init(&text, NAME_MAX_BYTES);
    va_start(ap, fmt);
    cw_str_addv(&text, fmt, ap);
    va_end(ap);
    return cw_arena_dup(&d->arena, cw_str_slice(&text));
}

static int make_names(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    struct cw_instance_id id = {
        .instance = s->id,
        .user_memory_bytes = s->user_memory_bytes,
        .unique_name = s->unique_name,
        .displayed_name = s->displayed_name,
        .tags = (const char *const *)s->tags,
        .dedicated_namespaces = (const char *const *)s->dedicated_namespaces,
    };
    cw_auto_str struct cw_str text;

    cw_str_init(&text, NAME_MAX_BYTES);
    cw_instance_id_encode(&id, &d->instance);
    if (d->instance.failed)
        return cw_fail(err, CW_INVALID,
                       "tags, dedicated namespaces and names of this invoker take over %d bytes",
                       INSTANCE_MAX_BYTES);
    cw_instance_id_print(&id, &text);
    d->printed_id = cw_arena_dup(&d->arena, cw_str_slice(&text));
    cw_str_reset(&text);
    inv_container_prefix(s, s->id, &text);
    d->container_prefix = cw_arena_dup(&d->arena, cw_str_slice(&text));
    d->source = named(d, "invoker%" PRId64, s->id);
    d->invoker_topic = named(d, "%s%s", s->topic_prefix, d->source);
    d->peer_topic = named(d, "%scwhisk%" PRId64, s->topic_prefix, s->id);
    d->member_id = named(d, "cwhisk-%s", d->invoker_topic);
    d->health_topic = named(d, "%shealth", s->topic_prefix);
    d->events_topic = s->user_events ? named(d, "%sevents", s->user_event_prefix) : NULL;
    d->max_message_bytes = s->payload_max_bytes + s->serdes_overhead_bytes;
    return inv_topic_config(s->topic_invoker, d->max_message_bytes, &d->arena, &d->topic_config,
                            err);
}

static void make_lag_gauge(struct inv_daemon *d)
{
    cw_auto_str struct cw_str label;

    cw_str_init(&label, NAME_MAX_BYTES);
    cw_metrics_label(&label, "topic", d->invoker_topic);
    d->lag = cw_token_gauge(
        d->metrics,
        &(struct cw_token){.component = "kafka",
                           .action = cw_metrics_tagged(d->metrics) ? "topic" : d->invoker_topic,
                           .state = "counter",
                           .labels = label.p},
        "Messages on the invoker's topic not yet taken.");
}

static struct cw_manifest *read_manifest(const struct inv_settings *s, struct cw_err *err)
{
    struct cw_manifest *m = cw_manifest_parse(cw_slice_of(s->runtimes_manifest), err);

    if (!m) {
        (void)cw_err_wrap(err, "RUNTIMES_MANIFEST");
        return NULL;
    }
    if (cw_manifest_kind(m, CW_SLICE("nodejs:default")))
        return m;
    (void)cw_fail(err, CW_INVALID,
                  "RUNTIMES_MANIFEST: no default kind in family nodejs; the health test action "
                  "needs one");
    cw_manifest_free(m);
    return NULL;
}

static int make_manifest(struct inv_daemon *d, struct cw_err *err)
{
    d->manifest = read_manifest(d->settings, err);
    return d->manifest ? 0 : -1;
}

static int make_param_keys(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    struct cw_slice current = cw_slice_of(s->param_scheme);

    d->param_keys = cw_param_keys_new(s->param_aes_128, s->param_aes_256, err);
    if (!d->param_keys)
        return cw_err_wrap(err, "whisk.parameter-storage");
    if (current.n && strcasecmp(current.p, "off") != 0 && strcasecmp(current.p, "noop") != 0 &&
        !cw_param_keys_has(d->param_keys, current))
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "whisk.parameter-storage.current is %s, and there is no key for it: parameters that "
               "controllers encrypt so will reach actions encrypted",
               s->param_scheme);
    return 0;
}

static int make_watchdog(struct inv_daemon *d, struct cw_err *err)
{
    if (d->settings->stall_warn_ms == 0)
        return 0;
    d->watchdog = inv_watchdog_new(
        &(struct inv_watchdog_conf){
            .loop = d->loop, .metrics = d->metrics, .warn_ms = d->settings->stall_warn_ms},
        err);
    return d->watchdog ? 0 : -1;
}

int inv_daemon_check(const struct inv_settings *settings, struct cw_err *err)
{
    struct cw_manifest *m;

    if (inv_daemon_check_settings(settings, err) != 0)
        return -1;
    m = read_manifest(settings, err);
    cw_manifest_free(m);
    return m ? 0 : -1;
}

static int make_event_file(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    struct inv_event_file *file;

    if (!*s->events_file)
        return 0;
    file =
        inv_event_file_new(&(struct inv_event_file_conf){.loop = d->loop,
                                                         .metrics = d->metrics,
                                                         .path = s->events_file,
                                                         .max_bytes = (size_t)s->events_file_bytes},
                           err);
    if (!file)
        return -1;
    inv_event_log_use_file(d->events, file);
    return 0;
}

struct inv_daemon *inv_daemon_new(struct cw_loop *loop, const struct inv_settings *settings,
                                  struct cw_err *err)
{
    struct inv_daemon *d = cw_alloc(sizeof(*d));

    d->loop = loop;
    d->settings = settings;
    d->status = 1;
    d->touched = INV_TOUCHED_NOTHING;
    cw_list_init(&d->left);
    d->began_us = cw_loop_mono_us(loop);
    d->boot = cw_boot_draw();
    cw_arena_init(&d->arena);
    cw_str_init(&d->instance, INSTANCE_MAX_BYTES);
    d->metrics = cw_metrics_new();
    cw_metrics_use_tags(d->metrics, settings->kamon_tags);
    d->telemetry = inv_telemetry_new(d->metrics);
    d->events = inv_event_log_new(loop, (size_t)settings->events_kept);
    d->lifecycle = inv_lifecycle_new(d->metrics, d->events);
    inv_descriptors_raise((uint64_t)(settings->user_memory_bytes / settings->memory_min_bytes));
    cw_watch_signal(&d->sigterm, loop, SIGTERM, inv_daemon_on_signal, d);
    cw_watch_signal(&d->sigint, loop, SIGINT, inv_daemon_on_signal, d);
    cw_timer_init(&d->stop_tick, loop, inv_daemon_on_stop_tick, d);
    cw_timer_init(&d->topic_retry, loop, inv_daemon_ask_for_topic, d);
    if (make_watchdog(d, err) != 0 || make_event_file(d, err) != 0 || make_names(d, err) != 0 ||
        make_manifest(d, err) != 0 || make_param_keys(d, err) != 0 ||
        inv_daemon_make_clients(d, err) != 0 || inv_daemon_make_ledger(d, err) != 0)
        goto fail;
    d->descriptors = inv_descriptors_new(&(struct inv_descriptors_conf){
        .loop = loop, .metrics = d->metrics, .on_short = on_descriptors_short, .arg = d});
    make_lag_gauge(d);
    inv_daemon_make_parts(d);
    inv_daemon_init_admission(d);
    inv_daemon_make_janitor(d);
    if (inv_daemon_make_admin(d, err) != 0 || inv_daemon_make_hosts(d, err) != 0)
        goto fail;
    inv_daemon_begin_start(d);
    return d;
fail:
    inv_daemon_free(d);
    return NULL;
}

int inv_daemon_status(const struct inv_daemon *d)
{
    return d->status;
}

void inv_daemon_free(struct inv_daemon *d)
{
    if (!d)
        return;
    cw_timer_done(&d->stop_tick);
    cw_timer_done(&d->topic_retry);
    cw_timer_done(&d->admission_again);
    cw_watch_done(&d->sigint);
    cw_watch_done(&d->sigterm);
    inv_descriptors_free(d->descriptors);
    inv_watchdog_free(d->watchdog);
    inv_admin_free(d->admin);
    inv_feed_free(d->feed);
    inv_daemon_forget_left(d);
    inv_intake_free(d->intake);
    inv_engine_watch_free(d->engine_watch);
    inv_janitor_free(d->janitor);
    cw_usage_source_free(d->janitor_usage);
    if (d->dispatch && inv_dispatch_containers(d->dispatch) == 0)
        inv_dispatch_free(d->dispatch);
    inv_monitor_free(d->monitor);
    inv_stale_free(d->stale);
    inv_profile_asks_free(d->asks);
    inv_catalog_free(d->catalog);
    inv_blacklist_free(d->blacklist);
    inv_store_check_free(d->store_check);
    inv_records_free(d->records);
    cw_driver_free(d->driver);
    cw_freezer_free(d->freezer);
    inv_guests_free(d->guests);
    cw_bus_free(d->bus); /* tells acks and health nothing more */
    inv_ownership_free(d->ownership);
    inv_owners_free(d->owners);
    inv_acks_free(d->acks);
    inv_away_free(d->away);
    free(d->views);
    inv_ledger_free(d->ledger);
    inv_trace_free(d->trace);
    inv_health_free(d->health);
    inv_hosts_free(d->hosts);
    inv_profiles_free(d->profiles);
    inv_load_free(d->load);
    inv_host_gauges_free(d->host_gauges);
    inv_placement_counts_free(d->placement_counts);
    cw_kv_free(d->kv);
    inv_log_hub_free(d->log_hub);
    inv_userlogs_free(d->userlogs);
    cw_docstore_free(d->store);
    cw_http_free(d->http);
    cw_manifest_free(d->manifest);
    cw_param_keys_free(d->param_keys);
    inv_lifecycle_free(d->lifecycle);
    inv_event_log_free(d->events);
    inv_telemetry_free(d->telemetry);
    cw_metrics_free(d->metrics);
    cw_str_done(&d->instance);
    cw_arena_done(&d->arena);
    free(d);
}
