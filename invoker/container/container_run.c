/* A job inside its container: /init once, /run, the check for out-of-memory, logs. Each callback
 * stores what it brings and goes on with the next step; the outcome is told before logs are
 * collected. */
#include "common/base/err.h"
#include "common/http/action_client.h"
#include "common/json/writer.h"
#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/container/container_priv.h"
#include "invoker/job.h"
#include "invoker/limits.h"
#include "invoker/logs/log_collector.h"
#include "invoker/logs/userlogs.h"
#include "invoker/monitor/monitor.h"
#include "invoker/settings.h"

enum {
    RETRY_CONNECT_MS =
        2, /* stock polls each 50 ms; a refused connect on the bridge costs microseconds */
    CONNECT_WITHIN_MS =
        1000, /* the kernel answers for a listening container, however busy that is */
    MAX_RESCHEDULES = 3,
    SHOWN_RESULT_MAX = 1024,
    /* Where no sentinels are waited for, stock reads the log some milliseconds after the answer;
     * read at once, the last lines would often be missing. */
    LINGER_MS = 10,
    LINGER_FAILED_MS = 100,    /* nobody waits for this container */
    SETTLED_US = 10 * 1000000, /* by then every runtime listens */
    RAW_LOGS_MAX_BYTES = 64 << 20,
    RAW_TAIL_MAX_BYTES = 64 << 10,
    SEND_AGAIN_MS = 100,
    SEND_LIMIT_US = 30 * 1000000,
};

/* ---- the end of a job ---- */

void inv_ct_free_run(struct run *r)
{
    cw_defer_cancel(&r->unsendable);
    cw_timer_done(&r->again);
    inv_ct_listen_done(r);
    inv_monitor_drop(r->meter);
    if (r->call)
        cw_action_cancel(r->call);
    if (r->oom_call)
        r->c->env->driver->ops->cancel(r->c->env->driver, r->oom_call);
    if (r->log_call)
        inv_log_cancel(r->log_call);
    cw_call_body_done(&r->body);
    cw_str_done(&r->raw_logs);
    cw_str_done(&r->raw_tail);
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

    inv_ct_free_run(r);
    c->used = true;
    job->at[INV_AT_LOGS_DONE] = inv_ct_now_us(c);
    if (!healthy)
        inv_ct_close_to_jobs(c); /* before on_end, which may bring the next job */
    c->env->events.on_end(c->env->events.arg, c, job, INV_END_RAN);
    if (c->state == CT_DOOMED)
        inv_ct_doom(c);
    else
        inv_ct_advance_idle(c);
}

/* What every line of the activation gets in the files. */
static struct cw_slice file_members(struct run *r)
{
    const struct cw_activation_message *m = r->job->msg;
    struct cw_json_writer w;

    cw_json_begin(&w, &r->raw_tail);
    cw_json_object(&w);
    cw_json_kv_string(&w, "activationId", m->activation_id);
    cw_json_kv_string(&w, "action", m->action.full);
    cw_json_kv_string(&w, "namespace", m->user.namespace_name);
    cw_json_kv_string(&w, "namespaceId", m->user.namespace_uuid);
    r->raw_tail.p[0] = ','; /* members behind others */
    return cw_str_slice(&r->raw_tail);
}

/* The record comes last, without logs (openwhisk container.md 3). */
static void write_to_files(struct run *r)
{
    struct inv_userlogs *files = r->c->env->userlogs;
    struct cw_activation_record record;

    if (!files)
        return;
    inv_job_record(r->job, 0, &record);
    cw_activation_record_encode_plain(&record, r->job->msg->user.namespace_uuid, &r->raw_logs);
    cw_str_addc(&r->raw_logs, '\n');
    if (!r->raw_logs.failed)
        inv_userlogs_write(files, cw_str_slice(&r->raw_logs));
    else
        cw_log(CW_LOG_WARN, &r->job->msg->tx, COMPONENT,
               "activation %s: log lines are over %zu bytes and not written to files",
               r->job->msg->activation_id, r->raw_logs.max);
}

