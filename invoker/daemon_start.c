/* The beginning: topic, engine and blacklist in parallel; then the id must be ours alone; then the
 * topic is read and pings go out. Once the topic is ours too, work is handed out, and left-over
 * containers are removed: what a predecessor started is answered at once, what needs a container
 * waits until they are gone. */
#include <inttypes.h>
#include <math.h>

#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/driver/container_driver.h"
#include "common/obs/log.h"
#include "invoker/admin.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/engine_watch.h"
#include "invoker/feed.h"
#include "invoker/health.h"
#include "invoker/hosts.h"
#include "invoker/janitor/janitor.h"
#include "invoker/ownership.h"
#include "invoker/records.h"
#include "invoker/settings.h"

enum {
    CLEANUP_LIMIT_MS = 30000,
    ENGINE_PATIENCE_MS = 5000, /* an engine that is restarted is back by then */
    TOPIC_RETRY_MS = 1000,
    TOPIC_AWAY_MS = 5000,
    TOPIC_SEEN_ENOUGH = 2, /* times in a row: while it is being deleted, brokers may show it yet */
};

static void start_failed(struct inv_daemon *d, const struct cw_err *err)
{
    if (d->phase != PHASE_STARTING)
        return;
    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "start failed: %s", err->msg);
    inv_daemon_end(d, 1);
}

static size_t feed_capacity(const struct inv_settings *s)
{
    int64_t containers = s->user_memory_bytes / s->memory_min_bytes;
    int64_t peek =
        (int64_t)floor((double)(containers * s->concurrency_max) * s->concurrent_peek_factor);
    int64_t most = containers > peek ? containers : peek;

    return most < 1 ? 1 : (size_t)most;
}

static void on_engine_well(void *arg, bool well)
{
    struct inv_daemon *d = arg;

    d->engine_away = !well;
    inv_health_set_well(d->health, well);
}

/* From here on; what an earlier process left is the clean-up's. */
static void watch_engine(struct inv_daemon *d)
{
    d->engine_watch = inv_engine_watch_new(&(struct inv_engine_watch_conf){
        .loop = d->loop,
        .driver = d->driver,
        .dispatch = d->dispatch,
        .metrics = d->metrics,
        .janitor = d->janitor,
        .prefix = d->container_prefix,
        .patience_ms = ENGINE_PATIENCE_MS,
        .on_well = on_engine_well,
        .arg = d,
    });
}

static void on_clean(void *arg, size_t removed, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    d->cleaning = false;
    if (err)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT, "left-over containers are not removed, going on: %s",
               err->msg);
    else if (removed)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "removed %zu left-over containers", removed);
    d->clean = true;
    inv_dispatch_hold(d->dispatch, false);
    watch_engine(d);
    if (d->phase == PHASE_RUNNING)
        inv_dispatch_start_prewarming(d->dispatch); /* not before: they look like left-overs */
    inv_daemon_hold_or_hand_out(d);
}

/* Whoever comes second into the group, both having found it empty, has no topic and must not touch
 * the containers of the first. */
static void on_topic_owned(void *arg, bool owned)
{
    struct inv_daemon *d = arg;

    inv_health_silence(d->health, !owned);
    d->topic_owned = owned;
    if (!owned && d->phase == PHASE_RUNNING) {
        d->topic_away = true;
        d->topic_seen = 0;
        cw_timer_set_ms(&d->topic_retry, 0);
    }
    if (owned && !d->clean && !d->cleaning) {
        d->cleaning = true;
        inv_janitor_begin(d->janitor, CLEANUP_LIMIT_MS, on_clean, d);
    }
}

static void on_topic_lost(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "stopping: topic %s is lost: %s", d->invoker_topic,
           err->msg);
    if (d->phase == PHASE_RUNNING)
        inv_daemon_drain(d, 1);
}

