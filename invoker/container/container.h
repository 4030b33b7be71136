/* invoker/container/container.h -- one action container: created, initialised, run, frozen,
 * removed.
 *
 * A container belongs to one (invocation namespace, action) for life; a prewarmed one from its
 * first job on. States and rules: openwhisk container.md 5 and 8.3; the table is in container.c.
 * Results are reported before logs are collected; the container takes its next activation only
 * afterwards. Thread: loop. Callbacks never run inside the call that requested them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/driver/container_driver.h"

struct cw_counter;
struct cw_err;
struct cw_loop;
struct inv_container;
struct inv_job;
struct inv_log_hub;
struct inv_monitor;
struct inv_userlogs;
struct inv_settings;

/* How a job left its container; decides how it is acknowledged (openwhisk kafka.md 6.1). */
enum inv_end {
    INV_END_RAN,          /* on_result came before */
    INV_END_FAILED_START, /* the container could not be created for it */
    INV_END_ABORTED, /* it waited for a container that failed, or the container was killed under it
                      */
};

struct inv_container_events {
    /* The engine has made it and its processes run; nothing was sent to it yet. May be NULL. */
    void (*on_created)(void *arg, struct inv_container *c);
    /* A prewarmed container is created: its first job may come. */
    void (*on_standby)(void *arg, struct inv_container *c);
    /* It is initialised: more activations may be placed there. */
    void (*on_warm)(void *arg, struct inv_container *c);
    /* The container could not be created, or did not take an initialisation; unreached: for the
     * engine was out of reach. Was that away at a moment since since_us (monotonic)? true: its jobs
     * come back by on_return, nothing of them has run. Otherwise they fail. */
    bool (*engine_was_away)(void *arg, int64_t since_us, bool unreached);
    /* /run of job is about to be sent; on failure it is not, and the job fails. May be NULL. */
    int (*on_start)(void *arg, struct inv_container *c, struct inv_job *job, struct cw_err *err);
    /* The outcome of job is known; its logs are not collected yet. The job stays with the
     * container. */
    void (*on_result)(void *arg, struct inv_container *c, struct inv_job *job);
    /* The job ended and leaves the container. */
    void (*on_end)(void *arg, struct inv_container *c, struct inv_job *job, enum inv_end how);
    /* The job was not run and must be placed again: the container is dead. Comes after on_doomed.
     */
    void (*on_return)(void *arg, struct inv_container *c, struct inv_job *job);
    /* No job may be placed there any more. May run inside inv_container_remove and _kill. */
    void (*on_doomed)(void *arg, struct inv_container *c);
    /* The real container is removed (or given up); c is freed after this. */
    void (*on_gone)(void *arg, struct inv_container *c);
    void *arg;
};

/* Shared by all containers; borrowed. */
struct inv_container_env {
    struct cw_loop *loop;
    struct cw_driver *driver;
    struct inv_log_hub *logs;
    struct inv_userlogs *userlogs; /* NULL: logs go into records only */
    struct inv_monitor *monitor;   /* NULL: what runs take is not measured */
    struct inv_container_events events;
    int64_t pause_grace_ms, idle_ms;
    int64_t health_check_ms;             /* between looks at a prewarmed container; 0: never */
    int64_t health_check_fails;          /* in a row, after which it is removed */
    const struct inv_settings *settings; /* limits of results, which errors are logged */
    const char *containers_dir; /* where Docker's container directory is mounted; NULL: as the
                                   engine names it */
    size_t max_call_bytes;      /* of one /init or /run body */
    struct cw_counter *dead_warm, *dead_prewarmed; /* containers found dead */
    /* Containers that did not take their first connection and were replaced: they did nothing, or
     * ended; those that took it after the time limit of the activation. */
    struct cw_counter *replaced_silent, *replaced_ended, *late;
    bool log_markers;
    bool remove_on_incomplete_logs; /* as stock does */
};

/* Creates the container for job's action and runs job in it; spec is copied. owner: for the caller.
 */
struct inv_container *inv_container_new(const struct inv_container_env *env,
                                        const struct cw_container_spec *spec, struct inv_job *first,
                                        void *owner);
/* Creates a container for no action yet. */
struct inv_container *inv_container_new_prewarmed(const struct inv_container_env *env,
                                                  const struct cw_container_spec *spec,
                                                  void *owner);
/* Gives it another job (a prewarmed one: the first, after on_standby): runs now, or after creation,
 * initialisation or resume. */
void inv_container_add(struct inv_container *c, struct inv_job *job);
/* Removes an idle (or paused, or prewarmed) container; no effect on one that has jobs or is doomed
 * already. */
void inv_container_remove(struct inv_container *c);
/* Ends it now, whatever it does: jobs inside end through on_end (inside this call) as failed by the
 * platform. For the end of a drain. */
void inv_container_kill(struct inv_container *c, const char *why);
/* The engine says that its processes have ended; exit_code -1: not known. An idle one is removed at
 * once; what runs inside gets a moment for an answer that is on its way, then ends without one.
 * Harmless while it is being removed. */
void inv_container_died(struct inv_container *c, int64_t exit_code);
/* The engine's id; "" before it is created. */
const char *inv_container_id(const struct inv_container *c);
/* Monotonic time since when it has that id; 0: not yet. */
int64_t inv_container_since_us(const struct inv_container *c);
/* Monotonic time since when it has been idle, if it is; 0: it never was. */
int64_t inv_container_idle_us(const struct inv_container *c);
void *inv_container_owner(const struct inv_container *c);
const char *inv_container_name(const struct inv_container *c);
/* What it runs, borrowed; NULL: it is prewarmed. */
const struct cw_action *inv_container_action(const struct inv_container *c);
