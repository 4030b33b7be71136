/* The producer's events, topic creation, and the ops. */
#include "common/bus/kafka_priv.h"

#include <stdlib.h>

#include "common/loop/worker.h"

enum {
    DRAIN_BUDGET = 64, /* events (batches of reports) per turn */
    FREE_TIMEOUT_MS = 3000,
    TOPIC_TRIES = 5,
    TOPIC_RETRY_MS = 1000,
    TOPIC_REQUEST_MS = 10000,
    METADATA_MS = 5000,
};

/* One ensure_topic. */
struct topic_call {
    struct cw_link link; /* bus->topics */
    struct kafka_bus *bus;
    char *name;
    rd_kafka_NewTopic_t *topic;
    int tries, max_tries;
    struct cw_timer retry;
    cw_bus_done_fn *fn;
    void *arg;
    struct cw_err err; /* why it could not be created */
    bool exists;       /* written by the worker, read when it is done */
    rd_kafka_resp_err_t look_code;
};

static struct kafka_bus *self(struct cw_bus *bus)
{
    return CW_CONTAINER_OF(bus, struct kafka_bus, base);
}

void kafka_bus_report(struct kafka_bus *bus, const struct cw_err *err)
{
    if (err->code == CW_INVALID)
        bus->refusal = *err;
    if (bus->on_error && !bus->freeing)
        bus->on_error(bus->arg, err);
}

static void bus_publish(struct cw_bus *base, const char *topic, struct cw_slice value,
                        cw_bus_done_fn *fn, void *arg)
{
    kafka_publish(self(base), topic, value, fn, arg);
}

static size_t bus_unsent(const struct cw_bus *base)
{
    return CW_CONTAINER_OF(base, const struct kafka_bus, base)->unsent.count;
}

static size_t bus_unsent_bytes(const struct cw_bus *base)
{
    return CW_CONTAINER_OF(base, const struct kafka_bus, base)->unsent_bytes;
}

/* ---- topics ---- */

static void topic_free(struct topic_call *t)
{
    cw_timer_done(&t->retry);
    if (t->topic)
        rd_kafka_NewTopic_destroy(t->topic);
    free(t->name);
    free(t);
}

static void topic_answer(CW_TAKES struct topic_call *t, const struct cw_err *err)
{
    cw_list_remove(&t->bus->topics, &t->link);
    if (t->fn)
        t->fn(t->arg, err);
    else if (err)
        kafka_bus_report(t->bus, err);
    topic_free(t);
}

static void topic_failed(struct topic_call *t)
{
    if (t->err.retriable && t->tries < t->max_tries)
        cw_timer_set_ms(&t->retry, TOPIC_RETRY_MS);
    else
        topic_answer(t, &t->err);
}

static void topic_result(struct topic_call *t, rd_kafka_resp_err_t code, const char *detail)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        topic_answer(t, NULL);
        return;
    }
    (void)kafka_fail(&t->err, code, t->name, detail);
    topic_failed(t);
}

static void on_topic_event(rd_kafka_event_t *ev)
{
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(ev);
    struct topic_call *t = rd_kafka_event_opaque(ev);
    const rd_kafka_topic_result_t **topics = NULL;
    size_t count = 0;

    if (rd_kafka_event_error(ev)) {
        topic_result(t, rd_kafka_event_error(ev), rd_kafka_event_error_string(ev));
        return;
    }
    topics = rd_kafka_CreateTopics_result_topics(result, &count);
    if (count == 1)
        topic_result(t, rd_kafka_topic_result_error(topics[0]),
                     rd_kafka_topic_result_error_string(topics[0]));
    else
        topic_result(t, RD_KAFKA_RESP_ERR__BAD_MSG, NULL);
}

static void topic_create(struct topic_call *t)
{
    rd_kafka_t *rk = t->bus->producer.rk;
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    char why[8]; /* the two calls fail only for values out of range */

    (void)rd_kafka_AdminOptions_set_request_timeout(options, TOPIC_REQUEST_MS, why, sizeof(why));
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, TOPIC_REQUEST_MS, why, sizeof(why));
    rd_kafka_AdminOptions_set_opaque(options, t);
    rd_kafka_CreateTopics(rk, &t->topic, 1, options, t->bus->producer.queue);
    rd_kafka_AdminOptions_destroy(options);
}

