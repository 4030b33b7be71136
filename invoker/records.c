#include "invoker/records.h"

#include "common/base/clock.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"
#include "invoker/records_priv.h"
#include "invoker/settings.h"
#include "invoker/spool/spool.h"
#include "invoker/telemetry.h"

enum {
    RETRY_MIN_MS = 100,
    STOP_PATIENCE_MS = 1000, /* with the store, for what the spool has */
};

static void free_doc(struct doc *d)
{
    free(d->text);
    free(d);
}

/* Memory is full above max_bytes, the spool above spool_bytes; there is room again well below. */
static bool is_full(const struct inv_records *r)
{
    size_t spool_max = (size_t)r->conf.spool_bytes;
    size_t spool = r->spool ? inv_spool_bytes(r->spool) : 0;

    if (r->full)
        return r->bytes > r->conf.max_bytes / 2 || (r->spool && spool > spool_max / 4 * 3);
    return r->bytes > r->conf.max_bytes || (r->spool && spool > spool_max);
}

void records_update_full(struct inv_records *r)
{
    bool full = is_full(r);

    if (full == r->full)
        return;
    r->full = full;
    cw_log(full ? CW_LOG_WARN : CW_LOG_INFO, NULL, COMPONENT, "%zu records wait for the store%s",
           inv_records_pending(r),
           full ? ": no further activations are taken until it answers" : "");
    if (r->conf.on_full)
        r->conf.on_full(r->conf.arg, full);
}

static void note_safe(struct inv_records *r, int64_t ticket)
{
    if (!r->conf.on_safe)
        return;
    if (r->safe_count == r->safe_room) {
        r->safe_room = r->safe_room ? r->safe_room * 2 : 64;
        r->safe = cw_realloc(r->safe, r->safe_room * sizeof(*r->safe));
    }
    r->safe[r->safe_count++] = ticket;
    cw_defer_post(&r->flush);
}

void records_note_safe(struct inv_records *r, struct doc *d)
{
    if (!d->told)
        note_safe(r, d->ticket);
    d->told = true;
}

static void tell_safe(struct inv_records *r)
{
    size_t count = r->safe_count;

    for (size_t i = 0; i < count; i++) /* by index: what is called may add */
        r->conf.on_safe(r->conf.arg, r->safe[i]);
    r->safe_count -= count;
    memmove(r->safe, r->safe + count, r->safe_count * sizeof(*r->safe));
}

void records_queue(struct inv_records *r, struct doc *d)
{
    d->number = r->queued++;
    cw_list_push_back(&r->queue, &d->link);
}

void records_drop(struct inv_records *r, struct doc *d)
{
    records_note_safe(r, d);
    cw_list_remove(d->seq ? &r->spooled : &r->bare, &d->spool_link);
    r->bytes -= d->size;
    r->count--;
    free_doc(d);
}

static void flush(void *arg)
{
    struct inv_records *r = arg;

    records_spool_turn(r);
    if (r->safe_count)
        tell_safe(r);
    records_send(r);
}

/* ---- adding ---- */

static bool wanted(const struct inv_records *r, const struct inv_job *job)
{
    int level = job->msg->blocking ? r->conf.blocking_level : r->conf.non_blocking_level;
    enum cw_status status = job->outcome.status;

    if (job->blocked || !job->msg->user.limits.store_activations)
        return false;
    if (job->msg->tx.extra_logging || level == INV_STORE_ALWAYS)
        return true;
    if (level == INV_STORE_FAILURES)
        return status != CW_STATUS_SUCCESS;
    return status == CW_STATUS_DEVELOPER_ERROR || status == CW_STATUS_WHISK_ERROR;
}

static void skip(struct inv_records *r, const struct inv_job *job)
{
    const struct cw_activation_message *m = job->msg;

    cw_counter_add(r->skipped, 1);
    if (r->conf.log_unstored && !job->blocked)
        cw_log(CW_LOG_INFO, &m->tx, COMPONENT,
               "Explicitly NOT storing activation %s for action %s from namespace %s with "
               "response_size=%lldB",
               m->activation_id, m->action.name, m->user.namespace_name,
               job->outcome.size < 0 ? 0LL : (long long)job->outcome.size);
}

