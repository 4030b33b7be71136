/* Which partitions a subscription reads, and from where. Seeking is part of it: before the
 * assignment takes effect, the place is simply where it starts. */
#include "common/bus/kafka_sub_priv.h"

enum {
    SEEK_TIMEOUT_MS =
        5000, /* for librdkafka's own thread, not for a broker; microseconds on an idle machine */
    ASK_AGAIN_MS = 1000,
};

void kafka_close_partitions(struct cw_bus_sub *sub)
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
    sub->partitions[sub->partition_count++] = (struct kafka_partition){id, queue};
}

static void assigned(struct cw_bus_sub *sub, bool yes)
{
    if (sub->desc.on_assigned && !sub->leaving)
        sub->desc.on_assigned(sub->desc.arg, yes);
}

void kafka_forget_offer(struct cw_bus_sub *sub)
{
    if (sub->offered)
        rd_kafka_topic_partition_list_destroy(CW_STEAL(sub->offered));
    cw_timer_stop(&sub->ask_again);
}

void kafka_unassign(struct cw_bus_sub *sub)
{
    rd_kafka_resp_err_t code;
    struct cw_err err;

    kafka_forget_offer(sub);
    kafka_close_partitions(sub);
    code = rd_kafka_assign(sub->client.rk, NULL);
    if (code) {
        (void)kafka_fail(&err, code, sub->who, NULL);
        kafka_sub_report(sub, &err);
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
        kafka_sub_report(sub, &err);
    }
}

static void accept_offer(struct cw_bus_sub *sub, rd_kafka_topic_partition_list_t *list)
{
    kafka_close_partitions(sub);
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
        kafka_unassign(sub);
    else
        assign_from(sub, list);
}

void kafka_ask_position(void *arg)
{
    struct cw_bus_sub *sub = arg;

    sub->questions++;
    kafka_position_ask(sub->client.rk, sub->client.queue, sub->group, sub->topic,
                       sub->offered->elems[0].partition, (void *)sub->questions);
}

void kafka_on_position(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    rd_kafka_topic_partition_list_t *list;
    struct cw_err err;

    if (!sub->offered || (uintptr_t)rd_kafka_event_opaque(ev) != sub->questions)
        return;
    if (kafka_position_answered(ev, sub->who, &sub->position, &err) != 0) {
        kafka_sub_report(sub, &err);
        cw_timer_set_ms(&sub->ask_again, ASK_AGAIN_MS);
        return;
    }
    list = CW_STEAL(sub->offered);
    accept_offer(sub, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void on_assign(struct cw_bus_sub *sub, rd_kafka_topic_partition_list_t *list)
{
    kafka_forget_offer(sub);
    if (!sub->note || list->cnt == 0) {
        accept_offer(sub, list);
        return;
    }
    kafka_close_partitions(sub);
    sub->offered = rd_kafka_topic_partition_list_copy(list);
    kafka_ask_position(sub);
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

void kafka_on_rebalance(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    bool had = sub->partition_count > 0;

    if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(sub, rd_kafka_event_topic_partition_list(ev));
        return;
    }
    kafka_commit_send(sub); /* the last chance while we are the owner */
    kafka_unassign(sub);
    if (had)
        assigned(sub, false);
}

void kafka_lost(struct cw_bus_sub *sub, const struct cw_err *err)
{
    bool had = sub->partition_count > 0;

    if (sub->leaving)
        return;
    kafka_unassign(sub);
    if (had)
        assigned(sub, false);
    if (sub->desc.on_lost && !sub->leaving)
        sub->desc.on_lost(sub->desc.arg, err);
}

/* The topic was deleted. When it is made anew before the group has noticed, librdkafka goes on at
 * the offset where it was, and what the new topic holds before that would never be read. So the
 * partitions are taken away and assigned as if by the group. */
void kafka_topic_is_gone(struct cw_bus_sub *sub)
{
    rd_kafka_topic_partition_list_t *list;

    if (sub->leaving || sub->partition_count == 0)
        return;
    list = assignment_at(sub, RD_KAFKA_OFFSET_STORED);
    kafka_unassign(sub);
    assigned(sub, false);
    if (!sub->leaving)
        on_assign(sub, list);
    rd_kafka_topic_partition_list_destroy(list);
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
