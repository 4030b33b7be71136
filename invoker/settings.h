/* invoker/settings.h -- everything an operator can set for `cwhisk invoker`.
 *
 * One table (settings.c) gives parser, --print-config, docs/config.md and the man page. OpenWhisk's
 * keys keep their names, variables and defaults (openwhisk invoker.md 2); our own are cwhisk.*.
 * Thread: any (read-only after loading). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/conf/conf.h"
#include "invoker/redis_settings.h"

enum inv_store_level { /* openwhisk couchdb.md 6.1 */
                       INV_STORE_ALWAYS,
                       INV_STORE_FAILURES,
                       INV_STORE_FAILURES_NOT_APPLICATION_ERRORS,
};

enum inv_stale_work { /* activations that their controller gave up */
                      INV_STALE_RUN,
                      INV_STALE_ANSWER,
};

enum inv_journal_sync { INV_SYNC_PROCESS, INV_SYNC_HOST };
enum inv_drain { INV_DRAIN_LEAVE, INV_DRAIN_FINAL };
enum inv_http_protocol { INV_HTTP, INV_HTTPS };

enum inv_freezer { INV_FREEZER_AUTO, INV_FREEZER_ENGINE };
enum inv_resize_by { INV_RESIZE_AUTO, INV_RESIZE_ENGINE };

struct inv_settings {
    /* command line */
    int64_t id; /* -1: not given */
    char *unique_name, *displayed_name;
    int64_t overwrite_id; /* -1: not given */
    char *zookeeper_hosts;
    int64_t zookeeper_ms;
    char *invoker_provider, *invoker_server_provider, *messaging_provider,
        *container_factory_provider, *artifact_store_provider, *activation_store_provider,
        *attachment_store_provider;
    /* HTTP */
    int64_t port;
    char *http_address;
    char *http_username, *http_password;
    int http_protocol; /* enum inv_http_protocol */
    char *https_keystore_path, *https_keystore_password, *https_keystore_flavor;
    bool https_client_auth;
    char *transactions_header;
    /* Kafka */
    char *kafka_hosts;
    char *topic_prefix, *user_event_prefix;
    int64_t replication_factor;
    char **kafka_common, **kafka_consumer, **kafka_producer; /* as OpenWhisk spells them */
    char **topic_invoker;                                    /* topic configuration */
    bool user_events;
    /* pool */
    int64_t user_memory_bytes;
    double user_cpus;
    double concurrent_peek_factor;
    int64_t idle_container_ms, pause_grace_ms;
    int64_t prewarm_check_delay_ms, prewarm_check_ms, prewarm_check_variance_ms,
        prewarm_expiration_limit;
    bool health_check;
    int64_t listen_ms, listen_patience_ms;
    int64_t health_check_ms, health_check_max_fails;
    /* limits */
    int64_t memory_min_bytes, memory_max_bytes, time_min_ms, time_max_ms, log_min_bytes,
        log_max_bytes, log_std_bytes, time_std_ms;
    int64_t concurrency_min, concurrency_max, concurrency_std;
    int64_t payload_max_bytes, truncation_bytes, serdes_overhead_bytes, exec_max_bytes;
    /* of namespaces that have no limit of their own; see limits.h */
    struct cw_conf_opt ns_memory_min_bytes, ns_memory_max_bytes, ns_time_min_ms, ns_time_max_ms,
        ns_log_min_bytes, ns_log_max_bytes, ns_concurrency_min, ns_concurrency_max,
        ns_payload_max_bytes, ns_truncation_bytes;
    /* documents */
    char *couch_protocol, *couch_host, *couch_username, *couch_password, *couch_provider,
        *couch_ca_file;
    int64_t couch_port;
    char *db_entities, *db_activations, *db_subjects;
    char *store_blocking;   /* inv_settings_blocking_level reads it */
    int store_non_blocking; /* enum inv_store_level */
    bool disable_store_result, unstored_logs;
    int64_t blacklist_poll_ms;
    char *param_scheme, *param_aes_128, *param_aes_256;
    /* containers */
    char *runtimes_manifest;
    char *runtimes_registry, *user_images_registry;
    bool bypass_pull_for_local_images;
    char *local_image_prefix;
    char *api_host_name, *api_host_proto;
    int64_t api_host_port;
    char *network;
    char **dns_servers, **dns_search, **dns_options, **extra_env, **extra_args;
    char *cluster, *cgroup_root;
    bool use_runc, mask_run_args; /* accepted, without effect */
    char *docker_socket, *docker_host, *docker_tls_verify, *docker_config, *containers_dir;
    int64_t docker_parallel_runs;
    int64_t docker_run_ms, docker_rm_ms, docker_pull_ms, docker_ps_ms, docker_inspect_ms,
        docker_pause_ms, docker_unpause_ms, docker_version_ms;
    /* logs, metrics, lifecycle */
    int log_level;   /* enum cw_log_level */
    int log_format;  /* enum cw_log_format */
    bool prometheus; /* stock: needs kamon too; ours is on by default */
    bool log_markers, kamon_tags;
    int64_t trace_activations, events_kept, metrics_actions, events_file_bytes;
    char *events_file;
    int64_t janitor_ms, janitor_idle_ms, janitor_containers, janitor_others_ms;
    double janitor_memory;
    bool janitor_dry_run, janitor_others;
    bool remove_on_incomplete_logs;
    char *log_store_provider; /* inv_log_store_parse */
    char *userlogs_dir;
    int log_source; /* enum inv_log_from */
    int freezer;    /* enum inv_freezer */
    int64_t monitor_ms;
    int probe; /* enum inv_probe_use */
    char *probe_path;
    int64_t probe_port;
    int resize_by; /* enum inv_resize_by */
    int64_t cpu_budget;
    double cpu_reserve;
    bool warm_limits;
    char **adaptive_heap;
    bool protect_memory;
    int64_t squeeze_ms;
    bool log_application_errors, log_developer_errors, log_whisk_errors;
    char **tags, **dedicated_namespaces;
    int64_t drain_ms, start_ms, stall_warn_ms, engine_wait_ms;
    int stale_work; /* enum inv_stale_work */
    int takeover;   /* enum inv_takeover */
    char *data_dir;
    int journal_sync; /* enum inv_journal_sync */
    int drain;        /* enum inv_drain */
    int64_t spool_bytes;
    int64_t catalog_bytes;
    /* other invokers */
    struct inv_redis_settings redis;
    int admission; /* enum inv_charge */
    int64_t memory_floor_bytes, cold_starts;
    double memory_stall_max, cpu_stall_max; /* percent */
    int placement_policy;                   /* enum inv_policy */
    bool forward, placement_wait;
    double managed_fraction, blackbox_fraction;
    int64_t hosts_read;
    int need_model; /* enum inv_need_model */
    int64_t profile_epoch_ms;
};

const struct cw_conf_table *inv_settings_table(void);
/* Where the engine puts containers' control groups, of the flags of docker run; NULL: the engine's
 * default. */
const char *inv_settings_cgroup_parent(const struct inv_settings *s);
/* The store level of blocking activations. One that is no level is not an error, as with stock: the
 * deprecated disable-store-result decides then, and *ret_deprecated tells so. */
enum inv_store_level inv_settings_blocking_level(const struct inv_settings *s,
                                                 bool *ret_deprecated);
