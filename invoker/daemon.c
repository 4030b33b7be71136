#include "invoker/daemon.h"

#include <inttypes.h>
#include <signal.h>
#include <strings.h>

#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/cgroup/freezer.h"
#include "common/cgroup/usage.h"
#include "common/driver/container_driver.h"
#include "common/http/client.h"
#include "common/kv/kv.h"
#include "common/model/activation_message.h"
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
#include "invoker/event_log.h"
#include "invoker/feed.h"
#include "invoker/forward/away.h"
#include "invoker/forward/guests.h"
#include "invoker/health.h"
#include "invoker/hosts.h"
#include "invoker/intake.h"
#include "invoker/janitor/janitor.h"
#include "invoker/janitor/owners.h"
#include "invoker/job.h"
#include "invoker/kafka_conf.h"
#include "invoker/ledger.h"
#include "invoker/lifecycle_times.h"
#include "invoker/limits.h"
#include "invoker/logs/log_collector.h"
#include "invoker/logs/userlogs.h"
#include "invoker/monitor/monitor.h"
#include "invoker/ownership.h"
#include "invoker/profiles.h"
#include "invoker/records.h"
#include "invoker/resize/resize.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "invoker/store_check.h"
#include "invoker/telemetry.h"
#include "invoker/trace.h"
#include "invoker/watchdog.h"

enum {
    NAME_MAX_BYTES = 4096,
    INSTANCE_MAX_BYTES = 32768, /* goes into every ack and ping */
    RECORDS_MAX_BYTES = 64 << 20,
    RECORDS_BESIDE_SPOOL_BYTES = 16 << 20, /* what memory does not hold is in the spool */
    CATALOG_KEEP_MS = 5 * 60 * 1000,       /* stock: after the last access */
};

/* ---- one activation ---- */

void inv_daemon_finish(struct inv_daemon *d, struct inv_job *job, enum inv_end how)
{
    inv_daemon_touch(d, job);
    inv_acks_end(d->acks, job, how);
    inv_daemon_check_unsent(d);
    inv_records_add(d->records, job);
    inv_telemetry_ended(d->telemetry, job);
    inv_hosts_changed(d->hosts);
    inv_daemon_drop(d, job);
}

static void on_dropped(void *arg, size_t bytes)
{
    struct inv_daemon *d = arg;

    inv_feed_credit(d->feed, bytes);
}

static void on_ready(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    if (inv_daemon_stays_in_journal(d, job)) {
        inv_daemon_drop(d, job);
        return;
    }
    if (d->killed || d->refusing) {
        inv_daemon_refuse(d, job);
        return;
    }
    inv_dispatch_submit(d->dispatch, job);
}

static void on_refused(void *arg, struct inv_job *job)
{
    inv_daemon_finish(arg, job, INV_END_FAILED_START);
}

static void on_result(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_acks_result(d->acks, job);
}

static void on_return(void *arg, const struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_telemetry_returned(d->telemetry, job, cw_loop_mono_us(d->loop));
}

static void on_end(void *arg, struct inv_job *job, enum inv_end how)
{
    struct inv_daemon *d = arg;

    if (inv_daemon_stays_in_journal(d, job))
        inv_daemon_drop(d, job);
    else if (!d->killed || !inv_daemon_give_back(d, job))
        inv_daemon_finish(d, job, how);
}

static void on_placed(void *arg, const struct inv_job *job)
{
    const struct inv_daemon *d = arg;

    inv_daemon_touch(arg, job);
    inv_hosts_changed(d->hosts);
}

static int on_start(void *arg, struct inv_job *job, struct cw_err *err)
{
    struct inv_daemon *d = arg;

    return job->guest ? 0 : inv_ledger_start(d->ledger, job->ticket, err);
}

static void on_acked(void *arg, int64_t ticket)
{
    struct inv_daemon *d = arg;

    if (inv_guests_owns(ticket))
        inv_guests_acked(d->guests, ticket);
    else
        inv_ledger_acked(d->ledger, ticket);
    inv_daemon_check_unsent(d);
}

static void on_safe(void *arg, int64_t ticket)
{
    struct inv_daemon *d = arg;

    if (inv_guests_owns(ticket))
        inv_guests_stored(d->guests, ticket);
    else
        inv_ledger_stored(d->ledger, ticket);
}

/* The successor's offsets begin behind what is read now. */
static void on_foreign(void *arg, size_t bytes)
{
    struct inv_daemon *d = arg;

    inv_feed_credit(d->feed, bytes);
    d->touched = INV_TOUCHED_NOTHING;
    inv_feed_restart(d->feed);
}

