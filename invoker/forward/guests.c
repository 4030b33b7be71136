#include "invoker/forward/guests.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/feed.h"
#include "invoker/job.h"

#define COMPONENT "Guests"

enum {
    GUEST_TICKET_BIT = 62, /* the ledger's have an era of 15 bits at 48 */
    REPORT_MAX_BYTES = 64 * CW_PEER_IDS_MAX,
    RETURNS_AT_ONCE = 64, /* so that those who are too many hear of it */
};

/* Reports go out in the turn in which they come, those to one topic together. */
struct report {
    struct cw_link link;
    enum cw_peer_purpose purpose;
    char topic[CW_PEER_TOPIC_MAX + 1];
    size_t count;
    char ids[CW_PEER_IDS_MAX][CW_ACTIVATION_ID_LEN + 1];
};

struct entry {
    struct cw_map_node node;
    int64_t ticket;
    char id[CW_ACTIVATION_ID_LEN + 1];
    char *topic; /* of the reply */
    bool acked, stored;
};

struct inv_guests {
    struct inv_guests_conf conf;
    char *topic;
    struct inv_feed *feed;
    struct cw_map open; /* by ticket */
    int64_t next_ticket;
    struct cw_list reports;
    struct cw_defer flush;
    bool refusing;
    struct cw_counter *taken, *returned, *unreadable;
};

void inv_guest_free(struct inv_guest *g)
{
    if (!g)
        return;
    free(g->instance);
    free(g->reply_topic);
    free(g);
}

/* ---- reports ---- */

static void publish_report(struct inv_guests *g, const struct report *r)
{
    cw_auto_str struct cw_str text;

    cw_str_init(&text, REPORT_MAX_BYTES);
    cw_peer_report_encode(r->purpose, (const char(*)[CW_ACTIVATION_ID_LEN + 1]) r->ids, r->count,
                          &text);
    cw_bus_publish(g->conf.bus, r->topic, cw_str_slice(&text), NULL, NULL);
}

static void flush(void *arg)
{
    struct inv_guests *g = arg;
    struct cw_link *n;

    while ((n = cw_list_pop_front(&g->reports))) {
        struct report *r = CW_LIST_ENTRY(n, struct report, link);

        publish_report(g, r);
        free(r);
    }
}

static struct report *report_for(struct inv_guests *g, enum cw_peer_purpose purpose,
                                 const char *topic)
{
    struct report *r;

    CW_LIST_EACH (&g->reports, n) {
        r = CW_LIST_ENTRY(n, struct report, link);
        if (r->purpose == purpose && r->count < CW_PEER_IDS_MAX && strcmp(r->topic, topic) == 0)
            return r;
    }
    r = cw_alloc(sizeof(*r));
    r->purpose = purpose;
    memcpy(r->topic, topic, strlen(topic)); /* the decoder bounds it */
    cw_list_push_back(&g->reports, &r->link);
    return r;
}

static void report(struct inv_guests *g, enum cw_peer_purpose purpose, const char *topic,
                   const char *id)
{
    struct report *r = report_for(g, purpose, topic);

    memcpy(r->ids[r->count++], id, CW_ACTIVATION_ID_LEN);
    cw_defer_post(&g->flush);
}

/* ---- open guests ---- */

static struct cw_slice key_of(const int64_t *ticket)
{
    return cw_slice((const char *)ticket, sizeof(*ticket));
}

static struct entry *entry_of(struct cw_map_node *n)
{
    return CW_CONTAINER_OF(n, struct entry, node);
}

static struct entry *find(const struct inv_guests *g, int64_t ticket)
{
    struct cw_map_node *n = cw_map_get(&g->open, key_of(&ticket));

    return n ? entry_of(n) : NULL;
}

static struct entry *open_entry(struct inv_guests *g, const char *topic, const char *id)
{
    struct entry *e = cw_alloc(sizeof(*e));

    memcpy(e->id, id, CW_ACTIVATION_ID_LEN);
    e->ticket = (INT64_C(1) << GUEST_TICKET_BIT) | g->next_ticket++;
    e->topic = cw_memdup(topic, strlen(topic));
    cw_map_put(&g->open, &e->node, key_of(&e->ticket));
    return e;
}

