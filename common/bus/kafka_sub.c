/* One librdkafka consumer per subscription. Fetched messages do not go to the consumer's queue but
 * stay on their partition's own queue, so pausing is simply not reading that queue, while the
 * consumer's queue (rebalances, errors, commits) is always read. librdkafka fetches ahead until the
 * queue holds queued.max.messages.kbytes and keeps heart-beating. A short pause therefore costs no
 * fetch, a long one bounded memory, and neither can lose or repeat a message:
 * rd_kafka_pause_partitions, which throws fetched messages away, is not used at all.
 *
 * rd_kafka_queue_forward(queue, NULL) before the assignment takes effect makes librdkafka keep the
 * messages there (flag FWD_APP in its source). */
#include "common/bus/kafka_priv.h"

#include <stdio.h>

enum {
    DRAIN_BUDGET = 64, /* events per turn, so that other I/O gets its share */
    SEEK_TIMEOUT_MS =
        5000, /* for librdkafka's own thread, not for a broker; microseconds on an idle machine */
    ASK_AGAIN_MS = 1000,
    CLOSE_POLL_MS = 10,
    LEAVE_POLL_MS = 5,
    LEAVE_LIMIT_US = 1000000,
};

struct partition {
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
    struct partition *partitions;
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
    struct commit *waiting; /* to be sent when the one under way is answered */
    size_t committing;      /* requests under way */
    struct bus_dones dones; /* commits refused at once */
};

/* One OffsetCommit request; calls that come while another is under way share the next. */
struct commit {
    int64_t next_offset;
    int32_t partition;
    struct cw_list calls; /* struct commit_call */
};

struct commit_call {
    struct cw_link link;
    cw_bus_done_fn *fn;
    void *arg;
};

/* ---- errors ---- */

static void report(struct cw_bus_sub *sub, const struct cw_err *err)
{
    if (sub->leaving)
        return;
    if (sub->desc.on_error)
        sub->desc.on_error(sub->desc.arg, err);
    else if (sub->bus->on_error)
        sub->bus->on_error(sub->bus->arg, err);
}

/* ---- commits ---- */

static void commit_free(struct commit *c)
{
    struct cw_link *n;

    if (!c)
        return;
    while ((n = cw_list_pop_front(&c->calls)))
        free(CW_LIST_ENTRY(n, struct commit_call, link));
    free(c);
}

/* Calls the waiting ones, unless the subscriber is gone. */
static void commit_answer(struct cw_bus_sub *sub, CW_TAKES struct commit *c,
                          const struct cw_err *err)
{
    CW_LIST_EACH (&c->calls, n) {
        struct commit_call *call = CW_LIST_ENTRY(n, struct commit_call, link);

        if (!sub->leaving)
            call->fn(call->arg, err);
    }
    commit_free(c);
}

static void commit_refuse(struct cw_bus_sub *sub, CW_TAKES struct commit *c,
                          rd_kafka_resp_err_t code)
{
    struct cw_err err;

    (void)kafka_fail(&err, code, sub->who, NULL);
    CW_LIST_EACH (&c->calls, n) {
        struct commit_call *call = CW_LIST_ENTRY(n, struct commit_call, link);

        if (!sub->leaving)
            bus_dones_push(&sub->dones, call->fn, call->arg, &err);
    }
    commit_free(c);
}

static rd_kafka_topic_partition_list_t *commit_list(const struct cw_bus_sub *sub,
                                                    const struct commit *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *p =
        rd_kafka_topic_partition_list_add(list, sub->topic, c->partition);

    p->offset = c->next_offset;
    if (sub->note) {
        p->metadata_size = strlen(sub->note);
        p->metadata = cw_strdup(sub->note); /* librdkafka frees it */
    }
    return list;
}

static void commit_send(struct cw_bus_sub *sub)
{
    struct commit *c = CW_STEAL(sub->waiting);
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;

    if (!c)
        return;
    list = commit_list(sub, c);
    code = rd_kafka_commit_queue(sub->client.rk, list, sub->client.queue, NULL, c);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        sub->committing++;
    else
        commit_refuse(sub, c, code);
}

static void on_commit(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    struct commit *c = rd_kafka_event_opaque(ev);
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(ev);
    rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
    struct cw_err err;

    if (!code && list && list->cnt > 0)
        code = list->elems[0].err;
    sub->committing--;
    if (code)
        (void)kafka_fail(&err, code, sub->who, NULL);
    commit_answer(sub, c, code ? &err : NULL);
    if (sub->committing == 0)
        commit_send(sub);
}

