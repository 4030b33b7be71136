/* Every callback of driver, action client and log collector stores what it brings and then moves
 * the state by one table, so that what may follow what is in one place. Jobs are either waiting
 * (not yet sent) or have a struct run. */
#include "invoker/container/container.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/http/action_client.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/container/container_priv.h"
#include "invoker/job.h"
#include "invoker/logs/log_collector.h"
#include "invoker/monitor/monitor.h"

enum {
    MAX_REMOVAL_TRIES = 6, /* 1, 2, 4… s apart: a minute */
    PROBE_WITHIN_MS = 1000,
};

static const char *const STATE_NAMES[CT_STATES] = {
    "creating", "standby",  "initializing", "running", "ready",    "pausing",
    "paused",   "resuming", "doomed",       "thawing", "removing",
};

/* FROM may be followed by the states whose bit is set. */
#define TO(s) (1u << (s))
static const unsigned FOLLOWS[CT_STATES] = {
    [CT_CREATING] = TO(CT_STANDBY) | TO(CT_INITIALIZING) | TO(CT_DOOMED) | TO(CT_REMOVING),
    [CT_STANDBY] = TO(CT_INITIALIZING) | TO(CT_DOOMED),
    [CT_INITIALIZING] = TO(CT_RUNNING) | TO(CT_DOOMED),
    [CT_RUNNING] = TO(CT_READY) | TO(CT_DOOMED),
    [CT_READY] = TO(CT_RUNNING) | TO(CT_PAUSING) | TO(CT_DOOMED),
    [CT_PAUSING] = TO(CT_PAUSED) | TO(CT_READY) | TO(CT_RESUMING) | TO(CT_DOOMED) | TO(CT_THAWING),
    [CT_PAUSED] = TO(CT_RESUMING) | TO(CT_THAWING) | TO(CT_REMOVING),
    [CT_RESUMING] = TO(CT_RUNNING) | TO(CT_DOOMED),
    [CT_DOOMED] = TO(CT_THAWING) | TO(CT_REMOVING),
    [CT_THAWING] = TO(CT_REMOVING),
};

const struct cw_tx *inv_ct_tx(const struct inv_container *c)
{
    struct cw_link *n = cw_list_first(&c->runs);

    if (n)
        return &CW_LIST_ENTRY(n, struct run, link)->job->msg->tx;
    n = cw_list_first(&c->waiting);
    return n ? &CW_LIST_ENTRY(n, struct inv_job, link)->msg->tx : NULL;
}

void inv_ct_set_state(struct inv_container *c, enum ct_state next)
{
    if (!(FOLLOWS[c->state] & TO(next))) {
        cw_log(CW_LOG_ERROR, inv_ct_tx(c), COMPONENT, "container %s: impossible step %s -> %s",
               c->name, STATE_NAMES[c->state], STATE_NAMES[next]);
        abort();
    }
    cw_log(CW_LOG_DEBUG, inv_ct_tx(c), COMPONENT, "container %s: %s -> %s", c->name,
           STATE_NAMES[c->state], STATE_NAMES[next]);
    c->state = next;
    inv_monitor_state(c->watched, STATE_NAMES[next], next == CT_PAUSED);
}

int64_t inv_ct_now_us(const struct inv_container *c)
{
    return cw_loop_mono_us(c->env->loop);
}

/* ---- the end of a container ---- */

static void free_container(void *obj)
{
    struct inv_container *c = obj;

    cw_timer_done(&c->timer);
    cw_timer_done(&c->death);
    cw_defer_cancel(&c->gone);
    cw_action_client_free(c->client);
    inv_log_source_free(c->log_source);
    cw_action_unref(c->action);
    free(c->name);
    free(c);
}

static void on_gone(void *arg)
{
    struct inv_container *c = arg;

    inv_monitor_forget(CW_STEAL(c->watched));
    c->env->events.on_gone(c->env->events.arg, c);
    cw_loop_bury(c->env->loop, c, free_container);
}

static void on_removed(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
    inv_ct_tell_command_end(c, err);
    if (!err) {
        on_gone(c);
    } else if (c->removal_tries < MAX_REMOVAL_TRIES) {
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "container %s is not removed yet, trying again: %s",
               c->name, err->msg);
        cw_timer_set_ms(&c->timer, INT64_C(1000) << c->removal_tries);
    } else {
        cw_log(CW_LOG_ERROR, NULL, COMPONENT, "container %s could not be removed and is left: %s",
               c->name, err->msg);
        on_gone(c);
    }
}

