#include "invoker/telemetry.h"

#include <stdio.h>

#include "common/model/activation_message.h"
#include "common/obs/log.h"
#include "common/obs/metrics.h"
#include "invoker/job.h"
#include "invoker/pool/pool.h"

#define COMPONENT "InvokerReactive"

/* A step runs from one moment to another. */
static const struct step {
    const char *label;
    enum inv_moment from, to;
} STEPS[] = {
    {"step=\"fetch\"", INV_AT_TAKEN, INV_AT_FETCHED},
    {"step=\"placement\"", INV_AT_FETCHED, INV_AT_PLACED},
    {"step=\"create\"", INV_AT_PLACED, INV_AT_CREATED},
    {"step=\"init\"", INV_AT_INIT_SENT, INV_AT_INITED},
    {"step=\"run\"", INV_AT_RUN_SENT, INV_AT_RUN_DONE},
    {"step=\"logs\"", INV_AT_RUN_DONE, INV_AT_LOGS_DONE},
    {"step=\"ack\"", INV_AT_LOGS_DONE, INV_AT_ENDED},
};
enum { STEP_COUNT = sizeof(STEPS) / sizeof(STEPS[0]) };

/* start counter, finish histogram, error histogram of one of stock's timed operations */
struct timed {
    struct cw_counter *start;
    struct cw_histogram *finish, *error;
};

struct inv_telemetry {
    bool markers;
    struct cw_histogram *steps[STEP_COUNT];
    struct timed init, run, logs;
    struct cw_counter *ended[4];
    struct cw_gauge *active, *idle, *prewarmed, *waiting;
    struct cw_gauge *active_bytes, *idle_bytes, *prewarmed_bytes, *waiting_bytes;
};

static void make_timed(struct cw_metrics *m, struct timed *t, const char *name)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "counter_invoker_%s_start_total", name);
    t->start = cw_metrics_counter(m, text, NULL, "Operations begun.");
    (void)snprintf(text, sizeof(text), "histogram_invoker_%s_finish_seconds", name);
    t->finish = cw_metrics_histogram(m, text, NULL, "Operations that succeeded.", NULL, 0);
    (void)snprintf(text, sizeof(text), "histogram_invoker_%s_error_seconds", name);
    t->error = cw_metrics_histogram(m, text, NULL, "Operations that failed.", NULL, 0);
}

struct inv_telemetry *inv_telemetry_new(struct cw_metrics *m, bool markers)
{
    static const char *const STATUS[] = {"status=\"success\"", "status=\"application_error\"",
                                         "status=\"action_developer_error\"",
                                         "status=\"whisk_internal_error\""};
    struct inv_telemetry *t = cw_alloc(sizeof(*t));

    t->markers = markers;
    for (int i = 0; i < STEP_COUNT; i++)
        t->steps[i] = cw_metrics_histogram(m, "cwhisk_activation_step_seconds", STEPS[i].label,
                                           "Time that activations spent in each step.", NULL, 0);
    make_timed(m, &t->init, "activationInit");
    make_timed(m, &t->run, "activationRun");
    make_timed(m, &t->logs, "collectLogs");
    for (int i = 0; i < 4; i++)
        t->ended[i] = cw_metrics_counter(m, "cwhisk_activations_total", STATUS[i],
                                         "Activations by how they ended.");
    t->active = cw_metrics_gauge(m, "gauge_containerPool_activeCount_counter", NULL,
                                 "Containers that run something.");
    t->idle = cw_metrics_gauge(m, "gauge_containerPool_idlesCount_counter", NULL,
                               "Containers that are warm and idle.");
    t->prewarmed =
        cw_metrics_gauge(m, "gauge_containerPool_prewarmCount_counter", NULL,
                         "Containers that wait for their first action, or are started for that.");
    t->waiting = cw_metrics_gauge(m, "gauge_containerPool_runBufferCount_counter", NULL,
                                  "Activations without room.");
    t->active_bytes = cw_metrics_gauge(m, "gauge_containerPool_activeSize_counter_bytes", NULL,
                                       "Memory of containers that run something.");
    t->idle_bytes = cw_metrics_gauge(m, "gauge_containerPool_idlesSize_counter_bytes", NULL,
                                     "Memory of idle containers.");
    t->prewarmed_bytes = cw_metrics_gauge(m, "gauge_containerPool_prewarmSize_counter_bytes", NULL,
                                          "Memory of prewarmed containers.");
    t->waiting_bytes = cw_metrics_gauge(m, "gauge_containerPool_runBufferSize_counter_bytes", NULL,
                                        "Memory that activations without room ask for.");
    return t;
}

void inv_telemetry_free(struct inv_telemetry *t)
{
    free(t);
}

static double seconds(const struct inv_job *job, enum inv_moment from, enum inv_moment to)
{
    return (double)(job->at[to] - job->at[from]) / 1e6;
}

static void observe(const struct inv_telemetry *t, const struct timed *timed,
                    const struct inv_job *job, const char *name, enum inv_moment from,
                    enum inv_moment to, bool ok)
{
    char marker[96];
    double s;

    if (!job->at[from] || !job->at[to])
        return;
    s = seconds(job, from, to);
    cw_counter_add(timed->start, 1);
    cw_histogram_observe(ok ? timed->finish : timed->error, s);
    if (!t->markers)
        return;
    (void)snprintf(marker, sizeof(marker), "invoker_%s_%s", name, ok ? "finish" : "error");
    cw_log_marker(CW_LOG_INFO, &job->msg->tx, COMPONENT, marker, (int64_t)(s * 1e3),
                  "%s activationId=%s", name, job->msg->activation_id);
}

void inv_telemetry_ended(struct inv_telemetry *t, const struct inv_job *job)
{
    bool ok = job->outcome.status == CW_STATUS_SUCCESS ||
              job->outcome.status == CW_STATUS_APPLICATION_ERROR;

    cw_counter_add(t->ended[job->outcome.status], 1);
    for (int i = 0; i < STEP_COUNT; i++)
        if (job->at[STEPS[i].from] && job->at[STEPS[i].to])
            cw_histogram_observe(t->steps[i], seconds(job, STEPS[i].from, STEPS[i].to));
    observe(t, &t->init, job, "activationInit", INV_AT_INIT_SENT, INV_AT_INITED,
            job->at[INV_AT_RUN_SENT] != 0);
    observe(t, &t->run, job, "activationRun", INV_AT_RUN_SENT, INV_AT_RUN_DONE, ok);
    if (inv_job_collects_logs(job))
        observe(t, &t->logs, job, "collectLogs", INV_AT_RUN_DONE, INV_AT_LOGS_DONE, true);
}

void inv_telemetry_pool(struct inv_telemetry *t, const struct inv_pool_stats *s, uint64_t waiting,
                        uint64_t waiting_mb)
{
    const double mb = 1024 * 1024;

    cw_gauge_set(t->active, (double)s->active);
    cw_gauge_set(t->idle, (double)s->idle);
    cw_gauge_set(t->prewarmed, (double)s->prewarmed);
    cw_gauge_set(t->prewarmed_bytes, (double)s->prewarmed_mb * mb);
    cw_gauge_set(t->waiting, (double)waiting);
    cw_gauge_set(t->active_bytes, (double)(s->used_mb - s->idle_mb - s->prewarmed_mb) * mb);
    cw_gauge_set(t->idle_bytes, (double)s->idle_mb * mb);
    cw_gauge_set(t->waiting_bytes, (double)waiting_mb * mb);
}