static bool on_interrupted(void *arg, struct inv_job *job)
{
    return inv_daemon_answer_recorded(arg, job);
}

static void on_records_full(void *arg, bool full)
{
    struct inv_daemon *d = arg;

    d->records_full = full;
    inv_daemon_hold_or_hand_out(d);
}

static void on_descriptors_short(void *arg, bool is_short)
{
    struct inv_daemon *d = arg;

    d->descriptors_short = is_short;
    if (d->feed)
        inv_daemon_hold_or_hand_out(d);
}

/* ---- administration ---- */

static bool admin_enable(void *arg, bool enabled)
{
    struct inv_daemon *d = arg;

    if (d->phase != PHASE_RUNNING || !inv_health_enable(d->health, enabled))
        return false;
    inv_dispatch_drain(d->dispatch, !enabled);
    if (enabled && d->clean)
        inv_dispatch_start_prewarming(d->dispatch);
    return true;
}

static bool admin_enabled(void *arg)
{
    struct inv_daemon *d = arg;

    return d->health && inv_health_enabled(d->health);
}

static bool admin_ready(void *arg)
{
    struct inv_daemon *d = arg;

    return d->phase == PHASE_RUNNING && !d->engine_away;
}

static const char *admin_missing(void *arg)
{
    struct inv_daemon *d = arg;
    return d->store_check ? inv_store_check_missing(d->store_check) : NULL;
}

static void admin_refresh(void *arg)
{
    struct inv_daemon *d = arg;
    struct inv_pool_stats stats;
    uint64_t waiting_mb;
    size_t waiting;

    inv_dispatch_stats(d->dispatch, &stats, &waiting, &waiting_mb);
    inv_telemetry_pool(d->telemetry, &stats, waiting, waiting_mb);
    inv_monitor_refresh(d->monitor);
    inv_resize_refresh(inv_dispatch_resize(d->dispatch));
    if (d->feed && inv_feed_lag(d->feed) >= 0)
        cw_gauge_set(d->lag, (double)inv_feed_lag(d->feed));
}

static void admin_resize(void *arg, struct cw_str *out)
{
    struct inv_daemon *d = arg;

    inv_resize_render(inv_dispatch_resize(d->dispatch), out);
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

static enum inv_store_level blocking_level(const struct inv_settings *s)
{
    bool deprecated;
    enum inv_store_level level = inv_settings_blocking_level(s, &deprecated);

    if (deprecated)
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "whisk.activation.store-blocking-result-level: \"%s\" is no level; the deprecated "
               "whisk.activation.disable-store-result (%s) decides",
               s->store_blocking, s->disable_store_result ? "true" : "false");
    return level;
}

static double random_fraction(void)
{
    uint32_t bits = 0;

    (void)RAND_bytes((unsigned char *)&bits, sizeof(bits)); /* any value does */
    return (double)bits / UINT32_MAX;
}

