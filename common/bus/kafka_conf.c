#include "common/bus/kafka_priv.h"

#include <stdio.h>

enum {
    /* What a record adds to its value on the wire (batch header 61, record header and varints under
     * 40), rounded up. */
    RECORD_OVERHEAD = 1024,
    MIN_MESSAGE_BYTES = 1000, /* librdkafka's own lower bound of message.max.bytes */
    MAX_MESSAGE_BYTES = 900000000,
};

/* clang-format off */
static const char *const COMMON[] = {
    "client.id",                          "cwhisk",
    "log.queue",                          "true", /* no log callback on foreign threads */
    "log_level",                          "4",
    "log.connection.close",               "false", /* brokers close idle connections: not news */
    "socket.nagle.disable",               "true",
    "socket.keepalive.enable",            "true",
    "reconnect.backoff.ms",               "50",
    "reconnect.backoff.max.ms",           "1000",
    "topic.metadata.refresh.interval.ms", "5000", /* how long a topic made later stays unseen */
    "security.protocol",                  "plaintext",
    NULL};

/* Order under retries: with several requests in flight a retried batch overtakes nothing only if
 * the producer is idempotent, which asks for acks=all, for a right that old clusters do not give
 * (IdempotentWrite), and ends fatally on a sequence gap. Stock runs with acks=1. So one request at a
 * time: a message waits at most one round trip for its predecessors, and while it waits, batches
 * form by themselves. (librdkafka 2.0.2 may have made the next request already when one is refused
 * for a moment, and sends it first: whoever needs order then waits for the answer.) Retries have no
 * end, since a message must wait in order while brokers are away; what the queue does not hold waits
 * in front of it (kafka_publish.c). A batch that librdkafka made is never above 128 KiB, so a small
 * topic limit refuses only messages that are too large on their own. */
static const char *const PRODUCER[] = {
    "acks",                         "1",
    "max.in.flight",                "1",
    "message.timeout.ms",           "0",
    "queue.buffering.max.ms",       "0",
    "queue.buffering.max.messages", "100000",
    "queue.buffering.max.kbytes",   "262144",
    "batch.size",                   "131072",
    "retry.backoff.ms",             "100",
    NULL};

/* fetch.wait.max.ms is no delay: the broker answers as soon as there is one byte. */
static const char *const CONSUMER[] = {
    "enable.auto.commit",            "false",
    "enable.auto.offset.store",      "false",
    "auto.offset.reset",             "earliest",
    "allow.auto.create.topics",      "false",
    "session.timeout.ms",            "30000",
    "heartbeat.interval.ms",         "10000",
    "max.poll.interval.ms",          "1800000",
    "partition.assignment.strategy", "range",
    "fetch.wait.max.ms",             "500",
    "fetch.min.bytes",               "1",
    "fetch.error.backoff.ms",        "50",
    "queued.min.messages",           "20000",
    "queued.max.messages.kbytes",    "32768",
    NULL};
/* clang-format on */

