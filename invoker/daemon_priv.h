/* invoker/daemon_priv.h -- what the daemon's files share: daemon.c (making and freeing),
 * daemon_activation.c (the parts that an activation goes through), daemon_admin.c (the HTTP
 * interface), daemon_admission.c (may a container start now), daemon_check.c (the settings
 * together), daemon_clients.c (connections to the outside), daemon_feed.c (messages and their
 * journal), daemon_forward.c (work between invokers), daemon_hosts.c (the other invokers),
 * daemon_janitor.c, daemon_start.c, daemon_stop.c, daemon_tls.c (keys and certificates).
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/base/arena.h"
#include "common/base/list.h"
#include "common/base/str.h"
#include "common/loop/loop.h"
#include "invoker/container/container.h"
#include "invoker/daemon.h"
#include "invoker/dispatch.h"
#include "invoker/placement/admission.h"

struct cw_action;
struct cw_bus;
struct cw_docstore;
struct cw_driver;
struct cw_freezer;
struct cw_counter;
struct cw_gauge;
struct cw_http;
struct cw_kv;
struct cw_manifest;
struct cw_metrics;
struct cw_param_keys;
struct cw_usage_source;
struct inv_acks;
struct inv_admin;
struct inv_blacklist;
struct inv_stale;
struct inv_store_check;
struct inv_catalog;
struct inv_descriptors;
struct inv_dispatch;
struct inv_engine_watch;
struct inv_event_log;
struct inv_feed;
struct inv_health;
struct inv_away;
struct inv_guests;
struct inv_host_gauges;
struct inv_placement_counts;
struct inv_host_view;
struct inv_hosts;
struct inv_job;
struct inv_intake;
struct inv_janitor;
struct inv_ledger;
struct inv_load;
struct inv_lifecycle;
struct inv_log_hub;
struct inv_monitor;
struct inv_need;
struct inv_owners;
struct inv_ownership;
struct inv_profile_asks;
struct inv_profiles;
struct inv_records;
struct inv_run_report;
struct inv_telemetry;
struct inv_trace;
struct inv_userlogs;
struct inv_watchdog;

#define COMPONENT "Invoker"

/* For inv_daemon.touched; -1 says that offset 0 can be left, too. */
enum { INV_TOUCHED_NOTHING = -2 };

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_DRAINING, PHASE_FLUSHING, PHASE_STOPPED };

struct inv_daemon {
    struct cw_loop *loop;
    const struct inv_settings *settings;
    enum phase phase;
    int status;
    int64_t began_us;
    struct cw_arena arena; /* names below */
    const char *const *topic_config;
    const char *invoker_topic, *health_topic, *events_topic, *source, *printed_id, *member_id,
        *container_prefix;
    uint64_t boot;          /* this process, wherever it is told from the one before */
    const char *boot_label; /* the same, of its containers */
    struct cw_str instance; /* JSON of our id */
    int64_t max_message_bytes;
    struct cw_manifest *manifest;
    struct cw_metrics *metrics;
    struct inv_telemetry *telemetry;
    struct inv_trace *trace;       /* NULL: none */
    struct inv_watchdog *watchdog; /* NULL: none is wanted */
    struct inv_event_log *events;
    struct inv_lifecycle *lifecycle;
    struct inv_descriptors *descriptors;
    struct cw_gauge *lag;
    struct cw_http *http;
    struct cw_bus *bus;
    struct cw_docstore *store;
    struct cw_driver *driver;
    struct cw_freezer *freezer;
    struct inv_log_hub *log_hub;
    struct inv_userlogs *userlogs; /* NULL: this log store has none */
    struct inv_monitor *monitor;
    struct inv_catalog *catalog;
    struct inv_acks *acks;
    struct inv_records *records;
    struct inv_dispatch *dispatch;
    struct inv_ledger *ledger;
    struct inv_intake *intake;
    struct inv_feed *feed;
    struct inv_health *health;
    struct cw_kv *kv; /* NULL: there is none */
    struct inv_hosts *hosts;
    struct inv_host_gauges *host_gauges;
    struct inv_placement_counts *placement_counts;
    const char *peer_topic;    /* where others forward to */
    struct inv_guests *guests; /* of others; NULL: nothing is forwarded */
    struct inv_away *away;     /* ours, at others; likewise */
    size_t guests_max;
    struct cw_timer admission_again;
    struct cw_counter *admission_holds[INV_HOLD_REASONS];
    int64_t admission_told_us;
    struct inv_host_view *views; /* for placing */
    size_t views_max;
    struct inv_profiles *profiles;
    struct inv_profile_asks *asks; /* of /profile */
    struct inv_load *load;
    int64_t cpu_used_millis;               /* of containers, as it was published last */
    struct inv_engine_watch *engine_watch; /* NULL before left-overs are gone */
    bool engine_away;
    struct inv_admin *admin;
    struct inv_janitor *janitor;
    struct inv_owners *owners; /* NULL: other invokers are not looked at */
    struct cw_usage_source *janitor_usage;
    struct inv_blacklist *blacklist;
    struct inv_store_check *store_check;
    struct inv_stale *stale;
    struct cw_param_keys *param_keys;
    struct inv_ownership *ownership;
    struct cw_timer topic_retry;
    bool topic_ready, engine_ready, blacklist_ready; /* while starting */
    bool topic_owned;
    unsigned topic_seen; /* times that it was there when it was looked for */
    bool topic_away;     /* taken from us; perhaps it was deleted */
    bool records_full, ledger_full, acks_full, descriptors_short; /* each keeps messages back */
    /* highest offset that went into a container or was answered, or the one before all that was
     * handed out: what lies behind can be left to the next reader of the topic */
    int64_t touched;
    struct cw_list left; /* jobs given back, until the broker confirmed it */
    bool leaving;        /* waiting for that */
    bool recovered;      /* what a predecessor left has been read again */
    bool refusing;       /* what was not started is answered with an error */
    bool cleaning;       /* that is under way */
    bool clean;          /* left-over containers are gone; none are created before */
    struct cw_watch sigterm, sigint;
    struct cw_timer stop_tick;
    int64_t stop_by_us;
    int64_t answered_us; /* stopping: since when nothing is to be answered */
    bool killed;
};

