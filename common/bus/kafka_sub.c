/* One librdkafka consumer per subscription. Fetched messages do not go to the consumer's queue but
 * stay on their partition's own queue, so pausing is simply not reading that queue, while the
 * consumer's queue (rebalances, errors, commits) is always read. librdkafka fetches ahead until the
 * queue holds queued.max.messages.kbytes and keeps heart-beating. A short pause therefore costs no
 * fetch, a long one bounded memory, and neither can lose or repeat a message:
 * rd_kafka_pause_partitions, which throws fetched messages away, is not used at all.
 *
 * rd_kafka_queue_forward(queue, NULL) before the assignment takes effect makes librdkafka keep the
 * messages there (flag FWD_APP in its source). */
#include "common/bus/kafka_sub_priv.h"

enum {
    DRAIN_BUDGET = 64, /* events per turn, so that other I/O gets its share */
    CLOSE_POLL_MS = 10,
    LEAVE_POLL_MS = 5,
    LEAVE_LIMIT_US = 1000000,
};

/* ---- errors ---- */

void kafka_sub_report(struct cw_bus_sub *sub, const struct cw_err *err)
{
    if (sub->leaving)
        return;
    if (sub->desc.on_error)
        sub->desc.on_error(sub->desc.arg, err);
    else if (sub->bus->on_error)
        sub->bus->on_error(sub->bus->arg, err);
}

/* ---- messages ---- */

/* Only of an error event: others have something else at that place. */
static bool is_fatal(rd_kafka_event_t *ev)
{
    return rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR &&
           (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__FATAL ||
            rd_kafka_event_error_is_fatal(ev));
}

static bool says_gone(rd_kafka_event_t *ev)
{
    return rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR &&
           rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

static void on_fetched(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    const rd_kafka_message_t *m = rd_kafka_event_message_next(ev);
    rd_kafka_timestamp_type_t type;
    struct cw_bus_message msg;
    struct cw_err err;

    if (!m)
        return;
    if (m->err) {
        (void)kafka_fail(&err, m->err, sub->who, rd_kafka_message_errstr(m));
        kafka_sub_report(sub, &err);
        return;
    }
    msg = (struct cw_bus_message){
        .topic = sub->topic,
        .partition = m->partition,
        .offset = m->offset,
        .timestamp_ms = rd_kafka_message_timestamp(m, &type),
        .value = m->payload ? cw_slice(m->payload, m->len) : CW_SLICE(""),
    };
    sub->current = m->partition;
    sub->desc.on_message(sub->desc.arg, &msg);
}

static void on_event(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    struct cw_err err;

    switch (rd_kafka_event_type(ev)) {
    case RD_KAFKA_EVENT_FETCH:
        on_fetched(sub, ev);
        return;
    case RD_KAFKA_EVENT_REBALANCE:
        kafka_on_rebalance(sub, ev);
        return;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        kafka_on_commit(sub, ev);
        return;
    case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT:
        kafka_on_position(sub, ev);
        return;
    default:
        if (!kafka_client_problem(&sub->client, ev, sub->who, &err))
            return;
        kafka_sub_report(sub, &err);
        if (is_fatal(ev))
            kafka_lost(sub, &err);
        else if (says_gone(ev))
            kafka_topic_is_gone(sub);
    }
}

/* One event of the queue; false when it is empty. */
static bool serve(struct cw_bus_sub *sub, rd_kafka_queue_t *queue, int timeout_ms)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, timeout_ms);

    if (!ev)
        return false;
    on_event(sub, ev);
    rd_kafka_event_destroy(ev);
    return true;
}

/* Messages of all partitions in turn; returns what is left of the budget. */
static int serve_partitions(struct cw_bus_sub *sub, int budget)
{
    bool any = true;

    while (any) {
        any = false;
        for (size_t i = 0; i < sub->partition_count; i++) {
            if (budget == 0 || sub->paused || sub->leaving)
                return budget;
            if (serve(sub, sub->partitions[i].queue, 0)) {
                budget--;
                any = true;
            }
        }
    }
    return budget;
}

/* ---- leaving ---- */

static void sub_free(void *obj)
{
    struct cw_bus_sub *sub = obj;

    kafka_commit_free(sub->waiting);
    bus_dones_done(&sub->dones);
    kafka_position_done(&sub->position);
    free(sub->note);
    free(sub->group);
    free(sub->topic);
    free(sub->who);
    free(sub);
}

