/* invoker/admin.h -- the invoker's HTTP interface (openwhisk invoker.md 5), plus /live and /ready.
 *
 * Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/base/mem.h"

struct cw_err;
struct cw_http_exchange;
struct cw_loop;
struct cw_metrics;
struct cw_str;
struct inv_admin;
struct inv_trace;

struct inv_admin_conf {
    struct cw_loop *loop;
    struct cw_metrics *metrics; /* NULL: no /metrics */
    struct inv_trace *trace;    /* NULL: no /trace */
    const char *address;
    uint16_t port;
    SSL_CTX *tls;          /* borrowed for the call; NULL: plain text */
    const char *id_header; /* that carries transaction ids: "X-Request-ID" */
    const char *user, *password;
    const char *printed_id; /* "invoker0/unique" */
    /* Pings on or off; false when it was so already. Called only when ready. */
    bool (*enable)(void *arg, bool enabled);
    bool (*enabled)(void *arg);
    bool (*ready)(void *arg);
    /* A database that has not answered yet, which /ready waits for, too; NULL: none. May be NULL.
     */
    const char *(*missing)(void *arg);
    /* The limits of all containers, as JSON. NULL: no /resize. */
    void (*resize)(void *arg, struct cw_str *out);
    /* Gauges are about to be shown. */
    void (*refresh)(void *arg);
    void *arg;
};

/* Listens when it returns; conf is borrowed. */
struct inv_admin *inv_admin_new(const struct inv_admin_conf *conf,
                                struct cw_err *err) CW_MUST_CHECK;
/* Accepts NULL. */
void inv_admin_free(struct inv_admin *a);
/* One more page, with credentials. It answers the exchange now or later, exactly once, unless the
 * interface is freed before. */
struct inv_admin_route {
    const char *method, *path; /* "GET", "/events"; borrowed */
    void (*answer)(void *arg, struct cw_http_exchange *ex);
    void *arg;
};
/* Not twice for the same method and path. route is copied. */
void inv_admin_add(struct inv_admin *a, const struct inv_admin_route *route);
/* Answers with {"error":text}. */
void inv_admin_refuse(struct cw_http_exchange *ex, int status, const char *text);
uint16_t inv_admin_port(const struct inv_admin *a);