static void on_logs(void *arg, struct cw_slice logs, bool complete, bool truncated)
{
    struct run *r = arg;

    r->log_call = NULL;
    cw_str_adds(&r->job->logs, logs);
    r->job->logs_incomplete = !complete;
    inv_ct_tell_logs(r, complete, truncated);
    write_to_files(r);
    end_run(r, (complete || !r->c->env->remove_on_incomplete_logs) && !is_failure(r->job));
}

static void collect_logs(struct run *r)
{
    struct inv_container *c = r->c;
    bool developer_error = r->job->outcome.status == CW_STATUS_DEVELOPER_ERROR;
    struct inv_log_request req = {
        .wait_for_sentinels = c->sentinels && !developer_error,
        .developer_error = developer_error,
        .linger_ms = developer_error ? LINGER_FAILED_MS : LINGER_MS,
        .limit_bytes = r->job->action->limits.logs_mb << 20,
    };

    r->step = RUN_LOGS;
    if (!inv_job_collects_logs(r->job)) {
        end_run(r, !is_failure(r->job));
        return;
    }
    if (c->env->userlogs) {
        req.raw = &r->raw_logs;
        req.raw_tail = file_members(r);
    }
    inv_ct_tell_collecting(r);
    r->log_call = inv_log_collect(c->log_source, &req, on_logs, r);
}

/* ---- /init and /run ---- */

/* Activations that waited for an initialisation that failed end with the same outcome (openwhisk
 * container.md 5). */
void inv_ct_abort_waiting(struct inv_container *c, const struct inv_job *failed)
{
    struct cw_link *n;

    while ((n = cw_list_pop_front(&c->waiting))) {
        struct inv_job *job = CW_LIST_ENTRY(n, struct inv_job, link);
        int64_t now = cw_loop_wall_ms(c->env->loop);

        job->ended_in_container = true;
        job->start_ms = job->end_ms = now;
        inv_job_waited(job, now);
        job->outcome.status = failed->outcome.status;
        job->outcome.size = failed->outcome.size;
        cw_str_reset(&job->outcome.result);
        cw_str_adds(&job->outcome.result, cw_str_slice(&failed->outcome.result));
        c->env->events.on_end(c->env->events.arg, c, job, INV_END_ABORTED);
    }
}

/* As stock does when it is told to (by default for internal errors only). */
static void log_error(const struct inv_container *c, const struct inv_job *job)
{
    static const char *const NAMES[] = {[CW_STATUS_APPLICATION_ERROR] = "application error",
                                        [CW_STATUS_DEVELOPER_ERROR] = "action developer error",
                                        [CW_STATUS_WHISK_ERROR] = "whisk internal error"};
    const struct inv_settings *s = c->env->settings;
    enum cw_status status = job->outcome.status;
    size_t n = job->outcome.result.n;

    if ((status == CW_STATUS_APPLICATION_ERROR && s->log_application_errors) ||
        (status == CW_STATUS_DEVELOPER_ERROR && s->log_developer_errors) ||
        (status == CW_STATUS_WHISK_ERROR && s->log_whisk_errors))
        cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
               "activation %s in container %s returned a %s: %.*s%s", job->msg->activation_id,
               c->name, NAMES[status], n > SHOWN_RESULT_MAX ? SHOWN_RESULT_MAX : (int)n,
               job->outcome.result.p, n > SHOWN_RESULT_MAX ? "..." : "");
}

/* The job has not run here, and is placed again: nor have those that wait. */
static void return_all(struct run *r)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;

    inv_ct_free_run(r);
    cw_list_push_front(&c->waiting, &job->link);
    inv_ct_doom(c);
}

