/* Every callback of driver, action client and log collector stores what it brings and then moves
 * the state by one table, so that what may follow what is in one place. Jobs are either waiting
 * (not yet sent) or have a struct run. */
#include "invoker/container/container.h"

#include <stdio.h>

#include "common/base/err.h"
#include "common/http/action_client.h"
#include "common/loop/loop.h"
#include "common/model/action_call.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "invoker/job.h"
#include "invoker/logs/log_collector.h"

#define COMPONENT "ContainerProxy"

enum {
    RETRY_CONNECT_MS =
        2, /* stock polls each 50 ms; a refused connect on the bridge costs microseconds */
    CONNECT_WITHIN_MS =
        1000, /* the kernel answers for a listening container, however busy that is */
    MAX_RESCHEDULES = 3,
    MAX_REMOVAL_TRIES = 6, /* 1, 2, 4… s apart: a minute */
};

enum ct_state {
    CT_CREATING,
    CT_INITIALIZING,
    CT_RUNNING,
    CT_READY,
    CT_PAUSING,
    CT_PAUSED,
    CT_RESUMING,
    CT_DOOMED,  /* no new jobs; waits for those that run */
    CT_THAWING, /* resumed before removal: an engine can hang on removing a frozen container */
    CT_REMOVING,
    CT_STATES,
};

static const char *const STATE_NAMES[CT_STATES] = {
    "creating", "initializing", "running", "ready",   "pausing",
    "paused",   "resuming",     "doomed",  "thawing", "removing",
};

/* FROM may be followed by the states whose bit is set. */
#define TO(s) (1u << (s))
static const unsigned FOLLOWS[CT_STATES] = {
    [CT_CREATING] = TO(CT_INITIALIZING) | TO(CT_DOOMED) | TO(CT_REMOVING),
    [CT_INITIALIZING] = TO(CT_RUNNING) | TO(CT_DOOMED),
    [CT_RUNNING] = TO(CT_READY) | TO(CT_DOOMED),
    [CT_READY] = TO(CT_RUNNING) | TO(CT_PAUSING) | TO(CT_DOOMED),
    [CT_PAUSING] = TO(CT_PAUSED) | TO(CT_READY) | TO(CT_RESUMING) | TO(CT_DOOMED) | TO(CT_THAWING),
    [CT_PAUSED] = TO(CT_RESUMING) | TO(CT_THAWING),
    [CT_RESUMING] = TO(CT_RUNNING) | TO(CT_DOOMED),
    [CT_DOOMED] = TO(CT_THAWING) | TO(CT_REMOVING),
    [CT_THAWING] = TO(CT_REMOVING),
};

struct inv_container {
    const struct inv_container_env *env;
    void *owner;
    enum ct_state state;
    char *name;
    struct cw_container real; /* id is "" until created */
    char log_path[1024];
    bool sentinels;           /* its runtime marks the end of each activation's logs */
    struct cw_action *action; /* a reference */
    struct cw_action_client *client;
    struct inv_log_source *log_source;
    struct cw_driver_call *driver_call;
    struct cw_list waiting; /* struct inv_job */
    struct cw_list runs;    /* struct run */
    bool maybe_paused;      /* thaw before removal */
    bool used;              /* ran something before, so a refused connection means that it died */
    bool told_doomed;
    unsigned removal_tries;
    struct cw_timer timer; /* pause grace, then idle limit; between tries to remove */
    struct cw_defer gone;
};

enum run_step { RUN_INIT, RUN_RUN, RUN_OOM_CHECK, RUN_LOGS };

/* One job that was sent to the container. */
struct run {
    struct cw_link link;
    struct inv_container *c;
    struct inv_job *job;
    enum run_step step;
    bool initializing; /* the outcome being looked at is /init's */
    bool reused;       /* the container had been idle before: a refusal gives the job back */
    struct cw_call_body body;
    struct cw_action_call *call;
    struct cw_driver_call *oom_call;
    struct inv_log_call *log_call;
    struct cw_call_answer answer; /* kept over the check for out-of-memory; has no body then */
};

static void advance_idle(struct inv_container *c);
static void run_next(struct inv_container *c, struct inv_job *job);

static const struct cw_tx *tx_of(const struct inv_container *c)
{
    struct cw_link *n = cw_list_first(&c->runs);

    if (n)
        return &CW_LIST_ENTRY(n, struct run, link)->job->msg->tx;
    n = cw_list_first(&c->waiting);
    return n ? &CW_LIST_ENTRY(n, struct inv_job, link)->msg->tx : NULL;
}

