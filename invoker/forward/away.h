/* invoker/forward/away.h -- our activations that other invokers run (docs/adr/0020-forwarding.md).
 *
 * The peer acks to the controller by itself, with our instance id, and stores the record; here the
 * job stays until the peer reports its end, or gives it back, or is gone: then its caller gets an
 * error, since nobody knows how far it came. Thread: loop. Callbacks run inside inv_away_report and
 * inv_away_kill, or from timers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/model/peer_message.h"

struct cw_bus;
struct cw_loop;
struct cw_metrics;
struct inv_away;
struct inv_job;

struct inv_away_conf {
    struct cw_loop *loop;
    struct cw_bus *bus;
    struct cw_metrics *metrics;
    const char *topic;        /* ours, for reports */
    struct cw_slice instance; /* JSON of our id */
    size_t max_bytes;         /* of one message */
    int64_t time_std_ms;      /* a controller gives up after twice the larger of this and the
                                 action's time limit, and a minute (openwhisk kafka.md 6.3) */
    int64_t gone_grace_ms;    /* after a peer's end, for reports that are on their way */
    /* The callee owns the job. It ended elsewhere, ack and record included. */
    void (*on_ended)(void *arg, CW_TAKES struct inv_job *job);
    /* It was not run: to be placed again, and not to be forwarded again. */
    void (*on_returned)(void *arg, CW_TAKES struct inv_job *job);
    /* Nobody will say how it ended; text says why, for the caller. */
    void (*on_lost)(void *arg, CW_TAKES struct inv_job *job, const char *text);
    /* The first of ours went to this peer (true), or none is there any more. */
    void (*on_use)(void *arg, uint64_t peer, bool used);
    void *arg;
};

/* A process that may run something for us. */
struct inv_away_peer {
    uint64_t id; /* instance number */
    const char *topic;
    const char *boot; /* CW_PEER_BOOT_LEN hex digits */
};

/* Strings are copied, bus and the others borrowed. */
struct inv_away *inv_away_new(const struct inv_away_conf *conf);
/* Jobs that are still away are freed. The bus must be freed before. Accepts NULL. */
void inv_away_free(struct inv_away *a);

/* Forwards it. peer: borrowed for the call. false: it cannot be, because it came
 * from elsewhere, or back, or would be too large, or is away already (its id came twice); the job
 * stays the caller's. */
bool inv_away_send(struct inv_away *a, struct inv_job *job,
                   const struct inv_away_peer *peer) CW_MUST_CHECK;
/* What a peer reported. Ids that are not away are no matter. */
void inv_away_report(struct inv_away *a, const struct cw_peer_message *report);
/* Asks of each process that has something of ours whether it lives. What is at one that does not is
 * lost, unless it is reported, or the process shows up again, within the grace. */
void inv_away_check(struct inv_away *a, bool (*lives)(void *arg, uint64_t peer, const char *boot),
                    void *arg);
size_t inv_away_count(const struct inv_away *a);
/* Jobs are away no longer: each is lost, for this reason. */
void inv_away_kill(struct inv_away *a, const char *text);
