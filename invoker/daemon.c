#include "invoker/daemon.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/bus/kafka_bus.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/model/instance_id.h"
#include "common/model/manifest.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/store/couch_store.h"
#include "invoker/ack.h"
#include "invoker/admin.h"
#include "invoker/catalog.h"
#include "invoker/cleanup.h"
#include "invoker/container/spec.h"
#include "invoker/dispatch.h"
#include "invoker/feed.h"
#include "invoker/health.h"
#include "invoker/intake.h"
#include "invoker/job.h"
#include "invoker/kafka_conf.h"
#include "invoker/logs/log_collector.h"
#include "invoker/records.h"
#include "invoker/settings.h"
#include "invoker/telemetry.h"

#define COMPONENT "Invoker"

enum {
    NAME_MAX_BYTES = 4096,
    INSTANCE_MAX_BYTES = 32768, /* goes into every ack and ping */
    CLEANUP_LIMIT_MS = 30000,
    FEED_MAX_BYTES = 64 << 20,
    RECORDS_MAX_BYTES = 64 << 20,
    CATALOG_KEEP_MS = 5 * 60 * 1000, /* stock: after the last access */
    CODE_MAX_BYTES = 64 << 20,       /* exec-size-limit 48 MB and some */
    STOP_TICK_MS = 10,
    KILL_LIMIT_MS = 2000,
    FLUSH_LIMIT_MS = 10000, /* for records, acks and removals after the drain */
};

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_DRAINING, PHASE_FLUSHING, PHASE_STOPPED };

struct inv_daemon {
    struct cw_loop *loop;
    const struct inv_settings *settings;
    enum phase phase;
    int status;
    int64_t began_us;
    struct cw_arena arena; /* names below */
    const char *const *topic_config;
    const char *invoker_topic, *health_topic, *events_topic, *source, *printed_id,
        *container_prefix;
    struct cw_str instance; /* JSON of our id */
    int64_t max_message_bytes;
    struct cw_manifest *manifest;
    struct cw_metrics *metrics;
    struct inv_telemetry *telemetry;
    struct cw_gauge *lag;
    struct cw_http *http;
    struct cw_bus *bus;
    struct cw_docstore *store;
    struct cw_driver *driver;
    struct inv_log_hub *log_hub;
    struct inv_catalog *catalog;
    struct inv_acks *acks;
    struct inv_records *records;
    struct inv_dispatch *dispatch;
    struct inv_intake *intake;
    struct inv_feed *feed;
    struct inv_health *health;
    struct inv_admin *admin;
    struct inv_cleanup *cleanup;
    bool topic_ready, engine_ready;
    struct cw_watch sigterm, sigint;
    struct cw_timer stop_tick;
    int64_t stop_by_us;
    bool killed;
};

/* ---- one activation ---- */

static void finish(struct inv_daemon *d, struct inv_job *job, enum inv_end how)
{
    inv_acks_end(d->acks, job, how);
    inv_records_add(d->records, job);
    inv_telemetry_ended(d->telemetry, job);
    inv_feed_credit(d->feed, job->msg->text.n);
    inv_job_free(job);
}

static void on_unreadable(void *arg, size_t bytes)
{
    struct inv_daemon *d = arg;

    inv_feed_credit(d->feed, bytes);
}

static void on_ready(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    if (d->killed) {
        inv_job_stop(job, cw_loop_wall_ms(d->loop));
        finish(d, job, INV_END_FAILED_START);
        return;
    }
    inv_dispatch_submit(d->dispatch, job);
}

static void on_refused(void *arg, struct inv_job *job)
{
    finish(arg, job, INV_END_FAILED_START);
}

static void on_result(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_acks_result(d->acks, job);
}

static void on_end(void *arg, struct inv_job *job, enum inv_end how)
{
    finish(arg, job, how);
}

static void on_message(void *arg, struct cw_slice payload, int64_t offset)
{
    struct inv_daemon *d = arg;

    inv_intake_message(d->intake, payload, offset);
}

static void on_records_full(void *arg, bool full)
{
    struct inv_daemon *d = arg;

    inv_feed_hold(d->feed, full && d->phase == PHASE_RUNNING); /* a stop ends in bounded time */
}

/* ---- administration ---- */