/* The only place that assigns c->state. */
static void set_state(struct inv_container *c, enum ct_state next)
{
    if (!(FOLLOWS[c->state] & TO(next))) {
        cw_log(CW_LOG_ERROR, tx_of(c), COMPONENT, "container %s: impossible step %s -> %s", c->name,
               STATE_NAMES[c->state], STATE_NAMES[next]);
        abort();
    }
    cw_log(CW_LOG_DEBUG, tx_of(c), COMPONENT, "container %s: %s -> %s", c->name,
           STATE_NAMES[c->state], STATE_NAMES[next]);
    c->state = next;
}

static int64_t now_us(const struct inv_container *c)
{
    return cw_loop_mono_us(c->env->loop);
}

/* ---- the end of a container ---- */

static void free_container(void *obj)
{
    struct inv_container *c = obj;

    cw_timer_done(&c->timer);
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

    c->env->events.on_gone(c->env->events.arg, c);
    cw_loop_bury(c->env->loop, c, free_container);
}

static void on_removed(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
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
    c->driver_call = c->env->driver->ops->remove(c->env->driver, c->real.id, on_removed, c);
}

static void remove_now(struct inv_container *c)
{
    set_state(c, CT_REMOVING);
    if (c->real.id[0])
        ask_remove(c);
    else
        cw_defer_post(&c->gone);
}

static void on_thawed(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
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
    set_state(c, CT_THAWING);
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

/* From here no job is placed in it. */
static void close_to_jobs(struct inv_container *c)
{
    if (c->state != CT_DOOMED)
        set_state(c, CT_DOOMED);
    tell_doomed(c);
}

/* Those waiting go back, those running finish. */
static void doom(struct inv_container *c)
{
    struct cw_link *n;

    close_to_jobs(c);
    while (c->waiting.count) { /* from the back, since each goes to the head of the line */
        n = c->waiting.head.prev;
        cw_list_remove(&c->waiting, n);
        c->env->events.on_return(c->env->events.arg, c, CW_LIST_ENTRY(n, struct inv_job, link));
    }
    if (cw_list_empty(&c->runs))
        thaw_and_remove(c);
}

/* ---- the end of a job ---- */

static void free_run(struct run *r)
{
    if (r->call)
        cw_action_cancel(r->call);
    if (r->oom_call)
        r->c->env->driver->ops->cancel(r->c->env->driver, r->oom_call);
    if (r->log_call)
        inv_log_cancel(r->log_call);
    cw_call_body_done(&r->body);
    cw_list_remove(&r->c->runs, &r->link);
    free(r);
}

static bool is_failure(const struct inv_job *job)
{
    return job->outcome.status == CW_STATUS_DEVELOPER_ERROR ||
           job->outcome.status == CW_STATUS_WHISK_ERROR;
}

static void end_run(struct run *r, bool healthy)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;

    free_run(r);
    c->used = true;
    job->at[INV_AT_LOGS_DONE] = now_us(c);
    if (!healthy)
        close_to_jobs(c); /* before on_end, which may bring the next job */
    c->env->events.on_end(c->env->events.arg, c, job, INV_END_RAN);
    if (c->state == CT_DOOMED)
        doom(c);
    else
        advance_idle(c);
}

static void on_logs(void *arg, struct cw_slice logs, bool complete, bool truncated)
{
    struct run *r = arg;

    r->log_call = NULL;
    cw_str_adds(&r->job->logs, logs);
    if (!complete)
        cw_log(CW_LOG_WARN, &r->job->msg->tx, COMPONENT, "container %s: logs are %s (%s)",
               r->c->name, truncated ? "truncated" : "incomplete", r->c->log_path);
    end_run(r, complete && !is_failure(r->job));
}

static void collect_logs(struct run *r)
{
    struct inv_container *c = r->c;
    bool developer_error = r->job->outcome.status == CW_STATUS_DEVELOPER_ERROR;
    struct inv_log_request req = {
        .wait_for_sentinels = c->sentinels && !developer_error,
        .developer_error = developer_error,
        .limit_bytes = c->action->limits.logs_mb << 20,
    };

    r->step = RUN_LOGS;
    if (!inv_job_collects_logs(r->job)) {
        end_run(r, !is_failure(r->job));
        return;
    }
    r->log_call = inv_log_collect(c->log_source, &req, on_logs, r);
}

