/* Messages: where they are read from, when they are kept back, what the journal is told, and what
 * becomes at the end of those that were not started. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "common/base/disk.h"
#include "common/base/err.h"
#include "common/bus/bus.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "invoker/ack.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/feed.h"
#include "invoker/forward/away.h"
#include "invoker/forward/guests.h"
#include "invoker/intake.h"
#include "invoker/job.h"
#include "invoker/ledger.h"
#include "invoker/records.h"
#include "invoker/settings.h"
#include "invoker/telemetry.h"

enum {
    FEED_MAX_BYTES = 64 << 20,
    UNSENT_MAX_BYTES = 64 << 20, /* acks and events that Kafka has not taken */
    UNSENT_AGAIN_BYTES = 48 << 20,
};

/* ---- the journal ---- */

static void on_ledger_full(void *arg, bool full)
{
    struct inv_daemon *d = arg;

    d->ledger_full = full;
    inv_daemon_hold_or_hand_out(d);
}

int inv_daemon_make_ledger(struct inv_daemon *d, struct cw_err *err)
{
    const struct inv_settings *s = d->settings;

    if (*s->data_dir && mkdir(s->data_dir, 0700) != 0 && errno != EEXIST)
        return cw_fail_errno(err, errno, "cwhisk.data-dir: %s", s->data_dir);
    d->ledger = inv_ledger_new(&(struct inv_ledger_conf){
        .loop = d->loop,
        .metrics = d->metrics,
        .disk = cw_disk_files(),
        .dir = s->data_dir,
        .topic = d->invoker_topic,
        .sync = s->journal_sync == INV_SYNC_HOST,
        .on_full = on_ledger_full,
        .arg = d,
    });
    if (!inv_ledger_keeps(d->ledger))
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "no data directory (cwhisk.data-dir): activations that were taken are lost if this "
               "process is killed, as with OpenWhisk's invoker");
    return 0;
}

/* ---- taking ---- */

static int64_t begin(void *arg, const struct cw_bus_position *commit, int64_t *known)
{
    struct inv_daemon *d = arg;
    int64_t from = inv_ledger_begin(d->ledger, commit, known);

    d->touched = *known >= 0 ? *known - 1 : INV_TOUCHED_NOTHING;
    if (from >= 0)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "topic %s is read from offset %" PRId64 " again",
               d->invoker_topic, from);
    return from;
}

static int keep(void *arg, int64_t offset, struct cw_err *err)
{
    struct inv_daemon *d = arg;

    return inv_ledger_keep(d->ledger, offset, err);
}

static void committed(void *arg, int64_t offset)
{
    struct inv_daemon *d = arg;

    inv_ledger_committed(d->ledger, offset);
}

static bool ends(void *arg, int64_t end)
{
    struct inv_daemon *d = arg;
    bool foreign = inv_ledger_ends(d->ledger, end);

    if (foreign)
        d->touched = INV_TOUCHED_NOTHING;
    return foreign;
}

void inv_daemon_forget_predecessor(struct inv_daemon *d)
{
    if (d->recovered || inv_ledger_left(d->ledger) > 0)
        return;
    d->recovered = true;
    inv_records_forget_recovered(d->records);
    if (d->away)
        inv_away_forget_expected(d->away);
}

static void take(void *arg, struct cw_slice payload, int64_t offset, int64_t received_us)
{
    struct inv_daemon *d = arg;

    if (d->touched == INV_TOUCHED_NOTHING)
        d->touched = offset - 1;
    inv_intake_message(d->intake, payload, offset, received_us);
    inv_daemon_forget_predecessor(d);
}

/* Its record tells how it ended; the ack may have been lost with the process. */
bool inv_daemon_answer_recorded(struct inv_daemon *d, struct inv_job *job)
{
    struct cw_slice record = inv_records_recovered(d->records, job->msg->activation_id);

    if (!record.n || !inv_job_recover(job, record))
        return false;
    cw_log(CW_LOG_INFO, &job->msg->tx, COMPONENT,
           "activation %s had ended: its record is there, its ack is sent again",
           job->msg->activation_id);
    inv_daemon_touch(d, job);
    inv_acks_end(d->acks, job, INV_END_ABORTED);
    inv_ledger_stored(d->ledger, job->ticket);
    inv_telemetry_ended(d->telemetry, job);
    inv_daemon_drop(d, job);
    return true;
}

int inv_daemon_subscribe(struct inv_daemon *d, size_t capacity, void (*on_owned)(void *, bool),
                         void (*on_lost)(void *, const struct cw_err *), struct cw_err *err)
{
    bool keeps = inv_ledger_keeps(d->ledger);

    if (inv_ledger_open(d->ledger, err) != 0)
        return cw_err_wrap(err, "cwhisk.data-dir");
    inv_daemon_expect_forwarded(d);
    inv_daemon_forget_predecessor(d);
    d->feed = inv_feed_new(
        &(struct inv_feed_conf){
            .loop = d->loop,
            .bus = d->bus,
            .metrics = d->metrics,
            .topic = d->invoker_topic,
            .instance_id = d->member_id,
            .capacity = capacity,
            .max_bytes = FEED_MAX_BYTES,
            .on_message = take,
            .note = inv_ledger_note(d->ledger),
            .begin = keeps ? begin : NULL,
            .keep = keeps ? keep : NULL,
            .committed = keeps ? committed : NULL,
            .ends = keeps ? ends : NULL,
            .on_owned = on_owned,
            .on_lost = on_lost,
            .arg = d,
        },
        err);
    return d->feed ? 0 : -1;
}

