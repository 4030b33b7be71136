/* docker/runtimes/native/http.h -- the small HTTP/1.1 server of the action proxy.
 *
 * Many connections, one request at a time: whoever's request is complete first is answered first,
 * and the handler may block (it runs the action). Keep-alive; bodies need a Content-Length. Sizes
 * are bounded. Thread: the only one. */
#pragma once

#include <stdint.h>

#include "common/base/str.h"

struct cw_err;

struct ap_request {
    struct cw_slice method, path, body; /* path without the query */
};

struct ap_response {
    int status;
    struct cw_str body; /* JSON */
};

typedef void ap_handler_fn(void *arg, const struct ap_request *req, struct ap_response *resp);

/* Fills resp with status and {"error": text}. */
void ap_respond_error(struct ap_response *resp, int status, const char *text);

/* Serves until the process ends; returns -1 with *err when the address cannot be listened on. */
int ap_http_serve(const char *host, uint16_t port, ap_handler_fn *handler, void *arg,
                  struct cw_err *err) CW_MUST_CHECK;
