/* invoker/container/container_priv.h -- what container.c (life) and container_run.c (jobs inside)
 * share.
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/loop/loop.h"
#include "common/model/action_call.h"
#include "invoker/container/container.h"

struct cw_action;
struct cw_action_call;
struct cw_action_client;
struct cw_action_reply;
struct cw_err;
struct cw_tx;
struct inv_job;
struct inv_log_call;
struct inv_log_source;
struct inv_meter;
struct inv_watched;

#define COMPONENT "ContainerProxy"

enum ct_state {
    CT_CREATING,
    CT_STANDBY, /* prewarmed: belongs to no action yet */
    CT_INITIALIZING,
    CT_RUNNING,
    CT_READY,
    CT_PAUSING,
    CT_PAUSED,
    CT_RESUMING,
    CT_DOOMED,  /* no new jobs; waits for those that run */
    CT_THAWING, /* resumed before removal: an engine can hang on removing a frozen container */
    CT_REMOVING,
    CT_STATES,
};

struct inv_container {
    const struct inv_container_env *env;
    void *owner;
    enum ct_state state;
    char *name;
    struct cw_container real; /* id is "" until created */
    char log_path[1024];
    bool sentinels;           /* its runtime marks the end of each activation's logs */
    bool never_pulled;        /* its image is the operator's own */
    struct cw_action *action; /* of its first job, a reference; NULL while prewarmed. A later job's
                                 may have other limits: its own count for it */
    struct cw_action_client *client;
    struct inv_log_source *log_source;
    struct inv_watched *watched; /* NULL: not measured */
    uint64_t memory_bytes;       /* limit */
    struct cw_driver_call *driver_call;
    struct cw_list waiting; /* struct inv_job */
    struct cw_list runs;    /* struct run */
    bool maybe_paused;      /* thaw before removal */
    bool used;              /* ran something before, so a refused connection means that it died */
    int64_t standby_us;     /* prewarmed since; 0: it never was */
    bool listened;          /* it was seen to take connections */
    int64_t health_fails;   /* in a row */
    bool told_doomed;
    bool settling; /* waits for log lines of an earlier job before the next one may begin */
    unsigned removal_tries;
    const char
        *command; /* of the engine, as the docker command calls it: under way, or the last one */
    int64_t command_begun_us;
    int64_t since_us;      /* created */
    int64_t idle_us;       /* since then it has been idle, if it is */
    bool died;             /* the engine said so */
    int64_t exit_code;     /* then */
    struct cw_timer death; /* last words may be on their way */
    struct cw_timer timer; /* pause grace, then idle limit; between tries to remove */
    struct cw_defer gone;
};

enum run_step { RUN_INIT, RUN_RUN, RUN_OOM_CHECK, RUN_LOGS };

/* One job that was sent to the container. */
struct run {
    struct cw_link link;
    struct inv_container *c;
    struct inv_job *job;
    enum run_step step;
    bool initializing; /* the outcome being looked at is /init's */
    bool reused;       /* the container listened before: a refusal gives the job back */
    struct cw_call_body body;
    struct cw_timer again;                /* nothing of the call could be sent: another try */
    struct cw_timer look;                 /* while nobody takes /init's connection */
    int64_t unheard_since_us;             /* then that began */
    int64_t active_us;                    /* when it was last seen to do something, */
    uint64_t active_cpu_ns, active_bytes; /* having used this */
    bool silent;                          /* given up: it did nothing for too long */
    bool out_of_time;                     /* given up: the time limit is over */
    int64_t unsent_us;                    /* since then; 0: it could */
    struct cw_defer unsendable;           /* a body that cannot be built is told in the next turn */
    struct cw_action_call *call;
    struct cw_driver_call *oom_call;
    struct inv_log_call *log_call;
    struct inv_meter *meter; /* while it is measured */
    int64_t logs_begun_us;
    struct cw_str raw_logs, raw_tail; /* for files of log lines; unused otherwise */
    struct cw_call_answer answer;     /* kept over the check for out-of-memory; has no body then */
};

/* ---- container.c ---- */

/* The only place that assigns c->state; an impossible step ends the process. */
void inv_ct_set_state(struct inv_container *c, enum ct_state next);
int64_t inv_ct_now_us(const struct inv_container *c);
/* From here no job is placed in it. */
void inv_ct_close_to_jobs(struct inv_container *c);
/* Those waiting go back, those running finish; then it is removed. */
void inv_ct_doom(struct inv_container *c);
/* As inv_container_events.engine_was_away. */
bool inv_ct_engine_was_away(const struct inv_container *c, int64_t since_us, bool unreached);
/* After a job: run what waits, or become idle. */
void inv_ct_advance_idle(struct inv_container *c);

/* Of the job that it works for; NULL when it is idle. */
const struct cw_tx *inv_ct_tx(const struct inv_container *c);

/* ---- container_marks.c ---- */

/* A command to the engine begins: "run", "pause", "unpause", "rm". One at a time. */
void inv_ct_tell_command(struct inv_container *c, const char *command);
/* err NULL: it succeeded. */
void inv_ct_tell_command_end(const struct inv_container *c, const struct cw_err *err);

/* Stock's lines about /init, /run and the collection of logs. */
void inv_ct_tell_call(const struct run *r);
/* unheard: nobody got the call. */
void inv_ct_tell_answer(const struct run *r, const struct cw_action_reply *reply, bool unheard);
void inv_ct_tell_collecting(struct run *r);
void inv_ct_tell_logs(const struct run *r, bool complete, bool truncated);

/* ---- container_death.c ---- */

/* Timer: no last words came. */
void inv_ct_on_death(void *arg);

/* ---- container_listen.c ---- */

void inv_ct_listen_init(struct run *r);
void inv_ct_listen_done(struct run *r);
/* How long its /init may take from now on: less than the limit after containers that were given up.
 */
int64_t inv_ct_init_timeout_ms(const struct run *r);
/* How much longer its container may take to listen. */
int64_t inv_ct_init_patience_ms(const struct run *r);
/* /init was just posted. */
void inv_ct_listen_begin(struct run *r);
/* Its /init has ended like this: is another container to be made? Counts what is to be counted. */
bool inv_ct_listen_end(struct run *r, const struct cw_action_reply *reply);

/* ---- container_run.c ---- */

/* Sends /init with the first waiting job. */
void inv_ct_init(struct inv_container *c);
/* As soon as no log lines of an earlier job are outstanding. */
void inv_ct_run_waiting(struct inv_container *c);
/* Activations that wait end with the outcome of the one that failed (openwhisk container.md 5). */
void inv_ct_abort_waiting(struct inv_container *c, const struct inv_job *failed);
/* Cancels what it waits for; the job is the caller's. */
void inv_ct_free_run(struct run *r);