static void ask_remove(struct inv_container *c)
{
    c->removal_tries++;
    inv_ct_tell_command(c, "rm");
    c->driver_call = c->env->driver->ops->remove(c->env->driver, c->real.id, on_removed, c);
}

static void remove_now(struct inv_container *c)
{
    inv_ct_set_state(c, CT_REMOVING);
    if (c->real.id[0])
        ask_remove(c);
    else
        cw_defer_post(&c->gone);
}

static void on_thawed(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
    inv_ct_tell_command_end(c, err);
    if (err)
        cw_log(CW_LOG_DEBUG, NULL, COMPONENT, "container %s: resume before removal: %s", c->name,
               err->msg);
    remove_now(c);
}

static void thaw_and_remove(struct inv_container *c)
{
    cw_timer_stop(&c->timer);
    if (!c->maybe_paused || !c->env->driver->ops->resume) {
        remove_now(c);
        return;
    }
    inv_ct_set_state(c, CT_THAWING);
    inv_ct_tell_command(c, "unpause");
    c->driver_call = c->env->driver->ops->resume(c->env->driver, c->real.id, on_thawed, c);
}

static void tell_doomed(struct inv_container *c)
{
    if (c->told_doomed)
        return;
    c->told_doomed = true;
    cw_timer_stop(&c->timer);
    c->env->events.on_doomed(c->env->events.arg, c);
}

void inv_ct_close_to_jobs(struct inv_container *c)
{
    if (c->state != CT_DOOMED)
        inv_ct_set_state(c, CT_DOOMED);
    tell_doomed(c);
}

void inv_ct_doom(struct inv_container *c)
{
    struct cw_link *n;

    inv_ct_close_to_jobs(c);
    while (c->waiting.count) { /* from the back, since each goes to the head of the line */
        n = c->waiting.head.prev;
        cw_list_remove(&c->waiting, n);
        c->env->events.on_return(c->env->events.arg, c, CW_LIST_ENTRY(n, struct inv_job, link));
    }
    if (cw_list_empty(&c->runs))
        thaw_and_remove(c);
}

bool inv_ct_engine_was_away(const struct inv_container *c, int64_t since_us, bool unreached)
{
    const struct inv_container_events *events = &c->env->events;

    return events->engine_was_away(events->arg, since_us, unreached);
}

/* ---- creation ---- */

static const char *failure_text(const struct inv_container *c, enum cw_create_failure failure,
                                char *buf, size_t size)
{
    const char *image = c->action->image ? c->action->image : c->action->kind;

    if (failure == CW_CREATE_PULL)
        (void)snprintf(buf, size, "Failed to pull container image '%s'.", image);
    else if (failure == CW_CREATE_EXECUTABLE)
        (void)snprintf(buf, size, "executable file not found in image %s", image);
    else
        (void)snprintf(buf, size, "Failed to provision resources to run the action.");
    return buf;
}

/* Prewarmed ones have no job that could be told. */
static void fail_creation(struct inv_container *c, enum cw_status status, const char *text)
{
    struct cw_link *n = cw_list_pop_front(&c->waiting);
    struct inv_job *first = n ? CW_LIST_ENTRY(n, struct inv_job, link) : NULL;

    if (first) {
        inv_job_fail(first, status, text, cw_loop_wall_ms(c->env->loop));
        first->ended_in_container = true;
    }
    inv_ct_close_to_jobs(c);
    if (first) {
        inv_ct_abort_waiting(c, first);
        c->env->events.on_end(c->env->events.arg, c, first, INV_END_FAILED_START);
    }
    inv_ct_doom(c);
}

static bool is_json_file(const char *path)
{
    static const char END[] = "-json.log";
    size_t n = strlen(path);

    return n >= sizeof(END) - 1 && strcmp(path + n - (sizeof(END) - 1), END) == 0;
}