/* ---- /init and /run ---- */

/* Activations that waited for an initialisation that failed end with the same outcome (openwhisk
 * container.md 5). */
static void abort_waiting(struct inv_container *c, const struct inv_job *failed)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&c->waiting))) {
        struct inv_job *job = CW_LIST_ENTRY(n, struct inv_job, link);
        int64_t now = cw_loop_wall_ms(c->env->loop);

        job->ended_in_container = true;
        job->start_ms = job->end_ms = now;
        job->wait_ms = now - job->msg->tx.start_ms;
        job->outcome.status = failed->outcome.status;
        job->outcome.size = failed->outcome.size;
        cw_str_reset(&job->outcome.result);
        cw_str_adds(&job->outcome.result, cw_str_slice(&failed->outcome.result));
        c->env->events.on_end(c->env->events.arg, c, job, INV_END_ABORTED);
    }
}

/* How the job ended is known: fill it in, tell, go on with logs. */
static void settle(struct run *r)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;

    job->ended_in_container = true;
    job->at[INV_AT_RUN_DONE] = now_us(c);
    job->timeout = r->answer.end == CW_CALL_TIMED_OUT;
    if (r->initializing)
        cw_init_interpret(&r->answer, &job->outcome);
    else
        cw_run_interpret(&r->answer, &job->outcome);
    c->env->events.on_result(c->env->events.arg, c, job);
    if (r->initializing)
        abort_waiting(c, job);
    collect_logs(r);
}

static void on_oom_known(void *arg, bool oom_killed)
{
    struct run *r = arg;

    r->oom_call = NULL;
    if (oom_killed)
        r->answer.end = CW_CALL_OUT_OF_MEMORY;
    settle(r);
    /* r is gone or collecting logs */
}

static int64_t result_limit(const struct inv_container *c, const struct inv_job *job)
{
    const struct cw_opt_int *own = &job->msg->user.limits.max_payload_bytes;

    return own->set && own->value < c->env->payload_max_bytes ? own->value
                                                              : c->env->payload_max_bytes;
}

static int64_t truncation(const struct inv_container *c, const struct inv_job *job)
{
    const struct cw_opt_int *own = &job->msg->user.limits.truncation_bytes;

    return own->set && own->value < c->env->truncation_bytes ? own->value
                                                             : c->env->truncation_bytes;
}

static enum cw_call_end end_of(const struct cw_action_reply *reply, bool late)
{
    if (late)
        return CW_CALL_TIMED_OUT;
    switch (reply->outcome) {
    case CW_ACTION_ANSWERED:
        return CW_CALL_ANSWERED;
    case CW_ACTION_NOT_SENT:
        return CW_CALL_PLATFORM_FAULT;
    default:
        return CW_CALL_NO_ANSWER;
    }
}

/* Turns what the client saw into what the tables speak of. */
static void note_answer(struct run *r, const struct cw_action_reply *reply)
{
    int64_t timeout_ms = r->c->action->limits.timeout_ms;
    bool late = reply->outcome == CW_ACTION_TIMEOUT || reply->elapsed_us >= timeout_ms * 1000;

    r->answer = (struct cw_call_answer){
        .end = end_of(reply, late),
        .status = reply->status,
        .body = reply->body,
        .truncated = reply->truncated,
        .content_length = reply->content_length,
        .max_response = r->initializing ? r->c->env->payload_max_bytes : result_limit(r->c, r->job),
        .timeout_ms = timeout_ms,
    };
    if (reply->outcome != CW_ACTION_ANSWERED)
        cw_log(CW_LOG_WARN, &r->job->msg->tx, COMPONENT, "container %s: %s: %s", r->c->name,
               r->initializing ? "/init" : "/run", reply->why);
}

/* The container cannot have run the job: place it again, a bounded number of times. */
static bool give_back(struct run *r, const struct cw_action_reply *reply)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;
    bool dead = r->reused && reply->outcome == CW_ACTION_REFUSED;
    bool leaving = reply->outcome == CW_ACTION_ANSWERED && reply->status == 503;

    if ((!dead && !leaving) || job->reschedules >= MAX_RESCHEDULES)
        return false;
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
           "container %s is %s; activation %s is placed again", c->name,
           dead ? "dead" : "shutting down", job->msg->activation_id);
    free_run(r);
    cw_list_push_front(&c->waiting, &job->link);
    doom(c);
    return true;
}

