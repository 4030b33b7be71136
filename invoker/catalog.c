#include "invoker/catalog.h"

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/loop/loop.h"
#include "common/obs/metrics.h"
#include "common/store/docstore.h"

enum { SWEEP_MS = 30000, KEY_MAX_BYTES = 4096 };

/* A cached action, or a read of one that is under way (action NULL). Reads past the cache are in no
 * map. */
struct entry {
    struct cw_map_node node;
    struct cw_link link; /* cached: by last use, oldest first; reading: on the list of reads */
    struct inv_catalog *c;
    char *id, *key;
    bool in_map;
    bool newest;              /* asked again without revision */
    struct cw_action *action; /* a reference */
    int64_t used_us;
    struct cw_list waiters;
    struct cw_docstore_call *call;
};

struct waiter {
    struct cw_link link;
    inv_catalog_fn *fn;
    void *arg;
    struct cw_action *action; /* on the delivery list: what to hand out, a reference */
};

struct inv_catalog {
    struct inv_catalog_conf conf;
    struct cw_map map;
    struct cw_list cached, reads;
    struct cw_list deliveries; /* waiters whose action was cached */
    size_t bytes;
    struct cw_timer sweep;
    struct cw_defer deliver;
    struct cw_counter *hits, *misses;
};

static char *key_of(const char *id, const char *rev)
{
    struct cw_str key;

    cw_str_init(&key, KEY_MAX_BYTES);
    cw_str_addf(&key, "%s@%s", id, rev);
    return cw_str_steal(&key);
}

static void free_entry(struct entry *e)
{
    struct cw_link *n;

    if (e->in_map)
        cw_map_remove(&e->c->map, &e->node);
    while ((n = cw_list_pop_front(&e->waiters)))
        free(CW_LIST_ENTRY(n, struct waiter, link));
    cw_action_unref(e->action);
    free(e->id);
    free(e->key);
    free(e);
}

static void evict(struct entry *e)
{
    cw_list_remove(&e->c->cached, &e->link);
    e->c->bytes -= cw_action_bytes(e->action);
    free_entry(e);
}

static void shrink(struct inv_catalog *c, int64_t now_us)
{
    struct cw_link *n;

    while ((n = cw_list_first(&c->cached))) {
        struct entry *e = CW_LIST_ENTRY(n, struct entry, link);

        if (c->bytes <= c->conf.max_bytes && now_us - e->used_us < c->conf.keep_ms * 1000)
            break;
        evict(e);
    }
}

static void on_sweep(void *arg)
{
    struct inv_catalog *c = arg;

    shrink(c, cw_loop_mono_us(c->conf.loop));
    cw_timer_set_ms(&c->sweep, SWEEP_MS);
}

/* ---- the end of a read ---- */

static void tell_waiters(struct cw_list *waiters, struct cw_action *action,
                         const struct inv_fetch_failure *failure)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(waiters))) {
        struct waiter *w = CW_LIST_ENTRY(n, struct waiter, link);

        w->fn(w->arg, action, failure);
        free(w);
    }
}

/* Takes the entry out of all books before anybody is told: a waiter may ask again at once. */
static void detach(struct entry *e, struct cw_list *waiters)
{
    struct cw_link *n;

    cw_list_remove(&e->c->reads, &e->link);
    if (e->in_map)
        cw_map_remove(&e->c->map, &e->node);
    e->in_map = false;
    cw_list_init(waiters);
    while ((n = cw_list_pop_front(&e->waiters)))
        cw_list_push_back(waiters, n);
}

static void fail(struct entry *e, enum cw_status status, const char *text, const char *detail)
{
    struct inv_fetch_failure failure = {.status = status, .text = text, .detail = detail};
    struct cw_list waiters;

    detach(e, &waiters);
    tell_waiters(&waiters, NULL, &failure);
    free_entry(e);
}

static void fail_of_err(struct entry *e, const struct cw_err *err)
{
    if (err->code == CW_NOT_FOUND)
        fail(e, CW_STATUS_APPLICATION_ERROR, "Action could not be found or may have been deleted.",
             err->msg);
    else
        fail(e, CW_STATUS_WHISK_ERROR, "Action could not be fetched.", err->msg);
}

