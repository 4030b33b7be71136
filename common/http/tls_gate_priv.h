/* common/http/tls_gate_priv.h -- how TLS connections come into the HTTP server: they are counted,
 * and a handshake has a deadline for all of it (the server's idle time starts anew with each byte).
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
struct tls_gate;

struct tls_gate_conf {
    struct cw_loop *loop;
    SSL_CTX *context;     /* borrowed for the call */
    int64_t handshake_ms; /* a connection whose handshake takes longer is closed */
    size_t max_connections;
    /* `more` false: no further connection is wanted for now. */
    void (*admit)(void *arg, bool more);
    void *arg;
};

struct tls_gate *tls_gate_new(const struct tls_gate_conf *conf) CW_MUST_CHECK;
/* After this admit is not called, and no timer runs; what is left of the connections may go later.
 * Accepts NULL. */
void tls_gate_free(struct tls_gate *gate);
/* For a connection that was accepted; never NULL. */
struct bufferevent *tls_gate_admit(struct tls_gate *gate);