static bool admin_enable(void *arg, bool enabled)
{
    struct inv_daemon *d = arg;

    return inv_health_enable(d->health, enabled);
}

static bool admin_enabled(void *arg)
{
    struct inv_daemon *d = arg;

    return d->health && inv_health_enabled(d->health);
}

static bool admin_ready(void *arg)
{
    struct inv_daemon *d = arg;

    return d->phase == PHASE_RUNNING;
}

static void admin_refresh(void *arg)
{
    struct inv_daemon *d = arg;
    struct inv_pool_stats stats;
    uint64_t waiting_mb;
    size_t waiting;

    inv_dispatch_stats(d->dispatch, &stats, &waiting, &waiting_mb);
    inv_telemetry_pool(d->telemetry, &stats, waiting, waiting_mb);
    if (d->feed && inv_feed_lag(d->feed) >= 0)
        cw_gauge_set(d->lag, (double)inv_feed_lag(d->feed));
}

/* ---- stopping ---- */

static void stop(struct inv_daemon *d, int status)
{
    d->phase = PHASE_STOPPED;
    d->status = status;
    cw_loop_stop(d->loop);
}

static bool all_answered(const struct inv_daemon *d)
{
    return inv_feed_queued(d->feed) == 0 && inv_intake_fetching(d->intake) == 0 &&
           inv_dispatch_jobs(d->dispatch) == 0;
}

static bool all_flushed(const struct inv_daemon *d)
{
    return inv_dispatch_containers(d->dispatch) == 0 && d->driver->ops->busy(d->driver) == 0 &&
           inv_records_pending(d->records) == 0 && d->bus->ops->unsent(d->bus) == 0;
}

/* What is left gets its answer now; a little later the rest of the stop goes on whatever happens.
 */
static void kill_rest(struct inv_daemon *d, const char *why)
{
    d->killed = true;
    d->stop_by_us = cw_loop_mono_us(d->loop) + KILL_LIMIT_MS * INT64_C(1000);
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "%s: %zu activations are answered with an error", why,
           inv_dispatch_jobs(d->dispatch) + inv_feed_queued(d->feed) +
               inv_intake_fetching(d->intake));
    inv_dispatch_kill(d->dispatch, why);
    inv_intake_kill(d->intake);
}

static void begin_flush(struct inv_daemon *d)
{
    d->phase = PHASE_FLUSHING;
    d->stop_by_us = cw_loop_mono_us(d->loop) + FLUSH_LIMIT_MS * INT64_C(1000);
    inv_dispatch_drain(d->dispatch);
}

static void on_stop_tick(void *arg)
{
    struct inv_daemon *d = arg;
    bool late = cw_loop_mono_us(d->loop) >= d->stop_by_us;

    if (d->phase == PHASE_DRAINING) {
        if (all_answered(d) || (late && d->killed))
            begin_flush(d);
        else if (late)
            kill_rest(d, "drain limit reached");
    }
    if (d->phase == PHASE_FLUSHING && (all_flushed(d) || late)) {
        if (!all_flushed(d))
            cw_log(CW_LOG_ERROR, NULL, COMPONENT,
                   "stopping with %zu records not stored, %zu messages not sent, %zu containers "
                   "not removed",
                   inv_records_pending(d->records), d->bus->ops->unsent(d->bus),
                   inv_dispatch_containers(d->dispatch));
        else
            cw_log(CW_LOG_INFO, NULL, COMPONENT, "stopped");
        stop(d, 0);
        return;
    }
    cw_timer_set_ms(&d->stop_tick, STOP_TICK_MS);
}

static void on_signal(void *arg)
{
    struct inv_daemon *d = arg;

    switch (d->phase) {
    case PHASE_STARTING:
        stop(d, 0);
        break;
    case PHASE_RUNNING:
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "stopping: %zu activations to finish, at most %" PRId64 " ms",
               inv_dispatch_jobs(d->dispatch) + inv_feed_queued(d->feed), d->settings->drain_ms);
        d->phase = PHASE_DRAINING;
        d->stop_by_us = cw_loop_mono_us(d->loop) + d->settings->drain_ms * 1000;
        (void)inv_health_enable(d->health, false);
        inv_feed_stop(d->feed);
        inv_feed_hold(d->feed, false);
        cw_timer_set_ms(&d->stop_tick, 0);
        break;
    case PHASE_DRAINING:
        if (d->killed)
            begin_flush(d);
        else
            kill_rest(d, "second signal");
        break;
    case PHASE_FLUSHING:
        d->stop_by_us = 0;
        break;
    case PHASE_STOPPED:
        break;
    }
}

