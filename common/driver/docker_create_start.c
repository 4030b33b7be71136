/* START and INSPECT: the container exists, and is to run. */
#include <stdio.h>

#include "common/driver/docker_create_priv.h"

enum { NOT_FOUND_STATUS = 127 };

static int check_state(const struct docker_create *c, const struct cw_docker_inspect *seen,
                       struct cw_err *err)
{
    if (!seen->running)
        return cw_fail(err, CW_INTERNAL, "docker: %.80s: exited with status %lld right after start",
                       c->name, (long long)seen->exit_code);
    if (!seen->address[0])
        return cw_fail(err, CW_INTERNAL, "docker: %.80s: no address on network %.80s", c->name,
                       c->network);
    return 0;
}

static void on_inspected(void *arg, const struct cw_http_reply *reply,
                         const struct cw_err *http_err)
{
    struct docker_create *c = arg;
    enum cw_create_failure failure = CW_CREATE_PLATFORM;
    struct cw_docker_inspect seen;
    struct cw_err err;
    bool decoded = cw_docker_judge(reply, http_err, 200, "inspect", c->name, &err) == 0 &&
                   cw_docker_decode_inspect(reply->body, c->network, &seen, &err) == 0;

    c->call.http = NULL;
    cw_docker_end(&c->call.docker->api, DOCKER_INSPECT, c->begun_us, decoded);
    if (docker_create_try_again(c, http_err))
        return;
    if (decoded && check_state(c, &seen, &err) == 0) {
        docker_create_succeed(c, &seen);
        return;
    }
    if (decoded && !seen.running && seen.exit_code == NOT_FOUND_STATUS)
        failure = CW_CREATE_EXECUTABLE;
    docker_create_remove_leftover(c, false);
    docker_create_fail(c, failure, &err);
}

void docker_create_send_inspect(struct docker_create *c)
{
    struct docker *docker = c->call.docker;

    c->step = STEP_INSPECT;
    c->begun_us = cw_docker_begin(&docker->api, DOCKER_INSPECT);
    c->call.http = cw_docker_send_inspect(docker, c->id, docker->api.limit_ms[DOCKER_INSPECT],
                                          on_inspected, c);
}

static enum cw_create_failure start_failure(const struct cw_http_reply *reply)
{
    char text[CW_DOCKER_ERROR_TEXT_LEN];

    if (!reply || reply->status < 400)
        return CW_CREATE_PLATFORM;
    cw_docker_error_text(reply->body, text, sizeof(text));
    return cw_docker_is_missing_executable(text) ? CW_CREATE_EXECUTABLE : CW_CREATE_PLATFORM;
}

static void on_started(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct docker_create *c = arg;
    struct cw_err err;
    bool runs_already = reply && reply->status == 304; /* by a try whose answer was lost */
    bool ok = runs_already || cw_docker_judge(reply, http_err, 204, "start", c->name, &err) == 0;

    c->call.http = NULL;
    if (!ok && docker_create_try_again(c, http_err))
        return;
    if (!ok) {
        docker_create_remove_leftover(c, false);
        docker_create_fail_run(c, start_failure(reply), &err);
        return;
    }
    cw_docker_end(&c->call.docker->api, DOCKER_RUN, c->begun_us, true);
    if (c->abandoned) {
        docker_create_remove_leftover(c, false);
        docker_create_retire(c);
        return;
    }
    docker_create_send_inspect(c);
}

void docker_create_send_start(struct docker_create *c)
{
    char path[64 + sizeof(c->id)];

    c->step = STEP_START;
    cw_docker_tell_moment(c->call.docker, CW_MOMENT_ASK_START, c->id, c->name,
                          cw_docker_wall_us(c->call.docker));
    (void)snprintf(path, sizeof(path), "/containers/%s/start", c->id);
    c->call.http = cw_docker_send(&c->call.docker->api,
                                  &(struct docker_request){.method = "POST",
                                                           .path = cw_slice_of(path),
                                                           .timeout_ms = docker_create_ms_left(c),
                                                           .max_answer = CW_DOCKER_SMALL_ANSWER},
                                  on_started, c);
}
