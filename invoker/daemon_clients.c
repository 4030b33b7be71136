/* Connections to the outside, made from the settings. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/boot.h"
#include "common/base/err.h"
#include "common/bus/kafka_bus.h"
#include "common/cgroup/freezer.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/obs/log.h"
#include "common/store/couch_store.h"
#include "invoker/daemon_priv.h"
#include "invoker/kafka_conf.h"
#include "invoker/lifecycle_times.h"
#include "invoker/logs/log_collector.h"
#include "invoker/logs/log_store.h"
#include "invoker/logs/userlogs.h"
#include "invoker/monitor/monitor.h"
#include "invoker/settings.h"

/* Of a create, with an engine out of reach; then its activations wait (cwhisk.engine-wait). */
enum { ENGINE_PATIENCE_MS = 2000 };

static void on_bus_error(void *arg, const struct cw_err *err)
{
    (void)arg;
    cw_log(CW_LOG_WARN, NULL, "Kafka", "%s", err->msg);
}

static void on_docker_warning(void *arg, const char *text)
{
    (void)arg;
    cw_log(CW_LOG_WARN, NULL, "DockerClient", "%s", text);
}

static void on_ignored_key(const char *key)
{
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "Kafka setting %s is ignored: it has no counterpart here",
           key);
}

/* The clients' settings; stores are read. */
static int set_kafka_properties(struct inv_daemon *d, struct cw_kafka_conf *kafka,
                                struct cw_err *err)
{
    const struct inv_kafka_settings settings = {
        .common = d->settings->kafka_common,
        .producer = d->settings->kafka_producer,
        .consumer = d->settings->kafka_consumer,
    };

    if (inv_kafka_properties(&settings, INV_KAFKA_PRODUCER, &d->arena, on_ignored_key,
                             &kafka->producer, err) != 0)
        return -1;
    return inv_kafka_properties(&settings, INV_KAFKA_CONSUMER, &d->arena, on_ignored_key,
                                &kafka->consumer, err);
}

const char *inv_daemon_engine(const struct inv_settings *s)
{
    if (s->docker_socket && s->docker_socket[0])
        return s->docker_socket;
    return s->docker_host && s->docker_host[0] ? s->docker_host : "/var/run/docker.sock";
}

static int64_t oom_kills(void *arg, const char *id)
{
    const struct inv_daemon *d = arg;

    return inv_monitor_oom_kills(d->monitor, id);
}

static int freeze(void *arg, const char *id)
{
    return cw_freezer_freeze(arg, id);
}

static int thaw(void *arg, const char *id, struct cw_err *err)
{
    return cw_freezer_thaw(arg, id, err);
}

static void release(void *arg, const char *id)
{
    cw_freezer_release(arg, id);
}

/* What another setting, or an earlier process with another setting, has frozen is released in any
 * case. */
static struct cw_docker_freezer make_freezer(struct inv_daemon *d)
{
    struct cw_docker_freezer hooks = {.release = release};

    d->freezer = cw_freezer_new(d->settings->cgroup_root, inv_settings_cgroup_parent(d->settings));
    hooks.arg = d->freezer;
    if (d->settings->freezer == INV_FREEZER_AUTO) {
        hooks.freeze = freeze;
        hooks.thaw = thaw;
    }
    return hooks;
}

/* Whose a container is, and which process's. */
static const char *const *owner_labels(struct inv_daemon *d)
{
    const char **labels = cw_arena_alloc(&d->arena, 5 * sizeof(*labels));
    char boot[CW_BOOT_TEXT + 1];

    cw_boot_text(d->boot, boot);
    labels[0] = "org.cwhisk.invoker";
    labels[1] = d->printed_id;
    labels[2] = CW_LABEL_BOOT;
    labels[3] = d->boot_label = cw_arena_dup(&d->arena, cw_slice_of(boot));
    labels[4] = NULL;
    return labels;
}

static int make_logs(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    enum inv_log_store store;

    if (inv_log_store_parse(s->log_store_provider, &store, err) != 0)
        return -1;
    d->log_hub = inv_log_hub_new(d->loop, err);
    if (!d->log_hub)
        return -1;
    inv_log_hub_use_engine(d->log_hub, d->driver,
                           store == INV_LOG_STORE_ENGINE ? INV_LOG_FROM_STREAM
                                                         : (enum inv_log_from)s->log_source);
    if (store == INV_LOG_STORE_FILE) {
        d->userlogs = inv_userlogs_new(&(struct inv_userlogs_conf){.loop = d->loop,
                                                                   .metrics = d->metrics,
                                                                   .folder = s->userlogs_dir},
                                       err);
        return d->userlogs ? 0 : -1;
    }
    return 0;
}

int inv_daemon_make_clients(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;
    struct cw_kafka_conf kafka = {
        .brokers = s->kafka_hosts,
        .max_message_bytes = d->max_message_bytes,
        .on_error = on_bus_error,
        .arg = d,
    };
    struct cw_couch_conf couch = {
        .protocol = s->couch_protocol,
        .host = s->couch_host,
        .port = (uint16_t)s->couch_port,
        .username = s->couch_username,
        .password = s->couch_password,
        .metrics = d->metrics,
    };
    struct cw_docker_conf docker = {
        .engine = inv_daemon_engine(s),
        .parallel_creates = (unsigned)s->docker_parallel_runs,
        .run_ms = s->docker_run_ms,
        .rm_ms = s->docker_rm_ms,
        .pull_ms = s->docker_pull_ms,
        .ps_ms = s->docker_ps_ms,
        .inspect_ms = s->docker_inspect_ms,
        .pause_ms = s->docker_pause_ms,
        .unpause_ms = s->docker_unpause_ms,
        .version_ms = s->docker_version_ms,
        .patience_ms = ENGINE_PATIENCE_MS,
        .metrics = d->metrics,
        .oom_kills = oom_kills,
        .oom_kills_arg = d,
        .freezer = make_freezer(d),
        .config_folder = s->docker_config,
        .probe_path = s->probe_path,
        .probe_port = (uint16_t)s->probe_port,
        .warn = on_docker_warning,
        .on_moment = inv_lifecycle_moment,
        .on_moment_arg = d->lifecycle,
        .cluster = s->cluster,
        .labels = owner_labels(d),
        .run_flags = (const char *const *)s->extra_args,
    };

    if (set_kafka_properties(d, &kafka, err) != 0)
        return -1;
    if (inv_daemon_make_http(d, err) != 0)
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
    return make_logs(d, err);
}

void inv_daemon_make_monitor(struct inv_daemon *d)
{
    d->monitor = inv_monitor_new(&(struct inv_monitor_conf){
        .loop = d->loop,
        .metrics = d->metrics,
        .cgroup_root = d->settings->cgroup_root,
        .cgroup_parent = inv_settings_cgroup_parent(d->settings),
        .proc = "/proc",
        .interval_ms = d->settings->monitor_ms,
        .probe = (enum inv_probe_use)d->settings->probe,
        .top_actions = (size_t)d->settings->metrics_actions,
        .on_run = inv_daemon_on_run,
        .on_budget = inv_daemon_on_budget,
        .need = inv_daemon_look_up_need,
        .arg = d,
    });
}
