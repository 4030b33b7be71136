#include "common/driver/docker_api.h"

#include <assert.h>
#include <stdio.h>
#include <sys/un.h>

#include "common/base/err.h"
#include "common/driver/docker_answer.h"
#include "common/driver/docker_driver.h"
#include "common/http/client.h"
#include "common/loop/loop.h"

enum { MAX_URL = 16 << 10, MESSAGE_LEN = 512, DEFAULT_PORT = 2375 };

/* Names are those of stock's metrics, so they cannot change (openwhisk invoker.md 6). */
static const struct {
    const char *name;
    int64_t default_ms; /* openwhisk container.md 7 */
} COMMANDS[DOCKER_CMD_COUNT] = {
    [DOCKER_RUN] = {"run", 60000},         [DOCKER_RM] = {"rm", 60000},
    [DOCKER_PULL] = {"pull", 600000},      [DOCKER_PS] = {"ps", 60000},
    [DOCKER_INSPECT] = {"inspect", 60000}, [DOCKER_PAUSE] = {"pause", 10000},
    [DOCKER_UNPAUSE] = {"unpause", 10000}, [DOCKER_UPDATE] = {"update", 10000},
    [DOCKER_VERSION] = {"version", 10000},
};

static void make_meter(struct cw_timed *meter, struct cw_metrics *metrics, const char *cmd)
{
    char label[32];

    (void)snprintf(label, sizeof(label), "cmd=\"%s\"", cmd);
    cw_timed_init(
        meter, metrics,
        &(struct cw_token){.component = "invoker", .action = "docker", .sub = cmd, .labels = label},
        "Engine commands");
}

static int set_limits(struct docker_api *api, const struct cw_docker_conf *conf, struct cw_err *err)
{
    const int64_t given[DOCKER_CMD_COUNT] = {
        [DOCKER_RUN] = conf->run_ms,         [DOCKER_RM] = conf->rm_ms,
        [DOCKER_PULL] = conf->pull_ms,       [DOCKER_PS] = conf->ps_ms,
        [DOCKER_INSPECT] = conf->inspect_ms, [DOCKER_PAUSE] = conf->pause_ms,
        [DOCKER_UNPAUSE] = conf->unpause_ms, [DOCKER_UPDATE] = conf->update_ms,
        [DOCKER_VERSION] = conf->version_ms,
    };

    for (int i = 0; i < DOCKER_CMD_COUNT; i++) {
        if (given[i] < 0)
            return cw_fail(err, CW_INVALID, "docker: %s timeout %lld ms: expected 0 or more",
                           COMMANDS[i].name, (long long)given[i]);
        api->limit_ms[i] = given[i] ? given[i] : COMMANDS[i].default_ms;
    }
    return 0;
}

static int set_socket(struct docker_api *api, const char *path, struct cw_err *err)
{
    const size_t max_path = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (strlen(path) > max_path)
        return cw_fail(err, CW_INVALID, "docker: socket path: expected 1..%zu bytes", max_path);
    api->socket_path = cw_strdup(path);
    api->base = cw_strdup("http://docker"); /* only a label */
    return 0;
}

