/* The way through the data directory. Order is kept: once a record is in the spool only, so are all
 * that come behind it, until it has been read back. Where the spool fails, what is fresh goes to
 * the store directly if nothing is to be read back before it, and otherwise waits in memory. */
#include "common/base/disk.h"
#include "common/base/err.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/records_priv.h"
#include "invoker/spool/spool.h"

enum {
    AT_ONCE = 128,
    READ_AT_ONCE_BYTES = 1 << 20, /* in one turn */
    PAUSE = 10, /* first pauses of the store: until the disk is tried again, and before a mark */
    SEGMENT_MIN_BYTES = 1 << 20,
    SEGMENT_MAX_BYTES = 64 << 20,
    SEGMENTS = 128, /* so many fill the spool */
};

static void spool_failed(struct inv_records *r, const struct cw_err *err)
{
    cw_counter_add(r->spool_errors, 1);
    cw_timer_set_ms(&r->spool_retry, PAUSE * r->conf.retry_ms);
    if (r->spool_fails)
        return;
    r->spool_fails = true;
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "records are kept in memory only, and lost with this process, until they are stored or "
           "the data directory (cwhisk.data-dir) can be written again: %s",
           err->msg);
}

static void spool_works(struct inv_records *r)
{
    if (!r->spool_fails)
        return;
    r->spool_fails = false;
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "records are written to the data directory again");
}

/* ---- into the spool ---- */

/* Appends the oldest of what is not in the spool, at most `most` documents and AT_ONCE. How many
 * are in it now: less is a failure. */
static size_t append(struct inv_records *r, size_t most, bool *ret_failed)
{
    struct inv_spool_doc given[AT_ONCE] = {{0}};
    struct cw_err err = {0};
    size_t count = 0, done;
    uint64_t seq;

    CW_LIST_EACH (&r->bare, n) {
        const struct doc *d = CW_LIST_ENTRY(n, struct doc, spool_link);

        if (count == most || count == AT_ONCE)
            break;
        given[count++] = (struct inv_spool_doc){d->id, cw_slice(d->text, d->size)};
    }
    done = inv_spool_append(r->spool, given, count, &seq, &err);
    for (size_t i = 0; i < done; i++) {
        struct doc *d = CW_LIST_ENTRY(cw_list_pop_front(&r->bare), struct doc, spool_link);

        d->seq = seq++;
        cw_list_push_back(&r->spooled, &d->spool_link);
        records_note_safe(r, d);
    }
    cw_counter_add(r->spooled_total, done);
    *ret_failed = done < count;
    if (done < count)
        spool_failed(r, &err);
    else
        spool_works(r);
    return done;
}

/* What went to the queue while the spool failed, and may be on its way to the store. All that was
 * in the spool has been read then. */
static bool append_queued(struct inv_records *r)
{
    bool failed = false;

    while (!failed && r->bare.count > r->fresh.count) {
        (void)append(r, r->bare.count - r->fresh.count, &failed);
        inv_spool_skip(r->spool);
    }
    return !failed;
}

/* They stay in memory if there is room; otherwise they will be read back. */
static void append_fresh(struct inv_records *r)
{
    bool keep = inv_spool_read_all(r->spool) && r->bytes <= r->conf.max_bytes;
    bool failed = false;

    while (!failed && !cw_list_empty(&r->fresh)) {
        for (size_t done = append(r, AT_ONCE, &failed); done; done--) {
            struct doc *d = CW_LIST_ENTRY(cw_list_pop_front(&r->fresh), struct doc, link);

            if (keep) {
                records_queue(r, d);
            } else {
                r->unread++;
                records_drop(r, d);
            }
        }
        if (keep)
            inv_spool_skip(r->spool);
    }
}

static void append_all(struct inv_records *r)
{
    struct cw_link *n;

    if (!cw_timer_pending(&r->spool_retry) && append_queued(r))
        append_fresh(r);
    while (inv_spool_read_all(r->spool) && (n = cw_list_pop_front(&r->fresh)))
        records_queue(r, CW_LIST_ENTRY(n, struct doc, link));
}

/* ---- out of it ---- */

static void queue_read(struct inv_records *r, struct inv_spool_record *record)
{
    struct doc *d = cw_alloc(sizeof(*d));

    d->text = record->text;
    d->size = record->size;
    d->batch_cap = BATCH_MAX_DOCS;
    d->seq = record->seq;
    d->since_us = cw_loop_mono_us(r->conf.loop);
    d->told = true;
    d->inherited = record->seq < r->inherited_below;
    memcpy(d->id, record->id, sizeof(d->id));
    cw_list_push_back(&r->spooled, &d->spool_link);
    r->bytes += d->size;
    r->count++;
    r->unread -= r->unread > 0;
    records_queue(r, d);
}

