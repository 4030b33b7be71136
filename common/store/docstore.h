/* common/store/docstore.h -- documents with revisions: CouchDB in production.
 *
 * Works with the databases and design documents that OpenWhisk already created. Bodies are raw JSON
 * bytes in both directions: the store never re-encodes a document. Nothing here retries; callers
 * decide from err->retriable. Every call has a deadline. Thread: loop. Callbacks never run inside
 * the call that requested them, and exactly once unless cancelled. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_docstore;
struct cw_docstore_call;
struct cw_err;

/* One of body and err; borrowed for the callback. err codes: CW_NOT_FOUND (404), CW_CONFLICT (409),
 * CW_INVALID (other 4xx), CW_TOO_LARGE (413 or over our own limit), CW_UNAVAILABLE (5xx, no
 * connection; retriable), CW_TIMEOUT (retriable). */
typedef void cw_docstore_body_fn(void *arg, struct cw_slice body, const struct cw_err *err);

/* Outcome of one document of a bulk put, by position. code CW_OK, CW_CONFLICT, or CW_INVALID with
 * the reason. */
struct cw_docstore_put_result {
    enum cw_docstore_put_code { CW_PUT_OK, CW_PUT_CONFLICT, CW_PUT_REFUSED } code;
    char reason[96];
};
/* results has as many entries as documents were given, NULL when err is set (the whole request
 * failed: nothing is known of its documents). */
typedef void cw_docstore_bulk_fn(void *arg, const struct cw_docstore_put_result *results,
                                 size_t count, const struct cw_err *err);

struct cw_view_query {
    const char *design, *view;
    /* Raw JSON or NULL; the caller has already swapped them for descending. */
    const char *startkey, *endkey;
    int64_t limit, skip; /* 0: left out */
    bool descending, include_docs, stale_ok;
};

struct cw_docstore_ops {
    const char *name;
    /* All must. Ids and names are unencoded ("guest/hello"). */
    struct cw_docstore_call *(*get)(struct cw_docstore *s, const char *db, const char *id,
                                    const char *rev, cw_docstore_body_fn *fn, void *arg);
    struct cw_docstore_call *(*get_attachment)(struct cw_docstore *s, const char *db,
                                               const char *id, const char *rev, const char *name,
                                               size_t max_bytes, cw_docstore_body_fn *fn,
                                               void *arg);
    /* body of the callback: the store's answer ({"ok":true,"id":…,"rev":…}). rev NULL: create. */
    struct cw_docstore_call *(*put)(struct cw_docstore *s, const char *db, const char *id,
                                    const char *rev, struct cw_slice doc, cw_docstore_body_fn *fn,
                                    void *arg);
    struct cw_docstore_call *(*remove)(struct cw_docstore *s, const char *db, const char *id,
                                       const char *rev, cw_docstore_body_fn *fn, void *arg);
    /* docs: complete JSON documents with _id. Copied. */
    struct cw_docstore_call *(*bulk_put)(struct cw_docstore *s, const char *db,
                                         const struct cw_slice *docs, size_t count,
                                         cw_docstore_bulk_fn *fn, void *arg);
    struct cw_docstore_call *(*view)(struct cw_docstore *s, const char *db,
                                     const struct cw_view_query *q, cw_docstore_body_fn *fn,
                                     void *arg);
    /* Is the database there, and may we read it? body of the callback: what the store says of it.
     */
    struct cw_docstore_call *(*check)(struct cw_docstore *s, const char *db,
                                      cw_docstore_body_fn *fn, void *arg);
    void (*cancel)(struct cw_docstore *s, struct cw_docstore_call *call);
    void (*free)(struct cw_docstore *s);
};

struct cw_docstore {
    const struct cw_docstore_ops *ops;
};

static inline void cw_docstore_free(struct cw_docstore *s)
{
    if (s)
        s->ops->free(s);
}
