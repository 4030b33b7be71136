#include "invoker/records.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/json/raw.h"
#include "common/json/writer.h"
#include "common/loop/loop.h"
#include "common/model/activation_message.h"
#include "common/model/activation_record.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/store/docstore.h"
#include "invoker/job.h"
#include "invoker/settings.h"
#include "invoker/telemetry.h"

#define COMPONENT "ActivationStore"

enum {
    BATCH_MAX_DOCS = 500,
    BATCH_MAX_BYTES = 8 << 20,
    BATCHES_IN_FLIGHT =
        4, /* fewer than stock's 64: more documents in each request, less work for both sides */
    DOC_MAX_BYTES = 768 << 20,
    TRIES_PER_SIZE = 4, /* failed tries before a batch is halved */
    TRIES_AT_HEAD = 40, /* failed tries before a document lets others pass */
    TRIES_ALONE = 10,   /* of a document by itself, while as many batches of others went well */
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 5000,
};

enum degree { DOC_WHOLE, DOC_WITHOUT_LOGS, DOC_WITHOUT_RESULT };

struct doc {
    struct cw_link link;
    char *text;
    size_t size;
    size_t batch_cap; /* halved each time that a batch with it was refused */
    enum degree degree;
    uint64_t number; /* in the order of adding */
    int64_t since_us, ticket;
    unsigned tries; /* that failed with their batch; one of them may have stored it all the same */
    unsigned alone; /* of these, those in which it was the whole batch */
    uint64_t answered_before; /* batches answered before the first of these */
    char id[CW_ACTIVATION_ID_LEN + 1];
};

struct batch {
    struct cw_link link;
    struct inv_records *r;
    struct cw_docstore_call *call;
    struct cw_list docs;
};

struct inv_records {
    struct inv_records_conf conf;
    struct cw_list queue, batches;
    size_t bytes, pending;
    bool full;
    int64_t retry_ms;
    uint64_t answered; /* batches */
    uint64_t added;
    struct cw_timer retry;
    struct cw_defer flush;
    int64_t *safe; /* tickets that on_safe is to hear of */
    size_t safe_count, safe_room;
    struct cw_counter *stored, *skipped, *conflicts, *degraded, *refused, *retries;
    struct cw_histogram *store_s;
};

static void free_doc(struct doc *d)
{
    free(d->text);
    free(d);
}

static void update_full(struct inv_records *r)
{
    bool full = r->full ? r->bytes > r->conf.max_bytes / 2 : r->bytes > r->conf.max_bytes;

    if (full == r->full)
        return;
    r->full = full;
    cw_log(full ? CW_LOG_WARN : CW_LOG_INFO, NULL, COMPONENT, "%zu records wait for the store%s",
           r->pending, full ? ": no further activations are taken until it answers" : "");
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

static void tell_safe(struct inv_records *r)
{
    size_t count = r->safe_count;

    for (size_t i = 0; i < count; i++) /* by index: what is called may add */
        r->conf.on_safe(r->conf.arg, r->safe[i]);
    r->safe_count -= count;
    memmove(r->safe, r->safe + count, r->safe_count * sizeof(*r->safe));
}

static void settle_doc(struct inv_records *r, struct doc *d)
{
    note_safe(r, d->ticket);
    r->bytes -= d->size;
    r->pending--;
    free_doc(d);
}

/* ---- documents that are refused ---- */

static void write_response_notice(struct cw_json_writer *w, struct cw_slice response)
{
    struct cw_raw_iter it = cw_raw_iter(response);
    struct cw_slice key, value;

    cw_json_object(w);
    while (cw_raw_next_member(&it, &key, &value)) {
        if (cw_raw_string_is(key, "result"))
            cw_json_kv_raw(
                w, "result",
                CW_SLICE("{\"error\":\"The result was refused by the activation store.\"}"));
        else if (cw_raw_string_is(key, "statusCode"))
            cw_json_kv_raw(w, "statusCode", value);
        else if (cw_raw_string_is(key, "size"))
            cw_json_kv_raw(w, "size", value);
    }
    cw_json_object_end(w);
}

/* The same document with less in it. */
static void degrade(struct inv_records *r, struct doc *d)
{
    struct cw_raw_iter it = cw_raw_iter(cw_slice(d->text, d->size));
    struct cw_slice key, value;
    struct cw_json_writer w;
    struct cw_str out;

    d->degree++;
    d->alone = 0;
    cw_str_init(&out, DOC_MAX_BYTES);
    cw_json_begin(&w, &out);
    cw_json_object(&w);
    while (cw_raw_next_member(&it, &key, &value)) {
        cw_auto_free char *name = cw_memdup(key.p + 1, key.n - 2); /* our own keys: no escapes */

        if (strcmp(name, "logs") == 0)
            value = CW_SLICE("[\"The logs were refused by the activation store.\"]");
        cw_json_key(&w, name);
        if (d->degree == DOC_WITHOUT_RESULT && strcmp(name, "response") == 0)
            write_response_notice(&w, value);
        else
            cw_json_raw(&w, value);
    }
    cw_json_object_end(&w);
    r->bytes -= d->size;
    free(d->text);
    d->size = out.n;
    d->text = cw_str_steal(&out);
    r->bytes += d->size;
    cw_counter_add(r->degraded, 1);
}

/* A single document was refused. */
static void refuse(struct inv_records *r, struct doc *d, const char *why)
{
    if (d->degree == DOC_WITHOUT_RESULT) {
        cw_log(CW_LOG_ERROR, NULL, COMPONENT,
               "record of activation %s is refused in every form: %s", d->id, why);
        cw_counter_add(r->refused, 1);
        settle_doc(r, d);
        return;
    }
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "record of activation %s is refused, stored without its %s: %s", d->id,
           d->degree == DOC_WHOLE ? "logs" : "logs and result", why);
    degrade(r, d);
    d->batch_cap = 1;
    cw_list_push_front(&r->queue, &d->link);
}