/* What is wrong with a document or its code. */
static void fail_of_content(struct entry *e, const struct cw_err *err)
{
    bool unreadable = err->code == CW_INVALID || err->code == CW_CONFLICT;

    fail(e, CW_STATUS_WHISK_ERROR,
         unreadable ? "Action version is not compatible and cannot be invoked."
                    : "Action could not be fetched.",
         err->msg);
}

static void keep(struct entry *e)
{
    struct inv_catalog *c = e->c;

    free(e->key);
    e->key = key_of(e->id, e->action->rev);
    if (cw_map_get(&c->map, cw_slice_of(e->key))) { /* read twice under different keys */
        free_entry(e);
        return;
    }
    e->used_us = cw_loop_mono_us(c->conf.loop);
    e->in_map = true;
    cw_map_put(&c->map, &e->node, cw_slice_of(e->key));
    cw_list_push_back(&c->cached, &e->link);
    c->bytes += cw_action_bytes(e->action);
    shrink(c, e->used_us);
}

static void succeed(struct entry *e)
{
    struct cw_action *action = cw_action_ref(e->action);
    struct cw_list waiters;

    detach(e, &waiters);
    keep(e);
    tell_waiters(&waiters, action, NULL);
    cw_action_unref(action);
}

/* ---- reading ---- */

static void on_attachment(void *arg, struct cw_slice body, const struct cw_err *err)
{
    struct entry *e = arg;
    struct cw_err bad = {0};

    e->call = NULL;
    if (err)
        fail_of_err(e, err);
    else if (cw_action_set_code(e->action, body, &bad) != 0)
        fail_of_content(e, &bad);
    else
        succeed(e);
}

static void on_document(void *arg, struct cw_slice body, const struct cw_err *err)
{
    struct entry *e = arg;
    struct inv_catalog *c = e->c;
    struct cw_err bad = {0};

    e->call = NULL;
    if (err && err->code == CW_CONFLICT &&
        !e->newest) { /* a server that minds If-Match: the newest will do */
        e->newest = true;
        e->call = c->conf.store->ops->get(c->conf.store, c->conf.db, e->id, NULL, on_document, e);
        return;
    }
    if (err) {
        fail_of_err(e, err);
        return;
    }
    e->action = cw_action_decode(body, c->conf.manifest, &c->conf.defaults, &bad);
    if (!e->action) {
        fail_of_content(e, &bad);
    } else if (!e->action->rev) {
        fail(e, CW_STATUS_WHISK_ERROR, "Action could not be fetched.", "the document has no _rev");
    } else if (strcmp(e->action->kind, "sequence") == 0) {
        fail(e, CW_STATUS_WHISK_ERROR, "Action could not be fetched.",
             "a sequence is run by the controller only");
    } else if (e->action->code_place == CW_CODE_ATTACHED) {
        e->call = c->conf.store->ops->get_attachment(c->conf.store, c->conf.db, e->id,
                                                     e->action->rev, e->action->attachment,
                                                     c->conf.max_code_bytes, on_attachment, e);
    } else {
        succeed(e);
    }
}

static struct entry *read_entry(struct inv_catalog *c, const char *id, const char *rev)
{
    struct entry *e = cw_alloc(sizeof(*e));

    e->c = c;
    e->id = cw_strdup(id);
    cw_list_init(&e->waiters);
    cw_list_push_back(&c->reads, &e->link);
    if (rev) {
        e->key = key_of(id, rev);
        e->in_map = true;
        cw_map_put(&c->map, &e->node, cw_slice_of(e->key));
    }
    e->call = c->conf.store->ops->get(c->conf.store, c->conf.db, id, rev, on_document, e);
    return e;
}

static void on_deliver(void *arg)
{
    struct inv_catalog *c = arg;
    struct cw_link *n;

    for (size_t count = c->deliveries.count; count > 0; count--) {
        struct waiter *w;

        n = cw_list_pop_front(&c->deliveries);
        w = CW_LIST_ENTRY(n, struct waiter, link);
        w->fn(w->arg, w->action, NULL);
        cw_action_unref(w->action);
        free(w);
    }
    if (!cw_list_empty(&c->deliveries))
        cw_defer_post(&c->deliver);
}