/* Takes the subscription out of the loop; the caller destroys the instance. */
static rd_kafka_t *detach(struct cw_bus_sub *sub)
{
    kafka_forget_offer(sub);
    kafka_close_partitions(sub);
    cw_timer_done(&sub->leave_tick);
    cw_timer_done(&sub->ask_again);
    cw_list_remove(&sub->bus->subs, &sub->link);
    return kafka_client_detach(&sub->client);
}

static void finish(struct cw_bus_sub *sub)
{
    struct kafka_bus *bus = sub->bus;

    kafka_destroy(bus, detach(sub));
    cw_loop_bury(bus->loop, sub, sub_free); /* may be on the stack */
}

static bool has_left(const struct cw_bus_sub *sub)
{
    return sub->closing && (sub->unclosable || rd_kafka_consumer_closed(sub->client.rk));
}

static void drain(void *arg)
{
    struct cw_bus_sub *sub = arg;
    int budget = DRAIN_BUDGET;

    while (budget > 0 && serve(sub, sub->client.queue, 0))
        budget--;
    if (has_left(sub)) {
        finish(sub);
        return;
    }
    budget = serve_partitions(sub, budget);
    if (budget == 0)
        cw_defer_post(&sub->client.again);
}

/* Closing alone keeps a static member's place until its session ends, so it leaves before. That is
 * over when it has no member id any more, which nothing announces. */
static bool is_member(const struct cw_bus_sub *sub)
{
    char *id = rd_kafka_memberid(sub->client.rk);
    bool yes = id && *id;

    if (id)
        rd_kafka_mem_free(sub->client.rk, id);
    return yes;
}

/* librdkafka sends what was committed before it leaves the group. */
static void close_when_left(struct cw_bus_sub *sub)
{
    rd_kafka_error_t *error;

    if (sub->closing)
        return;
    if (sub->static_member && is_member(sub) &&
        cw_loop_mono_us(sub->bus->loop) < sub->leave_by_us) {
        cw_timer_set_ms(&sub->leave_tick, LEAVE_POLL_MS);
        return;
    }
    sub->closing = true;
    if ((error = rd_kafka_consumer_close_queue(sub->client.rk, sub->client.queue))) {
        rd_kafka_error_destroy(error);
        sub->unclosable = true;
    }
    cw_defer_post(&sub->client.again);
}

static void on_leave_tick(void *arg)
{
    close_when_left(arg);
}

static void leave(struct cw_bus_sub *sub)
{
    sub->leaving = true;
    sub->leave_by_us = cw_loop_mono_us(sub->bus->loop) + LEAVE_LIMIT_US;
    bus_dones_done(&sub->dones);
    kafka_commit_send(sub);
    if (sub->offered)
        kafka_unassign(sub);
    if (sub->static_member)
        (void)rd_kafka_unsubscribe(sub->client.rk);
    close_when_left(sub);
}

void kafka_sub_unsubscribe(struct cw_bus_sub *sub)
{
    leave(sub);
}

static bool all_closed(const struct kafka_bus *bus)
{
    CW_LIST_EACH (&bus->subs, n)
        if (!has_left(CW_LIST_ENTRY(n, struct cw_bus_sub, link)))
            return false;
    return true;
}

void kafka_subs_free(struct kafka_bus *bus, int64_t timeout_ms)
{
    int64_t end_us = cw_loop_mono_us(bus->loop) + timeout_ms * 1000;
    struct cw_link *n;

    CW_LIST_EACH (&bus->subs, pos)
        if (!CW_LIST_ENTRY(pos, struct cw_bus_sub, link)->leaving)
            leave(CW_LIST_ENTRY(pos, struct cw_bus_sub, link));
    while (!all_closed(bus) && cw_loop_mono_us(bus->loop) < end_us)
        CW_LIST_EACH (&bus->subs, pos) {
            struct cw_bus_sub *sub = CW_LIST_ENTRY(pos, struct cw_bus_sub, link);

            close_when_left(sub);
            (void)serve(sub, sub->client.queue, CLOSE_POLL_MS);
        }
    while ((n = cw_list_first(&bus->subs))) {
        struct cw_bus_sub *sub = CW_LIST_ENTRY(n, struct cw_bus_sub, link);

        kafka_destroy(bus, detach(sub));
        sub_free(sub);
    }
}

