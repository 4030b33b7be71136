#include "invoker/telemetry.h"

#include <stdio.h>

#include "common/obs/token.h"
#include "invoker/job.h"
#include "invoker/pool/pool.h"

/* A step runs from one moment to another. */
static const struct step {
    const char *name;
    enum inv_moment from, to;
} STEPS[] = {
    {"fetch", INV_AT_TAKEN, INV_AT_FETCHED},   {"placement", INV_AT_FETCHED, INV_AT_PLACED},
    {"create", INV_AT_PLACED, INV_AT_CREATED}, {"init", INV_AT_INIT_SENT, INV_AT_INITED},
    {"run", INV_AT_RUN_SENT, INV_AT_RUN_DONE}, {"logs", INV_AT_RUN_DONE, INV_AT_LOGS_DONE},
    {"ack", INV_AT_LOGS_DONE, INV_AT_ENDED},
};
enum { STEP_COUNT = sizeof(STEPS) / sizeof(STEPS[0]) };

/* Finer than those of a step, which may be a container's: here a tenth of a millisecond counts. */
static const double OVERHEAD_BOUNDS[] = {
    0.00005, 0.000075, 0.0001, 0.000125, 0.00015, 0.000175, 0.0002, 0.00025, 0.0003, 0.0004,
    0.0005,  0.00075,  0.001,  0.0015,   0.002,   0.003,    0.005,  0.01,    0.03,   0.1,
};

struct inv_telemetry {
    struct cw_histogram *steps[STEP_COUNT], *overhead;
    struct cw_timed init, run, logs;
    struct cw_counter *ended[4];
    struct cw_gauge *active, *idle, *prewarmed, *waiting;
    struct cw_gauge *active_bytes, *idle_bytes, *prewarmed_bytes, *waiting_bytes;
};

static struct cw_gauge *pool_count(struct cw_metrics *m, const char *action, const char *help)
{
    return cw_token_gauge(
        m, &(struct cw_token){.component = "containerPool", .action = action, .state = "counter"},
        help);
}

static struct cw_gauge *pool_size(struct cw_metrics *m, const char *action, const char *help)
{
    return cw_token_gauge_bytes(
        m, &(struct cw_token){.component = "containerPool", .action = action, .state = "counter"},
        help);
}

static void make_gauges(struct inv_telemetry *t, struct cw_metrics *m)
{
    t->active = pool_count(m, "activeCount", "Containers that run something.");
    t->active_bytes = pool_size(m, "activeSize", "Memory of containers that run something.");
    t->idle = pool_count(m, "idlesCount", "Containers that are warm and idle.");
    t->idle_bytes = pool_size(m, "idlesSize", "Memory of idle containers.");
    t->prewarmed = pool_count(
        m, "prewarmCount", "Containers that wait for their first action, or are started for that.");
    t->prewarmed_bytes = pool_size(m, "prewarmSize", "Memory of prewarmed containers.");
    t->waiting = pool_count(m, "runBufferCount", "Activations without room.");
    t->waiting_bytes =
        pool_size(m, "runBufferSize", "Memory that activations without room ask for.");
}

static void make_timed(struct cw_metrics *m, struct cw_timed *t, const char *action,
                       const char *what)
{
    cw_timed_init(t, m, &(struct cw_token){.component = "invoker", .action = action}, what);
}

struct cw_histogram *inv_step_histogram(struct cw_metrics *m, const char *step)
{
    char label[32];

    (void)snprintf(label, sizeof(label), "step=\"%s\"", step);
    return cw_metrics_histogram(m, "cwhisk_activation_step_seconds", label,
                                "Time that activations spent in each step.", NULL, 0);
}

struct inv_telemetry *inv_telemetry_new(struct cw_metrics *m)
{
    static const char *const STATUS[] = {"status=\"success\"", "status=\"application_error\"",
                                         "status=\"action_developer_error\"",
                                         "status=\"whisk_internal_error\""};
    struct inv_telemetry *t = cw_alloc(sizeof(*t));

    for (int i = 0; i < STEP_COUNT; i++)
        t->steps[i] = inv_step_histogram(m, STEPS[i].name);
    t->overhead = cw_metrics_histogram(
        m, "cwhisk_activation_overhead_seconds", NULL,
        "Time that the invoker added: from the record's arrival to the result handed back, without "
        "the container's part; warm containers and callers that wait only.",
        OVERHEAD_BOUNDS, sizeof(OVERHEAD_BOUNDS) / sizeof(OVERHEAD_BOUNDS[0]));
    make_timed(m, &t->init, "activationInit", "Initialisations");
    make_timed(m, &t->run, "activationRun", "Runs");
    make_timed(m, &t->logs, "collectLogs", "Collections of logs");
    for (int i = 0; i < 4; i++)
        t->ended[i] = cw_metrics_counter(m, "cwhisk_activations_total", STATUS[i],
                                         "Activations by how they ended.");
    make_gauges(t, m);
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

static void observe(const struct cw_timed *timed, double s, bool ok)
{
    cw_timed_begun(timed);
    cw_timed_ended(timed, ok, s);
}

static void observe_overhead(struct inv_telemetry *t, const struct inv_job *job)
{
    if (job->at[INV_AT_RECEIVED] && job->at[INV_AT_WRITTEN] && job->at[INV_AT_RESULT] &&
        !job->at[INV_AT_CREATED] && !job->at[INV_AT_INIT_SENT])
        cw_histogram_observe(t->overhead, seconds(job, INV_AT_RECEIVED, INV_AT_RESULT) -
                                              seconds(job, INV_AT_WRITTEN, INV_AT_REPLIED));
}

/* An answer is an answer, also a bad one or one that comes too late: so stock counts. */
void inv_telemetry_ended(struct inv_telemetry *t, const struct inv_job *job)
{
    cw_counter_add(t->ended[job->outcome.status], 1);
    for (int i = 0; i < STEP_COUNT; i++)
        if (job->at[STEPS[i].from] && job->at[STEPS[i].to])
            cw_histogram_observe(t->steps[i], seconds(job, STEPS[i].from, STEPS[i].to));
    observe_overhead(t, job);
    if (job->at[INV_AT_INIT_SENT] && job->at[INV_AT_INITED])
        observe(&t->init, seconds(job, INV_AT_INIT_SENT, INV_AT_INITED), true);
    if (job->at[INV_AT_RUN_SENT] && job->at[INV_AT_RUN_DONE])
        observe(&t->run, seconds(job, INV_AT_RUN_SENT, INV_AT_RUN_DONE), true);
    if (inv_job_collects_logs(job) && job->at[INV_AT_RUN_DONE] && job->at[INV_AT_LOGS_DONE])
        observe(&t->logs, seconds(job, INV_AT_RUN_DONE, INV_AT_LOGS_DONE), !job->logs_incomplete);
}

void inv_telemetry_returned(struct inv_telemetry *t, const struct inv_job *job, int64_t now_us)
{
    if (job->at[INV_AT_RUN_SENT])
        observe(&t->run, (double)(now_us - job->at[INV_AT_RUN_SENT]) / 1e6, false);
    else if (job->at[INV_AT_INIT_SENT])
        observe(&t->init, (double)(now_us - job->at[INV_AT_INIT_SENT]) / 1e6, false);
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
