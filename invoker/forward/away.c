#include "invoker/forward/away.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/bus/bus.h"
#include "common/loop/loop.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"

#define COMPONENT "Forwarding"

enum {
    GIVE_UP_FACTOR = 2, /* as controllers do */
    GIVE_UP_ADDON_MS = 60000,
};

struct absence {
    struct cw_map_node node; /* by activation id */
    struct cw_link link;
    struct inv_away *away;
    char id[CW_ACTIVATION_ID_LEN + 1];
    int64_t ticket;
    struct inv_job *job; /* NULL: a predecessor's, its message has not been read again */
    struct inv_journal_peer peer;
    int64_t give_up_us; /* then it is lost in any case */
    int64_t gone_us;    /* then it is lost because its process has ended; 0: that lives */
};

/* A message that the broker does not have yet; its absence may be over. */
struct sending {
    struct cw_link link;
    struct inv_away *away;
    char id[CW_ACTIVATION_ID_LEN + 1];
};

struct inv_away {
    struct inv_away_conf conf;
    char *topic;
    struct cw_str text;
    struct cw_map by_id;
    struct cw_list absences; /* oldest first */
    size_t expected;         /* of these, without a job */
    struct cw_list sendings;
    struct cw_timer look;
    int64_t look_us; /* when it is due */
    struct cw_gauge *now;
    struct cw_counter *sent, *ended, *returned, *lost;
};

static void note_count(struct inv_away *a)
{
    cw_gauge_set(a->now, (double)a->absences.count);
}

static bool uses(const struct inv_away *a, uint64_t peer)
{
    CW_LIST_EACH (&a->absences, n) {
        if (CW_LIST_ENTRY(n, struct absence, link)->peer.id == peer)
            return true;
    }
    return false;
}

static struct inv_job *take_out(struct absence *x)
{
    struct inv_away *a = x->away;
    struct inv_job *job = x->job;
    uint64_t peer = x->peer.id;

    cw_map_remove(&a->by_id, &x->node);
    cw_list_remove(&a->absences, &x->link);
    a->expected -= job == NULL;
    free(x);
    note_count(a);
    if (!uses(a, peer))
        a->conf.on_use(a->conf.arg, peer, false);
    return job;
}

static void lose(struct absence *x, const char *text)
{
    struct inv_away *a = x->away;
    struct inv_job *job = take_out(x);

    cw_counter_add(a->lost, 1);
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT, "forwarded activation %s: %s",
           job->msg->activation_id, text);
    a->conf.on_lost(a->conf.arg, job, text);
}

static void give_back(struct absence *x)
{
    struct inv_away *a = x->away;
    int64_t ticket = x->ticket;
    struct inv_job *job = take_out(x);

    cw_counter_add(a->returned, 1);
    if (job)
        job->came_back = true;
    a->conf.on_returned(a->conf.arg, ticket, job);
}

static void end(struct absence *x)
{
    struct inv_away *a = x->away;
    int64_t ticket = x->ticket;

    cw_counter_add(a->ended, 1);
    a->conf.on_ended(a->conf.arg, ticket, take_out(x));
}

static void look_by(struct inv_away *a, int64_t at_us)
{
    int64_t now = cw_loop_mono_us(a->conf.loop);

    if (cw_timer_pending(&a->look) && a->look_us <= at_us)
        return;
    a->look_us = at_us;
    cw_timer_set_us(&a->look, at_us > now ? at_us - now : 0);
}

static void look(void *arg)
{
    struct inv_away *a = arg;
    int64_t now = cw_loop_mono_us(a->conf.loop);

    CW_LIST_EACH (&a->absences, n) {
        struct absence *x = CW_LIST_ENTRY(n, struct absence, link);

        if (!x->job)
            continue; /* nobody to answer yet */
        if (x->gone_us && x->gone_us <= now)
            lose(x, "The activation was interrupted: the invoker that ran it ended.");
        else if (x->give_up_us <= now)
            lose(x, "The invoker that ran the activation did not tell how it ended.");
        else
            look_by(a, x->gone_us && x->gone_us < x->give_up_us ? x->gone_us : x->give_up_us);
    }
}

