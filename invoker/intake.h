/* invoker/intake.h -- from message to an activation that may run: decode, refuse blocked
 * namespaces, fetch the action, check limits and age, decrypt arguments.
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
    /* The message of so many bytes does not parse: nothing can be answered. */
    void (*on_unreadable)(void *arg, size_t bytes);
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
/* Those whose action is being fetched are refused now. */
void inv_intake_kill(struct inv_intake *in);
/* Activations whose action is being fetched. */
size_t inv_intake_fetching(const struct inv_intake *in);
