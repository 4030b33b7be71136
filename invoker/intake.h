/* invoker/intake.h -- from message to an activation that may run: decode, refuse blocked
 * namespaces, ask the ledger whether it is to run, fetch the action, check limits and age, decrypt
 * arguments.
 *
 * Every message that parses ends with exactly one answer, here or later. Thread: loop. */
#pragma once

#include "common/base/str.h"

struct cw_loop;
struct cw_metrics;
struct cw_param_keys;
struct inv_blacklist;
struct inv_catalog;
struct inv_intake;
struct inv_job;
struct inv_ledger;
struct inv_settings;
struct inv_stale;

struct inv_intake_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics;
    struct inv_catalog *catalog;
    const struct inv_blacklist *blacklist; /* NULL: nobody is blocked */
    const struct cw_param_keys *keys;      /* of encrypted arguments */
    struct inv_stale *stale;
    const struct inv_settings *settings;
    struct inv_ledger *ledger;
    /* Nothing comes of the message of so many bytes: it does not parse, so that nothing can be
     * answered, or it was done before. */
    void (*on_dropped)(void *arg, size_t bytes);
    /* Likewise, because the topic is not the one of before: it has to be read again. */
    void (*on_foreign)(void *arg, size_t bytes);
    /* A predecessor forwarded it. true: the callee has the job, and waits for its end; false: it
     * counts as started. */
    bool (*on_away)(void *arg, struct inv_job *job);
    /* A predecessor started it. true: the callee has answered it and owns the job. */
    bool (*on_interrupted)(void *arg, struct inv_job *job);
    /* It may run; job->action is set. The callee owns the job. */
    void (*on_ready)(void *arg, CW_TAKES struct inv_job *job);
    /* It must not run; the outcome is filled in. The callee owns the job. */
    void (*on_refused)(void *arg, CW_TAKES struct inv_job *job);
    void *arg;
};

/* conf is copied, what it points to borrowed. */
struct inv_intake *inv_intake_new(const struct inv_intake_conf *conf);
/* Accepts NULL. Jobs still fetching are freed. */
void inv_intake_free(struct inv_intake *in);
/* payload is borrowed for the call. received_us: when it came out of the bus, monotonic. */
void inv_intake_message(struct inv_intake *in, struct cw_slice payload, int64_t offset,
                        int64_t received_us);
/* An activation that another invoker has forwarded (invoker/forward/guests.h), or has given back
 * (invoker/forward/away.h): the ledger is not asked. */
void inv_intake_job(struct inv_intake *in, CW_TAKES struct inv_job *job);
/* Those whose action is being fetched are refused now. */
void inv_intake_kill(struct inv_intake *in);
/* Gives back those whose action is being fetched, where `which` says so. */
void inv_intake_release(struct inv_intake *in, bool (*which)(void *arg, const struct inv_job *job),
                        void (*fn)(void *arg, CW_TAKES struct inv_job *job), void *arg);
/* Activations whose action is being fetched. */
size_t inv_intake_fetching(const struct inv_intake *in);
