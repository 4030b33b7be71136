/* invoker/cleanup.h -- removes what an earlier process of the same invoker left on the engine.
 *
 * Touches only containers whose name is exactly <prefix><number>_…, the prefix being ours
 * (openwhisk container.md 6, 7), and that are not labelled as another cluster's. Frozen ones are
 * thawed first: an engine can hang on removing them. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cw_driver;
struct cw_err;
struct cw_loop;
struct cw_owned_container;
struct inv_cleanup;

/* removed: how many are gone; err: the list could not be had. Containers that resist are logged and
 * left. */
typedef void inv_cleanup_fn(void *arg, size_t removed, const struct cw_err *err);

/* prefix: "wsk<unique name><id>_"; cluster: cwhisk.cluster; both copied. fn is called once, after
 * limit_ms at the latest. The object frees itself then. */
struct inv_cleanup *inv_cleanup_start(struct cw_loop *loop, struct cw_driver *driver,
                                      const char *prefix, const char *cluster, int64_t limit_ms,
                                      inv_cleanup_fn *fn, void *arg);
/* Both may be NULL. */
struct inv_cleanup_look {
    /* What the engine has under this prefix. */
    void (*on_list)(void *arg, const struct cw_owned_container *list, size_t count);
    /* Is this one in use? */
    bool (*keep)(void *arg, const struct cw_owned_container *c);
};
/* The same, later on: with a look at the list, and except what is in use. */
struct inv_cleanup *inv_cleanup_sweep(struct cw_loop *loop, struct cw_driver *driver,
                                      const char *prefix, const char *cluster, int64_t limit_ms,
                                      const struct inv_cleanup_look *look, inv_cleanup_fn *fn,
                                      void *arg);
/* fn will not be called. Accepts NULL. */
void inv_cleanup_cancel(struct inv_cleanup *c);