static void begin_work(struct inv_daemon *d)
{
    struct cw_err err = {0};

    if (inv_records_start(d->records, &err) != 0) {
        start_failed(d, &err);
        return;
    }
    if (inv_daemon_subscribe(d, feed_capacity(d->settings), on_topic_owned, on_topic_lost, &err) !=
        0) {
        start_failed(d, &err);
        return;
    }
    d->health = inv_health_new(d->loop, d->bus, d->health_topic, cw_str_slice(&d->instance));
    d->phase = PHASE_RUNNING;
    inv_daemon_start_forwarding(d, feed_capacity(d->settings));
    inv_daemon_hold_or_hand_out(d);
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "%s takes work from %s after %" PRId64 " ms, port %u",
           d->printed_id, d->invoker_topic, (cw_loop_mono_us(d->loop) - d->began_us) / 1000,
           inv_admin_port(d->admin));
}

static void on_owner(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    if (err)
        start_failed(d, err);
    else if (d->phase == PHASE_STARTING)
        begin_work(d);
}

static void advance_start(struct inv_daemon *d)
{
    if (d->phase != PHASE_STARTING || !d->topic_ready || !d->engine_ready || !d->blacklist_ready)
        return;
    d->ownership = inv_ownership_new(&(struct inv_ownership_conf){
        .loop = d->loop,
        .bus = d->bus,
        .group = d->invoker_topic,
        .instance_id = d->member_id,
        .brokers = d->settings->kafka_hosts,
        .data_dir = d->settings->data_dir,
        .takeover = d->settings->takeover,
        .fn = on_owner,
        .arg = d,
    });
}

/* Nobody gets in before it is known who is blocked; a store that does not answer is no reason not
 * to start. */
void inv_daemon_on_blacklist(void *arg)
{
    struct inv_daemon *d = arg;

    d->blacklist_ready = true;
    advance_start(d);
}

/* Orchestrators start everything at once: Kafka may come after us. */
static bool wait_for_kafka(struct inv_daemon *d, const struct cw_err *err)
{
    int64_t left_us = d->began_us + d->settings->start_ms * 1000 - cw_loop_mono_us(d->loop);

    if (!err->retriable || left_us <= 0 || d->phase != PHASE_STARTING)
        return false;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "Kafka is not there yet, waiting for it at most %" PRId64 " s more: %s",
           left_us / 1000000, err->msg);
    cw_timer_set_ms(&d->topic_retry, TOPIC_RETRY_MS);
    return true;
}

/* While it is away from a running invoker somebody may have deleted it: then it is made again, for
 * controllers may not be allowed to. */
static void on_topic_looked_for(struct inv_daemon *d, const struct cw_err *err)
{
    if (err)
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "topic %s: %s", d->invoker_topic, err->msg);
    d->topic_seen = err ? 0 : d->topic_seen + 1;
    if (d->topic_owned && d->topic_seen >= TOPIC_SEEN_ENOUGH)
        d->topic_away = false;
    else
        cw_timer_set_ms(&d->topic_retry, TOPIC_AWAY_MS);
}

static void on_topic(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    if (d->phase != PHASE_STARTING) {
        on_topic_looked_for(d, err);
        return;
    }
    if (err) {
        struct cw_err named = *err;

        (void)cw_err_wrap(&named, "topic %s", d->invoker_topic);
        if (!wait_for_kafka(d, &named))
            start_failed(d, &named);
        return;
    }
    d->topic_ready = true;
    advance_start(d);
}

void inv_daemon_ask_for_topic(void *arg)
{
    struct inv_daemon *d = arg;
    const struct cw_topic_spec topic = {
        .name = d->invoker_topic,
        .partitions = 1,
        .replication_factor = (int)d->settings->replication_factor,
        .config = d->topic_config,
        .tries = 1,
    };

    if (d->phase == PHASE_STARTING || (d->phase == PHASE_RUNNING && d->topic_away))
        cw_bus_ensure_topic(d->bus, &topic, on_topic, d);
}

static void on_engine(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;

    if (err) {
        start_failed(d, err);
        return;
    }
    d->engine_ready = true;
    advance_start(d);
}

void inv_daemon_begin_start(struct inv_daemon *d)
{
    inv_daemon_ask_for_topic(d);
    (void)d->driver->ops->check(d->driver, on_engine, d);
}