int kafka_conf_set(rd_kafka_conf_t *conf, const char *key, const char *value, struct cw_err *err)
{
    char why[160];

    if (rd_kafka_conf_set(conf, key, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return cw_fail(err, CW_INVALID, "kafka: setting %s: %s", key, why);
}

int kafka_conf_set_all(rd_kafka_conf_t *conf, const char *const *properties, struct cw_err *err)
{
    for (const char *const *p = properties; p && *p; p += 2) {
        if (!p[1])
            return cw_fail(err, CW_INVALID, "kafka: setting %s: has no value", p[0]);
        if (kafka_conf_set(conf, p[0], p[1], err) != 0)
            return -1;
    }
    return 0;
}

int64_t kafka_conf_get(const rd_kafka_conf_t *conf, const char *key)
{
    char text[32];
    size_t size = sizeof(text);
    int64_t value = 0;

    if (rd_kafka_conf_get(conf, key, text, &size) != RD_KAFKA_CONF_OK)
        return 0;
    (void)!cw_parse_i64(cw_slice_of(text), key, INT64_MIN, INT64_MAX, &value, NULL);
    return value;
}

static int set_limits(rd_kafka_conf_t *conf, int64_t max_message_bytes, rd_kafka_type_t type,
                      struct cw_err *err)
{
    char limit[24];

    (void)snprintf(limit, sizeof(limit), "%lld", (long long)max_message_bytes + RECORD_OVERHEAD);
    if (kafka_conf_set(conf, "message.max.bytes", limit, err) != 0)
        return -1;
    if (type == RD_KAFKA_PRODUCER)
        return 0;
    /* fetch.max.bytes and receive.message.max.bytes follow by themselves. */
    return kafka_conf_set(conf, "fetch.message.max.bytes", limit, err);
}

static int fill(rd_kafka_conf_t *rc, const struct cw_kafka_conf *conf, rd_kafka_type_t type,
                struct cw_err *err)
{
    bool producer = type == RD_KAFKA_PRODUCER;

    if (conf->max_message_bytes < MIN_MESSAGE_BYTES || conf->max_message_bytes > MAX_MESSAGE_BYTES)
        return cw_fail(err, CW_INVALID, "kafka: largest message: %lld bytes: expected %d..%d",
                       (long long)conf->max_message_bytes, MIN_MESSAGE_BYTES, MAX_MESSAGE_BYTES);
    if (!conf->brokers || !*conf->brokers)
        return cw_fail(err, CW_INVALID, "kafka: no broker named: expected host:port,...");
    if (kafka_conf_set_all(rc, COMMON, err) != 0 ||
        kafka_conf_set(rc, "bootstrap.servers", conf->brokers, err) != 0 ||
        kafka_conf_set_all(rc, producer ? PRODUCER : CONSUMER, err) != 0 ||
        set_limits(rc, conf->max_message_bytes, type, err) != 0 ||
        kafka_conf_set_all(rc, conf->common, err) != 0)
        return -1;
    return kafka_conf_set_all(rc, producer ? conf->producer : conf->consumer, err);
}

rd_kafka_conf_t *kafka_conf_new(const struct cw_kafka_conf *conf, rd_kafka_type_t type,
                                struct cw_err *err)
{
    rd_kafka_conf_t *rc = rd_kafka_conf_new();

    if (fill(rc, conf, type, err) == 0)
        return rc;
    rd_kafka_conf_destroy(rc);
    return NULL;
}

struct code_row {
    rd_kafka_resp_err_t from;
    enum cw_code to;
    bool retriable;
};

/* clang-format off */
static const struct code_row CODES[] = {
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,               CW_TOO_LARGE,   false},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,            CW_TOO_LARGE,   false},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,             CW_CONFLICT,    false},
    {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,               CW_CONFLICT,    true},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,                CW_CONFLICT,    true},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,            CW_CONFLICT,    true},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,               CW_CONFLICT,    false},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,                   CW_NOT_FOUND,   true},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,               CW_NOT_FOUND,   true},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,            CW_NOT_FOUND,   true},
    {RD_KAFKA_RESP_ERR__TIMED_OUT,                       CW_TIMEOUT,     true},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,                 CW_TIMEOUT,     true},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,                   CW_TIMEOUT,     true},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,                CW_TIMEOUT,     true},
    {RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED,               CW_TIMEOUT,     true},
    {RD_KAFKA_RESP_ERR__TRANSPORT,                       CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR__RESOLVE,                         CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,                CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR__WAIT_COORD,                      CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL,                      CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,                CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,             CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,            CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,             CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,         CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_NOT_CONTROLLER,                   CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,     CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,        CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR,                  CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,              CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,              CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,        CW_UNAVAILABLE, true},
    {RD_KAFKA_RESP_ERR__DESTROY,                         CW_CANCELLED,   false},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE,                     CW_CANCELLED,   false},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,                  CW_CANCELLED,   false},
    {RD_KAFKA_RESP_ERR__INVALID_ARG,                     CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,                  CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,               CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR,       CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG,                   CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_INVALID_REQUEST,                  CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION,                 CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION,                  CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR__SSL,                             CW_INVALID,     true},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,       CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,       CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,       CW_INVALID,     false},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,     CW_INVALID,     false},
};
/* clang-format on */

int kafka_fail(struct cw_err *err, rd_kafka_resp_err_t code, const char *what, const char *detail)
{
    struct code_row row = {.to = CW_INTERNAL};

    for (size_t i = 0; i < CW_ARRAY_LEN(CODES); i++)
        if (CODES[i].from == code)
            row = CODES[i];
    if (!detail)
        detail = rd_kafka_err2str(code);
    if (row.retriable)
        return cw_fail_retriable(err, row.to, "kafka: %s: %s", what, detail);
    return cw_fail(err, row.to, "kafka: %s: %s", what, detail);
}
