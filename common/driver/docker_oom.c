/* The engine hears of an out-of-memory kill from its runtime, some time after the connection to the
 * container broke, and possibly after it heard of the exit. So the state is polled: until the flag
 * is set, or the container has exited for another reason, or the time is up. (With cgroup v1 some
 * engines set the flag as well when only a child was killed; that is an OOM for users too.) */
#include "common/driver/docker_answer.h"
#include "common/driver/docker_priv.h"
#include "common/driver/docker_spec.h"

enum {
    FIRST_STEP_US = 5000,
    MAX_STEP_US = 50000,
    TOTAL_US = 2000000,
    AFTER_EXIT_US = 250000, /* exit by SIGKILL is known, the reason may follow */
    SIGKILL_STATUS = 137,
};

struct oom_call {
    struct cw_driver_call call;
    struct cw_timer next; /* also the way to answer for an id that cannot exist */
    char *id;             /* NULL: not a valid one */
    int64_t deadline_us, step_us, begun_us;
    bool exited;
    cw_oom_fn *fn;
    void *arg;
};

static void oom_free(struct cw_driver_call *call)
{
    struct oom_call *o = CW_CONTAINER_OF(call, struct oom_call, call);

    cw_timer_done(&o->next);
    free(o->id);
    free(o);
}

static void answer(struct oom_call *o, bool oom_killed)
{
    cw_oom_fn *fn = o->fn;
    void *arg = o->arg;

    cw_docker_call_end(&o->call);
    fn(arg, oom_killed);
}

static void note_exit(struct oom_call *o, int64_t now_us)
{
    if (!o->exited && now_us + AFTER_EXIT_US < o->deadline_us)
        o->deadline_us = now_us + AFTER_EXIT_US;
    o->exited = true;
}

static void on_inspected(void *arg, const struct cw_http_reply *reply,
                         const struct cw_err *http_err)
{
    struct oom_call *o = arg;
    int64_t now_us = cw_loop_mono_us(o->call.docker->api.loop);
    struct cw_docker_inspect state;
    struct cw_err err;
    bool ok = cw_docker_judge(reply, http_err, 200, "inspect", o->id, &err) == 0 &&
              cw_docker_decode_inspect(reply->body, "", &state, &err) == 0;

    o->call.http = NULL;
    cw_docker_out_of_reach(o->call.docker, http_err);
    cw_docker_end(&o->call.docker->api, DOCKER_INSPECT, o->begun_us, ok);
    if (!ok || state.oom_killed || (state.finished && state.exit_code != SIGKILL_STATUS)) {
        answer(o, ok && state.oom_killed);
        return;
    }
    if (state.finished)
        note_exit(o, now_us);
    if (now_us + o->step_us > o->deadline_us) {
        answer(o, false);
        return;
    }
    cw_timer_set_us(&o->next, o->step_us);
    o->step_us = o->step_us * 2 < MAX_STEP_US ? o->step_us * 2 : MAX_STEP_US;
}

/* The kernel's count tells at once, and also of a process that was not the main one: the engine
 * does not speak of those, though it is why the action did not answer. */
static bool kernel_knows(const struct oom_call *o)
{
    const struct docker *docker = o->call.docker;

    return docker->oom_kills && docker->oom_kills(docker->oom_kills_arg, o->id) > 0;
}

static void poll_state(void *arg)
{
    struct oom_call *o = arg;
    struct docker *docker = o->call.docker;
    int64_t left_ms = (o->deadline_us - cw_loop_mono_us(docker->api.loop)) / 1000;

    if (!o->id || left_ms <= 0) {
        answer(o, false);
        return;
    }
    if (kernel_knows(o)) {
        answer(o, true);
        return;
    }
    o->begun_us = cw_docker_begin(&docker->api, DOCKER_INSPECT);
    o->call.http = cw_docker_send_inspect(docker, o->id, left_ms, on_inspected, o);
}

struct cw_driver_call *cw_docker_was_oom_killed(struct cw_driver *d, const char *id, cw_oom_fn *fn,
                                                void *arg)
{
    struct docker *docker = CW_CONTAINER_OF(d, struct docker, base);
    struct oom_call *o = cw_alloc(sizeof(*o));

    cw_docker_call_init(docker, &o->call, oom_free);
    cw_timer_init(&o->next, docker->api.loop, poll_state, o);
    o->id = cw_docker_check_name(id, "container id", NULL) == 0 ? cw_strdup(id) : NULL;
    o->deadline_us = cw_loop_mono_us(docker->api.loop) + TOTAL_US;
    o->step_us = FIRST_STEP_US;
    o->fn = fn;
    o->arg = arg;
    cw_timer_set_us(&o->next, 0);
    return &o->call;
}