void kafka_sub_commit(struct cw_bus_sub *sub, int64_t next_offset, cw_bus_done_fn *fn, void *arg)
{
    struct commit *c = sub->waiting;
    struct commit_call *call;

    if (!c) {
        c = sub->waiting = cw_alloc(sizeof(*c));
        cw_list_init(&c->calls);
    }
    c->next_offset = next_offset; /* the last word counts, also after seeking back */
    c->partition = sub->current;
    if (fn) {
        call = cw_alloc(sizeof(*call));
        call->fn = fn;
        call->arg = arg;
        cw_list_push_back(&c->calls, &call->link);
    }
    if (sub->committing == 0)
        commit_send(sub);
}

/* ---- assignment ---- */

static void close_partitions(struct cw_bus_sub *sub)
{
    for (size_t i = 0; i < sub->partition_count; i++) {
        kafka_client_unwatch(sub->partitions[i].queue);
        rd_kafka_queue_destroy(sub->partitions[i].queue);
    }
    free(sub->partitions);
    sub->partitions = NULL;
    sub->partition_count = 0;
}

static void open_partition(struct cw_bus_sub *sub, int32_t id)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(sub->client.rk, sub->topic, id);

    if (!queue)
        return; /* only when librdkafka is shutting down */
    rd_kafka_queue_forward(queue, NULL);
    kafka_client_watch(&sub->client, queue);
    sub->partitions[sub->partition_count++] = (struct partition){id, queue};
}

static void assigned(struct cw_bus_sub *sub, bool yes)
{
    if (sub->desc.on_assigned && !sub->leaving)
        sub->desc.on_assigned(sub->desc.arg, yes);
}

static void forget_offer(struct cw_bus_sub *sub)
{
    if (sub->offered)
        rd_kafka_topic_partition_list_destroy(CW_STEAL(sub->offered));
    cw_timer_stop(&sub->ask_again);
}

static void unassign(struct cw_bus_sub *sub)
{
    rd_kafka_resp_err_t code;
    struct cw_err err;

    forget_offer(sub);
    close_partitions(sub);
    code = rd_kafka_assign(sub->client.rk, NULL);
    if (code) {
        (void)kafka_fail(&err, code, sub->who, NULL);
        report(sub, &err);
    }
}

static void assign_from(struct cw_bus_sub *sub, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code;
    struct cw_err err;

    for (int i = 0; sub->start_offset >= 0 && i < list->cnt; i++)
        if (list->elems[i].partition == sub->current)
            list->elems[i].offset = sub->start_offset;
    sub->start_offset = -1;
    code = rd_kafka_assign(sub->client.rk, list);
    if (code) {
        (void)kafka_fail(&err, code, sub->who, NULL);
        report(sub, &err);
    }
}

static void accept_offer(struct cw_bus_sub *sub, rd_kafka_topic_partition_list_t *list)
{
    close_partitions(sub);
    sub->partitions = cw_calloc((size_t)list->cnt, sizeof(*sub->partitions));
    for (int i = 0; i < list->cnt; i++)
        open_partition(sub, list->elems[i].partition);
    if (sub->partition_count > 0)
        sub->current = sub->partitions[0].id;
    /* Told before it takes effect, so that a seek made in the callback is simply the start. */
    sub->assigning = true;
    if (list->cnt > 0)
        assigned(sub, true);
    sub->assigning = false;
    if (sub->leaving)
        unassign(sub);
    else
        assign_from(sub, list);
}

static void ask_position(void *arg)
{
    struct cw_bus_sub *sub = arg;

    sub->questions++;
    kafka_position_ask(sub->client.rk, sub->client.queue, sub->group, sub->topic,
                       sub->offered->elems[0].partition, (void *)sub->questions);
}