/* host, host:port, [v6]:port */
static int set_address(struct docker_api *api, const char *address, struct cw_err *err)
{
    static const char ALLOWED[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    const char *after_v6 = strchr(address, ']');
    const char *colon = strchr(after_v6 ? after_v6 : address, ':');
    int64_t port = DEFAULT_PORT;
    cw_auto_str struct cw_str base;

    cw_str_init(&base, MAX_URL);
    if (colon == address || !*address || strspn(address, ALLOWED) != strlen(address) ||
        (colon && cw_parse_i64(cw_slice_of(colon + 1), "port", 1, 65535, &port, NULL) != 0))
        return cw_fail(err, CW_INVALID, "docker: engine tcp://%.80s: expected tcp://host:port",
                       address);
    cw_str_addf(&base, "http://%.*s:%d", (int)(colon ? (size_t)(colon - address) : strlen(address)),
                address, (int)port);
    api->base = cw_str_steal(&base);
    return 0;
}

static int set_engine(struct docker_api *api, const char *engine, struct cw_err *err)
{
    if (strncmp(engine, "tcp://", 6) == 0)
        return set_address(api, engine + 6, err);
    if (strncmp(engine, "unix://", 7) == 0)
        engine += 7;
    if (engine[0] == '/')
        return set_socket(api, engine, err);
    return cw_fail(err, CW_INVALID,
                   "docker: engine \"%.80s\": expected unix:///path or tcp://host:port", engine);
}

int cw_docker_api_init(struct docker_api *api, struct cw_loop *loop, struct cw_http *http,
                       const struct cw_docker_conf *conf, struct cw_err *err)
{
    if (set_limits(api, conf, err) != 0 ||
        set_engine(api, conf->engine ? conf->engine : "", err) != 0)
        return -1;
    api->loop = loop;
    api->http = http;
    for (int i = 0; i < DOCKER_CMD_COUNT; i++)
        make_meter(&api->meter[i], conf->metrics, COMMANDS[i].name);
    return 0;
}

void cw_docker_api_done(struct docker_api *api)
{
    free(CW_STEAL(api->socket_path));
    free(CW_STEAL(api->base));
}

int64_t cw_docker_begin(struct docker_api *api, enum docker_cmd cmd)
{
    cw_timed_begun(&api->meter[cmd]);
    return cw_loop_mono_us(api->loop);
}

void cw_docker_end(struct docker_api *api, enum docker_cmd cmd, int64_t begun_us, bool ok)
{
    cw_timed_ended(&api->meter[cmd], ok, (double)(cw_loop_mono_us(api->loop) - begun_us) / 1e6);
}

struct cw_http_call *cw_docker_send_on(struct cw_http *http, struct docker_api *api,
                                       const struct docker_request *req, cw_http_fn *fn, void *arg)
{
    const char *headers[3] = {0};
    size_t count = 0;
    bool is_post = strcmp(req->method, "POST") == 0;
    cw_auto_str struct cw_str url;

    cw_str_init(&url, MAX_URL);
    cw_str_addz(&url, api->base);
    if (!req->unversioned)
        cw_str_addz(&url, api->prefix);
    cw_str_adds(&url, req->path);
    if (req->body.n)
        headers[count++] = "Content-Type: application/json";
    if (req->header)
        headers[count++] = req->header;
    return cw_http_send(http,
                        &(struct cw_http_request){
                            .method = req->method,
                            .url = url.failed ? "" : url.p, /* "" is reported as a bad URL */
                            .unix_path = api->socket_path,
                            .headers = headers,
                            .body = req->body,
                            .has_body = is_post,
                            .timeout_ms = req->timeout_ms,
                            .max_body = req->max_answer,
                            /* curl must not repeat it by itself */
                            .fresh_connection = is_post || req->fresh_connection,
                            .on_data = req->on_data,
                        },
                        fn, arg);
}

struct cw_http_call *cw_docker_send(struct docker_api *api, const struct docker_request *req,
                                    cw_http_fn *fn, void *arg)
{
    return cw_docker_send_on(api->http, api, req, fn, arg);
}

static enum cw_code code_of(int status)
{
    switch (status) {
    case 400:
        return CW_INVALID;
    case 404:
        return CW_NOT_FOUND;
    case 409:
        return CW_CONFLICT;
    case 503:
        return CW_UNAVAILABLE;
    default:
        return CW_INTERNAL;
    }
}

int cw_docker_judge(const struct cw_http_reply *reply, const struct cw_err *http_err, int expected,
                    const char *what, const char *object, struct cw_err *ret_err)
{
    char message[MESSAGE_LEN];

    assert(reply || http_err);
    if (http_err) {
        *ret_err = *http_err;
        return cw_err_wrap(ret_err, "docker: %s %.80s", what, object);
    }
    if (reply->status == expected)
        return 0;
    cw_docker_error_text(reply->body, message, sizeof(message));
    (void)cw_fail(ret_err, code_of(reply->status), "docker: %s %.80s: %d: %s", what, object,
                  reply->status, message);
    ret_err->retriable = reply->status >= 500;
    return -1;
}

int cw_docker_judge_removal(const struct cw_http_reply *reply, const struct cw_err *http_err,
                            const char *object, struct cw_err *ret_err)
{
    char message[MESSAGE_LEN];

    if (reply && reply->status == 404)
        return 0;
    if (reply && reply->status == 409) {
        /* "removal of container x is already in progress" */
        cw_docker_error_text(reply->body, message, sizeof(message));
        if (strstr(message, "already in progress"))
            return 0;
    }
    return cw_docker_judge(reply, http_err, 204, "remove", object, ret_err);
}

bool cw_docker_is_unsure(const struct cw_http_reply *reply)
{
    return !reply || reply->status < 400;
}