/* ---- starting ---- */

static void start_failed(struct inv_daemon *d, const struct cw_err *err)
{
    if (d->phase != PHASE_STARTING)
        return;
    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "start failed: %s", err->msg);
    stop(d, 1);
}

static size_t feed_capacity(const struct inv_settings *s)
{
    int64_t containers = s->user_memory_bytes / s->memory_min_bytes;
    int64_t peek =
        (int64_t)floor((double)(containers * s->concurrency_max) * s->concurrent_peek_factor);
    int64_t most = containers > peek ? containers : peek;

    return most < 1 ? 1 : (size_t)most;
}

static void begin_work(struct inv_daemon *d)
{
    struct cw_err err = {0};

    d->feed = inv_feed_new(
        &(struct inv_feed_conf){
            .loop = d->loop,
            .bus = d->bus,
            .metrics = d->metrics,
            .topic = d->invoker_topic,
            .capacity = feed_capacity(d->settings),
            .max_bytes = FEED_MAX_BYTES,
            .on_message = on_message,
            .arg = d,
        },
        &err);
    if (!d->feed) {
        start_failed(d, &err);
        return;
    }
    d->health = inv_health_new(d->loop, d->bus, d->health_topic, cw_str_slice(&d->instance));
    d->phase = PHASE_RUNNING;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "%s takes work from %s after %" PRId64 " ms, port %u",
           d->printed_id, d->invoker_topic, (cw_loop_mono_us(d->loop) - d->began_us) / 1000,
           inv_admin_port(d->admin));
}

static void advance_start(struct inv_daemon *d)
{
    if (d->phase == PHASE_STARTING && d->topic_ready && d->engine_ready)
        begin_work(d);
}

static void on_topic(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    if (err) {
        struct cw_err named = *err;

        (void)cw_err_wrap(&named, "topic %s", d->invoker_topic);
        start_failed(d, &named);
        return;
    }
    d->topic_ready = true;
    advance_start(d);
}

static void on_clean(void *arg, size_t removed, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    d->cleanup = NULL;
    if (err) {
        start_failed(d, err);
        return;
    }
    if (removed)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "removed %zu left-over containers", removed);
    d->engine_ready = true;
    advance_start(d);
}

static void on_engine(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    if (err) {
        start_failed(d, err);
        return;
    }
    if (d->phase == PHASE_STARTING)
        d->cleanup = inv_cleanup_start(d->loop, d->driver, d->container_prefix, CLEANUP_LIMIT_MS,
                                       on_clean, d);
}

static void on_bus_error(void *arg, const struct cw_err *err)
{
    (void)arg;
    cw_log(CW_LOG_WARN, NULL, "Kafka", "%s", err->msg);
}

static void on_ignored_key(const char *prefix, const char *key)
{
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "Kafka setting %s%s is ignored: it has no counterpart here", prefix, key);
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
    d->health_topic = named(d, "%shealth", s->topic_prefix);
    d->events_topic = s->user_events ? named(d, "%sevents", s->user_event_prefix) : NULL;
    d->max_message_bytes = s->payload_max_bytes + s->serdes_overhead_bytes;
    return inv_topic_config(s->topic_invoker, d->max_message_bytes, &d->arena, &d->topic_config,
                            err);
}

static int check_settings(const struct inv_settings *s, struct cw_err *err)
{
    if (s->id < 0)
        return cw_fail(err, CW_INVALID, "--id is missing: the number of this invoker, 0..1000000");
    if (strcmp(s->couch_provider, "CouchDB") != 0 && strcmp(s->couch_provider, "Cloudant") != 0)
        return cw_fail(err, CW_INVALID,
                       "whisk.couchdb.provider: \"%s\" is not known; accepted: CouchDB, Cloudant",
                       s->couch_provider);
    if (s->docker_host && !(s->docker_socket && s->docker_socket[0]) &&
        strncmp(s->docker_host, "unix://", 7) != 0)
        return cw_fail(err, CW_INVALID,
                       "DOCKER_HOST: \"%s\" is not supported; accepted: unix:///path",
                       s->docker_host);
    return 0;
}

