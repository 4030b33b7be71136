/* common/driver/docker_api.h -- one request to the Docker engine, timed and judged.
 *
 * Knows the socket, the negotiated version, the time limits, and the metrics; knows nothing of
 * containers. Thread: loop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/obs/token.h"

struct cw_docker_conf;
struct cw_err;
struct cw_http;
struct cw_http_call;
struct cw_http_reply;
struct cw_loop;

/* What stock calls the commands of the docker client; each has its time limit and its metrics. */
enum docker_cmd {
    DOCKER_RUN,
    DOCKER_RM,
    DOCKER_PULL,
    DOCKER_PS,
    DOCKER_INSPECT,
    DOCKER_PAUSE,
    DOCKER_UNPAUSE,
    DOCKER_UPDATE,
    DOCKER_VERSION,
    DOCKER_CMD_COUNT,
};

struct docker_api {
    struct cw_loop *loop;
    struct cw_http *http;
    char *socket_path; /* NULL: over TCP */
    char *base;        /* "http://host:port" */
    char prefix[16];   /* "/v1.41"; "" before the handshake: the engine's own version */
    int64_t limit_ms[DOCKER_CMD_COUNT];
    struct cw_timed meter[DOCKER_CMD_COUNT];
};

int cw_docker_api_init(struct docker_api *api, struct cw_loop *loop, struct cw_http *http,
                       const struct cw_docker_conf *conf, struct cw_err *err) CW_MUST_CHECK;
void cw_docker_api_done(struct docker_api *api);

/* Counts the start of a command and returns the time to give to the end. */
int64_t cw_docker_begin(struct docker_api *api, enum docker_cmd cmd);
void cw_docker_end(struct docker_api *api, enum docker_cmd cmd, int64_t begun_us, bool ok);

struct docker_request {
    const char *method;
    struct cw_slice path; /* behind the version, already encoded */
    struct cw_slice body; /* JSON, or empty */
    const char *header;   /* one more "Name: value", or NULL */
    int64_t timeout_ms;
    size_t max_answer;
    bool unversioned;
    bool fresh_connection;                             /* as POST always has */
    void (*on_data)(void *arg, struct cw_slice piece); /* NULL: whole answer */
};

/* fn has the type of cw_http_fn and is called exactly once unless the call is cancelled. */
struct cw_http_call *cw_docker_send(struct docker_api *api, const struct docker_request *req,
                                    void (*fn)(void *arg, const struct cw_http_reply *reply,
                                               const struct cw_err *err),
                                    void *arg);

/* The same with another client. */
struct cw_http_call *cw_docker_send_on(
    struct cw_http *http, struct docker_api *api, const struct docker_request *req,
    void (*fn)(void *arg, const struct cw_http_reply *reply, const struct cw_err *err), void *arg);

/* 0 when the engine answered with `expected`; otherwise -1 and *ret_err (never NULL) says what came
 * instead: the transport's error, or the engine's status and message. `what` and `object` name the
 * operation: "docker: start wsk0_1_x: 500: no space left". */
int cw_docker_judge(const struct cw_http_reply *reply, const struct cw_err *http_err, int expected,
                    const char *what, const char *object, struct cw_err *ret_err) CW_MUST_CHECK;
/* The same for removals, where being gone or just going away is success. */
int cw_docker_judge_removal(const struct cw_http_reply *reply, const struct cw_err *http_err,
                            const char *object, struct cw_err *ret_err) CW_MUST_CHECK;
/* May the engine have done the work although there is no proper answer? */
bool cw_docker_is_unsure(const struct cw_http_reply *reply);