/* ---- daemon_activation.c ---- */

/* Answers the job and lets go of it. */
void inv_daemon_finish(struct inv_daemon *d, CW_TAKES struct inv_job *job, enum inv_end how);
/* Clients, names and the journal are there. */
void inv_daemon_make_parts(struct inv_daemon *d);

/* ---- daemon_admin.c ---- */

/* What its pages show is there. */
int inv_daemon_make_admin(struct inv_daemon *d, struct cw_err *err) CW_MUST_CHECK;

/* ---- daemon_feed.c ---- */

/* None is kept without a data directory. */
int inv_daemon_make_ledger(struct inv_daemon *d, struct cw_err *err) CW_MUST_CHECK;
/* Begins to read the topic, and what a predecessor left. The id is ours alone. */
int inv_daemon_subscribe(struct inv_daemon *d, size_t capacity, void (*on_owned)(void *, bool),
                         void (*on_lost)(void *, const struct cw_err *),
                         struct cw_err *err) CW_MUST_CHECK;
/* Something that keeps messages back has changed. */
void inv_daemon_hold_or_hand_out(struct inv_daemon *d);
/* Once all that a predecessor left has been read again, nothing is kept for it any more. */
void inv_daemon_forget_predecessor(struct inv_daemon *d);
/* A predecessor started it. true: it also ended it, and the job has been answered. */
bool inv_daemon_answer_recorded(struct inv_daemon *d, struct inv_job *job);
/* Acks were sent, or delivered. */
void inv_daemon_check_unsent(struct inv_daemon *d);
/* The job was given to a container, or answered. */
void inv_daemon_touch(struct inv_daemon *d, const struct inv_job *job);
/* Leaves what was not started to the next reader of the topic. */
void inv_daemon_leave(struct inv_daemon *d);
/* Answers a job that will not be run here with an error. */
void inv_daemon_refuse(struct inv_daemon *d, CW_TAKES struct inv_job *job);
/* Answers what was not started, and what still comes, with an error. */
void inv_daemon_refuse_rest(struct inv_daemon *d);
/* At the end: is this job, which was not run, for the successor that reads the journal? */
bool inv_daemon_stays_in_journal(const struct inv_daemon *d, const struct inv_job *job);
/* Lets go of a job without an answer. */
void inv_daemon_drop(struct inv_daemon *d, CW_TAKES struct inv_job *job);
/* Frees the jobs that were left. */
void inv_daemon_forget_left(struct inv_daemon *d);

/* ---- daemon_check.c ---- */

/* What is wrong with the settings beyond single values. */
int inv_daemon_check_settings(const struct inv_settings *s, struct cw_err *err) CW_MUST_CHECK;

/* ---- daemon_clients.c ---- */

