#include "invoker/intake.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/model/param_lock.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/blacklist.h"
#include "invoker/catalog.h"
#include "invoker/job.h"
#include "invoker/ledger.h"
#include "invoker/limits.h"
#include "invoker/logs/log_store.h"
#include "invoker/marks.h"
#include "invoker/settings.h"
#include "invoker/stale.h"

#define COMPONENT "InvokerReactive"

enum { LINE_MAX_BYTES = 1024 };

struct fetch {
    struct cw_link link;
    struct inv_intake *in;
    struct inv_job *job;
};

struct inv_intake {
    struct inv_intake_conf conf;
    struct cw_list fetches;
    bool logs_elsewhere; /* this log store collects none */
    struct cw_counter *started, *unreadable, *blocked;
};

static void refuse(struct inv_intake *in, struct inv_job *job, enum cw_status status,
                   const char *text)
{
    inv_job_fail(job, status, text, cw_loop_wall_ms(in->conf.loop));
    in->conf.on_refused(in->conf.arg, job);
}

static void excuse(struct inv_intake *in, struct inv_job *job, const char *text)
{
    inv_job_excuse(job, text, cw_loop_wall_ms(in->conf.loop));
    in->conf.on_refused(in->conf.arg, job);
}

/* On failure the job has been answered. */
static bool unlock(struct inv_intake *in, struct inv_job *job)
{
    struct cw_err err = {0};
    const char *left;

    if (!job->msg->locked_args.n)
        return true;
    if (cw_param_unlock(in->conf.keys, job->msg, &left, &err) != 0) {
        cw_log(CW_LOG_ERROR, &job->msg->tx, COMPONENT,
               "arguments of activation %s cannot be decrypted: %s", job->msg->activation_id,
               err.msg);
        excuse(in, job, "Action parameters could not be decrypted.");
        return false;
    }
    if (left)
        cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
               "no key for \"%.40s\" (whisk.parameter-storage): arguments of activation %s stay "
               "encrypted",
               left, job->msg->activation_id);
    return true;
}

static void on_action(void *arg, struct cw_action *action, const struct inv_fetch_failure *failure)
{
    struct fetch *f = arg;
    struct inv_intake *in = f->in;
    struct inv_job *job = f->job;
    char text[INV_LIMITS_TEXT_MAX];

    cw_list_remove(&in->fetches, &f->link);
    free(f);
    job->at[INV_AT_FETCHED] = cw_loop_mono_us(in->conf.loop);
    if (job->interrupted && (failure || !action->retry_on_crash)) {
        excuse(in, job, "The activation was interrupted: the invoker that ran it ended before it.");
    } else if (failure) {
        cw_log(failure->status == CW_STATUS_WHISK_ERROR ? CW_LOG_ERROR : CW_LOG_WARN, &job->msg->tx,
               COMPONENT, "action %s of activation %s: %s", job->msg->action.full,
               job->msg->activation_id, failure->detail);
        refuse(in, job, failure->status, failure->text);
    } else if (!inv_limits_allow(in->conf.settings, &job->msg->user.limits, &action->limits,
                                 text)) {
        refuse(in, job, CW_STATUS_APPLICATION_ERROR, text);
    } else if (inv_stale_ends(in->conf.stale, job, action)) {
        in->conf.on_refused(in->conf.arg, job);
    } else if (unlock(in, job)) {
        job->action = cw_action_ref(action);
        in->conf.on_ready(in->conf.arg, job);
    }
}

static void tell_taken(const struct inv_intake *in, const struct cw_activation_message *msg)
{
    const struct inv_mark mark = {.markers = in->conf.settings->log_markers,
                                  .tx = &msg->tx,
                                  .component = COMPONENT,
                                  .token = "invoker_activation"};
    char text[LINE_MAX_BYTES];

    (void)snprintf(text, sizeof(text), "activation %s of %s/%s for %s", msg->activation_id,
                   msg->action.path, msg->action.name, msg->user.namespace_name);
    inv_mark_begun(&mark, text);
}

static void fetch(struct inv_intake *in, struct inv_job *job)
{
    const struct cw_activation_message *msg = job->msg;
    struct fetch *f = cw_alloc(sizeof(*f));

    cw_counter_add(in->started, 1);
    tell_taken(in, msg);
    f->in = in;
    f->job = job;
    cw_list_push_back(&in->fetches, &f->link);
    inv_catalog_get(in->conf.catalog, msg->action.full, msg->revision, on_action, f);
}

static void refuse_blocked(struct inv_intake *in, struct inv_job *job)
{
    cw_counter_add(in->blocked, 1);
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT, "namespace %s was blocked in invoker.",
           job->msg->user.namespace_name);
    job->blocked = true;
    refuse(in, job, CW_STATUS_APPLICATION_ERROR,
           "The action was not invoked due to a blacklisted namespace.");
}

