#include "invoker/feed.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/token.h"
#include "invoker/telemetry.h"

#define COMPONENT "MessageFeed"

enum { COMMIT_RETRY_MS = 500 };

struct item {
    struct cw_link link;
    int64_t offset;
    size_t size;
    int64_t since_us;
    char payload[];
};

struct inv_feed {
    struct inv_feed_conf conf;
    char *topic;
    struct cw_bus_sub *sub;
    struct cw_list fresh;     /* taken, not committed */
    struct cw_list in_commit; /* the commit under way covers them */
    struct cw_list committed; /* may be handed out */
    size_t queued_bytes, handed_out_bytes;
    size_t handed_out;
    int64_t next_offset; /* behind the newest message taken; -1: none */
    bool paused, stopped, held;
    bool revoked; /* the partition was taken away during the commit under way */
    struct cw_timer retry_commit;
    struct cw_defer pump;
    struct cw_histogram *delay, *queue_s;
};

static void update_pause(struct inv_feed *f)
{
    size_t queued = inv_feed_queued(f);
    bool full = f->stopped || queued > f->conf.capacity || f->queued_bytes > f->conf.max_bytes;

    if (full == f->paused || !f->sub)
        return;
    f->paused = full;
    if (full)
        f->conf.bus->ops->pause(f->sub);
    else
        f->conf.bus->ops->resume(f->sub);
}

static void drop_items(struct inv_feed *f, struct cw_list *list)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(list))) {
        struct item *item = CW_LIST_ENTRY(n, struct item, link);

        f->queued_bytes -= item->size;
        free(item);
    }
}

/* ---- committing ---- */

static void on_committed(void *arg, const struct cw_err *err);

static void move_all(struct cw_list *from, struct cw_list *to)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(from)))
        cw_list_push_back(to, n);
}

static void commit(struct inv_feed *f)
{
    if (!cw_list_empty(&f->in_commit) || cw_list_empty(&f->fresh) || f->stopped ||
        cw_timer_pending(&f->retry_commit))
        return;
    f->revoked = false;
    move_all(&f->fresh, &f->in_commit);
    f->conf.bus->ops->commit(f->sub, f->next_offset, on_committed, f);
}

static void on_retry_commit(void *arg)
{
    commit(arg);
}

static void commit_failed(struct inv_feed *f, const struct cw_err *err)
{
    bool again = !f->stopped && !f->revoked;

    cw_log(CW_LOG_WARN, NULL, COMPONENT, "commit of %zu messages of %s failed, %s: %s",
           f->in_commit.count, f->topic,
           again ? "trying again" : "left to the next reader of the topic", err->msg);
    if (again) { /* in front of what came meanwhile */
        struct cw_link *n;

        while (f->in_commit.count) {
            n = f->in_commit.head.prev;
            cw_list_remove(&f->in_commit, n);
            cw_list_push_front(&f->fresh, n);
        }
        cw_timer_set_ms(&f->retry_commit, COMMIT_RETRY_MS);
    } else {
        drop_items(f, &f->in_commit);
    }
}

static void on_committed(void *arg, const struct cw_err *err)
{
    struct inv_feed *f = arg;

    if (err)
        commit_failed(f, err);
    else
        move_all(&f->in_commit, &f->committed);
    commit(f);
    cw_defer_post(&f->pump);
}

/* ---- taking ---- */

static void on_message(void *arg, const struct cw_bus_message *msg)
{
    struct inv_feed *f = arg;
    struct item *item;

    if (f->stopped)
        return;
    item = cw_alloc(sizeof(*item) + msg->value.n);
    item->offset = msg->offset;
    item->size = msg->value.n;
    item->since_us = cw_loop_mono_us(f->conf.loop);
    if (msg->value.n)
        memcpy(item->payload, msg->value.p, msg->value.n);
    cw_list_push_back(&f->fresh, &item->link);
    f->queued_bytes += item->size;
    f->next_offset = msg->offset + 1;
    if (msg->timestamp_ms > 0) {
        int64_t late_ms = cw_loop_wall_ms(f->conf.loop) - msg->timestamp_ms;

        cw_histogram_observe(f->delay, late_ms > 0 ? (double)late_ms / 1e3 : 0);
    }
    update_pause(f);
    commit(f);
}

static void on_error(void *arg, const struct cw_err *err)
{
    struct inv_feed *f = arg;

    cw_log(CW_LOG_WARN, NULL, COMPONENT, "consumer of %s: %s", f->topic, err->msg);
}

static void on_lost(void *arg, const struct cw_err *err)
{
    struct inv_feed *f = arg;

    if (f->conf.on_lost)
        f->conf.on_lost(f->conf.arg, err);
}

