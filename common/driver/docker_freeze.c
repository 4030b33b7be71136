/* Freezing takes effect when the last process has stopped, mostly at once, so it is looked at again
 * in growing steps. What does not stop in time (a process in an uninterruptible wait) is thawed and
 * reported, as the engine does. Thawing has effect when the file is written; its answer only waits
 * for the next turn. */
#include "common/driver/docker_priv.h"

enum { FIRST_STEP_US = 200, MAX_STEP_US = 20000 };

struct freeze_call {
    struct cw_driver_call call;
    enum docker_cmd cmd;
    struct cw_timer again;  /* while freezing */
    struct cw_defer answer; /* to a thaw */
    char *id;
    int64_t begun_us, deadline_us, step_us;
    bool failed;
    struct cw_err err;
    cw_driver_done_fn *fn;
    void *arg;
};

static void freeze_free(struct cw_driver_call *call)
{
    struct freeze_call *f = CW_CONTAINER_OF(call, struct freeze_call, call);

    cw_timer_done(&f->again);
    cw_defer_cancel(&f->answer);
    free(f->id);
    free(f);
}

static void end(void *arg)
{
    struct freeze_call *f = arg;
    struct cw_err err = f->err;
    bool failed = f->failed;
    cw_driver_done_fn *fn = f->fn;
    void *fn_arg = f->arg;

    cw_docker_end(&f->call.docker->api, f->cmd, f->begun_us, !failed);
    cw_docker_call_end(&f->call);
    fn(fn_arg, failed ? &err : NULL);
}

static void give_up(struct freeze_call *f)
{
    const struct cw_docker_freezer *freezer = &f->call.docker->freezer;

    f->failed = true;
    (void)!freezer->thaw(freezer->arg, f->id, NULL);
    end(f);
}

static void look_again(void *arg)
{
    struct freeze_call *f = arg;
    const struct docker *docker = f->call.docker;
    int rc = docker->freezer.freeze(docker->freezer.arg, f->id);

    if (rc > 0) {
        end(f);
    } else if (rc < 0) {
        (void)cw_fail(&f->err, CW_NOT_FOUND, "freeze %.80s: its control group is gone", f->id);
        give_up(f);
    } else if (cw_loop_mono_us(docker->api.loop) >= f->deadline_us) {
        (void)cw_fail(&f->err, CW_TIMEOUT, "freeze %.80s: a process does not stop", f->id);
        give_up(f);
    } else {
        cw_timer_set_us(&f->again, f->step_us);
        f->step_us = f->step_us * 2 < MAX_STEP_US ? f->step_us * 2 : MAX_STEP_US;
    }
}

static struct freeze_call *freeze_new(struct docker *docker, enum docker_cmd cmd, const char *id,
                                      cw_driver_done_fn *fn, void *arg)
{
    struct freeze_call *f = cw_alloc(sizeof(*f));

    cw_docker_call_init(docker, &f->call, freeze_free);
    cw_timer_init(&f->again, docker->api.loop, look_again, f);
    cw_defer_init(&f->answer, docker->api.loop, end, f);
    f->cmd = cmd;
    f->id = cw_strdup(id);
    f->begun_us = cw_docker_begin(&docker->api, cmd);
    f->fn = fn;
    f->arg = arg;
    return f;
}

struct cw_driver_call *cw_docker_freeze(struct docker *docker, const char *id,
                                        cw_driver_done_fn *fn, void *arg)
{
    struct freeze_call *f;
    int rc = docker->freezer.freeze ? docker->freezer.freeze(docker->freezer.arg, id) : -1;

    if (rc < 0)
        return NULL;
    f = freeze_new(docker, DOCKER_PAUSE, id, fn, arg);
    f->deadline_us = f->begun_us + docker->api.limit_ms[DOCKER_PAUSE] * 1000;
    f->step_us = FIRST_STEP_US;
    if (rc > 0)
        cw_defer_post(&f->answer);
    else
        cw_timer_set_us(&f->again, f->step_us);
    return &f->call;
}

struct cw_driver_call *cw_docker_thaw(struct docker *docker, const char *id, cw_driver_done_fn *fn,
                                      void *arg)
{
    struct freeze_call *f;
    struct cw_err err = {0};
    int rc = docker->freezer.thaw ? docker->freezer.thaw(docker->freezer.arg, id, &err) : 0;

    if (rc == 0)
        return NULL;
    f = freeze_new(docker, DOCKER_UNPAUSE, id, fn, arg);
    f->failed = rc < 0;
    f->err = err;
    cw_defer_post(&f->answer);
    return &f->call;
}
