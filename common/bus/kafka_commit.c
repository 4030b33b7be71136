/* The offsets that a subscription commits. One request at a time is under way; what is asked for
 * meanwhile shares the next. */
#include "common/bus/kafka_sub_priv.h"

/* One OffsetCommit request; calls that come while another is under way share the next. */
struct kafka_commit {
    int64_t next_offset;
    int32_t partition;
    struct cw_list calls; /* struct commit_call */
};

struct commit_call {
    struct cw_link link;
    cw_bus_done_fn *fn;
    void *arg;
};

void kafka_commit_free(struct kafka_commit *c)
{
    struct cw_link *n;

    if (!c)
        return;
    while ((n = cw_list_pop_front(&c->calls)))
        free(CW_LIST_ENTRY(n, struct commit_call, link));
    free(c);
}

/* Calls the waiting ones, unless the subscriber is gone. */
static void commit_answer(struct cw_bus_sub *sub, CW_TAKES struct kafka_commit *c,
                          const struct cw_err *err)
{
    CW_LIST_EACH (&c->calls, n) {
        struct commit_call *call = CW_LIST_ENTRY(n, struct commit_call, link);

        if (!sub->leaving)
            call->fn(call->arg, err);
    }
    kafka_commit_free(c);
}

static void commit_refuse(struct cw_bus_sub *sub, CW_TAKES struct kafka_commit *c,
                          rd_kafka_resp_err_t code)
{
    struct cw_err err;

    (void)kafka_fail(&err, code, sub->who, NULL);
    CW_LIST_EACH (&c->calls, n) {
        struct commit_call *call = CW_LIST_ENTRY(n, struct commit_call, link);

        if (!sub->leaving)
            bus_dones_push(&sub->dones, call->fn, call->arg, &err);
    }
    kafka_commit_free(c);
}

static rd_kafka_topic_partition_list_t *commit_list(const struct cw_bus_sub *sub,
                                                    const struct kafka_commit *c)
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

void kafka_commit_send(struct cw_bus_sub *sub)
{
    struct kafka_commit *c = CW_STEAL(sub->waiting);
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

void kafka_on_commit(struct cw_bus_sub *sub, rd_kafka_event_t *ev)
{
    struct kafka_commit *c = rd_kafka_event_opaque(ev);
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
        kafka_commit_send(sub);
}

void kafka_sub_commit(struct cw_bus_sub *sub, int64_t next_offset, cw_bus_done_fn *fn, void *arg)
{
    struct kafka_commit *c = sub->waiting;
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
        kafka_commit_send(sub);
}
