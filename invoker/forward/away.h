/* invoker/forward/away.h -- our activations that other invokers run (docs/adr/0020-forwarding.md).
 *
 * The peer acks to the controller by itself, with our instance id, and stores the record; here the
 * job stays until the peer reports its end, or gives it back, or is gone: then its caller gets an
 * error, since nobody knows how far it came. What a predecessor forwarded is expected from the
 * beginning, since its end may be told before its message has been read again. Thread: loop.
 * Callbacks run inside inv_away_report and inv_away_kill, or from timers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/model/peer_message.h"
#include "invoker/journal/journal.h"

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
    int64_t time_max_ms;      /* the longest time limit, of an action that is not known yet */
    int64_t gone_grace_ms;    /* after a peer's end, for reports that are on their way */
    /* The broker has it. */
    void (*on_there)(void *arg, const struct inv_job *job, const struct inv_journal_peer *peer);
    /* It ended elsewhere, ack and record included. The callee owns the job; NULL: its message has
     * not been read again. */
    void (*on_ended)(void *arg, int64_t ticket, CW_TAKES struct inv_job *job);
    /* It was not run: to be placed again, and never to be forwarded again. Likewise. */
    void (*on_returned)(void *arg, int64_t ticket, CW_TAKES struct inv_job *job);
    /* Nobody will say how it ended; text says why, for the caller. */
    void (*on_lost)(void *arg, CW_TAKES struct inv_job *job, const char *text);
    /* The first of ours went to this peer (true), or none is there any more. */
    void (*on_use)(void *arg, uint64_t peer, bool used);
    void *arg;
};

/* A process that may run something for us. */
struct inv_away_peer {
    struct inv_journal_peer process;
    const char *topic;
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
/* A predecessor forwarded it, and did not hear of it. */
void inv_away_expect(struct inv_away *a, int64_t ticket, const char *activation_id,
                     const struct inv_journal_peer *peer);
/* Its message has been read again. false: it is not expected (any more); the job stays the
 * caller's. */
bool inv_away_adopt(struct inv_away *a, struct inv_job *job) CW_MUST_CHECK;
/* There is nothing more to be read again: what is only expected is forgotten. */
void inv_away_forget_expected(struct inv_away *a);
/* What a peer reported. Ids that are not away are no matter. */
void inv_away_report(struct inv_away *a, const struct cw_peer_message *report);
/* Asks of each process that has something of ours whether it lives. What is at one that does not is
 * lost, unless it is reported, or the process shows up again, within the grace. */
void inv_away_check(struct inv_away *a,
                    bool (*lives)(void *arg, const struct inv_journal_peer *peer), void *arg);
/* Jobs that are away. */
size_t inv_away_count(const struct inv_away *a);
/* Jobs are away no longer: each is lost, for this reason. Nothing is expected any more. */
void inv_away_kill(struct inv_away *a, const char *text);
