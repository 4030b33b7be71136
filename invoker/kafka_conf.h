/* invoker/kafka_conf.h -- OpenWhisk's Kafka settings (Java's keys with - for .) as librdkafka's.
 *
 * Thread: any; reads the key stores that the settings name. */
#pragma once

#include "common/base/arena.h"

struct cw_err;

/* As the settings hold them: NULL-terminated key, value, …; each may be NULL. */
struct inv_kafka_settings {
    char *const *common, *const *producer, *const *consumer;
};

enum inv_kafka_client { INV_KAFKA_PRODUCER, INV_KAFKA_CONSUMER };

/* What librdkafka is told for a client of this kind: NULL-terminated key, value, … in the arena.
 * The client's own map wins over the common one. Keys without a counterpart are reported through
 * ignored (may be NULL; "whisk.kafka.common.metric-reporters"), once each over both kinds. Security
 * settings (ssl-*, sasl-*) count only where security-protocol asks for them, as in Java, and are
 * never ignored when that would make a connection weaker: such a key or value is an error that
 * names it. Stores are read here, passwords go nowhere but into the result. */
int inv_kafka_properties(const struct inv_kafka_settings *settings, enum inv_kafka_client client,
                         struct cw_arena *arena, void (*ignored)(const char *key),
                         const char *const **ret, struct cw_err *err) CW_MUST_CHECK;

/* whisk.kafka.topics.invoker: defaults of openwhisk kafka.md 1 overlaid with pairs. `partitions`
 * must be 1, as everything that OpenWhisk does with the topic assumes. */
int inv_topic_config(char *const *pairs, int64_t max_message_bytes, struct cw_arena *arena,
                     const char *const **ret, struct cw_err *err) CW_MUST_CHECK;
