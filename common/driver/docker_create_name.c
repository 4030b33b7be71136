/* LOOK and EVICT: the name is taken, by a container that an earlier process left. */
#include "common/driver/docker_create_priv.h"

enum { EVICT_FIRST_MS = 50, EVICT_MAX_MS = 500, EVICT_LIMIT_US = 20 * 1000000 };

static void on_evicted(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct docker_create *c = arg;
    struct cw_err err;
    bool ok = cw_docker_judge_removal(reply, http_err, c->name, &err) == 0;

    c->call.http = NULL;
    if (!ok && docker_create_try_again(c, http_err))
        return;
    if (ok && !c->abandoned) {
        docker_create_send(c);
        return;
    }
    if (ok)
        (void)cw_fail(&err, CW_CANCELLED, "docker: create %.80s: cancelled", c->name);
    docker_create_fail_run(c, CW_CREATE_PLATFORM, &err);
}

void docker_create_send_evict(struct docker_create *c)
{
    c->step = STEP_EVICT;
    c->evicted = true;
    c->call.http = cw_docker_send_removal(c->call.docker, c->name, on_evicted, c);
}

/* Whoever left it may have left it frozen, and groups are found by ids. */
static void thaw_holder(const struct docker_create *c, const struct cw_http_reply *inspected)
{
    const struct cw_docker_freezer *freezer = &c->call.docker->freezer;
    char id[sizeof(c->id)];

    if (freezer->release && cw_docker_decode_created(inspected->body, id, NULL) == 0)
        freezer->release(freezer->arg, id);
}

static void on_looked(void *arg, const struct cw_http_reply *reply, const struct cw_err *http_err)
{
    struct docker_create *c = arg;
    bool gone = reply && reply->status == 404;
    struct cw_err err;
    int rc = gone ? 0 : cw_docker_judge(reply, http_err, 200, "inspect", c->name, &err);

    c->call.http = NULL;
    if (docker_create_try_again(c, http_err))
        return;
    if (rc == 0 && reply && !gone)
        rc = cw_docker_check_cluster(reply->body, c->call.docker->cluster, &err);
    if (rc == 0 && !c->abandoned) {
        if (reply && !gone)
            thaw_holder(c, reply);
        docker_create_send_evict(c);
        return;
    }
    if (rc == 0)
        (void)cw_fail(&err, CW_CANCELLED, "docker: create %.80s: cancelled", c->name);
    else
        (void)cw_err_wrap(&err, "docker: the name %.80s is taken", c->name);
    docker_create_fail_run(c, CW_CREATE_PLATFORM, &err);
}

/* Its holder was removed, and yet the name is taken: somebody else, a predecessor mostly, had begun
 * to remove it, and the engine has not finished that. */
static bool wait_for_name(struct docker_create *c)
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
void docker_create_send_look(struct docker_create *c)
{
    c->step = STEP_LOOK;
    c->evicted = true;
    c->call.http =
        cw_docker_send_inspect(c->call.docker, c->name, docker_create_ms_left(c), on_looked, c);
}

/* The name is taken. false: it stays so. */
bool docker_create_free_name(struct docker_create *c)
{
    if (c->evicted)
        return wait_for_name(c);
    if (c->call.docker->cluster)
        docker_create_send_look(c);
    else
        docker_create_send_evict(c);
    return true;
}