void inv_catalog_get(struct inv_catalog *c, const char *id, const char *rev, inv_catalog_fn *fn,
                     void *arg)
{
    struct waiter *w = cw_alloc(sizeof(*w));
    struct entry *e = NULL;

    w->fn = fn;
    w->arg = arg;
    if (rev) {
        cw_auto_free char *key = key_of(id, rev);
        struct cw_map_node *node = cw_map_get(&c->map, cw_slice_of(key));

        e = node ? CW_CONTAINER_OF(node, struct entry, node) : NULL;
    }
    if (e && !cw_link_on_list(&e->link))
        abort();
    if (e && e->action && !e->call) { /* cached */
        cw_counter_add(c->hits, 1);
        e->used_us = cw_loop_mono_us(c->conf.loop);
        cw_list_remove(&c->cached, &e->link);
        cw_list_push_back(&c->cached, &e->link);
        w->action = cw_action_ref(e->action);
        cw_list_push_back(&c->deliveries, &w->link);
        cw_defer_post(&c->deliver);
        return;
    }
    if (!e) {
        cw_counter_add(c->misses, 1);
        e = read_entry(c, id, rev);
    }
    cw_list_push_back(&e->waiters, &w->link);
}

static bool abandon_in(struct cw_list *waiters, inv_catalog_fn *fn, void *arg)
{
    CW_LIST_EACH (waiters, n) {
        struct waiter *w = CW_LIST_ENTRY(n, struct waiter, link);

        if (w->fn == fn && w->arg == arg) {
            cw_list_remove(waiters, n);
            cw_action_unref(w->action);
            free(w);
            return true;
        }
    }
    return false;
}

void inv_catalog_abandon(struct inv_catalog *c, inv_catalog_fn *fn, void *arg)
{
    if (abandon_in(&c->deliveries, fn, arg))
        return;
    CW_LIST_EACH (&c->reads, n) {
        if (abandon_in(&CW_LIST_ENTRY(n, struct entry, link)->waiters, fn, arg))
            return;
    }
}

/* ---- life ---- */

struct inv_catalog *inv_catalog_new(const struct inv_catalog_conf *conf)
{
    struct inv_catalog *c = cw_alloc(sizeof(*c));

    c->conf = *conf;
    cw_map_init(&c->map);
    cw_list_init(&c->cached);
    cw_list_init(&c->reads);
    cw_list_init(&c->deliveries);
    cw_timer_init(&c->sweep, conf->loop, on_sweep, c);
    cw_timer_set_ms(&c->sweep, SWEEP_MS);
    cw_defer_init(&c->deliver, conf->loop, on_deliver, c);
    c->hits = cw_metrics_counter(conf->metrics, "counter_database_cacheHit_counter_total", NULL,
                                 "Actions found in the cache.");
    c->misses = cw_metrics_counter(conf->metrics, "counter_database_cacheMiss_counter_total", NULL,
                                   "Actions that had to be read.");
    return c;
}

void inv_catalog_free(struct inv_catalog *c)
{
    struct cw_link *n;

    if (!c)
        return;
    while ((n = cw_list_pop_front(&c->reads))) {
        struct entry *e = CW_LIST_ENTRY(n, struct entry, link);

        if (e->call)
            c->conf.store->ops->cancel(c->conf.store, e->call);
        free_entry(e);
    }
    while ((n = cw_list_first(&c->cached)))
        evict(CW_LIST_ENTRY(n, struct entry, link));
    while ((n = cw_list_pop_front(&c->deliveries))) {
        struct waiter *w = CW_LIST_ENTRY(n, struct waiter, link);

        cw_action_unref(w->action);
        free(w);
    }
    cw_timer_done(&c->sweep);
    cw_defer_cancel(&c->deliver);
    cw_map_done(&c->map);
    free(c);
}

size_t inv_catalog_bytes(const struct inv_catalog *c)
{
    return c->bytes;
}
