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

#include "common/driver/docker_answer.h"
#include "common/driver/docker_priv.h"
#include "common/driver/docker_probe.h"
#include "common/driver/docker_spec.h"

enum create_step {
    STEP_REFUSED,
    STEP_PULL,
    STEP_QUEUED,
    STEP_IMAGE,
    STEP_CREATE,
    STEP_LOOK,
    STEP_EVICT,
    STEP_START,
    STEP_INSPECT
};
enum {
    ACTION_PORT = 8080,
    NOT_FOUND_STATUS = 127,
    ERROR_TEXT_LEN = 1024,
    EVICT_FIRST_MS = 50,
    EVICT_MAX_MS = 500,
    EVICT_LIMIT_US = 20 * 1000000,
    FIRST_AGAIN_MS = 100,
    MAX_AGAIN_MS = 1000,
};

struct create {
    struct cw_driver_call call;
    enum create_step step;
    bool abandoned, pull_tried, pull_failed, evicted, unreached;
    struct docker_pull_wait pull;
    struct docker_slot slot;
    struct cw_defer refuse;              /* for a spec that cannot be sent */
    struct cw_timer again;               /* the step is tried once more */
    int64_t evict_ms, evict_until_us;    /* 0: the name was not found taken yet */
    int64_t again_ms, patience_until_us; /* 0: it has not failed yet for an engine out of reach */
    struct cw_err refusal;
    enum cw_pull_policy policy;
    char *name, *image, *network;
    struct cw_str body, probed;              /* probed: the same with a probe; empty: without */
    char probe_token[33];                    /* "": no probe is wanted */
    char id[65];                             /* "" before the engine has named it */
    int64_t deadline_us, begun_us, asked_us; /* asked: wall clock */
    cw_created_fn *fn;
    void *arg;
};

static void send_image(struct create *c);
static void send_create(struct create *c);
static void start_pull(struct create *c);

/* ---- the queue ---- */

static void on_slot(struct docker_slot *slot)
{
    struct create *c = CW_CONTAINER_OF(slot, struct create, slot);
    struct docker *docker = c->call.docker;

    c->deadline_us = cw_loop_mono_us(docker->api.loop) + docker->api.limit_ms[DOCKER_RUN] * 1000;
    c->begun_us = cw_docker_begin(&docker->api, DOCKER_RUN);
    cw_str_reset(&c->probed);
    if (c->probe_token[0] && docker->probe_path)
        send_image(c);
    else
        send_create(c);
}

static void enter_queue(struct create *c)
{
    c->step = STEP_QUEUED;
    cw_docker_slot_ask(c->call.docker, &c->slot);
}

/* ---- endings ---- */

static void create_free(struct cw_driver_call *call)
{
    struct create *c = CW_CONTAINER_OF(call, struct create, call);

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

static void retire(struct create *c)
{
    cw_docker_slot_leave(c->call.docker, &c->slot);
    cw_docker_call_end(&c->call);
}

/* unsure: the engine may have made the container although it did not say so. */
static void remove_leftover(struct create *c, bool unsure)
{
    if (c->id[0])
        cw_docker_clean_up(c->call.docker, c->id, false);
    else if (unsure)
        cw_docker_clean_up(c->call.docker, c->name, true);
}

/* The engine would not be there for them either. */
static void refuse_queued(struct docker *docker, const struct cw_err *err)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&docker->waiting))) {
        struct create *c = CW_LIST_ENTRY(n, struct create, slot.link);

        c->step = STEP_REFUSED;
        c->unreached = true;
        c->refusal = *err;
        cw_defer_post(&c->refuse);
    }
}

static void fail(struct create *c, enum cw_create_failure failure, const struct cw_err *err)
{
    struct cw_err copy = *err; /* may live in c */
    bool abandoned = c->abandoned;
    cw_created_fn *fn = c->fn;
    void *arg = c->arg;

    if (failure == CW_CREATE_PLATFORM && c->unreached) {
        failure = CW_CREATE_AWAY;
        refuse_queued(c->call.docker, &copy);
    }
    retire(c);
    if (!abandoned)
        fn(arg, NULL, failure, &copy);
}

/* A step before INSPECT failed: it counts as a failed run. */
static void fail_run(struct create *c, enum cw_create_failure failure, const struct cw_err *err)
{
    cw_docker_end(&c->call.docker->api, DOCKER_RUN, c->begun_us, false);
    fail(c, failure, err);
}

static void succeed(struct create *c, const struct cw_docker_inspect *seen)
{
    struct cw_container made = {.port = ACTION_PORT};
    cw_created_fn *fn = c->fn;
    void *arg = c->arg;

    memcpy(made.id, c->id, sizeof(made.id));
    memcpy(made.address, seen->address, sizeof(made.address));
    memcpy(made.log_path, seen->log_path, sizeof(made.log_path));
    if (c->probed.n) {
        made.probe_port = c->call.docker->probe_port;
        memcpy(made.probe_token, c->probe_token, sizeof(made.probe_token));
    }
    retire(c);
    fn(arg, &made, CW_CREATE_PLATFORM, NULL);
}

