/* invoker/blacklist.h -- namespaces whose activations are refused (openwhisk couchdb.md 7.1).
 *
 * Read from the view namespaceThrottlings/blockedNamespaces of the subjects database at once and
 * then each poll interval. A poll that fails leaves the list as it was and is repeated sooner than
 * the interval. The list is as long as one answer of the store can be. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_docstore;
struct cw_loop;
struct cw_metrics;
struct inv_blacklist;

struct inv_blacklist_conf {
    struct cw_loop *loop;
    struct cw_docstore *store;
    struct cw_metrics *metrics;
    const char *db;   /* subjects; NULL or "": nothing is blocked, said once */
    int64_t poll_ms;  /* INT64_MAX: only once */
    int64_t retry_ms; /* after a failed poll, when that is shorter; 0: 30 s */
    int64_t first_ms; /* for the first answer; 0: 5 s */
    /* The first poll has ended, well or not, or takes too long. May be NULL. Never called inside
     * inv_blacklist_new. */
    void (*on_first)(void *arg);
    void *arg;
};

/* Begins to poll. conf is copied, what it points to borrowed. */
struct inv_blacklist *inv_blacklist_new(const struct inv_blacklist_conf *conf);
/* Accepts NULL. */
void inv_blacklist_free(struct inv_blacklist *b);
bool inv_blacklist_has(const struct inv_blacklist *b, const char *namespace_name);
size_t inv_blacklist_count(const struct inv_blacklist *b);
