/* invoker/job.h -- one activation on its way through the invoker, and how it ended.
 *
 * Owned by whoever works on it: feed -> intake -> dispatch -> container -> outcome. Thread: loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/str.h"
#include "common/model/action_call.h"
#include "common/model/activation_record.h"

struct cw_action;
struct cw_activation_message;
struct inv_ack_send;
struct inv_guest;
struct parked_queue;

/* Moments of an activation, monotonic microseconds; 0 = not reached. */
enum inv_moment {
    INV_AT_RECEIVED,  /* the record came out of the bus */
    INV_AT_TAKEN,     /* handed out by the feed */
    INV_AT_FETCHED,   /* action present */
    INV_AT_PLACED,    /* a container was chosen */
    INV_AT_CREATED,   /* its container exists (cold start only) */
    INV_AT_INIT_SENT, /* /init handed to the socket (first job of a container only) */
    INV_AT_INITED,    /* /init answered (likewise) */
    INV_AT_RUN_SENT,  /* /run is ready to be sent */
    INV_AT_WRITTEN,   /* the kernel has the last byte of it */
    INV_AT_REPLIED,   /* the last byte of its answer was read */
    INV_AT_RUN_DONE,  /* how it ended is known */
    INV_AT_RESULT,    /* result handed to the bus, if apart from the slot-freeing ack */
    INV_AT_LOGS_DONE, /* logs collected */
    INV_AT_ENDED,     /* slot-freeing ack handed to the bus, or waits for the result's receipt */
    INV_MOMENTS,
};

struct inv_job {
    struct cw_link link; /* run buffer, parked.h, or the waiting list of a container */
    struct cw_activation_message *msg;
    struct cw_action *action; /* a reference; NULL before it is fetched and when that failed */
    int64_t offset;           /* in the invoker's topic; -1: none */
    int64_t ticket;           /* of the ledger, or of a guest */
    struct inv_guest *guest;  /* forwarded by another invoker; NULL: ours */
    bool came_back;           /* it was forwarded, and given back */
    bool interrupted;         /* a predecessor started it and did not end it */
    unsigned reschedules;     /* times that a container gave the job back */
    unsigned unheard;         /* of these, containers that did not take its /init's connection, */
    int64_t unheard_us;       /* and for how long */
    int64_t at[INV_MOMENTS];
    uint64_t turn;               /* of the dispatch: the lower, the earlier */
    struct parked_queue *parked; /* it waits there for a busy container; NULL: it does not */
    int64_t patient_until_us;    /* until then, at most (monotonic) */
    bool impatient;              /* it has waited for one long enough */
    bool buffered;               /* it found no room, which was told */
    uint32_t cpu_millis;         /* that it counts for while it is in a container (host_load.h) */
    int64_t held_us; /* since then it waits for the engine (monotonic); 0: it never did */

    /* how it ended */
    bool ended_in_container;  /* it got as far as a container: run annotations are written */
    int64_t start_ms, end_ms; /* epoch; start is back-dated by the init time */
    int64_t init_ms;          /* -1: this activation did no /init */
    int64_t wait_ms;
    bool timeout;
    bool excused;        /* a whisk error that must not count against the invoker's health */
    bool stale;          /* counted as such */
    bool blocked;        /* by the blacklist: shrunk ack, no record */
    bool logs_elsewhere; /* a log driver takes them: nothing is collected */
    struct cw_call_result outcome;
    bool logs_incomplete; /* or cut by their limit */
    struct cw_str logs;   /* raw JSON array; empty text = [] */
    bool answered;        /* the slot-freeing ack was handed to the bus, or waits for the result */
    struct inv_ack_send *result_send; /* of ack.c: the result that the broker has not taken yet */
};

/* Takes the message. */
struct inv_job *inv_job_new(CW_TAKES struct cw_activation_message *msg, int64_t taken_us);
void inv_job_free(struct inv_job *job);

/* Notes how long it waited for its start: since its controller took it, by two machines' clocks, or
 * by one that was set back meanwhile: 0 then. What lies more than a day ahead is no clock's doing,
 * and comes out negative, as with stock. */
void inv_job_waited(struct inv_job *job, int64_t start_ms);
/* Ends the job without a run: status, {"error": text}, start = end = now. */
void inv_job_fail(struct inv_job *job, enum cw_status status, const char *text, int64_t now_ms);
/* As inv_job_fail, with a whisk error that is not the invoker's fault and must not count against
 * its health (docs/architecture.md). */
void inv_job_excuse(struct inv_job *job, const char *text, int64_t now_ms);
/* Ends the job, excused, because the invoker stops. */
void inv_job_stop(struct inv_job *job, int64_t now_ms);
/* Ends the job, excused, as a predecessor's record of it tells: a stored document. false: that is
 * not one, nothing is changed. */
bool inv_job_recover(struct inv_job *job, struct cw_slice record);
/* Forgets what an attempt left behind, before the job is placed again. */
void inv_job_restart(struct inv_job *job);
/* Are logs collected inline for this action, so that acks are split (openwhisk kafka.md 6.1)? */
bool inv_job_collects_logs(const struct inv_job *job);
/* Borrowing view for encoders; valid while the job lives and is not changed. */
void inv_job_record(const struct inv_job *job, int64_t now_ms, struct cw_activation_record *ret);