/* Its container ended with the engine before it was initialised. */
static bool engine_took_init(const struct run *r)
{
    return r->initializing && r->answer.end == CW_CALL_NO_ANSWER &&
           r->job->reschedules < MAX_RESCHEDULES &&
           inv_ct_engine_was_away(r->c, r->job->at[INV_AT_INIT_SENT], false);
}

/* How the job ended is known: fill it in, tell, go on with logs. */
static void settle(struct run *r)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;

    inv_monitor_end(CW_STEAL(r->meter), r->answer.end == CW_CALL_OUT_OF_MEMORY);
    job->ended_in_container = true;
    job->at[INV_AT_RUN_DONE] = inv_ct_now_us(c);
    job->timeout = r->answer.end == CW_CALL_TIMED_OUT;
    if (r->initializing)
        cw_init_interpret(&r->answer, &job->outcome);
    else
        cw_run_interpret(&r->answer, &job->outcome);
    log_error(c, job);
    c->env->events.on_result(c->env->events.arg, c, job);
    if (r->initializing)
        inv_ct_abort_waiting(c, job);
    collect_logs(r);
}

static void on_oom_known(void *arg, bool oom_killed)
{
    struct run *r = arg;

    r->oom_call = NULL;
    if (oom_killed)
        r->answer.end = CW_CALL_OUT_OF_MEMORY;
    if (!engine_took_init(r)) {
        settle(r); /* r is gone or collecting logs */
        return;
    }
    cw_log(CW_LOG_WARN, &r->job->msg->tx, COMPONENT,
           "container %s ended with the engine; activation %s is placed again", r->c->name,
           r->job->msg->activation_id);
    return_all(r);
}