/* ---- batches ---- */

/* Batches fail in any order; their documents keep theirs. */
static struct cw_link *place_in_queue(struct inv_records *r, const struct doc *d)
{
    struct cw_link *at = r->queue.head.next;

    while (at != &r->queue.head && CW_LIST_ENTRY(at, struct doc, link)->number < d->number)
        at = at->next;
    return at;
}

static void requeue(struct inv_records *r, struct batch *b, size_t batch_cap)
{
    size_t half = b->docs.count > 1 ? b->docs.count / 2 : 1;
    struct cw_link *at = NULL, *n;

    while ((n = cw_list_pop_front(&b->docs))) {
        struct doc *d = CW_LIST_ENTRY(n, struct doc, link);

        if (!at)
            at = place_in_queue(r, d);
        if (batch_cap)
            d->batch_cap = batch_cap;
        else if (++d->tries % TRIES_PER_SIZE == 0 && d->batch_cap > half)
            d->batch_cap = half; /* perhaps one of them is the reason */
        if (d->tries >= TRIES_AT_HEAD && d->batch_cap == 1)
            cw_list_push_back(&r->queue, n);
        else
            cw_list_insert_before(&r->queue, at, n);
    }
}

/* Is it this document that makes its batches fail? A server or a proxy may cut the connection over
 * a request that is too large for it instead of saying so. */
static bool is_the_reason(const struct inv_records *r, const struct batch *b)
{
    struct doc *d;

    if (b->docs.count != 1)
        return false;
    d = CW_LIST_ENTRY(cw_list_first(&b->docs), struct doc, link);
    if (d->alone++ == 0)
        d->answered_before = r->answered;
    return d->alone >= TRIES_ALONE && r->answered - d->answered_before >= TRIES_ALONE;
}

static void batch_failed(struct inv_records *r, struct batch *b, const struct cw_err *err)
{
    bool again = err->retriable || err->code == CW_NOT_FOUND; /* it may be created yet */

    if (again && !is_the_reason(r, b)) {
        requeue(r, b, 0);
        cw_counter_add(r->retries, 1);
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "%zu records wait, store tried again in %lld ms: %s",
               r->pending, (long long)r->retry_ms, err->msg);
        cw_timer_set_ms(&r->retry, r->retry_ms);
        r->retry_ms = r->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : r->retry_ms * 2;
    } else if (b->docs.count == 1) {
        refuse(r, CW_LIST_ENTRY(cw_list_pop_front(&b->docs), struct doc, link), err->msg);
    } else {
        requeue(r, b, b->docs.count / 2);
    }
}

