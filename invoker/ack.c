#include "invoker/ack.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/model/activation_record.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/forward/guests.h"
#include "invoker/job.h"
#include "invoker/trace.h"

#define COMPONENT "MessagingActiveAck"

enum {
    TOPIC_MAX_BYTES = 512,
    SHRUNK_FRAME_MAX_BYTES = 65536, /* besides the transaction id, which may fill a message */
};

struct inv_acks {
    struct inv_acks_conf conf;
    struct cw_str scratch, topic;
    struct cw_list pending;
    struct cw_counter *sent[3], *shrunk, *failed;
};

enum kind { ACK_RESULT, ACK_COMPLETION, ACK_COMBINED };

/* A message, kept until the broker took it: in case that it finds it too large after all, and
 * because a completion waits for its result. The bus alone does not keep their order when brokers
 * refuse messages for a moment: librdkafka may have made the next request already. */
struct inv_ack_send {
    struct cw_link link;
    struct inv_acks *acks;
    char activation_id[CW_ACTIVATION_ID_LEN + 1];
    char *topic;
    char *text; /* the smaller form, or what waits; NULL: there is none */
    size_t text_len;
    struct inv_job *job; /* of a result, until the job has ended */
    bool frees_slot;
    int64_t ticket;
    struct inv_ack_send *behind; /* waits for this one */
    uint64_t trace;              /* ticket of one that waits */
};

static void on_sent(void *arg, const struct cw_err *err);

static void free_send(struct inv_ack_send *p)
{
    cw_list_remove(&p->acks->pending, &p->link);
    free(p->topic);
    free(p->text);
    free(p);
}

/* Publishes its text, for which there is no smaller form any more. */
static void publish_text(struct inv_ack_send *p)
{
    cw_auto_free char *text = CW_STEAL(p->text);

    cw_bus_publish(p->acks->conf.bus, p->topic, cw_slice(text, p->text_len), on_sent, p);
}

static void end_send(struct inv_ack_send *p)
{
    const struct inv_acks_conf *conf = &p->acks->conf;

    if (p->job)
        p->job->result_send = NULL;
    if (p->behind) {
        publish_text(p->behind);
        inv_trace_ended(conf->trace, p->behind->trace, cw_loop_mono_us(conf->loop));
    }
    if (p->frees_slot && conf->on_acked)
        conf->on_acked(conf->arg, p->ticket);
    free_send(p);
}

static void on_sent(void *arg, const struct cw_err *err)
{
    struct inv_ack_send *p = arg;
    struct inv_acks *a = p->acks;

    if (err && err->code == CW_TOO_LARGE && p->text) {
        cw_counter_add(a->shrunk, 1);
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "ack of %s is too large for the broker, sent without its result", p->activation_id);
        publish_text(p);
        return;
    }
    if (err) {
        cw_counter_add(a->failed, 1);
        cw_log(CW_LOG_ERROR, NULL, COMPONENT, "ack of %s could not be sent to %s: %s",
               p->activation_id, p->topic, err->msg);
    }
    end_send(p);
}

/* Whom the controller booked. */
static struct cw_slice instance_of(const struct inv_acks *a, const struct inv_job *job)
{
    return job->guest ? cw_slice(job->guest->instance, job->guest->instance_len) : a->conf.instance;
}

static void encode_shrunk(const struct inv_acks *a, const struct inv_job *job, enum kind kind,
                          struct cw_str *out)
{
    bool system_error = job->outcome.status == CW_STATUS_WHISK_ERROR && !job->excused;
    const char *id = job->msg->activation_id;

    if (kind == ACK_RESULT)
        cw_ack_result_shrunk_encode(id, &job->msg->tx, out);
    else if (kind == ACK_COMBINED)
        cw_ack_combined_shrunk_encode(id, &job->msg->tx, system_error, instance_of(a, job), out);
    else
        cw_ack_completion_encode(id, &job->msg->tx, system_error, instance_of(a, job), out);
}

static void encode_whole(const struct inv_acks *a, const struct inv_job *job, enum kind kind,
                         struct cw_str *out)
{
    struct cw_activation_record record;

    inv_job_record(job, 0, &record);
    if (kind == ACK_RESULT)
        cw_ack_result_encode(&record, &job->msg->tx, out);
    else
        cw_ack_combined_encode(&record, &job->msg->tx, instance_of(a, job), out);
}

/* With its smaller form as text. */
static struct inv_ack_send *new_send(struct inv_acks *a, const struct inv_job *job, enum kind kind)
{
    struct inv_ack_send *p = cw_alloc(sizeof(*p));
    struct cw_str small;