static void read_failed(struct inv_records *r, const struct cw_err *err)
{
    cw_counter_add(r->spool_errors, 1);
    if (err->retriable)
        cw_timer_set_ms(&r->read_retry, PAUSE * r->conf.retry_ms);
    cw_log(err->retriable ? CW_LOG_WARN : CW_LOG_ERROR, NULL, COMPONENT,
           "records that wait in the data directory: %s", err->msg);
}

static void read_back(struct inv_records *r)
{
    size_t most = r->conf.max_bytes / 2, before = r->bytes;
    struct inv_spool_record record;
    int found = 1;

    while (found != 0 && !cw_timer_pending(&r->read_retry) && (r->bytes < most || r->count == 0)) {
        struct cw_err err = {0};

        if (r->bytes - before > READ_AT_ONCE_BYTES) {
            cw_defer_post(&r->flush);
            break;
        }
        found = inv_spool_next(r->spool, &record, &err);
        if (found > 0)
            queue_read(r, &record);
        else if (found < 0)
            read_failed(r, &err);
    }
    if (inv_spool_read_all(r->spool))
        r->unread = 0; /* should some have been lost */
}

/* ---- each turn ---- */

static void note_settled(struct inv_records *r)
{
    struct cw_link *n = cw_list_first(&r->spooled);
    uint64_t low = n ? CW_LIST_ENTRY(n, struct doc, spool_link)->seq : inv_spool_read_seq(r->spool);

    inv_spool_settle(r->spool, low);
    if (inv_spool_needs_mark(r->spool) && !cw_timer_pending(&r->mark))
        cw_timer_set_ms(&r->mark, PAUSE * r->conf.retry_ms);
}

void records_on_mark(void *arg)
{
    struct inv_records *r = arg;
    struct cw_err err = {0};

    if (inv_spool_needs_mark(r->spool) && inv_spool_mark(r->spool, &err) != 0)
        spool_failed(r, &err);
}

void records_spool_turn(struct inv_records *r)
{
    if (!r->spool)
        return;
    if (!cw_list_empty(&r->bare))
        append_all(r);
    if (!inv_spool_read_all(r->spool))
        read_back(r);
    note_settled(r);
    cw_gauge_set(r->spool_bytes, (double)inv_spool_bytes(r->spool));
    cw_gauge_set(r->spool_records, (double)(r->spooled.count + r->unread));
    records_update_full(r);
}

/* ---- life ---- */

int inv_records_start(struct inv_records *r, struct cw_err *err)
{
    const struct inv_records_conf *c = &r->conf;
    int64_t segment = c->spool_bytes / SEGMENTS;

    if (!c->data_dir || !*c->data_dir)
        return 0;
    if (segment < SEGMENT_MIN_BYTES)
        segment = SEGMENT_MIN_BYTES;
    r->spool = inv_spool_open(
        &(struct inv_spool_conf){
            .disk = c->disk ? c->disk : cw_disk_files(),
            .dir = c->data_dir,
            .name = c->spool_name,
            .segment_bytes = (size_t)(segment < SEGMENT_MAX_BYTES ? segment : SEGMENT_MAX_BYTES),
            .sync = c->sync,
        },
        err);
    if (!r->spool)
        return -1;
    r->inherited_below = inv_spool_next_seq(r->spool);
    r->unread = inv_spool_left(r->spool);
    if (r->unread)
        cw_log(CW_LOG_INFO, NULL, COMPONENT,
               "%zu records that were not stored before the last end are stored now", r->unread);
    cw_defer_post(&r->flush);
    return 0;
}

void records_spool_close(struct inv_records *r)
{
    if (r->spool) {
        cw_timer_stop(&r->spool_retry); /* now or never */
        append_all(r);
        note_settled(r);
    }
    inv_spool_close(r->spool);
    free(r->recovered);
}

struct cw_slice inv_records_recovered(struct inv_records *r, const char *activation_id)
{
    size_t n = 0;

    free(CW_STEAL(r->recovered));
    if (r->spool && strlen(activation_id) == INV_SPOOL_ID_LEN)
        r->recovered = inv_spool_find(r->spool, activation_id, &n);
    return cw_slice(r->recovered, n);
}

void inv_records_forget_recovered(struct inv_records *r)
{
    free(CW_STEAL(r->recovered));
    if (r->spool)
        inv_spool_forget(r->spool);
}
