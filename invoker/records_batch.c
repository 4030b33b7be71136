/* The way to the store: batches, and finding the document that makes one fail. */
#include "common/base/err.h"
#include "common/json/raw.h"
#include "common/json/writer.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/store/docstore.h"
#include "invoker/records_priv.h"

enum {
    BATCH_MAX_BYTES = 8 << 20,
    BATCHES_IN_FLIGHT =
        4, /* fewer than stock's 64: more documents in each request, less work for both sides */
    TRIES_PER_SIZE = 4, /* failed tries before a batch is halved */
    TRIES_AT_HEAD = 40, /* failed tries before a document lets others pass */
    TRIES_ALONE = 10,   /* of a document by itself, while as many batches of others went well */
    RETRY_MAX_MS = 5000,
};

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
        records_drop(r, d);
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
    /* The database may be created yet, and a conflict of a whole batch says nothing of any. */
    bool again = err->retriable || err->code == CW_NOT_FOUND || err->code == CW_CONFLICT;

    if (again && !is_the_reason(r, b)) {
        r->answers = false;
        requeue(r, b, 0);
        cw_counter_add(r->retries, 1);
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "%zu records wait, store tried again in %lld ms: %s",
               inv_records_pending(r), (long long)r->retry_ms, err->msg);
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
    r->answers = true;
    r->answered++;
    for (size_t i = 0; (n = cw_list_pop_front(&b->docs)); i++) {
        struct doc *d = CW_LIST_ENTRY(n, struct doc, link);

        if (results[i].code == CW_PUT_REFUSED) {
            refuse(r, d, results[i].reason);
            continue;
        }
        if (results[i].code == CW_PUT_CONFLICT && d->tries == 0 && !d->inherited) {
            cw_counter_add(r->conflicts, 1);
            cw_log(CW_LOG_ERROR, NULL, COMPONENT, "a record of activation %s exists already",
                   d->id);
        } else {
            cw_counter_add(r->stored, 1);
            cw_histogram_observe(r->store_s,
                                 (double)(cw_loop_mono_us(r->conf.loop) - d->since_us) / 1e6);
        }
        records_drop(r, d);
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
    records_update_full(r);
    cw_defer_post(&r->flush);
}

static void send_batch(struct inv_records *r)
{
    struct cw_slice docs[BATCH_MAX_DOCS];
    struct batch *b = cw_alloc(sizeof(*b));
    size_t cap = BATCH_MAX_DOCS, bytes = 0;
    struct cw_link *n;

    b->r = r;
    b->sent_us = cw_loop_mono_us(r->conf.loop);
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

void records_send(struct inv_records *r)
{
    while (!cw_list_empty(&r->queue) && r->batches.count < BATCHES_IN_FLIGHT &&
           !cw_timer_pending(&r->retry))
        send_batch(r);
}

void records_take_back(struct inv_records *r)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&r->batches))) {
        struct batch *b = CW_LIST_ENTRY(n, struct batch, link);

        r->conf.store->ops->cancel(r->conf.store, b->call);
        requeue(r, b, 0);
        free(b);
    }
}
