/* An HTTP server on the test's loop, what its handler saw, and raw clients. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/http/server.h"
#include "common/loop/loop.h"

enum { PATIENCE_MS = 20000, KEPT = 4 };

/* One server and what its handler saw. */
struct fixture {
    struct cw_loop *loop;
    struct cw_http_server *server;
    bool defer; /* keep exchanges instead of answering */
    struct cw_http_exchange *kept[KEPT];
    unsigned requests;
    size_t full;    /* connections when the last place was taken */
    char seen[256]; /* "METHOD path|X-Test|body" */
};

/* A client: a raw connection that collects what comes back. */
struct peer {
    int fd;
    struct cw_watch watch;
    struct cw_str in;
    bool eof;
    const char *wanted; /* text to wait for */
};

/* Answers "hello", or keeps the exchange. */
void world_on_request(void *arg, struct cw_http_exchange *ex);
/* address is filled in. */
void world_start(struct fixture *f, cw_http_handler *handler, struct cw_http_server_conf conf);
void start(struct fixture *f, cw_http_handler *handler, size_t max_body, int64_t idle_ms);
void tear_down(struct fixture *f);
void peer_open(struct peer *p, struct fixture *f);
void peer_close(struct peer *p);
void peer_send(struct peer *p, const char *text);
bool peer_at_end(void *arg);
/* Until `wanted` came; fails when it does not. */
void wait_answer(struct fixture *f, struct peer *p, const char *wanted);
/* The first one. */
void wait_request(struct fixture *f);
/* Sends one request on a connection of its own and waits for `wanted` in the answer. */
void expect(struct fixture *f, const char *request, const char *wanted);
