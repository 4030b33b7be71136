/* invoker/dispatch.h -- puts activations into containers, in order, within the memory that there
 * is.
 *
 * Holds the pool's books, the real containers and the run buffer (openwhisk container.md 4): a job
 * that finds no room waits, and later ones wait behind it. Thread: loop. Callbacks of dispatch may
 * run inside its calls; none of them may free it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "invoker/container/container.h"
#include "invoker/pool/pool.h"

struct cw_action;
struct cw_err;
struct cw_manifest;
struct cw_metrics;
struct inv_dispatch;
struct inv_monitor;
struct inv_resize;
struct inv_settings;
struct inv_stale;

/* What is known here of an activation's action. */
struct inv_here {
    uint32_t warm;          /* idle containers that would do */
    uint32_t busy;          /* containers that run as much of it as they may */
    uint32_t waiting;       /* activations that wait for one of these, all before this one */
    bool may_wait;          /* so may this one */
    uint32_t guarantee_ppm; /* of CPU, that its action asks for (resize/wishes.h) */
};

enum inv_where {
    INV_WHERE_HERE,  /* a container here, or a new one */
    INV_WHERE_AWAY,  /* somebody else runs it: the callee owns the job */
    INV_WHERE_BUSY,  /* the next of its busy containers here that is free, unless that takes longer
                        than *ret_patience_us: then it is asked again, and may not wait */
    INV_WHERE_LATER, /* it is too large for this host, and not for another that has no room now: ask
                        again (inv_dispatch_look_again) */
};

struct inv_dispatch_conf {
    struct cw_loop *loop;
    struct cw_driver *driver;
    struct inv_log_hub *logs;
    struct inv_userlogs *userlogs; /* NULL: log lines go into records only */
    struct inv_monitor *monitor;   /* NULL: what runs take is not measured */
    struct inv_stale *stale; /* asked before what waited gets its turn; NULL: all of it runs */
    const struct inv_settings *settings;
    const struct cw_manifest *manifest;
    struct cw_metrics *metrics;
    int64_t instance; /* id, for container names and labels */
    double spread;    /* 0..1, random: inv_prewarm_conf */
    /* Of all containers together, in MB; 0: user-memory. inv_dispatch_set_memory changes it. */
    uint32_t pool_mb;
    /* What a container of the job takes of it, in MB. NULL: its memory. */
    uint32_t (*charge)(void *arg, const struct inv_job *job);
    /* Bytes that an activation of the action is expected to need. NULL: what it declares. */
    uint64_t (*memory_need)(void *arg, const struct cw_action *action);
    /* The books have room for one more container, or eviction makes some; may it be started now?
     * true: once idle ones of so many MB more are gone. Otherwise inv_dispatch_look_again when it
     * may be. NULL: always. */
    bool (*admits)(void *arg, uint32_t charge_mb, uint32_t *evict_mb);
    /* No container here could take it now, but for a new one, or it does not stay: where is it run?
     * Asked again whenever the job's turn comes. NULL: here. */
    enum inv_where (*where)(void *arg, struct inv_job *job, const struct inv_pool_need *need,
                            const struct inv_here *here, int64_t *ret_patience_us);
    /* Does a warm container here, if there is one, run it without asking? NULL: always. */
    bool (*stays)(void *arg, const struct inv_job *job, const struct inv_pool_need *need);
    /* It is about to be given to a container. May be NULL. */
    void (*on_placed)(void *arg, struct inv_job *job);
    /* /run is about to be sent; on failure it is not, and the job fails. May be NULL. */
    int (*on_start)(void *arg, struct inv_job *job, struct cw_err *err);
    /* The outcome is known, logs are not collected yet. */
    void (*on_result)(void *arg, struct inv_job *job);
    /* The container was dead or going, the job will be placed again. May be NULL. */
    void (*on_return)(void *arg, struct inv_job *job);
    /* The job is over; the callee owns it. */
    void (*on_end)(void *arg, CW_TAKES struct inv_job *job, enum inv_end how);
    void *arg;
};

