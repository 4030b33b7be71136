#include "invoker/feed.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/token.h"
#include "invoker/telemetry.h"

#define COMPONENT "MessageFeed"

enum {
    COMMIT_RETRY_MS = 500,
    /* With a journal: without an answer to a commit for so long, nothing more is handed out. */
    COMMIT_PATIENCE_US = 2 * 1000000,
    LOOK_MS = 500, /* for the first message from where a journal says to begin */
};

struct item {
    struct cw_link link;
    int64_t offset;
    size_t size;
    int64_t since_us;
    unsigned era;
    char payload[];
};

struct inv_feed {
    struct inv_feed_conf conf;
    char *topic;
    struct cw_bus_sub *sub;
    struct cw_list waiting; /* taken, not to be handed out before their commit; journal: empty */
    struct cw_list ready;   /* may be handed out */
    size_t queued_bytes, handed_out_bytes;
    size_t handed_out;
    int64_t next_offset;   /* behind the newest message taken; -1: none */
    int64_t handed_offset; /* behind the newest one handed out; -1: none since the assignment */
    int64_t floor;         /* the journal knows all below: no commit is lower */
    unsigned era;          /* counts assignments, their ends, and new beginnings */
    int64_t committing;    /* what the commit under way says; -1: none */
    int64_t committed;     /* what was confirmed last; -1: nothing since the assignment */
    int64_t unanswered_us; /* since when a commit has been due; 0: none is */
    bool owned, paused, stopped, held;
    bool revoked; /* the partition was taken away during the commit under way */
    bool left;    /* the commit is being set back, or has been */
    bool leaving; /* the former */
    void (*on_left)(void *arg, const struct cw_err *err);
    struct cw_timer retry_commit, look;
    struct cw_defer commit, pump;
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

/* Drops what waits from this offset on. */
static void drop_behind(struct inv_feed *f, int64_t offset)
{
    struct cw_list behind;
    struct cw_link *n;

    cw_list_init(&behind);
    while (f->waiting.count &&
           CW_LIST_ENTRY(n = f->waiting.head.prev, struct item, link)->offset >= offset) {
        cw_list_remove(&f->waiting, n);
        cw_list_push_front(&behind, n);
    }
    drop_items(f, &behind);
}

/* ---- committing ---- */

static bool has_journal(const struct inv_feed *f)
{
    return f->conf.begin != NULL;
}

/* The offset that the group should have. */
static int64_t due(const struct inv_feed *f)
{
    return has_journal(f) ? f->handed_offset : f->next_offset;
}

static bool may_commit(const struct inv_feed *f)
{
    return f->sub && !f->left && (!f->stopped || has_journal(f));
}

/* What waited when its assignment ended goes to `to`, or is dropped: NULL. */
static void settle_former(struct inv_feed *f, struct cw_list *to)
{
    struct cw_list former;
    struct cw_link *n;

    cw_list_init(&former);
    while ((n = cw_list_first(&f->waiting)) && CW_LIST_ENTRY(n, struct item, link)->era != f->era) {
        cw_list_remove(&f->waiting, n);
        cw_list_push_back(to ? to : &former, n);
    }
    drop_items(f, &former);
}

static void on_committed(void *arg, const struct cw_err *err);

static void commit_failed(struct inv_feed *f, const struct cw_err *err)
{
    bool again = may_commit(f) && !f->revoked;

    cw_log(CW_LOG_WARN, NULL, COMPONENT, "commit of offset %" PRId64 " of %s failed, %s: %s",
           due(f), f->topic, again ? "trying again" : "left to the next reader of the topic",
           err->msg);
    if (again)
        cw_timer_set_ms(&f->retry_commit, COMMIT_RETRY_MS);
    else if (f->revoked)
        settle_former(f, NULL);
    else
        drop_items(f, &f->waiting);
}

static void commit(void *arg)
{
    struct inv_feed *f = arg;
    struct cw_err err = {0};

    if (f->committing >= 0 || due(f) <= f->committed || !may_commit(f) ||
        cw_timer_pending(&f->retry_commit))
        return;
    if (f->conf.keep && f->conf.keep(f->conf.arg, due(f), &err) != 0) {
        commit_failed(f, &err);
        return;
    }
    f->revoked = false;
    f->committing = due(f);
    if (!f->unanswered_us)
        f->unanswered_us = cw_loop_mono_us(f->conf.loop);
    f->conf.bus->ops->commit(f->sub, f->committing, on_committed, f);
}

static void on_retry_commit(void *arg)
{
    commit(arg);
}

static void release_below(struct inv_feed *f, int64_t offset)
{
    struct cw_link *n;

    while ((n = cw_list_first(&f->waiting)) &&
           CW_LIST_ENTRY(n, struct item, link)->offset < offset) {
        cw_list_remove(&f->waiting, n);
        cw_list_push_back(&f->ready, n);
    }
}

static void commit_came(struct inv_feed *f, int64_t offset)
{
    settle_former(f, &f->ready); /* it covered all of them */
    if (f->revoked)
        return;
    f->committed = offset;
    if (has_journal(f) && !f->left)
        f->conf.committed(f->conf.arg, offset);
    f->unanswered_us = due(f) > offset ? cw_loop_mono_us(f->conf.loop) : 0;
    release_below(f, offset);
}

static void on_committed(void *arg, const struct cw_err *err)
{
    struct inv_feed *f = arg;
    int64_t offset = f->committing;

    f->committing = -1;
    if (err)
        commit_failed(f, err);
    else
        commit_came(f, offset);
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
    if (f->conf.on_arrival && f->conf.on_arrival(f->conf.arg, msg->value, msg->offset)) {
        f->next_offset = msg->offset + 1;
        cw_defer_post(&f->commit);
        return;
    }
    item = cw_alloc(sizeof(*item) + msg->value.n);
    item->offset = msg->offset;
    item->size = msg->value.n;
    item->since_us = cw_loop_mono_us(f->conf.loop);
    item->era = f->era;
    if (msg->value.n)
        memcpy(item->payload, msg->value.p, msg->value.n);
    cw_list_push_back(has_journal(f) ? &f->ready : &f->waiting, &item->link);
    f->queued_bytes += item->size;
    f->next_offset = msg->offset + 1;
    if (msg->timestamp_ms > 0) {
        int64_t late_ms = cw_loop_wall_ms(f->conf.loop) - msg->timestamp_ms;

        cw_histogram_observe(f->delay, late_ms > 0 ? (double)late_ms / 1e3 : 0);
    }
    update_pause(f);
    cw_defer_post(has_journal(f) ? &f->pump : &f->commit);
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

/* Offsets of before say nothing about what is read from now on. */
static void new_era(struct inv_feed *f)
{
    f->era++;
    f->next_offset = f->handed_offset = f->committed = f->floor = -1;
    f->unanswered_us = 0;
}

/* A topic that was made again has its first messages before where we look, and none there. */
static void on_look(void *arg)
{
    struct inv_feed *f = arg;
    int64_t end = f->sub ? f->conf.bus->ops->end_offset(f->sub) : -1;

    if (f->next_offset >= 0 || !f->owned || f->stopped)
        return;
    if (end >= 0 && f->conf.ends(f->conf.arg, end))
        inv_feed_restart(f);
    else
        cw_timer_set_ms(&f->look, LOOK_MS);
}

static void begin(struct inv_feed *f)
{
    struct cw_bus_position commit;
    struct cw_err err = {0};
    int64_t offset = -1;

    new_era(f);
    if (has_journal(f)) {
        commit = f->conf.bus->ops->position(f->sub);
        offset = f->conf.begin(f->conf.arg, &commit, &f->floor);
    }
    if (offset >= 0)
        cw_timer_set_ms(&f->look, LOOK_MS);
    if (f->paused)
        f->conf.bus->ops->pause(f->sub);
    if (offset >= 0 && f->conf.bus->ops->seek(f->sub, offset, &err) != 0)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT, "topic %s cannot be read from offset %" PRId64 ": %s",
               f->topic, offset, err.msg);
}

/* Whoever has the partition now reads again what no commit covers; what the commit under way covers
 * waits for its answer. */
static void drop_uncommitted(struct inv_feed *f)
{
    new_era(f);
    f->revoked = f->committing >= 0;
    if (has_journal(f))
        drop_items(f, &f->ready);
    else if (f->revoked)
        drop_behind(f, f->committing);
    else
        drop_items(f, &f->waiting);
}

static void on_assigned(void *arg, bool assigned)
{
    struct inv_feed *f = arg;

    cw_log(CW_LOG_INFO, NULL, COMPONENT, "topic %s is %s", f->topic,
           assigned ? "ours" : "no longer ours");
    f->owned = assigned;
    if (assigned) {
        begin(f);
    } else {
        drop_uncommitted(f);
        update_pause(f);
    }
    if (f->conf.on_owned)
        f->conf.on_owned(f->conf.arg, assigned);
}

/* A process that is cut off from Kafka must not run what its successor will read. */
static bool commits_come(const struct inv_feed *f)
{
    return !f->unanswered_us ||
           cw_loop_mono_us(f->conf.loop) - f->unanswered_us < COMMIT_PATIENCE_US;
}

/* Credits bound the count, max_bytes the memory; one message is always allowed. */
static bool may_hand_out(const struct inv_feed *f)
{
    return !f->held && !f->leaving && f->handed_out < f->conf.capacity &&
           (f->handed_out == 0 || f->handed_out_bytes < f->conf.max_bytes) && commits_come(f);
}

static void hand_out(struct inv_feed *f, const struct item *item)
{
    unsigned era = f->era;
    int64_t next = item->offset + 1 > f->floor ? item->offset + 1 : f->floor;

    f->conf.on_message(f->conf.arg, cw_slice(item->payload, item->size), item->offset,
                       item->since_us);
    if (item->era == era && f->era == era) /* else: not an offset of what is read now */
        f->handed_offset = next;
}

static void pump(void *arg)
{
    struct inv_feed *f = arg;
    struct cw_link *n;

    while (may_hand_out(f) && (n = cw_list_pop_front(&f->ready))) {
        struct item *item = CW_LIST_ENTRY(n, struct item, link);

        f->queued_bytes -= item->size;
        cw_histogram_observe(f->queue_s,
                             (double)(cw_loop_mono_us(f->conf.loop) - item->since_us) / 1e6);
        f->handed_out++;
        f->handed_out_bytes += item->size;
        hand_out(f, item);
        free(item);
    }
    update_pause(f);
    if (has_journal(f))
        cw_defer_post(&f->commit);
}

void inv_feed_credit(struct inv_feed *f, size_t bytes)
{
    if (f->handed_out)
        f->handed_out--;
    f->handed_out_bytes -= bytes < f->handed_out_bytes ? bytes : f->handed_out_bytes;
    if (!cw_list_empty(&f->ready))
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
    if (!may_commit(f))
        cw_timer_stop(&f->retry_commit);
    /* a commit under way still counts if it succeeds */
    if (f->committing >= 0)
        drop_behind(f, f->committing);
    else
        drop_items(f, &f->waiting);
    update_pause(f);
}

/* What was committed and could not be given back has to be dealt with here. */
static void on_left(void *arg, const struct cw_err *err)
{
    struct inv_feed *f = arg;

    if (!err || has_journal(f)) /* with one, nothing of it was committed */
        drop_items(f, &f->ready);
    f->left = !err;
    f->leaving = false;
    cw_defer_post(&f->pump);
    f->on_left(f->conf.arg, err);
}

void inv_feed_leave(struct inv_feed *f, int64_t offset,
                    void (*fn)(void *arg, const struct cw_err *err))
{
    struct cw_link *n = cw_list_first(&f->ready);
    struct cw_err err = {0};
    int code = 0;

    drop_items(f, &f->waiting);
    f->left = f->leaving = true;
    f->on_left = fn;
    if (offset < 0 && n && !has_journal(f))
        offset = CW_LIST_ENTRY(n, struct item, link)->offset;
    if (offset < 0) {
        on_left(f, NULL);
        return;
    }
    if (!f->owned)
        code = cw_fail(&err, CW_CONFLICT, "topic %s is not ours any more", f->topic);
    else if (has_journal(f))
        code = f->conf.keep(f->conf.arg, offset, &err);
    if (code != 0)
        on_left(f, &err);
    else
        f->conf.bus->ops->commit(f->sub, offset, on_left, f);
}

void inv_feed_restart(struct inv_feed *f)
{
    struct cw_err err = {0};

    drop_items(f, &f->waiting);
    drop_items(f, &f->ready);
    new_era(f);
    if (f->conf.bus->ops->seek(f->sub, CW_BUS_COMMITTED, &err) != 0)
        cw_log(CW_LOG_ERROR, NULL, COMPONENT, "topic %s cannot be read again: %s", f->topic,
               err.msg);
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
    f->next_offset = f->handed_offset = f->committing = f->committed = f->floor = -1;
    cw_list_init(&f->waiting);
    cw_list_init(&f->ready);
    cw_timer_init(&f->retry_commit, conf->loop, on_retry_commit, f);
    cw_timer_init(&f->look, conf->loop, on_look, f);
    cw_defer_init(&f->commit, conf->loop, commit, f);
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
                                  .note = conf->note,
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
    drop_items(f, &f->waiting);
    drop_items(f, &f->ready);
    cw_timer_done(&f->retry_commit);
    cw_timer_done(&f->look);
    cw_defer_cancel(&f->commit);
    cw_defer_cancel(&f->pump);
    free(f->topic);
    free(f);
}

size_t inv_feed_queued(const struct inv_feed *f)
{
    return f->waiting.count + f->ready.count;
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
