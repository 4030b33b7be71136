/* invoker/janitor/cleanup.h -- lists what is on the engine, has it judged, and removes what was
 * picked.
 *
 * Frozen containers are thawed first: an engine can hang on removing them. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cw_driver;
struct cw_err;
struct cw_loop;
struct cw_owned_container;
struct inv_cleanup;

/* removed: how many are gone; err: the list could not be had. */
typedef void inv_cleanup_fn(void *arg, size_t removed, const struct cw_err *err);

struct inv_cleanup_conf {
    struct cw_loop *loop;
    struct cw_driver *driver;
    const char *prefix; /* only names that begin so are listed */
    int64_t limit_ms;   /* it ends after this, whatever is left */
    /* Fills rows (of the list, room for count) with those to remove, in order; returns how many. */
    size_t (*pick)(void *arg, const struct cw_owned_container *list, size_t count, size_t *rows);
    /* The n-th that was picked, from 0, is gone; or not, err says why. May be NULL. */
    void (*on_removed)(void *arg, size_t n, const struct cw_err *err);
    inv_cleanup_fn *fn;
    void *arg;
};

/* conf is copied; its prefix, too. fn is called once, after limit_ms at the latest, and then no
 * callback any more. The object frees itself then. Callbacks never run inside this call. */
struct inv_cleanup *inv_cleanup_start(const struct inv_cleanup_conf *conf);
/* No callback any more; removals under way are the engine's business. Accepts NULL. */
void inv_cleanup_cancel(struct inv_cleanup *c);
