/* tests/bench/stub_http.h -- the small HTTP/1.1 server behind the benchmark's stand-ins.
 *
 * One thread, one epoll set, any number of listeners (Unix or TCP), connections kept alive. A
 * handler gets a complete request and fills in the answer before it returns. Made to cost little,
 * since it shares the machine with what is measured. */
#pragma once

#include <stdint.h>

#include "common/base/str.h"

struct cw_err;
struct stub_server;
struct stub_listener;
struct stub_watch;

struct stub_request {
    struct cw_slice method, target, body; /* borrowed for the call */
};

struct stub_reply {
    int status;         /* 200 unless the handler says otherwise */
    struct cw_str body; /* JSON, or empty */
};

/* May open and close listeners, also the one that the request came in by. */
typedef void stub_handler_fn(void *arg, const struct stub_request *req, struct stub_reply *reply);

struct stub_server *stub_server_new(struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. Closes everything. */
void stub_server_free(struct stub_server *s);
/* fn whenever fd is readable (level-triggered). The fd stays the caller's. */
struct stub_watch *stub_watch_new(struct stub_server *s, int fd, void (*fn)(void *arg), void *arg,
                                  struct cw_err *err) CW_MUST_CHECK;
/* Not from fn. Accepts NULL. */
void stub_watch_free(struct stub_watch *w);
/* Serves until `stop_fd` becomes readable. */
int stub_server_run(struct stub_server *s, int stop_fd, struct cw_err *err) CW_MUST_CHECK;

/* A file of that name is replaced. */
struct stub_listener *stub_listen_unix(struct stub_server *s, const char *path, stub_handler_fn *fn,
                                       void *arg, struct cw_err *err) CW_MUST_CHECK;
/* address: numeric IPv4; port 0 takes a free one. */
struct stub_listener *stub_listen_tcp(struct stub_server *s, const char *address, uint16_t port,
                                      stub_handler_fn *fn, void *arg,
                                      struct cw_err *err) CW_MUST_CHECK;
uint16_t stub_listener_port(const struct stub_listener *l);
/* Its connections too. Accepts NULL. */
void stub_listener_close(struct stub_listener *l);
