/* Messages out. Delivery reports arrive as events in the order in which the broker acknowledged;
 * each carries its struct publish as opaque.
 *
 * What librdkafka does not take (its queue is full, the topic is not there) or gives back for a
 * reason that passes waits here, in its topic's line, and what is published to that topic meanwhile
 * waits behind it. So a full queue or an absent topic is no failure but a delay, in order; the
 * bound is the caller's, who looks at unsent_bytes and holds its input. */
#include "common/bus/kafka_priv.h"

enum {
    PUBLISH_COST = 512, /* bookkeeping per message, librdkafka's included */
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 5000,
    TELL_EVERY_US = 60 * 1000000,
};

/* Longer than any controller waits for the answer to an activation of the default limits (twice 5
 * minutes and one): whoever made the message needs it no more, and a topic that was deleted for
 * good must not fill the memory for good. */
static const int64_t TOPIC_GONE_US = INT64_C(15) * 60 * 1000000;

struct publish {
    struct cw_link link;    /* bus->unsent */
    struct cw_link in_line; /* a line's list, while librdkafka does not have it */
    cw_bus_done_fn *fn;
    void *arg;
    size_t cost;
    int64_t since_us; /* of its first return; 0: never */
    size_t n;
    char *value; /* while in a line */
};

/* Of one topic; there while something waits, and until a message of the topic gets through. */
struct line {
    struct cw_link link; /* bus->lines */
    struct kafka_bus *bus;
    char *topic;
    struct cw_list returned; /* by librdkafka: older than those that wait */
    struct cw_list waiting;
    struct cw_timer retry; /* pending: the topic is not tried */
    int64_t delay_ms;
    int64_t told_us; /* when a problem was told last; 0: never */
};

/* ---- the end of a message ---- */

static void publish_free(struct kafka_bus *bus, struct publish *p)
{
    cw_list_remove(&bus->unsent, &p->link);
    bus->unsent_bytes -= p->cost;
    free(p->value);
    free(p);
}

static void answer(struct kafka_bus *bus, CW_TAKES struct publish *p, const struct cw_err *err)
{
    cw_bus_done_fn *fn = p->fn;
    void *arg = p->arg;

    publish_free(bus, p);
    if (fn)
        fn(arg, err);
}

/* ---- lines ---- */

static struct line *line_of(struct kafka_bus *bus, const char *topic)
{
    CW_LIST_EACH (&bus->lines, n) {
        struct line *l = CW_LIST_ENTRY(n, struct line, link);

        if (strcmp(l->topic, topic) == 0)
            return l;
    }
    return NULL;
}

static bool is_empty(const struct line *l)
{
    return cw_list_empty(&l->returned) && cw_list_empty(&l->waiting);
}

static void line_free(struct line *l)
{
    cw_list_remove(&l->bus->lines, &l->link);
    cw_timer_done(&l->retry);
    free(l->topic);
    free(l);
}

static void on_retry(void *arg)
{
    cw_defer_post(&((struct line *)arg)->bus->pump);
}

static struct line *line_get(struct kafka_bus *bus, const char *topic)
{
    struct line *l = line_of(bus, topic);

    if (l)
        return l;
    l = cw_alloc(sizeof(*l));
    l->bus = bus;
    l->topic = cw_strdup(topic);
    l->delay_ms = RETRY_MIN_MS;
    cw_list_init(&l->returned);
    cw_list_init(&l->waiting);
    cw_timer_init(&l->retry, bus->loop, on_retry, l);
    cw_list_push_back(&bus->lines, &l->link);
    return l;
}

static void tell(struct line *l, const struct cw_err *why)
{
    int64_t now = cw_loop_mono_us(l->bus->loop);
    struct cw_err err = *why;

    if (l->told_us && now - l->told_us < TELL_EVERY_US)
        return;
    l->told_us = now;
    if (!is_empty(l))
        (void)cw_err_wrap(&err, "%zu messages wait", l->returned.count + l->waiting.count);
    kafka_bus_report(l->bus, &err);
}

/* The topic is left alone for a while, longer each time. */
static void rest(struct line *l, const struct cw_err *why)
{
    tell(l, why);
    if (cw_timer_pending(&l->retry))
        return;
    cw_timer_set_ms(&l->retry, l->delay_ms);
    l->delay_ms = l->delay_ms * 2 < RETRY_MAX_MS ? l->delay_ms * 2 : RETRY_MAX_MS;
}

static rd_kafka_resp_err_t produce(struct kafka_bus *bus, const char *topic, struct cw_slice value,
                                   struct publish *p)
{
    return rd_kafka_producev(bus->producer.rk, RD_KAFKA_V_TOPIC(topic),
                             RD_KAFKA_V_VALUE((void *)(uintptr_t)value.p, value.n),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(p),
                             RD_KAFKA_V_END);
}

/* A single message that is larger than all that librdkafka may hold would wait for ever. */
static bool must_wait(const struct kafka_bus *bus, rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__QUEUE_FULL && bus->producing > 0;
}

/* Whether a topic that is not there is worth waiting for. Nobody asked what becomes of a message
 * without fn: it is not kept. */
static bool may_pass(struct kafka_bus *bus, struct publish *p, const struct cw_err *why)
{
    int64_t now = cw_loop_mono_us(bus->loop);

    if (!why->retriable || !p->fn)
        return false;
    if (!p->since_us)
        p->since_us = now;
    return why->code != CW_NOT_FOUND || now - p->since_us < TOPIC_GONE_US;
}