static int64_t run_ms_left(const struct create *c)
{
    int64_t left_us = c->deadline_us - cw_loop_mono_us(c->call.docker->api.loop);

    return left_us < 1000 ? 1 : left_us / 1000;
}

/* ---- an engine out of reach ---- */

/* It is restarted, perhaps: the step is tried again for a while. That is safe. A container that a
 * lost answer spoke of is found under its name, and evicted; one that runs is not started again. */
static bool try_again(struct create *c, const struct cw_err *http_err)
{
    const struct docker *docker = c->call.docker;
    int64_t now_us = cw_loop_mono_us(docker->api.loop);

    cw_docker_out_of_reach(c->call.docker, http_err);
    c->unreached = http_err && http_err->code == CW_UNAVAILABLE;
    if (!c->unreached || c->abandoned)
        return false;
    if (!c->patience_until_us) {
        c->patience_until_us = now_us + docker->patience_ms * 1000;
        c->again_ms = FIRST_AGAIN_MS;
    }
    if (now_us + c->again_ms * 1000 >= c->patience_until_us ||
        now_us + c->again_ms * 1000 >= c->deadline_us)
        return false;
    cw_timer_set_ms(&c->again, c->again_ms);
    c->again_ms = c->again_ms * 2 < MAX_AGAIN_MS ? c->again_ms * 2 : MAX_AGAIN_MS;
    return true;
}

/* ---- INSPECT ---- */

static int check_state(const struct create *c, const struct cw_docker_inspect *seen,
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
    struct create *c = arg;
    enum cw_create_failure failure = CW_CREATE_PLATFORM;
    struct cw_docker_inspect seen;
    struct cw_err err;
    bool decoded = cw_docker_judge(reply, http_err, 200, "inspect", c->name, &err) == 0 &&
                   cw_docker_decode_inspect(reply->body, c->network, &seen, &err) == 0;

    c->call.http = NULL;
    cw_docker_end(&c->call.docker->api, DOCKER_INSPECT, c->begun_us, decoded);
    if (try_again(c, http_err))
        return;
    if (decoded && check_state(c, &seen, &err) == 0) {
        succeed(c, &seen);
        return;
    }
    if (decoded && !seen.running && seen.exit_code == NOT_FOUND_STATUS)
        failure = CW_CREATE_EXECUTABLE;
    remove_leftover(c, false);
    fail(c, failure, &err);
}

static void send_inspect(struct create *c)
{
    struct docker *docker = c->call.docker;

    c->step = STEP_INSPECT;
    c->begun_us = cw_docker_begin(&docker->api, DOCKER_INSPECT);
    c->call.http = cw_docker_send_inspect(docker, c->id, docker->api.limit_ms[DOCKER_INSPECT],
                                          on_inspected, c);
}

/* ---- START ---- */

static enum cw_create_failure start_failure(const struct cw_http_reply *reply)
{
    char text[ERROR_TEXT_LEN];

    if (!reply || reply->status < 400)
        return CW_CREATE_PLATFORM;
    cw_docker_error_text(reply->body, text, sizeof(text));
    return cw_docker_is_missing_executable(text) ? CW_CREATE_EXECUTABLE : CW_CREATE_PLATFORM;
}

static void on_started(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct create *c = arg;
    struct cw_err err;
    bool runs_already = reply && reply->status == 304; /* by a try whose answer was lost */
    bool ok = runs_already || cw_docker_judge(reply, http_err, 204, "start", c->name, &err) == 0;

    c->call.http = NULL;
    if (!ok && try_again(c, http_err))
        return;
    if (!ok) {
        remove_leftover(c, false);
        fail_run(c, start_failure(reply), &err);
        return;
    }
    cw_docker_end(&c->call.docker->api, DOCKER_RUN, c->begun_us, true);
    if (c->abandoned) {
        remove_leftover(c, false);
        retire(c);
        return;
    }
    send_inspect(c);
}

static void send_start(struct create *c)
{
    char path[64 + sizeof(c->id)];

    c->step = STEP_START;
    cw_docker_tell_moment(c->call.docker, CW_MOMENT_ASK_START, c->id, c->name,
                          cw_docker_wall_us(c->call.docker));
    (void)snprintf(path, sizeof(path), "/containers/%s/start", c->id);
    c->call.http = cw_docker_send(&c->call.docker->api,
                                  &(struct docker_request){.method = "POST",
                                                           .path = cw_slice_of(path),
                                                           .timeout_ms = run_ms_left(c),
                                                           .max_answer = CW_DOCKER_SMALL_ANSWER},
                                  on_started, c);
}

