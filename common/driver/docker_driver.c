/* The vtable, the driver's life, and the operations that are one request each; creates, removals in
 * the background, and the search for out-of-memory kills have files of their own. */
#include "common/driver/docker_driver.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/driver/docker_answer.h"
#include "common/driver/docker_priv.h"
#include "common/driver/docker_spec.h"
#include "common/json/doc.h"

/* ---- calls ---- */

static void put_on(struct cw_driver_call *call, struct cw_list *list)
{
    if (call->list)
        cw_list_remove(call->list, &call->link);
    call->list = list;
    cw_list_push_back(list, &call->link);
}

void cw_docker_call_init(struct docker *docker, struct cw_driver_call *call,
                         void (*free_fn)(struct cw_driver_call *call))
{
    call->docker = docker;
    call->free = free_fn;
    put_on(call, &docker->calls);
}

void cw_docker_call_to_background(struct cw_driver_call *call)
{
    put_on(call, &call->docker->background);
}

void cw_docker_call_end(struct cw_driver_call *call)
{
    if (call->http)
        cw_http_cancel(call->http);
    cw_list_remove(call->list, &call->link);
    call->free(call);
}

int64_t cw_docker_wall_us(const struct docker *docker)
{
    const struct cw_clock *clock = cw_loop_clock(docker->api.loop);

    return clock->wall_us(clock);
}

void cw_docker_tell_moment(struct docker *docker, enum cw_moment what, const char *id,
                           const char *name, int64_t at_us)
{
    const struct cw_driver_moment m = {
        .what = what, .id = id, .name = name, .at_us = at_us, .exit_code = -1};

    if (docker->on_moment && cw_docker_is_id(id))
        docker->on_moment(docker->on_moment_arg, &m);
}

/* ---- one request, one answer ---- */

struct simple {
    struct cw_driver_call call;
    enum docker_cmd cmd;
    struct cw_defer refuse; /* for a target that cannot be sent */
    struct cw_err refusal;
    char *target; /* id, or name prefix; NULL for check */
    char *body;   /* of an update */
    int64_t begun_us;
    union {
        cw_driver_done_fn *done;
        cw_listed_fn *listed;
    } fn;
    void *arg;
};

static void simple_free(struct cw_driver_call *call)
{
    struct simple *s = CW_CONTAINER_OF(call, struct simple, call);

    cw_defer_cancel(&s->refuse);
    free(s->target);
    free(s->body);
    free(s);
}

static struct simple *simple_new(struct cw_driver *d, enum docker_cmd cmd, void *arg)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);
    struct simple *s = cw_alloc(sizeof(*s));

    cw_docker_call_init(docker, &s->call, simple_free);
    s->cmd = cmd;
    s->arg = arg;
    return s;
}

/* err: NULL or not inside s */
static void simple_done(struct simple *s, const struct cw_err *err)
{
    cw_driver_done_fn *fn = s->fn.done;
    void *arg = s->arg;

    cw_docker_call_end(&s->call);
    fn(arg, err);
}

static void on_simple_refused(void *arg)
{
    struct simple *s = arg;
    struct cw_err err = s->refusal;

    simple_done(s, &err);
}

static void simple_answered(struct simple *s, bool ok)
{
    s->call.http = NULL;
    cw_docker_end(&s->call.docker->api, s->cmd, s->begun_us, ok);
}

/* ---- pause, resume, update, remove ---- */

static const char *verb_of(enum docker_cmd cmd)
{
    return cmd == DOCKER_PAUSE ? "pause" : cmd == DOCKER_UPDATE ? "update" : "unpause";
}

static void on_verb(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct simple *s = arg;
    struct cw_err err;
    int failed = s->cmd == DOCKER_RM
                     ? cw_docker_judge_removal(reply, http_err, s->target, &err)
                     : cw_docker_judge(reply, http_err, s->cmd == DOCKER_UPDATE ? 200 : 204,
                                       verb_of(s->cmd), s->target, &err);

    cw_docker_out_of_reach(s->call.docker, http_err);
    simple_answered(s, failed == 0);
    simple_done(s, failed ? &err : NULL);
}

static struct cw_http_call *send_verb(struct simple *s)
{
    struct docker_api *api = &s->call.docker->api;
    cw_auto_str struct cw_str path;

    cw_str_init(&path, 64 + CW_DOCKER_MAX_NAME);
    cw_str_addf(&path, "/containers/%s/%s", s->target, verb_of(s->cmd));
    return cw_docker_send(api,
                          &(struct docker_request){.method = "POST",
                                                   .path = cw_str_slice(&path),
                                                   .body = cw_slice_of(s->body),
                                                   .timeout_ms = api->limit_ms[s->cmd],
                                                   .max_answer = CW_DOCKER_SMALL_ANSWER},
                          on_verb, s);
}

