/* common/http/gate_priv.h -- how connections come into the HTTP server: they are counted, and each
 * has a deadline for a whole request and for taking an answer (the idle time of the library starts
 * anew with each byte, so that one byte now and then would keep a connection for ever).
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/base/mem.h"

struct bufferevent;
struct cw_loop;
struct http_gate;

struct http_gate_conf {
    struct cw_loop *loop;
    SSL_CTX *context;   /* NULL: plain text; borrowed for the call */
    int64_t request_ms; /* from the beginning, a TLS handshake included, to a first request */
    int64_t next_ms;    /* from an answer to the next request: the answer must be taken by then */
    size_t max_connections;
    /* `more` false: no further connection is wanted for now. */
    void (*admit)(void *arg, bool more);
    void *arg;
};

struct http_gate *http_gate_new(const struct http_gate_conf *conf) CW_MUST_CHECK;
/* Connections are left as they are. Accepts NULL. */
void http_gate_free(struct http_gate *gate);
/* For a connection that was accepted, to which its socket is given in the same turn; never NULL. */
struct bufferevent *http_gate_admit(struct http_gate *gate);
/* A whole request came on the socket: no deadline until it is answered. */
void http_gate_asked(struct http_gate *gate, int fd);
void http_gate_answered(struct http_gate *gate, int fd);