/* ---- LOOK, EVICT ---- */

static void on_evicted(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct create *c = arg;
    struct cw_err err;
    bool ok = cw_docker_judge_removal(reply, http_err, c->name, &err) == 0;

    c->call.http = NULL;
    if (!ok && try_again(c, http_err))
        return;
    if (ok && !c->abandoned) {
        send_create(c);
        return;
    }
    if (ok)
        (void)cw_fail(&err, CW_CANCELLED, "docker: create %.80s: cancelled", c->name);
    fail_run(c, CW_CREATE_PLATFORM, &err);
}

static void send_evict(struct create *c)
{
    c->step = STEP_EVICT;
    c->evicted = true;
    c->call.http = cw_docker_send_removal(c->call.docker, c->name, on_evicted, c);
}

/* Whoever left it may have left it frozen, and groups are found by ids. */
static void thaw_holder(const struct create *c, const struct cw_http_reply *inspected)
{
    const struct cw_docker_freezer *freezer = &c->call.docker->freezer;
    char id[sizeof(c->id)];

    if (freezer->release && cw_docker_decode_created(inspected->body, id, NULL) == 0)
        freezer->release(freezer->arg, id);
}

static void on_looked(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct create *c = arg;
    bool gone = reply && reply->status == 404;
    struct cw_err err;
    int rc = gone ? 0 : cw_docker_judge(reply, http_err, 200, "inspect", c->name, &err);

    c->call.http = NULL;
    if (try_again(c, http_err))
        return;
    if (rc == 0 && reply && !gone)
        rc = cw_docker_check_cluster(reply->body, c->call.docker->cluster, &err);
    if (rc == 0 && !c->abandoned) {
        if (reply && !gone)
            thaw_holder(c, reply);
        send_evict(c);
        return;
    }
    if (rc == 0)
        (void)cw_fail(&err, CW_CANCELLED, "docker: create %.80s: cancelled", c->name);
    else
        (void)cw_err_wrap(&err, "docker: the name %.80s is taken", c->name);
    fail_run(c, CW_CREATE_PLATFORM, &err);
}

/* Its holder was removed, and yet the name is taken: somebody else, a predecessor mostly, had begun
 * to remove it, and the engine has not finished that. */
static bool wait_for_name(struct create *c)
{
    int64_t now_us = cw_loop_mono_us(c->call.docker->api.loop);

    if (!c->evict_until_us) {
        c->evict_until_us = now_us + EVICT_LIMIT_US;
        c->evict_ms = EVICT_FIRST_MS;
    }
    if (now_us >= c->evict_until_us || now_us + c->evict_ms * 1000 >= c->deadline_us)
        return false;
    c->step = c->call.docker->cluster ? STEP_LOOK : STEP_EVICT;
    cw_timer_set_ms(&c->again, c->evict_ms);
    c->evict_ms = c->evict_ms * 2 < EVICT_MAX_MS ? c->evict_ms * 2 : EVICT_MAX_MS;
    return true;
}

/* The name is taken: by whom? */
static void send_look(struct create *c)
{
    c->step = STEP_LOOK;
    c->evicted = true;
    c->call.http = cw_docker_send_inspect(c->call.docker, c->name, run_ms_left(c), on_looked, c);
}

/* The name is taken. false: it stays so. */
static bool free_name(struct create *c)
{
    if (c->evicted)
        return wait_for_name(c);
    if (c->call.docker->cluster)
        send_look(c);
    else
        send_evict(c);
    return true;
}

/* ---- CREATE ---- */

/* Other things than images can be missing: networks, volumes' plugins. */
static bool lacks_image(const struct cw_http_reply *reply)
{
    char text[ERROR_TEXT_LEN];

    if (!reply || reply->status != 404)
        return false;
    cw_docker_error_text(reply->body, text, sizeof(text));
    return cw_docker_is_missing_image(text);
}

static void create_failed(struct create *c, const struct cw_http_reply *reply,
                          const struct cw_err *err)
{
    bool no_image = lacks_image(reply);

    remove_leftover(c, cw_docker_is_unsure(reply));
    fail_run(c, no_image && c->pull_failed ? CW_CREATE_PULL : CW_CREATE_PLATFORM, err);
}

static bool name_is_taken(const struct cw_http_reply *reply)
{
    char text[ERROR_TEXT_LEN];

    if (!reply || reply->status < 400)
        return false;
    cw_docker_error_text(reply->body, text, sizeof(text));
    return cw_docker_is_name_taken(reply->status, text);
}

static void pull_missing(struct create *c)
{
    cw_docker_end(&c->call.docker->api, DOCKER_RUN, c->begun_us, false);
    cw_docker_slot_leave(c->call.docker, &c->slot);
    start_pull(c);
}