static void make_parts(struct inv_daemon *d)
{
    const struct inv_settings *s = d->settings;

    d->catalog = inv_catalog_new(&(struct inv_catalog_conf){
        .loop = d->loop,
        .store = d->store,
        .metrics = d->metrics,
        .manifest = d->manifest,
        .db = s->db_entities,
        .defaults = {.logs_mb = s->log_std_bytes >> 20,
                     .concurrency = s->concurrency_std,
                     .warm_limits = s->warm_limits},
        .max_bytes = (size_t)s->catalog_bytes,
        .keep_ms = CATALOG_KEEP_MS,
        .max_code_bytes = inv_limits_code(s),
    });
    d->trace = s->trace_activations ? inv_trace_new((size_t)s->trace_activations) : NULL;
    d->acks = inv_acks_new(&(struct inv_acks_conf){
        .loop = d->loop,
        .bus = d->bus,
        .metrics = d->metrics,
        .topic_prefix = s->topic_prefix,
        .instance = cw_str_slice(&d->instance),
        .max_bytes = (size_t)d->max_message_bytes,
        .events_topic = d->events_topic,
        .source = d->source,
        .trace = d->trace,
        .on_acked = on_acked,
        .arg = d,
    });
    d->records = inv_records_new(&(struct inv_records_conf){
        .loop = d->loop,
        .store = d->store,
        .metrics = d->metrics,
        .db = s->db_activations,
        .blocking_level = (int)blocking_level(s),
        .non_blocking_level = s->store_non_blocking,
        .log_unstored = s->unstored_logs,
        .max_bytes = *s->data_dir ? RECORDS_BESIDE_SPOOL_BYTES : RECORDS_MAX_BYTES,
        .data_dir = s->data_dir,
        .spool_name = d->invoker_topic,
        .spool_bytes = s->spool_bytes,
        .sync = s->journal_sync == INV_SYNC_HOST,
        .on_full = on_records_full,
        .on_safe = on_safe,
        .arg = d,
    });
    d->stale = inv_stale_new(d->loop, s, d->metrics);
    inv_daemon_make_monitor(d);
    d->dispatch = inv_dispatch_new(&(struct inv_dispatch_conf){
        .loop = d->loop,
        .driver = d->driver,
        .logs = d->log_hub,
        .userlogs = d->userlogs,
        .monitor = d->monitor,
        .stale = d->stale,
        .settings = s,
        .manifest = d->manifest,
        .metrics = d->metrics,
        .instance = s->id,
        .spread = random_fraction(),
        .pool_mb = inv_daemon_pool_mb(s),
        .charge = s->admission == INV_CHARGE_INFERRED ? inv_daemon_charge : NULL,
        .admits = inv_daemon_admits,
        .elsewhere = *s->redis.hosts && s->forward ? inv_daemon_elsewhere : NULL,
        .on_placed = on_placed,
        .on_start = on_start,
        .on_result = on_result,
        .on_return = on_return,
        .on_end = on_end,
        .arg = d,
    });
    inv_dispatch_hold(d->dispatch, true); /* until left-over containers are gone */
    d->store_check = inv_store_check_new(&(struct inv_store_check_conf){
        .loop = d->loop,
        .store = d->store,
        .user = s->couch_username,
        .dbs = {s->db_entities, s->db_activations, s->db_subjects},
    });
    d->blacklist = inv_blacklist_new(&(struct inv_blacklist_conf){
        .loop = d->loop,
        .store = d->store,
        .metrics = d->metrics,
        .db = s->db_subjects,
        .poll_ms = s->blacklist_poll_ms,
        .on_first = inv_daemon_on_blacklist,
        .arg = d,
    });
    d->intake = inv_intake_new(&(struct inv_intake_conf){
        .loop = d->loop,
        .metrics = d->metrics,
        .catalog = d->catalog,
        .blacklist = d->blacklist,
        .keys = d->param_keys,
        .stale = d->stale,
        .settings = s,
        .ledger = d->ledger,
        .on_dropped = on_dropped,
        .on_foreign = on_foreign,
        .on_interrupted = on_interrupted,
        .on_ready = on_ready,
        .on_refused = on_refused,
        .arg = d,
    });
}

static void add_pages(struct inv_daemon *d)
{
    const struct inv_admin_route pages[] = {
        {"GET", "/events", inv_event_log_answer, d->events},
        {"GET", "/containers", inv_monitor_answer, d->monitor},
        {"GET", "/clean", inv_janitor_answer, d->janitor},
        {"POST", "/clean", inv_janitor_answer, d->janitor},
    };

    for (size_t i = 0; i < CW_ARRAY_LEN(pages); i++)
        inv_admin_add(d->admin, &pages[i]);
}

static int make_admin(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    SSL_CTX *tls;

    if (inv_daemon_admin_tls(s, &tls, err) != 0)
        return -1;
    d->admin = inv_admin_new(
        &(struct inv_admin_conf){
            .loop = d->loop,
            .metrics = s->prometheus ? d->metrics : NULL,
            .trace = d->trace,
            .address = s->http_address,
            .port = (uint16_t)s->port,
            .tls = tls,
            .id_header = s->transactions_header,
            .user = s->http_username,
            .password = s->http_password,
            .printed_id = d->printed_id,
            .enable = admin_enable,
            .enabled = admin_enabled,
            .ready = admin_ready,
            .missing = admin_missing,
            .resize = admin_resize,
            .refresh = admin_refresh,
            .arg = d,
        },
        err);
    SSL_CTX_free(tls);
    if (!d->admin)
        return -1;
    add_pages(d);
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
    inv_daemon_init_admission(d);
    cw_timer_init(&d->topic_retry, loop, inv_daemon_ask_for_topic, d);
    if (make_watchdog(d, err) != 0 || make_names(d, err) != 0 || make_manifest(d, err) != 0 ||
        make_param_keys(d, err) != 0 || inv_daemon_make_clients(d, err) != 0 ||
        inv_daemon_make_ledger(d, err) != 0)
        goto fail;
    d->descriptors = inv_descriptors_new(&(struct inv_descriptors_conf){
        .loop = loop, .metrics = d->metrics, .on_short = on_descriptors_short, .arg = d});
    make_lag_gauge(d);
    make_parts(d);
    inv_daemon_make_janitor(d);
    if (make_admin(d, err) != 0 || inv_daemon_make_hosts(d, err) != 0)
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
