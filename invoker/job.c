#include "invoker/job.h"

#include "common/base/err.h"
#include "common/json/raw.h"

#include "common/model/action_doc.h"
#include "common/model/activation_message.h"
#include "invoker/forward/guests.h"

/* Results are bounded by the payload limit and its text around it, logs by the log limit; these
 * caps only end runaway. */
enum {
    RESULT_MAX_BYTES = 256 << 20,
    LOGS_MAX_BYTES = 512 << 20,
    CLOCK_SET_BACK_MS = 24 * 3600 * 1000, /* at most; beyond, the message says nonsense */
};

struct inv_job *inv_job_new(CW_TAKES struct cw_activation_message *msg, int64_t taken_us)
{
    struct inv_job *job = cw_alloc(sizeof(*job));

    job->msg = msg;
    job->offset = job->ticket = -1;
    job->at[INV_AT_TAKEN] = taken_us;
    job->init_ms = -1;
    job->outcome.size = -1;
    cw_str_init(&job->outcome.result, RESULT_MAX_BYTES);
    cw_str_init(&job->logs, LOGS_MAX_BYTES);
    return job;
}

void inv_job_free(struct inv_job *job)
{
    if (!job)
        return;
    cw_activation_message_free(job->msg);
    cw_action_unref(job->action);
    cw_str_done(&job->outcome.result);
    cw_str_done(&job->logs);
    inv_guest_free(job->guest);
    free(job);
}

void inv_job_waited(struct inv_job *job, int64_t start_ms)
{
    int64_t ms = start_ms - job->msg->tx.start_ms;

    job->wait_ms = ms < 0 && ms > -CLOCK_SET_BACK_MS ? 0 : ms;
}

void inv_job_fail(struct inv_job *job, enum cw_status status, const char *text, int64_t now_ms)
{
    job->outcome.status = status;
    job->outcome.size = -1;
    cw_str_reset(&job->outcome.result);
    cw_error_result(&job->outcome.result, text);
    job->start_ms = job->end_ms = now_ms;
    inv_job_waited(job, now_ms);
    job->init_ms = -1;
}

void inv_job_excuse(struct inv_job *job, const char *text, int64_t now_ms)
{
    inv_job_fail(job, CW_STATUS_WHISK_ERROR, text, now_ms);
    job->excused = true;
}

void inv_job_stop(struct inv_job *job, int64_t now_ms)
{
    inv_job_excuse(job, "The invoker stopped before the action was finished.", now_ms);
}

/* The member if it is of this type. */
static bool get(struct cw_slice object, const char *key, enum cw_raw_type type,
                struct cw_slice *ret)
{
    return cw_raw_get(object, key, ret) && cw_raw_type(*ret) == type;
}

bool inv_job_recover(struct inv_job *job, struct cw_slice record)
{
    struct cw_slice start, end, response, status, result, size;
    struct cw_err ignored = {0};
    int64_t code;

    if (cw_raw_check(record, CW_RAW_MAX_DEPTH, &record, &ignored) != 0 ||
        !get(record, "start", CW_RAW_NUMBER, &start) || !get(record, "end", CW_RAW_NUMBER, &end) ||
        !get(record, "response", CW_RAW_OBJECT, &response) ||
        !get(response, "statusCode", CW_RAW_NUMBER, &status))
        return false;
    code = cw_raw_long(status);
    if (code < CW_STATUS_SUCCESS || code > CW_STATUS_WHISK_ERROR)
        return false;
    job->start_ms = cw_raw_long(start);
    job->end_ms = cw_raw_long(end);
    job->outcome.status = (enum cw_status)code;
    job->outcome.size = get(response, "size", CW_RAW_NUMBER, &size) ? cw_raw_long(size) : -1;
    job->excused = true;
    cw_str_reset(&job->outcome.result);
    if (cw_raw_get(response, "result", &result))
        cw_str_adds(&job->outcome.result, result);
    return true;
}

void inv_job_restart(struct inv_job *job)
{
    job->reschedules++;
    job->init_ms = -1;
    job->timeout = false;
    job->outcome.status = CW_STATUS_SUCCESS;
    job->outcome.size = -1;
    cw_str_reset(&job->outcome.result);
    cw_str_reset(&job->logs);
    job->logs_incomplete = false;
    for (int i = INV_AT_PLACED; i < INV_MOMENTS; i++)
        job->at[i] = 0;
}

bool inv_job_collects_logs(const struct inv_job *job)
{
    return !job->logs_elsewhere && job->action && job->action->limits.logs_mb > 0;
}

void inv_job_record(const struct inv_job *job, int64_t now_ms, struct cw_activation_record *ret)
{
    const struct cw_activation_message *m = job->msg;
    const struct cw_action *a = job->action;

    *ret = (struct cw_activation_record){
        .namespace_name = m->user.namespace_name,
        .name = m->action.name,
        .subject = m->user.subject,
        .activation_id = m->activation_id,
        .cause = m->cause,
        .version = a                   ? a->version
                   : m->action.version ? m->action.version
                                       : "0.0.1",
        .start_ms = job->start_ms,
        .end_ms = job->end_ms,
        .duration_ms = job->end_ms - job->start_ms,
        .status = job->outcome.status,
        .excused = job->excused,
        .result = cw_str_slice(&job->outcome.result),
        .size = job->outcome.size,
        .path = m->action.full,
        .kind = "unknown",
        .init_ms = -1,
        .updated_ms = now_ms,
    };
    if (a && job->ended_in_container) {
        ret->is_run = true;
        ret->name = a->name; /* of the document, should the message differ */
        ret->path = a->path;
        ret->binding = m->action.binding;
        ret->kind = a->kind;
        ret->limits_raw = a->limits_raw;
        ret->memory_mb = a->limits.memory_mb;
        ret->timeout = job->timeout;
        ret->wait_ms = job->wait_ms;
        ret->init_ms = job->init_ms;
    }
}