static void on_created(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct create *c = arg;
    struct cw_err err;
    bool ok = cw_docker_judge(reply, http_err, 201, "create", c->name, &err) == 0 &&
              cw_docker_decode_created(reply->body, c->id, &err) == 0;

    c->call.http = NULL;
    if (!ok && try_again(c, http_err))
        return;
    if (!ok && !c->abandoned && name_is_taken(reply) && free_name(c))
        return;
    if (ok)
        cw_docker_tell_moment(c->call.docker, CW_MOMENT_ASK_CREATE, c->id, c->name, c->asked_us);
    if (ok && !c->abandoned) {
        send_start(c);
        return;
    }
    if (!ok && !c->abandoned && cw_docker_probe_given_up(c->call.docker, reply, &c->probed)) {
        send_create(c);
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

static void send_create(struct create *c)
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
                                 .timeout_ms = run_ms_left(c),
                                 .max_answer = CW_DOCKER_SMALL_ANSWER},
        on_created, c);
}

/* ---- IMAGE ---- */

/* Whatever is wrong with the image, the create will say. */
static void on_image(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct create *c = arg;

    c->call.http = NULL;
    if (try_again(c, http_err))
        return;
    if (reply && reply->status == 200)
        cw_docker_probe_into(c->call.docker, c->probe_token, cw_str_slice(&c->body), reply->body,
                             &c->probed);
    send_create(c);
}

static void send_image(struct create *c)
{
    c->step = STEP_IMAGE;
    c->call.http =
        cw_docker_send_image_inspect(c->call.docker, c->image, run_ms_left(c), on_image, c);
    if (!c->call.http)
        send_create(c);
}

/* ---- PULL ---- */

static void on_pulled(struct docker_pull_wait *wait, const struct cw_err *err)
{
    struct create *c = CW_CONTAINER_OF(wait, struct create, pull);

    c->pull_failed = err != NULL;
    c->unreached = wait->unreached;
    if (!err || c->policy == CW_PULL_TRY)
        enter_queue(c);
    else /* an engine out of reach is not the image's fault, nor is a missing image of ours */
        fail(c,
             err->code == CW_UNAVAILABLE || c->policy == CW_PULL_NEVER ? CW_CREATE_PLATFORM
                                                                       : CW_CREATE_PULL,
             err);
}

static void start_pull(struct create *c)
{
    c->step = STEP_PULL;
    c->pull_tried = true;
    cw_docker_pull_join(c->call.docker, c->image, &c->pull);
}

/* ---- the call ---- */

static void on_refused(void *arg)
{
    struct create *c = arg;

    fail(c, CW_CREATE_PLATFORM, &c->refusal);
}

static void on_again(void *arg)
{
    struct create *c = arg;

    switch (c->step) {
    case STEP_IMAGE:
        send_image(c);
        break;
    case STEP_CREATE:
        send_create(c);
        break;
    case STEP_LOOK:
        send_look(c);
        break;
    case STEP_EVICT:
        send_evict(c);
        break;
    case STEP_START:
        send_start(c);
        break;
    case STEP_INSPECT:
        send_inspect(c);
        break;
    case STEP_REFUSED:
    case STEP_PULL:
    case STEP_QUEUED:
        break;
    }
}

/* Between two tries no answer will come: what may be there is removed now. */
static bool abandon_between_tries(struct create *c)
{
    struct cw_err err = {0};

    if (!cw_timer_pending(&c->again))
        return false;
    (void)cw_fail(&err, CW_CANCELLED, "docker: create %.80s: cancelled", c->name);
    c->abandoned = true;
    remove_leftover(c, true);
    if (c->step == STEP_INSPECT)
        retire(c);
    else
        fail_run(c, CW_CREATE_PLATFORM, &err);
    return true;
}

static void abandon(struct cw_driver_call *call)
{
    struct create *c = CW_CONTAINER_OF(call, struct create, call);

    if (abandon_between_tries(c))
        return;

    switch (c->step) {
    case STEP_IMAGE:
        cw_docker_end(&call->docker->api, DOCKER_RUN, c->begun_us, false);
        retire(c);
        return;
    case STEP_CREATE:
    case STEP_LOOK:
    case STEP_EVICT:
    case STEP_START:
        c->abandoned = true;
        cw_docker_call_to_background(call);
        return;
    case STEP_INSPECT:
        remove_leftover(c, false);
        retire(c);
        return;
    case STEP_REFUSED:
    case STEP_PULL:
    case STEP_QUEUED:
        retire(c);
        return;
    }
}

struct cw_driver_call *cw_docker_create(struct cw_driver *d, const struct cw_container_spec *spec,
                                        cw_created_fn *fn, void *arg)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);
    struct create *c = cw_alloc(sizeof(*c));

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