/* body: NULL for those that have none. */
static struct cw_driver_call *start_verb_with(struct cw_driver *d, enum docker_cmd cmd,
                                              const char *id, CW_TAKES char *body,
                                              cw_driver_done_fn *fn, void *arg)
{
    struct simple *s = simple_new(d, cmd, arg);

    s->fn.done = fn;
    s->body = body;
    cw_defer_init(&s->refuse, s->call.docker->api.loop, on_simple_refused, s);
    if (cw_docker_check_name(id, "container id", &s->refusal) != 0) {
        cw_defer_post(&s->refuse);
        return &s->call;
    }
    s->target = cw_strdup(id);
    s->begun_us = cw_docker_begin(&s->call.docker->api, cmd);
    s->call.http = cmd == DOCKER_RM ? cw_docker_send_removal(s->call.docker, s->target, on_verb, s)
                                    : send_verb(s);
    return &s->call;
}

static struct cw_driver_call *start_verb(struct cw_driver *d, enum docker_cmd cmd, const char *id,
                                         cw_driver_done_fn *fn, void *arg)
{
    return start_verb_with(d, cmd, id, NULL, fn, arg);
}

static struct cw_driver_call *docker_update(struct cw_driver *d, const char *id,
                                            const struct cw_driver_limits *limits,
                                            cw_driver_done_fn *fn, void *arg)
{
    return start_verb_with(d, DOCKER_UPDATE, id, cw_docker_encode_limits(limits), fn, arg);
}

static struct cw_driver_call *docker_pause(struct cw_driver *d, const char *id,
                                           cw_driver_done_fn *fn, void *arg)
{
    struct cw_driver_call *call =
        cw_docker_freeze(CW_CONTAINER_OF(d, struct docker, base), id, fn, arg);

    return call ? call : start_verb(d, DOCKER_PAUSE, id, fn, arg);
}

static struct cw_driver_call *docker_resume(struct cw_driver *d, const char *id,
                                            cw_driver_done_fn *fn, void *arg)
{
    struct cw_driver_call *call =
        cw_docker_thaw(CW_CONTAINER_OF(d, struct docker, base), id, fn, arg);

    return call ? call : start_verb(d, DOCKER_UNPAUSE, id, fn, arg);
}

static struct cw_driver_call *docker_remove(struct cw_driver *d, const char *id,
                                            cw_driver_done_fn *fn, void *arg)
{
    return start_verb(d, DOCKER_RM, id, fn, arg);
}

/* ---- list ---- */

static void list_done(struct simple *s, const struct cw_owned_container *list, size_t count,
                      const struct cw_err *err)
{
    cw_listed_fn *fn = s->fn.listed;
    void *arg = s->arg;

    cw_docker_call_end(&s->call);
    fn(arg, list, count, err);
}

static void on_list_refused(void *arg)
{
    struct simple *s = arg;
    struct cw_err err = s->refusal;

    list_done(s, NULL, 0, &err);
}

static void on_listed(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct simple *s = arg;
    struct cw_err err;
    cw_auto_json json_t *doc = NULL;
    cw_auto_free struct cw_owned_container *list = NULL;
    size_t count = 0;
    bool ok = cw_docker_judge(reply, http_err, 200, "list", s->target, &err) == 0 &&
              cw_docker_decode_list(reply->body, s->target, &list, &count, &doc, &err) == 0;

    simple_answered(s, ok);
    list_done(s, list, count, ok ? NULL : &err);
}

static struct cw_http_call *send_list(struct simple *s)
{
    struct docker_api *api = &s->call.docker->api;
    cw_auto_str struct cw_str filter;
    cw_auto_str struct cw_str path;

    cw_str_init(&filter, 4 * CW_DOCKER_MAX_NAME + 64); /* escaped for the regex and for JSON */
    cw_str_init(&path, 12 * CW_DOCKER_MAX_NAME + 256);
    cw_docker_name_filter(s->target, &filter);
    cw_str_addz(&path, "/containers/json?all=true&filters=");
    cw_url_encode(&path, cw_str_slice(&filter));
    return cw_docker_send(api,
                          &(struct docker_request){.method = "GET",
                                                   .path = cw_str_slice(&path),
                                                   .timeout_ms = api->limit_ms[DOCKER_PS],
                                                   .max_answer = CW_DOCKER_LIST_ANSWER},
                          on_listed, s);
}

static struct cw_driver_call *docker_list(struct cw_driver *d, const char *name_prefix,
                                          cw_listed_fn *fn, void *arg)
{
    struct simple *s = simple_new(d, DOCKER_PS, arg);

    s->fn.listed = fn;
    cw_defer_init(&s->refuse, s->call.docker->api.loop, on_list_refused, s);
    /* An empty prefix would be everybody's containers. */
    if (cw_docker_check_name(name_prefix, "name prefix", &s->refusal) != 0) {
        cw_defer_post(&s->refuse);
        return &s->call;
    }
    s->target = cw_strdup(name_prefix);
    s->begun_us = cw_docker_begin(&s->call.docker->api, DOCKER_PS);
    s->call.http = send_list(s);
    return &s->call;
}