void inv_records_add(struct inv_records *r, const struct inv_job *job)
{
    struct cw_activation_record record;
    struct cw_slice logs = cw_str_slice(&job->logs);
    struct cw_str text;
    struct doc *d;

    if (!wanted(r, job)) {
        skip(r, job);
        note_safe(r, job->ticket);
        return;
    }
    inv_job_record(job, cw_loop_wall_ms(r->conf.loop), &record);
    cw_str_init(&text, DOC_MAX_BYTES);
    cw_activation_record_encode(&record, logs.n ? logs : CW_SLICE("[]"), &text);
    d = cw_alloc(sizeof(*d));
    d->size = text.n;
    d->text = cw_str_steal(&text);
    d->batch_cap = BATCH_MAX_DOCS;
    memcpy(d->id, job->msg->activation_id, sizeof(d->id));
    d->since_us = cw_loop_mono_us(r->conf.loop);
    d->ticket = job->ticket;
    r->bytes += d->size;
    r->count++;
    cw_list_push_back(&r->bare, &d->spool_link);
    if (r->spool) {
        cw_list_push_back(&r->fresh, &d->link);
    } else {
        records_queue(r, d);
        records_update_full(r);
    }
    cw_defer_post(&r->flush);
}

/* ---- the end ---- */

size_t inv_records_pending(const struct inv_records *r)
{
    return r->count + r->unread;
}

size_t inv_records_at_risk(const struct inv_records *r)
{
    return r->bare.count;
}

static bool store_is_quick(const struct inv_records *r)
{
    struct cw_link *n = cw_list_first(&r->batches);
    int64_t now = cw_loop_mono_us(r->conf.loop);

    return r->answers && (!n || now - CW_LIST_ENTRY(n, struct batch, link)->sent_us <
                                    STOP_PATIENCE_MS * INT64_C(1000));
}

bool inv_records_may_stop(const struct inv_records *r)
{
    return r->bare.count == 0 && (r->count == 0 || r->unread > 0 || !store_is_quick(r));
}

/* ---- life ---- */

static void make_metrics(struct inv_records *r, struct cw_metrics *m)
{
    r->stored =
        cw_metrics_counter(m, "cwhisk_records_stored_total", NULL, "Activation records stored.");
    r->store_s = inv_step_histogram(m, "store");
    r->skipped =
        cw_metrics_counter(m, "cwhisk_records_skipped_total", NULL,
                           "Activation records not wanted by their namespace or the store level.");
    r->conflicts = cw_metrics_counter(m, "cwhisk_records_conflict_total", NULL,
                                      "Activation records that existed already.");
    r->degraded =
        cw_metrics_counter(m, "cwhisk_records_degraded_total", NULL,
                           "Times that a record was cut down because the store refused it.");
    r->refused = cw_metrics_counter(m, "cwhisk_records_refused_total", NULL,
                                    "Activation records refused in every form.");
    r->retries = cw_metrics_counter(m, "cwhisk_records_retries_total", NULL,
                                    "Batches of records tried again.");
    r->spooled_total = cw_metrics_counter(m, "cwhisk_records_spooled_total", NULL,
                                          "Activation records written to the data directory.");
    r->spool_errors = cw_metrics_counter(
        m, "cwhisk_spool_errors_total", NULL,
        "Times that the spool of records in the data directory could not be written or read.");
    r->spool_bytes = cw_metrics_gauge(m, "cwhisk_spool_bytes", NULL,
                                      "Size of the spool's files in the data directory.");
    r->spool_records = cw_metrics_gauge(m, "cwhisk_spool_records", NULL,
                                        "Records in the spool that are not stored yet.");
}

struct inv_records *inv_records_new(const struct inv_records_conf *conf)
{
    struct inv_records *r = cw_alloc(sizeof(*r));
    struct cw_metrics *m = conf->metrics;

    r->conf = *conf;
    if (!r->conf.retry_ms)
        r->conf.retry_ms = RETRY_MIN_MS;
    r->retry_ms = r->conf.retry_ms;
    r->answers = true;
    cw_list_init(&r->fresh);
    cw_list_init(&r->queue);
    cw_list_init(&r->bare);
    cw_list_init(&r->spooled);
    cw_list_init(&r->batches);
    cw_timer_init(&r->retry, conf->loop, flush, r);
    cw_timer_init(&r->spool_retry, conf->loop, flush, r);
    cw_timer_init(&r->read_retry, conf->loop, flush, r);
    cw_timer_init(&r->mark, conf->loop, records_on_mark, r);
    cw_defer_init(&r->flush, conf->loop, flush, r);
    make_metrics(r, m);
    return r;
}

void inv_records_free(struct inv_records *r)
{
    struct cw_link *n;

    if (!r)
        return;
    records_take_back(r);
    records_spool_close(r);
    while ((n = cw_list_pop_front(&r->queue)))
        free_doc(CW_LIST_ENTRY(n, struct doc, link));
    while ((n = cw_list_pop_front(&r->fresh)))
        free_doc(CW_LIST_ENTRY(n, struct doc, link));
    cw_timer_done(&r->retry);
    cw_timer_done(&r->spool_retry);
    cw_timer_done(&r->read_retry);
    cw_timer_done(&r->mark);
    cw_defer_cancel(&r->flush);
    free(r->safe);
    free(r);
}