static int64_t result_limit(const struct run *r)
{
    const struct inv_settings *s = r->c->env->settings;

    return r->initializing ? s->payload_max_bytes
                           : inv_limits_payload(s, &r->job->msg->user.limits);
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
    int64_t timeout_ms = r->job->action->limits.timeout_ms;
    bool late = reply->outcome == CW_ACTION_TIMEOUT || r->out_of_time ||
                reply->elapsed_us >= timeout_ms * 1000;

    r->answer = (struct cw_call_answer){
        .end = end_of(reply, late),
        .status = reply->status,
        .body = reply->body,
        .truncated = reply->truncated,
        .content_length = reply->content_length,
        .max_response = result_limit(r),
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

    if ((!dead && !leaving) || job->reschedules >= MAX_RESCHEDULES) {
        inv_ct_tell_answer(r, reply, false);
        return false;
    }
    inv_ct_tell_answer(r, reply, dead);
    cw_log(CW_LOG_WARN, &job->msg->tx, COMPONENT,
           "container %s is %s; activation %s is placed again", c->name,
           dead ? "dead" : "shutting down", job->msg->activation_id);
    if (dead || c->used)
        cw_counter_add(c->used ? c->env->dead_warm : c->env->dead_prewarmed, 1);
    return_all(r);
    return true;
}

/* Nothing of the call has left, for want of descriptors: there may be some in a moment. */
static bool send_later(struct run *r, const struct cw_action_reply *reply)
{
    int64_t now = inv_ct_now_us(r->c);

    if (reply->outcome != CW_ACTION_NOT_SENT) {
        r->unsent_us = 0;
        return false;
    }
    if (!r->unsent_us) {
        r->unsent_us = now;
        cw_log(CW_LOG_WARN, &r->job->msg->tx, COMPONENT,
               "container %s: activation %s cannot be sent yet: %s", r->c->name,
               r->job->msg->activation_id, reply->why);
    }
    if (now - r->unsent_us >= SEND_LIMIT_US)
        return false;
    cw_timer_set_ms(&r->again, SEND_AGAIN_MS);
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
    if (send_later(r, reply) || give_back(r, reply))
        return;
    note_answer(r, reply);
    job->at[INV_AT_WRITTEN] = reply->written_us;
    job->at[INV_AT_REPLIED] = reply->read_us;
    job->start_ms = reply->start_ms - init_ms;
    job->end_ms = reply->start_ms +
                  reply->elapsed_us / 1000; /* not the wall clock's end: it may have jumped */
    if (job->init_ms < 0)
        inv_job_waited(job, reply->start_ms);
    check_oom_or_settle(r);
}

static void on_unsendable(void *arg)
{
    struct run *r = arg;

    if (r->initializing)
        inv_ct_close_to_jobs(r->c);
    settle(r);
}

static void on_again(void *arg);

static struct run *new_run(struct inv_container *c, struct inv_job *job)
{
    struct run *r = cw_alloc(sizeof(*r));

    r->c = c;
    r->job = job;
    r->reused =
        c->used || c->listened || (c->standby_us && inv_ct_now_us(c) - c->standby_us >= SETTLED_US);
    cw_defer_init(&r->unsendable, c->env->loop, on_unsendable, r);
    cw_timer_init(&r->again, c->env->loop, on_again, r);
    inv_ct_listen_init(r);
    cw_call_body_init(&r->body, c->env->max_call_bytes);
    cw_str_init(&r->raw_logs, RAW_LOGS_MAX_BYTES);
    cw_str_init(&r->raw_tail, RAW_TAIL_MAX_BYTES);
    cw_list_push_back(&c->runs, &r->link);
    return r;
}

/* A body that cannot be built (too long for what we allow ourselves) and a start that cannot be
 * noted are the platform's fault. */
static void fail_before_sending(struct run *r, const struct cw_err *err)
{
    int64_t now = cw_loop_wall_ms(r->c->env->loop);

    cw_log(CW_LOG_ERROR, &r->job->msg->tx, COMPONENT, "activation %s cannot be sent: %s",
           r->job->msg->activation_id, err->msg);
    r->answer = (struct cw_call_answer){.end = CW_CALL_PLATFORM_FAULT};
    r->job->start_ms = r->job->end_ms = now;
    inv_job_waited(r->job, now);
    cw_defer_post(&r->unsendable);
}

static void send_call(struct run *r, const char *path, cw_action_fn *fn)
{
    struct inv_container *c = r->c;
    bool begins = r->initializing && !r->reused;
    struct cw_action_request req = {
        .path = path,
        .body = r->body.pieces,
        .body_pieces = r->body.piece_count,
        .timeout_ms =
            begins ? inv_ct_init_timeout_ms(r) : (int64_t)r->job->action->limits.timeout_ms,
        .patience_ms = begins ? inv_ct_init_patience_ms(r) : 0,
        .retry_connect_ms = begins ? RETRY_CONNECT_MS : 0,
        .connect_within_ms = CONNECT_WITHIN_MS,
        .max_response = (size_t)result_limit(r),
        .truncate_to = (size_t)inv_limits_truncation(c->env->settings, &r->job->msg->user.limits),
    };

    r->call = cw_action_post(c->client, &req, fn, r);
    if (begins)
        inv_ct_listen_begin(r);
}

static int tell_start(struct run *r, struct cw_err *err)
{
    const struct inv_container_events *events = &r->c->env->events;

    return events->on_start ? events->on_start(events->arg, r->c, r->job, err) : 0;
}

static void send_run(struct run *r)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;
    int64_t deadline = cw_loop_wall_ms(c->env->loop) + job->action->limits.timeout_ms;
    struct cw_err err = {0};

    r->step = RUN_RUN;
    r->initializing = false;
    cw_call_body_done(&r->body);
    cw_call_body_init(&r->body, c->env->max_call_bytes);
    if (cw_run_body(job->msg, job->action, job->msg->content, deadline, &r->body, &err) != 0 ||
        tell_start(r, &err) != 0) {
        fail_before_sending(r, &err);
        return;
    }
    job->at[INV_AT_RUN_SENT] = inv_ct_now_us(c);
    if (!r->unsent_us)
        inv_ct_tell_call(r);
    send_call(r, "/run", on_run_reply);
    inv_monitor_drop(r->meter); /* of a try that was not sent */
    r->meter = inv_monitor_begin(c->watched);
}

