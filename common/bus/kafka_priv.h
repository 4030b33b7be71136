/* common/bus/kafka_priv.h -- the pieces of the Kafka bus.
 *
 * kafka_conf.c: settings and error codes. kafka_client.c: one librdkafka instance and its way into
 * the loop. kafka_sub.c, kafka_assignment.c, kafka_commit.c: a subscription (kafka_sub_priv.h).
 * kafka_group.c: who is in a group. kafka_position.c: where one is. kafka_publish.c: messages out.
 * kafka_bus.c: the producer's events, topics, and the ops.
 * Thread: loop. */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/bus/done_priv.h"
#include "common/bus/kafka_bus.h"
#include "common/loop/loop.h"

struct cw_worker;

/* ---- kafka_conf.c ---- */

/* Our defaults, then what the user set. type tells which of conf->producer and conf->consumer
 * apply; the caller owns the result. */
rd_kafka_conf_t *kafka_conf_new(const struct cw_kafka_conf *conf, rd_kafka_type_t type,
                                struct cw_err *err) CW_MUST_CHECK;
int kafka_conf_set(rd_kafka_conf_t *conf, const char *key, const char *value, struct cw_err *err);
int kafka_conf_set_all(rd_kafka_conf_t *conf, const char *const *properties, struct cw_err *err);
/* An integer setting as it stands. */
int64_t kafka_conf_get(const rd_kafka_conf_t *conf, const char *key);

/* Fills *err from Kafka's code: "kafka: WHAT: detail"; detail NULL takes the code's own text. */
int kafka_fail(struct cw_err *err, rd_kafka_resp_err_t code, const char *what, const char *detail);

/* ---- kafka_client.c ---- */

struct kafka_client {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* everything but fetched messages; watched */
    struct cw_loop *loop;
    bool is_consumer;
    int wake_fd;
    struct cw_watch wake;
    struct cw_defer again; /* post to drain in the next turn */
    struct cw_timer tick;
    int64_t tick_ms;
    int64_t wall_ahead_ms; /* of the monotonic clock, at the last tick */
    cw_loop_fn *drain;
    void *arg;
};

/* drain(arg) is called whenever a watched queue got something, and now and then without cause; it
 * must poll all queues it wants to hear from until they are empty, or post `again`. */
int kafka_client_open(struct kafka_client *c, struct cw_loop *loop, rd_kafka_type_t type,
                      CW_TAKES rd_kafka_conf_t *conf, cw_loop_fn *drain, void *arg,
                      struct cw_err *err) CW_MUST_CHECK;
/* Lets `queue` wake the client. */
void kafka_client_watch(struct kafka_client *c, rd_kafka_queue_t *queue);
void kafka_client_unwatch(rd_kafka_queue_t *queue);
/* Leaves the loop and hands out the instance, which the caller must destroy. */
rd_kafka_t *kafka_client_detach(struct kafka_client *c) CW_MUST_CHECK;
/* An error or log event as a cw_err; false when there is nothing to tell. who: prefix, such as
 * "consumer of invoker0". */
bool kafka_client_problem(const struct kafka_client *c, rd_kafka_event_t *ev, const char *who,
                          struct cw_err *ret);

/* ---- the bus ---- */

struct kafka_bus {
    struct cw_bus base;
    struct cw_loop *loop;
    struct kafka_client producer;
    rd_kafka_conf_t *consumer_conf; /* template for subscriptions */
    int64_t max_message_bytes;
    void (*on_error)(void *arg, const struct cw_err *err);
    void *arg;
    struct cw_list unsent; /* struct publish, also those in lines */
    size_t unsent_bytes;
    size_t producing;     /* of the unsent, those that librdkafka has */
    struct cw_list lines; /* struct line: what waits outside of librdkafka, by topic */
    struct cw_defer pump;
    struct cw_list topics;       /* struct topic_call */
    struct cw_list groups;       /* struct group_call */
    struct cw_list subs;         /* struct cw_bus_sub, also those that are leaving */
    struct cw_list destructions; /* struct kafka_destruction: instances that are going */
    struct bus_dones dones;
    struct cw_worker *worker; /* for librdkafka calls that wait */
    struct cw_err refusal; /* the newest reason why a broker and we do not talk; code CW_OK: none */
    bool freeing;
};

/* For the log: what concerns no particular call. */
void kafka_bus_report(struct kafka_bus *bus, const struct cw_err *err);

/* ---- kafka_publish.c ---- */

void kafka_publish(struct kafka_bus *bus, const char *topic, struct cw_slice value,
                   cw_bus_done_fn *fn, void *arg);
/* One message of a delivery report. */
void kafka_on_report(struct kafka_bus *bus, const rd_kafka_message_t *m);
/* Gives librdkafka what it takes of what waits; arg: the bus. */
void kafka_lines_pump(void *arg);
/* Forgets all that is unsent. */
void kafka_lines_free(struct kafka_bus *bus);

/* ---- kafka_destroy.c ---- */

/* Does not wait. A consumer must have been closed. */
void kafka_destroy(struct kafka_bus *bus, CW_TAKES rd_kafka_t *rk);
/* false: some have not ended in time and are left behind. */
bool kafka_destroy_wait(struct kafka_bus *bus, int64_t timeout_ms);

/* ---- kafka_sub.c, kafka_assignment.c (seek), kafka_commit.c (commit) ---- */

struct cw_bus_sub *kafka_sub_new(struct kafka_bus *bus, const struct cw_bus_subscription *desc,
                                 struct cw_err *err) CW_MUST_CHECK;
void kafka_sub_unsubscribe(struct cw_bus_sub *sub);
void kafka_sub_pause(struct cw_bus_sub *sub);
void kafka_sub_resume(struct cw_bus_sub *sub);
int kafka_sub_seek(struct cw_bus_sub *sub, int64_t offset, struct cw_err *err);
void kafka_sub_commit(struct cw_bus_sub *sub, int64_t next_offset, cw_bus_done_fn *fn, void *arg);
struct cw_bus_position kafka_sub_position(const struct cw_bus_sub *sub);
int64_t kafka_sub_end_offset(struct cw_bus_sub *sub);
/* Leaves all groups and frees all subscriptions, waiting at most timeout_ms for brokers. */
void kafka_subs_free(struct kafka_bus *bus, int64_t timeout_ms);

/* ---- kafka_group.c ---- */

void kafka_group_members(struct kafka_bus *bus, const char *group, cw_group_members_fn *fn,
                         void *arg);
/* The answer to one of the requests above. */
void kafka_group_answered(rd_kafka_event_t *ev);
/* Forgets what is not answered. */
void kafka_groups_free(struct kafka_bus *bus);

/* ---- kafka_position.c ---- */

/* Where a group is in a partition. */
struct kafka_position {
    int64_t offset; /* -1: nowhere */
    char *note;     /* NULL: none; owned */
};

/* Asks the brokers; the answer, an event of `queue`, arrives within some seconds and carries
 * opaque. */
void kafka_position_ask(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *group,
                        const char *topic, int32_t partition, void *opaque);
/* The answer; replaces what *ret holds. */
int kafka_position_answered(rd_kafka_event_t *ev, const char *who, struct kafka_position *ret,
                            struct cw_err *err) CW_MUST_CHECK;
void kafka_position_done(struct kafka_position *p);
