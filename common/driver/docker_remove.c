/* Removals nobody waits for: what a failed or abandoned create left behind. After the last try the
 * container stays, which the caller's list() shows sooner or later. */
#include "common/driver/docker_answer.h"
#include "common/driver/docker_priv.h"
#include "common/driver/docker_spec.h"

enum {
    TRIES = 10,       /* some five minutes: an engine that restarts is back by then */
    TRIES_UNSURE = 3, /* when it may never have been there */
    FIRST_PAUSE_MS = 250,
    PAUSE_FACTOR = 4,
    LONGEST_PAUSE_MS = 60000,
};

struct clean_up {
    struct cw_driver_call call;
    struct cw_timer again;
    char *target;
    bool unsure;
    unsigned tries;
    int64_t pause_ms;
    int64_t begun_us;
};

struct cw_http_call *cw_docker_send_removal(struct docker *docker, const char *target,
                                            cw_http_fn *fn, void *arg)
{
    cw_auto_str struct cw_str path;

    cw_docker_tell_moment(docker, CW_MOMENT_ASK_DESTROY, target, NULL, cw_docker_wall_us(docker));
    if (docker->freezer.release) /* which takes names for what is not there */
        docker->freezer.release(docker->freezer.arg, target);
    cw_str_init(&path, 64 + CW_DOCKER_MAX_NAME);
    cw_str_addf(&path, "/containers/%s?force=true&v=true", target);
    return cw_docker_send(&docker->api,
                          &(struct docker_request){.method = "DELETE",
                                                   .path = cw_str_slice(&path),
                                                   .timeout_ms = docker->api.limit_ms[DOCKER_RM],
                                                   .max_answer = CW_DOCKER_SMALL_ANSWER},
                          fn, arg);
}

static void clean_up_free(struct cw_driver_call *call)
{
    struct clean_up *c = CW_CONTAINER_OF(call, struct clean_up, call);

    cw_timer_done(&c->again);
    free(c->target);
    free(c);
}

static void on_removed(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct clean_up *c = arg;
    struct cw_err err;
    bool ok = cw_docker_judge_removal(reply, http_err, c->target, &err) == 0;
    bool maybe_later = c->unsure && reply && reply->status == 404;

    c->call.http = NULL;
    cw_docker_end(&c->call.docker->api, DOCKER_RM, c->begun_us, ok);
    if ((ok && !maybe_later) || c->tries == (maybe_later ? TRIES_UNSURE : TRIES)) {
        cw_docker_call_end(&c->call);
        return;
    }
    cw_timer_set_ms(&c->again, c->pause_ms);
    c->pause_ms *= PAUSE_FACTOR;
    if (c->pause_ms > LONGEST_PAUSE_MS)
        c->pause_ms = LONGEST_PAUSE_MS;
}

static void attempt(void *arg)
{
    struct clean_up *c = arg;

    c->tries++;
    c->begun_us = cw_docker_begin(&c->call.docker->api, DOCKER_RM);
    c->call.http = cw_docker_send_removal(c->call.docker, c->target, on_removed, c);
}

void cw_docker_clean_up(struct docker *docker, const char *target, bool unsure)
{
    struct clean_up *c = cw_alloc(sizeof(*c));

    cw_docker_call_init(docker, &c->call, clean_up_free);
    cw_docker_call_to_background(&c->call);
    cw_timer_init(&c->again, docker->api.loop, attempt, c);
    c->target = cw_strdup(target);
    c->unsure = unsure;
    c->pause_ms = FIRST_PAUSE_MS;
    attempt(c);
}

void cw_docker_hurry(struct cw_driver *d)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);

    CW_LIST_EACH (&docker->background, n) {
        struct cw_driver_call *call = CW_LIST_ENTRY(n, struct cw_driver_call, link);
        struct clean_up *c = CW_CONTAINER_OF(call, struct clean_up, call);

        if (call->free != clean_up_free || call->http) /* a create, or one that is being tried */
            continue;
        c->pause_ms = FIRST_PAUSE_MS;
        cw_timer_set_ms(&c->again, 0);
    }
}
