/* A poll builds a whole new list and puts it in the place of the old one when all of the answer was
 * understood: half a list would let somebody in who is blocked. */
#include "invoker/blacklist.h"

#include <inttypes.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/json/raw.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "common/store/docstore.h"

#define COMPONENT "NamespaceBlacklist"

enum { RETRY_MS = 30000, FIRST_MS = 5000 };

struct list {
    struct cw_map map;
    struct cw_arena arena; /* nodes and names */
};

struct inv_blacklist {
    struct inv_blacklist_conf conf;
    struct list *list;
    struct cw_timer poll, first;
    struct cw_docstore_call *call;
    bool told_first;
    struct cw_gauge *blocked;
    struct cw_counter *failed;
};

static struct list *list_new(void)
{
    struct list *l = cw_alloc(sizeof(*l));

    cw_map_init(&l->map);
    cw_arena_init(&l->arena);
    return l;
}

static void list_free(struct list *l)
{
    if (!l)
        return;
    cw_map_done(&l->map);
    cw_arena_done(&l->arena);
    free(l);
}

static void list_add(struct list *l, struct cw_slice quoted)
{
    struct cw_map_node *node;
    struct cw_slice name;

    name.p = cw_raw_string(quoted, &l->arena, &name.n);
    if (cw_map_get(&l->map, name)) /* blocked for more than one reason */
        return;
    node = cw_arena_alloc(&l->arena, sizeof(*node));
    cw_map_put(&l->map, node, name);
}

/* {"total_rows":…,"offset":…,"rows":[{"id":…,"key":"<namespace>","value":1}]} */
static int list_fill(struct list *l, struct cw_slice answer, struct cw_err *err)
{
    struct cw_slice root, rows, row, key;
    struct cw_raw_iter it;

    if (cw_raw_check(answer, CW_RAW_MAX_DEPTH, &root, err))
        return -1;
    if (!cw_raw_get(root, "rows", &rows) || cw_raw_type(rows) != CW_RAW_ARRAY)
        return cw_fail(err, CW_INTERNAL, "rows: expected array");
    it = cw_raw_iter(rows);
    for (size_t i = 0; cw_raw_next_element(&it, &row); i++) {
        if (!cw_raw_get(row, "key", &key) || cw_raw_type(key) != CW_RAW_STRING)
            return cw_fail(err, CW_INTERNAL, "rows[%zu].key: expected string", i);
        list_add(l, key);
    }
    return 0;
}

static void schedule(struct inv_blacklist *b, bool failed)
{
    int64_t retry_ms = b->conf.retry_ms ? b->conf.retry_ms : RETRY_MS;
    int64_t delay_ms = failed && retry_ms < b->conf.poll_ms ? retry_ms : b->conf.poll_ms;

    if (delay_ms != INT64_MAX)
        cw_timer_set_ms(&b->poll, delay_ms);
}

static int take_answer(struct inv_blacklist *b, struct cw_slice body, struct cw_err *err)
{
    struct list *l = list_new();

    if (list_fill(l, body, err) != 0) {
        list_free(l);
        return cw_err_wrap(err, "view blockedNamespaces");
    }
    list_free(b->list);
    b->list = l;
    cw_gauge_set(b->blocked, (double)l->map.count);
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "updated blacklist to %zu entries", l->map.count);
    return 0;
}

static void tell_first(void *arg)
{
    struct inv_blacklist *b = arg;

    cw_timer_stop(&b->first);
    if (b->told_first)
        return;
    b->told_first = true;
    if (b->conf.on_first)
        b->conf.on_first(b->conf.arg);
}

static void on_view(void *arg, struct cw_slice body, const struct cw_err *err)
{
    struct inv_blacklist *b = arg;
    struct cw_err bad = {0};

    b->call = NULL;
    if (err)
        bad = *err;
    else
        (void)take_answer(b, body, &bad);
    if (bad.code != CW_OK) {
        cw_counter_add(b->failed, 1);
        cw_log(CW_LOG_ERROR, NULL, COMPONENT,
               "error on updating the blacklist, it stays at %zu entries: %s", b->list->map.count,
               bad.msg);
    }
    schedule(b, bad.code != CW_OK);
    tell_first(b);
}

static void poll_now(void *arg)
{
    struct inv_blacklist *b = arg;
    const struct cw_view_query query = {
        .design = "namespaceThrottlings",
        .view = "blockedNamespaces",
        .descending = true,
        .stale_ok = true,
    };

    b->call = b->conf.store->ops->view(b->conf.store, b->conf.db, &query, on_view, b);
}

struct inv_blacklist *inv_blacklist_new(const struct inv_blacklist_conf *conf)
{
    struct inv_blacklist *b = cw_alloc(sizeof(*b));
    bool used = conf->db && *conf->db;

    b->conf = *conf;
    b->list = list_new();
    b->blocked = cw_metrics_gauge(conf->metrics, "cwhisk_blacklist_namespaces", NULL,
                                  "Namespaces whose activations are refused.");
    b->failed = cw_metrics_counter(conf->metrics, "cwhisk_blacklist_failures_total", NULL,
                                   "Times that the blacklist could not be read.");
    cw_timer_init(&b->poll, conf->loop, poll_now, b);
    cw_timer_init(&b->first, conf->loop, tell_first, b);
    cw_timer_set_ms(&b->first, !used ? 0 : conf->first_ms ? conf->first_ms : FIRST_MS);
    if (used)
        poll_now(b);
    else
        cw_log(CW_LOG_WARN, NULL, COMPONENT,
               "whisk.couchdb.databases.WhiskAuth is not set: no namespace is ever blocked here");
    return b;
}

void inv_blacklist_free(struct inv_blacklist *b)
{
    if (!b)
        return;
    if (b->call)
        b->conf.store->ops->cancel(b->conf.store, b->call);
    cw_timer_done(&b->poll);
    cw_timer_done(&b->first);
    list_free(b->list);
    free(b);
}

bool inv_blacklist_has(const struct inv_blacklist *b, const char *namespace_name)
{
    return cw_map_get(&b->list->map, cw_slice_of(namespace_name)) != NULL;
}

size_t inv_blacklist_count(const struct inv_blacklist *b)
{
    return b->list->map.count;
}