static int use_real_container(struct inv_container *c, const struct cw_container *real,
                              struct cw_err *err)
{
    c->real = *real;
    c->since_us = inv_ct_now_us(c);
    c->client = cw_action_client_new(c->env->loop, c->real.address, c->real.port, 0, err);
    if (!c->client)
        return -1;
    if (c->env->containers_dir)
        (void)snprintf(c->log_path, sizeof(c->log_path), "%s/%s/%s-json.log",
                       c->env->containers_dir, real->id, real->id);
    else if (is_json_file(real->log_path)) /* Podman's have another format */
        (void)snprintf(c->log_path, sizeof(c->log_path), "%s", real->log_path);
    c->log_source = inv_log_source_new(c->env->logs, c->log_path, real->id);
    c->watched = inv_monitor_watch(c->env->monitor, real->id, c->name, c->memory_bytes);
    inv_monitor_use_probe(c->watched, real);
    return 0;
}

/* With the first job in front of the waiting ones: its action is the container's from now on. */
static void adopt_and_init(struct inv_container *c)
{
    struct inv_job *first = CW_LIST_ENTRY(cw_list_first(&c->waiting), struct inv_job, link);

    if (!c->action)
        c->action = cw_action_ref(first->action);
    /* Images that are never pulled are the operator's own: native, also when a user names them. */
    c->sentinels = c->action->sentinelled_logs || (c->action->image && c->never_pulled);
    cw_action_client_keep(c->client, (unsigned)c->action->limits.concurrency);
    inv_monitor_adopt(c->watched, first->msg->user.namespace_name, c->action);
    inv_ct_set_state(c, CT_INITIALIZING);
    inv_ct_init(c);
}

static void stand_by(struct inv_container *c)
{
    inv_ct_set_state(c, CT_STANDBY);
    c->standby_us = inv_ct_now_us(c);
    if (c->env->health_check_ms > 0)
        cw_timer_set_ms(&c->timer, c->env->health_check_ms);
    cw_log(CW_LOG_INFO, NULL, COMPONENT, "container %s is prewarmed", c->name);
    c->env->events.on_standby(c->env->events.arg, c);
}

static void creation_failed(struct inv_container *c, enum cw_create_failure failure,
                            const struct cw_err *err)
{
    bool platform = failure == CW_CREATE_PLATFORM || failure == CW_CREATE_AWAY;
    enum cw_status status = platform ? CW_STATUS_WHISK_ERROR : CW_STATUS_DEVELOPER_ERROR;
    char text[600];

    if (platform && inv_ct_engine_was_away(c, c->command_begun_us, failure == CW_CREATE_AWAY)) {
        cw_log(CW_LOG_WARN, inv_ct_tx(c), COMPONENT,
               "container %s is not created while the engine is away: %s", c->name, err->msg);
        inv_ct_doom(c);
        return;
    }
    cw_log(CW_LOG_ERROR, inv_ct_tx(c), COMPONENT, "container %s could not be created: %s", c->name,
           err->msg);
    fail_creation(c, status, c->action ? failure_text(c, failure, text, sizeof(text)) : "");
}

static void on_created(void *arg, const struct cw_container *real, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    struct inv_container *c = arg;
    struct cw_err unusable = {0};

    c->driver_call = NULL;
    inv_ct_tell_command_end(c, err);
    if (err) {
        creation_failed(c, failure, err);
        return;
    }
    if (use_real_container(c, real, &unusable) != 0) {
        creation_failed(c, CW_CREATE_PLATFORM, &unusable);
        return;
    }
    if (c->env->events.on_created)
        c->env->events.on_created(c->env->events.arg, c);
    if (!c->action) {
        stand_by(c);
        return;
    }
    CW_LIST_ENTRY(cw_list_first(&c->waiting), struct inv_job, link)->at[INV_AT_CREATED] =
        inv_ct_now_us(c);
    adopt_and_init(c);
}

static void on_timer(void *arg);

static void ask_create(struct inv_container *c, const struct cw_container_spec *spec)
{
    struct cw_container_spec full = *spec;

    full.probe = inv_monitor_wants_probe(c->env->monitor);
    inv_ct_tell_command(c, "run");
    c->driver_call = c->env->driver->ops->create(c->env->driver, &full, on_created, c);
}

