#include "invoker/cleanup.h"

#include <ctype.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/list.h"
#include "common/driver/container_driver.h"
#include "common/loop/loop.h"
#include "common/obs/log.h"

#define COMPONENT "DockerContainerFactory"

struct victim {
    struct cw_link link;
    struct inv_cleanup *c;
    struct cw_driver_call *call;
    char *id, *name;
};

struct inv_cleanup {
    struct cw_loop *loop;
    struct cw_driver *driver;
    char *prefix, *cluster;
    struct inv_cleanup_look look;
    inv_cleanup_fn *fn;
    void *arg;
    struct cw_driver_call *listing;
    struct cw_list victims;
    struct cw_timer limit;
    size_t removed;
    bool done;
};

static void free_victim(struct victim *v)
{
    if (v->call)
        v->c->driver->ops->cancel(v->c->driver, v->call);
    cw_list_remove(&v->c->victims, &v->link);
    free(v->id);
    free(v->name);
    free(v);
}

static void free_cleanup(void *obj)
{
    struct inv_cleanup *c = obj;
    struct cw_link *n;

    if (c->listing)
        c->driver->ops->cancel(c->driver, c->listing);
    while ((n = cw_list_first(&c->victims)))
        free_victim(CW_LIST_ENTRY(n, struct victim, link));
    cw_timer_done(&c->limit);
    free(c->prefix);
    free(c->cluster);
    free(c);
}

static void finish(struct inv_cleanup *c, const struct cw_err *err)
{
    if (c->done)
        return;
    c->done = true;
    c->fn(c->arg, c->removed, err);
    cw_timer_stop(&c->limit);
    cw_loop_bury(c->loop, c, free_cleanup);
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
           c->victims.count);
    finish(c, NULL);
}

static void on_removed(void *arg, const struct cw_err *err)
{
    struct victim *v = arg;
    struct inv_cleanup *c = v->c;

    v->call = NULL;
    if (err)
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "left-over container %s could not be removed: %s",
               v->name, err->msg);
    else
        c->removed++;
    free_victim(v);
    if (cw_list_empty(&c->victims))
        finish(c, NULL);
}

static void remove_victim(struct victim *v)
{
    v->call = v->c->driver->ops->remove(v->c->driver, v->id, on_removed, v);
}

static void on_thawed(void *arg, const struct cw_err *err)
{
    struct victim *v = arg;

    (void)err; /* removal tells */
    v->call = NULL;
    remove_victim(v);
}

/* <prefix><digits>_ : "wsk01_" must not match "wsk01_x" of somebody who named his container so. */
static bool is_our_name(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    const char *p = name + n;

    if (strncmp(name, prefix, n) != 0 || !isdigit((unsigned char)*p))
        return false;
    while (isdigit((unsigned char)*p))
        p++;
    return *p == '_';
}

/* One without the label is a stock invoker's, which we take the place of. */
static bool is_ours(const struct inv_cleanup *c, const struct cw_owned_container *o)
{
    return is_our_name(o->name, c->prefix) && (!o->cluster || strcmp(o->cluster, c->cluster) == 0);
}

static void add_victim(struct inv_cleanup *c, const struct cw_owned_container *o)
{
    struct victim *v = cw_alloc(sizeof(*v));

    v->c = c;
    v->id = cw_strdup(o->id);
    v->name = cw_strdup(o->name);
    cw_list_push_back(&c->victims, &v->link);
    if (o->paused && c->driver->ops->resume)
        v->call = c->driver->ops->resume(c->driver, v->id, on_thawed, v);
    else
        remove_victim(v);
}

static void on_listed(void *arg, const struct cw_owned_container *list, size_t count,
                      const struct cw_err *err)
{
    struct inv_cleanup *c = arg;

    c->listing = NULL;
    if (!err && c->look.on_list)
        c->look.on_list(c->arg, list, count);
    for (size_t i = 0; !err && i < count; i++)
        if (is_ours(c, &list[i]) && !(c->look.keep && c->look.keep(c->arg, &list[i])))
            add_victim(c, &list[i]);
    if (c->victims.count)
        cw_log(CW_LOG_INFO, NULL, COMPONENT, "removing %zu left-over containers", c->victims.count);
    else
        finish(c, err);
}

struct inv_cleanup *inv_cleanup_start(struct cw_loop *loop, struct cw_driver *driver,
                                      const char *prefix, const char *cluster, int64_t limit_ms,
                                      inv_cleanup_fn *fn, void *arg)
{
    return inv_cleanup_sweep(loop, driver, prefix, cluster, limit_ms, &(struct inv_cleanup_look){0},
                             fn, arg);
}

struct inv_cleanup *inv_cleanup_sweep(struct cw_loop *loop, struct cw_driver *driver,
                                      const char *prefix, const char *cluster, int64_t limit_ms,
                                      const struct inv_cleanup_look *look, inv_cleanup_fn *fn,
                                      void *arg)
{
    struct inv_cleanup *c = cw_alloc(sizeof(*c));

    c->loop = loop;
    c->driver = driver;
    c->prefix = cw_strdup(prefix);
    c->cluster = cw_strdup(cluster);
    c->look = *look;
    c->fn = fn;
    c->arg = arg;
    cw_list_init(&c->victims);
    cw_timer_init(&c->limit, loop, on_limit, c);
    cw_timer_set_ms(&c->limit, limit_ms);
    c->listing = driver->ops->list(driver, prefix, on_listed, c);
    return c;
}

void inv_cleanup_cancel(struct inv_cleanup *c)
{
    if (c)
        free_cleanup(c);
}
