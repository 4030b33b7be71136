/* common/http/http_response.h -- incremental parser of one HTTP/1.x answer that has a
 * Content-Length.
 *
 * Pure: bytes in, fields out, and the outcome does not depend on how the bytes were split. It knows
 * what an action container may answer and nothing more: chunked and close-delimited bodies and
 * answers without a body (204, 304) are bad, as is everything that is not HTTP/1. Bounded: one
 * header block 64 KiB and 100 headers, 10 interim (1xx) answers, and the body as the caller says.
 * Thread: owner only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

enum {
    CW_HTTP_MAX_HEAD = 64 * 1024,
    CW_HTTP_MAX_HEADERS = 100,
    CW_HTTP_MAX_INTERIM = 10,
};

enum cw_http_response_state {
    CW_HTTP_STATUS_LINE,
    CW_HTTP_HEADERS,
    CW_HTTP_BODY,
    CW_HTTP_DONE, /* complete; bytes behind it were not taken */
    CW_HTTP_BAD,  /* can never be an answer; `why` says what is wrong */
};

struct cw_http_response {
    enum cw_http_response_state state;
    int status;             /* valid from CW_HTTP_HEADERS on */
    int64_t content_length; /* as announced; -1 when not (yet) */
    int64_t body_read;      /* body bytes that came, kept or not */
    bool keep_alive;        /* the peer lets the connection be used again */
    bool truncated;         /* content_length is over max_body: only a prefix is kept */
    struct cw_str body;     /* may be stolen when CW_HTTP_DONE */
    const char *why;        /* static text when CW_HTTP_BAD, otherwise NULL */

    /* private */
    struct cw_str line; /* the begun line, when it came in pieces */
    size_t max_body, truncate_to;
    size_t head_bytes;
    unsigned header_count, interim_count;
    bool transfer_encoding;
    bool used_header; /* the last header line was one that we interpret */
};

void cw_http_response_init(struct cw_http_response *r);
void cw_http_response_done(struct cw_http_response *r);
/* Forgets the last answer and waits for the next. A body longer than max_body is cut to its first
 * truncate_to bytes; the rest is read and dropped. */
void cw_http_response_begin(struct cw_http_response *r, size_t max_body, size_t truncate_to);
/* Takes up to n bytes and returns how many; fewer than n only when the state is final (CW_HTTP_DONE
 * or CW_HTTP_BAD). */
size_t cw_http_response_feed(struct cw_http_response *r, const char *p, size_t n);
