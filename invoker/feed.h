/* invoker/feed.h -- takes activation messages off the invoker's topic, with credits and
 * back-pressure.
 *
 * Like stock's MessageFeed (openwhisk kafka.md 3): offsets are committed before a message is handed
 * out, so nothing runs twice after a crash; at most `capacity` messages are with the handler, about
 * twice that are queued here. The queue is bounded in bytes too. A commit that fails is tried
 * again; messages whose partition was taken away before their commit are dropped, since somebody
 * else will read them. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_bus;
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
/* Takes nothing more from the bus. What is not committed is dropped (the successor reads it); what
 * is committed is still handed out as credits allow. */
void inv_feed_stop(struct inv_feed *f);
/* Keeps (true) or stops keeping hand-outs back while something downstream is full. */
void inv_feed_hold(struct inv_feed *f, bool hold);
/* Messages taken and not yet handed out. */
size_t inv_feed_queued(const struct inv_feed *f);
/* Messages with the handler. */
size_t inv_feed_handed_out(const struct inv_feed *f);
/* end offset - next offset; -1 before anything is known. */
int64_t inv_feed_lag(const struct inv_feed *f);