/* Of messages nobody waits for, not each loss is news. */
static void fail(struct line *l, CW_TAKES struct publish *p, const struct cw_err *err)
{
    if (!p->fn)
        tell(l, err);
    answer(l->bus, p, err);
}

/* The oldest message of the line; false when the line has to wait. */
static bool send_first(struct line *l, struct cw_list *list)
{
    struct kafka_bus *bus = l->bus;
    struct publish *p = CW_LIST_ENTRY(cw_list_first(list), struct publish, in_line);
    rd_kafka_resp_err_t code = produce(bus, l->topic, cw_slice(p->value, p->n), p);
    struct cw_err err;

    if (must_wait(bus, code))
        return false;
    if (code) {
        (void)kafka_fail(&err, code, l->topic, NULL);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL && may_pass(bus, p, &err)) {
            rest(l, &err);
            return false;
        }
        cw_list_remove(list, &p->in_line);
        fail(l, p, &err);
        return true;
    }
    bus->producing++;
    cw_list_remove(list, &p->in_line);
    free(CW_STEAL(p->value));
    return true;
}

/* In turn, so that one long line does not keep the others waiting. */
void kafka_lines_pump(void *arg)
{
    struct kafka_bus *bus = arg;

    for (size_t left = bus->lines.count; left > 0 && bus->lines.count; left--) {
        struct line *l = CW_LIST_ENTRY(cw_list_pop_front(&bus->lines), struct line, link);

        cw_list_push_back(&bus->lines, &l->link);
        while (!cw_timer_pending(&l->retry) && !is_empty(l))
            if (!send_first(l, cw_list_empty(&l->returned) ? &l->waiting : &l->returned))
                break;
        if (is_empty(l) && bus->producing == 0)
            line_free(l); /* nothing of this topic is left to come through */
    }
}

void kafka_lines_free(struct kafka_bus *bus)
{
    struct cw_link *n;

    cw_defer_cancel(&bus->pump);
    while ((n = cw_list_first(&bus->lines))) {
        struct line *l = CW_LIST_ENTRY(n, struct line, link);

        while (cw_list_pop_front(&l->returned) || cw_list_pop_front(&l->waiting))
            ; /* they are among the unsent */
        line_free(l);
    }
    while ((n = cw_list_first(&bus->unsent)))
        publish_free(bus, CW_LIST_ENTRY(n, struct publish, link));
}

/* ---- reports ---- */

static void got_through(struct kafka_bus *bus, const char *topic)
{
    struct line *l = bus->lines.count ? line_of(bus, topic) : NULL;

    if (!l)
        return;
    if (is_empty(l)) {
        line_free(l);
        return;
    }
    l->delay_ms = RETRY_MIN_MS;
    cw_timer_stop(&l->retry);
}

static void come_back(struct kafka_bus *bus, struct publish *p, const rd_kafka_message_t *m,
                      const struct cw_err *why)
{
    struct line *l = line_get(bus, rd_kafka_topic_name(m->rkt));

    p->n = m->len;
    p->value = cw_memdup(m->payload, m->len);
    cw_list_push_back(&l->returned, &p->in_line);
    rest(l, why);
}

void kafka_on_report(struct kafka_bus *bus, const rd_kafka_message_t *m)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    struct publish *p = m->_private;
    struct cw_err err;

    bus->producing--;
    if (!m->err) {
        got_through(bus, topic);
        answer(bus, p, NULL);
        return;
    }
    (void)kafka_fail(&err, m->err, topic, NULL);
    if (may_pass(bus, p, &err))
        come_back(bus, p, m, &err);
    else
        fail(line_get(bus, topic), p, &err);
}

/* ---- publishing ---- */

static struct publish *new_publish(struct kafka_bus *bus, size_t n, cw_bus_done_fn *fn, void *arg)
{
    struct publish *p = cw_alloc(sizeof(*p));

    p->fn = fn;
    p->arg = arg;
    p->cost = n + PUBLISH_COST;
    bus->unsent_bytes += p->cost;
    cw_list_push_back(&bus->unsent, &p->link);
    return p;
}

static void stand_in_line(struct line *l, struct publish *p, struct cw_slice value)
{
    p->n = value.n;
    p->value = cw_memdup(value.p, value.n);
    cw_list_push_back(&l->waiting, &p->in_line);
    cw_defer_post(&l->bus->pump);
}

static void refuse(struct kafka_bus *bus, size_t n, const char *topic, cw_bus_done_fn *fn,
                   void *arg)
{
    struct cw_err err;

    (void)cw_fail(&err, CW_TOO_LARGE, "kafka: %s: message of %zu bytes: expected at most %lld",
                  topic, n, (long long)bus->max_message_bytes);
    bus_dones_push(&bus->dones, fn, arg, &err);
}

void kafka_publish(struct kafka_bus *bus, const char *topic, struct cw_slice value,
                   cw_bus_done_fn *fn, void *arg)
{
    struct line *l = bus->lines.count ? line_of(bus, topic) : NULL;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;
    struct publish *p;

    if (value.n > (size_t)bus->max_message_bytes) {
        refuse(bus, value.n, topic, fn, arg);
        return;
    }
    p = new_publish(bus, value.n, fn, arg);
    if (!l || (is_empty(l) && !cw_timer_pending(&l->retry)))
        code = produce(bus, topic, value, p);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        bus->producing++;
        return;
    }
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        refuse(bus, value.n, topic, fn, arg);
        publish_free(bus, p);
        return;
    }
    stand_in_line(l ? l : line_get(bus, topic), p, value);
}