/* ---- check ---- */

static void on_version(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct simple *s = arg;
    struct docker_api *api = &s->call.docker->api;
    char version[CW_DOCKER_VERSION_LEN];
    struct cw_err err;
    bool ok = cw_docker_judge(reply, http_err, 200, "version at",
                              api->socket_path ? api->socket_path : api->base, &err) == 0 &&
              cw_docker_decode_version(reply->body, version, &err) == 0;

    if (ok)
        (void)snprintf(api->prefix, sizeof(api->prefix), "/v%s", version);
    simple_answered(s, ok);
    simple_done(s, ok ? NULL : &err);
}

static struct cw_driver_call *docker_check(struct cw_driver *d, cw_driver_done_fn *fn, void *arg)
{
    struct simple *s = simple_new(d, DOCKER_VERSION, arg);
    struct docker_api *api = &s->call.docker->api;

    s->fn.done = fn;
    cw_defer_init(&s->refuse, api->loop, on_simple_refused, s);
    s->begun_us = cw_docker_begin(api, DOCKER_VERSION);
    s->call.http =
        cw_docker_send(api,
                       &(struct docker_request){.method = "GET",
                                                .path = CW_SLICE("/version"),
                                                .timeout_ms = api->limit_ms[DOCKER_VERSION],
                                                .max_answer = CW_DOCKER_SMALL_ANSWER,
                                                .unversioned = true},
                       on_version, s);
    return &s->call;
}

/* ---- the driver ---- */

static void docker_cancel(struct cw_driver *d, struct cw_driver_call *call)
{
    (void)d;
    if (call->abandon)
        call->abandon(call);
    else
        cw_docker_call_end(call);
}

static size_t docker_busy(const struct cw_driver *d)
{
    return CW_CONTAINER_OF(d, struct docker, base)->background.count;
}

static void end_all(struct cw_list *list)
{
    struct cw_link *n;

    while ((n = cw_list_first(list)))
        cw_docker_call_end(CW_LIST_ENTRY(n, struct cw_driver_call, link));
}

static void docker_free(struct cw_driver *d)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);

    end_all(&docker->calls);
    end_all(&docker->background);
    cw_http_free(docker->streams);
    cw_docker_api_done(&docker->api);
    cw_docker_flags_free(docker->flags);
    cw_docker_config_done(&docker->config);
    free(docker->cluster);
    free(docker->probe_path);
    free(docker);
}

static const struct cw_driver_ops DOCKER_OPS = {
    .name = "docker",
    .create = cw_docker_create,
    .pause = docker_pause,
    .resume = docker_resume,
    .update = docker_update,
    .remove = docker_remove,
    .was_oom_killed = cw_docker_was_oom_killed,
    .list = docker_list,
    .output = cw_docker_output,
    .hold_output = cw_docker_hold_output,
    .watch = cw_docker_watch,
    .check = docker_check,
    .cancel = docker_cancel,
    .busy = docker_busy,
    .hurry = cw_docker_hurry,
    .free = docker_free,
};

struct cw_driver *cw_docker_driver_new(struct cw_loop *loop, struct cw_http *http,
                                       const struct cw_docker_conf *conf, struct cw_err *err)
{
    struct docker *docker = cw_alloc(sizeof(*docker));

    docker->flags = cw_docker_flags_parse(conf->run_flags, err);
    if (!docker->flags || cw_docker_api_init(&docker->api, loop, http, conf, err) != 0) {
        cw_docker_flags_free(docker->flags);
        free(docker);
        return NULL;
    }
    cw_docker_config_init(&docker->config, conf->config_folder, conf->warn, conf->warn_arg);
    cw_docker_config_refresh(&docker->config); /* to tell at start what is wrong with it */
    docker->cluster = cw_strdup(conf->cluster);
    if (conf->cluster)
        cw_docker_flags_add_label(docker->flags, CW_LABEL_CLUSTER, conf->cluster);
    for (const char *const *l = conf->labels; l && l[0]; l += 2)
        cw_docker_flags_add_label(docker->flags, l[0], l[1]);
    docker->base.ops = &DOCKER_OPS;
    docker->parallel_creates = conf->parallel_creates;
    docker->patience_ms = conf->patience_ms;
    docker->oom_kills = conf->oom_kills;
    docker->oom_kills_arg = conf->oom_kills_arg;
    docker->freezer = conf->freezer;
    docker->probe_path = cw_strdup(conf->probe_path);
    docker->probe_port = conf->probe_port;
    docker->warn = conf->warn;
    docker->warn_arg = conf->warn_arg;
    docker->on_moment = conf->on_moment;
    docker->on_moment_arg = conf->on_moment_arg;
    cw_list_init(&docker->calls);
    cw_list_init(&docker->background);
    cw_list_init(&docker->pulls);
    cw_list_init(&docker->waiting);
    return &docker->base;
}
