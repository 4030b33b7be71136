/* invoker/ack.h -- tells controllers how activations went: exactly one slot-freeing message for
 * each.
 *
 * Which message when: openwhisk kafka.md 6.1. The result goes out as soon as it is known; its
 * completion waits until the broker has taken it (or has refused it for good). What is too large is
 * sent shrunk. User events go before the slot-freeing message. Thread: loop.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "invoker/container/container.h"

struct cw_bus;
struct cw_loop;
struct cw_metrics;
struct inv_acks;
struct inv_job;
struct inv_trace;

struct inv_acks_conf {
    struct cw_loop *loop;
    struct cw_bus *bus;
    struct cw_metrics *metrics;
    const char *topic_prefix; /* of completed<C> */
    struct cw_slice instance; /* JSON of our instance id */
    size_t max_bytes;         /* of one message */
    const char *events_topic; /* NULL: no user events */
    const char *source;       /* "invoker0", in user events */
    struct inv_trace *trace;  /* borrowed; NULL: none */
    /* The broker has the slot-freeing message of the job with this ticket, or will never take it.
     * Not inside a call. May be NULL. */
    void (*on_acked)(void *arg, int64_t ticket);
    void *arg;
};

/* conf is borrowed and must outlive it. */
struct inv_acks *inv_acks_new(const struct inv_acks_conf *conf);
/* The bus must be freed before, so that it has nothing left to tell us. Accepts NULL. */
void inv_acks_free(struct inv_acks *a);
/* The outcome is known, logs will follow: a waiting caller gets the result now. */
void inv_acks_result(struct inv_acks *a, struct inv_job *job);
/* The activation is over. how INV_END_FAILED_START also stands for an action that could not be
 * fetched; a blocked caller gets no result, as with stock. */
void inv_acks_end(struct inv_acks *a, struct inv_job *job, enum inv_end how);
