/* common/http/server.h -- small HTTP server (evhttp) for health, metrics and administration.
 *
 * Plain or TLS. One handler for all requests; it answers at once or keeps the request and answers
 * later. Header bytes (16 KiB), bodies and connections are capped; a connection that is idle, that
 * has not sent a whole request in time or does not take its answer is closed. A client that goes
 * away before its answer is noticed only by the answer, which then goes nowhere. SIGPIPE is set to
 * be ignored. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/base/str.h"

struct cw_err;
struct cw_http_exchange; /* one request waiting for its answer */
struct cw_http_server;
struct cw_loop;

struct cw_http_server_conf {
    const char *address; /* numeric, "0.0.0.0" or "::" for all */
    uint16_t port;       /* 0: any free one */
    size_t max_body;     /* larger ones get 413; 0: 1 MiB */
    /* Without a byte, and from an answer to the next whole request; 0: 30000. */
    int64_t idle_timeout_ms;
    int64_t request_ms;     /* to the first whole request, a TLS handshake included; 0: 10000 */
    size_t max_connections; /* further ones wait to be accepted; 0: 256 */
    /* When the last place was taken; arg is the handler's. NULL: nobody wants to know. */
    void (*on_full)(void *arg, size_t connections);
    /* After each answer; arg is the handler's. NULL: nobody wants to know. */
    void (*on_answered)(void *arg, const char *method, int status, int64_t elapsed_us);
    /* TLS, when not NULL; the server keeps a reference of its own. */
    SSL_CTX *tls;
};

typedef void cw_http_handler(void *arg, struct cw_http_exchange *ex);

/* Listens when it returns. handler must answer each exchange exactly once with cw_http_answer, now
 * or later. */
struct cw_http_server *cw_http_server_new(struct cw_loop *loop,
                                          const struct cw_http_server_conf *conf,
                                          cw_http_handler *handler, void *arg,
                                          struct cw_err *err) CW_MUST_CHECK;
/* Closes the listener and all connections; unanswered exchanges are dead. Accepts NULL. Not from
 * inside the handler. */
void cw_http_server_free(struct cw_http_server *s);
uint16_t cw_http_server_port(const struct cw_http_server *s);

/* Borrowed for the exchange's life. */
const char *cw_http_method(const struct cw_http_exchange *ex);
/* Decoded path without the query; "" when it could not be decoded. */
const char *cw_http_path(const struct cw_http_exchange *ex);
/* NULL when absent; names ignore case. */
const char *cw_http_header(const struct cw_http_exchange *ex, const char *name);
/* The query's first parameter of this name, decoded; a bare name has an empty value. false: there
 * is none, or its value does not fit into size bytes with the NUL, or hides one. */
bool cw_http_query(const struct cw_http_exchange *ex, const char *name, char *ret, size_t size);
struct cw_slice cw_http_body(struct cw_http_exchange *ex);

/* Before the answer. A value with a line end is dropped. */
void cw_http_add_header(struct cw_http_exchange *ex, const char *name, const char *value);
/* Ends the exchange; body is copied. content_type NULL: text/plain; charset=UTF-8. */
void cw_http_answer(struct cw_http_exchange *ex, int status, const char *content_type,
                    struct cw_slice body);

/* Basic authentication against one user, in constant time. False when user or password is NULL, and
 * for credentials over 768 bytes. */
bool cw_http_basic_auth_ok(const struct cw_http_exchange *ex, const char *user,
                           const char *password);
