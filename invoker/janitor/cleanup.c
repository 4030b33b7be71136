#include "invoker/janitor/cleanup.h"

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"

#define COMPONENT "DockerContainerFactory"

/* Removals at a time: an engine does many together in the time of all of them, and the first ones
 * make room for others. */
enum { AT_ONCE = 3 };

struct victim {
    struct cw_link link;
    struct inv_cleanup *c;
    struct cw_driver_call *call;
    size_t n;
    char *id;
    bool paused;
};

struct inv_cleanup {
    struct inv_cleanup_conf conf;
    char *prefix;
    struct cw_driver_call *listing;
    struct cw_list waiting; /* victims whose turn has not come */
    struct cw_list victims; /* those who are at it */
    struct cw_timer limit;
    size_t removed;
    bool done;
};

static void free_victim(struct victim *v)
{
    struct cw_driver *driver = v->c->conf.driver;

    if (v->call)
        driver->ops->cancel(driver, v->call);
    if (cw_link_on_list(&v->link))
        cw_list_remove(&v->c->victims, &v->link);
    free(v->id);
    free(v);
}

static void free_cleanup(void *obj)
{
    struct inv_cleanup *c = obj;
    struct cw_link *n;

    if (c->listing)
        c->conf.driver->ops->cancel(c->conf.driver, c->listing);
    while ((n = cw_list_pop_front(&c->waiting)))
        free_victim(CW_LIST_ENTRY(n, struct victim, link));
    while ((n = cw_list_first(&c->victims)))
        free_victim(CW_LIST_ENTRY(n, struct victim, link));
    cw_timer_done(&c->limit);
    free(c->prefix);
    free(c);
}

static void finish(struct inv_cleanup *c, const struct cw_err *err)
{
    if (c->done)
        return;
    c->done = true;
    cw_timer_stop(&c->limit);
    cw_loop_bury(c->conf.loop, c, free_cleanup);
    c->conf.fn(c->conf.arg, c->removed, err);
}

static void on_limit(void *arg)
{
    struct inv_cleanup *c = arg;
    struct cw_err err = {0};

    if (c->listing) {
        (void)cw_fail_retriable(&err, CW_TIMEOUT,
                                "left-over containers: the engine does not list them");
        finish(c, &err);
        return;
    }
    cw_log(CW_LOG_WARN, NULL, COMPONENT, "%zu left-over containers are not removed yet",
           c->victims.count + c->waiting.count);
    finish(c, NULL);
}

static void next_victims(struct inv_cleanup *c);

static void on_removed(void *arg, const struct cw_err *err)
{
    struct victim *v = arg;
    struct inv_cleanup *c = v->c;
    size_t n = v->n;

    v->call = NULL;
    if (!err)
        c->removed++;
    free_victim(v);
    if (c->conf.on_removed)
        c->conf.on_removed(c->conf.arg, n, err);
    next_victims(c);
    if (cw_list_empty(&c->victims))
        finish(c, NULL);
}

static void remove_victim(struct victim *v)
{
    v->call = v->c->conf.driver->ops->remove(v->c->conf.driver, v->id, on_removed, v);
}

static void on_thawed(void *arg, const struct cw_err *err)
{
    struct victim *v = arg;

    (void)err; /* removal tells */
    v->call = NULL;
    remove_victim(v);
}

static void next_victims(struct inv_cleanup *c)
{
    const struct cw_driver_ops *ops = c->conf.driver->ops;
    struct cw_link *n;

    while (c->victims.count < AT_ONCE && (n = cw_list_pop_front(&c->waiting))) {
        struct victim *v = CW_LIST_ENTRY(n, struct victim, link);

        cw_list_push_back(&c->victims, n);
        if (v->paused && ops->resume)
            v->call = ops->resume(c->conf.driver, v->id, on_thawed, v);
        else
            remove_victim(v);
    }
}

static void add_victim(struct inv_cleanup *c, size_t n, const struct cw_owned_container *o)
{
    struct victim *v = cw_alloc(sizeof(*v));

    v->c = c;
    v->n = n;
    v->id = cw_strdup(o->id);
    v->paused = o->paused;
    cw_list_push_back(&c->waiting, &v->link);
}

static void on_listed(void *arg, const struct cw_owned_container *list, size_t count,
                      const struct cw_err *err)
{
    struct inv_cleanup *c = arg;
    cw_auto_free size_t *rows = cw_calloc(count, sizeof(*rows));
    size_t picked = err ? 0 : c->conf.pick(c->conf.arg, list, count, rows);

    c->listing = NULL;
    for (size_t n = 0; n < picked; n++)
        add_victim(c, n, &list[rows[n]]);
    next_victims(c);
    if (!picked)
        finish(c, err);
}

struct inv_cleanup *inv_cleanup_start(const struct inv_cleanup_conf *conf)
{
    struct inv_cleanup *c = cw_alloc(sizeof(*c));

    c->conf = *conf;
    c->prefix = cw_strdup(conf->prefix);
    c->conf.prefix = c->prefix;
    cw_list_init(&c->waiting);
    cw_list_init(&c->victims);
    cw_timer_init(&c->limit, conf->loop, on_limit, c);
    cw_timer_set_ms(&c->limit, conf->limit_ms);
    c->listing = conf->driver->ops->list(conf->driver, c->prefix, on_listed, c);
    return c;
}

void inv_cleanup_cancel(struct inv_cleanup *c)
{
    if (c)
        free_cleanup(c);
}