static void on_position(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    rd_kafka_topic_partition_list_t *list;
    struct cw_err err;

    if (!sub->offered || (uintptr_t)rd_kafka_event_opaque(ev) != sub->questions)
        return;
    if (kafka_position_answered(ev, sub->who, &sub->position, &err) != 0) {
        report(sub, &err);
        cw_timer_set_ms(&sub->ask_again, ASK_AGAIN_MS);
        return;
    }
    list = CW_STEAL(sub->offered);
    accept_offer(sub, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void on_assign(struct cw_bus_sub *sub, rd_kafka_topic_partition_list_t *list)
{
    forget_offer(sub);
    if (!sub->note || list->cnt == 0) {
        accept_offer(sub, list);
        return;
    }
    close_partitions(sub);
    sub->offered = rd_kafka_topic_partition_list_copy(list);
    ask_position(sub);
}

static rd_kafka_topic_partition_list_t *assignment_at(const struct cw_bus_sub *sub, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)sub->partition_count);

    for (size_t i = 0; i < sub->partition_count; i++) {
        int32_t id = sub->partitions[i].id;
        rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, sub->topic, id);

        p->offset = id == sub->current ? offset : RD_KAFKA_OFFSET_STORED;
    }
    return list;
}

static void on_rebalance(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    bool had = sub->partition_count > 0;

    if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(sub, rd_kafka_event_topic_partition_list(ev));
        return;
    }
    commit_send(sub); /* the last chance while we are the owner */
    unassign(sub);
    if (had)
        assigned(sub, false);
}

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

static void lost(struct cw_bus_sub *sub, const struct cw_err *err)
{
    bool had = sub->partition_count > 0;

    if (sub->leaving)
        return;
    unassign(sub);
    if (had)
        assigned(sub, false);
    if (sub->desc.on_lost && !sub->leaving)
        sub->desc.on_lost(sub->desc.arg, err);
}

/* ---- messages ---- */

/* The topic was deleted. When it is made anew before the group has noticed, librdkafka goes on at
 * the offset where it was, and what the new topic holds before that would never be read. So the
 * partitions are taken away and assigned as if by the group. */
static void topic_is_gone(struct cw_bus_sub *sub)
{
    rd_kafka_topic_partition_list_t *list;

    if (sub->leaving || sub->partition_count == 0)
        return;
    list = assignment_at(sub, RD_KAFKA_OFFSET_STORED);
    unassign(sub);
    assigned(sub, false);
    if (!sub->leaving)
        on_assign(sub, list);
    rd_kafka_topic_partition_list_destroy(list);
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
        report(sub, &err);
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
        on_rebalance(sub, ev);
        return;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        on_commit(sub, ev);
        return;
    case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT:
        on_position(sub, ev);
        return;
    default:
        if (!kafka_client_problem(&sub->client, ev, sub->who, &err))
            return;
        report(sub, &err);
        if (is_fatal(ev))
            lost(sub, &err);
        else if (says_gone(ev))
            topic_is_gone(sub);
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

    commit_free(sub->waiting);
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
    forget_offer(sub);
    close_partitions(sub);
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
    commit_send(sub);
    if (sub->offered)
        unassign(sub);
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

static rd_kafka_resp_err_t seek_now(struct cw_bus_sub *sub, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;
    rd_kafka_error_t *error;

    rd_kafka_topic_partition_list_add(list, sub->topic, sub->current)->offset = offset;
    error = rd_kafka_seek_partitions(sub->client.rk, list, SEEK_TIMEOUT_MS);
    code = error ? rd_kafka_error_code(error) : list->elems[0].err;
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

int kafka_sub_seek(struct cw_bus_sub *sub, int64_t offset, struct cw_err *err)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;

    if (offset < 0 && offset != CW_BUS_COMMITTED)
        return cw_fail(err, CW_INVALID, "kafka: %s: seek to %lld: expected 0 or more", sub->who,
                       (long long)offset);
    if (sub->assigning || sub->partition_count == 0) {
        sub->start_offset = offset == CW_BUS_COMMITTED ? -1 : offset;
        return 0;
    }
    code = RD_KAFKA_RESP_ERR__STATE;
    if (offset == CW_BUS_COMMITTED)
        offset = RD_KAFKA_OFFSET_STORED;
    else
        code = seek_now(sub, offset);
    if (code == RD_KAFKA_RESP_ERR__STATE || code == RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS) {
        /* Assign again with a start: the commit must be asked for, or is still being asked for. */
        list = assignment_at(sub, offset);
        code = rd_kafka_assign(sub->client.rk, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    cw_defer_post(&sub->client.again);
    return code ? kafka_fail(err, code, sub->who, NULL) : 0;
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
    cw_timer_init(&sub->ask_again, bus->loop, ask_position, sub);
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