static struct inv_container *new_container(const struct inv_container_env *env,
                                           const struct cw_container_spec *spec, void *owner)
{
    struct inv_container *c = cw_alloc(sizeof(*c));

    c->env = env;
    c->owner = owner;
    c->name = cw_strdup(spec->name);
    c->never_pulled = spec->pull == CW_PULL_NEVER;
    c->memory_bytes = (uint64_t)spec->memory_mb << 20;
    cw_list_init(&c->waiting);
    cw_list_init(&c->runs);
    cw_timer_init(&c->timer, env->loop, on_timer, c);
    cw_timer_init(&c->death, env->loop, inv_ct_on_death, c);
    cw_defer_init(&c->gone, env->loop, on_gone, c);
    return c;
}

struct inv_container *inv_container_new(const struct inv_container_env *env,
                                        const struct cw_container_spec *spec, struct inv_job *first,
                                        void *owner)
{
    struct inv_container *c = new_container(env, spec, owner);

    c->action = cw_action_ref(first->action);
    cw_list_push_back(&c->waiting, &first->link);
    ask_create(c, spec);
    return c;
}

struct inv_container *inv_container_new_prewarmed(const struct inv_container_env *env,
                                                  const struct cw_container_spec *spec, void *owner)
{
    struct inv_container *c = new_container(env, spec, owner);

    ask_create(c, spec);
    return c;
}

/* ---- idling, freezing, waking ---- */

static void on_resumed(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
    inv_ct_tell_command_end(c, err);
    if (err) {
        cw_log(CW_LOG_WARN, inv_ct_tx(c), COMPONENT, "container %s could not be resumed: %s",
               c->name, err->msg);
        inv_ct_doom(c);
        return;
    }
    c->maybe_paused = false;
    inv_ct_set_state(c, CT_RUNNING);
    inv_ct_run_waiting(c);
}

static void resume(struct inv_container *c)
{
    inv_ct_set_state(c, CT_RESUMING);
    inv_ct_tell_command(c, "unpause");
    c->driver_call = c->env->driver->ops->resume(c->env->driver, c->real.id, on_resumed, c);
}

static void on_paused(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
    inv_ct_tell_command_end(c, err);
    if (err) {
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "container %s could not be paused: %s", c->name,
               err->msg);
        inv_ct_doom(c);
        return;
    }
    inv_ct_set_state(c, CT_PAUSED);
    if (!cw_list_empty(&c->waiting))
        resume(c);
    else if (c->told_doomed)
        thaw_and_remove(c);
    else
        cw_timer_set_ms(&c->timer, c->env->idle_ms);
}

/* ---- is a prewarmed one alive? ---- */

static void on_probed(void *arg, const struct cw_action_reply *reply)
{
    struct inv_container *c = arg;

    if (c->state != CT_STANDBY)
        return;
    if (reply->outcome == CW_ACTION_ANSWERED) {
        c->listened = true;
        c->health_fails = 0;
    } else if (reply->outcome != CW_ACTION_NOT_SENT) { /* that would be our own fault */
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "container %s does not take connections: %s", c->name,
               reply->why);
        c->health_fails++;
    }
    if (c->health_fails < c->env->health_check_fails) {
        cw_timer_set_ms(&c->timer, c->env->health_check_ms);
        return;
    }
    cw_log(CW_LOG_ERROR, NULL, COMPONENT, "container %s is dead and is replaced", c->name);
    cw_counter_add(c->env->dead_prewarmed, 1);
    inv_ct_doom(c);
}

static void probe(struct inv_container *c)
{
    (void)cw_action_probe(c->client, PROBE_WITHIN_MS, on_probed, c);
}

static void on_timer(void *arg)
{
    struct inv_container *c = arg;

    if (c->state == CT_REMOVING) {
        ask_remove(c);
    } else if (c->state == CT_STANDBY) {
        probe(c);
    } else if (c->state == CT_READY && c->env->driver->ops->pause) {
        inv_ct_set_state(c, CT_PAUSING);
        c->maybe_paused = true;
        cw_action_client_close_idle(c->client);
        inv_ct_tell_command(c, "pause");
        c->driver_call = c->env->driver->ops->pause(c->env->driver, c->real.id, on_paused, c);
    } else {
        inv_container_remove(c);
    }
}