/* Worker: is the topic in the cluster's list? Looked at first, as stock does: those who may not
 * create topics can still use one that is there. Asking for it by name would create it on clusters
 * with auto.create.topics.enable. */
static void look_for_topic(void *arg)
{
    struct topic_call *t = arg;
    const struct rd_kafka_metadata *md;

    t->exists = false;
    t->look_code = rd_kafka_metadata(t->bus->producer.rk, 1, NULL, &md, METADATA_MS);
    if (t->look_code)
        return;
    for (int i = 0; i < md->topic_cnt && !t->exists; i++)
        t->exists = md->topics[i].err == 0 && strcmp(md->topics[i].topic, t->name) == 0;
    rd_kafka_metadata_destroy(md);
}

/* "Broker transport failure" is all that librdkafka says here of a wrong password. */
static void look_failed(struct topic_call *t)
{
    const struct cw_err *refusal = &t->bus->refusal;

    if (refusal->code == CW_OK) {
        topic_result(t, t->look_code, NULL);
        return;
    }
    t->err = *refusal;
    topic_failed(t);
}

static void looked_for_topic(void *arg)
{
    struct topic_call *t = arg;

    if (t->bus->freeing)
        return; /* forget_calls frees it */
    if (t->exists)
        topic_answer(t, NULL);
    else if (t->look_code)
        look_failed(t);
    else
        topic_create(t);
}

static void topic_try(void *arg)
{
    struct topic_call *t = arg;

    if (t->tries++ == 0)
        t->bus->refusal.code = CW_OK; /* of the time before; later tries may tell nothing new */
    cw_worker_run(t->bus->worker, look_for_topic, looked_for_topic, t);
}

static int topic_build(struct topic_call *t, const struct cw_topic_spec *spec)
{
    char why[160];
    rd_kafka_resp_err_t code;

    if (spec->partitions < 1 || spec->replication_factor < 1)
        return cw_fail(&t->err, CW_INVALID,
                       "kafka: topic %s: %d partitions, replication factor %d: expected 1 or more",
                       spec->name, spec->partitions, spec->replication_factor);
    t->topic = rd_kafka_NewTopic_new(spec->name, spec->partitions, spec->replication_factor, why,
                                     sizeof(why));
    if (!t->topic)
        return cw_fail(&t->err, CW_INVALID, "kafka: topic %s: %s", spec->name, why);
    for (const char *const *p = spec->config; p && p[0] && p[1]; p += 2)
        if ((code = rd_kafka_NewTopic_set_config(t->topic, p[0], p[1])))
            return cw_fail(&t->err, CW_INVALID, "kafka: topic %s: setting %s: %s", spec->name, p[0],
                           rd_kafka_err2str(code));
    return 0;
}

static void bus_ensure_topic(struct cw_bus *base, const struct cw_topic_spec *spec,
                             cw_bus_done_fn *fn, void *arg)
{
    struct kafka_bus *bus = self(base);
    struct topic_call *t = cw_alloc(sizeof(*t));

    t->bus = bus;
    t->name = cw_strdup(spec->name);
    t->max_tries = spec->tries > 0 ? spec->tries : TOPIC_TRIES;
    t->fn = fn;
    t->arg = arg;
    cw_timer_init(&t->retry, bus->loop, topic_try, t);
    if (topic_build(t, spec) != 0) {
        bus_dones_push(&bus->dones, fn, arg, &t->err);
        topic_free(t);
        return;
    }
    cw_list_push_back(&bus->topics, &t->link);
    topic_try(t);
}

/* ---- events of the producer ---- */

static void on_event(struct kafka_bus *bus, rd_kafka_event_t *ev)
{
    const rd_kafka_message_t *m;
    struct cw_err err;

    switch (rd_kafka_event_type(ev)) {
    case RD_KAFKA_EVENT_DR:
        while ((m = rd_kafka_event_message_next(ev)))
            kafka_on_report(bus, m);
        return;
    case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
        on_topic_event(ev);
        return;
    case RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT:
        kafka_group_answered(ev);
        return;
    default:
        if (kafka_client_problem(&bus->producer, ev, "producer", &err))
            kafka_bus_report(bus, &err);
    }
}

static void drain(void *arg)
{
    struct kafka_bus *bus = arg;
    rd_kafka_event_t *ev;

    for (int n = 0; n < DRAIN_BUDGET; n++) {
        if (!(ev = rd_kafka_queue_poll(bus->producer.queue, 0))) {
            if (bus->lines.count)
                kafka_lines_pump(bus); /* reports made room */
            return;
        }
        on_event(bus, ev);
        rd_kafka_event_destroy(ev);
    }
    cw_defer_post(&bus->producer.again);
}

