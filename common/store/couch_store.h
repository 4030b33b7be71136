/* common/store/couch_store.h -- struct cw_docstore over CouchDB's HTTP API (2.3 to 3.5).
 *
 * Source: openwhisk CS/core/database/CouchDbRestClient.scala; differences: a space in an id is sent
 * as %20, and the revision of a GET is sent as If-Match but checked by the caller. 401 and
 * 403 are CW_INVALID and retriable: an account that is locked for a while says nothing against the
 * document. libcurl may send a request again when a kept-alive connection dies, so a create or a
 * bulk put may meet its own document as a conflict. Thread: loop. */
#pragma once

#include "common/store/docstore.h"

struct cw_http;
struct cw_loop;
struct cw_metrics;

struct cw_couch_conf {
    const char *protocol; /* "http" or "https" */
    const char *host;
    uint16_t port;
    const char *username, *password;
    int64_t timeout_ms;         /* per request; 0: 30000 */
    size_t max_document;        /* bytes of one answer; 0: 64 MiB */
    struct cw_metrics *metrics; /* borrowed; NULL: none */
};

/* http is borrowed and must outlive the store. */
struct cw_docstore *cw_couch_store_new(struct cw_loop *loop, struct cw_http *http,
                                       const struct cw_couch_conf *conf,
                                       struct cw_err *err) CW_MUST_CHECK;