    p->acks = a;
    p->frees_slot = kind != ACK_RESULT;
    p->ticket = job->ticket;
    cw_list_push_back(&a->pending, &p->link);
    memcpy(p->activation_id, job->msg->activation_id, sizeof(p->activation_id));
    cw_str_reset(&a->topic);
    cw_str_addf(&a->topic, "%scompleted%s", a->conf.topic_prefix, job->msg->controller);
    p->topic = cw_memdup(a->topic.p, a->topic.n);
    cw_str_init(&small, a->conf.max_bytes + SHRUNK_FRAME_MAX_BYTES);
    encode_shrunk(a, job, kind, &small);
    p->text_len = small.n;
    p->text = cw_str_steal(&small);
    cw_counter_add(a->sent[kind], 1);
    return p;
}

static struct inv_ack_send *send_small(struct inv_acks *a, const struct inv_job *job,
                                       enum kind kind, struct inv_ack_send *before)
{
    struct inv_ack_send *p = new_send(a, job, kind);

    if (before)
        before->behind = p;
    else
        publish_text(p);
    return p;
}

/* The whole record if it fits, otherwise the id alone. */
static struct inv_ack_send *send_whole(struct inv_acks *a, const struct inv_job *job,
                                       enum kind kind)
{
    struct inv_ack_send *p;

    cw_str_reset(&a->scratch);
    encode_whole(a, job, kind, &a->scratch);
    if (a->scratch.failed) {
        cw_counter_add(a->shrunk, 1);
        cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
               "ack of %s is over %zu bytes, sent without its result", job->msg->activation_id,
               a->conf.max_bytes);
        return send_small(a, job, kind, NULL);
    }
    p = new_send(a, job, kind);
    cw_bus_publish(a->conf.bus, p->topic, cw_str_slice(&a->scratch), on_sent, p);
    return p;
}

static void send_event(struct inv_acks *a, const struct inv_job *job)
{
    int64_t now = cw_loop_wall_ms(a->conf.loop);
    struct cw_activation_record record;

    inv_job_record(job, now, &record);
    cw_str_reset(&a->scratch);
    cw_user_event_encode(&record, a->conf.source, job->msg->user.namespace_uuid, now, &a->scratch);
    if (!a->scratch.failed)
        cw_bus_publish(a->conf.bus, a->conf.events_topic, cw_str_slice(&a->scratch), NULL, NULL);
}

void inv_acks_result(struct inv_acks *a, struct inv_job *job)
{
    if (!job->msg->blocking || !inv_job_collects_logs(job))
        return;
    job->result_send = send_whole(a, job, ACK_RESULT);
    job->result_send->job = job;
    job->at[INV_AT_RESULT] = cw_loop_mono_us(a->conf.loop);
}

void inv_acks_end(struct inv_acks *a, struct inv_job *job, enum inv_end how)
{
    struct inv_ack_send *result = CW_STEAL(job->result_send), *last;
    bool blocking = job->msg->blocking;

    if (result)
        result->job = NULL;
    if (job->answered) {
        cw_log(CW_LOG_ERROR, &job->msg->tx, COMPONENT, "activation %s ended twice",
               job->msg->activation_id);
        return;
    }
    job->answered = true;
    if (a->conf.events_topic)
        send_event(a, job);
    if (how == INV_END_FAILED_START && (!blocking || job->blocked))
        last = send_small(a, job, ACK_COMBINED, NULL);
    else if (how == INV_END_FAILED_START ||
             (blocking && (how == INV_END_ABORTED || !inv_job_collects_logs(job))))
        last = send_whole(a, job, ACK_COMBINED);
    else
        last = send_small(a, job, ACK_COMPLETION, result);
    job->at[INV_AT_ENDED] = cw_loop_mono_us(a->conf.loop);
    last->trace = inv_trace_add(a->conf.trace, job);
}

struct inv_acks *inv_acks_new(const struct inv_acks_conf *conf)
{
    static const char *const LABELS[] = {"kind=\"result\"", "kind=\"completion\"",
                                         "kind=\"combined\""};
    struct inv_acks *a = cw_alloc(sizeof(*a));

    a->conf = *conf;
    cw_list_init(&a->pending);
    cw_str_init(&a->scratch, conf->max_bytes);
    cw_str_init(&a->topic, TOPIC_MAX_BYTES);
    for (int i = 0; i < 3; i++)
        a->sent[i] = cw_metrics_counter(conf->metrics, "cwhisk_acks_total", LABELS[i],
                                        "Messages to controllers about activations.");
    a->shrunk = cw_metrics_counter(conf->metrics, "cwhisk_acks_shrunk_total", NULL,
                                   "Acks sent without their result because it was too large.");
    a->failed = cw_metrics_counter(conf->metrics, "cwhisk_acks_failed_total", NULL,
                                   "Acks that could not be sent.");
    return a;
}

void inv_acks_free(struct inv_acks *a)
{
    struct cw_link *n;

    if (!a)
        return;
    while ((n = cw_list_first(&a->pending)))
        free_send(CW_LIST_ENTRY(n, struct inv_ack_send, link));
    cw_str_done(&a->scratch);
    cw_str_done(&a->topic);
    free(a);
}
