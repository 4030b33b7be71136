/* A container's output. Followed streams live as long as their containers, so they have a client of
 * their own: in the driver's they would use up the connections that commands need. */
#include "common/driver/docker_priv.h"
#include "common/driver/docker_spec.h"

#include <inttypes.h>

enum { MAX_STREAMS = 10000, MAX_ERROR_BODY = 64 << 10 };

struct logs_call {
    struct cw_driver_call call;
    struct cw_defer refuse; /* for an id that cannot exist */
    struct cw_err refusal;
    char *id;
    cw_driver_data_fn *on_data;
    cw_driver_done_fn *fn;
    void *arg;
};

static void logs_free(struct cw_driver_call *call)
{
    struct logs_call *l = CW_CONTAINER_OF(call, struct logs_call, call);

    cw_defer_cancel(&l->refuse);
    free(l->id);
    free(l);
}

static void end(struct logs_call *l, const struct cw_err *err)
{
    cw_driver_done_fn *fn = l->fn;
    void *arg = l->arg;

    cw_docker_call_end(&l->call);
    fn(arg, err);
}

static void on_refuse(void *arg)
{
    struct logs_call *l = arg;
    struct cw_err err = l->refusal;

    end(l, &err);
}

static void on_piece(void *arg, struct cw_slice piece)
{
    struct logs_call *l = arg;

    l->on_data(l->arg, piece);
}

static void on_end(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct logs_call *l = arg;
    struct cw_err err;
    bool ok = cw_docker_judge(reply, http_err, 200, "logs of", l->id, &err) == 0;

    l->call.http = NULL;
    end(l, ok ? NULL : &err);
}

int cw_docker_need_streams(struct docker *docker, struct cw_err *err)
{
    if (!docker->streams)
        docker->streams =
            cw_http_new(docker->api.loop, &(struct cw_http_conf){.max_per_host = MAX_STREAMS}, err);
    return docker->streams ? 0 : -1;
}

struct cw_driver_call *cw_docker_output(struct cw_driver *d, const char *id,
                                        const struct cw_output_query *query,
                                        cw_driver_data_fn *on_data, cw_driver_done_fn *fn,
                                        void *arg)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);
    struct logs_call *l = cw_alloc(sizeof(*l));
    cw_auto_str struct cw_str path;

    cw_str_init(&path, 256 + CW_DOCKER_MAX_NAME);
    cw_docker_call_init(docker, &l->call, logs_free);
    cw_defer_init(&l->refuse, docker->api.loop, on_refuse, l);
    l->id = cw_strdup(id);
    l->on_data = on_data;
    l->fn = fn;
    l->arg = arg;
    if (cw_docker_check_name(id, "container id", &l->refusal) != 0 ||
        cw_docker_need_streams(docker, &l->refusal) != 0) {
        cw_defer_post(&l->refuse);
        return &l->call;
    }
    cw_str_addf(&path,
                "/containers/%s/logs?follow=%d&stdout=1&stderr=1&timestamps=1&since=%" PRId64, id,
                query->follow, query->since_s);
    l->call.http = cw_docker_send_on(docker->streams, &docker->api,
                                     &(struct docker_request){.method = "GET",
                                                              .path = cw_str_slice(&path),
                                                              .max_answer = MAX_ERROR_BODY,
                                                              .on_data = on_piece},
                                     on_end, l);
    return &l->call;
}

void cw_docker_hold_output(struct cw_driver *d, struct cw_driver_call *call, bool hold)
{
    (void)d;
    if (call->http)
        cw_http_hold(call->http, hold);
}
