/* common/bus/bus.h -- messages in and out: Kafka in production, queues in one process for tests and
 * standalone.
 *
 * kafka_bus.c (librdkafka 2.0.2, event API, no callbacks on foreign threads) and local_bus.c
 * implement the same ops. One bus = one producer plus any number of subscriptions, each the only
 * member that matters of its group. Offsets are committed by hand and only for what the caller
 * took. Thread: loop. Callbacks never run inside the call that requested them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_bus;
struct cw_bus_sub;
struct cw_err;
struct cw_loop;

struct cw_bus_message {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;  /* record time stamp, -1 when unknown */
    struct cw_slice value; /* borrowed for the callback */
};

struct cw_bus_subscription {
    const char *topic;
    const char *group;
    const char *client_id; /* may be NULL */
    /* A member that joins again with the instance id of one that was killed takes its place at once
     * (static membership, KIP-345); an old member that still lives is shut out. May be NULL. */
    const char *instance_id;
    /* Goes with each commit, for whoever asks later who made it. With it, the group's commit is
     * asked for when partitions are given, which is told once that is known; meanwhile nothing is
     * read. Brokers take 4096 bytes, if they are not told otherwise. May be NULL. */
    const char *note;
    /* One record, in offset order. Called only while the subscription is not paused. */
    void (*on_message)(void *arg, const struct cw_bus_message *msg);
    /* A problem of the consumer that it goes on from by itself (broker away, …). For the log. May
     * be NULL. */
    void (*on_error)(void *arg, const struct cw_err *err);
    /* Nothing will ever come again: another member took our place, or the like. Partitions are
     * taken away before. May be NULL. */
    void (*on_lost)(void *arg, const struct cw_err *err);
    /* Partitions were given (true) or taken away (false). May be NULL. */
    void (*on_assigned)(void *arg, bool assigned);
    void *arg;
    const char *const
        *properties; /* NULL-terminated librdkafka key, value, key, value…; may be NULL */
};

enum { CW_BUS_COMMITTED = -2 }; /* for seek */

/* Where a group is in its topic, and what whoever brought it there had to say. */
struct cw_bus_position {
    int64_t offset;   /* -1: it never committed, or that was forgotten with the topic or in time */
    const char *note; /* "": none */
};

struct cw_topic_spec {
    const char *name;
    int partitions;            /* 1.. */
    int replication_factor;    /* 1.. */
    const char *const *config; /* NULL-terminated key, value, …; may be NULL */
    int tries;                 /* while Kafka cannot be reached; 0: 5, a second apart, as stock */
};

struct cw_group_member {
    const char *client_id, *host; /* as the broker knows them: "consumer-invoker0", "/10.0.0.7" */
    const char *instance_id;      /* "" for a member without */
};

/* members and count describe who is in the group now; err when the brokers could not tell. All
 * borrowed for the callback. */
typedef void cw_group_members_fn(void *arg, const struct cw_group_member *members, size_t count,
                                 const struct cw_err *err);

/* err is NULL on success. CW_TOO_LARGE: the message can never be sent (client or broker limit). */
typedef void cw_bus_done_fn(void *arg, const struct cw_err *err);

struct cw_bus_ops {
    const char *name;
    /* All must. */
    struct cw_bus_sub *(*subscribe)(struct cw_bus *bus, const struct cw_bus_subscription *sub,
                                    struct cw_err *err);
    /* Leaves the group; no callbacks afterwards (commits asked for before are still sent, their
     * fn is not called); frees sub. Allowed inside sub's own callbacks. */
    void (*unsubscribe)(struct cw_bus_sub *sub);
    void (*pause)(struct cw_bus_sub *sub);
    void (*resume)(struct cw_bus_sub *sub);
    /* Before the assignment, or in on_assigned: where to begin instead of at the commit. Offsets
     * that are no longer (or not yet) there count as the first one. CW_BUS_COMMITTED: at the
     * group's commit. Messages that were fetched before do not come any more. */
    int (*seek)(struct cw_bus_sub *sub, int64_t offset, struct cw_err *err);
    /* One request at a time; calls in between share the next one, and the last offset counts. Where
     * a topic has several partitions, commit, seek and end_offset concern that of the message
     * handed out last. */
    void (*commit)(struct cw_bus_sub *sub, int64_t next_offset, cw_bus_done_fn *fn, void *arg);
    /* In on_assigned(true) of a subscription with a note: the group's commit. Borrowed for the
     * callback. */
    struct cw_bus_position (*position)(const struct cw_bus_sub *sub);
    int64_t (*end_offset)(
        struct cw_bus_sub *sub); /* newest known end of the partition, -1 unknown */
    void (*publish)(struct cw_bus *bus, const char *topic, struct cw_slice value,
                    cw_bus_done_fn *fn, void *arg);
    void (*ensure_topic)(struct cw_bus *bus, const struct cw_topic_spec *spec, cw_bus_done_fn *fn,
                         void *arg);
    /* Who has joined a group; a killed member counts until its session ends. A group that nobody
     * has joined yet has no members. */
    void (*group_members)(struct cw_bus *bus, const char *group, cw_group_members_fn *fn,
                          void *arg);
    size_t (*unsent)(const struct cw_bus *bus); /* published, fn not yet called */
    /* The memory they take, bookkeeping included. Nothing here bounds it: who publishes on behalf
     * of input holds that back when this grows. */
    size_t (*unsent_bytes)(const struct cw_bus *bus);
    /* Ends all subscriptions; what is unsent is dropped (look at unsent first); no callbacks. Not
     * inside a callback of the bus. */
    void (*free)(struct cw_bus *bus);
};

struct cw_bus {
    const struct cw_bus_ops *ops;
};

/* Subscriptions start unpaused. Strings are copied. */
static inline struct cw_bus_sub *
cw_bus_subscribe(struct cw_bus *bus, const struct cw_bus_subscription *sub, struct cw_err *err)
{
    return bus->ops->subscribe(bus, sub, err);
}
/* value is copied. Order per topic is kept, but for neighbours of a message that a broker refuses
 * for a moment: wait for fn where order must hold even then. fn is called once the broker has it,
 * or when it can never be sent: too large, not allowed. A broker that is away, a queue that is
 * full, and a topic that is gone make messages wait in order; for a topic 15 minutes (CW_NOT_FOUND
 * then). fn NULL: nobody minds if it is lost, and a topic that is not there loses it. */
static inline void cw_bus_publish(struct cw_bus *bus, const char *topic, struct cw_slice value,
                                  cw_bus_done_fn *fn, void *arg)
{
    bus->ops->publish(bus, topic, value, fn, arg);
}
/* Creates the topic if it is missing; an existing one is left as it is. Retried up to 5 times 1 s
 * apart on retriable errors (openwhisk kafka.md 1). */
static inline void cw_bus_ensure_topic(struct cw_bus *bus, const struct cw_topic_spec *spec,
                                       cw_bus_done_fn *fn, void *arg)
{
    bus->ops->ensure_topic(bus, spec, fn, arg);
}
static inline void cw_bus_free(struct cw_bus *bus)
{
    if (bus)
        bus->ops->free(bus);
}
