/* invoker/catalog.h -- actions by name and revision, with their code.
 *
 * Reads coalesce; what was read is kept by its real revision until memory is short or five minutes
 * after the last use; failures are not kept. A null revision reads past the cache. The store
 * answers with the newest document whatever revision was wanted, and that one runs, as with stock
 * (openwhisk couchdb.md 4.3). Thread: loop. Callbacks never run inside the call that requested
 * them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/model/action_doc.h"
#include "common/model/activation_record.h"

struct cw_docstore;
struct cw_err;
struct cw_loop;
struct cw_manifest;
struct cw_metrics;
struct inv_catalog;

struct inv_catalog_conf {
    struct cw_loop *loop;
    struct cw_docstore *store;
    struct cw_metrics *metrics;
    const struct cw_manifest *manifest;
    const char *db;
    struct cw_limit_defaults defaults;
    size_t max_bytes;      /* of cached actions */
    int64_t keep_ms;       /* after the last use */
    size_t max_code_bytes; /* of an attachment */
};

/* What a failed fetch means for the activation (openwhisk couchdb.md 4.3). */
struct inv_fetch_failure {
    enum cw_status status;
    const char *text;   /* static */
    const char *detail; /* for the log; borrowed for the callback */
};

/* One of action and failure; action is borrowed, take a reference to keep it. */
typedef void inv_catalog_fn(void *arg, struct cw_action *action,
                            const struct inv_fetch_failure *failure);

struct inv_catalog *inv_catalog_new(const struct inv_catalog_conf *conf);
/* Pending callbacks are not called. Accepts NULL. */
void inv_catalog_free(struct inv_catalog *c);
/* id: "guest/hello"; rev NULL: newest. */
void inv_catalog_get(struct inv_catalog *c, const char *id, const char *rev, inv_catalog_fn *fn,
                     void *arg);
/* The callback that was given with exactly this fn and arg will not be called. */
void inv_catalog_abandon(struct inv_catalog *c, inv_catalog_fn *fn, void *arg);
size_t inv_catalog_bytes(const struct inv_catalog *c);
