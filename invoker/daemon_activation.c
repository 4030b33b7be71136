/* The parts that an activation goes through, and what each of them tells the next. */
#include <openssl/rand.h>

#include "common/base/err.h"
#include "common/obs/log.h"
#include "invoker/ack.h"
#include "invoker/blacklist.h"
#include "invoker/catalog.h"
#include "invoker/daemon_priv.h"
#include "invoker/dispatch.h"
#include "invoker/feed.h"
#include "invoker/forward/guests.h"
#include "invoker/hosts.h"
#include "invoker/intake.h"
#include "invoker/job.h"
#include "invoker/ledger.h"
#include "invoker/limits.h"
#include "invoker/records.h"
#include "invoker/settings.h"
#include "invoker/stale.h"
#include "invoker/store_check.h"
#include "invoker/telemetry.h"
#include "invoker/trace.h"

enum {
    RECORDS_MAX_BYTES = 64 << 20,
    RECORDS_BESIDE_SPOOL_BYTES = 16 << 20, /* what memory does not hold is in the spool */
    CATALOG_KEEP_MS = 5 * 60 * 1000,       /* stock: after the last access */
};

void inv_daemon_finish(struct inv_daemon *d, struct inv_job *job, enum inv_end how)
{
    inv_daemon_touch(d, job);
    inv_acks_end(d->acks, job, how);
    inv_daemon_check_unsent(d);
    inv_records_add(d->records, job);
    inv_telemetry_ended(d->telemetry, job);
    inv_hosts_changed(d->hosts);
    inv_daemon_drop(d, job);
}

static void on_dropped(void *arg, size_t bytes)
{
    struct inv_daemon *d = arg;

    inv_feed_credit(d->feed, bytes);
}

static void on_ready(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    if (inv_daemon_stays_in_journal(d, job)) {
        inv_daemon_drop(d, job);
        return;
    }
    if (d->killed || d->refusing) {
        inv_daemon_refuse(d, job);
        return;
    }
    inv_dispatch_submit(d->dispatch, job);
}

static void on_refused(void *arg, struct inv_job *job)
{
    inv_daemon_finish(arg, job, INV_END_FAILED_START);
}

static void on_result(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_acks_result(d->acks, job);
}

static void on_return(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_daemon_note_left(d, job);
    inv_telemetry_returned(d->telemetry, job, cw_loop_mono_us(d->loop));
}

static void on_end(void *arg, struct inv_job *job, enum inv_end how)
{
    struct inv_daemon *d = arg;

    inv_daemon_note_ended(d, job);
    if (inv_daemon_stays_in_journal(d, job))
        inv_daemon_drop(d, job);
    else if (!d->killed || !inv_daemon_give_back(d, job))
        inv_daemon_finish(d, job, how);
}

static void on_placed(void *arg, struct inv_job *job)
{
    struct inv_daemon *d = arg;

    inv_daemon_note_placed(d, job);
    inv_daemon_touch(d, job);
    inv_hosts_changed(d->hosts);
}

static int on_start(void *arg, struct inv_job *job, struct cw_err *err)
{
    struct inv_daemon *d = arg;

    return job->guest ? 0 : inv_ledger_start(d->ledger, job->ticket, err);
}

static void on_acked(void *arg, int64_t ticket)
{
    struct inv_daemon *d = arg;

    if (inv_guests_owns(ticket))
        inv_guests_acked(d->guests, ticket);
    else
        inv_ledger_acked(d->ledger, ticket);
    inv_daemon_check_unsent(d);
}

static void on_safe(void *arg, int64_t ticket)
{
    struct inv_daemon *d = arg;

    if (inv_guests_owns(ticket))
        inv_guests_stored(d->guests, ticket);
    else
        inv_ledger_stored(d->ledger, ticket);
}

/* The successor's offsets begin behind what is read now. */
static void on_foreign(void *arg, size_t bytes)
{
    struct inv_daemon *d = arg;

    inv_feed_credit(d->feed, bytes);
    d->touched = INV_TOUCHED_NOTHING;
    inv_feed_restart(d->feed);
}

static bool on_interrupted(void *arg, struct inv_job *job)
{
    return inv_daemon_answer_recorded(arg, job);
}

static void on_records_full(void *arg, bool full)
{
    struct inv_daemon *d = arg;

    d->records_full = full;
    inv_daemon_hold_or_hand_out(d);
}

static enum inv_store_level blocking_level(const struct inv_settings *s)
{
    bool deprecated;
    enum inv_store_level level = inv_settings_blocking_level(s, &deprecated);

