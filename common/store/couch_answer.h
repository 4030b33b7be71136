/* common/store/couch_answer.h -- what CouchDB says about a request, as opposed to the documents in
 * it.
 *
 * Bytes from outside in, values of ours out; no I/O. Private to common/store. Thread: any. */
#pragma once

#include "common/base/str.h"
#include "common/store/docstore.h"

struct cw_err;

/* Fills err for an answer whose status is not 2xx: "<label>: 409 conflict: Document update
 * conflict.". body may be anything. Retriable is everything that is not about the document itself,
 * a refused login included. Always -1. */
int cw_couch_refused(const char *label, int status, struct cw_slice body, struct cw_err *err);

/* Decodes the answer to _bulk_docs into count results. ids: of the documents sent, NULL where one
 * has none. An answer that does not fit the request (not an array, another length, another id, a
 * row that is neither success nor failure) is CW_INTERNAL, one with a row about trouble in the
 * server CW_UNAVAILABLE; both are retriable and leave results undefined. */
int cw_couch_bulk_parse(struct cw_slice body, const char *const *ids, size_t count,
                        struct cw_docstore_put_result *results, struct cw_err *err) CW_MUST_CHECK;