/* ---- out ---- */

static bool may_leave(const struct inv_away *a, const struct inv_job *job)
{
    struct cw_slice id = cw_slice(job->msg->activation_id, CW_ACTIVATION_ID_LEN);

    return !job->guest && !job->came_back && !cw_map_get(&a->by_id, id);
}

static int64_t give_up_us(const struct inv_away *a, const struct inv_job *job)
{
    int64_t limit_ms = job->action ? job->action->limits.timeout_ms : a->conf.time_max_ms;

    if (limit_ms < a->conf.time_std_ms)
        limit_ms = a->conf.time_std_ms;
    return cw_loop_mono_us(a->conf.loop) + (limit_ms * GIVE_UP_FACTOR + GIVE_UP_ADDON_MS) * 1000;
}

static struct absence *note(struct inv_away *a, int64_t ticket, const char *id,
                            const struct inv_journal_peer *peer)
{
    struct absence *x = cw_alloc(sizeof(*x));

    x->away = a;
    x->ticket = ticket;
    x->peer = *peer;
    memcpy(x->id, id, CW_ACTIVATION_ID_LEN);
    if (!uses(a, peer->id))
        a->conf.on_use(a->conf.arg, peer->id, true);
    cw_map_put(&a->by_id, &x->node, cw_slice(x->id, CW_ACTIVATION_ID_LEN));
    cw_list_push_back(&a->absences, &x->link);
    a->expected++;
    note_count(a);
    return x;
}

static void give_job(struct absence *x, struct inv_job *job)
{
    struct inv_away *a = x->away;

    x->job = job;
    a->expected--;
    x->give_up_us = give_up_us(a, job);
    look_by(a, x->gone_us && x->gone_us < x->give_up_us ? x->gone_us : x->give_up_us);
}

static struct absence *find(const struct inv_away *a, struct cw_slice id)
{
    struct cw_map_node *n = cw_map_get(&a->by_id, id);

    return n ? CW_CONTAINER_OF(n, struct absence, node) : NULL;
}

static void free_sending(struct sending *s)
{
    cw_list_remove(&s->away->sendings, &s->link);
    free(s);
}

/* What the broker will never take nobody has seen. Its absence may be over, and is then not made
 * again: what comes back stays here. */
static void on_sent(void *arg, const struct cw_err *err)
{
    struct sending *s = arg;
    struct absence *x = find(s->away, cw_slice_of(s->id));

    if (!err)
        cw_counter_add(s->away->sent, 1);
    if (x && !err) {
        s->away->conf.on_there(s->away->conf.arg, x->job, &x->peer);
    } else if (x) {
        cw_log(CW_LOG_WARN, &x->job->msg->tx, COMPONENT, "activation %s could not be forwarded: %s",
               s->id, err->msg);
        give_back(x);
    }
    free_sending(s);
}

static struct sending *new_sending(struct inv_away *a, const struct inv_job *job)
{
    struct sending *s = cw_alloc(sizeof(*s));

    s->away = a;
    memcpy(s->id, job->msg->activation_id, CW_ACTIVATION_ID_LEN);
    cw_list_push_back(&a->sendings, &s->link);
    return s;
}

bool inv_away_send(struct inv_away *a, struct inv_job *job, const struct inv_away_peer *peer)
{
    const struct cw_peer_message m = {
        .to_boot = peer->process.boot,
        .reply_topic = a->topic,
        .instance = a->conf.instance,
    };

    cw_str_reset(&a->text);
    if (!may_leave(a, job) || !cw_peer_forward_encode(&m, job->msg->text, &a->text) ||
        a->text.failed)
        return false;
    give_job(note(a, job->ticket, job->msg->activation_id, &peer->process), job);
    cw_bus_publish(a->conf.bus, peer->topic, cw_str_slice(&a->text), on_sent, new_sending(a, job));
    return true;
}

/* ---- a predecessor's ---- */