static void make_lag_gauge(struct inv_daemon *d)
{
    cw_auto_str struct cw_str name;

    cw_str_init(&name, NAME_MAX_BYTES);
    cw_str_addf(&name, "gauge_kafka_%s_counter", d->invoker_topic);
    d->lag = cw_metrics_gauge(d->metrics, name.p, NULL,
                              "Messages on the invoker's topic not yet taken.");
}

static int make_manifest(struct inv_daemon *d, struct cw_err *err)
{
    d->manifest = cw_manifest_parse(cw_slice_of(d->settings->runtimes_manifest), err);
    if (!d->manifest)
        return cw_err_wrap(err, "RUNTIMES_MANIFEST");
    if (!cw_manifest_kind(d->manifest, CW_SLICE("nodejs:default")))
        return cw_fail(err, CW_INVALID,
                       "RUNTIMES_MANIFEST: no default kind in family nodejs; the health test "
                       "action needs one");
    return 0;
}

static const char *docker_socket(const struct inv_settings *s)
{
    if (s->docker_socket && s->docker_socket[0])
        return s->docker_socket;
    if (s->docker_host && s->docker_host[0])
        return s->docker_host + strlen("unix://");
    return "/var/run/docker.sock";
}

static int make_clients(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    struct cw_kafka_conf kafka = {
        .brokers = s->kafka_hosts,
        .max_message_bytes = d->max_message_bytes,
        .common =
            inv_kafka_properties(s->kafka_common, "whisk.kafka.common.", &d->arena, on_ignored_key),
        .producer = inv_kafka_properties(s->kafka_producer, "whisk.kafka.producer.", &d->arena,
                                         on_ignored_key),
        .consumer = inv_kafka_properties(s->kafka_consumer, "whisk.kafka.consumer.", &d->arena,
                                         on_ignored_key),
        .on_error = on_bus_error,
        .arg = d,
    };
    struct cw_couch_conf couch = {
        .protocol = s->couch_protocol,
        .host = s->couch_host,
        .port = (uint16_t)s->couch_port,
        .username = s->couch_username,
        .password = s->couch_password,
    };
    struct cw_docker_conf docker = {
        .socket_path = docker_socket(s),
        .parallel_creates = (unsigned)s->docker_parallel_runs,
        .run_ms = s->docker_run_ms,
        .rm_ms = s->docker_rm_ms,
        .pull_ms = s->docker_pull_ms,
        .ps_ms = s->docker_ps_ms,
        .inspect_ms = s->docker_inspect_ms,
        .pause_ms = s->docker_pause_ms,
        .unpause_ms = s->docker_unpause_ms,
        .version_ms = s->docker_version_ms,
        .metrics = d->metrics,
    };

    d->http = cw_http_new(d->loop, &(struct cw_http_conf){0}, err);
    if (!d->http)
        return -1;
    d->bus = cw_kafka_bus_new(d->loop, &kafka, err);
    if (!d->bus)
        return -1;
    d->store = cw_couch_store_new(d->loop, d->http, &couch, err);
    if (!d->store)
        return -1;
    d->driver = cw_docker_driver_new(d->loop, d->http, &docker, err);
    if (!d->driver)
        return -1;
    d->log_hub = inv_log_hub_new(d->loop, err);
    return d->log_hub ? 0 : -1;
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
        .defaults = {.logs_mb = s->log_std_bytes >> 20, .concurrency = s->concurrency_std},
        .max_bytes = (size_t)s->catalog_bytes,
        .keep_ms = CATALOG_KEEP_MS,
        .max_code_bytes = CODE_MAX_BYTES,
    });
    d->acks = inv_acks_new(&(struct inv_acks_conf){
        .loop = d->loop,
        .bus = d->bus,
        .metrics = d->metrics,
        .topic_prefix = s->topic_prefix,
        .instance = cw_str_slice(&d->instance),
        .max_bytes = (size_t)d->max_message_bytes,
        .events_topic = d->events_topic,
        .source = d->source,
    });
    d->records = inv_records_new(&(struct inv_records_conf){
        .loop = d->loop,
        .store = d->store,
        .metrics = d->metrics,
        .db = s->db_activations,
        .blocking_level = s->store_blocking,
        .non_blocking_level = s->store_non_blocking,
        .max_bytes = RECORDS_MAX_BYTES,
        .on_full = on_records_full,
        .arg = d,
    });
    d->dispatch = inv_dispatch_new(&(struct inv_dispatch_conf){
        .loop = d->loop,
        .driver = d->driver,
        .logs = d->log_hub,
        .settings = s,
        .manifest = d->manifest,
        .metrics = d->metrics,
        .instance = s->id,
        .on_result = on_result,
        .on_end = on_end,
        .arg = d,
    });
    d->intake = inv_intake_new(&(struct inv_intake_conf){
        .loop = d->loop,
        .metrics = d->metrics,
        .catalog = d->catalog,
        .settings = s,
        .on_unreadable = on_unreadable,
        .on_ready = on_ready,
        .on_refused = on_refused,
        .arg = d,
    });
}