static void run_job(struct inv_container *c, struct inv_job *job)
{
    send_run(new_run(c, job));
}

static void on_settled(void *arg, bool in_step)
{
    struct inv_container *c = arg;

    c->settling = false;
    if (c->state != CT_RUNNING)
        return;
    if (in_step) {
        inv_ct_advance_idle(c);
        return;
    }
    cw_log(CW_LOG_WARN, NULL, COMPONENT,
           "container %s is removed: the end of its last activation's logs did not come (%s)",
           c->name, c->log_path);
    inv_ct_doom(c);
}

/* Lines of an earlier job that are still to come must not end up in the next one's log. */
static bool held_by_logs(struct inv_container *c)
{
    if (!c->log_source || inv_log_in_step(c->log_source))
        return false;
    if (!c->settling)
        inv_log_settle(c->log_source, on_settled, c);
    c->settling = true;
    return true;
}

void inv_ct_run_waiting(struct inv_container *c)
{
    struct cw_link *n;

    while (c->state == CT_RUNNING && !cw_list_empty(&c->waiting) && !held_by_logs(c)) {
        n = cw_list_pop_front(&c->waiting);
        run_job(c, CW_LIST_ENTRY(n, struct inv_job, link));
    }
}

static void on_init_reply(void *arg, const struct cw_action_reply *reply)
{
    struct run *r = arg;
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;
    struct cw_call_result probe = {0};
    bool ok;

    r->call = NULL;
    if (send_later(r, reply))
        return;
    if (inv_ct_listen_end(r, reply)) {
        inv_ct_tell_answer(r, reply, true);
        return_all(r);
        return;
    }
    if (give_back(r, reply))
        return;
    note_answer(r, reply);
    job->init_ms = (reply->elapsed_us + 500) / 1000;
    inv_job_waited(job, reply->start_ms);
    job->at[INV_AT_INITED] = inv_ct_now_us(c);
    cw_str_init(&probe.result, SIZE_MAX / 2);
    cw_init_interpret(&r->answer, &probe);
    ok = probe.status == CW_STATUS_SUCCESS;
    cw_str_done(&probe.result);
    if (!ok) {
        job->start_ms = reply->start_ms;
        job->end_ms = reply->start_ms + job->init_ms;
        inv_ct_close_to_jobs(c);
        check_oom_or_settle(r);
        return;
    }
    inv_ct_set_state(c, CT_RUNNING);
    c->env->events.on_warm(c->env->events.arg, c);
    send_run(r);
    inv_ct_run_waiting(c);
}

static void send_init(struct run *r)
{
    struct inv_container *c = r->c;
    struct inv_job *job = r->job;
    int64_t deadline = cw_loop_wall_ms(c->env->loop) + job->action->limits.timeout_ms;
    struct cw_err err = {0};

    r->step = RUN_INIT;
    r->initializing = true;
    cw_call_body_done(&r->body);
    cw_call_body_init(&r->body, c->env->max_call_bytes);
    if (cw_init_body(job->msg, job->action, job->msg->content, deadline, &r->body, &err) != 0) {
        fail_before_sending(r, &err);
        return;
    }
    job->at[INV_AT_INIT_SENT] = inv_ct_now_us(c);
    if (!r->unsent_us)
        inv_ct_tell_call(r);
    send_call(r, "/init", on_init_reply);
}

/* Its container may be gone meanwhile, and another one have its address. */
static void on_again(void *arg)
{
    struct run *r = arg;

    if (r->c->died || r->c->told_doomed)
        return_all(r);
    else if (r->initializing)
        send_init(r);
    else
        send_run(r);
}

void inv_ct_init(struct inv_container *c)
{
    struct inv_job *job = CW_LIST_ENTRY(cw_list_pop_front(&c->waiting), struct inv_job, link);

    send_init(new_run(c, job));
}