/* Nothing can be answered; the ledger need not wait for anything. */
static void drop_unreadable(struct inv_intake *in, int64_t ticket, int64_t offset, size_t bytes,
                            const struct cw_err *err)
{
    cw_counter_add(in->unreadable, 1);
    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "message at offset %" PRId64 " cannot be read: %s",
           offset, err->msg);
    inv_ledger_acked(in->conf.ledger, ticket);
    inv_ledger_stored(in->conf.ledger, ticket);
    in->conf.on_dropped(in->conf.arg, bytes);
}

static void begin_job(struct inv_intake *in, struct inv_job *job)
{
    const char *namespace_name = job->msg->user.namespace_name;

    job->logs_elsewhere = in->logs_elsewhere;
    if (job->interrupted) {
        cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
               "activation %s was started by the invoker before this one, and not ended",
               job->msg->activation_id);
        if (in->conf.on_interrupted(in->conf.arg, job))
            return;
    }
    if (in->conf.blacklist && inv_blacklist_has(in->conf.blacklist, namespace_name))
        refuse_blocked(in, job);
    else
        fetch(in, job);
}

void inv_intake_message(struct inv_intake *in, struct cw_slice payload, int64_t offset,
                        int64_t received_us)
{
    struct cw_activation_message *msg;
    struct cw_err err = {0};
    struct inv_job *job;
    int64_t ticket;
    enum inv_verdict verdict;

    msg = cw_activation_message_decode(payload, cw_loop_wall_ms(in->conf.loop), &err);
    verdict = inv_ledger_take(in->conf.ledger, offset, msg ? msg->activation_id : NULL, &ticket);
    if (verdict == INV_FOREIGN || verdict == INV_SKIP) {
        cw_activation_message_free(msg);
        if (verdict == INV_FOREIGN)
            in->conf.on_foreign(in->conf.arg, payload.n);
        else
            in->conf.on_dropped(in->conf.arg, payload.n);
        return;
    }
    if (!msg) {
        drop_unreadable(in, ticket, offset, payload.n, &err);
        return;
    }
    job = inv_job_new(msg, cw_loop_mono_us(in->conf.loop));
    job->at[INV_AT_RECEIVED] = received_us;
    job->offset = offset;
    job->ticket = ticket;
    job->came_back = verdict == INV_RUN_HERE;
    if (verdict == INV_AWAY && in->conf.on_away(in->conf.arg, job))
        return;
    job->interrupted = verdict == INV_ANSWER || verdict == INV_AWAY;
    begin_job(in, job);
}

void inv_intake_job(struct inv_intake *in, struct inv_job *job)
{
    begin_job(in, job);
}

struct inv_intake *inv_intake_new(const struct inv_intake_conf *conf)
{
    struct inv_intake *in = cw_alloc(sizeof(*in));

    in->conf = *conf;
    in->logs_elsewhere = !inv_log_store_collects(conf->settings->log_store_provider);
    cw_list_init(&in->fetches);
    in->started = cw_metrics_counter(conf->metrics, "counter_invoker_activation_start_total", NULL,
                                     "Activation messages taken.");
    in->unreadable =
        cw_metrics_counter(conf->metrics, "cwhisk_messages_unreadable_total", NULL,
                           "Messages on the invoker's topic that could not be decoded.");
    in->blocked = cw_metrics_counter(conf->metrics, "cwhisk_activation_blocked_total", NULL,
                                     "Activations refused because their namespace is blocked.");
    return in;
}

void inv_intake_free(struct inv_intake *in)
{
    struct cw_link *n;

    if (!in)
        return;
    while ((n = cw_list_pop_front(&in->fetches))) {
        struct fetch *f = CW_LIST_ENTRY(n, struct fetch, link);

        inv_job_free(f->job);
        free(f);
    }
    free(in);
}

void inv_intake_release(struct inv_intake *in, bool (*which)(void *arg, const struct inv_job *job),
                        void (*fn)(void *arg, struct inv_job *job), void *arg)
{
    struct cw_list kept;
    struct cw_link *n;

    cw_list_init(&kept);
    while ((n = cw_list_pop_front(&in->fetches))) {
        struct fetch *f = CW_LIST_ENTRY(n, struct fetch, link);
        struct inv_job *job = f->job;

        if (!which(arg, job)) {
            cw_list_push_back(&kept, n);
            continue;
        }
        inv_catalog_abandon(in->conf.catalog, on_action, f);
        free(f);
        fn(arg, job);
    }
    while ((n = cw_list_pop_front(&kept)))
        cw_list_push_back(&in->fetches, n);
}

static bool any(void *arg, const struct inv_job *job)
{
    (void)arg, (void)job;
    return true;
}

static void refuse_stopped(void *arg, struct inv_job *job)
{
    struct inv_intake *in = arg;

    inv_job_stop(job, cw_loop_wall_ms(in->conf.loop));
    in->conf.on_refused(in->conf.arg, job);
}

void inv_intake_kill(struct inv_intake *in)
{
    inv_intake_release(in, any, refuse_stopped, in);
}

size_t inv_intake_fetching(const struct inv_intake *in)
{
    return in->fetches.count;
}