    if (deprecated)
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "whisk.activation.store-blocking-result-level: \"%s\" is no level; the deprecated "
               "whisk.activation.disable-store-result (%s) decides",
               s->store_blocking, s->disable_store_result ? "true" : "false");
    return level;
}

static double random_fraction(void)
{
    uint32_t bits = 0;

    (void)RAND_bytes((unsigned char *)&bits, sizeof(bits)); /* any value does */
    return (double)bits / UINT32_MAX;
}

void inv_daemon_make_parts(struct inv_daemon *d)
{
    const struct inv_settings *s = d->settings;

    d->catalog = inv_catalog_new(&(struct inv_catalog_conf){
        .loop = d->loop,
        .store = d->store,
        .metrics = d->metrics,
        .manifest = d->manifest,
        .db = s->db_entities,
        .defaults = {.logs_mb = s->log_std_bytes >> 20,
                     .concurrency = s->concurrency_std,
                     .warm_limits = s->warm_limits},
        .max_bytes = (size_t)s->catalog_bytes,
        .keep_ms = CATALOG_KEEP_MS,
        .max_code_bytes = inv_limits_code(s),
    });
    d->trace = s->trace_activations ? inv_trace_new((size_t)s->trace_activations) : NULL;
    d->acks = inv_acks_new(&(struct inv_acks_conf){
        .loop = d->loop,
        .bus = d->bus,
        .metrics = d->metrics,
        .topic_prefix = s->topic_prefix,
        .instance = cw_str_slice(&d->instance),
        .max_bytes = (size_t)d->max_message_bytes,
        .events_topic = d->events_topic,
        .source = d->source,
        .trace = d->trace,
        .on_acked = on_acked,
        .arg = d,
    });
    d->records = inv_records_new(&(struct inv_records_conf){
        .loop = d->loop,
        .store = d->store,
        .metrics = d->metrics,
        .db = s->db_activations,
        .blocking_level = (int)blocking_level(s),
        .non_blocking_level = s->store_non_blocking,
        .log_unstored = s->unstored_logs,
        .max_bytes = *s->data_dir ? RECORDS_BESIDE_SPOOL_BYTES : RECORDS_MAX_BYTES,
        .data_dir = s->data_dir,
        .spool_name = d->invoker_topic,
        .spool_bytes = s->spool_bytes,
        .sync = s->journal_sync == INV_SYNC_HOST,
        .on_full = on_records_full,
        .on_safe = on_safe,
        .arg = d,
    });
    d->stale = inv_stale_new(d->loop, s, d->metrics);
    inv_daemon_make_monitor(d);
    d->dispatch = inv_dispatch_new(&(struct inv_dispatch_conf){
        .loop = d->loop,
        .driver = d->driver,
        .logs = d->log_hub,
        .userlogs = d->userlogs,
        .monitor = d->monitor,
        .stale = d->stale,
        .settings = s,
        .manifest = d->manifest,
        .metrics = d->metrics,
        .instance = s->id,
        .spread = random_fraction(),
        .pool_mb = inv_daemon_pool_mb(d),
        .memory_need = inv_daemon_memory_need,
        .charge = s->admission == INV_CHARGE_INFERRED ? inv_daemon_charge : NULL,
        .admits = inv_daemon_admits,
        .where = inv_daemon_where,
        .stays = *s->redis.hosts && s->forward ? inv_daemon_stays : NULL,
        .on_placed = on_placed,
        .on_start = on_start,
        .on_result = on_result,
        .on_return = on_return,
        .on_end = on_end,
        .arg = d,
    });
    inv_dispatch_hold(d->dispatch, true); /* until left-over containers are gone */
    d->store_check = inv_store_check_new(&(struct inv_store_check_conf){
        .loop = d->loop,
        .store = d->store,
        .user = s->couch_username,
        .dbs = {s->db_entities, s->db_activations, s->db_subjects},
    });
    d->blacklist = inv_blacklist_new(&(struct inv_blacklist_conf){
        .loop = d->loop,
        .store = d->store,
        .metrics = d->metrics,
        .db = s->db_subjects,
        .poll_ms = s->blacklist_poll_ms,
        .on_first = inv_daemon_on_blacklist,
        .arg = d,
    });
    d->intake = inv_intake_new(&(struct inv_intake_conf){
        .loop = d->loop,
        .metrics = d->metrics,
        .catalog = d->catalog,
        .blacklist = d->blacklist,
        .keys = d->param_keys,
        .stale = d->stale,
        .settings = s,
        .ledger = d->ledger,
        .on_dropped = on_dropped,
        .on_foreign = on_foreign,
        .on_away = inv_daemon_adopt_forwarded,
        .on_interrupted = on_interrupted,
        .on_ready = on_ready,
        .on_refused = on_refused,
        .arg = d,
    });
}