static int make_admin(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;

    d->admin = inv_admin_new(
        &(struct inv_admin_conf){
            .loop = d->loop,
            .metrics = s->prometheus ? d->metrics : NULL,
            .address = s->http_address,
            .port = (uint16_t)s->port,
            .user = s->http_username,
            .password = s->http_password,
            .printed_id = d->printed_id,
            .enable = admin_enable,
            .enabled = admin_enabled,
            .ready = admin_ready,
            .refresh = admin_refresh,
            .arg = d,
        },
        err);
    return d->admin ? 0 : -1;
}

static void begin_start(struct inv_daemon *d)
{
    const struct cw_topic_spec topic = {
        .name = d->invoker_topic,
        .partitions = 1,
        .replication_factor = (int)d->settings->replication_factor,
        .config = d->topic_config,
    };

    cw_bus_ensure_topic(d->bus, &topic, on_topic, d);
    (void)d->driver->ops->check(d->driver, on_engine, d);
}

struct inv_daemon *inv_daemon_new(struct cw_loop *loop, const struct inv_settings *settings,
                                  struct cw_err *err)
{
    struct inv_daemon *d = cw_alloc(sizeof(*d));

    d->loop = loop;
    d->settings = settings;
    d->status = 1;
    d->began_us = cw_loop_mono_us(loop);
    cw_arena_init(&d->arena);
    cw_str_init(&d->instance, INSTANCE_MAX_BYTES);
    d->metrics = cw_metrics_new();
    d->telemetry = inv_telemetry_new(d->metrics, settings->log_markers);
    cw_watch_signal(&d->sigterm, loop, SIGTERM, on_signal, d);
    cw_watch_signal(&d->sigint, loop, SIGINT, on_signal, d);
    cw_timer_init(&d->stop_tick, loop, on_stop_tick, d);
    if (check_settings(settings, err) != 0)
        goto fail;
    if (make_names(d, err) != 0 || make_manifest(d, err) != 0 || make_clients(d, err) != 0)
        goto fail;
    make_lag_gauge(d);
    make_parts(d);
    if (make_admin(d, err) != 0)
        goto fail;
    begin_start(d);
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
    cw_watch_done(&d->sigint);
    cw_watch_done(&d->sigterm);
    inv_admin_free(d->admin);
    inv_feed_free(d->feed);
    inv_intake_free(d->intake);
    inv_cleanup_cancel(d->cleanup);
    if (d->dispatch && inv_dispatch_containers(d->dispatch) == 0)
        inv_dispatch_free(d->dispatch);
    inv_catalog_free(d->catalog);
    inv_records_free(d->records);
    cw_driver_free(d->driver);
    cw_bus_free(d->bus); /* tells acks and health nothing more */
    inv_acks_free(d->acks);
    inv_health_free(d->health);
    inv_log_hub_free(d->log_hub);
    cw_docstore_free(d->store);
    cw_http_free(d->http);
    cw_manifest_free(d->manifest);
    inv_telemetry_free(d->telemetry);
    cw_metrics_free(d->metrics);
    cw_str_done(&d->instance);
    cw_arena_done(&d->arena);
    free(d);
}
