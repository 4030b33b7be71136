/* common/bus/kafka_bus.h -- struct cw_bus over Apache Kafka by librdkafka. Thread: loop. */
#pragma once

#include "common/bus/bus.h"

struct cw_metrics;

struct cw_kafka_conf {
    const char *brokers; /* host:port,… */
    /* Largest value that can be sent, and that a fetch must hold: 1000..900000000; openwhisk
     * 1054644. */
    int64_t max_message_bytes;
    /* NULL-terminated librdkafka key, value, … for all clients / producers / consumers; may be
     * NULL. They win over our defaults (acks 1, session 30 s, auto.offset.reset earliest, no auto
     * commit). */
    const char *const *common, *const *producer, *const *consumer;
    /* Errors of no particular call (all brokers down, …) and librdkafka's own log lines of level
     * warning or worse; called on the loop thread. May be NULL. */
    void (*on_error)(void *arg, const struct cw_err *err);
    void *arg;
};

/* Does not wait for a broker. conf is copied. ensure_topic looks at the cluster's list of topics
 * first and asks for no right to create when the topic is there; when no
 * broker lets us in, its error says why (TLS, credentials). Freeing the bus sends the commits
 * asked for and leaves the groups, for which it blocks, normally for milliseconds, at most about 3
 * s (10 s while a broker's name is being looked up or topics are being listed). */
struct cw_bus *cw_kafka_bus_new(struct cw_loop *loop, const struct cw_kafka_conf *conf,
                                struct cw_err *err) CW_MUST_CHECK;
