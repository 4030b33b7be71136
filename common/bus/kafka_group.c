/* Asking the brokers who is in a consumer group. The answer arrives on the producer's queue. */
#include "common/bus/kafka_priv.h"

enum { REQUEST_MS = 10000, MOST_MEMBERS = 64 };

struct group_call {
    struct cw_link link; /* bus->groups */
    struct kafka_bus *bus;
    char *group;
    cw_group_members_fn *fn;
    void *arg;
};

static void call_free(struct group_call *call)
{
    free(call->group);
    free(call);
}

void kafka_group_members(struct kafka_bus *bus, const char *group, cw_group_members_fn *fn,
                         void *arg)
{
    struct group_call *call = cw_alloc(sizeof(*call));
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(bus->producer.rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    char why[8]; /* fails only for values out of range */

    call->bus = bus;
    call->group = cw_strdup(group);
    call->fn = fn;
    call->arg = arg;
    cw_list_push_back(&bus->groups, &call->link);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_MS, why, sizeof(why));
    rd_kafka_AdminOptions_set_opaque(options, call);
    rd_kafka_DescribeConsumerGroups(bus->producer.rk, &group, 1, options, bus->producer.queue);
    rd_kafka_AdminOptions_destroy(options);
}

static void tell_members(const struct group_call *call,
                         const rd_kafka_ConsumerGroupDescription_t *group)
{
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(group);
    struct cw_group_member members[MOST_MEMBERS];

    if (count > MOST_MEMBERS)
        count = MOST_MEMBERS;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_MemberDescription_t *m = rd_kafka_ConsumerGroupDescription_member(group, i);

        members[i].client_id = rd_kafka_MemberDescription_client_id(m);
        members[i].host = rd_kafka_MemberDescription_host(m);
        members[i].instance_id = rd_kafka_MemberDescription_group_instance_id(m);
        if (!members[i].instance_id)
            members[i].instance_id = "";
    }
    call->fn(call->arg, members, count, NULL);
}

static void tell_failure(const struct group_call *call, rd_kafka_resp_err_t code,
                         const char *detail)
{
    struct cw_str what;
    struct cw_err err;

    cw_str_init(&what, 512);
    cw_str_addf(&what, "group %s", call->group);
    (void)kafka_fail(&err, code, what.p, detail);
    cw_str_done(&what);
    call->fn(call->arg, NULL, 0, &err);
}

void kafka_group_answered(rd_kafka_event_t *ev)
{
    const rd_kafka_DescribeConsumerGroups_result_t *result =
        rd_kafka_event_DescribeConsumerGroups_result(ev);
    struct group_call *call = rd_kafka_event_opaque(ev);
    const rd_kafka_ConsumerGroupDescription_t **groups = NULL;
    const rd_kafka_error_t *error = NULL;
    size_t count = 0;

    cw_list_remove(&call->bus->groups, &call->link);
    if (!rd_kafka_event_error(ev))
        groups = rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
    if (count == 1)
        error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
    if (rd_kafka_event_error(ev))
        tell_failure(call, rd_kafka_event_error(ev), rd_kafka_event_error_string(ev));
    else if (count != 1)
        tell_failure(call, RD_KAFKA_RESP_ERR__BAD_MSG, NULL);
    else if (error)
        tell_failure(call, rd_kafka_error_code(error), rd_kafka_error_string(error));
    else
        tell_members(call, groups[0]);
    call_free(call);
}

void kafka_groups_free(struct kafka_bus *bus)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&bus->groups)))
        call_free(CW_LIST_ENTRY(n, struct group_call, link));
}
