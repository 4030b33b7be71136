#include "tests/bench/load_kafka.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"

enum { SETUP_TIMEOUT_MS = 30000, FLUSH_TIMEOUT_MS = 2000, RETRY_MS = 10 };

struct load_kafka {
    rd_kafka_t *producer, *consumer;
    const char *const *topics;
    size_t count;
    rd_kafka_message_t *message; /* lent out */
    struct cw_err send_err;      /* code CW_OK: none so far */
};

static const char *const PRODUCER_SETTINGS[] = {
    "linger.ms", "0", "acks", "1", "delivery.report.only.error", "true", NULL,
};
static const char *const CONSUMER_SETTINGS[] = {
    "enable.auto.commit", "false", "fetch.wait.max.ms", "100", "auto.offset.reset", "latest", NULL,
};

int64_t load_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct load_kafka *k = opaque;

    (void)rk;
    if (message->err)
        (void)cw_fail(&k->send_err, CW_UNAVAILABLE, "produce to %s: %s",
                      rd_kafka_topic_name(message->rkt), rd_kafka_err2str(message->err));
}

static int set_all(rd_kafka_conf_t *conf, const char *const *pairs, struct cw_err *err)
{
    char text[160];

    for (; *pairs; pairs += 2)
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], text, sizeof(text)) != RD_KAFKA_CONF_OK)
            return cw_fail(err, CW_INVALID, "%s", text);
    return 0;
}

static rd_kafka_t *client_new(struct load_kafka *k, rd_kafka_type_t type, const char *brokers,
                              const char *const *settings, struct cw_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char group[48], text[160];
    rd_kafka_t *rk = NULL;

    (void)snprintf(group, sizeof(group), "cwhisk-bench-%d", (int)getpid());
    rd_kafka_conf_set_opaque(conf, k);
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (set_all(conf,
                (const char *const[]){"bootstrap.servers", brokers, "socket.nagle.disable", "true",
                                      "client.id", "cwhisk-bench", NULL},
                err) == 0 &&
        (type == RD_KAFKA_PRODUCER ||
         set_all(conf, (const char *const[]){"group.id", group, NULL}, err) == 0) &&
        set_all(conf, settings, err) == 0) {
        rk = rd_kafka_new(type, conf, text, sizeof(text));
        if (!rk)
            (void)cw_fail(err, CW_INVALID, "%s", text);
    }
    if (!rk)
        rd_kafka_conf_destroy(conf);
    return rk;
}