static void check_oom_or_settle(struct run *r)
{
    if (r->answer.end != CW_CALL_NO_ANSWER) {
        settle(r);
        return;
    }
    r->step = RUN_OOM_CHECK;
    r->answer.body = cw_slice(NULL, 0); /* borrowed from the reply, which ends with its callback */
    r->oom_call =
        r->c->env->driver->ops->was_oom_killed(r->c->env->driver, r->c->real.id, on_oom_known, r);
}

static void on_run_reply(void *arg, const struct cw_action_reply *reply)
{
    struct run *r = arg;
    struct inv_job *job = r->job;
    int64_t init_ms = job->init_ms > 0 ? job->init_ms : 0;

    r->call = NULL;
    if (give_back(r, reply))
        return;
    note_answer(r, reply);
    job->start_ms = reply->start_ms - init_ms;
    job->end_ms = reply->start_ms +
                  reply->elapsed_us / 1000; /* not the wall clock's end: it may have jumped */
    if (job->init_ms < 0)
        job->wait_ms = reply->start_ms - job->msg->tx.start_ms;
    check_oom_or_settle(r);
}

static struct run *new_run(struct inv_container *c, struct inv_job *job)
{
    struct run *r = cw_alloc(sizeof(*r));

    r->c = c;
    r->job = job;
    r->reused = c->used;
    cw_call_body_init(&r->body, c->env->max_call_bytes);
    cw_list_push_back(&c->runs, &r->link);
    return r;
}

/* A body that cannot be built is the platform's fault: too long for what we allow ourselves. */
static void fail_before_sending(struct run *r, const struct cw_err *err)
{
    int64_t now = cw_loop_wall_ms(r->c->env->loop);

    cw_log(CW_LOG_ERROR, &r->job->msg->tx, COMPONENT, "activation %s cannot be sent: %s",
           r->job->msg->activation_id, err->msg);
    r->answer = (struct cw_call_answer){.end = CW_CALL_PLATFORM_FAULT};
    r->job->start_ms = r->job->end_ms = now;
    r->job->wait_ms = now - r->job->msg->tx.start_ms;
    settle(r);
}

static void send_call(struct run *r, const char *path, int64_t retry_ms, size_t max_response,
                      cw_action_fn *fn)
{
    struct inv_container *c = r->c;
    struct cw_action_request req = {
        .path = path,
        .body = r->body.pieces,
        .body_pieces = r->body.piece_count,
        .timeout_ms = c->action->limits.timeout_ms,
        .retry_connect_ms = retry_ms,
        .connect_within_ms = CONNECT_WITHIN_MS,
        .max_response = max_response,
        .truncate_to = (size_t)truncation(c, r->job),
    };

    r->call = cw_action_post(c->client, &req, fn, r);
}

static void send_run(struct run *r)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;
    int64_t deadline = cw_loop_wall_ms(c->env->loop) + c->action->limits.timeout_ms;
    struct cw_err err = {0};

    r->step = RUN_RUN;
    r->initializing = false;
    cw_call_body_done(&r->body);
    cw_call_body_init(&r->body, c->env->max_call_bytes);
    if (cw_run_body(job->msg, job->action, job->msg->content, deadline, &r->body, &err) != 0) {
        fail_before_sending(r, &err);
        return;
    }
    job->at[INV_AT_RUN_SENT] = now_us(c);
    send_call(r, "/run", 0, (size_t)result_limit(c, job), on_run_reply);
}

static void run_next(struct inv_container *c, struct inv_job *job)
{
    send_run(new_run(c, job));
}

static void run_waiting(struct inv_container *c)
{
    struct cw_link *n;

    while ((c->state == CT_RUNNING) && (n = cw_list_pop_front(&c->waiting)))
        run_next(c, CW_LIST_ENTRY(n, struct inv_job, link));
}