/* ---- the rest of the contract ---- */

void kafka_sub_pause(struct cw_bus_sub *sub)
{
    sub->paused = true;
}

void kafka_sub_resume(struct cw_bus_sub *sub)
{
    sub->paused = false;
    cw_defer_post(&sub->client.again); /* no wake-up comes for what is already there */
}

struct cw_bus_position kafka_sub_position(const struct cw_bus_sub *sub)
{
    const struct kafka_position *p = &sub->position;

    return (struct cw_bus_position){p->offset, p->note ? p->note : ""};
}

int64_t kafka_sub_end_offset(struct cw_bus_sub *sub)
{
    int64_t low, high;

    if (rd_kafka_get_watermark_offsets(sub->client.rk, sub->topic, sub->current, &low, &high))
        return -1;
    return high >= 0 ? high : -1;
}

static rd_kafka_conf_t *sub_conf(const struct kafka_bus *bus,
                                 const struct cw_bus_subscription *desc, struct cw_err *err)
{
    rd_kafka_conf_t *rc = rd_kafka_conf_dup(bus->consumer_conf);
    char strategy[256] = "";
    size_t size = sizeof(strategy);

    if (kafka_conf_set(rc, "group.id", desc->group, err) == 0 &&
        (!desc->client_id || kafka_conf_set(rc, "client.id", desc->client_id, err) == 0) &&
        (!desc->instance_id ||
         kafka_conf_set(rc, "group.instance.id", desc->instance_id, err) == 0) &&
        kafka_conf_set_all(rc, desc->properties, err) == 0) {
        (void)rd_kafka_conf_get(rc, "partition.assignment.strategy", strategy, &size);
        if (!strstr(strategy, "cooperative"))
            return rc;
        (void)cw_fail(err, CW_INVALID,
                      "kafka: setting partition.assignment.strategy: "
                      "cooperative-sticky: expected range or roundrobin");
    }
    rd_kafka_conf_destroy(rc);
    return NULL;
}

static int join_group(struct cw_bus_sub *sub, struct cw_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    rd_kafka_topic_partition_list_add(list, sub->topic, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(sub->client.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_fail(err, code, sub->who, NULL) : 0;
}

static char *consumer_name(const char *topic)
{
    struct cw_str who;

    cw_str_init(&who, 512);
    cw_str_addz(&who, "consumer of ");
    cw_str_addz(&who, topic);
    return cw_str_steal(&who);
}

struct cw_bus_sub *kafka_sub_new(struct kafka_bus *bus, const struct cw_bus_subscription *desc,
                                 struct cw_err *err)
{
    rd_kafka_conf_t *rc;
    struct cw_bus_sub *sub;

    if (!*desc->topic || !*desc->group) {
        (void)cw_fail(err, CW_INVALID, "kafka: topic \"%s\", group \"%s\": neither may be empty",
                      desc->topic, desc->group);
        return NULL;
    }
    if (!(rc = sub_conf(bus, desc, err)))
        return NULL;
    sub = cw_alloc(sizeof(*sub));
    sub->bus = bus;
    sub->desc = *desc;
    sub->desc.topic = sub->desc.group = sub->desc.client_id = sub->desc.instance_id = NULL;
    sub->desc.note = NULL;
    sub->desc.properties = NULL;
    sub->topic = cw_strdup(desc->topic);
    sub->group = cw_strdup(desc->group);
    sub->note = cw_strdup(desc->note);
    sub->who = consumer_name(desc->topic);
    sub->start_offset = sub->position.offset = -1;
    sub->static_member = desc->instance_id != NULL;
    cw_timer_init(&sub->leave_tick, bus->loop, on_leave_tick, sub);
    cw_timer_init(&sub->ask_again, bus->loop, kafka_ask_position, sub);
    bus_dones_init(&sub->dones, bus->loop);
    if (kafka_client_open(&sub->client, bus->loop, RD_KAFKA_CONSUMER, rc, drain, sub, err) != 0) {
        sub_free(sub);
        return NULL;
    }
    cw_list_push_back(&bus->subs, &sub->link);
    if (join_group(sub, err) != 0) {
        kafka_destroy(bus, detach(sub));
        sub_free(sub);
        return NULL;
    }
    return sub;
}
