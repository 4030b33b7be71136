/* How a create ends, and what is left then. */
#include "common/driver/docker_create_priv.h"

enum { FIRST_AGAIN_MS = 100, MAX_AGAIN_MS = 1000, ACTION_PORT = 8080 };

void docker_create_retire(struct docker_create *c)
{
    cw_docker_slot_leave(c->call.docker, &c->slot);
    cw_docker_call_end(&c->call);
}

void docker_create_remove_leftover(struct docker_create *c, bool unsure)
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
        struct docker_create *c = CW_LIST_ENTRY(n, struct docker_create, slot.link);

        c->step = STEP_REFUSED;
        c->unreached = true;
        c->refusal = *err;
        cw_defer_post(&c->refuse);
    }
}

void docker_create_fail(struct docker_create *c, enum cw_create_failure failure,
                        const struct cw_err *err)
{
    struct cw_err copy = *err; /* may live in c */
    bool abandoned = c->abandoned;
    cw_created_fn *fn = c->fn;
    void *arg = c->arg;

    if (failure == CW_CREATE_PLATFORM && c->unreached) {
        failure = CW_CREATE_AWAY;
        refuse_queued(c->call.docker, &copy);
    }
    docker_create_retire(c);
    if (!abandoned)
        fn(arg, NULL, failure, &copy);
}

void docker_create_fail_run(struct docker_create *c, enum cw_create_failure failure,
                            const struct cw_err *err)
{
    cw_docker_end(&c->call.docker->api, DOCKER_RUN, c->begun_us, false);
    docker_create_fail(c, failure, err);
}

void docker_create_succeed(struct docker_create *c, const struct cw_docker_inspect *seen)
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
    docker_create_retire(c);
    fn(arg, &made, CW_CREATE_PLATFORM, NULL);
}

int64_t docker_create_ms_left(const struct docker_create *c)
{
    int64_t left_us = c->deadline_us - cw_loop_mono_us(c->call.docker->api.loop);

    return left_us < 1000 ? 1 : left_us / 1000;
}

/* It is restarted, perhaps: the step is tried again for a while. That is safe. A container that a
 * lost answer spoke of is found under its name, and evicted; one that runs is not started again. */
bool docker_create_try_again(struct docker_create *c, const struct cw_err *http_err)
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