static void on_init_reply(void *arg, const struct cw_action_reply *reply)
{
    struct run *r = arg;
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;
    struct cw_call_result probe = {0};
    bool ok;

    r->call = NULL;
    if (give_back(r, reply))
        return;
    note_answer(r, reply);
    job->init_ms = (reply->elapsed_us + 500) / 1000;
    job->wait_ms = reply->start_ms - job->msg->tx.start_ms;
    job->at[INV_AT_INITED] = now_us(c);
    cw_str_init(&probe.result, SIZE_MAX / 2);
    cw_init_interpret(&r->answer, &probe);
    ok = probe.status == CW_STATUS_SUCCESS;
    cw_str_done(&probe.result);
    if (!ok) {
        job->start_ms = reply->start_ms;
        job->end_ms = reply->start_ms + job->init_ms;
        close_to_jobs(c);
        check_oom_or_settle(r);
        return;
    }
    set_state(c, CT_RUNNING);
    c->env->events.on_warm(c->env->events.arg, c);
    send_run(r);
    run_waiting(c);
}

static void send_init(struct inv_container *c)
{
    struct inv_job *job = CW_LIST_ENTRY(cw_list_pop_front(&c->waiting), struct inv_job, link);
    struct run *r = new_run(c, job);
    int64_t deadline = cw_loop_wall_ms(c->env->loop) + c->action->limits.timeout_ms;
    struct cw_err err = {0};

    r->step = RUN_INIT;
    r->initializing = true;
    if (cw_init_body(job->msg, job->action, job->msg->content, deadline, &r->body, &err) != 0) {
        close_to_jobs(c);
        fail_before_sending(r, &err);
        return;
    }
    send_call(r, "/init", RETRY_CONNECT_MS, (size_t)c->env->payload_max_bytes, on_init_reply);
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

static void fail_creation(struct inv_container *c, enum cw_status status, const char *text)
{
    struct inv_job *first = CW_LIST_ENTRY(cw_list_pop_front(&c->waiting), struct inv_job, link);

    inv_job_fail(first, status, text, cw_loop_wall_ms(c->env->loop));
    first->ended_in_container = true;
    close_to_jobs(c);
    abort_waiting(c, first);
    c->env->events.on_end(c->env->events.arg, c, first, INV_END_FAILED_START);
    doom(c);
}

static void use_real_container(struct inv_container *c, const struct cw_container *real)
{
    c->real = *real;
    if (c->env->containers_dir)
        (void)snprintf(c->log_path, sizeof(c->log_path), "%s/%s/%s-json.log",
                       c->env->containers_dir, real->id, real->id);
    else
        (void)snprintf(c->log_path, sizeof(c->log_path), "%s", real->log_path);
    c->log_source = inv_log_source_new(c->env->logs, c->log_path);
}

static void on_created(void *arg, const struct cw_container *real, enum cw_create_failure failure,
                       const struct cw_err *err)
{
    struct inv_container *c = arg;
    struct cw_err client_err = {0};
    char text[600];

    c->driver_call = NULL;
    if (err) {
        cw_log(CW_LOG_ERROR, tx_of(c), COMPONENT, "container %s could not be created: %s", c->name,
               err->msg);
        fail_creation(
            c, failure == CW_CREATE_PLATFORM ? CW_STATUS_WHISK_ERROR : CW_STATUS_DEVELOPER_ERROR,
            failure_text(c, failure, text, sizeof(text)));
        return;
    }
    use_real_container(c, real);
    CW_LIST_ENTRY(cw_list_first(&c->waiting), struct inv_job, link)->at[INV_AT_CREATED] = now_us(c);
    c->client = cw_action_client_new(c->env->loop, real->address, real->port,
                                     (unsigned)c->action->limits.concurrency, &client_err);
    if (!c->client) {
        cw_log(CW_LOG_ERROR, tx_of(c), COMPONENT, "container %s: %s", c->name, client_err.msg);
        fail_creation(c, CW_STATUS_WHISK_ERROR,
                      failure_text(c, CW_CREATE_PLATFORM, text, sizeof(text)));
        return;
    }
    set_state(c, CT_INITIALIZING);
    send_init(c);
}

static void on_timer(void *arg);

struct inv_container *inv_container_new(const struct inv_container_env *env,
                                        const struct cw_container_spec *spec, struct inv_job *first,
                                        void *owner)
{
    struct inv_container *c = cw_alloc(sizeof(*c));

    c->env = env;
    c->owner = owner;
    c->name = cw_strdup(spec->name);
    c->action = cw_action_ref(first->action);
    /* Images that are never pulled are the operator's own: native, also when a user names them. */
    c->sentinels = c->action->sentinelled_logs || (c->action->image && spec->pull == CW_PULL_NEVER);
    cw_list_init(&c->waiting);
    cw_list_init(&c->runs);
    cw_timer_init(&c->timer, env->loop, on_timer, c);
    cw_defer_init(&c->gone, env->loop, on_gone, c);
    cw_list_push_back(&c->waiting, &first->link);
    c->driver_call = env->driver->ops->create(env->driver, spec, on_created, c);
    return c;
}

/* ---- idling, freezing, waking ---- */

static void on_resumed(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
    if (err) {
        cw_log(CW_LOG_WARN, tx_of(c), COMPONENT, "container %s could not be resumed: %s", c->name,
               err->msg);
        doom(c);
        return;
    }
    c->maybe_paused = false;
    set_state(c, CT_RUNNING);
    run_waiting(c);
}

static void resume(struct inv_container *c)
{
    set_state(c, CT_RESUMING);
    c->driver_call = c->env->driver->ops->resume(c->env->driver, c->real.id, on_resumed, c);
}

static void on_paused(void *arg, const struct cw_err *err)
{
    struct inv_container *c = arg;

    c->driver_call = NULL;
    if (err) {
        cw_log(CW_LOG_WARN, NULL, COMPONENT, "container %s could not be paused: %s", c->name,
               err->msg);
        doom(c);
        return;
    }
    set_state(c, CT_PAUSED);
    if (!cw_list_empty(&c->waiting))
        resume(c);
    else if (c->told_doomed)
        thaw_and_remove(c);
    else
        cw_timer_set_ms(&c->timer, c->env->idle_ms);
}

static void on_timer(void *arg)
{
    struct inv_container *c = arg;

    if (c->state == CT_REMOVING) {
        ask_remove(c);
    } else if (c->state == CT_READY && c->env->driver->ops->pause) {
        set_state(c, CT_PAUSING);
        c->maybe_paused = true;
        cw_action_client_close_idle(c->client);
        c->driver_call = c->env->driver->ops->pause(c->env->driver, c->real.id, on_paused, c);
    } else {
        inv_container_remove(c);
    }
}

/* After a job: run what waits, or become idle. */
static void advance_idle(struct inv_container *c)
{
    if (c->state != CT_RUNNING)
        return;
    run_waiting(c);
    if (c->state == CT_RUNNING && cw_list_empty(&c->runs)) {
        set_state(c, CT_READY);
        cw_timer_set_ms(&c->timer,
                        c->env->driver->ops->pause ? c->env->pause_grace_ms : c->env->idle_ms);
    }
}

void inv_container_add(struct inv_container *c, struct inv_job *job)
{
    switch (c->state) {
    case CT_READY:
        cw_timer_stop(&c->timer);
        set_state(c, CT_RUNNING);
        run_next(c, job);
        break;
    case CT_RUNNING:
        run_next(c, job);
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

void inv_container_remove(struct inv_container *c)
{
    if (c->told_doomed)
        return;
    if (c->state == CT_PAUSED || c->state == CT_PAUSING) {
        tell_doomed(c);
        if (c->state == CT_PAUSED)
            thaw_and_remove(c);
    } else if (c->state == CT_READY) {
        doom(c);
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

        free_run(r);
        end_killed(c, job, how);
    }
    while ((n = cw_list_pop_front(&c->waiting)))
        end_killed(c, CW_LIST_ENTRY(n, struct inv_job, link), INV_END_ABORTED);
}

void inv_container_kill(struct inv_container *c, const char *why)
{
    if (c->state == CT_THAWING || c->state == CT_REMOVING)
        return;
    cw_log(CW_LOG_WARN, tx_of(c), COMPONENT, "container %s is ended: %s", c->name, why);
    if (c->state == CT_PAUSED || c->state == CT_PAUSING) {
        tell_doomed(c);
        end_all_jobs(c);
        if (c->state ==
            CT_PAUSED) /* otherwise when the engine has frozen it: it may do so at any moment */
            thaw_and_remove(c);
        return;
    }
    if (c->driver_call) {
        c->env->driver->ops->cancel(c->env->driver, c->driver_call);
        c->driver_call = NULL;
    }
    close_to_jobs(c);
    end_all_jobs(c);
    thaw_and_remove(c);
}

void *inv_container_owner(const struct inv_container *c)
{
    return c->owner;
}

const char *inv_container_name(const struct inv_container *c)
{
    return c->name;
}
