/* common/bus/kafka_sub_priv.h -- a subscription's parts.
 *
 *   kafka_sub.c           events, messages, joining and leaving
 *     kafka_assignment.c  which partitions, from where
 *       kafka_commit.c    offsets
 *
 * Thread: loop. */
#pragma once

#include "common/bus/kafka_priv.h"

struct kafka_partition {
    int32_t id;
    rd_kafka_queue_t *queue;
};

struct cw_bus_sub {
    struct kafka_bus *bus;
    struct cw_link link; /* bus->subs */
    struct kafka_client client;
    struct cw_bus_subscription desc; /* strings and properties are not kept in it */
    char *topic, *group;
    char *note; /* goes with commits; NULL: none */
    char *who;  /* for errors */
    struct kafka_partition *partitions;
    size_t partition_count;
    int32_t current;      /* partition of the message handed out last */
    int64_t start_offset; /* of the next assignment; -1: where the group's commit is */
    bool assigning;       /* in on_assigned: the start can still be chosen */
    /* With a note: given by the group, and not taken before it is known where the group is. NULL:
     * none. */
    rd_kafka_topic_partition_list_t *offered;
    struct kafka_position position;
    uintptr_t questions; /* how many were asked: only the last one's answer counts */
    struct cw_timer ask_again;
    bool paused;
    bool static_member; /* has an instance id */
    bool leaving;
    bool closing; /* librdkafka was told to close */
    int64_t leave_by_us;
    struct cw_timer leave_tick;
    bool unclosable; /* librdkafka refused to leave the group (fatal error): nothing to wait for */
    struct kafka_commit *waiting; /* to be sent when the one under way is answered */
    size_t committing;            /* requests under way */
    struct bus_dones dones;       /* commits refused at once */
};

/* ---- kafka_sub.c ---- */

/* To the subscriber, else to the bus. */
void kafka_sub_report(struct cw_bus_sub *sub, const struct cw_err *err);

/* ---- kafka_assignment.c; what calls the subscriber may make it leave ---- */

/* Assigned, or revoked, by the group. */
void kafka_on_rebalance(struct cw_bus_sub *sub, rd_kafka_event_t *ev);
/* The answer to kafka_ask_position. */
void kafka_on_position(struct cw_bus_sub *sub, rd_kafka_event_t *ev);
/* Where is the group in what was offered? arg: the subscription; also a timer's function. */
void kafka_ask_position(void *arg);
/* The topic was deleted. */
void kafka_topic_is_gone(struct cw_bus_sub *sub);
/* librdkafka has given up for good. */
void kafka_lost(struct cw_bus_sub *sub, const struct cw_err *err);
/* Nothing is read any more. Harmless when nothing is. The subscriber is not told. */
void kafka_unassign(struct cw_bus_sub *sub);
void kafka_forget_offer(struct cw_bus_sub *sub);
void kafka_close_partitions(struct cw_bus_sub *sub);

/* ---- kafka_commit.c ---- */

/* What waits is sent now. */
void kafka_commit_send(struct cw_bus_sub *sub);
void kafka_on_commit(struct cw_bus_sub *sub, rd_kafka_event_t *ev);
/* Nobody is told. Accepts NULL. */
void kafka_commit_free(struct kafka_commit *c);