void inv_away_expect(struct inv_away *a, int64_t ticket, const char *activation_id,
                     const struct inv_journal_peer *peer)
{
    if (!find(a, cw_slice(activation_id, CW_ACTIVATION_ID_LEN)))
        (void)note(a, ticket, activation_id, peer);
}

bool inv_away_adopt(struct inv_away *a, struct inv_job *job)
{
    struct absence *x = find(a, cw_slice(job->msg->activation_id, CW_ACTIVATION_ID_LEN));

    if (!x || x->job || x->ticket != job->ticket)
        return false;
    give_job(x, job);
    return true;
}

void inv_away_forget_expected(struct inv_away *a)
{
    if (a->expected == 0)
        return;
    CW_LIST_EACH (&a->absences, n) {
        struct absence *x = CW_LIST_ENTRY(n, struct absence, link);

        if (!x->job)
            (void)take_out(x);
    }
}

/* ---- back ---- */

void inv_away_report(struct inv_away *a, const struct cw_peer_message *report)
{
    for (size_t i = 0; i < report->id_count; i++) {
        struct absence *x = find(a, cw_slice(report->ids[i], CW_ACTIVATION_ID_LEN));

        if (!x)
            continue;
        if (report->purpose == CW_PEER_RETURNED)
            give_back(x);
        else
            end(x);
    }
}

void inv_away_check(struct inv_away *a,
                    bool (*lives)(void *arg, const struct inv_journal_peer *peer), void *arg)
{
    int64_t gone_us = cw_loop_mono_us(a->conf.loop) + a->conf.gone_grace_ms * 1000;

    CW_LIST_EACH (&a->absences, n) {
        struct absence *x = CW_LIST_ENTRY(n, struct absence, link);

        if (lives(arg, &x->peer)) {
            x->gone_us = 0;
        } else if (!x->gone_us) {
            x->gone_us = gone_us;
            look_by(a, gone_us);
        }
    }
}

size_t inv_away_count(const struct inv_away *a)
{
    return a->absences.count - a->expected;
}

void inv_away_kill(struct inv_away *a, const char *text)
{
    struct cw_link *n;

    inv_away_forget_expected(a);
    while ((n = cw_list_first(&a->absences)))
        lose(CW_LIST_ENTRY(n, struct absence, link), text);
}

/* ---- life ---- */

static struct cw_counter *end_counter(struct inv_away *a, const char *labels)
{
    return cw_metrics_counter(a->conf.metrics, "cwhisk_forwarded_ends_total", labels,
                              "How forwarded activations ended, as seen from here.");
}

struct inv_away *inv_away_new(const struct inv_away_conf *conf)
{
    struct inv_away *a = cw_alloc(sizeof(*a));

    a->conf = *conf;
    a->topic = cw_memdup(conf->topic, strlen(conf->topic));
    cw_str_init(&a->text, conf->max_bytes);
    cw_map_init(&a->by_id);
    cw_list_init(&a->absences);
    cw_list_init(&a->sendings);
    cw_timer_init(&a->look, conf->loop, look, a);
    a->now = cw_metrics_gauge(conf->metrics, "cwhisk_forwarded_activations", NULL,
                              "Our activations that other invokers have now.");
    a->sent = cw_metrics_counter(conf->metrics, "cwhisk_forwarded_total", NULL,
                                 "Activations forwarded to other invokers.");
    a->ended = end_counter(a, "how=\"ended\"");
    a->returned = end_counter(a, "how=\"returned\"");
    a->lost = end_counter(a, "how=\"lost\"");
    return a;
}

void inv_away_free(struct inv_away *a)
{
    struct cw_link *n;

    if (!a)
        return;
    cw_timer_done(&a->look);
    while ((n = cw_list_pop_front(&a->absences))) {
        struct absence *x = CW_LIST_ENTRY(n, struct absence, link);

        inv_job_free(x->job);
        free(x);
    }
    while ((n = cw_list_first(&a->sendings)))
        free_sending(CW_LIST_ENTRY(n, struct sending, link));
    cw_map_done(&a->by_id);
    cw_str_done(&a->text);
    free(a->topic);
    free(a);
}
