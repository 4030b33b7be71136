/* common/http/client.h -- HTTP client for stores and engines: curl multi on the loop.
 *
 * TCP (http, https) and Unix sockets; whole bodies into a bounded buffer, or streamed. Connections
 * are kept alive and pooled. libcurl may re-send a request whose kept-alive connection died before
 * the answer, so /init and /run never go through here (common/http/action_client.h), and requests
 * that must not be doubled set `fresh_connection`. Nothing is retried. DNS runs in curl's resolver
 * thread. Thread: loop. Callbacks never run inside the call that requested them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

struct cw_err;
struct cw_http;
struct cw_http_call;
struct cw_loop;

struct cw_http_conf {
    const char *user_agent; /* NULL: "cwhisk" */
    unsigned max_per_host;  /* connections to one host; 0: 64. More requests queue inside curl. */
    const char *ca_file;    /* PEM bundle for https; NULL: the system's */
    bool insecure_skip_verify; /* https without checking the peer */
    /* PEM, for https servers that ask who calls; both NULL: nobody in particular. */
    const char *cert_file, *key_file;
};

struct cw_http_request {
    const char *method; /* "GET", … */
    const char *url;    /* "http://host:port/path?query"; with unix_path the host is only a label */
    const char *unix_path;       /* NULL: TCP */
    const char *user, *password; /* basic auth when user is not NULL */
    const char *const *headers;  /* NULL-terminated "Name: value" lines; may be NULL */
    struct cw_slice body;        /* copied */
    bool has_body;               /* sends Content-Length even when body is empty */
    int64_t timeout_ms;          /* whole exchange; 0 = none (streams) */
    int64_t connect_timeout_ms;  /* 0: 5000 */
    size_t max_body;             /* answer bytes kept; more fails with CW_TOO_LARGE. 0: 8 MiB */
    bool fresh_connection;       /* never on a kept-alive connection */
    /* Streaming: gets each piece of a 2xx body as it comes; the reply's body is then empty. May
     * call cw_http_cancel. */
    void (*on_data)(void *arg, struct cw_slice piece);
};

struct cw_http_reply {
    int status;
    struct cw_slice body;
    const char *content_type; /* "" when absent */
    const char *etag;         /* "" when absent */
};

/* Exactly one of reply and err is not NULL; both are borrowed for the callback. err codes:
 * CW_TIMEOUT, CW_UNAVAILABLE (connect, reset; retriable), CW_TOO_LARGE, CW_INVALID (bad URL),
 * CW_INTERNAL. */
typedef void cw_http_fn(void *arg, const struct cw_http_reply *reply, const struct cw_err *err);

/* Strings of conf are copied. */
struct cw_http *cw_http_new(struct cw_loop *loop, const struct cw_http_conf *conf,
                            struct cw_err *err) CW_MUST_CHECK;
/* Cancels what is in flight. Accepts NULL. */
void cw_http_free(struct cw_http *http);
/* Everything in req is copied. Calls fn exactly once unless cancelled. Never NULL: what cannot even
 * start is reported to fn. */
struct cw_http_call *cw_http_send(struct cw_http *http, const struct cw_http_request *req,
                                  cw_http_fn *fn, void *arg);
/* After this fn and on_data will not be called. The call pointer is dead after fn ran. */
void cw_http_cancel(struct cw_http_call *call);
/* A held call reads no more from its connection, so that the peer has to wait; a little that was
 * read already may still come to on_data. For streams; allowed inside on_data. */
void cw_http_hold(struct cw_http_call *call, bool hold);
/* Requests in flight or queued. */
size_t cw_http_in_flight(const struct cw_http *http);

/* Appends one path segment or query value, percent-encoded (RFC 3986 unreserved kept; space is
 * %20). */
void cw_url_encode(struct cw_str *out, struct cw_slice text);