static void batch_answered(struct inv_records *r, struct batch *b,
                           const struct cw_docstore_put_result *results)
{
    struct cw_link *n;

    r->retry_ms = r->conf.retry_ms;
    r->answered++;
    for (size_t i = 0; (n = cw_list_pop_front(&b->docs)); i++) {
        struct doc *d = CW_LIST_ENTRY(n, struct doc, link);

        if (results[i].code == CW_PUT_REFUSED) {
            refuse(r, d, results[i].reason);
            continue;
        }
        if (results[i].code == CW_PUT_CONFLICT && d->tries == 0) {
            cw_counter_add(r->conflicts, 1);
            cw_log(CW_LOG_ERROR, NULL, COMPONENT, "a record of activation %s exists already",
                   d->id);
        } else {
            cw_counter_add(r->stored, 1);
            cw_histogram_observe(r->store_s,
                                 (double)(cw_loop_mono_us(r->conf.loop) - d->since_us) / 1e6);
        }
        settle_doc(r, d);
    }
}

static void on_stored(void *arg, const struct cw_docstore_put_result *results, size_t count,
                      const struct cw_err *err)
{
    struct batch *b = arg;
    struct inv_records *r = b->r;

    (void)count;
    cw_list_remove(&r->batches, &b->link);
    if (err)
        batch_failed(r, b, err);
    else
        batch_answered(r, b, results);
    free(b);
    update_full(r);
    cw_defer_post(&r->flush);
}

static void send_batch(struct inv_records *r)
{
    struct cw_slice docs[BATCH_MAX_DOCS];
    struct batch *b = cw_alloc(sizeof(*b));
    size_t cap = BATCH_MAX_DOCS, bytes = 0;
    struct cw_link *n;

    b->r = r;
    cw_list_init(&b->docs);
    while ((n = cw_list_first(&r->queue))) {
        struct doc *d = CW_LIST_ENTRY(n, struct doc, link);

        if (d->batch_cap < cap)
            cap = d->batch_cap;
        if (b->docs.count >= cap || (b->docs.count && bytes + d->size > BATCH_MAX_BYTES))
            break;
        docs[b->docs.count] = cw_slice(d->text, d->size);
        bytes += d->size;
        cw_list_remove(&r->queue, n);
        cw_list_push_back(&b->docs, n);
    }
    cw_list_push_back(&r->batches, &b->link);
    b->call =
        r->conf.store->ops->bulk_put(r->conf.store, r->conf.db, docs, b->docs.count, on_stored, b);
}

static void flush(void *arg)
{
    struct inv_records *r = arg;

    if (r->safe_count)
        tell_safe(r);
    while (!cw_list_empty(&r->queue) && r->batches.count < BATCHES_IN_FLIGHT &&
           !cw_timer_pending(&r->retry))
        send_batch(r);
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
    d->number = r->added++;
    cw_list_push_back(&r->queue, &d->link);
    r->bytes += d->size;
    r->pending++;
    update_full(r);
    cw_defer_post(&r->flush);
}

/* ---- life ---- */

struct inv_records *inv_records_new(const struct inv_records_conf *conf)
{
    struct inv_records *r = cw_alloc(sizeof(*r));
    struct cw_metrics *m = conf->metrics;

    r->conf = *conf;
    if (!r->conf.retry_ms)
        r->conf.retry_ms = RETRY_MIN_MS;
    r->retry_ms = r->conf.retry_ms;
    cw_list_init(&r->queue);
    cw_list_init(&r->batches);
    cw_timer_init(&r->retry, conf->loop, flush, r);
    cw_defer_init(&r->flush, conf->loop, flush, r);
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
    return r;
}

void inv_records_free(struct inv_records *r)
{
    struct cw_link *n;

    if (!r)
        return;
    while ((n = cw_list_pop_front(&r->batches))) {
        struct batch *b = CW_LIST_ENTRY(n, struct batch, link);

        r->conf.store->ops->cancel(r->conf.store, b->call);
        requeue(r, b, 0);
        free(b);
    }
    while ((n = cw_list_pop_front(&r->queue)))
        free_doc(CW_LIST_ENTRY(n, struct doc, link));
    cw_timer_done(&r->retry);
    cw_defer_cancel(&r->flush);
    free(r->safe);
    free(r);
}

size_t inv_records_pending(const struct inv_records *r)
{
    return r->pending;
}
