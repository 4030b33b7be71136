/* invoker/kafka_conf.h -- OpenWhisk's Kafka settings (Java's keys with - for .) as librdkafka's.
 *
 * Pure. Thread: any. */
#pragma once

#include "common/base/arena.h"

struct cw_err;

/* Translates NULL-terminated key, value, … into the same for librdkafka, in the arena. Keys that
 * have no meaning there are reported through ignored (with prefix, e.g. "whisk.kafka.common.") and
 * left out. */
const char *const *inv_kafka_properties(char *const *pairs, const char *prefix,
                                        struct cw_arena *arena,
                                        void (*ignored)(const char *prefix, const char *key));

/* whisk.kafka.topics.invoker: defaults of openwhisk kafka.md 1 overlaid with pairs. `partitions`
 * must be 1, as everything that OpenWhisk does with the topic assumes. */
int inv_topic_config(char *const *pairs, int64_t max_message_bytes, struct cw_arena *arena,
                     const char *const **ret, struct cw_err *err) CW_MUST_CHECK;