static void close_entry(struct inv_guests *g, struct entry *e)
{
    cw_map_remove(&g->open, &e->node);
    free(e->topic);
    free(e);
}

bool inv_guests_owns(int64_t ticket)
{
    return ticket >= 0 && (ticket >> GUEST_TICKET_BIT) == 1;
}

static void close_if_over(struct inv_guests *g, struct entry *e)
{
    if (!e->acked || !e->stored)
        return;
    report(g, CW_PEER_ENDED, e->topic, e->id);
    close_entry(g, e);
}

void inv_guests_acked(struct inv_guests *g, int64_t ticket)
{
    struct entry *e = find(g, ticket);

    if (e) {
        e->acked = true;
        close_if_over(g, e);
    }
}

void inv_guests_stored(struct inv_guests *g, int64_t ticket)
{
    struct entry *e = find(g, ticket);

    if (e) {
        e->stored = true;
        close_if_over(g, e);
    }
}

void inv_guests_credit(struct inv_guests *g, size_t bytes)
{
    inv_feed_credit(g->feed, bytes);
}

void inv_guests_return(struct inv_guests *g, struct inv_job *job)
{
    struct entry *e = find(g, job->ticket);
    size_t bytes = job->msg->text.n;

    if (e) {
        report(g, CW_PEER_RETURNED, e->topic, e->id);
        close_entry(g, e);
        cw_counter_add(g->returned, 1);
    }
    inv_job_free(job);
    inv_guests_credit(g, bytes);
}

/* ---- taking ---- */

static struct inv_guest *guest_of(const struct cw_peer_message *m)
{
    struct inv_guest *guest = cw_alloc(sizeof(*guest));

    guest->instance = cw_memdup(m->instance.p, m->instance.n);
    guest->instance_len = m->instance.n;
    guest->reply_topic = cw_memdup(m->reply_topic, strlen(m->reply_topic));
    return guest;
}

static void tell_unreadable(struct inv_guests *g, int64_t offset, const struct cw_err *err)
{
    cw_counter_add(g->unreadable, 1);
    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "message at offset %" PRId64 " of %s cannot be read: %s",
           offset, g->topic, err->msg);
}

static void open_guest(struct inv_guests *g, const struct cw_peer_message *m,
                       CW_TAKES struct cw_activation_message *msg, int64_t received_us)
{
    struct inv_job *job = inv_job_new(msg, cw_loop_mono_us(g->conf.loop));
    struct entry *e = open_entry(g, m->reply_topic, msg->activation_id);

    cw_counter_add(g->taken, 1);
    job->guest = guest_of(m);
    job->ticket = e->ticket;
    job->at[INV_AT_RECEIVED] = received_us;
    g->conf.on_guest(g->conf.arg, job);
}

/* An earlier process's: it did not run it, since we read on from where that one had committed. */
static bool must_go_back(const struct inv_guests *g, const struct cw_peer_message *m)
{
    return g->refusing || g->open.count >= g->conf.capacity || m->to_boot != g->conf.boot;
}

/* Ours without its number, and a number: reports go nowhere else, whatever a message says. */
static bool is_peer_topic(const struct inv_guests *g, const char *topic)
{
    static const char DIGITS[] = "0123456789";
    size_t stem = strlen(g->topic);

    while (stem > 0 && strchr(DIGITS, g->topic[stem - 1]))
        stem--;
    return strncmp(topic, g->topic, stem) == 0 && topic[stem] &&
           topic[stem + strspn(topic + stem, DIGITS)] == '\0';
}

static int on_forward(struct inv_guests *g, const struct cw_peer_message *m,
                      struct cw_slice payload, int64_t received_us, struct cw_err *err)
{
    struct cw_activation_message *msg;

    if (!is_peer_topic(g, m->reply_topic))
        return cw_fail(err, CW_INVALID, "cwhisk.reply: \"%.64s\", expected a topic like %s",
                       m->reply_topic, g->topic);
    msg = cw_activation_message_decode(payload, cw_loop_wall_ms(g->conf.loop), err);
    if (!msg)
        return -1;
    if (!must_go_back(g, m)) {
        open_guest(g, m, msg, received_us);
        return 0;
    }
    report(g, CW_PEER_RETURNED, m->reply_topic, msg->activation_id);
    cw_counter_add(g->returned, 1);
    inv_feed_credit(g->feed, payload.n);
    cw_activation_message_free(msg);
    return 0;
}