/* Everything in conf is borrowed and must outlive the dispatch. */
struct inv_dispatch *inv_dispatch_new(const struct inv_dispatch_conf *conf);
/* All containers must be gone (inv_dispatch_idle). Accepts NULL. */
void inv_dispatch_free(struct inv_dispatch *d);
/* From now on there are prewarmed containers. */
void inv_dispatch_start_prewarming(struct inv_dispatch *d);
/* No new ones; those that exist stay until they are used or the drain. */
void inv_dispatch_stop_prewarming(struct inv_dispatch *d);
/* job->action is set. */
void inv_dispatch_submit(struct inv_dispatch *d, CW_TAKES struct inv_job *job);
/* What waits gets another turn: something outside has changed. */
void inv_dispatch_look_again(struct inv_dispatch *d);
/* All containers together have so much from now on. Idle ones that are beyond it go; what is still
 * too much does as soon as it is idle and somebody else needs room. */
void inv_dispatch_set_memory(struct inv_dispatch *d, uint32_t pool_mb);
/* Gives back, in their order, those of the run buffer that `which` picks. */
void inv_dispatch_release(struct inv_dispatch *d,
                          bool (*which)(void *arg, const struct inv_job *job),
                          void (*fn)(void *arg, CW_TAKES struct inv_job *job), void *arg);
/* Jobs waiting or in containers. */
size_t inv_dispatch_jobs(const struct inv_dispatch *d);
/* Draining: containers are removed as they become idle, and none are prewarmed; jobs that still
 * come are run. Afterwards (false) they are kept again; prewarming has to be started anew. */
void inv_dispatch_drain(struct inv_dispatch *d, bool draining);
/* End what is left: jobs are answered as failed, containers removed whatever they do. */
void inv_dispatch_kill(struct inv_dispatch *d, const char *why);
/* A predecessor's containers are there yet: what needs a new one waits. Or they are gone. */
void inv_dispatch_hold(struct inv_dispatch *d, bool hold);
/* While held: one container may be created all the same. */
void inv_dispatch_room_for_one(struct inv_dispatch *d);
/* The engine is away: what needs a new container waits, for a limited time. Or it is back. */
void inv_dispatch_engine(struct inv_dispatch *d, bool away);
/* The engine's container with this id has ended (exit_code -1: not known); others' are no matter.
 */
void inv_dispatch_died(struct inv_dispatch *d, const char *id, int64_t exit_code);
/* All that the engine has, as of since_us (monotonic): of ours, those older than that which are not
 * there or do not run have ended. */
void inv_dispatch_compare(struct inv_dispatch *d, const struct cw_owned_container *list,
                          size_t count, int64_t since_us);
struct inv_held {
    int64_t idle_ms;       /* it has been idle for so long; -1: it is at work, or prewarmed */
    uint64_t memory_bytes; /* in the books */
};
/* Is a container of this name held here, in whatever state? ret may be NULL. */
bool inv_dispatch_holds(const struct inv_dispatch *d, const char *name, struct inv_held *ret);
/* Removes the container of this name if it is idle; false: it is not, any more. */
bool inv_dispatch_remove_idle(struct inv_dispatch *d, const char *name);
/* Real containers, those being removed included. */
size_t inv_dispatch_containers(const struct inv_dispatch *d);
/* The limits of its containers; belongs to the dispatch. */
struct inv_resize *inv_dispatch_resize(struct inv_dispatch *d);
void inv_dispatch_stats(const struct inv_dispatch *d, struct inv_pool_stats *pool, size_t *waiting,
                        uint64_t *waiting_mb);
/* inv_pool_idle_pairs */
size_t inv_dispatch_idle_pairs(const struct inv_dispatch *d, uint64_t *pairs, size_t max);