static void on_assigned(void *arg, bool assigned)
{
    struct inv_feed *f = arg;

    cw_log(CW_LOG_INFO, NULL, COMPONENT, "topic %s is %s", f->topic,
           assigned ? "ours" : "no longer ours");
    if (assigned) {
        if (f->paused)
            f->conf.bus->ops->pause(f->sub);
    } else {
        drop_items(f, &f->fresh); /* whoever has it now reads them again */
        f->revoked = !cw_list_empty(&f->in_commit);
        update_pause(f);
    }
    if (f->conf.on_owned)
        f->conf.on_owned(f->conf.arg, assigned);
}

/* Credits bound the count, max_bytes the memory; one message is always allowed. */
static bool may_hand_out(const struct inv_feed *f)
{
    return !f->held && f->handed_out < f->conf.capacity &&
           (f->handed_out == 0 || f->handed_out_bytes < f->conf.max_bytes);
}

static void pump(void *arg)
{
    struct inv_feed *f = arg;
    struct cw_link *n;

    while (may_hand_out(f) && (n = cw_list_pop_front(&f->committed))) {
        struct item *item = CW_LIST_ENTRY(n, struct item, link);

        f->queued_bytes -= item->size;
        cw_histogram_observe(f->queue_s,
                             (double)(cw_loop_mono_us(f->conf.loop) - item->since_us) / 1e6);
        f->handed_out++;
        f->handed_out_bytes += item->size;
        f->conf.on_message(f->conf.arg, cw_slice(item->payload, item->size), item->offset,
                           item->since_us);
        free(item);
    }
    update_pause(f);
}

void inv_feed_credit(struct inv_feed *f, size_t bytes)
{
    if (f->handed_out)
        f->handed_out--;
    f->handed_out_bytes -= bytes < f->handed_out_bytes ? bytes : f->handed_out_bytes;
    if (!cw_list_empty(&f->committed))
        cw_defer_post(&f->pump);
}

void inv_feed_hold(struct inv_feed *f, bool hold)
{
    if (f->held == hold)
        return;
    f->held = hold;
    if (!hold)
        cw_defer_post(&f->pump);
}

void inv_feed_stop(struct inv_feed *f)
{
    f->stopped = true;
    cw_timer_stop(&f->retry_commit);
    drop_items(f, &f->fresh); /* a commit under way still counts if it succeeds */
    update_pause(f);
}

struct inv_feed *inv_feed_new(const struct inv_feed_conf *conf, struct cw_err *err)
{
    struct inv_feed *f = cw_alloc(sizeof(*f));
    cw_auto_str struct cw_str client_id, label;

    cw_str_init(&client_id, 512);
    cw_str_init(&label, 1024);
    f->conf = *conf;
    f->topic = cw_strdup(conf->topic);
    f->next_offset = -1;
    cw_list_init(&f->fresh);
    cw_list_init(&f->in_commit);
    cw_list_init(&f->committed);
    cw_timer_init(&f->retry_commit, conf->loop, on_retry_commit, f);
    cw_defer_init(&f->pump, conf->loop, pump, f);
    cw_metrics_label(&label, "topic", conf->topic);
    f->delay = cw_token_histogram(
        conf->metrics,
        &(struct cw_token){.component = "kafka",
                           .action = cw_metrics_tagged(conf->metrics) ? "topic" : conf->topic,
                           .sub = "delay",
                           .state = "start",
                           .labels = label.p},
        "Age of messages when they are taken from Kafka.");
    f->queue_s = inv_step_histogram(conf->metrics, "queue");
    cw_str_addf(&client_id, "consumer-%s", conf->topic);
    f->sub = cw_bus_subscribe(conf->bus,
                              &(struct cw_bus_subscription){
                                  .topic = conf->topic,
                                  .group = conf->topic,
                                  .client_id = client_id.p,
                                  .instance_id = conf->instance_id,
                                  .on_message = on_message,
                                  .on_error = on_error,
                                  .on_assigned = on_assigned,
                                  .on_lost = on_lost,
                                  .arg = f,
                                  .properties = conf->consumer_properties,
                              },
                              err);
    if (!f->sub) {
        inv_feed_free(f);
        return NULL;
    }
    return f;
}

void inv_feed_free(struct inv_feed *f)
{
    if (!f)
        return;
    if (f->sub)
        f->conf.bus->ops->unsubscribe(f->sub);
    drop_items(f, &f->fresh);
    drop_items(f, &f->in_commit);
    drop_items(f, &f->committed);
    cw_timer_done(&f->retry_commit);
    cw_defer_cancel(&f->pump);
    free(f->topic);
    free(f);
}

size_t inv_feed_queued(const struct inv_feed *f)
{
    return f->fresh.count + f->in_commit.count + f->committed.count;
}

size_t inv_feed_handed_out(const struct inv_feed *f)
{
    return f->handed_out;
}

int64_t inv_feed_lag(const struct inv_feed *f)
{
    int64_t end = f->sub ? f->conf.bus->ops->end_offset(f->sub) : -1;

    if (end < 0 || f->next_offset < 0)
        return -1;
    return end > f->next_offset ? end - f->next_offset : 0;
}