/* A stop ends in bounded time, whatever is full. */
void inv_daemon_hold_or_hand_out(struct inv_daemon *d)
{
    bool full = (d->records_full || d->ledger_full || d->acks_full || d->descriptors_short) &&
                d->phase == PHASE_RUNNING;

    if (d->feed)
        inv_feed_hold(d->feed, !d->killed && full);
    if (d->guests)
        inv_guests_refuse(d->guests, full || !d->clean || d->phase != PHASE_RUNNING);
}

void inv_daemon_check_unsent(struct inv_daemon *d)
{
    size_t bytes = d->bus->ops->unsent_bytes(d->bus);
    bool full = bytes > (d->acks_full ? UNSENT_AGAIN_BYTES : UNSENT_MAX_BYTES);

    if (full == d->acks_full)
        return;
    d->acks_full = full;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           full ? "%zu bytes of acks wait for Kafka: nothing new is taken"
                : "%zu bytes of acks wait for Kafka: work is taken again",
           bytes);
    inv_daemon_hold_or_hand_out(d);
}

/* ---- leaving ---- */

void inv_daemon_touch(struct inv_daemon *d, const struct inv_job *job)
{
    bool of_topic = !inv_ledger_keeps(d->ledger) || inv_ledger_offset(d->ledger, job->ticket) >= 0;

    if (!job->guest && of_topic && job->offset > d->touched)
        d->touched = job->offset;
}

/* Without a journal, what lies before something that was started cannot be left. */
static bool can_be_left(void *arg, const struct inv_job *job)
{
    const struct inv_daemon *d = arg;

    return job->guest || inv_ledger_keeps(d->ledger) || job->offset > d->touched;
}

static void leave_job(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    if (!inv_daemon_give_back(d, job))
        cw_list_push_back(&d->left, &job->link);
}

void inv_daemon_forget_left(struct inv_daemon *d)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&d->left)))
        inv_job_free(CW_LIST_ENTRY(n, struct inv_job, link));
}

bool inv_daemon_stays_in_journal(const struct inv_daemon *d, const struct inv_job *job)
{
    return !job->guest && d->killed && d->settings->drain == INV_DRAIN_LEAVE &&
           inv_ledger_keeps(d->ledger) && job->at[INV_AT_RUN_SENT] == 0;
}

void inv_daemon_drop(struct inv_daemon *d, struct inv_job *job)
{
    if (job->guest)
        inv_guests_credit(d->guests, job->msg->text.n);
    else
        inv_feed_credit(d->feed, job->msg->text.n);
    inv_job_free(job);
}

static bool any(void *arg, const struct inv_job *job)
{
    (void)arg, (void)job;
    return true;
}

void inv_daemon_refuse(struct inv_daemon *d, struct inv_job *job)
{
    if (inv_daemon_give_back(d, job))
        return;
    inv_job_stop(job, cw_loop_wall_ms(d->loop));
    inv_daemon_finish(d, job, INV_END_FAILED_START);
}

static void refuse(void *arg, struct inv_job *job)
{
    inv_daemon_refuse(arg, job);
}

void inv_daemon_refuse_rest(struct inv_daemon *d)
{
    d->refusing = true;
    inv_dispatch_release(d->dispatch, any, refuse, d);
    inv_intake_release(d->intake, any, refuse, d);
}

/* As long as the topic may be another one than the journal's, the commit is not for us to set. */
static bool knows_what_to_leave(const struct inv_daemon *d)
{
    return d->touched != INV_TOUCHED_NOTHING && !inv_ledger_checks(d->ledger);
}

static void on_left(void *arg, const struct cw_err *err)
{
    struct inv_daemon *d = arg;
    struct cw_link *n;

    d->leaving = false;
    if (!err) {
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "%zu activations that were not started are left to the next invoker", d->left.count);
        if (knows_what_to_leave(d))
            inv_ledger_leave(d->ledger, d->touched + 1);
        inv_daemon_forget_left(d);
        return;
    }
    if (inv_ledger_keeps(d->ledger)) {
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "%zu activations that were not started stay in the journal: %s", d->left.count,
               err->msg);
        inv_daemon_forget_left(d);
        return;
    }
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "%zu activations that were not started cannot be left to the next invoker and are "
           "answered with an error: %s",
           d->left.count, err->msg);
    while ((n = cw_list_pop_front(&d->left)))
        inv_daemon_refuse(d, CW_LIST_ENTRY(n, struct inv_job, link));
    inv_daemon_refuse_rest(d);
}

void inv_daemon_leave(struct inv_daemon *d)
{
    inv_dispatch_release(d->dispatch, can_be_left, leave_job, d);
    inv_intake_release(d->intake, can_be_left, leave_job, d);
    d->leaving = true;
    inv_feed_leave(d->feed, knows_what_to_leave(d) ? d->touched + 1 : -1, on_left);
}
