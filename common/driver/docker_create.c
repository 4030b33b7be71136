/* A create is a row of requests, one after the other:
 *
 *   PULL -> QUEUED -> (IMAGE) -> CREATE -> START -> INSPECT -> (answer)
 *    ^                | |  ^
 *    '---- 404: ------' |  |   no such image, and no pull has been tried
 *                 409:  v  |   a container of that name is left from an earlier process
 *             LOOK -> EVICT    (LOOK: is it of our cluster? otherwise the create fails)
 *
 * An image that is not pulled by rule is pulled all the same when it is missing, as "docker run"
 * does. IMAGE asks what the image runs, for containers with a probe. A slot (docker_slots.c) is
 * held from CREATE to the end; pulls, which may take minutes, need none. CREATE to START share one
 * time limit, as stock's "docker run". Whatever the engine may have made by the time something
 * fails is handed to cw_docker_clean_up. A step that does not reach the engine is tried again for
 * the driver's patience. An abandoned create stays until the answer under way has come, since only
 * then it is known what is there to remove. */
#include <stdio.h>

#include "common/driver/docker_create_priv.h"
#include "common/driver/docker_probe.h"
#include "common/driver/docker_spec.h"

static void start_pull(struct docker_create *c);
static void send_image(struct docker_create *c);

/* ---- the queue ---- */

static void on_slot(struct docker_slot *slot)
{
    struct docker_create *c = CW_CONTAINER_OF(slot, struct docker_create, slot);
    struct docker *docker = c->call.docker;

    c->deadline_us = cw_loop_mono_us(docker->api.loop) + docker->api.limit_ms[DOCKER_RUN] * 1000;
    c->begun_us = cw_docker_begin(&docker->api, DOCKER_RUN);
    cw_str_reset(&c->probed);
    if (c->probe_token[0] && docker->probe_path)
        send_image(c);
    else
        docker_create_send(c);
}

static void enter_queue(struct docker_create *c)
{
    c->step = STEP_QUEUED;
    cw_docker_slot_ask(c->call.docker, &c->slot);
}

/* ---- endings ---- */

static void create_free(struct cw_driver_call *call)
{
    struct docker_create *c = CW_CONTAINER_OF(call, struct docker_create, call);

    cw_docker_pull_leave(&c->pull);
    if (cw_link_on_list(&c->slot.link))
        cw_list_remove(&call->docker->waiting, &c->slot.link);
    cw_defer_cancel(&c->refuse);
    cw_timer_done(&c->again);
    cw_str_done(&c->body);
    cw_str_done(&c->probed);
    free(c->name);
    free(c->image);
    free(c->network);
    free(c);
}

/* ---- CREATE ---- */

/* Other things than images can be missing: networks, volumes' plugins. */
static bool lacks_image(const struct cw_http_reply *reply)
{
    char text[CW_DOCKER_ERROR_TEXT_LEN];

    if (!reply || reply->status != 404)
        return false;
    cw_docker_error_text(reply->body, text, sizeof(text));
    return cw_docker_is_missing_image(text);
}

static void create_failed(struct docker_create *c, const struct cw_http_reply *reply,
                          const struct cw_err *err)
{
    bool no_image = lacks_image(reply);

    docker_create_remove_leftover(c, cw_docker_is_unsure(reply));
    docker_create_fail_run(c, no_image && c->pull_failed ? CW_CREATE_PULL : CW_CREATE_PLATFORM,
                           err);
}

static bool name_is_taken(const struct cw_http_reply *reply)
{
    char text[CW_DOCKER_ERROR_TEXT_LEN];

    if (!reply || reply->status < 400)
        return false;
    cw_docker_error_text(reply->body, text, sizeof(text));
    return cw_docker_is_name_taken(reply->status, text);
}

static void pull_missing(struct docker_create *c)
{
    cw_docker_end(&c->call.docker->api, DOCKER_RUN, c->begun_us, false);
    cw_docker_slot_leave(c->call.docker, &c->slot);
    start_pull(c);
}

static void on_created(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct docker_create *c = arg;
    struct cw_err err;
    bool ok = cw_docker_judge(reply, http_err, 201, "create", c->name, &err) == 0 &&
              cw_docker_decode_created(reply->body, c->id, &err) == 0;

    c->call.http = NULL;
    if (!ok && docker_create_try_again(c, http_err))
        return;
    if (!ok && !c->abandoned && name_is_taken(reply) && docker_create_free_name(c))
        return;
    if (ok)
        cw_docker_tell_moment(c->call.docker, CW_MOMENT_ASK_CREATE, c->id, c->name, c->asked_us);
    if (ok && !c->abandoned) {
        docker_create_send_start(c);
        return;
    }
    if (!ok && !c->abandoned && cw_docker_probe_given_up(c->call.docker, reply, &c->probed)) {
        docker_create_send(c);
        return;
    }
    if (!ok && !c->pull_tried && !c->abandoned && lacks_image(reply)) {
        pull_missing(c);
        return;
    }
    if (ok)
        (void)cw_fail(&err, CW_CANCELLED, "docker: create %.80s: cancelled", c->name);
    create_failed(c, reply, &err);
}

void docker_create_send(struct docker_create *c)
{
    cw_auto_str struct cw_str path;

    c->step = STEP_CREATE;
    c->asked_us = cw_docker_wall_us(c->call.docker);
    cw_str_init(&path, 64 + CW_DOCKER_MAX_NAME);
    cw_str_addf(&path, "/containers/create?name=%s", c->name);
    c->call.http = cw_docker_send(
        &c->call.docker->api,
        &(struct docker_request){.method = "POST",
                                 .path = cw_str_slice(&path),
                                 .body = cw_str_slice(c->probed.n ? &c->probed : &c->body),
                                 .timeout_ms = docker_create_ms_left(c),
                                 .max_answer = CW_DOCKER_SMALL_ANSWER},
        on_created, c);
}