/* Where the container engine is: a path, or what DOCKER_HOST says. */
const char *inv_daemon_engine(const struct inv_settings *s);
/* Kafka, CouchDB, Docker, log files: clients only, nothing is awaited. */
int inv_daemon_make_clients(struct inv_daemon *d, struct cw_err *err) CW_MUST_CHECK;

/* Measures what containers use; knows which there are. */
void inv_daemon_make_monitor(struct inv_daemon *d);

/* ---- daemon_admission.c ---- */

/* Timer and counters. */
void inv_daemon_init_admission(struct inv_daemon *d);
/* Of all containers together, in the books. */
uint32_t inv_daemon_pool_mb(const struct inv_daemon *d);
/* What waits gets another turn in a while. */
void inv_daemon_look_again(struct inv_daemon *d);
/* inv_monitor_conf.on_budget: what depends on it follows, but for CPU shares (machine.h). */
void inv_daemon_on_budget(void *arg);
/* inv_dispatch_conf.memory_need, .charge and .admits. */
uint64_t inv_daemon_memory_need(void *arg, const struct cw_action *action);
uint32_t inv_daemon_charge(void *arg, const struct inv_job *job);
bool inv_daemon_admits(void *arg, uint32_t charge_mb, uint32_t *evict_mb);

/* ---- daemon_forward.c ---- */

/* The journal has been read: what a predecessor forwarded is waited for. */
void inv_daemon_expect_forwarded(struct inv_daemon *d);
/* inv_intake_conf.on_away */
bool inv_daemon_adopt_forwarded(void *arg, struct inv_job *job);
/* Hosts are there, and the topic is ours. */
void inv_daemon_start_forwarding(struct inv_daemon *d, size_t guests_max);
/* Peers came or went, or have news. */
void inv_daemon_hosts_changed(struct inv_daemon *d);
/* inv_dispatch_conf.where and .stays. */
enum inv_where inv_daemon_where(void *arg, struct inv_job *job, const struct inv_pool_need *need,
                                const struct inv_here *here, int64_t *ret_patience_us);
bool inv_daemon_stays(void *arg, const struct inv_job *job, const struct inv_pool_need *need);
/* A guest that was not started goes back to its origin, and true; others stay the caller's. */
bool inv_daemon_give_back(struct inv_daemon *d, struct inv_job *job);

/* ---- daemon_hosts.c ---- */

/* The job was given to a container; it is in none any more; it has ended. */
void inv_daemon_note_placed(struct inv_daemon *d, struct inv_job *job);
void inv_daemon_note_left(struct inv_daemon *d, struct inv_job *job);
void inv_daemon_note_ended(struct inv_daemon *d, struct inv_job *job);
/* The CPU that it is expected to need. */
uint32_t inv_daemon_cpu_need(struct inv_daemon *d, const struct inv_job *job, uint64_t pair);
/* Also what they share; the admin interface and what hosts tell of are there. */
int inv_daemon_make_hosts(struct inv_daemon *d, struct cw_err *err) CW_MUST_CHECK;
/* inv_monitor_conf.on_run */
void inv_daemon_on_run(void *arg, const struct inv_run_report *run);
/* inv_monitor_conf.need */
bool inv_daemon_look_up_need(void *arg, const struct cw_action *action, struct inv_need *ret);
/* Gauges of what peers are told are about to be shown. */
void inv_daemon_show_host(struct inv_daemon *d);

/* ---- daemon_janitor.c ---- */

/* After the dispatch. */
void inv_daemon_make_janitor(struct inv_daemon *d);

/* ---- daemon_tls.c ---- */

/* The HTTP interface's; *ret is NULL for plain text, else to be freed (SSL_CTX_free). */
int inv_daemon_admin_tls(const struct inv_settings *s, SSL_CTX **ret,
                         struct cw_err *err) CW_MUST_CHECK;
/* The client of CouchDB and Docker. */
int inv_daemon_make_http(struct inv_daemon *d, struct cw_err *err) CW_MUST_CHECK;

/* ---- daemon_start.c ---- */

void inv_daemon_begin_start(struct inv_daemon *d);
/* Timer: Kafka could not be reached the last time. */
void inv_daemon_ask_for_topic(void *arg);
/* The blacklist has been read, or that failed (inv_blacklist_conf.on_first). */
void inv_daemon_on_blacklist(void *arg);

/* ---- daemon_stop.c ---- */

/* Ends the loop; status is the process's. */
void inv_daemon_end(struct inv_daemon *d, int status);
/* Finishes what was taken, then ends with this status. */
void inv_daemon_drain(struct inv_daemon *d, int status);
void inv_daemon_on_signal(void *arg);
void inv_daemon_on_stop_tick(void *arg);
