/* invoker/feed.h -- takes activation messages off the invoker's topic, with credits and
 * back-pressure.
 *
 * At most `capacity` messages are with the handler, about twice that are queued here (openwhisk
 * kafka.md 3); the queue is bounded in bytes too. When offsets are committed (docs/adr/0003, 0010):
 * - without a journal, before a message is handed out, as stock does: after a crash nothing runs
 *   twice; messages whose partition was taken away before their commit are dropped, since somebody
 *   else will read them;
 * - with a journal, after it was handed out; it is handed out at once as long as commits come back.
 * A commit that fails is tried again. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_bus;
struct cw_bus_position;
struct cw_err;
struct cw_loop;
struct cw_metrics;
struct inv_feed;

struct inv_feed_conf {
    struct cw_loop *loop;
    struct cw_bus *bus;
    struct cw_metrics *metrics;
    const char *topic;
    const char *instance_id;                /* see struct cw_bus_subscription */
    size_t capacity;                        /* credits: messages that may be with the handler */
    size_t max_bytes;                       /* of messages queued here */
    const char *const *consumer_properties; /* may be NULL */
    /* One message; costs one credit until inv_feed_credit. payload is borrowed for the call.
     * received_us: when it came out of the bus, monotonic. */
    void (*on_message)(void *arg, struct cw_slice payload, int64_t offset, int64_t received_us);
    /* As soon as it has come out of the bus, before it is committed, and perhaps again by a
     * successor. true: that was all, it is not handed out. May be NULL. */
    bool (*on_arrival)(void *arg, struct cw_slice payload, int64_t offset);
    /* For a journal; begin NULL: there is none. note: see struct cw_bus_subscription. begin: the
     * group's commit is there, where to begin? Asked at each assignment; -1: there; the journal
     * knows everything below *known, and no commit is to be lower (-1: nothing). keep: the commit
     * is about to be set to this offset; on failure it is not, and that is tried again; may be
     * there without the others. committed: it was, and no other is under way. ends: no message came
     * from where it began, and the topic ends at this offset; true: it is another one, read from
     * the group's commit again. */
    const char *note;
    int64_t (*begin)(void *arg, const struct cw_bus_position *commit, int64_t *known);
    int (*keep)(void *arg, int64_t offset, struct cw_err *err);
    void (*committed)(void *arg, int64_t offset);
    bool (*ends)(void *arg, int64_t end);
    /* The topic became ours (true), or somebody else's: nothing new is taken then, what was
     * committed is still handed out. May be NULL. */
    void (*on_owned)(void *arg, bool owned);
    /* The topic will never be ours again: another process took our place. May be NULL. */
    void (*on_lost)(void *arg, const struct cw_err *err);
    void *arg;
};

/* Subscribes. Strings are copied. */
struct inv_feed *inv_feed_new(const struct inv_feed_conf *conf, struct cw_err *err) CW_MUST_CHECK;
/* Leaves the group. Accepts NULL. */
void inv_feed_free(struct inv_feed *f);
/* A message of so many bytes that was handed out is done with. */
void inv_feed_credit(struct inv_feed *f, size_t bytes);
/* Takes nothing more from the bus. What waits for its commit is dropped (the successor reads it);
 * what is queued besides is still handed out as credits allow. */
void inv_feed_stop(struct inv_feed *f);
/* After inv_feed_stop: leaves everything from this offset on to whoever reads the topic next: the
 * group's commit goes back there, after keep. -1: nothing was handed out; all that is queued is
 * left, with a journal by leaving the commit where it is. fn: the broker confirmed (err NULL), and
 * what is queued here is dropped; or it did not, and what is queued is handed out after all if it
 * was committed. May run inside the call; not after inv_feed_free. */
void inv_feed_leave(struct inv_feed *f, int64_t offset,
                    void (*fn)(void *arg, const struct cw_err *err));
/* The topic turned out to be another one: what is queued is dropped, reading begins again at the
 * group's commit. Inside on_message, too. */
void inv_feed_restart(struct inv_feed *f);
/* Keeps (true) or stops keeping hand-outs back while something downstream is full. */
void inv_feed_hold(struct inv_feed *f, bool hold);
/* Messages taken and not yet handed out. */
size_t inv_feed_queued(const struct inv_feed *f);
/* Messages with the handler. */
size_t inv_feed_handed_out(const struct inv_feed *f);
/* end offset - next offset; -1 before anything is known. */
int64_t inv_feed_lag(const struct inv_feed *f);