/* ---- IMAGE ---- */

/* Whatever is wrong with the image, the create will say. */
static void on_image(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct docker_create *c = arg;

    c->call.http = NULL;
    if (docker_create_try_again(c, http_err))
        return;
    if (reply && reply->status == 200)
        cw_docker_probe_into(c->call.docker, c->probe_token, cw_str_slice(&c->body), reply->body,
                             &c->probed);
    docker_create_send(c);
}

static void send_image(struct docker_create *c)
{
    c->step = STEP_IMAGE;
    c->call.http = cw_docker_send_image_inspect(c->call.docker, c->image, docker_create_ms_left(c),
                                                on_image, c);
    if (!c->call.http)
        docker_create_send(c);
}

/* ---- PULL ---- */

static void on_pulled(struct docker_pull_wait *wait, const struct cw_err *err)
{
    struct docker_create *c = CW_CONTAINER_OF(wait, struct docker_create, pull);

    c->pull_failed = err != NULL;
    c->unreached = wait->unreached;
    if (!err || c->policy == CW_PULL_TRY)
        enter_queue(c);
    else /* an engine out of reach is not the image's fault, nor is a missing image of ours */
        docker_create_fail(c,
                           err->code == CW_UNAVAILABLE || c->policy == CW_PULL_NEVER
                               ? CW_CREATE_PLATFORM
                               : CW_CREATE_PULL,
                           err);
}

static void start_pull(struct docker_create *c)
{
    c->step = STEP_PULL;
    c->pull_tried = true;
    cw_docker_pull_join(c->call.docker, c->image, &c->pull);
}

/* ---- the call ---- */

static void on_refused(void *arg)
{
    struct docker_create *c = arg;

    docker_create_fail(c, CW_CREATE_PLATFORM, &c->refusal);
}

static void on_again(void *arg)
{
    struct docker_create *c = arg;

    switch (c->step) {
    case STEP_IMAGE:
        send_image(c);
        break;
    case STEP_CREATE:
        docker_create_send(c);
        break;
    case STEP_LOOK:
        docker_create_send_look(c);
        break;
    case STEP_EVICT:
        docker_create_send_evict(c);
        break;
    case STEP_START:
        docker_create_send_start(c);
        break;
    case STEP_INSPECT:
        docker_create_send_inspect(c);
        break;
    case STEP_REFUSED:
    case STEP_PULL:
    case STEP_QUEUED:
        break;
    }
}

/* Between two tries no answer will come: what may be there is removed now. */
static bool abandon_between_tries(struct docker_create *c)
{
    struct cw_err err = {0};

    if (!cw_timer_pending(&c->again))
        return false;
    (void)cw_fail(&err, CW_CANCELLED, "docker: create %.80s: cancelled", c->name);
    c->abandoned = true;
    docker_create_remove_leftover(c, true);
    if (c->step == STEP_INSPECT)
        docker_create_retire(c);
    else
        docker_create_fail_run(c, CW_CREATE_PLATFORM, &err);
    return true;
}

static void abandon(struct cw_driver_call *call)
{
    struct docker_create *c = CW_CONTAINER_OF(call, struct docker_create, call);

    if (abandon_between_tries(c))
        return;

    switch (c->step) {
    case STEP_IMAGE:
        cw_docker_end(&call->docker->api, DOCKER_RUN, c->begun_us, false);
        docker_create_retire(c);
        return;
    case STEP_CREATE:
    case STEP_LOOK:
    case STEP_EVICT:
    case STEP_START:
        c->abandoned = true;
        cw_docker_call_to_background(call);
        return;
    case STEP_INSPECT:
        docker_create_remove_leftover(c, false);
        docker_create_retire(c);
        return;
    case STEP_REFUSED:
    case STEP_PULL:
    case STEP_QUEUED:
        docker_create_retire(c);
        return;
    }
}

struct cw_driver_call *cw_docker_create(struct cw_driver *d, const struct cw_container_spec *spec,
                                        cw_created_fn *fn, void *arg)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);
    struct docker_create *c = cw_alloc(sizeof(*c));

    cw_docker_call_init(docker, &c->call, create_free);
    c->call.abandon = abandon;
    cw_defer_init(&c->refuse, docker->api.loop, on_refused, c);
    cw_timer_init(&c->again, docker->api.loop, on_again, c);
    cw_str_init(&c->body, CW_DOCKER_MAX_BODY);
    cw_str_init(&c->probed, CW_DOCKER_MAX_BODY);
    if (spec->probe)
        cw_docker_probe_token(c->probe_token);
    c->pull.fn = on_pulled;
    c->slot.fn = on_slot;
    c->policy = spec->pull;
    c->fn = fn;
    c->arg = arg;
    if (cw_docker_create_body(spec, docker->flags, &c->body, &c->refusal) != 0) {
        cw_defer_post(&c->refuse);
        return &c->call;
    }
    c->name = cw_strdup(spec->name);
    c->image = cw_strdup(spec->image);
    c->network = cw_strdup(spec->network ? spec->network : "bridge");
    if (c->policy == CW_PULL_NEVER) {
        enter_queue(c);
        return &c->call;
    }
    start_pull(c);
    return &c->call;
}
