/* tests/bench/load_kafka.h -- the benchmark's end of Kafka: one producer, one reader of whole
 * topics from their end, both set for low latency.
 *
 * Everything that goes wrong ends up in cw_err. Thread: one per client. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

enum { LOAD_MAX_TOPICS = 4 };

struct cw_err;
struct load_kafka;

struct load_message {
    size_t topic;          /* index in the list given to load_kafka_new */
    struct cw_slice value; /* valid until the next load_kafka_poll */
    int64_t received_us;   /* CLOCK_MONOTONIC */
};

/* topics: read from where they end now, partition 0, created when missing. */
struct load_kafka *load_kafka_new(const char *brokers, const char *const *topics, size_t count,
                                  struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. */
void load_kafka_free(struct load_kafka *k);
/* Created with one partition when missing; what is produced to it afterwards leaves at once. */
int load_kafka_ensure_topic(struct load_kafka *k, const char *topic,
                            struct cw_err *err) CW_MUST_CHECK;
/* Without it the first message to a topic may wait a second; a controller's producer has long
 * known.
 */
int load_kafka_learn_leader(struct load_kafka *k, const char *topic,
                            struct cw_err *err) CW_MUST_CHECK;
int load_kafka_produce(struct load_kafka *k, const char *topic, struct cw_slice value,
                       struct cw_err *err) CW_MUST_CHECK;
/* 1: *ret_message is filled; 0: nothing came in time; -1: an error, also of an earlier produce. */
int load_kafka_poll(struct load_kafka *k, int timeout_ms, struct load_message *ret_message,
                    struct cw_err *err) CW_MUST_CHECK;

int64_t load_now_us(void);
