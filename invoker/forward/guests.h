/* invoker/forward/guests.h -- activations that other invokers have forwarded to this one
 * (docs/adr/0020-forwarding.md).
 *
 * Reads our own topic `cwhisk<N>`: activations to run for others, and reports of what became of
 * those that we forwarded. Offsets are committed before an activation is handed out, so that
 * nothing runs twice; what is lost with this process the origin answers, since it sees our boot id
 * change. A report is passed on as it comes, and kept before its offset is committed, so that none
 * is missed; a successor may hear one again.
 * An activation for an earlier boot, one that is too many, and all that come while we stop go back.
 * Of each guest the origin is told once its ack is delivered and its record is safe. Thread: loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/model/peer_message.h"

struct cw_bus;
struct cw_err;
struct cw_loop;
struct cw_metrics;
struct inv_guests;
struct inv_job;

/* Where a guest comes from; owned by its job (inv_job.guest). */
struct inv_guest {
    char *instance; /* JSON: the origin's id, which its controller booked */
    size_t instance_len;
    char *reply_topic;
};
void inv_guest_free(struct inv_guest *g);

struct inv_guests_conf {
    struct cw_loop *loop;
    struct cw_bus *bus;
    struct cw_metrics *metrics;
    const char *topic;       /* ours; its group has the same name */
    const char *instance_id; /* struct cw_bus_subscription */
    uint64_t boot;           /* this process; not 0 */
    size_t capacity;         /* guests at a time */
    size_t max_bytes;        /* of messages queued here */
    const char *const *consumer_properties;
    /* Run this. The callee owns the job; its guest and ticket are set. */
    void (*on_guest)(void *arg, CW_TAKES struct inv_job *job);
    /* A peer reports about what we forwarded: CW_PEER_ENDED or CW_PEER_RETURNED. */
    void (*on_report)(void *arg, const struct cw_peer_message *report);
    /* What was reported must not get lost any more; on failure it is tried again. May be NULL. */
    int (*keep)(void *arg, struct cw_err *err);
    void *arg;
};

/* Subscribes. Strings are copied. */
struct inv_guests *inv_guests_new(const struct inv_guests_conf *conf,
                                  struct cw_err *err) CW_MUST_CHECK;
/* The bus must be freed after it, and tells nothing more. Accepts NULL. */
void inv_guests_free(struct inv_guests *g);

/* Does this ticket belong to a guest? Others are the ledger's. */
bool inv_guests_owns(int64_t ticket);
/* As of the ledger (inv_ledger_acked, inv_ledger_stored). */
void inv_guests_acked(struct inv_guests *g, int64_t ticket);
void inv_guests_stored(struct inv_guests *g, int64_t ticket);
/* A job of so many bytes is over, however it ended. */
void inv_guests_credit(struct inv_guests *g, size_t bytes);
/* It was not started and will not be: its origin is told, and the job freed, credit included. */
void inv_guests_return(struct inv_guests *g, CW_TAKES struct inv_job *job);
/* While true all that come go back. */
void inv_guests_refuse(struct inv_guests *g, bool refuse);
/* Guests whose end has not been reported yet. */
size_t inv_guests_open(const struct inv_guests *g);