static int judge_created(rd_kafka_event_t *ev, const char *topic, struct cw_err *err)
{
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(ev);
    const rd_kafka_topic_result_t **rows;
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
    size_t n;

    if (!code && result) {
        rows = rd_kafka_CreateTopics_result_topics(result, &n);
        code = n == 1 ? rd_kafka_topic_result_error(rows[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    }
    if (!code || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    return cw_fail(err, CW_UNAVAILABLE, "create topic %s: %s", topic, rd_kafka_err2str(code));
}

static bool has_leader(const struct rd_kafka_metadata *metadata)
{
    const struct rd_kafka_metadata_topic *topic = metadata->topics;

    return metadata->topic_cnt == 1 && !topic->err && topic->partition_cnt > 0 &&
           !topic->partitions[0].err && topic->partitions[0].leader >= 0;
}

/* A topic that was made a moment ago may be unknown, or without a leader, for another one. */
static int learn_leader(rd_kafka_t *rk, const char *topic, struct cw_err *err)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    int64_t give_up_us = load_now_us() + SETUP_TIMEOUT_MS * 1000LL;
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    bool known = false;

    while (handle && !known && load_now_us() < give_up_us) {
        code = rd_kafka_metadata(rk, 0, handle, &metadata, SETUP_TIMEOUT_MS);
        known = !code && has_leader(metadata);
        if (!code)
            rd_kafka_metadata_destroy(metadata);
        if (!known)
            (void)usleep(RETRY_MS * 1000);
    }
    if (handle)
        rd_kafka_topic_destroy(handle);
    return known ? 0
                 : cw_fail(err, CW_UNAVAILABLE, "topic %s has no leader: %s", topic,
                           rd_kafka_err2str(code));
}

int load_kafka_learn_leader(struct load_kafka *k, const char *topic, struct cw_err *err)
{
    return learn_leader(k->producer, topic, err);
}

int load_kafka_ensure_topic(struct load_kafka *k, const char *topic, struct cw_err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(k->producer);
    rd_kafka_NewTopic_t *spec = rd_kafka_NewTopic_new(topic, 1, 1, NULL, 0);
    rd_kafka_event_t *ev;
    int rc;

    rd_kafka_CreateTopics(k->producer, &spec, 1, NULL, queue);
    ev = rd_kafka_queue_poll(queue, SETUP_TIMEOUT_MS);
    rc = ev ? judge_created(ev, topic, err)
            : cw_fail(err, CW_TIMEOUT, "create topic %s: no answer", topic);
    if (ev)
        rd_kafka_event_destroy(ev);
    rd_kafka_NewTopic_destroy(spec);
    rd_kafka_queue_destroy(queue);
    return rc == 0 ? load_kafka_learn_leader(k, topic, err) : -1;
}

/* The end is asked for first, so that nothing sent after load_kafka_new is missed. */
static int find_end(struct load_kafka *k, const char *topic, int64_t *ret, struct cw_err *err)
{
    int64_t low, give_up_us = load_now_us() + SETUP_TIMEOUT_MS * 1000LL;
    rd_kafka_resp_err_t code;

    if (learn_leader(k->consumer, topic, err) != 0)
        return -1;
    for (;;) { /* the broker itself may not know yet that it leads */
        code = rd_kafka_query_watermark_offsets(k->consumer, topic, 0, &low, ret, SETUP_TIMEOUT_MS);
        if (!code || load_now_us() > give_up_us)
            break;
        (void)usleep(RETRY_MS * 1000);
    }
    return code ? cw_fail(err, CW_UNAVAILABLE, "end of %s: %s", topic, rd_kafka_err2str(code)) : 0;
}

static int assign(struct load_kafka *k, struct cw_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)k->count);
    rd_kafka_resp_err_t code;
    int rc = 0;

    for (size_t i = 0; i < k->count && rc == 0; i++) {
        rc = load_kafka_ensure_topic(k, k->topics[i], err);
        if (rc == 0)
            rc = find_end(k, k->topics[i],
                          &rd_kafka_topic_partition_list_add(list, k->topics[i], 0)->offset, err);
    }
    code = rc == 0 ? rd_kafka_assign(k->consumer, list) : 0;
    if (code)
        rc = cw_fail(err, CW_UNAVAILABLE, "assign: %s", rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

struct load_kafka *load_kafka_new(const char *brokers, const char *const *topics, size_t count,
                                  struct cw_err *err)
{
    struct load_kafka *k = cw_alloc(sizeof(*k));

    k->topics = topics;
    k->count = count;
    k->producer = client_new(k, RD_KAFKA_PRODUCER, brokers, PRODUCER_SETTINGS, err);
    k->consumer =
        k->producer ? client_new(k, RD_KAFKA_CONSUMER, brokers, CONSUMER_SETTINGS, err) : NULL;
    if (!k->consumer) {
        load_kafka_free(k);
        return NULL;
    }
    (void)rd_kafka_poll_set_consumer(k->consumer);
    if (assign(k, err) != 0) {
        load_kafka_free(k);
        return NULL;
    }
    return k;
}

int load_kafka_produce(struct load_kafka *k, const char *topic, struct cw_slice value,
                       struct cw_err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        k->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);

    return code ? cw_fail(err, CW_UNAVAILABLE, "produce to %s: %s", topic, rd_kafka_err2str(code))
                : 0;
}

static size_t topic_index(const struct load_kafka *k, const char *name)
{
    size_t i = 0;

    while (i + 1 < k->count && strcmp(k->topics[i], name) != 0)
        i++;
    return i;
}

int load_kafka_poll(struct load_kafka *k, int timeout_ms, struct load_message *ret_message,
                    struct cw_err *err)
{
    (void)rd_kafka_poll(k->producer, 0);
    if (k->send_err.code) {
        *err = k->send_err;
        return -1;
    }
    if (k->message)
        rd_kafka_message_destroy(CW_STEAL(k->message));
    k->message = rd_kafka_consumer_poll(k->consumer, timeout_ms);
    if (!k->message)
        return 0;
    if (k->message->err)
        return cw_fail(err, CW_UNAVAILABLE, "consume: %s", rd_kafka_message_errstr(k->message));
    *ret_message = (struct load_message){
        .topic = topic_index(k, rd_kafka_topic_name(k->message->rkt)),
        .value = cw_slice(k->message->payload, k->message->len),
        .received_us = load_now_us(),
    };
    return 1;
}

void load_kafka_free(struct load_kafka *k)
{
    if (!k)
        return;
    if (k->message)
        rd_kafka_message_destroy(k->message);
    if (k->consumer) {
        (void)rd_kafka_consumer_close(k->consumer);
        rd_kafka_destroy(k->consumer);
    }
    if (k->producer) {
        (void)rd_kafka_flush(k->producer, FLUSH_TIMEOUT_MS);
        rd_kafka_destroy(k->producer);
    }
    free(k);
}
