/* Asking the brokers where a consumer group is, and by whose commit: the consumer itself only tells
 * where it goes on. */
#include "common/bus/kafka_priv.h"

enum { REQUEST_MS = 5000 };

void kafka_position_ask(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *group,
                        const char *topic, int32_t partition, void *opaque)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_ListConsumerGroupOffsets_t *request;
    char why[8]; /* fails only for values out of range */

    rd_kafka_topic_partition_list_add(list, topic, partition);
    request = rd_kafka_ListConsumerGroupOffsets_new(group, list);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_MS, why, sizeof(why));
    rd_kafka_AdminOptions_set_opaque(options, opaque);
    rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
}

/* The one partition that was asked for; NULL with *ret_code and *ret_detail. */
static const rd_kafka_topic_partition_t *
find_partition(rd_kafka_event_t *ev, rd_kafka_resp_err_t *ret_code, const char **ret_detail)
{
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(ev);
    const rd_kafka_topic_partition_list_t *list = NULL;
    const rd_kafka_group_result_t **groups = NULL;
    const rd_kafka_error_t *error = NULL;
    size_t count = 0;

    *ret_detail = rd_kafka_event_error_string(ev);
    if ((*ret_code = rd_kafka_event_error(ev)))
        return NULL;
    *ret_detail = NULL;
    groups = rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count);
    if (count == 1 && !(error = rd_kafka_group_result_error(groups[0])))
        list = rd_kafka_group_result_partitions(groups[0]);
    if (error) {
        *ret_code = rd_kafka_error_code(error);
        *ret_detail = rd_kafka_error_string(error);
        return NULL;
    }
    if (!list || list->cnt != 1) {
        *ret_code = RD_KAFKA_RESP_ERR__BAD_MSG;
        return NULL;
    }
    *ret_code = list->elems[0].err;
    return *ret_code ? NULL : &list->elems[0];
}

int kafka_position_answered(rd_kafka_event_t *ev, const char *who, struct kafka_position *ret,
                            struct cw_err *err)
{
    rd_kafka_resp_err_t code;
    const char *detail;
    const rd_kafka_topic_partition_t *p = find_partition(ev, &code, &detail);

    if (!p) {
        (void)kafka_fail(err, code, who, detail);
        return cw_err_wrap(err, "nothing is read until the group's commit is known");
    }
    kafka_position_done(ret);
    ret->offset = p->offset >= 0 ? p->offset : -1;
    if (ret->offset >= 0 && p->metadata_size > 0)
        ret->note = cw_memdup(p->metadata, p->metadata_size);
    return 0;
}

void kafka_position_done(struct kafka_position *p)
{
    free(p->note);
    *p = (struct kafka_position){.offset = -1};
}