void inv_ct_advance_idle(struct inv_container *c)
{
    if (c->state != CT_RUNNING)
        return;
    inv_ct_run_waiting(c);
    if (c->state == CT_RUNNING && cw_list_empty(&c->runs) && cw_list_empty(&c->waiting)) {
        inv_ct_set_state(c, CT_READY);
        c->idle_us = inv_ct_now_us(c);
        cw_timer_set_ms(&c->timer,
                        c->env->driver->ops->pause ? c->env->pause_grace_ms : c->env->idle_ms);
    }
}

void inv_container_add(struct inv_container *c, struct inv_job *job)
{
    switch (c->state) {
    case CT_STANDBY:
        cw_timer_stop(&c->timer);
        cw_list_push_back(&c->waiting, &job->link);
        adopt_and_init(c);
        break;
    case CT_READY:
        cw_timer_stop(&c->timer);
        inv_ct_set_state(c, CT_RUNNING);
        cw_list_push_back(&c->waiting, &job->link);
        inv_ct_run_waiting(c);
        break;
    case CT_RUNNING:
        cw_list_push_back(&c->waiting, &job->link);
        inv_ct_run_waiting(c);
        break;
    case CT_PAUSED:
        cw_timer_stop(&c->timer);
        cw_list_push_back(&c->waiting, &job->link);
        resume(c);
        break;
    default: /* creating, initializing, pausing, resuming: when that is over */
        cw_list_push_back(&c->waiting, &job->link);
        break;
    }
}

static void cancel_driver_call(struct inv_container *c)
{
    if (c->driver_call)
        c->env->driver->ops->cancel(c->env->driver, c->driver_call);
    c->driver_call = NULL;
}

void inv_container_remove(struct inv_container *c)
{
    bool prewarmed = c->state == CT_STANDBY || (c->state == CT_CREATING && !c->action);

    if (c->told_doomed)
        return;
    if (c->state == CT_PAUSED || c->state == CT_PAUSING) {
        tell_doomed(c);
        if (c->state == CT_PAUSED)
            thaw_and_remove(c);
    } else if (c->state == CT_READY || prewarmed) {
        cancel_driver_call(c); /* the engine removes what it was creating */
        inv_ct_doom(c);
    }
}

static void end_killed(struct inv_container *c, struct inv_job *job, enum inv_end how)
{
    if (how != INV_END_RAN)
        inv_job_stop(job, cw_loop_wall_ms(c->env->loop));
    job->ended_in_container = true;
    c->env->events.on_end(c->env->events.arg, c, job, how);
}

static void end_all_jobs(struct inv_container *c)
{
    struct cw_link *n;

    while ((n = cw_list_first(&c->runs))) {
        struct run *r = CW_LIST_ENTRY(n, struct run, link);
        struct inv_job *job = r->job;
        enum inv_end how = r->step == RUN_LOGS ? INV_END_RAN : INV_END_ABORTED;

        inv_ct_free_run(r);
        end_killed(c, job, how);
    }
    while ((n = cw_list_pop_front(&c->waiting)))
        end_killed(c, CW_LIST_ENTRY(n, struct inv_job, link), INV_END_ABORTED);
}

void inv_container_kill(struct inv_container *c, const char *why)
{
    if (c->state == CT_THAWING || c->state == CT_REMOVING)
        return;
    cw_log(CW_LOG_WARN, inv_ct_tx(c), COMPONENT, "container %s is ended: %s", c->name, why);
    if (c->state == CT_PAUSED || c->state == CT_PAUSING) {
        tell_doomed(c);
        end_all_jobs(c);
        if (c->state ==
            CT_PAUSED) /* otherwise when the engine has frozen it: it may do so at any moment */
            thaw_and_remove(c);
        return;
    }
    cancel_driver_call(c);
    inv_ct_close_to_jobs(c);
    end_all_jobs(c);
    thaw_and_remove(c);
}

const char *inv_container_id(const struct inv_container *c)
{
    return c->real.id;
}

int64_t inv_container_since_us(const struct inv_container *c)
{
    return c->since_us;
}

int64_t inv_container_idle_us(const struct inv_container *c)
{
    return c->idle_us;
}

void *inv_container_owner(const struct inv_container *c)
{
    return c->owner;
}

const struct cw_action *inv_container_action(const struct inv_container *c)
{
    return c->action;
}

const char *inv_container_name(const struct inv_container *c)
{
    return c->name;
}