/* ---- the bus ---- */

static struct cw_bus_sub *bus_subscribe(struct cw_bus *base, const struct cw_bus_subscription *desc,
                                        struct cw_err *err)
{
    return kafka_sub_new(self(base), desc, err);
}

static void forget_calls(struct kafka_bus *bus)
{
    struct cw_link *n;

    kafka_lines_free(bus);
    while ((n = cw_list_pop_front(&bus->topics)))
        topic_free(CW_LIST_ENTRY(n, struct topic_call, link));
    kafka_groups_free(bus);
    bus_dones_done(&bus->dones);
}

static void bus_group_members(struct cw_bus *base, const char *group, cw_group_members_fn *fn,
                              void *arg)
{
    kafka_group_members(self(base), group, fn, arg);
}

static void bus_free(struct cw_bus *base)
{
    struct kafka_bus *bus = self(base);

    bus->freeing = true;
    kafka_subs_free(bus, FREE_TIMEOUT_MS);
    cw_worker_free(bus->worker); /* after the subscriptions, which may use it, and before the
                                    producer, which its jobs use */
    if (bus->producer.rk) {
        (void)rd_kafka_purge(bus->producer.rk,
                             RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
        kafka_destroy(bus, kafka_client_detach(&bus->producer));
    }
    (void)kafka_destroy_wait(bus, FREE_TIMEOUT_MS);
    forget_calls(bus);
    if (bus->consumer_conf)
        rd_kafka_conf_destroy(bus->consumer_conf);
    free(bus);
}

static const struct cw_bus_ops OPS = {
    .name = "kafka",
    .subscribe = bus_subscribe,
    .unsubscribe = kafka_sub_unsubscribe,
    .pause = kafka_sub_pause,
    .resume = kafka_sub_resume,
    .seek = kafka_sub_seek,
    .commit = kafka_sub_commit,
    .position = kafka_sub_position,
    .end_offset = kafka_sub_end_offset,
    .publish = bus_publish,
    .ensure_topic = bus_ensure_topic,
    .group_members = bus_group_members,
    .unsent = bus_unsent,
    .unsent_bytes = bus_unsent_bytes,
    .free = bus_free,
};

static int bus_open(struct kafka_bus *bus, const struct cw_kafka_conf *conf, struct cw_err *err)
{
    rd_kafka_conf_t *rc = kafka_conf_new(conf, RD_KAFKA_PRODUCER, err);

    if (!rc ||
        kafka_client_open(&bus->producer, bus->loop, RD_KAFKA_PRODUCER, rc, drain, bus, err) != 0)
        return -1;
    if (!(bus->consumer_conf = kafka_conf_new(conf, RD_KAFKA_CONSUMER, err)))
        return -1;
    return (bus->worker = cw_worker_new(bus->loop, 1, err)) ? 0 : -1;
}

/* librdkafka starts Cyrus SASL whether it is to be used or not, and that loads every plugin that is
 * installed, one of them with Berkeley DB: 0.7 MB resident. PLAIN and SCRAM, all that we know, are
 * librdkafka's own. */
static void load_no_sasl_plugins(void)
{
    (void)setenv("SASL_PATH", "/dev/null", 0);
}

struct cw_bus *cw_kafka_bus_new(struct cw_loop *loop, const struct cw_kafka_conf *conf,
                                struct cw_err *err)
{
    struct kafka_bus *bus = cw_alloc(sizeof(*bus));

    bus->base.ops = &OPS;
    bus->loop = loop;
    bus->max_message_bytes = conf->max_message_bytes;
    bus->on_error = conf->on_error;
    bus->arg = conf->arg;
    cw_list_init(&bus->unsent);
    cw_list_init(&bus->lines);
    cw_list_init(&bus->destructions);
    cw_defer_init(&bus->pump, loop, kafka_lines_pump, bus);
    cw_list_init(&bus->topics);
    cw_list_init(&bus->groups);
    cw_list_init(&bus->subs);
    bus_dones_init(&bus->dones, loop);
    load_no_sasl_plugins();
    if (bus_open(bus, conf, err) == 0)
        return &bus->base;
    bus_free(&bus->base);
    return NULL;
}
