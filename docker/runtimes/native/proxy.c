/* docker/runtimes/native/proxy.c -- action proxy that runs any program: POST /init, POST /run on
 * port 8080.
 *
 * Static and small, so that it can be put into any image. CW_PROXY_HOST, CW_PROXY_PORT and
 * CW_ACTION_DIR change where it listens and where it keeps the action (tests). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/json/raw.h"
#include "docker/runtimes/native/action.h"
#include "docker/runtimes/native/http.h"

static const char *variable(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value && value[0] ? value : otherwise;
}

static void handle(void *arg, const struct ap_request *req, struct ap_response *resp)
{
    bool init = cw_slice_is(req->path, "/init");
    struct cw_slice message;
    struct cw_err err;

    if (!init && !cw_slice_is(req->path, "/run"))
        ap_respond_error(resp, 404, "there are only /init and /run");
    else if (!cw_slice_is(req->method, "POST"))
        ap_respond_error(resp, 405, "/init and /run take POST");
    else if (cw_raw_check(req->body.n ? req->body : CW_SLICE("{}"), CW_RAW_MAX_DEPTH, &message,
                          &err) != 0)
        ap_respond_error(resp, 400, err.msg);
    else if (cw_raw_type(message) != CW_RAW_OBJECT)
        ap_respond_error(resp, 400, "the request is not a JSON object");
    else if (init)
        ap_action_init(arg, message, resp);
    else
        ap_action_run(arg, message, resp);
}

static void on_term(int sig)
{
    (void)sig;
    _exit(0); /* as process 1 there is no default action */
}

static int serve(struct cw_err *err)
{
    struct ap_action action;
    int64_t port;

    if (cw_parse_i64(cw_slice_of(variable("CW_PROXY_PORT", "8080")), "CW_PROXY_PORT", 1, 65535,
                     &port, err) != 0 ||
        ap_action_setup(&action, variable("CW_ACTION_DIR", "/action"), err) != 0)
        return -1;
    return ap_http_serve(variable("CW_PROXY_HOST", "0.0.0.0"), (uint16_t)port, handle, &action,
                         err);
}

int main(void)
{
    struct cw_err err = {0};

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, on_term);
    if (serve(&err) != 0)
        fprintf(stderr, "action proxy: %s\n", err.msg);
    return 1;
}