/* What is no report, or makes no sense, has its end here. */
static bool on_arrival(void *arg, struct cw_slice payload, int64_t offset)
{
    struct inv_guests *g = arg;
    struct cw_peer_message m = {.purpose = CW_PEER_FORWARD};
    struct cw_err err = {0};
    struct cw_arena arena;

    if (cw_peer_looks_forwarded(payload))
        return false;
    cw_arena_init(&arena);
    if (cw_peer_message_decode(payload, &arena, &m, &err) != 0)
        tell_unreadable(g, offset, &err);
    else if (m.purpose != CW_PEER_FORWARD)
        g->conf.on_report(g->conf.arg, &m);
    cw_arena_done(&arena);
    return err.code != CW_OK || m.purpose != CW_PEER_FORWARD;
}

static int keep(void *arg, int64_t offset, struct cw_err *err)
{
    const struct inv_guests *g = arg;

    (void)offset;
    return g->conf.keep ? g->conf.keep(g->conf.arg, err) : 0;
}

static void on_message(void *arg, struct cw_slice payload, int64_t offset, int64_t received_us)
{
    struct inv_guests *g = arg;
    struct cw_peer_message m;
    struct cw_err err = {0};
    struct cw_arena arena;

    cw_arena_init(&arena);
    if (cw_peer_message_decode(payload, &arena, &m, &err) != 0 ||
        on_forward(g, &m, payload, received_us, &err) != 0) {
        tell_unreadable(g, offset, &err);
        inv_feed_credit(g->feed, payload.n);
    }
    cw_arena_done(&arena);
}

void inv_guests_refuse(struct inv_guests *g, bool refuse)
{
    g->refusing = refuse;
}

size_t inv_guests_open(const struct inv_guests *g)
{
    return g->open.count;
}

/* ---- life ---- */

static void make_counters(struct inv_guests *g)
{
    struct cw_metrics *m = g->conf.metrics;

    g->taken = cw_metrics_counter(m, "cwhisk_guests_total", NULL,
                                  "Activations taken that other invokers have forwarded.");
    g->returned = cw_metrics_counter(m, "cwhisk_guests_returned_total", NULL,
                                     "Forwarded activations given back without being started.");
    g->unreadable = cw_metrics_counter(m, "cwhisk_guests_unreadable_total", NULL,
                                       "Messages of other invokers that could not be decoded.");
}

struct inv_guests *inv_guests_new(const struct inv_guests_conf *conf, struct cw_err *err)
{
    struct inv_guests *g = cw_alloc(sizeof(*g));

    assert(conf->boot != 0);
    g->conf = *conf;
    g->topic = cw_memdup(conf->topic, strlen(conf->topic));
    cw_map_init(&g->open);
    cw_list_init(&g->reports);
    cw_defer_init(&g->flush, conf->loop, flush, g);
    make_counters(g);
    g->feed = inv_feed_new(
        &(struct inv_feed_conf){
            .loop = conf->loop,
            .bus = conf->bus,
            .metrics = conf->metrics,
            .topic = g->topic,
            .instance_id = conf->instance_id,
            .capacity = conf->capacity + RETURNS_AT_ONCE,
            .max_bytes = conf->max_bytes,
            .consumer_properties = conf->consumer_properties,
            .on_message = on_message,
            .on_arrival = on_arrival,
            .keep = keep,
            .arg = g,
        },
        err);
    if (g->feed)
        return g;
    inv_guests_free(g);
    return NULL;
}

static void free_entry(void *arg, struct cw_map_node *n)
{
    close_entry(arg, entry_of(n));
}

void inv_guests_free(struct inv_guests *g)
{
    struct cw_link *n;

    if (!g)
        return;
    cw_defer_cancel(&g->flush);
    inv_feed_free(g->feed);
    cw_map_each(&g->open, free_entry, g);
    cw_map_done(&g->open);
    while ((n = cw_list_pop_front(&g->reports)))
        free(CW_LIST_ENTRY(n, struct report, link));
    free(g->topic);
    free(g);
}
